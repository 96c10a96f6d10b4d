"""The pay sheet and the payment on its way; each works without JavaScript where WeChat lets it."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.payments import look_now, press_of, till_of
from api.world import World
from billing.rules import NothingPayableError, RoundState
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from family_pay.flows import stop_links
from family_pay.service import asking
from kernel.db import Tx
from payments import flows
from payments.ports import CashChannel
from payments.rules import (
    H5_LINK_LIFE,
    PAYABLE,
    AttemptInProgressError,
    NotInWeChatError,
    OtherRoundError,
    ShareGoneError,
)
from payments.rules.limits import Room
from payments.rules.taking import AutoWay
from payments.service import agreeing, attempts, labels, limits, moves, pressing, shares
from payments.service.attempts import Attempt, S
from payments.service.first import may_choose, offered
from payments.service.shares import Share
from people.rules import Action, Actor, Audience
from people.service import access, hospitals
from pwa.answer import go, origin_of, people_of, show
from pwa.insuring import estimated_of, is_here, split_of, why_not
from pwa.pay_views import FirstSheet
from pwa.rows import Shares
from pwa.urls import Urls
from pwa.views import Ask, PayChoice, Paying, PayPart, PaySheet
from pwa.visit_pages import Seen, lines_shown, payment_of, seen, seen_by_payer
from words.insurance import Insurance
from words.pay import YOU
from words.pay import AskFirst as AskWords
from words.pay import Limits as LimitWords
from words.pay import Link as LinkWords

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=80)]
Key = Annotated[str, Form(alias="_idem", min_length=8, max_length=64)]
NO_LIMIT = Room(None, None, None, 0)


# ------------------------------------------------------------------------------------------------------------- sheet


async def _mine(tx: Tx, caller: Actor, visit_id: UUID) -> Attempt | None:
    """The caller's own attempt that is under way."""
    every = await attempts.of_visit(tx, visit_id)
    return next((a for a in every if a.actor == caller.viewer and a.state in PAYABLE), None)


async def _shared(tx: Tx, caller: Actor, now: Round, wanted: int | None) -> tuple[Share | None, list[int]]:
    """(the share to be paid now, None for all that is left; the numbers of those meant for the caller).

    Raises:
        AttemptInProgressError, RoundClosingError, ShareGoneError: nothing of it can be paid now.
    """
    free = await shares.free(tx, caller, now)
    own = [s.allocation.number for s in free if s.allocation.person_id == caller.id]
    if wanted is None:
        wanted = own[0] if own else free[0].allocation.number if len(free) == 1 else 0
    chosen = next((s for s in free if s.allocation.number == wanted), None)
    if wanted and chosen is None:
        raise ShareGoneError
    return chosen, own


def _mark(lines: Collection[object]) -> str:
    """Keeps the browser's keys of different choices apart."""
    chosen = ",".join(sorted(str(line) for line in lines))
    return f"-{hashlib.sha256(chosen.encode()).hexdigest()[:8]}" if chosen else ""


async def _insurance(
    request: Request, world: World, tx: Tx, found: Seen, wish: str
) -> tuple[list[PayChoice], dict[str, Any]]:
    """(the insurance as a way to pay, where it is one here; what the sheet says of it where it is none)."""
    why = await why_not(world, tx, found, await paying.payable(tx, found.visit))
    if why is not None:
        return [], {"no_insurance": why} if why else {}
    if not is_here(request, world):
        return [], {"open_in_wechat": Urls.insurance(str(found.visit.id))}
    if not world.settings.insurance_consent_url:
        return [], {"no_insurance": Insurance.mini_only}
    return [PayChoice("insurance", chosen=wish != "wechat")], {}


async def _parts(tx: Tx, now: Round | None, lines: Sequence[ChargeItem], cash: int) -> tuple[list[PayPart], bool]:
    """(who bears what of these lines besides this payment; whether that is the hospital's estimate)."""
    if now is not None and now.insured:
        split = await split_of(tx, now)
        sources = {**dict(split.parts), "others": split.own_fen - cash}
    else:
        sources = {**estimated_of(lines), "others": sum(c.self_fen for c in lines) - cash}
    estimated = (now is None or not now.insured) and any(c.fund_fen or c.account_fen for c in lines)
    return [PayPart(source, fen) for source, fen in sources.items() if fen], estimated


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader has chosen before: a share, lines that are paid first, a way."""

    share: int | None = None
    first: Collection[UUID] = ()
    way: str = ""


async def _sheet(request: Request, world: World, tx: Tx, caller: Actor, found: Seen, wanted: Wanted) -> PaySheet:
    visit, view, first = found.visit, found.view, wanted.first
    now, chosen, own = await paying.live_round(tx, visit.id), None, list[int]()
    insured, said = list[PayChoice](), dict[str, Any]()
    if first:
        await may_choose(tx, caller, visit, first)
    if now is None:
        lines = await (paying.payable_first(tx, visit) if first else paying.payable(tx, visit))
        lines = [c for c in lines if not first or c.id in first]
        cash = sum(c.self_fen for c in lines)
        insured, said = await _insurance(request, world, tx, found, wanted.way) if not first else ([], {})
    else:
        if first and set(now.charge_ids) != {str(line) for line in first}:
            await shares.free(tx, caller, now)
            raise OtherRoundError
        chosen, own = await _shared(tx, caller, now, wanted.share)
        lines = await paying.covered_by(tx, now)
        cash = chosen.allocation.amount_fen if chosen is not None else await paying.due_now(tx, visit)
    if not cash or (first and len(lines) != len(set(first))):
        await pressing.paid_already(tx, caller, visit.id)
        raise NothingPayableError
    # Whoever may not see every line is told the amount and the hospital, and nothing that could be added up.
    known = all(view.shows(Audience.BILL, c.category) for c in lines)
    payer = await _payer(tx, caller, found, cash)
    parts, estimated = await _parts(tx, now, lines, cash) if known else ([], False)
    by_insurance = any(way.chosen for way in insured)
    ways = [*insured, PayChoice("wechat", chosen=not by_insurance)] + ([PayChoice("family")] if view.owner else [])
    return PaySheet(
        visit=found.head,
        total_fen=sum(c.amount_fen for c in lines) if known else cash,
        parts=parts,
        cash_fen=cash,
        ways=ways,
        attempt=f"{visit.id}-{await attempts.sheet_of(tx, visit.id)}{_mark(first)}",
        lines=len(lines) if known else 0,
        for_other=not view.owner,
        shares=(await payment_of(tx, visit, view))[1],
        share=chosen.allocation.number if chosen is not None else None,
        own=own,
        share_url=Urls.share(str(visit.id)) + asked(first),
        first=[str(line) for line in first],
        items=[(c.name, c.self_fen) for c in lines] if first and known else (),
        estimated=estimated,
        link_url=None if first else Urls.links(str(visit.id)) + (f"?share={wanted.share}" if wanted.share else ""),
        **said,
        **payer,
    )


async def _payer(tx: Tx, caller: Actor, found: Seen, cash: int) -> dict[str, Any]:
    """What the sheet says of its reader: for whom they pay, whom else they may turn to, and what holds them up."""
    visit, people = found.visit, await people_of(tx, caller)
    mine = caller.id == visit.patient_id
    whom = next((who.label for who in people if who.id == str(visit.patient_id) and not mine), None)
    room = NO_LIMIT if mine else await limits.left(tx, caller.id, visit.patient_id)
    standing = await agreeing.stands(tx, caller, found.subject, cash)
    over = room.fen is not None and cash > room.fen
    here = str(visit.id)
    return {
        "patient_id": str(visit.patient_id),
        "whom": whom,
        "people": people,
        "left": limits.says(room) if over else _left(room),
        "over": over,
        "limits_url": None if room.fen is None else Urls.limits(str(visit.patient_id)),
        "ask_first": None if standing == "free" else AskWords.says(standing, whom or AskWords.somebody),
        "ask_url": Urls.pay_ask(here) if standing in ("must", "refused") else None,
        "decline_url": Urls.decline(here) if await asking.is_asked(tx, caller, visit.id) else None,
    }


def _left(room: Room) -> str | None:
    return None if room.fen is None else LimitWords.now(room.fen)


def asked(lines: Iterable[object]) -> str:
    """Lines as the query of an address."""
    return "".join(f"{'&' if n else '?'}line={line}" for n, line in enumerate(lines))


@router.get("/visits/{visit_id}/pay")
async def sheet(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    share: Annotated[int | None, Query(ge=0, description="number of a share; 0: all that is left")] = None,
    line: Annotated[list[UUID] | None, Query(max_length=200, description="just these, before they are done")] = None,
    way: Annotated[Literal["", "wechat"], Query(description="chosen before coming here")] = "",
) -> Response:
    """What will be taken, for whom, by which hospital; nothing is taken yet."""
    found = await seen(world, tx, caller, visit_id, "pay")
    await access.require(tx, caller, Action.PAY, found.subject)
    now = await paying.live_round(tx, visit_id)
    if found.view.owner and now is not None and now.insured and now.state != RoundState.OPEN:
        return go(Urls.insurance(str(visit_id)))
    mine = await _mine(tx, caller, visit_id) if share is None else None
    if mine is not None:
        return go(Urls.paying(str(mine.id)))
    wanted = Wanted(share, line or (), way)
    try:
        view = await _sheet(request, world, tx, caller, found, wanted)
    except AttemptInProgressError as busy:
        if busy.attempt_id is None or (await attempts.by_id(tx, busy.attempt_id)).relation != labels.LINK:
            raise
        stop, back = Urls.pay_instead(str(visit_id)), Urls.bill(str(visit_id))
        ask = Ask(LinkWords.instead_title, (LinkWords.instead_says,), stop, LinkWords.instead, back)
        return await show(request, tx, "ask.html", ask)
    return await show(request, tx, "pay.html", view)


@router.post("/visits/{visit_id}/pay/instead")
async def instead(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Stop what is being paid by a link; the sheet comes next."""
    await tx.let_go()
    await stop_links(world.db, till_of(world)[0], caller, visit_id)
    return go(Urls.pay(str(visit_id)))


@router.post("/visits/{visit_id}/pay/ask")
async def ask(visit_id: UUID, caller: PersonCaller, tx: TxDep, amount_fen: Annotated[int, Form(ge=1)]) -> Response:
    """Ask the patient, who wants to be asked first."""
    await asking.ask_patient(tx, caller, visit_id, amount_fen)
    return go(Urls.pay(str(visit_id)))


@router.get("/visits/{visit_id}/pay/answer/{person_id}")
async def ask_answer(request: Request, visit_id: UUID, person_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Who wishes to pay how much."""
    found = await asking.request_of(tx, caller, visit_id, person_id)
    hospital = await hospitals.by_id(tx, found.visit.hospital_id)
    lines = (AskWords.wishes(found.who, found.amount_fen, hospital.name), AskWords.after)
    action = Urls.pay_answer(str(visit_id), str(person_id))
    view = Ask(AskWords.title, lines, action, AskWords.answer, Urls.home, AskWords.choices, AskWords.look)
    return await show(request, tx, "ask.html", view)


@router.post("/visits/{visit_id}/pay/answer/{person_id}")
async def answer(
    visit_id: UUID, person_id: UUID, caller: PersonCaller, tx: TxDep, reason: Literal["yes", "no"] = Form("no")
) -> Response:
    """The patient's word."""
    await asking.answer(tx, caller, visit_id, person_id, agreed=reason == "yes")
    return go(Urls.home)


@router.post("/visits/{visit_id}/pay/decline")
async def decline(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Asked to pay, and not this time: the patient hears of it."""
    await asking.decline(tx, caller, visit_id)
    return go(Urls.home)


@router.post("/visits/{visit_id}/pay")
async def begin(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    key: Key,
    amount_fen: Annotated[int, Form(ge=1)],
    way: Short = "wechat",
    patient: Annotated[UUID | None, Form()] = None,
    share: Annotated[int | None, Form(ge=1)] = None,
    line: Annotated[list[UUID] | None, Form(max_length=200)] = None,
) -> Response:
    """The green button."""
    if way == "family":
        return go(Urls.ask_family(str(visit_id)))
    if way == "insurance":
        return go(f"{Urls.insurance(str(visit_id))}?again=1")
    wish = await press_of(request, world, tx, caller, key, amount_fen, share=share, lines=line or (), patient=patient)
    pay, till = till_of(world)
    await tx.let_go()
    try:
        attempt_id = await flows.press(world.db, pay, caller, visit_id, wish, till)
    except NotInWeChatError:
        there = Urls.pay(str(visit_id)) + asked(line or ())
        return go(f"{Urls.login_wechat}?next={quote(there, safe='')}")
    return go(Urls.paying(str(attempt_id)))


@router.get("/visits/{visit_id}/first")
async def choose(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    line: Annotated[list[UUID] | None, Query(max_length=200)] = None,
) -> Response:
    """What is paid before it is done: which of it now?"""
    found = await seen(world, tx, caller, visit_id, "pay")
    await access.require(tx, caller, Action.PAY, found.subject)
    lines = await offered(tx, caller, found.visit)
    if not lines:
        raise NothingPayableError
    shown = await lines_shown(tx, found, {str(c.id) for c in lines})
    picked = [str(one) for one in line or ()]
    return await show(request, tx, "first.html", FirstSheet(found.head, shown, picked, Urls.pay(str(visit_id))))


# ------------------------------------------------------------------------------------------------------------ paying


_BACK = {"refunding": "late", "refunded": "late", "returning": "given_back", "returned": "given_back"}


async def once_of(tx: Tx, attempt: Attempt) -> str:
    """The key under which the payer's page keeps its press."""
    turn = await paying.round_by_id(tx, attempt.round_id)
    mark = _mark(turn.charge_ids) if turn.first else ""
    return f"pay:{attempt.visit_id}-{attempt.sheet}{mark}:{attempt.amount_fen}"


async def _paying(request: Request, world: World, tx: Tx, found: Seen, attempt: Attempt, waits: bool) -> Paying:
    state = await moves.shown(tx, attempt)
    here = Urls.paying(str(attempt.id))
    invoke = h5_url = None
    if state == "offered" and (waits or attempt.channel == AutoWay.CONTRACT):
        state = "unknown"  # the payer says it is paid, WeChat does not yet; or it is taken, and nobody has to press
    ready = attempts.prepared_of(tx, attempt) if state == "offered" and not attempt.mixed else None
    if ready is not None and ready.client_params:
        invoke = dict(ready.client_params)
    elif ready is not None and ready.h5_url:
        back = quote(f"{origin_of(request)}{here}?r=ok", safe="")
        h5_url = f"{ready.h5_url}&redirect_url={back}"
    return Paying(
        payment_id=str(attempt.id),
        visit=found.head,
        state=_BACK.get(state, state),  # type: ignore[arg-type]  # what is left of those shown
        amount_fen=attempt.amount_fen,
        check_url=f"{here}?r=ok" if state == "unknown" else here,
        stream_url=found.stream("pay") if found.live else None,
        invoke=invoke,
        h5_url=h5_url,
        back=Urls.bill(str(attempt.visit_id)) if found.live else Urls.home,
        once=await once_of(tx, attempt),
        cancel_url=f"{here}/cancel" if state == "offered" else None,
        shares=await _others(tx, found, attempt) if state == "share_paid" and found.live else None,
    )


async def _others(tx: Tx, found: Seen, attempt: Attempt) -> Shares | None:
    """Who has paid and who has not, to somebody who has; their own share is called theirs."""
    _, every = await payment_of(tx, found.visit, found.view)
    if every is None:
        return None
    own = await shares.number_of(tx, attempt)
    return replace(every, shares=tuple(replace(s, label=YOU) if s.number == own else s for s in every.shares), parts=())


async def _fresh_link(world: World, attempt_id: UUID) -> None:
    """WeChat's cashier address lives five minutes: have the same order's address renewed before it dies."""
    async with world.db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        old = attempt.prepared_at is not None and tx.now - attempt.prepared_at > H5_LINK_LIFE
        stale = attempt.channel == CashChannel.H5 and attempt.state == S.OFFERED and old
    if stale and tx.now < attempt.expires_at:
        await flows.offer(world.db, till_of(world)[0], attempt_id)


@router.get("/payments/{payment_id}")
async def on_its_way(
    request: Request,
    payment_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    r: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """How it stands. ``r`` is what the phone's WeChat said, which only makes us ask WeChat Pay sooner."""
    await attempts.seen(tx, caller, payment_id)
    await tx.let_go()
    if r in ("ok", "fail"):
        await look_now(world, payment_id)
    else:
        await _fresh_link(world, payment_id)
    async with world.db.begin() as now:
        attempt = await attempts.seen(now, caller, payment_id)
        if attempt.state == S.SETTLED:
            return _on_to_receipt(request, attempt)
        if attempt.mixed and attempt.state in PAYABLE:  # the cash part of one press for both
            return go(Urls.insurance(str(attempt.visit_id)))
        found = await seen_by_payer(world, now, caller, attempt, "pay")
        return await show(request, now, "paying.html", await _paying(request, world, now, found, attempt, r == "ok"))


def _on_to_receipt(request: Request, attempt: Attempt) -> Response:
    there = Urls.receipt(str(attempt.id))
    if "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": there})
    return go(there)


@router.post("/payments/{payment_id}/cancel")
async def cancel(payment_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Not this time; what was already paid stays paid."""
    await attempts.seen(tx, caller, payment_id)
    await tx.let_go()
    await flows.close(world.db, till_of(world)[0], payment_id)
    return go(Urls.paying(str(payment_id)))
