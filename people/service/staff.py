"""Members of staff, for the pages that say who is on duty."""

from uuid import UUID

from kernel.db import Tx
from people.models import Staff


async def name_of(tx: Tx, staff_id: UUID) -> str:
    """The name on the badge; empty when there is nobody by this id."""
    row = await tx.get(Staff, staff_id)
    return "" if row is None else row.name
