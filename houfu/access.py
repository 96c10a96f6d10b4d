"""Who may do what, route by route: the rules behind ``houfu.access_table``, drawn as ``docs/access.md``.

A row of the table names a route and a rule; what the rule means for one person follows from the policy of
``people.rules``. ``tests/policy`` asks every route as every one of them and compares.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from api import deps
from family_pay.service.bonds import MAY_SET_GUARDIANS
from family_pay.service.invitations import MAY_BIND
from guide.service.walking import MAY_PIN
from houfu.access_table import TABLE
from houfu.app import routers
from people.rules import (
    NOTHING,
    OWNER,
    ROLES_WITH_VIEW,
    STAFF_VIEW,
    Action,
    Depth,
    GrantFact,
    GrantKind,
    Role,
    Subject,
    View,
    may,
    view_from,
)
from people.service.phones import MAY_CHANGE_PHONES

DEPTHS: Mapping[str, Depth] = {"steps": Depth.STEPS, "bill": Depth.BILL, "results": Depth.RESULTS}
PERSONS = ("patient", "guardian", "payer", "signer", "carrier", *DEPTHS, "former", "other")
STAFF = tuple(str(role) for role in Role)
ELSEWHERE = tuple(f"{role}@" for role in STAFF)
NOBODY = ("kiosk", "expired", "anonymous")
EVERYBODY = (*PERSONS, *STAFF, *ELSEWHERE, *NOBODY)

_ZERO = UUID(int=0)
_VISIT = Subject(_ZERO, _ZERO, _ZERO, ended=False, settled=False)
_NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def _fact(kind: GrantKind, depth: Depth = Depth.NOTHING) -> GrantFact:
    return GrantFact(kind, depth, frozenset(), None, None)


_GRANTS: Mapping[str, Sequence[GrantFact]] = {
    "guardian": [_fact(GrantKind.GUARD)],
    "payer": [_fact(GrantKind.PAY)],
    "signer": [_fact(GrantKind.SIGN)],
    "carrier": [_fact(GrantKind.WATCH, Depth.STEPS), _fact(GrantKind.BOOK)],
    **{name: [_fact(GrantKind.WATCH, depth)] for name, depth in DEPTHS.items()},
}


class Answer(StrEnum):
    """What somebody finds at a route."""

    YES = "yes"
    NO = "no"  # 403: it is there, and not theirs to do
    ABSENT = "absent"  # 404, in every byte as if there were no such thing
    LOGIN = "login"  # 401: nobody is logged in
    SIGNATURE = "signature"  # refused whoever asks, unless a machine has signed it


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who asks about the patient's visit, or about something that belongs to it."""

    name: str
    role: Role | None = None
    here: bool = True

    @property
    def is_person(self) -> bool:
        """A patient or relative."""
        return self.name in PERSONS

    def view(self, *, over: bool = False) -> View:
        """What they see of the visit; ``over``: it has ended and is paid."""
        if self.role is not None:
            return STAFF_VIEW if self.here and self.role in ROLES_WITH_VIEW else NOTHING
        if self.name == "patient":
            return OWNER
        subject = Subject(_ZERO, _ZERO, _ZERO, ended=over, settled=over)
        return view_from(_GRANTS.get(self.name, ()), subject, _NOON)

    @property
    def signs(self) -> bool:
        """Whether the patient let them sign ahead."""
        return self.name == "signer"

    @property
    def books(self) -> bool:
        """Whether the patient let them book for her and carry her pass."""
        return self.name == "carrier"


def who(name: str) -> Who:
    """One of everybody."""
    role = name.removesuffix("@")
    return Who(name, Role(role) if role in STAFF else None, not name.endswith("@"))


Allows = Callable[[Who, View], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, in a sentence and as a function; ``hides``: whoever may not is told that there is no such thing."""

    says: str
    allows: Allows
    hides: bool = False
    about_visit: bool = True
    roles: frozenset[Role] = frozenset()
    """Where a role is asked for before anything is looked up: every other role is told no, whatever there is."""

    def answer(self, one: Who, *, over: bool = False) -> Answer:
        """What the rule means for one of them."""
        view = one.view(over=over)
        if self.allows(one, view):
            return Answer.YES
        if self.roles and one.role not in self.roles:
            return Answer.NO
        return Answer.ABSENT if self.hides or (self.about_visit and view.blind) else Answer.NO


def _action(action: Action) -> Allows:
    return lambda one, view: may(action, view, role=one.role, signs=one.signs, books=one.books)


def _own(action: Action) -> Allows:
    """For the patient outside any visit: herself, who stands for her, and for signing whom she let."""
    return lambda one, view: one.is_person and may(action, view, signs=one.signs, books=one.books)


def _named(*names: str) -> Allows:
    return lambda one, view: one.name in names


def _roles(*roles: Role) -> Allows:
    return lambda one, view: one.role in roles


def _roles_here(*roles: Role) -> Allows:
    return lambda one, view: one.role in roles and one.here


def _of_role(says: str, roles: Collection[Role]) -> Rule:
    return Rule(says, _roles_here(*roles), roles=frozenset(roles))


def _person(one: Who, view: View) -> bool:
    return one.is_person


def _pays(one: Who, view: View) -> bool:
    return may(Action.PAY if one.is_person else Action.TAKE_PAYMENT, view, role=one.role)


def _anyone(one: Who, view: View) -> bool:
    return True


_DOES: Mapping[Action, str] = {
    Action.PAY: "may pay this visit",
    Action.SIGN: "may sign for her",
    Action.SHOW_PASS: "may show the pass: her side, and who prints it",
    Action.ABANDON: "may give an order up for her, or the desk whose order it is",
    Action.DISPUTE: "acts for her: says that a line was not done",
    Action.LEAVE: "acts for her: leaves now",
    Action.ASK_GUIDE: "acts for her: how she walks, another time of an examination",
    Action.ASK_FAMILY: "acts for her: asks the family, or the insurance",
    Action.CHECK_IN: "checks people in",
    Action.TAKE_PAYMENT: "takes money at the counter",
    Action.EXCLUDE: "turns a visit or a line of it pay-first: doctor, counter, finance",
    Action.ANSWER_DISPUTE: "answers what she says against a line",
    Action.ASK_REFUND: "may ask for money back",
    Action.SEND_WORD: "sees where she is, or is she: the preset words both ways",
}
_QUEUES = tuple(role for role in Role if may(Action.REQUEUE, STAFF_VIEW, role=role))
_WATCHES = (Role.DOCTOR, Role.DESK, Role.COUNTER, Role.GUIDE)
RULES: Mapping[str, Rule] = {
    "anyone": Rule("anybody; it shows nothing of anybody", _anyone),
    "link": Rule("whoever holds the link; it says hospital, amount and a masked name", _anyone),
    "signed": Rule("a machine that signs what it sends", lambda one, view: False),
    "session": Rule("whoever is logged in, about themselves", _anyone, about_visit=False),
    "oneself": Rule("every patient and relative, about themselves and those they may see", _person, about_visit=False),
    "invited": Rule("every patient and relative who was given the invitation", _person, about_visit=False),
    "visit": Rule("whoever sees anything of the visit", lambda one, view: not view.blind),
    "steps": Rule("whoever sees where she is", lambda one, view: view.depth >= Depth.STEPS),
    "money": Rule("whoever sees the bill, or may pay it", lambda one, view: view.depth >= Depth.BILL or view.pays),
    "receipt": Rule(
        "her side, who may pay, and staff", lambda one, view: view.owner or view.pays or view.staff, hides=True
    ),
    "receipt.whole": Rule("her side and staff", lambda one, view: view.owner or view.staff, hides=True),
    "payer": Rule("who pays for her, about their own limits", _named("payer", "guardian"), hides=True),
    "pays": Rule("whoever may pay this visit, or takes money for it at the counter", _pays),
    "asked": Rule("whom she asked to pay", _named("payer"), hides=True),
    "payment": Rule("whoever began the payment", _named("payer"), hides=True),
    "hers": Rule("whoever began it: here the patient", _named("patient"), hides=True),
    "hand": Rule("who may sign, with the code of another device", _own(Action.SIGN), hides=True),
    "asker": Rule("who asked to be bound by her phone", _named("other"), hides=True),
    "bound": Rule(
        "every relative who is bound to her", _named("guardian", "payer", "signer", "carrier", *DEPTHS), hides=True
    ),
    "bound.bond": Rule("the relative of the bond", _named("payer"), hides=True),
    "booked": Rule("her side, and who booked it for her", _named("patient", "guardian"), hides=True),
    "bond": Rule("both sides of the bond", _named("patient", "guardian", "payer"), hides=True),
    "given": Rule("her side, and the relative who made the link", _named("patient", "guardian", "payer"), hides=True),
    "letter": Rule(
        "her side, the signer, and staff who witness",
        lambda one, view: view.owner or (one.here and one.role in _WATCHES), hides=True,
    ),
    "staff": Rule("every member of staff, about their own hospital", _roles(*Role), about_visit=False),
    "phones": Rule("staff who see visits", _roles_here(*ROLES_WITH_VIEW)),
    "queues": Rule(
        "doctors, desks and guides, about their own hospital", _roles(*_QUEUES), about_visit=False
    ),
    "doctor": Rule("doctors, about their own hospital", _roles(Role.DOCTOR), about_visit=False),
    "finance": Rule("finance, about their own hospital", _roles(Role.FINANCE), about_visit=False),
    "cashier": Rule("the counter, about its own hospital", _roles(Role.COUNTER), about_visit=False),
    "money.staff": Rule(
        "counter and finance, about their own hospital", _roles(Role.COUNTER, Role.FINANCE), about_visit=False
    ),
    "guardians": Rule("desk, counter and guide: they write guardians down", _roles_here(*MAY_SET_GUARDIANS)),
    "guardians.known": _of_role("desk, counter and guide, for their hospital's patients", MAY_SET_GUARDIANS),
    "binds": _of_role("counter and guide, for their hospital's patients", MAY_BIND),
    "pins": _of_role("doctors, desk, counter and guide of the visit's hospital", MAY_PIN),
    "binds.visit": Rule("counter and guide of the visit's hospital", _roles_here(*MAY_BIND)),
    "guardians.end": Rule(
        "desk, counter and guide of a hospital she was at", _roles_here(*MAY_SET_GUARDIANS), hides=True
    ),
    "phones.own": Rule("counter and guide, about their own hospital", _roles(*MAY_CHANGE_PHONES), about_visit=False),
    "phones.here": _of_role("counter and guide of the hospital it is of", MAY_CHANGE_PHONES),
    "phones.visit": Rule("counter and guide of the visit's hospital", _roles_here(*MAY_CHANGE_PHONES)),
    "doctor.here": _of_role("doctors of the hospital it is of", {Role.DOCTOR}),
    "finance.here": _of_role("finance of the hospital it is of", {Role.FINANCE}),
    "requeue": _of_role("who puts somebody who was called in vain back into the queue", _QUEUES),
    "money.here": _of_role("counter and finance of the hospital it is of", {Role.COUNTER, Role.FINANCE}),
    "desks": _of_role("desks and guides of the hospital it is of", {Role.DESK, Role.GUIDE}),
    "answers": _of_role("who answers what patients say against a line", {Role.DESK, Role.COUNTER, Role.FINANCE}),
    "kiosk": Rule("a kiosk, for whoever stands before it", _named("kiosk"), about_visit=False),
    **{str(a): Rule(f"whoever {says}", _action(a)) for a, says in _DOES.items()},
    **{
        f"own.{a}": Rule(f"the patient and who stands for her ({says})", _own(a), hides=True)
        for a, says in (
            (Action.SHARE, "sharing"), (Action.WITHDRAW, "stopping the service"), (Action.READ_LOOKS, "who looked"),
            (Action.BOOK, "booking, also whom she let book"),
            (Action.SIGN, "signing, also whom she let sign ahead"),
        )
    },
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ``POST /visits/{visit_id}/pay pay``."""

    route: str
    rule: str
    but: Mapping[str, Answer] = field(default_factory=dict)


def rows(table: str = TABLE) -> list[Row]:
    """The table; ``name=answer`` behind the rule is an exception for one of everybody.

    Raises:
        ValueError: a line that cannot be read, or a rule there is none of.
    """
    found = []
    for line in table.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        method, path, rule, *but = line.split()
        if rule not in RULES:
            raise ValueError(f"{method} {path}: there is no rule {rule!r}")
        pairs = (one.partition("=") for one in but)
        found.append(Row(f"{method} {path}", rule, {name: Answer(answer) for name, _, answer in pairs}))
    return found


def routes() -> Iterator[tuple[str, str]]:
    """(route, who it lets in at the door: ``person``, ``staff``, ``any``, ``nobody``, ``kiosk`` or ``signed``)."""
    for router in routers():
        for route in router.routes:
            if isinstance(route, APIWebSocketRoute):
                yield f"WS {route.path}", "any"
            elif isinstance(route, APIRoute):
                for method in sorted(route.methods or ()):
                    yield f"{method} {route.path}", _door(route.dependant)


_DOORS = (
    (deps.person_caller, "person"), (deps.staff_caller, "staff"), (deps.any_caller, "any"), (deps.signed, "signed"),
    (deps.kiosk_caller, "kiosk"), (deps.maybe_caller, "maybe"),
)  # fmt: skip


def _door(dependant: Dependant) -> str:
    calls = set(_calls(dependant))
    return next((name for call, name in _DOORS if call in calls), "nobody")


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def expected(row: Row, door: str, name: str, *, over: bool = False) -> Answer:
    """What one of everybody finds at a route.

    Args:
        door: of ``routes``.
        over: the visit has ended and is paid.
    """
    one = who(name)
    if name in row.but:
        return row.but[name]
    if door == "signed":
        return Answer.SIGNATURE
    if door in ("nobody", "maybe"):
        return Answer.YES
    if door == "kiosk":
        return Answer.YES if RULES[row.rule].allows(one, NOTHING) else Answer.LOGIN
    if name in NOBODY:
        return Answer.LOGIN
    if (door == "person") != one.is_person and door != "any":
        return Answer.NO
    return RULES[row.rule].answer(one, over=over)


# ------------------------------------------------------------------------------------------------------- the document

HEAD = """# Who may do what

Made from the routes, from `houfu/access_table.py` and from the policy in `people/rules.py` by `houfu docs`; never by
hand. `tests/policy` asks every route as every one of these people, in each case about the same visit of one patient. It
fails when an answer is another than the one below, when a route has no line here, or when a no has changed anything.

## Who asks

| column | who |
|---|---|
| patient | the patient herself |
| guardian | who stands for her: the guardian of a child, or of an adult who cannot act |
| payer | a relative who may pay, and sees nothing else |
| signer | a relative whom she let sign ahead |
| carrier | the child of an elder without a phone: follows where she is, books, and carries her pass |
| steps, bill, results | a relative who follows the visit, to that depth; nothing sensitive was opened to them |
| former | a relative whose rights she has withdrawn |
| other | another patient |
| doctor … admin | staff of the visit's hospital, by role |
| elsewhere | staff of another hospital, in every role |
| kiosk | a kiosk in the hall, for whoever stands before it |
| nobody | nobody is logged in, or the session has ended |

Whoever holds a **pay link** is nobody we know: the link is what opens its few pages, and nothing else.

## What they find

| sign | what it means |
|---|---|
| ● | may |
| – | no: it is there, and not theirs to do |
| · | nothing: answered, in every byte, as if there were no such thing |
| → | log in first |
| ✎ | refused, unless a machine has signed it |
| ◐ | staff elsewhere: what their role may, about their own hospital |

When the visit has **ended and is paid**, who followed it finds nothing any more, who paid keeps amount, hospital and
receipt, and her own side keeps everything. What is **withdrawn** is withdrawn at once: see the column *former*.

## How a route is added

One line in `houfu/access_table.py`: method, path, and the name of a rule of `houfu/access.py` (or a new rule there). If
the route wants more than the ids in its path, one line in `tests/policy/requests.py`; if it is about something that
exists nowhere yet, a few in `tests/policy/setting.py`. Then `houfu docs`.
"""
_SIGNS = {Answer.YES: "●", Answer.NO: "–", Answer.ABSENT: "·", Answer.LOGIN: "→", Answer.SIGNATURE: "✎"}
_COLUMNS = (*PERSONS, *STAFF, "elsewhere", "kiosk", "nobody")


def text() -> str:
    """The page."""
    doors, parts = dict(routes()), [HEAD]
    titles = [line.strip("# ") for line in TABLE.splitlines() if line.startswith("#")]
    groups = [rows(part) for part in _parts()]
    for title, group in zip(titles, groups, strict=True):
        parts += [f"\n## {title[:1].upper()}{title[1:]}\n", f"| route | {' | '.join(_COLUMNS)} | who may |"]
        parts.append(f"|---|{':-:|' * len(_COLUMNS)}---|")
        for row in group:
            door = doors.get(row.route, "nobody")
            signs = [_sign(row, door, name) for name in _COLUMNS]
            parts.append(f"| `{row.route}` | {' | '.join(signs)} | {RULES[row.rule].says} |")
    return "\n".join([*parts, ""])


def _parts() -> list[str]:
    found: list[str] = []
    for line in TABLE.splitlines():
        if line.startswith("#"):
            found.append("")
        elif found:
            found[-1] += f"{line}\n"
    return found


def _sign(row: Row, door: str, name: str) -> str:
    if name == "elsewhere":
        every = {expected(row, door, one) for one in ELSEWHERE}
        return _SIGNS[every.pop()] if len(every) == 1 else "◐" if Answer.YES in every else "·"
    return _SIGNS[expected(row, door, "anonymous" if name == "nobody" else name)]
