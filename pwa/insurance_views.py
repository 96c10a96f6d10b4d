"""What the page of paying with the insurance shows; filled by ``pwa.insuring``, like ``pwa.views``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pwa.rows import VisitHead

InsureStep = Literal[
    "elsewhere",  # not inside WeChat
    "mini",  # the consent page can only be reached from the mini-program
    "unable",
    "choose",
    "consent",
    "waits",  # somebody else of the patient's side has to consent
    "counter",  # a cashier uses it for the patient
    "reckoning",
    "agree",
    "paying",
    "press",
    "cash",
    "done",
    "ending",
    "manual",
    "over",
]


@dataclass(frozen=True, slots=True)
class Settling:
    """One settlement: ``state`` is a key of ``words.insurance.Insurance.states``."""

    state: str
    total_fen: int


@dataclass(frozen=True, slots=True)
class Split:
    """Who bears what (fen): ``parts`` are sources before one's own money; with ``own_fen`` they add up to ``total``."""

    total_fen: int
    parts: Sequence[tuple[str, int]]
    own_fen: int


@dataclass(frozen=True, slots=True)
class Differing:
    """A line the insurance reckons otherwise than the hospital estimated: the insurer's part and one's own, fen."""

    name: str
    insurer_fen: int
    insurer_was_fen: int
    own_fen: int
    own_was_fen: int


@dataclass(frozen=True, slots=True)
class Insure:
    """One step of it. ``here`` is the page's own address, asked again when something moved.

    ``why`` is a whole sentence (``unable``); ``error`` one above everything else. ``consent`` leads to the insurance's
    page for settlement ``number`` of ``len(settlings)``; ``invoke`` are WeChat's bridge parameters for it, used at once
    where ``auto``; ``together``: one password pays the cash, too. ``back_fen`` is what the insurance had paid and gets
    back; ``anew``: because a line was taken back after all was paid. ``may_act``: the reader began, and may agree.
    """

    visit: VisitHead
    step: InsureStep
    here: str
    settlings: Sequence[Settling] = ()
    split: Split | None = None
    differs: Sequence[Differing] = ()
    number: int = 0
    consent: str | None = None
    why: str | None = None
    error: str | None = None
    cash_fen: int = 0
    back_fen: int = 0
    cash_back: bool = False
    anew: bool = False
    invoke: Mapping[str, str] | None = None
    check: str = ""
    auto: bool = False
    together: bool = False
    may_act: bool = True
    receipt: str | None = None
    settling: bool = False
    qr: str | None = None
    may_stop: bool = False
    payable: bool = False
    unknown: bool = False
    stream_url: str | None = None

    @property
    def waits(self) -> bool:
        """Whether something moves here by itself, without anybody pressing anything."""
        return self.asks or self.step in {"reckoning", "press", "ending", "manual", "waits", "counter"}

    @property
    def asks(self) -> bool:
        """Whether a look at the page asks WeChat and the payment centre, so that looking again is worth something."""
        return self.step == "paying"
