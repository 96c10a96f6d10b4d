"""Who may see and do what: the patient herself, her hospital's staff, and relatives as far as she let them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from kernel.db import Tx, one_of
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import derive
from people.models import Choice, Grant, Look, Person, Staff
from people.rules import (
    KIOSK_VIEW,
    LOOKS_KEPT,
    NOTHING,
    OWNER,
    PRINTED,
    ROLES_WITH_VIEW,
    STAFF_RELATION,
    STAFF_VIEW,
    Action,
    Actor,
    ActorKind,
    ChoiceKind,
    Depth,
    GrantFact,
    GrantKind,
    GrantState,
    Looked,
    LookFact,
    Subject,
    View,
    may,
    sittings,
    view_from,
)
from people.service.patients import phone_of

__all__ = [
    "Action",
    "PayTerms",
    "can",
    "can_for",
    "can_here",
    "forget_looks",
    "look",
    "looks",
    "not_sharing",
    "patients_of",
    "pay_terms",
    "printed",
    "relations_of",
    "require",
    "sittings_of",
    "telephone_for",
    "view_of",
    "views_of",
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
    return (await views_of(tx, actor, subject.patient_id, [subject]))[0]


async def views_of(tx: Tx, actor: Actor, patient_id: UUID, subjects: Sequence[Subject]) -> list[View]:
    """What a person sees of several visits of one patient."""
    if actor.id == patient_id:
        return [OWNER] * len(subjects)
    facts = await _facts(tx, actor.id, patient_id)
    return [view_from(facts, subject, tx.now) for subject in subjects]


async def can(tx: Tx, actor: Actor, action: Action, subject: Subject) -> bool:
    """Whether the caller may do this with this visit."""
    view = await view_of(tx, actor, subject)
    pair = (tx, actor, subject.patient_id, subject.visit_id)
    signs = action is Action.SIGN and await _given(GrantKind.SIGN, *pair)
    # Who may book sees no visit by that alone: a pass is shown of what they know of otherwise.
    books = action in (Action.BOOK, Action.SHOW_PASS) and not view.blind and await _given(GrantKind.BOOK, *pair)
    return may(action, view, role=actor.role, signs=signs, books=books)


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
    """Whether the caller may do this for a patient outside any visit: sign, book, withdraw, share, read who looked."""
    if actor.kind is not ActorKind.PERSON:
        return False
    if actor.id == patient_id:
        return may(action, OWNER)
    guards = any(g.kind == GrantKind.GUARD for g in await _grants(tx, actor.id, patient_id))
    signs = action is Action.SIGN and await _given(GrantKind.SIGN, tx, actor, patient_id, None)
    books = action is Action.BOOK and await _given(GrantKind.BOOK, tx, actor, patient_id, None)
    return may(action, OWNER if guards else NOTHING, signs=signs, books=books)


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
    relation = (await relations_of(tx, actor.id)).get(subject.patient_id, "")
    await _written(tx, actor, subject, page, (person.name_masked if person is not None else "", relation))


async def printed(tx: Tx, actor: Actor, subject: Subject) -> None:
    """Write down that the hospital's staff made a paper of a visit: what leaves the screen lies about afterwards.

    What they only look at is their work and is not written; a relative's printing is a ``look``.
    """
    if actor.kind is not ActorKind.STAFF:
        return
    badge = await tx.get(Staff, actor.id)
    await _written(tx, actor, subject, PRINTED, (badge.name if badge is not None else "", STAFF_RELATION))


async def _written(tx: Tx, actor: Actor, subject: Subject, page: str, who: tuple[str, str]) -> None:
    minute = int(tx.now.timestamp()) // 60
    row = {
        "id": derive(subject.patient_id, "look", f"{actor.viewer}/{subject.visit_id}/{page}/{minute}"),
        "patient_id": subject.patient_id,
        "viewer": actor.viewer,
        "viewer_name": who[0],
        "relation": who[1],
        "visit_id": subject.visit_id,
        "page": page,
        "at": tx.now,
    }
    await tx.session.execute(insert(Look).values(row).on_conflict_do_nothing())


async def looks(tx: Tx, patient_id: UUID, limit: int = 50) -> list[Look]:
    """Who looked at this patient's visits, newest first."""
    query = select(Look).where(Look.patient_id == patient_id).order_by(Look.at.desc(), Look.id).limit(limit)
    return list(await tx.session.scalars(query))


async def sittings_of(tx: Tx, patient_id: UUID, limit: int = 500) -> list[Looked]:
    """The same, looks of one sitting as one, out of at most ``limit`` looks."""
    return sittings(
        LookFact(x.viewer, x.viewer_name, x.relation, x.page, x.visit_id, x.at)
        for x in await looks(tx, patient_id, limit)
    )


async def forget_looks(tx: Tx) -> int:
    """Looks older than they are kept for are deleted. Returns how many were."""
    gone = await tx.session.scalars(delete(Look).where(Look.at < tx.now - LOOKS_KEPT).returning(Look.id))
    return len(gone.all())


async def not_sharing(tx: Tx, patient_ids: Collection[UUID]) -> set[UUID]:
    """Those of these patients who have switched sharing off."""
    if not patient_ids:
        return set()
    query = (
        select(Choice.person_id, Choice.given)
        .where(one_of(Choice.person_id, patient_ids), Choice.kind == ChoiceKind.SHARE)
        .ext(distinct_on(Choice.person_id))
        .order_by(Choice.person_id, Choice.number.desc())
    )
    return {row.person_id for row in await tx.session.execute(query) if not row.given}


async def telephone_for(tx: Tx, actor: Actor, subject: Subject) -> str | None:
    """The patient's number, if she lets this relative have it and the relative can see this visit now."""
    if actor.kind is not ActorKind.PERSON or (await view_of(tx, actor, subject)).depth is Depth.NOTHING:
        return None
    live = [g for g in await _grants(tx, actor.id, subject.patient_id) if g.visit_id in (None, subject.visit_id)]
    if not any(g.calls and g.kind == GrantKind.WATCH for g in live):
        return None
    patient = await tx.get(Person, subject.patient_id)
    return phone_of(tx, patient) if patient is not None else None


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
    live = [g for g in await tx.session.scalars(query) if _live(tx, g) and _shows(g)]
    shut = await not_sharing(tx, {g.patient_id for g in live if g.kind == GrantKind.WATCH})
    ids = dict.fromkeys(g.patient_id for g in live if g.kind != GrantKind.WATCH or g.patient_id not in shut)
    await tx.preload(Person, ids)
    people = [await tx.get(Person, i) for i in ids]
    return [me, *(p for p in people if p is not None)]


async def watched(tx: Tx, actor: Actor, subject: Subject) -> bool:
    """Whether the caller could watch this visit while it lasted, and holds the same grant still."""
    if actor.kind is not ActorKind.PERSON:
        return False
    running = replace(subject, ended=False, settled=False, stages=tuple((c, True) for c, _ in subject.stages))
    return view_from(await _facts(tx, actor.id, subject.patient_id), running, tx.now).depth > Depth.NOTHING


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


async def _given(kind: GrantKind, tx: Tx, actor: Actor, patient_id: UUID, visit_id: UUID | None) -> bool:
    if actor.kind is not ActorKind.PERSON or actor.id == patient_id:
        return False
    live: Iterable[Grant] = await _grants(tx, actor.id, patient_id)
    return any(g.kind == kind and (visit_id is None or g.visit_id in (None, visit_id)) for g in live)


async def _facts(tx: Tx, person_id: UUID, patient_id: UUID) -> list[GrantFact]:
    """The live grants of a pair; while the patient shares with nobody, they let nothing be seen."""
    live = await _grants(tx, person_id, patient_id)
    shut = any(g.depth for g in live) and bool(await not_sharing(tx, [patient_id]))
    return [replace(_fact(g), depth=Depth.NOTHING) if shut else _fact(g) for g in live]


def _live(tx: Tx, grant: Grant) -> bool:
    return grant.until is None or grant.until > tx.now


def _shows(grant: Grant) -> bool:
    return grant.kind != GrantKind.WATCH or grant.depth > Depth.NOTHING


def _fact(grant: Grant) -> GrantFact:
    return GrantFact(GrantKind(grant.kind), Depth(grant.depth), frozenset(grant.opened), grant.visit_id, grant.until)
