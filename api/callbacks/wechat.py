"""Where an official account tells us what people do in it: verified, taken once, answered within five seconds."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from api.deps import Signed, WorldDep
from api.doors import DOOR, door
from api.problems import STATUS
from api.world import World
from kernel.db import Tx
from kernel.errors import HoufuError
from kernel.outside import NotConfigured
from people.ports import Said, WeChatDesk
from people.service import hospitals, wechat_account
from people.service.wechat_account import Answer, AnswerKind
from words.wechat import CARDS, Account

log = structlog.get_logger()
router = APIRouter(prefix="/api/callbacks/wechat", tags=["callbacks"])

PATIENCE = 4.0
"""Seconds; WeChat waits five, then brings the message again. What was not committed by then is not half done."""


def _desk(world: World) -> WeChatDesk:
    if world.ports.wechat_desk is None:
        raise NotConfigured("wechat.callback_token")
    return world.ports.wechat_desk


@router.get("", dependencies=[Signed], response_class=PlainTextResponse)
async def greet(request: Request, world: WorldDep) -> Response:
    """WeChat tries the address that was entered in the account's settings: signed, it gets its own word back."""
    try:
        async with world.db.begin() as tx:
            now = tx.now
        return PlainTextResponse(_desk(world).greet(request.query_params, now))
    except HoufuError as error:
        return _refused(world, error)


@router.post("", dependencies=[Signed], response_class=PlainTextResponse)
async def told(request: Request, world: WorldDep) -> Response:
    """Somebody follows, scans, taps or writes: taken once however often WeChat brings it, and answered alike.

    Forged, old, or not encrypted: 401, and nothing changes.
    """
    raw = await request.body()
    try:
        async with asyncio.timeout(PATIENCE):
            return PlainTextResponse(await _take(world, request.query_params, raw), media_type="application/xml")
    except HoufuError as error:
        return _refused(world, error)
    except TimeoutError:
        world.metrics.wechat.labels("slow").inc()
        return PlainTextResponse("", 503)


async def _take(world: World, params: Mapping[str, str], raw: bytes) -> str:
    desk = _desk(world)
    async with world.db.begin() as tx:
        came = desk.open(params, raw, tx.now)
        answer, fresh = await wechat_account.take(tx, came)
        said = await _said(tx, world.settings.base_url, answer)
        now: datetime = tx.now
    world.metrics.wechat.labels("taken" if fresh else "again").inc()
    return desk.answer(came, said, now)


async def _said(tx: Tx, base: str, answer: Answer) -> Said | None:
    if answer.kind is AnswerKind.NOTHING:
        return None
    known = await hospitals.everyone(tx)
    # An account of several hospitals speaks for none of them.
    house, phone = (known[0].name, hospitals.helpline_of(known[0])) if len(known) == 1 else (None, None)
    home, pay = door(base, "/"), f"{base}{DOOR}/pay"
    match answer.kind:
        case AnswerKind.PAGE if answer.purpose is not None and answer.path is not None:
            title, text = CARDS[answer.purpose]
            return Said(text, title, door(base, answer.path))
        case AnswerKind.WELCOME:
            return Said(Account.welcome(house, home, phone))
        case AnswerKind.EXPIRED:
            return Said(Account.expired(home, phone))
    return Said(Account.help(pay, phone))


def _refused(world: World, error: HoufuError) -> Response:
    world.metrics.wechat.labels(error.code).inc()
    log.error("wechat.callback", refused=error.code)
    return PlainTextResponse("", STATUS[error.kind])
