"""Shows the way on the newest map: from a code on the wall, a department where one checked in, or a tap on the map."""

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from guide.ports import Profile
from guide.service import maps
from kernel.clock import CHINA
from kernel.db import Tx
from kernel.errors import HoufuError, Kind
from words import guide_way as w

if TYPE_CHECKING:
    from guide.maps.network import Network
    from guide.routes.engine import Condition, Engine
    from guide.routes.say import Step

_KEPT = 4  # maps in memory: the newest of a few hospitals
_engines: OrderedDict[UUID, "Engine"] = OrderedDict()
_walked: OrderedDict[tuple[UUID, tuple["Condition", ...]], "Walks"] = OrderedDict()


class NoMapError(HoufuError):
    """The hospital has published no map, or it does not know this place."""

    code = "no_map"
    kind = Kind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody stands: exactly one of these.

    Attributes:
        code: what the QR at the spot says: the key of a space.
        department: where she has just checked in: its code or name.
        tap: number of the floor, and x and y in centimetres, on the version of the map that was shown.
    """

    code: str = ""
    department: str = ""
    tap: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A way, in force for one version of the map.

    Attributes:
        heading: the first line; ``notes`` what to know beside the steps.
        version, digest: the map it was found on.
        seconds: expected time of walking, lifts and their waiting included.
        floors: name and picture (SVG) of every floor on the way, in walking order; empty unless asked for.
    """

    heading: str
    steps: tuple["Step", ...]
    notes: tuple[str, ...]
    seconds: float
    version: int
    digest: str
    floors: tuple[tuple[str, str], ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, as a person reads it without any map."""
        return (self.heading, *(s.text for s in self.steps), *self.notes)

    @property
    def spoken(self) -> str:
        """The same to be read aloud."""
        return "".join(w.spoken(line) for line in self.lines)


async def route(
    tx: Tx, hospital_id: UUID, start: Spot, goal: str, profile: str = Profile.WALK, *, drawn: bool = False
) -> Route | None:
    """The way from a spot to a department now, closures and opening hours heeded; None where there is none.

    Args:
        goal: code or name of the department.
        drawn: also make the pictures.

    Raises:
        NoMapError: there is no map, or the spot or the department is not on it.
    """
    version, engine = await _engine(tx, hospital_id)
    from guide.routes import say  # loaded with the engine by now, which was done beside the loop

    network = engine.network
    begin, end = _node(engine, start), _place(network, goal)
    if begin is None or end is None:
        raise NoMapError
    now = tx.now.astimezone(CHINA)
    path = engine.route(begin, network.spaces[end].node, Profile(profile), now, await _conditions(tx, hospital_id))
    if path is None:
        return None
    name = _called(network, end)
    steps = tuple(say.steps_of(network, path, name))
    from_name = _called(network, network.nodes[begin].space) if network.nodes[begin].space >= 0 else w.FROM_HERE
    heading = w.heading(from_name or w.FROM_HERE, name, path.seconds, *say.counts(network, path))
    notes = (w.GUESSED,) if path.guessed else ()
    floors = _pictures(network, say.lines(network, path), name) if drawn else ()
    return Route(heading, steps, notes, path.seconds, version.number, version.digest, floors)


def _pictures(
    network: "Network", lines: dict[int, list[list[tuple[int, int]]]], goal: str
) -> tuple[tuple[str, str], ...]:
    from guide.maps import picture

    made = []
    onward = [*(w.onward(picture.called(network, level)) for level in list(lines)[1:]), goal]
    for (level, routes), badge in zip(lines.items(), onward, strict=True):
        name = picture.called(network, level)
        drawn = picture.floor(network, level, routes=routes, badge=badge, title=w.picture(name, goal))
        made.append((name, drawn))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Walks:
    """``guide.ports.Walking`` on the map and with the closures of one moment."""

    engine: "Engine"
    conditions: tuple["Condition", ...]
    stamp: str
    times: dict[tuple[str, str, str], float] = field(default_factory=dict, repr=False)

    def knows(self, place: str) -> bool:
        """Whether the map has this department."""
        return _place(self.engine.network, place) is not None

    def walking_seconds(self, from_place: str, to_place: str, profile: str = Profile.WALK) -> float:
        """See the port. Opening hours are left aside: a plan is for later in the day."""
        key = (from_place, to_place, profile)
        if key not in self.times:
            self.times[key] = self._seconds(from_place, to_place, profile)
        return self.times[key]

    def _seconds(self, from_place: str, to_place: str, profile: str) -> float:
        network = self.engine.network
        begin, end = _place(network, from_place), _place(network, to_place)
        if begin is None or end is None:
            return math.inf
        if begin == end:
            return 0.0
        nodes = network.spaces[begin].node, network.spaces[end].node
        return self.engine.seconds(*nodes, Profile(profile), None, self.conditions)


async def walks(tx: Tx, hospital_id: UUID) -> Walks:
    """Walking times now.

    Raises:
        NoMapError: there is no map.
    """
    version, engine = await _engine(tx, hospital_id)
    conditions = tuple(await _conditions(tx, hospital_id))
    key = (version.id, conditions)
    found = _walked.get(key)
    if found is None:  # the same few ways are asked for by every plan of the day
        stamp = f"{version.number} {[(c.about, c.times) for c in conditions]}"
        found = _walked[key] = Walks(engine, conditions, stamp)
        while len(_walked) > _KEPT * 2:
            _walked.popitem(last=False)
    return found


async def network(tx: Tx, hospital_id: UUID) -> "Network":
    """The newest map; not to be changed.

    Raises:
        NoMapError: there is none.
    """
    _, engine = await _engine(tx, hospital_id)
    return engine.network


async def _engine(tx: Tx, hospital_id: UUID) -> tuple[maps.MapVersion, "Engine"]:
    """The newest version and what finds ways on it; closures are asked for each time, so nothing waits to be told."""
    version = await maps.current(tx, hospital_id)
    if version is None:
        raise NoMapError
    engine = _engines.get(version.id)
    if engine is None:
        network = await maps.network_of(tx, version.id)
        engine = _engines[version.id] = await asyncio.to_thread(_made, network)
        while len(_engines) > _KEPT:
            _engines.popitem(last=False)
    return version, engine


def _made(network: "Network") -> "Engine":
    from guide.routes.engine import Engine

    engine = Engine(network)
    engine.warm()
    return engine


async def _conditions(tx: Tx, hospital_id: UUID) -> list["Condition"]:
    from guide.routes.engine import Condition

    rows = await maps.conditions(tx, hospital_id)
    return [Condition(row.about, math.inf if row.percent is None else row.percent / 100) for row in rows]


def _node(engine: "Engine", spot: Spot) -> int | None:
    network = engine.network
    if spot.tap is not None:
        return engine.nearest(*spot.tap)
    if spot.department:
        place = _place(network, spot.department)
        return None if place is None else network.spaces[place].node
    return next((s.node for s in network.spaces if s.key == spot.code and s.node >= 0), None)


def _place(network: "Network", code: str) -> int | None:
    """A department by code, or by the name the map knows it under."""
    return network.places.get(code, network.occupants.get(code))


def _called(network: "Network", space: int) -> str:
    """A department's name if one is there, else the name or number at the door."""
    names = {at: name for name, at in network.occupants.items()}
    one = network.spaces[space]
    return names.get(space) or one.name or one.ref
