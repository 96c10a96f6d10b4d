"""The pay sheet, the payment on its way, and the receipt; each works without JavaScript where WeChat lets it."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from api.routes.payments import look_now, press_of, till_of
from api.world import World
from billing.rules import NothingPayableError, RoundState
from billing.service import paying
from billing.service.lines import bill_of
from billing.service.paying import ChargeItem, Round
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import flows
from payments.ports import CashChannel
from payments.rules import H5_LINK_LIFE, OURS, PAYABLE, NotInWeChatError, OtherRoundError, ShareGoneError
from payments.service import attempts, labels, moves, refunds, shares
from payments.service import parts as insurance_parts
from payments.service.attempts import Attempt, S
from payments.service.first import may_choose, offered
from payments.service.shares import Share
from people.rules import Action, Actor, Audience
from people.service import access
from pwa.answer import go, origin_of, show
from pwa.insuring import is_here, split_of, why_not
from pwa.pay_views import FirstSheet
from pwa.receipt import Paper, receipt_pdf
from pwa.rows import Line
from pwa.urls import Urls
from pwa.views import PayChoice, Paying, PayPart, PaySheet, Receipt, Returned
from pwa.visit_pages import Seen, payment_of, receipt_of, seen
from words.insurance import Insurance

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=80)]
Key = Annotated[str, Form(alias="_idem", min_length=8, max_length=64)]


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
) -> tuple[list[PayChoice], dict[str, str]]:
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
        sources = {**_estimated(lines), "others": sum(c.self_fen for c in lines) - cash}
    estimated = (now is None or not now.insured) and any(c.fund_fen or c.account_fen for c in lines)
    return [PayPart(source, fen) for source, fen in sources.items() if fen], estimated


def _estimated(lines: Sequence[ChargeItem]) -> dict[str, int]:
    """What of these lines nobody pays in cash, as they say themselves."""
    fund = sum(c.fund_fen + c.other_fen for c in lines)
    account, hospital = sum(c.account_fen for c in lines), sum(c.hospital_fen for c in lines)
    return {"fund": fund, "account": account, "hospital": hospital}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader has chosen before: a share, lines that are paid first, a way."""

    share: int | None = None
    first: Collection[UUID] = ()
    way: str = ""


async def _sheet(request: Request, world: World, tx: Tx, caller: Actor, found: Seen, wanted: Wanted) -> PaySheet:
    visit, view, first = found.visit, found.view, wanted.first
    now, chosen, own = await paying.live_round(tx, visit.id), None, list[int]()
    insured, said = list[PayChoice](), dict[str, str]()
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
        await attempts.paid_already(tx, caller, visit.id)
        raise NothingPayableError
    # Whoever may not see every line is told the amount and the hospital, and nothing that could be added up.
    known = all(view.shows(Audience.BILL, c.category) for c in lines)
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
        **said,
    )


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
    return await show(request, tx, "pay.html", await _sheet(request, world, tx, caller, found, wanted))


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
    share: Annotated[int | None, Form(ge=1)] = None,
    line: Annotated[list[UUID] | None, Form(max_length=200)] = None,
) -> Response:
    """The green button."""
    if way == "family":
        return go(Urls.ask_family(str(visit_id)))
    if way == "insurance":
        return go(f"{Urls.insurance(str(visit_id))}?again=1")
    wish = await press_of(request, world, tx, caller, key, amount_fen, share=share, lines=line or ())
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
    shown = await _lines(tx, found, {str(c.id) for c in lines})
    picked = [str(one) for one in line or ()]
    return await show(request, tx, "first.html", FirstSheet(found.head, shown, picked, Urls.pay(str(visit_id))))


# ------------------------------------------------------------------------------------------------------------ paying


_BACK = {"refunding": "late", "refunded": "late", "returning": "given_back", "returned": "given_back"}


async def _once(tx: Tx, attempt: Attempt) -> str:
    turn = await paying.round_by_id(tx, attempt.round_id)
    mark = _mark(turn.charge_ids) if turn.first else ""
    return f"pay:{attempt.visit_id}-{attempt.sheet}{mark}:{attempt.amount_fen}"


async def _paying(request: Request, world: World, tx: Tx, found: Seen, attempt: Attempt, waits: bool) -> Paying:
    state = await moves.shown(tx, attempt)
    here = Urls.paying(str(attempt.id))
    invoke = h5_url = None
    if waits and state == "offered":
        state = "unknown"  # the payer says it is paid, WeChat does not yet
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
        stream_url=found.stream("pay"),
        invoke=invoke,
        h5_url=h5_url,
        back=Urls.bill(str(attempt.visit_id)),
        once=await _once(tx, attempt),
        cancel_url=f"{here}/cancel" if state == "offered" else None,
    )


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
        found = await seen(world, now, caller, attempt.visit_id, None)
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


# ----------------------------------------------------------------------------------------------------------- receipt


async def _receipt(world: World, tx: Tx, caller: Actor, payment_id: UUID) -> tuple[Receipt, Attempt]:
    """The receipt, for the patient's side, staff, and whoever paid: to the payer only what the payer may see."""
    attempt = await attempts.by_id(tx, payment_id)
    found = await seen(world, tx, caller, attempt.visit_id, "receipt")
    mine = attempt.actor == caller.viewer
    if not (mine or found.view.owner or found.view.staff):
        raise NotFoundError
    if attempt.state not in (S.PAID, S.SETTLED) or attempt.paid_at is None:
        raise NotFoundError
    turn = await paying.round_by_id(tx, attempt.round_id)
    bill = await paying.covered_by(tx, turn)
    known = all(found.view.shows(Audience.BILL, c.category) for c in bill)
    parts = [PayPart(_TILLS.get(attempt.channel, "wechat"), attempt.amount_fen)]
    anew = any(p.refund_at is not None for p in await insurance_parts.of_round(tx, turn.id))
    if known and not anew:  # once some of it is owed again, its lines no longer say who bore what then
        parts = [*(await _borne(tx, turn, bill)), *(await _cash(tx, caller, turn))]
    shown = await _lines(tx, found, {str(c.id) for c in bill}) if known else []
    view = Receipt(
        visit=found.head,
        amount_fen=attempt.amount_fen,
        parts=parts,
        lines=shown,
        paid_at=attempt.paid_at,
        payer_label=await labels.label_for(tx, caller, attempt),
        number=f"R{china_day(attempt.paid_at):%Y%m%d}-{attempt.out_trade_no[-8:]}",
        settling=attempt.state == S.PAID,
        waits=await moves.shown(tx, attempt) == "share_paid",
        pdf_url=f"{Urls.receipt(str(attempt.id))}.pdf",
        returned=await _returned(tx, attempt),
        whole_url=await receipt_of(tx, found.visit, found.view),
        anew=anew,
        once=await _once(tx, attempt) if mine else None,
        insurance_numbers=await _numbers(tx, turn) if known else (),
    )
    return view, attempt


_TILLS = {"CASH": "cash", "CARD": "card", "FACE": "face"}


async def _borne(tx: Tx, turn: Round, bill: Sequence[ChargeItem]) -> list[PayPart]:
    """Whoever bore part of these lines before anybody paid in cash."""
    sources = dict((await split_of(tx, turn)).parts) if turn.insured else _estimated(bill)
    return [PayPart(source, fen) for source, fen in sources.items() if fen]


async def _cash(tx: Tx, caller: Actor, turn: Round) -> list[PayPart]:
    """Cash by whom, and what nobody has paid yet; a single payer stands on the receipt already."""
    paid = [a for a in await attempts.of_visit(tx, turn.visit_id) if a.round_id == turn.id and a.state in OURS]
    rest = turn.cash_fen - sum(a.amount_fen for a in paid)
    alone = len(paid) == 1 and not rest
    made = [
        PayPart(_TILLS.get(a.channel, "wechat"), a.amount_fen, None if alone else await labels.label_for(tx, caller, a))
        for a in paid
    ]
    return [*made, PayPart("others", rest)] if rest else made


async def _numbers(tx: Tx, turn: Round) -> list[str]:
    """The insurance's own numbers of what it paid."""
    return (
        [p.pay_order_id for p in await insurance_parts.of_round(tx, turn.id) if p.pay_order_id] if turn.insured else []
    )


async def _round_receipt(world: World, tx: Tx, caller: Actor, visit_id: UUID, round_id: UUID) -> Receipt:
    """The receipt of a bill the insurance paid whole: the patient's side's and staff's."""
    found = await seen(world, tx, caller, visit_id, "receipt")
    turn = await paying.round_by_id(tx, round_id)
    whole = turn.insured and not turn.cash_fen and turn.state in (RoundState.PAID, RoundState.SETTLED)
    if turn.visit_id != visit_id or not whole or not (found.view.owner or found.view.staff):
        raise NotFoundError
    split, at = await split_of(tx, turn), turn.paid_at or tx.now
    return Receipt(
        visit=found.head,
        amount_fen=0,
        insured_fen=split.total_fen,
        parts=[PayPart(source, fen) for source, fen in split.parts],
        lines=await _lines(tx, found, {str(c.id) for c in await paying.covered_by(tx, turn)}),
        paid_at=at,
        payer_label=Insurance.payer,
        number=f"R{china_day(at):%Y%m%d}-{turn.number[-8:]}",
        settling=turn.state == RoundState.PAID,
        pdf_url=f"{Urls.round_receipt(str(visit_id), str(round_id))}/paper.pdf",
        insurance_numbers=await _numbers(tx, turn),
    )


async def _returned(tx: Tx, attempt: Attempt) -> list[Returned]:
    """What of this payment has gone back, or is going."""
    mine = [r for r in await refunds.of_visit(tx, attempt.visit_id) if r.attempt_id == attempt.id]
    return [Returned(r.amount_fen, r.done_at or r.created_at, r.done_at is not None) for r in mine]


async def _lines(tx: Tx, found: Seen, ids: set[str]) -> list[Line]:
    """The lines of a payment as this reader sees them."""
    rows = (await bill_of(tx, found.visit, found.view))["lines"]
    return [Line.of(row) for row in rows if row["id"] in ids]


@router.get("/payments/{payment_id}/receipt")
async def receipt(request: Request, payment_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """Paid: how much, to whom, for whom, by whom."""
    view, _ = await _receipt(world, tx, caller, payment_id)
    return await show(request, tx, "receipt.html", view)


@router.get("/payments/{payment_id}/receipt.pdf")
async def receipt_paper(
    payment_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep, paper: Paper = Paper.A5
) -> Response:
    """The same on paper: A5, or a roll of the counter's printer."""
    view, attempt = await _receipt(world, tx, caller, payment_id)
    return await _printed(view, attempt.channel, attempt.transaction_id or "", paper)


async def _printed(view: Receipt, way: str, transaction: str, paper: Paper) -> Response:
    pdf = await asyncio.to_thread(receipt_pdf, view, way, transaction, paper)
    headers = {"Content-Disposition": f'inline; filename="{view.number}.pdf"', "Cache-Control": "private, no-store"}
    return Response(pdf, media_type="application/pdf", headers=headers)


@router.get("/visits/{visit_id}/receipts/{round_id}")
async def round_receipt(
    request: Request, visit_id: UUID, round_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep
) -> Response:
    """The insurance paid all of it, so nobody's payment has a receipt: this is it."""
    return await show(request, tx, "receipt.html", await _round_receipt(world, tx, caller, visit_id, round_id))


@router.get("/visits/{visit_id}/receipts/{round_id}/paper.pdf")
async def round_receipt_paper(
    visit_id: UUID, round_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep, paper: Paper = Paper.A5
) -> Response:
    """The same on paper."""
    return await _printed(await _round_receipt(world, tx, caller, visit_id, round_id), "INSURANCE", "", paper)
