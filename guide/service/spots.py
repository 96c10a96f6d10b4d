"""The codes of the signs on the walls: a QR says where somebody stands, and the guide begins there."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from guide.service import maps, routes
from kernel.db import Tx

if TYPE_CHECKING:
    from guide.maps.network import Network

__all__ = ["Picture", "Sign", "code_of", "departments", "find", "listed", "picture", "signs"]

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is read as another
_LENGTH = 7
_KEPT = 4  # maps
_made: OrderedDict[UUID, dict[str, "Sign"]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Sign:
    """One place of the map: its code, the key of its space, its name, and the house and floor it is on."""

    code: str
    key: str
    name: str
    building: str
    floor: str

    @property
    def place(self) -> str:
        """As a place of ``guide.service.routes``."""
        return routes.AT + self.key

    @property
    def where(self) -> str:
        """House and floor, as the walls say them."""
        return f"{self.building}{self.floor}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A floor to tap on.

    Attributes:
        level: its number; ``drawn`` the picture (SVG).
        floors: number and name of all floors there are.
    """

    level: int
    drawn: str
    floors: tuple[tuple[int, str], ...]


def code_of(key: str) -> str:
    """The code of a space: the same in every version of the map that has it, so that a sign need not be put up anew."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return "".join(_LETTERS[number >> 5 * n & 31] for n in range(_LENGTH))


def listed(network: "Network") -> list[Sign]:
    """Every place that has a name and a way to it, by house and floor."""
    names = {at: name for name, at in network.occupants.items()}
    found = []
    for number, space in enumerate(network.spaces):
        name = names.get(number) or space.name or space.ref
        if space.node >= 0 and name:
            floor = network.floors[space.level]
            sign = Sign(code_of(space.key), space.key, name, floor.building, floor.sign)
            found.append((floor.building, floor.ordinal, name, number, sign))
    return [sign for *_, sign in sorted(found, key=lambda one: one[:4])]


async def signs(tx: Tx, hospital_id: UUID) -> list[Sign]:
    """The signs of the newest map.

    Raises:
        NoMapError: there is no map.
    """
    return list((await _signs(tx, hospital_id)).values())


async def _signs(tx: Tx, hospital_id: UUID) -> dict[str, Sign]:
    """By code, in order; of the newest maps of a few hospitals they are kept."""
    version = await maps.current(tx, hospital_id)
    if version is None:
        raise routes.NoMapError
    if version.id not in _made:
        made = {sign.code: sign for sign in listed(await routes.network(tx, hospital_id))}
        while len(_made) >= _KEPT:
            _made.popitem(last=False)
        _made[version.id] = made
    return _made[version.id]


async def find(tx: Tx, hospital_id: UUID, code: str) -> Sign | None:
    """What a code names on the newest map; None where it names nothing, or there is no map."""
    try:
        every = await _signs(tx, hospital_id)
    except routes.NoMapError:
        return None
    return every.get(code)


async def departments(tx: Tx, hospital_id: UUID) -> list[Sign]:
    """Of the signs those of departments: what somebody reads on a door who says where she is.

    Raises:
        NoMapError: there is no map.
    """
    network = await routes.network(tx, hospital_id)
    keys = {network.spaces[at].key for at in network.occupants.values()}
    return [sign for sign in await signs(tx, hospital_id) if sign.key in keys]


async def picture(
    tx: Tx, hospital_id: UUID, level: int | None, here: str, to: Callable[[str], str], *, large: bool = False
) -> Picture:
    """A floor on which every place with a sign leads to an address of its own.

    Args:
        level: which floor; None or one that is not: that of the department ``here``, else the first.
        to: code of a sign → address.

    Raises:
        NoMapError: there is no map.
    """
    from guide.maps import picture as drawing

    network = await routes.network(tx, hospital_id)
    floors = tuple((n, drawing.called(network, n)) for n in range(len(network.floors)))
    if level is None or level >= len(floors):
        at = network.places.get(here, network.occupants.get(here))
        level = 0 if at is None else network.spaces[at].level
    signed = {sign.key for sign in listed(network)}
    places = {
        n: to(code_of(space.key))
        for n, space in enumerate(network.spaces)
        if space.level == level and space.key in signed
    }
    letters = drawing.LARGE if large else drawing.TYPE
    return Picture(level, drawing.tapped(network, level, places, letters=letters), floors)
