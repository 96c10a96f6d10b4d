"""Money over the counter: which ways it comes there, when a cashier's shift holds it, and what a shown code may do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from notices.rules import Row
from people.rules import View

CODE_KEPT = timedelta(hours=1)  # digests of codes that were read; their signatures are good for five minutes
CODE_WAIT = timedelta(minutes=2)  # how long a terminal waits for a code after somebody asked for one
KIOSK_REST = timedelta(seconds=90)  # a kiosk nobody touches forgets who stood there


class DeskWay(StrEnum):
    """How money comes at a counter or a kiosk, besides the QR a patient scans (NATIVE)."""

    CASH = "CASH"
    CARD = "CARD"  # the bank's own terminal took it; we keep its reference number
    CODE = "CODE"  # the payment code on a phone, read by a scanner
    FACE = "FACE"  # a face, looked at by a terminal of WeChat's


IN_HAND = frozenset({DeskWay.CASH, DeskWay.CARD})
"""No provider of ours moves this money: a cashier in an open shift takes it and gives it back."""


READ = frozenset({DeskWay.CODE, DeskWay.FACE})
"""Read by a terminal and charged at once: undone after thirty seconds, never closed, and no notice comes of them."""


class ShiftState(StrEnum):
    """Where a cashier's shift stands; a closed one takes no money and never opens again."""

    OPEN = "open"
    CLOSED = "closed"


SHIFT = Lifecycle[ShiftState](
    "Cashier's shift",
    {
        (None, ShiftState.OPEN): "ShiftOpened",
        (ShiftState.OPEN, ShiftState.CLOSED): "ShiftClosed",
    },
)


class NoShiftError(HoufuError):
    """The cashier has no open shift, so no money can be taken or given."""

    code = "no_shift"
    kind = Kind.CONFLICT


class ShiftOpenError(HoufuError):
    """The cashier's shift is open already."""

    code = "shift_open"
    kind = Kind.CONFLICT


class CountReasonError(HoufuError):
    """What was counted is not what should be there, and nobody says why."""

    code = "count_reason"

    def __init__(self, difference: str) -> None:
        super().__init__(difference=difference)


class TooLittleCashError(HoufuError):
    """Less was given than is to be paid."""

    code = "too_little_cash"

    def __init__(self, missing: str) -> None:
        super().__init__(missing=missing)


class CardReferenceError(HoufuError):
    """The reference number of the bank's terminal is missing, or is no such number."""

    code = "card_reference"


class CardUsedError(HoufuError):
    """This slip of the bank's terminal has been used for another payment."""

    code = "card_used"
    kind = Kind.CONFLICT


class CodeUsedError(HoufuError):
    """This very code was read before: a code is good for one charge."""

    code = "code_used"
    kind = Kind.CONFLICT


class NotAwaitedError(HoufuError):
    """Nobody waits for a code at this terminal."""

    code = "capture_not_awaited"
    kind = Kind.CONFLICT


class FaceNotHereError(HoufuError):
    """A face cannot be charged here (ADR 26); the payment code can."""

    code = "face_not_here"
    kind = Kind.CONFLICT


class CaptureNotHereError(HoufuError):
    """What was read is of a kind this place can do nothing with."""

    code = "capture_not_here"
    kind = Kind.CONFLICT


class CertificateForeignError(HoufuError):
    """The insurance certificate that was read is somebody else's than the patient's the hospital knows."""

    code = "certificate_foreign"
    kind = Kind.CONFLICT


class TerminalBusyError(HoufuError):
    """Another desk waits for a code at this scanner."""

    code = "terminal_busy"
    kind = Kind.CONFLICT


class NotCashBackError(HoufuError):
    """This refund is not one to be handed out at a counter now."""

    code = "not_cash_back"
    kind = Kind.CONFLICT


class NotAbnormalError(HoufuError):
    """Only a refund the provider could not make is paid by hand."""

    code = "not_abnormal"
    kind = Kind.CONFLICT


def see_till(row: Row, view: View) -> Mapping[str, Any] | None:
    """What of a ``till`` row a view sees: what a terminal read in vain is the desk's business alone."""
    return row.payload if view.staff else None


def next_code_look(created_at: datetime, now: datetime, every: timedelta, patience: timedelta) -> datetime:
    """When to ask about a code or face next: every five seconds for thirty, then soon, because it has to be undone."""
    return min(now + every, max(created_at + patience, now + timedelta(seconds=2)))
