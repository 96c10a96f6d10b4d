"""What the hospital's system will not book: a person sees it and has it said again; nothing else waits for it."""

import re
from uuid import UUID

from sqlalchemy import select

from billing.service import paying
from payments.models import Refund
from people.models import Staff
from people.rules import Actor, ActorKind, Role
from people.service import sessions
from tests.adapters.conftest import until
from tests.payments.conftest import PAGE, Bill, House
from visits.models import HisCall, Visit
from words.desk import Troubles

THERE = "/desk/troubles"


async def refused(house: House) -> tuple[Bill, UUID]:
    """The lines were paid at the window while the phone paid: the HIS refuses to book them."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    house.town.his.behaviour.be("hold", times=None)
    house.town.his.clinic.pay_at_window(bill.encounter)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    assert (await house.attempt(attempt)).trouble == "his:already_settled"
    return bill, attempt


async def key_of(house: House, attempt: UUID) -> str:
    """Under which key the hospital is told of the attempt's round."""
    return paying.settle_key((await house.attempt(attempt)).round_id)


async def calls(house: House, state: str) -> list[str]:
    """Keys of the calls in a state."""
    async with house.db.begin() as tx:
        found = await tx.session.scalars(select(HisCall.key).where(HisCall.state == state).order_by(HisCall.turn))
        return list(found)


async def test_a_person_sees_it_and_has_it_said_again(house: House) -> None:
    """Finance reads what is wrong and what to do, mends the hospital's books, and presses: booked once, list empty."""
    bill, attempt = await refused(house)
    desk = house.phone(house.counter)
    page = (await desk.get(THERE, headers=PAGE)).text
    assert Troubles.todo("already_settled") in page
    told = await key_of(house, attempt)
    assert told in page
    assert (await desk.get("/desk", headers=PAGE)).text.count(THERE) == 1
    # The HIS refuses again while nothing was mended there, under its own new key.
    first = re.search(r'name="key" value="([^"]+)"', page)
    assert first
    sent = await desk.post(THERE, data={"key": first[1]}, headers=PAGE)
    assert (sent.status_code, sent.headers["location"]) == (303, THERE)
    await house.settle()
    assert await calls(house, "refused") == [f"{told}~2"]
    assert (await house.attempt(attempt)).state == "paid"
    # Mended: what was taken at the window was given back there.
    for encounter in house.town.his.books.encounters.values():
        encounter.at_window.clear()
    await desk.post(THERE, data={"key": f"{told}~2"}, headers=PAGE)
    await desk.post(THERE, data={"key": f"{told}~2"}, headers=PAGE)  # pressed twice is said once
    await house.settle()
    assert await calls(house, "refused") == []
    done = await house.attempt(attempt)
    assert (done.state, done.trouble) == ("settled", None)
    [booked] = house.town.his.books.settlements.values()
    assert booked["total_fen"] == bill.owed
    assert Troubles.none in (await desk.get(THERE, headers=PAGE)).text
    await house.balanced()


async def test_only_those_who_mend_it(house: House) -> None:
    """A nurse at a department, a patient and another hospital's key: nothing is shown and nothing is said."""
    await refused(house)
    key = (await calls(house, "refused"))[0]
    async with house.db.begin() as tx:
        nurse = (await tx.session.scalars(select(Staff).where(Staff.role == Role.DESK).limit(1))).one()
        house.tokens[nurse.id] = (await sessions.begin_staff(tx, nurse.id)).token
    actor = Actor(ActorKind.STAFF, nurse.id, nurse.hospital_id, Role.DESK, nurse.department)
    for caller, status in ((actor, 403), (house.mother, 403)):
        web = house.phone(caller)
        assert (await web.get(THERE, headers=PAGE)).status_code == status
        assert (await web.post(THERE, data={"key": key}, headers=PAGE)).status_code == status
    other = await house.phone(house.counter).post(THERE, data={"key": "settle:0"}, headers=PAGE)
    assert other.status_code == 404
    assert await calls(house, "refused") == [key]
    assert await calls(house, "given_again") == []


async def test_the_next_payment_does_not_wait_for_it(house: House) -> None:
    """Something more is done while the first payment hangs: it is paid and booked beside it, its own lines only."""
    bill, first = await refused(house)
    house.town.his.behaviour.good()
    order = house.town.his.clinic.order(bill.encounter, "URINE")
    house.town.his.clinic.confirm(order)

    async def owes() -> bool:
        return await house.owed(bill.visit) > 0

    await until(owes)
    more = Bill(bill.visit, bill.encounter, [order], await house.owed(bill.visit))
    second = await house.press(house.mother, more)
    assert second != first
    await house.bridge(second)
    await house.until_state(second, "paid")
    await house.settle()
    assert [a.state for a in await house.attempts(bill.visit)] == ["paid", "settled"]
    [booked] = house.town.his.books.settlements.values()
    assert booked["total_fen"] == more.owed
    assert house.payments == 2
    await house.balanced()


async def test_a_visit_the_insurance_pays_whole(house: House) -> None:
    """Nobody owes anything: at the end the HIS is told of those lines too, once, over 0 fen, and keeps them."""
    books = house.town.his.books
    books.account_used["P0000001"] = 0
    bill = await house.bill("URINE")
    assert bill.owed == 0
    house.town.his.clinic.finish(bill.encounter)

    async def over() -> bool:
        async with house.db.begin() as tx:
            visit = await tx.get(Visit, bill.visit)
            return visit is not None and visit.state == "settled"

    await until(over)
    await house.settle()
    [booked] = books.settlements.values()
    numbers = list(books.encounters[bill.encounter].charges)
    assert booked["total_fen"] == 0
    assert booked["payments"] == []
    assert booked["charges"] == [{"charge_no": no, "self_fen": 0} for no in numbers]
    assert set(books.settled) == set(numbers)
    assert books.complaints == []
    assert await house.states(bill.visit) == {"settled"}
    await house.balanced()
    # One of them is taken back afterwards: nothing is owed to anybody, and nobody's money is sent.
    books.record("charge.reversed", bill.encounter, {"charge_no": numbers[0], "at": house.clock().isoformat()})

    async def gone() -> bool:
        return "refunded" in await house.states(bill.visit)

    await until(gone)
    await house.settle()
    assert await house.count(Refund) == 0
    assert books.refunds == {}
    assert await calls(house, "refused") == []
    await house.balanced()
