"""What a phone downloads for the bill, what drawing costs, and how soon the demo is up again."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.figures import Figure, percentile
from benchmarks.stand import Stand, free_port, wait_ready

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NAME, CONTENT = "__Host-houfu", 30_000


def assets() -> list[Figure]:
    """Sizes of the built files."""
    from pwa.render import renderer

    all_assets = renderer().assets.all
    return [
        Figure("js_br_bytes", "script of every page, br", float(all_assets["app.js"]["br"]), "B", 20_000),
        Figure("css_br_bytes", "style of every page, br", float(all_assets["app.css"]["br"]), "B", 6_000),
    ]


def first_load(stand: Stand) -> list[Figure]:
    """Open a bill for the first time in a real browser and count what came over the wire."""
    chosen = os.environ.get("HOUFU_CHROMIUM") or next((p for b in BROWSERS if (p := shutil.which(b))), None)
    if chosen is None:
        return []
    from playwright.sync_api import sync_playwright

    visit, session = stand.streams[0]
    came: dict[str, float] = {}
    asked: set[str] = set()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chosen, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(locale="zh-CN", is_mobile=True, viewport={"width": 390, "height": 844})
        cookie = {"name": NAME, "value": session, "domain": "127.0.0.1", "path": "/", "secure": True, "httpOnly": True}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on(
            "Network.requestWillBeSent", lambda e: asked.add(e["requestId"]) if _counts(e["request"]["url"]) else None
        )
        wire.on("Network.loadingFinished", lambda e: came.update({e["requestId"]: e["encodedDataLength"]}))
        answer = page.goto(f"{stand.url}/visits/{visit}/bill", wait_until="load")
        page.wait_for_timeout(1500)
        good = answer is not None and answer.status == 200
        browser.close()
    if not good:
        return []
    total = sum(size for request, size in came.items() if request in asked)
    parts = " + ".join(f"{size:,.0f}" for request, size in came.items() if request in asked)
    how = f"Chromium, headers included, the live stream apart: {parts}"
    return [
        Figure("first_load_bytes", "first load of the bill", float(total), "B", CONTENT, note=how),
        Figure("first_load_requests", "requests of the first load", float(len(asked & set(came))), "", 5),
    ]


def _counts(url: str) -> bool:
    return not url.startswith("data:") and "/stream" not in url


def drawing(stand: Stand) -> list[Figure]:
    """What one row costs to draw for all phones of one kind, and one page."""
    from houfu import wiring
    from kernel.crypto import load_vault
    from kernel.db import Database, connect
    from notices import service as notices
    from people.rules import OWNER

    visit, session = stand.streams[0]

    async def rows() -> list[Any]:
        db = Database(connect(stand.settings.database_url or "", pool_size=2), load_vault(stand.settings.keys))
        try:
            async with db.begin() as tx:
                return list(await notices.since(tx, UUID(visit), 0))
        finally:
            await db.close()

    found = [row for row in asyncio.run(rows()) if wiring.draw(row, OWNER, ("html", "bill"))]
    began, turns = time.perf_counter(), 0
    while time.perf_counter() - began < 1.0:
        for row in found:
            wiring.draw(row, OWNER, ("html", "bill"))
        turns += len(found)
    figures = [
        Figure(
            "draw_row_us", "one feed row drawn for a kind of viewer", 1e6 / max(1, turns), "µs", note="HTML, bill page"
        )
    ]
    times = []
    for _ in range(60):
        request = urllib.request.Request(  # noqa: S310 - our own loopback
            f"{stand.url}/visits/{visit}/bill", headers={"Cookie": f"{NAME}={session}"}
        )
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own loopback
            answer.read()
        times.append((time.perf_counter() - began) * 1000)
    lines = len([r for r in found if r.kind == "bill.line"])
    figures.append(
        Figure("bill_page_ms", "the bill as a page, p50", percentile(times, 0.5), "ms", note=f"after {lines} line rows")
    )
    return figures


def second_start() -> list[Figure]:
    """``make demo`` twice in a folder of its own; the second start is measured."""
    folder = Path(tempfile.mkdtemp(prefix="houfu-bench-demo-"))
    took = []
    try:
        for _ in range(2):
            port = free_port()
            environment = {n: v for n, v in os.environ.items() if not n.startswith(("HOUFU_", "MAKE"))}
            environment |= {"HOUFU_PORT": str(port), "HOUFU_DATA_DIR": str(folder)}
            began = time.monotonic()
            running = subprocess.Popen(
                ["make", "demo"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            try:
                wait_ready(f"http://127.0.0.1:{port}/readyz", 60, running)
                took.append(time.monotonic() - began)
            finally:
                os.killpg(running.pid, signal.SIGINT)
                try:
                    running.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(running.pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure("demo_first_s", "make demo, first start", took[0], "s", note="packages and assets already there"),
        Figure("demo_second_s", "make demo, second start", took[1], "s", 8.0),
    ]
