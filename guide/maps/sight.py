"""Which points of a room see each other: straight ways between doors and around corners, away from the walls."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import shapely

_FROM_WALL = (0.4, 0.15, 0.0)  # metres somebody keeps from a wall; less where it is narrow
_CORNERS = 90  # more corners than this make ways no better and the work quadratic
_DETOUR = 1.3  # for points that do not see each other, though they are in one room
Point = tuple[float, float]


class Sight:
    """Ways inside one polygon.

    Attributes:
        corners: points to turn at, beside the given ones; they are numbered after those.
        pairs: (a, b, metres) between numbered points.
        coarse: the polygon had too many corners for all to be used.
    """

    def __init__(self, shape: Any, points: Sequence[Point]) -> None:
        self.corners, self.coarse = _corners(shape)
        self.pairs: list[tuple[int, int, float]] = []
        inside = _drawn_in(shape, [*points, *self.corners])
        self._see(shape, inside)
        self._join(inside)

    def _see(self, shape: Any, points: np.ndarray[Any, Any]) -> None:
        if len(points) < 2:
            return
        firsts, seconds = np.triu_indices(len(points), 1)
        lines = shapely.linestrings(np.stack([points[firsts], points[seconds]], axis=1))
        room = shape.buffer(0.06)
        shapely.prepare(room)
        seen = shapely.covers(room, lines)
        lengths = shapely.length(lines)
        self.pairs = [
            (int(a), int(b), float(m)) for a, b, m in zip(firsts[seen], seconds[seen], lengths[seen], strict=True)
        ]

    def _join(self, points: np.ndarray[Any, Any]) -> None:
        """Points that see nobody of the others go to the nearest one anyway: all are in the same room."""
        group = list(range(len(points)))

        def top(n: int) -> int:
            while group[n] != n:
                group[n] = group[group[n]]
                n = group[n]
            return n

        for a, b, _ in self.pairs:
            group[top(a)] = top(b)
        if len({top(n) for n in range(len(points))}) < 2:
            return
        far = sorted((float(np.hypot(*(points[a] - points[b]))), a, b) for a, b in combinations(range(len(points)), 2))
        for metres, a, b in far:
            if top(a) != top(b):
                group[top(a)] = top(b)
                self.pairs.append((a, b, metres * _DETOUR))


def _drawn_in(shape: Any, points: Sequence[Point]) -> np.ndarray[Any, Any]:
    made = shapely.points(np.asarray(points, dtype=float).reshape(-1, 2))
    inside = shapely.shortest_line(shape, made)
    return np.asarray([line.coords[0] for line in inside], dtype=float).reshape(-1, 2)


def _corners(shape: Any) -> tuple[list[Point], bool]:
    for distance in _FROM_WALL:
        room = shape.buffer(-distance, join_style="mitre") if distance else shape
        if not room.is_empty and room.area > 0.3 * shape.area:
            break
    coarse = False
    for tolerance in (0.1, 0.5, 1.5):
        found = [
            corner
            for part in getattr(room, "geoms", [room])
            if part.geom_type == "Polygon"
            for corner in _turning(part.simplify(tolerance))
        ]
        if len(found) <= _CORNERS:
            return found, coarse
        coarse = True
    return found[:: len(found) // _CORNERS + 1], True


def _turning(polygon: Any) -> list[Point]:
    """Corners that stick into the room, of the outer wall and of pillars and courts."""
    if polygon.is_empty or polygon.geom_type != "Polygon":
        return []
    oriented = shapely.geometry.polygon.orient(polygon)
    found: list[Point] = []
    for ring in (oriented.exterior, *oriented.interiors):
        points = np.asarray(ring.coords)[:-1, :2]
        before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
        inward = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0] < -1e-3
        found += [(round(float(x), 2), round(float(y), 2)) for x, y in points[inward]]
    return found
