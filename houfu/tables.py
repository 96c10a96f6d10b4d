"""The tables that hold the house together: who reacts to which fact, which jobs and sweeps there are, who sees what.

A package's author adds its lines here. The order of subscribers is the order in which they run, inside the transaction
of the fact.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.world import World
from kernel.db import Subscribers
from kernel.jobs import Job
from notices.rules import Row
from people.rules import View

SUBSCRIBERS: Subscribers = {}

SILENT: frozenset[str] = frozenset()
"""Names of events nobody reacts to yet, on purpose."""

JOBS: Mapping[str, Job] = {}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something looked after again and again.

    Attributes:
        seconds: pause between two runs; ``woken`` ones also run when anything was committed.
    """

    name: str
    seconds: float
    run: Callable[[World], Awaitable[object]]
    woken: bool = False


SWEEPS: tuple[Sweep, ...] = ()

See = Callable[[Row, View], Mapping[str, Any] | None]
SEES: Mapping[str, See] = {}
"""Kind of a feed row → what of it a view sees; kinds not named here are shown whole or not at all."""


def see(row: Row, view: View) -> Mapping[str, Any] | None:
    """What of a row this view sees, or None."""
    made = SEES.get(row.kind)
    if made is not None:
        return made(row, view)
    return row.payload if view.shows(row.audience, row.category) else None
