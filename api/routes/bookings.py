"""Booking for programs: what is free, book, look, cancel; the desk puts somebody back into the queue."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep, session_token
from api.line import Line, follow_line
from api.stream import RELOAD, StreamResponse
from api.world import World
from billing.service import registration
from billing.service.registration import FeeDue
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Actor
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from visits.flows import booking as flows
from visits.rules.booking import Fee, Pay, bookable, cancel_until
from visits.service import bookings
from visits.service.bookings import Booking, Wish

router = APIRouter(prefix="/api", tags=["booking"])


# ---------------------------------------------------------------------- shared with the pages (pwa.pages.booking)


@dataclass(frozen=True, slots=True)
class Shown:
    """A booking with what one wants to know beside it."""

    booking: Booking
    hospital: Hospital
    department: str
    fee: FeeDue
    cancel_until: datetime
    can_cancel: bool


async def shown(tx: Tx, booking: Booking) -> Shown:
    """A booking as pages and programs show it; whoever calls may see it."""
    hospital = await hospitals.by_id(tx, booking.hospital_id)
    department = await hospitals.department(tx, hospital.id, booking.department)
    until = cancel_until(hospitals.settings_of(hospital), booking.begins)
    return Shown(
        booking,
        hospital,
        department.name if department else booking.department,
        await registration.fee_due(tx, booking),
        until,
        bookings.can_cancel(booking, tx.now, until),
    )


def mark_of(seen: Shown) -> str:
    """A booking in short: another mark means that the page that shows it is no longer true."""
    own, fee = seen.booking, seen.fee
    said = (own.state, own.reason, own.cause, own.number, own.doctor, own.begins, own.until, own.pay_by, own.visit_id)
    every = " ".join(str(one) for one in (own.id, *said, fee.state, *sorted(fee.line_ids)))
    return hashlib.sha256(every.encode()).hexdigest()[:16]


def line_url(seen: Shown) -> str:
    """The line of a page that shows what ``mark_of`` saw."""
    return f"/api/bookings/{seen.booking.id}/stream?after={mark_of(seen)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One half hour somebody chose, and the fee they were shown."""

    hospital_id: UUID
    department: str
    day: date
    slot: str
    patient_id: UUID
    shown: Fee


async def book_now(world: World, caller: Actor, choice: Choice, key: str) -> UUID:
    """Book what was chosen, as the HIS tells it now; the caller holds no transaction.

    Raises:
        what ``flows.book`` and ``Slots.one`` raise.
    """
    async with world.db.begin() as tx:  # before the hospital's system is asked anything for somebody who may not
        await bookings.may_book(tx, caller, choice.patient_id, await hospitals.by_id(tx, choice.hospital_id))
    slot = await world.slots.one(choice.hospital_id, choice.department, choice.day, choice.slot)
    wish = Wish(key, choice.hospital_id, choice.patient_id, slot, choice.shown)
    return await flows.book(world.db, world.ports.his, world.slots, caller, wish)


# --------------------------------------------------------------------------------------------------------- endpoints

Key = Annotated[str, Header(alias="Idempotency-Key", min_length=8, max_length=64, description="made before it is sent")]


class SlotOut(BaseModel):
    """A half hour with a free place; ``fee_fen`` and ``pay`` are for the patient that was asked for."""

    id: str
    doctor: str
    begins: datetime
    until: datetime
    free: int
    fee_fen: int
    pay: Pay


class BookBody(BaseModel):
    """What was chosen, with the fee as it was shown; ``patient_id`` empty: for oneself."""

    model_config = ConfigDict(extra="forbid")
    hospital_id: UUID
    department: Annotated[str, Field(min_length=1, max_length=64)]
    day: date
    slot: Annotated[str, Field(min_length=1, max_length=64)]
    patient_id: UUID | None = None
    fee_fen: Annotated[int, Field(ge=0, description="fen")]
    pay: Pay


class BookingOut(BaseModel):
    """A booking. ``asked`` and ``cancelling``: the hospital has not said; ask again, do not book again.

    ``fee_state`` of an up-front fee: ``owed`` is paid by ``lines`` in ``POST /api/visits/{visit_id}/payments``.
    """

    id: UUID
    hospital_id: UUID
    patient_id: UUID
    patient: str
    department: str
    department_name: str
    doctor: str
    begins: datetime
    until: datetime
    number: str | None
    state: str
    reason: str | None
    cause: str | None
    fee_fen: int
    pay: Pay
    pay_by: datetime | None
    fee_state: str
    visit_id: UUID | None
    lines: list[UUID]
    can_cancel: bool
    cancel_until: datetime


async def _out(tx: Tx, booking: Booking, *, whole: bool) -> BookingOut:
    seen = await shown(tx, booking)
    person = await patients.by_id(tx, booking.patient_id)
    return BookingOut(
        id=booking.id,
        hospital_id=booking.hospital_id,
        patient_id=booking.patient_id,
        patient=patients.name_of(tx, person) if whole else person.name_masked,
        department=booking.department,
        department_name=seen.department,
        doctor=booking.doctor,
        begins=booking.begins,
        until=booking.until,
        number=booking.number,
        state=booking.state,
        reason=booking.reason,
        cause=booking.cause,
        fee_fen=booking.fee_fen,
        pay=Pay(booking.pay),
        pay_by=booking.pay_by,
        fee_state=seen.fee.state,
        visit_id=booking.visit_id,
        lines=list(seen.fee.line_ids),
        can_cancel=seen.can_cancel,
        cancel_until=seen.cancel_until,
    )


async def _one(world: World, caller: Actor, booking_id: UUID) -> BookingOut:
    async with world.db.begin() as tx:
        found = await bookings.seen(tx, caller, booking_id)
        return await _out(tx, found, whole=found.patient_id == caller.id)


@router.get("/hospitals/{hospital_id}/slots")
async def slots(
    hospital_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    department: Annotated[str, Query(min_length=1, max_length=64)],
    day: date,
    patient_id: UUID | None = None,
) -> list[SlotOut]:
    """The half hours of a department on a day that still have a place, with the fee; 503 when the HIS does not say."""
    hospital, whose = await hospitals.by_id(tx, hospital_id), patient_id or caller.id
    await bookings.may_book(tx, caller, whose, hospital)
    if department not in {d.code for d in await hospitals.departments(tx, hospital_id)}:
        raise NotFoundError
    await tx.let_go()
    found = await world.slots.of(hospital_id, department, day)
    async with world.db.begin() as own:
        free = bookable(found, own.now)
        fees = [await bookings.fee(own, hospital, whose, s) for s in free]
    return [
        SlotOut(id=s.id, doctor=s.doctor, begins=s.begins, until=s.until, free=s.free, fee_fen=fee.fen, pay=fee.pay)
        for s, fee in zip(free, fees, strict=True)
    ]


@router.post("/bookings", status_code=201)
async def book(asked: BookBody, caller: PersonCaller, world: WorldDep, tx: TxDep, key: Key) -> BookingOut:
    """Book a half hour and wait for the HIS; the same key is the same booking, its ``state`` says what became of it."""
    await tx.let_go()
    whose, fee = asked.patient_id or caller.id, Fee(asked.fee_fen, asked.pay)
    choice = Choice(asked.hospital_id, asked.department, asked.day, asked.slot, whose, fee)
    return await _one(world, caller, await book_now(world, caller, choice, key))


@router.get("/bookings")
async def all_of_mine(caller: PersonCaller, tx: TxDep) -> list[BookingOut]:
    """The bookings one may see, the latest time first: one's own, and those one made for somebody."""
    found = await bookings.of_caller(tx, caller)
    return [await _out(tx, b, whole=b.patient_id == caller.id) for b in found]


@router.get("/bookings/{booking_id}")
async def one(booking_id: UUID, caller: PersonCaller, tx: TxDep) -> BookingOut:
    """One booking as it stands."""
    found = await bookings.seen(tx, caller, booking_id)
    return await _out(tx, found, whole=found.patient_id == caller.id)


@router.get("/bookings/{booking_id}/stream", response_class=StreamResponse)
async def follow(
    request: Request,
    booking_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    after: Annotated[str, Query(max_length=64, description="the mark the page was drawn with")] = "",
) -> Response:
    """Wait until a booking or its fee stands otherwise: ``event: reload``, and nothing else."""
    found, token = await bookings.seen(tx, caller, booking_id), session_token(request) or ""
    about = {found.patient_id} | ({found.visit_id} if found.visit_id else set())

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else mark_of(await shown(now, await bookings.seen(now, caller, booking_id)))

    return follow_line(world.hub, caller.viewer, Line(world.hub, mark, after, RELOAD, about))


@router.post("/bookings/{booking_id}/cancel")
async def cancel(booking_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> BookingOut:
    """Cancel a booking and wait for the HIS; what was paid goes back by itself. 409 when it is too late."""
    await tx.let_go()
    await flows.cancel(world.db, world.ports.his, world.slots, caller, booking_id)
    return await _one(world, caller, booking_id)


@router.get("/desk/bookings")
async def of_desk(caller: StaffCaller, tx: TxDep) -> list[BookingOut]:
    """Today's bookings of one's department, missed calls first; all at the guide desk."""
    return [await _out(tx, b, whole=True) for b in await bookings.of_desk(tx, caller)]


@router.post("/desk/bookings/{booking_id}/requeue")
async def requeue(booking_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> BookingOut:
    """Put somebody whose call was missed back into the queue and wait for the HIS."""
    await tx.let_go()
    await flows.requeue(world.db, world.ports.his, world.slots, caller, booking_id)
    async with world.db.begin() as own:
        found = await bookings.by_id(own, booking_id)
        return await _out(own, found, whole=True)
