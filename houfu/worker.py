"""The hands of the house: runs jobs, and looks after what is due, again and again, whatever happens."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from api.world import World
from houfu import wiring
from houfu.tables import SWEEPS, Sweep

log = structlog.get_logger()

GIVES_WAY = 10  # of 19 (nice): a core that is wanted goes to the pages first (ADR 46)
BREATH = 0.15  # between two runs that were rung for: many commits, one run


@asynccontextmanager
async def working(world: World, sweeps: Sequence[Sweep] = SWEEPS) -> AsyncIterator[None]:
    """Jobs and sweeps run while the block lasts."""
    tasks = [asyncio.create_task(_jobs(world), name="jobs")]
    tasks += [asyncio.create_task(_sweep(world, sweep), name=sweep.name) for sweep in sweeps]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _jobs(world: World) -> None:
    while True:
        try:
            await world.queue.work()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("jobs", error=type(error).__name__, exc_info=error)
        await asyncio.sleep(1)


async def _sweep(world: World, sweep: Sweep) -> None:
    bell = world.hub.bell() if sweep.woken else None
    while True:
        if bell is not None:
            bell.clear()
        await run_once(world, sweep)
        pause = sweep.seconds * random.uniform(0.9, 1.1)  # noqa: S311 - processes do not march in step
        if bell is None:
            await asyncio.sleep(pause)
            continue
        await asyncio.sleep(BREATH)
        try:
            async with asyncio.timeout(pause):
                await bell.wait()
        except TimeoutError:
            pass


async def run_once(world: World, sweep: Sweep) -> None:
    """One run; an error is written down and counted, and the next run comes."""
    try:
        await sweep.run(world)
    except Exception as error:
        world.metrics.sweeps.labels(sweep.name, type(error).__name__).inc()
        log.error("sweep", sweep=sweep.name, error=type(error).__name__, exc_info=error)
    else:
        world.metrics.sweeps.labels(sweep.name, "done").inc()


async def forever(world: World) -> None:
    """A process of its own, which gives way to those that serve: works until SIGTERM or Ctrl-C."""
    os.nice(max(0, GIVES_WAY - os.nice(0)))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with wiring.running(world), working(world):
        await stop.wait()
