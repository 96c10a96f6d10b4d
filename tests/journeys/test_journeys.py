"""Whole days in the real browser, against the real demo: nothing is reloaded unless a person would."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.camera import scan
from tests.journeys.conftest import Stage
from tests.journeys.steps import VISIT, ask, scanned, visit_of

pytestmark = pytest.mark.browser


def test_ordered_but_not_done_is_never_billed(stage: Stage) -> None:
    """Fifteen and alone, he leaves with an order open: it is cancelled, the hospital knows, nothing of it was asked."""
    hospital = stage.hospital
    encounter = hospital.act("register", patient="youth", department="GMED")
    phone = stage.phone("youth")
    visit = visit_of(phone)
    phone.goto(stage.url("youth", f"/visits/{visit}/bill"))
    expect(phone.locator("[data-live]")).to_be_visible()
    total = phone.locator(".total").inner_text()
    order = hospital.act("order", encounter=encounter, template="URINE")
    expect(phone.locator("#list-ordered")).to_contain_text("尿常规")
    assert phone.locator(".total").inner_text() == total
    # He needs nobody with him, and whatever it costs, a minor owes nothing.
    assert ask(phone, f"/api/visits/{visit}")["debtor"] == {"guardian": True, "minor": True, "name": None}
    phone.reload()
    phone.get_by_role("link", name="现在就走").click()
    phone.get_by_role("button", name="就这样").click()
    expect(phone.locator("#list-cancelled")).to_contain_text("尿常规")
    expect(phone.locator("#list-ordered li")).to_have_count(0)
    assert hospital.wait_for(lambda: [c for c in hospital.told("abandon") if c["data"].get("order_no") == order])
    assert [o["cancelled"] for o in hospital.line(encounter)["orders"] if o["order_no"] == order] == [True]


def test_pay_first_beside_post_pay(stage: Stage) -> None:
    """Whose insurance is not in order may pay here or at the window, is told why, and stands on the same list."""
    hospital = stage.hospital
    hospital.start("pay_first")
    hospital.until("pay_first", "see")
    phone = stage.browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN", service_workers="block")
    stage.opened.append(phone)
    page = phone.new_page()
    page.goto(f"http://127.0.0.1:{stage.port}/login/wechat?next=/")
    page.get_by_role("link", name=re.compile("马建国")).click()
    page.wait_for_url(re.compile(rf"127\.0\.0\.1:{stage.port}/"))
    visit = visit_of(page)
    expect(page.locator("main")).to_contain_text("这次先缴费，再做项目")
    expect(page.locator("main")).to_contain_text("因为参保状态不正常")
    page.goto(f"http://127.0.0.1:{stage.port}/visits/{visit}/bill")
    expect(page.locator("#visit")).to_contain_text("先付再做")
    expect(page.locator("#paybar a")).to_contain_text("选要付的")
    # Beside him on the same list stands one who has signed: nobody asks her for money first.
    encounter = hospital.act("register", patient="mother", department="CARD")
    order = hospital.act("order", encounter=encounter, template="BLOODSUGAR")
    desk = stage.desk("k.blood")
    expect(desk.locator("tbody tr", has_text="马建国")).to_contain_text("先缴费")
    beside = desk.locator("tbody tr", has_text="朱桂芳").first
    expect(beside).to_contain_text("看完再付")
    expect(beside).not_to_contain_text("先缴费")
    hospital.until("pay_first", "pay_tests")
    expect(page.locator("#list-done")).to_contain_text("窗口已付")
    # Her day is one visit: what was begun for this ends with it.
    hospital.act("cancel", order_no=order, reason="医生取消")
    hospital.act("finish", encounter=encounter)


def test_the_elder_with_neither_card_nor_phone(stage: Stage) -> None:
    """The guide desk prints his sheet, taken once, his name asked, and a slip by which his son carries his pass."""
    hospital = stage.hospital
    encounter = hospital.act("register", patient="elder", department="CARD")
    hospital.act("order", encounter=encounter, template="BLOODSUGAR")
    guide = stage.desk("g.guide")
    row = guide.locator("tbody tr", has_text="钱福根")
    expect(row).to_have_count(1)
    sheet = row.get_by_role("link", name=re.compile("打印指引单"))
    found = VISIT.search(sheet.get_attribute("href") or "")
    assert found
    sheet.click()
    expect(guide.locator("main")).to_contain_text("没有手机也能用")
    expect(guide.locator("main")).to_contain_text("抽血前不吃早饭")
    expect(guide.locator("img[src^='data:image/png']")).to_have_count(2)
    printed = scan(guide.locator("img[src^='data:image/png']").first)
    blood = stage.desk("k.blood")
    blood.fill("#scan", printed)
    blood.keyboard.press("Enter")
    expect(blood.locator("main")).to_contain_text("钱福根（请核对姓名）")
    expect(blood.locator("tbody tr", has_text="钱福根")).to_contain_text("已报到")
    blood.fill("#scan", printed)
    blood.keyboard.press("Enter")
    expect(blood.locator("[role=alert]")).to_contain_text("已经报到过了")

    # He tells the guide desk that his son shall see to it all; the son scans the slip and has the pass on his phone.
    guide.goto(guide.url.replace("/sheet", "").replace("/visits/", "/desk/visits/"))
    guide.get_by_role("link", name="帮患者加家人").click()
    guide.locator("[name=relation]").select_option("son")
    guide.get_by_label("已念给患者听").check()
    guide.get_by_role("button", name="做好，打印").click()
    expect(guide.locator("main")).to_contain_text("钱福根 · 请家人用微信扫")
    son = stage.phone("elder_son")
    son.goto(stage.url("elder_son", scanned(guide.locator(".qr img"), "elder_son")))
    expect(son.locator("main")).to_contain_text("钱**请您做家人")
    son.get_by_role("button", name="我同意").click()
    son.goto(stage.url("elder_son", f"/visits/{found[1]}/story"))
    son.get_by_role("link", name="就诊码").click()
    expect(son.get_by_alt_text("就诊码图片", exact=True)).to_be_visible()
    blood.fill("#scan", ask(son, f"/api/visits/{found[1]}/pass")["live"])
    blood.keyboard.press("Enter")
    expect(blood.locator("main")).to_contain_text("钱福根")

    # And he books the next time for him.
    son.goto(stage.url("elder_son", "/book"))
    son.get_by_role("link", name=re.compile("爸爸")).click()
    son.get_by_role("link", name=re.compile("全科医学门诊")).click()
    son.locator(".days a").nth(2).click()
    son.locator("a.time").last.click()
    expect(son.locator("main")).to_contain_text("爸爸 钱**")
    son.get_by_role("button", name="约这个号").click()
    expect(son.locator("h1")).to_have_text("约好了")
    assert [one["state"] for one in hospital.held("钱福根").values()] == ["booked"]
