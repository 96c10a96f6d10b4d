"""The registration fee of a booking that is paid before she comes: whether it is paid, and giving back what is not."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from billing.rules import ChargeState
from billing.service.lines import ChargeItem, lines_of
from kernel.db import Tx
from people.rules import Actor
from visits.rules.booking import Pay
from visits.service import bookings, orders
from visits.service.bookings import Booking

_GONE = frozenset({ChargeState.ABORTED, ChargeState.REVERSED, ChargeState.REFUNDED})


class FeeState(StrEnum):
    """How the fee of a booking stands."""

    NONE = "none"  # free, or on account like any charge
    COMING = "coming"  # the HIS has not written it yet
    OWED = "owed"
    PAYING = "paying"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class FeeDue:
    """``line_ids`` are to be paid first, by name, in the visit the booking belongs to."""

    state: FeeState
    line_ids: tuple[UUID, ...] = ()


async def fee_due(tx: Tx, booking: Booking) -> FeeDue:
    """How the fee of this booking stands now."""
    if booking.pay != Pay.UPFRONT:
        return FeeDue(FeeState.NONE)
    own = await _lines(tx, booking)
    if not own:
        return FeeDue(FeeState.COMING)
    states = {ChargeState(c.state) for c in own}
    if states & {ChargeState.PLANNED, ChargeState.BILLABLE}:
        open_ones = tuple(c.id for c in own if c.state in (ChargeState.PLANNED, ChargeState.BILLABLE))
        return FeeDue(FeeState.OWED, open_ones)
    if states & {ChargeState.PREPAYING, ChargeState.COVERED}:
        return FeeDue(FeeState.PAYING)
    return FeeDue(FeeState.PAID)


async def booked_by(tx: Tx, actor: Actor, visit_id: UUID) -> set[UUID]:
    """The fees in this visit of what the caller booked: they know of these, whatever else they may see."""
    made = [b for b in await bookings.of_visit(tx, visit_id) if b.booked_by == actor.id]
    return {charge.id for booking in made for charge in await _lines(tx, booking)}


async def _lines(tx: Tx, booking: Booking) -> list[ChargeItem]:
    if booking.visit_id is None:
        return []
    found = []
    for charge in await lines_of(tx, booking.visit_id):
        order = await orders.order_by_id(tx, charge.order_id) if charge.order_id else None
        mine = order is not None and order.encounter_id == booking.encounter_id and order.kind == "registration"
        if mine and charge.state not in _GONE:
            found.append(charge)
    return found


async def due_back(tx: Tx) -> list[UUID]:
    """The bookings whose time to pay is over."""
    return [b.id for b in await bookings.owing(tx)]


async def give_back(tx: Tx, booking_id: UUID) -> None:
    """Release one of them, unless it is paid, or is being paid this very moment, or could not be paid at all.

    Money that arrives after this goes back by itself: the HIS takes the order back, and what was paid for it with it.
    """
    booking = await tx.get(Booking, booking_id)
    if booking is None:
        return
    match (await fee_due(tx, booking)).state:
        case FeeState.PAID:
            await bookings.paid(tx, booking_id)
        case FeeState.OWED:
            await bookings.release(tx, booking_id)
        case _:
            return
