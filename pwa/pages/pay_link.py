"""What a pay link leads to: hospital, amount and a masked name, for anybody; no account, no item, no diagnosis."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from api.deps import MaybeCaller, Public, TxDep, WorldDep
from api.pace import slow_down
from api.routes.payments import in_wechat, look_now, till_of
from api.routes.session import wechat_of
from api.world import World
from family_pay import flows
from family_pay.rules import PayLinkGoneError, PayLinkState
from family_pay.service import links
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import HoufuError
from kernel.outside import OutsideError
from payments import flows as payments
from payments.ports import CashChannel
from payments.rules import AlreadyPaidError, AmountChangedError, AttemptInProgressError
from payments.service import attempts, moves
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people import flows as people
from people.rules import Action, Actor
from people.service import access, sessions
from pwa.answer import go, origin_of, safe_path, show
from pwa.pay_views import LinkPage
from pwa.urls import Urls
from visits.service.reading import subject_of, visit_of
from words import errors

router = APIRouter(include_in_schema=False)

STATE_COOKIE, PAYER_COOKIE = "__Host-houfu-link", "__Host-houfu-payer"
PAYER_LIVES = people.STATE_LIVES * 3
BACK = "/link/back"
Key = Annotated[str, Form(alias="_idem", min_length=8, max_length=64)]
_SHOWN = {"refunding": "late", "refunded": "late", "returning": "given_back", "returned": "given_back"}


def _openid(request: Request, tx: Tx) -> str | None:
    """Under which identity this browser's WeChat is known to our app, if it has said so a moment ago."""
    try:
        kept = sessions.open_json(tx.vault, request.cookies.get(PAYER_COOKIE, ""), tx.now, "link-payer")
    except sessions.LoginExpiredError:
        return None
    return str(kept["openid"])


def _can_know(world: World) -> bool:
    """Whether the identity WeChat tells us is the one the till knows its payers by."""
    return world.ports.wechat is not None and till_of(world)[1].appid == world.settings.wechat_appid


async def _family(tx: Tx, caller: Actor | None, token: str) -> str | None:
    """Whoever may pay this visit anyway pays it as themselves, with their own limits and receipt."""
    if caller is None:
        return None
    visit = await visit_of(tx, (await links.find(tx, token)).visit_id)
    if visit is None or not await access.can(tx, caller, Action.PAY, subject_of(visit)):
        return None
    return Urls.pay(str(visit.id))


async def _page(
    request: Request, world: World, tx: Tx, token: str, error: str | None = None, status: int = 200
) -> Response:
    found = await links.opened(tx, token)
    paid = found.attempt if found.state is PayLinkState.PAID else None
    view = LinkPage(
        token,
        found.hospital,
        found.patient,
        found.amount_fen,
        found.state,
        found.expires_at,
        paid_at=paid.paid_at if paid else None,
        number=_number(paid) if paid else None,
        need_browser=in_wechat(request, world) and not _can_know(world),
        error=error,
    )
    return await show(request, tx, "pay_link.html", view, status=status)


def _number(attempt: Attempt) -> str:
    at = attempt.paid_at or attempt.created_at
    return f"R{china_day(at):%Y%m%d}-{attempt.out_trade_no[-8:]}"


@router.get(BACK, dependencies=[Public])
async def back(
    request: Request,
    world: WorldDep,
    code: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Back from WeChat, which has said by whom the till would be paid; nobody is logged in by this."""
    cookie = request.cookies.get(STATE_COOKIE, "")
    try:
        openid, there = await people.come_back(world.db, wechat_of(world), cookie, state, code)
    except (sessions.LoginExpiredError, OutsideError):
        raise PayLinkGoneError from None
    async with world.db.begin() as tx:
        sealed = sessions.seal_json(tx.vault, {"openid": openid}, tx.now + PAYER_LIVES, "link-payer")
    response = go(there)
    seconds = int(PAYER_LIVES.total_seconds())
    response.set_cookie(PAYER_COOKIE, sealed, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(STATE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.get("/l/{token}")
async def open_link(request: Request, token: str, caller: MaybeCaller, world: WorldDep, tx: TxDep) -> Response:
    """What it asks for, how it stands, or that it was paid."""
    with slow_down(request):
        there = await _family(tx, caller, token)
        if there is not None:
            return go(there)
        found = await links.opened(tx, token)
    ready = found.state is not PayLinkState.OPEN or not in_wechat(request, world) or _openid(request, tx) is not None
    if ready or not _can_know(world):
        return await _page(request, world, tx, token)
    await tx.let_go()
    return await _to_wechat(request, world, token)


async def _to_wechat(request: Request, world: World, token: str) -> Response:
    """WeChat says under which identity it pays, without asking the person anything."""
    origin = origin_of(request)
    start = await people.begin_wechat(world.db, wechat_of(world), origin + BACK, safe_path(Urls.pay_link(token)))
    response = RedirectResponse(start.url, 303)
    response.set_cookie(STATE_COOKIE, start.cookie, max_age=600, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.post("/l/{token}/pay")
async def pay(
    request: Request,
    token: str,
    caller: MaybeCaller,
    world: WorldDep,
    tx: TxDep,
    key: Key,
    amount_fen: Annotated[int, Form(ge=1)],
) -> Response:
    """The green button."""
    with slow_down(request):
        there = await _family(tx, caller, token)
    if there is not None:
        return go(there)
    way = CashChannel.JSAPI if in_wechat(request, world) else CashChannel.H5
    openid = _openid(request, tx) if way is CashChannel.JSAPI else None
    line, till = till_of(world, way)
    await tx.let_go()
    if way is CashChannel.JSAPI and openid is None and _can_know(world):
        return await _to_wechat(request, world, token)
    wish = Press(way, key, amount_fen, request.client.host if request.client else None, openid)
    try:
        attempt_id = await flows.pay_by_link(world.db, line, token, wish, till)
    except (AlreadyPaidError, AttemptInProgressError, AmountChangedError) as error:
        async with world.db.begin() as now:
            return await _page(request, world, now, token, _sentence(error), 409)
    return go(f"{Urls.pay_link(token)}/p/{attempt_id}")


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


@router.get("/l/{token}/p/{payment_id}", dependencies=[Public])
async def on_its_way(
    request: Request,
    token: str,
    payment_id: UUID,
    world: WorldDep,
    tx: TxDep,
    r: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """How this payment stands; only the browser that began it has this address."""
    with slow_down(request):
        await links.attempt_of(tx, token, payment_id)
    await tx.let_go()
    if r in ("ok", "fail"):
        await look_now(world, payment_id)
    async with world.db.begin() as now:
        attempt = await links.attempt_of(now, token, payment_id)
        state = await moves.shown(now, attempt)
        if state in ("paid", "settled", "share_paid"):
            return _on(request, Urls.pay_link(token))
        return await show(request, now, "pay_link.html", await _paying(request, now, token, attempt, state, r))


def _on(request: Request, there: str) -> Response:
    return Response(headers={"HX-Redirect": there}) if "hx-request" in request.headers else go(there)


async def _paying(request: Request, tx: Tx, token: str, attempt: Attempt, state: str, r: str) -> LinkPage:
    found = await links.opened(tx, token) if state == "offered" else None
    here = f"{Urls.pay_link(token)}/p/{attempt.id}"
    if r == "ok" and state == "offered":
        state = "unknown"
    ready = attempts.prepared_of(tx, attempt) if state == "offered" else None
    back_to = quote(f"{origin_of(request)}{here}?r=ok", safe="")
    return LinkPage(
        token,
        found.hospital if found else "",
        found.patient if found else "",
        attempt.amount_fen,
        _SHOWN.get(state, "waiting" if state == "offered" else state),
        invoke=dict(ready.client_params) if ready and ready.client_params else None,
        h5_url=f"{ready.h5_url}&redirect_url={back_to}" if ready and ready.h5_url else None,
        check_url=f"{here}?r=ok" if state == "unknown" else here,
        cancel_url=f"{here}/cancel" if state == "offered" else None,
        once=f"link:{attempt.id}",
    )


@router.post("/l/{token}/p/{payment_id}/cancel", dependencies=[Public])
async def cancel(token: str, payment_id: UUID, world: WorldDep, tx: TxDep) -> Response:
    """Not this time; the family can pay at once."""
    await links.attempt_of(tx, token, payment_id)
    await tx.let_go()
    await payments.close(world.db, till_of(world)[0], payment_id)
    return go(Urls.pay_link(token))
