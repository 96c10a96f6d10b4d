"""Facts about visits and orders that other packages react to; ids only, the rows are at hand in the transaction."""

from dataclasses import dataclass
from uuid import UUID

from kernel.events import Event


@dataclass(frozen=True, slots=True)
class VisitOpened(Event):
    """A patient's day at a hospital has begun."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class VisitMarked(Event):
    """The visit is now paid afterwards; the HIS is being told."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class VisitUnmarked(Event):
    """The visit is paid first again (withdrawn, excluded or not eligible); the reason is sealed."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class VisitEnded(Event):
    """The last encounter of the day has finished; the clock of payment runs."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class VisitReopened(Event):
    """Another encounter of the same day came after the end."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class VisitSettled(Event):
    """Nothing payable is left of an ended visit."""

    visit_id: UUID


@dataclass(frozen=True, slots=True)
class OrderPlaced(Event):
    """A doctor ordered something."""

    order_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class OrderCheckedIn(Event):
    """The patient has reported at the performing department."""

    order_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class OrderPerformed(Event):
    """The performing department has confirmed execution of the whole order."""

    order_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class OrderGone(Event):
    """The order was abandoned by the patient or cancelled by the doctor before anybody performed it."""

    order_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class ResultReady(Event):
    """A report of the order is there."""

    order_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class HisAnswered(Event):
    """The HIS has answered a call for good: ``outcome`` is ``done`` or ``refused``."""

    key: str
    kind: str
    visit_id: UUID
    outcome: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class CallsAnswered(Event):
    """Rung, not emitted: the HIS has answered, and something that desks show as waiting waits no more."""


@dataclass(frozen=True, slots=True)
class BookingMade(Event):
    """The HIS holds a half hour for her."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingRefused(Event):
    """It was not booked: taken meanwhile, or the HIS said no."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingCancelled(Event):
    """A booking was given up and the HIS knows it; ``cause`` on the row says by whom."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingMoved(Event):
    """The hospital moved it to another time or doctor."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class ClinicCalledOff(Event):
    """The doctor sees nobody that day (停诊); nothing is owed of it."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingMissed(Event):
    """Her number was called in vain (过号), or the day went by."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingRequeued(Event):
    """She is in the queue again."""

    booking_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class BookingArrived(Event):
    """Her encounter has begun."""

    booking_id: UUID
    patient_id: UUID
