"""A visit on loopback that grows, its pages, and what tells whether a page that was open meanwhile shows the same."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page

from pwa.fragments import render_row, status_line, story_entry
from pwa.preview import Preview
from pwa.render import Prefs, renderer
from pwa.sample_ways import floors
from pwa.samples import HEAD, NOW
from pwa.views import Bill, Companion, Guide, Line, PaymentNote, Show, Step, Sums, VisitState
from tests.pwa.browser import MODES, until, window

ZERO = {
    "done_fen": 0,
    "payable_fen": 0,
    "fund_fen": 0,
    "account_fen": 0,
    "self_fen": 0,
    "planned_fen": 0,
    "paid_fen": 0,
    "first_fen": 0,
    "prepaid_fen": 0,
    "hospital_fen": 0,
}
# What a reader sees, without what only the wire needs and without what the reader opened or heard.
SEEN = """() => {
  const copy = document.body.cloneNode(true);
  copy.querySelectorAll('#stream,#incoming,#note,#say,#age,[data-live],script').forEach((e) => e.remove());
  copy.querySelectorAll('details[open]').forEach((e) => e.removeAttribute('open'));
  return copy.innerHTML.replace(/\\s+/g, ' ').replace(/> </g, '><').replace(/ (data-focus|hx-[a-z-]+)="[^"]*"/g, '');
}"""


QUIET = "!document.querySelector('main .htmx-request')"  # no part of the page is being fetched


class Hospital:
    """The smallest visit there is: rows in order, and the pages that follow from them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.bell = threading.Condition()
        self.cut = 0  # raised to drop every open stream
        self.replay = 0  # so many rows a stream says again when it is resumed
        self.connections = 0
        self.takes: list[float] = []  # seconds each of the next answers to a page that asks for a part of itself takes

    def push(self, kind: str, **data: Any) -> None:
        """One fact more."""
        with self.bell:
            self.rows.append({"kind": kind, "data": data, "at": NOW.isoformat()})
            self.bell.notify_all()

    def wait_past(self, at: int, cut: int) -> None:
        """Until there is a row after ``at``, or the streams are cut; the caller holds the bell."""
        self.bell.wait_for(lambda: len(self.rows) > at or self.cut != cut, 20)

    def latest(self, kind: str, key: str) -> list[Any]:
        """The newest of each thing."""
        found = {row["data"][key].get("id"): row["data"][key] for row in self.rows if row["kind"] == kind}
        return list(found.values())

    def page(self, surface: str, position: int) -> bytes:
        """A fresh GET."""
        stream = f"/feed/{surface}?after={position}"
        lines = sorted((Line.of(x) for x in self.latest("bill.line", "line")), key=lambda x: -x.rank)
        sums = Sums.of(next((r["data"]["sums"] for r in reversed(self.rows) if "sums" in r["data"]), ZERO))
        visit = VisitState.of((self.latest("visit", "visit") or [{"state": "open", "mode": "DEFERRED"}])[0])
        paid = self.latest("payment", "payment")
        done, ordered, cancelled = ([x for x in lines if x.pile == p] for p in ("done", "ordered", "cancelled"))
        steps = sorted((Step.of(x) for x in self.latest("step", "step")), key=lambda x: x.rank)
        status = [s for r in self.rows if r["kind"] == "step" and (s := status_line(Step.of(r["data"]["step"])))]
        story = {e.id: e for r in self.rows if (e := story_entry(r, Show("v1", NOW, "story")))}
        view: object
        if surface == "bill":
            note = PaymentNote.of(paid[0]) if paid else None
            leaves, receipt = bool(ordered) and visit.state == "open", "/r" if note else None
            view = Bill(
                HEAD, visit, sums, done, ordered, cancelled, stream, note, can_leave=leaves, receipt_url=receipt
            )
        elif surface == "guide":
            now = next((s for s in steps if s.state in {"placed", "checked_in", "called"}), None)
            view = Guide(HEAD, now, steps, stream, way=("乘2号电梯到2楼。",), floors=floors("way"))
        else:
            newest = sorted(story.values(), key=lambda e: -e.rank)
            view = Companion(
                HEAD, "妈妈", status[-1] if status else "还没有开始", newest, stream, sums=sums, can_pay=True
            )
        name = {"bill": "bill.html", "guide": "guide.html", "story": "companion.html"}[surface]
        return renderer().page(name, view, Prefs(now=NOW, csrf="t", worker=False))


@contextmanager
def hospital() -> Iterator[tuple[str, Hospital]]:
    """The visit on loopback."""
    visit = Hospital()

    class Answers(Preview):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            part = url.path.strip("/").split("/")
            if part[0] == "feed":
                self.stream(part[1], parse_qs(url.query))
            elif part[0] == "visits" and part[2] in {"bill", "guide", "story"}:
                with visit.bell:
                    body = visit.page(part[2], len(visit.rows))
                if self.headers.get("HX-Request") and visit.takes:
                    time.sleep(visit.takes.pop(0))
                self.answer(body, renderer().headers(Prefs(now=NOW)))
            else:
                super().do_GET()

        def stream(self, surface: str, query: dict[str, list[str]]) -> None:
            last = self.headers.get("Last-Event-ID")
            at = max(0, int(last) - visit.replay) if last else int(query["after"][0])
            show = Show("v1", NOW, surface, may_act=True, may_pay=True, may_ask=surface == "bill")  # type: ignore[arg-type]
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")  # how else would its end be seen: it has no length
            self.end_headers()
            self.wfile.write(b": hello\n\n")
            self.wfile.flush()
            with visit.bell:
                visit.connections += 1
                cut = visit.cut
            while True:
                with visit.bell:
                    visit.wait_past(at, cut)
                    if visit.cut != cut:
                        return
                    rows, at0 = visit.rows[at:], at
                for n, row in enumerate(rows, at0 + 1):
                    html = render_row(row, show)
                    self.wfile.write(f"id: {n}\ndata: {html}\n\n".encode() if html else f"id: {n}\n\n".encode())
                    self.wfile.flush()
                at = at0 + len(rows)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", visit
    finally:
        with visit.bell:
            visit.cut += 1
            visit.bell.notify_all()
        server.shutdown()
        server.server_close()
        thread.join(5)


def sums(done: int, planned: int, paid: int = 0) -> dict[str, int]:
    fund = done // 2
    return {
        **ZERO,
        "done_fen": done,
        "fund_fen": fund,
        "self_fen": done - fund,
        "payable_fen": done - fund - paid,
        "planned_fen": planned,
        "paid_fen": paid,
    }


def truth(page: Page, expression: str) -> None:
    until(page, f"() => Boolean({expression})")


def same(browser: Browser, page: Page, address: str) -> None:
    """The grown page equals the page another phone is given now, as soon as it has what it asked for."""
    with window(browser, MODES[0]) as other:
        fresh = other.new_page()
        fresh.goto(address)
        wanted, until = fresh.evaluate(SEEN), time.monotonic() + 5
        while page.evaluate(SEEN) != wanted and time.monotonic() < until:
            page.wait_for_timeout(30)
        assert page.evaluate(SEEN) == wanted


def open_page(browser: Browser, address: str, visit: Hospital) -> tuple[Any, Page]:
    context = window(browser, MODES[0])
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda e: said.append(str(e)))
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.heard = []; const s = document.getElementById('say');"
        "if (s) new MutationObserver(() => s.textContent && heard.push(s.textContent))"
        ".observe(s, {childList: true}); })"
    )
    page.goto(address)
    until = time.monotonic() + 10
    while visit.connections == 0 and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert visit.connections == 1, said
    return context, page
