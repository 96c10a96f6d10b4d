"""After a visit: a payer who wished so is asked to pay, finds the payment laid ready, or is told what will be taken."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from billing.service import paying
from family_pay.models import PayAsk
from family_pay.rules import ASK_PATIENCE
from family_pay.service import taking
from family_pay.service.news import tell
from family_pay.service.taking import Auto, Plan
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.rules import AmountChangedError
from payments.rules.limits import AfterVisit
from payments.service import agreeing, labels, limits
from people.rules import Action, Actor, ActorKind, GrantKind
from people.service import access, grants, patients
from visits.events import VisitEnded, VisitSettled
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of
from words import pay as pay_words


@dataclass(frozen=True, slots=True)
class Asked:
    """One visit somebody is asked to pay. ``ready``: within what she had laid ready for one tap.

    ``take_at``: from when it will be taken by her contract, unless she says no; ``failed``: that came to nothing.
    """

    visit: Visit
    amount_fen: int
    ready: bool
    take_at: datetime | None = None
    failed: bool = False


async def visit_ended(tx: Tx, event: VisitEnded) -> None:
    """Write down who is to hear of it (subscriber); telling them is for the sweep, which holds nobody up.

    A visit that ended, opened again and ended again is asked about again.
    """
    visit = await visit_of(tx, event.visit_id)
    if visit is None:
        return
    for person_id in await limits.waiting_for(tx, visit.patient_id):
        anew = dict.fromkeys(("told_at", "declined_at", "over_at", "take_at", "take_fen", "attempt_id", "untaken"))
        anew |= {"asked_at": tx.now}
        row = insert(PayAsk).values(visit_id=visit.id, person_id=person_id, **anew)
        await tx.session.execute(row.on_conflict_do_update(index_elements=["visit_id", "person_id"], set_=anew))


async def visit_settled(tx: Tx, event: VisitSettled) -> None:
    """All is paid: nobody has to be asked any more (subscriber)."""
    done = update(PayAsk).where(PayAsk.visit_id == event.visit_id, PayAsk.over_at.is_(None)).values(over_at=tx.now)
    await tx.session.execute(done.execution_options(synchronize_session=False))


async def tell_due(tx: Tx, auto: Auto | None = None, limit: int = 50) -> int:
    """Tell those who are to hear, each once of a visit's end; what is owed may come a little later than the end does.

    Args:
        auto: where money is taken by contract, what is to be known of it.

    Returns: how many were told.
    """
    waits = (PayAsk.told_at.is_(None), PayAsk.over_at.is_(None), PayAsk.asked_at > tx.now - ASK_PATIENCE)
    query = select(PayAsk).where(*waits).order_by(PayAsk.person_id, PayAsk.visit_id).limit(limit)
    told = 0
    for ask in (await tx.session.scalars(query.with_for_update(skip_locked=True))).all():
        found = await _asked(tx, ask)
        if found is None:
            continue
        plan = Plan.ASK if auto is None else await taking.plan(tx, ask, found.visit, found.amount_fen, auto)
        if plan is Plan.WAIT:
            continue
        told += 1
        if plan is Plan.TAKE:
            await taking.announce(tx, ask, found.visit, found.amount_fen)
            continue
        ask.told_at = tx.now
        patient = await patients.by_id(tx, found.visit.patient_id)
        news = {"what": "to_pay", "visit": str(ask.visit_id), "amount_fen": found.amount_fen, "ready": found.ready}
        await tell(tx, {ask.person_id: {"family": {**news, "who": patient.name_masked}}})
    return told


async def waiting(tx: Tx, actor: Actor) -> list[Asked]:
    """What somebody is asked to pay now, newest first: still owed, still hers to pay, not declined."""
    open_ = (PayAsk.told_at.is_not(None), PayAsk.declined_at.is_(None), PayAsk.over_at.is_(None))
    query = select(PayAsk).where(PayAsk.person_id == actor.id, *open_).order_by(PayAsk.asked_at.desc()).limit(10)
    rows = await tx.session.scalars(query)
    return [found for found in [await _asked(tx, ask) for ask in rows] if found is not None]


async def is_asked(tx: Tx, actor: Actor, visit_id: UUID) -> bool:
    """Whether somebody was asked to pay this visit, and has not said no."""
    ask = await tx.get(PayAsk, (visit_id, actor.id))
    return ask is not None and ask.told_at is not None and ask.declined_at is None and ask.over_at is None


async def decline(tx: Tx, actor: Actor, visit_id: UUID) -> None:
    """Not this time: the patient is told, and can pay herself or ask somebody else.

    Raises:
        NotFoundError: the caller was not asked.
        payments.rules.taking.TakingError: it is being taken by her contract now, or has been.
    """
    ask = await tx.get(PayAsk, (visit_id, actor.id), lock=True)
    if ask is None or ask.told_at is None:
        raise NotFoundError
    if ask.declined_at is not None:
        return
    await taking.refuse_late(tx, ask)
    ask.declined_at, ask.take_at, ask.take_fen = tx.now, None, None
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
    ready = own.ready_fen is not None and amount <= own.ready_fen
    return Asked(visit, amount, ready, ask.take_at, ask.untaken not in (None, taking.BY_PAYER))


@dataclass(frozen=True, slots=True)
class Request:
    """A relative wishes to pay, and the patient wants to be asked: ``who`` as she hears it."""

    visit: Visit
    person_id: UUID
    who: str
    amount_fen: int


async def ask_patient(tx: Tx, actor: Actor, visit_id: UUID, seen_amount_fen: int) -> None:
    """Ask the patient whether the caller may pay so much; asked twice is asked once.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
        AmountChangedError: more than is owed now.
    """
    visit = await paying.locked_visit(tx, visit_id)
    subject = subject_of(visit)
    await access.require(tx, actor, Action.PAY, subject)
    due = await paying.due_now(tx, visit)
    if seen_amount_fen > due:
        raise AmountChangedError(due, pay_words.amount(due))
    if not await agreeing.ask(tx, actor, subject, seen_amount_fen):
        return
    payer = await patients.by_id(tx, actor.id)
    relation = await labels.relation_of(tx, actor, visit.patient_id, visit_id)
    news = {"what": "wishes_to_pay", "visit": str(visit_id), "amount_fen": seen_amount_fen, "relation": relation}
    await tell(tx, {visit.patient_id: {"family": {**news, "who": payer.name_masked}}})


async def requests(tx: Tx, actor: Actor) -> list[Request]:
    """Who waits for the caller's word: as the patient, or as who stands for her."""
    held = await grants.of_relative(tx, actor.id)
    whose = {actor.id, *(g.patient_id for g in held if g.kind == GrantKind.GUARD)}
    found = [await _request(tx, actor, row.visit_id, row.person_id) for row in await agreeing.waiting(tx, whose)]
    return [one for one in found if one is not None]


async def request_of(tx: Tx, actor: Actor, visit_id: UUID, person_id: UUID) -> Request:
    """One of them.

    Raises:
        NotFoundError: nobody asked, it is not the caller's to answer, or who asked may no longer pay.
    """
    found = await _request(tx, actor, visit_id, person_id)
    if found is None:
        raise NotFoundError
    return found


async def answer(tx: Tx, actor: Actor, visit_id: UUID, person_id: UUID, *, agreed: bool) -> None:
    """The patient's side says yes or no; who asked is told.

    Raises:
        NotFoundError: as ``request_of`` does.
    """
    found = await request_of(tx, actor, visit_id, person_id)
    row = await agreeing.answer(tx, actor, visit_id, person_id, agreed=agreed)
    patient = await patients.by_id(tx, found.visit.patient_id)
    news = {"what": "agreed" if agreed else "refused", "visit": str(visit_id), "amount_fen": row.amount_fen}
    await tell(tx, {person_id: {"family": {**news, "who": patient.name_masked}}})


async def _request(tx: Tx, actor: Actor, visit_id: UUID, person_id: UUID) -> Request | None:
    visit, row = await visit_of(tx, visit_id), await tx.get(agreeing.PayConsent, (visit_id, person_id))
    if visit is None or row is None or row.patient_id != visit.patient_id:
        return None
    payer, subject = Actor(ActorKind.PERSON, person_id), subject_of(visit)
    if not (await access.view_of(tx, actor, subject)).owner or not await access.can(tx, payer, Action.PAY, subject):
        return None
    relation = await labels.relation_of(tx, payer, visit.patient_id, visit_id)
    who = f"{labels.owner_label(relation)} {(await patients.by_id(tx, person_id)).name_masked}"
    return Request(visit, person_id, who, row.amount_fen)
