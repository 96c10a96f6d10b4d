"""Whether the books are right: every posting balanced, and exactly what is owed stands in the ledger."""

from uuid import UUID

from sqlalchemy import func, select

from billing.models import ChargeItem, LedgerEntry, LedgerTransaction, Round
from billing.rules import LIVE_ROUND, OWED, OWED_IN, Account, ChargeState
from kernel.db import Tx


async def imbalance_fen(tx: Tx) -> int:
    """Fen by which postings do not add up, plus what lines say and the ledger does not, or the reverse; 0 is right."""
    each = (
        select(func.sum(LedgerEntry.amount_fen).label("off")).group_by(LedgerEntry.transaction_id).subquery("posting")
    )
    off = int(await tx.session.scalar(select(func.coalesce(func.sum(func.abs(each.c.off)), 0))) or 0)
    held: dict[tuple[UUID, str], int] = {}
    entries = select(LedgerTransaction.visit_id, LedgerEntry.account, LedgerEntry.amount_fen).join(
        LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id
    )
    for visit, entered, amount in await tx.session.execute(entries):
        account = Account.PATIENT if entered in OWED_IN else entered  # whoever carries it, it is owed
        held[visit, account] = held.get((visit, account), 0) + amount
    due: dict[tuple[UUID, str], int] = {}
    key: tuple[UUID, str]
    live = OWED | {ChargeState.SETTLED, ChargeState.SETTLED_ELSEWHERE}
    for charge in await tx.session.scalars(select(ChargeItem).where(ChargeItem.executed_at.is_not(None))):
        revenue, patient = (charge.visit_id, Account.REVENUE), (charge.visit_id, Account.PATIENT)
        if charge.state in live and not (charge.state == ChargeState.SETTLED and charge.reversed_at is not None):
            due[revenue] = due.get(revenue, 0) - charge.amount_fen
        if charge.state in OWED:
            due[patient] = due.get(patient, 0) + charge.self_fen
    for turn in await tx.session.scalars(select(Round).where(Round.state.in_(LIVE_ROUND))):
        key = turn.visit_id, Account.PREPAID if turn.first else Account.PATIENT
        due[key] = due.get(key, 0) - turn.paid_fen
    for charge in await tx.session.scalars(select(ChargeItem).where(ChargeItem.state == ChargeState.PREPAID)):
        prepaid = charge.visit_id, Account.PREPAID
        due[prepaid] = due.get(prepaid, 0) - charge.self_fen
    for key in held.keys() | due.keys():
        if key[1] in (Account.REVENUE, Account.PATIENT, Account.PREPAID):
            off += abs(held.get(key, 0) - due.get(key, 0))
    return off
