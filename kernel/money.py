"""Money is a whole number of fen; nothing here ever sees a float."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NewType

Fen = NewType("Fen", int)

_YUAN = re.compile(r"-?\d{1,12}(\.\d{1,2})?")


def yuan(fen: int) -> str:
    """Write an amount as people read it: ``7760`` → ``"77.60"``, ``123456700`` → ``"1,234,567.00"``."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), 100)
    return f"{sign}{whole:,}.{rest:02d}"


def fen_of_yuan(text: str) -> Fen:
    """Read a yuan amount such as ``"77.6"``; at most two decimals.

    Raises:
        ValueError: the text is not a plain decimal amount.
    """
    if not _YUAN.fullmatch(text):
        raise ValueError(f"not an amount in yuan: {text!r}")
    return Fen(int(Decimal(text) * 100))


def split(total: int, weights: Sequence[int]) -> list[Fen]:
    """Cut ``total`` fen by weights so that the parts add up exactly (largest remainder, ties to the first).

    Raises:
        ValueError: no weights, a negative weight, or all weights zero.
    """
    whole = sum(weights)
    if not weights or min(weights) < 0 or whole == 0:
        raise ValueError("weights must be non-negative and not all zero")
    parts = [total * w // whole for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return [Fen(p) for p in parts]
