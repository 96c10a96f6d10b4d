"""Looking visits up; the caller decides who may see what it finds."""

from uuid import UUID

from sqlalchemy import exists, select

from kernel.clock import china_day
from kernel.db import Tx
from visits.models import Booking, Encounter, Visit
from visits.rules.booking import BookingState
from visits.service.subjects import subject_of

__all__ = ["encounters_of", "subject_of", "visit_of", "visits_of_patient"]


async def visit_of(tx: Tx, visit_id: UUID) -> Visit | None:
    """One visit."""
    return await tx.get(Visit, visit_id)


async def visits_of_patient(tx: Tx, patient_id: UUID, limit: int = 100) -> list[Visit]:
    """A patient's visits everywhere, newest first.

    What is only registered for a day to come, or was given up before she came, stands among the bookings.
    """
    off = (BookingState.CANCELLING, BookingState.CANCELLED, BookingState.CALLED_OFF)
    given_up = exists().where(Booking.encounter_id == Encounter.id, Booking.state.in_(off))
    real = exists().where(Encounter.visit_id == Visit.id, ~given_up)
    booked = exists().where(Booking.visit_id == Visit.id)
    query = (
        select(Visit)
        .where(Visit.patient_id == patient_id, Visit.day <= china_day(tx.now), real | ~booked)
        .order_by(Visit.day.desc(), Visit.opened_at.desc())
    )
    return list(await tx.session.scalars(query.limit(limit)))


async def encounters_of(tx: Tx, visit_id: UUID) -> list[Encounter]:
    """The encounters of a visit, oldest first."""
    query = select(Encounter).where(Encounter.visit_id == visit_id).order_by(Encounter.started_at, Encounter.number)
    return list(await tx.session.scalars(query))
