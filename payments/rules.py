"""How a payment and a refund move, when we look again, and whom we say is paying."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle

ATTEMPT_LIFE = timedelta(minutes=15)
LAST_LOOK = timedelta(minutes=5)  # once more after closing: money that crossed the close on its way
H5_LINK_LIFE = timedelta(minutes=4)  # WeChat's cashier address lives five minutes
SETTLE_ALARM = timedelta(minutes=5)
_FIRST_LOOKS = (5, 15, 30, 60)  # seconds after the beginning, then every minute
_REFUND_PAUSES = (3, 10, 30, 60, 300, 900, 3600)


class AttemptState(StrEnum):
    """Where one try to pay stands; unknown is a state, not an error."""

    CREATED = "created"
    OFFERED = "offered"  # the payer's page can pay it now
    UNKNOWN = "unknown"
    PAID = "paid"  # the money is there, the hospital has not booked it yet (结算中)
    SETTLED = "settled"
    CLOSING = "closing"
    CLOSED = "closed"
    FAILED = "failed"
    LATE_PAID = "late_paid"
    REFUNDING = "refunding"
    REFUNDED = "refunded"


A = AttemptState
ATTEMPT = Lifecycle[AttemptState](
    "Payment attempt",
    {
        (None, A.CREATED): "AttemptCreated",
        (A.CREATED, A.OFFERED): "AttemptOffered",
        # Asked there and not found, or found unpaid: the same order may be offered again.
        (A.UNKNOWN, A.OFFERED): "AttemptOffered",
        (A.CREATED, A.UNKNOWN): "AttemptUnknown",
        (A.OFFERED, A.UNKNOWN): "AttemptUnknown",
        (A.OFFERED, A.PAID): "AttemptPaid",
        (A.UNKNOWN, A.PAID): "AttemptPaid",
        # The provider answers a close with "paid": the payer was quicker.
        (A.CLOSING, A.PAID): "AttemptPaid",
        (A.OFFERED, A.CLOSING): "AttemptClosing",
        (A.UNKNOWN, A.CLOSING): "AttemptClosing",
        (A.CLOSING, A.CLOSED): "AttemptClosed",
        (A.CREATED, A.FAILED): "AttemptFailed",
        (A.OFFERED, A.FAILED): "AttemptFailed",
        (A.UNKNOWN, A.FAILED): "AttemptFailed",
        (A.CLOSED, A.LATE_PAID): "LateMoneyFound",
        (A.FAILED, A.LATE_PAID): "LateMoneyFound",
        (A.LATE_PAID, A.REFUNDING): "LateMoneyReturning",
        (A.REFUNDING, A.REFUNDED): "LateMoneyReturned",
        (A.PAID, A.SETTLED): "AttemptSettled",
    },
)

PAYABLE = frozenset({A.CREATED, A.OFFERED, A.UNKNOWN, A.CLOSING})
"""The provider may still take money for it."""
LIVE = PAYABLE | {A.PAID}
"""At most one of a visit (a unique index keeps it so), but for a paid one that waits for a person."""
OURS = frozenset({A.PAID, A.SETTLED})
OVER = frozenset({A.CLOSED, A.FAILED})
LATE = frozenset({A.LATE_PAID, A.REFUNDING, A.REFUNDED})


class RefundState(StrEnum):
    """Where money on its way back stands; abnormal needs a person."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    INSURANCE_RETURNED = "insurance_returned"
    SENT = "sent"  # the provider has taken the request
    CASH_RETURNED = "cash_returned"
    ABNORMAL = "abnormal"
    MANUAL = "manual"
    DONE = "done"


R = RefundState
REFUND = Lifecycle[RefundState](
    "Refund",
    {
        (None, R.REQUESTED): "RefundRequested",
        (R.REQUESTED, R.APPROVED): "RefundApproved",
        (R.REQUESTED, R.REFUSED): "RefundRefused",
        (R.APPROVED, R.INSURANCE_RETURNED): "InsuranceReturned",
        (R.APPROVED, R.SENT): "RefundSent",
        (R.INSURANCE_RETURNED, R.SENT): "RefundSent",
        (R.SENT, R.CASH_RETURNED): "CashReturned",
        (R.CASH_RETURNED, R.DONE): "RefundDone",
        (R.APPROVED, R.ABNORMAL): "RefundAbnormal",
        (R.SENT, R.ABNORMAL): "RefundAbnormal",
        # The provider's last word may still be a good one after a person has helped.
        (R.ABNORMAL, R.CASH_RETURNED): "CashReturned",
        (R.ABNORMAL, R.MANUAL): "RefundManual",
        (R.MANUAL, R.DONE): "RefundDone",
    },
)


class AttemptInProgressError(HoufuError):
    """Somebody is paying this very bill now; ``who`` as the asker calls them."""

    code = "attempt_in_progress"
    kind = Kind.CONFLICT


class AlreadyPaidError(HoufuError):
    """The bill has been paid; ``who`` as the asker calls them."""

    code = "already_paid"
    kind = Kind.CONFLICT


class AmountChangedError(HoufuError):
    """What is to be paid is no longer what the payer was shown; ``amount`` is the new amount in words."""

    code = "amount_changed"
    kind = Kind.CONFLICT

    def __init__(self, fen: int, amount: str) -> None:
        super().__init__(amount=amount)
        self.fen = fen


class OverCapError(HoufuError):
    """More than the patient let this relative pay at once."""

    code = "over_cap"
    kind = Kind.FORBIDDEN


class IdempotencyConflictError(HoufuError):
    """The key was used for something else."""

    code = "idempotency_conflict"
    kind = Kind.CONFLICT


class NotInWeChatError(HoufuError):
    """WeChat does not know this payer under our app: paying inside WeChat needs a login by WeChat first."""

    code = "pay_needs_wechat_login"
    kind = Kind.CONFLICT


class WrongMoneyError(HoufuError):
    """A verified word of the provider does not fit the attempt: amount, payer, merchant or app. An alarm; no change."""

    code = "pay_mismatch"
    kind = Kind.CONFLICT

    def __init__(self, what: str, out_trade_no: str) -> None:
        super().__init__()
        self.what, self.out_trade_no = what, out_trade_no

    def __str__(self) -> str:
        return f"{self.what} of {self.out_trade_no} does not fit"


class ReplayedNoticeError(HoufuError):
    """The very bytes of a notice came a second time: the provider signs every try anew, so it was not the provider."""

    code = "replayed"
    kind = Kind.CONFLICT


class OverRefundError(HoufuError):
    """More would go back than was paid."""

    code = "over_refund"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Till:
    """Whose till the money goes to: the merchant, and the app its payers are known in."""

    mchid: str
    appid: str


def next_look(looks: int, created_at: datetime, now: datetime) -> datetime:
    """When to ask the provider next: 5, 15, 30, 60 s after the beginning, every minute, and when its time is over."""
    if looks < len(_FIRST_LOOKS):
        at = created_at + timedelta(seconds=_FIRST_LOOKS[looks])
        return at if at > now else now + timedelta(seconds=5)
    end = created_at + ATTEMPT_LIFE
    return min(now + timedelta(minutes=1), end) if end > now else now + timedelta(minutes=1)


def next_refund_try(tries: int, now: datetime) -> datetime:
    """When to ask about a refund next: soon at first, hourly in the end; it is never given up by itself."""
    return now + timedelta(seconds=_REFUND_PAUSES[min(tries, len(_REFUND_PAUSES) - 1)])
