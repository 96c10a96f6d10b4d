"""The browser of these tests: Debian's Chromium, a phone's window, no motion, nothing but loopback."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from pwa.preview import serve

# The first that is there; the shell is the same browser without a desktop around it, and a third cheaper.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("HOUFU_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), NAMES[0])
ARGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page stands for a moment: compiling its scripts well, and processes of their own, cost more than they give.
    "--js-flags=--no-opt,--no-maglev",
    "--in-process-gpu",
    "--disable-site-isolation-trials",
    "--renderer-process-limit=1",
]


@dataclass(frozen=True, slots=True)
class Mode:
    """One way a page is looked at."""

    name: str
    query: str
    dark: bool = False
    width: int = 390
    height: int = 844

    @property
    def type_class(self) -> str:
        """The class of the page's root that says how large the type is."""
        return "s180" if "180" in self.query else "s140" if "elder" in self.query else "s100"


STANDARD = Mode("standard", "")
ELDER = Mode("elder", "?elder=1")
DARK = Mode("dark", "", dark=True)
SMALL = Mode("small", "?scale=180&elder=1", width=320, height=720)
MODES = (STANDARD, DARK, ELDER, SMALL)
WIDE = ("desk", "stage")  # what the names of pages for a wide screen begin with


def until(page: Page, function: str, arg: object = None, seconds: float = 12) -> Any:
    """What a function of the page returns as soon as it is something; it may be asynchronous.

    ``wait_for_function`` takes a promise for something, whatever becomes of it.
    """
    end = time.monotonic() + seconds
    while not (found := page.evaluate(function, arg)) and time.monotonic() < end:
        page.wait_for_timeout(30)
    assert found, function
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that ends with the block."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


def size_of(name: str) -> str:
    """Which screen a page is made for: pages of the same one may be looked at in one window."""
    return "stage" if name == "stage" else "wide" if name.startswith(WIDE) else "phone"


def window(browser: Browser, mode: Mode, name: str = "", *, bypass_csp: bool = False) -> BrowserContext:
    """A phone (or a desk's screen) in one mode."""
    wide = name.startswith(WIDE) and mode.name != "small"
    return browser.new_context(
        viewport={
            "width": 1600 if name == "stage" and wide else 1280 if wide else mode.width,
            "height": 900 if wide else mode.height,
        },
        device_scale_factor=2 if not wide else 1,
        is_mobile=not wide,
        has_touch=not wide,
        locale="zh-CN",
        color_scheme="dark" if mode.dark else "light",
        reduced_motion="reduce",
        service_workers="block",
        bypass_csp=bypass_csp,
    )


@contextmanager
def preview() -> Iterator[str]:
    """The preview server on a free loopback port; yields its address."""
    server = serve()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
