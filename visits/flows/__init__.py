"""Delivering what the HIS must be told: in order within a visit, again and again until it answers."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol
from uuid import UUID

from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError
from visits.ports import HisAnswer, HisCommand, HisCommands
from visits.service import calls

CLAIMED_AT_ONCE = 100
TOGETHER = 20  # commands in one request; a HIS that takes 100 ms for each still answers in time


class Clients(Protocol):
    """The lines to the hospitals' systems."""

    def of(self, hospital_id: UUID) -> Awaitable[HisCommands]:
        """The client of one hospital."""
        ...


async def deliver_calls(db: Database, clients: Clients, breath: float = 0.0) -> int:
    """Deliver what is due now, and what becomes due by its answers; returns how many calls were answered for good.

    Args:
        breath: seconds to let more come together before claiming again, unless so much waits that it comes by itself:
            a claim, a request and its record cost the same for one call as for twenty.
    """
    answered = 0
    while True:
        async with db.begin() as tx:
            due = await calls.claim(tx, CLAIMED_AT_ONCE)
        if not due:
            return answered
        done = await _deliver(db, clients, due)
        answered += done
        if not done:
            return answered
        if len(due) < CLAIMED_AT_ONCE:
            await asyncio.sleep(breath)


Outcome = tuple[calls.Claimed, HisAnswer | None, str | None]


async def _deliver(db: Database, clients: Clients, due: Sequence[calls.Claimed]) -> int:
    """Make these requests at once; answers that arrive while others are written down go into the next transaction."""
    waiting = {asyncio.create_task(_ask(clients, some)) for some in _requests(due)}
    answered = 0
    try:
        while waiting:
            finished, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            outcomes = [outcome for task in finished for outcome in task.result()]
            await _record(db, outcomes)
            answered += sum(answer is not None for _, answer, _ in outcomes)
    finally:
        for task in waiting:
            task.cancel()
    return answered


def _requests(due: Sequence[calls.Claimed]) -> list[list[calls.Claimed]]:
    """Share calls out into requests: one hospital each, and all of a visit's calls in one, in order.

    A visit whose calls went unanswered before goes alone: what the HIS cannot digest holds up no neighbour.
    """
    visits: dict[tuple[UUID, UUID], list[calls.Claimed]] = {}
    for call in due:
        visits.setdefault((call.hospital_id, call.visit_id), []).append(call)
    requests: list[list[calls.Claimed]] = []
    open_ones: dict[UUID, list[calls.Claimed]] = {}
    for (hospital_id, _), own in visits.items():
        request = open_ones.get(hospital_id)
        if any(call.tries > 1 for call in own):
            requests.append(own)
        elif request is None or len(request) + len(own) > TOGETHER:
            open_ones[hospital_id] = own
            requests.append(own)
        else:
            request += own
    return requests


async def _ask(clients: Clients, some: Sequence[calls.Claimed]) -> list[Outcome]:
    try:
        client = await clients.of(some[0].hospital_id)
        answers = await client.send([HisCommand(c.key, c.kind, c.encounters, c.at, c.data) for c in some])
    except NotConfigured as missing:
        return [(call, None, str(missing)) for call in some]
    except OutsideError as outside:
        return [(call, None, str(outside) or outside.code) for call in some]
    return [(call, answer, "later") for call, answer in zip(some, answers, strict=True)]


async def _record(db: Database, outcomes: Sequence[Outcome]) -> None:
    try:
        async with db.begin() as tx:
            await calls.record_all(tx, outcomes)
    except Exception:
        if len(outcomes) == 1:
            raise
        for one in outcomes:  # one answer that cannot be digested must not hold up its neighbours
            await _record(db, [one])
