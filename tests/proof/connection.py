"""One connection of a real PostgreSQL on which every transaction can be undone, and chance that can be counted.

``OneConnection`` makes every transaction of the product a savepoint of one outer transaction, so that a test can go
back to any moment. A commit is that savepoint's release, with every deferred constraint asked first.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from houfu import tables
from kernel.asking import Sent
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, NoJobs, Tx


class Numbers:
    """Random ids and codes of the product and the sandbox, one after the other, so that moments come back the same."""

    def __init__(self) -> None:
        self.count = 0

    def uuid4(self) -> UUID:
        """The next id."""
        self.count += 1
        return UUID(int=self.count, version=4)

    def below(self, most: int) -> int:
        """The next number."""
        self.count += 1
        return self.count % most

    def choice(self, among: str) -> str:
        """The next letter; long texts of these are different."""
        self.count += 1
        return among[hash((self.count // len(among), self.count)) % len(among)]

    def hex(self, size: int = 32) -> str:
        """The next token."""
        self.count += 1
        return f"{self.count:0{2 * size}x}"


class _Watched(Tx):
    """Knows whether it wrote past SQLAlchemy, too."""

    wrote = False

    async def travel(self, trip: Sequence[Sent]) -> list[list[tuple[Any, ...]]]:
        """As ``Tx.travel``; what gives no rows writes, and so may what is more than a SELECT."""
        self.wrote = self.wrote or any(not one.text.startswith(b"SELECT") for one in trip)
        return await super().travel(trip)


class OneConnection(Database):
    """The product's database, whose transactions are savepoints; ``step`` may step in after each that wrote."""

    def __init__(self, connection: AsyncConnection, vault: Vault, clock: ManualClock) -> None:
        super().__init__(connection.engine, vault, clock, tables.SUBSCRIBERS, NoJobs())
        self.connection = connection
        self._turn = asyncio.Lock()
        self._wrote = False
        self.step: Any = None
        event.listen(connection.sync_connection, "before_cursor_execute", self._seen)

    def _seen(self, _c: object, _k: object, statement: str, *_: object) -> None:
        if not statement.startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            self._wrote = True

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """One transaction, as ``Database.begin``."""
        async with self._turn:
            self._wrote = False
            options: Any = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
            async with AsyncSession(bind=self.connection, **options) as session, session.begin():
                tx = _Watched(session, await self.clock.now(session), self)
                yield tx
                await tx.flush()
                await session.flush()
                self._wrote = self._wrote or tx.wrote
                if self._wrote:  # what a real commit would ask
                    await self.raw("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
            wrote = self._wrote
        if wrote and self.step is not None:
            await self.step("written")

    async def raw(self, statement: str) -> None:
        """Past SQLAlchemy, for savepoints of our own."""
        driver: Any = (await self.connection.get_raw_connection()).driver_connection
        await driver.execute(statement)
