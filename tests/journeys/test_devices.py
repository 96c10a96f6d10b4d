"""A letter that wanders from one device to another, and the stage on which four people are watched at once."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import VISIT, draw_name, read_letter, scanned

pytestmark = pytest.mark.browser


def test_begun_on_one_device_and_signed_on_another(stage: Stage) -> None:
    """He begins on the computer, scans its code with the phone and signs there; the computer says so by itself."""
    computer, phone = stage.phone("youth"), stage.phone("youth")
    computer.set_viewport_size({"width": 1280, "height": 900})
    computer.get_by_role("link", name="看一看，去签").click()
    reading = computer.url
    computer.get_by_role("link", name="换个设备看和签").click()
    path = scanned(computer.locator(".qr img"))

    # A stranger who catches the code sees nothing of him, and the code is not spent.
    stranger = stage.phone("son")
    stranger.goto(stage.url("son", path))
    expect(stranger.locator("main")).not_to_contain_text("李")
    stranger.get_by_role("button", name="在这台设备上接着看").click()
    expect(stranger.locator("main")).to_contain_text("没有找到")

    phone.goto(stage.url("youth", path))
    phone.get_by_role("button", name="在这台设备上接着看").click()
    expect(computer.locator("main")).to_contain_text("已经在另一台设备上接着看了")
    assert phone.url == reading, "the same reading goes on: what was read counts"
    read_letter(phone)
    draw_name(phone)
    expect(phone.locator("main")).to_contain_text("签好了")
    expect(computer.locator("main")).to_contain_text("签好了")

    # The code works once.
    stranger.goto(stage.url("son", path))
    stranger.get_by_role("button", name="在这台设备上接着看").click()
    expect(stranger.locator("main")).to_contain_text("没有找到")


def _open_stage(stage: Stage) -> tuple[Page, list[str]]:
    context = stage.browser.new_context(
        viewport={"width": 1400, "height": 900}, locale="zh-CN", reduced_motion="reduce"
    )
    stage.opened.append(context)
    page = context.new_page()
    said: list[str] = []

    def hear(message: str) -> None:
        # A frame that moves on to its next page cuts its own line; the browser notes that, and it is no complaint.
        if not any(word in message for word in ("network error", "Failed to fetch", "net::ERR_ABORTED")):
            said.append(message)

    page.on("console", lambda message: hear(message.text))
    page.on("pageerror", lambda error: hear(str(error)))
    page.goto(f"http://127.0.0.1:{stage.port}/demo")
    return page, said


def test_the_stage_plays_twice_in_a_day(stage: Stage) -> None:
    """Played to the end, paid in the daughter's frame, and played again: every frame follows, none complains."""
    page, said = _open_stage(stage)
    names = ("妈妈的手机", "女儿的手机", "陪着看的邻居", "医院导诊台")
    mother, daughter, neighbour, desk = (page.frame_locator(f"iframe[title='{name}']") for name in names)
    for frame in (mother, daughter, neighbour, desk):
        expect(frame.locator("main")).to_be_visible(timeout=15_000)
    for _ in range(2):
        page.get_by_role("button", name="20 倍").click()
        page.locator("[data-key=play]").click()
        expect(neighbour.locator("#list-story")).to_contain_text("做完了", timeout=20_000)
        expect(page.locator("#caption")).to_contain_text("今天的就诊结束", timeout=40_000)
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
