"""What payments needs from the mobile payment centre of the insurance (移动支付中心): hand in, reckon, look, take back.

Amounts are integer fen, times aware UTC; we show what the centre reckons and compute none of it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Protocol

from kernel.outside import Unknown


class Conclusion(StrEnum):
    """What a state lets us say about the insurance's money; a state that says nothing has None instead."""

    PAID = "PAID"  # the insurance has paid and the payment stands
    NEVER_PAID = "NEVER_PAID"  # it has not paid this order and never will
    GIVEN_BACK = "GIVEN_BACK"  # it had paid, and has its money again


class InsuranceStatus(IntEnum):
    """The centre's ``ordStas``; of our cash it proves nothing, there only our own channel's word counts.

    PAID is not for ever: 4 may still end in 15 or 16. Only what is written back to the HIS is final.
    """

    SAVED = 0  # nothing paid, everything possible, may be revoked; so is 1
    PRE_SETTLED = 1
    SETTLING = 2  # the insurance may have paid already or not: ask again; so is 3
    CASH_DONE = 3
    INSURANCE_PAID = 4  # cash may be missing
    SETTLED_INSIDE = 5
    SETTLED = 6
    REFUNDED = 7  # both have their money again
    INSURANCE_REFUNDED = 8
    CASH_REFUNDED = 9  # the insurance's payment stands; so in 10
    CASH_PARTLY_REFUNDED = 10
    INSURANCE_REFUNDED_CASH_PARTLY = 11
    REVOKED = 12  # withdrawn before anything was paid; final
    INSURANCE_REVOKED = 13  # it had paid and took it back
    ABNORMAL = 14  # proves nothing: a person must call the centre
    FAILED = 15  # final
    FAILED_CASH_NOT_REVERSED = 16  # the insurance does not pay (any longer); a person must give the cash back
    REFUNDING = 17  # ask again

    @property
    def concludes(self) -> Conclusion | None:
        """What this state proves; None proves nothing."""
        if self in (4, 5, 6, 9, 10):
            return Conclusion.PAID
        if self in (12, 15, 16):
            return Conclusion.NEVER_PAID
        return Conclusion.GIVEN_BACK if self in (7, 8, 11, 13) else None


class UnbalancedSplit(Unknown):
    """The centre's amounts do not add up, so nothing of them may be believed; it may still have acted."""


@dataclass(frozen=True, slots=True)
class Split:
    """Who bears a settlement, in fen. ``total = fund + personal_account + other + cash``, exactly.

    ``mutual_aid_fen`` is the relatives' part of ``personal_account_fen``; ``hospital_part_fen`` and ``deposit_fen``
    are already inside the others and never added again. Anything else raises UnbalancedSplit. We only show it.
    """

    total_fen: int
    fund_fen: int
    personal_account_fen: int
    cash_fen: int
    mutual_aid_fen: int = 0
    other_fen: int = 0
    hospital_part_fen: int = 0
    deposit_fen: int = 0

    def __post_init__(self) -> None:
        parts = (self.fund_fen, self.personal_account_fen, self.other_fen, self.cash_fen)
        inner = (self.mutual_aid_fen, self.hospital_part_fen, self.deposit_fen)
        if any(type(fen) is not int or fen < 0 for fen in (self.total_fen, *parts, *inner)):
            raise UnbalancedSplit("an amount is negative or no integer")
        if sum(parts) != self.total_fen:
            raise UnbalancedSplit(f"the parts make {sum(parts)} fen, the total is {self.total_fen} fen")
        if self.mutual_aid_fen > self.personal_account_fen or self.hospital_part_fen > self.total_fen:
            raise UnbalancedSplit("a part is larger than what it is part of")


@dataclass(frozen=True, slots=True)
class Insured:
    """The patient as the insurance knows them. ``id_type`` 01: resident's card; ``insurance_type`` 310: employees."""

    name: str = field(repr=False)
    id_type: str = field(repr=False)
    id_number: str = field(repr=False)
    person_number: str = field(default="", repr=False)
    insurance_type: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Authorized:
    """What the patient's consent in the insurance's mini-program gives us; good for minutes and one order.

    ``family``: a relative consented for the patient (``pay_for_relatives``); ``name`` and ``card`` are the relative's.
    """

    pay_auth_no: str = field(repr=False)
    family: bool
    name: str = field(default="", repr=False)
    card: str = field(default="", repr=False)
    ec_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FeeLine:
    """One charge. ``amount_fen`` is what counts; ``code`` is the national one, ``hospital_code`` ours."""

    number: str
    at: datetime
    code: str
    hospital_code: str
    quantity: Decimal
    price_fen: int
    amount_fen: int
    department: str
    doctor: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One diagnosis, coded; the first is the main one."""

    code: str
    name: str
    department: str
    doctor: str
    doctor_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FeeUpload:
    """A bill for the insurance (6201). Σ lines = ``total_fen``.

    Args:
        order_number: ours, unique at the centre, ≤ 20 characters (``medOrgOrd``).
        pay_auth_no: or ``ec_token``; with the first the visit's ``registration`` (``mdtrtId``) is needed.
        account_used: the patient's choice about their account and their relatives'; None leaves it to the insurer.
        location: ``"longitude,latitude"`` of the patient, as the consent page gave it.
        scope: fully own, own share first, in scope; if given, it adds up to the total.
    """

    order_number: str
    insured: Insured
    visit_number: str
    begun_at: datetime
    department: str
    department_name: str
    total_fen: int
    lines: tuple[FeeLine, ...]
    diagnoses: tuple[Diagnosis, ...]
    batch: str
    pay_auth_no: str = field(default="", repr=False)
    ec_token: str = field(default="", repr=False)
    registration: str = ""
    location: str = "0,0"
    account_used: bool | None = None
    scope: tuple[int, int, int] | None = None
    speciality: str = "A03.01"
    medical_type: str = "11"
    fee_type: str = "01"


@dataclass(frozen=True, slots=True)
class Credential:
    """The centre's order and the secret that opens it; keep ``pay_token`` sealed."""

    pay_order_id: str
    pay_token: str = field(repr=False)
    registration: str = ""


@dataclass(frozen=True, slots=True)
class InsuranceOrder:
    """Ask the insurance to reckon (6202); ``business_number`` is ours, the rest as uploaded."""

    credential: Credential
    pay_auth_no: str = field(repr=False)
    business_number: str
    batch: str
    registration: str
    fee_type: str = "01"
    account_used: bool | None = None


@dataclass(frozen=True, slots=True)
class InsuranceState:
    """An order as the centre reports it, verified.

    ``told_at`` is when it said so: of two reports the later counts, and a notice is but a reason to ask.
    ``split`` is None as long as nothing was reckoned. ``traced_at`` is the centre's own time of the state.
    """

    pay_order_id: str
    status: InsuranceStatus
    told_at: datetime
    split: Split | None = None
    order_number: str = ""
    traced_at: datetime | None = None


class RefundKind(StrEnum):
    """Whose money goes back."""

    ALL = "ALL"
    CASH = "CASH"
    INSURANCE = "HI"


class InsuranceRefundStatus(StrEnum):
    """The centre's word: EXP means nobody knows, a person must call."""

    SUCCESS = "SUCC"
    FAILED = "FAIL"
    EXCEPTION = "EXP"


@dataclass(frozen=True, slots=True)
class InsuranceRefund:
    """Money back (6203), by whose it was: ``total = fund + personal_account + other + cash``.

    ALL names every part of the settlement, CASH only cash, INSURANCE no cash. ``refund_number`` returns the same
    money once. Exactly one of ``pay_auth_no`` and ``ec_token``.
    """

    pay_order_id: str
    refund_number: str
    at: datetime
    kind: RefundKind
    total_fen: int
    fund_fen: int
    personal_account_fen: int
    cash_fen: int
    other_fen: int = 0
    pay_auth_no: str = field(default="", repr=False)
    ec_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class InsuranceRefunded:
    """What became of a refund; the two numbers are the centre's and the insurance's, ``at`` the insurance's time."""

    refund_number: str
    status: InsuranceRefundStatus
    refund_id: str = ""
    insurance_refund_id: str = ""
    at: datetime | None = None


class FamilyAccounts(Protocol):
    """The insurer's own family accounts (医保亲情账户), which are no affair of ours: only it says who is in one."""

    async def family_account(self, payer: Insured, patient: Insured) -> bool:
        """Whether this payer may pay for this patient by the insurer's family account.

        Raises:
            NotConfigured: the province has no such question.
            Unknown, Throttled, Rejected: it does not say.
        """


class InsuranceCenter(Protocol):
    """The mobile payment centre. Every call may raise the four errors of ``kernel.outside``.

    Rejected carries the centre's own code, or ours where the province's settings translate it; ``PARAM_ERROR`` is our
    own no, before anything was sent. Identical repetitions of ``upload``, ``place``, ``revoke`` and ``refund`` find the
    same order or refund again: that is what may follow Unknown where there is no number yet to query by.
    """

    async def resolve_auth(self, auth_code: str, openid: str) -> Authorized:
        """Change the mini-program's code for an authorization; a code works once."""

    async def upload(self, fees: FeeUpload) -> Credential:
        """Hand in a bill (6201)."""

    async def place(self, order: InsuranceOrder) -> Split:
        """Let the insurance reckon (6202); nothing is paid yet. Rejected ``ORDER_STATUS_<n>``: it is already over."""

    async def query(self, credential: Credential, insured: Insured) -> InsuranceState:
        """Ask for an order's state (6301)."""

    async def revoke(self, credential: Credential, insured: Insured) -> None:
        """Take an order back before the insurance pays (6401); once it has, only a refund helps."""

    async def refund(self, refund: InsuranceRefund) -> InsuranceRefunded:
        """Give money back (6203)."""

    async def decode_notice(self, raw: bytes) -> InsuranceState:
        """Verify and read a 6302 notice. A genuine one may be old or repeated: query before deciding.

        Raises:
            ForgedNotice: anything but a genuine notice for us.
        """
