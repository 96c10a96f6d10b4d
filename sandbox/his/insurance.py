"""What insurance will pay of one charge, as the hospital's system reckons it when the charge is written (预结算).

A simplified outpatient rule: class A and B are paid by the pooled fund at the scheme's percentage, rounded down to the
fen; what is left of A and B comes from the personal account as far as it reaches; class C is the patient's alone.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Split(NamedTuple):
    """Three parts in fen that always add up to the amount."""

    fund_fen: int
    account_fen: int
    self_fen: int


def split(
    amount_fen: int,
    insurance_class: str | None,
    status: str,
    scheme: str | None,
    fund_percent: Mapping[str, Mapping[str, int]],
    account_fen: int,
) -> Split:
    """Cut one charge in three.

    Args:
        amount_fen: the whole charge, ≥ 0.
        insurance_class: A, B or C; None counts as C.
        status: normal, suspended or none; only normal is paid for.
        fund_percent: scheme → class → whole percent of the pooled fund.
        account_fen: what is left on the personal account, ≥ 0.
    """
    if status != "normal" or scheme is None or insurance_class not in ("A", "B"):
        return Split(0, 0, amount_fen)
    fund = amount_fen * fund_percent.get(scheme, {}).get(insurance_class, 0) // 100
    account = min(account_fen, amount_fen - fund)
    return Split(fund, account, amount_fen - fund - account)
