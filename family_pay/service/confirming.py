"""The patient sees who accepted her invitation, and says yes or no; only with her yes does anything begin."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select

from family_pay.models import Invitation
from family_pay.rules import INVITATION, InvitationState, InviteExpiredError, Offer
from family_pay.service.invitations import bind, offer_of, tell_over
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Action, Actor, ActorKind, GrantKind
from people.service import access, grants, patients
from people.service.grants import Grant

_TAIL = 4


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody has accepted and waits for the patient's word.

    ``who``, ``patient`` masked; ``tail``: the last digits of the relative's telephone, by which she knows them.
    """

    id: UUID
    patient_id: UUID
    patient: str
    who: str
    tail: str
    offer: Offer
    visit_id: UUID | None
    expires_at: datetime


async def claims_for(tx: Tx, actor: Actor) -> list[Claim]:
    """Who waits for the caller's word, as the patient or as who stands for her; the oldest first."""
    return [await _claim(tx, row) for row in await _waiting_for(tx, actor)]


async def waiting_with_others(tx: Tx, actor: Actor) -> list[Claim]:
    """What the caller has accepted, and which waits for somebody else's word."""
    return [await _claim(tx, row) for row in await _waiting_of(tx, actor)]


async def mark(tx: Tx, actor: Actor) -> str:
    """All this in short: another mark means that the caller's page is no longer true."""
    rows = [*await _waiting_for(tx, actor), *await _waiting_of(tx, actor)]
    return hashlib.sha256(" ".join(str(row.id) for row in rows).encode()).hexdigest()[:16]


async def answer(tx: Tx, actor: Actor, invitation_id: UUID, *, agreed: bool) -> list[Grant]:
    """Yes: what was offered begins, and both are told. No: nothing does, and who waited is not pushed a refusal.

    Said twice is said once. Returns: the grants that are live by this yes.

    Raises:
        NotFoundError: nobody waits, or it is not the caller's to answer.
        InviteExpiredError: too late, taken back by either side, or answered otherwise before.
    """
    found = await tx.get(Invitation, invitation_id, lock=True)
    if found is None or found.accepted_by is None or found.staff_id is not None:
        raise NotFoundError
    if not await access.can_for(tx, actor, Action.SHARE, found.patient_id):
        raise NotFoundError
    if agreed and found.state == InvitationState.ACCEPTED:
        return await grants.live_of_bond(tx, found.id)
    if not agreed and found.state == InvitationState.REFUSED:
        return []
    if found.state != InvitationState.WAITING or found.expires_at <= tx.now:
        raise InviteExpiredError
    found.answered_by = actor.id
    if agreed:
        return await bind(tx, found)
    INVITATION.move(InvitationState.WAITING, InvitationState.REFUSED)
    found.state, found.ended_at = InvitationState.REFUSED, tx.now
    await tell_over(tx, found)
    return []


async def is_waiting(tx: Tx, invitation_id: UUID) -> bool:
    """Whether somebody still waits for the patient's word."""
    found = await tx.get(Invitation, invitation_id)
    return found is not None and found.state == InvitationState.WAITING and found.expires_at > tx.now


async def _waiting_for(tx: Tx, actor: Actor) -> list[Invitation]:
    if actor.kind is not ActorKind.PERSON:
        return []
    held = await grants.of_relative(tx, actor.id)
    whose = {actor.id, *(g.patient_id for g in held if g.kind == GrantKind.GUARD)}
    return await _rows(tx, Invitation.patient_id.in_(whose))


async def _waiting_of(tx: Tx, actor: Actor) -> list[Invitation]:
    return [] if actor.kind is not ActorKind.PERSON else await _rows(tx, Invitation.accepted_by == actor.id)


async def _rows(tx: Tx, whose: ColumnElement[bool]) -> list[Invitation]:
    query = select(Invitation).where(whose, Invitation.state == InvitationState.WAITING, Invitation.expires_at > tx.now)
    return list(await tx.session.scalars(query.order_by(Invitation.created_at, Invitation.id)))


async def _claim(tx: Tx, row: Invitation) -> Claim:
    if row.accepted_by is None:
        raise NotFoundError
    patient, relative = await patients.by_id(tx, row.patient_id), await patients.by_id(tx, row.accepted_by)
    tail = (patients.phone_of(tx, relative) or "")[-_TAIL:]
    return Claim(
        row.id, patient.id, patient.name_masked, relative.name_masked, tail, offer_of(row), row.visit_id, row.expires_at
    )
