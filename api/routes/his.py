"""Where the hospital's system posts what happened: signed, in batches, answered item by item after the commit."""

import hashlib
import hmac
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import Response

from api.deps import Signed
from api.signers import Signers
from api.world import World
from intake.rules import BATCH_MAX, FRESH_SECONDS, Answer, BadBatchError, BadSignatureError, Item, example, read
from kernel.clock import wall_clock
from people.service.hospitals import Snapshot


class _Direct(APIRoute):
    """A route that is called with the request alone: for the one that is asked hundreds of times a second."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself; its dependencies only declare the caller."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


router = APIRouter(tags=["hospital system"], route_class=_Direct)


def _header(name: str, longest: int, description: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": longest}
    return {"name": name, "in": "header", "required": True, "description": description, "schema": schema}


_DESCRIBED = {
    "parameters": [
        _header("X-Houfu-Key", 64, "the id of the hospital's inbound key"),
        _header("X-Houfu-Timestamp", 20, "seconds since 1970, at most five minutes off"),
        _header("X-Houfu-Signature", 64, "HMAC-SHA256 of timestamp, a dot and the body, in lower-case hex"),
    ],
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
    },
}


@router.post("/api/his/events", dependencies=[Signed], openapi_extra=_DESCRIBED)
async def events(request: Request) -> JSONResponse:
    """Take 1–500 events (``docs/his.md``); the answer leaves after the commit, one entry per event in the order sent.

    Raises:
        BadSignatureError: key, time or signature does not hold.
        BadBatchError: no JSON array of 1–500 items.
    """
    world: World = request.app.state.world
    body = await request.body()
    hospital = await _signer(world, request.headers, body)
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBatchError from None
    if not isinstance(raw, list) or not 1 <= len(raw) <= BATCH_MAX:
        raise BadBatchError
    checked = [read(one) for one in raw]
    items = [one for one in checked if isinstance(one, Item)]
    refused = [(a.reason or "", r) for a, r in zip(checked, raw, strict=True) if isinstance(a, Answer)]
    answers = iter(await world.intake.take(hospital, items, refused))
    told = [one if isinstance(one, Answer) else next(answers) for one in checked]
    return JSONResponse({"items": [answer.json() for answer in told]})


async def _signer(world: World, headers: Headers, body: bytes) -> Snapshot:
    timestamp, signature = headers.get("x-houfu-timestamp", ""), headers.get("x-houfu-signature", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 20):
        raise BadSignatureError
    if abs(wall_clock().timestamp() - int(timestamp)) > FRESH_SECONDS:
        raise BadSignatureError
    signers: Signers | None = world.extras.get("signers")
    if signers is None:
        signers = world.extras["signers"] = Signers()
    signer = await signers.get(world, headers.get("x-houfu-key", "")[:64])
    if signer is None:
        raise BadSignatureError
    hospital, secret = signer
    wanted = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise BadSignatureError
    return hospital
