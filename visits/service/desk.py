"""What a department's desk has before it: open orders, and a mark that changes whenever its list does."""

from uuid import UUID

from sqlalchemy import func, select

from kernel.db import Tx
from visits.models import HisCall, Order, Visit
from visits.rules import OPEN_ORDER, CallState
from visits.service.orders import open_of_department

__all__ = ["mark", "open_of_department", "open_of_hospital"]


async def open_of_hospital(tx: Tx, hospital_id: UUID, limit: int = 300) -> list[Order]:
    """Open orders of every department, newest first: the guide desk helps anybody."""
    query = (
        select(Order)
        .join(Visit, Visit.id == Order.visit_id)
        .where(Visit.hospital_id == hospital_id, Order.state.in_(OPEN_ORDER))
        .order_by(Order.ordered_at.desc())
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def mark(tx: Tx, hospital_id: UUID, department: str | None) -> str:
    """A short text that differs when the desk's list would be drawn differently; ``department`` empty: all."""
    latest = func.max(func.greatest(Order.ordered_at, Order.checked_in_at, Order.queue_at))
    found = (
        select(func.count(), latest, func.sum(Order.sequence))
        .select_from(Order)
        .join(Visit, Visit.id == Order.visit_id)
        .where(Visit.hospital_id == hospital_id, Order.state.in_(OPEN_ORDER))
    )
    if department is not None:
        found = found.where(Order.department == department)
    waiting = select(func.count(), func.sum(HisCall.tries)).where(
        HisCall.hospital_id == hospital_id, HisCall.state == CallState.PENDING
    )
    modes = select(func.count()).where(
        Visit.hospital_id == hospital_id, Visit.state == "open", Visit.mode == "DEFERRED"
    )
    parts = [*(await tx.session.execute(found)).one(), *(await tx.session.execute(waiting)).one()]
    return "/".join(map(str, [*parts, await tx.session.scalar(modes)]))
