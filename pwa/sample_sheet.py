"""Sample guide sheets: a whole morning, one with things called by their kind, one with nothing to do."""

from dataclasses import replace
from datetime import timedelta

from guide.service.sheets import GuideSheet, SheetStep, Way
from pwa.sample_morning import HOSPITAL, NOW, PHONE, Sample, at
from pwa.sample_ways import floors
from pwa.sheet import Sheet
from words import guide, guide_way
from words.sheet import Sheet as Words

_PICTURE = "/qr.png"
_TO_BLOOD = ("出门右转，直走约30米，经过“2号电梯”。", "乘下行扶梯到2楼。", "下扶梯左转，直走约15米，“抽血处”在左手边。")
_TO_BRIDGE = ("出门左转，直走约40米，到“3号电梯”。", "乘3号电梯到3楼。", "出电梯右转，走“空中连廊”。")
_TO_HEART = ("出门直走，到“楼梯口”右转。", "直走约20米，“心电图室”在正前方。")
_PLACES = ("门诊楼2楼扶梯口，1到8号窗口", "医技楼3楼，301到305室", "门诊楼3楼南侧，331室")
_ROOMS = "门诊楼4楼南侧，431到434诊室"
_READY = ("抽血前不吃早饭，可以喝几口水。", "空腹八小时，早上可以喝几口水吃药。")
_FLOORS = tuple((name, str(svg)) for name, svg in floors("way"))
STEPS = (
    SheetStep(
        "o1", "L20261120-0042", "kQ3v9ZpX7mT2Lw8a", "抽血：血脂、肝功能、血糖", _PLACES[0], "checked_in", _READY[:1],
        "先抽血：空腹，结果要45分钟。", Way(_TO_BLOOD, guide_way.about(150), _FLOORS),
    ),
    SheetStep(
        "o2", "U20261120-0017", "Rb51nYc0QeHs6KdU", "腹部彩超", _PLACES[1], "placed",
        (_READY[1], guide.PREPARATION["bring_records"]), "再腹部彩超：空腹，离得近。",
        Way((*_TO_BRIDGE, "直走约25米，“超声科”在右手边。"), guide_way.about(400)),
    ),
    SheetStep(
        "o3", "E20261120-0101", "w2JfG8tPzA4iXv7M", "心电图", _PLACES[2], "placed", (), "最后心电图。",
        Way(_TO_HEART, guide_way.about(90)),
    ),
)  # fmt: skip
SHEET = GuideSheet(
    HOSPITAL, PHONE, "示**", "8426 1093 55", at(9, 0), NOW, "心内科门诊", STEPS,
    back=("心内科门诊", "门诊楼3楼东侧，301到308诊室"), back_way=Way((guide_way.HERE,)), map_number=3,
    note="排队的人数是20分钟前的，时间只能估个大概。",
)  # fmt: skip
_FILES = ((Words.a5, "/a5"), (Words.a4, "/a4"), (Words.roll_80, "/80"), (Words.roll_58, "/58"))


def samples() -> dict[str, Sample]:
    """These pages by name."""
    codes = {step.order_id: _PICTURE for step in STEPS}
    page = Sheet(SHEET, _PICTURE, codes, "/guide", files=_FILES[:2], other=((guide_way.WITHOUT_STEPS, "/w"),))
    discreet = replace(
        STEPS[1], name=guide.KINDS["imaging"], because=None, discreet=True,
        place=_ROOMS, way=Way((*_TO_BRIDGE, "直走约25米，要去的门在右手边。"), guide_way.about(400)),
    )  # fmt: skip
    hidden = replace(
        SHEET, patient="𠮷*", department=None, steps=(STEPS[0], discreet), sensitive=True, hides=True,
        back=(guide.THE_DOCTOR, _ROOMS), printed_at=NOW + timedelta(minutes=4),
    )  # fmt: skip
    at_desk = replace(
        page,
        sheet=hidden,
        boxed=True,
        files=_FILES,
        rolls=True,
        sensitive=True,
        other=((Words.full, "/f"),),
        back="/desk",
    )
    empty = replace(SHEET, steps=(), back=None, back_way=None, note=None)
    return {
        "sheet": Sample("sheet.html", page),
        "sheet-discreet": Sample("sheet.html", at_desk),
        "sheet-empty": Sample("sheet.html", replace(page, sheet=empty, other=())),
    }
