"""A line of an insured, paid bill was taken back: its settlement goes back whole, and what remains is paid anew.

The insurance knows no half refunds of its part. So first it gets its part back (``parts.ask_back``, then the sweeper);
here it has it. From now on the line's cash may go, the other lines are owed again, and so is their cash to its payers.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from payments import rules
from payments.models import Attempt, InsurancePart, Refund
from payments.rules import InsuranceState, RefundState
from payments.service import labels, parts, refunds
from payments.service.moves import tell_round, tell_settlements
from people.rules import Actor, ActorKind, Role

S = InsuranceState
UNDECIDED = "refund:EXP"  # the only no that is none: nobody knows, so it is asked about and never asked for again


async def insurance_is_back(tx: Tx, part: InsurancePart, now: Round) -> None:
    """The insurance has its money again, of a round that was paid; the visit's turn is taken."""
    waiting = (
        select(Refund, Attempt)
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .where(Refund.part_id == part.id, Refund.state == RefundState.APPROVED)
        .order_by(Refund.id)
    )
    for refund, attempt in (await tx.session.execute(waiting)).all():
        refunds.insurance_is_back(tx, attempt, refund)
    lines = [UUID(c) for c in part.charge_ids]
    number = parts.refund_number(part)
    cash, owed = await paying.unsettle(tx, now, lines, part.mutual_aid_fen or 0, number, parts.told_of(part))
    if cash:
        await refunds.spread(tx, now.id, None, cash, part)
    await tell_round(tx, now, "insurance_returned", labels.SELF, owed)


async def troubles(tx: Tx, hospital_id: UUID) -> Sequence[InsurancePart]:
    """Settlements whose way back needs a person, and those the insurer took back by itself after all was paid."""
    hangs = (InsurancePart.state == S.MANUAL) | InsurancePart.trouble.is_not(None)
    query = select(InsurancePart).where(InsurancePart.hospital_id == hospital_id, hangs)
    # A consent the centre would not have is asked of the patient once more, and of nobody else.
    waits = query.where(InsurancePart.state.not_in((S.CREATED, S.REVOKED, S.FAILED)))
    return (await tx.session.scalars(waits.order_by(InsurancePart.created_at, InsurancePart.id))).all()


def may_go_on(part: InsurancePart) -> bool:
    """Whether a person's word lets a settlement go on (``go_on``)."""
    return (part.state == S.MANUAL and part.trouble not in (None, UNDECIDED)) or gone(part)


def gone(part: InsurancePart) -> bool:
    """Whether the insurer took its payment back by itself, after everything was paid."""
    return part.state == S.REFUNDED and part.refund_at is None


async def go_on(tx: Tx, actor: Actor, part_id: UUID) -> None:
    """A person has found out why the centre said no: it is asked for the money back again, under a new number.

    Where the insurer took its payment back by itself, the cash goes back, too, and the lines are owed again.

    Raises:
        NotFoundError: no such settlement in the caller's hospital.
        ForbiddenError: the caller does not keep the hospital's money.
        rules.NotDecidedError: the centre has not said no; a second number could give the money back twice.
    """
    known = await tx.get(InsurancePart, part_id)
    if known is None or actor.kind is not ActorKind.STAFF or known.hospital_id != actor.hospital_id:
        raise NotFoundError
    if actor.role is not Role.FINANCE:
        raise ForbiddenError
    await paying.locked_visit(tx, known.visit_id)
    part = await tx.get(InsurancePart, part_id, lock=True)
    if part is None or not may_go_on(part):
        raise rules.NotDecidedError
    part.trouble = None
    now = await paying.round_by_id(tx, part.round_id, lock=True)
    if gone(part):
        part.refund_at = tx.now
        await insurance_is_back(tx, part, now)
        return
    part.refund_tries += 1
    parts.ask_back(tx, part)
    await tell_settlements(tx, now)
