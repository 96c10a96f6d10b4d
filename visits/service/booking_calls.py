"""What the HIS is asked and answers about a booking, and what it says of one by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select

from kernel.clock import CHINA, china_day
from kernel.db import Tx
from kernel.events import Event
from people.service import hospitals, patients
from visits import events
from visits.models import Booking
from visits.ports import HisAnswer, HisCommand
from visits.rules import booking as rules
from visits.rules.booking import BOOKING, OPEN, SAID, BookingState, Cause, Pay, Repeat
from visits.service.bookings import give_up, ring

ANSWER_TIME = timedelta(seconds=6)  # longer than the slowest answer, so that nobody else asks meanwhile
S = BookingState
_FACTS: dict[str, type[Event]] = {
    "BookingMade": events.BookingMade,
    "BookingRefused": events.BookingRefused,
    "BookingCancelled": events.BookingCancelled,
    "BookingMoved": events.BookingMoved,
    "ClinicCalledOff": events.ClinicCalledOff,
    "BookingMissed": events.BookingMissed,
    "BookingRequeued": events.BookingRequeued,
    "BookingArrived": events.BookingArrived,
}
_CHANGES = {"stopped": S.CALLED_OFF, "missed": S.MISSED, "requeued": S.ARRIVED}


@dataclass(frozen=True, slots=True)
class Claimed:
    """One question as it is asked; ``first``: nothing was ever sent under its key."""

    booking_id: UUID
    hospital_id: UUID
    department: str
    day: Any
    said: int
    first: bool
    command: HisCommand


@dataclass(frozen=True, slots=True)
class Change:
    """What the HIS says of a booking; the place is told of ``moved`` only."""

    change: str
    sequence: int
    slot: str | None = None
    doctor: str | None = None
    begins: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    reason: str | None = None


async def claim(tx: Tx, booking_id: UUID) -> Claimed | None:
    """Take what waits of this booking, if it is due; it is ours until ``ANSWER_TIME`` is over."""
    booking = await tx.get(Booking, booking_id, lock=True)
    if booking is None or booking.next_at is None or booking.next_at > tx.now:
        return None
    first = booking.tries == 0
    booking.tries += 1
    booking.next_at = tx.now + max(ANSWER_TIME, Repeat(booking.tries).until_next)
    kind = SAID[S(booking.state)]
    key = f"{kind}:{booking.id.hex}:{booking.said}"
    data: dict[str, Any] = {"booking": booking.id.hex}
    if kind == "book":
        person = await patients.by_id(tx, booking.patient_id)
        who = {
            "name": patients.name_of(tx, person),
            "no": await patients.number_at(tx, booking.hospital_id, person.id),
            "id_number": patients.id_number_of(tx, person),
            "phone": patients.phone_of(tx, person),
        }
        data |= {"slot": booking.slot, "fee_fen": booking.fee_fen, "pay": booking.pay}
        data["patient"] = {k: v for k, v in who.items() if v is not None}
    command = HisCommand(key, kind, [], booking.decided_at, data)  # type: ignore[arg-type]
    day = china_day(booking.begins)
    return Claimed(booking.id, booking.hospital_id, booking.department, day, booking.said, first, command)


async def due(tx: Tx, limit: int = 50) -> Sequence[UUID]:
    """The bookings with a question to ask now."""
    query = select(Booking.id).where(Booking.next_at <= tx.now).order_by(Booking.next_at).limit(limit)
    return list(await tx.session.scalars(query))


async def record(tx: Tx, asked: Claimed, answer: HisAnswer) -> None:
    """Write down what the HIS said; an answer to what is no longer asked changes nothing."""
    booking = await tx.get(Booking, asked.booking_id, lock=True)
    if booking is None or booking.said != asked.said or booking.next_at is None:
        return
    done = answer.outcome == "done"
    match S(booking.state):
        case S.ASKED:
            await _booked(tx, booking, answer) if done else await _move(tx, booking, S.REFUSED, answer.reason)
        case S.CANCELLING:
            # Refused: it stands, because it is too late for the hospital.
            booking.pay_by = None
            await _move(tx, booking, S.CANCELLED if done else S.BOOKED, None if done else answer.reason)
        case S.REQUEUING:
            await _move(tx, booking, S.ARRIVED if done else S.MISSED, None if done else answer.reason)
        case _:
            return


async def never_sent(tx: Tx, asked: Claimed) -> None:
    """Nothing left the house, now or before: a wish to book ends here, kindly; anything else is said later."""
    booking = await tx.get(Booking, asked.booking_id, lock=True)
    if booking is None or booking.said != asked.said or booking.state != S.ASKED or not asked.first:
        return
    await _move(tx, booking, S.REFUSED, "unreachable")


async def _booked(tx: Tx, booking: Booking, answer: HisAnswer) -> None:
    booking.number = answer.number
    if booking.pay == Pay.UPFRONT:
        settings = hospitals.settings_of(await hospitals.by_id(tx, booking.hospital_id))
        booking.pay_by = rules.pay_by(settings, tx.now, booking.begins)
    await _move(tx, booking, S.BOOKED)


async def _move(tx: Tx, booking: Booking, state: BookingState, reason: str | None = None) -> None:
    fact = BOOKING.move(S(booking.state), state)
    booking.state, booking.reason, booking.next_at = state, (reason or "")[:60] or None, None
    ring(tx, booking)
    if fact in _FACTS:
        await tx.emit(_FACTS[fact](booking.id, booking.patient_id))  # type: ignore[call-arg]


async def find(tx: Tx, hospital_id: UUID, said: str) -> Booking | None:
    """The booking a HIS means by the id we gave it."""
    try:
        found = await tx.get(Booking, UUID(said))
    except ValueError:
        return None
    return found if found is not None and found.hospital_id == hospital_id else None


async def change(tx: Tx, booking: Booking, told: Change) -> bool:
    """Take over what the HIS says of a booking; False when it tells nothing new."""
    found = await tx.get(Booking, booking.id, lock=True)
    if found is None or told.sequence <= found.sequence:
        return False
    found.sequence = told.sequence
    before = S(found.state)
    if told.change == "moved":
        return await _moved(tx, found, told)
    after = _CHANGES[told.change]
    if before == S.ASKED and after is S.MISSED:
        await _move(tx, found, S.BOOKED)  # whoever was called was booked
        before = S.BOOKED
    if not BOOKING.allows(before, after):
        return False
    await _move(tx, found, after, told.reason)
    return True


async def _moved(tx: Tx, booking: Booking, told: Change) -> bool:
    if booking.state not in OPEN or told.begins is None or told.until is None:
        return False
    booking.slot, booking.doctor = told.slot or booking.slot, told.doctor or booking.doctor
    booking.begins, booking.until = told.begins, told.until
    booking.number = told.number or booking.number
    half = rules.half_day(told.begins)
    same = select(Booking.id).where(
        Booking.hospital_id == booking.hospital_id, Booking.patient_id == booking.patient_id,
        Booking.doctor == booking.doctor, Booking.half_day == half, Booking.state.in_(OPEN), Booking.id != booking.id,
    )  # fmt: skip
    # The hospital may put two of hers into one half day; it is the hospital's word, and stands beside the other.
    beside = await tx.session.scalar(same.limit(1)) is not None
    booking.half_day = f"{half}/{booking.id.hex}" if beside else half
    if booking.state == S.BOOKED:
        await _move(tx, booking, S.BOOKED, told.reason)
    else:
        ring(tx, booking)
    return True


async def begun(tx: Tx, booking: Booking, patient_id: UUID, visit_id: UUID, encounter_id: UUID, at: datetime) -> None:
    """An encounter names the booking. Registered ahead it only belongs to it; begun, she has arrived.

    An encounter of somebody else (a number the hospital gave twice) never joins the patient's booking to that visit.
    """
    found = await tx.get(Booking, booking.id, lock=True)
    if found is None:
        return
    if found.patient_id == patient_id:
        found.visit_id, found.encounter_id = visit_id, encounter_id
        ring(tx, found)
    if at <= tx.now and BOOKING.allows(S(found.state), S.ARRIVED):
        await _move(tx, found, S.ARRIVED)


async def tidy(tx: Tx, limit: int = 100) -> int:
    """What time decides: asked in vain until it began is given up; booked and never come is missed after its day.

    Returns: how many.
    """
    today = datetime.combine(china_day(tx.now), datetime.min.time(), CHINA)
    vain = and_(Booking.state == S.ASKED, Booking.begins <= tx.now)
    over = and_(Booking.state == S.BOOKED, Booking.begins < today)
    query = select(Booking).where(or_(vain, over)).order_by(Booking.begins, Booking.id).limit(limit)
    found = list(await tx.session.scalars(query.with_for_update(skip_locked=True)))
    for booking in found:
        if booking.state == S.ASKED:
            give_up(tx, booking, Cause.STALE)
        else:
            await _move(tx, booking, S.MISSED)
    return len(found)
