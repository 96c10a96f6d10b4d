"""A pay link: whoever holds it sees hospital, amount and a masked name, and may pay that amount once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from billing.rules import NothingPayableError, RoundState
from billing.service import paying
from family_pay.models import PayLink as PayLink
from family_pay.rules import (
    PAY_LINK_LIVES,
    PAY_LINK_READ,
    PAY_LINK_TRIES,
    PAY_LINKS_AT_MOST,
    PayLinkGoneError,
    PayLinkState,
    TooManyLinksError,
)
from kernel.crypto import digest
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id, token
from payments.rules import OURS, PAYABLE, AlreadyPaidError, AmountChangedError, ShareGoneError, Till
from payments.service import agreeing, attempts, labels, pressing, shares
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people.rules import Action, Actor, ActorKind
from people.service import access, hospitals, patients
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of
from words import pay as words

S = PayLinkState


@dataclass(frozen=True, slots=True)
class Made:
    """A fresh link; the token is here and nowhere else."""

    id: UUID
    token: str = field(repr=False)
    amount_fen: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Given:
    """A link as its giver sees it; ``attempt`` is what was paid by it."""

    link: PayLink
    state: PayLinkState
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Opened:
    """All that a stranger is shown; ``patient`` masked. ``attempt``: what was paid by it, or is being paid."""

    hospital: str
    patient: str
    amount_fen: int
    expires_at: datetime
    state: PayLinkState
    attempt: Attempt | None


def actor_of(link: PayLink) -> Actor:
    """Whoever holds this link."""
    return Actor(ActorKind.LINK, link.id)


async def make(tx: Tx, actor: Actor, visit_id: UUID, seen_amount_fen: int, share: int | None = None) -> Made:
    """Make a link for all that is left to pay, or for one share, at the amount its giver was shown.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
        billing.rules.NothingPayableError: there is nothing to pay.
        payments.rules.AmountChangedError: it is no longer what the giver saw.
        payments.rules.ShareGoneError: there is no such share.
        payments.rules.OverCapError, payments.rules.limits.AskFirstError: more than the patient lets this relative pay.
        TooManyLinksError: five are waiting.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, Action.PAY, subject_of(visit))
    if actor.kind is not ActorKind.PERSON:
        raise ForbiddenError
    await agreeing.hold(tx, actor, subject_of(visit), seen_amount_fen)
    amount = await _asks(tx, visit, share)
    if amount is None:
        raise ShareGoneError
    if not amount:
        raise NothingPayableError
    if amount != seen_amount_fen:
        raise AmountChangedError(amount, words.amount(amount))
    waiting = [x for x in await _of_visit(tx, visit_id) if x.withdrawn_at is None and x.expires_at > tx.now]
    states = [await _state(tx, link, visit) for link in waiting]
    if sum(state in (S.OPEN, S.PAYING, S.BUSY) for state, _ in states) >= PAY_LINKS_AT_MOST:
        raise TooManyLinksError
    made = Made(new_id(), token(), amount, tx.now + PAY_LINK_LIVES)
    tx.add(
        PayLink(
            id=made.id,
            token_digest=digest(made.token),
            visit_id=visit_id,
            patient_id=visit.patient_id,
            made_by=actor.id,
            amount_fen=amount,
            share=share,
            created_at=tx.now,
            expires_at=made.expires_at,
        )
    )
    return made


async def given(tx: Tx, actor: Actor, visit_id: UUID) -> list[Given]:
    """The visit's links, newest first: all of them for the patient's side, to a relative her own.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    view = await access.require(tx, actor, Action.PAY, subject_of(visit))
    mine = [link for link in await _of_visit(tx, visit_id) if view.owner or link.made_by == actor.id]
    return [Given(link, *(await _state(tx, link, visit))) for link in mine]


async def withdraw(tx: Tx, actor: Actor, link_id: UUID) -> list[UUID]:
    """Take a link back: from now on nobody begins to pay by it. By who gave it, or by the patient's side.

    Returns: attempts under way, which are to be closed at the provider; what is paid stays paid.

    Raises:
        NotFoundError: absent, or somebody else's.
    """
    link = await tx.get(PayLink, link_id)
    if link is None:
        raise NotFoundError
    visit = await paying.locked_visit(tx, link.visit_id)
    owner = (await access.view_of(tx, actor, subject_of(visit))).owner
    if actor.kind is not ActorKind.PERSON or not (owner or link.made_by == actor.id):
        raise NotFoundError
    locked = await tx.get(PayLink, link_id, lock=True)
    if locked is not None and locked.withdrawn_at is None:
        locked.withdrawn_at = tx.now
    return [a.id for a in await _attempts(tx, link) if a.state in PAYABLE]


async def under_way(tx: Tx, actor: Actor, visit_id: UUID) -> list[UUID]:
    """What is being paid by links now; somebody who may pay herself may stop it, and pay.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, Action.PAY, subject_of(visit))
    every = await attempts.of_visit(tx, visit_id)
    return [a.id for a in every if a.relation == labels.LINK and a.state in PAYABLE]


async def asks(tx: Tx, actor: Actor, visit_id: UUID, share: int | None) -> int:
    """What a link made now would be for; 0: there is nothing a link could be made for.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await access.require(tx, actor, Action.PAY, subject_of(visit))
    return await _asks(tx, visit, share) or 0


async def find(tx: Tx, secret: str) -> PayLink:
    """The link of a token, whatever became of it.

    Raises:
        PayLinkGoneError: there is none.
    """
    found = await tx.session.scalar(select(PayLink).where(PayLink.token_digest == digest(secret)))
    if found is None:
        raise PayLinkGoneError
    return found


async def opened(tx: Tx, secret: str) -> Opened:
    """What whoever opens the link is shown.

    Raises:
        PayLinkGoneError: there is none, or it is over.
    """
    link = await find(tx, secret)
    visit = await visit_of(tx, link.visit_id)
    if visit is None:
        raise PayLinkGoneError
    state, attempt = await _state(tx, link, visit)
    if state is S.GONE:
        raise PayLinkGoneError
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    patient = await patients.by_id(tx, visit.patient_id)
    return Opened(hospital.name, patient.name_masked, link.amount_fen, link.expires_at, state, attempt)


async def begin(tx: Tx, secret: str, press: Press, till: Till) -> Attempt:
    """Begin to pay by the link; ``press.share`` is the link's own.

    Raises:
        PayLinkGoneError: there is none, or it is over.
        AlreadyPaidError: it was paid by this link.
        HoufuError: as ``payments.service.pressing.begin`` does.
    """
    link = await find(tx, secret)
    visit = await paying.locked_visit(tx, link.visit_id)  # before the link's row, as always
    locked = await tx.get(PayLink, link.id, lock=True)
    every = await _attempts(tx, link)
    if locked is None or not await _stands(tx, locked, visit):
        raise PayLinkGoneError
    same = any(a.idempotency_key == press.idempotency_key for a in every)
    if not same and any(a.state in OURS for a in every):
        raise AlreadyPaidError(who=words.SOMEONE)
    if not same and len(every) >= PAY_LINK_TRIES:
        raise PayLinkGoneError
    if press.seen_amount_fen != locked.amount_fen:
        raise AmountChangedError(locked.amount_fen, words.amount(locked.amount_fen))
    return await pressing.begin_by_link(tx, actor_of(locked), visit, press, till)


async def attempt_of(tx: Tx, secret: str, attempt_id: UUID) -> Attempt:
    """An attempt that was made by this link.

    Raises:
        PayLinkGoneError: there is none.
    """
    link = await find(tx, secret)
    try:
        return await attempts.seen(tx, actor_of(link), attempt_id)
    except NotFoundError:
        raise PayLinkGoneError from None


async def _of_visit(tx: Tx, visit_id: UUID) -> Sequence[PayLink]:
    query = select(PayLink).where(PayLink.visit_id == visit_id).order_by(PayLink.created_at.desc(), PayLink.id)
    return (await tx.session.scalars(query)).all()


async def _attempts(tx: Tx, link: PayLink) -> list[Attempt]:
    by_link = actor_of(link).viewer
    return [a for a in await attempts.of_visit(tx, link.visit_id) if a.actor == by_link]


async def _stands(tx: Tx, link: PayLink, visit: Visit) -> bool:
    """Whether it may be used: in time, not withdrawn, still hers whom it was made for, and its giver may still pay."""
    if link.withdrawn_at is not None or link.expires_at <= tx.now or link.patient_id != visit.patient_id:
        return False
    return await access.can(tx, Actor(ActorKind.PERSON, link.made_by), Action.PAY, subject_of(visit))


async def _state(tx: Tx, link: PayLink, visit: Visit) -> tuple[PayLinkState, Attempt | None]:
    every = await _attempts(tx, link)
    paid = next((a for a in every if a.state in OURS), None)
    if paid is not None:
        read = paid.paid_at is not None and tx.now - paid.paid_at < PAY_LINK_READ
        return (S.PAID if read and link.patient_id == visit.patient_id else S.GONE), paid
    if not await _stands(tx, link, visit):
        return S.GONE, None
    live = next((a for a in every if a.state in PAYABLE), None)
    if live is not None:
        return S.PAYING, live
    amount = await _asks(tx, visit, link.share)
    if amount == link.amount_fen:
        return S.OPEN, None
    if await paying.live_round(tx, visit.id) is None:
        return (S.CHANGED if await paying.due_now(tx, visit) else S.SETTLED), None
    return (S.CHANGED if amount else S.BUSY), None


async def _asks(tx: Tx, visit: Visit, share: int | None) -> int | None:
    """What a payment of this share, or of all that is left, would take now; None: there is no such free share."""
    now = await paying.live_round(tx, visit.id)
    if now is None:
        return await paying.due_now(tx, visit) if share is None else None
    if now.state != RoundState.OPEN:
        return 0
    free = [s.allocation for s in await shares.of_round(tx, now.id) if s.state == "free"]
    if share is None:
        return sum(a.amount_fen for a in free)
    return next((a.amount_fen for a in free if a.number == share), None)
