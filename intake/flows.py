"""The door for the HIS: batches that wait at the same moment share one transaction, so a busy hospital stays quick."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from intake.rules import BATCH_MAX, Answer, Item
from intake.service.batches import RefusedError, hospitals_waiting, keep_rejected, retry_parked, take_all
from kernel.db import Database
from kernel.errors import HoufuError, Kind
from people.service.hospitals import Snapshot

TRIES = 3
PACE = 0.005  # seconds from the beginning of one transaction to the next: what comes in between shares one


class BusyError(HoufuError):
    """The database cannot take it now; nothing was taken, the same batch is right a little later."""

    code = "his_busy"
    kind = Kind.UNAVAILABLE


@dataclass(slots=True)
class _Waiting:
    hospital: Snapshot
    items: Sequence[Item]
    refused: Sequence[tuple[str, object]]
    done: "asyncio.Future[list[Answer]]"


class Intake:
    """Takes batches one transaction after another; what arrives while one commits goes into the next together.

    At low load a batch waits for nobody. Under load two transactions begin at least ``PACE`` apart: fewer of them, each
    a little larger, leave the processor to the phones, so that the slowest push is sooner there.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def take(
        self, hospital: Snapshot, items: Sequence[Item], refused: Sequence[tuple[str, object]] = ()
    ) -> list[Answer]:
        """Take checked statements; returns after the commit, one answer each, in order.

        Args:
            hospital: who says so.
            refused: statements that failed the check (reason, raw), kept for the hospital to mend.

        Raises:
            BusyError: nothing was taken.
        """
        waiting = _Waiting(hospital, items, refused, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        # The writer goes on even if this caller has hung up: what was begun together ends together.
        return await asyncio.shield(waiting.done)

    async def _work(self) -> None:
        while self._queue:
            next_one = asyncio.get_running_loop().time() + PACE
            batch = self._next()
            try:
                await self._together(batch)
            except DBAPIError:
                for waiting in batch:
                    _fail(waiting, BusyError())
            except Exception as wrong:
                for waiting in batch:
                    _fail(waiting, wrong)
            await asyncio.sleep(max(0.0, next_one - asyncio.get_running_loop().time()))

    def _next(self) -> list[_Waiting]:
        hospital, size = self._queue[0].hospital.hospital.id, 0
        batch: list[_Waiting] = []
        for waiting in list(self._queue):
            if waiting.hospital.hospital.id != hospital:
                continue
            if batch and size + len(waiting.items) > BATCH_MAX:
                break
            size += len(waiting.items)
            batch.append(waiting)
            self._queue.remove(waiting)
        return batch

    async def _together(self, batch: list[_Waiting]) -> None:
        items = [item for waiting in batch for item in waiting.items]
        refused = [one for waiting in batch for one in waiting.refused]
        answers = await self._committed(batch[-1].hospital, items, refused)
        at = 0
        for waiting in batch:
            part = answers[at : at + len(waiting.items)]
            at += len(waiting.items)
            if not waiting.done.done():
                waiting.done.set_result(part)

    async def _committed(
        self, hospital: Snapshot, items: Sequence[Item], refused: Sequence[tuple[str, object]]
    ) -> list[Answer]:
        carefully, hospital_id = False, hospital.hospital.id
        for attempt in range(1, TRIES + 1):
            try:
                async with self._db.begin() as tx:
                    hospital.hold(tx)
                    await keep_rejected(tx, hospital_id, refused)
                    answers = await take_all(tx, hospital.hospital, items, carefully=carefully) if items else []
                    # By place, not by id: the HIS numbers its items, and may number two alike.
                    told = zip(answers, items, strict=True)
                    late = [(a.reason or "", dict(item.raw)) for a, item in told if a.status == "rejected"]
                    await keep_rejected(tx, hospital_id, late)
                return answers
            except RefusedError:
                carefully = True
            except Exception:
                # A deadlock, a race with another process, or a statement nobody foresaw: each by itself, once more.
                if attempt == TRIES:
                    raise
                carefully = True
        raise BusyError


def _fail(waiting: _Waiting, wrong: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(wrong)


async def sweep_parked(db: Database) -> int:
    """Look after parked statements, one hospital a transaction; returns how many wait no more."""
    async with db.begin() as tx:
        waiting = await hospitals_waiting(tx)
    taken = 0
    for hospital_id in waiting:
        async with db.begin() as tx:
            taken += await retry_parked(tx, hospital_id)
    return taken
