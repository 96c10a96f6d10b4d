"""Shows the way on the newest map: from a code on the wall, a department where one checked in, or a tap on the map."""

import asyncio
import gc
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
    from guide.routes.engine import Condition, Engine, Path
    from guide.routes.say import Step

AT = "@"  # before the key of a space: a place that is no department
_LARGE = 5_000  # points of a map
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
        department: where she has just checked in: its code or name; or another place, its key behind ``AT``.
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
    tx: Tx,
    hospital_id: UUID,
    start: Spot,
    goal: str,
    profile: str = Profile.WALK,
    *,
    drawn: bool = False,
    large: bool = False,
) -> Route | None:
    """The way from a spot to a department now, closures and opening hours heeded; None where there is none.

    Args:
        goal: code or name of the department.
        drawn: also make the pictures; they turn to each other by the ids ``way-0``, ``way-1`` ….
        large: with large letters.

    Raises:
        NoMapError: there is no map, or the spot or the department is not on it.
    """
    version, engine = await _engine(tx, hospital_id)
    network = engine.network
    begin, end = _node(engine, start), _place(network, goal)
    if begin is None or end is None:
        raise NoMapError
    now = tx.now.astimezone(CHINA)
    conditions, moves = await _conditions(tx, hospital_id), Profile(profile)
    # The first way after something was closed takes a large campus half a second: others go on meanwhile.
    path = await asyncio.to_thread(engine.route, begin, network.spaces[end].node, moves, now, conditions)
    if path is None:
        return None
    return _said(version, network, path, (begin, end), _Album("way", large) if drawn else None)


def _said(
    version: maps.MapVersion, network: "Network", path: "Path", ends: tuple[int, int], album: "_Album | None"
) -> Route:
    """A path in words, and in pictures where there is an album for them; ``ends``: node and space."""
    from guide.routes import say

    begin, end = ends
    name = _called(network, end)
    steps = tuple(say.steps_of(network, path, name))
    from_name = _called(network, network.nodes[begin].space) if network.nodes[begin].space >= 0 else w.FROM_HERE
    heading = w.heading(from_name or w.FROM_HERE, name, path.seconds, *say.counts(network, path))
    notes = (w.GUESSED,) if path.guessed else ()
    floors = album.floors(network, say.lines(network, path), name) if album else ()
    return Route(heading, steps, notes, path.seconds, version.number, version.digest, floors)


@dataclass(slots=True)
class _Album:
    """Pictures of one way; with ``grounds`` each floor is drawn there once, under its number, for several ways.

    Attributes:
        key: what the ids of the pictures begin with.
    """

    key: str
    large: bool
    grounds: dict[int, str] | None = None

    def floors(
        self, network: "Network", lines: dict[int, list[list[tuple[int, int]]]], goal: str
    ) -> tuple[tuple[str, str], ...]:
        """Name and picture of each floor, in walking order; a badge at each end leads to the picture next to it."""
        from guide.maps import picture
        from guide.maps.picture import Labels, Sign

        letters = picture.LARGE if self.large else picture.TYPE
        levels = list(lines)
        names = [picture.called(network, level) for level in levels]

        def other(n: int, here: int) -> str:
            """Another floor, its house only if it is another one."""
            one = network.floors[levels[n]]
            return one.sign if one.building == network.floors[levels[here]].building else names[n]

        made = []
        for n, (level, ways) in enumerate(lines.items()):
            last = n == len(names) - 1
            start = Sign(w.came(other(n - 1, n)), f"{self.key}-{n - 1}") if n else Sign(w.START)
            end = Sign(goal) if last else Sign(w.onward(other(n + 1, n)), f"{self.key}-{n + 1}")
            labels = Labels(start, end, w.picture(names[n], goal), letters)
            if self.grounds is None:
                drawn = picture.floor(network, level, routes=ways, labels=labels)
            else:
                if level not in self.grounds:
                    self.grounds[level] = picture.ground(network, level, letters=letters)
                drawn = picture.over(network, level, f"floor-{level}", ways, labels)
            made.append((names[n], drawn))
        return tuple(made)


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways between the places of a visit, to be kept on a phone.

    Attributes:
        between: (start, goal) as codes of departments → the way; None where there is none.
        grounds: (id, drawing) of every floor the pictures stand on.
        places: code → name, for those the map knows.
    """

    between: dict[tuple[str, str], Route | None]
    grounds: tuple[tuple[str, str], ...]
    places: dict[str, str]


async def ways(
    tx: Tx, hospital_id: UUID, pairs: Sequence[tuple[str, str]], profile: str = Profile.WALK, *, large: bool = False
) -> Ways:
    """The ways of several pairs of departments at once, each floor drawn once; what the map does not know is left out.

    Raises:
        NoMapError: there is no map.
    """
    version, engine = await _engine(tx, hospital_id)
    conditions, now = await _conditions(tx, hospital_id), tx.now.astimezone(CHINA)
    return await asyncio.to_thread(_ways, version, engine, pairs, Profile(profile), now, conditions, large)


def _ways(
    version: maps.MapVersion,
    engine: "Engine",
    pairs: Sequence[tuple[str, str]],
    profile: Profile,
    now: datetime,
    conditions: list["Condition"],
    large: bool,
) -> Ways:
    network = engine.network
    made, grounds, places = dict[tuple[str, str], Route | None](), dict[int, str](), dict[str, str]()
    done = set[tuple[int, int]]()  # a place may be named by its code and by its name
    for one, other in pairs:
        begin, end = _place(network, one), _place(network, other)
        if begin is None or end is None or begin == end or (begin, end) in done:
            continue
        done.add((begin, end))
        places |= {one: _called(network, begin), other: _called(network, end)}
        start = network.spaces[begin].node
        path = engine.route(start, network.spaces[end].node, profile, now, conditions)
        album = _Album(f"way-{len(made)}", large, grounds)
        made[one, other] = _said(version, network, path, (start, end), album) if path else None
    return Ways(made, tuple((f"floor-{n}", drawn) for n, drawn in sorted(grounds.items())), places)


async def stamp(tx: Tx, hospital_id: UUID) -> str:
    """What the ways hang on: the map, what is closed on it, and the quarter of an hour (for what closes by the clock).

    Raises:
        NoMapError: there is no map.
    """
    version = await maps.current(tx, hospital_id)
    if version is None:
        raise NoMapError
    shut = sorted((row.about, row.percent or 0) for row in await maps.conditions(tx, hospital_id))
    return f"{version.digest} {shut} {int(tx.now.timestamp()) // 900}"


@dataclass(frozen=True, slots=True)
class Walks:
    """``guide.ports.Walking`` on the map and with the closures of one moment."""

    engine: "Engine"
    conditions: tuple["Condition", ...]
    stamp: str
    times: dict[tuple[str, str, str], float] = field(default_factory=dict, repr=False)
    places: dict[str, int | None] = field(default_factory=dict, repr=False)

    def knows(self, place: str) -> bool:
        """Whether the map has this place."""
        return self._at(place) is not None

    def _at(self, place: str) -> int | None:
        if place not in self.places:
            self.places[place] = _place(self.engine.network, place)
        return self.places[place]

    def walking_seconds(self, from_place: str, to_place: str, profile: str = Profile.WALK) -> float:
        """See the port. Opening hours are left aside: a plan is for later in the day."""
        key = (from_place, to_place, profile)
        if key not in self.times:
            self.times[key] = self._seconds(from_place, to_place, profile)
        return self.times[key]

    def _seconds(self, from_place: str, to_place: str, profile: str) -> float:
        network = self.engine.network
        begin, end = self._at(from_place), self._at(to_place)
        if begin is None or end is None:
            return math.inf
        if begin == end:
            return 0.0
        nodes = network.spaces[begin].node, network.spaces[end].node
        return self.engine.seconds(*nodes, Profile(profile), None, self.conditions)


async def place(tx: Tx, hospital_id: UUID, department: str, *, large: bool = False) -> str | None:
    """A picture (SVG) of where a department is: what is around it on its floor; None where no map knows it."""
    from guide.maps import picture

    try:
        found = await network(tx, hospital_id)
    except NoMapError:
        return None
    at = _place(found, department)
    if at is None or found.spaces[at].node < 0:
        return None
    node, name = found.nodes[found.spaces[at].node], _called(found, at)
    title = w.place(picture.called(found, node.level), name)
    labels = picture.Labels(end=picture.Sign(name), title=title, letters=picture.LARGE if large else picture.TYPE)
    return picture.floor(found, node.level, routes=[[(node.x, node.y)] * 2], labels=labels)


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
        for profile in (Profile.WALK, Profile.SLOW):  # how most walk; beside what others ask
            await asyncio.to_thread(engine.scene, profile, None, conditions)
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
    if len(network.nodes) > _LARGE:  # these stay, and each full collection would look at them all
        gc.freeze()
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
    """A department by code, or by the name the map knows it under; a space by its key behind ``AT``."""
    if code.startswith(AT):
        return next((n for n, s in enumerate(network.spaces) if AT + s.key == code and s.node >= 0), None)
    return network.places.get(code, network.occupants.get(code))


def _called(network: "Network", space: int) -> str:
    """A department's name if one is there, else the name or number at the door."""
    names = {at: name for name, at in network.occupants.items()}
    one = network.spaces[space]
    return names.get(space) or one.name or one.ref
