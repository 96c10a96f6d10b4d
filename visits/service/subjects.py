"""Which visit is meant, as the decision who may see it needs to know."""

from uuid import UUID

from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Subject
from visits.models import Visit
from visits.rules import VisitState

__all__ = ["Subject", "subject_of", "subject_of_visit"]


def subject_of(visit: Visit) -> Subject:
    """A visit row as a subject."""
    over = visit.state in (VisitState.ENDED, VisitState.SETTLED)
    stages = tuple((category, bool(stage["going"])) for category, stage in sorted(visit.stages.items()))
    settled = visit.state == VisitState.SETTLED
    return Subject(visit.patient_id, visit.hospital_id, visit.id, ended=over, settled=settled, stages=stages)


async def subject_of_visit(tx: Tx, visit_id: UUID) -> Subject:
    """The subject of a visit.

    Raises:
        NotFoundError: there is none.
    """
    visit = await tx.get(Visit, visit_id)
    if visit is None:
        raise NotFoundError
    return subject_of(visit)
