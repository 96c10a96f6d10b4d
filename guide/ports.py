"""What the guide needs from elsewhere."""

from typing import Protocol


class Walks(Protocol):
    """How long one walks from place to place; a place is a department's code."""

    def walking_seconds(self, from_place: str, to_place: str, profile: str = "walk") -> float:
        """Seconds, door to door."""
        ...
