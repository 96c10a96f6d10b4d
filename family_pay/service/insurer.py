"""What the insurer says about a patient and a relative: it alone knows its family accounts, ours say nothing."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from family_pay.models import InsurerSays
from family_pay.rules import AskedJustNowError
from kernel.db import Tx, one_of
from kernel.errors import NotFoundError
from people.rules import Actor
from people.service import grants, patients

APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people as the insurer knows them: (name, identity number) each."""

    patient: tuple[str, str] = field(repr=False)
    payer: tuple[str, str] = field(repr=False)


async def claim(tx: Tx, actor: Actor, patient_id: UUID) -> Pair | None:
    """Who is to be asked about, when the caller is bound to the patient; ``None``: a number is not proven.

    Raises:
        NotFoundError: not bound.
        AskedJustNowError: a minute ago.
    """
    if not any(g.patient_id == patient_id for g in await grants.of_relative(tx, actor.id)):
        raise NotFoundError
    # Written before anybody is asked, so that two presses ask once: until it answers, it has not said.
    row = insert(InsurerSays).values(patient_id=patient_id, person_id=actor.id, related=None, asked_at=tx.now)
    again = row.on_conflict_do_update(
        index_elements=["patient_id", "person_id"],
        set_={"asked_at": tx.now, "related": None},
        where=InsurerSays.asked_at <= tx.now - APART,
    )
    if (await tx.session.execute(again.returning(InsurerSays.asked_at))).first() is None:
        raise AskedJustNowError
    told = []
    for who in (patient_id, actor.id):
        person = await patients.by_id(tx, who)
        number = patients.id_number_of(tx, person)
        if number is None:
            return None
        told.append((patients.name_of(tx, person), number))
    return Pair(*told)


async def record(tx: Tx, actor: Actor, patient_id: UUID, related: bool) -> None:
    """What it said, and when."""
    row = await tx.get(InsurerSays, (patient_id, actor.id), lock=True)
    if row is not None:
        row.related, row.asked_at = related, tx.now


async def said_to(tx: Tx, person_id: UUID, patient_ids: Collection[UUID]) -> dict[UUID, tuple[bool | None, datetime]]:
    """Patient → what it last said of this relative, and when."""
    query = select(InsurerSays).where(InsurerSays.person_id == person_id, one_of(InsurerSays.patient_id, patient_ids))
    return {x.patient_id: (x.related, x.asked_at) for x in await tx.session.scalars(query)} if patient_ids else {}
