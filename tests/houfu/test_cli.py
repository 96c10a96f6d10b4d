"""The commands an engineer types, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from houfu.embedded import EmbeddedPostgres
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.conftest import ROOT
from tests.ports import free_port

HOUFU = [sys.executable, "-m", "houfu.cli"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    return {**kept, "HOUFU_DATA_DIR": str(home), "COLUMNS": "200", **more}


def houfu(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*HOUFU, *arguments], env=environment(home, **more), cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


@contextmanager
def started(home: Path, command: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """A serving command, ready to take work; killed at the end if the test did not stop it."""
    process = subprocess.Popen(
        [*HOUFU, command], env=environment(home, HOUFU_PORT=str(port)), cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 180
        while True:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until, "not ready in time"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    """One line that says what is meant, exit code 2, no trace."""
    done = houfu(tmp_path, "migrate", HOUFU_DATABSE_URL="x")
    assert done.returncode == 2
    assert done.stderr.startswith("✗ There is no setting HOUFU_DATABSE_URL. Did you mean HOUFU_DATABASE_URL?")
    assert "Traceback" not in done.stderr


def test_the_table_of_settings(tmp_path: Path) -> None:
    """Markdown for the README."""
    done = houfu(tmp_path, "doctor", "--settings")
    assert done.returncode == 0
    assert "| `HOUFU_PORT` | `8000` | port to listen on |" in done.stdout.splitlines()


@pytest.mark.slow
def test_the_doctor_finds_what_is_missing(empty_database_url: str, tmp_path: Path) -> None:
    """An empty database: the doctor says so, how to mend it, and exits 1; after the mending that finding is gone."""
    address = empty_database_url.replace("+psycopg", "")
    sick = houfu(tmp_path, "doctor", HOUFU_DATABASE_URL=address)
    assert sick.returncode == 1
    assert "houfu migrate" in sick.stdout
    assert "fsync is off" in sick.stdout, "the tests' own server does not survive a power cut"
    assert houfu(tmp_path, "migrate", HOUFU_DATABASE_URL=address).returncode == 0
    assert "houfu migrate" not in houfu(tmp_path, "doctor", HOUFU_DATABASE_URL=address).stdout


@pytest.mark.slow
def test_the_doctor_says_that_paper_would_be_empty_boxes(database_url: str, tmp_path: Path) -> None:
    """A machine without a Chinese font: the doctor says what waits for it and how to mend it; no paper is made."""
    (tmp_path / "none").mkdir()
    bare = tmp_path / "fonts.conf"
    bare.write_text(f"<fontconfig><dir>{tmp_path}/none</dir><cachedir>{tmp_path}/none</cachedir></fontconfig>", "utf-8")
    here = {"HOUFU_DATABASE_URL": database_url.replace("+psycopg", ""), "FONTCONFIG_FILE": str(bare)}
    sick = houfu(tmp_path, "doctor", **here)
    assert sick.returncode == 1
    assert "no font with Chinese characters" in " ".join(sick.stdout.split())
    assert "fonts-noto-cjk" in sick.stdout
    tried = subprocess.run(
        [sys.executable, "-c", "from pwa.fonts import need_chinese; need_chinese()"],
        env=environment(tmp_path, **here), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 1
    assert "NotConfigured" in tried.stderr
    well = houfu(tmp_path, "doctor", HOUFU_DATABASE_URL=here["HOUFU_DATABASE_URL"])
    assert "no font with Chinese characters" not in " ".join(well.stdout.split())


def test_a_hospital_is_loaded_once(database_url: str, tmp_path: Path) -> None:
    """The first loading shows the secrets it made, once; the second changes nothing and shows none."""
    address = database_url.replace("+psycopg", "")
    first, again = (houfu(tmp_path, "hospital", "load", str(HOSPITAL_FILE), HOUFU_DATABASE_URL=address) for _ in "12")
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
def test_the_demo_opens_closes_and_opens_again(server_home: Path) -> None:
    """make demo: opens, answers, ends on Ctrl-C with nothing left running, and starts again on its data."""
    port = free_port()
    for stop in (signal.SIGINT, signal.SIGTERM):
        with started(server_home, "demo", port) as process:
            assert httpx.get(f"http://127.0.0.1:{port}/sw.js", trust_env=False).status_code == 200
            process.send_signal(stop)
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert f"http://127.0.0.1:{port}/demo" in said
        assert "Traceback" not in said
        assert EmbeddedPostgres(server_home / "postgres").pid is None


@pytest.mark.slow
def test_serve_stops_when_asked(server_home: Path) -> None:
    """SIGTERM to `houfu serve`: a clean end within seconds."""
    with started(server_home, "serve", free_port()) as process:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
