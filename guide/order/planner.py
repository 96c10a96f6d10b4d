"""Finds the best order exactly: the best ways to have done each set of stops, ending at each of them.

A way to have done a set of stops is a label: when it is over, when all its results are known, and before when no
waiting follower may begin. Of two labels of one set and one last door the one that is better in nothing is dropped;
because nobody who comes later begins earlier (``waits.Waits``) the best order is among the rest.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf
from operator import itemgetter, le
from typing import Any

from guide.order.stops import After, Placed, Plan, Stop, Task, begin

EXACT = 12  # stops; beyond, only the most hopeful ways are followed
BESIDE = 0.2  # how much a minute of the last stop counts beside a minute of being back with everything known
_NARROW, _WIDE = 40, 200  # how many ways a quick search follows: for a bound, and for more stops than EXACT


_Label = tuple[float, float, tuple[float, ...], int, float, float, Any]
"""Time, when all is known, releases of waiting followers, door, begun, arrived, the label before."""

_Rest = tuple[float, float, float, float]
_NOTHING: _Rest = (0.0, 0.0, -inf, -inf)
_TIME = itemgetter(0)


def plan(task: Task, keep: Sequence[str] = ()) -> Plan:
    """The order that brings the patient back to the doctor first, with every result there is to wait for.

    As many stops as rules and hours allow today have a place; the others are ``left``.

    Args:
        task: what is to be done.
        keep: keys whose order among themselves stays.
    """
    blocked = [s.key for s in task.stops if s.blocked and not s.here]
    stops = [s for s in task.stops if s.here or not s.blocked]
    if not stops:
        return Plan((), tuple(blocked), task.now, task.now, task.now * (1 + BESIDE))
    forced = [s.key for s in stops if s.here]
    known = {s.key for s in stops}
    wished = [k for k in task.pinned if k in known and k not in forced]
    for kept in range(len(wished), -1, -1):
        search = _Search(task, stops, [*forced, *wished[:kept]], keep)
        found = search.best()
        if kept == 0 or len(found.placed) >= len(forced) + kept:
            break
    left = (*blocked, *(s.key for s in stops if s.key not in found.keys))
    return Plan(found.placed, left, found.back, found.done, found.cost, found.exact, unpinned=kept < len(wished))


class _Search:
    def __init__(self, task: Task, stops: Sequence[Stop], forced: Sequence[str], keep: Sequence[str]) -> None:
        self.task, self.stops = task, stops
        self.count = len(stops)
        at = {s.key: n for n, s in enumerate(stops)}
        self.forced = [at[k] for k in forced]
        self.nodes = [(n, site) for n, s in enumerate(stops) for site in s.sites]
        self.doors: list[list[int]] = [[] for _ in stops]
        for node, (n, _) in enumerate(self.nodes):
            self.doors[n].append(node)
        self._between(at, keep)
        self._ways()
        self._bounds()

    def _between(self, at: dict[str, int], keep: Sequence[str]) -> None:
        """Who must be done before whom, who not on the same day, and which lags are to be remembered."""
        self.need, self.bars = [0] * self.count, [0] * self.count
        self.lags: list[list[tuple[int, float]]] = [[] for _ in self.stops]  # first → (place in releases, lag)
        self.waits_for: list[list[int]] = [[] for _ in self.stops]  # then → places in releases
        self.follower: list[int] = []
        for rule in _known(self.task.after, at):
            first, then = at[rule.first], at[rule.then]
            if self.stops[then].here:
                continue
            self.need[then] |= 1 << first
            lag = rule.lag + ((self.stops[first].report or 0.0) if rule.result else 0.0)
            if lag > 0:
                self.lags[first].append((len(self.follower), lag))
                self.waits_for[then].append(len(self.follower))
                self.follower.append(then)
        for pair in self.task.apart:
            ones = [at[k] for k in pair if k in at]
            for one in ones:
                self.bars[one] |= sum(1 << other for other in ones if other != one)
        chain = [at[k] for k in keep if k in at]
        for first, then in pairwise(chain):
            self.need[then] |= 1 << first
        for one in self.forced:  # what has its place already waits for nothing that comes later
            if self.stops[one].here:
                self.need[one] = self.bars[one] = 0

    def _ways(self) -> None:
        walk, places = self.task.walk, [site.place for _, site in self.nodes]
        self.from_start = [walk(self.task.start, p) for p in places]
        self.between = [[walk(a, b) for b in places] for a in places]
        self.home = [walk(p, self.task.back) for p in places]
        # No way is longer than one over a third door: true of walking times, but it is not taken on trust.
        self.direct = all(
            far <= near + 1e-9
            for a, row in enumerate(self.between)
            for b, first in enumerate(row)
            if a != b
            for far, near in zip(
                [*row, self.home[a]], [*(first + w for w in self.between[b]), first + self.home[b]], strict=True
            )
        )

    def _bounds(self) -> None:
        """What no order can undercut: the minutes that the stops not yet done take at least, by set."""
        nearest = [
            min(min([self.from_start[d], *(row[d] for m, row in enumerate(self.between) if self.nodes[m][0] != n)])
                for d in doors)
            for n, doors in enumerate(self.doors)
        ]  # fmt: skip
        self.takes = [near + s.minutes for near, s in zip(nearest, self.stops, strict=True)]
        self.soonest = [
            min(begin(s, self.nodes[d][1], self.task.now + near, s.ready_at) for d in doors) - near
            for s, near, doors in zip(self.stops, nearest, self.doors, strict=True)
        ]
        self.reports = [s.report or 0.0 for s in self.stops]
        self.nearest_home = min(self.home)
        self.by_soonest = sorted(range(self.count), key=lambda n: -self.soonest[n])
        self.by_report = sorted(range(self.count), key=lambda n: -self.reports[n])
        self.rest: dict[int, _Rest] = {}

    def _rest(self, mask: int) -> _Rest:
        """What the stops not in ``mask`` ask for at least.

        Returns:
            Minutes they take; minutes until the last result; the earliest end; the earliest minute all is known.
        """
        kept = self.rest.get(mask)
        if kept is None:
            total = result = 0.0
            ends = known = -inf
            for n in self.by_soonest:  # the latest first: what can begin so late is done after that, one by one
                if not mask >> n & 1:
                    total += self.takes[n]
                    ends = max(ends, self.soonest[n] + total)
                    known = max(known, self.soonest[n] + self.takes[n] + self.reports[n])
            taken = 0.0
            for n in self.by_report:  # whichever of those with long reports is last has the shortest of them
                if not mask >> n & 1:
                    taken += self.takes[n]
                    result = max(result, taken + self.reports[n])
            kept = self.rest[mask] = (total, result, ends, known)
        return kept

    def best(self) -> Plan:
        """The best way of all."""
        if self.count > EXACT:
            found, _ = self._grow(_WIDE, inf)
            return self._as_plan(found, exact=False)
        quick, whole = self._grow(_NARROW, inf)
        bound = self._cost(quick) + 1e-9 if whole and quick is not None else inf
        found, _ = self._grow(None, bound)
        return self._as_plan(found, exact=True)

    def _grow(self, width: int | None, bound: float) -> tuple[_Label | None, bool]:
        """Sets of one stop, of two, … until nothing can be added; the best of the largest, and whether it is all."""
        known = self.task.now if self.task.known is None else self.task.known
        start = (self.task.now, known, (-inf,) * len(self.follower), -1, 0.0, 0.0, None)
        layer: dict[tuple[int, int], list[_Label]] = {(0, -1): [start]}
        size = 0
        while size < self.count:
            further: dict[tuple[int, int], list[_Label]] = {}
            for (mask, last), labels in layer.items():
                walks = self.from_start if last < 0 else self.between[last]
                for n in self._next(mask, size):
                    with_it = mask | 1 << n
                    rest = self._rest(with_it) if bound < inf else _NOTHING
                    for door in self.doors[n]:
                        into = further.get((with_it, door))
                        if into is None:
                            into = further[with_it, door] = []
                        self._extend(labels, (n, door, walks[door], with_it), rest, bound, into)
            further = self._ahead(further)
            if not further:
                break
            layer, size = self._narrowed(further, width) if width else further, size + 1
        if size == 0:
            return None, self.count == 0
        return min((one for labels in layer.values() for one in labels), key=self._cost), size == self.count

    def _ahead(self, layer: dict[tuple[int, int], list[_Label]]) -> dict[tuple[int, int], list[_Label]]:
        """Without who could not even catch up with another of the same set who walked over to the same door."""
        if not self.direct:
            return {key: labels for key, labels in layer.items() if labels}
        by_set: dict[int, list[_Label]] = {}
        for (mask, _), labels in layer.items():
            if labels:
                by_set.setdefault(mask, []).extend(labels)
        kept: dict[tuple[int, int], list[_Label]] = {}
        for mask, labels in by_set.items():
            labels.sort(key=_TIME)
            first: list[_Label] = []
            for label in labels:
                time, ready, releases, door = label[:4]
                for o in first:
                    if (
                        o[1] <= ready
                        and o[0] + self.between[o[3]][door] <= time
                        and (not releases or _no_later(o[2], releases))
                    ):
                        break
                else:
                    first.append(label)
                    kept.setdefault((mask, door), []).append(label)
        return kept

    def _next(self, mask: int, size: int) -> list[int]:
        need, bars = self.need, self.bars
        choice = range(self.count) if size >= len(self.forced) else self.forced[size : size + 1]
        return [n for n in choice if not (mask >> n & 1 or need[n] & ~mask or bars[n] & mask)]

    def _extend(
        self, labels: Sequence[_Label], way: tuple[int, int, float, int], rest: _Rest, bound: float, into: list[_Label]
    ) -> None:
        """Go on from all these labels to one door. Written for speed: this runs some 200,000 times for twelve stops."""
        n, door, walk, mask = way
        stop, site, report, waits_for = self.stops[n], self.nodes[door][1], self.reports[n], self.waits_for[n]
        minutes = stop.minutes
        total, result, ends, known = rest
        for label in labels:
            time, ready, releases = label[0], label[1], label[2]
            arrive, ready_at = time + walk, stop.ready_at
            for place in waits_for:
                ready_at = max(ready_at, releases[place])
            begun = begin(stop, site, arrive, ready_at)
            done = begun + minutes
            if done == inf:
                continue
            if done + report > ready:
                ready = done + report
            if bound < inf:  # a whole order is known: what cannot become a better one is left
                end = done + total if done + total > ends else ends
                ready = max(ready, end + self.nearest_home, done + result, known)
                if ready + BESIDE * end > bound:
                    continue
            if releases:
                releases = self._releases(releases, n, mask, done)
            _insert(into, (done, ready, releases, door, begun, arrive, label))

    def _releases(self, releases: tuple[float, ...], n: int, mask: int, done: float) -> tuple[float, ...]:
        made = [-inf if mask >> f & 1 else until if until > done else done
                for f, until in zip(self.follower, releases, strict=True)]  # fmt: skip
        for place, lag in self.lags[n]:
            if not mask >> self.follower[place] & 1:
                made[place] = max(made[place], done + lag)
        return tuple(made)

    def _narrowed(self, layer: dict[tuple[int, int], list[_Label]], width: int) -> dict[tuple[int, int], list[_Label]]:
        every = [
            (label[1] + BESIDE * (label[0] + self._rest(key[0])[0]), n, key, label)
            for n, (key, label) in enumerate((key, label) for key, labels in layer.items() for label in labels)
        ]
        every.sort(key=lambda one: one[:2])
        kept: dict[tuple[int, int], list[_Label]] = {}
        for _, _, key, label in every[:width]:
            kept.setdefault(key, []).append(label)
        return kept

    def _cost(self, label: _Label | None) -> float:
        return inf if label is None else max(label[0] + self.home[label[3]], label[1]) + BESIDE * label[0]

    def _as_plan(self, label: _Label | None, *, exact: bool) -> Plan:
        if label is None:
            now = self.task.now
            return Plan((), (), now, now, now * (1 + BESIDE), exact)
        steps = []
        one: _Label | None = label
        while one is not None and one[3] >= 0:
            n, site = self.nodes[one[3]]
            steps.append(Placed(self.stops[n].key, site.place, one[5], one[4], one[0]))
            one = one[6]
        back = max(label[0] + self.home[label[3]], label[1])
        return Plan(tuple(reversed(steps)), (), back, label[0], self._cost(label), exact)


def _known(rules: Sequence[After], at: dict[str, int]) -> Iterator[After]:
    return (rule for rule in rules if rule.first in at and rule.then in at)


def _no_later(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one <= other if len(one) < 2 else all(map(le, one, other))


def _insert(into: list[_Label], label: _Label) -> None:
    """Put a label among those of one set and door, unless one of them is as good; what it is better than goes."""
    done, ready, releases = label[0], label[1], label[2]
    for other in into:
        if other[0] <= done and other[1] <= ready and (not releases or _no_later(other[2], releases)):
            return
    if into:
        into[:] = [o for o in into if done > o[0] or ready > o[1] or not _no_later(releases, o[2])]
    into.append(label)
