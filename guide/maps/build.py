"""Makes the ways of a mended drawing: from door to door, along corridors as far as one sees, up and down."""

from itertools import combinations, pairwise

import shapely

from guide.maps.drawing import OPEN, Door, Drawing, Kind, Shaft
from guide.maps.network import Edge, Floor, Network, Node, Seen, Space, Way
from guide.maps.sight import Sight

_INSIDE = {Kind.STAIRS: Way.STEPS, Kind.ESCALATOR: Way.ESCALATOR, Kind.LIFT: Way.LIFT, Kind.RAMP: Way.RAMP}
_ACROSS = 200.0  # metres over the grounds between two doors, at most


class _Builder:
    """Points and edges of one drawing."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.made = Network(drawing.name or "医院")
        self.made.floors = [Floor(one.key, one.building, one.sign, one.ordinal) for one in drawing.levels]
        self.middle: list[int] = []
        self.door: list[int] = []
        self._hours: dict[str, int] = {}

    def node(self, x: float, y: float, level: int, space: int) -> int:
        self.made.nodes.append(Node(round(x * 100), round(y * 100), level, space))
        return len(self.made.nodes) - 1

    def hours(self, text: str) -> int:
        if not text:
            return -1
        if text not in self._hours:
            self._hours[text] = len(self.made.hours)
            self.made.hours.append(text)
        return self._hours[text]

    def spaces(self) -> None:
        """One point for each unit, to start and to end at."""
        for n, unit in enumerate(self.drawing.units):
            at = unit.shape.representative_point()
            outline = unit.shape.exterior.simplify(0.05)
            ring = [round(v * 100) for point in list(outline.coords)[:-1] for v in point[:2]]
            node = self.node(at.x, at.y, unit.level, n)
            self.middle.append(node)
            self.made.spaces.append(Space(unit.key, unit.level, unit.kind, unit.name, unit.ref, node, ring))

    def doors(self) -> None:
        """Doors are points between spaces; a named room's door is something to recognise."""
        for door in self.drawing.doors:
            self.door.append(self.node(door.x, door.y, door.level, -1))
            units = [self.drawing.units[n] for n in door.units]
            for n, unit in zip(door.units, units, strict=True):
                beside_corridor = any(other is not unit and other.kind in OPEN for other in units)
                if unit.name and unit.kind not in OPEN and beside_corridor:
                    self.made.seen.append(Seen(round(door.x * 100), round(door.y * 100), unit.level, unit.name, n))
            houses = {self.drawing.levels[u.level].building for u in units}
            if len(houses) == 2 and "" in houses:
                name = f"{max(houses)}门口"
                self.made.seen.append(Seen(round(door.x * 100), round(door.y * 100), door.level, name, -1))
        for sign in self.drawing.signs:
            self.made.seen.append(Seen(round(sign.x * 100), round(sign.y * 100), sign.level, sign.name, -1))

    def ways(self) -> None:
        """Inside every unit."""
        by_unit: dict[int, list[int]] = {}
        for d, door in enumerate(self.drawing.doors):
            for n in door.units:
                by_unit.setdefault(n, []).append(d)
        for n, unit in enumerate(self.drawing.units):
            if not unit.public:
                continue
            doors = by_unit.get(n, [])
            if unit.kind in OPEN:
                self._walkway(n, doors)
            else:
                way = _INSIDE.get(unit.kind, Way.ROOM)
                middle = self.made.nodes[self.middle[n]]
                for d in doors:
                    door = self.drawing.doors[d]
                    metres = ((middle.x / 100 - door.x) ** 2 + (middle.y / 100 - door.y) ** 2) ** 0.5
                    self._edge(self.middle[n], self.door[d], metres, way, door, n)

    def _walkway(self, n: int, doors: list[int]) -> None:
        unit = self.drawing.units[n]
        middle = self.made.nodes[self.middle[n]]
        points = [(middle.x / 100, middle.y / 100)] + [
            (self.drawing.doors[d].x, self.drawing.doors[d].y) for d in doors
        ]
        sight = Sight(unit.shape, points)
        if sight.coarse:
            self.drawing.odd("crowded_shape", self.drawing.called(n))
        nodes = [self.middle[n], *(self.door[d] for d in doors)]
        nodes += [self.node(x, y, unit.level, n) for x, y in sight.corners]
        way = Way.RAMP if unit.kind is Kind.RAMP else Way.FLAT
        for a, b, metres in sight.pairs:
            ends = [self.drawing.doors[doors[p - 1]] for p in (a, b) if 0 < p <= len(doors)]
            door = next((d for d in ends if d.guess >= 0 or d.hours), ends[0] if ends else None)
            self._edge(nodes[a], nodes[b], metres, way, door, n)

    def _edge(self, a: int, b: int, metres: float, way: Way, door: Door | None, unit: int) -> None:
        hours = self.hours((door.hours if door else "") or self.drawing.units[unit].hours)
        guess = door.guess if door else -1
        self.made.edges.append(Edge(a, b, max(1, round(metres * 100)), way, False, guess, -1, hours, unit))

    def shafts(self) -> None:
        """Between floors: a lift goes from any to any at once, so that its wait counts once."""
        for shaft in self.drawing.shafts:
            link = len(self.made.links)
            self.made.links.append(shaft.name)
            way = _INSIDE.get(shaft.kind, Way.FLAT)
            stops = [n for n in shaft.stops if self.drawing.units[n].public]
            for a, b in combinations(stops, 2) if shaft.kind is Kind.LIFT else pairwise(stops):
                self._stop(shaft, a, b, link, way)

    def _stop(self, shaft: Shaft, a: int, b: int, link: int, way: Way) -> None:
        one, other = (self.drawing.units[n].shape.centroid for n in (a, b))
        high = abs(self.drawing.levels[self.drawing.units[a].level].ordinal
                   - self.drawing.levels[self.drawing.units[b].level].ordinal)  # fmt: skip
        cm = max(1, round(one.distance(other) * 100) if high == 0 else round(high * 400))
        hours = self.hours(shaft.hours)
        self.made.edges.append(Edge(self.middle[a], self.middle[b], cm, way, shaft.one_way, shaft.guess, link, hours))

    def grounds(self) -> None:
        """Front doors that lead out, over a ground nobody has drawn: from each to the nearest ones."""
        out = [(d, door) for d, door in enumerate(self.drawing.doors) if door.outside and len(door.units) == 1]
        done = set()
        for d, door in out:
            here = shapely.Point(door.x, door.y)
            near = sorted((here.distance(shapely.Point(other.x, other.y)), e) for e, other in out if e != d)
            for metres, e in near[:4]:
                if metres > _ACROSS or (e, d) in done:
                    continue
                done.add((d, e))
                a, b = (self.drawing.called(self.drawing.doors[x].units[0]) for x in (d, e))
                guess = self.drawing.guess("across", f"{a} – {b}")
                self.made.edges.append(
                    Edge(self.door[d], self.door[e], max(1, round(metres * 100)), Way.FLAT, False, guess)
                )


def build(drawing: Drawing, strict: bool = False) -> Network:
    """The ways of a drawing that was mended; ``strict``: none that is only guessed."""
    builder = _Builder(drawing)
    builder.spaces()
    builder.doors()
    builder.ways()
    builder.shafts()
    if not strict:
        builder.grounds()
    made = builder.made
    made.occupants = dict(drawing.occupants)
    made.findings, made.guesses = list(drawing.findings), list(drawing.guesses)
    return made
