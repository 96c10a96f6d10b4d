"""What every side knows of one payment or refund, and what it means when they do not say the same.

Nothing here asks anybody: things in, differences out. The sides are the provider's daily bill, our own attempts and
refunds, our ledger, the hospital's list of what it booked, and the insurance's statement.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from payments.rules import NO_MONEY, OVER, AttemptState
from payments.rules import InsuranceState as S

BEIJING = timezone(timedelta(hours=8))
READY_AT = time(10, 5)  # WeChat promises yesterday's bill from ten o'clock on
LOOK_BACK = timedelta(days=7)  # so long a day that could not be compared whole is tried again
TRY_AGAIN = (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3))


class Side(StrEnum):
    """Whose books."""

    PROVIDER = "provider"
    HERE = "here"
    LEDGER = "ledger"
    HIS = "his"
    INSURANCE = "insurance"


class SideState(StrEnum):
    """How far a side's books of one day are with us."""

    THERE = "there"
    KEPT = "kept"  # asked again, and no answer: what was fetched before, when the day was over, still counts
    WAITS = "waits"  # the day is not over there, or its bill is not made yet
    TROUBLE = "trouble"  # asked, and no answer one can rely on
    ABSENT = "absent"  # not set up, or cannot answer such a question


HAVE = frozenset({SideState.THERE, SideState.KEPT})
"""The side's books of the whole day are with us."""


def side_after(before: str | None, asked: SideState, *, whole: bool) -> SideState:
    """How far a side's books are after it was asked.

    Args:
        whole: what is kept of it was fetched when the day was over; a list of the day so far is no list of the day.
    """
    return SideState.KEPT if asked is not SideState.THERE and before in HAVE and whole else asked


class About(StrEnum):
    """What a difference is about."""

    PAYMENT = "payment"
    SETTLEMENT = "settlement"  # what the hospital books: all the payments of a round together
    REFUND = "refund"
    INSURANCE = "insurance"  # what the insurance bears of one encounter
    INSURANCE_BACK = "insurance_back"  # the same going back to it, whole


INSURED = frozenset({About.INSURANCE, About.INSURANCE_BACK})


class Cut(NamedTuple):
    """Who bears a settlement of the insurance, in fen; of one going back only the insurance's part."""

    fund_fen: int
    account_fen: int
    other_fen: int
    cash_fen: int

    @property
    def insured_fen(self) -> int:
        """What the insurance bears."""
        return self.fund_fen + self.account_fen + self.other_fen

    @property
    def text(self) -> str:
        """As a row keeps it."""
        return "/".join(map(str, self))

    @classmethod
    def of(cls, text: str) -> "Cut | None":
        """From ``text``; None for anything else."""
        parts = text.split("/")
        return cls(*map(int, parts)) if len(parts) == len(cls._fields) and all(p.isdigit() for p in parts) else None


class DiffKind(StrEnum):
    """How two sides differ; of a refund the same words mean money on its way back."""

    MISSING_AT_PROVIDER = "missing_at_provider"
    MISSING_HERE = "missing_here"
    AMOUNT_DIFFERS = "amount_differs"
    LEDGER_DIFFERS = "ledger_differs"
    MISSING_AT_HIS = "missing_at_his"
    EXTRA_AT_HIS = "extra_at_his"
    HIS_DIFFERS = "his_differs"
    SPLIT_DIFFERS = "split_differs"  # the insurer: the same sum, borne by others
    HIS_SPLIT_DIFFERS = "his_split_differs"


K = DiffKind
NEEDS: dict[DiffKind, frozenset[Side]] = {
    K.MISSING_AT_PROVIDER: frozenset({Side.PROVIDER}),
    K.MISSING_HERE: frozenset({Side.PROVIDER}),
    K.AMOUNT_DIFFERS: frozenset({Side.PROVIDER}),
    K.LEDGER_DIFFERS: frozenset(),
    K.MISSING_AT_HIS: frozenset({Side.HIS}),
    K.EXTRA_AT_HIS: frozenset({Side.HIS}),
    K.HIS_DIFFERS: frozenset({Side.HIS}),
    K.SPLIT_DIFFERS: frozenset({Side.PROVIDER}),
    K.HIS_SPLIT_DIFFERS: frozenset({Side.HIS}),
}


def needs(about: About, kind: DiffKind) -> frozenset[Side]:
    """Whose books a difference needs: without them it is neither found nor gone. The insurance pays its part itself."""
    found = NEEDS[kind]
    return frozenset({Side.INSURANCE}) if about in INSURED and Side.PROVIDER in found else found


class DiffState(StrEnum):
    """Where a difference on the worklist stands."""

    OPEN = "open"
    CLOSED = "closed"


DIFFERENCE = Lifecycle[DiffState](
    "Difference",
    {
        (None, DiffState.OPEN): "DifferenceFound",
        # By a person with a reason, or by itself when the next comparison no longer finds it.
        (DiffState.OPEN, DiffState.CLOSED): "DifferenceClosed",
        # Found again after it had gone, or with another amount than was explained.
        (DiffState.CLOSED, DiffState.OPEN): "DifferenceCameBack",
    },
)


class NotOverError(HoufuError):
    """The day lies ahead: there is nothing to compare."""

    code = "day_not_over"
    kind = Kind.INVALID


class NoReasonError(HoufuError):
    """A difference is closed with a reason of at least two characters."""

    code = "no_reason"
    kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Row:
    """One line of another side's books; amounts are positive, also of money that went back.

    Args:
        number: ours, of the payment or the refund.
        payment: our number of the payment that a refund belongs to; of a payment its own number.
        reference: the side's own number of it.
    """

    about: About
    number: str
    payment: str
    reference: str
    amount_fen: int
    at: datetime
    state: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """One payment or refund as all sides know it, in fen; None: that side does not know it.

    Args:
        state: of our attempt or refund; empty: we have none by this number.
        told: what the hospital was told to book; None: nothing, and nothing may stand there.
        call: how telling it went: ``pending``, ``done``, or the reason of a refusal.
        provider: the provider's bill; of what the insurance bears, the insurance's statement.
        billed: whether the provider's bill ought to have it (counter cash has no provider).
        waits: it may still turn up in a day's bill that is not here yet.
        here_cut, provider_cut, told_cut, his_cut: who bears it, as each of them says; of the insurance alone.
    """

    about: About
    number: str
    payment: str
    state: str = ""
    here: int | None = None
    provider: int | None = None
    ledger: int | None = None
    told: int | None = None
    his: int | None = None
    call: str = ""
    billed: bool = True
    waits: bool = False
    here_cut: Cut | None = None
    provider_cut: Cut | None = None
    told_cut: Cut | None = None
    his_cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One difference: ``here_fen`` and ``there_fen`` are what the two sides say, None where a side says nothing.

    ``cause`` is a word that ``words.books`` turns into the probable cause and the next step.
    """

    about: About
    kind: DiffKind
    number: str
    here_fen: int | None
    there_fen: int | None
    cause: str

    @property
    def amount_fen(self) -> int:
        """By how much the two sides differ; never 0."""
        return abs((self.here_fen or 0) - (self.there_fen or 0))


def compare(things: Iterable[Thing], sides: Collection[Side]) -> Iterator[Found]:
    """All differences of these things, as far as the sides that are there can show them."""
    for thing in things:
        for found in _of(thing):
            if needs(found.about, found.kind) <= set(sides) and found.amount_fen:
                yield found


def _of(thing: Thing) -> Iterator[Found]:
    yield from _by_provider(thing)
    if thing.here is not None and thing.ledger is not None and thing.ledger != thing.here:
        yield _found(thing, K.LEDGER_DIFFERS, thing.here, thing.ledger, "ledger")
    yield from _by_his(thing)


def _found(thing: Thing, kind: DiffKind, here: int | None, there: int | None, cause: str) -> Found:
    return Found(thing.about, kind, thing.number, here, there, cause)


def _by_provider(thing: Thing) -> Iterator[Found]:
    here, there, of = thing.here, thing.provider, "insurance_" if thing.about in INSURED else ""
    if here is None and there is not None:
        yield _found(thing, K.MISSING_HERE, None, there, _why_not_here(thing))
    elif here is not None and there is None and thing.billed and not thing.waits:
        yield _found(thing, K.MISSING_AT_PROVIDER, here, None, f"{of}no_row")
    elif here is not None and there is not None and here != there:
        yield _found(thing, K.AMOUNT_DIFFERS, here, there, f"{of}amounts")
    elif part := _other_part(thing.here_cut, thing.provider_cut):
        yield _found(thing, K.SPLIT_DIFFERS, *part)


def _by_his(thing: Thing) -> Iterator[Found]:
    insured = thing.about in INSURED
    if thing.told and thing.his is None:
        cause = "his_insurance" if insured else _why_not_at_his(thing.call)
        yield _found(thing, K.MISSING_AT_HIS, thing.told, None, cause)
    elif not thing.told and thing.his:
        yield _found(thing, K.EXTRA_AT_HIS, None, thing.his, "never_told" if thing.state else "no_number")
    elif thing.told and thing.his is not None and thing.told != thing.his:
        yield _found(thing, K.HIS_DIFFERS, thing.told, thing.his, "his_insurance" if insured else "amounts")
    elif part := _other_part(thing.told_cut, thing.his_cut):
        yield _found(thing, K.HIS_SPLIT_DIFFERS, *part)


def _other_part(here: Cut | None, there: Cut | None) -> tuple[int, int, str] | None:
    """The first part two sides do not share: what each says of it, and which it is."""
    if here is None or there is None:
        return None
    pairs = zip(Cut._fields, here, there, strict=True)
    return next(((mine, theirs, f"split:{name}") for name, mine, theirs in pairs if mine != theirs), None)


def _why_not_here(thing: Thing) -> str:
    if thing.about in INSURED:
        return _why_insurance_not_here(thing)
    if not thing.state:
        return "no_number"
    if thing.about is About.PAYMENT and thing.state in OVER:
        return "closed_here"
    if thing.about is About.PAYMENT and thing.state in (AttemptState.PAID, AttemptState.SETTLED):
        return "other_payment"
    return "not_known_yet"


def _why_insurance_not_here(thing: Thing) -> str:
    if not thing.state:
        return "insurance_no_number"
    open_ = thing.state not in NO_MONEY or (thing.about is About.INSURANCE_BACK and thing.state != S.REFUNDED)
    return "insurance_not_known_yet" if open_ else "insurance_closed"


def _why_not_at_his(call: str) -> str:
    if call == "done":
        return "said_done"
    return "on_its_way" if call in ("", "pending") else f"refused:{call}"


def day_of(day: date) -> tuple[datetime, datetime]:
    """Beginning (in it) and end (not in it) of a day in China."""
    begin = datetime.combine(day, time(), BEIJING)
    return begin, begin + timedelta(days=1)


def is_ready(day: date, now: datetime) -> bool:
    """Whether the nightly comparison of this day may begin."""
    return now >= datetime.combine(day + timedelta(days=1), READY_AT, BEIJING)


def next_try(tries: int, now: datetime) -> datetime:
    """When a day that could not be compared whole is tried again."""
    return now + TRY_AGAIN[min(tries, len(TRY_AGAIN)) - 1]
