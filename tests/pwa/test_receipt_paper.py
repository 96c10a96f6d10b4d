"""The receipt on A5 and on rolls: the same values on each, parts that add up, a page as long as what stands on it."""

import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from pwa.pay_views import PayPart, Receipt, Returned
from pwa.receipt import Paper, on_paper, receipt_html, receipt_pdf
from pwa.samples import NOW, samples

PT_PER_MM = 72 / 25.4
NUMBER = "4200002345202611201234567890"


def view() -> Receipt:
    """The sample's receipt."""
    found = samples()["receipt"].view
    assert isinstance(found, Receipt)
    return found


def pages_of(pdf: bytes) -> list[tuple[int, int]]:
    """Width and height of each page, in whole millimetres."""
    pages = PdfFileReader(io.BytesIO(pdf)).root["/Pages"]
    boxes = [kid.get_object().get("/MediaBox", pages.get("/MediaBox")) for kid in pages["/Kids"]]
    return [(round(float(box[2]) / PT_PER_MM), round(float(box[3]) / PT_PER_MM)) for box in boxes]


def plain(html: str) -> str:
    """The words on the paper, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S))


@pytest.mark.parametrize("paper", Paper)
def test_every_paper_says_the_same(paper: Paper) -> None:
    """Hospital, payer, way, numbers, every part, every line with who ordered it and who did it, when and where."""
    said = plain(receipt_html(on_paper(view(), "JSAPI", NUMBER), paper))
    for words in ("示例市第一人民医院", "您女儿", "微信支付", NUMBER, "R20261120-0007", "2026年11月20日 10:24:00"):
        assert words in said
    for part in ("医保统筹基金 ¥96.40", "医保个人账户 ¥20.00", "微信支付 ¥77.60", "合计 ¥194.00"):
        assert part in said
    assert said.count("开单：心血管内科 值班医生 11-20 09:12") == len(view().lines)
    assert said.count("执行：检验科 3 号 11-20 09:2") == len(view().lines)
    assert said.count("2 楼抽血处") == len(view().lines)
    assert re.search(r"肝肾功能 \+ 血脂 .{0,80}¥126\.00", said)


def test_parts_add_up_and_have_names() -> None:
    """Fund, account, a relative's account, other, the hospital's part and cash: each by name, together the whole."""
    given = {"fund": 5000, "account": 1500, "mutual_aid": 500, "other": 300, "hospital": 200, "cash": 260}
    receipt = replace(view(), parts=[PayPart(source, fen) for source, fen in given.items()])
    made = on_paper(receipt, "NATIVE", NUMBER)
    assert made.whole_fen == 7760
    assert [label for label, _ in made.parts] == [
        "医保统筹基金", "医保个人账户", "家庭共济", "医保其他基金", "医院承担", "现金",
    ]  # fmt: skip


def test_what_nobody_said_is_not_invented() -> None:
    """A line without an order or a place says only what is known; a payer who may not see items reads none."""
    line = replace(view().lines[0], ordered_by=None, ordered_at=None, executed_where=None)
    made = on_paper(replace(view(), lines=[line]), "H5", NUMBER)
    assert made.lines[0].proof == ["执行：检验科 3 号 11-20 09:24"]
    private = samples()["receipt-private"].view
    assert isinstance(private, Receipt)
    said = plain(receipt_html(on_paper(private, "H5", NUMBER), Paper.ROLL_58))
    assert "项目由患者本人查看" in said
    assert "开单" not in said


def test_names_are_text() -> None:
    """A name made of markup prints as it is."""
    line = replace(view().lines[0], name="<script>alert(1)</script>")
    html = receipt_html(on_paper(replace(view(), lines=[line]), "H5", NUMBER), Paper.ROLL_80)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_roll_is_as_long_as_what_stands_on_it() -> None:
    """58 mm wide, one page, longer with every line; A5 stays A5, however many pages it takes."""
    short = replace(view(), lines=view().lines[:1])
    long = replace(view(), lines=[*view().lines] * 10, returned=[Returned(2000, NOW + timedelta(hours=2), done=True)])
    heights = {}
    for name, receipt in (("short", short), ("long", long)):
        for paper in (Paper.ROLL_58, Paper.ROLL_80):
            ((width, height),) = pages_of(receipt_pdf(receipt, "JSAPI", NUMBER, paper))
            assert width == int(paper.value)
            heights[name, paper] = height
    assert heights["short", Paper.ROLL_58] < 130
    per_line = (heights["long", Paper.ROLL_58] - heights["short", Paper.ROLL_58]) / 39
    assert 9 < per_line < 20
    assert heights["short", Paper.ROLL_80] > 80
    sheets = pages_of(receipt_pdf(long, "JSAPI", NUMBER))
    assert len(sheets) > 1
    assert set(sheets) == {(148, 210)}
