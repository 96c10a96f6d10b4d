"""A map as it was drawn, whatever the format: floors, rooms, doors, shafts, signs; in metres of the hospital's own.

The readers (``imdf``, ``osm``) fill a ``Drawing``; ``repair`` adds what is missing, as guesses; ``build`` makes ways.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError

from guide.maps.findings import Finding, Guess, MapFileError

FARTHEST = 5_000.0  # metres from the middle of a campus; what lies farther away is a slip of the pen
_PER_DEGREE = 111_320.0


class Kind(StrEnum):
    """What a unit is for somebody who walks."""

    ROOM = "room"
    WALKWAY = "walkway"
    STAIRS = "stairs"
    LIFT = "lift"
    ESCALATOR = "escalator"
    RAMP = "ramp"
    TOILET = "toilet"


SHAFTS = frozenset({Kind.STAIRS, Kind.LIFT, Kind.ESCALATOR})
OPEN = frozenset({Kind.WALKWAY, Kind.RAMP})
"""Units one walks through in any direction; all others are entered and left."""


@dataclass(slots=True)
class Level:
    """One floor of one building (or the grounds): ``sign`` is what is written on the wall, ``ordinal`` only sorts."""

    key: str
    building: str
    sign: str
    ordinal: float


@dataclass(slots=True)
class Unit:
    """A space with walls; ``ref`` is the number at the door, ``public`` whether patients may enter."""

    key: str
    level: int
    kind: Kind
    shape: Any
    name: str = ""
    ref: str = ""
    public: bool = True
    hours: str = ""


@dataclass(slots=True)
class Door:
    """A way through a wall at a point; ``outside`` if it leads out of the building.

    ``units`` are those it joins, filled in by ``repair``; ``guess`` is the number of an assumption, −1 for none.
    """

    key: str
    level: int
    x: float
    y: float
    outside: bool = False
    hours: str = ""
    units: list[int] = field(default_factory=list)
    guess: int = -1


@dataclass(slots=True)
class Shaft:
    """A stair, lift or escalator with the units it stops at, in order; ``one_way`` from the first to the last."""

    key: str
    kind: Kind
    name: str
    stops: list[int]
    one_way: bool = False
    hours: str = ""
    guess: int = -1


@dataclass(slots=True)
class Sign:
    """Something seen on the way that helps to find it: a toilet, a desk, a named door."""

    level: int
    x: float
    y: float
    name: str


@dataclass(slots=True)
class Drawing:
    """Everything that was read, with what was odd about it.

    Attributes:
        occupants: name of who is there (a department) → index of the unit.
    """

    name: str
    levels: list[Level] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    shafts: list[Shaft] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    occupants: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)

    def odd(self, code: str, what: str) -> None:
        """Write down something the hospital should look at."""
        self.findings.append(Finding(code, what))

    def guess(self, why: str, what: str) -> int:
        """Write down that we assume something the file does not say; returns its number."""
        self.guesses.append(Guess(why, what))
        return len(self.guesses) - 1

    def called(self, unit: int) -> str:
        """A unit for the report: floor, name or number."""
        one = self.units[unit]
        level = self.levels[one.level]
        return f"{level.building} {level.sign} {one.name or one.ref or one.kind}".strip()


class Plane:
    """Turns degrees into metres around the middle of a campus; east is x, north is y."""

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        found = [p for p in points if on_earth(p)]
        if not found:
            raise MapFileError("no_coordinates", "The file has no usable coordinate.")
        xs, ys = sorted(p[0] for p in found), sorted(p[1] for p in found)
        self.lon, self.lat = xs[len(xs) // 2], ys[len(ys) // 2]
        self._stretch = math.cos(math.radians(self.lat))

    def metres(self, lon: float, lat: float) -> tuple[float, float]:
        """Metres from the middle, to the centimetre."""
        x, y = (lon - self.lon) * self._stretch * _PER_DEGREE, (lat - self.lat) * _PER_DEGREE
        return round(x, 2), round(y, 2)

    def shape(self, geometry: Any) -> Any:
        """The GeoJSON geometry as a valid shapely one in metres.

        Raises:
            ValueError: it is broken beyond mending, empty, or far away from everything else.
        """
        try:
            with np.errstate(all="ignore"):  # a number that is none is found below, not told of on the console
                drawn = shapely.geometry.shape(geometry)
            if drawn.is_empty or not all(on_earth(p) for p in shapely.get_coordinates(drawn)):
                raise ValueError("no usable coordinates")
            moved = shapely.transform(drawn, self._moved)
            made = moved if moved.is_valid else shapely.make_valid(moved)
        except (ShapelyError, TypeError, AttributeError, IndexError, KeyError, OverflowError) as error:
            raise ValueError(str(error)[:80] or type(error).__name__) from None
        if made.is_empty or max(abs(v) for v in made.bounds) > FARTHEST:
            raise ValueError("it lies far away from everything else")
        return made

    def polygon(self, geometry: Any) -> Any:
        """As ``shape``, the largest polygon in it.

        Raises:
            ValueError: also if there is no area in it.
        """
        made = self.shape(geometry)
        parts = [p for p in getattr(made, "geoms", [made]) if p.geom_type == "Polygon" and p.area > 0.05]
        if not parts:
            raise ValueError("it encloses no area")
        return max(parts, key=lambda p: p.area)

    def _moved(self, points: Any) -> Any:
        made = points[:, :2].copy()
        made[:, 0] = ((points[:, 0] - self.lon) * self._stretch * _PER_DEGREE).round(2)
        made[:, 1] = ((points[:, 1] - self.lat) * _PER_DEGREE).round(2)
        return made


def on_earth(point: Any) -> bool:
    """Whether these are a longitude and a latitude."""
    try:
        return bool(abs(point[0]) <= 180 and abs(point[1]) <= 85)
    except (TypeError, IndexError):
        return False


def coordinates(geometry: Any) -> Iterable[tuple[float, float]]:
    """Every (lon, lat) of a GeoJSON geometry that looks like one; nothing for what does not."""
    stack = [geometry.get("coordinates") if isinstance(geometry, dict) else None]
    while stack:
        one = stack.pop()
        if not isinstance(one, list | tuple):
            continue
        if len(one) >= 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in one[:2]):
            yield float(one[0]), float(one[1])
        else:
            stack.extend(one)
