"""How fast who moves on what, in seconds; what somebody cannot use at all costs infinity.

Hospital staff were measured at 13.1 s a floor on stairs and about 36 s a floor by lift, mostly waiting (CMAJ 2011). A
patient is no nurse, so stairs count for more here. All figures are our guesses until a hospital measures its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from guide.maps.network import STEPPED, Network, Way
from guide.ports import Profile

GUESSED_TIMES, GUESSED_SECONDS = 1.5, 10.0
"""A way that was only guessed is taken where nothing else leads, or where it saves a lot."""
_ROOM_SECONDS = 3.0  # the door of a room that is only walked through
_LANDING_TIMES = 1.5  # on the landing of a stair


@dataclass(frozen=True, slots=True)
class Pace:
    """One profile.

    Attributes:
        speed: metres a second on the flat.
        stairs, escalator: seconds a floor; infinite where they cannot be used.
        board, ride: seconds of waiting for a lift, and a floor in it.
        ramp: how many times slower a ramp is than the flat.
    """

    speed: float
    stairs: float
    escalator: float
    board: float = 50.0
    ride: float = 9.0
    ramp: float = 1.2


PACES: Mapping[Profile, Pace] = {
    Profile.WALK: Pace(1.0, 22.0, 20.0),
    Profile.SLOW: Pace(0.6, 45.0, 20.0, ramp=1.3),
    Profile.WHEELCHAIR: Pace(0.8, math.inf, math.inf, board=55.0, ramp=1.6),
    Profile.STROLLER: Pace(0.9, math.inf, math.inf, board=55.0, ramp=1.3),
    Profile.BED: Pace(0.6, math.inf, math.inf, board=60.0, ramp=1.8),
}
STEP_FREE = frozenset(p for p, pace in PACES.items() if pace.stairs == math.inf)


@dataclass(slots=True)
class Table:
    """The edges of a network as columns, from which each profile's seconds are made at once."""

    ways: Any
    metres: Any
    floors: Any
    one_way: Any
    guessed: Any
    stepped: Any
    _codes: dict[Way, int] = field(default_factory=lambda: {way: n for n, way in enumerate(Way)})

    @classmethod
    def of(cls, network: Network) -> "Table":
        """Columns of this network."""
        codes = {way: n for n, way in enumerate(Way)}
        heights = np.asarray([f.ordinal for f in network.floors] or [0.0])
        level = np.asarray([n.level for n in network.nodes], dtype=np.int64)
        edges = network.edges
        ends = np.asarray([(e.a, e.b) for e in edges], dtype=np.int64).reshape(-1, 2)
        return cls(
            np.asarray([codes[e.way] for e in edges], dtype=np.int8),
            np.asarray([e.cm for e in edges], dtype=float) / 100,
            np.abs(heights[level[ends[:, 0]]] - heights[level[ends[:, 1]]]) if len(ends) else np.zeros(0),
            np.asarray([e.one_way for e in edges], dtype=bool),
            np.asarray([e.guess >= 0 for e in edges], dtype=bool),
            np.asarray([e.way in STEPPED for e in edges], dtype=bool),
        )

    def seconds(self, pace: Pace) -> Any:
        """Seconds along each edge, guesses made dearer, infinity where this pace cannot go."""
        made = self.metres / pace.speed
        between = self.floors > 0

        def on(way: Way) -> Any:
            return self.ways == self._codes[way]

        made = np.where(on(Way.ROOM), made + _ROOM_SECONDS, made)
        made = np.where(on(Way.RAMP), made * pace.ramp, made)
        made = np.where(on(Way.STEPS) & ~between, made * _LANDING_TIMES, made)
        for way, a_floor, once in (
            (Way.STEPS, pace.stairs, 0.0), (Way.ESCALATOR, pace.escalator, 0.0), (Way.LIFT, pace.ride, pace.board),
        ):  # fmt: skip
            made = np.where(on(way) & between, once + np.where(between, self.floors, 1.0) * a_floor, made)
        if pace.stairs == math.inf:
            made = np.where(self.stepped, math.inf, made)
        return np.where(self.guessed, made * GUESSED_TIMES + GUESSED_SECONDS, made)
