"""The guide's looks over everybody on the way: whose turn is near, and what each is advised, on a large campus."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from benchmarks.figures import Figure
from benchmarks.maps import campus
from guide.maps.network import Network
from guide.service import books, maps, ordering, turns
from houfu import migrate
from houfu.embedded import EmbeddedPostgres
from kernel.clock import china_day
from kernel.crypto import Vault
from kernel.db import Database, Tx, connect
from people.models import Person
from people.service import hospitals
from sandbox.his.catalogue import HOSPITAL_FILE
from visits.models import Encounter, Order, Visit

VISITS = 2_000
_BEAT = 0.002  # seconds


def measure(visits: int = VISITS) -> list[Figure]:
    """All of it, with a database of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="houfu-turns-") as folder,
        EmbeddedPostgres(Path(folder) / "pg") as postgres,
    ):
        migrate.upgrade(postgres.url())
        return asyncio.run(_measured(postgres.url(), visits))


async def _measured(url: str, visits: int) -> list[Figure]:
    db = Database(connect(url, pool_size=4), Vault({1: b"m" * 32}, b"i" * 32))
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    async with db.begin() as tx:
        hospital = await hospitals.load(tx, document)
        await books.keep(tx, hospital, document)
        await maps.publish(tx, hospital.id, _bound(document), anyway=True)
    async with db.begin() as tx:
        await _people(tx, hospital.id, document, visits)
    size = f"{visits:,} visits with two examinations each, a campus of 50,000 points"
    found: list[Figure] = []
    for key, what, run in (
        ("turns", "whose turn is near", turns.due), ("advice", "what each is advised", ordering.sweep),
    ):  # fmt: skip
        for when, said, goal in (("first", "everything new", None), ("again", "nothing new", 1.0)):
            took, held, cpu = await _timed(db, run)
            note = f"processor time; {took:.1f} s on the clock; {size}"
            found.append(Figure(f"{key}_{when}", f"a look over {what}, {said}", cpu, "s", goal, note=note))
            longest = Figure(f"{key}_{when}_held", "the longest it lets nobody else work", held * 1000, "ms", 50.0)
            found.append(longest)
    await db.close()
    return found


async def _timed(db: Database, run: Callable[[Tx], Awaitable[object]]) -> tuple[float, float, float]:
    """Seconds it takes, seconds of processor of its longest stretch without a pause, seconds of processor."""
    held = [0.0]

    async def beat() -> None:  # by this thread's own processor time: others on the machine do not count
        while True:
            before = time.thread_time()
            await asyncio.sleep(_BEAT)
            held[0] = max(held[0], time.thread_time() - before)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(_BEAT * 5)
    held[0] = 0.0
    began, used = time.perf_counter(), time.process_time()
    async with db.begin() as tx:
        await run(tx)
    took, used = time.perf_counter() - began, time.process_time() - used
    await asyncio.sleep(0)
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating
    return took, held[0], used


def _bound(document: dict[str, Any]) -> Network:
    """The campus with the hospital's departments in it."""
    made = campus()
    rooms = list(made.places.values())
    made.occupants = {d["name"]: rooms[n] for n, d in enumerate(document["departments"])}
    return made


async def _people(tx: Tx, hospital: UUID, document: dict[str, Any], visits: int) -> None:
    """Rows as the HIS's events leave them: one examination done, two to come, with what the queues say."""
    chance = random.Random(5)
    exams = [t for t in document["order_templates"] if t["kind"] in ("lab", "imaging") and t["department"]]
    now, day = tx.now, china_day(tx.now)
    rows: dict[type, list[dict[str, Any]]] = {Person: [], Visit: [], Encounter: [], Order: []}
    for n in range(visits):
        person, visit, encounter = uuid4(), uuid4(), uuid4()
        born = date(chance.randint(1935, 2005), 5, 5)
        rows[Person].append(
            {"id": person, "name_sealed": b"x", "name_masked": "示*", "birth_date": born, "created_at": now}
        )
        rows[Visit].append({"id": visit, "hospital_id": hospital, "patient_id": person, "day": day, "number": f"V{n}",
                            "mode": "DEFERRED", "state": "open", "opened_at": now, "stages": {"": True}})  # fmt: skip
        rows[Encounter].append({"id": encounter, "visit_id": visit, "number": f"E{n}", "klass": "AMB",
                                "department": "CARD", "insurance_status": "normal", "started_at": now,
                                "sequence": 1})  # fmt: skip
        for k, exam in enumerate(chance.sample(exams, 3)):
            rows[Order].append(_order(chance, (visit, encounter, f"O{n}-{k}"), exam, k, now))
    for model, made in rows.items():
        for at in range(0, len(made), 1000):
            await tx.session.execute(insert(model), made[at : at + 1000])


def _order(
    chance: random.Random, of: tuple[UUID, UUID, str], exam: dict[str, Any], k: int, now: datetime
) -> dict[str, Any]:
    visit, encounter, number = of
    done = k == 0
    return {
        "id": uuid4(), "visit_id": visit, "encounter_id": encounter, "number": number, "kind": exam["kind"],
        "name": exam["name"], "department": exam["department"], "department_name": exam["department"], "place": "",
        "preparation": [], "ordered_at": now - timedelta(minutes=40), "state": "performed" if done else "placed",
        "ahead": None if done else chance.randint(0, 12), "called": False,
        "queue_at": None if done else now - timedelta(minutes=chance.uniform(0, 5)),
        "performed_at": now - timedelta(minutes=chance.uniform(5, 30)) if done else None, "covers_all": False,
        "result_state": "pending", "paper_code": uuid4().hex[:20], "sequence": 1, "rank": k,
    }  # fmt: skip


if __name__ == "__main__":
    from rich.console import Console

    from benchmarks.figures import show

    show(measure(), Console(width=200))
