"""A daughter afar books for her mother: three taps from the department to the half hour, and both see it."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Stage

pytestmark = pytest.mark.browser


def test_a_daughter_books_for_her_mother(stage: Stage) -> None:
    """As the mother lets her: department, time, yes; the hospital holds a place for her mother, cancelled none."""
    mother, daughter = stage.phone("mother"), stage.phone("daughter")
    daughter.goto(stage.url("daughter", "/family"))
    expect(daughter.locator("main")).to_contain_text("能挂号")
    daughter.goto(stage.url("daughter", "/book"))
    daughter.get_by_role("link", name=re.compile("妈妈")).click()
    daughter.get_by_role("link", name=re.compile("心内科门诊")).click()
    daughter.get_by_text("再往后几天").click()
    daughter.locator(".days a").nth(5).click()  # far enough from any visit of today to cost something
    daughter.locator("a.time").last.click()
    expect(daughter.locator("main")).to_contain_text("妈妈 朱**")
    expect(daughter.locator("main")).to_contain_text("¥1.00，记在账上，看完一起付")
    daughter.get_by_role("button", name="约这个号").click()
    expect(daughter.locator("h1")).to_have_text("约好了")
    held = stage.hospital.held("朱桂芳")
    assert [a["state"] for a in held.values()] == ["booked"]

    mother.goto(stage.url("mother", "/bookings"))
    mother.get_by_role("link", name=re.compile("心内科门诊")).click()
    expect(mother.locator("main")).to_contain_text("陈* 替您约的")
    mother.get_by_role("link", name="不去了，取消").click()
    mother.get_by_role("button", name="取消这个号").click()
    expect(mother.locator("h1")).to_have_text("已经取消")
    held = stage.hospital.held("朱桂芳")
    assert [a["state"] for a in held.values()] == ["cancelled"]
    expect(daughter.locator("h1")).to_have_text("已经取消")  # on the page she has had open since, which nobody touched
