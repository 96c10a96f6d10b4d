"""The tables that hold the house together: who reacts to which fact, which jobs and sweeps there are, who sees what.

A package's author adds its lines here. The order of subscribers is the order in which they run, inside the transaction
of the fact.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.world import World
from consent import flows as consent
from consent.events import ContractRestored, ContractSigned
from consent.service.contracts import SEAL_JOB
from family_pay.service import bonds
from kernel.db import Subscribers, Tx
from kernel.jobs import Job
from notices.rules import Row
from people.rules import View
from visits.events import VisitEnded, VisitReopened, VisitSettled
from visits.service import encounters


async def _mark_today(tx: Tx, event: ContractSigned | ContractRestored) -> None:
    await encounters.mark_open_visits(tx, event.hospital_id, event.patient_id)


SUBSCRIBERS: Subscribers = {
    ContractSigned: [_mark_today],
    ContractRestored: [_mark_today],
    VisitEnded: [bonds.visit_moved],
    VisitReopened: [bonds.visit_moved],
    VisitSettled: [bonds.visit_settled],
}

SILENT: frozenset[str] = frozenset(
    {
        "ContractSealed",
        "ContractSuspended",
        "ContractWithdrawn",
        "GrantEnded",
        "GrantMade",
        "HisAnswered",
        "OrderCheckedIn",
        "OrderGone",
        "OrderPerformed",
        "OrderPlaced",
        "ReadingAbandoned",
        "ReadingOpened",
        "ResultReady",
        "ViewsChanged",
        "VisitMarked",
        "VisitOpened",
        "VisitUnmarked",
    }
)
"""Events nobody reacts to yet, on purpose (``ViewsChanged`` is rung, not emitted)."""


async def _seal(world: World, contract_id: str) -> None:
    ports = world.ports
    if ports.timestamps is not None and ports.signer is not None and ports.paper is not None:
        await consent.seal(world.db, ports.timestamps, ports.signer, ports.paper, UUID(contract_id))


async def _seal_due(world: World) -> None:
    ports = world.ports
    if ports.timestamps is not None and ports.signer is not None and ports.paper is not None:
        await consent.seal_due(world.db, ports.timestamps, ports.signer, ports.paper)


async def _refresh_credit(world: World) -> None:
    await consent.refresh_credit(world.db, world.ports.credit)


async def _end_forgotten(world: World) -> None:
    async with world.db.begin() as tx:
        await encounters.end_forgotten(tx)


JOBS: Mapping[str, Job] = {SEAL_JOB: _seal}


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


SWEEPS: tuple[Sweep, ...] = (
    Sweep("consent.seal", 30, _seal_due),
    Sweep("consent.credit", 600, _refresh_credit),
    Sweep("visits.forgotten", 60, _end_forgotten),
)

See = Callable[[Row, View], Mapping[str, Any] | None]
SEES: Mapping[str, See] = {}
"""Kind of a feed row → what of it a view sees; kinds not named here are shown whole or not at all."""


def see(row: Row, view: View) -> Mapping[str, Any] | None:
    """What of a row this view sees, or None."""
    made = SEES.get(row.kind)
    if made is not None:
        return made(row, view)
    return row.payload if view.shows(row.audience, row.category) else None
