"""Where terminals hand over what they have read: signed, good for a minute and one use, charged at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from api.deps import Signed, WorldDep
from api.routes.payments import till_of
from payments.flows import counter
from payments.ports import Capture, ForgedCaptureError, check_capture, read_capture, read_look
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
_OF_A_FACE = {
    "openid": {"type": "string", "maxLength": 128},
    "out_trade_no": {"type": "string", "maxLength": 32},
}
_LOOK = {
    "terminal_id": {"type": "string", "maxLength": 32},
    "rawdata": {"type": "string", "maxLength": 3500},
}
_EXAMPLE = {
    "kind": "PAY_CODE",
    "value": "131234567890123456",
    "terminal_id": "W03-scan",
    "operator": "C0307",
    "captured_at": "2026-11-22T09:31:05+08:00",
}


def _described(needed: dict[str, Any], more: dict[str, Any], example: dict[str, str]) -> dict[str, Any]:
    schema = {"type": "object", "required": sorted(needed), "properties": {**needed, **more}}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


class Look(BaseModel):
    """What ``getWxpayfaceCode`` wants to be told; the amount is in fen."""

    authinfo: str
    expires_in: int
    appid: str
    mch_id: str
    store_id: str
    out_trade_no: str
    total_fee: int


class Taken(BaseModel):
    """What was read was taken; what becomes of it is shown on the desk's screen."""

    state: str = "taken"


@router.post(
    "/captures", status_code=202, dependencies=[Signed], openapi_extra=_described(_FIELDS, _OF_A_FACE, _EXAMPLE)
)
async def captures(
    request: Request,
    world: WorldDep,
    terminal: Annotated[str, Header(alias="X-Houfu-Terminal", max_length=64)] = "",
    timestamp: Annotated[str, Header(alias="X-Houfu-Timestamp", max_length=20)] = "",
    signature: Annotated[str, Header(alias="X-Houfu-Signature", max_length=64)] = "",
) -> Taken:
    """Take one thing a terminal has read (``docs/terminals.md``) and use it once: charge it, or open the insurance."""
    known, raw = await _signed(request, world, terminal, timestamp, signature)
    capture: Capture = read_capture(terminal, timestamp, raw)
    pay, till = till_of(world)
    ip = request.client.host if request.client else ""
    await counter.captured(world.db, pay, world.ports.insurance, known, capture, till, ip)
    return Taken()


@router.post(
    "/faces",
    dependencies=[Signed],
    openapi_extra=_described(_LOOK, {}, {"terminal_id": "W03-face", "rawdata": "what getWxpayfaceRawdata gave"}),
)
async def faces(
    request: Request,
    world: WorldDep,
    terminal: Annotated[str, Header(alias="X-Houfu-Terminal", max_length=64)] = "",
    timestamp: Annotated[str, Header(alias="X-Houfu-Timestamp", max_length=20)] = "",
    signature: Annotated[str, Header(alias="X-Houfu-Signature", max_length=64)] = "",
) -> Look:
    """Let a face terminal look at who pays what is awaited there: WeChat's permission and the order it is for."""
    known, raw = await _signed(request, world, terminal, timestamp, signature)
    rawdata = read_look(terminal, raw)
    permit, awaited = await counter.may_look(world.db, till_of(world)[0], known, rawdata)
    return Look(
        authinfo=permit.authinfo,
        expires_in=permit.seconds,
        appid=permit.appid,
        mch_id=permit.mchid,
        store_id=awaited.store,
        out_trade_no=awaited.out_trade_no,
        total_fee=awaited.amount_fen,
    )


async def _signed(
    request: Request, world: WorldDep, name: str, timestamp: str, signature: str
) -> tuple[Terminal, bytes]:
    raw = await request.body()
    async with world.db.begin() as tx:
        known = await terminals.by_name(tx, name)
        secret = terminals.secret_of(tx, known) if known is not None else _NOBODY
        now = tx.now
    check_capture(secret, name, timestamp, signature, raw, now)
    if known is None:
        raise ForgedCaptureError
    return known, raw
