"""What the guide's parts need of each other: how long somebody walks from one place to another."""

from enum import StrEnum
from typing import Protocol


class Profile(StrEnum):
    """How somebody moves; ``WHEELCHAIR``, ``STROLLER`` and ``BED`` never use a stair or an escalator."""

    WALK = "walk"
    SLOW = "slow"
    WHEELCHAIR = "wheelchair"
    STROLLER = "stroller"
    BED = "bed"

    @property
    def step_free(self) -> bool:
        """Whether who moves like this needs a way without steps."""
        return self not in (Profile.WALK, Profile.SLOW)


class Walking(Protocol):
    """Times between the places of one hospital, on the newest version of its map."""

    def walking_seconds(self, from_place: str, to_place: str, profile: str = Profile.WALK) -> float:
        """Seconds from door to door, lifts and their waiting included; 0.0 at the same place.

        Args:
            from_place: code of a department (``department.code``), as ``to_place``.
            profile: how they move.

        Returns:
            ``math.inf`` where this profile has no way, or the map does not know one of the places.
        """
        ...
