"""Whom we say is paying: by kinship, never by name, and only as the hearer may know."""

from uuid import UUID

from kernel.db import Tx
from payments.models import Attempt
from people.rules import Actor, ActorKind
from people.service import access, grants, patients
from words import family as words
from words import pay as say

SELF, DESK, KIOSK, LINK = "self", "desk", "kiosk", "link"
ANYBODY = say.ANYBODY
_AT = {DESK: say.AT_DESK, KIOSK: say.AT_KIOSK, LINK: say.BY_LINK}


async def relation_of(tx: Tx, actor: Actor, patient_id: UUID, visit_id: UUID) -> str:
    """What the payer is to the patient, kept with the attempt."""
    if actor.kind is ActorKind.STAFF:
        return DESK
    if actor.kind is ActorKind.TERMINAL:
        return KIOSK
    if actor.kind is ActorKind.LINK:
        return LINK
    if actor.id == patient_id:
        return SELF
    live = [g for g in await grants.of_patient(tx, patient_id) if g.person_id == actor.id and g.state == "active"]
    fitting = [g for g in live if g.visit_id in (None, visit_id)]
    return fitting[-1].relation if fitting else "other"


def owner_label(relation: str) -> str:
    """As the patient hears it."""
    return say.YOU if relation == SELF else _AT.get(relation) or say.yours(words.relation(relation))


def family_label(relation: str) -> str:
    """As everybody else hears it."""
    return say.PATIENT if relation == SELF else _AT.get(relation) or words.relation(relation)


async def label_for(tx: Tx, actor: Actor, attempt: Attempt) -> str:
    """Who paid or is paying, for this hearer: 您, 您女儿, 妈妈, 家人; whoever holds a link learns of nobody."""
    if actor.kind is ActorKind.LINK:
        return say.SOMEONE
    if attempt.actor == actor.viewer:
        return say.YOU if actor.kind is ActorKind.PERSON else family_label(attempt.relation)
    if actor.id == attempt.patient_id:
        return owner_label(attempt.relation)
    if actor.kind is ActorKind.STAFF:
        return family_label(attempt.relation)
    if attempt.relation == SELF:
        patient = await patients.by_id(tx, attempt.patient_id)
        relations = await access.relations_of(tx, actor.id)
        return words.label(relations.get(attempt.patient_id, ""), patient.sex)
    return _AT.get(attempt.relation, words.SOMEBODY)
