"""The insurance as a side of the nightly comparison: what is right is 0, what is wrong is found and named."""

from datetime import date, timedelta
from typing import Any

import pytest

from kernel.outside import Rejected, Unknown
from payments import flows
from payments.flows.reconciling import reconcile_due
from payments.models import InsurancePart
from payments.ports.statements import InsuranceRow, InsuranceTotals
from payments.rules.reconciling import About, Cut, DiffKind, Side, SideState, Thing, compare, needs
from payments.service import reconciling, worklist
from pwa import books_sheets as sheets
from tests.payments.books import Books, open_books
from tests.payments.conftest import MOTHER, Bill, House
from tests.payments.test_insurance import center, held, insured, insurer, of_visit, shown, swept
from tests.payments.test_insurance_refunds import back, each, reversed_, right
from tests.payments.test_shares import pays
from words.books import Books as Words


@pytest.fixture
async def books(house: House) -> Books:
    """The house at noon, the insurer's clock, too."""
    made = await open_books(house)
    made.insurance = center(house)
    house.town.insurance.books.now = house.clock
    return made


async def settled(books: Books, *items: str) -> tuple[Bill, InsurancePart]:
    """A visit paid by the insurance and in cash, booked by the hospital."""
    bill = await books.house.bill(*items)
    [part] = await insured(books.house, bill, account_used=False)
    await pays(books.house, books.house.mother, MOTHER, bill, None, part.cash_fen or 0)
    await books.house.settle()
    return bill, part


def borne(part: InsurancePart) -> int:
    """What the insurance bears."""
    return part.total_fen - (part.cash_fen or 0)


def insurance_is(books: Books, how: str) -> None:
    """The insurer's statement of the day has a wrong line, in the totals and in the lines."""
    books.house.town.insurance.behaviour.plan([{"on": on, "do": how} for on in ("total", "detail")])


async def test_a_clean_day_is_0(books: Books) -> None:
    """Settled, one line taken back, all of it returned, paid anew in cash: every side agrees to the fen."""
    bill, part = await settled(books)
    await settled_anew(books, bill)
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.open, outcome.lacking) == (0, 0, ())
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert day.sides == dict.fromkeys((Side.PROVIDER, Side.HIS, Side.INSURANCE), SideState.THERE)
    assert (
        day.totals["insurance"] == day.totals["insured_here"] == {"paid": borne(part), "back": borne(part), "count": 2}
    )
    assert day.totals["provider"]["paid"] - day.totals["provider"]["back"] == books.house.taken
    assert day.totals["his"]["paid"] - day.totals["his"]["back"] == books.house.taken
    assert held(books.house) == 0
    await right(books.house)


async def settled_anew(books: Books, bill: Bill) -> None:
    """One item is taken back, the others are paid anew in cash."""
    gone = next(c for c in await each(books.house, bill) if c.self_fen)
    await reversed_(books.house, bill, gone)
    await swept(books.house, 1)
    await back(books.house, bill)
    await pays(books.house, books.house.mother, MOTHER, bill, None, await books.house.owed(bill.visit))
    await books.house.settle()


async def test_the_totals_are_asked_first(books: Books) -> None:
    """Where they agree nobody asks for the lines."""
    await settled(books)
    asked: list[str] = []

    class Counting:
        async def agrees(self, ours: InsuranceTotals) -> bool:
            asked.append("3201")
            return bool(await center(books.house).agrees(ours))

        async def statement(self, day: date) -> tuple[InsuranceRow, ...]:
            asked.append("3202")
            return tuple(await center(books.house).statement(day))

    books.insurance = Counting()
    assert (await books.morning_after()).diff_fen == 0
    assert asked == ["3201"]
    insurance_is(books, "differing")
    assert (await books.compared()).diff_fen == 1
    assert asked == ["3201"] * 2 + ["3202"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("missing", ("insurance", "missing_at_provider", "ours", None, "insurance_no_row")),
        ("differing", ("insurance", "amount_differs", "ours", "ours+1", "insurance_amounts")),
        ("extra", ("insurance", "missing_here", None, 1000, "insurance_no_number")),
    ],
)
async def test_a_wrong_line(books: Books, how: str, expected: tuple[Any, ...]) -> None:
    """Missing, different, one too many: each with its own words, closable with a reason, gone when it is right."""
    bill, part = await settled(books)
    insurance_is(books, how)
    await books.morning_after()
    amounts = {"ours": borne(part), "ours+1": borne(part) + 1}
    assert await books.short() == [tuple(amounts.get(one, one) if isinstance(one, str) else one for one in expected)]
    (line,) = await books.worklist()
    assert Words.what(line.about, line.kind) != line.kind
    assert "医保" in "".join(Words.why(line.cause))
    assert line.visit_id == (None if how == "extra" else bill.visit)
    async with books.house.db.begin() as tx:
        await worklist.close(tx, books.finance, line.id, "医保中心已更正")
    assert (await books.compared()).diff_fen == 0


async def test_a_refund_the_insurer_does_not_have(books: Books) -> None:
    """Its statement lacks the way back, or has one that we have not heard of yet: named as what they are."""
    bill, part = await settled(books)
    gone = next(c for c in await each(books.house, bill) if c.self_fen)
    world = books.house.town.insurance
    await reversed_(books.house, bill, gone)
    world.behaviour.plan([{"on": "refund", "do": "error_after"}, {"on": "notify", "do": "lose", "times": None}])
    await swept(books.house, 1)
    await books.morning_after()
    assert ("insurance_back", "missing_here", None, borne(part), "insurance_not_known_yet") in await books.short()
    books.at(12, 30)
    await swept(books.house, 1)
    await back(books.house, bill)
    assert (await books.morning_after()).diff_fen == 0
    refund = next(iter(world.books.refunds.values()))
    refund.status = "FAIL"
    await books.compared()
    expected = ("insurance_back", "missing_at_provider", borne(part), None, "insurance_no_row")
    assert await books.short() == [expected]


async def test_paid_there_and_not_known_here(books: Books) -> None:
    """The insurer has paid, its notice was lost and we have not asked: found, and gone once we know."""
    bill = await books.house.bill()
    world = books.house.town.insurance
    world.behaviour.plan([{"on": "notify", "do": "lose", "times": None}])
    [part] = await shown(books.house, bill, account_used=False)
    await flows.confirm(books.house.db, center(books.house), books.house.mother, bill.visit, part.cash_fen or 0)
    insurer(books.house, "pay")
    await books.morning_after()
    assert await books.short() == [("insurance", "missing_here", None, borne(part), "insurance_not_known_yet")]
    await swept(books.house)
    assert (await of_visit(books.house, bill))[0].state == "paid"
    assert (await books.compared()).diff_fen == 0
    (line,) = await books.worklist()
    assert (line.state, line.closed_reason) == ("closed", worklist.VANISHED)


async def test_the_insurers_day_counts(books: Books) -> None:
    """Paid there at 23:59 and learnt of at 00:01: of the day before on both sides, and both days are 0."""
    books.at(23, 58)
    bill = await books.house.bill()
    books.house.town.insurance.behaviour.plan([{"on": "notify", "do": "lose", "times": None}])
    [part] = await shown(books.house, bill, account_used=False)
    await flows.confirm(books.house.db, center(books.house), books.house.mother, bill.visit, part.cash_fen or 0)
    insurer(books.house, "pay")
    books.at(0, 1, days=1)
    await swept(books.house, 1)
    assert (await books.morning_after()).diff_fen == 0
    books.at(10, 10, days=2)
    assert (await books.compared(books.day + timedelta(days=1))).diff_fen == 0
    async with books.house.db.begin() as tx:
        later, first = await reconciling.days(tx, books.house.hospital)
    assert first.totals["insurance"]["paid"] == borne(part)
    assert "insurance" not in later.totals


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("row_insured", ("insurance", "his_split_differs", "fund", "fund-1", "split:fund_fen")),
        ("row_uninsured", None),
    ],
)
async def test_the_hospitals_list_says_what_the_insurance_bears(
    books: Books, fault: str, expected: tuple[Any, ...] | None
) -> None:
    """A fen of the fund's is the account's there: found; a list that says nothing of the insurance finds nothing."""
    _, part = await settled(books)
    books.his_is(fault)
    outcome = await books.morning_after()
    if expected is None:
        assert (outcome.diff_fen, await books.short()) == (0, [])
        return
    fund = part.fund_fen or 0
    amounts: dict[str, int] = {"fund": fund, "fund-1": fund - 1}
    assert await books.short() == [tuple(amounts.get(one, one) for one in expected)]


async def test_the_hospital_lists_no_insurance_where_there_was_one(books: Books) -> None:
    """It booked the settlement, and not what the insurance bears of it."""
    _, part = await settled(books)
    for data in books.house.town.his.books.settlements.values():
        data["insurance"] = []
    await books.morning_after()
    assert await books.short() == [("insurance", "missing_at_his", borne(part), None, "his_insurance")]


# ------------------------------------------------------------------------------------------------- what is not there


class Says:
    """A centre that answers so."""

    def __init__(self, totals: bool | Exception, lines: Exception | None = None) -> None:
        self.totals, self.lines = totals, lines

    async def agrees(self, ours: InsuranceTotals) -> bool:
        if isinstance(self.totals, Exception):
            raise self.totals
        return self.totals

    async def statement(self, day: date) -> tuple[InsuranceRow, ...]:
        raise self.lines or Unknown("nothing")


@pytest.mark.parametrize(
    ("says", "state", "why"),
    [
        (Says(Rejected("no_such_service")), SideState.ABSENT, None),
        (Says(Unknown("down")), SideState.TROUBLE, None),
        (Says(False, Unknown("down")), SideState.TROUBLE, None),
        (Says(False, Rejected("no_such_service")), SideState.TROUBLE, "totals_differ"),
    ],
)
async def test_a_centre_that_cannot_answer(books: Books, says: Says, state: SideState, why: str | None) -> None:
    """Not to be had, and said so; one that only says that something differs is not left out."""
    await settled(books)
    books.insurance = says
    outcome = await books.morning_after()
    assert [(side, how) for _, side, how, _ in outcome.lacking] == [(Side.INSURANCE, state)]
    assert why is None or outcome.lacking[0][3] == why
    assert (outcome.diff_fen, await books.short()) == (0, [])


async def test_without_a_line_and_while_the_day_lasts(books: Books) -> None:
    """No line: no such side, unless something was settled. Today's may be refused: it waits for the morning."""
    books.insurance = None
    await books.paid()
    assert Side.INSURANCE not in {side for _, side, *_ in (await books.compared()).lacking}
    await settled(books, "ECG12")
    assert (Side.INSURANCE, SideState.ABSENT) in {(side, how) for _, side, how, _ in (await books.compared()).lacking}
    books.insurance = Says(Rejected("not_over"))
    assert (Side.INSURANCE, SideState.WAITS) in {(side, how) for _, side, how, _ in (await books.compared()).lacking}
    books.insurance = center(books.house)
    assert Side.INSURANCE not in {side for _, side, *_ in (await books.compared()).lacking}
    books.at(10, 6, days=1)
    ports = books.house.world.ports
    assert await reconcile_due(books.house.db, books.house.pay, ports.his, ports.insurance_books) == 1
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert (day.sides[Side.INSURANCE], day.diff_fen) == (SideState.THERE, 0)


async def test_the_files_and_pages_of_finance(books: Books) -> None:
    """The insurer's lines in the workbook and in the list of each, its own words on the page."""
    _, part = await settled(books)
    insurance_is(books, "differing")
    await books.morning_after()
    async with books.house.db.begin() as tx:
        items = await reconciling.rows(tx, books.house.hospital, books.day)
    own = sheets.side(items, Side.INSURANCE, "x").rows
    assert [row[2] for row in own] == [part.pay_order_id]
    assert any(row[1] == "医保结算" and row[9] == borne(part) for row in sheets.every(items, {}).rows)
    finance = await books.phone(books.finance)
    page = (await finance.get(f"/desk/books/{books.day}")).text
    assert "医保支付金额不一样" in page
    assert "医保对账单" in page
    assert str(part.pay_order_id) in page
    assert "医保" in (await finance.get("/desk/books")).text
    for name in ("worklist.csv", "rows.csv", "books.xlsx"):
        assert (await finance.get(f"/desk/books/{books.day}/{name}")).status_code == 200


# --------------------------------------------------------------------------------------------------------- the rules


def test_the_same_sum_borne_by_others() -> None:
    """Fund and account differ by a fen and make the same sum: found, once, by the first part that differs."""
    thing = Thing(
        About.INSURANCE,
        "O",
        "S",
        "paid",
        here=90,
        provider=90,
        here_cut=Cut(60, 30, 0, 10),
        provider_cut=Cut(59, 31, 0, 10),
    )
    (one,) = compare([thing], {Side.INSURANCE})
    assert (one.kind, one.here_fen, one.there_fen, one.cause) == (DiffKind.SPLIT_DIFFERS, 60, 59, "split:fund_fen")
    assert list(compare([thing], {Side.PROVIDER})) == []


def test_every_kind_has_words_and_a_side() -> None:
    """Whatever can be found has a sentence, and needs somebody's books."""
    for about in (About.INSURANCE, About.INSURANCE_BACK):
        for kind in set(DiffKind) - {DiffKind.LEDGER_DIFFERS}:
            assert (about.value, kind.value) in Words.kinds
            assert needs(about, kind) in ({Side.INSURANCE}, {Side.HIS})
    assert Cut.of("1/2/3/4") == Cut(1, 2, 3, 4)
    assert Cut.of("SUCCESS") is None
