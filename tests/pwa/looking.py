"""Looks at every page in one mode: nothing clipped, nothing axe objects to, nothing that breaks the policy."""

from itertools import groupby
from pathlib import Path

from playwright.sync_api import Browser, Page

from pwa.samples import samples
from tests.pwa.browser import Mode, size_of, window

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


def wrong_pages(browser: Browser, base: str, mode: Mode) -> dict[str, list[str]]:
    """What is wrong in a mode, by page; pages with a dialog are looked at with the dialog open, too."""
    bad: dict[str, list[str]] = {}
    # One window for all pages of a width: a new one for each costs more than all that is looked at in it.
    for _, names in groupby(sorted(samples(), key=size_of), key=size_of):
        pages = list(names)
        with window(browser, mode, pages[0]) as context:
            # Given to the window once: handing half a megabyte to every page takes longer than axe's own look.
            context.add_init_script(path=AXE)
            page = context.new_page()
            said: list[str] = []
            _listen(page, said)
            for name in pages:
                page.goto(f"{base}/{name}{mode.query}")
                found = [*_seen(page), *said]
                if found:
                    bad[name] = found
                page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
                said.clear()
    return bad


def _seen(page: Page) -> list[str]:
    """What is wrong on an open page."""
    found = [str(x) for x in page.evaluate(LOOK)]
    if page.locator("dialog").count():
        page.locator("[data-open]").first.click()
        found += [f"in dialog: {x}" for x in page.evaluate(LOOK)]
    for x in page.evaluate("() => axe.run(document, {iframes: false, resultTypes: ['violations']})")["violations"]:
        node = x["nodes"][0]
        found.append(f"{x['id']}: {node['html'][:120]} {node['failureSummary'][:200]}")
    return found


def _listen(page: Page, said: list[str]) -> None:
    page.on("console", lambda m: said.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda e: said.append(str(e)))
