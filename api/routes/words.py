"""Ready-made sentences between a patient and who follows her visit, for programs."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, TxDep
from family_pay.service import messages
from kernel.errors import NotFoundError
from people.rules import Action
from people.service import access
from visits.service import reading
from words.messages import TO_FAMILY, TO_PATIENT, sentence

router = APIRouter(prefix="/api/visits", tags=["family"])


class WordBody(BaseModel):
    """One of the sentences of ``can_say``."""

    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(min_length=1, max_length=20)]


class WordOut(BaseModel):
    """A sentence that was said; ``relation`` of who said it to the patient, empty for the patient's own."""

    id: UUID
    code: str
    text: str
    to_patient: bool
    relation: str
    at: datetime


class WordsOut(BaseModel):
    """The latest sentences, newest first, and what the caller can say: code and sentence."""

    said: list[WordOut]
    can_say: dict[str, str]


def _out(message: messages.Message) -> WordOut:
    return WordOut(
        id=message.id,
        code=message.code,
        text=sentence(message.code, to_patient=message.to_patient),
        to_patient=message.to_patient,
        relation=message.relation,
        at=message.at,
    )


@router.get("/{visit_id}/words")
async def words(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> WordsOut:
    """What was said between the patient and the caller, and what can be said."""
    visit = await reading.visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    subject = reading.subject_of(visit)
    view = await access.require(tx, caller, Action.SEND_WORD, subject)
    await access.look(tx, caller, subject, "story")
    found = await messages.said(tx, caller, visit_id, view)
    return WordsOut(said=[_out(one) for one in found], can_say=TO_FAMILY if view.owner else TO_PATIENT)


@router.post("/{visit_id}/words", status_code=201)
async def say(visit_id: UUID, asked: WordBody, caller: PersonCaller, tx: TxDep) -> WordOut:
    """Say one of the sentences: the patient to all who follow, one of them to the patient; a few seconds apart."""
    return _out(await messages.send(tx, caller, visit_id, asked.code))
