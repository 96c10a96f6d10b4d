"""What is to be planned: the stops of one patient, where each can be done, and what stands between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from guide.order.waits import NOBODY, Waits

Span = tuple[float, float]
"""From minute to minute, both included: when one may begin."""


@dataclass(frozen=True, slots=True)
class Site:
    """One door where a stop can be done."""

    place: str
    waits: Waits = NOBODY
    spans: Sequence[Span] = ((-inf, inf),)


@dataclass(frozen=True, slots=True)
class Stop:
    """Something ordered that is still to be done.

    Attributes:
        key: which.
        minutes: how long it takes at the door.
        report: minutes from there until its result is known; None: nobody waits for it today.
        sites: the doors where it can be done, at least one.
        ready_at: not before this minute (a bladder fills slowly).
        until: begun by this minute at the latest (an empty stomach does not last).
        slot: an appointment: begun as soon as one is there and it has come; whoever arrives later has lost it.
        here: the patient has reported there and is not moved, whatever the rules say of it.
        blocked: why it cannot be done before a person has looked at it, as a code; it is left out of the plan.
        fasting, bladder: why it has a time, for saying so.
    """

    key: str
    minutes: float
    report: float | None
    sites: Sequence[Site]
    ready_at: float = -inf
    until: float = inf
    slot: Span | None = None
    here: bool = False
    blocked: str | None = None
    fasting: bool = False
    bladder: bool = False


@dataclass(frozen=True, slots=True)
class After:
    """``then`` begins only so many minutes after ``first`` is done, or after its result is known (``result``)."""

    first: str
    then: str
    lag: float = 0.0
    result: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One patient's stops, and where the patient is and goes back to; minutes count from any one zero.

    ``known``: when the results of what was done before are known; None: there are none to wait for.
    """

    now: float
    start: str
    back: str
    stops: Sequence[Stop]
    walk: Callable[[str, str], float]
    after: Sequence[After] = ()
    apart: Sequence[frozenset[str]] = ()
    pinned: Sequence[str] = ()
    known: float | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """One stop of a plan: which door, when one arrives, begins and is done."""

    key: str
    place: str
    arrive: float
    begin: float
    done: float

    @property
    def wait(self) -> float:
        """Minutes at the door before it begins."""
        return self.begin - self.arrive


@dataclass(frozen=True, slots=True)
class Plan:
    """The order to go.

    Attributes:
        placed: the stops in order.
        left: keys that have no place today, blocked ones included.
        back: when one is back at the doctor with everything known.
        done: when the last stop is done.
        cost: what the planner makes small: ``back``, and a little of ``done``.
        exact: no better order exists; false only for more stops than ``planner.EXACT``.
        unpinned: the nurse's wish could not be kept today, because rules or hours do not allow it.
    """

    placed: tuple[Placed, ...]
    left: tuple[str, ...]
    back: float
    done: float
    cost: float
    exact: bool = True
    unpinned: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The order, by key."""
        return tuple(one.key for one in self.placed)


def begin(stop: Stop, site: Site, arrive: float, ready_at: float) -> float:
    """When the stop begins for who arrives at the site then, and not before ``ready_at``; ``inf`` if never today."""
    if stop.here:
        return arrive + site.waits.at(arrive)
    if stop.slot is not None:
        first, last = stop.slot
        moment = max(arrive, ready_at, first)
        return moment if moment <= min(last, stop.until) else inf
    moment = max(arrive + site.waits.at(arrive), ready_at)
    for opens, closes in site.spans:
        if moment <= closes:
            if moment < opens:
                moment = opens
            return moment if moment <= stop.until else inf
    return inf
