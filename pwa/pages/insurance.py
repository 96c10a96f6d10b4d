"""Paying with the insurance: choose, consent, look at what it reckons, agree, and see it through or undone."""

from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from api.deps import PersonCaller, TxDep, WorldDep, session_token
from api.problems import STATUS
from api.routes.insurance import agreed, begin_insuring, consent_given, look_now, payer_of
from api.routes.payments import till_of
from api.world import World
from billing.rules import RoundState
from billing.service import paying
from kernel.db import Tx
from kernel.errors import HoufuError
from kernel.outside import OutsideError, Rejected
from payments import flows
from payments.rules import ForeignConsentError, NothingSharedError, NotInsuredError, NotShownError
from payments.rules.mixing import ConsentOverError, InsuranceInWeChatError, Waits
from payments.service import attempts, consents, labels, mixing, parts
from people.rules import Action, Actor
from people.service import access
from pwa.answer import go, origin_of, show
from pwa.insurance_views import Insure
from pwa.insuring import PLAINLY, Came, before, consent_url, insurer_fen, is_here, is_live, standing
from pwa.urls import Urls
from pwa.views import Ask
from pwa.visit_pages import Seen, seen
from words import errors
from words.insurance import Insurance as Words

router = APIRouter(include_in_schema=False)

Said = Literal["", "refused", "bad", "silent", "foreign"]
ACCOUNT = {"": None, "yes": True, "no": False}


async def _mine(world: World, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    found = await seen(world, tx, caller, visit_id, None)
    await access.require(tx, caller, Action.ASK_FAMILY, found.subject)
    return found


async def _page(
    request: Request,
    world: World,
    tx: Tx,
    caller: Actor,
    visit_id: UUID,
    error: str | None = None,
    status: int = 200,
    *,
    came: Came = PLAINLY,
    again: bool = False,
) -> Response:
    found = await _mine(world, tx, caller, visit_id)
    now = await consents.latest_round(tx, visit_id)
    if now is None or (again and not is_live(now)):
        if await paying.live_round(tx, visit_id) is not None:  # somebody pays in another way: the pay sheet says who
            return go(Urls.pay(str(visit_id)))
        view = await before(request, world, tx, found)
    else:
        view = await standing(request, world, tx, caller, found, now, came)
    if view.step == "done" and view.receipt and not view.settling and "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": view.receipt})
    return await show(request, tx, "insurance.html", replace(view, error=error or view.error), status=status)


@router.get("/visits/{visit_id}/insurance")
async def page(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    said: Annotated[Said, Query(description="what came of the consent page")] = "",
    again: Annotated[bool, Query(description="once more after it came to nothing")] = False,
    go_on: Annotated[bool, Query(alias="go", description="straight from the green button")] = False,
    r: Annotated[str, Query(max_length=10, description="what the phone's WeChat said: it only makes us ask")] = "",
    p: Annotated[int, Query(ge=0, description="of which settlement")] = 0,
) -> Response:
    """Whatever step it is at; true after a reload and on another device, because it is read anew each time."""
    came = Came(r, p, go_on)
    if await _moves(tx, caller, visit_id, asked=r in ("ok", "fail")):
        await tx.let_go()
        await look_now(world, visit_id)
        async with world.db.begin() as now:
            return await _page(request, world, now, caller, visit_id, Words.said.get(said), came=came)
    return await _page(request, world, tx, caller, visit_id, Words.said.get(said), came=came, again=again)


async def _moves(tx: Tx, caller: Actor, visit_id: UUID, *, asked: bool) -> bool:
    """Whether WeChat is worth asking now, because somebody waits."""
    now = await consents.latest_round(tx, visit_id)
    if now is None or now.state != RoundState.INSURING:
        return False
    waits = {one.waits_for for one in await mixing.presses(tx, caller, now)}
    return bool(waits & {Waits.OPENING, Waits.RESULT}) or (asked and Waits.PASSWORD in waits)


@router.post("/visits/{visit_id}/insurance")
async def begin(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    account: Annotated[Literal["", "yes", "no"], Form()] = "",
) -> Response:
    """The insurance is to settle first; on to the first consent."""
    await _mine(world, tx, caller, visit_id)
    try:
        await payer_of(request, world, tx, caller)
    except InsuranceInWeChatError:
        return _into_wechat(request, world, visit_id)
    try:
        await begin_insuring(world, tx, caller, visit_id, ACCOUNT[account])
    except NotInsuredError:
        await tx.let_go()  # whether or not it was reached before
        async with world.db.begin() as now:
            latest = await consents.latest_round(now, visit_id)
        if latest is None or not is_live(latest):  # pressed twice is begun once
            raise
    except Rejected:
        return await _unable(request, world, caller, visit_id)
    except OutsideError:
        async with world.db.begin() as now:
            return await _page(request, world, now, caller, visit_id, Words.his_silent, 503, again=True)
    return go(Urls.insurance(str(visit_id)))


def _into_wechat(request: Request, world: World, visit_id: UUID) -> Response:
    """Another browser reads how to get there; inside WeChat it is the login by WeChat that is missing."""
    here = Urls.insurance(str(visit_id))
    return go(f"{Urls.login_wechat}?next={quote(here, safe='')}" if is_here(request, world) else here)


async def _unable(request: Request, world: World, caller: Actor, visit_id: UUID) -> Response:
    async with world.db.begin() as tx:
        found = await _mine(world, tx, caller, visit_id)
        view = Insure(found.head, "unable", Urls.insurance(str(visit_id)), why=Words.from_his, payable=True)
        return await show(request, tx, "insurance.html", view, status=409)


# ----------------------------------------------------------------------------------------------------------- consent


@router.get("/insurance/{settlement_id}/consent")
async def leave(request: Request, settlement_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Off to the insurance's page, with a state that only this session can bring back for this settlement."""
    visit = (await consents.mine(tx, caller, settlement_id)).visit_id
    state = await consents.leave(tx, caller, settlement_id, session_token(request) or "")
    there = consent_url(world, state, f"{origin_of(request)}{Urls.consent_back(str(settlement_id))}") if state else None
    return RedirectResponse(there, 303) if there else go(Urls.insurance(str(visit)))


@router.get("/insurance/{settlement_id}/back")
async def come_back(
    request: Request,
    settlement_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(alias="authCode", max_length=200)] = "",
) -> Response:
    """Back from it: with a code when the answer was yes."""
    visit = Urls.insurance(str((await consents.mine(tx, caller, settlement_id)).visit_id))
    try:
        await consents.come_back(tx, caller, settlement_id, session_token(request) or "", state)
    except ForeignConsentError:
        return go(f"{visit}?said=foreign")
    if not code:
        return go(f"{visit}?said=refused")
    try:
        await consent_given(world, tx, caller, settlement_id, code)
    except Rejected:
        return go(f"{visit}?said=bad")
    except OutsideError:
        return go(f"{visit}?said=silent")
    return go(visit)


# ----------------------------------------------------------------------------------------------- agreeing, or not


@router.post("/visits/{visit_id}/insurance/agree")
async def agree(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    cash_fen: Annotated[int, Form(ge=0)],
) -> Response:
    """The one green button: exactly what was shown may be taken."""
    await _mine(world, tx, caller, visit_id)
    try:
        payer = await payer_of(request, world, tx, caller)
    except InsuranceInWeChatError:
        return _into_wechat(request, world, visit_id)
    await tx.let_go()
    try:
        await agreed(world, caller, visit_id, cash_fen, payer)
    except (NotShownError, ConsentOverError) as error:
        async with world.db.begin() as now:
            return await _page(request, world, now, caller, visit_id, _said(error), STATUS[error.kind])
    return go(f"{Urls.insurance(str(visit_id))}?go=1")


def _said(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


@router.get("/visits/{visit_id}/insurance/stop")
async def ask_stop(request: Request, visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """What giving it up means: who gets what back."""
    await _mine(world, tx, caller, visit_id)
    visit = str(visit_id)
    return await show(
        request, tx, "ask.html", await stopping(tx, caller, visit_id, Urls.insurance_stop(visit), Urls.insurance(visit))
    )


async def stopping(tx: Tx, caller: Actor, visit_id: UUID, action: str, back: str) -> Ask:
    """What giving it up means.

    Raises:
        NothingSharedError: there is nothing to give up.
    """
    now = await consents.latest_round(tx, visit_id)
    if now is None or not is_live(now):
        raise NothingSharedError
    each = await parts.of_round(tx, now.id)
    paid = sum(insurer_fen(p) for p in each if p.state == "paid")
    cash = [a for a in await attempts.of_visit(tx, visit_id) if a.round_id == now.id and a.paid_at is not None]
    said = [Words.stop_back(paid)] if paid else []
    said += [Words.stop_cash(await labels.label_for(tx, caller, a), a.amount_fen) for a in cash]
    if any(p.state == "paying" for p in each):
        said.append(Words.stop_cancels)
    lines = [*said, Words.stop_afterwards] if said else [Words.stop_nothing]
    return Ask(Words.stop_title, lines, action, Words.stop_button, back, danger=bool(said))


@router.post("/visits/{visit_id}/insurance/stop")
async def stop(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Give it up; everything is revoked, and what was paid goes back."""
    await _mine(world, tx, caller, visit_id)
    now = await consents.latest_round(tx, visit_id)
    if now is not None and is_live(now):
        pay, _ = till_of(world)
        await tx.let_go()
        await flows.give_up(world.db, pay, caller, visit_id)
    return go(Urls.insurance(str(visit_id)))
