"""What somebody lets herself pay for one patient: how much is left of her own limits, to the fen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from kernel.errors import HoufuError, Kind

MOST_FEN = 100_000_000


class AfterVisit(StrEnum):
    """What happens for a payer once a visit has ended with money to pay."""

    NOTHING = "nothing"  # she looks by herself
    ASK = "ask"  # she is asked whether she pays
    READY = "ready"  # up to an amount it is laid ready, one tap pays it; above it she is asked
    AUTO = "auto"  # up to an amount it is taken by her contract, announced before; without one it is laid ready


UP_TO = frozenset({AfterVisit.READY, AfterVisit.AUTO})
"""The choices that go up to an amount."""


class Span(StrEnum):
    """Over what a limit runs; days and months are those of the calendar in China."""

    PAYMENT = "payment"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a payer allows herself for one patient, fen; None: no limit. ``ready_fen`` belongs to READY and AUTO."""

    per_payment_fen: int | None = None
    per_day_fen: int | None = None
    per_month_fen: int | None = None
    after_visit: AfterVisit = AfterVisit.NOTHING
    ready_fen: int | None = None

    def checked(self) -> "Limits":
        """The limits themselves, when they can be kept.

        Raises:
            WrongLimitsError: not money, or an amount laid ready without, or above, what may be paid at once.
        """
        every = (self.per_payment_fen, self.per_day_fen, self.per_month_fen, self.ready_fen)
        if any(fen is not None and not 0 < fen <= MOST_FEN for fen in every):
            raise WrongLimitsError
        if (self.after_visit in UP_TO) != (self.ready_fen is not None):
            raise WrongLimitsError
        return self

    @property
    def any(self) -> bool:
        """Whether anything limits a payment."""
        return any(fen is not None for fen in (self.per_payment_fen, self.per_day_fen, self.per_month_fen))


class Out(NamedTuple):
    """Money of one attempt that is out of the payer's purse, or may be in a moment.

    ``paid_on`` empty: it can still be paid, so it counts today whenever it was begun. ``back_fen`` has arrived back.
    """

    amount_fen: int
    paid_on: date | None
    back_fen: int = 0


class Room(NamedTuple):
    """The most that can be paid now, which limit says so (None: none does), its amount, and what is still under way."""

    fen: int | None
    span: Span | None
    limit_fen: int | None
    under_way_fen: int


def room(limits: Limits, out: Iterable[Out], today: date) -> Room:
    """How much may be begun now: the tightest of the three, never below nothing.

    A payment that may still come is counted today; when it comes it counts on the day it came. So whatever was begun
    when, the money of one day is admitted under that day's limit, also across midnight and the turn of a month.
    """
    day = month = under_way = 0
    for one in out:
        left = one.amount_fen - one.back_fen
        if one.paid_on is None:
            under_way += left
        elif (one.paid_on.year, one.paid_on.month) == (today.year, today.month):
            month += left
            day += left if one.paid_on == today else 0
    found = [
        (max(0, cap - used), span, cap)
        for span, cap, used in (
            (Span.PAYMENT, limits.per_payment_fen, 0),
            (Span.DAY, limits.per_day_fen, day + under_way),
            (Span.MONTH, limits.per_month_fen, month + under_way),
        )
        if cap is not None
    ]
    if not found:
        return Room(None, None, None, under_way)
    fen, span, cap = min(found, key=lambda one: one[0])
    return Room(fen, span, cap, under_way)


def first_of_month(moment: datetime) -> datetime:
    """When the month of an aware moment began, in the moment's own zone."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


class WrongLimitsError(HoufuError):
    """A limit that is no amount of money, or an amount laid ready that does not belong to the choice."""

    code = "wrong_limits"


class OverLimitError(HoufuError):
    """More than the payer lets herself pay; ``says`` names the limit and what is left, in words."""

    code = "over_limit"
    kind = Kind.FORBIDDEN

    def __init__(self, left: Room, says: str) -> None:
        super().__init__(says=says)
        self.left = left


class AskFirstError(HoufuError):
    """The patient wants to be asked before this relative pays, and has not agreed to so much."""

    code = "ask_first"
    kind = Kind.FORBIDDEN


class OtherPatientError(HoufuError):
    """The visit is no longer of the person whom the pay sheet named."""

    code = "other_patient"
    kind = Kind.CONFLICT
