"""Booking a half hour, giving it up, queueing again: decided here, said to the HIS by ``visits.flows.booking``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, select

from kernel.clock import CHINA, china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import derive
from people.events import ViewsChanged
from people.rules import Action, Actor, ActorKind, Role, age_on, role_may
from people.service import access, hospitals, patients
from people.service.hospitals import Hospital
from visits.models import Booking as Booking
from visits.models import Encounter, Visit
from visits.rules import booking as rules
from visits.rules.booking import BOOKING, OPEN, BookingState, Cause, Fee, Pay, Slot

_CAME = (BookingState.ARRIVED, BookingState.REQUEUING)


class TooYoungToBookError(ForbiddenError):
    """Somebody under the age to go alone books through a guardian."""

    code = "too_young"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants, and the fee they were shown.

    Args:
        key: made by the browser before it sends; the same key is the same booking.
        slot: as the HIS has just told it.
    """

    key: str
    hospital_id: UUID
    patient_id: UUID
    slot: Slot
    shown: Fee


async def may_book(tx: Tx, actor: Actor, patient_id: UUID, hospital: Hospital) -> None:
    """Whether the caller may book for this patient here.

    Raises:
        NotFoundError: the patient is none of the caller's.
        TooYoungToBookError: she goes with a guardian.
    """
    if not await access.can_for(tx, actor, Action.BOOK, patient_id):
        raise NotFoundError
    person = await patients.by_id(tx, patient_id)
    young = hospitals.settings_of(hospital).minimum_age
    if actor.id == patient_id and person.birth_date and age_on(person.birth_date, china_day(tx.now)) < young:
        raise TooYoungToBookError


async def fee(tx: Tx, hospital: Hospital, patient_id: UUID, slot: Slot) -> Fee:
    """What registering for this slot costs this patient, and when it is paid."""
    last = await last_visit_day(tx, hospital.id, patient_id)
    return rules.fee_of(hospitals.settings_of(hospital), slot.fee_fen, last, china_day(slot.begins))


async def last_visit_day(tx: Tx, hospital_id: UUID, patient_id: UUID) -> date | None:
    """The day in China on which her last visit here ended; a registration she never came for is no visit."""
    unused = exists().where(Booking.encounter_id == Encounter.id, Booking.state.not_in([*_CAME, BookingState.MISSED]))
    ended = func.coalesce(Encounter.finished_at, Encounter.started_at)
    query = (
        select(func.max(ended))
        .join(Visit, Visit.id == Encounter.visit_id)
        .where(Visit.hospital_id == hospital_id, Visit.patient_id == patient_id)
        .where(Encounter.started_at <= tx.now, ~unused)
    )
    last: datetime | None = await tx.session.scalar(query)
    return None if last is None else china_day(last)


async def ask(tx: Tx, actor: Actor, wish: Wish) -> Booking:
    """Write down that this half hour is wanted; the HIS is asked right after the commit. The same key is found again.

    Raises:
        NotFoundError, TooYoungToBookError: not for this caller to do.
        BookingKeyReusedError: the key was used for something else.
        SlotGoneError: it has begun, is full, or is too far ahead.
        FeeChangedError: the fee is another than was shown.
        AlreadyBookedError, TooManyBookingsError, NotForHerError: she has one, or enough of them.
    """
    hospital = await hospitals.by_id(tx, wish.hospital_id)
    await may_book(tx, actor, wish.patient_id, hospital)
    identity, slot, settings = derive(actor.id, "booking", wish.key), wish.slot, hospitals.settings_of(hospital)
    await _turn(tx, wish.patient_id)
    known = await tx.get(Booking, identity)
    if known is not None:
        if (known.patient_id, known.hospital_id, known.slot) != (wish.patient_id, wish.hospital_id, slot.id):
            raise rules.BookingKeyReusedError
        return known
    ahead = china_day(slot.begins) - china_day(tx.now)
    if not rules.bookable([slot], tx.now) or ahead > timedelta(days=settings.booking_days_ahead):
        raise rules.SlotGoneError
    cost = await fee(tx, hospital, wish.patient_id, slot)
    if cost != wish.shown:
        raise rules.FeeChangedError
    await _has_room(tx, actor, wish, settings.booking_most_open)
    BOOKING.move(None, BookingState.ASKED)
    made = tx.add(
        Booking(
            id=identity,
            hospital_id=hospital.id,
            patient_id=wish.patient_id,
            booked_by=actor.id,
            department=slot.department,
            doctor=slot.doctor,
            slot=slot.id,
            begins=slot.begins,
            until=slot.until,
            half_day=rules.half_day(slot.begins),
            fee_fen=cost.fen,
            pay=cost.pay,
            state=BookingState.ASKED,
            asked_at=tx.now,
            decided_at=tx.now,
            said=1,
            tries=0,
            next_at=tx.now,
            sequence=0,
        )
    )
    await tx.session.flush()
    return made


async def _turn(tx: Tx, patient_id: UUID) -> None:
    """One at a time decides for a patient what is open; the database's index stands behind it."""
    number = int.from_bytes(derive(patient_id, "bookings", "").bytes[:8], "big", signed=True)
    await tx.session.execute(select(func.pg_advisory_xact_lock(number)))


async def _has_room(tx: Tx, actor: Actor, wish: Wish, most: int) -> None:
    query = select(Booking).where(
        Booking.patient_id == wish.patient_id,
        Booking.hospital_id == wish.hospital_id,
        Booking.state.in_(OPEN),
        Booking.until > tx.now,
    )
    open_ones = list(await tx.session.scalars(query))
    half = rules.half_day(wish.slot.begins)
    same = [b for b in open_ones if b.doctor == wish.slot.doctor and b.half_day == half]
    if not same and len(open_ones) < most:
        return
    # Of what she booked herself a relative learns nothing, not even that it stands in the way.
    if not all([await sees(tx, actor, b) for b in same or open_ones]):
        raise rules.NotForHerError
    raise rules.AlreadyBookedError if same else rules.TooManyBookingsError(most=most)


async def sees(tx: Tx, actor: Actor, booking: Booking) -> bool:
    """Her own side sees all her bookings; a relative who may book sees those they made."""
    if await access.can_for(tx, actor, Action.WITHDRAW, booking.patient_id):
        return True
    return booking.booked_by == actor.id and await access.can_for(tx, actor, Action.BOOK, booking.patient_id)


async def of_caller(tx: Tx, actor: Actor, limit: int = 60) -> list[Booking]:
    """The bookings the caller may see, of everybody, the latest time first."""
    people = [p.id for p in await access.patients_of(tx, actor)]
    query = select(Booking).where(Booking.patient_id.in_(people)).order_by(Booking.begins.desc(), Booking.id)
    found = list(await tx.session.scalars(query.limit(limit)))
    whole = {i for i in {b.patient_id for b in found} if await access.can_for(tx, actor, Action.WITHDRAW, i)}
    books = {i for i in {b.patient_id for b in found} - whole if await access.can_for(tx, actor, Action.BOOK, i)}
    return [b for b in found if b.patient_id in whole or (b.patient_id in books and b.booked_by == actor.id)]


async def by_id(tx: Tx, booking_id: UUID) -> Booking:
    """One booking, for whoever may see it anyway.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(Booking, booking_id)
    if found is None:
        raise NotFoundError
    return found


async def seen(tx: Tx, actor: Actor, booking_id: UUID, *, lock: bool = False) -> Booking:
    """One booking.

    Raises:
        NotFoundError: there is none, or none for this caller.
    """
    found = await tx.get(Booking, booking_id, lock=lock)
    if found is None or not await sees(tx, actor, found):
        raise NotFoundError
    return found


async def cancel(tx: Tx, actor: Actor, booking_id: UUID) -> Booking:
    """Give a booking up; the HIS is told. What is given up already stays so.

    Raises:
        NotFoundError: none for this caller.
        TooLateToCancelError: the time for it is over, or she is there.
    """
    booking = await seen(tx, actor, booking_id, lock=True)
    settings = hospitals.settings_of(await hospitals.by_id(tx, booking.hospital_id))
    if booking.state in (BookingState.CANCELLING, BookingState.CANCELLED):
        return booking
    if not can_cancel(booking, tx.now, rules.cancel_until(settings, booking.begins)):
        raise rules.TooLateToCancelError
    return give_up(tx, booking, Cause.PERSON)


def can_cancel(booking: Booking, now: datetime, until: datetime) -> bool:
    """Whether it may be given up now; what the HIS has not answered may be until it begins."""
    if booking.state == BookingState.ASKED:
        return now < booking.begins
    return booking.state == BookingState.BOOKED and now <= until


def give_up(tx: Tx, booking: Booking, cause: Cause) -> Booking:
    """Begin to cancel an open booking; whoever calls has its row."""
    booking.cause = cause
    _say(tx, booking, BookingState.CANCELLING)
    return booking


def _say(tx: Tx, booking: Booking, state: BookingState) -> None:
    BOOKING.move(BookingState(booking.state), state)
    booking.state, booking.decided_at = state, tx.now
    booking.said, booking.tries, booking.next_at = booking.said + 1, 0, tx.now
    ring(tx, booking)


def ring(tx: Tx, booking: Booking) -> None:
    """Whoever has its page open is told that it stands otherwise; what is open of the patient is looked at anew."""
    tx.ring(ViewsChanged(booking.patient_id))


async def requeue(tx: Tx, actor: Actor, booking_id: UUID) -> Booking:
    """Put somebody whose call was missed back into the queue: staff of her department, or the guide desk.

    Raises:
        NotFoundError: no such booking in this hospital.
        ForbiddenError: not for this role or department.
        NotMissedError: she is not among the missed of today.
    """
    if not role_may(Action.REQUEUE, actor.role):
        raise ForbiddenError
    booking = await tx.get(Booking, booking_id, lock=True)
    if booking is None or not access.can_here(actor, Action.REQUEUE, booking.hospital_id):
        raise NotFoundError
    if actor.role is not Role.GUIDE and actor.department != booking.department:
        raise ForbiddenError
    if booking.state == BookingState.REQUEUING:
        return booking
    if booking.state != BookingState.MISSED or china_day(booking.begins) != china_day(tx.now):
        raise rules.NotMissedError
    _say(tx, booking, BookingState.REQUEUING)
    return booking


async def of_desk(tx: Tx, actor: Actor) -> list[Booking]:
    """Today's bookings of the caller's department (all at the guide desk): missed calls first, then by time.

    Raises:
        ForbiddenError: not for this role.
    """
    hospital_id = actor.hospital_id
    if hospital_id is None or not access.can_here(actor, Action.REQUEUE, hospital_id):
        raise ForbiddenError
    day = datetime.combine(china_day(tx.now), datetime.min.time(), CHINA)
    shown = (BookingState.BOOKED, BookingState.MISSED, BookingState.REQUEUING, BookingState.ARRIVED)
    query = select(Booking).where(
        Booking.hospital_id == hospital_id,
        Booking.begins >= day,
        Booking.begins < day + timedelta(days=1),
        Booking.state.in_(shown),
    )
    if actor.role is not Role.GUIDE:
        query = query.where(Booking.department == (actor.department or ""))
    found = list(await tx.session.scalars(query.order_by(Booking.begins, Booking.id).limit(300)))
    return sorted(found, key=lambda b: b.state not in (BookingState.MISSED, BookingState.REQUEUING))


async def of_visit(tx: Tx, visit_id: UUID) -> list[Booking]:
    """The bookings whose encounters are part of this visit."""
    query = select(Booking).where(Booking.visit_id == visit_id).order_by(Booking.begins, Booking.id)
    return list(await tx.session.scalars(query))


async def owing(tx: Tx, limit: int = 50) -> Sequence[Booking]:
    """Booked, to be paid first, and the time for it is over: whether it was paid, ``billing`` knows."""
    query = select(Booking).where(
        Booking.state == BookingState.BOOKED, Booking.pay == Pay.UPFRONT, Booking.pay_by <= tx.now
    )
    return list(await tx.session.scalars(query.order_by(Booking.pay_by, Booking.id).limit(limit)))


async def release(tx: Tx, booking_id: UUID) -> None:
    """Give an unpaid booking back, if it is still waiting for its money."""
    booking = await tx.get(Booking, booking_id, lock=True)
    late = booking is not None and booking.pay_by is not None and booking.pay_by <= tx.now
    if booking is not None and late and booking.state == BookingState.BOOKED:
        give_up(tx, booking, Cause.UNPAID)


async def paid(tx: Tx, booking_id: UUID) -> None:
    """The fee is paid: its time to pay is no more."""
    booking = await tx.get(Booking, booking_id, lock=True)
    if booking is not None:
        booking.pay_by = None


def slot_of(booking: Booking) -> Slot:
    """The half hour of a booking, as far as it is kept (``free`` unknown: 0)."""
    return Slot(booking.slot, booking.department, booking.doctor, booking.begins, booking.until, 0, booking.fee_fen)


async def people_to_book_for(tx: Tx, actor: Actor) -> list[patients.Person]:
    """Oneself, and those one may book for."""
    if actor.kind is not ActorKind.PERSON:
        return []
    people = await access.patients_of(tx, actor)
    return [p for p in people if await access.can_for(tx, actor, Action.BOOK, p.id)]


def offered(slots: Sequence[Slot], booking: Booking, now: datetime) -> list[Slot]:
    """What to offer when this half hour was not to be had."""
    others = [replace(s, free=0) if s.id == booking.slot else s for s in slots]
    return rules.nearest(others, booking.doctor, booking.begins, now)
