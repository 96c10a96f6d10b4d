"""How a payment and a refund move, when we look again, and whom we say is paying."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle

ATTEMPT_LIFE = timedelta(minutes=15)
LINK_LIFE = timedelta(minutes=5)  # strangers keep the family from paying no longer than that
LINK_TURN = timedelta(minutes=2)  # how long one who holds a link may take before another who holds it may try
SHARES_LIFE = timedelta(hours=24)  # how long shares of which nothing is paid keep their lines from other ways to pay
INSURING_LIFE = timedelta(minutes=30)  # a consent that is not given by then is not given
SHARES_AT_MOST = 8
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
        # Its round was given up before the others had paid their shares.
        (A.PAID, A.REFUNDING): "ShareReturning",
    },
)

PAYABLE = frozenset({A.CREATED, A.OFFERED, A.UNKNOWN, A.CLOSING})
"""The provider may still take money for it."""
OURS = frozenset({A.PAID, A.SETTLED})
LIVE = PAYABLE | OURS
"""At most one of a share; a unique index keeps it so."""
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


class InsuranceState(StrEnum):
    """Where one insurance settlement stands; what is unknown stays where it is and is asked again."""

    CREATED = "created"  # waits for the patient's consent, or to be handed in
    UPLOADED = "uploaded"
    PLACED = "placed"  # reckoned and shown; nothing is taken before the payer agrees
    PAYING = "paying"  # agreed; whether the insurance has paid is asked
    PAID = "paid"
    REVOKING = "revoking"
    REVOKED = "revoked"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    FAILED = "failed"
    MANUAL = "manual"  # a person has to call the centre


I = InsuranceState  # noqa: E741 - as short as the other tables' letters
INSURANCE = Lifecycle[InsuranceState](
    "Insurance settlement",
    {
        (None, I.CREATED): "InsuranceBegun",
        (I.CREATED, I.UPLOADED): "InsuranceUploaded",
        (I.CREATED, I.FAILED): "InsuranceFailed",
        (I.CREATED, I.REVOKED): "InsuranceRevoked",
        (I.UPLOADED, I.PLACED): "InsurancePlaced",
        (I.UPLOADED, I.FAILED): "InsuranceFailed",
        # It will not reckon with this consent: another one is waited for, and the bill is handed in anew.
        (I.UPLOADED, I.CREATED): "InsuranceConsentWanted",
        (I.UPLOADED, I.REVOKING): "InsuranceRevoking",
        (I.PLACED, I.PAYING): "InsuranceConfirmed",
        (I.PLACED, I.FAILED): "InsuranceFailed",
        (I.PLACED, I.REVOKING): "InsuranceRevoking",
        (I.PAYING, I.PAID): "InsurancePaid",
        (I.PAYING, I.FAILED): "InsuranceFailed",
        (I.PAYING, I.REVOKING): "InsuranceRevoking",
        (I.REVOKING, I.REVOKED): "InsuranceRevoked",
        (I.REVOKING, I.FAILED): "InsuranceFailed",
        # It paid before it heard of the revocation: the money goes back by a refund.
        (I.REVOKING, I.REFUNDING): "InsuranceReturning",
        # Given up before all of the round was paid, or one of its lines was taken back afterwards.
        (I.PAID, I.REFUNDING): "InsuranceReturning",
        # The insurer took its payment back by itself.
        (I.PAID, I.REFUNDED): "InsuranceTookBack",
        (I.REFUNDING, I.REFUNDED): "InsuranceReturned",
        (I.REFUNDING, I.MANUAL): "InsuranceNeedsAPerson",
        (I.MANUAL, I.REFUNDED): "InsuranceReturned",
        # The centre has said no, a person has found out why: asked for once more, under another number.
        (I.MANUAL, I.REFUNDING): "InsuranceReturning",
    },
)
NO_MONEY = frozenset({I.REVOKED, I.REFUNDED, I.FAILED})
"""The insurance holds its money, and will."""
AUTHORIZATION_LIFE = timedelta(minutes=10)
CONSENT_REFUSED = frozenset(
    {"PAY_AUTH_NO_EXPIRED", "PAY_AUTH_NO_INVALID", "PAY_AUTH_NO_USED", "EC_TOKEN_INVALID", "PERSON_MISMATCH"}
)
"""What the centre says of a consent, or a certificate, that is no good; another one may be. All else is of the bill."""
_INSURANCE_LOOKS = (3, 5, 10, 20, 60)


def next_insurance_look(looks: int, now: datetime) -> datetime:
    """When to go on with a settlement: soon at first, every minute in the end; it is never given up by itself."""
    return now + timedelta(seconds=_INSURANCE_LOOKS[min(looks, len(_INSURANCE_LOOKS) - 1)])


class NotShownError(HoufuError):
    """Not every settlement is reckoned yet, or it is no longer what the payer saw."""

    code = "insurance_not_shown"
    kind = Kind.CONFLICT


class ForeignConsentError(HoufuError):
    """Somebody came back from the consent page with what was not given to them, or a second time."""

    code = "consent_foreign"
    kind = Kind.FORBIDDEN


class NotDecidedError(HoufuError):
    """The insurance's centre has not said no to a refund, so it is not to be asked for it a second time."""

    code = "refund_not_decided"
    kind = Kind.CONFLICT


class NotInsuredError(HoufuError):
    """The insurance cannot be used for this visit."""

    code = "not_insured"
    kind = Kind.CONFLICT


class AttemptInProgressError(HoufuError):
    """Somebody is paying this very share now; ``who`` as the asker calls them, ``attempt_id`` is in the way."""

    code = "attempt_in_progress"
    kind = Kind.CONFLICT

    def __init__(self, who: str, attempt_id: UUID | None = None) -> None:
        super().__init__(who=who)
        self.attempt_id = attempt_id


class RoundClosingError(HoufuError):
    """The round is being given up: nothing of it can be paid or cut any more, its lines are payable in a moment."""

    code = "round_closing"
    kind = Kind.CONFLICT


class OtherRoundError(HoufuError):
    """Other things of this visit are being paid together; what is paid first waits until they are, or are given up."""

    code = "other_round"
    kind = Kind.CONFLICT


class InsuringError(RoundClosingError):
    """The insurance settles first: what there is to pay in cash is not known yet."""

    code = "insuring"


class WrongSharesError(HoufuError):
    """The shares are not what can be cut: nothing, too many, more than is left, or for somebody who may not pay."""

    code = "wrong_shares"

    def __init__(self, left_fen: int, left: str) -> None:
        super().__init__(left=left)
        self.left_fen = left_fen


class ShareGoneError(HoufuError):
    """There is no such share (any more): cut anew meanwhile."""

    code = "share_gone"
    kind = Kind.CONFLICT


class NothingSharedError(HoufuError):
    """There is no round to give up: all of it is paid, or nothing was begun."""

    code = "nothing_shared"
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


class Piece(NamedTuple):
    """One share somebody asks for; ``person_id`` empty: for whoever comes first."""

    amount_fen: int
    person_id: UUID | None = None


def cut(left_fen: int, pieces: Sequence[Piece]) -> tuple[Piece, ...] | None:
    """The shares that are exactly what is left; a rest nobody named is for whoever comes first. None: cannot be cut."""
    rest = left_fen - sum(p.amount_fen for p in pieces)
    if not pieces or rest < 0 or any(p.amount_fen <= 0 for p in pieces):
        return None
    made = (*pieces, Piece(rest)) if rest else tuple(pieces)
    return made if len(made) <= SHARES_AT_MOST else None


def spread_back(amount_fen: int, left: Sequence[int]) -> list[int] | None:
    """How much of a line's money goes back to each payment, the latest first; None when they hold too little.

    Args:
        left: what of each payment has not gone back, in that order. One that bears the whole line bears it alone, so
            that nobody gets crumbs.
    """
    alone = next((n for n, fen in enumerate(left) if fen >= amount_fen), None)
    if alone is not None:
        return [amount_fen if n == alone else 0 for n in range(len(left))]
    made = []
    for fen in left:
        made.append(min(fen, amount_fen))
        amount_fen -= made[-1]
    return made if amount_fen == 0 else None


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
