"""What the comparison of the books needs from the insurance: whether our totals of a day are theirs, and each line."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class InsuranceTotals:
    """What one hospital and the insurance settled on a day in China, refunds taken off; ``count`` counts both."""

    day: date
    count: int
    total_fen: int
    fund_fen: int
    personal_account_fen: int


@dataclass(frozen=True, slots=True)
class InsuranceRow:
    """One line of the insurance's statement; amounts are positive also of a refund, its parts make the total.

    ``number`` is ours: of the settlement (``medOrgOrd``) or of the refund; ``order_number`` is always the settlement's.
    """

    kind: Literal["settle", "refund"]
    number: str
    order_number: str
    pay_order_id: str
    total_fen: int
    fund_fen: int
    personal_account_fen: int
    other_fen: int
    cash_fen: int
    at: datetime


def insurance_totals(day: date, rows: Iterable[InsuranceRow]) -> InsuranceTotals:
    """The sums of a day's lines."""
    count = total = fund = account = 0
    for row in rows:
        sign = -1 if row.kind == "refund" else 1
        count += 1
        total += sign * row.total_fen
        fund += sign * row.fund_fen
        account += sign * row.personal_account_fen
    return InsuranceTotals(day, count, total, fund, account)


class InsuranceStatements(Protocol):
    """The insurance's books of a day. Every call may raise the four errors of ``kernel.outside``."""

    async def agrees(self, ours: InsuranceTotals) -> bool:
        """Whether the insurance's totals of the day are these (3201); it does not say its own."""

    async def statement(self, day: date) -> tuple[InsuranceRow, ...]:
        """Every settlement and refund of a day (3202), to be asked when the totals do not agree."""
