"""On which word of the patient (or of the law) a relative holds the pen for her."""

from uuid import UUID

from sqlalchemy import case, select

from kernel.db import Tx
from people.models import Grant, Staff
from people.rules import GrantKind, GrantState

__all__ = ["Grant", "Staff", "pen_grant", "staff_member"]


async def pen_grant(tx: Tx, person_id: UUID, patient_id: UUID) -> Grant | None:
    """The live standing grant by which this person may sign for this patient: guardianship before an authorisation."""
    query = (
        select(Grant)
        .where(
            Grant.patient_id == patient_id,
            Grant.person_id == person_id,
            Grant.state == GrantState.ACTIVE,
            Grant.kind.in_((GrantKind.GUARD, GrantKind.SIGN)),
            Grant.visit_id.is_(None),
            (Grant.until.is_(None)) | (Grant.until > tx.now),
        )
        .order_by(case((Grant.kind == GrantKind.GUARD, 0), else_=1), Grant.created_at)
        .limit(1)
    )
    found: Grant | None = await tx.session.scalar(query)
    return found


async def staff_member(tx: Tx, staff_id: UUID) -> Staff | None:
    """A member of staff by id, for naming a witness."""
    return await tx.get(Staff, staff_id)
