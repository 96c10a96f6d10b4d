"""Reads a walking graph as two tables: points and the ways between them, as surveyors and students hand it over."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping

from guide.maps.findings import Finding, MapFileError
from guide.maps.network import Edge, Floor, Network, Node, Seen, Space, Way

_NAMES = {
    "id": ("id", "nodeid", "node", "key"),
    "x": ("x", "xcoord", "x_m"),
    "y": ("y", "ycoord", "y_m"),
    "floor": ("floor", "level"),
    "building": ("building",),
    "kind": ("kind", "nodetype", "type"),
    "name": ("name", "longname", "label"),
    "code": ("code", "department"),
    "from": ("from", "startnode", "start", "a"),
    "to": ("to", "endnode", "end", "b"),
    "metres": ("metres", "meters", "length", "m"),
    "way": ("way",),
    "one_way": ("one_way", "oneway"),
    "hours": ("hours",),
}
_KINDS = {
    "hall": "walkway", "walk": "walkway", "walkway": "walkway", "exit": "walkway", "corridor": "walkway",
    "elev": "lift", "lift": "lift", "elevator": "lift", "stai": "stairs", "stairs": "stairs", "esca": "escalator",
    "escalator": "escalator", "ramp": "ramp", "rest": "toilet", "bath": "toilet", "toilet": "toilet",
}  # fmt: skip
_BETWEEN = {"lift": Way.LIFT, "stairs": Way.STEPS, "escalator": Way.ESCALATOR, "ramp": Way.RAMP}
_FLOOR_METRES = 4.0


def read(nodes: str, edges: str, name: str, metres_per_unit: float = 1.0) -> Network:
    """Make a network of the two tables' text; columns are known by their headings.

    Args:
        metres_per_unit: what one unit of x and y is; 1.0 unless the tables are in pixels.

    Raises:
        MapFileError: a column is missing, or no point can be read.
    """
    made = Network(name)
    reader = _Reader(made, metres_per_unit)
    for number, row in enumerate(_rows(nodes, ("id", "x", "y", "floor")), 2):
        reader.point(number, row)
    if not made.nodes:
        raise MapFileError("no_points", "No row of the table of points can be read.")
    for number, row in enumerate(_rows(edges, ("from", "to")), 2):
        reader.way(number, row)
    reader.lifts()
    return made


class _Reader:
    """Two tables being read."""

    def __init__(self, made: Network, scale: float) -> None:
        self.made, self.scale = made, scale
        self._nodes: dict[str, int] = {}
        self._floors: dict[tuple[str, str], int] = {}
        self._lift: dict[int, list[tuple[int, int]]] = {}

    def point(self, number: int, row: Mapping[str, str]) -> None:
        """One row of the points; every point is a space of its own."""
        try:
            x, y = (round(float(row[c]) * self.scale * 100) for c in ("x", "y"))
            if max(abs(x), abs(y)) > 2_000_000 or not row["id"] or row["id"] in self._nodes:
                raise ValueError("far away, nameless or twice")
        except (ValueError, OverflowError):
            self.made.findings.append(Finding("bad_row", f"row {number} of the points"))
            return
        level = self._floor(row.get("building", ""), row["floor"])
        kind = _KINDS.get(row.get("kind", "").lower(), "room")
        space, node = len(self.made.spaces), len(self.made.nodes)
        called = row.get("name", "")
        self.made.nodes.append(Node(x, y, level, space))
        self.made.spaces.append(Space(row["id"], level, kind, called if kind != "walkway" else "", "", node, []))
        self._nodes[row["id"]] = node
        if called and kind not in ("walkway",):
            self.made.seen.append(Seen(x, y, level, called, space))
            self.made.occupants.setdefault(called, space)

    def way(self, number: int, row: Mapping[str, str]) -> None:
        """One row of the ways."""
        a, b = self._nodes.get(row["from"], -1), self._nodes.get(row["to"], -1)
        try:
            given = float(row["metres"]) if row.get("metres") else None
        except ValueError:
            given = math.nan
        if a < 0 or b < 0 or a == b or (given is not None and not 0 < given < 10_000):
            self.made.findings.append(Finding("bad_row", f"row {number} of the ways"))
            return
        one, other = self.made.nodes[a], self.made.nodes[b]
        kinds = {self.made.spaces[n.space].kind for n in (one, other)}
        way = _way(row.get("way", "")) or (
            next((w for k, w in _BETWEEN.items() if k in kinds), Way.STEPS) if one.level != other.level else Way.FLAT
        )
        drawn = math.hypot(one.x - other.x, one.y - other.y)
        if given is not None:
            drawn = given * 100
        elif one.level != other.level:
            drawn += _FLOOR_METRES * 100 * abs(self._height(one.level) - self._height(other.level))
        one_way = row.get("one_way", "").lower() in ("1", "yes", "true")
        self.made.edges.append(Edge(a, b, max(1, round(drawn)), way, one_way))

    def lifts(self) -> None:
        """Chains of lift landings become one lift, in which one rides past floors without waiting again."""
        stops: dict[int, set[int]] = {}
        rest = []
        for edge in self.made.edges:
            if edge.way is Way.LIFT and self.made.nodes[edge.a].level != self.made.nodes[edge.b].level:
                group = stops.get(edge.a, {edge.a}) | stops.get(edge.b, {edge.b})
                for n in group:
                    stops[n] = group
            else:
                rest.append(edge)
        self.made.edges = rest
        for group in {id(g): g for g in stops.values()}.values():
            link = len(self.made.links)
            ordered = sorted(group, key=lambda n: (self._height(self.made.nodes[n].level), n))
            self.made.links.append(self.made.spaces[self.made.nodes[ordered[0]].space].name)
            for k, a in enumerate(ordered):
                for b in ordered[k + 1 :]:
                    floors = abs(self._height(self.made.nodes[a].level) - self._height(self.made.nodes[b].level))
                    self.made.edges.append(Edge(a, b, max(1, round(floors * 400)), Way.LIFT, link=link))

    def _height(self, level: int) -> float:
        return self.made.floors[level].ordinal

    def _floor(self, building: str, text: str) -> int:
        key = (building, text)
        if key not in self._floors:
            self._floors[key] = len(self.made.floors)
            self.made.floors.append(Floor(f"{building} {text}".strip(), building, text, _ordinal(text)))
        return self._floors[key]


def _ordinal(text: str) -> float:
    """``3``, ``3F``, ``F3``, ``3楼`` → 2; ``G`` and ``1`` → 0; ``B1``, ``L1`` → −1; ``-1`` → −1."""
    found = re.search(r"-?\d{1,3}", text)
    upper = text.strip().upper()
    if found is None:
        return 0.0
    number = int(found[0])
    if upper.startswith(("B", "L", "地下")):
        return -float(abs(number))
    return float(number if number <= 0 else number - 1)


def _way(text: str) -> Way | None:
    try:
        return Way(text.strip().lower()) if text.strip() else None
    except ValueError:
        return None


def _rows(text: str, needed: Iterable[str]) -> Iterable[dict[str, str]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        head = [h.strip().lower() for h in next(reader, [])]
        columns = {ours: head.index(t) for ours, theirs in _NAMES.items() for t in theirs[::-1] if t in head}
        missing = [name for name in needed if name not in columns]
        if missing:
            raise MapFileError("no_column", f"A table has no column {', '.join(missing)}.")
        for row in reader:
            if row:
                yield {name: row[at].strip()[:200] if at < len(row) else "" for name, at in columns.items()}
    except csv.Error as error:
        raise MapFileError("not_csv", f"A table cannot be read ({str(error)[:80]}).") from None
