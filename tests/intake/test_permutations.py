"""Whatever order five statements about one charge arrive in, the bill and the books end the same."""

import asyncio
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import func, select

from billing.models import LedgerEntry
from intake.models import Parked
from tests.intake.conftest import Hall, Teller

Json = dict[str, Any]
SELF, FUND, ACCOUNT, ALL = 800, 1000, 200, 2000
OWED = {"patient": SELF, "pooled_fund": FUND, "personal_account": ACCOUNT, "revenue": -ALL}
AT_WINDOW = {"elsewhere": SELF, "pooled_fund": FUND, "personal_account": ACCOUNT, "revenue": -ALL}

Five = Callable[[Teller], list[Json]]
# name → (five statements, state of the charge, state of the order, ledger per account)
SETS: dict[str, tuple[Five, str, str, dict[str, int]]] = {
    "done": (
        lambda t: [t.started(), t.placed(), t.charged(), t.confirmed(), t.finished()],
        "billable",
        "performed",
        OWED,
    ),
    "cancelled": (
        lambda t: [t.started(), t.placed(), t.charged(), t.cancelled(), t.finished()],
        "aborted",
        "cancelled",
        {},
    ),
    "cancel crossed by execution": (
        lambda t: [t.started(), t.placed(), t.charged(), t.cancelled(), t.confirmed()],
        "billable",
        "performed",
        OWED,
    ),
    "reversed after execution": (
        lambda t: [t.started(), t.placed(), t.charged(), t.confirmed(), t.reversed()],
        "reversed",
        "performed",
        {},
    ),
    "cancelled and reversed": (
        lambda t: [t.started(), t.placed(), t.charged(), t.cancelled(), t.reversed()],
        "reversed",
        "cancelled",
        {},
    ),
    # There the insurance bore more than had been estimated.
    "paid at the window": (
        lambda t: [t.started(), t.placed(), t.charged(), t.settled(fen=300), t.confirmed()],
        "settled_elsewhere",
        "performed",
        AT_WINDOW | {"elsewhere": 300, "insurance_other": SELF - 300},
    ),
    "paid at the window, never done": (
        lambda t: [t.started(), t.placed(), t.charged(), t.settled(), t.cancelled()],
        "settled_elsewhere",
        "cancelled",
        {},
    ),
    "paid, then reversed": (
        lambda t: [t.placed(), t.charged(), t.confirmed(), t.settled(), t.reversed()],
        "reversed",
        "performed",
        {},
    ),
    "a snapshot among them": (
        lambda t: [t.started(), t.placed(), t.charged(), t.confirmed(), t.snapshot()],
        "billable",
        "performed",
        OWED,
    ),
    "a snapshot says that it was reversed": (
        lambda t: [
            t.placed(),
            t.charged(),
            t.confirmed(),
            t.reversed(),
            t.snapshot(charges=[t.charge_data() | {"reversed_at": "2026-11-22T09:07:00+08:00"}]),
        ],
        "reversed",
        "performed",
        {},
    ),
    "a snapshot and a window": (
        lambda t: [t.started(), t.charged(), t.settled(), t.snapshot(), t.finished()],
        "settled_elsewhere",
        "performed",
        AT_WINDOW,
    ),
}

SOON = ("done", "cancel crossed by execution", "paid at the window")  # also in `make check`


@pytest.mark.parametrize(
    ("name", "together"),
    [pytest.param(name, True, marks=[] if name in SOON else pytest.mark.slow) for name in SETS]
    + [
        pytest.param(name, False, marks=pytest.mark.slow)
        for name in ("cancelled and reversed", "a snapshot among them")
    ],
)
async def test_every_order_of_five_statements_ends_in_the_same_bill(hall: Hall, name: str, together: bool) -> None:
    """120 patients live the same five facts; each one's facts reach us in another order. All bills are equal."""
    five, state, order_state, ledger = SETS[name]
    stories: list[list[Json]] = []
    before: list[Json] = []
    for number, order in enumerate(permutations(range(5))):
        teller = Teller(f"-{number}")
        said = five(teller)
        if not any(one["type"] in ("encounter.started",) for one in said):
            before.append(Teller(f"-{number}").item("encounter.started", teller.start_data(), 0, f"start{number}"))
        stories.append([said[i] for i in order])
    await hall.opened()  # once, not by each of those who come at the same moment
    if before:
        await hall.say(*before)
    if together:
        await asyncio.gather(*(hall.say(*story) for story in stories))
    else:
        for step in range(5):
            await asyncio.gather(*(hall.say(story[step]) for story in stories))

    bills = await hall.bills([f"-{number}" for number in range(120)])
    for number, bill in enumerate(bills):
        assert bill == bills[0], [one["type"] for one in stories[number]]
    first = bills[0]
    assert {no: line["state"] for no, line in first["lines"].items()} == {"C": state}
    assert first["orders"] == {"O": order_state}
    assert first["ledger"] == ledger
    assert await hall.count(Parked) == 0


@pytest.mark.slow
async def test_each_statement_in_a_transaction_of_its_own(hall: Hall) -> None:
    """The same without any company: each of the five is committed before the next is heard."""
    five, state, _, ledger = SETS["cancel crossed by execution"]
    told: list[list[str]] = []
    for number, order in enumerate(permutations(range(5))):
        said = five(Teller(f"-{number}"))
        for i in order:
            await hall.say(said[i])
        told.append([said[i]["type"] for i in order])
    for bill, types in zip(await hall.bills([f"-{number}" for number in range(120)]), told, strict=True):
        assert (bill["lines"]["C"]["state"], bill["ledger"]) == (state, ledger), types
    async with hall.db.begin() as tx:
        assert await tx.session.scalar(select(func.sum(LedgerEntry.amount_fen))) == 0
