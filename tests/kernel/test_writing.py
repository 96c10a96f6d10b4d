"""What a transaction changes is written at its end, by one statement, and just what it changed."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

import kernel.db
from kernel.asking import Line, Sent, travel
from kernel.crypto import load_vault
from kernel.db import Database, Tx, connect
from kernel.writing import Part, writing
from people.models import WeChatToken

NOON = datetime(2026, 3, 5, 4, tzinfo=UTC)


@pytest.fixture
async def db(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(connect(database_url, pool_size=2), load_vault(tmp_path / "keys"))
    yield made
    await made.close()


def told(name: str) -> dict[str, Any]:
    return {"name": name, "value_sealed": b"\x00\xff", "expires_at": NOON}


def token(name: str) -> WeChatToken:
    return WeChatToken(**told(name))


async def known(db: Database, name: str) -> tuple[bytes, datetime] | None:
    async with db.begin() as tx:
        row = await tx.get(WeChatToken, name)
        return None if row is None else (row.value_sealed, row.expires_at)


async def one(tx: Tx, name: str) -> WeChatToken:
    row = await tx.get(WeChatToken, name)
    assert row is not None
    return row


async def test_new_and_changed_rows_are_one_statement(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is new, one that changes, and one that is only written go together; later changes are not lost."""
    async with db.begin() as tx:
        tx.add(token("old"))
    trips: list[int] = []

    async def counted(line: Line, trip: Sequence[Sent]) -> list[Any]:
        trips.append(len(trip))
        return await travel(line, trip)

    monkeypatch.setattr(kernel.db, "travel", counted)
    async with db.begin() as tx:
        changed, new = await one(tx, "old"), tx.add(token("new"))
        new.value_sealed = b"before it was written"
        changed.value_sealed = b"changed"
        tx.write(WeChatToken, **told("written"))
        await tx.flush()
        assert trips == [1]
        new.value_sealed, changed.expires_at = b"after it was written", NOON + timedelta(hours=1)
    assert trips == [1, 2]  # the last one with the commit
    assert await known(db, "new") == (b"after it was written", NOON)
    assert await known(db, "old") == (b"changed", NOON + timedelta(hours=1))
    assert await known(db, "written") == (b"\x00\xff", NOON)


async def test_nobody_elses_change_is_overwritten(db: Database) -> None:
    """Two transactions have read the same row; each writes the column it changed, and no other."""
    async with db.begin() as tx:
        tx.add(token("both"))
    async with db.begin() as mine:
        hers = await one(mine, "both")
        async with db.begin() as other:
            (await one(other, "both")).value_sealed = b"other"
        hers.expires_at = NOON + timedelta(hours=2)
    assert await known(db, "both") == (b"other", NOON + timedelta(hours=2))


async def two_of_which_one_is_there(tx: Tx, failed: list[WeChatToken]) -> None:
    async with tx.savepoint():
        failed.append(tx.add(token("again")))
        await tx.flush()
        tx.write(WeChatToken, **told("kept"))


async def test_what_a_savepoint_took_back_can_be_made_again(db: Database) -> None:
    """A row made in a block that failed is nowhere, and one with its key may follow in the same transaction."""
    async with db.begin() as tx:
        kept = tx.add(token("kept"))
        failed: list[WeChatToken] = []
        with pytest.raises(IntegrityError):
            await two_of_which_one_is_there(tx, failed)
        tx.add(token("again")).value_sealed = b"second"
        assert (await one(tx, "kept")).value_sealed == kept.value_sealed
        (await one(tx, "kept")).value_sealed = b"still known"
    assert await known(db, "again") == (b"second", NOON)
    assert await known(db, "kept") == (b"still known", NOON)


async def test_few_rows_of_many_are_looked_up(db: Database) -> None:
    """PostgreSQL does not know how many rows come as JSON; it must not read thousands to change one."""
    many = "INSERT INTO wechat_token SELECT n::text, 'x', now() FROM generate_series(1, 3000) AS n"
    statement = writing((Part(WeChatToken, False, ("expires_at",)),))
    async with db.begin() as tx:
        await tx.session.execute(text(many))
        await tx.session.execute(text("ANALYZE wechat_token"))
        plan = await tx.session.scalars(text(f"EXPLAIN {statement}"), {"rows_0": "[]"})
        steps = "\n".join(plan)
    assert "Index Scan" in steps, steps
    assert "Seq Scan on wechat_token" not in steps, steps


async def test_the_connection_used_last_is_used_next(db: Database) -> None:
    """One after the other needs one connection, and keeps its plans warm, however many the pool has."""
    async with db.begin() as first, db.begin() as second:
        await first.session.execute(text("SELECT 1"))
        await second.session.execute(text("SELECT 1"))
    servers = set()
    for _ in range(4):
        async with db.begin() as tx:
            servers.add(await tx.session.scalar(text("SELECT pg_backend_pid()")))
    assert len(servers) == 1
