"""Looking visits up; the caller decides who may see what it finds."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select

from kernel.clock import china_day
from kernel.db import Tx, one_of
from people.rules import Actor, View
from people.service import access
from visits.models import Booking, Encounter, Visit
from visits.rules import known_since
from visits.rules.booking import BookingState
from visits.service.subjects import subject_of

__all__ = [
    "departments_of",
    "encounters_of",
    "hold",
    "since",
    "subject_of",
    "visit_of",
    "visits_of_patient",
    "visits_seen",
]

MOST = 500


async def hold(tx: Tx, visit_ids: Iterable[UUID]) -> list[Visit]:
    """Fetch many visits in one question, so that ``visit_of`` need not ask for each."""
    return await tx.preload(Visit, visit_ids)


async def visit_of(tx: Tx, visit_id: UUID) -> Visit | None:
    """One visit."""
    return await tx.get(Visit, visit_id)


async def visits_of_patient(tx: Tx, patient_id: UUID, limit: int = 100) -> list[Visit]:
    """A patient's visits everywhere, newest first; what is registered for a day to come stands among the bookings."""
    query = select(Visit).where(Visit.patient_id == patient_id, Visit.day <= china_day(tx.now))
    return list(await tx.session.scalars(query.order_by(Visit.day.desc(), Visit.opened_at.desc()).limit(limit)))


async def visits_seen(tx: Tx, actor: Actor, patient_id: UUID, limit: int = 100) -> list[tuple[Visit, View]]:
    """Those of a patient's visits that exist for this person, with what they see of each, newest first.

    What they may not know of takes no place in the list and does not order it. A registration that was given up before
    she came is left out for her own side only: what else was on that day decides it, and others may not know of that.
    """
    found = await visits_of_patient(tx, patient_id, limit if actor.id == patient_id else MOST)
    views = await access.views_of(tx, actor, patient_id, [subject_of(visit) for visit in found])
    off = await _given_up(tx, patient_id)
    seen = [
        (visit, view)
        for visit, view in zip(found, views, strict=True)
        if not view.blind and not (view.owner and visit.id in off)
    ]
    return sorted(seen, key=lambda one: (one[0].day, since(*one)), reverse=True)[:limit]


async def _given_up(tx: Tx, patient_id: UUID) -> set[UUID]:
    """The visits that were never more than a registration ahead, given up or called off."""
    off = (BookingState.CANCELLING, BookingState.CANCELLED, BookingState.CALLED_OFF)
    gone = exists().where(Booking.encounter_id == Encounter.id, Booking.state.in_(off))
    real = exists().where(Encounter.visit_id == Booking.visit_id, ~gone)
    query = select(Booking.visit_id).where(Booking.patient_id == patient_id, Booking.visit_id.is_not(None), ~real)
    return {found for found in await tx.session.scalars(query) if found is not None}


def since(visit: Visit, view: View) -> datetime:
    """When the visit began, as far as this view may know."""
    if view.owner or view.pays or view.staff:
        return visit.opened_at
    return known_since(visit.stages, view) or visit.opened_at


async def departments_of(tx: Tx, visit_ids: Collection[UUID]) -> dict[UUID, list[tuple[str, str | None]]]:
    """Visit → (department, category) of its encounters, oldest first, of many visits in one question."""
    query = select(Encounter.visit_id, Encounter.department, Encounter.category)
    query = query.where(one_of(Encounter.visit_id, visit_ids)).order_by(Encounter.started_at, Encounter.number)
    found: dict[UUID, list[tuple[str, str | None]]] = {}
    for visit_id, department, category in await tx.session.execute(query):
        found.setdefault(visit_id, []).append((department, category))
    return found


async def encounters_of(tx: Tx, visit_id: UUID) -> list[Encounter]:
    """The encounters of a visit, oldest first."""
    query = select(Encounter).where(Encounter.visit_id == visit_id).order_by(Encounter.started_at, Encounter.number)
    return list(await tx.session.scalars(query))
