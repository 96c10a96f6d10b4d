"""Where offices are opened: an event loop of their own, and a furnished database for each way a bill may look."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from kernel.crypto import load_vault
from kernel.settings import load
from sandbox.keys import fresh
from tests.proof.office import Office
from tests.proof.setting import furnish, opened

T = TypeVar("T")


class Stand:
    """Opens offices.

    Args:
        database: makes a fresh database with all tables, and drops it at the end.
    """

    def __init__(self, stack: ExitStack, database: Callable[[], AbstractContextManager[str]], folder: Path) -> None:
        self._stack, self._database, self._folder = stack, database, folder
        self._offices: dict[tuple[str, ...], tuple[Office, bytes]] = {}
        self._keys = fresh()
        self.loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        stack.enter_context(self.loop)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.loop.run(doing)

    def office(self, items: Sequence[str]) -> Office:
        """An office as it was in the beginning, with these items ordered, done and owed."""
        key = tuple(items)
        if key not in self._offices:
            url = self._stack.enter_context(self._database())
            folder = self._folder / str(len(self._offices))
            folder.mkdir()
            town = self.run(furnish(url, folder, self._keys, items))
            vault = load_vault(load({}, database_url=url.replace("+psycopg", ""), data_dir=folder).keys)
            context = opened(url, vault, town)
            office = self.run(context.__aenter__())
            self._stack.callback(lambda: self.run(context.__aexit__(None, None, None)))
            self.run(office.db.raw("SAVEPOINT beginning"))
            self._offices[key] = office, office.keep()
        office, kept = self._offices[key]
        self.run(office.db.raw("ROLLBACK TO SAVEPOINT beginning"))
        office.restore(kept)
        office.quiet, office.stepping, office.swept = False, None, True
        return office


@contextmanager
def a_stand(database: Callable[[], AbstractContextManager[str]], folder: Path) -> Iterator[Stand]:
    """A stand, until the block ends."""
    with ExitStack() as stack:
        yield Stand(stack, database, folder)
