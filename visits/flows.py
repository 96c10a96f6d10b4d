"""Delivering what the HIS must be told: in order within a visit, again and again until it answers."""

import asyncio
from collections.abc import Awaitable
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
        done = await asyncio.gather(*(_deliver(db, clients, call) for call in due))
        answered += sum(done)
        if not any(done):
            return answered


async def _deliver(db: Database, clients: Clients, call: calls.Claimed) -> bool:
    answer: HisAnswer | None = None
    trouble: str | None = None
    try:
        client = await clients.of(call.hospital_id)
        answer = await client.send(HisCommand(call.key, call.kind, call.encounters, call.at, call.data))
    except NotConfigured as missing:
        trouble = str(missing)
    except OutsideError as outside:
        trouble = str(outside) or outside.code
    async with db.begin() as tx:
        await calls.record(tx, call, answer, trouble)
    return answer is not None
