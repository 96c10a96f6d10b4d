"""Who carries what a patient's side owes after its time: the hospital, a bank or an insurer; and the treasury's claim.

Whoever carries it, the same lines are owed by the same people, who pay as ever; only whose claim their money lessens
changes. What the creditor has paid the hospital for it passes through neither Houfu nor its tills.
"""

from uuid import UUID

from sqlalchemy import exists, select

from billing.models import ChargeItem, LedgerTransaction
from billing.rules import OWED, OWED_IN, Account, NotCarriedError
from billing.service.ledger import owed_in, post
from billing.service.lines import lines_of
from billing.service.paying import locked_visit
from billing.service.shown import money_of
from billing.service.turns import live_round
from kernel.db import Tx
from people.rules import Creditor
from people.service import hospitals
from visits.rules import VisitState
from visits.service.encounters import Visit

TAKEN = "taken_over"


async def take_over(tx: Tx, visit_id: UUID) -> int:
    """The time is over: the creditor the hospital has named carries what is owed of a visit. Returns the fen.

    What is paid first is left out: nobody gave credit for it.

    Raises:
        NotCarriedError: the hospital carries it itself, it is not due, nothing is owed, or somebody is paying now.
    """
    visit = await locked_visit(tx, visit_id)
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    creditor = hospitals.settings_of(hospital).creditor
    due = visit.due_at is not None and visit.due_at <= tx.now and visit.state == VisitState.ENDED
    if creditor is Creditor.HOSPITAL or not due or await live_round(tx, visit_id) is not None:
        raise NotCarriedError
    held = await owed_in(tx, visit_id)
    lines = [c for c in await lines_of(tx, visit_id) if c.state in OWED and money_of(visit, c).here]
    fen = sum(c.self_fen for c in lines) - held[Account.CREDITOR] - held[Account.SUBSIDY]
    if fen <= 0:
        raise NotCarriedError
    reference = f"{creditor}:{tx.now.isoformat()}"
    await post(tx, visit_id, TAKEN, visit_id, reference, {Account.CREDITOR: fen, Account.PATIENT: -fen})
    return fen


async def take_over_due(tx: Tx, limit: int = 100) -> list[UUID]:
    """Visits whose time is over where a creditor carries the debt, and with lines that nobody carries yet."""
    others = [
        hospital.id
        for hospital in await hospitals.everyone(tx)
        if hospitals.settings_of(hospital).creditor is not Creditor.HOSPITAL
    ]
    if not others:
        return []
    carried = exists().where(
        LedgerTransaction.visit_id == ChargeItem.visit_id,
        LedgerTransaction.kind == TAKEN,
        LedgerTransaction.at >= ChargeItem.executed_at,
    )
    query = (
        select(ChargeItem.visit_id)
        .join(Visit, Visit.id == ChargeItem.visit_id)
        .where(Visit.hospital_id.in_(others), Visit.state == VisitState.ENDED, Visit.due_at <= tx.now)
        .where(Visit.mode == "DEFERRED", ChargeItem.state == "billable", ChargeItem.self_fen > 0)
        .where(ChargeItem.pay_first.is_(False), ~carried)
        .distinct()
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def subsidise(tx: Tx, visit_id: UUID, fen: int, reference: str) -> None:
    """So much of a visit cannot be collected, and the treasury is to pay it: the creditor's part first.

    Args:
        reference: the claim's number; the same claim is written once.

    Raises:
        NotCarriedError: more than is owed and not claimed yet.
    """
    visit = await locked_visit(tx, visit_id)
    held = await owed_in(tx, visit.id)
    if not 0 < fen <= sum(held[account] for account in OWED_IN) - held[Account.SUBSIDY]:
        raise NotCarriedError
    creditor = min(fen, held[Account.CREDITOR])
    entries = {Account.SUBSIDY: fen, Account.CREDITOR: -creditor, Account.PATIENT: creditor - fen}
    await post(tx, visit_id, "subsidised", visit_id, reference, entries)
