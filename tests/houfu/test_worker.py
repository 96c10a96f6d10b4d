"""Sweeps: run on time and when something was committed, and survive their own errors."""

import asyncio
from pathlib import Path

import pytest

from api.world import World
from houfu import wiring
from houfu.tables import JOBS, SWEEPS, Sweep
from houfu.worker import run_once, working
from kernel.settings import Settings, load


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> World:
    """One process's world."""
    settings: Settings = load({}, database_url=database_url.replace("+psycopg", ""), data_dir=tmp_path)
    return wiring.build(settings)


async def test_a_failing_sweep_comes_again(world: World) -> None:
    """A sweep fails three times in a row; it is counted, and it runs on."""
    runs: list[int] = []

    async def fails(_: World) -> None:
        runs.append(1)
        raise RuntimeError("broken")

    async with wiring.running(world), working(world, [Sweep("fails", 0.02, fails)]):
        async with asyncio.timeout(15):
            while len(runs) < 3:
                await asyncio.sleep(0.01)
    assert 'houfu_sweeps_total{outcome="RuntimeError",sweep="fails"}' in world.metrics.text().decode()


async def test_a_commit_wakes_a_sweep(world: World) -> None:
    """The outbox is looked at at once when something was committed, not at the next tick a minute later."""
    runs: list[int] = []

    async def looks(_: World) -> None:
        runs.append(1)

    async with wiring.running(world), working(world, [Sweep("looks", 60, looks, woken=True)]):
        async with asyncio.timeout(15):
            while not runs:
                await asyncio.sleep(0.01)
        for _ in range(100):
            world.hub.announce(["something"])
        async with asyncio.timeout(15):
            while len(runs) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert len(runs) == 2


async def test_every_sweep_of_the_house_runs(world: World) -> None:
    """On an empty database each sweep has nothing to do, and says so without an error."""
    async with wiring.running(world):
        for sweep in SWEEPS:
            await run_once(world, sweep)
    figures = world.metrics.text().decode()
    for sweep in SWEEPS:
        assert f'houfu_sweeps_total{{outcome="done",sweep="{sweep.name}"}} 1.0' in figures


def test_jobs_have_names_of_their_package() -> None:
    """package.what, so that the list of waiting jobs can be read."""
    assert [name for name in JOBS if "." not in name] == []
