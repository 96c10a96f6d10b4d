"""Everything a visit was paid with, for its one merged receipt: payments, what others bore, what has gone back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from billing.rules import LIVE_ROUND, OWED, ChargeState, RoundState
from billing.service import paying
from billing.service.lines import lines_of
from billing.service.paying import ChargeItem
from kernel.db import Tx
from payments.models import Attempt, Refund
from payments.rules import OURS, InsuranceState
from payments.service import attempts, parts, refunds

_WHOLE = (RoundState.PAID, RoundState.SETTLED)


@dataclass(frozen=True, slots=True)
class Merged:
    """What was paid of a visit. ``settling``: the hospital has still to book some; ``waits``: shares are still open.
    ``anew``: the insurance has taken a settlement back, so the lines no longer say who bore what then.

    ``lines`` are all that were paid for, also those whose money has gone back since.
    """

    lines: Sequence[ChargeItem]
    payments: Sequence[Attempt]
    refunds: Sequence[Refund]
    mutual_aid_fen: int
    paid_at: datetime
    settling: bool
    waits: bool
    anew: bool


async def of_visit(tx: Tx, visit_id: UUID) -> Merged | None:
    """What was paid here of a visit in all its rounds; None where nothing was, or not the whole of any round yet."""
    every = await paying.rounds_of(tx, visit_id)
    whole = [r for r in every if r.state in _WHOLE]
    named = {number for r in whole for number in r.charge_ids}
    paid = [c for c in await lines_of(tx, visit_id) if str(c.id) in named or _free(c)]
    lines = [c for c in paid if c.state not in OWED]  # some may be owed again
    if not lines:
        return None
    ids = {r.id for r in whole}
    found = await attempts.of_visit(tx, visit_id)
    payments = sorted((a for a in found if a.round_id in ids and a.state in OURS), key=_when)
    mine = {a.id for a in payments}
    settlements = [p for one in whole for p in await parts.of_round(tx, one.id)]
    moments = [r.paid_at for r in whole] + [c.settled_at for c in lines if _free(c)]
    return Merged(
        lines=sorted(lines, key=lambda c: (c.executed_at or c.created_at, c.number)),
        payments=payments,
        refunds=[r for r in await refunds.of_visit(tx, visit_id) if r.attempt_id in mine],
        mutual_aid_fen=sum(p.mutual_aid_fen or 0 for p in settlements if p.state == InsuranceState.PAID),
        paid_at=max(moment for moment in moments if moment is not None),
        settling=any(r.state == RoundState.PAID for r in whole),
        waits=any(r.state in LIVE_ROUND and r.paid_fen for r in every),
        anew=any(p.refund_at is not None for p in settlements),
    )


async def exists(tx: Tx, visit_id: UUID) -> bool:
    """Whether there is anything to be on a receipt."""
    whole = any(r.state in _WHOLE for r in await paying.rounds_of(tx, visit_id))
    return whole or any(_free(c) for c in await lines_of(tx, visit_id))


async def paid_by(tx: Tx, person_id: UUID, limit: int = 50) -> Sequence[Attempt]:
    """What somebody has paid, for whomever, newest first; also what has gone back since."""
    mine = select(Attempt).where(Attempt.payer_id == person_id, Attempt.paid_at.is_not(None))
    return (await tx.session.scalars(mine.order_by(Attempt.paid_at.desc(), Attempt.id).limit(limit))).all()


def _free(charge: ChargeItem) -> bool:
    """Borne whole by others, so that no round was needed."""
    return charge.state == ChargeState.SETTLED and charge.round_id is None


def _when(attempt: Attempt) -> tuple[datetime, str]:
    return attempt.paid_at or attempt.created_at, attempt.out_trade_no
