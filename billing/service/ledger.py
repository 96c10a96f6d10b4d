"""The ledger: every movement of money is one balanced, append-only posting, made once."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import func, select

from billing.models import LedgerEntry, LedgerTransaction
from billing.rules import OWED_IN, Account
from kernel.db import Tx
from kernel.ids import derive, new_id


async def post(
    tx: Tx,
    visit_id: UUID,
    kind: str,
    about: UUID,
    reference: str,
    entries: Mapping[Account, int],
    *,
    fresh: bool = False,
) -> bool:
    """Post once what happened to ``about``; entries of zero are left out. Returns False when it was posted before.

    Args:
        fresh: the caller has just seen, under the visit's lock, that it did not happen before: it is not looked up (and
            the primary key would refuse a second one).

    Raises:
        ValueError: the entries do not add up to zero (the database would refuse them at commit).
    """
    if sum(entries.values()) != 0:
        raise ValueError(f"unbalanced posting {kind}: {entries}")
    identity = derive(about, kind, reference)
    if not fresh and await tx.get(LedgerTransaction, identity) is not None:
        return False
    rows = {account: amount for account, amount in entries.items() if amount}
    if not rows:
        return False
    tx.write(LedgerTransaction, id=identity, visit_id=visit_id, kind=kind, reference=reference, at=tx.now)
    for account, amount in rows.items():
        tx.write(LedgerEntry, transaction_id=identity, account=account, amount_fen=amount)
    return True


async def entries_of(tx: Tx, about: UUID, kind: str, reference: str) -> dict[Account, int]:
    """The entries of one posting; none where it was not made."""
    await tx.flush()
    query = select(LedgerEntry.account, LedgerEntry.amount_fen)
    rows = await tx.session.execute(query.where(LedgerEntry.transaction_id == derive(about, kind, reference)))
    return {Account(account): fen for account, fen in rows}


async def owed_in(tx: Tx, visit_id: UUID) -> dict[Account, int]:
    """What of a visit is owed, by who carries it; take the visit's turn first."""
    await tx.flush()
    query = (
        select(LedgerEntry.account, func.sum(LedgerEntry.amount_fen))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerTransaction.visit_id == visit_id, LedgerEntry.account.in_(OWED_IN))
        .group_by(LedgerEntry.account)
    )
    held = dict.fromkeys(OWED_IN, 0)
    held |= {Account(account): int(fen) for account, fen in await tx.session.execute(query)}
    return held


async def paid_to(tx: Tx, visit_id: UUID, amount_fen: int) -> dict[Account, int]:
    """Whose claims a payment of the patient's side lessens: first the creditor's, whose debt is the oldest.

    What was claimed from the treasury comes last: it was said that nobody would pay it.
    """
    held, made = await owed_in(tx, visit_id), dict[Account, int]()
    for account in (Account.CREDITOR, Account.PATIENT, Account.SUBSIDY):
        fen = min(amount_fen, max(0, held[account]))
        amount_fen -= fen
        made[account] = fen
    made[Account.PATIENT] += amount_fen
    return made


async def level(tx: Tx, visit_id: UUID) -> None:
    """Less is owed than somebody else carries: they carry that much less; nothing is owed below 0."""
    held = await owed_in(tx, visit_id)
    for account in (Account.CREDITOR, Account.SUBSIDY):
        fen = min(max(0, held[account]), max(0, -held[Account.PATIENT]))
        held[Account.PATIENT] += fen
        await post(tx, visit_id, "levelled", new_id(), account, {account: -fen, Account.PATIENT: fen})
