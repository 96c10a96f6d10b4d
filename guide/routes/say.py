"""Says a way in steps a person can follow: where to turn, which lift, which floor by its sign, on which side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from guide.maps.network import Edge, Network, Seen, Way
from guide.routes.engine import Path
from words import guide_way as w

_STRAIGHTEN = 3.5  # metres a path may stray from a straight line before it is a turn
_TURN, _ABOUT = 40.0, 150.0  # degrees
_WEAVE = 8.0  # metres; left and right again within them is no turn
_NEAR = 8.0
_BESIDE, _LONG = 3.5, 20.0  # metres: something passed, on a stretch so long
_ROUND = 5
_INDOORS = {"lift": "lift", "stairs": "stairs", "escalator": "escalator"}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the way.

    Attributes:
        kind: ``walk``, ``lift``, ``stairs``, ``escalator``, ``arrive``.
        floor: number of the floor one is on afterwards; ``sign`` what its wall says.
        line: points of the map in centimetres, for drawing; empty for a change of floors.
    """

    kind: str
    text: str
    spoken: str
    floor: int
    sign: str
    metres: int
    line: tuple[tuple[int, int], ...] = ()


class _Point(NamedTuple):
    x: float
    y: float
    node: int
    event: str


def steps_of(network: Network, path: Path, goal: str) -> list[Step]:
    """The whole way, floor changes as steps of their own.

    Args:
        goal: what the place is called.
    """
    if not path.steps:
        return [_step(network, "arrive", w.HERE, network.nodes[path.nodes[0]].level, 0, ())]
    made: list[Step] = []
    legs = _legs(network, path)
    out = _leaving(network, path.nodes[0])
    for n, (kind, first, last) in enumerate(legs):
        if kind == "walk":
            walk = _Walk(
                network, path.nodes[first : last + 1], path.steps[first:last], out, made[-1].text if made else ""
            )
            made += walk.steps(goal if n == len(legs) - 1 else "", _next_shaft(network, path, legs, n))
        else:
            made.append(_change(network, path, kind, first, last))
            out = _INDOORS[kind]
    if legs[-1][0] != "walk":
        floor = network.nodes[path.nodes[-1]].level
        made.append(_step(network, "arrive", w.line([w.arrival(goal, "", 0, "")]), floor, 0, ()))
    return made


def counts(network: Network, path: Path) -> tuple[int, int, int]:
    """How many rides in a lift, on an escalator, and how many stairs."""
    kinds = [kind for kind, _, _ in _legs(network, path)]
    return kinds.count("lift"), kinds.count("escalator"), kinds.count("stairs")


def lines(network: Network, path: Path) -> dict[int, list[list[tuple[int, int]]]]:
    """Floor → the stretches of the way on it, in centimetres, for drawing; floors in walking order."""
    made: dict[int, list[list[tuple[int, int]]]] = {}
    before = None
    for n, (number, _) in enumerate(path.steps):
        edge = network.edges[number]
        one, other = network.nodes[path.nodes[n]], network.nodes[path.nodes[n + 1]]
        level = network.spaces[edge.space].level if edge.space >= 0 else one.level
        if _height(network, edge.a) != _height(network, edge.b):
            before = None
            continue
        if level != before:
            made.setdefault(level, []).append([(one.x, one.y)])
        made[level][-1].append((other.x, other.y))
        before = level
    return made


def _legs(network: Network, path: Path) -> list[tuple[str, int, int]]:
    """(kind, first, last) over the path's points: walks, and what changes the floor."""
    kinds = []
    for number, _ in path.steps:
        edge = network.edges[number]
        between = _height(network, edge.a) != _height(network, edge.b)
        kind = {Way.LIFT: "lift", Way.STEPS: "stairs", Way.ESCALATOR: "escalator"}.get(edge.way, "walk")
        kinds.append(kind if between else "walk")
    legs: list[tuple[str, int, int]] = []
    for n, kind in enumerate(kinds):
        if legs and legs[-1][0] == kind and (kind != "lift" or _same_link(network, path, n)):
            legs[-1] = (kind, legs[-1][1], n + 1)
        else:
            legs.append((kind, n, n + 1))
    # Between two rides nobody leaves the shaft: a walk that stays in it is none.
    return [leg for leg in legs if leg[0] != "walk" or not _inside_shaft(network, path, leg)]


def _same_link(network: Network, path: Path, n: int) -> bool:
    return network.edges[path.steps[n][0]].link == network.edges[path.steps[n - 1][0]].link


def _inside_shaft(network: Network, path: Path, leg: tuple[str, int, int]) -> bool:
    spaces = {network.edges[n].space for n, _ in path.steps[leg[1] : leg[2]]}
    ends = {network.nodes[path.nodes[leg[1]]].space, network.nodes[path.nodes[leg[2]]].space}
    return len(spaces) == 1 and spaces == ends and network.spaces[next(iter(spaces))].kind in _INDOORS


def _height(network: Network, node: int) -> float:
    return network.floors[network.nodes[node].level].ordinal


def _leaving(network: Network, node: int) -> str:
    space = network.nodes[node].space
    return (
        "door" if space >= 0 and network.spaces[space].kind in ("room", "toilet") and network.spaces[space].ring else ""
    )


def _next_shaft(network: Network, path: Path, legs: Sequence[tuple[str, int, int]], n: int) -> str:
    if n + 1 >= len(legs):
        return ""
    return _shaft_name(network, network.edges[path.steps[legs[n + 1][1]][0]])


def _shaft_name(network: Network, edge: Edge) -> str:
    return network.links[edge.link] if edge.link >= 0 else ""


def _change(network: Network, path: Path, kind: str, first: int, last: int) -> Step:
    start, end = path.nodes[first], path.nodes[last]
    floor = network.nodes[end].level
    sign, up = network.floors[floor].sign, _height(network, end) > _height(network, start)
    name = _shaft_name(network, network.edges[path.steps[first][0]])
    if kind == "lift":
        said = w.lift(name, sign)
    else:
        said = w.stairs(name, sign, up) if kind == "stairs" else w.escalator(name, sign, up)
    return _step(network, kind, w.line([said]), floor, 0, ())


def _step(network: Network, kind: str, text: str, floor: int, metres: int, line: Sequence[tuple[int, int]]) -> Step:
    return Step(kind, text, w.spoken(text), floor, network.floors[floor].sign, metres, tuple(line))


class _Walk:
    """One walk on one height, from a door or a lift to the next."""

    def __init__(
        self, network: Network, nodes: Sequence[int], steps: Sequence[tuple[int, bool]], out: str, before: str
    ) -> None:
        self._network, self._out = network, out
        self._used = [s.name for s in network.seen if s.name in before]
        events = self._events(nodes, steps)
        points = [
            _Point(network.nodes[n].x / 100, network.nodes[n].y / 100, n, e) for n, e in zip(nodes, events, strict=True)
        ]
        self._points = _unwoven(_straightened(points))
        self._floor = network.nodes[nodes[-1]].level
        self._height = network.floors[self._floor].ordinal

    def _events(self, nodes: Sequence[int], steps: Sequence[tuple[int, bool]]) -> list[str]:
        """What happens at a point beside turning: a front door, the foot of a ramp, a bridge."""
        made = [""] * len(nodes)
        before = -1
        for n, (number, _) in enumerate(steps):
            space = self._network.edges[number].space
            if before >= 0 and space >= 0 and space != before:
                made[n] = self._passing(before, space)
            before = space if space >= 0 else before
        return made

    def _passing(self, before: int, after: int) -> str:
        one, other = self._network.spaces[before], self._network.spaces[after]
        left, entered = self._network.floors[one.level].building, self._network.floors[other.level].building
        if other.kind in ("ramp", "stairs") or (
            other.kind == "walkway" and other.name and _is_bridge(self._network, after)
        ):
            return w.along(other.name) if other.name else ""
        if entered != left:
            return w.into(entered) if entered else w.out_of(left)
        return ""

    def steps(self, goal: str, shaft: str) -> list[Step]:
        """Its lines; ``goal`` if it ends at the place, ``shaft`` if at a lift or stair."""
        points, made = self._points, []
        opening = self._opening()
        begin = 1 if self._out and len(points) > 2 else 0
        for n in range(begin + 1, len(points)):
            last = n == len(points) - 1
            metres = _rounded(_between(points[n - 1], points[n]))
            line = [(round(p.x * 100), round(p.y * 100)) for p in points[(0 if n == begin + 1 else n - 1) : n + 1]]
            turn = "" if last else _turning(points[n - 1 : n + 2])
            inside = last and n - begin > 1  # the last stretch leads through the door of the goal
            if inside:
                break
            done = self._is_door_next(n) and n == len(points) - 2
            parts = [opening] if opening else []
            passed = self._passed(points[n - 1], points[n], goal)
            if done or last:
                if goal:
                    parts.append(w.arrival(goal, turn, metres, passed))
                else:
                    parts.append(w.arrival(shaft or "楼梯", turn, metres, passed))
            else:
                event = points[n].event
                landmark = self._landmark(points[n], goal) if turn and not event else ""
                parts.append(w.stretch(metres, "" if landmark else passed))
                parts.append(w.then(event, turn) if event else w.bend(turn, landmark, metres))
            opening = ""
            made.append(_step(self._network, "arrive" if goal and (done or last) else "walk", w.line(parts),
                              self._floor, metres, line))  # fmt: skip
        return made

    def _is_door_next(self, n: int) -> bool:
        return self._network.nodes[self._points[n].node].space < 0

    def _opening(self) -> str:
        points = self._points
        if self._out and len(points) > 2:
            return w.leaving(self._out, _turning(points[:3]), "")
        towards = self._landmark(points[1], "") or self._landmark(points[-1], "")
        return w.leaving(self._out, "", "" if self._out else towards)

    def _landmark(self, at: _Point, goal: str) -> str:
        near = sorted(
            (math.hypot(s.x / 100 - at.x, s.y / 100 - at.y), s.name) for s in self._around() if s.name != goal
        )
        found = next((name for far, name in near if far <= _NEAR and name not in self._used[-1:]), "")
        self._used += [found] if found else []
        return found

    def _passed(self, one: _Point, other: _Point, goal: str) -> str:
        length = _between(one, other)
        if length < _LONG:
            return ""
        found = []
        for seen in self._around():
            along, aside = _beside(one, other, seen)
            if aside <= _BESIDE and 0.3 * length < along < length - 3 and seen.name not in (goal, *self._used[-1:]):
                found.append((-along, seen.name))
        name = min(found)[1] if found else ""
        self._used += [name] if name else []
        return name

    def _around(self) -> list[Seen]:
        return [s for s in self._network.seen if self._network.floors[s.level].ordinal == self._height]


def _is_bridge(network: Network, space: int) -> bool:
    """A named corridor between two houses; other corridors are not worth a word."""
    return "连廊" in network.spaces[space].name or "桥" in network.spaces[space].name


def _rounded(metres: float) -> int:
    return round(metres / _ROUND) * _ROUND if metres >= _ROUND else 0


def _between(one: _Point, other: _Point) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def _beside(one: _Point, other: _Point, seen: Seen) -> tuple[float, float]:
    """Metres along the stretch, and aside from it."""
    dx, dy = other.x - one.x, other.y - one.y
    length = math.hypot(dx, dy) or 1.0
    x, y = seen.x / 100 - one.x, seen.y / 100 - one.y
    return (x * dx + y * dy) / length, abs(x * dy - y * dx) / length


def _turning(points: Sequence[_Point]) -> str:
    """The turn at the middle of three points."""
    (ax, ay, *_), (bx, by, *_), (cx, cy, *_) = points
    one, other = math.atan2(by - ay, bx - ax), math.atan2(cy - by, cx - bx)
    angle = (math.degrees(other - one) + 180) % 360 - 180
    if abs(angle) > _ABOUT:
        return w.BACK
    return "" if abs(angle) < _TURN else w.LEFT if angle > 0 else w.RIGHT


def _straightened(points: Sequence[_Point]) -> list[_Point]:
    """Only the points where something happens: Douglas and Peucker's way, events and the doors at both ends kept."""
    forced = [0, *(n for n, p in enumerate(points) if p.event), len(points) - 1]
    forced += [1, len(points) - 2] if len(points) > 2 else []
    marks = sorted(set(forced))
    kept: list[_Point] = []
    for a, b in pairwise(marks):
        kept += _thinned(points[a : b + 1])[:-1]
    return [*kept, points[-1]]


def _thinned(points: Sequence[_Point]) -> list[_Point]:
    if len(points) < 3:
        return list(points)
    dx, dy = points[-1].x - points[0].x, points[-1].y - points[0].y
    length = math.hypot(dx, dy)
    far, at = -1.0, 0
    for n, p in enumerate(points[1:-1], 1):
        x, y = p.x - points[0].x, p.y - points[0].y
        off = abs(x * dy - y * dx) / length if length else math.hypot(x, y)
        far, at = (off, n) if off > far else (far, at)
    if far <= _STRAIGHTEN:
        return [points[0], points[-1]]
    return [*_thinned(points[: at + 1])[:-1], *_thinned(points[at:])]


def _unwoven(points: list[_Point]) -> list[_Point]:
    """A little left and at once right again is straight on; so is a point nobody turns at."""
    made = list(points)
    n = 2
    while n < len(made) - 3:
        one, other = _turning(made[n - 1 : n + 2]), _turning(made[n : n + 3])
        weaves = {one, other} == {w.LEFT, w.RIGHT} and _between(made[n], made[n + 1]) < _WEAVE
        if weaves and not made[n].event and not made[n + 1].event:
            del made[n : n + 2]
        else:
            n += 1
    return [
        p for n, p in enumerate(made)
        if n in (0, 1, len(made) - 2, len(made) - 1) or p.event or _turning(made[n - 1 : n + 2])
    ]  # fmt: skip
