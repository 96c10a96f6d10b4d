"""Booking a half hour: never two people on one place, nobody twice, and what is not known is not said."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from adapters.his import HisAccess
from kernel.errors import ForbiddenError, NotFoundError
from people.rules import GrantKind, Proof, ProofKind
from people.service import grants, hospitals
from tests.visits.booking_stand import TODAY, Desk
from visits.flows import booking as flows
from visits.ports import HisCommand
from visits.rules import booking as rules
from visits.rules.booking import Fee, Pay
from visits.service import bookings, encounters


async def test_a_daughter_books_for_her_mother_and_the_day_goes_as_booked(desk: Desk) -> None:
    """Booked with a number, the fee on account; her encounter names it: it is part of the day's visit."""
    made = await desk.book(desk.slot(14), by="daughter")
    assert (made.state, made.number, made.pay, made.fee_fen) == ("booked", "1", "account", 100)
    assert (made.patient_id, made.booked_by) == (desk.actors["mother"].id, desk.actors["daughter"].id)
    assert desk.places == {desk.slot(14): 1}
    desk.clock.time = made.begins
    desk.his.appointments.arrive(made.id.hex)
    await desk.hear()
    after = await desk.look(made.id)
    assert after.state == "arrived"
    async with desk.world.db.begin() as tx:
        visit = await tx.get(encounters.Visit, after.visit_id)
        assert visit is not None
        assert (visit.patient_id, visit.day) == (desk.actors["mother"].id, TODAY)
    assert desk.his.books.complaints == []


async def test_two_people_want_the_last_place(desk: Desk) -> None:
    """Five of six places are taken; two press at once: one has it, the other learns it kindly with the nearest free."""
    slot = desk.slot(14)
    desk.his.books.booked[slot] = 5
    wishes = {who: await desk.wish(slot, who) for who in ("mother", "neighbour")}
    made = await asyncio.gather(
        *(flows.book(desk.world.db, desk, desk.world.slots, desk.actors[w], wish) for w, wish in wishes.items())
    )
    states = [await desk.look(one) for one in made]
    assert sorted(s.state for s in states) == ["booked", "refused"]
    lost = next(s for s in states if s.state == "refused")
    assert lost.reason == "taken"
    assert desk.places == {slot: 6}
    free = await desk.world.slots.of(desk.hospital, "CARD", TODAY)
    offered = bookings.offered(free, lost, desk.clock.time)
    assert [s.id for s in offered] == [desk.slot(13, 30), desk.slot(14, 30), desk.slot(15)]


async def test_one_person_presses_twice_and_is_booked_once(desk: Desk) -> None:
    """The same key at once from windows is one booking; another of the same half day is refused, nothing asked."""
    wish = await desk.wish(desk.slot(14), key="same-key")
    book = [flows.book(desk.world.db, desk, desk.world.slots, desk.actors["mother"], wish) for _ in range(3)]
    assert len(set(await asyncio.gather(*book))) == 1
    with pytest.raises(rules.AlreadyBookedError):
        await desk.book(desk.slot(15))
    with pytest.raises(rules.BookingKeyReusedError):
        await desk.book(desk.slot(15), key="same-key")
    assert desk.places == {desk.slot(14): 1}
    assert len(desk.his.books.commands) == 1


async def test_the_database_itself_keeps_two_apart(desk: Desk) -> None:
    """With the service's own look out of the way, the index refuses a second open booking of the half day."""
    first = await desk.book(desk.slot(14))
    same = {c.name: getattr(first, c.name) for c in bookings.Booking.__table__.columns} | {"id": desk.hospital}
    async with desk.world.db.begin() as tx:
        tx.session.add(bookings.Booking(**same))
        with pytest.raises(IntegrityError, match="uq_booking_open"):
            await tx.session.flush()
        await tx.session.rollback()


async def test_who_may_book(desk: Desk) -> None:
    """A payer may not, a stranger may not, a child of eleven may not alone; nothing is asked of the hospital."""
    for who, by, error in (
        ("mother", "neighbour", NotFoundError),
        ("neighbour", "daughter", NotFoundError),
        ("boy", "boy", ForbiddenError),
    ):
        with pytest.raises(error):
            await desk.book(desk.slot(14), who, by)
    assert desk.places == {}
    assert desk.his.books.commands == {}
    async with desk.world.db.begin() as tx:
        boy, mother = desk.actors["boy"].id, desk.actors["mother"].id
        terms = [grants.Terms(GrantKind.GUARD)]
        await grants.make(
            tx, boy, mother, terms, bond=desk.hospital, relation="grandmother", proof=Proof(ProofKind.DESK)
        )
    assert (await desk.book(desk.slot(14), "boy", "mother")).state == "booked"


async def test_what_she_booked_herself_is_not_her_daughters_to_know(desk: Desk) -> None:
    """The mother books alone; the daughter sees none of it, cannot cancel it, and learns only that hers fails."""
    own = await desk.book(desk.slot(14))
    theirs = await desk.book(desk.slot(9, 30, days=1), by="daughter")
    async with desk.world.db.begin() as tx:
        assert [b.id for b in await bookings.of_caller(tx, desk.actors["daughter"])] == [theirs.id]
        assert [b.id for b in await bookings.of_caller(tx, desk.actors["mother"])] == [theirs.id, own.id]
    with pytest.raises(NotFoundError):
        await desk.cancel(own, by="daughter")
    with pytest.raises(rules.NotForHerError):
        await desk.book(desk.slot(15), by="daughter")
    assert (await desk.look(own.id)).state == "booked"
    async with desk.world.db.begin() as tx:
        await grants.end_all(tx, await grants.of_relative(tx, desk.actors["daughter"].id))
    async with desk.world.db.begin() as tx:
        assert await bookings.of_caller(tx, desk.actors["daughter"]) == []
    with pytest.raises(NotFoundError):
        await desk.cancel(theirs, by="daughter")
    assert (await desk.cancel(theirs)).state == "cancelled"


async def test_so_many_at_a_time(desk: Desk) -> None:
    """Three open bookings, not four; one cancelled makes room."""
    first = [await desk.book(desk.slot(9, 30, days=d)) for d in (1, 2, 3)]
    with pytest.raises(rules.TooManyBookingsError):
        await desk.book(desk.slot(9, 30, days=4))
    assert (await desk.cancel(first[0])).state == "cancelled"
    assert (await desk.book(desk.slot(9, 30, days=4))).state == "booked"
    assert sum(desk.places.values()) == 3


async def test_a_time_that_is_over_full_or_far_and_a_fee_that_changed(desk: Desk) -> None:
    """Each is refused before the hospital is asked."""
    for slot in (desk.slot(8), desk.slot(9, 30, days=8)):
        with pytest.raises(rules.SlotGoneError):
            await desk.book(slot)
    with pytest.raises(rules.FeeChangedError):
        await desk.book(desk.slot(14), shown=Fee(200, Pay.ACCOUNT))
    assert desk.his.books.commands == {}


@pytest.mark.parametrize("fault", ["silent", "500_after", "other_key"])
async def test_no_answer_is_neither_yes_nor_no(desk: Desk, fault: str) -> None:
    """Nothing, or done without a word: it stays asked, the same is said again, and she is booked once."""
    desk.his.behaviour.be(fault, seconds=0.6, kinds=("book",))
    made = await desk.book(desk.slot(14))
    assert made.state == "asked"
    await desk.pass_time(seconds=3)
    assert (await desk.look(made.id)).state == "asked"  # the first question may still be on its way
    await desk.pass_time(seconds=4)
    after = await desk.look(made.id)
    assert (after.state, after.number, after.said, after.tries) == ("booked", "1", 1, 2)
    assert desk.places == {desk.slot(14): 1}
    assert desk.his.books.complaints == []


async def test_given_up_before_the_hospital_said_a_word(desk: Desk) -> None:
    """Never heard of, then given up: the cancel stands, and the first question that arrives late books nothing."""
    desk.his.behaviour.be("down", times=None, kinds=("book",))
    made = await desk.book(desk.slot(14))
    assert made.state == "asked"
    assert (await desk.cancel(made)).state == "cancelled"
    desk.his.behaviour.good()
    data = {"booking": made.id.hex, "slot": made.slot, "patient": {"name": "朱桂芳"}, "fee_fen": 100, "pay": "account"}
    (late,) = await desk.client.send([HisCommand(f"book:{made.id.hex}:1", "book", [], made.asked_at, data)])
    assert late is not None
    assert (late.outcome, late.reason) == ("refused", "cancelled")
    assert desk.places == {}


async def test_asked_in_vain_until_it_began(desk: Desk) -> None:
    """The hospital is away all day: at the time itself the wish is given up, and is cancelled when it is back."""
    desk.his.behaviour.be("500_after", times=None, kinds=("book",))
    made = await desk.book(desk.slot(14))
    await desk.pass_time(hours=6)
    after = await desk.look(made.id)
    assert (after.state, after.cause) == ("cancelled", "stale")
    assert desk.places == {}


async def test_nothing_left_the_house(desk: Desk, monkeypatch: Any) -> None:
    """No address: it is certain that nothing was booked, and that is what she is told."""
    wish = await desk.wish(desk.slot(14))
    monkeypatch.setattr(desk.client, "_access", HisAccess("", "", ""))
    identity = await flows.book(desk.world.db, desk, desk.world.slots, desk.actors["mother"], wish)
    made = await desk.look(identity)
    assert (made.state, made.reason) == ("refused", "unreachable")


async def test_the_hospital_does_not_say_what_is_free(desk: Desk) -> None:
    """Down or slow is said plainly; what it said a moment ago may still be shown."""
    with pytest.raises(rules.SlotGoneError):
        await desk.world.slots.of(desk.hospital, "NONE", TODAY)
    for fault in ("down", "slow"):
        desk.his.behaviour.be(fault, seconds=0.6)
        asked = [desk.world.slots.of(desk.hospital, "CARD", TODAY) for _ in range(3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(e) for e in errors} == {rules.SlotsUnavailableError}, "they wait together, not in turn"
        desk.world.slots.forget(desk.hospital, "CARD", TODAY)
    first = await desk.world.slots.of(desk.hospital, "CARD", TODAY)
    desk.his.behaviour.be("down")
    assert await desk.world.slots.of(desk.hospital, "CARD", TODAY) is first


async def test_until_when_one_can_cancel(desk: Desk) -> None:
    """Two hours before: yes at the minute, no after it; the hospital's books agree."""
    made = await desk.book(desk.slot(14))
    desk.clock.time = made.begins.replace(hour=made.begins.hour - 2, minute=1)
    with pytest.raises(rules.TooLateToCancelError):
        await desk.cancel(made)
    desk.clock.time = made.begins.replace(hour=made.begins.hour - 2, minute=0)
    assert (await desk.cancel(made)).state == "cancelled"
    assert desk.places == {}


async def test_the_doctor_stops_the_clinic_and_moves_people(desk: Desk) -> None:
    """One is moved to another time, then the whole day is called off; each as the hospital says, once."""
    made = await desk.book(desk.slot(14))
    desk.his.appointments.move(made.id.hex, desk.slot(15))
    await desk.hear()
    moved = await desk.look(made.id)
    assert (moved.state, moved.slot, moved.half_day) == ("booked", desk.slot(15), "2026-11-23/pm")
    assert desk.his.appointments.call_off("d.card", "2026-11-23") == [made.id.hex]
    await desk.hear()
    off = await desk.look(made.id)
    assert (off.state, off.reason) == ("called_off", "停诊")
    assert desk.places == {}
    with pytest.raises(rules.TooLateToCancelError):
        await desk.cancel(off)
    desk.world.slots.forget(desk.hospital, "CARD", TODAY)
    assert {s.doctor for s in await desk.world.slots.of(desk.hospital, "CARD", TODAY)} == {"何静"}


async def test_a_missed_call_and_the_queue_again(desk: Desk) -> None:
    """Called in vain; the guide desk puts her back, another department's doctor may not; twice is once."""
    made = await desk.book(desk.slot(9, 30))
    desk.his.appointments.miss(made.id.hex)
    await desk.hear()
    assert (await desk.look(made.id)).state == "missed"
    with pytest.raises(ForbiddenError):
        await flows.requeue(desk.world.db, desk, desk.world.slots, desk.actors["d.ent"], made.id)
    with pytest.raises(ForbiddenError):
        await flows.requeue(desk.world.db, desk, desk.world.slots, desk.actors["mother"], made.id)
    assert (await desk.look(made.id)).state == "missed"
    desk.his.behaviour.be("500_after", kinds=("requeue",))
    guide = desk.actors["g.guide"]
    await flows.requeue(desk.world.db, desk, desk.world.slots, guide, made.id)
    assert (await desk.look(made.id)).state == "requeuing"
    await desk.pass_time(seconds=7)
    assert (await desk.look(made.id)).state == "arrived"
    with pytest.raises(rules.NotMissedError):
        await flows.requeue(desk.world.db, desk, desk.world.slots, guide, made.id)
    assert desk.his.books.complaints == []


async def test_who_never_came_is_missed_the_next_day(desk: Desk) -> None:
    """The hospital says nothing; the booking does not stay open for ever."""
    made = await desk.book(desk.slot(14))
    await desk.pass_time(hours=12)
    assert (await desk.look(made.id)).state == "booked"
    await desk.pass_time(hours=4)
    assert (await desk.look(made.id)).state == "missed"


async def test_free_within_three_days_of_the_last_visit_counts_visits_not_bookings(desk: Desk) -> None:
    """A visit that ended yesterday makes it free; a registration nobody came for does not."""
    await desk.settings(registration_upfront=True)
    gone = await desk.book(desk.slot(9, 30, days=1), "neighbour")
    await desk.hear()
    await desk.cancel(gone, by="neighbour")
    await desk.hear()
    number = desk.his.clinic.register(desk.his.catalogue.patients["P0000001"], "CARD")
    desk.his.clinic.finish(number)
    await desk.hear()
    await desk.pass_time(days=1.2)
    free = await desk.book(desk.slot(9, 30, days=3))
    assert (free.pay, free.fee_fen, free.pay_by) == ("free", 0, None)
    async with desk.world.db.begin() as tx:
        assert await bookings.last_visit_day(tx, desk.hospital, desk.actors["neighbour"].id) is None
        assert await bookings.last_visit_day(tx, desk.hospital, desk.actors["mother"].id) == TODAY
        assert hospitals.settings_of(await hospitals.by_id(tx, desk.hospital)).registration_free_days == 3


async def test_a_late_yes_to_the_booking_is_no_yes_to_the_cancel(desk: Desk) -> None:
    """She gives it up while the hospital is still answering; that answer is taken for nothing but what it answers."""
    desk.his.behaviour.be("late", seconds=0.2, kinds=("book",))
    desk.his.behaviour.be("silent", seconds=0.6, kinds=("cancel_booking",))
    wish = await desk.wish(desk.slot(14))
    booking = asyncio.create_task(flows.book(desk.world.db, desk, desk.world.slots, desk.actors["mother"], wish))
    while not desk.places:
        await asyncio.sleep(0.01)
    async with desk.world.db.begin() as tx:
        (made,) = await bookings.of_caller(tx, desk.actors["mother"])
    await asyncio.gather(booking, desk.cancel(made))
    assert ((await desk.look(made.id)).state, desk.places) == ("cancelling", {desk.slot(14): 1})
    await desk.pass_time(seconds=7)
    assert ((await desk.look(made.id)).state, desk.places) == ("cancelled", {})


async def test_what_is_said_out_of_order_and_of_somebody_else(desk: Desk) -> None:
    """Moved twice, heard the other way round: the later word stands. Another's encounter joins nothing of hers."""
    made = await desk.book(desk.slot(14))
    for half_hour in (desk.slot(15), desk.slot(15, 30)):
        desk.his.appointments.move(made.id.hex, half_hour)
    first, second = desk.his.books.pending(2)
    for item in (second, first):
        desk.his.books.outbox = {item["id"]: item}
        await desk.hear()
    assert (await desk.look(made.id)).slot == desk.slot(15, 30)
    card = desk.his.catalogue.patients["P0000002"]
    named = {"booking": made.id.hex, "started_at": desk.clock.time.isoformat()}
    desk.his.clinic.register(card, "CARD", booking=named)
    await desk.hear()
    after = await desk.look(made.id)
    assert (after.state, after.visit_id, after.encounter_id) == ("arrived", None, None)
