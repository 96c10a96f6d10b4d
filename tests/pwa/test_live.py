"""A page grown by pushes is the page drawn afresh: in order, replayed, after a reconnect, in a real browser."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route

from pwa.fragments import render_row, status_line, story_entry
from pwa.preview import Preview
from pwa.render import Prefs, renderer
from pwa.sample_ways import floors
from pwa.samples import HEAD, NOW, line_row, step_row
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


def _sums(done: int, planned: int, paid: int = 0) -> dict[str, int]:
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


def _until(page: Page, expression: str) -> None:
    until(page, f"() => Boolean({expression})")


def _same(browser: Browser, page: Page, address: str) -> None:
    """The grown page equals the page another phone is given now, as soon as it has what it asked for."""
    with window(browser, MODES[0]) as other:
        fresh = other.new_page()
        fresh.goto(address)
        wanted, until = fresh.evaluate(SEEN), time.monotonic() + 5
        while page.evaluate(SEEN) != wanted and time.monotonic() < until:
            page.wait_for_timeout(30)
        assert page.evaluate(SEEN) == wanted


def _open(browser: Browser, address: str, visit: Hospital) -> tuple[Any, Page]:
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


def _morning(visit: Hospital) -> None:
    """Ordered, ordered, one done, one given up, one disputed, paid."""
    visit.push("bill.line", line=line_row(1, "血常规", 2000, "ordered", "planned", rank=1), sums=_sums(0, 2000))
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "ordered", "planned", rank=2), sums=_sums(0, 5000))
    visit.push("bill.line", line=line_row(3, "尿常规", 800, "ordered", "planned", rank=3), sums=_sums(0, 5800))
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "done", "billable", rank=4), sums=_sums(3000, 2800))
    visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "billable", rank=5), sums=_sums(5000, 800))
    visit.push("bill.line", line=line_row(3, "尿常规", 800, "cancelled", "aborted", rank=6), sums=_sums(5000, 0))
    # A change inside its pile keeps the rank, and so the place: below 血常规.
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "done", "disputed", rank=4), sums=_sums(2000, 0))
    visit.push(
        "visit", visit={"state": "ended", "mode": "DEFERRED", "due_at": NOW.isoformat(), "ended_at": NOW.isoformat()}
    )


@pytest.mark.browser
def test_bill_grown_by_pushes_equals_a_fresh_one(browser: Browser) -> None:
    """The bill lies open while the morning happens: piles, order, sums, bar and due time are those of a fresh GET."""
    with hospital() as (base, visit):
        address = f"{base}/visits/v1/bill"
        context, page = _open(browser, address, visit)
        with context:
            visit.push("bill.line", line=line_row(1, "血常规", 2000, "ordered", "planned", rank=1), sums=_sums(0, 2000))
            _until(page, "document.querySelector('#more').textContent.includes('现在就走')")
            _same(browser, page, address)
            _morning(visit)
            _until(page, "document.querySelector('#visit').textContent.includes('请在')")
            assert page.eval_on_selector_all("#list-done > li", "x => x.map(e => e.id)") == ["c1", "c2"]
            assert page.eval_on_selector_all("#list-cancelled > li", "x => x.map(e => e.id)") == ["c3"]
            assert page.locator("#list-ordered > li").count() == 0
            assert page.locator("#paybar").inner_text().split("去付款")[1].strip() == "¥10.00"
            _same(browser, page, address)
            visit.push(
                "payment",
                payment={"state": "settled", "amount_fen": 1000, "payer_label": "您女儿", "at": NOW.isoformat()},
                sums=_sums(2000, 0, 1000),
            )
            _until(page, "document.querySelector('#payment').textContent.includes('付好了')")
            _same(browser, page, address)
            assert page.locator("#more").inner_text() == "收据"


@pytest.mark.browser
def test_replay_after_a_cut_changes_and_says_nothing_twice(browser: Browser) -> None:
    """The line drops and the server says its last five rows again: same page, each fact heard once in all."""
    with hospital() as (base, visit):
        address = f"{base}/visits/v1/bill"
        context, page = _open(browser, address, visit)
        with context:
            _morning(visit)
            _until(page, "document.querySelector('#visit').textContent.includes('请在')")
            _until(page, QUIET)
            before, heard = page.evaluate(SEEN), len(page.evaluate("heard"))
            assert heard >= 1
            with visit.bell:
                visit.replay, visit.cut = 1, visit.cut + 1
                visit.bell.notify_all()
            until = time.monotonic() + 15
            while visit.connections < 2 and time.monotonic() < until:
                page.wait_for_timeout(50)
            assert visit.connections == 2
            page.wait_for_timeout(400)
            _until(page, QUIET)
            assert page.evaluate(SEEN) == before
            assert len(page.evaluate("heard")) == heard, "a replayed fact was announced again"
            with visit.bell:
                visit.replay, visit.cut = 5, visit.cut + 1
                visit.bell.notify_all()
            while visit.connections < 3 and time.monotonic() < until + 15:
                page.wait_for_timeout(50)
            visit.push("bill.line", line=line_row(9, "血糖", 600, "done", "billable", rank=9), sums=_sums(2600, 0))
            _until(page, "document.querySelector('#c9')")
            assert (
                page.evaluate(
                    "[...document.querySelectorAll('[id]')].map(e => e.id).filter((x, i, all) => all.indexOf(x) !== i)"
                )
                == []
            )
            _same(browser, page, address)


@pytest.mark.browser
def test_an_open_proof_stays_open_and_keeps_the_focus(browser: Browser) -> None:
    """Grandmother is reading who took her blood when the line changes: it stays open under her finger."""
    with hospital() as (base, visit):
        visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "billable", rank=1), sums=_sums(2000, 0))
        context, page = _open(browser, f"{base}/visits/v1/bill", visit)
        with context:
            page.locator("#c1 summary").click()
            assert page.locator("#c1 .proof").is_visible()
            visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "disputed", rank=1), sums=_sums(0, 0))
            _until(page, "document.querySelector('#c1').textContent.includes('在核对')")
            assert page.locator("#c1 .proof").is_visible()
            assert page.evaluate("document.activeElement.closest('li')?.id") == "c1"


@pytest.mark.browser
def test_guide_and_story_grown_by_pushes_equal_fresh_ones(browser: Browser) -> None:
    """The patient's guide and the daughter's story lie open while blood is drawn: both end as fresh GETs."""
    with hospital() as (base, visit):
        opened = []
        for surface in ("guide", "story"):
            visit.connections = 0
            opened.append((surface, *_open(browser, f"{base}/visits/v1/{surface}", visit)))
        for n, (step, name, state) in enumerate(
            [
                (1, "抽血", "placed"),
                (2, "心电图", "placed"),
                (1, "抽血", "checked_in"),
                (1, "抽血", "called"),
                (1, "抽血", "performed"),
            ]
        ):
            at = NOW.replace(minute=n).isoformat()
            visit.push("step", step=step_row(step, name, "2 楼抽血处", state, at=at, ahead=2))
        visit.push(
            "bill.line",
            line=line_row(1, "抽血", 2000, "done", "billable", rank=1, executed_at=NOW.replace(minute=9).isoformat()),
            sums=_sums(2000, 0),
        )
        for surface, context, page in opened:
            with context:
                last = {
                    "guide": "document.querySelector('#now').textContent.includes('心电图')",
                    "story": "document.querySelector('#t-c1-billable')",
                }
                _until(page, last[surface])
                _same(browser, page, f"{base}/visits/v1/{surface}")
                if surface == "story":
                    assert page.locator("#list-story > li").first.get_attribute("id") == "t-c1-billable"
                    assert page.locator("#status").inner_text() == "做完了：抽血"
                    assert "诊" not in json.dumps(page.locator("#list-story").inner_text(), ensure_ascii=False)


@pytest.mark.browser
def test_what_comes_while_the_page_asks_is_seen(browser: Browser) -> None:
    """The guide asks for its next step, the answer takes a while, and more happens meanwhile: none of it is lost."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        with context:
            visit.takes = [0.5]
            for n, ahead in enumerate((5, 3, 1)):
                at = NOW.replace(minute=n).isoformat()
                visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=at, ahead=ahead))
                _until(page, f"document.querySelector('#list-steps').textContent.includes('{ahead}')")
                page.wait_for_timeout(150)
            _same(browser, page, address)


@pytest.mark.browser
def test_what_comes_the_moment_a_part_is_replaced_is_seen(browser: Browser) -> None:
    """The new part listens from the moment it stands there: what is told in that very moment, it asks for."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        with context:
            page.evaluate(
                "() => { const old = document.querySelector('#now'); new MutationObserver((_, me) => {"
                " if (old.isConnected) return; me.disconnect(); htmx.trigger(document.body, 'placed-steps'); })"
                ".observe(old.parentNode, {childList: true}); }"
            )
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            _until(page, "document.querySelector('#now').textContent.includes('前面 3 人')")
            page.wait_for_timeout(200)
            assert asked.count(address) == 2


@pytest.mark.browser
def test_a_part_that_got_no_answer_asks_again(browser: Browser) -> None:
    """The row came, and the line broke before the guide was told what it means; then the hospital's house was full."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        troubles: list[Callable[[Route], None]] = [lambda r: r.abort(), lambda r: r.fulfill(status=503, body="满了")]
        asked: list[str] = []

        def meet(route: Route) -> None:
            asked.append(route.request.url)
            if troubles:
                troubles.pop(0)(route)
            else:
                route.continue_()

        with context:
            page.route(address, meet)
            page.evaluate("Math.random = () => 0")
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            _until(page, "document.querySelector('#now').textContent.includes('前面 3 人')")
            _same(browser, page, address)
            assert len(asked) == 3


@pytest.mark.browser
def test_an_earlier_question_replaces_no_later_answer(browser: Browser) -> None:
    """Two questions about the same part are out at once, and the first is answered last, with what was true before."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        held: list[tuple[Route, APIResponse]] = []
        ask = """([at, source]) => {
          htmx.ajax('GET', at, { source, target: '#now', select: '#now', swap: 'outerHTML' });
        }"""
        with context:
            page.route(re.compile("earlier"), lambda route: held.append((route, route.fetch())))
            page.evaluate(ask, [f"{address}?earlier", "body"])
            for _ in range(200):
                if held:
                    break
                page.wait_for_timeout(20)
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=2))
            page.evaluate(ask, [f"{address}?later", "html"])
            _until(page, "document.querySelector('#now').textContent.includes('前面 2 人')")
            ((route, answer),) = held
            with page.expect_event("requestfinished", lambda request: request.url.endswith("?earlier")):
                route.fulfill(response=answer)
            page.wait_for_timeout(100)
            _same(browser, page, address)


@pytest.mark.browser
def test_the_answer_to_an_act_is_shown_whatever_was_asked_meanwhile(browser: Browser) -> None:
    """Somebody presses, the page asks for the same part, and is told first what was true before the press."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        held: list[Route] = []
        ask = """([method, at, source]) => {
          htmx.ajax(method, at, { source, target: '#now', select: '#now', swap: 'outerHTML' });
        }"""
        with context:
            page.route(re.compile("press"), lambda route: held.append(route))
            page.evaluate(ask, ["POST", f"{address}?press", "body"])
            for _ in range(200):
                if held:
                    break
                page.wait_for_timeout(20)
            page.evaluate("document.querySelector('#now').dataset.old = ''")
            page.evaluate(ask, ["GET", f"{address}?before", "html"])
            _until(page, "!('old' in document.querySelector('#now').dataset)")
            (route,) = held
            route.fulfill(body=page.content().replace("前面 9 人", "前面 4 人"), content_type="text/html")
            _until(page, "document.querySelector('#now').textContent.includes('前面 4 人')")


@pytest.mark.browser
def test_whoever_has_left_is_not_fetched_back(browser: Browser) -> None:
    """She taps on; before the next page comes, the old one is told to go somewhere else: she gets where she tapped."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = _open(browser, address, visit)
        held: dict[str, Route] = {}

        def wait_for(name: str) -> Route:
            for _ in range(200):
                if name in held:
                    break
                page.wait_for_timeout(20)
            return held[name]

        with context:
            both = re.compile("/visits/v1/(guide|bill)$")
            page.route(both, lambda route: held.update({route.request.url.rpartition("/")[2]: route}))
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            wait_for("guide")
            page.evaluate(f"setTimeout(() => {{ location.href = '{base}/visits/v1/bill'; }})")
            wait_for("bill")
            held["guide"].fulfill(headers={"HX-Redirect": "/visits/v1/story"})
            page.wait_for_timeout(200)
            held["bill"].continue_()
            page.wait_for_url(re.compile("/(bill|story)$"))
            assert page.url.endswith("/bill")


def test_message_is_one_line_and_names_its_targets() -> None:
    """An SSE message must be one line; a companion without the bill gets no amount from any row."""
    row = {
        "kind": "bill.line",
        "data": {"line": line_row(1, "血常规", 2000, "done", "billable"), "sums": _sums(2000, 0)},
    }
    html = render_row(row, Show("v1", NOW, "bill", may_act=True, may_pay=True))
    assert "\n" not in html
    assert [t for t in ("incoming", "sums", "paybar", "note") if f'hx-target="#{t}"' in html] == [
        "incoming",
        "sums",
        "paybar",
        "note",
    ]
    assert render_row(row, Show("v1", NOW, "story", money=False)) == ""
    assert "20.00" not in render_row(row, Show("v1", NOW, "guide", money=False))
    assert render_row(row, Show("v1", NOW, "bill", may_act=False)).count("/dispute") == 0
