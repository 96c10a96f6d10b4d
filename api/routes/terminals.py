"""Where terminals hand over what they have read: signed, good for a minute and one use, charged at once."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from api.deps import Signed, WorldDep
from api.routes.payments import till_of
from payments.flows import counter
from payments.ports import Capture, ForgedCaptureError, check_capture, read_capture
from people.service import terminals
from people.service.terminals import Terminal

router = APIRouter(prefix="/api/terminals", tags=["terminals"])

_NOBODY = "no-terminal-signs-with-this"
_FIELDS = {
    "kind": {"type": "string", "enum": ["PAY_CODE", "FACE_CODE", "EC_QRCODE", "EC_FACE"]},
    "value": {"type": "string", "maxLength": 1024},
    "terminal_id": {"type": "string", "maxLength": 32},
    "operator": {"type": "string", "maxLength": 40},
    "captured_at": {"type": "string", "format": "date-time"},
}
_EXAMPLE = {
    "kind": "PAY_CODE",
    "value": "131234567890123456",
    "terminal_id": "W03-scan",
    "operator": "C0307",
    "captured_at": "2026-11-22T09:31:05+08:00",
}
_DESCRIBED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": sorted(_FIELDS), "properties": _FIELDS},
                "example": _EXAMPLE,
            }
        },
    }
}


class Taken(BaseModel):
    """What was read was taken; what becomes of it is shown on the desk's screen."""

    state: str = "taken"


@router.post("/captures", status_code=202, dependencies=[Signed], openapi_extra=_DESCRIBED)
async def captures(
    request: Request,
    world: WorldDep,
    terminal: Annotated[str, Header(alias="X-Houfu-Terminal", max_length=64)] = "",
    timestamp: Annotated[str, Header(alias="X-Houfu-Timestamp", max_length=20)] = "",
    signature: Annotated[str, Header(alias="X-Houfu-Signature", max_length=64)] = "",
) -> Taken:
    """Take one thing a terminal has read (``docs/terminals.md``) and use it once: charge it, or open the insurance."""
    known, capture = await _read(request, world, terminal, timestamp, signature)
    pay, till = till_of(world)
    await counter.captured(world.db, pay, world.ports.insurance, known, capture, till)
    return Taken()


async def _read(
    request: Request, world: WorldDep, name: str, timestamp: str, signature: str
) -> tuple[Terminal, Capture]:
    raw = await request.body()
    async with world.db.begin() as tx:
        known = await terminals.by_name(tx, name)
        secret = terminals.secret_of(tx, known) if known is not None else _NOBODY
        now = tx.now
    check_capture(secret, name, timestamp, signature, raw, now)
    if known is None:
        raise ForgedCaptureError
    return known, read_capture(name, timestamp, raw)
