"""Exports of the books: whole, readable by another program, and no cell of them is a formula."""

import csv
import io
from typing import Any

import openpyxl
import pytest

from pwa.books_files import Sheet, as_csv, as_xlsx

PAYLOADS = [
    '=HYPERLINK("http://evil.example","x")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\0=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
]
PLAIN = ["示例甲", "a,b", 'say "hi"', "two\r\nlines", "𠅤㛃", "O'Neil", "1=1", ""]


def sheet(*texts: str) -> Sheet:
    """A table of one text, an amount and a count per row."""
    return Sheet("差异", ("患者", "金额（元）", "笔数"), [(text, 123456, 2) for text in texts], frozenset({2}))


def read_csv(raw: bytes) -> list[list[str]]:
    """As Excel and Python read it."""
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_csv_disarms_what_looks_like_a_formula(payload: str) -> None:
    """An apostrophe stands before it, and nothing else of it is changed but NUL, which no file can hold."""
    (_, row) = read_csv(as_csv(sheet(payload)))
    assert row == ["'" + payload.replace("\0", ""), "1234.56", "2"]


@pytest.mark.parametrize("text", PLAIN)
def test_csv_leaves_other_text_as_it_is(text: str) -> None:
    """Commas, quotes, line breaks and rare characters come back as they were."""
    assert read_csv(as_csv(sheet(text)))[1] == [text, "1234.56", "2"]


def test_csv_is_rfc_4180() -> None:
    """CRLF after every line, quotes doubled, a comma in quotes."""
    raw = as_csv(sheet("a,b", 'c"d'))
    assert raw == '\ufeff患者,金额（元）,笔数\r\n"a,b",1234.56,2\r\n"c""d",1234.56,2\r\n'.encode()


def cells(raw: bytes, **options: Any) -> list[Any]:
    """All cells below the head, by another library."""
    book = openpyxl.load_workbook(io.BytesIO(raw), **options)
    return [cell for page in book for row in page.iter_rows(min_row=2) for cell in row]


def test_xlsx_has_no_formula_and_no_link() -> None:
    """Every payload comes back as text; amounts are numbers."""
    raw = as_xlsx([sheet(*PAYLOADS, "http://evil.example", "internal:Sheet1!A1", "1234")])
    found = cells(raw)
    assert {cell.data_type for cell in found} <= {"s", "n"}
    assert all(cell.hyperlink is None for cell in found)
    names = [str(cell.value) for cell in found if cell.column == 1]
    assert names[:5] == PAYLOADS[:5]
    assert len(names) == len(PAYLOADS) + 3
    assert names[-1] == "1234"
    assert found[-3].data_type == "s"
    assert [cell.value for cell in found if cell.column == 2] == [1234.56] * len(names)
    assert [cell.value for cell in found if cell.column == 3] == [2] * len(names)
    assert b"<f>" not in raw
    import zipfile

    with zipfile.ZipFile(io.BytesIO(raw)) as parts:
        sheets = [parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
        assert not any("externalLink" in name for name in parts.namelist())
    assert sheets
    assert not any(b"<f" in one for one in sheets)
