"""What a tired interface says: twice, too late, too early, half, wrong; and one bad statement hurts no other."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from billing.models import ChargeItem, LedgerEntry
from intake.flows import Intake, sweep_parked
from intake.models import HisEvent, Parked, Rejected
from intake.rules import Answer, read
from kernel.clock import ManualClock
from tests.intake.conftest import Hall, Teller, at
from visits.models import Encounter, Order

Json = dict[str, Any]


async def test_said_again_is_said_once(hall: Hall) -> None:
    """The same day is told three times: as it was, under new ids, and in one batch with itself."""
    teller = Teller("A")
    day = [teller.started(), teller.placed(), teller.charged(), teller.confirmed(), teller.finished()]
    assert await hall.statuses(*day) == ["accepted"] * 5
    before, rows = await hall.bill("A"), len(hall.rows)
    assert await hall.statuses(*day) == ["duplicate"] * 5
    renamed = [one | {"id": f"again-{n}"} for n, one in enumerate(day)]
    assert await hall.statuses(*renamed, *day) == ["duplicate"] * 10
    assert (await hall.bill("A"), len(hall.rows), await hall.count(HisEvent)) == (before, rows, 5)
    other = Teller("B")
    pair = [other.started(), other.charged(order=None)]
    assert await hall.statuses(*pair, *pair) == ["accepted", "accepted", "duplicate", "duplicate"]


async def test_older_never_overwrites_newer(hall: Hall) -> None:
    """The order's and the encounter's first words arrive after their second ones; the second ones stay."""
    teller = Teller("A")
    first = [teller.started(doctor="旧医生"), teller.placed(name="旧名")]
    second = [teller.started(doctor="新医生"), teller.placed(name="新名")]
    assert await hall.statuses(*second) == ["accepted", "accepted"]
    answers = await hall.say(*first)
    assert [(a.status, a.reason) for a in answers] == [("duplicate", "older"), ("duplicate", "older")]
    async with hall.db.begin() as tx:
        assert await tx.session.scalar(select(Order.name)) == "新名"
        assert await tx.session.scalar(select(Encounter.doctor)) == "新医生"


async def test_the_queue_never_moves_back(hall: Hall) -> None:
    """Two people ahead, said later than nobody ahead but meant earlier: nobody is ahead."""
    teller = Teller("A")
    await hall.say(teller.started(), teller.placed())

    def moved(ahead: int, minute: float) -> Json:
        return teller.item("queue.moved", {"order_no": "OA", "ahead": ahead, "called": ahead == 0, "at": at(minute)})

    assert await hall.statuses(moved(0, 12), moved(2, 11)) == ["accepted", "duplicate"]
    async with hall.db.begin() as tx:
        order = (await tx.session.scalars(select(Order))).one()
        assert (order.ahead, order.called) == (0, True)


async def test_what_comes_too_early_waits_and_finds_its_way(hall: Hall) -> None:
    """Everything arrives backwards, each alone: it is parked, named for what it waits for, and ends as a bill."""
    teller = Teller("A")
    start, placed, charged, confirmed = teller.started(), teller.placed(), teller.charged(), teller.confirmed()
    answers = [(await hall.say(one))[0] for one in (confirmed, charged, placed)]
    assert [(a.status, a.waits_for) for a in answers] == [("parked", "encounter:EA")] * 3
    assert (await hall.count(Parked), await hall.count(ChargeItem)) == (3, 0)
    assert await hall.statuses(confirmed) == ["duplicate"]
    assert await hall.statuses(start) == ["accepted"]
    assert await hall.count(Parked) == 0
    bill = await hall.bill("A")
    assert (bill["lines"]["C"]["state"], bill["orders"], bill["sums"]["done_fen"]) == (
        "billable",
        {"O": "performed"},
        2000,
    )


async def test_a_confirm_before_its_charge(hall: Hall) -> None:
    """A confirm names two charges, one unknown: it waits whole; the order as such is not done meanwhile."""
    teller = Teller("A")
    await hall.say(teller.started(), teller.placed(), teller.charged("C"))
    both = teller.item("execution.confirmed", teller.execution_data() | {"charge_nos": ["CA", "DA"]})
    assert [(a.status, a.waits_for) for a in await hall.say(both)] == [("parked", "charge:DA")]
    assert {no: line["state"] for no, line in (await hall.bill("A"))["lines"].items()} == {"C": "planned"}
    assert await hall.statuses(teller.charged("D")) == ["accepted"]
    assert {no: line["state"] for no, line in (await hall.bill("A"))["lines"].items()} == {
        "C": "billable",
        "D": "billable",
    }


async def test_a_charge_written_after_its_order_was_done(hall: Hall) -> None:
    """One tube more: the order was confirmed as a whole, so the later charge is owed at once."""
    teller = Teller("A")
    await hall.say(teller.started(), teller.placed(), teller.charged("C"), teller.confirmed(), teller.charged("D"))
    bill = await hall.bill("A")
    assert {no: line["state"] for no, line in bill["lines"].items()} == {"C": "billable", "D": "billable"}
    assert bill["ledger"] == {"patient": 1600, "pooled_fund": 2000, "personal_account": 400, "revenue": -4000}


async def test_two_orders_of_one_execution(hall: Hall) -> None:
    """Part of an order is done: the rest stays ordered, and falls away with a cancel."""
    teller = Teller("A")
    await hall.say(teller.started(), teller.placed(), teller.charged("C"), teller.charged("D"))
    part = teller.item("execution.confirmed", teller.execution_data() | {"charge_nos": ["CA"]})
    await hall.say(part)
    assert {no: line["state"] for no, line in (await hall.bill("A"))["lines"].items()} == {
        "C": "billable",
        "D": "planned",
    }


async def test_one_bad_statement_never_fails_its_neighbours(hall: Hall) -> None:
    """A charge number comes again with other money, amid good statements of two visits: only that one is refused."""
    one, two = Teller("A"), Teller("B")
    await hall.say(one.started(), one.charged("C", order=None))
    bad = one.charged("C", order=None, fen=9900)
    answers = await hall.say(two.started(), bad, two.charged("C", order=None), one.charged("D", order=None))
    assert [a.status for a in answers] == ["accepted", "rejected", "accepted", "accepted"]
    assert (answers[1].reason, (answers[1].example or {})["type"]) == ("charge_amount_changed", "charge.created")
    bill = await hall.bill("A")
    assert {no: line["amount_fen"] for no, line in bill["lines"].items()} == {"C": 2000, "D": 2000}
    assert await hall.count(Rejected) == 1
    assert await hall.count(HisEvent) == 5  # what was refused may be said again when it was mended
    assert (await hall.say(bad))[0].status == "rejected"


async def test_what_is_wrong_with_the_parked_is_not_the_encounters_fault(hall: Hall) -> None:
    """A price was mended before the encounter was known: the second charge is refused, all else is a fact."""
    teller = Teller("A")
    first, mended = teller.charged("C", order=None), teller.charged("C", order=None, fen=9900)
    later = teller.charged("D", order=None)
    assert await hall.statuses(first, mended, later) == ["parked"] * 3
    assert await hall.statuses(teller.started()) == ["accepted"]
    lines = (await hall.bill("A"))["lines"]
    assert {no: line["amount_fen"] for no, line in lines.items()} == {"C": 2000, "D": 2000}
    assert (await hall.count(Parked), await hall.count(Rejected)) == (0, 1)


async def test_paid_otherwise_at_the_window(hall: Hall) -> None:
    """The window reckoned for itself: the line shows what she paid there, and no more than it costs is believed."""
    teller = Teller("A")
    await hall.say(teller.started(), teller.placed(), teller.charged("C"), teller.charged("D"), teller.confirmed())
    [over] = await hall.say(teller.settled("C", 2001))
    assert (over.status, over.reason) == ("rejected", "paid_more_than_it_costs")
    assert (await hall.bill("A"))["lines"]["C"]["state"] == "billable"
    assert await hall.statuses(teller.settled("C", 2000), teller.settled("D", 0)) == ["accepted"] * 2
    bill = await hall.bill("A")
    told = {"fund_fen": 1000, "account_fen": 200, "self_fen": 800}
    shown = [[bill["lines"][no][name] for name in ("state", "self_fen", "estimate")] for no in ("C", "D")]
    assert shown == [["settled_elsewhere", 2000, told], ["settled_elsewhere", 0, told]]
    assert bill["ledger"] == {
        "elsewhere": 2000,
        "pooled_fund": 1000,
        "insurance_other": 800,
        "personal_account": 200,
        "revenue": -4000,
    }
    assert await hall.statuses(teller.charged("C")) == ["duplicate"]  # its estimate said again
    await hall.say(teller.reversed("C"), teller.reversed("D"))
    assert (await hall.bill("A"))["ledger"] == {}


async def test_a_wrong_subject_shows_nobody_somebody_elses(hall: Hall) -> None:
    """A typing slip names another patient's encounter, whatever is said: it is refused, and her feed stays silent."""
    hers, other = Teller("A"), Teller("B")
    await hall.say(hers.started(), hers.placed(), hers.charged(), other.started(), other.placed())
    before, rows = await hall.bills(["A", "B"]), len(hall.rows)
    result = {"order_no": "OA", "report_no": "RA", "status": "final", "flag": "critical", "at": at(9)}
    slips = [
        hers.confirmed(),
        hers.item(
            "execution.confirmed", {"execution_no": "X2A", "charge_nos": ["CA"], "department": "LAB", "at": at(5)}
        ),
        hers.cancelled(),
        hers.reversed(),
        hers.settled(),
        hers.placed(name="新名"),
        hers.charged(name="新名"),
        hers.charged("D"),
        hers.item("result.ready", result),
        hers.item("queue.moved", {"order_no": "OA", "ahead": 0, "called": True, "at": at(9)}),
        hers.item("visit.excluded", {"charge_no": "CA", "reason": "OTHER", "at": at(9)}),
    ]
    answers = await hall.say(*(slip | {"subject": "EB"} for slip in slips))
    assert [(a.status, a.reason) for a in answers] == [("rejected", "his_other_visit")] * len(slips)
    assert (await hall.bills(["A", "B"]), len(hall.rows)) == (before, rows)
    moved = other.started(patient={"no": "PA", "name": "某某"})
    assert [(a.status, a.reason) for a in await hall.say(moved)] == [("rejected", "his_other_patient")]
    assert await hall.count(Rejected) == len(slips) + 1


NUL_NAME: dict[str, Any] = {"na\x00me": "x"}
UNUSABLE: dict[str, Callable[[Teller], object]] = {
    "a day that is none": lambda t: t.started(patient={"no": "P9", "name": "某某", "birth_date": "2001-02-31"}),
    "a time before the calendar": lambda t: t.started(started_at="0001-01-01T00:00:00+08:00"),
    "a time after the calendar": lambda t: t.started(started_at="9999-12-31T23:59:59-12:00"),
    "an envelope outside time": lambda t: t.charged(order=None) | {"time": "0001-01-01T00:00:00+14:00"},
    "an amount over every bound": lambda t: t.charged(order=None, fen=10**12),
    "a float": lambda t: t.charged(order=None) | {"sequence": 3.0},
    "a float for money": lambda t: t.charged(order=None, unit_price_fen=2000.0),
    "a truth for money": lambda t: t.charged(order=None, quantity=True),
    "a NUL": lambda t: t.charged(order=None, name="血\x00常规"),
    "a NUL in a name of a field": lambda t: t.charged(order=None, **NUL_NAME),
    "half a character": lambda t: t.charged(order=None, name="血\ud840常规"),
    "half a character as its id": lambda t: t.charged(order=None) | {"id": "e-\udfff"},
    "an unknown field": lambda t: t.charged(order=None, colour="red"),
    "a split that does not add up": lambda t: t.charged(
        order=None, split={"fund_fen": 1, "account_fen": 1, "self_fen": 1}
    ),
    "an unknown type": lambda t: t.item("charge.imagined", {}),
    "a type that is none": lambda t: t.charged(order=None) | {"type": ["charge.created"]},
    "no data": lambda t: {k: v for k, v in t.charged(order=None).items() if k != "data"},
    "a number": lambda t: 7,
    "a list": lambda t: [t.started()],
    "nothing": lambda t: None,
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_cannot_be_a_fact_is_told_how_it_should_look(name: str) -> None:
    """Each is refused by itself with a reason and an example that would be accepted."""
    answer = read(UNUSABLE[name](Teller("A")))
    assert isinstance(answer, Answer)
    assert answer.status == "rejected"
    assert answer.reason
    again = read(answer.example)
    assert not isinstance(again, Answer), again


def test_the_example_is_the_item_itself_mended() -> None:
    """Only what is wrong is another: a wrong value, a missing one, one nobody asked for, one that may be left out."""
    teller = Teller("A")
    right = teller.charged(order=None)
    data = {k: v for k, v in right["data"].items() if k != "name"}
    wrong = data | {"quantity": 1.5, "colour": "red", "insurance_class": "Z"}
    answer = read(right | {"data": wrong, "sequence": "3"})
    assert isinstance(answer, Answer)
    mended = data | {"quantity": 1, "name": "血常规"}
    assert answer.example == right | {"data": mended, "sequence": 12}
    start = teller.started(patient={"no": "PA", "name": "某某", "id_number": "1"})
    answer = read(start)
    assert isinstance(answer, Answer)
    assert answer.example == start | {"data": start["data"] | {"patient": {"no": "PA", "name": "某某"}}}


async def test_a_snapshot_makes_up_for_what_was_lost(hall: Hall) -> None:
    """Only the start and a parked charge arrived; the snapshot tells the rest, and the parked one is not doubled."""
    teller = Teller("A")
    start, placed, charged, confirmed = teller.started(), teller.placed(), teller.charged(), teller.confirmed()
    assert placed["type"] == "order.placed"  # lost
    assert await hall.statuses(start, charged) == ["accepted", "parked"]
    assert await hall.statuses(teller.snapshot()) == ["accepted"]
    bill = await hall.bill("A")
    assert (bill["lines"]["C"]["state"], bill["orders"]) == ("billable", {"O": "performed"})
    assert (await hall.count(Parked), await hall.count(ChargeItem)) == (0, 1)
    assert await hall.statuses(confirmed, placed) == ["duplicate", "duplicate"]
    assert await hall.statuses(teller.snapshot(as_of=at(31))) == ["duplicate"]


async def test_a_snapshot_of_somebody_unknown(hall: Hall) -> None:
    """Everything was lost; one snapshot with a cancel, a window payment, a report and an end tells it all."""
    teller = Teller("A")
    picture = teller.snapshot(
        encounter=teller.start_data() | {"finished_at": at(50)},
        orders=[teller.order_data(), teller.order_data("N") | {"cancelled_at": at(9)}],
        charges=[
            teller.charge_data(),
            teller.charge_data("D", "N"),
            teller.charge_data("W", None)
            | {"settled": {"amount_fen": 800, "where": "1号窗口", "reference": "W1", "at": at(8)}},
        ],
        results=[{"order_no": "OA", "report_no": "RA", "status": "final", "flag": "normal", "at": at(40)}],
    )
    assert await hall.statuses(picture) == ["accepted"]
    bill = await hall.bill("A")
    assert {no: line["state"] for no, line in bill["lines"].items()} == {
        "C": "billable",
        "D": "aborted",
        "W": "settled_elsewhere",
    }
    assert (bill["orders"], bill["visit"]) == ({"O": "performed", "N": "cancelled"}, "ended")
    assert await hall.statuses(picture) == ["duplicate"]


async def test_what_another_process_missed_is_swept_up(hall: Hall) -> None:
    """Two processes race past each other: the charge is parked although its order is there; the sweep takes it."""
    teller = Teller("A")
    charged = teller.charged()
    await hall.say(teller.started(), charged)
    async with hall.db.begin() as tx:  # as if the other process had committed a moment before the parking was seen
        parked = (await tx.session.scalars(select(Parked))).one()
        kept = (parked.event_id, parked.hospital_id, parked.sequence)
        await tx.session.delete(parked)
    await hall.say(teller.placed())
    async with hall.db.begin() as tx:
        tx.add(Parked(event_id=kept[0], hospital_id=kept[1], waits_for="order:OA", sequence=kept[2], since=tx.now))
    assert await sweep_parked(hall.db) == 0  # too fresh: its own releaser may still be at it
    assert isinstance(hall.clock, ManualClock)
    hall.clock.time = hall.clock.time.replace(minute=5)
    assert await sweep_parked(hall.db) == 1
    assert (await hall.bill("A"))["lines"]["C"]["state"] == "planned"
    assert await hall.count(Parked) == 0


async def test_eight_posters_with_shuffled_repeats(hall: Hall) -> None:
    """Eight interfaces, four of them through another process, tell the same forty days in any order, each twice."""
    stories: list[Json] = []
    for number in range(40):
        teller = Teller(f"-{number}")
        stories += [teller.started(), teller.placed(), teller.charged("C"), teller.charged("D"), teller.confirmed()]
        stories += [teller.reversed("D")] if number % 2 else [teller.settled("D")]
    doors = [hall.intake, Intake(hall.db)]
    taken: list[Answer] = []
    known = await hall.known()

    async def poster(seed: int) -> None:
        rng = random.Random(seed)
        mine = [*stories, *stories]
        rng.shuffle(mine)
        while mine:
            batch, mine = mine[: (n := rng.randint(1, 60))], mine[n:]
            items = [one for one in map(read, batch) if not isinstance(one, Answer)]
            taken.extend(await doors[seed % 2].take(known, items))

    await asyncio.gather(*(poster(seed) for seed in range(8)))
    hall.clock.time = hall.clock.time.replace(minute=5)
    while await sweep_parked(hall.db):
        pass
    assert {a.status for a in taken} == {"accepted", "duplicate", "parked"}
    assert len(taken) == 8 * 2 * len(stories)
    assert (await hall.count(Parked), await hall.count(HisEvent)) == (0, len(stories))
    bills = await hall.bills([f"-{number}" for number in range(40)])
    assert [bill["lines"]["C"]["state"] for bill in bills] == ["billable"] * 40
    assert [bill["lines"]["D"]["state"] for bill in bills] == ["settled_elsewhere", "reversed"] * 20
    async with hall.db.begin() as tx:
        total = select(LedgerEntry.account, func.sum(LedgerEntry.amount_fen)).group_by(LedgerEntry.account)
        sums = {account: int(fen) for account, fen in await tx.session.execute(total) if fen}
    # 40 lines owed, 20 paid at the window.
    assert sums == {
        "patient": 40 * 800, "elsewhere": 20 * 800, "pooled_fund": 60 * 1000, "personal_account": 60 * 200,
        "revenue": -60 * 2000,
    }  # fmt: skip
