"""Looks at every page in two modes: nothing clipped, nothing axe objects to, nothing that breaks the policy."""

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

TURN = """(type) => {
  for (const e of document.querySelectorAll('dialog[open]')) e.close();
  const root = document.documentElement.classList;
  for (const x of [...root]) if (/^s\\d+$/.test(x)) root.replace(x, type);
}"""
# Which elements are shown, as one number: what axe reads beyond colours and sizes can only change with it. Pictures
# that readers are not told of do not count.
SHOWN = """() => {
  let hash = 0;
  for (const e of document.querySelectorAll(':not([aria-hidden=true],[aria-hidden=true] *)'))
    hash = (hash * 31 + (e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden' ? 2 : 1)) | 0;
  return hash;
}"""
EVERYTHING = ""
SIZES = """runOnly: {type: 'rule', values:
  ['color-contrast', 'link-in-text-block', 'scrollable-region-focusable', 'target-size', 'css-orientation-lock']}"""
"""All that larger type can change as long as the same elements are shown: ``test_size_is_a_class`` holds the rest."""
COLOURS = "runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
"""All that night can change: ``test_pages_ordinary`` sees to it that the style sheets change nothing else."""
WIDE_FROM = 1000


def wrong_pages(browser: Browser, base: str, first: Mode, then: Mode) -> dict[str, list[str]]:
    """What is wrong in two modes, by page and mode; pages with a dialog are looked at with the dialog open, too.

    Each page is opened in the first mode and turned to the second where it stands, which shows the same as opening it
    anew (``turned``) in half the time; a page for wide screens is opened once more on the small phone.
    """
    bad: dict[str, list[str]] = {}
    # One window for all pages of a width: a new one for each costs more than all that is looked at in it.
    for size, names in groupby(sorted(samples(), key=size_of), key=size_of):
        pages = list(names)
        together = size == "phone" or first.width == then.width
        rounds = [(first, then)] if together else [(first,), (then,)]
        for modes in rounds:
            with window(browser, modes[0], pages[0]) as context:
                # Given to the window once: handing half a megabyte to every page takes longer than axe's own look.
                context.add_init_script(path=AXE)
                bad |= _looked_at(context.new_page(), base, pages, modes)
    return bad


def _looked_at(page: Page, base: str, names: list[str], modes: tuple[Mode, ...]) -> dict[str, list[str]]:
    bad: dict[str, list[str]] = {}
    said: list[str] = []
    _listen(page, said)
    for name in names:
        page.goto(f"{base}/{name}{modes[0].query}")
        shown = page.evaluate(SHOWN)
        for mode in modes:
            rules = EVERYTHING
            if mode is not modes[0]:
                turned(page, mode)
                rules = COLOURS if mode.dark else SIZES if page.evaluate(SHOWN) == shown else EVERYTHING
            found = [*_seen(page, rules), *said]
            if found:
                bad[f"{name} ({mode.name})"] = found
            said.clear()
        turned(page, modes[0])
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    return bad


def turned(page: Page, mode: Mode) -> None:
    """An open page in another mode: night is a question of the style sheet, size of a class and of the window."""
    page.emulate_media(color_scheme="dark" if mode.dark else "light")
    if page.viewport_size is not None and page.viewport_size["width"] < WIDE_FROM:
        page.set_viewport_size({"width": mode.width, "height": mode.height})
    page.evaluate(TURN, mode.type_class)


def _seen(page: Page, rules: str) -> list[str]:
    """What is wrong on an open page."""
    found = [str(x) for x in page.evaluate(LOOK)]
    if page.locator("dialog").count():
        page.locator("[data-open]").first.click()
        found += [f"in dialog: {x}" for x in page.evaluate(LOOK)]
    asked = f"{{iframes: false, resultTypes: ['violations'], {rules}}}"
    for x in page.evaluate(f"() => axe.run(document, {asked})")["violations"]:
        node = x["nodes"][0]
        found.append(f"{x['id']}: {node['html'][:120]} {node['failureSummary'][:200]}")
    return found


def _listen(page: Page, said: list[str]) -> None:
    page.on("console", lambda m: said.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda e: said.append(str(e)))
