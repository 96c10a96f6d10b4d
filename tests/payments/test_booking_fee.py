"""A registration fee paid before she comes: paid like anything paid first, and back by itself when it is off."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from billing.service import lines, registration
from billing.service.registration import FeeState
from houfu.pushes import House as Pushes
from kernel.clock import CHINA, china_day
from notices.ports import Tell
from notices.rules.reach import Kind
from payments import flows
from payments.service import refunds
from people.service import hospitals
from tests.adapters.conftest import until
from tests.payments.conftest import MOTHER, House
from tests.payments.desk import sound
from visits.flows import booking
from visits.service import bookings, reading
from visits.service.bookings import Booking, Wish


async def booked(house: House, key: str = "key-1") -> Booking:
    """The mother books the day after tomorrow, up front, and the hospital has written the fee."""
    async with house.db.begin() as tx:
        row = await hospitals.by_id(tx, house.hospital)
        row.settings = row.settings | {"registration_upfront": True}
    day: date = china_day(house.clock()) + timedelta(days=2)
    free = await house.world.slots.of(house.hospital, "CARD", day)
    slot = next(s for s in free if s.begins.astimezone(CHINA).hour == 14)
    async with house.db.begin() as tx:
        fee = await bookings.fee(tx, await hospitals.by_id(tx, house.hospital), house.mother.id, slot)
    wish = Wish(key, house.hospital, house.mother.id, slot, fee)
    made = await booking.book(house.db, house.world.ports.his, house.world.slots, house.mother, wish)
    await until(lambda: not house.town.his.books.outbox)
    return await look(house, made)


async def look(house: House, identity: UUID) -> Booking:
    """As it stands."""
    async with house.db.begin() as tx:
        return await bookings.by_id(tx, identity)


async def due(house: House, made: Booking) -> registration.FeeDue:
    """How its fee stands."""
    async with house.db.begin() as tx:
        return await registration.fee_due(tx, await bookings.by_id(tx, made.id))


async def listed(house: House) -> int:
    """How many visits the mother is shown."""
    async with house.db.begin() as tx:
        return len(await reading.visits_seen(tx, house.mother, house.mother.id))


async def order_of(house: House, made: Booking) -> str:
    """The registration order the hospital wrote ahead."""
    async with house.db.begin() as tx:
        (charge,) = await lines.lines_of(tx, made.visit_id or UUID(int=0))
        return str(charge.order_id)


async def sweep(house: House) -> None:
    """What the worker does every two seconds."""
    async with house.db.begin() as tx:
        late = await registration.due_back(tx)
    for one in late:
        async with house.db.begin() as tx:
            await registration.give_back(tx, one)
    await booking.look_after(house.db, house.world.ports.his, house.world.slots)
    await until(lambda: not house.town.his.books.outbox)


async def pays(house: House, made: Booking) -> None:
    """Chosen by name, pressed, confirmed in WeChat, told to the hospital."""
    owed = await due(house, made)
    assert made.visit_id is not None
    wish = replace(house.wish(made.fee_fen), openid=MOTHER, lines=frozenset(owed.line_ids))
    attempt = await flows.press(house.db, house.pay, house.mother, made.visit_id, wish, house.till)
    assert (await due(house, made)).state is FeeState.PAYING
    assert await house.bridge(attempt) == "ok"
    await house.until_state(attempt, "paid")
    await house.settle()


async def test_paid_up_front_and_back_when_she_cancels(house: House) -> None:
    """¥1.00 is paid two days before; nobody releases it; she cancels, and her money goes back; both books are right."""
    made = await booked(house)
    assert (made.state, made.pay, made.fee_fen, made.visit_id is not None) == ("booked", "upfront", 100, True)
    assert (await due(house, made)).state is FeeState.OWED
    assert await listed(house) == 0, "it is not her day yet"
    tell = Tell(Kind.STEP, made.visit_id or UUID(int=0), house.mother.id, (await order_of(house, made),))
    async with house.db.begin() as tx:
        assert await Pushes().still(tx, tell, house.mother.id) is None
    await pays(house, made)
    assert (await due(house, made)).state is FeeState.PAID
    assert (house.taken, len(house.town.his.books.settlements)) == (100, 1)
    house.clock.move(minutes=40)
    await sweep(house)
    kept = await look(house, made.id)
    assert (kept.state, kept.pay_by) == ("booked", None)
    await booking.cancel(house.db, house.world.ports.his, house.world.slots, house.mother, made.id)
    await until(lambda: not house.town.his.books.outbox)
    assert (await look(house, made.id)).state == "cancelled"
    await flows.refund_due(house.db, house.pay)

    async def back() -> bool:
        assert made.visit_id is not None
        async with house.db.begin() as tx:
            return all(r.done_at for r in await refunds.of_visit(tx, made.visit_id))

    await until(back)
    await house.settle()
    house.clock.move(days=2)
    assert await listed(house) == 0, "she never came"
    assert house.taken == 0
    assert house.town.his.books.booked[made.slot] == 0
    await sound(house)
    assert house.town.his.books.complaints == []


async def test_unpaid_is_released_and_money_on_its_way_is_waited_for(house: House) -> None:
    """Half an hour and no money: the place is given back. While somebody is paying, another is not released."""
    late = await booked(house)
    house.clock.move(minutes=29)
    await sweep(house)
    assert (await look(house, late.id)).state == "booked"
    house.clock.move(minutes=2)
    await sweep(house)
    gone = await look(house, late.id)
    assert (gone.state, gone.cause, house.town.his.books.booked[late.slot]) == ("cancelled", "unpaid", 0)
    made = await booked(house, "key-2")
    house.clock.move(minutes=28)
    owed = await due(house, made)
    assert made.visit_id is not None
    wish = replace(house.wish(made.fee_fen), openid=MOTHER, lines=frozenset(owed.line_ids))
    attempt = await flows.press(house.db, house.pay, house.mother, made.visit_id, wish, house.till)
    house.clock.move(minutes=3)
    await sweep(house)
    assert (await look(house, made.id)).state == "booked"
    assert await house.bridge(attempt) == "ok"
    await house.until_state(attempt, "paid")
    await house.settle()
    await sweep(house)
    paid = await look(house, made.id)
    assert (paid.state, paid.pay_by, house.taken) == ("booked", None, 100)
    await sound(house)
    assert house.town.his.books.complaints == []
