"""What the documents promise holds: the README's commands work as written, tables and links are true."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from kernel.settings import table
from tests.architecture.source import ROOT
from tests.ports import free_port

README = (ROOT / "README.md").read_text("utf-8")
HOUFU = str(Path(sys.executable).with_name("houfu"))


def _commands(about: str) -> str:
    """The README's block of commands that mentions ``about``."""
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README, re.S)
    return next(block for block in blocks if about in block)


def test_the_table_of_settings_is_complete() -> None:
    """README's table is exactly what `houfu doctor --settings` prints."""
    written = README.partition("<!-- settings -->\n")[2].partition("<!-- /settings -->")[0]
    rows = [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in table()]
    assert written.splitlines()[2:] == rows, "paste the output of: houfu doctor --settings"


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
)
def test_every_link_leads_somewhere(page: str) -> None:
    """A link to a file of ours names one that exists."""
    text = (ROOT / page).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_decisions_are_numbered_and_listed() -> None:
    """ADRs count from 1 without gap, have the three sections, and stand in their list."""
    files = sorted((ROOT / "docs/adr").glob("0*.md"))
    assert [int(f.name[:4]) for f in files] == list(range(1, len(files) + 1))
    listed = (ROOT / "docs/adr/README.md").read_text("utf-8")
    for file in files:
        assert re.findall(r"^## (.*)$", file.read_text("utf-8"), re.M) == ["Context", "Decision", "Consequences"]
        assert f"({file.name})" in listed


def test_every_metric_is_explained() -> None:
    """Operators find each figure of /metrics in docs/operations.md."""
    from api.metrics import Metrics

    text = (ROOT / "docs/operations.md").read_text("utf-8")
    families = [f.name for f in Metrics().registry.collect()]
    assert len(families) > 5
    assert [name for name in families if name not in text] == []


@pytest.mark.slow
def test_connecting_a_his_works_as_written(database_url: str, tmp_path: Path) -> None:
    """The README's two lines are run against a house of their own: four events accepted, 6 yuan owed."""
    port = free_port()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("HOUFU_")} | {
        "HOUFU_DATABASE_URL": database_url.replace("+psycopg", ""),
        "HOUFU_DATA_DIR": str(tmp_path),
    }
    loading = [HOUFU, "hospital", "load", "sandbox/hospital/demo.json"]
    subprocess.run(loading, cwd=ROOT, env=environment, check=True, capture_output=True)
    with (tmp_path / "serve.log").open("wb") as log:
        running = subprocess.Popen(
            [HOUFU, "serve", "--port", str(port)], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        _wait(f"http://127.0.0.1:{port}/readyz")
        commands = _commands("his-example.sh").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        commands = commands.replace(".venv/bin/houfu", HOUFU)
        done = subprocess.run(["sh", "-eu", "-c", commands], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        assert [item["status"] for item in json.loads(done.stdout)["items"]] == ["accepted"] * 4
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(15)
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT state, self_fen FROM charge_item").fetchall() == [("billable", 600)]


def _wait(url: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the house did not come up")
