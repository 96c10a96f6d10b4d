"""Between our processes: after a commit, one short call "there is more", so that phones held by another one ring too.

NOTIFY goes out on a connection of its own, after the business transaction and many at a time: inside it, it would
serialise every commit of the database. A lost call costs seconds, for each process also looks by itself.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import UUID

import psycopg
import structlog

from api.hub import Hub

log = structlog.get_logger()

CHANNEL = "houfu"
ENDED = "-"  # before the name of a viewer
AT_ONCE = 150  # a payload holds 8,000 bytes


class PostgresRelay:
    """``api.hub.Relay`` over PostgreSQL.

    Args:
        url: address of the database.
        hub: rung when another process calls.
    """

    def __init__(self, url: str, hub: Hub) -> None:
        self._conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._hub = hub
        self._me = secrets.token_hex(6)
        self._rows: dict[UUID, int] = {}
        self._patients: set[UUID] = set()
        self._ended: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, rows: Mapping[UUID, int], patients: Sequence[UUID], ended: Sequence[str] = ()) -> None:
        """Take down what the others must hear; sent in the next turn of the loop."""
        for subject, seq in rows.items():
            self._rows[subject] = max(seq, self._rows.get(subject, 0))
        self._patients.update(patients)
        self._ended.update(ended)
        self._wake.set()

    async def run(self) -> None:
        """Send and listen until cancelled; a lost connection is made again."""
        await asyncio.gather(self._again(self._send), self._again(self._listen))

    async def _again(self, work: object) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
                async with connection:
                    await work(connection)  # type: ignore[operator]
            except psycopg.OperationalError as error:
                log.warning("relay", error=type(error).__name__)
            await asyncio.sleep(0.5)

    async def _send(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            rows, self._rows = self._rows, {}
            patients, self._patients = self._patients, set()
            ended, self._ended = self._ended, set()
            words = [f"{subject.hex}:{seq}" for subject, seq in rows.items()] + [p.hex for p in patients]
            words += [f"{ENDED}{viewer}" for viewer in ended]
            calls = [f"{self._me} {' '.join(words[i : i + AT_ONCE])}" for i in range(0, len(words), AT_ONCE)]
            try:
                for call in calls:
                    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, call))
            except psycopg.OperationalError:
                self.tell(rows, list(patients), list(ended))  # said again on the next connection
                raise

    async def _listen(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        await self._hub.heal()  # what was called while nobody listened
        async for call in connection.notifies():
            sender, *words = call.payload.split()
            if sender == self._me:
                continue
            with suppress(ValueError):
                self._heard(words)

    def _heard(self, words: Sequence[str]) -> None:
        for word in words:
            subject, found, seq = word.partition(":")
            if word.startswith(ENDED):
                self._hub.end_viewer(word.removeprefix(ENDED))
            elif found:
                self._hub.hear(UUID(subject), int(seq))
            else:
                self._hub.decide_anew(UUID(subject))
        self._hub.ring_bells()
