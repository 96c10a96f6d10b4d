"""A patient invites a relative; the relative proves who they are, sees what is offered, and accepts.

What she made on her phone begins when she has seen who accepted and says yes (``confirming``); what a desk made with
her beside it begins at once.
"""

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text, update

from family_pay.models import Invitation
from family_pay.rules import (
    CODE_CHARACTERS,
    CODE_LIVES,
    CODE_TRIES,
    GUESSES_A_DAY,
    INVITATION,
    INVITES_A_DAY,
    LINK_LIVES,
    OPEN_AT_MOST,
    YES_LIVES,
    EmptyOfferError,
    InvitationState,
    InviteExpiredError,
    InviteUsedError,
    Offer,
    OwnInviteError,
    Relation,
    SharingOffError,
    TooManyInvitesError,
    plain_code,
)
from family_pay.service.news import tell
from kernel.clock import china_day
from kernel.crypto import Vault, digest
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id, short_code
from people.rules import Action, Actor, ActorKind, ChoiceKind, Depth, GrantKind, Proof, ProofKind, Role
from people.service import access, choices, hospitals, patients
from people.service.grants import Grant, Terms, make

# A machine asks this thousands of times: as plain as it gets.
_COUNT_GUESS = text(
    "INSERT INTO guesses AS g (person_id, day, tries) VALUES (:person, :day, 1) "
    "ON CONFLICT (person_id, day) DO UPDATE SET tries = g.tries + 1 WHERE g.tries < :most RETURNING g.tries"
)
MAY_BIND = frozenset({Role.COUNTER, Role.GUIDE})
OPEN = (InvitationState.OFFERED, InvitationState.WAITING)


@dataclass(frozen=True, slots=True)
class Invited:
    """A fresh invitation. The code is here and nowhere else; the token can be made again by its patient."""

    id: UUID
    token: str = field(repr=False)
    code: str = field(repr=False)
    code_expires_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Offered:
    """What the relative is shown; ``patient`` masked.

    ``state``: for who has accepted it, what became of it. ``by_desk``: it begins at once, she said yes at the desk.
    """

    id: UUID
    patient_id: UUID
    patient: str
    offer: Offer
    visit_id: UUID | None
    expires_at: datetime
    state: InvitationState = InvitationState.OFFERED
    by_desk: bool = False


async def invite(
    tx: Tx, actor: Actor, patient_id: UUID, offer: Offer, visit_id: UUID | None = None, *, agrees: bool = False
) -> Invited:
    """Offer something to a relative: for one visit, or standing when ``visit_id`` is empty.

    Args:
        agrees: the patient agrees, with this invitation, to share at all; written down as a choice of its own.

    Raises:
        SharingOffError: the relative would watch, and the patient has not agreed to share.
        ForbiddenError: only the patient and her guardian offer.
        EmptyOfferError: see ``Offer.checked``.
        TooManyInvitesError: ten are waiting, or thirty were made within a day.
    """
    if not await access.can_for(tx, actor, Action.SHARE, patient_id):
        raise ForbiddenError
    offer.checked(await categories(tx))
    await patients.by_id(tx, patient_id)
    if offer.depth > Depth.NOTHING:
        if agrees:
            await choices.choose(tx, actor, patient_id, ChoiceKind.SHARE, given=True)
        elif not await choices.agreed(tx, patient_id, ChoiceKind.SHARE):
            raise SharingOffError
    return await _make(tx, patient_id, offer, visit_id, made_by=actor.id)


async def invite_at_desk(tx: Tx, staff: Actor, patient_id: UUID, offer: Offer, *, agrees: bool = False) -> Invited:
    """The desk offers for a patient who stands beside it and has no phone: to be read out, or printed.

    Who made it is kept. Sensitive categories are not opened this way: a desk is no place to say them aloud.

    Args:
        agrees: she was read what sharing is and agrees; written down with the member of staff as witness.

    Raises:
        ForbiddenError: this member of staff does not do that, or the patient was never here.
        EmptyOfferError, SharingOffError, TooManyInvitesError: as ``invite``.
    """
    if staff.kind is not ActorKind.STAFF or staff.role not in MAY_BIND or staff.hospital_id is None:
        raise ForbiddenError
    if not await patients.is_known_at(tx, staff.hospital_id, patient_id):
        raise ForbiddenError
    if offer.opened:
        raise EmptyOfferError
    offer.checked(frozenset())
    if offer.depth > Depth.NOTHING:
        if agrees:
            await choices.say_at_desk(tx, staff, patient_id, ChoiceKind.SHARE, given=True)
        elif not await choices.agreed(tx, patient_id, ChoiceKind.SHARE):
            raise SharingOffError
    return await _make(tx, patient_id, offer, None, staff_id=staff.id)


async def _make(
    tx: Tx,
    patient_id: UUID,
    offer: Offer,
    visit_id: UUID | None,
    *,
    made_by: UUID | None = None,
    staff_id: UUID | None = None,
) -> Invited:
    await tx.get(patients.Person, patient_id, lock=True)  # two made at once are counted one after the other
    fresh = Invitation.state.in_(OPEN) & (Invitation.expires_at > tx.now)
    counts = select(func.count().filter(fresh), func.count().filter(Invitation.created_at > tx.now - LINK_LIVES))
    waiting, today = (await tx.session.execute(counts.where(Invitation.patient_id == patient_id))).one()
    if waiting >= OPEN_AT_MOST or today >= INVITES_A_DAY:
        raise TooManyInvitesError
    INVITATION.move(None, InvitationState.OFFERED)
    identity, code = new_id(), short_code(CODE_CHARACTERS)
    made = Invited(identity, link_token(tx.vault, identity), code, tx.now + CODE_LIVES, tx.now + LINK_LIVES)
    tx.add(
        Invitation(
            id=identity,
            patient_id=patient_id,
            made_by=made_by,
            staff_id=staff_id,
            token_digest=digest(made.token),
            code_digest=_code_digest(tx, identity, code),
            code_tries=0,
            code_expires_at=made.code_expires_at,
            expires_at=made.expires_at,
            relation=offer.relation,
            pays=offer.pays,
            cap_fen=offer.cap_fen,
            ask_first=offer.ask_first,
            depth=int(offer.depth),
            opened=sorted(offer.opened),
            signs=offer.signs,
            books=offer.books,
            calls=offer.calls,
            visit_id=visit_id,
            state=InvitationState.OFFERED,
            created_at=tx.now,
        )
    )
    return made


async def categories(tx: Tx) -> frozenset[str]:
    """The sensitive categories of all hospitals, by list or by department: what can be opened one by one."""
    listed = {c for h in await hospitals.everyone(tx) for c in hospitals.settings_of(h).hidden_categories}
    return frozenset(listed | await hospitals.sensitive_categories(tx))


def link_token(vault: Vault, invitation_id: UUID) -> str:
    """The token of an invitation's link: 132 bits that only our keys can make, so that it need not be kept."""
    key = vault.key("invitation-link")
    return base64.urlsafe_b64encode(hmac.digest(key, invitation_id.bytes, "sha256"))[:22].decode()


async def token_of(tx: Tx, actor: Actor, invitation_id: UUID) -> str:
    """The link's token again, for the patient's own page.

    Raises:
        NotFoundError: absent, somebody else's, or no longer waiting.
    """
    found = await tx.get(Invitation, invitation_id)
    if found is None or found.state != InvitationState.OFFERED or found.expires_at <= tx.now:
        raise NotFoundError
    if not await access.can_for(tx, actor, Action.SHARE, found.patient_id):
        raise NotFoundError
    return link_token(tx.vault, found.id)


async def waiting_of(tx: Tx, patient_id: UUID) -> list[Invitation]:
    """The patient's invitations nobody has accepted yet, newest first."""
    query = select(Invitation).where(
        Invitation.patient_id == patient_id,
        Invitation.state == InvitationState.OFFERED,
        Invitation.expires_at > tx.now,
    )
    return list(await tx.session.scalars(query.order_by(Invitation.created_at.desc(), Invitation.id)))


async def withdraw_invitation(tx: Tx, actor: Actor, invitation_id: UUID) -> None:
    """Take an invitation back before it has begun: by the patient's side, or by the relative who waits for her yes.

    Raises:
        NotFoundError: absent, or somebody else's.
        InviteUsedError: it has begun in the meantime; end the grant instead.
    """
    found = await tx.get(Invitation, invitation_id, lock=True)
    if found is None:
        raise NotFoundError
    waits = found.state == InvitationState.WAITING
    mine = waits and actor.kind is ActorKind.PERSON and found.accepted_by == actor.id
    if not mine and not await access.can_for(tx, actor, Action.SHARE, found.patient_id):
        raise NotFoundError
    if found.state == InvitationState.ACCEPTED:
        raise InviteUsedError
    if found.state in OPEN:
        INVITATION.move(InvitationState(found.state), InvitationState.WITHDRAWN)
        found.state, found.ended_at = InvitationState.WITHDRAWN, tx.now
    if waits:
        await tell_over(tx, found)


async def tell_over(tx: Tx, row: Invitation) -> None:
    """Nothing came of it: the pages of both sides hear so, and nobody is pushed a no."""
    sides = {one for one in (row.patient_id, row.made_by, row.accepted_by) if one is not None}
    news = {"family": {"what": "unbound", "bond": str(row.id), "relation": row.relation, "who": ""}}
    await tell(tx, dict.fromkeys(sides, news))


async def seen(tx: Tx, actor: Actor, token: str) -> Offered:
    """What an invitation offers to the person who opened its link, or what became of it, to who accepted it.

    Raises:
        InviteExpiredError, InviteUsedError, OwnInviteError: it is not theirs to accept.
    """
    found = await _found(tx, actor, token, lock=False)
    if found.accepted_by is None:
        _still_open(tx, found)
    return await _offered(tx, found)


async def accept(tx: Tx, actor: Actor, token: str) -> list[Grant]:
    """Accept. Of two who accept at once, one does; the other learns no more than that somebody has.

    Returns: the grants, where a desk made the invitation; none otherwise: the patient is shown who accepted, and what
    was offered begins with her yes. Accepting again changes nothing.

    Raises:
        InviteExpiredError, InviteUsedError, OwnInviteError: nothing was changed.
    """
    found = await _found(tx, actor, token, lock=True)
    if found.state == InvitationState.ACCEPTED:
        raise InviteUsedError
    _still_open(tx, found)
    if found.state == InvitationState.WAITING:
        return []
    found.accepted_by = actor.id
    if found.staff_id is not None:
        return await bind(tx, found)
    INVITATION.move(InvitationState.OFFERED, InvitationState.WAITING)
    found.state, found.expires_at = InvitationState.WAITING, tx.now + YES_LIVES
    who = (await patients.by_id(tx, actor.id)).name_masked
    news = {"family": {"what": "claimed", "bond": str(found.id), "relation": found.relation, "who": who}}
    await tell(tx, dict.fromkeys({found.patient_id, found.made_by or found.patient_id}, news))
    return []


async def bind(tx: Tx, found: Invitation) -> list[Grant]:
    """What was offered begins for who accepted it, and both sides are told; the invitation is locked by the caller."""
    relative_id = found.accepted_by
    if relative_id is None:
        raise InviteExpiredError
    offer = offer_of(found)
    INVITATION.move(InvitationState(found.state), InvitationState.ACCEPTED)
    found.state, found.ended_at = InvitationState.ACCEPTED, tx.now
    terms = []
    if offer.pays:
        terms.append(Terms(GrantKind.PAY, cap_fen=offer.cap_fen, ask_first=offer.ask_first))
    if offer.depth > Depth.NOTHING:
        terms.append(Terms(GrantKind.WATCH, offer.depth, tuple(offer.opened), calls=offer.calls))
    if offer.signs:
        terms.append(Terms(GrantKind.SIGN))
    if offer.books:
        terms.append(Terms(GrantKind.BOOK))
    made = await make(
        tx,
        found.patient_id,
        relative_id,
        terms,
        bond=found.id,
        relation=offer.relation,
        proof=_proof(found),
        visit_id=found.visit_id,
    )
    patient, relative = await patients.by_id(tx, found.patient_id), await patients.by_id(tx, relative_id)
    news = {"what": "bound", "bond": str(found.id), "relation": offer.relation}
    await tell(
        tx,
        {
            patient.id: {"family": {**news, "who": relative.name_masked}},
            relative.id: {"family": {**news, "who": patient.name_masked}},
        },
    )
    return made


def _proof(row: Invitation) -> Proof:
    if row.staff_id is not None:
        return Proof(ProofKind.DESK, row.staff_id)
    return Proof(ProofKind.INVITATION if row.code_used_at is None else ProofKind.SPOKEN)


async def _found(tx: Tx, actor: Actor, token: str, *, lock: bool) -> Invitation:
    query = select(Invitation).where(Invitation.token_digest == digest(token))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = await tx.session.scalar(query)
    if found is None or (found.state == InvitationState.WITHDRAWN and found.accepted_by is None):
        raise InviteExpiredError
    if actor.id in (found.patient_id, found.made_by):
        raise OwnInviteError
    if found.accepted_by not in (None, actor.id):
        raise InviteUsedError  # whatever became of it: others learn that it was taken, and no more
    return found


def _still_open(tx: Tx, found: Invitation) -> None:
    if found.state not in OPEN or found.expires_at <= tx.now:
        raise InviteExpiredError


async def _offered(tx: Tx, row: Invitation) -> Offered:
    patient = await patients.by_id(tx, row.patient_id)
    state = InvitationState(row.state)
    if state is InvitationState.REFUSED or (state is InvitationState.WAITING and row.expires_at <= tx.now):
        state = InvitationState.WITHDRAWN  # a no is told like an end
    offer, by_desk = offer_of(row), row.staff_id is not None
    return Offered(row.id, patient.id, patient.name_masked, offer, row.visit_id, row.expires_at, state, by_desk)


def offer_of(row: Invitation) -> Offer:
    """What the patient opens by it."""
    return Offer(
        Relation(row.relation),
        row.pays,
        row.cap_fen,
        row.ask_first,
        Depth(row.depth),
        frozenset(row.opened),
        row.signs,
        row.calls,
        row.books,
    )


async def try_code(tx: Tx, actor: Actor, handle: str, code: str) -> tuple[bool, str | None]:
    """Try a spoken code of the patient with this phone or identity number; the try counts when this commits.

    Returns: whether trying is still allowed today, and the invitation's token when the code was right.
    """
    connection = await tx.session.connection()
    counted = {"person": actor.id, "day": china_day(tx.now), "most": GUESSES_A_DAY}
    if (await connection.execute(_COUNT_GUESS, counted)).first() is None:
        return False, None
    meant = [p.id for p in await patients.with_handle(tx, handle)]
    claim = (
        update(Invitation)
        .where(
            or_(Invitation.patient_id.in_(meant), Invitation.made_by.in_(meant)),
            Invitation.patient_id != actor.id,
            or_(Invitation.made_by.is_(None), Invitation.made_by != actor.id),
            Invitation.state == InvitationState.OFFERED,
            Invitation.code_expires_at > tx.now,
            Invitation.code_tries < CODE_TRIES,
        )
        .values(code_tries=Invitation.code_tries + 1)
        .returning(Invitation.id, Invitation.code_digest)
        .execution_options(synchronize_session=False)
    )
    given = plain_code(code)
    for row in (await tx.session.execute(claim)).all():
        if hmac.compare_digest(row.code_digest, _code_digest(tx, row.id, given)):
            # Right: the code is spent, what follows goes by the link's token.
            spent = (
                update(Invitation).where(Invitation.id == row.id).values(code_expires_at=tx.now, code_used_at=tx.now)
            )
            await tx.session.execute(spent.execution_options(synchronize_session=False))
            return True, link_token(tx.vault, row.id)
    return True, None


def _code_digest(tx: Tx, invitation_id: UUID, code: str) -> bytes:
    return tx.vault.index("invitation-code", f"{invitation_id}/{code}")
