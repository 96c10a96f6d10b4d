"""Days on which somebody else holds the pen or the purse: a husband at work, a father, whoever comes running."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import (
    VISIT,
    ask,
    draw_name,
    pay_in_wechat,
    press_in_wechat,
    read_letter,
    says_yes,
    scanned,
    visit_of,
    yuan,
)

pytestmark = pytest.mark.browser


def test_the_husband_signs_ahead_and_sends_a_pay_link(stage: Stage) -> None:
    """He signs from afar; his pay link is forwarded to a stranger, who pays; the second time he pays, from work."""
    hospital = stage.hospital
    wife, husband = stage.phone("expectant"), stage.phone("husband")

    # She invites him: a code on her phone, opened on his.
    wife.get_by_role("link", name="家人").first.click()
    wife.get_by_role("link", name="加一位家人").click()
    wife.locator("[name=relation]").select_option("spouse")
    wife.locator("[name=cap_yuan]").fill("")
    wife.locator("[name=signs]").check()
    wife.locator("[name=depth][value=bill]").check()
    wife.locator("[name=share]").check()
    wife.get_by_role("button", name="做好二维码").click()
    path = scanned(wife.locator(".qr img"))
    # On his own phone it is 扫一扫 of the page, then WeChat's, and a card of the hospital's account to tap.
    husband.get_by_role("button", name="扫一扫").click()
    husband.get_by_role("button", name="扫一扫").click()
    husband.get_by_role("link", name="点开").last.click()
    expect(husband).to_have_url(stage.url("husband", path))
    expect(husband.locator("main")).to_contain_text("周**")
    expect(husband.locator("main")).to_contain_text("替对方签“看完病再付”")
    husband.get_by_role("button", name="同意").click()
    expect(husband.locator("main")).to_contain_text("等对方点头")
    expect(wife.locator("#claims")).to_contain_text("吴*想加为您的家人")
    says_yes(wife, husband)
    expect(husband.locator("main")).to_contain_text("能替签")
    # WeChat has signed the page for its script, and there is nothing to share it by.
    expect(husband.locator("html")).to_have_attribute("data-unshared", "")

    # From work he reads and signs in her name; the pen comes when the server's clock says so, not before.
    husband.goto(stage.url("husband"))
    husband.get_by_role("link", name=re.compile("爱人")).click()
    husband.get_by_role("link", name="看一看，去签").click()
    expect(husband.locator("#agree")).to_have_attribute("aria-disabled", "true")
    expect(husband.locator("main")).to_contain_text("周晓雨")
    wife.goto(stage.url("expectant"))
    expect(wife.locator("#today")).to_contain_text("今天还没有就诊")
    read_letter(husband)
    expect(husband.locator("main")).to_contain_text("您替周晓雨签，写您自己的名字")
    draw_name(husband)
    expect(husband.locator("main")).to_contain_text("签好了")

    # She registers: both first pages show the day by themselves, paid afterwards.
    husband.get_by_role("link", name="回首页").click()
    hospital.start("antenatal")
    hospital.until("antenatal", "order")
    expect(wife.locator("#today")).to_contain_text("就诊中")
    expect(husband.locator("#today")).to_contain_text("看今天的经过")
    visit = visit_of(wife)
    wife.goto(stage.url("expectant", f"/visits/{visit}/bill"))
    expect(wife.locator("#visit")).to_contain_text("看完病再付")
    hospital.until("antenatal", "finish")
    owed = hospital.line(hospital.runs["antenatal"]["encounter"])["self_fen"]
    expect(wife.locator("#paybar")).to_contain_text(f"¥{yuan(owed)}")

    # He sees amount and hospital, cannot pay at this moment, and sends a link to a colleague.
    expect(husband.locator("#today")).to_contain_text("等您付款")
    husband.locator("#today").get_by_role("link", name="看账单").click()
    husband.get_by_role("link", name=f"去付款 ¥{yuan(owed)}").click()
    expect(husband.get_by_role("button", name=f"替爱人付 ¥{yuan(owed)}")).to_be_visible()
    husband.get_by_role("link", name="发链接，请别人付").click()
    husband.get_by_role("button", name="做好链接").click()
    sent = scanned(husband.locator(".qr img"))

    # The colleague forwards it to a stranger; both see hospital, amount and a masked name, and the stranger pays.
    stranger, colleague = stage.stranger("companion"), stage.stranger("son")
    for phone, who in ((colleague, "son"), (stranger, "companion")):
        phone.goto(stage.url(who, sent))
        expect(phone.locator("main")).to_contain_text("周**")
        expect(phone.locator("main")).to_contain_text(f"¥{yuan(owed)}")
        for hidden in ("周晓雨", visit, "产", "抽血", "尿", "超声"):
            assert hidden not in phone.content(), hidden
    stranger.get_by_role("button", name=f"付 ¥{yuan(owed)}").click()
    stranger.locator("[data-pay-now]").click()
    stranger.locator("#wechat-sheet").get_by_role("button", name="付款").click()
    expect(stranger.locator("main")).to_contain_text("付好了，谢谢您", timeout=15_000)
    expect(stranger.locator("main")).to_contain_text("收据号")

    # Her open page says so by itself; who gave the link reads it there; whoever else holds it has nothing to pay.
    expect(wife.locator("#payment")).to_contain_text("收到链接的人", timeout=15_000)
    expect(wife.locator("#paybar")).to_contain_text("都付清了")
    husband.goto(stage.url("husband", f"/visits/{visit}/links"))
    expect(husband.locator("main")).to_contain_text("付好了")
    colleague.get_by_role("button", name=f"付 ¥{yuan(owed)}").click()
    expect(colleague.locator("main")).to_contain_text("付好了")
    assert hospital.booked(hospital.runs["antenatal"]["encounter"]) == [owed]
    wife.goto(stage.url("expectant", "/family"))
    expect(wife.locator("main")).to_contain_text("爱人 吴* 看了要付的钱")

    # The doctor sends her once more. This time he pays himself, from work, and she sees it where she sits.
    wife.goto(stage.url("expectant", f"/visits/{visit}/bill"))
    hospital.start("antenatal")
    hospital.until("antenatal", "finish")
    owed = hospital.line(hospital.runs["antenatal"]["encounter"])["self_fen"]
    expect(wife.locator("#paybar")).to_contain_text(f"¥{yuan(owed)}")
    husband.goto(stage.url("husband"))
    husband.locator("#today").get_by_role("link", name="看账单").click()
    husband.get_by_role("link", name=f"去付款 ¥{yuan(owed)}").click()
    pay_in_wechat(husband, owed)
    expect(wife.locator("#payment")).to_contain_text("付好了", timeout=15_000)
    expect(wife.locator("#paybar")).to_contain_text("都付清了")
    assert hospital.booked(hospital.runs["antenatal"]["encounter"]) == [owed]


def test_a_child_with_her_father(stage: Stage) -> None:
    """The desk writes down who stands for her; he reads, signs by relation and reason, follows, and pays: his debt."""
    hospital = stage.hospital
    hospital.start("child")
    hospital.until("child", "order")
    father = stage.phone("guardian")
    expect(father.locator("#today")).to_contain_text("今天还没有就诊")

    # At the guide desk, the family book on the table.
    desk = stage.desk("g.guide")
    row = desk.locator("tbody tr", has_text="孙小满").first
    expect(row).to_contain_text("先缴费")
    row.get_by_role("link", name="孙小满", exact=True).click()
    expect(desk.locator("main")).to_contain_text("还没有登记")
    desk.locator("[name=phone]").fill("19900000000")
    desk.get_by_role("button", name="登记").click()
    expect(desk.locator("[role=alert]")).to_contain_text("没有人用这个手机号登录过")
    expect(father.locator("#today")).to_contain_text("今天还没有就诊")
    desk.locator("[name=phone]").fill("19900000007")
    desk.get_by_role("button", name="登记").click()
    expect(desk.locator("main")).to_contain_text("父母 孙**")

    # His first page turns to her by itself; he signs for her, and says why.
    expect(father.locator("#today")).to_contain_text("儿科")
    visit = visit_of(father)
    father.get_by_role("link", name="看一看，去签").click()
    read_letter(father)
    father.get_by_role("button", name="手写签名").click()
    reason = father.locator("#pad-dialog [name=reason]")
    expect(reason).to_have_value("minor")
    father.get_by_role("button", name="关闭").click()
    draw_name(father)
    expect(father.locator("main")).to_contain_text("签好了")
    father.get_by_role("link", name="看就诊码").click()
    expect(father.locator("main")).to_contain_text("孙小满")

    # He follows and pays; whoever is seven owes nothing and is not asked.
    father.goto(stage.url("guardian", f"/visits/{visit}/bill"))
    hospital.until("child", "finish")
    owed = hospital.line(hospital.runs["child"]["encounter"])["self_fen"]
    expect(father.locator("#paybar")).to_contain_text(f"¥{yuan(owed)}")
    father.goto(stage.url("guardian", f"/visits/{visit}/pay"))
    pay_in_wechat(father, owed)
    assert hospital.booked(hospital.runs["child"]["encounter"]) == [owed]
    assert ask(father, f"/api/visits/{visit}")["debtor"] == {"guardian": True, "minor": True, "name": "孙**"}


def test_two_siblings_share_a_bill(stage: Stage) -> None:
    """The daughter takes a fixed sum, the son what is left; each pays their own, and the hospital books it once."""
    hospital = stage.hospital
    mother, daughter, son = stage.phone("mother"), stage.phone("daughter"), stage.phone("son")
    mother.goto(stage.url("mother", "/family/invite"))
    mother.locator("[name=relation]").select_option("son")
    mother.locator("[name=depth][value='']").check()
    mother.get_by_role("button", name="做好二维码").click()
    son.goto(stage.url("son", scanned(mother.locator(".qr img"), "son")))
    son.get_by_role("button", name="同意").click()
    says_yes(mother, son)
    encounter = hospital.act("register", patient="mother", department="GMED")
    for template in ("REG", "BLOODBASIC", "USABD"):
        hospital.post("confirm", order_no=hospital.act("order", encounter=encounter, template=template))
    hospital.act("finish", encounter=encounter)
    owed = hospital.line(encounter)["self_fen"]
    hers, his = 123, owed - 123
    assert his > 0
    mother.goto(stage.url("mother"))
    visit = visit_of(mother)
    mother.goto(stage.url("mother", f"/visits/{visit}/bill"))
    expect(mother.locator("#paybar")).to_contain_text(f"¥{yuan(owed)}")

    # She writes what she takes; of the rest anybody may take charge, and she may name nobody but herself.
    daughter.goto(stage.url("daughter", f"/visits/{visit}/pay"))
    daughter.get_by_role("link", name="一起分摊").click()
    expect(daughter.locator("form#share .field span")).to_have_text(["我自己（元）", "患者本人（元）"])
    daughter.get_by_label("我自己").fill(yuan(hers))
    daughter.get_by_role("button", name="就这样分").click()
    press_in_wechat(daughter, hers)

    # Hers is paid: she reads what is still missing, and no receipt is hers before all of it is there.
    expect(daughter.locator("main")).to_contain_text("您这一份付好了", timeout=15_000)
    expect(daughter.locator("#shares")).to_contain_text(f"还差¥{yuan(his)}")
    expect(mother.locator("#shares")).to_contain_text("您女儿 付好了")
    expect(mother.locator("#paybar")).to_contain_text(f"¥{yuan(his)}")
    assert hospital.settled(encounter) == []

    # He is led from his first page to the rest of it, and nothing else of her; then both have their receipt.
    son.goto(stage.url("son"))
    son.locator("#today").get_by_role("link", name="看账单").click()
    expect(son.locator("main")).not_to_contain_text("血常规")
    son.get_by_role("link", name=f"去付款 ¥{yuan(his)}").click()
    pay_in_wechat(son, his)
    expect(daughter).to_have_url(re.compile("/receipt"))
    for phone, fen in ((daughter, hers), (son, his)):
        expect(phone.locator("main")).to_contain_text(f"付好了，¥{yuan(fen)}")
    expect(mother.locator("#paybar")).to_contain_text("都付清了")
    assert hospital.booked(encounter) == [owed]
    (told,) = hospital.settled(encounter)
    assert sorted(p["amount_fen"] for p in told["payments"]) == sorted([hers, his])


def test_brought_in_unknown(stage: Stage) -> None:
    """Treated before any paper, unnamed and pay-first; once he is known, his daughter signs on the desk's tablet."""
    hospital = stage.hospital
    hospital.start("emergency")
    hospital.until("emergency", "tests")
    desk = stage.desk("g.guide")
    row = desk.locator("tbody tr", has_text="无名氏").first
    expect(row).to_contain_text("先缴费")
    row.get_by_role("link", name="无名氏", exact=True).click()
    expect(desk).to_have_url(VISIT)
    found = VISIT.search(desk.url)
    assert found

    # Nobody knows his insurance yet: the desk is told why not, and that treatment goes on as ever.
    desk.get_by_role("link", name="在这台平板上签").click()
    expect(desk.locator("main")).to_contain_text("参保状态不正常")
    desk.goto(stage.url("desk", "/desk"))
    hospital.until("emergency", "suture")
    desk.locator("tbody tr", has_text="赵永年").get_by_role("link", name="赵永年", exact=True).first.click()
    expect(desk).to_have_url(re.compile(found[1]))
    desk.get_by_role("link", name="在这台平板上签").click()
    read_letter(desk)
    desk.get_by_role("button", name="手写签名").click()
    pad = desk.locator("#pad-dialog")
    pad.get_by_label("家人代签").check()
    pad.locator("[name=proxy_name]").fill("赵小燕")
    pad.locator("[name=relation]").select_option("daughter")
    pad.locator("[name=reason]").select_option("emergency")
    pad.get_by_role("button", name="关闭").click()
    draw_name(desk)
    expect(desk.locator("main")).to_contain_text("签好了")
    desk.get_by_role("link", name="回工作台").click()
    expect(desk.locator("main")).to_contain_text("看完再付")
    expect(desk.locator("main")).to_contain_text("已经签过")
