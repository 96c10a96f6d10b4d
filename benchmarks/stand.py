"""The house that is measured: a database of its own with durable settings, a real serving process, a HIS that says yes.

Everything goes over the wire as in production. One short cut: the thousand visits are marked post-pay by a statement in
the database instead of a thousand signed letters, so that posting to account is part of what is measured.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg

from benchmarks import wire
from houfu import hospitals, migrate
from houfu.embedded import EmbeddedPostgres
from kernel.crypto import load_vault
from kernel.db import Database, connect
from kernel.settings import Settings, load
from people.service import hospitals as known_hospitals
from people.service import patients, sessions
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.wire import Key


@dataclass(slots=True)
class Stand:
    """The running house. ``streams``: per patient the visit's id and a session's token."""

    folder: Path
    settings: Settings
    port: int
    key: Key
    process: psutil.Process
    streams: list[tuple[str, str]]

    @property
    def conninfo(self) -> str:
        """Address of the database for psycopg and PostgreSQL's own programs."""
        return str(self.settings.database_url).replace("postgresql+psycopg://", "postgresql://", 1)

    @property
    def url(self) -> str:
        """Address of the house."""
        return f"http://127.0.0.1:{self.port}"

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def cpu(self) -> float:
        """Seconds of processor time the serving process has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def memory(self) -> float:
        """What the serving process holds for itself, MB (proportional set size)."""
        return float(self.process.memory_full_info().pss) / 2**20


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def stand(visits: int, profile: Path | None = None) -> Iterator[Stand]:
    """Build everything up, and take everything down.

    Args:
        profile: where the serving process leaves what it spent its time on (cProfile; it runs at half the speed then).
    """
    folder = Path(tempfile.mkdtemp(prefix="houfu-bench-"))
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres, _his() as his_port:
            migrate.upgrade(postgres.url())
            settings = load({}, database_url=postgres.url().replace("+psycopg", ""), data_dir=folder)
            key = asyncio.run(_open(settings, his_port))
            port = free_port()
            with _serving(settings, port, folder, profile) as process:
                made = Stand(folder, settings, port, key, process, [])
                asyncio.run(_visits(made, visits))
                yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _open(settings: Settings, his_port: int) -> Key:
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["his"]["base_url"] = f"http://127.0.0.1:{his_port}"
    made = await hospitals.load_file(settings, document)
    name = document["his"]["inbound_keys"][0]["id"]
    return Key(name, made[name])


@contextmanager
def _serving(settings: Settings, port: int, folder: Path, profile: Path | None) -> Iterator[psutil.Process]:
    """The house as a busy hospital runs it: one process serves, one works."""
    plain = {n: v for n, v in os.environ.items() if not n.startswith("HOUFU_")}
    address = str(settings.database_url).replace("+psycopg", "", 1)
    ours = {"HOUFU_DATABASE_URL": address, "HOUFU_DATA_DIR": str(folder), "HOUFU_LOG_LEVEL": "warning"}
    watched = ["-m", "cProfile", "-o", str(profile.absolute())] if profile else []
    start = [sys.executable, *watched, "-m", "houfu.cli", "serve", "--no-worker", "--port", str(port)]
    hands = [sys.executable, "-m", "houfu.cli", "worker"]
    with (
        (folder / "serve.log").open("wb") as log,
        _running(start, {**plain, **ours}, log) as serving,
        _running(hands, {**plain, **ours}, log),
    ):
        wait_ready(f"http://127.0.0.1:{port}/readyz", 30, serving)
        yield psutil.Process(serving.pid)
    trouble = (folder / "serve.log").read_text(errors="replace").strip()
    if "rror" in trouble:
        print(trouble[-3000:], file=sys.stderr)


@contextmanager
def _running(command: list[str], env: dict[str, str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    running = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()


def wait_ready(url: str, seconds: float, running: "subprocess.Popen[bytes]") -> None:
    """Wait until the house answers.

    Raises:
        RuntimeError: it ended, or took too long.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback
            if answer.status == 200:
                return
        if running.poll() is not None:
            raise RuntimeError(f"the serving process ended with {running.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


async def _visits(made: Stand, count: int) -> None:
    line = wire.Line(made.port, made.key)
    for make in (wire.started, wire.placed):
        for start in range(0, count, 250):
            items = [make(n) for n in range(start, min(count, start + 250))]
            bad = [a for a in await line.post(wire.packed(items)) if a["status"] != "accepted"]
            if bad:
                raise RuntimeError(f"the house refuses what we post: {bad[0]}")
    line.close()
    made.rows("UPDATE visit SET mode = 'DEFERRED'")
    db = Database(connect(made.settings.database_url or "", pool_size=2), load_vault(made.settings.keys))
    found = {
        number: (visit, person)
        for number, visit, person in made.rows(
            "SELECT e.number, v.id, v.patient_id FROM encounter e JOIN visit v ON v.id = e.visit_id"
        )
    }
    async with db.begin() as tx:
        hospital = await known_hospitals.by_code(tx, "HF01")
        for n in range(count):
            visit, person_id = found[wire.encounter(n)]
            person = await patients.known_number(tx, hospital.id, f"P{n:05}")
            if person is None or person.id != person_id:
                raise RuntimeError("a visit is not its patient's")
            made.streams.append((str(visit), (await sessions.begin(tx, person)).token))
    await db.close()


@contextmanager
def _his() -> Iterator[int]:
    """A HIS that answers every command with yes, in a thread of this process."""
    loop = asyncio.new_event_loop()
    port = free_port()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = next(int(h[15:]) for h in head.split(b"\r\n") if h.startswith(b"content-length:"))
                commands = json.loads(await reader.readexactly(length))
                body = json.dumps({"items": [{"key": c["key"], "outcome": "done"} for c in commands]}).encode()
                start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
                writer.write(start + str(len(body)).encode() + b"\r\n\r\n" + body)
        writer.close()

    loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
