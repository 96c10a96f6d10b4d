"""Puts the house together: settings in, a world out in which everything knows its neighbours."""

import asyncio
import json
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from api import sees
from api.hub import Hub
from api.metrics import Metrics
from api.world import Ports, World
from houfu import lines, migrate, tables
from houfu.relay import PostgresRelay
from intake.flows import Intake
from kernel.clock import Clock
from kernel.crypto import load_vault
from kernel.db import Database, Tx, connect
from kernel.errors import NotFoundError
from kernel.jobs import Queue
from kernel.settings import Settings, SettingsError
from notices.rules import Row
from notices.service import telling
from people.rules import NOTHING, Actor, View
from people.service import hospitals, sessions
from people.service.access import view_of
from visits.flows.booking import Slots
from visits.service.subjects import subject_of_visit

log = structlog.get_logger()

NOBODY = UUID(int=0)
PRESENCE_SECONDS = 2.0  # less than any fact waits to be seen
PRESENCE_AT_ONCE = 100  # a thousand in one statement would hold up every phone while they are written out


def build(settings: Settings, *, clock: Clock | None = None, ports: Ports | None = None) -> World:
    """Assemble one process's world; nothing is opened yet.

    Args:
        clock: another clock than the database's (tests, rehearsals).
        ports: other lines to the outside than those of the settings.

    Raises:
        SettingsError: there is no database address (start the one that comes along first).
        kernel.outside.NotConfigured: an outside system is configured by half.
    """
    if settings.database_url is None:
        raise SettingsError("HOUFU_DATABASE_URL is empty, and the database that comes along was not started")
    vault = load_vault(settings.keys)
    metrics = Metrics()
    hub = Hub(vault.key("feed-position"), draw, look)
    queue = Queue(settings.database_url, tables.JOBS, watch=metrics.job)
    engine = connect(settings.database_url, pool_size=settings.database_pool)
    db = Database(engine, vault, clock, tables.SUBSCRIBERS, queue, hub.announce)
    laid = ports or lines.lay(settings, db)
    world = World(
        settings=settings,
        db=db,
        intake=Intake(db),
        queue=queue,
        hub=hub,
        ports=laid,
        who=sessions.caller_of,
        look=look,
        metrics=metrics,
        slots=Slots(laid.his),
        revision=migrate.head(),
        error_page=_error_page(),
    )
    queue.bind(world)
    return world


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    """Open the lines and let the hub run; everything is closed at the end."""
    url = world.settings.database_url or ""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(world.db.close)
        await lines.open_lines(world.ports, stack)
        relay = PostgresRelay(url, world.hub)
        world.hub.connect(world.db, relay)
        with suppress(DBAPIError):  # a number on every page, also the first; without a database there is no page anyway
            async with world.db.begin() as tx:
                world.extras["helplines"] = await hospitals.helplines(tx)
        tasks = [asyncio.create_task(relay.run(), name="relay"), asyncio.create_task(world.hub.run(), name="hub")]
        tasks.append(asyncio.create_task(_say_who_watches(world), name="presence"))
        try:
            yield world
        finally:
            world.hub.close()
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _say_who_watches(world: World) -> None:
    """Whoever has a page open is not rung for what came on it: every process says so again and again."""
    waiting: set[tuple[UUID, UUID]] = set()
    while True:
        waiting |= world.hub.told()
        parts = [sorted(waiting)[n : n + PRESENCE_AT_ONCE] for n in range(0, len(waiting), PRESENCE_AT_ONCE)]
        for part in parts:
            try:
                async with world.db.begin() as tx:
                    await telling.present(tx, part)
                waiting.difference_update(part)
            except Exception as error:  # said with the next ones
                log.warning("presence", error=type(error).__name__)
            await asyncio.sleep(PRESENCE_SECONDS / len(parts))
        if not parts:
            await asyncio.sleep(PRESENCE_SECONDS)


async def look(tx: Tx, actor: Actor, visit_id: UUID) -> tuple[View, UUID]:
    """What a caller may see of one visit, and whose it is; absent is as blind as foreign."""
    try:
        subject = await subject_of_visit(tx, visit_id)
    except NotFoundError:
        return NOTHING, NOBODY
    return await view_of(tx, actor, subject), subject.patient_id


def draw(row: Row, view: View, face: Hashable) -> str | None:
    """One row as one message: JSON, or HTML for the page it goes to."""
    payload = sees.see(row, view)
    if payload is None:
        return None
    form, surface = face if isinstance(face, tuple) else ("json", None)
    if form == "html":
        from pwa.live import draw_row

        return draw_row(row, payload, view, str(surface))
    return _json({"kind": row.kind, "at": row.at.isoformat(), "data": payload})


def _json(value: dict[str, Any]) -> str:
    # Sorted: a row on its way and the same row out of the database order their names otherwise, and a stream that had
    # to wait for something hidden would read differently.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _error_page() -> Any:
    from pwa.errors import error_page

    return error_page
