"""Somebody looks on from afar: a department stays hidden, is opened by a tap, and all is shut while he looks."""

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Stage
from tests.journeys.steps import says_yes, scanned, visit_of

pytestmark = pytest.mark.browser

HEARD = """() => {
  window.said = [];
  const speech = { speak: (u) => window.said.push(u.text), cancel: () => {}, speaking: false };
  Object.defineProperty(window, 'speechSynthesis', { value: speech });
  window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
}"""


def lets_in(stage: Stage, patient: Page, friend: Page) -> None:
    """By a code on her phone: all but what is hidden, for every visit; sharing is agreed to by itself."""
    patient.goto(stage.url("youth", "/family/invite"))
    patient.locator("[name=relation]").select_option("friend")
    patient.locator("[name=pays]").uncheck()
    patient.locator("[name=depth][value=results]").check()
    patient.get_by_role("button", name="做好二维码").click()
    expect(patient.locator("[role=alert]")).to_contain_text("还没有打开“分享给家人”")
    patient.locator("[name=relation]").select_option("friend")
    patient.locator("[name=pays]").uncheck()
    patient.locator("[name=depth][value=results]").check()
    patient.locator("[name=share]").check()
    patient.get_by_role("button", name="做好二维码").click()
    friend.goto(stage.url("husband", scanned(patient.locator(".qr img"))))
    friend.get_by_role("button", name="同意").click()
    says_yes(patient, friend)
    expect(friend.locator("main")).to_contain_text("看步骤、账单和结果")


def test_a_hidden_department_and_an_open_page(stage: Stage) -> None:
    """What the hidden department ordered leaves no trace on his page until it is opened; shut out, he sees no more."""
    hospital = stage.hospital
    patient, friend = stage.phone("youth"), stage.phone("husband")
    hidden = hospital.act("register", patient="youth", department="PSYC")
    plain = hospital.act("register", patient="youth", department="CARD")
    visit = visit_of(patient)
    lets_in(stage, patient, friend)
    friend.goto(stage.url("husband", f"/visits/{visit}/story"))
    expect(friend.locator("[data-live]")).to_be_visible()
    hospital.act("order", encounter=hidden, template="CTHEAD")
    ecg = hospital.act("order", encounter=plain, template="ECG12")
    hospital.act("call", order_no=ecg, ahead=3)
    expect(friend.locator("#list-story")).to_contain_text("医生开了心电图")
    expect(friend.locator("#now")).to_contain_text("轮到")
    assert "心理" not in friend.locator("body").inner_text()

    # He says one; in 长辈版 her page reads it to her, and again when she asks.
    patient.add_init_script(f"({HEARD})()")
    patient.goto(stage.url("youth", f"/visits/{visit}/guide"))
    patient.get_by_role("button", name="长辈版").click()
    expect(patient.get_by_role("button", name="读给我听")).to_be_visible()
    expect(patient.locator("#list-steps")).to_contain_text("头颅CT")
    friend.get_by_role("button", name="我在看着呢，别着急。").click()
    expect(patient.locator("#say")).to_have_text("朋友：我在看着呢，别着急。")
    assert patient.evaluate("said") == ["朋友：我在看着呢，别着急。"]
    patient.get_by_role("button", name="再听一遍").click()
    assert len(patient.evaluate("said")) == 2

    # One tap opens the category while he looks, one shuts it; one more, and his page is nobody's.
    patient.goto(stage.url("youth", "/family"))
    patient.get_by_role("button", name="心理科：关").click()
    expect(friend.locator("#list-story")).to_contain_text("头颅CT")
    patient.get_by_role("button", name="心理科：开").click()
    expect(friend.locator("#list-story")).not_to_contain_text("头颅CT")
    patient.get_by_role("button", name="不让看").click()
    expect(friend.locator("main")).to_contain_text("没有找到", timeout=2_000)
    hospital.act("call", order_no=ecg, ahead=0, called=True, room="331")
    assert "心电图" not in friend.locator("body").inner_text()
    expect(patient.locator("main")).to_contain_text("朋友 吴* 看了走到哪一步")
