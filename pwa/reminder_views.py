"""What the pages about reminders, and about who is calling, show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Reminders:
    """What one is told outside the pages. ``push_key``: browsers can be rung here; ``here``: this one is.

    ``ways``: which channels there are at this hospital. ``said``: what came of the last press.
    """

    on_topics: frozenset[str]
    on_channels: frozenset[str]
    ways: Sequence[str] = ()
    quiet_from: str = "21:30"
    quiet_to: str = "07:00"
    basic: bool = False
    push_key: str | None = None
    here: bool = False
    said: str | None = None


@dataclass(frozen=True, slots=True)
class CallerCheck:
    """Is it really the hospital: (hospital, digits, until) of a call now, and what came of checking a message."""

    codes: Sequence[tuple[str, str, datetime]]
    ours: bool | None = None
    hospital: str = ""
    sent_at: datetime | None = None
    error: str | None = None
