"""Who may see what of whom, decided without asking anybody: grants in, a view out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

from kernel.lifecycle import Lifecycle

FULL_AGE = 18
ALONE_FROM_AGE = 14  # product.md: from 14 a person signs and goes alone


class GrantKind(StrEnum):
    """What a relative was given."""

    PAY = "pay"  # sees amount and hospital, may pay (亲情付)
    WATCH = "watch"  # follows the visit (云伴诊), to a depth
    SIGN = "sign"  # may sign the letter ahead for the patient
    BOOK = "book"  # may book for the patient and carry the visit pass (an elder without a phone)
    GUARD = "guard"  # stands for somebody who cannot act: everything, and the debt


class GrantState(StrEnum):
    """A grant is active until withdrawn or expired; it never comes back, a new one is made."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


GRANT = Lifecycle[GrantState](
    "Grant",
    {
        (None, GrantState.ACTIVE): "GrantMade",
        (GrantState.ACTIVE, GrantState.WITHDRAWN): "GrantEnded",
        (GrantState.ACTIVE, GrantState.EXPIRED): "GrantEnded",
    },
)


class ProofKind(StrEnum):
    """How it was proven that a relative may be bound to a patient."""

    INVITATION = "invitation"  # the patient's own QR or link
    SPOKEN = "spoken"  # the patient's own code, read out
    PHONE = "phone"  # name and ID number known, and a code that came to the patient's phone
    DESK = "desk"  # a member of staff with the patient, or the papers, before them
    HIS = "his"  # the hospital's record


class Document(StrEnum):
    """A paper that was seen at a desk."""

    ID_CARD = "id_card"
    HOUSEHOLD = "household"  # 户口本
    BIRTH = "birth"  # 出生医学证明
    DISABILITY = "disability"  # 残疾人证
    MEDICAL = "medical"  # 病情证明
    COURT = "court"  # 法院判决
    COMMITTEE = "committee"  # 居委会, 村委会, 民政部门


@dataclass(frozen=True, slots=True)
class Proof:
    """How, by which member of staff, by which paper."""

    how: ProofKind
    by: UUID | None = None
    document: Document | None = None


class PhoneChangeState(StrEnum):
    """A change of number at a desk waits for a second member of staff."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


PHONE_CHANGE = Lifecycle[PhoneChangeState](
    "Phone change",
    {
        (None, PhoneChangeState.ASKED): "PhoneChangeAsked",
        (None, PhoneChangeState.DONE): "PhoneChanged",
        (PhoneChangeState.ASKED, PhoneChangeState.DONE): "PhoneChanged",
        (PhoneChangeState.ASKED, PhoneChangeState.REFUSED): "PhoneChangeRefused",
    },
)
SILENCE = timedelta(days=90)
"""How long a number may go unproven: after that operators give a number that was given up to somebody else."""


class Depth(IntEnum):
    """How much of a visit a viewer sees; each level includes those before."""

    NOTHING = 0
    STEPS = 1
    BILL = 2
    RESULTS = 3
    ALL = 4


class Audience(IntEnum):
    """The depth a feed row asks of its viewer."""

    STEPS = 1
    BILL = 2
    RESULTS = 3
    PATIENT = 4  # the patient and her guardian only
    PAYERS = 5  # the patient's side and whoever may pay


class MissedCall(StrEnum):
    """What a hospital does with somebody whose number was called in vain (过号)."""

    REPORT = "report"  # at the guide desk, then behind the next few
    KIOSK = "kiosk"  # at a machine in the hall, then behind the next few
    AGAIN = "book_again"  # the number is gone; another is booked


class ChoiceKind(StrEnum):
    """What a person agrees to by itself, apart from all else; taking it back costs no care."""

    SHARE = "share"  # relatives may see, as far as each was let
    CREDIT = "credit"  # a debt may be reported to the city's credit platform, after notice
    LOCATION = "location"  # the phone may say where in the hospital it is


LOOKS_KEPT = timedelta(days=3 * 366)
"""How long it is kept who looked: the three years for which the law wants processing recorded."""
PRINTED, STAFF_RELATION = "printed", "staff"  # what is written of staff who made a paper
ONE_SITTING = timedelta(minutes=20)  # an open stream is begun anew every quarter of an hour


@dataclass(frozen=True, slots=True)
class LookFact:
    """One look: the viewer's key, masked name and relation, at which page of which visit."""

    viewer: str
    who: str
    relation: str
    page: str
    visit_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """Looks of one sitting told as one; ``times`` looks from ``first`` to ``last``."""

    who: str
    relation: str
    page: str
    visit_id: UUID | None
    first: datetime
    last: datetime
    times: int


def sittings(looks: Iterable[LookFact]) -> list[Looked]:
    """Looks of the same viewer at the same thing, each soon after the other, as one; newest first."""
    found: list[Looked] = []
    latest: dict[tuple[str, str, UUID | None], int] = {}
    for one in sorted(looks, key=lambda look: look.at):
        key = (one.viewer, one.page, one.visit_id)
        place = latest.get(key)
        if place is not None and one.at - found[place].last <= ONE_SITTING:
            was = found[place]
            found[place] = replace(was, last=one.at, times=was.times + 1)
            continue
        latest[key] = len(found)
        found.append(Looked(one.who, one.relation, one.page, one.visit_id, one.at, one.at, 1))
    return sorted(found, key=lambda sitting: sitting.last, reverse=True)


class Creditor(StrEnum):
    """Who carries what is owed of a visit once its time is over."""

    HOSPITAL = "hospital"
    BANK = "bank"
    INSURER = "insurer"


@dataclass(frozen=True, slots=True)
class HospitalSettings:
    """What a hospital or its city may decide, with the defaults of product.md ("Rules with numbers")."""

    due_hours: int = 24
    fallback_end_hours: int = 12
    read_chars_per_second: int = 5
    read_chars_per_second_elder: int = 3
    read_seconds_min: int = 10
    registration_free_days: int = 3
    registration_upfront: bool = False
    booking_days_ahead: int = 7
    booking_most_open: int = 3
    booking_cancel_hours: int = 2
    booking_pay_minutes: int = 30
    missed_call: MissedCall = MissedCall.REPORT
    missed_call_behind: int = 3
    minimum_age: int = 14
    zero_threshold: bool = False
    call_after_days: int = 7
    suspend_after_days: int = 30
    pass_refresh_seconds: int = 20
    caller_code_digits: int = 4
    dispute_answer_hours: int = 8
    countersign: bool = False
    creditor: Creditor = Creditor.HOSPITAL
    hidden_categories: tuple[str, ...] = ("gynaecology", "psychiatry", "infection")


class ActorKind(StrEnum):
    """Who is calling."""

    PERSON = "person"
    STAFF = "staff"
    TERMINAL = "terminal"  # a kiosk of one hospital, for whoever stands before it
    LINK = "link"  # whoever holds a pay link: pays one amount, sees nothing, is nobody we know


class Role(StrEnum):
    """What a member of staff does."""

    DOCTOR = "doctor"
    DESK = "desk"
    COUNTER = "counter"
    GUIDE = "guide"
    FINANCE = "finance"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a use case: a person, a member of staff of one hospital, or one of its kiosks."""

    kind: ActorKind
    id: UUID
    hospital_id: UUID | None = None
    role: Role | None = None
    department: str | None = None

    @property
    def viewer(self) -> str:
        """The name under which feed positions are made."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Subject:
    """The visit somebody wants to look at.

    ``stages``: sensitive category ("" for what is not sensitive) of its encounters → whether one is going on. Empty:
    nothing in it is sensitive. For who may not know a category, a visit that is nothing but that was never there, and
    one that goes on in that alone has ended.
    """

    patient_id: UUID
    hospital_id: UUID
    visit_id: UUID
    ended: bool
    settled: bool
    stages: tuple[tuple[str, bool], ...] = ()

    def lasts_for(self, opened: frozenset[str]) -> bool:
        """Whether something of it goes on that is known to whom these categories are open."""
        if self.ended or not self.stages:
            return not self.ended
        return any(going and (not c or c in opened) for c, going in self.stages)


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer may see of one visit; equal views see byte-identical things.

    ``opened`` are the sensitive categories open to the viewer; ``None`` opens all. ``pays``: is told the payable total
    whatever the categories. ``owner``: acts for the patient (the patient, or a guardian). ``shallow``: categories
    that were opened less deep than ``depth``, each with its own depth (one grant's depth never meets another's
    categories).
    """

    depth: Depth
    opened: frozenset[str] | None
    pays: bool
    owner: bool
    staff: bool = False
    shallow: frozenset[tuple[str, Depth]] = frozenset()

    def depth_of(self, category: str | None) -> Depth:
        """How deep the viewer sees things of this sensitive category; ``None`` is everything that is not sensitive."""
        if category is None or self.opened is None:
            return self.depth
        if category not in self.opened:
            return Depth.NOTHING
        return next((depth for name, depth in self.shallow if name == category), self.depth)

    def knows(self, category: str | None) -> bool:
        """Whether things of this sensitive category exist for the viewer."""
        return category is None or self.opened is None or category in self.opened

    def sees(self, depth: Depth, category: str | None) -> bool:
        """Whether the viewer sees things of this category to this depth."""
        return self.depth_of(category) >= depth

    def shows(self, audience: Audience, category: str | None) -> bool:
        """Whether a feed row with these marks is for this viewer."""
        if audience is Audience.PAYERS:
            return self.owner or self.pays or self.staff
        return self.depth_of(category) >= int(audience)

    @property
    def blind(self) -> bool:
        """Sees nothing at all: the visit does not exist for this viewer."""
        return self.depth is Depth.NOTHING and not self.pays


NOTHING = View(Depth.NOTHING, frozenset(), pays=False, owner=False)
OWNER = View(Depth.ALL, None, pays=True, owner=True)
KIOSK_VIEW = View(Depth.NOTHING, frozenset(), pays=True, owner=False)  # takes money, shows nothing else
STAFF_VIEW = View(Depth.BILL, None, pays=False, owner=False, staff=True)


@dataclass(frozen=True, slots=True)
class GrantFact:
    """A grant as the decision needs it; ``visit_id`` empty means standing."""

    kind: GrantKind
    depth: Depth
    opened: frozenset[str]
    visit_id: UUID | None
    until: datetime | None


def view_from(grants: Iterable[GrantFact], subject: Subject, now: datetime) -> View:
    """Join the live grants of one relative on one patient into the view of one visit.

    A watcher's grant shuts when all the visit that it opens has ended; a payer keeps amount and hospital until it is
    settled, and a guardian keeps everything. Each category is seen as deep as the deepest grant *that opened it* goes.
    """
    depth, pays, owner = Depth.NOTHING, False, False
    opened: dict[str, Depth] = {}
    for grant in grants:
        if grant.until is not None and grant.until <= now:
            continue
        if grant.visit_id not in (None, subject.visit_id):
            continue
        owner = owner or grant.kind is GrantKind.GUARD
        pays = pays or grant.kind is GrantKind.PAY
        if (grant.kind is GrantKind.PAY and not subject.settled) or (
            grant.kind is GrantKind.WATCH and subject.lasts_for(grant.opened)
        ):
            reach = min(grant.depth, Depth.RESULTS)
            depth = max(depth, reach)
            for category in grant.opened:
                opened[category] = max(opened.get(category, Depth.NOTHING), reach)
    if owner:
        return OWNER
    seen = {c: d for c, d in opened.items() if d > Depth.NOTHING}
    shallow = frozenset((c, d) for c, d in seen.items() if d < depth)
    return View(depth, frozenset(seen), pays, owner=False, shallow=shallow)


class Action(StrEnum):
    """What somebody may want to do with a visit, or for a patient."""

    SEE_STEPS = "see_steps"
    SEE_BILL = "see_bill"
    SEE_RESULTS = "see_results"
    SEE_TOTAL = "see_total"
    SHOW_PASS = "show_pass"  # noqa: S105 - the visit pass
    ABANDON = "abandon"
    DISPUTE = "dispute"
    LEAVE = "leave"
    ASK_GUIDE = "ask_guide"  # say how she walks, ask for another time of an examination
    PAY = "pay"
    SEND_WORD = "send_word"
    ASK_FAMILY = "ask_family"
    SIGN = "sign"
    BOOK = "book"
    REQUEUE = "requeue"
    WITHDRAW = "withdraw"
    SHARE = "share"
    READ_LOOKS = "read_looks"
    CHECK_IN = "check_in"
    CONFIRM = "confirm"
    TAKE_PAYMENT = "take_payment"
    COUNTERSIGN = "countersign"
    EXCLUDE = "exclude"
    ANSWER_DISPUTE = "answer_dispute"
    ASK_REFUND = "ask_refund"
    APPROVE_REFUND = "approve_refund"


_DEPTHS = {Action.SEE_STEPS: Depth.STEPS, Action.SEE_BILL: Depth.BILL, Action.SEE_RESULTS: Depth.RESULTS}
_OWNERS = frozenset(
    {Action.ABANDON, Action.DISPUTE, Action.LEAVE, Action.ASK_GUIDE, Action.ASK_FAMILY, Action.WITHDRAW,
     Action.SHARE, Action.READ_LOOKS, Action.ASK_REFUND}
)  # fmt: skip
_ROLES: dict[Action, frozenset[Role]] = {
    Action.SHOW_PASS: frozenset({Role.COUNTER, Role.GUIDE}),
    Action.ABANDON: frozenset({Role.DESK, Role.DOCTOR}),
    Action.CHECK_IN: frozenset({Role.DESK, Role.GUIDE}),
    Action.REQUEUE: frozenset({Role.DESK, Role.GUIDE, Role.DOCTOR}),
    Action.CONFIRM: frozenset({Role.DESK, Role.DOCTOR}),
    Action.TAKE_PAYMENT: frozenset({Role.COUNTER}),
    Action.COUNTERSIGN: frozenset({Role.DOCTOR}),
    Action.EXCLUDE: frozenset({Role.DOCTOR, Role.COUNTER, Role.FINANCE}),
    Action.ANSWER_DISPUTE: frozenset({Role.DESK, Role.COUNTER, Role.FINANCE}),
    Action.ASK_REFUND: frozenset({Role.DESK, Role.COUNTER}),
    Action.APPROVE_REFUND: frozenset({Role.FINANCE}),
}
ROLES_WITH_VIEW = frozenset({Role.DOCTOR, Role.DESK, Role.COUNTER, Role.GUIDE, Role.FINANCE})


def role_may(action: Action, role: Role | None) -> bool:
    """Whether staff of this role ever do this: asked before anything is looked up, a no tells nothing."""
    return role in _ROLES.get(action, frozenset())


def may(action: Action, view: View, *, role: Role | None = None, signs: bool = False, books: bool = False) -> bool:
    """The one policy: whether a caller with this view may do this.

    Args:
        view: what the caller sees of the visit (``OWNER`` for a patient's own affairs outside a visit).
        role: of a member of staff.
        signs: whether the patient let this relative sign ahead.
        books: whether she let them book for her and carry her pass.
    """
    if view.staff:
        if action is Action.SEE_TOTAL or action in (Action.SEE_STEPS, Action.SEE_BILL):
            return True
        return role_may(action, role)
    if action in _DEPTHS:
        return view.depth >= _DEPTHS[action]
    if action is Action.SEND_WORD:
        return view.owner or view.depth >= Depth.STEPS
    if action in (Action.PAY, Action.SEE_TOTAL):
        return view.pays or view.owner
    if action is Action.SIGN:
        return view.owner or signs
    if action in (Action.BOOK, Action.SHOW_PASS):
        return view.owner or books
    return view.owner and action in _OWNERS


def alone_until(birth: date) -> date:
    """The day from which a child goes alone: guardianship by age ends there (born on 29 February: 1 March)."""
    try:
        return birth.replace(year=birth.year + ALONE_FROM_AGE)
    except ValueError:
        return date(birth.year + ALONE_FROM_AGE, 3, 1)


def age_on(birth: date, day: date) -> int:
    """Whole years on a day."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def mask_name(name: str) -> str:
    """Show a name to others: first character, the rest stars (``朱桂芳`` → ``朱**``); 复姓 keep one character too."""
    return name[:1] + "*" * max(1, len(name) - 1) if name else "**"


def mask_phone(phone: str) -> str:
    """``13800001234`` → ``138****1234``."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "****"


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def is_id_number(text: str) -> bool:
    """Whether this is a resident identity number: 17 digits and the check character of GB 11643-1999."""
    if len(text) != 18 or not (text[:17].isascii() and text[:17].isdigit()):
        return False
    return "10X98765432"[sum(w * int(c) for w, c in zip(_WEIGHTS, text[:17], strict=True)) % 11] == text[17].upper()


def birth_of(id_number: str) -> date | None:
    """The day of birth in an identity number; ``None`` when there is no such day."""
    try:
        return date(int(id_number[6:10]), int(id_number[10:12]), int(id_number[12:14]))
    except ValueError:
        return None


def is_phone(text: str) -> bool:
    """A mainland mobile number: eleven digits beginning with 1."""
    return len(text) == 11 and text.isascii() and text.isdigit() and text[0] == "1"
