"""What the hospital's own screens, the stage and the error pages show; filled by routes like ``pwa.views``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pwa.rows import VisitHead


@dataclass(frozen=True, slots=True)
class DeskOrder:
    """One order at the desk. ``action`` check_in|confirm|undo or None, when nothing is to do here."""

    id: str
    patient: str
    name: str
    number: str
    state: str
    at: datetime
    action: str | None
    amount_fen: int
    deferred: bool
    pending_his: bool = False
    sheet_url: str | None = None
    url: str | None = None
    paid: bool = False


@dataclass(frozen=True, slots=True)
class DeskDispute:
    """A patient says that a line was never done; the hospital promised an answer by ``answer_by``."""

    id: str
    patient: str
    name: str
    reason: str
    amount_fen: int
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class HisCall:
    """A call to the HIS that has not been answered yet."""

    id: str
    what: str
    since: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The department's one list. ``framed``: inside another page, whose focus it must not take."""

    hospital: str
    department: str
    staff: str
    orders: Sequence[DeskOrder]
    calls: Sequence[HisCall]
    stream_url: str | None = None
    found: str | None = None
    error: str | None = None
    undo: tuple[str, str] | None = None
    done: str | None = None
    disputes: Sequence[DeskDispute] = ()
    letters: bool = False
    mends: bool = False
    cashier: bool = False
    code: str = ""
    framed: bool = False
    requeues: bool = False
    found_url: str | None = None
    books: bool = False


@dataclass(frozen=True, slots=True)
class DeskVisit:
    """One patient's day at the desk; an address is None where this member of staff may not, or need not.

    ``guardians``: (relation, masked name, by which paper and when, where to end it); ``family``: the same of whom a
    desk bound. ``may_guard``: a guardian can be written down here; ``child``: by age. ``may_exclude``: what can still
    turn pay-first, ``("", …)`` the whole visit, else a line's id and name.
    """

    visit: VisitHead
    number: str
    deferred: bool
    owed_fen: int
    contract: bool
    sheet_url: str | None = None
    pay_url: str | None = None
    letter_url: str | None = None
    guardians: Sequence[tuple[str, str, str, str]] = ()
    may_guard: bool = False
    child: bool = False
    relations: Sequence[tuple[str, str]] = ()
    phone: str = ""
    error: str | None = None
    refund_url: str | None = None
    documents: Sequence[tuple[str, str]] = ()
    invite_url: str | None = None
    phone_url: str | None = None
    caller_digits: str | None = None
    caller_until: datetime | None = None
    plan_url: str | None = None
    may_exclude: Sequence[tuple[str, str]] = ()
    family: Sequence[tuple[str, str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One open examination as whoever guides sees it; ``said`` is the sentence the patient reads.

    ``first``: a nurse put it first; ``reported``: not to be moved; ``asks``: a nurse has to look at it before.
    """

    id: str
    name: str
    place: str
    said: str | None
    first: bool = False
    reported: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class DeskPlan:
    """Where one patient goes next, and what a nurse may say about it.

    ``times``: (ISO moment, as read) before which something may be put off; ``by``: who said something and when;
    ``profile``: how she moves, of ``words.guide_desk.DeskPlan.profiles``.
    """

    visit: VisitHead
    number: str
    rows: Sequence[PlanRow]
    profile: str
    note: str | None = None
    by: str | None = None
    times: Sequence[tuple[str, str]] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TroubledCall:
    """Something the HIS was told: ``refused``, or not answered yet; ``todo`` says what to do, ``detail`` its word."""

    key: str
    what: str
    patient: str
    number: str
    since: datetime
    tries: int
    refused: bool
    todo: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StuckPayment:
    """Money that is with us and not where it belongs; a negative amount is on its way back. ``number`` is WeChat's."""

    patient: str
    amount_fen: int
    who: str
    at: datetime
    number: str
    todo: str


@dataclass(frozen=True, slots=True)
class StuckInsurance:
    """An insurance settlement that needs a person; ``number`` is the centre's, ``button`` empty: nothing to press."""

    key: str
    patient: str
    amount_fen: int
    at: datetime
    number: str
    todo: str
    detail: str = ""
    button: str = ""


@dataclass(frozen=True, slots=True)
class DeskTroubles:
    """What a person at the counter or in finance has to look at."""

    hospital: str
    refused: Sequence[TroubledCall]
    payments: Sequence[StuckPayment]
    pending: Sequence[TroubledCall]
    insurance: Sequence[StuckInsurance] = ()


@dataclass(frozen=True, slots=True)
class DeskLogin:
    """Staff sign in."""

    hospital: str
    name: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What happened, what to do: from ``words.errors``; ``back`` is the page the reader came from, if one of ours."""

    code: str
    title: str
    sentence: str
    status: int = 400
    back: str | None = None
    home: str = "/"


@dataclass(frozen=True, slots=True)
class Frame:
    """One screen on the stage."""

    title: str
    src: str


@dataclass(frozen=True, slots=True)
class Stage:
    """``/demo``: the screens side by side and the hand that moves them; forms post ``do=play|pause|next|speed|letter``.

    ``begins``: no visit is being played, so that the next may begin with the letter.
    """

    frames: Sequence[Frame]
    caption: str
    step: int
    total: int
    playing: bool
    speed: int
    control_url: str
    stream_url: str | None = None
    speeds: Sequence[int] = (1, 4, 20)
    begins: bool = False


@dataclass(frozen=True, slots=True)
class ToStage:
    """``/demo`` on another host: leads to the stage's own."""

    url: str


@dataclass(frozen=True, slots=True)
class Offline:
    """Nothing kept for this address."""

    pass_url: str | None = None
