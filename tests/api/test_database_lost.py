"""The database is killed under a running process: it says so, takes no harm, and goes on when the database is back."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy.exc import SQLAlchemyError

from houfu import migrate
from houfu.embedded import EmbeddedPostgres
from kernel.settings import load
from tests.api.conftest import a_house
from tests.api.test_stream import texts


def kill(server: EmbeddedPostgres) -> None:
    """The whole server at once, as the kernel would when memory runs out."""
    postmaster = psutil.Process(server.pid)
    everyone = [*postmaster.children(recursive=True), postmaster]
    for process in everyone:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(everyone, timeout=10)


@pytest.mark.slow
async def test_the_database_is_killed_and_comes_back(server_home: Path) -> None:
    """A phone listens; the database dies, a write fails and is not pretended; it returns, the next row arrives."""
    server = EmbeddedPostgres(server_home / "pg")
    url = await asyncio.to_thread(server.start)
    await asyncio.to_thread(migrate.upgrade, url)
    settings = load({}, database_url=url, data_dir=server_home)
    async with a_house(settings, work=True) as house, a_house(settings, hospital=house.hospital) as other:
        mother, session = await house.person()
        visit = await house.visit(mother.id)
        phone = await house.phone(session, visit)
        await house.begun(1)
        await house.say(visit, "before")
        await phone.until(lambda p: len(p.got) == 1)
        await asyncio.to_thread(kill, server)
        with pytest.raises((SQLAlchemyError, OSError)):
            await house.say(visit, "lost")
        answer = await house.client.get(f"/api/visits/{visit}/stream", headers={"Cookie": f"__Host-houfu={session}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await house.client.get("/readyz")).status_code == 503
        await asyncio.to_thread(server.start)
        assert (await house.client.get("/readyz")).status_code == 200
        await house.say(visit, "after")
        await phone.until(lambda p: len(p.got) == 2)
        await other.say(visit, "from the other")
        await phone.until(lambda p: len(p.got) == 3)
        assert texts(phone) == ["before", "after", "from the other"]
        async with house.world.db.begin() as tx:
            await tx.enqueue("consent.seal", contract_id=str(mother.id))
        async with asyncio.timeout(40):
            while 'houfu_jobs_total{job="consent.seal",outcome="done"} 1.0' not in house.world.metrics.text().decode():
                await asyncio.sleep(0.1)
    await asyncio.to_thread(server.stop)
