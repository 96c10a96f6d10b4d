"""Believable days of the books, right and wrong, to look at and to test with."""

from datetime import date, timedelta
from typing import Any

from pwa import views as v
from pwa.books_views import BookDay, BookLine, DeskBook, DeskBooks, LedgerAccount
from pwa.sample_morning import CALLS, HOSPITAL, ORDERS, Sample, at
from words.books import Books

_DAY = date(2026, 11, 19)
_TOTALS = {
    "provider": {"paid": 1843260, "back": 12600, "count": 214},
    "here": {"paid": 1835500, "back": 12600, "count": 213},
    "ledger": {"paid": 1835500, "back": 12600, "count": 213},
    "his": {"paid": 1835500, "back": 10600, "count": 212},
    "insurance": {"paid": 4120900, "back": 11640, "count": 87},
    "insured_here": {"paid": 4120900, "back": 0, "count": 86},
}


def _line(about: str, kind: str, cause: str, here: int | None, there: int | None, **over: Any) -> BookLine:
    why, todo = Books.why(cause)
    number = f"HF20261119{len(kind) * 7919:06d}KQ7R2M9P"
    given: dict[str, Any] = {
        "id": f"{about}-{kind}",
        "numbers": (number, "4200002345202611196789012345"),
        "found_at": at(10, 6),
    }
    given |= {"patient": "示例甲", "visit_url": "/desk/visits/v1"} | over
    amount = abs((here or 0) - (there or 0))
    return BookLine(
        what=Books.what(about, kind), amount_fen=amount, here_fen=here, there_fen=there, why=why, todo=todo, **given
    )


def books() -> dict[str, Sample]:
    """The pages of the books by name."""

    def day(back: int, light: str, says: str) -> BookDay:
        on = _DAY - timedelta(days=back)
        right = dict.fromkeys(_TOTALS, _TOTALS["here"])
        totals = {"open": _TOTALS, "explained": _TOTALS, "right": right, "partly": {}}[light]
        return BookDay(on, light, says, totals, f"/desk/books/{on}")  # type: ignore[arg-type]

    wrong = day(0, "open", Books.differs(10994, 3))
    open_lines = (
        _line("payment", "missing_here", "closed_here", None, 7760),
        _line("refund", "missing_at_his", "said_done", 2000, None),
        _line("settlement", "extra_at_his", "no_number", None, 1234, patient="", visit_url=None),
    )
    insured = (
        _line("insurance", "missing_at_provider", "insurance_no_row", 11640, None),
        _line("insurance", "split_differs", "split:fund_fen", 9640, 9639),
        _line("insurance_back", "missing_here", "insurance_not_known_yet", None, 11640),
        _line("insurance", "his_split_differs", "split:account_fen", 2000, 2001),
    )
    closed = (
        _line(
            "payment",
            "amount_differs",
            "amounts",
            4000,
            4001,
            closed="财务科：微信多记一分，已核对",
            closed_at=at(11, 0),
        ),
        _line("settlement", "missing_at_his", "on_its_way", 600, None, closed=Books.by_itself, closed_at=at(10, 36)),
    )
    ledger = (
        LedgerAccount("应收患者", 1901200, 1835500, 65700),
        LedgerAccount("微信收款", 1835500, 12600, 1822900),
        LedgerAccount("医疗收入", 12600, 5210040, -5197440),
    )
    partly = Books.sides["provider"] + Books.states["waits"]
    days = (day(-1, "partly", partly), wrong, day(1, "explained", Books.results["explained"]), day(2, "right", ""))
    lacking = (
        (Books.sides["provider"], Books.states["waits"]),
        (Books.sides["his"], Books.states["trouble"]),
        (Books.sides["insurance"], Books.states["kept"]),
    )
    return {
        "desk_books": Sample("desk_books.html", DeskBooks(HOSPITAL, days, _DAY, date(2026, 11, 20))),
        "desk_books-empty": Sample(
            "desk_books.html",
            DeskBooks(HOSPITAL, (), _DAY, date(2026, 11, 20), error="这一天还没到。请选今天或以前的日子。"),
        ),
        "desk_book": Sample("desk_book.html", DeskBook(HOSPITAL, wrong, open_lines, closed, (), 1, ledger)),
        "desk_book-insurance": Sample(
            "desk_book.html",
            DeskBook(HOSPITAL, wrong, insured, (), (), 0, ledger),
        ),
        "desk_book-reason": Sample(
            "desk_book.html",
            DeskBook(
                HOSPITAL, wrong, open_lines[:1], (), (), 0, ledger, "还没有写原因。", failed=open_lines[0].id, said="查"
            ),
        ),
        "desk_book-right": Sample("desk_book.html", DeskBook(HOSPITAL, day(2, "right", ""), (), (), (), 0, ledger)),
        "desk_book-partly": Sample("desk_book.html", DeskBook(HOSPITAL, days[0], (), (), lacking, 0, ())),
        "desk-finance": Sample("desk.html", v.Desk(HOSPITAL, "全院", "财务科", ORDERS, CALLS, mends=True, books=True)),
    }
