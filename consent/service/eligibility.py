"""Is the service for this person now? The answer is a reason in plain words, or nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from consent.models import Contract, CreditAnswer, Suspension
from consent.rules import CREDIT_FRESH, ContractState, Facts, NotEligibleError, Refusal, refusal_of
from kernel.db import Tx
from people.service import hospitals, patients
from words import letter_text

WILFUL_DEFAULT = "wilful_default"


@dataclass(frozen=True, slots=True)
class CreditQuestion:
    """What is asked of the platform about one person."""

    id_number: str
    name: str


async def decide(
    tx: Tx, hospital_id: UUID, patient_id: UUID, *, insurance_status: str | None, credit_asked_here: bool
) -> Refusal | None:
    """The first reason against signing, or ``None``.

    Args:
        insurance_status: of today's encounter, ``None`` before any visit.
        credit_asked_here: whether this deployment has a credit platform.
    """
    hospital = await hospitals.by_id(tx, hospital_id)
    query = select(Suspension.reason).where(
        Suspension.hospital_id == hospital_id,
        Suspension.patient_id == patient_id,
        Suspension.lifted_at.is_(None),
        (Suspension.until.is_(None)) | (Suspension.until > tx.now),
    )
    pauses = set(await tx.session.scalars(query))
    answer = await tx.session.get(CreditAnswer, patient_id, populate_existing=True)
    facts = Facts(
        insurance_status=insurance_status,
        serious=None if answer is None else answer.serious,
        asked_at=None if answer is None else answer.asked_at,
        credit_asked_here=credit_asked_here,
        suspended=bool(pauses),
        default_record=WILFUL_DEFAULT in pauses,
    )
    return refusal_of(facts, hospitals.settings_of(hospital), tx.now)


async def require(
    tx: Tx, hospital_id: UUID, patient_id: UUID, *, insurance_status: str | None, credit_asked_here: bool
) -> None:
    """Pass only those for whom the service is.

    Raises:
        NotEligibleError: with the reason in plain words.
    """
    refusal = await decide(
        tx, hospital_id, patient_id, insurance_status=insurance_status, credit_asked_here=credit_asked_here
    )
    if refusal is not None:
        raise NotEligibleError(refusal, letter_text.REFUSALS[refusal])


async def question_for(tx: Tx, hospital_id: UUID, patient_id: UUID) -> CreditQuestion | None:
    """What to ask the platform now; ``None``: nothing is asked here, the answer is fresh, identity is unproven."""
    settings = hospitals.settings_of(await hospitals.by_id(tx, hospital_id))
    if settings.zero_threshold:
        return None
    answer = await tx.get(CreditAnswer, patient_id)
    if answer is not None and tx.now - answer.asked_at <= CREDIT_FRESH:
        return None
    person = await patients.by_id(tx, patient_id)
    number = patients.id_number_of(tx, person)
    return None if number is None else CreditQuestion(number, patients.name_of(tx, person))


async def keep_answer(tx: Tx, patient_id: UUID, *, serious: bool, reference: str) -> None:
    """Write down what the platform said, in the place of what it said before."""
    values = {"serious": serious, "reference": reference, "asked_at": tx.now}
    statement = insert(CreditAnswer).values(person_id=patient_id, **values)
    await tx.session.execute(statement.on_conflict_do_update(index_elements=["person_id"], set_=values))


async def stale_answers(tx: Tx, older_than: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Standing contracts whose credit answer is old: (hospital, patient), oldest first."""
    query = (
        select(Contract.hospital_id, Contract.patient_id)
        .join(CreditAnswer, CreditAnswer.person_id == Contract.patient_id)
        .where(Contract.state != ContractState.WITHDRAWN, CreditAnswer.asked_at < older_than)
        .order_by(CreditAnswer.asked_at)
        .limit(limit)
    )
    return [(h, p) for h, p in await tx.session.execute(query)]
