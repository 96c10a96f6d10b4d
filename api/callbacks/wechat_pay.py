"""Where WeChat Pay tells us that money came or went back; nothing is believed that is not signed, fresh and fitting."""

from collections.abc import Awaitable, Callable, Mapping

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.deps import Signed, WorldDep
from api.problems import STATUS
from api.world import World
from kernel.db import Tx
from kernel.errors import HoufuError
from kernel.outside import NotConfigured
from payments.ports import DeductPay
from payments.service import notices

log = structlog.get_logger()
router = APIRouter(prefix="/api/callbacks/wechat-pay", tags=["callbacks"])
# The platform tries again after any 4xx or 5xx; it wants these two members and shows them to nobody.
_NO = {"code": "FAIL", "message": "refused"}


Take = Callable[[Tx, Mapping[str, str], bytes], Awaitable[bool]]


def _cash(world: World) -> Take:
    async def take(tx: Tx, headers: Mapping[str, str], raw: bytes) -> bool:
        if world.ports.pay is None:
            raise NotConfigured("wechat_pay")
        return await notices.take(tx, world.ports.pay.decode_notify(headers, raw, tx.now), headers, raw)

    return take


def _mixed(world: World) -> Take:
    async def take(tx: Tx, headers: Mapping[str, str], raw: bytes) -> bool:
        if world.ports.mix is None:
            raise NotConfigured("wechat_mix")
        return await notices.take_mixed(tx, world.ports.mix.decode_notify(headers, raw, tx.now), headers, raw)

    return take


async def _take(request: Request, world: World, take: Take) -> Response:
    raw = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        async with world.db.begin() as tx:
            fresh = await take(tx, headers, raw)
    except HoufuError as error:
        world.metrics.notices.labels(error.code).inc()
        log.error("pay.notice", refused=error.code, why=str(error))
        return JSONResponse(_NO, STATUS[error.kind])
    world.metrics.notices.labels("taken" if fresh else "again").inc()
    return Response(status_code=204)


# APIv2 wants its own words, in XML.
_TAKEN = b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
_REFUSED = b"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[refused]]></return_msg></xml>"


def _deduction(world: World) -> Take:
    async def take(tx: Tx, headers: Mapping[str, str], raw: bytes) -> bool:
        return await notices.take_deduction(tx, _deduct(world).decode_deduction(raw))

    return take


def _contract(world: World) -> Take:
    async def take(tx: Tx, headers: Mapping[str, str], raw: bytes) -> bool:
        return await notices.take_contract(tx, _deduct(world).decode_contract(raw))

    return take


def _deduct(world: World) -> DeductPay:
    if world.ports.pay is None or world.ports.pay.deduct is None:
        raise NotConfigured("wechat_deduct")
    return world.ports.pay.deduct


async def _take_plain(request: Request, world: World, take: Take) -> Response:
    answer = await _take(request, world, take)
    taken = answer.status_code == 204
    return Response(_TAKEN if taken else _REFUSED, 200 if taken else answer.status_code, media_type="text/xml")


@router.post("/deduction", dependencies=[Signed], response_class=PlainTextResponse)
async def deducted(request: Request, world: WorldDep) -> Response:
    """How a deduction by contract went, APIv2: verified, and booked if it fits the payment."""
    return await _take_plain(request, world, _deduction(world))


@router.post("/contract", dependencies=[Signed], response_class=PlainTextResponse)
async def contract(request: Request, world: WorldDep) -> Response:
    """A deduction contract was signed or ended, APIv2: WeChat is asked; that it has ended holds at once."""
    return await _take_plain(request, world, _contract(world))


@router.post("", dependencies=[Signed], status_code=204)
async def paid(request: Request, world: WorldDep) -> Response:
    """A payment notice of WeChat Pay, APIv3: verified from the raw body, taken once, 204 when it is a fact.

    Forged, stale, recorded and played again, or not fitting the payment: 4xx, and nothing changes.
    """
    return await _take(request, world, _cash(world))


@router.post("/insurance", dependencies=[Signed], status_code=204)
async def insured(request: Request, world: WorldDep) -> Response:
    """A notice of WeChat Pay that a mixed order is paid, taken the same way; it only makes us ask sooner."""
    return await _take(request, world, _mixed(world))


@router.post("/refund", dependencies=[Signed], status_code=204)
async def refunded(request: Request, world: WorldDep) -> Response:
    """A refund notice of WeChat Pay, taken the same way."""
    return await _take(request, world, _cash(world))
