"""What a phone shows after the pushes is what a fresh page would show: for everything that happens, for every view."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from api import sees
from billing.models import ChargeItem, Dispute
from billing.rules import see_payment
from billing.service import answers, lines, paying
from consent import flows
from consent.rules import SigningChannel, read_strokes
from consent.service import contracts, eligibility, reading
from consent.service.signing import Signature
from guide import service as guide
from kernel.db import Tx
from kernel.ids import new_id
from notices import service as notices
from payments.ports import CashChannel, CashState, RefundState, RefundStatus, TradeState
from payments.rules import Piece, Till
from payments.rules.counter import DeskWay
from payments.service import attempts, counter, pressing, refunds, returns, rounds, shares, shifts
from people.models import Staff
from people.rules import OWNER, STAFF_VIEW, Actor, ActorKind, Audience, Depth, Role, View
from people.service import patients
from tests.consent.conftest import DRAWN
from tests.intake.conftest import Hall, Teller, at
from visits.rules import Exclusion, seen_visit
from visits.service import encounters, orders
from visits.service import reading as visits

Json = dict[str, Any]
GYN = frozenset({"gynaecology"})

VIEWS: dict[str, View] = {
    "patient": OWNER,
    "staff": STAFF_VIEW,
    "payer of totals": View(Depth.NOTHING, frozenset(), pays=True, owner=False),
    **{
        f"{'payer' if pays else 'watcher'} {depth.name} {'+' if opened else '-'}": View(
            depth, opened, pays, owner=False
        )
        for depth in (Depth.STEPS, Depth.BILL, Depth.RESULTS)
        for opened in (frozenset[str](), GYN)
        for pays in (False, True)
    },
    "watcher of steps there, results elsewhere": View(
        Depth.RESULTS, GYN, pays=False, owner=False, shallow=frozenset({("gynaecology", Depth.STEPS)})
    ),
    "watcher of the bill there, steps elsewhere": View(
        Depth.BILL, GYN, pays=False, owner=False, shallow=frozenset({("gynaecology", Depth.STEPS)})
    ),
}


async def latest_round(tx: Tx, visit_id: UUID, view: View) -> Json | None:
    """How shares stand, as the bill's page finds it."""
    row = await notices.latest(tx, visit_id, "payment")
    shown = see_payment(row, view) if row else None
    return shown["round"] if shown else None


async def fresh(tx: Tx, visit_id: UUID, view: View) -> Json:
    """What a page made now shows."""
    visit = await visits.visit_of(tx, visit_id)
    assert visit is not None
    bill = await lines.bill_of(tx, visit, view)
    steps = [
        guide.seen(orders.step_payload(order)["step"], view)
        for order in await orders.orders_of(tx, visit_id)
        if view.shows(Audience.STEPS, order.category)
    ]
    return {
        "lines": {line["id"]: line for line in bill["lines"]},
        "sums": bill["sums"],
        "round": await latest_round(tx, visit_id, view),
        "steps": {step["id"]: step for step in steps},
        "visit": seen_visit(dict(encounters.visit_payload(visit)["visit"]), view),
    }


def fold(state: Json, data: Json) -> None:
    """One pushed row, as a phone takes it."""
    if "sums" in data:
        state["sums"] = data["sums"]
    if "payment" in data:
        state["round"] = data["round"]
    if "line" in data:
        state["lines"][data["line"]["id"]] = data["line"]
    if "step" in data:
        state["steps"][data["step"]["id"]] = data["step"]
    if "visit" in data:
        state["visit"] = data["visit"]


@dataclass
class Story:
    """One visit, its patient, and everybody who may be looking."""

    hall: Hall
    visit: UUID
    patient: UUID
    screens: dict[str, Json] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    tries: list[UUID] = field(default_factory=list)

    @property
    def owner(self) -> Actor:
        return Actor(ActorKind.PERSON, self.patient)

    @property
    def desk(self) -> Actor:
        return Actor(ActorKind.STAFF, new_id(), self.hall.hospital, Role.COUNTER)

    async def open(self) -> None:
        """Everybody opens a page."""
        async with self.hall.db.begin() as tx:
            self.screens = {name: await fresh(tx, self.visit, view) for name, view in VIEWS.items()}

    async def then(self, what: str, happens: Callable[[Tx], Awaitable[object]] | Json | list[Json]) -> None:
        """Something happens; afterwards every screen is what its page would be."""
        begin = len(self.hall.rows)
        self.hall.clock.move(timedelta(seconds=1))
        if callable(happens):
            async with self.hall.db.begin() as tx:
                await happens(tx)
        else:
            said = happens if isinstance(happens, list) else [happens]
            assert set(await self.hall.statuses(*said)) == {"accepted"}, what
        rows = [row for row in self.hall.rows[begin:] if row.subject == self.visit]
        assert rows, f"nobody was told: {what}"
        for name, view in VIEWS.items():
            for row in rows:
                seen = sees.see(row, view)
                if seen is not None:
                    self.told[name] = self.told.get(name, 0) + 1
                    fold(self.screens[name], dict(seen))
        async with self.hall.db.begin() as tx:
            for name, view in VIEWS.items():
                assert self.screens[name] == await fresh(tx, self.visit, view), f"{name}, after: {what}"

    async def charge(self, tx: Tx, number: str) -> ChargeItem:
        """A line by the HIS's number."""
        found = await tx.get(ChargeItem, lines.charge_id(self.hall.hospital, number))
        assert found is not None
        return found

    async def order(self, tx: Tx, number: str) -> orders.Order:
        """An order by the HIS's number."""
        found = await orders.order_by_id(tx, orders.order_id(self.hall.hospital, number))
        assert found is not None
        return found

    async def row(self, tx: Tx) -> encounters.Visit:
        """The visit."""
        found = await visits.visit_of(tx, self.visit)
        assert found is not None
        return found


async def begun(hall: Hall, teller: Teller) -> Story:
    """An encounter has started."""
    await hall.say(teller.started())
    async with hall.db.begin() as tx:
        encounter = await tx.get(encounters.Encounter, encounters.encounter_id(hall.hospital, f"E{teller.mark}"))
        patient = await patients.known_number(tx, hall.hospital, f"P{teller.mark}")
        assert encounter is not None
        assert patient is not None
        story = Story(hall, encounter.visit_id, patient.id)
    await story.open()
    return story


async def signs(story: Story) -> None:
    """The patient reads the letter and signs it, in real transactions of its own."""
    hall, phone = story.hall, reading.Device(SigningChannel.WEB, "a phone")
    given: Json = {"insurance_status": "normal", "credit_asked_here": True}
    async with hall.db.begin() as tx:
        await eligibility.keep_answer(tx, story.patient, serious=False, reference="R1")
    async with hall.db.begin() as tx:
        opened = await reading.open_reading(tx, story.owner, hall.hospital, story.patient, phone, **given)
        identity, wait = opened.id, reading.left(opened, tx.now)
    hall.clock.move(timedelta(seconds=wait))
    nonce = await flows.ask_pen(hall.db, story.owner, identity, phone)
    drawn = Signature(nonce, read_strokes(DRAWN, 320, 160))
    await flows.sign(hall.db, story.owner, identity, drawn, phone, **given)


def queue(teller: Teller, order: str, ahead: int, minute: float, *, called: bool = False) -> Json:
    data = {"order_no": f"{order}{teller.mark}", "ahead": ahead, "called": called, "room": "3", "at": at(minute)}
    return teller.item("queue.moved", data)


def report(teller: Teller, order: str, status: str, minute: float) -> Json:
    data = {"order_no": f"{order}{teller.mark}", "report_no": f"R{order}", "status": status, "flag": "abnormal"}
    return teller.item("result.ready", {**data, "summary": "请听医生说", "at": at(minute)})


async def test_every_screen_stays_what_its_page_would_be(hall: Hall) -> None:
    """A whole visit with plain and sensitive things in it, and all that can happen to it, seen by many eyes."""
    t = Teller("A")
    story = await begun(hall, t)
    then = story.then
    for order, category in (("L", None), ("G", "gynaecology")):
        extra = {"category": category, "note": "空腹", "preparation": ["fasting"]} if category else {}
        await then(f"order {order}", t.placed(order, **extra))
        await then(f"charges of {order}", [t.charged(f"{order}{n}", order, 1000 * n) for n in (1, 2, 3)])
        await then(f"queue of {order}", queue(t, order, 2, 10))
        await then(f"call of {order}", queue(t, order, 0, 11, called=True))
    await then("an order is said anew", t.placed("L", name="血常规（急）"))

    begin = len(hall.rows)
    await signs(story)  # the visit turns post-pay; seen by its rows like everything else

    async def nothing(tx: Tx) -> None:
        hall.rows.extend(hall.rows[begin:])

    await then("she signs", nothing)

    for order in ("L", "G"):

        async def checks_in(tx: Tx, order: str = order) -> None:
            await orders.check_in(tx, await story.order(tx, f"{order}A"), tx.now)

        await then(f"check-in for {order}", checks_in)
        first = t.execution_data(order, f"X{order}") | {"charge_nos": [f"{order}1A"]}
        await then(f"a part of {order} is done", t.item("execution.confirmed", first))
        await then(f"all of {order} is done", t.confirmed(order, f"Y{order}"))
        for n, status in enumerate(("partial", "final", "amended")):
            await then(f"{status} report of {order}", report(t, order, status, 20 + n))
        await then(f"a line of {order} is reversed", t.reversed(f"{order}3"))
        await then(f"a line of {order} was paid at the window", t.settled(f"{order}2", 800))

        async def excludes(tx: Tx, order: str = order) -> None:
            await lines.exclude_line(tx, await story.row(tx), await story.charge(tx, f"{order}1A"))

        await then(f"one line more for {order}", t.charged(f"{order}4", order, 5000))
        await then(f"a line of {order} is excluded", excludes)

    await _disputes(story)
    await _gives_up(story, t)
    await _pays(story, t)
    await _ends(story, t)
    # Every kind of row has come; a word somebody sends, and what a terminal read in vain, stand beside what a screen
    # shows here: in the story, and at the window.
    assert {row.kind for row in hall.rows if row.subject == story.visit} == set(sees.SEES) - {"word", "till"}
    silent = set(VIEWS) - set(story.told)
    assert not silent, f"these saw nothing at all: {silent}"
    assert story.told["watcher STEPS -"] < story.told["watcher STEPS +"] < story.told["watcher RESULTS +"]
    assert story.told["watcher RESULTS +"] <= story.told["patient"]


async def _disputes(story: Story) -> None:
    for order, upheld in (("L", False), ("G", False)):
        said: list[Dispute] = []

        async def disputes(tx: Tx, order: str = order, said: list[Dispute] = said) -> None:
            charge = lines.charge_id(story.hall.hospital, f"{order}4A")
            said.append(await answers.dispute(tx, story.owner, charge, "没做"))

        async def answered(tx: Tx, said: list[Dispute] = said, upheld: bool = upheld) -> None:
            await answers.answer_dispute(tx, story.desk, said[0].id, upheld=upheld)

        await story.then(f"a line of {order} is disputed", disputes)
        await story.then(f"the dispute on {order} is answered", answered)


async def _gives_up(story: Story, t: Teller) -> None:
    for order, category in (
        ("U", {}),
        ("V", {"category": "gynaecology"}),
        ("W", {}),
        ("Z", {"category": "gynaecology"}),
    ):
        await story.then(f"order {order}", [t.placed(order, **category), t.charged(order, order, 700)])
    for order in ("U", "V"):

        async def abandons(tx: Tx, order: str = order) -> None:
            await orders.abandon(tx, story.owner, orders.order_id(story.hall.hospital, f"{order}A"))

        await story.then(f"{order} is given up", abandons)
        await story.then(f"the HIS cancels {order}", t.cancelled(order))
    await story.then("V was done all the same", t.confirmed("V", "XV"))

    async def leaves(tx: Tx) -> None:
        assert await answers.leave_now(tx, story.owner, story.visit) == 2

    await story.then("she leaves", leaves)


async def _pays(story: Story, t: Teller) -> None:
    """Begun and given up, shared and given up in part, cut anew, paid by two; one line goes back."""
    then, visit = story.then, story.visit

    def press(share: int | None = None) -> Callable[[Tx], Awaitable[object]]:
        async def presses(tx: Tx) -> None:
            shown = await paying.due_now(tx, await story.row(tx))
            now = await paying.live_round(tx, visit)
            parts = (
                {s.allocation.number: s.allocation.amount_fen for s in await shares.of_round(tx, now.id)} if now else {}
            )
            amount = parts[share] if share else shown
            wish = pressing.Press(CashChannel.H5, str(new_id()), amount, share=share)
            story.tries.append((await pressing.begin(tx, story.owner, visit, wish, Till("m", "a"))).id)

        return presses

    async def paid(tx: Tx) -> None:
        made = await attempts.by_id(tx, story.tries[-1])
        state = CashState(made.out_trade_no, TradeState.SUCCESS, "m", "a", f"T{made.id.hex}", made.amount_fen)
        await attempts.paid(tx, state)

    async def closed(tx: Tx) -> None:
        await attempts.unknown(tx, story.tries[-1])
        await attempts.closed(tx, story.tries[-1])

    async def cuts(tx: Tx) -> None:
        left = await paying.due_now(tx, await story.row(tx))
        await rounds.cut(tx, story.owner, visit, [Piece(300), Piece(500)], left)

    async def gives_up(tx: Tx) -> None:
        assert await rounds.give_up(tx, story.owner, visit) == []

    async def comes_back(tx: Tx) -> None:
        for refund in await refunds.of_visit(tx, visit):
            if refund.done_at is None:
                made = await attempts.by_id(tx, refund.attempt_id)
                sums = (refund.amount_fen, made.amount_fen)
                told = RefundState(refund.out_refund_no, made.out_trade_no, RefundStatus.SUCCESS, *sums)
                await returns.said(tx, told)

    await then("a payment begins", press())
    await then("it is given up", closed)
    await then("it is cut into shares", cuts)
    await then("a share is being paid", press(1))
    await then("that share is paid", paid)
    await then("the sharing is given up", gives_up)
    await then("the share comes back", comes_back)
    await then("it is shared once more", cuts)
    await then("the second share is being paid", press(2))
    await then("meanwhile something more is charged", t.charged("N", None, 300))
    await then("the second share is paid", paid)
    await then("what is left is cut anew", cuts)
    await then("somebody takes all that is left", press())
    await then("all of it is paid", paid)
    # The hospital takes a paid line back: nothing is said before its money is there.
    assert await story.hall.statuses(t.reversed("L4")) == ["accepted"]
    await then("its money comes back", comes_back)


async def _cash(story: Story) -> Callable[[Tx], Awaitable[object]]:
    """What is due, put down in notes before a cashier whose shift has begun."""
    cashier = Actor(ActorKind.STAFF, new_id(), story.hall.hospital, Role.COUNTER)
    async with story.hall.db.begin() as tx:
        tx.add(
            Staff(id=cashier.id, hospital_id=story.hall.hospital, login="c", name="窗口", role="counter", pin_hash=b"")
        )
        await tx.session.flush()
        await shifts.begin(tx, cashier, 0)

    async def takes(tx: Tx) -> None:
        due = await paying.due_now(tx, await story.row(tx))
        assert due > 0
        await counter.take(tx, cashier, story.visit, counter.InHand(DeskWay.CASH, str(new_id()), due, due + 100))

    return takes


async def _mode(story: Story) -> str:
    async with story.hall.db.begin() as tx:
        return (await story.row(tx)).mode


async def _ends(story: Story, t: Teller) -> None:
    more = t.item(
        "execution.confirmed",
        {k: v for k, v in t.execution_data("N", "XN").items() if k != "order_no"} | {"charge_nos": ["NA"]},
    )
    await story.then("one thing more is done", more)
    await story.then("it is paid in cash at the counter", await _cash(story))
    await story.then("the visit ends", t.finished())

    async def withdraws(tx: Tx) -> None:
        await contracts.withdraw(tx, story.owner, story.hall.hospital, story.patient)

    def back(again: Teller) -> Json:
        return again.item("encounter.started", again.start_data() | {"patient": {"no": "PA", "name": "某某"}})

    modes = [await _mode(story)]
    second, third, fourth, fifth = (Teller(mark) for mark in "BCDE")
    await story.then("she comes back the same day", back(second))
    await story.then("she gives back her letter", withdraws)
    modes.append(await _mode(story))
    await story.then("and goes", second.finished())
    await signs(story)
    await story.then("she comes back, and has signed again meanwhile", back(third))
    modes.append(await _mode(story))
    await story.then("and goes again", third.finished())
    async with story.hall.db.begin() as tx:
        await withdraws(tx)
    await story.then("she comes back, and has given it back meanwhile", back(fourth))
    modes.append(await _mode(story))
    await story.then("and goes once more", fourth.finished())
    await signs(story)
    await story.then("she comes back for the last time", back(fifth))
    modes.append(await _mode(story))
    assert modes == ["DEFERRED", "UPFRONT", "DEFERRED", "UPFRONT", "DEFERRED"]

    async def excludes(tx: Tx) -> None:
        await encounters.exclude(tx, await story.row(tx), Exclusion.OTHER, his_knows=False)

    await story.then("the visit turns pay-first", excludes)
