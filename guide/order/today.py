"""From the orders of a visit and the hospital's rules to what is to be planned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from guide.order.rules import GUESSED, ExamRules, Numbers, OneRule, Rule
from guide.order.stops import After, Site, Span, Stop, Task
from guide.order.waits import NOBODY, Door, Waits, curve

MINUTES = {"lab": 5.0, "imaging": 12.0, "procedure": 30.0}  # at the door, where the hospital's file says nothing
EXAMS = frozenset({"lab", "imaging"})


@dataclass(frozen=True, slots=True)
class Exam:
    """What the hospital's file says of one kind of order; ``report``: minutes until the result."""

    code: str
    name: str
    department: str
    minutes: float
    report: float | None


@dataclass(frozen=True, slots=True)
class Book:
    """One version of a hospital's rules with what they are about.

    Attributes:
        version: 0 where the hospital has signed none.
        at: department code → building and floor.
    """

    version: int = 0
    rules: ExamRules | None = None
    exams: Sequence[Exam] = ()
    at: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def numbers(self) -> Numbers:
        """What the hospital has signed, or what is guessed."""
        return self.rules.numbers if self.rules else GUESSED

    def exam_of(self, name: str, department: str) -> Exam | None:
        """What is ordered under this name there."""
        return next((e for e in self.exams if e.name == name and e.department == department), None)

    def of(self, kind: Rule, exam: Exam | None) -> list[OneRule]:
        """The rules of one kind about an exam."""
        return self.rules.of(kind, exam.code) if self.rules and exam else []


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order as the planner needs it; minutes of the day.

    Attributes:
        heard: when the hospital last said how many are ahead.
        slot: the window of its appointment.
        resulted: its result is known, and whoever asks may know that.
        cleared: a nurse has looked at what is asked before it.
        not_before: a nurse wants nobody there before this minute.
    """

    key: str
    name: str
    kind: str
    department: str
    state: str
    preparation: Sequence[str]
    ordered_at: float
    ahead: int | None = None
    heard: float | None = None
    performed_at: float | None = None
    resulted: bool = False
    cleared: bool = False
    slot: Span | None = None
    not_before: float | None = None


def planned(one: Ordered, book: Book) -> bool:
    """Whether it is an examination whose place in the order is ours to choose."""
    if one.kind in EXAMS:
        return True
    exam = book.exam_of(one.name, one.department)
    return one.kind == "procedure" and ("fasting" in one.preparation or (exam is not None and exam.report is not None))


def load_age(orders: Sequence[Ordered], now: float, numbers: Numbers = GUESSED) -> float | None:
    """How old the oldest word about their queues is, in minutes; None where one is missing or too old to go by."""
    ages = [now - o.heard if o.heard is not None and o.ahead is not None else inf for o in orders]
    oldest = max(ages, default=inf)
    return oldest if oldest <= numbers.queue_minutes else None


def task_of(
    orders: Sequence[Ordered],
    book: Book,
    now: float,
    walk: Callable[[str, str], float],
    *,
    back: str,
    start: str,
    pinned: Sequence[str] = (),
    expected: Mapping[str, Mapping[int, int]] | None = None,
) -> Task:
    """What is still to be done of these orders.

    Args:
        orders: all of the visit that whoever asks may know of, done ones too.
        walk: minutes from department to department.
        back: the department one goes back to; start: where one is.
        expected: department → minute → how many others are on the way there.
    """
    open_ = [o for o in orders if o.state in ("placed", "checked_in", "called") and planned(o, book)]
    done = [o for o in orders if o.performed_at is not None]
    known_load = load_age(open_, now, book.numbers) is not None
    stops, after = [], []
    for one in sorted(open_, key=lambda o: {"called": 0, "checked_in": 1}.get(o.state, 2)):
        stop, lags = _stop(one, book, now, done, known_load, expected or {})
        stops.append(stop)
        after += [
            After(first.key, one.key, lag, result)
            for code, lag, result in lags
            for first in open_
            if first.key != one.key and (e := book.exam_of(first.name, first.department)) and e.code == code
        ]
    after += _meals(open_, stops, book)
    return Task(now, start, back, stops, walk, after, _apart(open_, book), pinned, max(now, _known(done, book)))


def _stop(
    one: Ordered,
    book: Book,
    now: float,
    done: Sequence[Ordered],
    known_load: bool,
    expected: Mapping[str, Mapping[int, int]],
) -> tuple[Stop, list[tuple[str, float, bool]]]:
    exam = book.exam_of(one.name, one.department)
    minutes = exam.minutes if exam else MINUTES.get(one.kind, 15.0)
    fasting, drinks, opens = (book.of(k, exam) for k in (Rule.FASTING, Rule.FULL_BLADDER, Rule.OPEN))
    bladder = bool(drinks) or "full_bladder" in one.preparation
    ready_at = one.ordered_at + (drinks[0].minutes if drinks else book.numbers.bladder_minutes) if bladder else -inf
    ready_at = max(ready_at, -inf if one.not_before is None else one.not_before)
    lags: list[tuple[str, float, bool]] = []
    for rule in book.of(Rule.AFTER, exam):
        lags.append((rule.other or "", float(rule.minutes), rule.result))
        for first in done:
            before = book.exam_of(first.name, first.department)
            if before is not None and before.code == rule.other:
                known = 0.0 if first.resulted or not rule.result else before.report or 0.0
                ready_at = max(ready_at, (first.performed_at or 0.0) + known + rule.minutes)
    asked = [r.ask for r in book.of(Rule.ASK, exam)]
    blocked = asked[0] if asked and not one.cleared else None
    done_codes = {e.code for o in done if (e := book.exam_of(o.name, o.department))}
    if any(r.other in done_codes for r in _either(book, exam)):
        blocked = "apart"
    spans = [(float(a), float(b)) for r in opens for a, b in r.spans] or [(-inf, inf)]
    waits = _waits(one, minutes, now, expected.get(one.department)) if known_load else NOBODY
    # Other doors for the same: how many stand there nobody tells, so they are thought no quieter than one's own.
    places = [one.department, *(p for r in book.of(Rule.SITES, exam) for p in r.places)]
    here = one.state in ("checked_in", "called")
    stop = Stop(
        one.key,
        minutes,
        exam.report if exam else None,
        [Site(place, waits, spans) for place in (places[:1] if here else dict.fromkeys(places))],
        ready_at=ready_at,
        slot=one.slot,
        until=min((r.until for r in fasting if r.until is not None), default=inf),
        here=here,
        blocked=blocked,
        fasting=bool(fasting) or "fasting" in one.preparation,
        bladder=bladder,
    )
    return stop, lags


def _waits(one: Ordered, minutes: float, now: float, expected: Mapping[int, int] | None) -> Waits:
    heard = one.heard if one.heard is not None else now
    # One who is told "five ahead" is thought to stand before one room: what the hospital says is in patients.
    return curve(heard, Door(float(one.ahead or 0), minutes), expected, ahead=240 + int(now - heard))


def _either(book: Book, exam: Exam | None) -> list[OneRule]:
    """The APART rules about an exam, whichever way round they are written, the other one as ``other``."""
    if book.rules is None or exam is None:
        return []
    turned = [replace(r, exam=exam.code, other=r.exam) for r in book.rules.rules
              if r.kind is Rule.APART and r.other == exam.code]  # fmt: skip
    return book.rules.of(Rule.APART, exam.code) + turned


def _apart(open_: Sequence[Ordered], book: Book) -> list[frozenset[str]]:
    made = []
    for one in open_:
        for rule in _either(book, book.exam_of(one.name, one.department)):
            for other in open_:
                exam = book.exam_of(other.name, other.department)
                if other.key != one.key and exam and exam.code == rule.other:
                    made.append(frozenset((one.key, other.key)))
    return list(dict.fromkeys(made))


def _meals(open_: Sequence[Ordered], stops: Sequence[Stop], book: Book) -> list[After]:
    """What is eaten for comes after everything that is done fasting."""
    meals = [o.key for o in open_ if book.of(Rule.MEAL, book.exam_of(o.name, o.department))]
    return [After(s.key, meal) for meal in meals for s in stops if s.fasting and s.key != meal and not s.blocked]


def _known(done: Sequence[Ordered], book: Book) -> float:
    """When the results of what is done already will be there."""
    waits = [
        (o.performed_at or 0.0) + exam.report
        for o in done
        if not o.resulted and (exam := book.exam_of(o.name, o.department)) and exam.report
    ]
    return max(waits, default=-inf)
