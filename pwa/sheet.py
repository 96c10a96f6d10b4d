"""The guide sheet: on the page it is printed from, on A5 and A4, and on slips of 58 and 80 mm."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from guide.service.sheets import GuideSheet, SheetStep, Way
from pwa import fonts
from pwa.fonts import PACKAGED, need_chinese
from pwa.paper import FAMILIES
from pwa.press import press
from pwa.render import renderer
from words import money
from words.sheet import Sheet as Words

_MOST_FLOORS = 4  # on A4
_BOX = re.compile(r'viewBox="(-?\d+) (-?\d+) (\d+) (\d+)"')
_NAME = re.compile(r'<text x="(-?[\d.]+)" y="(-?[\d.]+)">[^<]*</text>')
_DOT = re.compile(r'<path class="dot"[^>]*/>')


class Leaf(StrEnum):
    """What the sheet is printed on."""

    A5 = "a5"
    A4 = "a4"
    ROLL_58 = "58"
    ROLL_80 = "80"

    @property
    def roll_mm(self) -> int | None:
        """The width of a roll; None for a sheet."""
        return int(self.value) if self in (Leaf.ROLL_58, Leaf.ROLL_80) else None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page: the sheet, its codes as pictures (``codes`` by order), and the papers it can be had on.

    ``boxed``: some character of it has no font here. ``files`` and ``other`` are (words, address); ``rolls``: files
    for a thermal printer are among them; ``sensitive``: something on it may be called by its kind alone.
    """

    sheet: GuideSheet
    qr: str
    codes: Mapping[str, str]
    back: str
    boxed: bool = False
    files: Sequence[tuple[str, str]] = ()
    other: Sequence[tuple[str, str]] = ()
    rolls: bool = False
    sensitive: bool = False

    @property
    def hospital(self) -> str:
        """Whose telephone number the page shows."""
        return self.sheet.hospital


@dataclass(frozen=True, slots=True)
class _OnPaper:
    sheet: GuideSheet
    qr: str
    codes: Mapping[str, str]
    boxed: bool
    maps: Sequence[tuple[str, Markup]]


def said(sheet: GuideSheet) -> Iterable[str]:
    """Every text of the hospital's on it."""
    yield from (sheet.hospital, sheet.patient, sheet.department or "", sheet.note or "", *(sheet.back or ()))
    for step in sheet.steps:
        yield from (step.name, step.place, *step.ready, step.because or "", *(step.way.lines if step.way else ()))


def is_boxed(sheet: GuideSheet) -> bool:
    """Whether a character of it can only be printed as its code."""
    return bool(fonts.lacking(fonts.standard("".join(said(sheet)))))


def sheet_html(sheet: GuideSheet, qr: str, codes: Mapping[str, str], leaf: Leaf = Leaf.A5) -> str:
    """What is printed on A5 or A4.

    Args:
        qr: the pass as a picture; ``codes``: the codes of its orders, by the order's id.
    """
    size = leaf.value.upper()
    packaged = f'@font-face {{ font-family: "Noto Sans SC"; src: url("{PACKAGED.as_uri()}") }}'
    return renderer().part(
        "paper/sheet.html",
        v=_OnPaper(sheet, qr, codes, is_boxed(sheet), _maps(sheet, leaf)),
        size=size,
        font_family=_family(),
        font_face=Markup(packaged if PACKAGED.exists() else ""),  # noqa: S704  a path of ours
    )


def sheet_pdf(sheet: GuideSheet, qr: str, codes: Mapping[str, str], leaf: Leaf = Leaf.A5) -> bytes:
    """The sheet as PDF. Takes a moment of one processor: call it in a thread."""
    need_chinese()
    return press.make(sheet_html(sheet, qr, codes, leaf), f"{sheet.number}/{sheet.printed_at}/{leaf}".encode())


def sheet_slip(
    sheet: GuideSheet, pass_text: str, codes: Mapping[str, str], leaf: Leaf, *, drawn: bool = False
) -> bytes:
    """The sheet as bytes for a thermal printer; call it in a thread.

    Args:
        pass_text: what the pass's code says; ``codes``: what the codes of the orders say, by the order's id.
        drawn: draw every line, for a printer whose letters nobody knows.
    """
    need_chinese()
    return press.slip(sheet_rows(sheet, pass_text, codes), leaf.roll_mm or 80, drawn=drawn)


def _family() -> Markup:
    """The one family there is of ours: asking for six costs a tenth of the time."""
    known = next((font.family for font in fonts.installed() if font.family in fonts.FAMILIES), None)
    return Markup(f'"{known}"' if known else FAMILIES)  # noqa: S704  one of our own constants


def _maps(sheet: GuideSheet, leaf: Leaf) -> list[tuple[str, Markup]]:
    """Floors, drawn by us: on A5 the one where the first way ends, on A4 as many as fit."""
    ways = [step.way.floors for step in sheet.steps if step.way is not None and step.way.floors]
    every = [floor for floors in ways for floor in floors]
    found = every[:_MOST_FLOORS] if leaf is Leaf.A4 else [floors[-1] for floors in ways[:1]]
    return [(name, Markup(_still(svg))) for name, svg in found]  # noqa: S704


def _still(svg: str) -> str:
    """A floor for paper: our font, nobody walking, and no names beside the picture (each takes a millisecond)."""
    box = _BOX.search(svg)
    left, top, wide, high = map(int, box.groups()) if box else (0, 0, 0, 0)

    def kept(name: re.Match[str]) -> str:
        x, y = float(name[1]), float(name[2])
        return name[0] if left <= x <= left + wide and top <= y <= top + high else ""

    return _NAME.sub(kept, _DOT.sub("", svg)).replace('font-family="sans-serif"', f"font-family='{_family()}'")


def sheet_rows(sheet: GuideSheet, pass_text: str, codes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The same on a slip, row by row; see ``pwa.slip``."""
    rows: list[dict[str, Any]] = [
        {"t": sheet.hospital, "centre": True},
        {"t": Words.title, "centre": True, "w": 2, "h": 2},
        {"t": sheet.patient, "w": 2, "h": 2},
        {"t": f"{Words.number} {sheet.number}", "h": 2},
        {"t": money.date(sheet.at) + (f" · {sheet.department}" if sheet.department else "")},
        {"t": Words.says + Words.keep},
    ]
    for n, step in enumerate(sheet.steps, 1):
        rows += [{"rule": True}, *_step(n, step, codes[step.order_id])]
    if not sheet.steps:
        rows += [{"rule": True}, {"t": Words.none}]
    if sheet.back is not None:
        name, place = sheet.back
        rows += [{"rule": True}, {"t": Words.back(name), "h": 2, "bold": True}, {"t": place, "h": 2}]
        rows += _walk(sheet.back_way)
    rows += [{"rule": True}, {"t": Words.pass_says, "centre": True}, {"qr": pass_text}]
    ends = [Words.ask(sheet.phone) if sheet.phone else "", sheet.note or "", Words.hides if sheet.hides else ""]
    ends += [Words.boxed if is_boxed(sheet) else "", Words.fresh(money.moment(sheet.printed_at))]
    ends += [Words.map_says(sheet.map_number) if sheet.map_number else ""]
    return [*rows, *({"t": text} for text in ends if text)]


def _step(n: int, step: SheetStep, code: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"t": f"{n}. {step.name}", "w": 2, "h": 2, "bold": True},
        {"t": step.place, "h": 2},
    ]
    if step.state in Words.states:
        rows.append({"t": Words.states[step.state], "bold": True})
    if step.because:
        rows.append({"t": step.because})
    if step.ready:
        rows += [{"t": f"【{Words.ready}】{text}", "h": 2} for text in step.ready]
    return [*rows, *_walk(step.way), {"qr": code}, {"t": f"{Words.order} {step.number}", "centre": True}]


def _walk(way: Way | None) -> list[dict[str, Any]]:
    if way is None or not way.lines:
        return []
    return [{"t": Words.how_long(way.about)}, *({"t": f"{n}) {line}"} for n, line in enumerate(way.lines, 1))]
