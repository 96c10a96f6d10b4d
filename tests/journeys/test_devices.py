"""A letter that wanders from one device to another, in the hands of somebody of fifteen who needs nobody with him."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import ask, draw_name, pay_in_wechat, read_letter, scanned, visit_of

pytestmark = pytest.mark.browser


def test_fifteen_alone_and_on_two_devices(stage: Stage) -> None:
    """He books, begins the letter on the computer and signs on the phone, is seen, and pays: nobody stands for him."""
    hospital, computer, phone = stage.hospital, stage.phone("youth"), stage.phone("youth")
    phone.goto(stage.url("youth", "/book"))
    phone.get_by_role("link", name=re.compile("全科医学门诊")).click()
    phone.locator(".days a").nth(1).click()
    phone.locator("a.time").last.click()
    phone.get_by_role("button", name="约这个号").click()
    expect(phone.locator("h1")).to_have_text("约好了")

    computer.set_viewport_size({"width": 1280, "height": 900})
    computer.get_by_role("link", name="看一看，去签").click()
    other = computer.get_by_role("link", name="换个设备看和签")
    expect(other).to_be_visible()
    reading = computer.url
    other.click()
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
    expect(phone).to_have_url(reading)  # the same reading goes on: what was read counts
    read_letter(phone)
    draw_name(phone)
    expect(phone.locator("main")).to_contain_text("签好了")
    expect(computer.locator("main")).to_contain_text("签好了")

    # The code works once.
    stranger.goto(stage.url("son", path))
    stranger.get_by_role("button", name="在这台设备上接着看").click()
    expect(stranger.locator("main")).to_contain_text("没有找到")

    # He comes a day early and is seen; the bill is owed by whoever stands for him, and he pays it himself.
    (booking,) = hospital.held("李想")
    encounter = hospital.post("appointments/arrive", booking=booking)["result"]
    hospital.post("confirm", order_no=hospital.act("order", encounter=encounter, template="BLOODBASIC"))
    hospital.act("finish", encounter=encounter)
    phone.goto(stage.url("youth"))
    visit = visit_of(phone)
    phone.goto(stage.url("youth", f"/visits/{visit}/bill"))
    expect(phone.locator("#list-done")).to_contain_text("血常规")
    assert ask(phone, f"/api/visits/{visit}")["debtor"] == {"guardian": True, "minor": True, "name": None}
    owed = ask(phone, f"/api/visits/{visit}")["sums"]["payable_fen"]  # with what he had done elsewhere today
    assert owed >= hospital.line(encounter)["self_fen"] > 0
    phone.get_by_role("link", name=re.compile("去付款 ¥")).click()
    pay_in_wechat(phone, owed)
    assert [s["total_fen"] for s in hospital.settled(encounter)] == [owed]
