"""Jobs exist only if their transaction does, run with what they were given, and are tried until they succeed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from kernel.crypto import load_vault
from kernel.db import Database, connect
from kernel.ids import new_id
from kernel.jobs import Queue, UnknownJobError


class World:
    """What jobs of this test see."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self.outcomes: list[tuple[str, str | None]] = []
        self.fail = 0


async def note(world: World, **arguments: Any) -> None:
    """A job that fails as often as it is told."""
    if world.fail:
        world.fail -= 1
        raise RuntimeError("not yet")
    world.done.append(arguments)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def db(database_url: str, tmp_path: Path, world: World) -> AsyncIterator[Database]:
    """A database whose queue knows one job."""

    def watch(name: str, error: BaseException | None) -> None:
        world.outcomes.append((name, None if error is None else type(error).__name__))

    queue = Queue(database_url, {"note": note}, world, watch=watch)
    made = Database(connect(database_url), load_vault(tmp_path / "keys"), jobs=queue)
    yield made
    await made.close()


async def waiting(db: Database) -> int:
    """Jobs not yet done."""
    async with db.begin() as tx:
        return int(await tx.session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")) or 0)


def queue_of(db: Database) -> Queue:
    """The queue behind a database."""
    assert isinstance(db.jobs, Queue)
    return db.jobs


async def test_a_job_runs_with_what_it_was_given(db: Database, world: World) -> None:
    """A transaction wants something done; after the commit it is done once, and nothing is left waiting."""
    one = new_id()
    async with db.begin() as tx:
        await tx.enqueue("note", subject=one, count=3, text="抽血")
        assert world.done == []
    await queue_of(db).work(wait=False)
    assert world.done == [{"subject": str(one), "count": 3, "text": "抽血"}]
    assert world.outcomes == [("note", None)]
    assert await waiting(db) == 0


async def test_a_rolled_back_wish_is_no_job(db: Database, world: World) -> None:
    """The transaction fails after the wish: nobody ever does it."""

    async def fail() -> None:
        async with db.begin() as tx:
            await tx.enqueue("note", text="never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await queue_of(db).work(wait=False)
    assert (world.done, await waiting(db)) == ([], 0)


async def test_a_failed_job_is_tried_again(db: Database, world: World) -> None:
    """Twice it fails, the third time it goes well; the pauses are a second and two."""
    world.fail = 2
    async with db.begin() as tx:
        await tx.enqueue("note", text="in the end")
    working = asyncio.create_task(queue_of(db).work())
    async with asyncio.timeout(40):
        while not world.done:
            await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert world.done == [{"text": "in the end"}]
    assert world.outcomes == [("note", "RuntimeError"), ("note", "RuntimeError"), ("note", None)]


async def test_slips_are_noticed_at_once(db: Database, world: World) -> None:
    """An unknown job or an argument that is no plain value fails where it is written, and nothing is queued."""
    for name, argument, error in (("nonsense", "x", UnknownJobError), ("note", {"a": 1}, TypeError)):
        with pytest.raises(error):
            async with db.begin() as tx:
                await tx.enqueue(name, value=argument)
    assert await waiting(db) == 0
