"""How a mixed order at WeChat moves: one press lets the insurance pay, and the cash with it where there is any.

WeChat's word about a mixed order and the centre's word about the insurance are two witnesses: what becomes of the
insurance's part is decided when they agree (``agree``).
"""

from datetime import timedelta
from enum import StrEnum

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from payments.rules import InsuranceState

DISAGREE_ALARM = timedelta(minutes=5)
"""So long WeChat and the centre may contradict each other before a person is told."""


class MixedState(StrEnum):
    """Where one mixed order stands, as far as WeChat has told us."""

    CREATED = "created"  # to be opened there, or opened and not known of yet
    OPEN = "open"  # waits for the payer's password
    WHOLE = "whole"  # everything it was to move is paid
    INSURANCE_ALONE = "insurance_alone"  # the insurance paid, the cash did not come
    CASH_ALONE = "cash_alone"  # the cash came, the insurance did not pay
    DEAD = "dead"  # nothing was taken by it, and nothing will be
    RETURNED = "returned"  # the insurance has its money again, and WeChat knows


M = MixedState
MIXED = Lifecycle[MixedState](
    "Mixed order at WeChat",
    {
        (None, M.CREATED): "MixedBegun",
        (M.CREATED, M.OPEN): "MixedOpened",
        (M.CREATED, M.DEAD): "MixedRefused",
        (M.OPEN, M.WHOLE): "MixedPaid",
        (M.OPEN, M.INSURANCE_ALONE): "MixedWithoutCash",
        (M.OPEN, M.CASH_ALONE): "MixedWithoutInsurance",
        (M.OPEN, M.DEAD): "MixedEnded",
        (M.WHOLE, M.RETURNED): "MixedReturnTold",
        (M.INSURANCE_ALONE, M.RETURNED): "MixedReturnTold",
    },
)
UNDECIDED = frozenset({M.CREATED, M.OPEN})
INSURANCE_PAID = frozenset({M.WHOLE, M.INSURANCE_ALONE})
NOT_PAID = frozenset({M.DEAD, M.CASH_ALONE})


class Waits(StrEnum):
    """What one settlement waits for, as the payer's page shows it."""

    CONSENT = "consent"  # the patient, on the insurance's page
    RECKONING = "reckoning"  # the insurance
    AGREEMENT = "agreement"  # the payer, who sees the split
    OPENING = "opening"  # WeChat, a moment
    PASSWORD = "password"  # noqa: S105 - the payer, in WeChat: ``invoke``
    RESULT = "result"  # the insurance pays, or it is asked whether it has
    RETURN = "return"  # what was done is being taken back
    NOTHING = "nothing"


_WAITS = {
    InsuranceState.UPLOADED: Waits.RECKONING,
    InsuranceState.PLACED: Waits.AGREEMENT,
    InsuranceState.REVOKING: Waits.RETURN,
    InsuranceState.REFUNDING: Waits.RETURN,
    InsuranceState.MANUAL: Waits.RETURN,
}


def waits_for(part: InsuranceState, mixed: MixedState | None, *, consented: bool) -> Waits:
    """What a settlement waits for, given its mixed order (None: there is none)."""
    if part is InsuranceState.CREATED:
        return Waits.RECKONING if consented else Waits.CONSENT
    if part is InsuranceState.PAYING:
        opening = {M.CREATED: Waits.OPENING, M.OPEN: Waits.PASSWORD}
        return opening.get(mixed, Waits.RESULT) if mixed is not None else Waits.RESULT
    return _WAITS.get(part, Waits.NOTHING)


class InsuranceInWeChatError(HoufuError):
    """The insurance pays inside WeChat only, and there by the payer's own WeChat: another browser, or not known."""

    code = "insurance_only_in_wechat"
    kind = Kind.CONFLICT


class InsuranceNotHereError(HoufuError):
    """This house has no line to the insurance, or none to WeChat's mixed payment."""

    code = "insurance_not_here"
    kind = Kind.CONFLICT


class ConsentOverError(HoufuError):
    """The patient's consent is too old to be used: everything is taken back, and she may begin anew."""

    code = "insurance_consent_over"
    kind = Kind.CONFLICT
