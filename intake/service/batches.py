"""Taking a batch: what it touches is fetched and locked in a few questions, then each statement is applied in turn."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from billing.service import lines
from intake.models import HisEvent, Parked, Rejected
from intake.rules import (
    Answer,
    EncounterFinished,
    EncounterStarted,
    Item,
    VisitSnapshot,
    example,
    makes,
    needs,
    read,
    split_snapshot,
)
from intake.service.facts import apply
from kernel.asking import Question
from kernel.db import Tx, inserted
from kernel.errors import HoufuError
from kernel.ids import derive, new_id
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from visits.service import booking_calls, encounters, orders
from visits.service.encounters import Encounter
from visits.service.orders import Order

log = logging.getLogger(__name__)
LINGERS = timedelta(seconds=3)  # a statement parked longer than this may have been missed by another process


_WAITING = (
    select(Parked.event_id, Parked.waits_for, HisEvent.raw_sealed)
    .join(HisEvent, HisEvent.id == Parked.event_id)
    .where(
        Parked.hospital_id == bindparam("hospital"),
        Parked.waits_for == any_(bindparam("keys", type_=ARRAY(Text))),
    )
    .order_by(Parked.sequence)
    .with_for_update(of=Parked)
)


class RefusedError(Exception):
    """A statement contradicts what is known; nothing of it was stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def event_id(hospital_id: UUID, item: Item) -> UUID:
    """The id under which a statement is known: business key and content."""
    return derive(hospital_id, "event", f"{item.key}:{item.content.hex()}")


class Taking:
    """One transaction's taking of statements of one hospital.

    Args:
        carefully: what waited is let in within a savepoint of its own, so that a fault in it is its own.
    """

    def __init__(self, tx: Tx, hospital: Hospital, *, carefully: bool) -> None:
        self.tx = tx
        self.hospital = hospital
        self._carefully = carefully
        self._waiting: dict[str, list[tuple[UUID, Item]]] = {}  # what is parked, by what it waits for
        self._asked: set[str] = set()  # keys whose parked statements have been fetched

    async def turns(self, items: Sequence[Item]) -> None:
        """Take the turns of all visits these statements touch: in one order everywhere, so nobody waits in a circle."""
        await self.tx.ask(encounters.turns(self.tx, await self._met(_parts(items))))

    async def _met(self, parts: Sequence[Item]) -> encounters.Met:
        tx, space = self.tx, self.hospital.id
        begun: set[UUID] = set()
        started = [i.data for i in parts if isinstance(i.data, EncounterStarted)]
        if started:
            await patients.preload(tx, space, [d.patient.no for d in started])
            for data in started:
                person = await patients.known_number(tx, space, data.patient.no)
                if person is not None:
                    begun.add(encounters.visit_id_on(space, person.id, data.started_at))
        return encounters.Met({encounters.encounter_id(space, i.subject) for i in parts}, begun)

    async def fetch(self, items: Sequence[Item], *first: Question[Any]) -> tuple[Any, ...]:
        """Take the turns, and fetch what these statements refer to; returns what is heard of what is asked first.

        One trip: each question is answered by what was there when those before it had been.
        """
        tx, space, parts = self.tx, self.hospital.id, _parts(items)
        met = await self._met(parts)
        order_nos = {n for i in parts if (n := getattr(i.data, "order_no", None)) is not None}
        charge_nos = {n for i in parts if (n := getattr(i.data, "charge_no", None)) is not None}
        charge_nos |= {n for i in parts for n in getattr(i.data, "charge_nos", None) or ()}
        # What waits is asked for in its turn: another process may have parked it while this one waited.
        waiting = self._ask({key for i in parts if (key := makes(i)) is not None})
        named = lines.named(tx, space, charge_nos, order_nos, met)
        told = await tx.ask(*first, encounters.turns(tx, met), *named, *waiting)
        changed = [i for i in parts if isinstance(i.data, EncounterStarted | EncounterFinished)]
        # What was read while waiting for a turn may be old by now.
        await tx.preload(Encounter, {encounters.encounter_id(space, i.subject) for i in changed}, lock=True)
        return told[: len(first)]

    def _ask(self, keys: Iterable[str]) -> list[Question[None]]:
        new = set(keys) - self._asked
        self._asked |= new

        def heard(rows: Iterable[tuple[UUID, str, bytes]]) -> None:
            for identity, waits_for, sealed in rows:
                item = read(json.loads(self.tx.vault.open(sealed, "his_event", identity)))
                if isinstance(item, Item):
                    self._waiting.setdefault(waits_for, []).append((identity, item))

        return [Question(_WAITING, {"hospital": self.hospital.id, "keys": list(new)}, heard)] if new else []

    def known(self, items: Sequence[Item]) -> Question[set[UUID]]:
        """Write these statements down; what is heard are the ids of those that were new."""
        tx = self.tx
        rows = []
        for item in items:
            identity = event_id(self.hospital.id, item)
            raw = json.dumps(item.raw, ensure_ascii=False, separators=(",", ":"))
            rows.append(
                {
                    "id": identity,
                    "hospital_id": self.hospital.id,
                    "kind": item.type,
                    "subject": item.subject,
                    "sequence": item.sequence,
                    "said_at": item.time,
                    "received_at": tx.now,
                    "raw_sealed": tx.vault.seal(raw, "his_event", identity),
                }
            )
        # In one order everywhere, so that two batches with the same statements wait instead of deadlocking.
        rows.sort(key=lambda row: str(row["id"]))
        return inserted(HisEvent, rows)

    async def take(self, item: Item, identity: UUID) -> Answer:
        """Make one new statement a fact, with all that waited for it; or park it.

        Raises:
            RefusedError: it contradicts what is known.
        """
        if isinstance(item.data, VisitSnapshot):
            return await self._snapshot(item)
        waits_for = await self._missing(item)
        if waits_for is not None:
            await self._park(identity, item, waits_for)
            return Answer(item.id, "parked", waits_for=waits_for)
        try:
            news = await apply(self.tx, self.hospital, item)
        except HoufuError as wrong:
            raise RefusedError(wrong.code) from wrong
        await self._release(item)
        return Answer(item.id, "accepted" if news else "duplicate", reason=None if news else "older")

    async def ready(self, item: Item) -> bool:
        """Whether everything the statement refers to is known."""
        return await self._missing(item) is None

    async def _missing(self, item: Item) -> str | None:
        space = self.hospital.id
        for key in needs(item):
            kind, _, number = key.partition(":")
            if kind == "encounter":
                found = await self.tx.get(Encounter, encounters.encounter_id(space, number)) is not None
            elif kind == "booking":
                found = await booking_calls.find(self.tx, space, number) is not None
            elif kind == "order":
                found = await self.tx.get(Order, orders.order_id(space, number)) is not None
            else:
                found = await lines.is_known(self.tx, space, number)
            if not found:
                return key
        return None

    async def _park(self, identity: UUID, item: Item, waits_for: str) -> None:
        row = {"waits_for": waits_for, "hospital_id": self.hospital.id, "sequence": item.sequence, "since": self.tx.now}
        query = insert(Parked).values(event_id=identity, **row)
        await self.tx.session.execute(
            query.on_conflict_do_update(index_elements=[Parked.event_id], set_={"waits_for": waits_for})
        )
        await self.tx.ask(*self._ask([waits_for]))
        places = self._waiting.setdefault(waits_for, [])
        if all(known != identity for known, _ in places):
            places.append((identity, item))

    async def _release(self, item: Item) -> None:
        key = makes(item)
        if key is None:
            return
        await self.tx.ask(*self._ask([key]))
        for identity, waiting in sorted(self._waiting.pop(key, []), key=lambda w: w[1].sequence):
            if await self.let_in(waiting, identity):
                await self.tx.session.execute(delete(Parked).where(Parked.event_id == identity))

    async def let_in(self, waiting: Item, identity: UUID) -> bool:
        """Take one that waited; whether it waits no more. What it waited for stays a fact, whatever ails it."""
        if not self._carefully:
            return (await self.take(waiting, identity)).status != "parked"
        space = self.hospital.id
        found = await _by_itself(self.tx, waiting.type, lambda: self.take(waiting, identity))
        if isinstance(found, Answer):
            return found.status != "parked"
        self.hospital = await hospitals.by_id(self.tx, space)  # the savepoint made it forget its rows
        await keep_rejected(self.tx, space, [(found, dict(waiting.raw))])
        return True

    async def _snapshot(self, item: Item) -> Answer:
        parts = split_snapshot(item)
        (new,) = await self.tx.ask(self.known(parts))
        news = False
        for part in parts:
            identity = event_id(self.hospital.id, part)
            if identity in new:
                new.discard(identity)
                try:
                    answer = await self.take(part, identity)
                except RefusedError:
                    continue  # the whole picture may repeat a line that was refused before
                news = news or answer.status == "accepted"
        return Answer(item.id, "accepted" if news else "duplicate", reason=None if news else "nothing new")


def _parts(items: Sequence[Item]) -> list[Item]:
    return [p for i in items for p in (split_snapshot(i) if isinstance(i.data, VisitSnapshot) else [i])]


async def take_all(tx: Tx, hospital: Hospital, items: Sequence[Item], *, carefully: bool) -> list[Answer]:
    """Take checked statements of one hospital in order.

    Args:
        carefully: each within a savepoint of its own, so that one that fails leaves its neighbours untouched;
            otherwise any failure fails the whole (and the caller comes again, carefully).

    Raises:
        RefusedError: not ``carefully``, and a statement contradicts what is known.
    """
    taking = Taking(tx, hospital, carefully=carefully)
    if carefully:
        await taking.turns(items)
        return [await _one(tx, hospital, item) for item in items]
    (new,) = await taking.fetch(items, taking.known(items))
    answers = []
    for item in items:
        identity = event_id(hospital.id, item)
        if identity in new:
            new.discard(identity)
            answers.append(await taking.take(item, identity))
        else:
            answers.append(Answer(item.id, "duplicate", reason="known"))
    return answers


async def _by_itself(tx: Tx, kind: str, work: Callable[[], Awaitable[Answer]]) -> Answer | str:
    """Do it within a savepoint of its own; returns the reason where it is refused.

    One statement we cannot digest must not fail its neighbours; its raw text is kept and somebody is told.
    """
    try:
        async with tx.savepoint():
            return await work()
    except OperationalError:
        raise
    except RefusedError as refused:
        return refused.reason
    except Exception:
        log.exception("his statement failed", extra={"kind": kind})
        return "internal_error"


async def _one(tx: Tx, hospital: Hospital, item: Item) -> Answer:
    async def taken() -> Answer:
        taking = Taking(tx, hospital, carefully=True)
        (new,) = await taking.fetch([item], taking.known([item]))
        if not new:
            return Answer(item.id, "duplicate", reason="known")
        return await taking.take(item, new.pop())

    found = await _by_itself(tx, item.type, taken)
    return found if isinstance(found, Answer) else Answer(item.id, "rejected", reason=found, example=example(item.type))


async def hospitals_waiting(tx: Tx) -> list[UUID]:
    """The hospitals with statements that have been parked for a while."""
    query = select(Parked.hospital_id).where(Parked.since < tx.now - LINGERS).distinct()
    return list(await tx.session.scalars(query))


async def retry_parked(tx: Tx, hospital_id: UUID, limit: int = 100) -> int:
    """Take parked statements whose ground has come meanwhile, should another process have missed it.

    Newest first, so that what waits for ever is in nobody's way.

    Returns: how many wait no more.
    """
    query = (
        select(Parked.event_id, HisEvent.raw_sealed)
        .join(HisEvent, HisEvent.id == Parked.event_id)
        .where(Parked.hospital_id == hospital_id, Parked.since < tx.now - LINGERS)
        .order_by(Parked.since.desc())
        .limit(limit)
    )
    waiting = []
    for identity, sealed in (await tx.session.execute(query)).all():
        item = read(json.loads(tx.vault.open(sealed, "his_event", identity)))
        if isinstance(item, Item):
            waiting.append((identity, item))
    taking = Taking(tx, await hospitals.by_id(tx, hospital_id), carefully=True)
    await taking.turns([item for _, item in waiting])
    return sum([await _again(tx, hospital_id, identity, item) for identity, item in waiting])


async def _again(tx: Tx, hospital_id: UUID, identity: UUID, item: Item) -> bool:
    """Whether a parked statement waits no more: it is a fact, or was refused by itself."""
    taking = Taking(tx, await hospitals.by_id(tx, hospital_id), carefully=True)
    await taking.fetch([item])
    if not await taking.ready(item):
        return False
    await tx.session.execute(delete(Parked).where(Parked.event_id == identity))
    return await taking.let_in(item, identity)


async def parked_waiting(tx: Tx) -> tuple[int, float]:
    """How many statements wait, and for how long the oldest has (seconds): the truth meter shows it."""
    count = await tx.session.scalar(select(func.count()).select_from(Parked)) or 0
    oldest = await tx.session.scalar(select(Parked.since).order_by(Parked.since).limit(1))
    return count, (tx.now - oldest).total_seconds() if oldest is not None else 0.0


async def keep_rejected(tx: Tx, hospital_id: UUID, refused: Sequence[tuple[str, object]]) -> None:
    """Keep the raw text of refused statements for the hospital to mend: (reason, raw)."""
    for reason, raw in refused:
        identity = new_id()
        text = json.dumps(raw)[:100_000]
        sealed = tx.vault.seal(text, "his_rejected", identity)
        tx.add(
            Rejected(id=identity, hospital_id=hospital_id, received_at=tx.now, reason=reason[:200], raw_sealed=sealed)
        )
