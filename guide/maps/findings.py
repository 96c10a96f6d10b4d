"""What is odd about a map, and what we assumed for it; a file that cannot be used at all raises ``MapFileError``."""

from dataclasses import dataclass

from kernel.errors import HoufuError, Kind

FINDINGS = {
    "broken_shape": "is drawn in a way that cannot be used; it was left out",
    "no_level": "stands on no floor of this file; it was left out",
    "unknown_hours": "has opening hours we do not understand; it counts as always open",
    "door_nowhere": "is a door that touches no room; it was left out",
    "door_one_side": "is a door with a room on one side only",
    "shaft_nowhere": "is a shaft that stops at one floor only",
    "closed": "is not open to patients; no way leads through it",
    "unreachable": "cannot be reached",
    "no_step_free": "can be reached by stairs only",
    "no_feature": "is no feature of GeoJSON; it was left out",
    "bad_row": "is a row that cannot be read; it was left out",
    "bad_link": "is a link between floors whose ends are not in the file; it was left out",
    "crowded_shape": "has too many corners; ways in it are coarse",
    "ignored": "is nothing we know how to use; it was left out",
}
"""Code → what it means, after the name of the thing."""

GUESSES = {
    "far_wall": "a door drawn on one wall leads to the nearest space",
    "off_wall": "a door drawn beside its wall belongs to the nearest space",
    "shaft_door": "a shaft without a door on this floor opens to the nearest corridor",
    "open_join": "two corridors that touch are open to each other",
    "room_door": "a room without a door has one to the corridor it touches",
    "through_room": "a room without a door or corridor is entered through its neighbour",
    "shaft_levels": "stairs or lifts drawn over each other on two floors are one shaft",
    "drawn_once": "a shaft drawn on one floor only also stops at the floor beside it",
    "island": "a part of the building without a way to the rest opens to it where they touch",
    "undrawn": "a room that touches no corridor is reached over ground nobody drew, from the nearest corridor or shaft",
    "across": "buildings whose doors are near each other are joined over the grounds",
}
"""Reason → what we assumed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the hospital should look at: a code of ``FINDINGS`` and the name of the thing."""

    code: str
    what: str


@dataclass(frozen=True, slots=True)
class Guess:
    """An assumption: a reason of ``GUESSES`` and the name of the thing. Ways that need it cost more."""

    why: str
    what: str


class MapFileError(HoufuError):
    """The file is no map we can read; the text says why, for the engineer who typed the command."""

    code = "map_file"
    kind = Kind.INVALID

    def __init__(self, why: str, text: str) -> None:
        super().__init__(why=why)
        self.why, self.text = why, text

    def __str__(self) -> str:
        return self.text
