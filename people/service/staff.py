"""Members of staff, for the pages that say who is on duty."""

from uuid import UUID

from kernel.db import Tx
from people.models import Staff
from people.rules import Actor, ActorKind, Role


async def name_of(tx: Tx, staff_id: UUID) -> str:
    """The name on the badge; empty when there is nobody by this id."""
    row = await tx.get(Staff, staff_id)
    return "" if row is None else row.name


async def login_of(tx: Tx, staff_id: UUID) -> str:
    """The staff number; empty when there is nobody by this id."""
    row = await tx.get(Staff, staff_id)
    return "" if row is None else row.login


async def actor_of(tx: Tx, staff_id: UUID) -> Actor | None:
    """A member of staff as a caller, for what they have begun and a machine goes on with; None when they have left."""
    row = await tx.get(Staff, staff_id)
    if row is None or not row.active:
        return None
    return Actor(ActorKind.STAFF, row.id, row.hospital_id, Role(row.role), row.department)
