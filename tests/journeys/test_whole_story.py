"""The main job, end to end: one visit from the letter to the paid bill, each screen a page of its own person."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.camera import scan
from tests.journeys.conftest import ROOT, Stage, plain
from tests.journeys.steps import draw_name, pay_in_wechat, read_letter, visit_of, yuan
from tests.pwa.browser import until

pytestmark = pytest.mark.browser

PAPER = """async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) return null;
  return btoa(Array.from(new Uint8Array(await answer.arrayBuffer()), (b) => String.fromCharCode(b)).join(''));
}"""


def test_one_visit_from_the_letter_to_the_paid_bill(stage: Stage, tmp_path: Path) -> None:
    """Mother signs and is treated, a neighbour looks on, desks confirm: paid once, by the daughter far away."""
    hospital = stage.hospital
    mother, daughter, neighbour = stage.phone("mother", workers=True), stage.phone("daughter"), stage.phone("companion")
    guide = stage.desk("g.guide")

    # What she signed once she gives back. So today begins with paying first, and her own page says what to do.
    mother.goto(stage.url("mother", "/settings"))
    mother.get_by_role("link", name=re.compile("停用")).click()
    mother.get_by_role("button", name="停用").click()
    expect(mother.locator("main")).to_contain_text("还没有签过")
    hospital.start("letter")
    hospital.until("letter", "register")
    row = guide.locator("tbody tr", has_text="朱桂芳").filter(has_text="主任医师门诊")
    expect(row).to_contain_text("先缴费")
    mother.goto(stage.url("mother"))
    visit = visit_of(mother)

    # She reads to the end, the pen comes, she signs; a doctor signs beside her, and the letter proves itself.
    mother.get_by_role("link", name="看一看，去签").click()
    read_letter(mother)
    draw_name(mother)
    expect(mother.locator("main")).to_contain_text("接诊医生也会签一个名")
    letter = mother.url
    expect(row).to_contain_text("看完再付")
    hospital.until("letter", "signed")
    doctor = stage.desk("d.card")
    doctor.get_by_role("link", name="等医生签的同意书").click()
    doctor.locator("form", has_text="朱桂芳").get_by_role("button", name="医生签名").click()
    expect(doctor.locator("main")).not_to_contain_text("朱桂芳")

    # The code on her screen, scanned by a scanner that types; everybody has their page open.
    hospital.until("letter", "order")
    mother.get_by_role("link", name="看就诊码").click()
    code = scan(mother.locator(".qr img").first)
    daughter.goto(stage.url("daughter", f"/visits/{visit}/story"))
    neighbour.goto(stage.url("companion", f"/visits/{visit}/story"))
    for page in (daughter, neighbour):
        expect(page.locator("[data-live]")).to_be_visible()
    desk = stage.desk("k.blood")
    blood = desk.locator("tbody tr", has_text="朱桂芳").filter(has_text="抽血")
    expect(blood).to_contain_text("未报到")
    desk.fill("#scan", code)
    desk.keyboard.press("Enter")
    expect(desk.get_by_text("已报到：抽血")).to_be_visible()
    desk.goto(stage.url("desk", "/desk"))

    # She is guided: where to go, how many are before her, and which window calls.
    mother.goto(stage.url("mother", f"/visits/{visit}/guide"))
    expect(mother.locator("#now")).to_contain_text("抽血")
    hospital.until("letter", "blood_queue")
    expect(mother.locator("#now")).to_contain_text("前面 3 人")
    hospital.until("letter", "blood_call")
    expect(mother.locator("#now")).to_contain_text("4号窗口")

    # Blood is drawn: her bill, the daughter's story and the desk's list change by themselves; the neighbour's has no ¥.
    mother.goto(stage.url("mother", f"/visits/{visit}/bill"))
    expect(mother.locator("[data-live]")).to_be_visible()
    hospital.until("letter", "blood")
    expect(mother.locator("#list-done")).to_contain_text("空腹血糖")
    expect(daughter.locator("#list-story")).to_contain_text("空腹血糖已做完，记入账单")
    expect(neighbour.locator("#list-story")).to_contain_text("做完了：抽血")
    expect(blood).to_have_count(0)
    assert "¥" not in neighbour.locator("main").inner_text()

    _in_the_cellar(stage, mother, visit)
    hospital.until("letter", "finish")
    expect(mother.locator("#visit")).to_contain_text("前付")
    encounter = hospital.runs["letter"]["encounter"]
    owed = hospital.line(encounter)["self_fen"]
    expect(mother.locator("#paybar")).to_contain_text(f"¥{yuan(owed)}")

    # Ordered, never done: on the bill under its own heading, and in no sum.
    expect(mother.locator("#list-ordered")).to_contain_text("动态心电图")

    # The daughter pays through the bridge; the mother sees it settled, and the hospital has booked it once.
    daughter.get_by_role("link", name=f"去付款 ¥{yuan(owed)}").click()
    pay_in_wechat(daughter, owed)
    expect(mother.locator("#payment")).to_contain_text("付好了", timeout=15_000)
    expect(mother.locator("#paybar")).to_contain_text("都付清了")
    assert hospital.booked(encounter) == [owed]
    receipt = mother.locator("a[href*=receipt]").first.get_attribute("href")
    assert _paper(mother, f"{receipt}.pdf").startswith(b"%PDF")

    # The letter, taken home as a file, is checked offline.
    file = tmp_path / "letter.pdf"
    file.write_bytes(_paper(mother, f"{letter}/letter.pdf"))
    roots = [stage.data / "signing" / "ca.pem", stage.data / "sandbox" / "tsa-ca.pem"]
    check = [sys.executable, "-c", "from houfu.cli import app; app()", "verify-consent", str(file)]
    trusted = [word for root in roots for word in ("--root", str(root))]
    said = subprocess.run([*check, *trusted], env=plain(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def _in_the_cellar(stage: Stage, mother: Page, visit: str) -> None:
    """Without a network pass and bill open with their age; back above, what happened meanwhile is there by itself."""
    mother.goto(stage.url("mother", f"/visits/{visit}/pass"))
    mother.goto(stage.url("mother", f"/visits/{visit}/bill"))
    mother.wait_for_function("() => navigator.serviceWorker.controller !== null")
    stage.cut(mother)
    mother.goto(stage.url("mother", f"/visits/{visit}/pass"))
    expect(mother.locator("#age")).to_contain_text("网络不通")
    mother.wait_for_function("() => document.querySelector('.qr img').naturalWidth > 100")
    expect(mother.locator("#pass-kept")).to_be_visible()
    mother.goto(stage.url("mother", f"/visits/{visit}/bill"))
    expect(mother.locator("#age")).to_be_visible()
    expect(mother.locator("#list-ordered")).to_contain_text("心脏彩超")
    stage.hospital.until("letter", "echo")
    mother.context.set_offline(False)
    expect(mother.locator("#list-done")).to_contain_text("心脏彩超")
    expect(mother.locator("#age")).to_be_hidden()


def _paper(phone: Page, path: str) -> bytes:
    """A file as her phone takes it, once it is made."""
    return base64.b64decode(until(phone, PAPER, path, 20))
