"""Plays one hospital day: people come, wait, are served, are examined and go home, minute by minute."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from guide.sim.hospital import AGAIN, ENDS, EXAM, NOON, OPENS, DoorPlan, Hospital, Visitor

NEVER = float("inf")


@dataclass(slots=True)
class Walker:
    """One visitor on the way."""

    who: Visitor
    guided: bool
    place: str = "counter"
    ordered: float | None = None
    open: list[str] = field(default_factory=list)
    done: dict[str, float] = field(default_factory=dict)
    free: bool = False  # ordered something and on the way nowhere
    told: tuple[str, ...] = ()  # the order advised last
    heading: tuple[str, float] | None = None  # where to, and when there
    examined: float | None = None
    left: float | None = None

    def allowed_at(self, exam: str) -> float:
        """From when the examination may begin; ``NEVER`` while what comes before it is not done."""
        rule, moment = EXAM[exam], 0.0
        if rule.bladder and self.ordered is not None:
            moment = self.ordered + rule.bladder
        if rule.after and rule.after in self.who.exams:
            before = self.done.get(rule.after)
            if before is None:
                return NEVER
            moment = max(moment, before + (EXAM[rule.after].report if rule.result else 0.0))
        return moment


@dataclass(slots=True)
class Waiting:
    """One who stands at a door."""

    walker: Walker
    what: str
    ready: float
    work: float


class Door:
    """A door with its rooms and who stands before it."""

    __slots__ = ("busy", "coming", "longest", "mean", "plan", "queue", "until")

    def __init__(self, plan: DoorPlan, mean: float) -> None:
        self.plan, self.mean = plan, mean
        self.queue: list[tuple[float, int, Waiting]] = []
        self.busy = self.longest = self.coming = 0
        self.until: list[float] = []

    def rooms(self, now: float) -> int:
        """How many are served at a time: half at lunch, in the clinics nobody then."""
        if now < OPENS or now >= ENDS:
            return 0
        if NOON <= now < AGAIN:
            return 0 if self.plan.code.startswith("clinic") else -(-self.plan.rooms // 2)
        return self.plan.rooms

    def people(self, number: float | None = None) -> int:
        """How many are inside or before who comes now, or only before who holds this number."""
        waiting = len(self.queue) if number is None else sum(1 for n, _, _ in self.queue if n < number)
        return waiting + self.busy


@dataclass(frozen=True, slots=True)
class Way:
    """How a day is run: who chooses the next stop, by which number one is called, who is guided.

    Attributes:
        key: its name.
        numbers: everybody is called by when the doctor ordered, not by when one came to the door.
        grace: so many minutes since the order count for nothing; only a longer way through the house is made up for.
        call_in: nobody goes to a door before it has nearly nothing to do for so many minutes; None: one goes at once.
        use: the share of people who use the guide; the others follow their sheet.
        stale: minutes between two looks at the queues; 0: always live.
        ledger: who is on the way is reckoned with.
    """

    key: str
    guide: str = "sheet"
    numbers: bool = False
    grace: float = 0.0
    call_in: float | None = None
    use: float = 1.0
    stale: float = 0.0
    ledger: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a day: visitor → minutes of examinations (None without any), minutes in all, used the guide."""

    people: dict[int, tuple[float | None, float, bool]]
    longest: int
    unfinished: int
    many: frozenset[int]  # who has three examinations or more


Choice = Callable[["Day", Walker], tuple[str, str]]
"""Where one goes next: the examination and the door."""


class Day:
    """One day under one way."""

    def __init__(self, hospital: Hospital, people: list[Visitor], way: Way, choose: Choice) -> None:
        self.hospital, self.way, self.choose = hospital, way, choose
        self.now = 0.0
        self.doors = {code: Door(plan, _mean(plan)) for code, plan in hospital.doors.items()}
        self.walkers = [Walker(v, v.luck < way.use) for v in people]
        self.number, self.heap = count(), list[tuple[float, int, Callable[[], None]]]()
        self.looked, self.board = -NEVER, dict[str, tuple[int, int]]()

    def run(self) -> Outcome:
        """Play it to the end."""
        for walker in self.walkers:
            self._later(walker.who.comes, partial(self._join, walker, "counter", "counter"))
        for moment in (OPENS, AGAIN):
            self._later(moment, self._poke_all)
        while self.heap and self.heap[0][0] <= ENDS:
            self.now, _, act = heapq.heappop(self.heap)
            act()
        return self._outcome()

    def _later(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (moment, next(self.number), act))

    def _poke_all(self) -> None:
        for code in self.doors:
            self._serve(code)

    # ------------------------------------------------------------------------------------------------------- doors
    def _join(self, walker: Walker, code: str, what: str) -> None:
        door, exam = self.doors[code], what in EXAM
        walker.place, walker.heading = code, None
        door.coming -= exam
        number = self.now
        if exam and (self.way.numbers or self.way.call_in is not None):
            number = self.number_of(walker, self.now)
        elif what == "again":
            number = 0.0  # who comes back with results is not sent to the end
        ready = walker.allowed_at(what) if exam else 0.0
        work = walker.who.takes[what] * door.plan.stretch
        heapq.heappush(door.queue, (number, next(self.number), Waiting(walker, what, ready, work)))
        if exam:
            door.longest = max(door.longest, len(door.queue))
        if ready > self.now:
            self._later(ready, lambda: self._serve(code))
        self._serve(code)

    def number_of(self, walker: Walker, comes: float) -> float:
        """By which one is called who comes to a door then, where numbers are given from the doctor's order."""
        return min((walker.ordered or 0.0) + self.way.grace, comes)

    def _serve(self, code: str) -> None:
        door = self.doors[code]
        passed = []
        while door.queue and door.busy < door.rooms(self.now):
            entry = heapq.heappop(door.queue)
            if entry[2].ready > self.now:
                passed.append(entry)
                continue
            door.busy += 1
            self._later(self.now + entry[2].work, partial(self._served, code, entry[2]))
        for entry in passed:
            heapq.heappush(door.queue, entry)

    def _served(self, code: str, waiting: Waiting) -> None:
        door, walker, what = self.doors[code], waiting.walker, waiting.what
        door.busy -= 1
        if what == "counter":
            self._walk(walker, walker.who.clinic, "talk")
        elif what == "talk" and walker.who.exams:
            walker.ordered, walker.open = self.now, list(walker.who.exams)
            self._go_on(walker)
        elif what in EXAM:
            walker.done[what] = self.now
            walker.open.remove(what)
            self._go_on(walker)
        elif what in ("talk", "again") and walker.who.medicine:
            self._walk(walker, "pharmacy", "pharmacy")
        else:
            walker.left = self.now
        self._serve(code)
        if self.way.call_in is not None and what in EXAM:
            self._call(code)

    def _walk(self, walker: Walker, code: str, what: str, at_least: float = 0.0) -> None:
        there = max(self.now + self.hospital.walk(walker.place, code), at_least)
        walker.heading = (code, there)
        self._later(there, lambda: self._join(walker, code, what))

    # ------------------------------------------------------------------------------------------------ examinations
    def _go_on(self, walker: Walker) -> None:
        """After the doctor, or after an examination: the next one, or back."""
        if not walker.open:
            walker.examined = self.now
            known = max(at + EXAM[exam].report for exam, at in walker.done.items())
            self._walk(walker, walker.who.clinic, "again", known)
        elif self.way.call_in is None:
            exam, code = self.choose(self, walker)
            self.doors[code].coming += 1
            self._walk(walker, code, exam)
        else:
            walker.free = True
            for exam in walker.open:
                moment = walker.allowed_at(exam)
                if self.now < moment < NEVER:
                    self._later(moment, partial(self._call_for, exam))
            for exam in list(walker.open):
                self._call_for(exam)

    def _call_for(self, exam: str) -> None:
        for door in self.hospital.sites(exam):
            self._call(door.code)

    def _call(self, code: str) -> None:
        """Late call-in: while the door has little to do, the lowest number that may come is called."""
        door = self.doors[code]
        exam, buffer = door.plan.exam, self.way.call_in or 0.0
        rooms = max(door.rooms(self.now), 1)
        while exam and (door.people() + door.coming + 1 - rooms) * door.mean / rooms < buffer:
            could = [w for w in self.walkers_with(exam) if w.allowed_at(exam) <= self.now + 5]
            if not could:
                return
            called = min(could, key=lambda w: w.ordered or 0.0)
            called.free = False
            door.coming += 1
            self._walk(called, code, exam)

    def walkers_with(self, exam: str) -> Iterator[Walker]:
        """Who is free and still to be examined there."""
        return (w for w in self.walkers if w.free and exam in w.open)

    # ---------------------------------------------------------------------------------------------------- the board
    def seen(self, code: str) -> tuple[int, int]:
        """People inside and before a door, and before it alone, as the board in the hall says."""
        if self.way.stale <= 0:
            door = self.doors[code]
            return door.people(), len(door.queue)
        if self.now - self.looked >= self.way.stale:
            self.looked = self.now - self.now % self.way.stale
            self.board = {c: (d.people(), len(d.queue)) for c, d in self.doors.items()}
        return self.board[code]

    def _outcome(self) -> Outcome:
        people: dict[int, tuple[float | None, float, bool]] = {}
        unfinished = 0
        for w in self.walkers:
            exam = None if w.ordered is None else (w.examined or ENDS) - w.ordered
            unfinished += w.left is None
            people[w.who.number] = (exam, (w.left or ENDS) - w.who.comes, w.guided)
        longest = max(d.longest for d in self.doors.values())
        many = frozenset(w.who.number for w in self.walkers if len(w.who.exams) >= 3)
        return Outcome(people, longest, unfinished, many)


def _mean(plan: DoorPlan) -> float:
    return EXAM[plan.exam].minutes * plan.stretch if plan.exam else 1.0
