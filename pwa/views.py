"""What each page shows, already decided: plain values a template can print without asking anyone.

Ids are strings, money is integer fen, times are aware datetimes. Routes in ``pwa.pages`` fill these; templates and
``pwa.fragments`` read them. Rows of the feed are in ``pwa.rows``, staff screens in ``pwa.desk_views``; all are
reachable from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from pwa.counter_views import DeskPay
from pwa.desk_views import (
    Desk,
    DeskDispute,
    DeskLogin,
    DeskOrder,
    DeskPlan,
    DeskTroubles,
    DeskVisit,
    ErrorPage,
    Frame,
    HisCall,
    Offline,
    PlanRow,
    Stage,
    StuckInsurance,
    StuckPayment,
    ToStage,
    TroubledCall,
)
from pwa.family_views import (
    Bind,
    ChoiceRow,
    Choices,
    ClaimCard,
    Claims,
    Companion,
    Family,
    GrantCard,
    Invite,
    InviteCode,
    Look,
    Talk,
    Watcher,
)
from pwa.home_views import Home, Invitation, Person, VisitCard, Visits
from pwa.pay_views import PayChoice, Paying, PayPart, PaySheet, Receipt, Returned
from pwa.reminder_views import Reminders
from pwa.rows import Line, PaymentNote, Row, Shares, Show, Step, StoryEntry, Sums, Surface, VisitHead, VisitState, Word
from pwa.sheet import Sheet

__all__ = [
    "Appointment",
    "Ask",
    "Bill",
    "Bind",
    "ChoiceRow",
    "Choices",
    "ClaimCard",
    "Claims",
    "Companion",
    "Desk",
    "DeskDispute",
    "DeskLogin",
    "DeskOrder",
    "DeskPay",
    "DeskPlan",
    "DeskTroubles",
    "DeskVisit",
    "ErrorPage",
    "Family",
    "Frame",
    "GrantCard",
    "Guide",
    "HisCall",
    "Home",
    "Invitation",
    "Invite",
    "InviteCode",
    "Letter",
    "Line",
    "Login",
    "Look",
    "Nav",
    "Offline",
    "Pass",
    "PayChoice",
    "PayPart",
    "PaySheet",
    "Paying",
    "PaymentNote",
    "Person",
    "PlanRow",
    "Receipt",
    "Region",
    "Returned",
    "Row",
    "Settings",
    "Shares",
    "Sheet",
    "Show",
    "Sign",
    "Signed",
    "Stage",
    "Step",
    "StoryEntry",
    "StuckInsurance",
    "StuckPayment",
    "Sums",
    "Surface",
    "Talk",
    "ToStage",
    "TroubledCall",
    "VisitCard",
    "VisitHead",
    "VisitState",
    "Visits",
    "Watcher",
    "Where",
    "Word",
]


@dataclass(frozen=True, slots=True)
class Nav:
    """The bar at the bottom: which tab is open (``home|bill|guide|pass|family``) and of which visit."""

    active: str
    visit_id: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """``sent_to`` is the masked phone once the code has gone out; ``wechat_url`` is there when WeChat login is.

    ``ticket`` carries what was proved so far; then ``people`` (id, masked name) asks which of them it is, and ``enrol``
    asks for name and identity number.
    """

    phone: str = ""
    sent_to: str | None = None
    error: str | None = None
    wechat_url: str | None = None
    next: str = "/"
    ticket: str = ""
    people: Sequence[tuple[str, str]] = ()
    enrol: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines of each pile sorted by ``rank``, highest first. ``stream_url`` starts after the position drawn here."""

    visit: VisitHead
    status: VisitState
    sums: Sums
    done: Sequence[Line]
    ordered: Sequence[Line]
    cancelled: Sequence[Line]
    stream_url: str | None
    payment: PaymentNote | None = None
    can_pay: bool = True
    can_ask_family: bool = True
    can_leave: bool = False
    can_act: bool = True
    insured: bool = True
    whole: bool = True
    shares: Shares | None = None
    receipt_url: str | None = None

    @property
    def first(self) -> bool:
        """Whether something of it is, or was, paid before it is done."""
        return any(row.pay_first or row.state in ("prepaying", "prepaid") for row in self.ordered)

    def show(self, now: datetime) -> Show:
        """The ``Show`` a push to this page must be drawn with."""
        return Show(
            self.visit.id,
            now,
            "bill",
            may_act=self.can_act,
            may_pay=self.can_pay,
            may_ask=self.can_ask_family,
            whole=self.whole,
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """One question before something is done: 这项我没做, 不想做了, 现在就走, withdraw, unbind.

    ``choices`` are (value, sentence) radio answers under ``choice_label``; ``hidden`` are extra form values.
    ``leaves``: ``action`` is another house's page, so that its button is a link. ``keep``: what going back is called.
    """

    title: str
    lines: Sequence[str]
    action: str
    button: str
    back: str
    choices: Sequence[tuple[str, str]] = ()
    choice_label: str = ""
    note_label: str | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)
    once: str | None = None
    danger: bool = False
    error: str | None = None
    leaves: bool = False
    keep: str | None = None


FloorPicture = tuple[str, Markup]
"""A floor's name and its picture: trusted SVG, drawn by the server."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """One examination that is booked; ``move_url``: where its hospital is asked for another time."""

    says: str
    move_url: str | None = None


@dataclass(frozen=True, slots=True)
class Guide:
    """``now`` is the step to do next; ``way`` its route in words, ``spoken`` for the ear; ``floors`` its pictures.

    ``walk``: how long it takes, as a span in words; ``turn``: about when it is her turn, ``heard``: how old that word
    is; ``start``: the place she has said she stands at; ``self_url``: this very page, with where she starts.
    ``medicines``: (name, how to take it).
    ``plan``: the order advised for what is to be examined, one sentence each, with why; ``plan_note``: what is not
    known of it.
    ``other_way``: words and address for going with or without steps; ``step_free``: this way has none, ``no_steps``:
    one without was asked for; ``ways_url``: the ways between all its places; ``map_number``: the version of the
    map the way is from.
    """

    visit: VisitHead
    now: Step | None
    steps: Sequence[Step]
    stream_url: str | None
    way: Sequence[str] = ()
    walk: str | None = None
    turn: str | None = None
    heard: str | None = None
    floors: Sequence[FloorPicture] = ()
    spoken: str = ""
    other_way: tuple[str, str] | None = None
    ways_url: str | None = None
    step_free: bool = False
    no_steps: bool = False
    sheet_url: str | None = None
    plan: Sequence[str] = ()
    plan_note: str | None = None
    appointments: Sequence[Appointment] = ()
    start: str | None = None
    self_url: str | None = None
    medicines: Sequence[tuple[str, str]] = ()
    where_url: str | None = None
    map_number: int | None = None

    def show(self, now: datetime) -> Show:
        """The ``Show`` a push to this page must be drawn with."""
        return Show(self.visit.id, now, "guide")


@dataclass(frozen=True, slots=True)
class Where:
    """Where to start from; nothing but the visit where there is no map.

    Attributes:
        places: the departments as a list: name, house and floor, address.
        floors: name, address, and whether it is the one that is shown.
        picture: the floor to tap on.
    """

    visit: VisitHead
    places: Sequence[tuple[str, str, str]] = ()
    floors: Sequence[tuple[str, str, bool]] = ()
    picture: Markup | None = None


@dataclass(frozen=True, slots=True)
class OneWay:
    """From a place to another: where to, about how long, in words, for the ear, in pictures."""

    goal: str
    about: str
    lines: Sequence[str]
    spoken: str = ""
    floors: Sequence[FloorPicture] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways between the places of a visit, kept on the phone: (place, ways from there), where she is first.

    ``grounds``: trusted drawings by id, which the pictures stand on. ``other_way`` as in ``Guide``. ``cut``: said where
    not all places are on it; ``map_number`` as in ``Guide``.
    """

    visit: VisitHead
    starts: Sequence[tuple[str, Sequence[OneWay]]]
    grounds: Sequence[tuple[str, Markup]] = ()
    other_way: tuple[str, str] | None = None
    cut: str | None = None
    map_number: int | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """The QR: ``live_url`` renewed every ``renew_seconds`` online, ``kept_url`` for the day, ``over`` afterwards."""

    visit: VisitHead
    number: str
    kept_url: str
    live_url: str | None = None
    renew_seconds: int = 10
    valid_until: datetime | None = None
    deferred: bool = False
    ahead: int | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What the person can change; ``contracts`` are standing signatures (hospital id, hospital, since)."""

    phone: str
    contracts: Sequence[tuple[str, str, datetime]] = ()
    people: Sequence[Person] = ()
    reminders: Reminders | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One part of the letter; ``body`` is trusted HTML of a stored, versioned template."""

    code: Literal["told", "patient", "sign", "proxy", "doctor"]
    title: str
    body: Markup


@dataclass(frozen=True, slots=True)
class Letter:
    """Reading. ``left`` and ``total`` are the server's seconds; ``single`` shows one region (no JavaScript)."""

    reading_id: str
    hospital: str
    title: str
    version: str
    regions: Sequence[Region]
    left: int
    total: int
    single: int | None = None
    error: str | None = None
    back: str = "/"


@dataclass(frozen=True, slots=True)
class Sign:
    """Signing. ``may_proxy``: on a hospital's tablet a relative may hold the pen; ``sent_to`` once a code was sent.

    ``nonce`` is the pen: it goes back with the signature. ``reasons`` are offered where somebody signs for another, who
    is named in ``signs_for``.
    """

    reading_id: str
    hospital: str
    patient: str
    phone: str
    may_proxy: bool = False
    relations: Sequence[tuple[str, str]] = ()
    sent_to: str | None = None
    error: str | None = None
    nonce: str = ""
    reasons: Sequence[tuple[str, str]] = ()
    signs_for: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Go on with the letter on another device: a QR to be scanned there, or (``token``) the question whether to.

    ``again``: it goes on elsewhere already, and this leads to a new code.
    """

    hospital: str
    patient: str
    qr: str | None = None
    token: str | None = None
    back: str = "/"
    again: str | None = None
    stream_url: str | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Really stop? Says what stays."""

    hospital_id: str
    hospital: str
    patient: str


@dataclass(frozen=True, slots=True)
class DeskLetters:
    """Letters a doctor has still to sign: (contract id, patient, signed at)."""

    hospital: str
    letters: Sequence[tuple[str, str, datetime]]


@dataclass(frozen=True, slots=True)
class Signed:
    """Signed: what it means from now on. ``desk_url``: on the hospital's tablet, back to where the desk came from."""

    hospital: str
    visit_id: str | None
    pdf_url: str | None
    due_hours: int
    countersign: bool = False
    desk_url: str | None = None
