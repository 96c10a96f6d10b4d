"""Looks at every page in every mode: nothing clipped, nothing axe objects to, nothing that breaks the policy."""

from itertools import groupby
from pathlib import Path

from playwright.sync_api import Browser, Page

from pwa.samples import samples
from tests.pwa.browser import ARGS, CHROMIUM, DARK, ELDER, MODES, SMALL, STANDARD, Mode, size_of, window

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
# What the page says, without what forms hide; by itself what 长辈版 changes on all pages alike.
SAID = """() => {
  const text = (e) => e.outerHTML.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '').replace(/\\s+/g, ' ');
  const body = document.body.cloneNode(true), alike = [];
  for (const e of body.querySelectorAll('input[type=hidden]')) e.remove();
  for (const e of body.querySelectorAll('.aid,form[data-elder],nav.tabs')) { alike.push(text(e)); e.remove(); }
  return {own: text(body), alike: alike.join('')};
}"""
AXE_SAYS = """async (rules) => {
  const only = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
  const {violations} = await axe.run(document, {iframes: false, resultTypes: ['violations'], ...only});
  return violations.map(({id, nodes: [{html, failureSummary}]}) =>
    `${id}: ${html.slice(0, 120)} ${failureSummary.slice(0, 200)}`);
}"""
# One question for all of it: each costs the way to the browser and back. Where a dialog waits, axe is asked later.
SEEN = f"""async (rules) => {{
  const dialog = document.querySelector('dialog') !== null;
  return {{
    shown: ({SHOWN})(), said: ({SAID})(), dialog,
    bad: [...({LOOK})(), ...(dialog ? [] : await ({AXE_SAYS})(rules))],
  }};
}}"""
WIDE_FROM = 1000
ONLY_LOOKS = "--disable-threaded-compositing"  # takes a tenth of the processor off, and the finger
EVERYTHING: list[str] = []
COLOURS = ["color-contrast", "link-in-text-block"]
"""All that night can change: ``test_modes`` sees to it that the style sheets change nothing else."""
SIZES = [*COLOURS, "scrollable-region-focusable", "css-orientation-lock"]
"""All that larger type can change as long as the page says the same and shows the same elements."""
SMALLEST = [*SIZES, "target-size"]
"""Of our own accord on the smallest phone, too: how much room a finger has between two targets."""


def wrong_pages(browser: Browser, base: str, part: int, parts: int) -> dict[str, list[str]]:
    """What is wrong in any mode, by page and mode; pages with a dialog are looked at with the dialog open, too.

    Each page is opened in ordinary type and in 长辈版, and turned to night and to the largest type where it stands,
    which shows the same as opening it anew (``turned``); a page for wide screens is opened once more on a small phone.

    Args:
        part: of ``parts`` shares of all pages, the one that is looked at.
    """
    bad: dict[str, list[str]] = {}
    with browser.browser_type.launch(executable_path=CHROMIUM, args=[*ARGS, ONLY_LOOKS]) as looking:
        # One window for all pages of a width: a new one for each costs more than all that is looked at in it.
        for size, names in groupby(sorted(samples(), key=size_of), key=size_of):
            pages = list(names)[part::parts]
            rounds = [MODES] if size == "phone" else [(STANDARD, DARK, ELDER), (SMALL,)]
            for modes in rounds if pages else []:
                with window(looking, modes[0], pages[0]) as context:
                    # Given to the window once: handing half a megabyte to every page takes longer than axe's own look.
                    context.add_init_script(path=AXE)
                    bad |= _looked_at(context.new_page(), base, pages, modes)
    return bad


def _looked_at(page: Page, base: str, names: list[str], modes: tuple[Mode, ...]) -> dict[str, list[str]]:
    bad: dict[str, list[str]] = {}
    wrong: list[str] = []
    met: set[str] = set()  # of what is alike on all pages of 长辈版, what has been looked at there
    _listen(page, wrong)
    for name in names:
        own, shown = "", None
        for mode in modes:
            turned(page, mode)
            if mode is modes[0] or mode is ELDER:
                page.goto(f"{base}/{name}{mode.query}")
            if mode is ELDER:
                said = page.evaluate(SAID)
                rules = SIZES if said["own"] == own and said["alike"] in met else EVERYTHING
                met.add(said["alike"])
            elif mode is DARK:
                rules = COLOURS
            else:
                rules = SMALLEST if mode is not modes[0] and page.evaluate(SHOWN) == shown else EVERYTHING
            seen = page.evaluate(SEEN, rules)
            found = [*seen["bad"], *(_in_dialog(page, rules) if seen["dialog"] else []), *wrong]
            if found:
                bad[f"{name} ({mode.name})"] = [str(x) for x in found]
            own, shown = seen["said"]["own"], seen["shown"]
            wrong.clear()
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    return bad


def turned(page: Page, mode: Mode) -> None:
    """An open page in another mode: night is a question of the style sheet, size of a class and of the window."""
    page.emulate_media(color_scheme="dark" if mode.dark else "light")
    if page.viewport_size is not None and page.viewport_size["width"] < WIDE_FROM:
        page.set_viewport_size({"width": mode.width, "height": mode.height})
    page.evaluate(TURN, mode.type_class)


def _in_dialog(page: Page, rules: list[str]) -> list[str]:
    """What is wrong on an open page while its dialog stands before it."""
    page.locator("[data-open]").first.evaluate("e => e.click()")
    return [*(f"in dialog: {x}" for x in page.evaluate(LOOK)), *page.evaluate(AXE_SAYS, rules)]


def _listen(page: Page, wrong: list[str]) -> None:
    page.on("console", lambda m: wrong.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
