"""Two witnesses of one insurance payment: what WeChat says of the mixed order, and what the payment centre says.

Decided is what both say. Where they contradict each other nothing is decided: one of them is late, or wrong.
"""

from enum import StrEnum

from payments.ports import Conclusion, InsuranceStatus
from payments.rules.mixing import INSURANCE_PAID, NOT_PAID, UNDECIDED, MixedState

_REVOCABLE = (InsuranceStatus.SAVED, InsuranceStatus.PRE_SETTLED)


class Verdict(StrEnum):
    """What both words together allow."""

    PAID = "paid"
    GONE = "gone"  # the insurance holds its money
    TAKE_BACK = "take_back"  # WeChat's order came to nothing, the centre still waits: it is to be revoked
    WAIT = "wait"
    CONTRADICTED = "contradicted"


def weigh(mixed: MixedState, centre: InsuranceStatus) -> Verdict:
    """What follows for a settlement that is being paid."""
    proves = centre.concludes
    if proves is None:
        return Verdict.TAKE_BACK if mixed in NOT_PAID and centre in _REVOCABLE else Verdict.WAIT
    if mixed in UNDECIDED:
        return Verdict.CONTRADICTED
    if proves is Conclusion.PAID:
        return Verdict.PAID if mixed in INSURANCE_PAID else Verdict.CONTRADICTED
    if proves is Conclusion.NEVER_PAID:
        return Verdict.GONE if mixed in NOT_PAID else Verdict.CONTRADICTED
    return Verdict.GONE  # given back: WeChat knows only of what we report
