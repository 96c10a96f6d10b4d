"""Finds ways on one map: for a profile, at a time of day, with what is closed or crowded now.

The map is folded to its crossings once. For each profile (and each set of closures) there are trees of ways **to** a
place: made in advance for the hospital's places, and for any other point when somebody asks.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from guide.maps.hours import is_open, parse
from guide.maps.network import Network, names, neighbours
from guide.ports import Profile
from guide.routes.contract import Folded, Step, fold
from guide.routes.gates import Gates
from guide.routes.profiles import PACES, Table

_SCENES = 24  # profiles × sets of closures kept
_HUBS = 16
_NOTHING = 1e-9  # seconds; a matrix has no entry of zero


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now: a space or a shaft (see ``network.names``) takes so many times as long.

    ``times`` infinite: closed.
    """

    about: str
    times: float = math.inf


@dataclass(frozen=True, slots=True)
class Path:
    """A way: its points and the steps between them, one fewer; ``guessed`` if a part of it was only assumed."""

    nodes: tuple[int, ...]
    steps: tuple[Step, ...]
    seconds: float
    guessed: bool


class _Hook(NamedTuple):
    """How a point hangs on a crossing: which, at what cost, by which steps (in walking order)."""

    core: int
    seconds: float
    steps: list[Step]


class Engine:
    """Ways on one published map; safe to ask from several threads, since what it remembers is only ever replaced."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.folded = fold(network)
        self.table = Table.of(network)
        self.guessed = frozenset(np.flatnonzero(self.table.guessed).tolist())
        self._weeks = [parse(text) for text in network.hours]
        self._hours = np.asarray([e.hours for e in network.edges], dtype=np.int64)
        self._edges_of: dict[str, list[int]] | None = None
        self._scenes: OrderedDict[Any, _Scene] = OrderedDict()
        self._one_at_a_time = threading.Lock()
        self._plain: dict[Profile, Any] = {}

    def warm(self, profiles: Iterable[Profile] = tuple(Profile)) -> None:
        """Make the trees to all places of the hospital, once after a map was published."""
        for profile in profiles:
            places = sorted(set(self.network.places.values()))
            self.scene(profile).plant(self.network.spaces[space].node for space in places)

    def route(
        self, start: int, end: int, profile: Profile, at: datetime | None = None, conditions: Collection[Condition] = ()
    ) -> Path | None:
        """The quickest way between two nodes, or None where there is none.

        Args:
            at: the moment on the hospital's clock, for opening hours; None: everything is open.
            conditions: what is closed or crowded now.
        """
        return self.scene(profile, at, conditions).route(start, end)

    def seconds(
        self, start: int, end: int, profile: Profile, at: datetime | None = None, conditions: Collection[Condition] = ()
    ) -> float:
        """As ``route``, the time alone; infinite where there is no way."""
        return self.scene(profile, at, conditions).seconds(start, end)

    def scene(self, profile: Profile, at: datetime | None = None, conditions: Collection[Condition] = ()) -> "_Scene":
        """The network as it is for this profile now."""
        shut = frozenset() if at is None else frozenset(
            n for n, week in enumerate(self._weeks) if not is_open(week, at)
        )  # fmt: skip
        key = (profile, shut, frozenset(conditions))
        found = self._scenes.get(key)
        if found is None:
            made = _Scene(self, self._weights(profile, shut, conditions))
            with self._one_at_a_time:  # threads ask, too
                found = self._scenes.setdefault(key, made)
                while len(self._scenes) > _SCENES:
                    self._scenes.pop(next(k for k in self._scenes if k[1] or k[2]))  # never those with planted trees
        return found

    def _weights(self, profile: Profile, shut: frozenset[int], conditions: Collection[Condition]) -> Any:
        if profile not in self._plain:
            self._plain[profile] = self.table.seconds(PACES[profile])
        made = self._plain[profile]
        if not shut and not conditions:
            return made
        made = made.copy()
        if shut:
            made[np.isin(self._hours, list(shut))] = math.inf
        for condition in conditions:
            edges = self._about(condition.about)
            made[edges] *= condition.times
        return made

    def _about(self, name: str) -> list[int]:
        if self._edges_of is None:
            self._edges_of = self._by_name()
        return self._edges_of.get(name, [])

    def _by_name(self) -> dict[str, list[int]]:
        network = self.network
        inside: list[set[int]] = [set() for _ in network.spaces]
        around = neighbours(network)
        for n, space in enumerate(network.spaces):
            inside[n].update(around.get(space.node, ()) if space.node >= 0 else ())
        made: dict[str, set[int]] = {name: set() for name in network.links if name}
        for n, edge in enumerate(network.edges):
            if edge.space >= 0:
                inside[edge.space].add(n)
            if edge.link >= 0 and network.links[edge.link]:
                made[network.links[edge.link]].add(n)
        for name, spaces in names(network).items():
            made.setdefault(name, set()).update(*(inside[n] for n in spaces))
        return {name: sorted(edges) for name, edges in made.items()}

    def nearest(self, level: int, x: int, y: int) -> int | None:
        """The node nearest to a point somebody tapped, in centimetres; None on a floor without any."""
        found = [(math.hypot(n.x - x, n.y - y), k) for k, n in enumerate(self.network.nodes) if n.level == level]
        return min(found)[1] if found else None


class _Scene:
    """One profile with one set of closures.

    The crossings are a matrix with every way turned round, so that a tree from a place holds the ways to it. Its last
    row is a stand-in for whatever point is asked for next: it leads to the one or two crossings that point hangs on.
    """

    def __init__(self, engine: Engine, there: Any) -> None:
        self._network, self._folded, self._guessed = engine.network, engine.folded, engine.guessed
        back = np.where(engine.table.one_way, math.inf, there)
        self.there: list[float] = there.tolist()  # looked up one by one, which an array is slow at
        self.back: list[float] = back.tolist()
        self._size = len(engine.folded.cores)
        self._arcs: dict[tuple[int, int], tuple[int, bool]] = {}
        self._graph = self._turned_round(engine.folded, there, back)
        self._trees: dict[int, tuple[Any, Any]] = {}
        self._hubs: tuple[Any, Any] | None = None
        self._gates: Gates | None = None
        self._floor = np.asarray([engine.network.nodes[n].level for n in engine.folded.cores], dtype=np.int64)
        self._turn = threading.Lock()

    def _turned_round(self, folded: Folded, there: Any, back: Any) -> Any:
        along, against = folded.sums(there, back)
        ends = np.asarray([(folded.core_of[a], folded.core_of[b]) for a, b, _ in folded.chains]).reshape(-1, 2)
        numbers = np.arange(len(ends))
        start = np.concatenate([ends[:, 0], ends[:, 1]]).astype(np.int64)
        end = np.concatenate([ends[:, 1], ends[:, 0]]).astype(np.int64)
        cost = np.concatenate([along, against])
        chain = np.concatenate([numbers, numbers])
        forward = np.arange(len(cost)) < len(numbers)
        usable = np.flatnonzero(np.isfinite(cost) & (start != end))
        usable = usable[np.lexsort((cost[usable], end[usable], start[usable]))]
        first = np.ones(len(usable), dtype=bool)
        first[1:] = (np.diff(start[usable]) != 0) | (np.diff(end[usable]) != 0)
        best = usable[first]
        pairs = zip(start[best].tolist(), end[best].tolist(), strict=True)
        self._arcs = dict(zip(pairs, zip(chain[best].tolist(), forward[best].tolist(), strict=True), strict=True))
        size = self._size
        made = csr_array((cost[best], (end[best], start[best])), shape=(size + 1, size + 1))
        pointers = made.indptr.copy()
        pointers[-1] += 2
        return csr_array(
            (np.append(made.data, [math.inf] * 2), np.append(made.indices, [0, 0]).astype(np.int32), pointers),
            shape=made.shape,
        )

    def plant(self, nodes: Iterable[int]) -> None:
        """Keep the trees to these nodes for good; the first few also bound the search for any other way."""
        for node in nodes:
            if node not in self._trees:
                self._trees[node] = self._tree(node, math.inf)
        hubs = sorted(self._trees)[:: max(1, len(self._trees) // _HUBS)][:_HUBS]
        cores = [self._hooks(node, leaving=False)[0].core for node in hubs]
        if cores and self._hubs is None:
            size = self._size
            self._gates = Gates.of(self._graph[:size, :size], self._floor)
            away = dijkstra(self._graph.T.tocsr(), directed=True, indices=cores)
            towards = dijkstra(self._graph, directed=True, indices=cores)
            self._hubs = towards, away

    def _tree(self, node: int, limit: float) -> tuple[Any, Any]:
        """Seconds from every crossing to this node, and the crossing after it (``size``: the node itself)."""
        hooks = self._hooks(node, leaving=False)
        with self._turn:
            for k, hook in enumerate((hooks[0], hooks[-1])):
                self._graph.indices[k - 2], self._graph.data[k - 2] = hook.core, max(hook.seconds, _NOTHING)
            if hooks[0].core == hooks[-1].core:
                self._graph.data[-2:] = max(_NOTHING, min(h.seconds for h in hooks))
            seconds, onward = dijkstra(
                self._graph, directed=True, indices=self._size, return_predecessors=True, limit=limit
            )
        return seconds, onward

    def _bound(self, outward: list[_Hook], inward: list[_Hook]) -> float:
        """No way is longer than this: over one of a few well-known places."""
        if self._hubs is None:
            return math.inf
        towards, away = self._hubs
        return min(
            one.seconds + float((towards[:, one.core] + away[:, other.core]).min()) + other.seconds
            for one in outward
            for other in inward
        )

    def _step_seconds(self, step: Step) -> float:
        return (self.there if step[1] else self.back)[step[0]]

    def _hooks(self, node: int, leaving: bool) -> list[_Hook]:
        """The crossings next to a node, with the way there (``leaving``) or from there."""
        root, steps = self._climb(node, leaving)
        cost = sum(map(self._step_seconds, steps))
        folded = self._folded
        if folded.core_of[root] >= 0:
            return [_Hook(int(folded.core_of[root]), cost, steps)]
        first, last, whole = folded.chains[folded.chain[root]]
        before, after = whole[: folded.place[root]], whole[folded.place[root] :]
        sides = ((first, _turned(before) if leaving else before), (last, after if leaving else _turned(after)))
        made = []
        for core, part in sides:
            path = [*steps, *part] if leaving else [*part, *steps]
            made.append(_Hook(int(folded.core_of[core]), cost + sum(map(self._step_seconds, part)), path))
        return made

    def _climb(self, node: int, leaving: bool) -> tuple[int, list[Step]]:
        """Out of a dead end: its last node, and the steps in walking order."""
        folded, steps = self._folded, []
        while (step := folded.up[node]) is not None:
            steps.append(step)
            node = folded.above[node]
        return node, steps if leaving else _turned(steps)

    def _nearby(self, start: int, end: int) -> tuple[list[Step] | None, bool]:
        """The way that needs no crossing, inside one dead end or along one corridor; whether there can be no other."""
        folded = self._folded
        one, other = self._climb(start, True), self._climb(end, False)
        if one[0] == other[0]:
            up, down = one[1], other[1]
            while up and down and up[-1][0] == down[0][0]:  # both pass it: turn round below
                up, down = up[:-1], down[1:]
            return [*up, *down], True
        a, b = folded.chain[one[0]], folded.chain[other[0]]
        if a < 0 or a != b:
            return None, False
        whole, p, q = folded.chains[a][2], folded.place[one[0]], folded.place[other[0]]
        between = whole[p:q] if p < q else _turned(whole[q:p])
        return [*one[1], *between, *other[1]], False

    def _best(self, start: int, end: int) -> tuple[float, Callable[[], list[Step]]]:
        """Seconds of the quickest way, and what makes the steps of it."""
        near, only = self._nearby(start, end)
        seconds = sum(map(self._step_seconds, near)) if near is not None else math.inf
        if only:
            return seconds, lambda: near or []
        outward, tree = self._hooks(start, leaving=True), self._trees.get(end)
        if tree is None:
            inward = self._hooks(end, leaving=False)
            found = self._through_gates(outward, inward)
            if found is not None:
                return found if found[0] < seconds else (seconds, lambda: near or [])
            limit = min(seconds, self._bound(outward, inward))
            tree = self._tree(end, limit + 1e-3)
        hook = min(outward, key=lambda h: h.seconds + float(tree[0][h.core]))
        whole = hook.seconds + float(tree[0][hook.core])
        if whole < seconds:
            return whole, lambda: [*hook.steps, *self._following(hook.core, end, tree[1])]
        return seconds, lambda: near or []

    def _through_gates(
        self, outward: list[_Hook], inward: list[_Hook]
    ) -> tuple[float, Callable[[], list[Step]]] | None:
        """From one floor to another; None where the way may stay on its floor, or gates are not known."""
        gates = self._gates
        if gates is None or any(gates.floor[a.core] == gates.floor[b.core] for a in outward for b in inward):
            return None
        best: tuple[float, _Hook, _Hook, int] | None = None
        for one in outward:
            for other in inward:
                between, which = gates.best(one.core, other.core)
                seconds = one.seconds + between + other.seconds
                if best is None or seconds < best[0]:
                    best = seconds, one, other, which
        if best is None:
            return None
        seconds, one, other, which = best
        return seconds, lambda: [*one.steps, *self._along(gates.passed(one.core, other.core, which)), *other.steps]

    def _along(self, cores: Iterable[int]) -> Iterator[Step]:
        for pair in pairwise(cores):
            chain, forward = self._arcs[pair]
            whole = self._folded.chains[chain][2]
            yield from whole if forward else _turned(whole)

    def seconds(self, start: int, end: int) -> float:
        """The time of the quickest way, infinite where there is none."""
        return self._best(start, end)[0]

    def route(self, start: int, end: int) -> Path | None:
        """The quickest way."""
        seconds, made = self._best(start, end)
        if seconds == math.inf:
            return None
        steps = made()
        edges = self._network.edges
        nodes = [start, *(edges[n].b if forward else edges[n].a for n, forward in steps)]
        guessed = bool(self._guessed) and any(n in self._guessed for n, _ in steps)
        return Path(tuple(nodes), tuple(steps), seconds, guessed)

    def _following(self, core: int, end: int, onward: Any) -> list[Step]:
        steps: list[Step] = []
        while (after := int(onward[core])) != self._size:
            chain, forward = self._arcs[core, after]
            whole = self._folded.chains[chain][2]
            steps += whole if forward else _turned(whole)
            core = after
        last = [h for h in self._hooks(end, leaving=False) if h.core == core]
        return [*steps, *min(last, key=lambda h: h.seconds).steps]


def _turned(steps: list[Step]) -> list[Step]:
    return [(n, not forward) for n, forward in reversed(steps)]
