"""A booked half hour: how it moves, what registering costs and when, how many one may have, until when to cancel."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from people.rules import HospitalSettings

CHINA = timezone(timedelta(hours=8))  # China has no other; the zone's own table is the clock's, which rules do not read
NOON = 12


class BookingState(StrEnum):
    """Where a booking stands; what the HIS has not answered is neither yes nor no."""

    ASKED = "asked"
    BOOKED = "booked"
    REFUSED = "refused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    CALLED_OFF = "called_off"  # the doctor sees nobody (停诊)
    MISSED = "missed"  # her number was called, or the day went by (过号)
    REQUEUING = "requeuing"
    ARRIVED = "arrived"


S = BookingState
BOOKING = Lifecycle[BookingState](
    "Booking",
    {
        (None, S.ASKED): "BookingAsked",
        (S.ASKED, S.BOOKED): "BookingMade",
        (S.ASKED, S.REFUSED): "BookingRefused",
        (S.ASKED, S.CANCELLING): "BookingGivenUp",
        (S.BOOKED, S.CANCELLING): "BookingGivenUp",
        (S.CANCELLING, S.CANCELLED): "BookingCancelled",
        (S.CANCELLING, S.BOOKED): "BookingKept",
        (S.BOOKED, S.BOOKED): "BookingMoved",
        # The hospital's word stands above what was on its way to it.
        (S.ASKED, S.CALLED_OFF): "ClinicCalledOff",
        (S.BOOKED, S.CALLED_OFF): "ClinicCalledOff",
        (S.CANCELLING, S.CALLED_OFF): "ClinicCalledOff",
        (S.ASKED, S.ARRIVED): "BookingArrived",
        (S.BOOKED, S.ARRIVED): "BookingArrived",
        (S.CANCELLING, S.ARRIVED): "BookingArrived",
        (S.BOOKED, S.MISSED): "BookingMissed",
        (S.CANCELLING, S.MISSED): "BookingMissed",
        (S.ARRIVED, S.MISSED): "BookingMissed",
        (S.MISSED, S.ARRIVED): "BookingRequeued",
        (S.MISSED, S.REQUEUING): "RequeueAsked",
        (S.REQUEUING, S.ARRIVED): "BookingRequeued",
        (S.REQUEUING, S.MISSED): "RequeueRefused",
    },
)

OPEN = frozenset({S.ASKED, S.BOOKED, S.CANCELLING})
"""Holds a place, or may: counted, and kept apart from another of the same doctor and half day by the database."""
SAID: dict[BookingState, str] = {S.ASKED: "book", S.CANCELLING: "cancel_booking", S.REQUEUING: "requeue"}
"""What the HIS is being told while a booking stands so."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One bookable time of a doctor as the HIS tells it.

    Args:
        department: its code.
        doctor: the name.
        begins, until: aware.
        free: places left.
        fee_fen: what registering costs.
    """

    id: str
    department: str
    doctor: str
    begins: datetime
    until: datetime
    free: int
    fee_fen: int


class Pay(StrEnum):
    """When the registration fee is taken."""

    UPFRONT = "upfront"
    ACCOUNT = "account"
    FREE = "free"


class Cause(StrEnum):
    """Why we gave a booking up."""

    PERSON = "person"
    UNPAID = "unpaid"  # the fee was to be paid first, and the time for it is over
    STALE = "stale"  # its time came before the HIS had said whether it is booked


@dataclass(frozen=True, slots=True)
class Fee:
    """What a registration costs this patient on that day; 0 fen exactly when it is free."""

    fen: int
    pay: Pay


class SlotsUnavailableError(HoufuError):
    """The hospital's system does not say what is free."""

    code = "slots_unavailable"
    kind = Kind.UNAVAILABLE


class SlotGoneError(HoufuError):
    """This half hour is over, full, or no longer held."""

    code = "slot_gone"
    kind = Kind.CONFLICT


class FeeChangedError(HoufuError):
    """The fee is no longer what the person was shown."""

    code = "fee_changed"
    kind = Kind.CONFLICT


class TooManyBookingsError(HoufuError):
    """The patient has as many open bookings here as the hospital allows."""

    code = "too_many_bookings"
    kind = Kind.CONFLICT


class AlreadyBookedError(HoufuError):
    """The patient is with this doctor in this half day already."""

    code = "already_booked"
    kind = Kind.CONFLICT


class NotForHerError(HoufuError):
    """It cannot be booked for her; why is hers to know, not the relative's."""

    code = "not_bookable_for"
    kind = Kind.CONFLICT


class TooLateToCancelError(HoufuError):
    """The time to cancel is over, or she is there already."""

    code = "too_late_to_cancel"
    kind = Kind.CONFLICT


class NotMissedError(HoufuError):
    """She is not among those whose call was missed, or the hospital says it is too late for today."""

    code = "not_missed"
    kind = Kind.CONFLICT


class BookingKeyReusedError(HoufuError):
    """The key was used for another half hour or person."""

    code = "booking_key_reused"
    kind = Kind.CONFLICT


def china_day(moment: datetime) -> date:
    """The day in China."""
    return moment.astimezone(CHINA).date()


def half_day(begins: datetime) -> str:
    """``2026-11-23/am``: nobody is with one doctor twice in one."""
    local = begins.astimezone(CHINA)
    return f"{local.date()}/{'am' if local.hour < NOON else 'pm'}"


def fee_of(settings: HospitalSettings, price_fen: int, last: date | None, day: date) -> Fee:
    """What registering for ``day`` costs when the last visit ended on ``last`` (days in China; ``None``: never).

    Three free days are the day of the visit and the three after it.
    """
    free_days = settings.registration_free_days
    if price_fen == 0 or (free_days and last is not None and timedelta(0) <= day - last <= timedelta(days=free_days)):
        return Fee(0, Pay.FREE)
    return Fee(price_fen, Pay.UPFRONT if settings.registration_upfront else Pay.ACCOUNT)


def pay_by(settings: HospitalSettings, now: datetime, begins: datetime) -> datetime:
    """Until when an up-front fee is to be paid; then the place is given back."""
    return min(now + timedelta(minutes=settings.booking_pay_minutes), begins)


def cancel_until(settings: HospitalSettings, begins: datetime) -> datetime:
    """Until when a booking can be cancelled."""
    return begins - timedelta(hours=settings.booking_cancel_hours)


def bookable(slots: Iterable[Slot], now: datetime) -> list[Slot]:
    """The half hours with a free place that have not begun, in order."""
    return sorted((s for s in slots if s.free > 0 and s.begins > now), key=lambda s: (s.begins, s.doctor, s.id))


def nearest(slots: Iterable[Slot], doctor: str, begins: datetime, now: datetime, count: int = 3) -> list[Slot]:
    """The free half hours to offer instead: the same doctor's before others', the nearest in time first."""
    free = bookable(slots, now)
    return sorted(free, key=lambda s: (s.doctor != doctor, abs(s.begins - begins), s.begins))[:count]


@dataclass(frozen=True, slots=True)
class Repeat:
    """When the HIS is asked again about what it has not answered."""

    tries: int

    @property
    def until_next(self) -> timedelta:
        """2 s, doubling to at most a minute: a person waits for it."""
        return timedelta(seconds=min(60.0, 2.0 ** min(self.tries, 6)))
