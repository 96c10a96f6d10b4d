"""Booking while a person waits: decided in one transaction, asked of the HIS in none, written down in another."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError, Rejected, Throttled
from people.rules import Actor
from visits.ports import HisCommands, HisSlots
from visits.rules.booking import Slot, SlotGoneError, SlotsUnavailableError
from visits.service import booking_calls, bookings
from visits.service.booking_calls import Claimed
from visits.service.bookings import Wish

KEPT_SECONDS = 10.0  # how long an answer about free times is good for showing; booking asks the HIS itself
DOWN_SECONDS = 3.0  # after no answer nobody asks for so long: a hundred people must not wait one after another
_KEPT_AT_MOST = 500


class Line(HisCommands, HisSlots, Protocol):
    """The line to one hospital's system."""


class Lines(Protocol):
    """The lines to the hospitals' systems."""

    def of(self, hospital_id: UUID) -> Awaitable[Line]:
        """The client of one hospital."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    slots: list[Slot] | None  # None: the HIS did not say
    until: float


class Slots:
    """What is free, asked of the HIS at most once in ``KEPT_SECONDS`` a department and day, however many look."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._kept: dict[tuple[UUID, str, date], _Kept] = {}
        self._turns: dict[tuple[UUID, str, date], asyncio.Lock] = {}

    async def of(self, hospital_id: UUID, department: str, day: date) -> list[Slot]:
        """The half hours of a department on a day, free or not.

        Raises:
            SlotsUnavailableError: the HIS does not say, and nothing it said is young enough.
            SlotGoneError: it has no such department.
        """
        key = (hospital_id, department, day)
        async with self._turns.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is None or kept.until <= time.monotonic():
                kept = await self._ask(key)
            if kept.slots is None:
                raise SlotsUnavailableError
            return kept.slots

    async def _ask(self, key: tuple[UUID, str, date]) -> _Kept:
        hospital_id, department, day = key
        try:
            slots = await (await self._lines.of(hospital_id)).slots(department, day)
            kept = _Kept(slots, time.monotonic() + KEPT_SECONDS)
        except Rejected:
            raise SlotGoneError from None
        except OutsideError:
            kept = _Kept(None, time.monotonic() + DOWN_SECONDS)
        if len(self._kept) >= _KEPT_AT_MOST:
            self._kept.clear()
            self._turns = {k: turn for k, turn in self._turns.items() if turn.locked()}
        self._kept[key] = kept
        return kept

    async def one(self, hospital_id: UUID, department: str, day: date, slot: str) -> Slot:
        """One half hour by its id.

        Raises:
            SlotsUnavailableError: the HIS does not say.
            SlotGoneError: there is none by this id.
        """
        found = next((s for s in await self.of(hospital_id, department, day) if s.id == slot), None)
        if found is None:
            raise SlotGoneError
        return found

    def forget(self, hospital_id: UUID, department: str, day: date) -> None:
        """Something was booked or given up there: ask anew."""
        self._kept.pop((hospital_id, department, day), None)


async def book(db: Database, lines: Lines, slots: Slots, actor: Actor, wish: Wish) -> UUID:
    """Book, and wait for the HIS; its answer, or that there is none yet, stands in the booking that is returned.

    Raises:
        what ``bookings.ask`` raises; then nothing was asked.
    """
    async with db.begin() as tx:
        booking = await bookings.ask(tx, actor, wish)
        identity = booking.id
    await ask_now(db, lines, slots, identity)
    return identity


async def cancel(db: Database, lines: Lines, slots: Slots, actor: Actor, booking_id: UUID) -> None:
    """Give a booking up, and wait for the HIS.

    Raises:
        what ``bookings.cancel`` raises.
    """
    async with db.begin() as tx:
        await bookings.cancel(tx, actor, booking_id)
    await ask_now(db, lines, slots, booking_id)


async def requeue(db: Database, lines: Lines, slots: Slots, actor: Actor, booking_id: UUID) -> None:
    """Put somebody back into the queue, and wait for the HIS.

    Raises:
        what ``bookings.requeue`` raises.
    """
    async with db.begin() as tx:
        await bookings.requeue(tx, actor, booking_id)
    await ask_now(db, lines, slots, booking_id)


async def ask_now(db: Database, lines: Lines, slots: Slots, booking_id: UUID) -> None:
    """Say what waits of one booking, once; no answer leaves it waiting for the sweep, which says the same again."""
    async with db.begin() as tx:
        asked = await booking_calls.claim(tx, booking_id)
    if asked is None:
        return
    try:
        answers = await (await lines.of(asked.hospital_id)).send([asked.command])
    except (NotConfigured, Throttled):
        await _never_sent(db, asked)
        return
    except OutsideError:
        return  # it may or may not be booked: nobody is told anything but that
    finally:
        slots.forget(asked.hospital_id, asked.department, asked.day)
    answer = answers[0]
    if answer is not None:
        async with db.begin() as tx:
            await booking_calls.record(tx, asked, answer)


async def _never_sent(db: Database, asked: Claimed) -> None:
    async with db.begin() as tx:
        await booking_calls.never_sent(tx, asked)


async def look_after(db: Database, lines: Lines, slots: Slots) -> int:
    """Ask again what was not answered, and let time decide what it decides; returns how many were asked."""
    async with db.begin() as tx:
        await booking_calls.tidy(tx)
    async with db.begin() as tx:
        due = await booking_calls.due(tx)
    for booking_id in due:
        await ask_now(db, lines, slots, booking_id)
    return len(due)
