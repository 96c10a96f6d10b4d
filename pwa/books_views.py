"""What the pages of the books show; filled by ``pwa.pages.desk_books``, like ``pwa.views``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Light = Literal["right", "explained", "open", "partly"]


@dataclass(frozen=True, slots=True)
class BookDay:
    """One day in the list: how it ended, in words; ``totals`` are fen per side: paid, back, count."""

    day: date
    light: Light
    says: str
    totals: Mapping[str, Mapping[str, int]]
    url: str


@dataclass(frozen=True, slots=True)
class DeskBooks:
    """``/desk/books``: the days, newest first. ``choose``: the day in the form, ``latest``: the last one can choose."""

    hospital: str
    days: Sequence[BookDay]
    choose: date
    latest: date
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BookLine:
    """One difference. ``why`` and ``todo`` are sentences; ``closed`` says who and why, once it is closed."""

    id: str
    what: str
    amount_fen: int
    here_fen: int | None
    there_fen: int | None
    why: str
    todo: str
    numbers: Sequence[str]
    found_at: datetime
    patient: str = ""
    visit_url: str | None = None
    closed: str | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """One account on one day, in fen."""

    name: str
    debit_fen: int
    credit_fen: int
    net_fen: int


@dataclass(frozen=True, slots=True)
class DeskBook:
    """``/desk/books/{day}``: the worklist of one day, its totals, the ledger, the files.

    ``lacking``: sides whose books are not there, each as (side, what that means).
    """

    hospital: str
    day: BookDay
    open: Sequence[BookLine]
    closed: Sequence[BookLine]
    lacking: Sequence[tuple[str, str]]
    waiting: int
    ledger: Sequence[LedgerAccount]
    error: str | None = None
    failed: str | None = None
    said: str = ""
