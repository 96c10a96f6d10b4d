"""The books of a day as files: CSV and XLSX, of which no spreadsheet program takes a name for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import xlsxwriter

from words.money import SHANGHAI

Cell = str | int | None
"""Text, fen, or nothing: an amount is never text, and text never a number."""

# What a spreadsheet reads as the beginning of a formula, in either width, or skips before it looks for one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
_WIDEST = 48


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: its name (≤ 31 characters), the heads, the rows. ``counts``: columns whose numbers are no money."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    counts: frozenset[int] = frozenset()


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe stands before what looks like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def yuan(fen: int) -> str:
    """``123456`` → ``1234.56``: without thousands, as programs read it."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def moment(at: datetime | None) -> str:
    """``2026-11-22 09:31:05`` in China."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def as_csv(sheet: Sheet) -> bytes:
    """RFC 4180 with CRLF, in UTF-8 with a BOM, by which Excel knows it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(sheet.head)
    for row in sheet.rows:
        writer.writerow(_plain(cell, n in sheet.counts) for n, cell in enumerate(row))
    return b"\xef\xbb\xbf" + file.getvalue().encode()


def _plain(cell: Cell, count: bool) -> str:
    if isinstance(cell, int):
        return str(cell) if count else yuan(cell)
    return harmless(cell or "").replace("\0", "")


def as_xlsx(sheets: Iterable[Sheet]) -> bytes:
    """One workbook: text is written as text, amounts as numbers with two decimals, nothing as a formula or a link."""
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options) as book:
        bold, money = book.add_format({"bold": True, "text_wrap": True}), book.add_format({"num_format": "0.00"})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 0)
            for column, title in enumerate(sheet.head):
                page.write_string(0, column, title, bold)
            for line, row in enumerate(sheet.rows, 1):
                for column, cell in enumerate(row):
                    if isinstance(cell, int) and column in sheet.counts:
                        page.write_number(line, column, cell)
                    elif isinstance(cell, int):
                        page.write_number(line, column, cell / 100, money)
                    elif cell:
                        page.write_string(line, column, cell)
            for column in range(len(sheet.head)):
                page.set_column(column, column, _width(sheet, column))
    return file.getvalue()


def _width(sheet: Sheet, column: int) -> int:
    cells = [sheet.head[column], *(str(row[column] or "") for row in sheet.rows[:200])]
    return min(_WIDEST, 2 + max(sum(2 if ord(c) > 0x2E80 else 1 for c in cell) for cell in cells))
