"""What the cashier's pages, the refund pages and the kiosk show; filled by routes like ``pwa.views``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pwa.insurance_views import Settling, Split
from pwa.rows import Line, Shares, VisitHead


@dataclass(frozen=True, slots=True)
class ShiftCard:
    """A shift in fen: what passed through it, what should lie in the drawer; ``counted_fen`` once it is closed."""

    cashier: str
    opened_at: datetime
    float_fen: int
    cash_in: int
    cash_out: int
    card_in: int
    card_out: int
    expected_fen: int
    closed_at: datetime | None = None
    counted_fen: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FoundVisit:
    """A visit somebody asked for at the window; ``pay_url`` where something is to be paid."""

    patient: str
    number: str
    day: datetime
    owed_fen: int
    url: str
    pay_url: str | None


@dataclass(frozen=True, slots=True)
class Counter:
    """The cashier's own page. ``count`` and ``reason`` are what was typed when a count did not fit."""

    hospital: str
    staff: str
    shift: ShiftCard | None
    found: Sequence[FoundVisit] | None = None
    waiting: int = 0
    error: str | None = None
    done: str | None = None
    count: str = ""


@dataclass(frozen=True, slots=True)
class ShiftList:
    """The hospital's shifts, newest first, or a cashier's own."""

    hospital: str
    shifts: Sequence[ShiftCard]


@dataclass(frozen=True, slots=True)
class DeskWait:
    """A terminal that waits for a code, or for a face, and until when; ``said`` is why the last one did not serve."""

    place: str
    until: datetime
    said: str | None = None
    face: bool = False


InsuredStep = Literal["capture", "reckoning", "agree", "paying", "cash", "done", "ending", "manual", "over"]


@dataclass(frozen=True, slots=True)
class DeskInsured:
    """The insurance a cashier uses for the patient. ``number`` of ``settlings`` waits for a certificate (``wait``).

    ``unknown``: nobody has answered for a minute, which is over at ``unsure_at``. ``back_fen``: the insurance had paid
    it and gets it back. ``why`` is the insurance's reason.
    """

    step: InsuredStep
    settlings: Sequence[Settling] = ()
    number: int = 0
    split: Split | None = None
    back_fen: int = 0
    unknown: bool = False
    unsure_at: datetime | None = None
    wait: DeskWait | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class DeskPay:
    """Taking the money of one visit. ``state``: ``new``, ``closed``, ``waits`` (for a scanner), ``password``,
    ``offered`` (a QR), ``unknown``, ``other`` (somebody's phone), ``insuring`` (there, too), ``insured`` (here),
    ``share_paid``, ``paid``, ``settled``.

    ``first`` can be paid before it is done, ``lines`` of it are chosen. ``change``: given and change in fen.
    ``scanners``: (id, place). ``sheet`` keeps the browser's keys apart. ``insurable``: the insurance can be used here;
    ``not_insurable`` is why it cannot, as a sentence. ``slip_url``: the merged receipt.
    """

    visit: VisitHead
    amount_fen: int
    qr_url: str | None
    state: str
    stream_url: str | None = None
    shares: Shares | None = None
    share: int | None = None
    shift: bool = False
    scanners: Sequence[tuple[str, str]] = ()
    wait: DeskWait | None = None
    refusal: str | None = None
    change: tuple[int, int] | None = None
    receipt_url: str | None = None
    error: str | None = None
    sheet: str = ""
    first: Sequence[Line] = ()
    lines: Sequence[str] = ()
    insured: DeskInsured | None = None
    insurable: bool = False
    not_insurable: str | None = None
    slip_url: str | None = None

    @property
    def over_at(self) -> datetime | None:
        """When the page is no longer true by time alone, which no feed tells: nobody came, or nobody answered."""
        waits = [self.wait, self.insured.wait if self.insured else None]
        ends = [w.until for w in waits if w] + [self.insured.unsure_at if self.insured else None]
        return min((at for at in ends if at), default=None)


@dataclass(frozen=True, slots=True)
class RefundCard:
    """A request as its reader sees it; ``own``: not this reader's to answer; ``insured``: the insurance paid, too."""

    id: str
    items: str
    amount_fen: int
    reason: str
    at: datetime
    state: str
    answer: str | None = None
    patient: str = ""
    number: str = ""
    who: str = ""
    own: bool = False
    insured: bool = False


@dataclass(frozen=True, slots=True)
class Refunds:
    """The patient's side, or the desk for her: what can be asked back, and what became of what was."""

    visit: VisitHead
    lines: Sequence[Line]
    asked: Sequence[RefundCard]
    error: str | None = None
    insured: bool = False


@dataclass(frozen=True, slots=True)
class BackCard:
    """Money to be handed out at the counter, or that WeChat could not return; ``twice``: it went back two ways."""

    id: str
    patient: str
    number: str
    amount_fen: int
    at: datetime
    way: str
    twice: bool = False


@dataclass(frozen=True, slots=True)
class DeskRefunds:
    """The refund work-list of the desk and of finance; ``insurance``: waits for the insurance to have its part."""

    hospital: str
    to_answer: Sequence[RefundCard]
    to_hand: Sequence[BackCard]
    abnormal: Sequence[BackCard]
    answers: bool
    hands: bool
    pays: bool
    shift: bool
    error: str | None = None
    insurance: Sequence[BackCard] = ()


@dataclass(frozen=True, slots=True)
class Kiosk:
    """The kiosk. ``state``: ``setup``, ``start``, ``owed``, ``nothing``, ``busy``, ``waits``, ``password``,
    ``unknown``, ``paid``. Nothing of a patient is in it before ``owed``; ``rest`` seconds without a touch lead back to
    the start. ``mark``: all of it in short, empty where nobody stands; ``stream_url``: the line that says it changed.
    """

    state: str
    hospital: str = ""
    name: str = ""
    amount_fen: int = 0
    count: int = 0
    rest: int = 90
    error: str | None = None
    key: str = ""
    first: bool = False
    mark: str = ""
    stream_url: str | None = None
