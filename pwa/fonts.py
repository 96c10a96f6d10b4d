"""Whether this machine can write Chinese on paper: a signed letter full of empty boxes is worse than none.

And which characters it can write: what no font has is printed as its code in a box, never as nothing.
"""

import re
import shutil
import subprocess
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path

from kernel.outside import NotConfigured

PACKAGED = Path(__file__).parent / "node_modules/@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf"
# Families that machines with Chinese fonts have; WeasyPrint embeds what it used of the first that is there.
FAMILIES = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "Microsoft YaHei")
# Where GB 18030-2000 and -2005 kept characters of its own, and where they are since 2022 (and in Unicode's fonts).
_MOVED = {
    0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, 0xE790: 0xFE13, 0xE791: 0xFE14, 0xE792: 0xFE15, 0xE793: 0xFE16,
    0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19, 0xE7C7: 0x1E3F, 0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC,
    0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F,
    0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE855: 0x241FE, 0xE864: 0x9FBB,
}  # fmt: skip
# Its Chinese characters: extension A, the first block, and extensions B to F.
_CHINESE = (
    (0x3400, 0x4DB5), (0x4E00, 0x9FEF), (0x20000, 0x2A6D6), (0x2A700, 0x2B734), (0x2B740, 0x2B81D), (0x2B820, 0x2CEA1),
    (0x2CEB0, 0x2EBE0),
)  # fmt: skip
_UNSEEN = {"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp", "Cs", "Cn"}
_PIECE = re.compile(r"<svg\b.*?</svg>|<style\b.*?</style>|<title\b.*?</title>|<[^>]*>|[^<]+", re.DOTALL)
_BOX = "<span style='border:0.4pt solid #000;font-size:62%;padding:0 1pt;white-space:nowrap'>{}</span>"
_known: list[str] = []  # only what was found is remembered: a font installed now counts at the next try


@dataclass(frozen=True, slots=True)
class Font:
    """A font file, which face of it, and what it has: characters from ``starts[n]`` to ``ends[n]``."""

    file: str
    face: int
    family: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def has(self, char: str) -> bool:
        """Whether it can draw this character."""
        at = bisect_right(self.starts, ord(char)) - 1
        return at >= 0 and ord(char) <= self.ends[at]


def families() -> list[str] | None:
    """Installed families with Chinese characters, and the packaged one; None when nobody can tell (no fc-list)."""
    if not _known:
        lister = shutil.which("fc-list")
        if PACKAGED.exists():
            _known.append("Noto Sans SC (packaged)")
        if lister is None:
            return list(_known) or None
        listed = subprocess.run([lister, ":lang=zh", "family"], capture_output=True, text=True, check=False).stdout
        _known.extend(sorted({line.split(",")[0] for line in listed.splitlines() if line}))
    return list(_known)


def need_chinese() -> None:
    """Before paper is made.

    Raises:
        NotConfigured: there is no font to write it with; sealing tries again later, and ``houfu doctor`` says how to
            mend it.
    """
    if families() == []:
        raise NotConfigured("fonts.chinese")


@cache
def installed() -> tuple[Font, ...]:
    """Every font there is, those we print with first; asked once in a process (the printing one lives a minute)."""
    found = [_packaged()] if PACKAGED.exists() else []
    if lister := shutil.which("fc-list"):
        form = "%{file}|%{index}|%{family[0]}|%{style[0]}|%{charset}\n"
        listed = subprocess.run([lister, "--format", form], capture_output=True, text=True, check=False).stdout
        rows = sorted((line.split("|") for line in listed.splitlines() if line.count("|") == 4), key=_rank)
        seen: set[str] = set()
        for file, index, family, _, charset in rows:
            if charset and charset not in seen:  # faces of one file, and bold ones, have the same characters
                seen.add(charset)
                found.append(_font(file, int(index), family, charset))
    return tuple(found)


def _rank(row: Sequence[str]) -> tuple[int, bool, str, int]:
    file, index, family, style, _ = row
    place = FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)
    return place, style not in ("Regular", "Book"), file, int(index)


def _font(file: str, face: int, family: str, charset: str) -> Font:
    spans = sorted(tuple(int(x, 16) for x in part.split("-")) for part in charset.split())
    return Font(file, face & 0xFFFF, family, tuple(s[0] for s in spans), tuple(s[-1] for s in spans))


def _packaged() -> Font:
    from fontTools.ttLib import TTFont  # comes with WeasyPrint

    codes = tuple(sorted(TTFont(PACKAGED, lazy=True).getBestCmap()))
    return Font(str(PACKAGED), 0, "Noto Sans SC", codes, codes)


def font_for(char: str) -> Font | None:
    """The first font that has it; None: none has."""
    return next((font for font in installed() if font.has(char)), None)


def lacking(text: str) -> set[str]:
    """Characters of a text that leave a mark and that no font has. Empty where no font is known at all."""
    marks = {c for c in text if (ord(c) > 0x7E and unicodedata.category(c) not in _UNSEEN) or _unassigned(c)}
    return {c for c in marks if font_for(c) is None} if installed() else set()


def _unassigned(char: str) -> bool:
    """Newer than this Python's tables: a character all the same if it is of the planes of Chinese characters."""
    return unicodedata.category(char) == "Cn" and 0x20000 <= ord(char) <= 0x3FFFD


def unwritten() -> tuple[int, int]:
    """How many Chinese characters of GB 18030-2022 no font has, and how many there are."""
    codes = {code for first, last in _CHINESE for code in range(first, last + 1)}
    had = {
        code
        for font in installed()
        for first, last in zip(font.starts, font.ends, strict=True)
        if last >= _CHINESE[0][0]
        for code in range(first, last + 1)
    }
    return len(codes - had), len(codes)


def standard(text: str) -> str:
    """Characters from the places where older GB 18030 kept them, where fonts have them now."""
    return text.translate(_MOVED)


def code_of(char: str) -> str:
    """What is printed of a character that no font has."""
    return f"U+{ord(char):04X}"


def boxed(html: str) -> str:
    """A page on which every character without a font stands as its code in a box (in a picture: in brackets)."""
    html = standard(html)
    missing = lacking(unescape(html))
    if not missing:
        return html
    made = []
    for piece in _PIECE.findall(html):
        if not piece.startswith("<"):
            made.append(_swapped(piece, missing, _BOX))
        elif piece.startswith(("<svg", "<title")):
            made.append(_swapped(piece, missing, "[{}]"))
        else:
            made.append(piece)
    return "".join(made)


def _swapped(text: str, missing: set[str], form: str) -> str:
    return "".join(form.format(code_of(c)) if c in missing else c for c in text)
