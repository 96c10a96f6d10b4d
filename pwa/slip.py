"""Writes a slip for a thermal printer: its own Chinese letters where it has them, a drawn line where it may not.

A slip is a list of rows, plain values that travel to the printing process as JSON:
``{"t": text, "w": 1|2, "h": 1|2, "centre": bool, "bold": bool}`` is text, broken where the paper ends (never wider than
high); ``{"qr": text}`` a code, ``{"rule": true}`` a line across, ``{"feed": n}`` n empty lines.

Widths are in dots: 8 a millimetre, 384 on a roll of 58 mm, 576 on one of 80 mm. A Chinese character of the printer is
24 dots wide and high, any other 12 wide, both times ``w`` and ``h``.
"""

import atexit
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pwa import fonts

if TYPE_CHECKING:
    from escpos.printer import Dummy
    from PIL import Image, ImageFont

Row = Mapping[str, Any]
DOTS = {58: 384, 80: 576}
CELL = 24  # dots: a character of the printer's Chinese font
_HALF = CELL // 2
_SIZES = {(1, 1): CELL, (1, 2): 34, (2, 2): 2 * CELL}  # (w, h) → how large it is drawn
_LEAD = 6  # dots between two lines that are drawn
_INK = 150  # of 255: darker than this is black
_BLACK_OR_WHITE = [0 if dot <= _INK else 255 for dot in range(256)]
_KANJI = b"\x1c&"  # FS &: bytes from 0x81 on are GB 18030
_QR_LEAST, _QR_MOST, _QUIET = 3, 6, 4  # dots a module, and modules of white around
_NO_BREAK_BEFORE = set("，。、；：？！”’）》】%·,.;:?!)")
_NO_BREAK_AFTER = set("“‘（《【(")
_WORD, _TAIL = re.compile(r"[0-9A-Za-z+-]"), re.compile(r"[0-9A-Za-z+-]+$")


def own(text: str) -> bool:
    """Whether any GB 18030 printer has these characters itself: ASCII and the two bytes of GBK.

    What takes four bytes (rare characters, the other planes) is in few printers' fonts; and where GB 18030 moved
    characters between its versions, a printer may draw another one or nothing.
    """
    return all(_own(char) for char in text)


def _own(char: str) -> bool:
    if " " <= char <= "~":
        return True
    try:
        return len(char.encode("gbk")) == 2
    except UnicodeEncodeError:
        return False


def cell(char: str) -> int:
    """How many dots a letter of the printer's takes."""
    return _HALF if " " <= char <= "~" else CELL


def broken(text: str, most: int, wide: Callable[[str], int]) -> list[str]:
    """Text in lines none of which is wider than ``most``; no comma begins a line, no opening mark ends one.

    Args:
        wide: how many dots a character takes; the narrowest paper holds several of the widest.
    """
    made, line, room = [], "", most
    for char in text:
        if line and wide(char) > room:
            keep = _kept(line, char)
            made.append(line[: len(line) - keep])
            line = line[len(line) - keep :]
            room = most - sum(wide(c) for c in line)
        line += char
        room -= wide(char)
    return [*made, line] if line or not made else made


def _kept(line: str, char: str) -> int:
    """How many characters of a full line go on to the next, together with the one that has no room."""
    if char in _NO_BREAK_BEFORE or line[-1] in _NO_BREAK_AFTER:
        return 1 if len(line) > 1 else 0
    if _WORD.match(char) and (tail := _TAIL.search(line)) and len(tail[0]) < len(line) // 2:
        return len(tail[0])  # a number or a name of letters stays whole where it can
    return 0


def write(rows: Sequence[Row], roll_mm: int, *, drawn: bool = False) -> bytes:
    """The bytes for a printer of 58 or 80 mm.

    Args:
        drawn: draw everything, for a printer whose letters nobody knows.
    """
    dots, printer = DOTS[roll_mm], _printer()
    printer.hw("INIT")
    printer._raw(_KANJI)
    for row in rows:
        if "qr" in row:
            _code(printer, str(row["qr"]), dots, drawn)
        elif row.get("rule"):
            _rule(printer, dots, drawn)
        elif "feed" in row:
            printer._raw(b"\n" * int(row["feed"]))
        else:
            _text(printer, row, dots, drawn)
    printer.cut(mode="PART")
    output: bytes = printer.output
    return output


@cache
def _library() -> "type[Dummy]":
    """python-escpos, with the one profile we use; it leaves its folder of guesses behind otherwise."""
    folder = tempfile.TemporaryDirectory(prefix="houfu-escpos-")
    atexit.register(folder.cleanup)
    before, tempfile.tempdir = tempfile.tempdir, folder.name
    os.environ["ESCPOS_CAPABILITIES_FILE"] = str(Path(__file__).parent / "printer.json")
    try:
        from escpos.printer import Dummy
    finally:
        tempfile.tempdir = before
    made: type[Dummy] = Dummy
    return made


def _printer() -> "Dummy":
    return _library()()


def _text(printer: "Dummy", row: Row, dots: int, drawn: bool) -> None:
    text = fonts.standard(str(row["t"]))
    wide, high, centre, bold = row.get("w", 1), row.get("h", 1), row.get("centre", False), row.get("bold", False)
    printer.set(
        align="center" if centre else "left",
        bold=bold,
        custom_size=True,
        width=wide,
        height=high,
        normal_textsize=False,
    )
    if not drawn and own(text):
        for line in broken(text, dots, lambda char: cell(char) * wide):
            printer._raw(line.encode("gb18030") + b"\n")
        return
    pen = _Pen(_SIZES[wide, high], bold)
    for line in broken(text, dots - 1, pen.wide):
        printer.image(pen.draw(line), impl="bitImageRaster")


def _rule(printer: "Dummy", dots: int, drawn: bool) -> None:
    if not drawn:
        _text(printer, {"t": "-" * (dots // _HALF)}, dots, drawn)
        return
    from PIL import Image

    line = Image.new("1", (dots, 12), 1)
    line.paste(0, (0, 5, dots, 7))
    printer.image(line, impl="bitImageRaster")


def _code(printer: "Dummy", text: str, dots: int, drawn: bool) -> None:
    import qrcode

    # One mask is as good as another to a scanner, and trying all eight takes twenty times as long.
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=_QUIET, mask_pattern=2)
    code.add_data(text)
    modules = 17 + 4 * code.best_fit()  # drawing it is the printer's work
    size = max(_QR_LEAST, min(_QR_MOST, dots // (modules + 2 * _QUIET)))
    printer.set(align="center", custom_size=True, width=1, height=1, normal_textsize=False)
    if not drawn:
        printer._raw(b"\n")  # white above; the printer leaves none
        printer.qr(text, ec=1, size=size, model=2, native=True)
        printer._raw(b"\n")
        return
    printer.image(_modules(code.get_matrix(), size), impl="bitImageRaster")


def _modules(matrix: Sequence[Sequence[bool]], size: int) -> "Image.Image":
    from PIL import Image

    side = len(matrix)
    made = Image.new("1", (side, side), 1)
    made.putdata([0 if dark else 1 for line in matrix for dark in line])
    return made.resize((side * size, side * size), Image.Resampling.NEAREST)


class _Pen:
    """Draws a line with whatever fonts have its characters, and a code in a box for what none has."""

    def __init__(self, size: int, bold: bool) -> None:
        self._size, self._bold = size, bold

    def draw(self, text: str) -> "Image.Image":
        """One line, black on white."""
        from PIL import Image, ImageDraw

        wide = sum(self.wide(char) for char in text) + 1  # bold ink is a dot wider
        page = Image.new("L", (wide, self._size + _LEAD), 255)
        brush, x = ImageDraw.Draw(page), 0
        base = round(self._size * 0.88)
        for part in self._runs(text):
            font = _face_of(part[0], self._size)
            if font is None:
                self._box(brush, part, x)
            else:
                brush.text((x, base), part, font=font, fill=0, anchor="ls", stroke_width=1 if self._bold else 0)
            x += sum(self.wide(char) for char in part)
        return page.point(_BLACK_OR_WHITE).convert("1")

    def _runs(self, text: str) -> Iterable[str]:
        """Full-width characters of one font together, others one by one: each at the place that was reckoned."""
        run = ""
        for char in text:
            full = self.wide(char) == self._size and _face_of(char, self._size) is not None
            if run and not (full and _face_of(run[0], self._size) is _face_of(char, self._size)):
                yield run
                run = ""
            if full:
                run += char
            else:
                yield char
        if run:
            yield run

    def wide(self, char: str) -> int:
        """How many dots a character takes."""
        advance = _advance(char, self._size)
        return self._boxes() if advance is None else advance

    def _boxes(self) -> int:
        """A box for a code of eight characters, two lines of four."""
        small = _face_of("0", self._size // 2)
        return round(small.getlength("0000") if small else self._size) + 8

    def _box(self, brush: Any, char: str, x: int) -> None:
        wide, code = self._boxes(), fonts.code_of(char).removeprefix("U+").rjust(6, "0")
        brush.rectangle((x + 1, 1, x + wide - 2, self._size + 1), outline=0, width=1)
        small = _face_of("0", self._size // 2)
        for line, y in ((f"U+{code[:2]}", self._size // 2), (code[2:], self._size - 1)):
            if small is not None:
                brush.text((x + wide // 2, y), line, font=small, fill=0, anchor="ms")


@cache
def _face(file: str, face: int, size: int) -> "ImageFont.FreeTypeFont":
    from PIL import ImageFont

    return ImageFont.truetype(file, size, index=face, layout_engine=ImageFont.Layout.BASIC)


@cache
def _face_of(char: str, size: int) -> "ImageFont.FreeTypeFont | None":
    found = fonts.font_for(char)
    return None if found is None else _face(found.file, found.face, size)


@cache
def _advance(char: str, size: int) -> int | None:
    font = _face_of(char, size)
    return round(font.getlength(char)) if font is not None else None
