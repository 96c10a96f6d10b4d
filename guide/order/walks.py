"""How far departments lie apart while no map says it: by building and floor, as the hospital's file names them."""

from collections.abc import Mapping
from dataclasses import dataclass

_DOOR, _FLOOR, _LIFT, _BUILDING, _UNKNOWN = 45.0, 15.0, 50.0, 240.0, 180.0  # seconds


@dataclass(frozen=True, slots=True)
class Nearby:
    """Walking times by rule of thumb. ``at``: department code → building, floor."""

    at: Mapping[str, tuple[str, int]]

    def walking_seconds(self, from_place: str, to_place: str, profile: str = "walk") -> float:
        """Seconds from one department to another; a place nobody knows lies three minutes from everything."""
        if from_place == to_place:
            return 0.0
        one, other = self.at.get(from_place), self.at.get(to_place)
        slow = 1.0 if profile == "walk" else 1.6
        if one is None or other is None:
            return _UNKNOWN * slow
        floors = abs(one[1] - other[1])
        lift = _LIFT + _FLOOR * floors if floors else 0.0
        return (_DOOR + (_BUILDING if one[0] != other[0] else 0.0)) * slow + lift
