"""The stage on which four people are watched at once."""

import re

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import VISIT, draw_name, read_letter

pytestmark = pytest.mark.browser


def _open_stage(stage: Stage) -> tuple[Page, list[str]]:
    context = stage.browser.new_context(
        viewport={"width": 1400, "height": 900}, locale="zh-CN", reduced_motion="reduce"
    )
    stage.opened.append(context)
    page = context.new_page()
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A frame that moves on cuts its own line, and a line that was shut is refused: noted, and no complaint.
        cut = ("htmx:sse:error", "Failed to fetch", "net::ERR_ABORTED")
        if "/stream?" not in message.location["url"] and not any(word in message.text for word in cut):
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{stage.port}/demo")
    return page, said


def test_the_stage_plays_twice_in_a_day(stage: Stage) -> None:
    """A step by hand, then to the end, paid in the daughter's frame, and again from the letter: every frame follows."""
    page, said = _open_stage(stage)
    names = ("妈妈的手机", "女儿的手机", "陪着看的邻居", "医院导诊台")
    mother, daughter, neighbour, desk = (page.frame_locator(f"iframe[title='{name}']") for name in names)
    for frame in (mother, daughter, neighbour, desk):
        expect(frame.locator("main")).to_be_visible(timeout=15_000)
    before = page.locator(".caption .dim").inner_text()
    page.get_by_role("button", name="下一步").click()  # one step, and no further by itself
    expect(page.locator(".caption .dim")).not_to_have_text(before)
    expect(page.locator(".caption .dim")).to_contain_text("第 1 步")
    # A press counts though the stage changes while it lasts.
    page.get_by_role("button", name="4 倍").hover()
    page.mouse.down()
    with page.expect_response("**/demo"):
        page.evaluate("htmx.trigger('#stream', 'refresh')")
    page.wait_for_timeout(100)
    page.mouse.up()
    expect(page.get_by_role("button", name="4 倍")).to_have_attribute("aria-pressed", "true")
    for script in ("cardiology", "letter"):
        if script == "letter":
            page.get_by_role("button", name="从签名看起").click()
        page.get_by_role("button", name="20 倍").click()
        page.locator("[data-key=play]").click()
        if script == "letter":
            expect(page.locator("#caption")).to_contain_text("等她签名")
            expect(mother.locator("#today")).to_contain_text("这次先缴费")
            mother.get_by_role("link", name="看一看，去签").click()
            read_letter(mother)
            draw_name(mother, page.mouse)
        expect(neighbour.locator("#list-story")).to_contain_text("做完了", timeout=20_000)
        expect(page.locator("#caption")).to_contain_text("今天的就诊结束", timeout=90_000)
        expect(mother.locator("#visit")).to_contain_text("前付", timeout=15_000)
        expect(neighbour.locator("main")).to_contain_text("这次看完了", timeout=15_000)
        assert "¥" not in neighbour.locator("main").inner_text()
        expect(daughter.locator("main")).to_contain_text("做了哪些项目没有开放给您看", timeout=15_000)
        daughter.get_by_role("link", name=re.compile("去付款 ¥")).click()
        daughter.get_by_role("button", name=re.compile("付 ¥")).click()
        daughter.locator("[data-pay-now]").click()
        daughter.locator("#wechat-sheet").get_by_role("button", name="付款").click()
        expect(daughter.locator("main")).to_contain_text("付好了", timeout=20_000)
        expect(mother.locator("#paybar")).to_contain_text("都付清了", timeout=15_000)
        expect(desk.locator("main")).to_contain_text("24小时动态心电图", timeout=10_000)
    assert said == []
    assert VISIT.search(page.locator("iframe").first.get_attribute("src") or "")
