"""What stands between a patient and a relative: listed for both, ended at once by either, shut when the visit ends."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from family_pay.rules import EmptyOfferError, GuardianRefusedError, NoPapersError, Relation, SharingOffError
from family_pay.service.invitations import MAY_BIND, categories
from family_pay.service.news import tell
from kernel.clock import CHINA, china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from notices.service import lock
from people.events import PhoneChanged, ViewsChanged
from people.rules import (
    Action,
    Actor,
    ActorKind,
    ChoiceKind,
    Depth,
    Document,
    GrantKind,
    GrantState,
    Proof,
    ProofKind,
    Role,
    Subject,
    alone_until,
)
from people.service import access, choices, grants, patients
from people.service.grants import Grant, Terms
from visits.events import VisitEnded, VisitOpened, VisitReopened, VisitSettled

MAY_SET_GUARDIANS = frozenset({Role.COUNTER, Role.GUIDE, Role.DESK})


async def withdraw(tx: Tx, actor: Actor, bond: UUID) -> list[Grant]:
    """End a bond, or one grant of it, at once: by the patient or guardian, or by the relative themselves.

    A guardian's own grant is ended only by the guardian or at the desk.

    Raises:
        NotFoundError: absent, ended, or between other people.
    """
    live = await grants.live_of_bond(tx, bond)
    mine = [g for g in live if await _may_end(tx, actor, g)]
    if not mine:
        raise NotFoundError
    await grants.end_all(tx, mine)
    first = mine[0]
    patient, relative = await patients.by_id(tx, first.patient_id), await patients.by_id(tx, first.person_id)
    news = {"what": "ended", "bond": str(first.bond), "relation": first.relation}
    await tell(
        tx,
        {
            patient.id: {"family": {**news, "who": relative.name_masked}},
            relative.id: {"family": {**news, "who": patient.name_masked}},
        },
    )
    return mine


async def change(tx: Tx, actor: Actor, bond: UUID, depth: Depth, opened: frozenset[str], *, calls: bool) -> list[Grant]:
    """The patient changes what a relative of this bond sees, at once; ``NOTHING`` lets them watch no more.

    Raises:
        NotFoundError: no such live bond, or not the caller's to change.
        EmptyOfferError: a depth only the patient has, or an unknown category.
        SharingOffError: the patient has not agreed to share.
    """
    live = await grants.live_of_bond(tx, bond)
    if not live or not await access.can_for(tx, actor, Action.SHARE, live[0].patient_id):
        raise NotFoundError
    if any(g.kind == GrantKind.GUARD for g in live):
        raise NotFoundError  # who stands for the patient sees everything, and there is nothing to choose
    first = live[0]
    if depth > Depth.RESULTS or not opened <= await categories(tx):
        raise EmptyOfferError
    if depth is Depth.NOTHING:
        await grants.end_all(tx, [g for g in live if g.kind == GrantKind.WATCH])
        return []
    if not await choices.agreed(tx, first.patient_id, ChoiceKind.SHARE):
        raise SharingOffError
    terms = [Terms(GrantKind.WATCH, depth, tuple(opened), calls=calls)]
    return await grants.make(
        tx,
        first.patient_id,
        first.person_id,
        terms,
        bond=first.bond,
        relation=first.relation,
        proof=grants.proof_of(first),
        visit_id=first.visit_id,
        until=first.until,
    )


async def watchers(tx: Tx, subject: Subject) -> list[tuple[UUID, str, Depth]]:
    """(relative, relation, depth) of all who can follow this visit now, guardians aside."""
    made: list[tuple[UUID, str, Depth]] = []
    for grant in await grants.of_patient(tx, subject.patient_id):
        known = {relative for relative, _, _ in made}
        if grant.state != GrantState.ACTIVE or grant.kind == GrantKind.GUARD or grant.person_id in known:
            continue
        view = await access.view_of(tx, Actor(ActorKind.PERSON, grant.person_id), subject)
        if view.depth > Depth.NOTHING and not view.owner:
            made.append((grant.person_id, grant.relation, view.depth))
    return made


async def _may_end(tx: Tx, actor: Actor, grant: Grant) -> bool:
    if actor.kind is not ActorKind.PERSON:
        return False
    if actor.id == grant.person_id:
        return True
    return grant.kind != GrantKind.GUARD and await access.can_for(tx, actor, Action.SHARE, grant.patient_id)


@dataclass(frozen=True, slots=True)
class Papers:
    """What the desk saw: which paper, and for an adult that they cannot act and until which day at most (China's)."""

    document: Document | None = None
    cannot_act: bool = False
    until: date | None = None


async def set_guardian(
    tx: Tx, staff: Actor, patient_id: UUID, guardian_id: UUID, relation: Relation, papers: Papers | None = None
) -> Grant:
    """The desk, having seen the papers, writes down who stands for a child, or for an adult who cannot act.

    A child's guardian stands until the fourteenth birthday begins in China; an adult's until the last day the papers
    name is over, or the desk ends it.

    Raises:
        ForbiddenError: this member of staff does not do that, or the patient was never here.
        GuardianRefusedError: the patient is fourteen or older and can act, or is the guardian; the guardian is a child.
        NoPapersError: for an adult without a document, or until a day that is over.
        NotFoundError: no such people.
    """
    await _at_desk(tx, staff, patient_id)
    papers = papers or Papers()
    proof = Proof(ProofKind.DESK, staff.id, papers.document)
    return await _guard(tx, patient_id, guardian_id, relation, proof, papers)


async def end_at_desk(tx: Tx, staff: Actor, grant_id: UUID) -> Grant:
    """The desk ends at once what a desk began: a guardianship, or the bond of an elder who has no page to end it on.

    Args:
        grant_id: of the guardianship, or the bond.

    Raises:
        ForbiddenError: this member of staff does not do that.
        NotFoundError: no such thing, or it is over, or the patient was never here, or gave it by herself.
    """
    if staff.kind is not ActorKind.STAFF or staff.role not in MAY_SET_GUARDIANS or staff.hospital_id is None:
        raise ForbiddenError
    binds = staff.role in MAY_BIND  # what these desks began, these end
    live = await grants.live_of_bond(tx, grant_id)
    live = [g for g in live if g.kind == GrantKind.GUARD or (binds and _of_a_desk(g))]
    if not live or not await patients.is_known_at(tx, staff.hospital_id, live[0].patient_id):
        raise NotFoundError
    for grant in live:
        await grants.end(tx, grant, ended_by=staff.id)
    found = live[0]
    patient = await patients.by_id(tx, found.patient_id)
    news = {"what": "ended", "bond": str(found.bond), "relation": found.relation, "who": patient.name_masked}
    await tell(tx, {found.person_id: {"family": news}})
    return found


def _of_a_desk(grant: Grant) -> bool:
    return grant.kind != GrantKind.GUARD and grant.proof == ProofKind.DESK


async def made_at_desk(tx: Tx, patient_id: UUID) -> list[Grant]:
    """Whom a desk bound to this patient, who may have no page to read it on: one live grant of each, newest first."""
    live = [g for g in await grants.of_patient(tx, patient_id) if g.state == GrantState.ACTIVE and _of_a_desk(g)]
    return list({g.bond: g for g in reversed(live)}.values())[::-1]


async def guardians_of(tx: Tx, patient_id: UUID) -> list[Grant]:
    """Who stands for this patient now, the newest first."""
    return [
        g
        for g in await grants.of_patient(tx, patient_id)
        if g.kind == GrantKind.GUARD and g.state == GrantState.ACTIVE and (g.until is None or g.until > tx.now)
    ]


async def _at_desk(tx: Tx, staff: Actor, patient_id: UUID) -> None:
    if staff.kind is not ActorKind.STAFF or staff.role not in MAY_SET_GUARDIANS or staff.hospital_id is None:
        raise ForbiddenError
    if not await patients.is_known_at(tx, staff.hospital_id, patient_id):
        raise ForbiddenError


async def is_child(tx: Tx, patient_id: UUID) -> bool:
    """Whether somebody else stands for this patient by age."""
    born = (await patients.by_id(tx, patient_id)).birth_date
    return born is not None and china_day(tx.now) < alone_until(born)


async def phone_changed(tx: Tx, event: PhoneChanged) -> None:
    """Somebody has another number: they and all they are bound to are told, so that a stranger's change is noticed."""
    person = await patients.by_id(tx, event.person_id)
    given = [g for g in await grants.of_patient(tx, person.id) if g.state == GrantState.ACTIVE]
    live = [g for g in given if g.until is None or g.until > tx.now]
    bound = {g.person_id for g in live} | {g.patient_id for g in await grants.of_relative(tx, person.id)}
    news = {"what": "phone", "bond": "", "relation": "", "who": person.name_masked}
    await tell(tx, {who: {"family": news} for who in bound | {person.id}})


async def guardian_from_record(tx: Tx, patient_id: UUID, guardian_id: UUID, relation: Relation) -> Grant:
    """The hospital's record names a child's guardian.

    Raises:
        GuardianRefusedError: not a child, or their own guardian.
    """
    return await _guard(tx, patient_id, guardian_id, relation, Proof(ProofKind.HIS), Papers())


async def _guard(
    tx: Tx, patient_id: UUID, guardian_id: UUID, relation: Relation, proof: Proof, papers: Papers
) -> Grant:
    patient, guardian = await patients.by_id(tx, patient_id), await patients.by_id(tx, guardian_id)
    born, child = patient.birth_date, await is_child(tx, patient_id)
    if patient.id == guardian.id or not (child or papers.cannot_act) or await is_child(tx, guardian_id):
        raise GuardianRefusedError
    until = None
    if child and born is not None:
        until = _begins(alone_until(born))
    else:
        if papers.document is None or (papers.until is not None and papers.until < china_day(tx.now)):
            raise NoPapersError
        if papers.until is not None:
            until = _begins(papers.until + timedelta(days=1))
    bond = new_id()
    terms = [Terms(GrantKind.GUARD)]
    (made,) = await grants.make(
        tx, patient.id, guardian.id, terms, bond=bond, relation=relation, proof=proof, until=until
    )
    news = {"what": "guardian", "bond": str(bond), "relation": relation, "who": patient.name_masked}
    await tell(tx, {guardian.id: {"family": news}})
    return made


def _begins(day: date) -> datetime:
    return datetime.combine(day, time(), CHINA).astimezone(UTC)


async def visit_moved(tx: Tx, event: VisitOpened | VisitEnded | VisitReopened) -> None:
    """A visit began, ended or opened again: what watchers see of it is decided anew (subscriber)."""
    feed = await lock(tx, event.visit_id)
    tx.ring(ViewsChanged(feed.patient_id))


async def visit_settled(tx: Tx, event: VisitSettled) -> None:
    """All is paid: what was given for this visit only has done its work (subscriber)."""
    feed = await lock(tx, event.visit_id)
    await grants.end_all(tx, await grants.of_visit(tx, event.visit_id), GrantState.EXPIRED)
    tx.ring(ViewsChanged(feed.patient_id))
