"""How long one waits at a door at each minute, reckoned from who stands there and who is on the way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class Waits:
    """Minutes one waits by the minute one arrives; in between straight lines, before and after as at the ends.

    Who comes later never begins earlier: a curve that falls faster than time passes is lifted. The planner is exact
    only because of that.
    """

    __slots__ = ("last", "start", "values")

    def __init__(self, start: float, values: Iterable[float]) -> None:
        """``start``: the minute of the first value; the others follow minute by minute; none at all: nobody waits."""
        made: list[float] = []
        for value in values or (0.0,):
            made.append(max(value, made[-1] - 1.0, 0.0) if made else max(value, 0.0))
        self.start, self.values, self.last = start, tuple(made) or (0.0,), len(made) - 1

    def at(self, minute: float) -> float:
        """The wait of who arrives then."""
        passed = minute - self.start
        if passed <= 0:
            return self.values[0]
        if passed >= self.last:
            return self.values[-1]
        whole = int(passed)
        before = self.values[whole]
        return before + (self.values[whole + 1] - before) * (passed - whole)

    def least(self, minute: float) -> float:
        """What whoever arrives then or later waits at least."""
        return min(self.values[max(0, min(int(minute - self.start), self.last)) :])


NOBODY = Waits(0.0, (0.0,))


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who is expected at a door at a minute."""

    place: str
    minute: float


@dataclass(slots=True)
class Ledger:
    """Who is on the way to which door and when: one bucket a minute for each door, one plan for each patient."""

    plans: dict[str, tuple[Arrival, ...]] = field(default_factory=dict)
    buckets: dict[str, dict[int, int]] = field(default_factory=dict)

    def put(self, patient: str, arrivals: Iterable[Arrival]) -> None:
        """The patient's plan is this one now; an earlier one is taken out."""
        self.drop(patient)
        kept = self.plans[patient] = tuple(arrivals)
        for one in kept:
            door = self.buckets.setdefault(one.place, {})
            door[int(one.minute)] = door.get(int(one.minute), 0) + 1

    def drop(self, patient: str) -> None:
        """The patient is no longer on the way anywhere."""
        for one in self.plans.pop(patient, ()):
            door = self.buckets[one.place]
            door[int(one.minute)] -= 1
            if not door[int(one.minute)]:
                del door[int(one.minute)]

    def expected(self, place: str) -> Mapping[int, int]:
        """Minute → how many arrive there then."""
        return self.buckets.get(place, {})


@dataclass(frozen=True, slots=True)
class Door:
    """What is known of a door now.

    Attributes:
        people: how many stand before it or are inside.
        each: minutes for one patient.
        rooms: how many are served at a time.
        rests: from which minute to which half the rooms rest (lunch); None: never.
    """

    people: float
    each: float
    rooms: float = 1.0
    rests: tuple[float, float] | None = None


def curve(now: float, door: Door, expected: Mapping[int, int] | None = None, ahead: int = 240) -> Waits:
    """The waits at a door for the next ``ahead`` minutes: who stands there is served, who is on the way comes."""
    people, each, values = door.people, max(door.each, 0.1), []
    first = int(now)
    rests, until = door.rests or (0.0, 0.0)
    for minute in range(first, first + ahead):
        rooms = door.rooms / 2 if rests <= minute < until else door.rooms
        if expected:
            people += expected.get(minute, 0)
        wait = (people + 1 - rooms) * each / rooms
        values.append(wait if wait > 0 else 0.0)
        if not expected and wait <= 0:
            break
        people = max(0.0, people - min(max(people, 1.0), rooms) / each)
    return Waits(now, values)


def widened(minutes: float, age: float | None) -> tuple[float, float]:
    """From a wait the least and the most it may be: a third either way, and wider the older the word is (minutes).

    Without any word (``age`` None) the least is nothing and the most is twice as long and a quarter of an hour.
    """
    if age is None:
        return 0.0, 2 * minutes + 15
    share = min(1.0, 0.33 + max(age, 0.0) / 60)
    return max(0.0, minutes * (1 - share) - age / 10), minutes * (1 + share) + age / 4
