"""Every page in every mode: nothing clipped, nothing axe objects to, nothing that breaks the policy."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pwa.samples import samples
from tests.pwa.browser import MODES, Mode, preview, size_of, window

AXE = Path(__file__).parents[2] / "pwa/node_modules/axe-core/axe.min.js"
# Boxes whose text does not fit, sideways scrolling, targets too small for a thumb, type too small for the elderly.
LOOK = """() => {
  const bad = [], root = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const elder = document.documentElement.classList.contains('elder');
  const hidden = '.sr,dialog:not([open]),[hidden],details:not([open]) > :not(summary)';
  const shown = (e) => e.getClientRects().length && !e.closest(hidden);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) bad.push('page scrolls sideways: ' + wide);
  for (const e of document.body.querySelectorAll('*')) {
    if (!shown(e) || e.closest('svg,iframe')) continue;
    const style = getComputedStyle(e);
    const where = e.tagName + '.' + e.className + ' ' + (e.textContent || '').trim().slice(0, 20);
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const box = e.getBoundingClientRect();
    if (own && !e.closest('.wide') && (box.right > innerWidth + 1 || box.left < -1)) bad.push('outside: ' + where);
    const cut = e.scrollWidth > e.clientWidth + 1 && e.clientWidth && style.display !== 'inline';
    if (cut && !e.matches('.wide,input,textarea,select')) bad.push('clipped: ' + where);
    if (own && elder && parseFloat(style.fontSize) < 18) bad.push('small type ' + style.fontSize + ': ' + where);
    const thumb = 'a,button,summary,.pick,select,textarea,.box,.weui-input';
    if (e.matches(thumb) && !e.matches('p.strip a,.sr,.skip')) {
      const least = elder ? 60 : 44, size = `${Math.round(box.width)}x${Math.round(box.height)}`;
      if (box.height < least - 0.5 || box.width < 43.5) bad.push(`target ${size}: ` + where);
    }
  }
  return bad;
}"""


def _listen(page: Page, said: list[str]) -> None:
    page.on("console", lambda m: said.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda e: said.append(str(e)))


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The preview server."""
    with preview() as address:
        yield address


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.name)
def test_every_page_can_be_read_and_used(browser: Browser, base: str, mode: Mode) -> None:
    """An old man with a small phone, a woman with a screen reader, somebody at night: each opens every page.

    Nothing is clipped, no target is too small, axe-core has nothing to say, and no page logs a violation of its own
    Content-Security-Policy or a script error. Pages with a dialog are looked at with the dialog open, too.
    """
    axe = AXE.read_text("utf-8")
    bad: dict[str, list[str]] = {}
    # One window for all pages of a width: a new one for each costs more than all that is looked at in it.
    for _, names in groupby(sorted(samples(), key=size_of), key=size_of):
        pages = list(names)
        with window(browser, mode, pages[0]) as context:
            page = context.new_page()
            said: list[str] = []
            _listen(page, said)
            for name in pages:
                page.goto(f"{base}/{name}{mode.query}")
                found = [*_seen(page, axe), *said]
                if found:
                    bad[name] = found
                page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
                page.goto("about:blank")
                said.clear()
    assert bad == {}


def _seen(page: Page, axe: str) -> list[str]:
    """What is wrong on an open page."""
    found = [str(x) for x in page.evaluate(LOOK)]
    if page.locator("dialog").count():
        page.locator("[data-open]").first.click()
        found += [f"in dialog: {x}" for x in page.evaluate(LOOK)]
    page.evaluate(f"() => {{ {axe}; }}")
    for x in page.evaluate("() => axe.run(document, {iframes: false})")["violations"]:
        node = x["nodes"][0]
        found.append(f"{x['id']}: {node['html'][:120]} {node['failureSummary'][:200]}")
    return found


@pytest.mark.browser
def test_pages_work_without_javascript(browser: Browser, base: str) -> None:
    """A very old phone runs no script: the proof opens, forms are there with their tokens, nothing waits for it."""
    with browser.new_context(java_script_enabled=False, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(f"{base}/bill")
        page.locator("#c4 summary").click()
        assert page.locator("#c4 .proof").is_visible()
        assert page.locator("#c4 a").first.get_attribute("href") == "/visits/v1/lines/4/dispute"
        page.goto(f"{base}/pay")
        form = page.locator("form#pay")
        assert form.get_attribute("method") == "post"
        assert form.locator("input[name=_csrf]").input_value() == "preview"
        assert len(form.locator("input[name=_idem]").input_value()) == 36
        page.goto(f"{base}/letter-single")
        assert page.locator(".dock form button").is_visible()
        page.goto(f"{base}/sign")
        page.locator("summary").click()
        assert page.locator("details form button").is_visible()
        assert page.locator("[data-pad]").is_hidden()


@pytest.mark.browser
@pytest.mark.parametrize(("answer", "how"), [("ok", "ok"), ("cancel", "cancel"), ("fail", "fail"), ("other", "fail")])
def test_wechat_bridge_is_asked_and_the_server_decides(browser: Browser, base: str, answer: str, how: str) -> None:
    """Inside WeChat she taps the button: the bridge gets our parameters, and whatever it says, the server is asked."""
    bridge = (
        "window.WeixinJSBridge = {invoke(name, params, done) { localStorage.asked = JSON.stringify([name, params]);"
        f" done({{err_msg: 'get_brand_wcpay_request:{answer}'}}); }}}};"
    )
    with window(browser, MODES[0]) as context:
        page = context.new_page()
        page.add_init_script(bridge)
        page.route("**/c?r=*", lambda route: route.fulfill(body="asked", content_type="text/plain"))
        page.goto(f"{base}/paying")
        assert page.locator("[data-no-bridge]").is_hidden()
        page.locator("[data-pay-now]").click()
        page.wait_for_url(f"{base}/c?r={how}", timeout=8000)
        assert page.evaluate("localStorage.asked") == '["getBrandWCPayRequest",{"appId":"wx0"}]'


@pytest.mark.browser
def test_key_is_stored_before_the_form_is_sent(browser: Browser, base: str) -> None:
    """The answer to a payment is lost and she opens the sheet again: the form goes out under the same key."""
    with window(browser, MODES[0]) as context:
        page = context.new_page()
        page.route("**/visits/v1/pay", lambda route: route.abort())
        page.goto(f"{base}/pay")
        first = page.locator("form#pay input[name=_idem]").input_value()
        page.locator(".bar button").click()
        page.wait_for_timeout(200)
        page.goto(f"{base}/pay")
        assert page.locator("form#pay input[name=_idem]").input_value() == first
