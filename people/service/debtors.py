"""Who owes what a patient's visit costs: the patient, or the guardian who stands for a child or who cannot act."""

from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import select

from kernel.clock import CHINA, china_day
from kernel.db import Tx
from people.models import Grant
from people.rules import FULL_AGE, GrantKind, age_on, alone_until
from people.service.patients import by_id


@dataclass(frozen=True, slots=True)
class Debtor:
    """Who owes. ``person_id`` empty: a minor whose guardian nobody has written down yet; never the minor.

    ``minor``: is never suspended or reported for it.
    """

    person_id: UUID | None
    guardian: bool
    minor: bool


async def debtor_of(tx: Tx, patient_id: UUID, at: datetime) -> Debtor:
    """Who owes for a visit that began at this moment; what changes later changes nothing of it.

    A minor of fourteen goes alone, yet owes nothing: the last guardian of their childhood does.
    """
    born = (await by_id(tx, patient_id)).birth_date
    day = china_day(at)
    minor = born is not None and age_on(born, day) < FULL_AGE
    query = select(Grant).where(Grant.patient_id == patient_id, Grant.kind == GrantKind.GUARD)
    known = list(await tx.session.scalars(query.order_by(Grant.created_at.desc(), Grant.id)))
    stood = [g for g in known if (g.until is None or g.until > at) and (g.ended_at is None or g.ended_at > at)]
    if not stood and minor and born is not None:
        grown = datetime.combine(alone_until(born), time(), CHINA)
        # Written down at the desk after she came in, or ended by the fourteenth birthday alone.
        stood = [g for g in known if g.ended_at is None or g.ended_at >= grown]
    before = [g for g in stood if g.created_at <= at]
    if before or stood:
        return Debtor((before or stood)[0].person_id, guardian=True, minor=minor)
    return Debtor(None if minor else patient_id, guardian=minor, minor=minor)
