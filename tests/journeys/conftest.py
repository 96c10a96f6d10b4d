"""One running demo for all journeys: the real command, its own database, and browsers on the hosts of its people."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from houfu.demo import OUTSIDE_FROM
from houfu.embedded import EmbeddedPostgres
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
Json = dict[str, Any]
T = TypeVar("T")
PATIENCE = 20_000  # milliseconds for what a quiet machine shows at once
expect.set_options(timeout=PATIENCE)
OUTSIDE = 6  # ports of the made-up world, from OUTSIDE_FROM on


def plain() -> dict[str, str]:
    """The environment of the commands, without the settings of this run of the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith("HOUFU_")}


@dataclass
class Hospital:
    """The made-up hospital's own hand: what happens there, and what it holds to be true."""

    client: httpx.Client
    runs: dict[str, Json] = field(default_factory=dict)

    def post(self, path: str, **body: Any) -> Json:
        """Press a button of the hospital."""
        answer = self.client.post(f"/control/{path}", json=body)
        assert answer.status_code < 300, answer.text
        made: Json = answer.json()
        return made

    def start(self, script: str) -> None:
        """Begin a scripted visit."""
        self.runs[script] = self.post(f"scripts/{script}/start")

    def until(self, script: str, key: str) -> None:
        """Let the script go on until this step has happened."""
        run = self.runs[script]
        while (did := self.post(f"visits/{run['id']}/step"))["key"] != key:
            time.sleep(0.1 if did["waits"] else 0)
        self.runs[script] = self.client.get(f"/control/visits/{run['id']}").json()

    def act(self, what: str, **body: Any) -> Any:
        """One act without a script."""
        return self.post(f"act/{what}", **body)["result"]

    def books(self) -> Json:
        """What the hospital's system has written down."""
        found: Json = self.client.get("/control/books").json()
        return found

    def told(self, kind: str) -> list[Json]:
        """The commands of a kind that reached it."""
        return [c["command"] for c in self.books()["commands"] if c["command"]["kind"] == kind]

    def booked(self, encounter: str) -> list[int]:
        """What it has booked as paid through us for one encounter, in fen; waits until it has booked something."""
        mine = set(self.client.get(f"/control/bill/{encounter}").json()["payable"])

        def found() -> list[int]:
            every = [s for s in self.books()["settlements"] if s["payments"]]
            return [s["total_fen"] for s in every if {c["charge_no"] for c in s["charges"]} <= mine]

        return self.wait_for(found)

    def settled(self, encounter: str) -> list[Json]:
        """The settlements it was told of in which one of this encounter's lines is paid."""
        mine = set(self.client.get(f"/control/bill/{encounter}").json()["payable"])
        return [s for s in self.books()["settlements"] if mine & {c["charge_no"] for c in s["charges"]}]

    @staticmethod
    def wait_for(look: Callable[[], list[T]]) -> list[T]:
        """What a look finds, as soon as it finds anything; empty when ten seconds bring nothing."""
        until = time.monotonic() + 10
        while not (found := look()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def held(self, name: str) -> Json:
        """The places it holds, or held, for somebody of this name, by its own number."""
        every: Json = self.client.get("/control/appointments").json()["appointments"]
        return {number: one for number, one in every.items() if one["patient"]["name"] == name}

    def line(self, encounter: str) -> Json:
        """Its own idea of one encounter's bill."""
        return next(e for e in self.books()["encounters"] if e["encounter"] == encounter)


@dataclass
class Stage:
    """The running demo."""

    port: int
    browser: Browser
    hospital: Hospital
    data: Path
    opened: list[BrowserContext] = field(default_factory=list)
    slow: dict[Page, CDPSession] = field(default_factory=dict)

    def url(self, who: str, path: str = "/") -> str:
        """A page on the host of one of its people."""
        return f"http://{who}.houfu.localhost:{self.port}{path}"

    def phone(self, who: str, *, workers: bool = False) -> Page:
        """A phone held by one of them, logged in through WeChat."""
        page = self.stranger(who, workers=workers)
        page.goto(self.url(who, "/login/wechat?next=/"))
        return page

    def stranger(self, who: str, *, workers: bool = False) -> Page:
        """A phone held by one of them on which nobody has ever logged in here."""
        context = self.browser.new_context(
            viewport={"width": 390, "height": 844},
            locale="zh-CN",
            is_mobile=True,
            has_touch=True,
            reduced_motion="reduce",
            service_workers="allow" if workers else "block",
        )
        self.opened.append(context)
        page = context.new_page()
        self._slow(page)
        page.set_default_timeout(PATIENCE)
        return page

    def _slow(self, page: Page) -> None:
        # HOUFU_LINE_MS=700 gives every screen a slow line: what a journey reads before it has come, it always misses.
        if delay := int(os.environ.get("HOUFU_LINE_MS", "0")):
            conditions = {"offline": False, "latency": delay, "downloadThroughput": -1, "uploadThroughput": -1}
            self.slow[page] = page.context.new_cdp_session(page)
            self.slow[page].send("Network.emulateNetworkConditions", conditions)

    def cut(self, page: Page) -> None:
        """Cut a phone's line; a slow one is an ordinary one afterwards, for Chromium hears one of the two only."""
        if slow := self.slow.pop(page, None):
            slow.detach()
        page.context.set_offline(True)

    def desk(self, login: str) -> Page:
        """A desk's screen, logged in with the PIN of the hospital's file."""
        staff = json.loads(HOSPITAL_FILE.read_text("utf-8"))["staff"]
        pin = next(s["pin"] for s in staff if s["login"] == login)
        context = self.browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
        self.opened.append(context)
        page = context.new_page()
        self._slow(page)
        page.set_default_timeout(PATIENCE)
        page.goto(self.url("desk", "/desk/login"))
        page.fill("[name=name]", login)
        page.fill("[name=password]", pin)
        page.click("main button.weui-btn_primary")
        page.wait_for_url("**/desk")
        return page


@pytest.fixture(scope="session")
def stage(browser: Browser, postgres: EmbeddedPostgres, template_database: str) -> Iterator[Stage]:
    """``houfu demo`` as a process of its own; ended by Ctrl-C, as a person would."""
    name = f"test_{os.getpid()}_journeys"
    folder = Path(tempfile.mkdtemp(prefix="houfu-journey-"))
    port = free_port(*(OUTSIDE_FROM + n for n in range(OUTSIDE)))
    environment = plain() | {
        "HOUFU_PORT": str(port),
        "HOUFU_DATA_DIR": str(folder),
        "HOUFU_DATABASE_URL": postgres.ensure_database(name, template=template_database).replace("+psycopg", ""),
    }
    log = (folder / "log").open("w")
    command = [sys.executable, "-c", "from houfu.cli import app; app()", "demo"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait_until_open(process, port, folder / "log")
        _read_quickly(folder, port, environment)
        control = f"http://127.0.0.1:{port + OUTSIDE_FROM}"
        with httpx.Client(base_url=control, trust_env=False, timeout=30) as client:
            yield Stage(port, browser, Hospital(client), folder)
    finally:
        process.send_signal(signal.SIGINT)
        _wait_until_closed(port)
        process.send_signal(signal.SIGINT)  # somebody is impatient
        process.wait(20)
        log.close()
        said = (folder / "log").read_text()
        postgres.drop_database(name)
        shutil.rmtree(folder)
    assert process.returncode == 0
    assert "Traceback" not in said, said


def _read_quickly(folder: Path, port: int, environment: dict[str, str]) -> None:
    """Two seconds of reading, and a doctor signs too: settings like any other, brought in by the ordinary command."""
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["his"]["base_url"] = f"http://127.0.0.1:{port + OUTSIDE_FROM}"
    document["hospital"]["settings"] |= {
        "read_chars_per_second": 500,
        "read_seconds_min": 2,
        "countersign": True,
    }
    file = folder / "hospital.json"
    file.write_text(json.dumps(document), "utf-8")
    load = [sys.executable, "-c", "from houfu.cli import app; app()", "hospital", "load", str(file)]
    subprocess.run(load, env=environment, cwd=ROOT, check=True, capture_output=True)


def _wait_until_closed(port: int) -> None:
    for _ in range(400):
        try:
            httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False, timeout=10)
        except httpx.TransportError:
            return
        time.sleep(0.05)
    raise RuntimeError("it does not stop")


def _wait_until_open(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(900):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=10).status_code == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(log.read_text())


@pytest.fixture(autouse=True)
def leave(stage: Stage) -> Iterator[None]:
    """Every journey begins with fresh phones."""
    yield
    while stage.opened:
        stage.opened.pop().close()
