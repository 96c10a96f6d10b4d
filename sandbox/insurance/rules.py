"""What the made-up insurance pays: for each charge by its class, to the fen, then from accounts as far as they reach.

Class A and B: the pooled fund pays the scheme's percentage, rounded down a charge; a supplement pays its percentage of
what is left. The rest of A and B comes from the patient's account, then from the relatives' who share theirs, in their
order. Class C is the patient's alone; of it the hospital may bear a percentage, which stays inside the cash part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SCHEMES: Mapping[str, Mapping[str, int]] = {"310": {"A": 70, "B": 60}, "390": {"A": 50, "B": 40}}


@dataclass(frozen=True, slots=True)
class Rules:
    """The insurance's book of rules.

    Args:
        percent: insurance type → class → whole percent of the pooled fund.
        classes: national code → A, B or C; what is not in it is C.
        other: insurance type → percent of the supplement.
        hospital: national code → percent of a class C charge the hospital bears.
    """

    percent: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: SCHEMES)
    classes: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, int] = field(default_factory=dict)
    hospital: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """A bill cut into what each pays, in fen; ``accounts`` are (whose identity number, how much), own first."""

    total: int
    fund: int
    other: int
    accounts: tuple[tuple[str, int], ...]
    cash: int
    mutual: int
    hospital: int

    @property
    def account(self) -> int:
        """From all accounts."""
        return sum(amount for _, amount in self.accounts)


def cut(
    rules: Rules,
    scheme: str | None,
    charges: Sequence[tuple[str, int]],
    accounts: Sequence[tuple[str, int]],
) -> Cut:
    """Cut a bill.

    Args:
        scheme: None for somebody whose insurance rests.
        charges: (national code, fen).
        accounts: (identity number, balance), the patient's own first; empty if they chose not to use any.
    """
    fund = other = shared = hospital = 0
    for code, amount in charges:
        kind = rules.classes.get(code, "C")
        if scheme is None or kind not in ("A", "B"):
            hospital += amount * rules.hospital.get(code, 0) // 100
            continue
        by_fund = amount * rules.percent.get(scheme, {}).get(kind, 0) // 100
        by_other = (amount - by_fund) * rules.other.get(scheme, 0) // 100
        fund, other, shared = fund + by_fund, other + by_other, shared + amount - by_fund - by_other
    total = sum(amount for _, amount in charges)
    taken: list[tuple[str, int]] = []
    for whose, balance in accounts:
        part = min(balance, shared - sum(amount for _, amount in taken))
        if part > 0:
            taken.append((whose, part))
    drawn = sum(amount for _, amount in taken)
    own = accounts[0][0] if accounts else ""
    mutual = sum(amount for whose, amount in taken if whose != own)
    return Cut(total, fund, other, tuple(taken), total - fund - other - drawn, mutual, hospital)
