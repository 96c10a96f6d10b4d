"""The ledger: every movement of money is one balanced, append-only posting, made once."""

from collections.abc import Mapping
from uuid import UUID

from billing.models import LedgerEntry, LedgerTransaction
from billing.rules import Account
from kernel.db import Tx
from kernel.ids import derive


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
    tx.write(LedgerTransaction(id=identity, visit_id=visit_id, kind=kind, reference=reference, at=tx.now))
    for account, amount in rows.items():
        tx.write(LedgerEntry(transaction_id=identity, account=account, amount_fen=amount))
    return True
