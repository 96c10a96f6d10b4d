"""Who may see and do what: the patient herself, her hospital's staff, and relatives as far as she let them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import derive
from people.models import Grant, Look, Person
from people.rules import (
    KIOSK_VIEW,
    NOTHING,
    OWNER,
    ROLES_WITH_VIEW,
    STAFF_VIEW,
    Action,
    Actor,
    ActorKind,
    Depth,
    GrantFact,
    GrantKind,
    GrantState,
    Subject,
    View,
    may,
    view_from,
)

__all__ = [
    "Action",
    "PayTerms",
    "can",
    "can_for",
    "can_here",
    "look",
    "looks",
    "patients_of",
    "pay_terms",
    "relations_of",
    "require",
    "view_of",
    "watched",
]


@dataclass(frozen=True, slots=True)
class PayTerms:
    """Under which limits a relative pays; ``cap_fen`` empty: none."""

    cap_fen: int | None
    ask_first: bool


async def view_of(tx: Tx, actor: Actor, subject: Subject) -> View:
    """What the caller sees of a visit: everything of one's own, the staff's view, or what the live grants open."""
    if actor.kind is ActorKind.STAFF:
        mine = actor.hospital_id == subject.hospital_id and actor.role in ROLES_WITH_VIEW
        return STAFF_VIEW if mine else NOTHING
    if actor.kind is ActorKind.TERMINAL:
        return KIOSK_VIEW if actor.hospital_id == subject.hospital_id else NOTHING
    if actor.id == subject.patient_id:
        return OWNER
    return view_from(map(_fact, await _grants(tx, actor.id, subject.patient_id)), subject, tx.now)


async def can(tx: Tx, actor: Actor, action: Action, subject: Subject) -> bool:
    """Whether the caller may do this with this visit."""
    view = await view_of(tx, actor, subject)
    signs = action is Action.SIGN and await _may_sign(tx, actor, subject.patient_id, subject.visit_id)
    return may(action, view, role=actor.role, signs=signs)


async def require(tx: Tx, actor: Actor, action: Action, subject: Subject) -> View:
    """The caller's view, when this may be done.

    Raises:
        NotFoundError: the visit does not exist for this caller.
        ForbiddenError: it does, and this is not theirs to do.
    """
    view = await view_of(tx, actor, subject)
    if await can(tx, actor, action, subject):
        return view
    raise NotFoundError if view.blind and not view.staff else ForbiddenError


async def can_for(tx: Tx, actor: Actor, action: Action, patient_id: UUID) -> bool:
    """Whether the caller may do this for a patient outside any visit: sign, withdraw, share, read who looked."""
    if actor.kind is not ActorKind.PERSON:
        return False
    if actor.id == patient_id:
        return may(action, OWNER)
    guards = any(g.kind == GrantKind.GUARD for g in await _grants(tx, actor.id, patient_id))
    signs = await _may_sign(tx, actor, patient_id, None)
    return may(action, OWNER if guards else NOTHING, signs=signs)


def can_here(actor: Actor, action: Action, hospital_id: UUID) -> bool:
    """Whether a member of this hospital's staff may do this outside any visit."""
    here = actor.kind is ActorKind.STAFF and actor.hospital_id == hospital_id and actor.role in ROLES_WITH_VIEW
    return here and may(action, STAFF_VIEW, role=actor.role)


async def pay_terms(tx: Tx, actor: Actor, subject: Subject) -> PayTerms | None:
    """The limits of this payer for this visit; ``None`` when the caller may not pay. The most generous grant counts."""
    if not await can(tx, actor, Action.PAY, subject):
        return None
    if actor.id == subject.patient_id:
        return PayTerms(None, ask_first=False)
    live = [g for g in await _grants(tx, actor.id, subject.patient_id) if g.visit_id in (None, subject.visit_id)]
    if any(g.kind == GrantKind.GUARD for g in live):
        return PayTerms(None, ask_first=False)
    payers = [g for g in live if g.kind == GrantKind.PAY]
    caps = [g.cap_fen for g in payers]
    cap = None if any(c is None for c in caps) else max(c for c in caps if c is not None)
    return PayTerms(cap, ask_first=all(g.ask_first for g in payers))


async def look(tx: Tx, actor: Actor, subject: Subject, page: str) -> None:
    """Write down that somebody else looked; the same page within a minute is one look. One's own is not logged."""
    if actor.kind is not ActorKind.PERSON or actor.id == subject.patient_id:
        return
    person = await tx.get(Person, actor.id)
    minute = int(tx.now.timestamp()) // 60
    row = {
        "id": derive(subject.patient_id, "look", f"{actor.viewer}/{subject.visit_id}/{page}/{minute}"),
        "patient_id": subject.patient_id,
        "viewer": actor.viewer,
        "viewer_name": person.name_masked if person is not None else "",
        "visit_id": subject.visit_id,
        "page": page,
        "at": tx.now,
    }
    await tx.session.execute(insert(Look).values(row).on_conflict_do_nothing())


async def looks(tx: Tx, patient_id: UUID, limit: int = 50) -> list[Look]:
    """Who looked at this patient's visits, newest first."""
    query = select(Look).where(Look.patient_id == patient_id).order_by(Look.at.desc(), Look.id).limit(limit)
    return list(await tx.session.scalars(query))


async def patients_of(tx: Tx, actor: Actor) -> list[Person]:
    """Oneself first, then those whose live grants let the caller see, pay or act, by how long ago they were granted."""
    me = await tx.get(Person, actor.id) if actor.kind is ActorKind.PERSON else None
    if me is None:
        return []
    query = (
        select(Grant)
        .where(Grant.person_id == me.id, Grant.state == GrantState.ACTIVE)
        .order_by(Grant.created_at, Grant.id)
    )
    ids = dict.fromkeys(g.patient_id for g in await tx.session.scalars(query) if _live(tx, g) and _shows(g))
    await tx.preload(Person, ids)
    people = [await tx.get(Person, i) for i in ids]
    return [me, *(p for p in people if p is not None)]


async def watched(tx: Tx, actor: Actor, subject: Subject) -> bool:
    """Whether the caller could watch this visit while it lasted, and holds the same grant still."""
    if actor.kind is not ActorKind.PERSON or not subject.ended:
        return False
    running = replace(subject, ended=False, settled=False)
    return view_from(map(_fact, await _grants(tx, actor.id, subject.patient_id)), running, tx.now).depth > Depth.NOTHING


async def relations_of(tx: Tx, person_id: UUID) -> dict[UUID, str]:
    """Patient → what this person is to her, by the newest live grant."""
    query = select(Grant).where(Grant.person_id == person_id, Grant.state == GrantState.ACTIVE)
    return {
        g.patient_id: g.relation for g in await tx.session.scalars(query.order_by(Grant.created_at)) if _live(tx, g)
    }


async def _grants(tx: Tx, person_id: UUID, patient_id: UUID) -> list[Grant]:
    query = select(Grant).where(
        Grant.patient_id == patient_id, Grant.person_id == person_id, Grant.state == GrantState.ACTIVE
    )
    return [g for g in await tx.session.scalars(query) if _live(tx, g)]


async def _may_sign(tx: Tx, actor: Actor, patient_id: UUID, visit_id: UUID | None) -> bool:
    if actor.kind is not ActorKind.PERSON or actor.id == patient_id:
        return False
    live: Iterable[Grant] = await _grants(tx, actor.id, patient_id)
    return any(g.kind == GrantKind.SIGN and (visit_id is None or g.visit_id in (None, visit_id)) for g in live)


def _live(tx: Tx, grant: Grant) -> bool:
    return grant.until is None or grant.until > tx.now


def _shows(grant: Grant) -> bool:
    return grant.kind != GrantKind.WATCH or grant.depth > Depth.NOTHING


def _fact(grant: Grant) -> GrantFact:
    return GrantFact(GrantKind(grant.kind), Depth(grant.depth), frozenset(grant.opened), grant.visit_id, grant.until)
