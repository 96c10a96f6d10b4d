"""A camera for clean QR codes: what a phone reads from another screen, so that a journey can scan and not look it up.

Only what our own pages draw has to be read: straight, sharp, undamaged. The standard is ISO/IEC 18004; its tables are
those of the library that draws the codes.
"""

import base64
import io
from collections.abc import Callable, Iterator

from PIL import Image
from playwright.sync_api import Locator, expect
from qrcode.base import rs_blocks
from qrcode.main import QRCode
from qrcode.util import mask_func

_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_FORMAT_MASK = 0x5412
_MODE = {1: "numeric", 2: "alphanumeric", 4: "byte"}

Grid = list[list[bool]]


_PICTURE = """async img => {
  await img.decode();
  const canvas = document.createElement('canvas');
  canvas.width = img.naturalWidth; canvas.height = img.naturalHeight;
  canvas.getContext('2d').drawImage(img, 0, 0);
  return canvas.toDataURL('image/png').split(',')[1];
}"""


def scan(shown: Locator) -> str:
    """The text of the code that this picture shows."""
    expect(shown).to_be_visible()
    return read(base64.b64decode(shown.evaluate(_PICTURE)))


def read(png: bytes) -> str:
    """The text of the one code in a picture.

    Raises:
        ValueError: there is none, or it is none of ours.
    """
    grid = _modules(Image.open(io.BytesIO(png)).convert("L"))
    level, mask = _format(grid)
    blocks = rs_blocks((len(grid) - 17) // 4, level)
    words = _words(grid, level, mask_func(mask))
    sizes = [block.data_count for block in blocks]
    parts: list[list[int]] = [[] for _ in sizes]
    for number in range(max(sizes)):
        for part, size in zip(parts, sizes, strict=True):
            if number < size:
                part.append(next(words))
    return _text([word for part in parts for word in part], (len(grid) - 17) // 4)


def _modules(picture: Image.Image) -> Grid:
    width, height = picture.size
    pixels = picture.tobytes()

    def dark(x: int, y: int) -> bool:
        return pixels[y * width + x] < 128

    # The first dark row begins with the side of a finder, seven modules long.
    for y in range(height):
        x = next((x for x in range(width) if dark(x, y)), None)
        if x is None:
            continue
        run = next((n for n in range(width - x) if not dark(x + n, y)), 0)
        size = run / 7
        inside = round(1.5 * size)
        if run >= 14 and all(dark(x, y + n) for n in range(run)) and not dark(x + inside, y + inside):
            right = max(n for n in range(width) if dark(n, y))
            count = round((right + 1 - x) / size)
            if count >= 21 and count % 4 == 1:
                size = (right + 1 - x) / count
                spots = [int((n + 0.5) * size) for n in range(count)]
                return [[dark(x + column, y + row) for column in spots] for row in spots]
    raise ValueError("no code in the picture")


def _format(grid: Grid) -> tuple[int, int]:
    """(error correction level, mask), from the fifteen bits beside the corner."""
    around = [(8, n) for n in (0, 1, 2, 3, 4, 5, 7, 8)] + [(n, 8) for n in (7, 5, 4, 3, 2, 1, 0)]
    bits = 0
    for row, column in around:
        bits = bits << 1 | grid[row][column]
    bits ^= _FORMAT_MASK
    return bits >> 13, bits >> 10 & 7


def _words(grid: Grid, level: int, mask: Callable[[int, int], bool]) -> Iterator[int]:
    count = len(grid)
    free = _free(count, level)
    word = bits = 0
    for right in [*range(count - 1, 6, -2), 5, 3, 1]:
        upward = (right + 1 if right < 6 else right) & 2 == (count - 1) & 2
        for step in range(count):
            row = count - 1 - step if upward else step
            for column in (right, right - 1):
                if free[row][column]:
                    word = word << 1 | (grid[row][column] ^ mask(row, column))
                    bits += 1
                    if bits == 8:
                        yield word
                        word = bits = 0


def _free(count: int, level: int) -> list[list[bool]]:
    """Which modules carry data: those left open when everything is drawn that is the same in every code."""
    drawn = QRCode(version=(count - 17) // 4, error_correction=level)
    drawn.modules_count = count
    drawn.modules = [[None] * count for _ in range(count)]
    for row, column in ((0, 0), (count - 7, 0), (0, count - 7)):
        drawn.setup_position_probe_pattern(row, column)
    drawn.setup_position_adjust_pattern()
    drawn.setup_timing_pattern()
    drawn.setup_type_info(True, 0)
    if (count - 17) // 4 >= 7:
        drawn.setup_type_number(True)
    return [[module is None for module in row] for row in drawn.modules]


class _Bits:
    def __init__(self, words: list[int]) -> None:
        self._text = "".join(f"{word:08b}" for word in words)
        self._at = 0

    def take(self, count: int) -> int:
        made = self._text[self._at : self._at + count]
        self._at += count
        return int(made, 2) if len(made) == count else 0


def _text(words: list[int], version: int) -> str:
    bits, out = _Bits(words), bytearray()
    long = version >= 10
    while (mode := bits.take(4)) in _MODE:
        match _MODE[mode]:
            case "byte":
                out += bytes(bits.take(8) for _ in range(bits.take(16 if long else 8)))
            case "numeric":
                left = bits.take(12 if long else 10)
                while left:
                    digits = min(3, left)
                    out += f"{bits.take((0, 4, 7, 10)[digits]):0{digits}}".encode()
                    left -= digits
            case _:
                left = bits.take(11 if long else 9)
                while left >= 2:
                    first, second = divmod(bits.take(11), 45)
                    out += (_ALPHANUMERIC[first] + _ALPHANUMERIC[second]).encode()
                    left -= 2
                if left:
                    out += _ALPHANUMERIC[bits.take(6)].encode()
    return out.decode()
