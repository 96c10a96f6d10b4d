"""Delivering what the HIS must be told: in order within a visit, again and again until it answers."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol
from uuid import UUID

from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError
from visits.ports import HisAnswer, HisCommand, HisCommands
from visits.service import calls

BATCH = 32


class Clients(Protocol):
    """The lines to the hospitals' systems."""

    def of(self, hospital_id: UUID) -> Awaitable[HisCommands]:
        """The client of one hospital."""
        ...


async def deliver_calls(db: Database, clients: Clients) -> int:
    """Deliver what is due now; returns how many calls were answered for good."""
    answered = 0
    while True:
        async with db.begin() as tx:
            due = await calls.claim(tx, BATCH)
        if not due:
            return answered
        done = await _deliver(db, clients, due)
        answered += done
        if not done:
            return answered


Outcome = tuple[calls.Claimed, HisAnswer | None, str | None]


async def _deliver(db: Database, clients: Clients, due: Sequence[calls.Claimed]) -> int:
    """Make all these calls at once; answers that arrive while others are written down go into the next transaction."""
    waiting = {asyncio.create_task(_ask(clients, call)) for call in due}
    answered = 0
    try:
        while waiting:
            finished, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            outcomes = [task.result() for task in finished]
            await _record(db, outcomes)
            answered += sum(answer is not None for _, answer, _ in outcomes)
    finally:
        for task in waiting:
            task.cancel()
    return answered


async def _ask(clients: Clients, call: calls.Claimed) -> Outcome:
    try:
        client = await clients.of(call.hospital_id)
        return call, await client.send(HisCommand(call.key, call.kind, call.encounters, call.at, call.data)), None
    except NotConfigured as missing:
        return call, None, str(missing)
    except OutsideError as outside:
        return call, None, str(outside) or outside.code


async def _record(db: Database, outcomes: Sequence[Outcome]) -> None:
    try:
        async with db.begin() as tx:
            await calls.record_all(tx, outcomes)
    except Exception:
        if len(outcomes) == 1:
            raise
        for one in outcomes:  # one answer that cannot be digested must not hold up its neighbours
            await _record(db, [one])
