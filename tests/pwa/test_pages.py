"""What pages do in a browser: without scripts, with WeChat's bridge, with an answer that is lost."""

import pytest
from playwright.sync_api import Browser

from pwa.samples import samples
from tests.pwa.browser import MODES, window

# What can be seen and does nothing: a button or a link that only a script would bring to life, a page without words.
DEAD = """() => {
  const shown = (e) => e.checkVisibility({ visibilityProperty: true });
  const dead = [...document.querySelectorAll('button')].filter((e) => shown(e) && (e.type === 'button' || !e.form));
  dead.push(...[...document.querySelectorAll('a:not([href]), a[href="#"]')].filter(shown));
  return [...dead.map((e) => e.outerHTML), ...(document.querySelector('main').innerText.trim() ? [] : ['no words'])];
}"""


@pytest.mark.browser
def test_nothing_that_is_shown_needs_javascript(browser: Browser, base: str) -> None:
    """Each template at its longest, on a phone that runs no script: whatever can be tapped does something."""
    longest = {s.template: name for name, s in sorted(samples().items(), key=lambda one: len(str(one[1].view)))}
    assert len(longest) > 50
    dead = {}
    with browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        for name in longest.values():
            page.goto(f"{base}/{name}")  # with its style sheet, which hides what needs a script
            if found := page.evaluate(DEAD):
                dead[name] = found
    assert dead == {}


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
        page.wait_for_function("location.protocol === 'chrome-error:'")
        page.goto(f"{base}/pay")
        assert page.locator("form#pay input[name=_idem]").input_value() == first
