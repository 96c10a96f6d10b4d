"""The tables of payments. Import from here."""

from payments.models.money import (
    Allocation,
    Attempt,
    BookDay,
    BookRow,
    BookRun,
    CaptureSeen,
    CodeWait,
    Difference,
    InsurancePart,
    KioskTurn,
    MixedOrder,
    NoticeSeen,
    Refund,
    Shift,
    TillMovement,
)
from payments.models.payers import (
    Deduction,
    DeductionContract,
    PayConsent,
    PayerLimit,
)

__all__ = [
    "Allocation",
    "Attempt",
    "BookDay",
    "BookRow",
    "BookRun",
    "CaptureSeen",
    "CodeWait",
    "Deduction",
    "DeductionContract",
    "Difference",
    "InsurancePart",
    "KioskTurn",
    "MixedOrder",
    "NoticeSeen",
    "PayConsent",
    "PayerLimit",
    "Refund",
    "Shift",
    "TillMovement",
]
