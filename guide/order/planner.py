"""Finds the best order exactly: the best ways to have done each set of stops, ending at each of them.

A way to have done a set of stops is a label: when it is over, when all its results are known, and before when no
waiting follower may begin. Of two labels of one set and one last door the one that is better in nothing is dropped;
because nobody who comes later begins earlier (``waits.Waits``) the best order is among the rest.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import inf
from operator import itemgetter, le
from typing import Any

from guide.order.stops import After, Placed, Plan, Stop, Task, begin

EXACT = 12  # stops; beyond, only the most hopeful ways are followed
BESIDE = 0.2  # how much a minute of the last stop counts beside a minute of being back with everything known
_NARROW, _WIDE = 40, 200  # how many ways a quick search follows: for a bound, and for more stops than EXACT
_TRIES = 4  # how many stops fewer than all are looked for by themselves, one by one; with more left out, all at once
_NEARLY = 1e-9


_Label = tuple[float, float, tuple[float, ...], int, float, float, Any]
"""Time, when all is known, releases of waiting followers, door, begun, arrived, the label before."""

_Rest = tuple[float, float, float, float, float]
_NOTHING: _Rest = (0.0, 0.0, -inf, -inf, inf)
_HOPELESS: _Rest = (0.0, 0.0, -inf, -inf, -inf)
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
        self.takes, self.soonest = list[float](), list[float]()
        for n, (stop, doors) in enumerate(zip(self.stops, self.doors, strict=True)):
            others = [row for m, row in enumerate(self.between) if self.nodes[m][0] != n]
            near = {d: min([self.from_start[d], *(row[d] for row in others)]) for d in doors}
            sites = {d: self.nodes[d][1] for d in doors}
            still = {d: 0.0 if stop.slot and not stop.here else sites[d].waits.least(self.task.now) for d in doors}
            takes = stop.minutes + min(near[d] + still[d] for d in doors)
            first = min(begin(stop, sites[d], self.task.now + near[d], stop.ready_at) for d in doors)
            self.takes.append(takes)
            self.soonest.append(first + stop.minutes - takes)
        self.over = [inf if s.here else s.minutes + self._latest(n) for n, s in enumerate(self.stops)]
        self.reports = [s.report or 0.0 for s in self.stops]
        self.nearest_home = min(self.home)
        every = range(self.count)
        self.by_soonest = sorted(every, key=lambda n: -self.soonest[n])
        self.by_report = sorted(every, key=lambda n: -self.reports[n])
        self.by_over = sorted((n for n in every if self.over[n] < inf), key=lambda n: self.over[n])
        self.pairs = [(a, b) for a, b in combinations(every, 2) if (self.bars[a] >> b | self.bars[b] >> a) & 1]

    def _latest(self, n: int) -> float:
        """The last minute at which a stop begins, at whichever door."""
        stop = self.stops[n]
        closes = stop.slot[1] if stop.slot else max(shuts for site in stop.sites for _, shuts in site.spans)
        return min(stop.until, closes)

    def _allow(self, spare: int) -> None:
        """From now on so many stops have no place, neither more nor fewer."""
        self.spare, self.rest = spare, dict[int, _Rest]()

    def _rest(self, mask: int) -> _Rest:
        """What the stops not in ``mask`` ask for at least, when as many as allowed are left out.

        Returns:
            Minutes they take; minutes until the last result; the earliest end; the earliest minute all is known; and
            the latest minute at which ``mask`` is done while all of them still have a place.
        """
        kept = self.rest.get(mask)
        if kept is None:
            kept = self.rest[mask] = self._asked(mask)
        return kept

    def _asked(self, mask: int) -> _Rest:
        left, spare = self._lost(mask)
        least, one_of = list[float](), 0
        for a, b in self.pairs:  # of each pair that is never done on one day, one at most
            pair = 1 << a | 1 << b
            if left & pair == pair and not one_of & pair:
                one_of, spare = one_of | pair, spare - 1
                least.append(min(self.takes[a], self.takes[b]))
        if spare < 0:
            return _HOPELESS
        left &= ~one_of
        return self._all_of(left, sum(least)) if spare == 0 else self._some_of(left, least, spare)

    def _lost(self, mask: int) -> tuple[int, int]:
        """The stops that can still come after these, and how many of them need have no place."""
        left, lost = ~mask & ((1 << self.count) - 1), 0
        while True:
            gone = sum(
                1 << n for n in range(self.count) if left >> n & 1 and (self.bars[n] & mask or self.need[n] & lost)
            )
            if not gone:
                return left, self.spare - lost.bit_count()
            left, lost = left & ~gone, lost | gone

    def _all_of(self, left: int, least: float) -> _Rest:
        """What all of these take, and ``least`` minutes more for those of which it is not known which."""
        total, result, passed, taken = least, 0.0, 0.0, 0.0
        ends, known, late = -inf, -inf, inf
        for n in self.by_soonest:  # the latest first: what can begin so late is done after that, one by one
            if left >> n & 1:
                passed += self.takes[n]
                ends = max(ends, self.soonest[n] + passed)
                known = max(known, self.soonest[n] + self.takes[n] + self.reports[n])
        total += passed
        for n in self.by_report:  # whichever of those with long reports is last has the shortest of them
            if left >> n & 1:
                taken += self.takes[n]
                result = max(result, taken + self.reports[n])
        passed = 0.0
        for n in self.by_over:  # by who must be over first: if any order is in time, this one is
            if left >> n & 1:
                passed += self.takes[n]
                late = min(late, self.over[n] - passed)
        return total, result, ends, known, late + _NEARLY

    def _some_of(self, left: int, least: Sequence[float], spare: int) -> _Rest:
        """As ``_all_of``, where so many may be left out, whichever they are."""
        which = [n for n in range(self.count) if left >> n & 1]
        takes = sorted([*least, *(self.takes[n] for n in which)])
        late = sorted(self.over[n] - self.takes[n] for n in which)
        total = sum(takes[: max(0, len(takes) - spare)])
        return total, total, -inf, -inf, late[spare] + _NEARLY if spare < len(late) else inf

    def best(self) -> Plan:
        """The best way of all.

        It is looked for among those with all stops, then with one left out, with two, …: knowing how many there are to
        be, a way that can no longer get them all in time is left at once, and one found quickly bounds what it costs.
        """
        exact = self.count <= EXACT
        for spare in range(min(self.count, _TRIES)):
            self._allow(spare)
            if self._rest(0) is _HOPELESS:
                continue
            whole = self.count - spare
            found, size = self._grow(_NARROW if exact else _WIDE, inf)
            if exact and size:
                if size < whole:
                    found, size = self._grow(_WIDE, inf)
                found, size = self._grow(None, self._cost(found) + _NEARLY if size == whole else inf)
            if size == whole:
                return self._as_plan(found, exact=exact)
        self._allow(self.count)
        found, _ = self._grow(None if exact else _WIDE, inf)
        return self._as_plan(found, exact=exact)

    def _grow(self, width: int | None, bound: float) -> tuple[_Label | None, int]:
        """Sets of one stop, of two, … until nothing can be added; the best of the largest, and how large."""
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
                    rest = self._rest(with_it) if self.spare < self.count else _NOTHING
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
            return None, 0
        return min((one for labels in layer.values() for one in labels), key=self._cost), size

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
        total, result, ends, known, late = rest
        for label in labels:
            time, ready, releases = label[0], label[1], label[2]
            arrive, ready_at = time + walk, stop.ready_at
            for place in waits_for:
                ready_at = max(ready_at, releases[place])
            begun = begin(stop, site, arrive, ready_at)
            done = begun + minutes
            if done == inf or done > late:
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
            (self._least(label, self._rest(key[0])), n, key, label)
            for n, (key, label) in enumerate((key, label) for key, labels in layer.items() for label in labels)
        ]
        every.sort(key=lambda one: one[:2])
        kept: dict[tuple[int, int], list[_Label]] = {}
        for _, _, key, label in every[:width]:
            kept.setdefault(key, []).append(label)
        return kept

    def _least(self, label: _Label, rest: _Rest) -> float:
        """What no order that begins like this can undercut."""
        total, result, ends, known, _ = rest
        end = max(label[0] + total, ends)
        return max(label[1], end + self.nearest_home, label[0] + result, known) + BESIDE * end

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
