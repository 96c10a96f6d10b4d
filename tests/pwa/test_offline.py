"""The network goes away in the cellar of the hospital: what was seen once is there, with its age; money never is."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, Route

from pwa.preview import Preview, qr_png
from pwa.render import Prefs, renderer
from pwa.samples import NOW, samples
from pwa.views import Pass
from tests.pwa.browser import MODES, until, window

PATHS = {
    "/visits/v1/bill": "bill",
    "/visits/v1/pay": "pay",
    "/visits/v1/guide": "guide",
    "/visits/v1/ways": "ways",
    "/offline": "offline",
}
SHOWN = "() => [...document.querySelectorAll('.map')].filter((m) => m.getClientRects().length).map((m) => m.id)"
SHOWN_CODE = "() => ((i) => i.src.endsWith('/kept.png') && i.naturalWidth > 100)(document.querySelector('.qr img'))"
WIDTH = "() => document.querySelector('.map.on > svg').getAttribute('viewBox').split(' ')[2] * 1"


class Answers(Preview):
    """Pages with the worker on, at their real addresses."""

    posts = 0

    def do_GET(self) -> None:
        """A page, the pass, its picture, or what the preview knows."""
        prefs = Prefs(now=NOW, csrf="t", path=self.path)
        if self.path == "/visits/v1/pass":
            view = samples()["pass"].view
            assert isinstance(view, Pass)
            live, kept = "/visits/v1/pass/live.png", "/visits/v1/pass/kept.png"
            body = renderer().page("pass.html", replace(view, live_url=live, kept_url=kept), prefs)
            self.answer(body, renderer().headers(prefs))
        elif self.path.startswith(("/visits/v1/pass/kept.png", "/visits/v1/pass/live.png")):
            self.answer(qr_png(), {"Content-Type": "image/png"})
        elif self.path in PATHS:
            sample = samples()[PATHS[self.path]]
            self.answer(renderer().page(sample.template, sample.view, prefs), renderer().headers(prefs))
        else:
            super().do_GET()


def spread(page: Page, before: int, after: int) -> None:
    """Two fingers on the floor that is shown, so many pixels apart, move so many apart."""
    page.locator(".map.on > svg").scroll_into_view_if_needed()
    at = page.locator(".map.on > svg").bounding_box()
    assert at is not None
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", before), ("touchMove", after), ("touchEnd", None)):
        points = (
            [] if apart is None else [{"x": x + side * apart / 2, "y": y, "id": n} for n, side in enumerate((-1, 1))]
        )
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """The server that will go away."""
    opened = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=opened.serve_forever, daemon=True)
    thread.start()
    yield opened
    opened.shutdown()
    opened.server_close()
    thread.join(5)


@pytest.mark.browser
def test_pass_and_bill_open_without_a_network_and_say_how_old_they_are(
    browser: Browser, server: ThreadingHTTPServer
) -> None:
    """Seen: pass, bill, guide. Then no network: all open with the age line; the pay sheet does not, it says offline.

    With the guide come the ways between the places of the visit, though nobody opened them: words, pictures that turn
    to the next floor at a tap on the lift, nearer at a button; the dot that walks stands still for who wants no motion.
    """
    base = f"http://127.0.0.1:{server.server_port}"
    mode = MODES[0]
    with browser.new_context(viewport={"width": mode.width, "height": mode.height}, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(f"{base}/visits/v1/pass")
        page.wait_for_function("() => navigator.serviceWorker.ready.then(() => 1)")
        for path in ("/visits/v1/pass", "/visits/v1/bill", "/visits/v1/pay", "/visits/v1/guide"):
            page.goto(base + path)
            assert page.locator("#age").is_hidden()
        until(page, "async () => Boolean(await caches.match('/visits/v1/ways'))")
        page.evaluate("async () => (await caches.open('pages-1')).delete('/visits/v1/ways')")
        assert not page.evaluate("async () => Boolean(await caches.match('/visits/v1/ways'))")
        page.evaluate("() => fetch('/visits/v1/guide', { headers: { 'HX-Request': 'true' } })")
        until(page, "async () => Boolean(await caches.match('/visits/v1/ways'))")
        kept = page.evaluate(
            "async () => (await Promise.all((await caches.keys()).map(async (n) =>"
            " (await (await caches.open(n)).keys()).map((r) => new URL(r.url).pathname)))).flat()"
        )
        assert "/visits/v1/pass" in kept
        assert "/visits/v1/pass/kept.png" in kept
        assert "/visits/v1/bill" in kept
        assert "/visits/v1/pay" not in kept
        context.set_offline(True)
        server.shutdown()
        for path in ("/visits/v1/pass", "/visits/v1/bill", "/visits/v1/guide", "/visits/v1/ways"):
            page.goto(base + path)
            assert page.locator("#age").is_visible()
            assert "今天 10:24 保存的内容" in page.locator("#age").inner_text()
        assert page.locator("details[open] ol.walk").inner_text().split() == ["乘2号电梯到2楼。", "左手边就是抽血处。"]
        walking = "(e) => getComputedStyle(e).animationName"
        page.evaluate("() => document.documentElement.classList.add('elder')")
        assert page.locator(".map.on .dot").evaluate(walking) == "none"
        page.evaluate("() => document.documentElement.classList.remove('elder')")
        assert page.locator(".map.on .dot").evaluate(walking) == "walk"
        page.emulate_media(reduced_motion="reduce")
        assert page.locator(".map.on .dot").evaluate(walking) == "none"
        assert page.evaluate(SHOWN) == ["way-0-0"]
        page.locator(".map.on [data-to]").click()
        assert page.evaluate(SHOWN) == ["way-0-1"]
        assert page.locator(".chip[aria-current]").inner_text() == "2 门诊楼2楼"
        page.evaluate("() => document.querySelector('#way-0-0').remove()")
        before = page.evaluate(WIDTH)
        page.locator("[data-zoom=in]").click()
        assert page.evaluate(WIDTH) == pytest.approx(before * 0.6)
        page.locator("[data-zoom=fit]").click()
        assert page.evaluate(WIDTH) == before
        spread(page, 60, 120)
        assert page.evaluate(WIDTH) == pytest.approx(before / 2, rel=0.01)
        page.evaluate("() => { window.said = []; speechSynthesis.speak = (s) => said.push(s.lang, s.text); }")
        page.locator("details[open] [data-say]").first.click()
        assert page.evaluate("said") == ["zh-CN", "乘2号电梯到2楼。"]
        page.goto(f"{base}/visits/v1/pass")
        page.wait_for_function(SHOWN_CODE)
        assert page.locator("#pass-kept").is_visible()
        assert page.locator("#pass-live").is_hidden()
        page.goto(f"{base}/visits/v1/pay")
        assert page.locator("h1").inner_text() == "网络不通"


@pytest.mark.browser
def test_a_line_that_answers_nothing_leaves_no_empty_pass(browser: Browser, server: ThreadingHTTPServer) -> None:
    """The phone says it is connected and nothing comes: the kept code stands there, and the live one once it can."""
    base = f"http://127.0.0.1:{server.server_port}"
    asked: list[Route] = []
    with window(browser, MODES[0]) as context:
        page = context.new_page()
        page.route("**/live.png*", lambda route: asked.append(route))
        page.clock.install(time=NOW)
        page.clock.pause_at(NOW + timedelta(seconds=1))
        page.goto(f"{base}/visits/v1/pass", wait_until="domcontentloaded")
        page.clock.run_for(2400)
        assert page.locator("#pass-live").is_visible()
        page.clock.run_for(200)
        page.wait_for_function(SHOWN_CODE)
        assert page.locator("#pass-kept").is_visible()
        assert page.locator("#pass-live").is_hidden()
        page.unroute("**/live.png*")
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_function("() => document.querySelector('.qr img').src.includes('/live.png?')")
        assert page.locator("#pass-live").is_visible()
        # It comes late, and what has come later stays.
        page.clock.run_for(2600)
        assert page.locator("#pass-live").is_visible()
    assert asked
