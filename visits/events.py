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
