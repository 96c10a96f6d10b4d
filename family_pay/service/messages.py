"""A ready-made sentence from the patient to who follows her visit, or from one of them to her, while it lasts."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select

from family_pay.models import Message as Message
from family_pay.rules import (
    WORDS_APART,
    WORDS_AT_MOST,
    UnknownWordError,
    WordsManyError,
    WordsOverError,
    WordsTooFastError,
)
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id
from notices.service import append, lock, next_rank
from people.rules import Action, Actor, ActorKind, Audience, View
from people.service import access
from visits.rules import VisitState
from visits.service import reading
from words.messages import TO_FAMILY, TO_PATIENT

SHOWN = 20


async def send(tx: Tx, actor: Actor, visit_id: UUID, code: str) -> Message:
    """Say one of the sentences; it is on the other side's open pages with the commit.

    What the patient says, all hear who follow the visit now; what one of them says, only the patient's side hears.

    Raises:
        NotFoundError, ForbiddenError: the visit is not theirs to follow.
        UnknownWordError: no such sentence for this side.
        WordsOverError: the visit is over.
        WordsTooFastError, WordsManyError: too soon after the last one, or thirty already.
    """
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or actor.kind is not ActorKind.PERSON:
        raise NotFoundError
    feed = await lock(tx, visit_id)
    await tx.session.refresh(visit)
    view = await access.require(tx, actor, Action.SEND_WORD, reading.subject_of(visit))
    if code not in (TO_FAMILY if view.owner else TO_PATIENT):
        raise UnknownWordError
    if visit.state != VisitState.OPEN:
        raise WordsOverError
    mine = (Message.visit_id == visit_id, Message.sender_id == actor.id)
    slot = int(tx.now.timestamp()) // WORDS_APART
    newest, sent = (await tx.session.execute(select(func.max(Message.slot), func.count()).where(*mine))).one()
    if newest == slot:
        raise WordsTooFastError
    if sent >= WORDS_AT_MOST:
        raise WordsManyError
    relation = "" if view.owner else (await access.relations_of(tx, actor.id)).get(visit.patient_id, "")
    made = tx.add(
        Message(
            id=new_id(),
            visit_id=visit_id,
            sender_id=actor.id,
            to_patient=not view.owner,
            relation=relation,
            code=code,
            slot=slot,
            rank=next_rank(tx, feed, None),
            at=tx.now,
        )
    )
    audience = Audience.STEPS if view.owner else Audience.PATIENT
    await append(tx, visit_id, "word", {"word": payload(made)}, audience=audience)
    return made


def payload(message: Message) -> dict[str, Any]:
    """A message as the feed carries it; who of the relatives sent it is said by relation alone."""
    return {
        "id": str(message.id),
        "code": message.code,
        "to_patient": message.to_patient,
        "relation": message.relation,
        "at": message.at.isoformat(),
        "rank": message.rank,
    }


async def said(tx: Tx, actor: Actor, visit_id: UUID, view: View) -> list[Message]:
    """The latest sentences of a visit, newest first: the patient's side reads all, a companion hers and their own."""
    query = select(Message).where(Message.visit_id == visit_id)
    if not view.owner:
        query = query.where(or_(Message.to_patient.is_(False), Message.sender_id == actor.id))
    return list(await tx.session.scalars(query.order_by(Message.rank.desc()).limit(SHOWN)))
