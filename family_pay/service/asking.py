"""After a visit: a payer who wished so is asked to pay, or finds the payment laid ready; no money moves by itself."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from billing.service import paying
from family_pay.models import PayAsk
from family_pay.service.news import tell
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.rules.limits import AfterVisit
from payments.service import labels, limits
from people.rules import Action, Actor, ActorKind
from people.service import access, patients
from visits.events import VisitEnded
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of


@dataclass(frozen=True, slots=True)
class Asked:
    """One visit somebody is asked to pay. ``ready``: within what she had laid ready for one tap."""

    visit: Visit
    amount_fen: int
    ready: bool


async def visit_ended(tx: Tx, event: VisitEnded) -> None:
    """Write down who is to hear of it (subscriber); telling them is for the sweep, which holds nobody up."""
    visit = await visit_of(tx, event.visit_id)
    if visit is None:
        return
    for person_id in await limits.waiting_for(tx, visit.patient_id):
        row = insert(PayAsk).values(visit_id=visit.id, person_id=person_id, asked_at=tx.now)
        await tx.session.execute(row.on_conflict_do_nothing())


async def tell_due(tx: Tx, limit: int = 50) -> int:
    """Tell those who are to hear; each is told once of a visit. Returns how many were due."""
    query = select(PayAsk).where(PayAsk.told_at.is_(None)).order_by(PayAsk.asked_at, PayAsk.person_id).limit(limit)
    due = (await tx.session.scalars(query.with_for_update(skip_locked=True))).all()
    for ask in due:
        ask.told_at = tx.now
    await tx.session.flush()
    for ask in sorted(due, key=lambda one: one.person_id):
        found = await _asked(tx, ask)
        if found is None:
            continue
        patient = await patients.by_id(tx, found.visit.patient_id)
        news = {"what": "to_pay", "visit": str(ask.visit_id), "amount_fen": found.amount_fen, "ready": found.ready}
        await tell(tx, {ask.person_id: {"family": {**news, "who": patient.name_masked}}})
    return len(due)


async def waiting(tx: Tx, actor: Actor) -> list[Asked]:
    """What somebody is asked to pay now, newest first: still owed, still hers to pay, not declined."""
    query = select(PayAsk).where(PayAsk.person_id == actor.id, PayAsk.told_at.is_not(None))
    rows = await tx.session.scalars(
        query.where(PayAsk.declined_at.is_(None)).order_by(PayAsk.asked_at.desc()).limit(20)
    )
    return [found for found in [await _asked(tx, ask) for ask in rows] if found is not None]


async def is_asked(tx: Tx, actor: Actor, visit_id: UUID) -> bool:
    """Whether somebody was asked to pay this visit, and has not said no."""
    ask = await tx.get(PayAsk, (visit_id, actor.id))
    return ask is not None and ask.told_at is not None and ask.declined_at is None


async def decline(tx: Tx, actor: Actor, visit_id: UUID) -> None:
    """Not this time: the patient is told, and can pay herself or ask somebody else.

    Raises:
        NotFoundError: the caller was not asked.
    """
    ask = await tx.get(PayAsk, (visit_id, actor.id), lock=True)
    if ask is None or ask.told_at is None:
        raise NotFoundError
    if ask.declined_at is not None:
        return
    ask.declined_at = tx.now
    found = await _asked(tx, ask)
    if found is None:
        return
    payer = await patients.by_id(tx, actor.id)
    relation = await labels.relation_of(tx, actor, found.visit.patient_id, visit_id)
    news = {"what": "declined", "visit": str(visit_id), "relation": relation, "who": payer.name_masked}
    await tell(tx, {found.visit.patient_id: {"family": news}})


async def _asked(tx: Tx, ask: PayAsk) -> Asked | None:
    visit = await visit_of(tx, ask.visit_id)
    if visit is None or visit.state != "ended":
        return None
    if not await access.can(tx, Actor(ActorKind.PERSON, ask.person_id), Action.PAY, subject_of(visit)):
        return None
    amount = await paying.due_now(tx, visit)
    own = await limits.of(tx, ask.person_id, visit.patient_id)
    if not amount or own.after_visit is AfterVisit.NOTHING:
        return None
    return Asked(visit, amount, own.ready_fen is not None and amount <= own.ready_fen)
