"""Power cuts in mid-load: what was answered is there once, what was not answered may be said again."""

import asyncio
import json
import os
import random
import signal
from dataclasses import dataclass
from datetime import UTC, date, datetime
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
from people.service import hospitals, patients, sessions
from people.service.patients import PatientFact
from sandbox.his.catalogue import HOSPITAL_FILE, PatientCard
from sandbox.his.generate import id_number
from sandbox.his.wire import Key, signed_headers
from sandbox.rehearsal.phones import Following, Phone, Screen
from tests.hatchery import Hatchery, Process
from tests.intake.conftest import NOW, Hall, Teller
from tests.ports import free_port

KEY = Key("his-in", "0123456789abcdef-in")
POSTERS, MOST = 8, 8  # interfaces that talk, statements in a batch
PHONES = 3  # in the hands of patients who wait all the time
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


class LongDay(Teller):
    """A patient of whom something new is said as long as the load lasts."""

    def __init__(self, mark: str) -> None:
        super().__init__(mark)
        self.said: list[str] = []
        self.tests = 0

    def more(self) -> list[Json]:
        """One more test: ordered, charged and done."""
        n, self.tests = self.tests, self.tests + 1
        made = [self.placed(f"O{n}"), self.charged(f"C{n}", f"O{n}"), self.confirmed(f"O{n}", f"X{n}")]
        self.said += [one["id"] for one in made]
        return made


@dataclass
class Waiting:
    """A patient with a long day, and the phone in her hand: it comes back with its last token, whenever it falls."""

    day: LongDay
    phone: Phone

    @property
    def watched(self) -> Following:
        """The one visit on the phone."""
        (one,) = self.phone.following.values()
        return one

    async def judge(self, seconds: float = 10) -> None:
        """Every row since the page was opened came, once, in order, and together they are the page of now."""
        rows = await self.phone.replay(self.watched, quiet=0.5)
        for _ in range(int(seconds / 0.1)):
            if len(self.watched.ids) >= len(rows):
                break
            await asyncio.sleep(0.1)
        assert self.watched.ids == rows
        fresh = Screen.of(*await self.phone.page(self.watched.visit))
        assert self.watched.screen.differences(fresh) == []
        assert {line["state"] for line in fresh.lines.values()} == {"billable"}
        assert len(fresh.lines) == self.day.tests
        assert self.phone.reloads == 0


async def waiting(hall: Hall, client: httpx.AsyncClient, number: int) -> Waiting:
    """One whose visit has begun, logged in; nothing is looked at yet."""
    mark = f"-long-{number}"
    async with hall.db.begin() as tx:
        born = date(1955, 3, 8)
        fact = PatientFact(f"P{mark}", "某某", id_number(born, number, male=False), None, born, "F")
        person = await patients.known(tx, hall.hospital, fact)
        token = (await sessions.begin(tx, person)).token
    card = PatientCard(mark, fact.number, fact.name, fact.sex, None, None, None, "normal", None, 0)
    made = Waiting(LongDay(mark), Phone(client, "", card, random.Random(number)))
    made.phone.headers, made.phone.patience = {"Authorization": f"Bearer {token}"}, (0.4, 30.0)
    started = made.day.started()
    made.day.said.append(started["id"])
    assert await hall.statuses(started) == ["accepted"]
    return made


async def poster(
    url: str, number: int, acked: list[str], over: asyncio.Event, long: LongDay | None = None
) -> list[str]:
    """Says its patients' days in batches, shuffled a little, each until it is answered; returns the patients' marks.

    They come until it is ``over``: so the load lasts as long as the blows do, however quick the machine is.

    Args:
        long: of whom something is said beside every patient who comes.
    """
    rng = random.Random(number)
    marks, said = list[str](), list[Json]()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
        while said or not over.is_set():
            while len(said) < MOST and not over.is_set():
                marks.append(f"-{number}-{len(marks)}")
                said += day(marks[-1]) + (long.more() if long else [])
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
    """Eight interfaces talk while the server dies three times and the database twice: nothing is lost or doubled.

    Nor is it on the phones of three patients who wait for the whole time: what they were pushed is the page of now.
    """
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
        hall = Hall(world.db, ManualClock(NOW), Intake(world.db), hospital)
        limits = httpx.Limits(max_connections=None)
        client = httpx.AsyncClient(base_url=settings.base_url, trust_env=False, limits=limits)
        waiters = [await waiting(hall, client, n) for n in range(PHONES)]
        await machine.up()
        try:
            for one in waiters:
                await one.phone.look()
            longs = [*(one.day for one in waiters), *[None] * (POSTERS - PHONES)]
            posters = [
                asyncio.create_task(poster(settings.base_url, n, acked, over, long)) for n, long in enumerate(longs)
            ]
            for blow in ("server", "database", "server", "database", "server"):
                await asyncio.sleep(1.0)
                before = len(acked)
                await (machine.kill_server() if blow == "server" else machine.kill_database())
                assert not any(p.done() for p in posters), f"the load ended before the blows did, at {before}"
            await asyncio.sleep(1.0)
            over.set()
            early = [len(one.watched.ids) for one in waiters]
            marks = [mark for own in await asyncio.gather(*posters) for mark in own]
            for _ in range(100):
                if not await hall.count(Parked):
                    break
                await asyncio.sleep(0.3)
            await asyncio.gather(*(one.judge() for one in waiters))
            assert all(early), "some phone had heard nothing before the end"
        finally:
            await asyncio.gather(*(one.phone.hang_up() for one in waiters))
            await client.aclose()
            machine.down()

        begun, later = [one.day.said[0] for one in waiters], [n for one in waiters for n in one.day.said[1:]]
        assert sorted(acked) == sorted([*(one["id"] for mark in marks for one in day(mark)), *later])
        said = [*acked, *begun]
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
        people, tests = len(marks), sum(one.day.tests for one in waiters)
        done = people * 2 + tests
        assert sums == {
            "patient": (people + tests) * 800, "elsewhere": people * 800, "pooled_fund": done * 1000,
            "personal_account": done * 200, "revenue": -done * 2000,
        }  # fmt: skip
        await world.db.close()
