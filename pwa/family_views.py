"""What the family's pages show, already decided: who may see, who looked, the companion's story, what was agreed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from pwa.home_views import Person
from pwa.rows import Show, Step, StoryEntry, Sums, VisitHead, Word


@dataclass(frozen=True, slots=True)
class GrantCard:
    """Who may see or pay what. ``depth`` steps|bill|results; ``cap_fen`` per payment; ``ask_first`` above it.

    ``categories``: (code, name, open to them), all there are; ``scope`` says that it is for one visit only; ``proof``
    how and when the bond was proven. ``insurer``: what the insurer says of the pair and when, where it can be asked.
    """

    id: str
    who: str
    relation: str
    pays: bool
    watches: bool
    depth: str | None = None
    cap_fen: int | None = None
    until: datetime | None = None
    opened: Sequence[str] = ()
    state: str = "active"
    signs: bool = False
    guards: bool = False
    calls: bool = False
    categories: Sequence[tuple[str, str, bool]] = ()
    scope: bool = False
    books: bool = False
    proof: str | None = None
    insurer: str | None = None
    insurer_at: datetime | None = None
    insurer_url: str | None = None
    limits_url: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimCard:
    """Somebody has accepted and waits for the reader's yes; ``opens``: what would begin, a sentence each.

    ``tail``: the last digits of their telephone; ``for_whom``: the patient, where the reader stands for somebody else.
    """

    id: str
    who: str
    relation: str
    tail: str
    opens: Sequence[str]
    for_whom: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Looks of one sitting by somebody at something, as the patient reads them; ``until`` when it went on."""

    who: str
    what: str
    at: datetime
    until: datetime | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Family:
    """Those who may see and pay for ``person``, those ``person`` may act for, and who looked.

    ``shares``: the switch, None before any choice; ``by_phone``: a relative can be bound by the patient's phone.
    """

    person: Person
    grants: Sequence[GrantCard]
    acting_for: Sequence[GrantCard]
    looks: Sequence[Look]
    shares: bool | None = None
    by_phone: bool = False
    claims: Sequence[ClaimCard] = ()
    claims_url: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """All that wait for the reader's yes."""

    claims: Sequence[ClaimCard]
    claims_url: str | None


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation: before it is made (``url`` None) the choices, then QR and link. ``agrees``: sharing is on.

    ``claims``: who has accepted meanwhile and waits for the reader's yes; ``claims_url`` tells of more.
    """

    person: Person
    url: str | None = None
    qr_url: str | None = None
    until: datetime | None = None
    relations: Sequence[tuple[str, str]] = ()
    error: str | None = None
    code: str | None = None
    categories: Sequence[tuple[str, str]] = ()
    visit_id: str | None = None
    agrees: bool = True
    claims: Sequence[ClaimCard] = ()
    claims_url: str | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """The relative's side of an invitation: whose, and what it opens.

    ``state``: to be accepted (``offered``), or what became of it: ``waiting`` for her yes, ``accepted``, ``withdrawn``.
    ``end_url`` takes it back while it waits, ``stream_url`` tells of her word. ``hers``: she will be asked.
    """

    token: str
    patient: str
    relation: str
    pays: bool
    watches: bool
    depth: str | None
    cap_fen: int | None
    until: datetime | None
    needs_name: bool = False
    error: str | None = None
    signs: bool = False
    opened: Sequence[str] = ()
    calls: bool = False
    books: bool = False
    state: str = "offered"
    end_url: str | None = None
    stream_url: str | None = None
    hers: bool = True


@dataclass(frozen=True, slots=True)
class InviteCode:
    """Where a spoken code is typed in; ``who`` is the inviter's phone or identity number."""

    who: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """Ready-made sentences of a visit: ``words`` said so far, newest first, and ``presets`` (code, sentence) to say."""

    action: str
    words: Sequence[Word]
    presets: Sequence[tuple[str, str]]
    title: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Watcher:
    """Somebody who can follow the visit now, and how much of it, as the patient reads it."""

    who: str
    depth: str


@dataclass(frozen=True, slots=True)
class Companion:
    """The story of a visit for somebody far away. ``shared`` False says so instead of showing anything.

    ``next``: the step to do now, ``turn`` about when (with the age of what is known), ``map`` where that is.
    ``watchers``: for the patient herself, who follows; None for everybody else.
    """

    visit: VisitHead
    who: str
    status: str
    entries: Sequence[StoryEntry]
    stream_url: str | None
    shared: bool = True
    sums: Sums | None = None
    can_pay: bool = False
    pass_url: str | None = None
    phone: str | None = None
    next: Step | None = None
    turn: str | None = None
    heard: str | None = None
    done: tuple[int, int] | None = None
    map: Markup | None = None
    talk: Talk | None = None
    watchers: Sequence[Watcher] | None = None

    def show(self, now: datetime) -> Show:
        """The ``Show`` a push to this page must be drawn with."""
        return Show(self.visit.id, now, "story", may_pay=self.can_pay, money=self.sums is not None)


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One switch: its sentence, how it stands (None: never chosen), since when and by which text."""

    code: str
    name: str
    says: str
    on: bool | None
    at: datetime | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """All that ``person`` agreed to by itself; ``contracts`` as in settings; ``again``: who sees when sharing is on."""

    person: Person
    rows: Sequence[ChoiceRow]
    contracts: Sequence[tuple[str, str, datetime]] = ()
    again: Sequence[str] = ()
    history: Sequence[tuple[datetime, str, bool]] = ()
