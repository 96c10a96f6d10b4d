"""The ways of a hospital, in centimetres: what is published, and what routes are made of."""

import hashlib
import json
import zlib
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from guide.maps.findings import FINDINGS, GUESSES, Finding, Guess, MapFileError
from guide.maps.hours import parse

FORMAT = "houfu-map/1"
Cm = Annotated[int, Field(ge=-10_000_000, le=10_000_000)]
"""Centimetres; a hundred kilometres is no campus."""
Height = Annotated[float, Field(ge=-1_000, le=1_000, allow_inf_nan=False)]


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
    ordinal: Height


class Space(NamedTuple):
    """A room, corridor or shaft: its outline (flat list of x, y in cm) and the point that stands for it."""

    key: str
    level: int
    kind: str
    name: str
    ref: str
    node: int
    ring: list[Cm]


class Node(NamedTuple):
    """A point, in centimetres; ``space`` is −1 for a door between two."""

    x: Cm
    y: Cm
    level: int
    space: int


class Edge(NamedTuple):
    """A way from a to b, also back unless ``one_way``; guess, link, hours and space are numbers in lists, −1 for none.

    ``space`` is what the way lies in; a way between floors has a ``link`` instead.
    """

    a: int
    b: int
    cm: Cm
    way: Way
    one_way: bool = False
    guess: int = -1
    link: int = -1
    hours: int = -1
    space: int = -1


class Seen(NamedTuple):
    """Something to recognise on the way."""

    x: Cm
    y: Cm
    level: int
    name: str
    space: int


class Decision(NamedTuple):
    """A guess somebody looked at: its words, which of those with the same words, and what was said by whom and when."""

    why: str
    what: str
    which: int
    confirmed: bool
    by: str
    at: str


@dataclass(slots=True)
class Network:
    """A whole map, ready to be published.

    Attributes:
        links: names of lifts, stairs and escalators.
        hours: opening hours that occur, as written.
        occupants: who is there (a department's name) → space.
        places: code of a department → space; filled in when it is published.
        decided: guesses that are none any more, in the order they were looked at.
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
    decided: list[Decision] = field(default_factory=list)

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


class _Document(BaseModel):
    """What is stored, as it is checked when it comes back."""

    format: Literal["houfu-map/1"]
    name: str
    floors: list[Floor]
    spaces: list[Space]
    nodes: list[Node]
    edges: list[Edge]
    links: list[str]
    hours: list[str]
    seen: list[Seen]
    occupants: dict[str, int]
    places: dict[str, int]
    findings: list[tuple[str, str]]
    guesses: list[tuple[str, str]]
    decided: list[Decision] = []


def unpack(data: bytes) -> Network:
    """The other way round.

    Raises:
        MapFileError: it is no map of this format, or does not hold together.
    """
    try:
        return parsed(zlib.decompress(data))
    except zlib.error:
        raise MapFileError("not_map", "This is no map that was made by `houfu map import`.") from None


def of_document(document: object) -> Network:
    """A network of its JSON values; raises as ``parsed``."""
    return parsed(json.dumps(document).encode())


def parsed(text: bytes) -> Network:
    """A network of its JSON.

    Raises:
        MapFileError: it is no map of this format, or does not hold together.
    """
    try:
        given = _Document.model_validate_json(text, strict=True)
        made = Network(given.name, given.floors, given.spaces, given.nodes, given.edges, given.links, given.hours,
                       given.seen, given.occupants, given.places)  # fmt: skip
        made.findings = [Finding(*one) for one in given.findings]
        made.guesses = [Guess(*one) for one in given.guesses]
        made.decided = given.decided
        _hold_together(made)
    except ValueError as error:
        raise MapFileError(
            "not_map", f"This map does not hold together ({' '.join(str(error).split())[:90]})."
        ) from None
    return made


def _hold_together(made: Network) -> None:
    nodes, floors, spaces = len(made.nodes), len(made.floors), len(made.spaces)
    guesses, links, hours = len(made.guesses), len(made.links), len(made.hours)
    checks = (
        all(0 <= e.a < nodes and 0 <= e.b < nodes and e.cm >= 0 for e in made.edges),
        all(-1 <= e.guess < guesses and -1 <= e.link < links for e in made.edges),
        all(-1 <= e.hours < hours and -1 <= e.space < spaces for e in made.edges),
        all(0 <= n.level < floors and -1 <= n.space < spaces for n in made.nodes),
        all(0 <= s.level < floors and -1 <= s.node < nodes for s in made.spaces),
        all(not len(s.ring) % 2 and len(s.ring) != 2 for s in made.spaces),
        all(0 <= at < spaces for at in (*made.occupants.values(), *made.places.values())),
        all(0 <= s.level < floors and -1 <= s.space < spaces for s in made.seen),
        all(f.code in FINDINGS for f in made.findings) and all(g.why in GUESSES for g in made.guesses),
    )
    if not all(checks):
        raise ValueError("it names something that is not there")
    for text in made.hours:
        parse(text)


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
