"""What a payer lets herself pay for one patient, kept at the moment of each press, whoever presses at once."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert

from kernel.clock import CHINA, china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.models import Attempt, PayerLimit, Refund
from payments.rules import OVER, PAYABLE
from payments.rules.limits import AfterVisit, Limits, Out, OverLimitError, Room, first_of_month, room
from people.rules import Actor, ActorKind, GrantKind
from people.service import grants
from words import pay as words

NONE = Limits()


async def of(tx: Tx, payer_id: UUID, patient_id: UUID, *, lock: bool = False) -> Limits:
    """What she has set for this patient; nothing set is no limit. ``lock``: it stays so until the commit."""
    row = await tx.get(PayerLimit, (payer_id, patient_id), lock=lock)
    return NONE if row is None else _limits(row)


async def pays_for(tx: Tx, actor: Actor, patient_id: UUID) -> bool:
    """Whether somebody holds a live right to pay for this patient, or is her guardian; oneself needs no limits."""
    if actor.kind is not ActorKind.PERSON or actor.id == patient_id:
        return False
    live = await grants.of_relative(tx, actor.id)
    return any(g.patient_id == patient_id and g.kind in (GrantKind.PAY, GrantKind.GUARD) for g in live)


async def set_for(tx: Tx, actor: Actor, patient_id: UUID, limits: Limits) -> None:
    """Set them all anew; what is under way goes on, the next press is held against these.

    Raises:
        NotFoundError: the caller does not pay for this patient.
        rules.limits.WrongLimitsError: see ``Limits.checked``.
    """
    limits.checked()
    if not await pays_for(tx, actor, patient_id):
        raise NotFoundError
    values = {
        "per_payment_fen": limits.per_payment_fen,
        "per_day_fen": limits.per_day_fen,
        "per_month_fen": limits.per_month_fen,
        "after_visit": limits.after_visit,
        "ready_fen": limits.ready_fen,
        "changed_at": tx.now,
    }
    row = insert(PayerLimit).values(person_id=actor.id, patient_id=patient_id, **values)
    await tx.session.execute(row.on_conflict_do_update(index_elements=["person_id", "patient_id"], set_=values))


async def left(tx: Tx, payer_id: UUID, patient_id: UUID) -> Room:
    """How much she could begin to pay now."""
    limits = await of(tx, payer_id, patient_id)
    return room(limits, await _out(tx, payer_id, patient_id) if limits.any else (), china_day(tx.now))


async def require(tx: Tx, payer_id: UUID, patient_id: UUID, amount_fen: int) -> None:
    """Hold a payment against the payer's own limits, one press at a time.

    The visit's turn is taken before the limits' row, always: two presses of one payer at two hospitals wait here, and
    the second one sees the first one's attempt.

    Raises:
        rules.limits.OverLimitError: more than is left.
    """
    row = await tx.get(PayerLimit, (payer_id, patient_id), lock=True)
    if row is None or not (limits := _limits(row)).any:
        return
    found = room(limits, await _out(tx, payer_id, patient_id), china_day(tx.now))
    if found.fen is not None and amount_fen > found.fen:
        raise OverLimitError(found, says(found))


def says(found: Room) -> str:
    """Which limit it is, and what is left of it; empty where none is set."""
    if found.span is None or found.limit_fen is None or found.fen is None:
        return ""
    under_way = 0 if found.span == "payment" else found.under_way_fen
    return words.Limits.left(found.span, found.limit_fen, found.fen, under_way)


def _limits(row: PayerLimit) -> Limits:
    return Limits(row.per_payment_fen, row.per_day_fen, row.per_month_fen, AfterVisit(row.after_visit), row.ready_fen)


async def _out(tx: Tx, payer_id: UUID, patient_id: UUID) -> list[Out]:
    """This month's money and all that may still come; what has arrived back is taken off."""
    month = first_of_month(tx.now.astimezone(CHINA))
    # Money that came after its order was closed is out of the purse as well, until it is back.
    counts = or_(Attempt.state.in_(PAYABLE), Attempt.paid_at >= month)
    mine = (Attempt.payer_id == payer_id) & (Attempt.patient_id == patient_id) & Attempt.state.not_in(OVER)
    back = (
        select(Refund.attempt_id, func.sum(Refund.amount_fen).label("fen"))
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .where(mine, Refund.done_at.is_not(None))
        .group_by(Refund.attempt_id)
        .subquery()
    )
    query = select(Attempt.amount_fen, Attempt.paid_at, func.coalesce(back.c.fen, 0))
    found = await tx.session.execute(query.outerjoin(back, back.c.attempt_id == Attempt.id).where(mine, counts))
    return [Out(fen, _day(at), int(gone)) for fen, at, gone in found]


def _day(at: datetime | None) -> date | None:
    return None if at is None else china_day(at)


async def waiting_for(tx: Tx, patient_id: UUID) -> list[UUID]:
    """Who wishes to hear when a visit of this patient has ended, in the order of their ids."""
    query = select(PayerLimit.person_id).where(
        PayerLimit.patient_id == patient_id, PayerLimit.after_visit != AfterVisit.NOTHING
    )
    return list(await tx.session.scalars(query.order_by(PayerLimit.person_id)))
