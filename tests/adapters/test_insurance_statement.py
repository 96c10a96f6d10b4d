"""The insurance's books of a day: our totals are confirmed or not, and each line comes where they differ."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from adapters.insurance import statement as wire
from kernel.clock import china_day
from kernel.outside import Unknown
from payments.ports import RefundKind
from payments.ports.statements import InsuranceRow, InsuranceStatements, insurance_totals
from tests.adapters.insurance_stand import Stand, a_stand, refund_of


@pytest.fixture
async def stand(clock: Any, serving: Any) -> AsyncIterator[Stand]:
    async with a_stand(clock, serving) as made:
        yield made


def today(stand: Stand) -> date:
    """The day there."""
    return china_day(stand.world.now())


async def paid(stand: Stand, *charges: tuple[str, int]) -> InsuranceRow:
    """A bill the insurance and the patient have paid, as our books hold it."""
    fees, credential, split = await stand.placed(*charges)
    await stand.move(credential, "pay", "cash")
    number, at = fees.order_number, stand.world.now()
    parts = (split.total_fen, split.fund_fen, split.personal_account_fen, split.other_fen, split.cash_fen)
    return InsuranceRow("settle", number, number, credential.pay_order_id, *parts, at)


def same(one: InsuranceRow, other: InsuranceRow) -> bool:
    """But for the part of a second."""
    return replace(one, at=other.at) == other and abs(one.at - other.at) < timedelta(seconds=5)


async def test_a_right_day_is_confirmed(stand: Stand) -> None:
    """Two settlements, one taken back whole: the totals agree, and so does every line."""
    client: InsuranceStatements = stand.client
    first = await paid(stand, ("A1", 10001))
    fees, credential, split = await stand.placed(("B1", 3333))
    await stand.move(credential, "pay", "cash")
    assert (await stand.client.refund(refund_of(fees, credential, split, RefundKind.ALL))).status == "SUCC"
    rows = await client.statement(today(stand))
    assert [row.kind for row in rows] == ["settle", "settle", "refund"]
    assert same(rows[0], first)
    back = rows[2]
    assert (back.order_number, back.total_fen, back.fund_fen) == (fees.order_number, split.total_fen, split.fund_fen)
    totals = insurance_totals(today(stand), rows)
    assert (totals.count, totals.fund_fen, totals.total_fen) == (3, first.fund_fen, first.total_fen)
    assert await client.agrees(totals)


async def test_an_empty_day(stand: Stand) -> None:
    """Nothing was settled: confirmed, and no lines; a reckoned bill that nobody paid is not in it."""
    await stand.placed()
    assert await stand.client.agrees(insurance_totals(today(stand), ()))
    assert await stand.client.statement(today(stand)) == ()


async def test_one_fen_is_seen(stand: Stand) -> None:
    """Each of our sums, a fen off, and the count: not confirmed."""
    right = insurance_totals(today(stand), [await paid(stand)])
    assert await stand.client.agrees(right)
    for wrong in ({"total_fen": 1}, {"fund_fen": 1}, {"personal_account_fen": 1}, {"count": 1}):
        ((name, more),) = wrong.items()
        assert not await stand.client.agrees(replace(right, **{name: getattr(right, name) + more})), name


@pytest.mark.parametrize("how", ["missing", "extra", "differing"])
async def test_a_statement_can_be_wrong(stand: Stand, how: str) -> None:
    """A line missing, too many, or a fen more: the totals do not agree, and the details show which line."""
    mine = [await paid(stand), await paid(stand, ("B1", 3333))]
    stand.behave("total", how)
    stand.behave("detail", how)
    assert not await stand.client.agrees(insurance_totals(today(stand), mine))
    theirs = {row.number: row.fund_fen for row in await stand.client.statement(today(stand))}
    ours = {row.number: row.fund_fen for row in mine}
    if how == "missing":
        assert ours.items() - theirs.items() == {(mine[0].number, mine[0].fund_fen)}
    elif how == "extra":
        assert theirs.keys() - ours.keys() == {"EXTRA0001"}
    else:
        assert theirs[mine[0].number] == mine[0].fund_fen + 1


async def test_a_long_day_comes_in_pages(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five lines, two a page: all five, once each."""
    monkeypatch.setattr(wire, "PAGE", 2)
    mine = [await paid(stand, ("A1", 1000 + n)) for n in range(5)]
    assert [row.number for row in await stand.client.statement(today(stand))] == [row.number for row in mine]


@pytest.mark.parametrize("do", ["bad_signature", "tamper", "down", "garbage", "old"])
@pytest.mark.parametrize("on", ["total", "detail"])
async def test_only_a_sealed_answer_counts(stand: Stand, on: str, do: str) -> None:
    """Spoilt or no answer: unknown, neither confirmed nor refused."""
    stand.behave(on, do)
    with pytest.raises(Unknown):
        await (
            stand.client.agrees(insurance_totals(today(stand), ()))
            if on == "total"
            else stand.client.statement(today(stand))
        )


LINE = {
    "refdFlag": "0", "medOrgOrd": "HF1", "payOrdId": "ORD1", "setlTime": "2026-11-22 10:00:00",
    "medfeeSumamt": "10.00", "fundPay": "7.00", "psnAcctPay": "2.00", "othFeeAmt": "0.00", "ownPayAmt": "1.00",
}  # fmt: skip


@pytest.mark.parametrize(
    "over",
    [
        {"fundPay": "7.01"},
        {"setlTime": "2026-11-23 00:00:00"},
        {"setlTime": "soon"},
        {"refdFlag": "2"},
        {"refdFlag": "1"},
        {"ownPayAmt": "-1.00"},
        {"medOrgOrd": ""},
    ],
)
def test_a_line_outside_the_form_is_not_believed(over: dict[str, str]) -> None:
    """Parts that do not make the whole, another day, no time, no kind, a refund without number, an amount below 0."""
    day = date(2026, 11, 22)
    rows, count = wire.rows({"data": [LINE], "recordCounts": "1"}, day)
    assert (rows[0].total_fen, rows[0].fund_fen, count) == (1000, 700, 1)
    with pytest.raises(Unknown):
        wire.rows({"data": [LINE | over], "recordCounts": "1"}, day)
