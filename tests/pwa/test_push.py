"""A browser is rung: the worker shows what came under its tag, and nothing of what is not ours."""

import json
from http.server import ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.pwa.browser import MODES, until
from tests.pwa.test_offline import server  # noqa: F401  a fixture

# A window like this one has no leave to show anything, so what the worker would show is kept.
KEEP = """() => { self.shown = []; Object.defineProperty(self.registration, 'showNotification',
    { value: async (title, { body, tag, data }) => { self.shown.push({ title, body, tag, url: data }); } }); }"""


@pytest.mark.browser
def test_the_worker_shows_a_push_under_its_tag(browser: Browser, server: ThreadingHTTPServer) -> None:  # noqa: F811
    """What the push service hands over is shown with its tag, by which a second one of ours replaces the first; an
    empty one is not shown."""
    mode, base = MODES[0], f"http://127.0.0.1:{server.server_port}"
    with browser.new_context(viewport={"width": mode.width, "height": mode.height}, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(f"{base}/visits/v1/bill")
        until(page, "() => navigator.serviceWorker.ready.then((r) => r.active?.state === 'activated')")
        worker = context.service_workers[0]
        worker.evaluate(KEEP)
        line = context.new_cdp_session(page)
        registered: list[str] = []
        line.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda told: registered.extend(r["registrationId"] for r in told["registrations"]),
        )
        line.send("ServiceWorker.enable")
        for _ in range(500):
            if registered:
                break
            page.wait_for_timeout(20)
        note = {"title": "示例医院 叫到您了", "body": "轮到您了，请现在进去。", "tag": "t1", "url": "/visits/v1/guide"}
        for data in (note, {}, note):
            asked = {"origin": base, "registrationId": registered[-1], "data": json.dumps(data)}
            line.send("ServiceWorker.deliverPushMessage", asked)
        for _ in range(500):
            if len(worker.evaluate("() => self.shown")) >= 2:
                break
            page.wait_for_timeout(20)
        assert worker.evaluate("() => self.shown") == [note, note]
