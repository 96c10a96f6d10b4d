"""What the ledger says for the comparison of a day: single postings of cash, and the movements of each account."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, func, or_, select

from billing.models import LedgerEntry, LedgerTransaction, Round
from kernel.db import Tx, one_of
from kernel.ids import derive
from visits.service.encounters import Visit


class Posting(NamedTuple):
    """Which posting: as it was given to ``billing.service.ledger.post``."""

    about: UUID
    kind: str
    reference: str


class Movement(NamedTuple):
    """One account on one day, in fen; ``net`` is debits less credits."""

    account: str
    debit_fen: int
    credit_fen: int

    @property
    def net_fen(self) -> int:
        """Debits less credits."""
        return self.debit_fen - self.credit_fen


def paid(attempt_id: UUID, number: str) -> Posting:
    """The posting of a payment's money."""
    return Posting(attempt_id, "paid", number)


def late(attempt_id: UUID) -> Posting:
    """The posting of late money that came."""
    return Posting(attempt_id, "late", "in")


def returned(refund_id: UUID, refund_no: str) -> Posting:
    """The posting of money that went back."""
    return Posting(refund_id, "returned", refund_no)


class Settlement(NamedTuple):
    """A round of which all the money is there: what the hospital is told of as one settlement."""

    round_id: UUID
    number: str
    visit_id: UUID
    hospital_id: UUID
    paid_at: datetime


async def settlements(tx: Tx, begin: datetime, end: datetime, numbers: Collection[str]) -> list[Settlement]:
    """Rounds paid between two moments, and those with these numbers."""
    query = (
        select(Round.id, Round.number, Round.visit_id, Visit.hospital_id, Round.paid_at)
        .join(Visit, Visit.id == Round.visit_id)
        .where(Round.paid_at.is_not(None))
        .where(or_((Round.paid_at >= begin) & (Round.paid_at < end), one_of(Round.number, numbers)))
    )
    found = (await tx.session.execute(query)).all()
    return [Settlement(i, number, visit, hospital, at) for i, number, visit, hospital, at in found if at is not None]


async def numbers_of(tx: Tx, rounds: Collection[UUID]) -> dict[UUID, str]:
    """The settlement's number of each round, as the hospital knows it."""
    found = await tx.session.execute(select(Round.id, Round.number).where(one_of(Round.id, rounds)))
    return {identity: number for identity, number in found}  # noqa: C416  mypy


async def cash_of(tx: Tx, postings: Collection[Posting]) -> dict[Posting, int]:
    """The cash of each posting, in fen, money back positive too; 0 where there is none."""
    wanted = {derive(*posting): posting for posting in postings}
    found = dict.fromkeys(wanted.values(), 0)
    query = (
        select(LedgerEntry.transaction_id, func.sum(LedgerEntry.amount_fen))
        .where(one_of(LedgerEntry.transaction_id, wanted), LedgerEntry.account.startswith("cash_"))
        .group_by(LedgerEntry.transaction_id)
    )
    for transaction_id, fen in await tx.session.execute(query):
        found[wanted[transaction_id]] = abs(int(fen))
    return found


async def movements(tx: Tx, hospital_id: UUID, begin: datetime, end: datetime) -> list[Movement]:
    """What moved on each account of a hospital between two moments, by account."""
    fen = LedgerEntry.amount_fen
    debit = func.coalesce(func.sum(case((fen > 0, fen))), 0)
    credit = func.coalesce(func.sum(case((fen < 0, -fen))), 0)
    query = (
        select(LedgerEntry.account, debit, credit)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(Visit, Visit.id == LedgerTransaction.visit_id)
        .where(Visit.hospital_id == hospital_id, LedgerTransaction.at >= begin, LedgerTransaction.at < end)
        .group_by(LedgerEntry.account)
        .order_by(LedgerEntry.account)
    )
    return [Movement(account, int(plus), int(minus)) for account, plus, minus in await tx.session.execute(query)]
