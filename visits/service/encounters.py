"""A visit opens with its first encounter of the day, is paid first or afterwards, ends, and may open again."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, and_, any_, bindparam, func, select

from consent.service import standing
from kernel.asking import Question
from kernel.clock import china_day
from kernel.db import Tx
from kernel.ids import derive
from notices.service import Feed, append, lock, open_feed
from people.events import ViewsChanged
from people.rules import Audience
from people.service import hospitals
from people.service.hospitals import Hospital
from visits.events import VisitEnded, VisitMarked, VisitOpened, VisitReopened, VisitSettled, VisitUnmarked
from visits.models import Encounter as Encounter
from visits.models import Visit as Visit
from visits.rules import (
    MODE,
    VISIT,
    Exclusion,
    ModeChange,
    PaymentMode,
    Stage,
    VisitState,
    begun,
    due_at,
    over,
    visit_number,
)
from visits.service.calls import tell


@dataclass(frozen=True, slots=True)
class EncounterFact:
    """An encounter as the HIS told it; times aware."""

    number: str
    patient_id: UUID
    klass: str
    department: str
    doctor: str | None
    insurance_status: str
    insurance_scheme: str | None
    started_at: datetime
    sequence: int


def encounter_id(hospital_id: UUID, number: str) -> UUID:
    """The id of an encounter by the HIS's number."""
    return derive(hospital_id, "encounter", number)


def visit_id(hospital_id: UUID, patient_id: UUID, day: date) -> UUID:
    """The id of a patient's day at a hospital."""
    return derive(hospital_id, "visit", f"{patient_id}/{day}")


def visit_id_on(hospital_id: UUID, patient_id: UUID, moment: datetime) -> UUID:
    """The id of the visit an encounter that begins at this moment belongs to."""
    return visit_id(hospital_id, patient_id, china_day(moment))


_NAMED = select(Encounter.visit_id).where(Encounter.id == any_(bindparam("encounters", type_=ARRAY(Uuid))))
# The parameter ``visits`` and the visits of the parameter ``encounters``; others ask about them in the same trip.
VISITS_MET = func.array_cat(func.array(_NAMED.scalar_subquery()), bindparam("visits", type_=ARRAY(Uuid)))
_TURNS = (
    select(Feed, Visit, Encounter)
    .join(Visit, Visit.id == Feed.subject)
    .outerjoin(
        Encounter,
        and_(Encounter.visit_id == Visit.id, Encounter.id == any_(bindparam("encounters", type_=ARRAY(Uuid)))),
    )
    .where(Feed.subject == any_(VISITS_MET))
    .order_by(Feed.subject)
    .with_for_update(key_share=True, of=[Feed, Visit])
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class Met:
    """Visits somebody speaks of: by encounters, or directly. Neither need exist."""

    encounters: Collection[UUID]
    visits: Collection[UUID]

    @property
    def values(self) -> dict[str, list[UUID]]:
        """The parameters of ``VISITS_MET``."""
        return {"encounters": list(self.encounters), "visits": list(self.visits)}

    def found(self, tx: Tx) -> set[UUID]:
        """Those that exist, once their turns have been taken."""
        named = (tx.held(Encounter, one) for one in self.encounters)
        return {e.visit_id for e in named if e is not None} | {v for v in self.visits if tx.held(Visit, v) is not None}


def turns(tx: Tx, met: Met) -> Question[None]:
    """Take the turns of these visits, in one order everywhere; fetch them all.

    Of an encounter this tells which visit is its; whoever changes one fetches it again, in its turn.
    """

    def heard(rows: Sequence[tuple[Feed, Visit, Encounter | None]]) -> None:
        for feed, visit, encounter in rows:
            tx.hold([feed, visit], locked=True)
            if encounter is not None:
                tx.hold([encounter])
        tx.lacks(Feed, met.visits)
        tx.lacks(Visit, met.visits)

    return Question(_TURNS, met.values, heard)


async def start(tx: Tx, hospital: Hospital, fact: EncounterFact) -> Visit:
    """Take an encounter not known yet: the first of the day opens the visit, a later one joins it (and reopens it)."""
    identity = visit_id(hospital.id, fact.patient_id, china_day(fact.started_at))
    visit = await tx.get(Visit, identity)
    if visit is None:
        visit = await _open(tx, hospital, fact, identity)
    else:
        await lock(tx, visit.id)
    await _join(tx, hospital, visit, fact)
    return visit


async def renew(tx: Tx, visit: Visit, encounter: Encounter, fact: EncounterFact) -> None:
    """Newer details of a known encounter replace the older; an insurance status that became normal may open the way."""
    await lock(tx, visit.id)
    category = await _category(tx, visit.hospital_id, fact.department)
    if category != encounter.category:
        encounter.category = category
        await tx.flush()
        visit.stages = stages_of(await tx.session.scalars(select(Encounter).where(Encounter.visit_id == visit.id)))
        tx.ring(ViewsChanged(visit.patient_id))
        await announce(tx, visit, category)
    encounter.department, encounter.doctor, encounter.klass = fact.department, fact.doctor, fact.klass
    encounter.insurance_status, encounter.insurance_scheme = fact.insurance_status, fact.insurance_scheme
    encounter.sequence = fact.sequence
    await offer_mark(tx, visit, fact.insurance_status)


async def _open(tx: Tx, hospital: Hospital, fact: EncounterFact, identity: UUID) -> Visit:
    await open_feed(tx, identity, "visit", fact.patient_id)
    VISIT.move(None, VisitState.OPEN)
    return tx.add(
        Visit(
            id=identity,
            hospital_id=hospital.id,
            patient_id=fact.patient_id,
            day=china_day(fact.started_at),
            number=visit_number(identity.bytes),
            mode=PaymentMode.UPFRONT,
            state=VisitState.OPEN,
            opened_at=fact.started_at,
            stages={},
        )
    )


async def _category(tx: Tx, hospital_id: UUID, department: str) -> str | None:
    found = await hospitals.department(tx, hospital_id, department)
    return found.sensitive if found else None


def stages_of(encounters: Iterable[Encounter]) -> dict[str, Stage]:
    """How these encounters of one visit stand, by category."""
    made: dict[str, Stage] = {}
    for encounter in encounters:
        made = begun(made, encounter.category, encounter.started_at)
        if encounter.finished_at is not None:
            made = over(made, encounter.category, encounter.finished_at)
    return made


async def _join(tx: Tx, hospital: Hospital, visit: Visit, fact: EncounterFact) -> None:
    first = visit.mode_reason is None and visit.mode == PaymentMode.UPFRONT
    category = await _category(tx, hospital.id, fact.department)
    tx.add(
        Encounter(
            id=encounter_id(hospital.id, fact.number),
            visit_id=visit.id,
            number=fact.number,
            klass=fact.klass,
            department=fact.department,
            doctor=fact.doctor,
            insurance_status=fact.insurance_status,
            insurance_scheme=fact.insurance_scheme,
            category=category,
            started_at=fact.started_at,
            sequence=fact.sequence,
        )
    )
    visit.stages = begun(visit.stages, category, fact.started_at)
    reopened = visit.state != VisitState.OPEN
    if reopened:
        VISIT.move(VisitState(visit.state), VisitState.OPEN)
        visit.state, visit.ended_at, visit.due_at, visit.settled_at = VisitState.OPEN, None, None, None
        await tx.emit(VisitReopened(visit.id))
    elif first:
        await tx.emit(VisitOpened(visit.id))
    if visit.mode == PaymentMode.UPFRONT:
        await offer_mark(tx, visit, fact.insurance_status)
    elif reopened and not await standing.stands(tx, visit.hospital_id, visit.patient_id):
        # Given back, or paused, after the visit had ended: what begins now is not covered by it.
        await unmark(tx, visit, ModeChange.WITHDRAWN)
    else:
        await tell(tx, visit, "mark", f"mark:{visit.id.hex}:{fact.number}")
    tx.ring(ViewsChanged(visit.patient_id))
    await announce(tx, visit, category)


async def offer_mark(tx: Tx, visit: Visit, insurance_status: str) -> bool:
    """Mark the visit as paid afterwards when a contract stands and this visit is eligible; otherwise leave it.

    Returns: whether it is marked now.
    """
    if visit.mode == PaymentMode.DEFERRED:
        return True
    if visit.mode_reason == ModeChange.EXCLUDED or visit.state == VisitState.SETTLED:
        return False
    if not await standing.covers(tx, visit.hospital_id, visit.patient_id, insurance_status):
        return False
    MODE.move(PaymentMode(visit.mode), PaymentMode.DEFERRED)
    visit.mode, visit.mode_reason = PaymentMode.DEFERRED, ModeChange.CONTRACT
    await tell(tx, visit, "mark", f"mark:{visit.id.hex}:{tx.now.timestamp():.6f}")
    await announce_payment(tx, visit)
    await tx.emit(VisitMarked(visit.id))
    return True


async def mark_open_visits(tx: Tx, hospital_id: UUID, patient_id: UUID) -> None:
    """A contract was signed during a visit: what is open today becomes paid afterwards, if eligible."""
    open_ones = (Visit.hospital_id == hospital_id, Visit.patient_id == patient_id, Visit.state == VisitState.OPEN)
    query = select(Visit).where(*open_ones).order_by(Visit.id)
    for visit in list(await tx.session.scalars(query)):
        await lock(tx, visit.id)
        await offer_mark(tx, visit, await insurance_status_of(tx, visit.id))


async def unmark_open_visits(tx: Tx, hospital_id: UUID, patient_id: UUID, reason: ModeChange) -> None:
    """The contract was withdrawn or paused: what is open today is paid first again; what is on account stays owed."""
    open_ones = (Visit.hospital_id == hospital_id, Visit.patient_id == patient_id, Visit.state == VisitState.OPEN)
    query = select(Visit).where(*open_ones).order_by(Visit.id)
    for visit in list(await tx.session.scalars(query)):
        await lock(tx, visit.id)
        await tx.session.refresh(visit)
        await unmark(tx, visit, reason)


async def insurance_status_of(tx: Tx, visit: UUID) -> str:
    """The status the latest encounter of a visit came with."""
    query = select(Encounter.insurance_status).where(Encounter.visit_id == visit).order_by(Encounter.started_at.desc())
    return (await tx.session.scalar(query.limit(1))) or "none"


async def unmark(tx: Tx, visit: Visit, reason: ModeChange) -> None:
    """Back to pay-first; why is sealed. Nothing happens to a visit that is not marked, but the reason is kept."""
    await lock(tx, visit.id)
    if visit.mode_reason != ModeChange.EXCLUDED:
        visit.mode_reason = reason
    if visit.mode == PaymentMode.UPFRONT:
        return
    MODE.move(PaymentMode(visit.mode), PaymentMode.UPFRONT)
    visit.mode = PaymentMode.UPFRONT
    await tell(tx, visit, "unmark", f"unmark:{visit.id.hex}:{tx.now.timestamp():.6f}")
    await announce_payment(tx, visit)
    await tx.emit(VisitUnmarked(visit.id))


async def exclude(tx: Tx, visit: Visit, why: Exclusion, *, his_knows: bool) -> None:
    """The whole visit turns pay-first (an exclusion became known); no relative or companion ever sees why.

    Args:
        his_knows: the HIS said so itself, and need not be told.
    """
    await lock(tx, visit.id)
    if not his_knows:
        await tell(tx, visit, "exclude", f"exclude:{visit.id.hex}")  # one word of it: a key is no place for a reason
    await unmark(tx, visit, ModeChange.EXCLUDED)


async def finish(tx: Tx, hospital: Hospital, number: str, finished_at: datetime) -> None:
    """An encounter is over; when it was the last open one, the visit ends and the due time is set."""
    encounter = await tx.get(Encounter, encounter_id(hospital.id, number))
    if encounter is None or encounter.finished_at is not None:
        return
    visit = await tx.get(Visit, encounter.visit_id)
    if visit is None:
        raise LookupError("an encounter without a visit")
    await lock(tx, visit.id)
    await _over(tx, hospital, visit, encounter, finished_at)


async def _over(tx: Tx, hospital: Hospital, visit: Visit, encounter: Encounter, at: datetime) -> None:
    encounter.finished_at = at
    visit.stages = over(visit.stages, encounter.category, at)
    tx.ring(ViewsChanged(visit.patient_id))  # for whom may not know what still goes on, this was the end
    if visit.state == VisitState.OPEN and not any(stage["going"] for stage in visit.stages.values()):
        await end(tx, hospital, visit, at, encounter.category)
    else:
        await announce(tx, visit, encounter.category)


async def end(tx: Tx, hospital: Hospital, visit: Visit, at: datetime, category: str | None = None) -> None:
    """The visit's day is over: from here the time to pay runs."""
    VISIT.move(VisitState(visit.state), VisitState.ENDED)
    visit.state, visit.ended_at = VisitState.ENDED, at
    if visit.mode == PaymentMode.DEFERRED:
        visit.due_at = due_at(at, hospitals.settings_of(hospital).due_hours)
    await announce(tx, visit, category)
    await tx.emit(VisitEnded(visit.id))


async def end_forgotten(tx: Tx, limit: int = 100) -> int:
    """The stated fallback: encounters the HIS never finished end by themselves. Returns how many did."""
    ended = 0
    for hospital in await hospitals.everyone(tx):
        latest = tx.now - timedelta(hours=hospitals.settings_of(hospital).fallback_end_hours)
        query = (
            select(Encounter.id, Visit.id)
            .join(Visit, Visit.id == Encounter.visit_id)
            .where(Visit.hospital_id == hospital.id, Visit.state == VisitState.OPEN)
            .where(Encounter.finished_at.is_(None), Encounter.started_at < latest)
            .order_by(Visit.id, Encounter.id)
            .limit(limit)
        )
        for encounter_id_, visit_id_ in (await tx.session.execute(query)).all():
            await lock(tx, visit_id_)
            visit, encounter = (
                await tx.get(Visit, visit_id_, lock=True),
                await tx.get(Encounter, encounter_id_, lock=True),
            )
            if visit is not None and encounter is not None and encounter.finished_at is None:
                await _over(tx, hospital, visit, encounter, tx.now)
                ended += 1
    return ended


async def settled(tx: Tx, visit: Visit) -> None:
    """Nothing payable is left of an ended visit (billing says so)."""
    VISIT.move(VisitState(visit.state), VisitState.SETTLED)
    visit.state, visit.settled_at = VisitState.SETTLED, tx.now
    await announce_payment(tx, visit)
    await tx.emit(VisitSettled(visit.id))


async def owed_again(tx: Tx, visit: Visit) -> None:
    """Something became payable after the visit was settled."""
    VISIT.move(VisitState(visit.state), VisitState.ENDED)
    visit.state, visit.settled_at = VisitState.ENDED, None
    await announce_payment(tx, visit)


async def announce_payment(tx: Tx, visit: Visit) -> None:
    """Write to the visit's feed how it is paid, or that it is: for the patient's side and payers alone."""
    await append(tx, visit.id, "visit", visit_payload(visit), audience=Audience.PAYERS)


async def announce(tx: Tx, visit: Visit, category: str | None) -> None:
    """Write the visit's state to its feed: an encounter of this category has begun or ended."""
    await append(tx, visit.id, "visit", visit_payload(visit), audience=Audience.STEPS, category=category)


def visit_payload(visit: Visit) -> dict[str, dict[str, object]]:
    """What a phone shows of a visit's state; never why a mode changed."""
    return {
        "visit": {
            "state": visit.state,
            "mode": visit.mode,
            "due_at": visit.due_at.isoformat() if visit.due_at else None,
            "ended_at": visit.ended_at.isoformat() if visit.ended_at else None,
            "stages": dict(visit.stages),
        }
    }
