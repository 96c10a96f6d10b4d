"""What stands between a patient and a relative: listed for both, ended at once by either, shut when the visit ends."""

from datetime import datetime, time
from uuid import UUID

from family_pay.rules import EmptyOfferError, GuardianRefusedError, Relation, SharingOffError
from family_pay.service.invitations import categories
from family_pay.service.news import tell
from kernel.clock import CHINA, china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from notices.service import lock
from people.events import ViewsChanged
from people.rules import (
    ALONE_FROM_AGE,
    Action,
    Actor,
    ActorKind,
    ChoiceKind,
    Depth,
    GrantKind,
    GrantState,
    Role,
    Subject,
    age_on,
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
        proof=first.proof,
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


async def set_guardian(
    tx: Tx, staff: Actor, patient_id: UUID, guardian_id: UUID, relation: Relation, *, cannot_act: bool = False
) -> Grant:
    """The desk, having seen the papers, writes down who stands for a child, or for an adult who cannot act.

    A child's guardian stands until the fourteenth birthday; an adult's until the desk ends it.

    Raises:
        ForbiddenError: this member of staff does not do that.
        GuardianRefusedError: the patient is fourteen or older and can act, or is the guardian.
        NotFoundError: no such people.
    """
    if staff.kind is not ActorKind.STAFF or staff.role not in MAY_SET_GUARDIANS:
        raise ForbiddenError
    return await _guard(tx, patient_id, guardian_id, relation, proof="desk", cannot_act=cannot_act)


async def is_child(tx: Tx, patient_id: UUID) -> bool:
    """Whether somebody else stands for this patient by age."""
    born = (await patients.by_id(tx, patient_id)).birth_date
    return born is not None and age_on(born, china_day(tx.now)) < ALONE_FROM_AGE


async def guardian_from_record(tx: Tx, patient_id: UUID, guardian_id: UUID, relation: Relation) -> Grant:
    """The hospital's record names a child's guardian.

    Raises:
        GuardianRefusedError: not a child, or their own guardian.
    """
    return await _guard(tx, patient_id, guardian_id, relation, proof="his", cannot_act=False)


async def _guard(
    tx: Tx, patient_id: UUID, guardian_id: UUID, relation: Relation, *, proof: str, cannot_act: bool
) -> Grant:
    patient, guardian = await patients.by_id(tx, patient_id), await patients.by_id(tx, guardian_id)
    born, child = patient.birth_date, await is_child(tx, patient_id)
    if patient.id == guardian.id or not (child or cannot_act):
        raise GuardianRefusedError
    until = None
    if child and born is not None:
        until = datetime.combine(alone_until(born), time(), CHINA)
    bond = new_id()
    terms = [Terms(GrantKind.GUARD)]
    (made,) = await grants.make(
        tx, patient.id, guardian.id, terms, bond=bond, relation=relation, proof=proof, until=until
    )
    news = {"what": "guardian", "bond": str(bond), "relation": relation, "who": patient.name_masked}
    await tell(tx, {guardian.id: {"family": news}})
    return made


async def visit_moved(tx: Tx, event: VisitOpened | VisitEnded | VisitReopened) -> None:
    """A visit began, ended or opened again: what watchers see of it is decided anew (subscriber)."""
    feed = await lock(tx, event.visit_id)
    tx.ring(ViewsChanged(feed.patient_id))


async def visit_settled(tx: Tx, event: VisitSettled) -> None:
    """All is paid: what was given for this visit only has done its work (subscriber)."""
    feed = await lock(tx, event.visit_id)
    await grants.end_all(tx, await grants.of_visit(tx, event.visit_id), GrantState.EXPIRED)
    tx.ring(ViewsChanged(feed.patient_id))
