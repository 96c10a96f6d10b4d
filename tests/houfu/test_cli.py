"""The commands an engineer types, in processes of their own."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from houfu.embedded import EmbeddedPostgres
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.conftest import ROOT
from tests.hatchery import Hatchery, Process
from tests.ports import free_port

HOUFU = [sys.executable, "-m", "houfu.cli"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    return {**kept, "HOUFU_DATA_DIR": str(home), "COLUMNS": "200", **more}


def houfu(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, from nothing."""
    return subprocess.run(
        [*HOUFU, *arguments], env=environment(home, **more), cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


class Quick:
    """Processes that have loaded the house already, and what they say."""

    def __init__(self, hatchery: Hatchery, folder: Path) -> None:
        self.hatchery, self.folder = hatchery, folder

    def run(self, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        said = [self.folder / name for name in ("stdout", "stderr")]
        for one in said:
            one.unlink(missing_ok=True)
        code = self.hatchery.start(list(arguments), environment(home, **more), *said).wait(120)
        return subprocess.CompletedProcess(arguments, code, *(one.read_text("utf-8") for one in said))


@pytest.fixture
def quick(hatchery: Hatchery, tmp_path_factory: pytest.TempPathFactory) -> Quick:
    return Quick(hatchery, tmp_path_factory.mktemp("said"))


@contextmanager
def started(quick: Quick, home: Path, command: str, port: int) -> Iterator[tuple[Process, Path]]:
    """A serving command, ready to take work, and what it says; killed at the end if the test did not stop it."""
    said = quick.folder / f"{command}-{secrets.token_hex(4)}"
    process = quick.hatchery.start([command], environment(home, HOUFU_PORT=str(port)), said, said)
    try:
        until = time.monotonic() + 180
        while True:
            assert process.poll() is None, said.read_text("utf-8")
            assert time.monotonic() < until, "not ready in time"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, said
    finally:
        process.kill()
        process.wait()


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    """One line that says what is meant, exit code 2, no trace."""
    done = houfu(tmp_path, "migrate", HOUFU_DATABSE_URL="x")
    assert done.returncode == 2
    assert done.stderr.startswith("✗ There is no setting HOUFU_DATABSE_URL. Did you mean HOUFU_DATABASE_URL?")
    assert "Traceback" not in done.stderr


def test_the_table_of_settings(quick: Quick, tmp_path: Path) -> None:
    """Markdown for the README."""
    done = quick.run(tmp_path, "doctor", "--settings")
    assert done.returncode == 0
    assert "| `HOUFU_PORT` | `8000` | port to listen on |" in done.stdout.splitlines()


@pytest.mark.slow
def test_the_doctor_finds_what_is_missing(quick: Quick, empty_database_url: str, tmp_path: Path) -> None:
    """An empty database: the doctor says so, how to mend it, and exits 1; after the mending that finding is gone."""
    address = empty_database_url.replace("+psycopg", "")
    sick = quick.run(tmp_path, "doctor", HOUFU_DATABASE_URL=address)
    assert sick.returncode == 1
    assert "houfu migrate" in sick.stdout
    assert "fsync is off" in sick.stdout, "the tests' own server does not survive a power cut"
    assert "random_page_cost" not in sick.stdout
    turning = f"{address}{'&' if '?' in address else '?'}options=-c%20random_page_cost%3D4"
    assert "set random_page_cost = 1.1" in " ".join(
        quick.run(tmp_path, "doctor", HOUFU_DATABASE_URL=turning).stdout.split()
    )
    assert quick.run(tmp_path, "migrate", HOUFU_DATABASE_URL=address).returncode == 0
    assert "houfu migrate" not in quick.run(tmp_path, "doctor", HOUFU_DATABASE_URL=address).stdout


@pytest.mark.slow
def test_the_doctor_says_that_paper_would_be_empty_boxes(quick: Quick, database_url: str, tmp_path: Path) -> None:
    """A machine without a Chinese font: the doctor says what waits for it and how to mend it; no paper is made."""
    (tmp_path / "none").mkdir()
    bare = tmp_path / "fonts.conf"
    bare.write_text(f"<fontconfig><dir>{tmp_path}/none</dir><cachedir>{tmp_path}/none</cachedir></fontconfig>", "utf-8")
    here = {"HOUFU_DATABASE_URL": database_url.replace("+psycopg", ""), "FONTCONFIG_FILE": str(bare)}
    sick = quick.run(tmp_path, "doctor", **here)
    assert sick.returncode == 1
    assert "no font with Chinese characters" in " ".join(sick.stdout.split())
    assert "fonts-noto-cjk" in sick.stdout
    tried = subprocess.run(
        [sys.executable, "-c", "from pwa.fonts import need_chinese; need_chinese()"],
        env=environment(tmp_path, **here), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 1
    assert "NotConfigured" in tried.stderr
    well = quick.run(tmp_path, "doctor", HOUFU_DATABASE_URL=here["HOUFU_DATABASE_URL"])
    assert "no font with Chinese characters" not in " ".join(well.stdout.split())


def test_a_hospital_is_loaded_once(quick: Quick, database_url: str, tmp_path: Path) -> None:
    """The first loading shows the secrets it made, once; the second changes nothing and shows none."""
    address = database_url.replace("+psycopg", "")
    load = ("hospital", "load", str(HOSPITAL_FILE))
    first, again = (quick.run(tmp_path, *load, HOUFU_DATABASE_URL=address) for _ in "12")
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert first.stdout.count("New key") == HOSPITAL_FILE.read_text("utf-8").count('"generate"')
    assert "New key" not in again.stdout


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """One line says what the database said, without the password; no trace."""
    done = houfu(tmp_path, "migrate", HOUFU_DATABASE_URL="postgresql://houfu:geheim@127.0.0.1:1/houfu")
    assert done.returncode == 2
    assert done.stderr.startswith("✗ connection failed")
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


@pytest.mark.slow
def test_the_demo_opens_closes_and_opens_again(quick: Quick, server_home: Path) -> None:
    """make demo: opens, answers, ends on Ctrl-C with nothing left running, and starts again on its data."""
    port = free_port()
    for stop in (signal.SIGINT, signal.SIGTERM):
        with started(quick, server_home, "demo", port) as (process, log):
            assert httpx.get(f"http://127.0.0.1:{port}/sw.js", trust_env=False).status_code == 200
            process.send_signal(stop)
            process.wait(60)
        said = log.read_text("utf-8")
        assert process.returncode == 0, said
        assert f"http://127.0.0.1:{port}/demo" in said
        assert "Traceback" not in said
        assert EmbeddedPostgres(server_home / "postgres").pid is None


@pytest.mark.slow
def test_serve_stops_when_asked(quick: Quick, server_home: Path) -> None:
    """SIGTERM to `houfu serve`: a clean end within seconds."""
    with started(quick, server_home, "serve", free_port()) as (process, log):
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0, log.read_text("utf-8")


def test_a_worker_works_gives_way_and_stops_when_asked(quick: Quick, database_url: str, tmp_path: Path) -> None:
    """`houfu worker` registers for jobs, leaves a core that is wanted to the pages (nice), and ends on SIGTERM."""
    said, address = quick.folder / "worker", database_url.replace("+psycopg", "")
    process = quick.hatchery.start(["worker"], environment(tmp_path, HOUFU_DATABASE_URL=address), said, said)
    try:
        until = time.monotonic() + 60
        with psycopg.connect(address, autocommit=True) as database:
            while database.execute("SELECT count(*) FROM procrastinate_workers").fetchone() != (1,):
                assert process.poll() is None, said.read_text("utf-8")
                assert time.monotonic() < until, "no worker in time"
                time.sleep(0.05)
        assert psutil.Process(process.pid).nice() == 10
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said.read_text("utf-8")
