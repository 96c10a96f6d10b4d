"""Money on its way back: never more than was paid, never twice, never given up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from billing.events import PaidChargeReversed
from billing.service import paying
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id
from payments import rules
from payments.models import Attempt as Attempt
from payments.models import InsurancePart
from payments.models import Refund as Refund
from payments.ports import RefundOrder
from payments.rules import OURS, REFUND, InsuranceState, OverRefundError, RefundState
from payments.rules.counter import IN_HAND
from payments.service import labels, parts
from payments.service.moves import tell_round
from words import pay as words

R = RefundState


async def ask(
    tx: Tx, attempt: Attempt, charge_id: UUID | None, amount_fen: int, part: InsurancePart | None = None
) -> Refund:
    """Have money go back; what the house decides by rule is approved at once. The same line is asked once.

    Args:
        part: the insurance settlement it was paid in: the insurance has its money first, then this goes back.

    Raises:
        OverRefundError: more would go back than was paid.
    """
    query = select(Refund).where(Refund.attempt_id == attempt.id, Refund.charge_id.is_not_distinct_from(charge_id))
    if charge_id is None:
        query = query.where(Refund.part_id.is_not_distinct_from(part.id if part is not None else None))
    known = (await tx.session.scalars(query)).first()
    if known is not None:
        return known
    await tx.session.flush()
    # The guard stands in the statement: two refunds at once cannot both fit.
    fits = Attempt.refunded_fen + amount_fen <= Attempt.amount_fen
    taken = await tx.session.execute(
        update(Attempt)
        .where(Attempt.id == attempt.id, fits)
        .values(refunded_fen=Attempt.refunded_fen + amount_fen)
        .returning(Attempt.refunded_fen)
        .execution_options(synchronize_session=False)
    )
    if taken.scalar_one_or_none() is None:
        raise OverRefundError
    await tx.session.refresh(attempt, ["refunded_fen"])
    REFUND.move(None, R.REQUESTED)
    REFUND.move(R.REQUESTED, R.APPROVED)
    refund_id = new_id()
    refund = Refund(
        id=refund_id,
        out_refund_no=f"HFR{refund_id.hex}",
        attempt_id=attempt.id,
        visit_id=attempt.visit_id,
        charge_id=charge_id,
        part_id=part.id if part is not None else None,
        amount_fen=amount_fen,
        reason=words.refund_reason(
            charge_id is None, attempt.closed_at is not None, again=part is not None and charge_id is None
        ),
        state=R.APPROVED,
        created_at=tx.now,
        tries=0,
    )
    if part is None:
        refund.next_at = _when(tx, attempt)
    elif part.state == InsuranceState.REFUNDED:
        insurance_is_back(tx, attempt, refund)
    return tx.add(refund)


def _when(tx: Tx, attempt: Attempt) -> datetime | None:
    """What came over the counter goes back there, when the payer stands in front of it; all else at once."""
    return None if attempt.channel in IN_HAND else tx.now


def insurance_is_back(tx: Tx, attempt: Attempt, refund: Refund) -> None:
    """The insurance has its money: now the cash of that settlement goes back."""
    REFUND.move(R(refund.state), R.INSURANCE_RETURNED)
    refund.state, refund.next_at = R.INSURANCE_RETURNED, _when(tx, attempt)


async def spread(tx: Tx, round_id: UUID, charge_id: UUID | None, amount_fen: int, part: InsurancePart | None) -> None:
    """Have money go back to who paid a round, the latest payment first.

    Raises:
        LookupError: the round's payments do not hold that much any more.
    """
    query = select(Attempt).where(Attempt.round_id == round_id, Attempt.state.in_(OURS))
    paid = (await tx.session.scalars(query.order_by(Attempt.paid_at.desc(), Attempt.id.desc()))).all()
    each = rules.spread_back(amount_fen, [a.amount_fen - a.refunded_fen for a in paid])
    if each is None:
        raise LookupError(f"no payment of {amount_fen} fen in round {round_id}")
    for attempt, fen in zip(paid, each, strict=True):
        if fen:
            await ask(tx, attempt, charge_id, fen, part)


async def line_reversed(tx: Tx, event: PaidChargeReversed) -> None:
    """Subscriber: a line that was paid here was taken back, so its money goes back to who paid its round.

    Where the insurance paid in the same settlement, that goes back whole first (``anew``).

    Raises:
        LookupError: the round's payments do not hold that much any more.
    """
    line = await paying.line_of(tx, event.charge_id)
    if line.round_id is None:
        raise LookupError(f"line {event.charge_id} was paid in no round")
    part = await parts.bearing(tx, line.round_id, line.id)
    if event.self_fen:
        await spread(tx, line.round_id, line.id, event.self_fen, part)
    elif part is None:
        await paying.line_returned(tx, event.visit_id, line.id, None)
    if part is not None and part.state == InsuranceState.PAID:
        parts.ask_back(tx, part)
        await tx.session.flush()
        await tell_round(tx, await paying.round_by_id(tx, line.round_id), "insurance_returning", labels.SELF)


async def claim_due(tx: Tx, limit: int = 20) -> list[UUID]:
    """Refunds to be asked for or about now, each given to one sweeper only."""
    query = select(Refund).where(Refund.next_at <= tx.now).order_by(Refund.next_at).limit(limit)
    found = (await tx.session.scalars(query.with_for_update(skip_locked=True))).all()
    for refund in found:
        refund.tries += 1
        # A crash between here and the answer only means: asked again, under the same number.
        refund.next_at = max(rules.next_refund_try(refund.tries, tx.now), tx.now + timedelta(seconds=3))
    return [r.id for r in found]


async def order_of(tx: Tx, refund_id: UUID) -> tuple[RefundOrder, bool]:
    """What to ask the provider, and whether it has the request already."""
    refund = await tx.get(Refund, refund_id)
    attempt = await tx.get(Attempt, refund.attempt_id) if refund is not None else None
    if refund is None or attempt is None:
        raise NotFoundError
    order = RefundOrder(
        refund.out_refund_no, attempt.out_trade_no, refund.amount_fen, attempt.amount_fen, refund.reason
    )
    return order, refund.state not in (R.APPROVED, R.INSURANCE_RETURNED)


async def refused(tx: Tx, refund_id: UUID, reason: str) -> None:
    """The provider will not take the request as it is: a person has to look; it is asked again now and then."""
    refund = await tx.get(Refund, refund_id, lock=True)
    if refund is not None:
        refund.trouble = reason[:80]


async def troubles(tx: Tx, hospital_id: UUID) -> Sequence[tuple[Refund, Attempt]]:
    """Money that does not go back by itself: a person has to look."""
    query = (
        select(Refund, Attempt)
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .where(Attempt.hospital_id == hospital_id, (Refund.state == R.ABNORMAL) | (Refund.trouble == "twice"))
        .order_by(Refund.created_at)
    )
    return [(refund, attempt) for refund, attempt in await tx.session.execute(query)]


async def at_counter(tx: Tx, hospital_id: UUID, limit: int = 200) -> Sequence[tuple[Refund, Attempt]]:
    """Money that waits to be handed out at the counter, the oldest first."""
    now = ((Refund.state == R.APPROVED) & Refund.part_id.is_(None)) | (Refund.state == R.INSURANCE_RETURNED)
    query = (
        select(Refund, Attempt)
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .where(Attempt.hospital_id == hospital_id, now, Attempt.channel.in_(IN_HAND))
        .order_by(Refund.created_at, Refund.id)
        .limit(limit)
    )
    return [(refund, attempt) for refund, attempt in await tx.session.execute(query)]


async def after_insurance(tx: Tx, hospital_id: UUID, limit: int = 200) -> Sequence[tuple[Refund, Attempt]]:
    """Money that waits for the insurance to have its part first, the oldest first."""
    query = (
        select(Refund, Attempt)
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .where(Attempt.hospital_id == hospital_id, Refund.state == R.APPROVED, Refund.part_id.is_not(None))
        .order_by(Refund.created_at, Refund.id)
        .limit(limit)
    )
    return [(refund, attempt) for refund, attempt in await tx.session.execute(query)]


async def of_visit(tx: Tx, visit_id: UUID) -> Sequence[Refund]:
    """All refunds of a visit, oldest first."""
    query = select(Refund).where(Refund.visit_id == visit_id).order_by(Refund.created_at, Refund.id)
    return (await tx.session.scalars(query)).all()
