"""The ways of a hospital, in centimetres: what is published, and what routes are made of."""

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from guide.maps.findings import Finding, Guess, MapFileError

FORMAT = "houfu-map/1"


class Way(StrEnum):
    """What one walks on; ``ROOM`` is the way through a room to its other door."""

    FLAT = "flat"
    ROOM = "room"
    RAMP = "ramp"
    STEPS = "steps"
    ESCALATOR = "escalator"
    LIFT = "lift"


STEPPED = frozenset({Way.STEPS, Way.ESCALATOR})


class Floor(NamedTuple):
    """One floor of one building; ``sign`` is what its wall says."""

    key: str
    building: str
    sign: str
    ordinal: float


class Space(NamedTuple):
    """A room, corridor or shaft: its outline (flat list of x, y in cm) and the point that stands for it."""

    key: str
    level: int
    kind: str
    name: str
    ref: str
    node: int
    ring: list[int]


class Node(NamedTuple):
    """A point, in centimetres; ``space`` is −1 for a door between two."""

    x: int
    y: int
    level: int
    space: int


class Edge(NamedTuple):
    """A way from a to b, also back unless ``one_way``; guess, link, hours and space are numbers in lists, −1 for none.

    ``space`` is what the way lies in; a way between floors has a ``link`` instead.
    """

    a: int
    b: int
    cm: int
    way: Way
    one_way: bool = False
    guess: int = -1
    link: int = -1
    hours: int = -1
    space: int = -1


class Seen(NamedTuple):
    """Something to recognise on the way."""

    x: int
    y: int
    level: int
    name: str
    space: int


@dataclass(slots=True)
class Network:
    """A whole map, ready to be published.

    Attributes:
        links: names of lifts, stairs and escalators.
        hours: opening hours that occur, as written.
        occupants: who is there (a department's name) → space.
        places: code of a department → space; filled in when it is published.
    """

    name: str
    floors: list[Floor] = field(default_factory=list)
    spaces: list[Space] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    hours: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    occupants: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        made: dict[str, Any] = {"format": FORMAT}
        for name in self.__slots__:
            value = getattr(self, name)
            if name in ("findings", "guesses"):
                made[name] = [list(asdict(one).values()) for one in value]
            else:
                made[name] = value
        return made

    def packed(self) -> bytes:
        """The document as canonical JSON, compressed; equal maps make equal bytes."""
        return zlib.compress(self._canonical(), 9)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal: the name of exactly this content."""
        return hashlib.sha256(self._canonical()).hexdigest()

    def _canonical(self) -> bytes:
        return json.dumps(self.document(), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def described(self, space: int) -> str:
        """A space for a report: building, floor, name or number."""
        one = self.spaces[space]
        floor = self.floors[one.level]
        return f"{floor.building} {floor.sign} {one.name or one.ref or one.kind}".strip()


def unpack(data: bytes) -> Network:
    """The other way round.

    Raises:
        MapFileError: it is no map of this format, or does not hold together.
    """
    try:
        document = json.loads(zlib.decompress(data))
    except (zlib.error, ValueError, RecursionError):
        raise MapFileError("not_map", "This is no map that was made by `houfu map import`.") from None
    return of_document(document)


def of_document(document: Any) -> Network:
    """A network of its JSON.

    Raises:
        MapFileError: it is no map of this format, or does not hold together.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise MapFileError("not_map", "This is no map that was made by `houfu map import`.")
    try:
        made = Network(str(document["name"]))
        made.floors = [Floor(*one) for one in document["floors"]]
        made.spaces = [Space(*one) for one in document["spaces"]]
        made.nodes = [Node(*one) for one in document["nodes"]]
        made.edges = [Edge(a, b, cm, Way(way), *rest) for a, b, cm, way, *rest in document["edges"]]
        made.seen = [Seen(*one) for one in document["seen"]]
        made.links, made.hours = list(document["links"]), list(document["hours"])
        made.occupants, made.places = dict(document["occupants"]), dict(document["places"])
        made.findings = [Finding(*one) for one in document["findings"]]
        made.guesses = [Guess(*one) for one in document["guesses"]]
        _hold_together(made)
    except (KeyError, TypeError, ValueError) as error:
        raise MapFileError("not_map", f"This map does not hold together ({str(error)[:80]}).") from None
    return made


def _hold_together(made: Network) -> None:
    nodes, floors, spaces = len(made.nodes), len(made.floors), len(made.spaces)
    whole = all(0 <= e.a < nodes and 0 <= e.b < nodes and e.cm >= 0 for e in made.edges)
    guesses, links, hours = len(made.guesses), len(made.links), len(made.hours)
    whole = whole and all(
        -1 <= e.guess < guesses and -1 <= e.link < links and -1 <= e.hours < hours and -1 <= e.space < spaces
        for e in made.edges
    )
    whole = whole and all(0 <= n.level < floors and -1 <= n.space < spaces for n in made.nodes)
    whole = whole and all(0 <= s.level < floors and -1 <= s.node < nodes for s in made.spaces)
    whole = whole and all(0 <= at < spaces for at in (*made.occupants.values(), *made.places.values()))
    if not whole or not all(0 <= s.level < floors for s in made.seen):
        raise ValueError("it names a point that is not there")


def neighbours(network: Network) -> dict[int, list[int]]:
    """Node → numbers of its edges."""
    found: dict[int, list[int]] = defaultdict(list)
    for n, edge in enumerate(network.edges):
        found[edge.a].append(n)
        found[edge.b].append(n)
    return found


def names(network: Network) -> dict[str, list[int]]:
    """What people can name → spaces: who is there, a shaft or corridor, a room by its house; and any space by its key.

    A number at a door alone names nothing: every house has a 301.
    """
    made: dict[str, list[int]] = defaultdict(list)
    for n, space in enumerate(network.spaces):
        floor = network.floors[space.level]
        made[space.key].append(n)
        if space.kind in ("room", "toilet"):
            if space.ref:
                made[f"{floor.building}{space.ref}"].append(n)
            made[f"{floor.building}{floor.sign}{space.name or space.ref}"].append(n)
        elif space.name:
            made[space.name].append(n)
    for name, n in network.occupants.items():
        made[name].append(n)
    return {name: sorted(set(spaces)) for name, spaces in made.items() if name}
