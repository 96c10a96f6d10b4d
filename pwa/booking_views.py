"""What the pages of booking show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pwa.views import Person


@dataclass(frozen=True, slots=True)
class BookHospital:
    """A hospital's departments: (address of its times, name, where it is)."""

    name: str
    departments: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Book:
    """Which department, for whom."""

    person: Person | None
    people: Sequence[Person]
    hospitals: Sequence[BookHospital]


@dataclass(frozen=True, slots=True)
class BookTime:
    """One half hour: where it leads, when it begins, places left."""

    url: str
    at: datetime
    free: int


@dataclass(frozen=True, slots=True)
class BookDoctor:
    """A doctor's free half hours of a day."""

    name: str
    times: Sequence[BookTime]


@dataclass(frozen=True, slots=True)
class BookDay:
    """A day to choose."""

    url: str
    label: str
    short: str
    current: bool


@dataclass(frozen=True, slots=True)
class BookTimes:
    """The free half hours of a department on a day; ``down``: the hospital's system does not say."""

    person: Person
    hospital: str
    department: str
    days: Sequence[BookDay]
    doctors: Sequence[BookDoctor]
    again: str
    down: bool = False


@dataclass(frozen=True, slots=True)
class BookConfirm:
    """Everything once more before it is booked; ``people``: (address for this person, the person)."""

    person: Person
    people: Sequence[tuple[str, Person]]
    hospital: str
    department: str
    doctor: str
    begins: datetime
    until: datetime
    fee: str
    fee_fen: int
    pay: str
    fields: Sequence[tuple[str, str]]
    other_url: str
    pay_minutes: int | None = None
    cancel_until: datetime | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class BookingCard:
    """A booking in a list."""

    id: str
    who: str
    department: str
    doctor: str
    begins: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Bookings:
    """The bookings one may see."""

    coming: Sequence[BookingCard]
    past: Sequence[BookingCard]


@dataclass(frozen=True, slots=True)
class BookingPage:
    """One booking, whatever became of it.

    Args:
        says: sentences under the title.
        todo: what to do now, one thing a line (过号).
        nearest: (address, time, doctor) of what is free instead; ``nearest_url`` leads to all times.
        fee_state: of an up-front fee, see ``billing.service.registration.FeeState``.
        stream_url: the line that says when it stands otherwise; the whole page is drawn anew, title and all.
    """

    card: BookingCard
    hospital: str
    until: datetime
    fee: str
    number: str | None
    by: str | None
    says: Sequence[str]
    waits: bool
    todo: Sequence[str] = ()
    pay_url: str | None = None
    pay_by: datetime | None = None
    fee_state: str = "none"
    cancel_url: str | None = None
    cancel_until: datetime | None = None
    nearest: Sequence[tuple[str, datetime, str]] = ()
    nearest_url: str | None = None
    visit_url: str | None = None
    stream_url: str | None = None


@dataclass(frozen=True, slots=True)
class BookingCancel:
    """Cancel, or keep it."""

    card: BookingCard
    hospital: str
    paid: bool


@dataclass(frozen=True, slots=True)
class DeskBooking:
    """A booking on the desk's list; ``requeue``: may be put back into the queue here."""

    card: BookingCard
    number: str | None
    requeue: bool


@dataclass(frozen=True, slots=True)
class DeskBookings:
    """The desk's list of today."""

    missed: Sequence[DeskBooking]
    others: Sequence[DeskBooking]
    error: str | None = None
