"""The pay sheet, the payment on its way, and the receipt; each works without JavaScript where WeChat lets it."""

import asyncio
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from api.routes.payments import look_now, press_of, till_of
from api.world import World
from billing.rules import NothingPayableError
from billing.service import paying
from billing.service.lines import bill_of
from billing.service.paying import Round
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import flows
from payments.ports import CashChannel
from payments.rules import H5_LINK_LIFE, PAYABLE, NotInWeChatError, ShareGoneError
from payments.service import attempts, labels, moves, refunds, shares
from payments.service import parts as insurance_parts
from payments.service.attempts import Attempt, S
from payments.service.shares import Share
from people.rules import Action, Actor, Audience
from people.service import access
from pwa.answer import go, origin_of, show
from pwa.receipt import Paper, receipt_pdf
from pwa.rows import Line
from pwa.urls import Urls
from pwa.views import PayChoice, Paying, PayPart, PaySheet, Receipt, Returned
from pwa.visit_pages import Seen, payment_of, seen

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


async def _sheet(tx: Tx, caller: Actor, found: Seen, wanted: int | None) -> PaySheet:
    visit, view = found.visit, found.view
    now, chosen, own = await paying.live_round(tx, visit.id), None, list[int]()
    if now is None:
        lines = await paying.payable(tx, visit)
        cash = sum(c.self_fen for c in lines)
    else:
        chosen, own = await _shared(tx, caller, now, wanted)
        lines = await paying.covered_by(tx, now)
        cash = chosen.allocation.amount_fen if chosen is not None else await paying.due_now(tx, visit)
    if not cash:
        await attempts.paid_already(tx, caller, visit.id)
        raise NothingPayableError
    # Whoever may not see every line is told the amount and the hospital, and nothing that could be added up.
    known = all(view.shows(Audience.BILL, c.category) for c in lines)
    parts = []
    if known:
        sources = {"fund": sum(c.fund_fen for c in lines), "account": sum(c.account_fen for c in lines)}
        sources["others"] = sum(c.self_fen for c in lines) - cash
        parts = [PayPart(source, fen) for source, fen in sources.items() if fen]
    ways = [PayChoice("wechat", chosen=True)] + ([PayChoice("family")] if view.owner else [])
    return PaySheet(
        visit=found.head,
        total_fen=sum(c.amount_fen for c in lines) if known else cash,
        parts=parts,
        cash_fen=cash,
        ways=ways,
        attempt=f"{visit.id}-{await attempts.sheet_of(tx, visit.id)}",
        lines=len(lines) if known else 0,
        for_other=not view.owner,
        shares=(await payment_of(tx, visit, view))[1],
        share=chosen.allocation.number if chosen is not None else None,
        own=own,
        share_url=Urls.share(str(visit.id)),
    )


@router.get("/visits/{visit_id}/pay")
async def sheet(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    share: Annotated[int | None, Query(ge=0, description="number of a share; 0: all that is left")] = None,
) -> Response:
    """What will be taken, for whom, by which hospital; nothing is taken yet."""
    found = await seen(world, tx, caller, visit_id, "pay")
    await access.require(tx, caller, Action.PAY, found.subject)
    mine = await _mine(tx, caller, visit_id) if share is None else None
    if mine is not None:
        return go(Urls.paying(str(mine.id)))
    return await show(request, tx, "pay.html", await _sheet(tx, caller, found, share))


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
) -> Response:
    """The green button."""
    if way == "family":
        return go(Urls.ask_family(str(visit_id)))
    wish = await press_of(request, world, tx, caller, key, amount_fen, share=share)
    pay, till = till_of(world)
    await tx.let_go()
    try:
        attempt_id = await flows.press(world.db, pay, caller, visit_id, wish, till)
    except NotInWeChatError:
        return go(f"{Urls.login_wechat}?next={quote(Urls.pay(str(visit_id)), safe='')}")
    return go(Urls.paying(str(attempt_id)))


# ------------------------------------------------------------------------------------------------------------ paying


_BACK = {"refunding": "late", "refunded": "late", "returning": "given_back", "returned": "given_back"}


def _once(attempt: Attempt) -> str:
    return f"pay:{attempt.visit_id}-{attempt.sheet}:{attempt.amount_fen}"


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
        once=_once(attempt),
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
    parts = [PayPart("wechat", attempt.amount_fen)]
    anew = any(p.refund_at is not None for p in await insurance_parts.of_round(tx, turn.id))
    if known and not anew:  # once some of it is owed again, its lines no longer say who bore what then
        sources = {"fund": sum(c.fund_fen for c in bill), "account": sum(c.account_fen for c in bill)}
        sources["others"] = turn.cash_fen - attempt.amount_fen
        parts = [*(PayPart(source, fen) for source, fen in sources.items() if fen), *parts]
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
        anew=anew,
        once=_once(attempt) if mine else None,
    )
    return view, attempt


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
    pdf = await asyncio.to_thread(receipt_pdf, view, attempt.channel, attempt.transaction_id or "", paper)
    headers = {"Content-Disposition": f'inline; filename="{view.number}.pdf"', "Cache-Control": "private, no-store"}
    return Response(pdf, media_type="application/pdf", headers=headers)
