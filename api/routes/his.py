"""Where the hospital's system posts what happened: signed, in batches, answered item by item after the commit."""

import hashlib
import hmac
import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse

from api.deps import Signed, WorldDep
from api.world import World
from intake.rules import BATCH_MAX, FRESH_SECONDS, Answer, BadBatchError, BadSignatureError, Item, example, read
from kernel.clock import wall_clock
from people.service import hospitals
from people.service.hospitals import Hospital

router = APIRouter(tags=["hospital system"])

KEY_KEPT_SECONDS = 1.0  # a busy HIS posts hundreds of times a second; a key switched off is refused a second later

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": BATCH_MAX,
                    "items": {"type": "object", "description": "an event as docs/his.md describes it"},
                },
                "example": [example("charge.created"), example("execution.confirmed")],
            }
        },
    }
}


@router.post("/api/his/events", dependencies=[Signed], openapi_extra=_BODY)
async def events(
    request: Request,
    world: WorldDep,
    x_houfu_key: Annotated[str, Header(max_length=64)] = "",
    x_houfu_timestamp: Annotated[str, Header(max_length=20)] = "",
    x_houfu_signature: Annotated[str, Header(max_length=64)] = "",
) -> JSONResponse:
    """Take 1–500 events (``docs/his.md``); the answer leaves after the commit, one entry per event in the order sent.

    Raises:
        BadSignatureError: key, time or signature does not hold.
        BadBatchError: no JSON array of 1–500 items.
    """
    body = await request.body()
    hospital = await _signer(world, x_houfu_key, x_houfu_timestamp, x_houfu_signature, body)
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBatchError from None
    if not isinstance(raw, list) or not 1 <= len(raw) <= BATCH_MAX:
        raise BadBatchError
    checked = [read(one) for one in raw]
    items = [one for one in checked if isinstance(one, Item)]
    refused = [(a.reason or "", r) for a, r in zip(checked, raw, strict=True) if isinstance(a, Answer)]
    answers = iter(await world.intake.take(hospital.id, items, refused))
    told = [one if isinstance(one, Answer) else next(answers) for one in checked]
    return JSONResponse({"items": [answer.json() for answer in told]})


async def _key(world: World, key_id: str) -> tuple[Hospital, str]:
    kept: dict[str, tuple[float, Hospital, str]] = world.extras.setdefault("his_keys", {})
    known = kept.get(key_id)
    if known is not None and time.monotonic() - known[0] < KEY_KEPT_SECONDS:
        return known[1], known[2]
    async with world.db.begin() as tx:
        found = await hospitals.his_key(tx, key_id)
    if found is None:
        kept.pop(key_id, None)
        raise BadSignatureError
    kept[key_id] = (time.monotonic(), *found)
    return found


async def _signer(world: World, key_id: str, timestamp: str, signature: str, body: bytes) -> Hospital:
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise BadSignatureError
    if abs(wall_clock().timestamp() - int(timestamp)) > FRESH_SECONDS:
        raise BadSignatureError
    hospital, secret = await _key(world, key_id)
    wanted = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise BadSignatureError
    return hospital
