"""The token of WeChat, one for all processes: fetched once, renewed in time, replaced once when it dies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.wechat_token import AppLine, WeChatApp
from houfu.lines import KeptTokens
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, connect
from kernel.outside import Guard
from people.models import WeChatToken
from sandbox import wechat as sandbox
from sandbox.keys import SandboxKeys

TOKEN, TICKET = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database of this test alone, on a clock moved by hand."""
    made = Database(connect(database_url), Vault({1: b"m" * 32}, b"i" * 32), ManualClock(datetime.now(UTC)))
    yield made
    await made.close()


@asynccontextmanager
async def processes(
    keys: SandboxKeys, clock: Any, serving: Any, db: Database
) -> AsyncIterator[tuple[sandbox.World, Callable[[], AppLine]]]:
    """The sandbox's WeChat, and as many processes of ours as are asked for."""
    app = sandbox.App(keys.wechat.appid, keys.wechat.secret)
    world = sandbox.World(app, None, [sandbox.Person("妈妈", "oMother")], clock)
    made: list[AppLine] = []
    async with serving(sandbox.build(world)) as base:

        def process() -> AppLine:
            line = AppLine(WeChatApp(app.appid, app.secret, base), Guard("wechat"), KeptTokens(db), (2, 2))
            made.append(line)
            return line

        yield world, process
        for line in made:
            await line.close()


def send(client: Any) -> Any:
    """A call that needs the token."""
    return client.message.send_template("oMother", "T", {"a": {"value": "b"}})


async def test_processes_share_token_and_ticket(
    world_keys: SandboxKeys, clock: Any, serving: Any, db: Database
) -> None:
    """Two processes and a restarted one: one token fetched, one ticket; in the database neither can be read."""
    async with processes(world_keys, clock, serving, db) as (world, process):
        first, second = process(), process()
        for line in (first, second, process()):
            await line.call(send)
            assert await line.ticket() == (world.ticket.value if world.ticket else "")
        assert (world.calls[TOKEN], world.calls[TICKET]) == (1, 1)
        token = world.stable[first.appid].value
        async with db.begin() as tx:
            row = await tx.get(WeChatToken, f"{first.appid}/access_token")
        assert row is not None
        assert token.encode() not in row.value_sealed


async def test_a_token_that_died_is_replaced_for_everybody(
    world_keys: SandboxKeys, clock: Any, serving: Any, db: Database
) -> None:
    """WeChat forgets the token: the first process replaces it, the second finds the new one and fetches none."""
    async with processes(world_keys, clock, serving, db) as (world, process):
        first, second = process(), process()
        await first.call(send)
        await second.call(send)
        world.stable.clear()
        await first.call(send)
        await second.call(send)
        assert world.calls[TOKEN] == 2
        assert len(world.inbox["oMother"]) == 4


async def test_a_token_is_renewed_before_it_runs_out(
    world_keys: SandboxKeys, clock: Any, serving: Any, db: Database
) -> None:
    """Four minutes before its end a new process fetches the next one; WeChat never has to say no."""
    async with processes(world_keys, clock, serving, db) as (world, process):
        await process().call(send)
        assert isinstance(db.clock, ManualClock)
        for minutes, fetched in ((110, 1), (7, 2)):
            db.clock.move(timedelta(minutes=minutes))
            clock.move(minutes=minutes)
            await process().call(send)
            assert world.calls[TOKEN] == fetched
        assert len(world.inbox["oMother"]) == 3


async def test_without_a_database_each_fetches_for_itself(
    world_keys: SandboxKeys, clock: Any, serving: Any, db: Database
) -> None:
    """The database is away: messages still go out."""
    async with processes(world_keys, clock, serving, db) as (world, process):
        away = Database(connect("postgresql+psycopg://nobody@127.0.0.1:9/none"), db.vault, db.clock)
        line = process()
        line._keep = KeptTokens(away)
        await line.call(send)
        await line.call(send)
        assert world.calls[TOKEN] == 1
        await away.close()
