"""A thermal printer for tests: reads ESC/POS back into lines, knows how wide each is, and draws what would come out.

It knows only the commands a slip is made of; any other byte fails. What its own font lacks, it would not print, so a
text line with anything but ASCII and two bytes of GB 18030 fails as well.
"""

import io
from dataclasses import dataclass, field
from typing import Any

import qrcode
from PIL import Image, ImageDraw

CELL = 24


@dataclass
class Line:
    """One line of paper: ``text``, ``picture`` or ``qr``; ``width`` and ``height`` in dots."""

    kind: str
    width: int
    height: int
    text: str = ""
    size: tuple[int, int] = (1, 1)
    align: int = 0
    bold: bool = False
    bits: bytes = b""


@dataclass
class Printed:
    """What came out: the lines, and whether it was cut off at the end."""

    dots: int
    lines: list[Line] = field(default_factory=list)
    cut: bool = False

    @property
    def words(self) -> str:
        """All text the printer's own letters wrote, lines joined."""
        return "".join(line.text for line in self.lines if line.kind == "text")

    @property
    def codes(self) -> list[str]:
        """What its QR codes say."""
        return [line.text for line in self.lines if line.kind == "qr"]

    def picture(self) -> Image.Image:
        """The paper, for people to look at."""
        from pwa.slip import _face_of

        paper = Image.new("L", (self.dots + 32, sum(line.height for line in self.lines) + 32), 255)
        brush, y = ImageDraw.Draw(paper), 16
        for line in self.lines:
            x = 16 + (self.dots - line.width) // 2 * (line.align == 1)
            if line.kind == "picture":
                bits = Image.frombytes("1", (line.width, line.height), bytes(255 - b for b in line.bits))
                paper.paste(bits, (x, y))
            elif line.kind == "qr":
                code = qrcode.QRCode(border=0, error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=line.size[0])
                code.add_data(line.text)
                paper.paste(code.make_image().get_image().convert("L"), (x, y))
            for char in line.text if line.kind == "text" else "":
                wide, high = line.size
                cell = Image.new("L", (CELL, CELL + 6), 255)
                face: Any = _face_of(char, CELL)
                ImageDraw.Draw(cell).text((0, 21), char, font=face, fill=0, anchor="ls", stroke_width=int(line.bold))
                step = CELL if ord(char) > 0x7E else CELL // 2
                paper.paste(cell.crop((0, 0, step, CELL + 6)).resize((step * wide, (CELL + 6) * high)), (x, y))
                x += step * wide
            y += line.height
        brush.rectangle((0, 0, paper.width - 1, paper.height - 1), outline=128)
        return paper


def read(data: bytes, dots: int) -> Printed:
    """The lines of a slip.

    Raises:
        AssertionError: a command it does not know, a character its font lacks, or text before it was told GB 18030.
    """
    source, made = io.BytesIO(data), Printed(dots)
    state: dict[str, Any] = {"size": (1, 1), "align": 0, "bold": False, "chinese": False, "text": b"", "module": 0}
    while byte := source.read(1):
        if byte == b"\x1b":
            _esc(source, state, made)
        elif byte == b"\x1d":
            _gs(source, state, made)
        elif byte == b"\x1c":
            assert source.read(1) == b"&", "FS: only that text is Chinese"
            state["chinese"] = True
        elif byte == b"\n":
            _line(state, made)
        else:
            assert byte >= b" ", byte
            state["text"] += byte
    assert not state["text"], "text that no line feed pushes out"
    return made


def _line(state: dict[str, Any], made: Printed) -> None:
    text = state["text"].decode("gb18030")
    assert state["chinese"] or text.isascii()
    assert all(" " <= c <= "~" or len(c.encode("gb18030")) == 2 for c in text), text
    wide, high = state["size"]
    width = sum(CELL if ord(c) > 0x7E else CELL // 2 for c in text) * wide
    line = Line("text", width, (CELL + 6) * high, text, state["size"], state["align"], state["bold"])
    made.lines.append(line)
    state["text"] = b""


def _esc(source: io.BytesIO, state: dict[str, Any], made: Printed) -> None:
    what = source.read(1)
    if what == b"@":
        assert not made.lines, "reset once, at the start"
    elif what == b"a":
        state["align"] = source.read(1)[0] % 48
    elif what == b"E":
        state["bold"] = source.read(1) in (b"\x01", b"1")
    elif what == b"d":
        made.lines += [Line("text", 0, CELL + 6) for _ in range(source.read(1)[0])]
    elif what in (b"-", b"M", b"t", b"{"):  # no underline, font A, ASCII's code page, not upside down
        assert source.read(1) in (b"\x00", b"0"), what
    else:
        raise AssertionError(f"ESC {what!r}")


def _gs(source: io.BytesIO, state: dict[str, Any], made: Printed) -> None:
    what = source.read(1)
    if what == b"!":
        size = source.read(1)[0]
        state["size"] = (1 + (size >> 4), 1 + (size & 15))
    elif what == b"V":
        assert source.read(1) in (b"\x01", b"\x00")
        made.cut = True
    elif what == b"B":
        assert source.read(1) == b"\x00", "not white on black"
    elif what == b"b":
        source.read(1)
    elif what == b"v":
        assert source.read(2) == b"0\x00"
        across, high = int.from_bytes(source.read(2), "little"), int.from_bytes(source.read(2), "little")
        bits = source.read(across * high)
        assert len(bits) == across * high
        made.lines.append(Line("picture", across * 8, high, align=state["align"], bits=bits))
    elif what == b"(":
        _code(source, state, made)
    else:
        raise AssertionError(f"GS {what!r}")


def _code(source: io.BytesIO, state: dict[str, Any], made: Printed) -> None:
    assert source.read(1) == b"k"
    rest = source.read(int.from_bytes(source.read(2), "little"))
    assert rest[:1] == b"1", "a QR code"
    if rest[1] == 67:
        state["module"] = rest[2]
    elif rest[1] == 80:
        state["qr"] = rest[3:].decode()
    elif rest[1] == 81:
        code = qrcode.QRCode(border=0, error_correction=qrcode.constants.ERROR_CORRECT_M)
        code.add_data(state["qr"])
        side = (17 + 4 * code.best_fit()) * state["module"]
        made.lines.append(Line("qr", side, side, state["qr"], (state["module"], 0), state["align"]))
