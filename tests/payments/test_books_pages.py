"""The books for the finance department over real HTTP: days, worklist, reasons, files; and nobody else's."""

import csv
import io
import re
from datetime import timedelta

import httpx
import openpyxl
import pytest

from people.models import Person
from tests.payments.books import Books, open_books
from tests.payments.conftest import House

EVIL = "=HYPERLINK(1)"


@pytest.fixture
async def books(house: House) -> Books:
    """The house at noon."""
    return await open_books(house)


async def form(client: httpx.AsyncClient, page: str, to: str, **fields: str) -> httpx.Response:
    """Send a form of a page, with its token."""
    html = (await client.get(page)).text
    token = re.search(r'name="_csrf" value="([^"]*)"', html)
    assert token is not None
    return await client.post(to, data={"_csrf": token[1], **fields})


async def test_a_day_is_compared_explained_and_exported(books: Books) -> None:
    """One morning: the hospital's list lacks a payment; finance sees it, says why, and the day is explained."""
    bill, attempt = await books.paid()
    number = (await books.house.attempt(attempt)).transaction_id
    assert number is not None
    books.his_is("row_missing")
    books.at(10, 10, days=1)
    finance = await books.phone(books.finance)
    sent = await form(finance, "/desk/books", "/desk/books", day=str(books.day))
    assert (sent.status_code, sent.headers["location"]) == (303, f"/desk/books/{books.day}")
    listed = (await finance.get("/desk/books")).text
    assert "有差异" in listed
    assert "1 条要看" in listed
    page = (await finance.get(f"/desk/books/{books.day}")).text
    assert "医院系统没有入账" in page
    assert number in page
    assert "不要让患者再付" in page
    assert "微信收款" in page, "the ledger of the day"
    identity = re.search(r'action="(/desk/books/differences/[^"]+)"', page)
    assert identity is not None
    empty = await form(finance, f"/desk/books/{books.day}", identity[1], reason=" ", day=str(books.day))
    assert empty.status_code == 422
    assert "还没有写原因" in empty.text
    closed = await form(finance, f"/desk/books/{books.day}", identity[1], reason="信息科已补入账", day=str(books.day))
    assert closed.status_code == 303
    page = (await finance.get(f"/desk/books/{books.day}")).text
    assert "财务科：信息科已补入账" in page
    assert "没有差异。" in page
    assert "都说明了" in page
    assert bill.owed


async def test_files_hold_all_sides_and_no_formula(books: Books) -> None:
    """A patient whose name is a formula: in CSV it is disarmed, in the workbook it is text; all sides stand in it."""
    await books.paid()
    vault = books.house.db.vault
    mother = books.house.mother.id
    async with books.house.db.begin() as tx:
        row = await tx.get(Person, mother)
        assert row is not None
        row.name_sealed = vault.seal(EVIL, "person", "name", mother)
    books.his_is("row_differing")
    await books.morning_after()
    finance = await books.phone(books.finance)
    where = f"/desk/books/{books.day}"
    for name, lines in (("worklist.csv", 1), ("rows.csv", 2)):
        answer = await finance.get(f"{where}/{name}")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.headers["cache-control"] == "private, no-store"
        table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""), strict=True))
        assert [line["患者"] for line in table] == ["'" + EVIL] * lines
    answer = await finance.get(f"{where}/books.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["合计", "差异", "逐笔", "微信账单", "医院入账", "医保对账单", "账本科目"]
    found = [cell for page in book for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in found} <= {"s", "n"}
    assert EVIL in [cell.value for cell in found]
    assert book["差异"].max_row == 2
    money, booked = sorted(book["逐笔"].iter_rows(min_row=2, values_only=True), key=lambda line: line[1] != "收款")
    assert money[9] == money[10] == money[11] == booked[12] == pytest.approx(booked[13] - 0.01)
    assert (booked[1], booked[4]) == ("医院入账", money[4])
    assert (book["微信账单"].max_row, book["医院入账"].max_row) == (2, 2)


async def test_only_the_finance_department(books: Books) -> None:
    """The counter is refused, a patient too, nobody logged in is sent away; an unknown day is not found."""
    await books.paid()
    await books.morning_after()
    where = f"/desk/books/{books.day}"
    files = [f"{where}/{name}" for name in ("worklist.csv", "rows.csv", "books.xlsx")]
    every = ["/desk/books", where, *files, f"/api/desk/books/{books.day}"]
    for actor in (books.house.counter, books.house.mother):
        client = await books.phone(actor)
        for path in every:
            answer = await client.get(path)
            assert answer.status_code == 403, path
            assert "sheet" not in answer.headers["content-type"]
        assert (await client.post(f"/api/desk/books/{books.day}")).status_code == 403
    async with httpx.AsyncClient(base_url=books.house.url, trust_env=False) as nobody:
        for path in every:
            assert (await nobody.get(path)).status_code in (303, 401), path
    finance = await books.phone(books.finance)
    for path in every[1:]:
        assert (await finance.get(path)).status_code == 200, path
        unknown = path.replace(str(books.day), str(books.day - timedelta(days=9)))
        assert (await finance.get(unknown)).status_code == 404, path


async def test_the_api_compares_and_tells(books: Books) -> None:
    """A program of the finance department: compare, read; tomorrow cannot be compared."""
    bill, _ = await books.paid()
    await books.house.behave({"on": "rows", "do": "extra"})
    books.at(10, 10, days=1)
    finance = await books.phone(books.finance)
    assert (await finance.get(f"/api/desk/books/{books.day}")).status_code == 404
    said = (await finance.post(f"/api/desk/books/{books.day}")).json()
    assert said["sides"] == {"provider": "there", "his": "there", "insurance": "there"}
    assert (said["diff_fen"], said["open_fen"]) == (bill.owed, bill.owed)
    assert [(d["kind"], d["there_fen"], d["state"]) for d in said["lines"]] == [("missing_here", bill.owed, "open")]
    assert (await finance.get(f"/api/desk/books/{books.day}")).json() == said
    ahead = await finance.post(f"/api/desk/books/{books.day + timedelta(days=2)}")
    assert (ahead.status_code, ahead.json()["code"]) == (422, "day_not_over"), ahead.text
    wrong = await form(finance, "/desk/books", "/desk/books", day="soon")
    assert wrong.status_code == 422


async def test_the_desk_leads_there(books: Books) -> None:
    """Finance finds the books on its desk; the counter sees no such link."""
    assert 'href="/desk/books"' in (await (await books.phone(books.finance)).get("/desk")).text
    assert 'href="/desk/books"' not in (await (await books.phone(books.house.counter)).get("/desk")).text
