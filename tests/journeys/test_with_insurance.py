"""A day that ends with the insurance: two departments, one page, her own WeChat."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import pay_in_wechat, visit_of, yuan

pytestmark = pytest.mark.browser


def consents(page: Page) -> None:
    """On the insurance's own page and back."""
    page.get_by_role("link", name="去医保授权").click()
    page.get_by_role("button", name="同意授权").click()


def password(page: Page) -> None:
    """WeChat's sheet, which came by itself."""
    page.locator("#wechat-sheet").get_by_role("button", name="付款").click()


def test_the_mother_pays_with_her_insurance(stage: Stage) -> None:
    """Two consents, the split of both, two passwords, the rest in WeChat; the hospital books it once."""
    hospital = stage.hospital
    for department, blood in (("CARD", "BLOODSUGAR"), ("GMED", "BLOODBASIC")):
        encounter = hospital.act("register", patient="mother", department=department)
        hospital.post("confirm", order_no=hospital.act("order", encounter=encounter, template=blood))
        hospital.act("finish", encounter=encounter)
    phone = stage.phone("mother")
    visit = visit_of(phone)
    phone.goto(stage.url("mother", f"/visits/{visit}/bill"))
    expect(phone.locator("#list-done")).to_contain_text("血常规")
    phone.get_by_role("link", name=re.compile("去付款 ¥")).click()
    phone.get_by_role("button", name="下一步").click()
    phone.locator("[name=account][value=no]").check()
    phone.get_by_role("button", name="去授权").click()
    expect(phone.locator("main")).to_contain_text("第 1 个，共 2 个")
    consents(phone)
    expect(phone.locator("h2")).to_contain_text(["请您授权（第 2 个，共 2 个）"])
    consents(phone)
    expect(phone.locator("main")).to_contain_text("医保算好了，请看清楚")
    phone.get_by_role("button", name="同意，用医保付").click()
    for number in (1, 2):
        expect(phone.locator("#insure h2").first).to_contain_text(f"第 {number} 个，共 2 个")
        password(phone)
    rest = phone.get_by_role("link", name=re.compile("去付剩下的"))
    expect(rest).to_be_visible()
    cash = round(float(rest.inner_text().partition("¥")[2]) * 100)
    rest.click()
    pay_in_wechat(phone, cash)
    expect(phone.locator("main")).to_contain_text("医保基金付")
    assert [cash] == [
        s["total_fen"]
        for s in hospital.wait_for(lambda: [s for s in hospital.books()["settlements"] if s.get("insurance")])
    ]
    phone.goto(stage.url("mother", f"/visits/{visit}/bill"))
    expect(phone.locator("#paybar")).to_contain_text("都付清了")
    assert yuan(cash) in phone.locator("main").inner_text()
