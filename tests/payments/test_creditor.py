"""Who carries a debt: the hospital, a bank, the treasury; the same lines are owed by the same people, to the fen."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from billing.rules import NotCarriedError
from billing.service import creditor
from houfu.tables import SWEEPS
from houfu.worker import run_once
from payments import flows
from payments.rules import Piece
from payments.service import rounds
from people.models import Hospital
from tests.adapters.conftest import until
from tests.payments.conftest import MOTHER, Bill, House
from tests.payments.desk import sound
from tests.payments.test_insurance import agreed, insurer, shown, swept
from tests.payments.test_pay_first import charges
from tests.payments.test_shares import money_back, pays

SWEEP = next(sweep for sweep in SWEEPS if sweep.name == "billing.creditor")


async def overdue(house: House, who: str = "bank") -> Bill:
    """A bill nobody paid in time; this hospital's debts are carried by the bank (or whom it says)."""
    bill = await house.bill()
    house.town.his.clinic.finish(bill.encounter)
    await until(lambda: not house.town.his.books.outbox)
    async with house.db.begin() as tx:
        row = await tx.get(Hospital, house.hospital)
        assert row is not None
        kept = {**row.settings, "creditor": who}
        await tx.session.execute(update(Hospital).where(Hospital.id == row.id).values(settings=kept))
    house.clock.move(hours=25)
    return bill


async def carried(house: House) -> tuple[int, int, int]:
    """What patient, creditor and treasury owe; everything else is right, too."""
    await sound(house)
    ledger = await house.ledger()
    return ledger.get("patient", 0), ledger.get("creditor", 0), ledger.get("subsidy", 0)


async def test_the_bank_carries_it_and_she_pays_here(house: House) -> None:
    """Due and unpaid: the bank's claim, once, however often it is looked at; her payment here is what lessens it."""
    bill = await overdue(house)
    assert await carried(house) == (bill.owed, 0, 0)
    for _ in range(2):
        await run_once(house.world, SWEEP)
        assert await carried(house) == (0, bill.owed, 0)
    assert await house.owed(bill.visit) == bill.owed
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    assert await carried(house) == (0, 0, 0)
    await house.settle()
    assert [s["total_fen"] for s in house.town.his.books.settlements.values()] == [bill.owed]


@pytest.mark.parametrize("why", ["hospital", "not due", "being paid", "paid"])
async def test_nobody_takes_over(house: House, why: str) -> None:
    """The hospital carries its own; what is not due, is being paid or has been is nobody's to take over."""
    bill = await overdue(house, "hospital" if why == "hospital" else "insurer")
    if why == "not due":
        house.clock.move(hours=-2)
    if why in ("being paid", "paid"):
        attempt = await house.press(house.mother, bill)
        if why == "paid":
            await house.bridge(attempt)
            await house.until_state(attempt, "paid")
    with pytest.raises(NotCarriedError):
        async with house.db.begin() as tx:
            await creditor.take_over(tx, bill.visit)
    await run_once(house.world, SWEEP)
    assert await carried(house) == (0 if why == "paid" else bill.owed, 0, 0)


async def test_a_share_given_back(house: House) -> None:
    """A share paid of the bank's debt, and given up: the bank's claim is what it was."""
    bill = await overdue(house)
    await run_once(house.world, SWEEP)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(300)], bill.owed)
    await pays(house, house.mother, MOTHER, bill, 1, 300)
    assert await carried(house) == (0, bill.owed - 300, 0)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await carried(house) == (0, bill.owed, 0)
    await money_back(house, bill.visit, 1)
    assert await carried(house) == (0, bill.owed, 0)


async def test_a_line_of_it_goes(house: House) -> None:
    """The hospital takes a line back that the bank carries: the bank carries that much less."""
    bill = await overdue(house)
    await run_once(house.world, SWEEP)
    [first] = charges(house, bill.encounter, bill.orders[0])
    split = house.town.his.books.encounters[bill.encounter].charges[first]["split"]
    house.town.his.clinic.reverse(first)
    await until(lambda: not house.town.his.books.outbox)
    assert await carried(house) == (0, bill.owed - split["self_fen"], 0)


async def test_what_cannot_be_collected(house: House) -> None:
    """Claimed from the treasury once under its number, never more than is owed; who pays after all lessens it last."""
    bill = await overdue(house)
    await run_once(house.world, SWEEP)
    for fen in (bill.owed + 1, 0):
        with pytest.raises(NotCarriedError):
            await claim(house, bill.visit, fen, "S-1")
    for _ in range(2):
        await claim(house, bill.visit, 200, "S-1")
    assert await carried(house) == (0, bill.owed - 200, 200)
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    assert await carried(house) == (0, 0, 0)


async def claim(house: House, visit: UUID, fen: int, number: str) -> None:
    """The arrears office claims it."""
    async with house.db.begin() as tx:
        await creditor.subsidise(tx, visit, fen, number)


async def test_what_the_hospital_bears_itself(house: House) -> None:
    """Of a class C charge the hospital bears a part: an account of its own, and the patient pays that much less."""
    bill = await house.bill()
    codes = {c["item_code"]: c for c in house.town.his.books.encounters[bill.encounter].charges.values()}
    dear = max(codes, key=lambda code: codes[code]["amount_fen"])
    books = house.town.insurance.books
    others = {code: kind for code, kind in books.rules.classes.items() if code != dear}
    books.rules = replace(books.rules, classes=others, hospital={dear: 40})
    [part] = await shown(house, bill)
    borne = codes[dear]["amount_fen"] * 40 // 100
    assert part.hospital_part_fen == borne
    asked = (part.cash_fen or 0) - borne
    page: dict[str, Any] = (await house.phone(house.mother).get(f"/api/visits/{bill.visit}")).json()
    assert page["round"]["parts"][0]["cash_fen"] == asked
    await agreed(house, bill, asked)
    insurer(house, "pay")
    await swept(house)
    assert await house.owed(bill.visit) == asked
    await pays(house, house.mother, MOTHER, bill, None, asked)
    await house.settle()
    ledger = await house.ledger()
    assert (ledger["hospital_part"], ledger["cash_wechat"], ledger.get("patient", 0)) == (borne, asked, 0)
    [told] = house.town.his.books.settlements.values()
    assert (told["insurance"][0]["hospital_fen"], told["total_fen"]) == (borne, asked)
    assert sum(line["hospital_fen"] for line in told["charges"]) == borne
    assert house.town.his.books.complaints == []
    sums = (await house.phone(house.mother).get(f"/api/visits/{bill.visit}")).json()["sums"]
    assert sums["hospital_fen"] == borne
    assert sums["fund_fen"] + sums["account_fen"] + sums["hospital_fen"] + sums["self_fen"] == sums["done_fen"]
    await sound(house)
