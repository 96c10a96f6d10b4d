"""Power cuts in mid-load: what was answered is there once, what was not answered may be said again."""

import asyncio
import json
import os
import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from billing.models import LedgerEntry
from houfu import migrate, rehearse, wiring
from houfu.embedded import EmbeddedPostgres
from intake.flows import Intake
from intake.models import HisEvent, Parked
from kernel.clock import ManualClock
from kernel.settings import Settings, load
from people.service import hospitals
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.wire import Key, signed_headers
from tests.hatchery import Hatchery, Process
from tests.intake.conftest import NOW, Hall, Teller
from tests.ports import free_port

KEY = Key("his-in", "0123456789abcdef-in")
POSTERS, MOST = 8, 8  # interfaces that talk, statements in a batch
Json = dict[str, Any]


class Machine:
    """A database and a server that can be killed."""

    def __init__(self, settings: Settings, postgres: EmbeddedPostgres, hatchery: Hatchery) -> None:
        self.settings, self.postgres, self.hatchery = settings, postgres, hatchery
        self.process: Process | None = None

    async def up(self) -> None:
        """Start the server and wait for it."""
        log = self.settings.data_dir / "server.log"
        self.process = self.hatchery.start(["serve"], rehearse.environment_of(self.settings), log, log)
        await rehearse.ready(self.settings, self.process, seconds=60)

    async def kill_server(self) -> None:
        """kill -9, and a new one."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await self.up()

    async def kill_database(self) -> None:
        """kill -9 of the postmaster, recovery."""
        pid = self.postgres.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.postgres.start)

    def down(self) -> None:
        """The end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def day(mark: str) -> list[Json]:
    """One patient's statements: a line done, and one paid at the window."""
    t = Teller(mark)
    return [t.started(), t.placed(), t.charged("C"), t.charged("D"), t.confirmed(), t.settled("D"), t.finished()]


async def poster(url: str, number: int, acked: list[str], over: asyncio.Event) -> list[str]:
    """Says its patients' days in batches, shuffled a little, each until it is answered; returns the patients' marks.

    They come until it is ``over``: so the load lasts as long as the blows do, however quick the machine is.
    """
    rng = random.Random(number)
    marks, said = list[str](), list[Json]()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
        while said or not over.is_set():
            while len(said) < MOST and not over.is_set():
                marks.append(f"-{number}-{len(marks)}")
                said += day(marks[-1])
            batch, said = said[: (n := rng.randint(2, MOST))], said[n:]
            rng.shuffle(batch)
            body = json.dumps(batch).encode()
            while True:
                try:
                    answer = await client.post(
                        "/api/his/events", content=body, headers=signed_headers(KEY, body, datetime.now(UTC))
                    )
                except httpx.HTTPError:
                    await asyncio.sleep(0.2)
                    continue
                if answer.status_code == 200:
                    break
                assert answer.status_code in (500, 503), answer.text
                await asyncio.sleep(0.2)
            statuses = {one["status"] for one in answer.json()["items"]}
            assert statuses <= {"accepted", "duplicate", "parked"}, answer.text
            acked += [one["id"] for one in answer.json()["items"]]
            await asyncio.sleep(rng.uniform(0.2, 0.9))
    return marks


@pytest.mark.slow
async def test_kill_9_of_server_and_database(server_home: Path, tmp_path: Path, hatchery: Hatchery) -> None:
    """Eight interfaces talk while the server dies three times and the database twice: nothing is lost or doubled."""
    with EmbeddedPostgres(server_home / "pg") as postgres:
        migrate.upgrade(postgres.url())
        settings = load({}, data_dir=tmp_path, database_url=postgres.url(), port=free_port(), log_level="error")
        document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
        document["his"]["inbound_keys"] = [{"id": KEY.id, "secret": KEY.secret}]
        document["his"]["base_url"] = "http://127.0.0.1:9"
        world = wiring.build(settings)
        async with world.db.begin() as tx:
            hospital = (await hospitals.load(tx, document)).id
        machine, acked, over = Machine(settings, postgres, hatchery), list[str](), asyncio.Event()
        await machine.up()
        try:
            posters = [asyncio.create_task(poster(settings.base_url, n, acked, over)) for n in range(POSTERS)]
            for blow in ("server", "database", "server", "database", "server"):
                await asyncio.sleep(1.0)
                before = len(acked)
                await (machine.kill_server() if blow == "server" else machine.kill_database())
                assert not any(p.done() for p in posters), f"the load ended before the blows did, at {before}"
            await asyncio.sleep(1.0)
            over.set()
            marks = [mark for own in await asyncio.gather(*posters) for mark in own]
            hall = Hall(world.db, ManualClock(NOW), Intake(world.db), hospital)
            for _ in range(100):
                if not await hall.count(Parked):
                    break
                await asyncio.sleep(0.3)
        finally:
            machine.down()

        said = [one["id"] for mark in marks for one in day(mark)]
        assert sorted(acked) == sorted(said)
        assert await hall.count(HisEvent) == len(said)
        assert await hall.count(Parked) == 0
        bills = await hall.bills(marks)
        lines = {no: line["state"] for bill in bills for no, line in bill["lines"].items()}
        assert lines == {"C": "billable", "D": "settled_elsewhere"}
        assert {len(bill["lines"]) for bill in bills} == {2}
        assert {bill["visit"] for bill in bills} == {"ended"}
        async with world.db.begin() as tx:
            total = select(LedgerEntry.account, func.sum(LedgerEntry.amount_fen)).group_by(LedgerEntry.account)
            sums = {account: int(fen) for account, fen in await tx.session.execute(total)}
        people = len(marks)
        assert sums == {
            "patient": people * 800, "elsewhere": people * 800, "pooled_fund": people * 2000,
            "personal_account": people * 400, "revenue": -people * 4000,
        }  # fmt: skip
        await world.db.close()
