"""What is to be done soon: a job is written in the transaction that wants it, so it exists only if that does.

Procrastinate on our own PostgreSQL. The JOBS table names each job; a job that fails is tried again with growing pauses
until it succeeds, because what it stands for (telling the HIS, sealing a letter) does not go away by itself. Deadlines
are not jobs: they are columns that sweeps look at with ``tx.now``.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job as QueuedJob
from procrastinate.retry import BaseRetryStrategy, RetryDecision

Job = Callable[..., Awaitable[None]]
"""``async def job(world, **arguments)``; may run twice, so it looks first."""

LONGEST_PAUSE = 300
_PLAIN = (str, int, bool, type(None))


class Watch(Protocol):
    """Is told how each run of a job ended."""

    def __call__(self, name: str, error: BaseException | None) -> None:
        """``error`` is None when it went well."""


class UnknownJobError(LookupError):
    """The JOBS table has no such name: a slip in our own code."""


class Patience(BaseRetryStrategy):
    """1 s, 2 s, 4 s … at most five minutes between tries, without end."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision:
        """When to try again."""
        return RetryDecision(retry_in={"seconds": min(LONGEST_PAUSE, 2 ** min(job.attempts, 12))})


class Queue:
    """Writes jobs into transactions (``kernel.db.Jobs``) and runs them.

    Args:
        url: address of the database, ``postgresql+psycopg://…``.
        jobs: name → what to do.
        world: handed to every job as its first argument; may be set later by ``bind``.
        watch: told how each run ended.
    """

    def __init__(
        self, url: str, jobs: Mapping[str, Job], world: object = None, *, watch: Watch | None = None, pool_size: int = 8
    ) -> None:
        self._jobs, self._world, self._watch = dict(jobs), world, watch
        conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self.app = App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=pool_size))
        for name in self._jobs:
            self.app.task(name=name, retry=Patience())(self._runner(name))

    @property
    def names(self) -> Iterable[str]:
        """What may be enqueued."""
        return tuple(self._jobs)

    def bind(self, world: object) -> None:
        """Give the jobs the world they run in."""
        self._world = world

    async def enqueue(self, connection: psycopg.AsyncConnection[Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Write one job on the caller's open connection; see ``kernel.db.Jobs``.

        Raises:
            UnknownJobError: no job has this name.
            TypeError: an argument is not a text, a whole number, a truth value or None.
        """
        if name not in self._jobs:
            raise UnknownJobError(name)
        for key, value in arguments.items():
            if not isinstance(value, _PLAIN):
                raise TypeError(f"job {name}: argument {key} is a {type(value).__name__}")
        await self.app.tasks[name].configure(connection=connection).defer_async(**arguments)

    async def work(self, *, wait: bool = True, concurrency: int = 4, stop_within: float = 3.0) -> None:
        """Run jobs until cancelled; ``wait=False`` returns when none is left (tests)."""
        async with self.app.open_async():
            await self.app.run_worker_async(
                wait=wait,
                concurrency=concurrency,
                fetch_job_polling_interval=1.0,
                shutdown_graceful_timeout=stop_within,
                delete_jobs="successful",
                install_signal_handlers=False,
            )

    def _runner(self, name: str) -> Callable[..., Awaitable[None]]:
        async def run(**arguments: Any) -> None:
            try:
                await self._jobs[name](self._world, **arguments)
            except BaseException as error:
                if self._watch is not None:
                    self._watch(name, error)
                raise
            if self._watch is not None:
                self._watch(name, None)

        return run
