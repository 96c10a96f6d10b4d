"""Every page in every mode: nothing clipped, nothing axe objects to, nothing that breaks the policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pwa.samples import samples
from tests.pwa.browser import MODES, Mode, chromium, preview, window

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
def browser() -> Iterator[Browser]:
    """One browser for all pages."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The preview server."""
    with preview() as address:
        yield address


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.name)
def test_nothing_is_clipped_or_too_small(browser: Browser, base: str, mode: Mode) -> None:
    """An old man with a small phone and big type opens each page: he can read all of it and hit every button.

    The same visit also proves the policy: no page logs a CSP violation or a script error.
    """
    bad: dict[str, list[str]] = {}
    for name in samples():
        with window(browser, mode, name) as context:
            page = context.new_page()
            said: list[str] = []
            _listen(page, said)
            page.goto(f"{base}/{name}{mode.query}")
            found = page.evaluate(LOOK)
            found += said
            if page.locator("dialog").count():
                page.locator("[data-open]").first.click()
                found += [f"in dialog: {x}" for x in page.evaluate(LOOK)]
            if found:
                bad[name] = found
    assert bad == {}


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.name)
def test_axe_finds_nothing(browser: Browser, base: str, mode: Mode) -> None:
    """A blind woman's screen reader and a weak-sighted man's eyes: axe-core has nothing to say about any page."""
    bad: dict[str, list[str]] = {}
    for name in samples():
        with window(browser, mode, name, bypass_csp=True) as context:
            page = context.new_page()
            page.goto(f"{base}/{name}{mode.query}")
            page.add_script_tag(path=AXE)
            if page.locator("dialog").count():
                page.locator("[data-open]").first.click()
            result = page.evaluate("() => axe.run(document, {iframes: false})")
            found = [
                f"{x['id']}: {x['nodes'][0]['html'][:120]} {x['nodes'][0]['failureSummary'][:200]}"
                for x in result["violations"]
            ]
            if found:
                bad[name] = found
    assert bad == {}
