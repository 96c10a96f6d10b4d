"""The guide sheet on every paper: the same words, nothing over the edge, and every name readable."""

import base64
import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from guide.service.sheets import GuideSheet
from pwa import fonts, slip
from pwa.pages.sheet import inline
from pwa.press import press
from pwa.sample_sheet import SHEET, samples
from pwa.sheet import Leaf, Sheet, is_boxed, sheet_html, sheet_pdf, sheet_rows, sheet_slip
from tests.journeys.camera import read as scanned
from tests.pwa.test_receipt_paper import pages_of, plain
from tests.pwa.thermal import Printed, read

PASS = "HFP" + "a7Kd" * 24
CODES = {step.order_id: f"https://houfu.test/o/{step.paper_code}" for step in SHEET.steps}
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
PICTURES = dict.fromkeys(CODES, DOT)
ROLLS = (Leaf.ROLL_58, Leaf.ROLL_80)


def discreet() -> GuideSheet:
    """The sample on which something is called by its kind."""
    page = samples()["sheet-discreet"].view
    assert isinstance(page, Sheet)
    return page.sheet


def printed(sheet: GuideSheet, leaf: Leaf, *, drawn: bool = False) -> Printed:
    """What comes out of the printer."""
    assert leaf.roll_mm
    return read(slip.write(sheet_rows(sheet, PASS, CODES), leaf.roll_mm, drawn=drawn), slip.DOTS[leaf.roll_mm])


def said_on(sheet: GuideSheet, leaf: Leaf) -> str:
    """Its words, without spaces."""
    said = printed(sheet, leaf).words if leaf.roll_mm else plain(sheet_html(sheet, DOT, PICTURES, leaf))
    return re.sub(r"\s", "", said)


@pytest.mark.parametrize("leaf", Leaf)
def test_every_paper_says_the_same(leaf: Leaf) -> None:
    """Whose it is, every step with place, reason, preparation and way, what comes last, whom to ask, how old it is."""
    said = said_on(SHEET, leaf)
    wanted = ["示**", "8426109355", "示例市第一人民医院", "心内科门诊", "没有手机也能用"]
    for step in SHEET.steps:
        assert step.way is not None
        wanted += [step.name, step.place, step.number, step.because or "", *step.ready, *step.way.lines, step.way.about]
    wanted += ["都做完以后，回到心内科门诊看结果", "门诊楼3楼东侧", "0513-8550-0000", "时间只能估个大概"]
    wanted += ["2026年11月20日10:24打印", "以叫号屏和手机上的为准", "路线按医院地图第3版", "已报到，等叫号"]
    for words in wanted:
        assert words.replace(" ", "") in said
    places = [said.index(step.place) for step in SHEET.steps]
    assert places == sorted(places), "in the order they are to be done"


@pytest.mark.parametrize("leaf", ROLLS)
def test_a_slip_stays_on_the_paper(leaf: Leaf) -> None:
    """Its own letters, and drawn: nothing over the edge, a code for each order and the pass, cut at the end."""
    long = replace(SHEET.steps[1], name="泌尿系彩超" * 9, number="U" * 40, place="A1" * 30 + "（“医技楼”）。" * 12)
    sheet = replace(SHEET, steps=(*SHEET.steps, long), hospital="示例市第一人民医院" * 4)
    for drawn in (False, True):
        paper = printed(sheet, leaf, drawn=drawn)
        assert max(line.width for line in paper.lines) <= paper.dots
        assert paper.cut
        assert {line.kind for line in paper.lines if line.height and line.width} == (
            {"picture"} if drawn else {"text", "qr"}
        )
        starts = [line.text[:1] for line in paper.lines if line.kind == "text" and line.text]
        assert not set(starts) & set("，。、：）”"), "no line begins with a comma"
    assert printed(sheet, leaf).codes == [*CODES.values(), CODES[long.order_id], PASS]
    assert all(line.align == 1 for line in printed(SHEET, leaf).lines if line.kind == "qr")


def test_codes_can_be_scanned() -> None:
    """What is drawn quickly, on a page or on a slip, says what it should."""
    for text in (PASS, *CODES.values()):
        assert scanned(base64.b64decode(inline(text, 2).partition(",")[2])) == text
        paper = read(slip.write([{"qr": text}], 58, drawn=True), 384)
        (line,) = [one for one in paper.lines if one.kind == "picture"]
        picture = io.BytesIO()
        Image.frombytes("1", (line.width, line.height), bytes(255 - b for b in line.bits)).save(picture, "PNG")
        assert scanned(picture.getvalue()) == text


def test_what_a_printer_may_lack_is_drawn() -> None:
    """The line with 䶮 is a picture with ink in it, its neighbours are text; so is what GB 18030 has moved about."""
    assert slip.own("张明 ，Ｂ超 “3号电梯” 约2–3分钟·①")
    for rare in "䶮㐀𠮷𪚥\ue863龴︐ḿ¥⺁䶵":
        assert not slip.own(rare), rare
    paper = printed(replace(SHEET, patient="䶮*"), Leaf.ROLL_58)
    (drawn,) = [line for line in paper.lines if line.kind == "picture"]
    assert drawn.height >= 48
    assert sum(byte.bit_count() for byte in drawn.bits) > 200
    assert "䶮" not in paper.words
    assert "就诊号 8426 1093 55" in paper.words


def sample_names() -> list[str]:
    """Characters of GB 18030-2022 from every block of Chinese there is, old private places included."""
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAD9), (0x2E80, 0x2FDF), (0xE000, 0xE864))
    planes = ((0x20000, 0x2A6DF), (0x2A700, 0x2EBE0), (0x30000, 0x3134A), (0x31350, 0x323AF))
    found = [chr(code) for first, last in (*blocks, *planes) for code in range(first, last + 1, 211)]
    assert len(found) > 400
    for char in found:
        assert char.encode("gb18030").decode("gb18030") == char
    return found


def test_every_name_prints() -> None:
    """Of every block: the printer's own letter, or ink; and no two that no font has look alike: each shows its code."""
    boxes = set()
    for char in sample_names():
        if slip.own(char):
            continue
        paper = read(slip.write([{"t": char}], 58), 384)
        (line,) = [one for one in paper.lines if one.kind == "picture"]
        assert sum(byte.bit_count() for byte in line.bits) > (0 if fonts.font_for(char) else 60), hex(ord(char))
        if fonts.font_for(fonts.standard(char)) is None:
            boxes.add(line.bits)
    lacking = [c for c in sample_names() if not slip.own(c) and fonts.font_for(fonts.standard(c)) is None]
    assert len(boxes) == len(lacking)


def test_on_a_sheet_no_character_vanishes() -> None:
    """What no font has is its code in a box, in a picture in brackets; what a font has is left alone; markup, too."""
    missing = next(c for c in ("\U000323af", "\U0003134a", "\U0010fffd") if fonts.lacking(c))
    page = f'<title>{missing}</title><p class="a">䶮{missing}吉</p><svg viewBox="0 0 1 1"><text>{missing}</text></svg>'
    code = f"U+{ord(missing):04X}"
    made = fonts.boxed(page)
    assert missing not in made
    assert re.sub(r"<span[^>]*>(.*?)</span>", r"«\1»", made) == (
        f'<title>[{code}]</title><p class="a">䶮«{code}»吉</p><svg viewBox="0 0 1 1"><text>[{code}]</text></svg>'
    )
    assert fonts.boxed("<p>𠮷䶮吉</p>") == "<p>𠮷䶮吉</p>"
    assert fonts.boxed("<p>\ue81e</p>") == "<p>龴</p>", "where GB 18030-2005 had it"
    assert is_boxed(replace(SHEET, patient=missing))
    assert "方框里的字这台打印机没有" in sheet_html(replace(SHEET, patient=missing), DOT, PICTURES)
    assert not is_boxed(SHEET)
    for char in sample_names():
        font = fonts.font_for(char)
        if font is not None and ord(char) % 5 == 0:  # what the list says of a font is true of it
            face = slip._face(font.file, font.face, 24)
            assert bytes(face.getmask(char)) != bytes(face.getmask("\U0010fffd")), hex(ord(char))


def test_the_papers_are_made_in_the_printing_process() -> None:
    """A5 and A4 with a picture of each floor, and a slip, one after the other by the same process; names are text."""
    sheet = replace(SHEET, patient="<b>𠮷</b>")
    a5, a4 = (sheet_pdf(sheet, DOT, PICTURES, leaf) for leaf in (Leaf.A5, Leaf.A4))
    assert set(pages_of(a5)) == {(148, 210)}
    assert set(pages_of(a4)) == {(210, 297)}
    data = sheet_slip(SHEET, PASS, CODES, Leaf.ROLL_80)
    assert data == slip.write(sheet_rows(SHEET, PASS, CODES), 80)
    html = sheet_html(sheet, DOT, PICTURES)
    assert "&lt;b&gt;𠮷&lt;/b&gt;" in html
    assert html.count("<svg") == 1, "the floor where she arrives"
    assert "路线图：门诊楼2楼" in html
    assert 'class="dot"' not in html, "nobody walks on paper"
    assert sheet_html(sheet, DOT, PICTURES, Leaf.A4).count("<svg") == 2
    press.close()


@pytest.mark.parametrize("leaf", [Leaf.A5, Leaf.ROLL_58])
def test_what_is_sensitive_is_called_by_its_kind(leaf: Leaf) -> None:
    """Its room and its way are there, its name is not, and the paper says that something was kept back."""
    said = said_on(discreet(), leaf)
    assert re.search(r"2\.?一项检查", said)
    assert "431到434诊室" in said
    assert "要去的门在右手边" in said
    assert "有的项目只写了种类" in said
