"""What several journeys do alike: find today's visit, read and sign the letter, pay through WeChat."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import FrameLocator, Locator, Mouse, Page, expect

from houfu.demo import OUTSIDE_FROM
from sandbox import town
from sandbox.wechat_account import CODE_URL
from tests.journeys.camera import scan

VISIT = re.compile(r"/visits/([0-9a-f-]{36})")


def visit_of(page: Page) -> str:
    """The visit that the first page leads to; it comes by itself when the hospital's word is still on its way."""
    link = page.locator('a[href^="/visits/"][href$="/pass"], a[href^="/visits/"][href$="/story"]').first
    expect(link).to_be_visible(timeout=10_000)
    found = VISIT.search(link.get_attribute("href") or "")
    assert found
    return found[1]


def ask(page: Page, path: str) -> dict[str, Any]:
    """What a program on this phone is told; only the browser itself knows the way to these hosts."""
    found: dict[str, Any] = page.evaluate("path => fetch(path).then(answer => answer.json())", path)
    return found


def yuan(fen: int) -> str:
    """As pages write it."""
    return f"{fen // 100}.{fen % 100:02}"


def scanned(shown: Locator, by: str = "husband") -> str:
    """The path a scanned code leads to; which of our addresses it names does not matter to a phone with its own.

    A code of the hospital's account is scanned in WeChat, and what the account answers there is tapped.

    Args:
        by: whose WeChat it is, by the key in the town's list of people.
    """
    text = scan(shown)
    if text.startswith(CODE_URL):
        openid = next(p["openid"] for p in town.people() if p["key"] == by)
        wechat = (urlsplit(shown.page.url).port or 0) + OUTSIDE_FROM + town.NAMES.index("wechat")
        asked = {"openid": openid, "text": text}
        seen = httpx.post(f"http://127.0.0.1:{wechat}/control/scan", json=asked, trust_env=False, timeout=20).json()
        (path,) = parse_qs(urlsplit(str(seen["reply"]["url"])).query)["to"]
        return path
    return urlsplit(text).path


def says_yes(page: Page, other: Page) -> None:
    """Whoever opened the code on this page stands there by itself, and is let in; their own page turns to it."""
    page.locator("#claims").get_by_role("button", name="是，加上").click()
    other.get_by_role("link", name="去“家人”看看").click()


def read_letter(page: Page | FrameLocator) -> None:
    """Read to the end until the pen is handed over; before that the way on is shut."""
    agree = page.locator("#agree")
    page.locator("#end").scroll_into_view_if_needed()
    expect(agree).to_have_attribute("aria-disabled", "false", timeout=10_000)
    agree.click()


def draw_name(page: Page | FrameLocator, hand: Mouse | None = None) -> None:
    """Write a name into the white field with the finger, and hand it in.

    Args:
        hand: needed where the page stands in a frame.
    """
    hand = hand or page.mouse  # type: ignore[union-attr]  # a frame has none
    page.get_by_role("button", name="手写签名").click()
    field = page.locator("canvas.pad")
    expect(field).to_be_visible()
    box = field.bounding_box()
    assert box
    for stroke in range(3):
        x, y = box["x"] + 40 + 70 * stroke, box["y"] + 30
        hand.move(x, y)
        hand.down()
        for step in range(1, 12):
            hand.move(x + 4 * step, y + 6 * step + 8 * (step % 3))
        hand.up()
    expect(page.locator("#strokes-said")).to_have_text("已写 3 笔")
    page.locator("#pad-dialog").get_by_role("button", name="签好了").click()


def press_in_wechat(page: Page, fen: int) -> None:
    """From the pay sheet through the bridge WeChat gives its pages."""
    expect(page.locator(".total")).to_contain_text(yuan(fen))
    page.wait_for_load_state()  # a page can be shown before the whole of it has come
    if page.locator("[name=way][value=insurance]").count():  # the patient's side could use the insurance first
        page.locator("[name=way][value=wechat]").check()
        page.get_by_role("button", name="下一步").click()
    else:
        page.get_by_role("button", name=f"付 ¥{yuan(fen)}").click()
    page.locator("[data-pay-now]").click()
    page.locator("#wechat-sheet").get_by_role("button", name="付款").click()


def pay_in_wechat(page: Page, fen: int) -> None:
    """From the pay sheet to the receipt."""
    press_in_wechat(page, fen)
    expect(page).to_have_url(re.compile("/receipt"), timeout=45_000)
    expect(page.locator("main")).to_contain_text("付好了")
