"""A letter that wanders from one device to another."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import draw_name, read_letter, scanned

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
