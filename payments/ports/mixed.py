"""What payments needs from WeChat's mixed payment (移动医保支付 2.0): one press pays the insurance's part and the cash.

The order of things: the insurance reckons (6202), the cash part is opened as an ordinary order (``CashPay.create``, the
same ``out_trade_no``), then both are bound together here, and the payer's page asks for both at once. Amounts are
integer fen, times aware. Sources: WeChat Pay merchant documents 4016781466 (order), 4016781479 (query), 4016781561
(refund report), 4016781549 (page), and the troubleshooting guide of wechatpay-skills.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from payments.ports.cash import CashChannel


class MixKind(StrEnum):
    """Whose money the order moves."""

    CASH_ONLY = "CASH_ONLY"
    INSURANCE_ONLY = "INSURANCE_ONLY"
    BOTH = "CASH_AND_INSURANCE"


class MixScene(StrEnum):
    """What is paid for (``order_type``); our bill after the visit is DIAG_PAY, and it must be the truth."""

    REG_PAY = "REG_PAY"
    DIAG_PAY = "DIAG_PAY"
    COVID_EXAM_PAY = "COVID_EXAM_PAY"
    IN_HOSP_PAY = "IN_HOSP_PAY"
    PHARMACY_PAY = "PHARMACY_PAY"
    INSURANCE_PAY = "INSURANCE_PAY"
    INT_REG_PAY = "INT_REG_PAY"
    INT_RE_DIAG_PAY = "INT_RE_DIAG_PAY"
    INT_RX_PAY = "INT_RX_PAY"
    COVID_ANTIGEN_PAY = "COVID_ANTIGEN_PAY"
    MED_PAY = "MED_PAY"


class CardType(StrEnum):
    """The paper an identity number stands on."""

    ID_CARD = "ID_CARD"
    HOUSEHOLD_REGISTRATION = "HOUSEHOLD_REGISTRATION"
    FOREIGNER_PASSPORT = "FOREIGNER_PASSPORT"
    TRAVEL_PERMIT_TW = "MAINLAND_TRAVEL_PERMIT_FOR_TW"
    TRAVEL_PERMIT_MO = "MAINLAND_TRAVEL_PERMIT_FOR_MO"
    TRAVEL_PERMIT_HK = "MAINLAND_TRAVEL_PERMIT_FOR_HK"
    FOREIGN_PERMANENT_RESIDENT = "FOREIGN_PERMANENT_RESIDENT"


class AddKind(StrEnum):
    """Why the payer pays more than the insurance left over."""

    DEFAULT = "DEFAULT_ADD_TYPE"
    FREIGHT = "FREIGHT"
    OTHER_MEDICAL = "OTHER_MEDICAL_EXPENSES"


class ReduceKind(StrEnum):
    """Why the payer pays less; what the hospital bears itself is HOSPITAL."""

    DEFAULT = "DEFAULT_REDUCE_TYPE"
    HOSPITAL = "HOSPITAL_REDUCE"
    PHARMACY = "PHARMACY_DISCOUNT"
    DISCOUNT = "DISCOUNT"
    PREPAID = "PRE_PAYMENT"
    DEPOSIT = "DEPOSIT_DEDUCTION"


class MixStatus(StrEnum):
    """The whole order. Never decide by it alone: look at ``MixState.concludes``."""

    CREATED = "MIX_PAY_CREATED"
    SUCCESS = "MIX_PAY_SUCCESS"
    REFUND = "MIX_PAY_REFUND"  # both have their money again
    FAIL = "MIX_PAY_FAIL"


class SelfPayStatus(StrEnum):
    """The cash part."""

    CREATED = "SELF_PAY_CREATED"
    SUCCESS = "SELF_PAY_SUCCESS"
    REFUND = "SELF_PAY_REFUND"
    FAIL = "SELF_PAY_FAIL"
    NONE = "NO_SELF_PAY"


class MedInsStatus(StrEnum):
    """The insurance's part."""

    CREATED = "MED_INS_PAY_CREATED"
    SUCCESS = "MED_INS_PAY_SUCCESS"
    REFUND = "MED_INS_PAY_REFUND"
    FAIL = "MED_INS_PAY_FAIL"
    NONE = "NO_MED_INS_PAY"


class MixEnd(StrEnum):
    """What a state lets us say about the money."""

    WHOLE = "WHOLE"  # everything is paid
    NOTHING = "NOTHING"  # nothing was taken, or all of it is back
    CASH_ALONE = "CASH_ALONE"  # the payer paid, the insurance did not: give the cash back
    INSURANCE_ALONE = "INSURANCE_ALONE"  # the insurance paid, the payer did not: by another order, or all goes back


class MixNo(StrEnum):
    """The definite refusals of these calls, as ``Rejected.reason``; anything else is spelled as WeChat spells it.

    PARAM_ERROR is our own no: nothing was sent.
    """

    PARAM_ERROR = "PARAM_ERROR"
    EXISTS = "MIX_ORDER_EXISTS"  # also to an identical repetition: query it
    NOT_EXIST = "MIX_ORDER_NOT_EXIST"
    OPENID = "OPENID_MISMATCH"
    IDENTITY = "IDENTITY_MISMATCH"  # name or number are not those of the e-certificate
    NO_E_CERTIFICATE = "NO_E_CERTIFICATE"
    NO_FAMILY_ACCOUNT = "NO_FAMILY_ACCOUNT"
    AUTHORIZATION = "PAY_AUTH_NO_INVALID"  # used, too old, somebody else's
    INSURANCE_SAYS_NO = "INSURANCE_CHECK_FAILED"  # only WeChat's support can say why
    LINKAGE = "MIX_LINKAGE"
    MONEY = "MIX_MONEY"


@dataclass(frozen=True, slots=True)
class MixPerson:
    """Somebody as their e-certificate knows them; a 15-digit identity number is fine."""

    name: str = field(repr=False)
    id_number: str = field(repr=False)
    card: CardType = CardType.ID_CARD


@dataclass(frozen=True, slots=True)
class MixMoney:
    """Who pays what, in fen; ``fault`` says what does not add up.

    ``cash_fen`` is what the insurance left to the payer (``ownPayAmt``), ``pay_fen`` what they really pay by WeChat:
    ``total = fund + account + other + pay + Σ reduced = fund + account + other + cash + Σ added``, from which follows
    ``pay = cash + Σ added - Σ reduced``.
    """

    total_fen: int
    fund_fen: int = 0
    account_fen: int = 0
    other_fen: int = 0
    cash_fen: int = 0
    pay_fen: int = 0
    added: tuple[tuple[AddKind, int], ...] = ()
    reduced: tuple[tuple[ReduceKind, int], ...] = ()

    @property
    def insured_fen(self) -> int:
        """What the insurance's order is about, its remainder included."""
        return self.fund_fen + self.account_fen + self.other_fen + self.cash_fen

    @property
    def fault(self) -> str | None:
        """Which rule is broken; None: none."""
        parts = (self.total_fen, self.fund_fen, self.account_fen, self.other_fen, self.cash_fen, self.pay_fen)
        details = [fen for _, fen in (*self.added, *self.reduced)]
        if any(type(fen) is not int or fen < 0 for fen in parts) or any(
            type(fen) is not int or fen < 1 for fen in details
        ):
            return "an amount is negative or no integer"
        more, less = sum(fen for _, fen in self.added), sum(fen for _, fen in self.reduced)
        by_insurance = self.fund_fen + self.account_fen + self.other_fen
        if self.total_fen < 1 or self.total_fen != by_insurance + self.pay_fen + less:
            return "total is not fund + account + other + paid + reduced"
        if self.total_fen != by_insurance + self.cash_fen + more:
            return "total is not fund + account + other + cash + added"
        return None


@dataclass(frozen=True, slots=True)
class MixOrder:
    """Both parts of one bill. ``fault`` says what must not be sent like this.

    Args:
        out_trade_no: the cash part's own number, where there is one.
        order_number: what was uploaded as ``medOrgOrd``, ≤ 20 characters.
        channel: JSAPI or MINIPROG: where the payer's page runs.
        relative: the patient, when somebody else pays by the insurer's family account (``pay_for_relatives``);
            without that account there (never inferred from ours) the order is refused.
        insured_at: when the insurance reckoned.
        location: ``"longitude,latitude"``.
        prepay_id: the opened cash part.
        passthrough: what the province's insurance wants to be told besides; no secrets of ours.
    """

    out_trade_no: str
    order_number: str
    kind: MixKind
    money: MixMoney
    channel: CashChannel
    payer_openid: str
    payer: MixPerson
    relative: MixPerson | None = None
    pay_order_id: str = ""
    pay_auth_no: str = field(default="", repr=False)
    location: str = field(default="", repr=False)
    insured_at: datetime | None = None
    prepay_id: str = ""
    scene: MixScene = MixScene.DIAG_PAY
    passthrough: Mapping[str, str] = field(default_factory=dict, repr=False)
    attach: str = ""

    @property
    def fault(self) -> str | None:
        """Which rule is broken; None: none."""
        if self.money.fault:
            return self.money.fault
        if self.channel not in (CashChannel.JSAPI, CashChannel.MINIPROG):
            return "the insurance pays inside WeChat only"
        if not self.payer_openid or not self.payer.name or not self.payer.id_number:
            return "the payer is not named"
        if self.relative is not None and not (self.relative.name and self.relative.id_number):
            return "the relative is not named"
        return self._linkage()

    def _linkage(self) -> str | None:
        insured = (self.pay_order_id, self.pay_auth_no, self.location, self.insured_at)
        if self.kind is MixKind.CASH_ONLY:
            if any(insured) or self.money.insured_fen:
                return "nothing of the insurance in a cash order"
        elif not all(insured):
            return "the insurance's order, authorization, place and time are needed"
        if self.kind is MixKind.INSURANCE_ONLY:
            return "no cash in an insurance order" if self.prepay_id or self.money.pay_fen else None
        if self.kind is MixKind.BOTH and not self.money.insured_fen:
            return "a mixed order has something of the insurance"
        return None if self.prepay_id and self.money.pay_fen else "the cash part is missing"


@dataclass(frozen=True, slots=True)
class MixState:
    """An order as WeChat reports it, verified; compare number and money with ours before believing it."""

    out_trade_no: str
    mix_trade_no: str
    kind: MixKind
    status: MixStatus
    cash: SelfPayStatus
    insurance: MedInsStatus
    money: MixMoney
    order_number: str = ""
    pay_order_id: str = ""
    paid_at: datetime | None = None
    failed_because: str = ""

    @property
    def concludes(self) -> MixEnd | None:
        """What this state proves; None proves nothing yet: ask again, or close the cash part and ask again."""
        cash, insured = self.cash is SelfPayStatus.SUCCESS, self.insurance is MedInsStatus.SUCCESS
        if MixStatus.CREATED is self.status or "CREATED" in self.cash + self.insurance:
            return None
        if self.status is MixStatus.SUCCESS:
            whole = (cash or self.cash is SelfPayStatus.NONE) and (insured or self.insurance is MedInsStatus.NONE)
            return MixEnd.WHOLE if whole and (cash or insured) else None
        if not cash and not insured:
            return MixEnd.NOTHING
        if self.status is MixStatus.REFUND or (cash and insured):
            return None
        return MixEnd.CASH_ALONE if cash else MixEnd.INSURANCE_ALONE


@dataclass(frozen=True, slots=True)
class MixPrepared:
    """What the payer's page hands to ``requestMedicalInsurancePay``; its "ok" is no proof of payment."""

    mix_trade_no: str
    client_params: Mapping[str, str]
    state: MixState


@dataclass(frozen=True, slots=True)
class MixRefund:
    """The insurance has its money again (6203 done): WeChat is told, after the cash part's own refund.

    ``refund_number`` is the cash refund's own, where there is one. ``total = fund + account + other``.
    """

    mix_trade_no: str
    refund_number: str
    at: datetime
    total_fen: int
    fund_fen: int
    account_fen: int
    other_fen: int = 0


@dataclass(frozen=True, slots=True)
class MixNotice:
    """A verified, fresh notice that everything is paid. Repeated for thirty seconds only: asking is a must."""

    id: str
    created_at: datetime
    state: MixState


class MedInsMix(Protocol):
    """WeChat's mixed payment. Every call may raise the four errors of ``kernel.outside``; refusals are ``MixNo``."""

    async def create(self, order: MixOrder) -> MixPrepared:
        """Bind the parts together; the same number again is refused (``EXISTS``), then ``query`` finds it.

        Raises:
            Rejected: PARAM_ERROR with ``MixOrder.fault`` when the order breaks a rule; nothing was sent.
        """

    def client_params(self, order: MixOrder, mix_trade_no: str) -> Mapping[str, str]:
        """The page's parameters once more, freshly signed: for an order found again by ``query``."""

    async def query(self, out_trade_no: str) -> MixState:
        """Ask by our number. Rejected ``NOT_EXIST``: WeChat never made it."""

    async def query_by_mix_trade_no(self, mix_trade_no: str) -> MixState:
        """Ask by WeChat's number."""

    async def report_refund(self, refund: MixRefund) -> None:
        """Tell WeChat that the insurance's part went back; the last report counts, repeating is harmless."""

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> MixNotice:
        """Verify and read ``MEDICAL_INSURANCE.SUCCESS`` (header names in lower case).

        Raises:
            ForgedNotice: anything but a genuine notice for us, not older than five minutes.
        """
