"""The ways to pay of a rehearsal: which the house offers, which were played how often, and whose turn it is now."""

import random
from collections import Counter
from collections.abc import Collection, Iterable

PHONE = ("jsapi", "h5")
DESK = ("native", "code", "code_password", "code_undone", "face", "cash", "card")
INSURANCE = (
    "insurance_one",  # settled by one settlement
    "insurance_two",  # by several
    "insurance_account",  # the personal account was drawn on
    "insurance_mutual_aid",  # a relative's account was
    "insurance_no_account",  # the patient wanted no account used
    "insurance_given_up",  # given up in the middle
)
WINDOW = ("insurance_counter",)  # a cashier uses the insurance for the patient, at a certified terminal
FIRST = (
    "first_done",  # paid before it was done, and then done
    "first_back",  # paid, and then cancelled: the money came back by itself
)
BACK = ("refund_agreed", "refund_refused", "refund_handed_out")
WAYS = (*PHONE, *DESK, "kiosk", "shared", *INSURANCE, *WINDOW, *FIRST, *BACK)
ALWAYS_FROM = 20  # visits, from which on each way the house offers must have been played


class Ways:
    """What is played.

    Args:
        offered: the ways of this house, of ``WAYS``.
        rng: puts them in an order; cash comes first, so that a short rehearsal, too, has a drawer to count.
    """

    def __init__(self, offered: Collection[str], rng: random.Random) -> None:
        self.offered = tuple(way for way in WAYS if way in offered)
        self._order = ["cash", *rng.sample(WAYS, k=len(WAYS))]
        self.played: Counter[str] = Counter()
        self._dealt: Counter[str] = Counter()

    def deal(self, able: Iterable[str]) -> str | None:
        """One of the ways somebody is able to go: the one that was tried least; None: no way."""
        possible = [way for way in able if way in self.offered]
        if not possible:
            return None
        way = min(possible, key=lambda one: (self._weight(one), self._order.index(one)))
        self._dealt[way] += 1
        return way

    def _weight(self, way: str) -> int:
        return max(self._dealt[way], self.played[way])

    def done(self, way: str, *, worked: bool = True) -> None:
        """A way was gone to its end; or it was not, and has to be tried again."""
        if worked:
            self.played[way] += 1
        else:
            self._dealt[way] -= 1

    def untried(self, able: Iterable[str]) -> list[str]:
        """Those nobody has gone yet."""
        return [way for way in able if way in self.offered and not self._weight(way)]

    @property
    def counts(self) -> dict[str, int]:
        """How often each way the house offers was played."""
        return {way: self.played[way] for way in self.offered}

    @property
    def missing(self) -> list[str]:
        """Offered, and never played."""
        return [way for way in self.offered if not self.played[way]]
