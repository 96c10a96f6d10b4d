"""Mends what real maps lack. Whatever the file does not say is written down as a guess, with its reason."""

from collections import defaultdict
from collections.abc import Iterable

import shapely

from guide.maps.drawing import OPEN, SHAFTS, Door, Drawing, Kind, Shaft, Unit

TOUCHES = 0.35  # metres between a door and the wall it is in
_FAR_WALL = 1.5  # metres through a wall that is drawn as two lines
_OFF_WALL = 1.0
_SHAFT_DOOR = 2.0
_WALL = 0.6  # metres between two rooms with a wall of some thickness between them
_DOOR_WIDTH = 0.8
_UNDRAWN = 12.0  # metres over ground nobody drew: across a wide corridor and into the next door
_GRAZES = 0.1


class _Storeys:
    """All units that stand at one height, of whatever building: doors join them, also across a bridge."""

    def __init__(self, drawing: Drawing) -> None:
        self.of: dict[float, list[int]] = defaultdict(list)
        for n, unit in enumerate(drawing.units):
            self.of[drawing.levels[unit.level].ordinal].append(n)
        self._trees = {o: shapely.STRtree([drawing.units[n].shape for n in ns]) for o, ns in self.of.items()}

    def near(self, ordinal: float, shape: object, metres: float) -> list[int]:
        """Units within so many metres of a shape."""
        if ordinal not in self._trees:
            return []
        found = self._trees[ordinal].query(shape, predicate="dwithin", distance=metres)
        return sorted(self.of[ordinal][int(n)] for n in found)


def mend(drawing: Drawing, strict: bool = False) -> None:
    """Say of each door which units it joins, then add what is missing.

    Args:
        strict: only take the file at its word; nothing is guessed.
    """
    storeys = _Storeys(drawing)
    _doors(drawing, storeys, strict)
    if not strict:
        _shafts_over_each_other(drawing)
        _shafts_drawn_once(drawing, storeys)
        storeys = _Storeys(drawing)
        _shaft_doors(drawing, storeys)
        _open_joins(drawing, storeys)
        _room_doors(drawing, storeys)
        _through_rooms(drawing, storeys)
        _islands(drawing, storeys)
        while _over_the_undrawn(drawing, storeys):
            _islands(drawing, storeys)
    for number, shaft_unit in enumerate(drawing.units):
        if shaft_unit.kind in SHAFTS and not any(number in s.stops for s in drawing.shafts):
            entries = {other for d in drawing.doors if number in d.units for other in d.units} - {number}
            if len(entries) < 2:
                drawing.odd("shaft_nowhere", drawing.called(number))
    for number, unit in enumerate(drawing.units):
        if not unit.public:
            drawing.odd("closed", drawing.called(number))


def _ordinal(drawing: Drawing, level: int) -> float:
    return drawing.levels[level].ordinal


def _doors(drawing: Drawing, storeys: _Storeys, strict: bool) -> None:
    kept = []
    for door in drawing.doors:
        point, ordinal = shapely.Point(door.x, door.y), _ordinal(drawing, door.level)
        touched = storeys.near(ordinal, point, TOUCHES)
        door.units = _best(drawing, point, touched)
        if len(door.units) < 2 and not strict:
            reach = _FAR_WALL if door.units else _OFF_WALL
            others = [n for n in storeys.near(ordinal, point, reach) if n not in door.units]
            others.sort(key=lambda n: drawing.units[n].shape.distance(point))
            wanted = others[: 2 - len(door.units)]
            if wanted:
                why = "far_wall" if door.units else "off_wall"
                names = " – ".join(drawing.called(n) for n in (*door.units, *wanted))
                door.units, door.guess = [*door.units, *wanted], drawing.guess(why, names)
        if not door.units:
            drawing.odd("door_nowhere", f"{drawing.levels[door.level].building} door {door.key}")
            continue
        if len(door.units) == 1 and not door.outside:
            drawing.odd("door_one_side", drawing.called(door.units[0]))
        kept.append(door)
    drawing.doors = kept


def _best(drawing: Drawing, point: object, touched: list[int]) -> list[int]:
    """A door in the corner of several rooms joins all of them only if the file means it: the two nearest, or three."""
    if len(touched) <= 3:
        return touched
    return sorted(touched, key=lambda n: drawing.units[n].shape.distance(point))[:3]


def _shafts_over_each_other(drawing: Drawing) -> None:
    """Stairs and lifts without a link between floors: those drawn over each other are one shaft."""
    linked = {n for s in drawing.shafts for n in s.stops}
    loose: dict[tuple[str, Kind], list[int]] = defaultdict(list)
    for n, unit in enumerate(drawing.units):
        if unit.kind in SHAFTS and n not in linked:
            loose[drawing.levels[unit.level].building, unit.kind].append(n)
    for (_, kind), units in loose.items():
        columns: list[list[int]] = []
        for n in sorted(units, key=lambda n: (_ordinal(drawing, drawing.units[n].level), n)):
            mine = drawing.units[n].shape
            level = _ordinal(drawing, drawing.units[n].level)
            for column in columns:
                top = drawing.units[column[-1]]
                shared = top.shape.intersection(mine).area
                if _ordinal(drawing, top.level) < level and shared >= 0.5 * min(top.shape.area, mine.area):
                    column.append(n)
                    break
            else:
                columns.append([n])
        for column in (c for c in columns if len(c) > 1):
            guess = drawing.guess("shaft_levels", f"{drawing.called(column[0])} … {drawing.called(column[-1])}")
            first = drawing.units[column[0]]
            drawing.shafts.append(Shaft(first.key, kind, first.name, column, guess=guess))


def _shafts_drawn_once(drawing: Drawing, storeys: _Storeys) -> None:
    """A shaft on one floor of several: it also stops next door where a corridor lies right at it."""
    linked = {n for s in drawing.shafts for n in s.stops}
    for n, unit in list(enumerate(drawing.units)):
        if (
            unit.kind not in SHAFTS
            or n in linked
            or len({u for d in drawing.doors if n in d.units for u in d.units}) > 2
        ):
            continue
        level = drawing.levels[unit.level]
        beside = sorted(
            (one for one in drawing.levels if one.building == level.building and one is not level),
            key=lambda one: (abs(one.ordinal - level.ordinal), -one.ordinal),
        )
        for other in beside[:2]:
            near = storeys.near(other.ordinal, unit.shape, _SHAFT_DOOR)
            walks = [m for m in near if drawing.units[m].kind in OPEN and drawing.units[m].public]
            if abs(other.ordinal - level.ordinal) == 1 and walks:
                copy = len(drawing.units)
                place = drawing.levels.index(other)
                drawing.units.append(
                    Unit(f"{unit.key}@{other.sign}", place, unit.kind, unit.shape, unit.name, unit.ref)
                )
                guess = drawing.guess("drawn_once", f"{drawing.called(n)} → {other.building} {other.sign}")
                drawing.shafts.append(Shaft(unit.key, unit.kind, unit.name, [n, copy], guess=guess))
                break


def _with_door(drawing: Drawing) -> set[int]:
    return {n for d in drawing.doors if len(d.units) > 1 for n in d.units}


def _shaft_doors(drawing: Drawing, storeys: _Storeys) -> None:
    had = _with_door(drawing)
    for n in sorted({n for s in drawing.shafts for n in s.stops} - had):
        unit = drawing.units[n]
        near = storeys.near(_ordinal(drawing, unit.level), unit.shape, _SHAFT_DOOR)
        walks = [m for m in near if m != n and drawing.units[m].kind in OPEN and drawing.units[m].public]
        if walks:
            best = min(walks, key=lambda m: (drawing.units[m].shape.distance(unit.shape), -_shared(drawing, n, m), m))
            _add_door(drawing, n, best, "shaft_door")


def _open_joins(drawing: Drawing, storeys: _Storeys) -> None:
    """Corridors that share an open stretch; rarely more than a line in the drawing stands between them."""
    joined = {frozenset((a, b)) for d in drawing.doors for a in d.units for b in d.units if a != b}
    for n, unit in enumerate(drawing.units):
        if unit.kind not in OPEN or not unit.public:
            continue
        for m in storeys.near(_ordinal(drawing, unit.level), unit.shape, 0.15):
            other = drawing.units[m]
            if m <= n or other.kind not in OPEN or not other.public or frozenset((n, m)) in joined:
                continue
            if _shared(drawing, n, m) >= _DOOR_WIDTH:
                _add_door(drawing, n, m, "open_join")


def _room_doors(drawing: Drawing, storeys: _Storeys) -> None:
    had = _with_door(drawing)
    for n, unit in enumerate(drawing.units):
        if n in had or unit.kind in SHAFTS or not unit.public:
            continue
        near = storeys.near(_ordinal(drawing, unit.level), unit.shape, _WALL)
        walks = [m for m in near if m != n and drawing.units[m].kind in OPEN and drawing.units[m].public]
        best = max(walks, key=lambda m: (_shared(drawing, n, m), -m), default=None)
        if best is not None and _shared(drawing, n, best) >= _DOOR_WIDTH:
            _add_door(drawing, n, best, "room_door")


def _through_rooms(drawing: Drawing, storeys: _Storeys) -> None:
    """Rooms in the second row, outwards from those that have a door."""
    for _ in range(3):
        had = _with_door(drawing)
        for n, unit in enumerate(drawing.units):
            if n in had or unit.kind in SHAFTS or not unit.public:
                continue
            near = storeys.near(_ordinal(drawing, unit.level), unit.shape, _WALL)
            rooms = [m for m in near if m != n and m in had and drawing.units[m].public]
            best = max(rooms, key=lambda m: (_shared(drawing, n, m), -m), default=None)
            if best is not None and _shared(drawing, n, best) >= _DOOR_WIDTH:
                _add_door(drawing, n, best, "through_room")


def _islands(drawing: Drawing, storeys: _Storeys) -> None:
    """A part of the building without any way to the rest opens to it where they touch, corridor to corridor first."""
    for _ in range(20):
        part = _parts(drawing)
        sizes: dict[int, int] = defaultdict(int)
        for n, unit in enumerate(drawing.units):
            sizes[part[n]] += unit.public
        main = max(sizes, key=lambda p: (sizes[p], -p), default=-1)
        best: dict[int, tuple[int, float, int, int]] = {}
        for n, unit in enumerate(drawing.units):
            if part[n] == main or not unit.public or unit.kind in SHAFTS:
                continue
            for m in storeys.near(_ordinal(drawing, unit.level), unit.shape, _WALL):
                other = drawing.units[m]
                if part[m] != main or not other.public or other.kind in SHAFTS:
                    continue
                wall = _shared(drawing, n, m)
                ranked = ((unit.kind in OPEN) + (other.kind in OPEN), wall, -n, -m)
                if wall >= _DOOR_WIDTH and (part[n] not in best or ranked > best[part[n]]):
                    best[part[n]] = ranked
        if not best:
            return
        for _, _, n, m in best.values():
            _add_door(drawing, -n, -m, "island")


def _over_the_undrawn(drawing: Drawing, storeys: _Storeys) -> bool:
    """A room that touches nothing one walks on: over ground nobody drew, straight to the nearest corridor or shaft.

    Never far, never through another room, never to another house. Returns whether anything was joined.
    """
    part = _parts(drawing)
    sizes: dict[int, int] = defaultdict(int)
    for n, unit in enumerate(drawing.units):
        sizes[part[n]] += unit.public
    main = max(sizes, key=lambda p: (sizes[p], -p), default=-1)
    best: dict[int, tuple[float, int, int]] = {}
    for n, unit in enumerate(drawing.units):
        if part[n] == main or not unit.public or unit.kind in SHAFTS:
            continue
        level = drawing.levels[unit.level]
        for m in storeys.near(level.ordinal, unit.shape, _UNDRAWN):
            other = drawing.units[m]
            house = drawing.levels[other.level].building == level.building
            if part[m] != main or not other.public or not house or other.kind not in OPEN | SHAFTS:
                continue
            line = shapely.shortest_line(unit.shape, other.shape)
            ranked = (line.length, n, m)
            if (part[n] not in best or ranked < best[part[n]]) and _clear(drawing, storeys, line, (n, m)):
                best[part[n]] = ranked
    for _, n, m in best.values():
        one, other = drawing.units[n], drawing.units[m]
        guess = drawing.guess("undrawn", f"{drawing.called(n)} – {drawing.called(m)}")
        # At the far end, so that the way to it from the middle of a room is as long as it is.
        at = shapely.shortest_line(one.shape, other.shape).coords[0 if one.kind in OPEN else 1]
        key = f"guess undrawn {one.key} {other.key}"
        drawing.doors.append(Door(key, one.level, round(at[0], 2), round(at[1], 2), units=[n, m], guess=guess))
    return bool(best)


def _clear(drawing: Drawing, storeys: _Storeys, line: shapely.LineString, ends: tuple[int, int]) -> bool:
    """Nothing else stands in the way of a straight line."""
    ordinal = _ordinal(drawing, drawing.units[ends[0]].level)
    near = (n for n in storeys.near(ordinal, line, 0.0) if n not in ends)
    return all(drawing.units[n].shape.intersection(line).length <= _GRAZES for n in near)


def _parts(drawing: Drawing) -> list[int]:
    """For each unit the number of the connected part it belongs to."""
    part = list(range(len(drawing.units)))

    def top(n: int) -> int:
        while part[n] != n:
            part[n] = part[part[n]]
            n = part[n]
        return n

    for units in (*(d.units for d in drawing.doors), *(s.stops for s in drawing.shafts)):
        for n in units[1:]:
            part[top(n)] = top(units[0])
    return [top(n) for n in range(len(part))]


def _shared(drawing: Drawing, a: int, b: int) -> float:
    """Metres of wall that two units have in common, walls of ordinary thickness taken as none."""
    one, other = drawing.units[a].shape, drawing.units[b].shape
    return float(one.exterior.intersection(other.buffer(_WALL, cap_style="flat", join_style="mitre")).length) / (
        1 if one.distance(other) < _WALL else 1_000
    )


def _add_door(drawing: Drawing, a: int, b: int, why: str) -> None:
    one, other = drawing.units[a].shape, drawing.units[b].shape
    wall = one.exterior.intersection(other.buffer(_WALL if why != "shaft_door" else _SHAFT_DOOR, join_style="mitre"))
    parts: Iterable[shapely.Geometry] = getattr(wall, "geoms", [wall])
    line = max(parts, key=lambda p: p.length, default=None)
    if line is None or line.is_empty or line.length == 0:
        at = shapely.shortest_line(one, other).interpolate(0.5, normalized=True)
    else:
        middle = line.interpolate(0.5, normalized=True)
        at = shapely.shortest_line(middle, other).interpolate(0.5, normalized=True)
        at = middle if at.is_empty else at
    guess = drawing.guess(why, f"{drawing.called(a)} – {drawing.called(b)}")
    key = f"guess {why} {drawing.units[a].key} {drawing.units[b].key}"
    door = Door(key, drawing.units[a].level, round(at.x, 2), round(at.y, 2), units=[a, b], guess=guess)
    drawing.doors.append(door)
