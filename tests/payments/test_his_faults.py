"""Every kind of command, under everything that may happen on its way: done once there, and as if nothing had been here.

The oracle is the books of the hospital's own system: what it did of what it was told, not what we think we said.
"""

import asyncio
import html
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from adapters.his import HisAccess, HisClient
from billing.service import excluding, lines
from kernel.clock import wall_clock
from people.service import hospitals
from tests.adapters.conftest import until
from tests.payments.conftest import PAGE, Bill, House
from tests.payments.desk import sound, staff
from tests.payments.test_refund_requests import answer, ask, returned
from visits import flows
from visits.models import HisCall, Visit
from visits.ports import HisAnswer, HisCommand
from visits.rules import Exclusion, ModeChange
from visits.service import calls, encounters, orders
from words.desk import Desk

Json = dict[str, Any]
PATIENCE, DELAY = (
    0.3,
    0.36,
)  # seconds: how long an answer is waited for (five in the house that runs), and how slow it is
KINDS = {"mark", "post", "abandon", "exclude", "settle", "refund", "unmark"}
FAULTS = ("", "down", "slow", "late", "500_after", "garbage", "twice")
"""Nothing; down before it was done; done when nobody waits any more; done at once, the answer lost (in three ways);
asked and answered twice."""
_DOES_IT = {"late", "500_after", "garbage"}


@dataclass
class Line:
    """The line to the hospital's system, on which every request may go twice.

    ``asked``: how often each command was claimed and sent.
    """

    client: HisClient
    impatient: HisClient
    twice: bool = False
    late: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    async def of(self, hospital_id: UUID) -> "Line":
        """The client of the one hospital."""
        return self

    async def send(self, commands: Sequence[HisCommand]) -> list[HisAnswer | None]:
        """As ``HisClient.send``; what comes too late need not be waited for as long as in the house that runs."""
        self.asked.update(command.key for command in commands)
        if self.twice:
            await self.client.send(commands)
        return await (self.impatient if self.late else self.client).send(commands)


@dataclass
class Telling:
    """A house whose hospital is told of things in bad weather."""

    house: House
    line: Line
    fault: str
    applied: Counter[str] = field(default_factory=Counter)  # keys of what the hospital's system did

    def __post_init__(self) -> None:
        books = self.house.town.his.books
        keep = books.keep_command

        def kept(body: Json, told: Json) -> None:
            self.applied[body["key"]] += 1
            keep(body, told)

        books.keep_command = kept  # type: ignore[assignment, method-assign]

    async def waiting(self) -> Counter[str]:
        """How many commands of each kind nobody has answered."""
        async with self.house.db.begin() as tx:
            return Counter(call.kind for call in await calls.pending(tx, self.house.hospital))

    async def tell(self, *kinds: str) -> None:
        """These and nothing else wait; they are said under the fault, wait on, and are said again until it is over."""
        waited, his = await self.waiting(), self.house.town.his
        assert waited.keys() == set(kinds)
        done, answered = self.applied.total(), 0
        if self.fault not in ("", "twice"):
            his.behaviour.be(self.fault, times=None, seconds=DELAY)
            self.line.late = self.fault in ("slow", "late")
            assert await self._deliver(1) == 0
            self.line.late = False
            his.behaviour.good()
            assert await self.waiting() == waited
            assert (self.applied.total() - done) == (waited.total() if self.fault in _DOES_IT else 0)
        while await self.waiting() and answered < 9:
            answered += 1
            await self._deliver(60)
        if self.fault == "slow":  # what nobody waited for comes all the same, after it was said again
            await asyncio.sleep(DELAY - PATIENCE + 0.05)
        assert await self.waiting() == Counter()

    async def _deliver(self, seconds: float) -> int:
        self.house.clock.move(seconds=seconds)
        return await flows.deliver_calls(self.house.db, self.line)

    # -- what is decided

    async def seen(self) -> tuple[Bill, dict[str, str]]:
        """Two things done and two ordered, of a visit that is paid first; the encounter's orders by what they are."""
        clinic = self.house.town.his.clinic
        encounter = clinic.register(self.house.town.his.catalogue.patients["P0000001"], "CARD")
        placed = {item: clinic.order(encounter, item) for item in ("CONS2", "URINE", "ECG12", "CONS3")}
        for item in ("CONS2", "URINE"):
            clinic.confirm(placed[item])
        await until(self.house._heard)
        async with self.house.db.begin() as tx:
            visit = (await tx.session.scalars(select(Visit.id))).one()
        return Bill(visit, encounter, list(placed.values()), 0), placed

    async def charge(self, order: str) -> Any:
        """The one line of an order."""
        async with self.house.db.begin() as tx:
            visit = (await tx.session.scalars(select(Visit.id))).one()
            [one] = [
                c for c in await lines.lines_of(tx, visit)
                if c.order_id == orders.order_id(self.house.hospital, order)
            ]  # fmt: skip
            return one

    async def marks(self, patient: UUID) -> None:
        """Her letter stands, so her open visit is paid afterwards."""
        async with self.house.db.begin() as tx:
            await encounters.mark_open_visits(tx, self.house.hospital, patient)

    async def unmarks(self, patient: UUID) -> None:
        """She withdraws."""
        async with self.house.db.begin() as tx:
            await encounters.unmark_open_visits(tx, self.house.hospital, patient, ModeChange.WITHDRAWN)

    async def gives_up(self, order: str) -> None:
        """She does not want it."""
        async with self.house.db.begin() as tx:
            await orders.abandon(tx, self.house.mother, orders.order_id(self.house.hospital, order))

    async def excludes(self, visit: UUID, order: str) -> None:
        """The counter turns one line pay-first."""
        charge = await self.charge(order)
        async with self.house.db.begin() as tx:
            await excluding.exclude(tx, self.house.counter, visit, Exclusion.OTHER, charge.id)

    async def pays(self, bill: Bill) -> UUID:
        """She pays what is done."""
        bill.owed = await self.house.owed(bill.visit)
        attempt = await self.house.press(self.house.mother, bill)
        assert await self.house.bridge(attempt) == "ok"
        await self.house.until_state(attempt, "paid")
        return attempt

    async def wants_back(self, bill: Bill, order: str) -> int:
        """One line's money, which finance agrees to; how much came back."""
        charge, finance = await self.charge(order), await staff(self.house, "f.finance")
        await answer(self.house, finance, await ask(self.house, self.house.mother, bill.visit, [charge.id]))
        await returned(self.house, 1)
        return int(charge.self_fen)


def row(page: str, order: UUID) -> str:
    """One row of a desk's list."""
    found = re.search(rf'<tr role="row" id="o{order}">(.*?)</tr>', page, re.S)
    assert found, "the order is not on the desk"
    return found[1]


@pytest.fixture
async def telling(house: House, fault: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Telling]:
    """The house with a line that does not wait long, and an open letter."""

    async def covers(*_: object) -> bool:
        return True

    monkeypatch.setattr("visits.service.encounters.standing.covers", covers)
    record = calls.record_all

    async def heard_twice(tx: Any, answers: Iterable[Any]) -> None:
        told = list(answers)
        await record(tx, told)
        await record(tx, told)
        await record(tx, [(claimed, None, "no answer") for claimed, *_ in told])  # another process's, which gave up

    if fault == "twice":
        monkeypatch.setattr(calls, "record_all", heard_twice)
    async with house.db.begin() as tx:
        access = HisAccess(*await hospitals.his_access(tx, await hospitals.by_id(tx, house.hospital)))
    async with (
        HisClient(access, wall_clock) as client,
        HisClient(access, wall_clock, answer_seconds=PATIENCE) as impatient,
    ):
        yield Telling(house, Line(client, impatient, fault == "twice"), fault)


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_command_is_done_once_whatever_happens_on_its_way(telling: Telling, fault: str) -> None:
    """Marked, posted, given up, excluded, paid, paid back, unmarked: there each once, here as on a faultless day."""
    house, books = telling.house, telling.house.town.his.books
    bill, placed = await telling.seen()
    enc = books.encounters[bill.encounter]
    one = {item: books.charges_of(enc, order)[0] for item, order in placed.items()}

    await telling.marks(house.mother.id)
    await telling.tell("mark", "post")
    assert enc.mode == "DEFERRED"
    assert enc.posted == {number: charge["amount_fen"] for number, charge in enc.charges.items()}

    await telling.gives_up(placed["ECG12"])
    await telling.excludes(bill.visit, placed["CONS3"])
    await telling.tell("abandon", "exclude")
    assert set(enc.cancelled) == {placed["ECG12"]}
    assert enc.excluded == {one["CONS3"]}

    attempt = await telling.pays(bill)
    assert (await house.attempt(attempt)).state == "paid"
    await telling.tell("settle")
    [booked] = books.settlements.values()
    assert (booked["total_fen"], len(booked["payments"])) == (bill.owed, 1)
    assert (await house.attempt(attempt)).state == "settled"

    back = await telling.wants_back(bill, placed["URINE"])
    await telling.tell("refund")
    [given] = books.refunds.values()
    assert (given["total_fen"], [c["charge_no"] for c in given["charges"]]) == (back, [one["URINE"]])

    await telling.unmarks(house.mother.id)
    await telling.tell("unmark")
    assert enc.mode == "UPFRONT"

    assert set(telling.applied.values()) == {1}
    assert telling.applied.keys() == telling.line.asked.keys()
    assert set(telling.line.asked.values()) == {1 if fault in ("", "twice") else 2}
    assert books.complaints == []
    async with house.db.begin() as tx:
        told = list(await tx.session.scalars(select(HisCall)))
        visit = await tx.get(Visit, bill.visit)
    assert {call.kind for call in told} == KINDS
    assert {(call.state, call.trouble) for call in told} == {("done", None)}
    assert visit is not None
    assert (visit.mode, visit.state) == ("UPFRONT", "open")
    done = await house.attempt(attempt)
    assert (done.state, done.trouble, done.refunded_fen) == ("settled", None, back)
    states = {item: (await telling.charge(order)).state for item, order in placed.items()}
    assert states == {"CONS2": "settled", "URINE": "refunded", "ECG12": "aborted", "CONS3": "planned"}
    assert (house.payments, house.taken) == (1, bill.owed - back)
    assert [state for state in await house.said(bill.visit) if state != "offered"] == ["paid", "settled"]
    await sound(house)


@pytest.mark.parametrize("fault", ["down"])
async def test_desks_see_what_waits_until_the_hospital_answers(telling: Telling) -> None:
    """The HIS is away for long: her row at the desk says so, her neighbour's not; it answers, an open page is told.

    That two hundred older things wait for a third patient hides hers from nobody.
    """
    house, clinic = telling.house, telling.house.town.his.clinic
    _, placed = await telling.seen()
    cards = house.town.his.catalogue.patients
    others = [clinic.order(clinic.register(cards[no], "CARD"), "ECG12") for no in ("P0000002", "P0000004")]
    mine, neighbour, third = [orders.order_id(house.hospital, no) for no in (placed["ECG12"], *others)]
    await until(house._heard)
    await telling.tell("mark", "post")
    desk = house.phone(house.counter)
    assert Desk.no_calls in (await desk.get("/desk", headers=PAGE)).text

    async with house.db.begin() as tx:
        order = await orders.order_by_id(tx, third)
        visit = await tx.get(Visit, order.visit_id) if order else None
        assert visit is not None
        for n in range(200):
            await calls.tell(tx, visit, "mark", f"mark:{n}", fresh=True)
    await telling.unmarks(house.mother.id)
    house.town.his.behaviour.be("down", times=None)
    assert await telling._deliver(2) == 0
    page = (await desk.get("/desk", headers=PAGE)).text
    assert [Desk.pending in row(page, one) for one in (mine, neighbour, third)] == [True, False, True]
    assert Desk.calls_of["mark"] in page
    assert Desk.no_calls not in page

    address = re.search(r'hx-sse:connect="(/api/desk/stream[^"]+)"', page)
    assert address
    async with desk.stream("GET", html.unescape(address[1])) as stream, asyncio.timeout(5):
        said = stream.aiter_lines()
        assert await anext(said) == "retry: 1500"
        house.town.his.behaviour.good()
        while await telling.waiting():
            await telling._deliver(60)
        assert [line async for line in _until(said, "event: refresh")][-1] == "event: refresh"
    page = (await desk.get("/desk", headers=PAGE)).text
    assert [Desk.pending in row(page, one) for one in (mine, neighbour, third)] == [False, False, False]
    assert Desk.no_calls in page


async def _until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return
