"""The receipt of one payment: for the patient's side, staff, and whoever paid it; on the page and on paper."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from api.world import World
from billing.rules import RoundState
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.rules import OURS
from payments.service import attempts, labels, moves, receipts, refunds
from payments.service import parts as insurance_parts
from payments.service.attempts import Attempt, S
from people.rules import Actor, Audience
from people.service import access, hospitals, patients
from pwa.answer import show
from pwa.insuring import estimated_of, split_of
from pwa.pages.pay import once_of
from pwa.pay_views import PaidList, PaidRow
from pwa.receipt import Paper, receipt_pdf
from pwa.urls import Urls
from pwa.views import PayPart, Receipt, Returned
from pwa.visit_pages import lines_shown, receipt_of, seen, seen_by_payer
from words import family as family_words
from words import pay as words
from words.insurance import Insurance

router = APIRouter(include_in_schema=False)


async def _receipt(world: World, tx: Tx, caller: Actor, payment_id: UUID) -> tuple[Receipt, Attempt]:
    """The receipt, for the patient's side, staff, and whoever paid: to the payer only what the payer may see."""
    attempt = await attempts.by_id(tx, payment_id)
    found = await seen_by_payer(world, tx, caller, attempt, "receipt")
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
    shown = await lines_shown(tx, found, {str(c.id) for c in bill}) if known else []
    view = Receipt(
        visit=found.head,
        amount_fen=attempt.amount_fen,
        parts=parts,
        lines=shown,
        paid_at=attempt.paid_at,
        payer_label=await labels.label_for(tx, caller, attempt),
        from_where=words.from_where(attempt.channel, link=attempt.relation == labels.LINK),
        number=f"R{china_day(attempt.paid_at):%Y%m%d}-{attempt.out_trade_no[-8:]}",
        settling=attempt.state == S.PAID,
        waits=await moves.shown(tx, attempt) == "share_paid",
        pdf_url=f"{Urls.receipt(str(attempt.id))}.pdf",
        returned=await _returned(tx, attempt),
        whole_url=await receipt_of(tx, found.visit, found.view) if found.live else None,
        anew=anew,
        once=await once_of(tx, attempt) if mine else None,
        insurance_numbers=await _numbers(tx, turn) if known else (),
    )
    return view, attempt


_TILLS = {"CASH": "cash", "CARD": "card", "FACE": "face"}


async def _borne(tx: Tx, turn: Round, bill: Sequence[ChargeItem]) -> list[PayPart]:
    """Whoever bore part of these lines before anybody paid in cash."""
    sources = dict((await split_of(tx, turn)).parts) if turn.insured else estimated_of(bill)
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
        lines=await lines_shown(tx, found, {str(c.id) for c in await paying.covered_by(tx, turn)}),
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


@router.get(Urls.payments)
async def mine(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """What the reader has paid, for whomever; whatever became of the right to pay."""
    labels_ = await access.relations_of(tx, caller.id)
    rows = []
    for attempt in await receipts.paid_by(tx, caller.id):
        patient = await patients.by_id(tx, attempt.patient_id)
        label = family_words.label(labels_.get(patient.id, ""), patient.sex)
        whom = family_words.ME if patient.id == caller.id else f"{label} {patient.name_masked}"
        hospital = await hospitals.by_id(tx, attempt.hospital_id)
        url = Urls.receipt(str(attempt.id)) if attempt.state in OURS else None
        at = attempt.paid_at or attempt.created_at
        rows.append(PaidRow(whom, hospital.name, attempt.amount_fen, at, url, attempt.refunded_fen))
    return await show(request, tx, "payments.html", PaidList(rows))


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
