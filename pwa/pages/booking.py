"""Booking by three taps: department, time, yes; then the booking, whatever became of it. No script is needed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.bookings import Choice, Shown, book_now, line_url, shown
from api.world import World
from billing.service.registration import FeeState
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Action, Actor
from people.service import access, hospitals, patients
from people.service.hospitals import Department, Hospital
from people.service.patients import Person as PersonRow
from pwa import booking_views as views
from pwa.answer import chosen, go, people_of, show, uuid_or_none
from pwa.pages.pay import asked
from pwa.urls import Urls
from pwa.views import Nav, Person
from visits.flows import booking as flows
from visits.rules.booking import (
    Fee,
    FeeChangedError,
    Pay,
    Slot,
    SlotGoneError,
    SlotsUnavailableError,
    bookable,
    cancel_until,
)
from visits.service import bookings
from visits.service.bookings import Booking
from visits.service.reading import subject_of, visit_of
from words.booking import Booking as Words
from words.booking import day_label, day_short

router = APIRouter(include_in_schema=False)

Code = Annotated[str, Form(min_length=1, max_length=64)]
Slotted = Annotated[str, Query(min_length=1, max_length=64)]
Key = Annotated[str, Form(alias="_idem", min_length=8, max_length=64)]
_WAITS = ("asked", "cancelling", "requeuing")
_AHEAD = ("asked", "booked", "cancelling", "missed", "requeuing")
_MOVES = (*_AHEAD, "arrived")
_OFFERS = ("refused", "called_off", "cancelled")
_HAS_BILL = ("arrived", "cancelled", "called_off")  # what was paid ahead, and that it went back
_ANOTHER = (*_OFFERS, "missed")


# ------------------------------------------------------------------------------------------------------- for whom


async def _people(tx: Tx, caller: Actor) -> list[Person]:
    """Those the caller may book for, as the switcher shows them."""
    may = {str(p.id) for p in await bookings.people_to_book_for(tx, caller)}
    return [p for p in await people_of(tx, caller) if p.id in may]


async def _whose(request: Request, tx: Tx, caller: Actor, wanted: str = "") -> tuple[PersonRow, list[Person]]:
    """(for whom, all it could be for): who is asked for, else whom this browser looks after, else oneself."""
    people = await _people(tx, caller)
    known = {p.id for p in people}
    if wanted:
        identity = uuid_or_none(wanted)
        if identity is None or wanted not in known:
            raise NotFoundError
        return await patients.by_id(tx, identity), people
    row = await chosen(request, tx, caller)
    return (row if str(row.id) in known else await patients.by_id(tx, caller.id)), people


async def _place(tx: Tx, code: str, department: str) -> tuple[Hospital, Department]:
    hospital = await hospitals.by_code(tx, code)
    found = next((d for d in await hospitals.departments(tx, hospital.id) if d.code == department), None)
    if found is None:
        raise NotFoundError
    return hospital, found


# ---------------------------------------------------------------------------------------------- department and time


@router.get(Urls.book)
async def departments(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """Which department? Those for which the hospital has a timetable."""
    row, people = await _whose(request, tx, caller)
    found = []
    for hospital in await hospitals.everyone(tx):
        bookable_here = {s["department"] for s in (await hospitals.catalogue(tx, hospital.id)).get("slots", ())}
        known = [d for d in await hospitals.departments(tx, hospital.id) if d.code in bookable_here]
        rows = [(Urls.book_times(hospital.code, d.code), d.name, d.place) for d in known]
        found.append(views.BookHospital(hospital.name, rows))
    person = next((p for p in people if p.id == str(row.id)), None)
    return await show(request, tx, "book.html", views.Book(person, people, found), Nav("home"))


@router.get("/book/{code}/{department}")
async def times(
    request: Request,
    code: str,
    department: str,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    day: date | None = None,
) -> Response:
    """The free half hours of one day; today's first, or the first day that still has one may be chosen above."""
    hospital, place = await _place(tx, code, department)
    row, people = await _whose(request, tx, caller)
    today, ahead = china_day(tx.now), hospitals.settings_of(hospital).booking_days_ahead
    chosen_day = day if day is not None and today <= day <= today + timedelta(days=ahead) else None
    await tx.let_go()
    free: Sequence[Slot] = ()
    down = False
    try:
        chosen_day, free = await _first_free(world, hospital, place, chosen_day, today, ahead)
    except SlotsUnavailableError:
        down, chosen_day = True, chosen_day or today
    view = views.BookTimes(
        person=next(p for p in people if p.id == str(row.id)),
        hospital=hospital.name,
        department=place.name,
        days=[_day(code, department, today + timedelta(days=n), today, chosen_day) for n in range(ahead + 1)],
        doctors=_doctors(code, department, chosen_day, free),
        again=Urls.book_times(code, department, chosen_day),
        down=down,
    )
    async with world.db.begin() as own:
        return await show(request, own, "book_times.html", view, status=503 if down else 200)


async def _first_free(
    world: World, hospital: Hospital, place: Department, day: date | None, today: date, ahead: int
) -> tuple[date, list[Slot]]:
    """The day asked for; else today, or tomorrow where today has nothing left."""
    async with world.db.begin() as tx:
        now = tx.now
    wanted = day or today
    free = bookable(await world.slots.of(hospital.id, place.code, wanted), now)
    if free or day is not None or ahead == 0:
        return wanted, free
    wanted = today + timedelta(days=1)
    return wanted, bookable(await world.slots.of(hospital.id, place.code, wanted), now)


def _day(code: str, department: str, day: date, today: date, current: date) -> views.BookDay:
    return views.BookDay(
        Urls.book_times(code, department, day), day_label(day, today), day_short(day), current=day == current
    )


def _doctors(code: str, department: str, day: date, free: Sequence[Slot]) -> list[views.BookDoctor]:
    found: dict[str, list[views.BookTime]] = {}
    for slot in free:
        url = Urls.book_confirm(code, department, day, slot.id)
        found.setdefault(slot.doctor, []).append(views.BookTime(url, slot.begins, slot.free))
    return [views.BookDoctor(name, rows) for name, rows in found.items()]


# -------------------------------------------------------------------------------------------------------- confirm


async def _confirm(
    request: Request, tx: Tx, caller: Actor, code: str, slot: Slot, wanted: str, *, changed: bool = False
) -> Response:
    hospital, place = await _place(tx, code, slot.department)
    row, people = await _whose(request, tx, caller, wanted)
    settings, day = hospitals.settings_of(hospital), china_day(slot.begins)
    if not bookable([slot], tx.now):
        raise SlotGoneError
    fee = await bookings.fee(tx, hospital, row.id, slot)
    fields = {"hospital": code, "department": place.code, "day": day, "slot": slot.id, "patient": row.id}
    fields |= {"fee_fen": fee.fen, "pay": fee.pay}
    until = cancel_until(settings, slot.begins)
    view = views.BookConfirm(
        person=next(p for p in people if p.id == str(row.id)),
        people=[(Urls.book_confirm(code, place.code, day, slot.id, p.id), p) for p in people],
        hospital=hospital.name,
        department=place.name,
        doctor=slot.doctor,
        begins=slot.begins,
        until=slot.until,
        fee=Words.fee_says(fee.pay, fee.fen, settings.registration_free_days),
        fee_fen=fee.fen,
        pay=fee.pay,
        fields=[(name, str(value)) for name, value in fields.items()],
        other_url=Urls.book_times(code, place.code, day),
        pay_minutes=settings.booking_pay_minutes if fee.pay is Pay.UPFRONT else None,
        cancel_until=until if until > tx.now else None,
        changed=changed,
    )
    return await show(request, tx, "book_confirm.html", view, status=409 if changed else 200)


@router.get("/book/{code}/{department}/confirm")
async def confirm(
    request: Request,
    code: str,
    department: str,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    day: date,
    slot: Slotted,
    whose: Annotated[str, Query(alias="for", max_length=40)] = "",
) -> Response:
    """For whom, where, when, what it costs: once more before it is booked."""
    hospital, place = await _place(tx, code, department)
    await tx.let_go()
    found = await world.slots.one(hospital.id, place.code, day, slot)
    async with world.db.begin() as own:
        return await _confirm(request, own, caller, code, found, whose)


@router.post(Urls.book)
async def book(
    request: Request,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    hospital: Annotated[str, Form(max_length=64)],
    department: Code,
    day: Annotated[date, Form()],
    slot: Code,
    patient: Annotated[UUID, Form()],
    fee_fen: Annotated[int, Form(ge=0)],
    pay: Annotated[Pay, Form()],
    key: Key,
) -> Response:
    """Book, and wait for the hospital's word; a fee that changed meanwhile is shown first."""
    place = await hospitals.by_code(tx, hospital)
    await tx.let_go()
    choice = Choice(place.id, department, day, slot, patient, Fee(fee_fen, pay))
    try:
        made = await book_now(world, caller, choice, key)
    except FeeChangedError:
        found = await world.slots.one(place.id, department, day, slot)
        async with world.db.begin() as own:
            return await _confirm(request, own, caller, hospital, found, str(patient), changed=True)
    return go(Urls.booking(str(made)))


# ---------------------------------------------------------------------------------------------------- my bookings


async def _card(tx: Tx, caller: Actor, seen: Shown) -> views.BookingCard:
    row = await patients.by_id(tx, seen.booking.patient_id)
    own = row.id == caller.id
    return views.BookingCard(
        id=str(seen.booking.id),
        who=patients.name_of(tx, row) if own else row.name_masked,
        department=seen.department,
        doctor=seen.booking.doctor,
        begins=seen.booking.begins,
        state=seen.booking.state,
    )


@router.get(Urls.bookings)
async def mine(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """What is to come, then what was."""
    coming: list[views.BookingCard] = []
    past: list[views.BookingCard] = []
    for found in await bookings.of_caller(tx, caller):
        card = await _card(tx, caller, await shown(tx, found))
        ahead = found.state in _AHEAD and china_day(found.begins) >= china_day(tx.now)
        (coming if ahead else past).append(card)
    return await show(request, tx, "bookings.html", views.Bookings(coming[::-1], past[:20]), Nav("home"))


def _says(booking: Booking) -> list[str]:
    """The sentences under the title."""
    match booking.state, booking.reason:
        case "refused", str(reason):
            return [Words.refused.get(reason, Words.says["refused"])]
        case "cancelled", _:
            return [Words.cancelled.get(booking.cause or "", Words.says["cancelled"])]
        case "booked", str():
            return [Words.kept if booking.cause else Words.moved, Words.bring]
        case "booked", _:
            return [Words.bring]
        case state, _:
            return [Words.says[state]] if Words.says.get(state) else []


def _todo(seen: Shown, now: datetime) -> list[str]:
    if seen.booking.state != "missed":
        return []
    if china_day(seen.booking.begins) < china_day(now):
        return [Words.missed_over]
    settings = hospitals.settings_of(seen.hospital)
    return Words.missed(settings.missed_call, settings.missed_call_behind)


async def _pay_url(tx: Tx, caller: Actor, seen: Shown) -> str | None:
    """Straight to the pay sheet of this one fee, for whoever may pay."""
    visit = await visit_of(tx, seen.booking.visit_id) if seen.booking.visit_id else None
    if visit is None or not await access.can(tx, caller, Action.PAY, subject_of(visit)):
        return None
    return Urls.pay(str(visit.id)) + asked(seen.fee.line_ids)


async def _by(tx: Tx, booking: Booking) -> str | None:
    if booking.booked_by == booking.patient_id:
        return None
    return Words.by_relative((await patients.by_id(tx, booking.booked_by)).name_masked)


async def _nearest(world: World, booking: Booking, code: str, now: datetime) -> list[tuple[str, datetime, str]]:
    """What is free instead, on that day; nothing when the hospital does not say."""
    day = china_day(booking.begins)
    try:
        free = await world.slots.of(booking.hospital_id, booking.department, day)
    except (SlotsUnavailableError, SlotGoneError):
        return []
    found = bookings.offered(free, booking, now)
    patient = str(booking.patient_id)
    return [(Urls.book_confirm(code, s.department, day, s.id, patient), s.begins, s.doctor) for s in found]


@router.get("/bookings/{booking_id}")
async def page(request: Request, booking_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """One booking: how it stands, what it costs, what to do now."""
    found = await bookings.seen(tx, caller, booking_id)
    seen = await shown(tx, found)
    free_days = hospitals.settings_of(seen.hospital).registration_free_days
    owed = found.state == "booked" and seen.fee.state is FeeState.OWED
    to_pay = await _pay_url(tx, caller, seen) if owed else None
    offers = found.state in _OFFERS and found.cause != "person" and found.begins > tx.now
    view = views.BookingPage(
        card=await _card(tx, caller, seen),
        hospital=seen.hospital.name,
        until=found.until,
        fee=Words.fee_says(found.pay, found.fee_fen, free_days),
        number=Words.nth(found.number) if found.number else None,
        by=await _by(tx, found),
        says=_says(found),
        waits=found.state in _WAITS or (found.state == "booked" and seen.fee.state is FeeState.COMING),
        todo=_todo(seen, tx.now),
        pay_url=to_pay,
        pay_by=found.pay_by if owed else None,
        fee_state=seen.fee.state if found.state in ("booked", "arrived") else FeeState.NONE,
        cancel_url=Urls.booking_cancel(str(found.id)) if seen.can_cancel else None,
        cancel_until=seen.cancel_until if found.state == "booked" and seen.can_cancel else None,
        nearest_url=Urls.book_times(seen.hospital.code, found.department) if found.state in _ANOTHER else None,
        visit_url=Urls.bill(str(found.visit_id)) if found.visit_id and found.state in _HAS_BILL else None,
        stream_url=line_url(seen) if found.state in _MOVES else None,
    )
    if not offers:
        return await show(request, tx, "booking.html", view)
    now = tx.now
    await tx.let_go()
    view = replace(view, nearest=await _nearest(world, found, seen.hospital.code, now))
    async with world.db.begin() as own:
        return await show(request, own, "booking.html", view)


@router.get("/bookings/{booking_id}/cancel")
async def ask_cancel(request: Request, booking_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Cancel, or keep it?"""
    seen = await shown(tx, await bookings.seen(tx, caller, booking_id))
    if not seen.can_cancel:
        return go(Urls.booking(str(booking_id)))
    view = views.BookingCancel(await _card(tx, caller, seen), seen.hospital.name, seen.fee.state is FeeState.PAID)
    return await show(request, tx, "booking_cancel.html", view)


@router.post("/bookings/{booking_id}/cancel")
async def cancel(booking_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Cancel it, and wait for the hospital's word."""
    await tx.let_go()
    await flows.cancel(world.db, world.ports.his, world.slots, caller, booking_id)
    return go(Urls.booking(str(booking_id)))
