"""Several questions travel together, and what comes back is the session's as if it had asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from kernel.asking import Asked, Question
from kernel.crypto import load_vault
from kernel.db import Database, Tx, connect, inserted, one_of
from kernel.ids import new_id
from notices.models import FeedRow
from people.models import WeChatToken

NOON = datetime(2026, 3, 5, 4, tzinfo=UTC)
NAMED = select(WeChatToken).where(WeChatToken.name == bindparam("name"))
ANEW = NAMED.execution_options(populate_existing=True)
WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"
)
HELD = NAMED.with_for_update()
EXPIRY = select(WeChatToken.name, WeChatToken.expires_at).where(WeChatToken.name == bindparam("name"))


@pytest.fixture
async def announced() -> list[object]:
    return []


@pytest.fixture
async def db(database_url: str, tmp_path: Path, announced: list[object]) -> AsyncIterator[Database]:
    vault = load_vault(tmp_path / "keys")
    made = Database(connect(database_url, pool_size=2), vault, announce=lambda rung: announced.extend(rung))
    yield made
    await made.close()


def row(name: str) -> dict[str, Any]:
    return {"name": name, "value_sealed": b"\x00\xff", "expires_at": NOON}


def ask_for(statement: Any, name: str) -> Question[list[Any]]:
    return Question(statement, {"name": name}, list)


async def test_each_question_sees_what_those_before_it_did(db: Database) -> None:
    """A row inserted by the first question is found by the second, whole and in part."""
    async with db.begin() as tx:
        new, whole, part = await tx.ask(
            inserted(WeChatToken, [row("a"), row("b")]), ask_for(NAMED, "a"), ask_for(EXPIRY, "b")
        )
        assert new == {"a", "b"}
        assert [(t.name, t.value_sealed, t.expires_at) for (t,) in whole] == [("a", b"\x00\xff", NOON)]
        assert [(t.name, t.expires_at) for t in part] == [("b", NOON)]
    async with db.begin() as tx:
        (again,) = await tx.ask(inserted(WeChatToken, [row("b"), row("c")]))
        assert again == {"c"}


async def test_a_row_is_the_sessions_own(db: Database) -> None:
    """It is the same object however it is asked for, its change is written, and asking again brings others' changes
    only where the statement says so."""
    async with db.begin() as tx:
        tx.add(WeChatToken(**row("a")))
    async with db.begin() as tx:
        (((mine,),),) = await tx.ask(ask_for(NAMED, "a"))
        assert await tx.get(WeChatToken, "a") is mine
        async with db.begin() as other:
            (((theirs,),),) = await other.ask(ask_for(NAMED, "a"))
            theirs.value_sealed = b"theirs"
        (((same,),),) = await tx.ask(ask_for(NAMED, "a"))
        assert same is mine
        assert mine.value_sealed == b"\x00\xff"
        (((same,),),) = await tx.ask(ask_for(ANEW, "a"))
        assert same is mine
        assert mine.value_sealed == b"theirs"
        mine.expires_at = NOON + timedelta(hours=1)
    async with db.begin() as tx:
        (((now,),),) = await tx.ask(ask_for(NAMED, "a"))
        assert (now.value_sealed, now.expires_at) == (b"theirs", NOON + timedelta(hours=1))


async def test_what_a_savepoint_forgot_is_filled_in(db: Database) -> None:
    """A row whose values were forgotten with a savepoint has them again when it is asked for."""
    async with db.begin() as tx:
        tx.add(WeChatToken(**row("a")))
    async with db.begin() as tx:
        (((mine,),),) = await tx.ask(ask_for(NAMED, "a"))
        with pytest.raises(ZeroDivisionError):
            await _failing(tx, mine)
        (((same,),),) = await tx.ask(ask_for(NAMED, "a"))
        assert (same.value_sealed, same.expires_at) == (b"\x00\xff", NOON)


async def _failing(tx: Tx, mine: WeChatToken) -> None:
    async with tx.savepoint():
        mine.value_sealed = b"never"
        raise ZeroDivisionError


async def test_a_savepoint_takes_back_what_travelled(db: Database) -> None:
    """A row that a question inserted in a block that failed is gone, and the transaction goes on."""
    async with db.begin() as tx:
        await tx.ask(inserted(WeChatToken, [row("kept")]))
        with pytest.raises(ZeroDivisionError):
            await _inserting(tx)
        gone, kept = await tx.ask(ask_for(EXPIRY, "gone"), ask_for(EXPIRY, "kept"))
        assert (len(gone), len(kept)) == (0, 1)


async def _inserting(tx: Tx) -> None:
    async with tx.savepoint():
        await tx.ask(inserted(WeChatToken, [row("gone")]))
        raise ZeroDivisionError


async def test_after_one_that_fails_nothing_is_done(db: Database) -> None:
    """The fault is told as SQLAlchemy tells it, what was before it is rolled back, what comes after it not tried."""
    broken = Question(
        text("INSERT INTO wechat_token SELECT * FROM wechat_token WHERE 1 / :nothing = 1"), {"nothing": 0}, list
    )
    with pytest.raises(DBAPIError) as told:
        await _asked(db, inserted(WeChatToken, [row("before")]), broken, inserted(WeChatToken, [row("after")]))
    assert not told.value.connection_invalidated
    async with db.begin() as tx:
        before, after = await tx.ask(ask_for(NAMED, "before"), ask_for(NAMED, "after"))
        assert before == after == []


async def _asked(db: Database, *questions: Question[Any]) -> None:
    async with db.begin() as tx:
        await tx.ask(*questions)


async def test_a_commit_that_is_refused_tells_nobody(db: Database, announced: list[object]) -> None:
    """What the database refuses at the commit (a row of a feed that is not there) is an error, and nothing is rung."""
    with pytest.raises(IntegrityError):
        await _orphan(db)
    assert announced == []
    async with db.begin() as tx:
        assert (await tx.session.scalars(select(FeedRow))).all() == []


async def _orphan(db: Database) -> None:
    async with db.begin() as tx:
        tx.write(FeedRow, subject=new_id(), seq=1, at=NOON, kind="visit", audience=1, category=None, payload={})
        tx.ring("something")


async def test_a_lost_connection_is_told_as_lost(db: Database) -> None:
    """The server ends the connection in mid-transaction: the caller hears that it is gone, and the next one is new."""
    with pytest.raises(DBAPIError) as told:
        await _shot(db)
    assert told.value.connection_invalidated
    await _asked(db, ask_for(NAMED, "a"))


async def _shot(db: Database) -> None:
    async with db.begin() as tx:
        pid = await tx.session.scalar(text("SELECT pg_backend_pid()"))
        async with db.begin() as other:
            await other.session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await tx.ask(ask_for(NAMED, "a"))


async def test_who_stops_waiting_leaves_nothing_behind(db: Database) -> None:
    """A transaction that waits for another's row is cancelled: its rows are gone, and connections and row are free."""
    async with db.begin() as tx:
        tx.add(WeChatToken(**row("a")))
    async with db.begin() as holder:
        await holder.ask(ask_for(HELD, "a"))
        waiting = asyncio.create_task(_asked(db, inserted(WeChatToken, [row("b")]), ask_for(HELD, "a")))
        while not await holder.session.scalar(WAITING):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        for _ in range(3):
            async with db.begin() as other:
                (found,) = await other.ask(ask_for(EXPIRY, "b"))
                assert found == []
    await _asked(db, ask_for(HELD, "a"), inserted(WeChatToken, [row("b")]))


def test_a_statement_must_stay_the_same_text() -> None:
    """``IN`` is another text for each number of values; as an array it is one."""
    with pytest.raises(TypeError, match="one_of"):
        Asked(select(WeChatToken.name).where(WeChatToken.name.in_(["a", "b"])))
    Asked(select(WeChatToken.name).where(one_of(WeChatToken.name, ["a", "b"])))
