"""The steps of a visit as one viewer sees them, and the one to do now."""

from typing import Any
from uuid import UUID

from guide.rules import Turn, in_order, next_step, ready, said, turn_of
from kernel.db import Tx
from people.rules import Audience, View
from visits.rules import seen_step
from visits.service import orders

__all__ = ["Turn", "next_step", "ready", "seen", "steps_of", "turn_of"]


def seen(step: dict[str, Any], view: View) -> dict[str, Any]:
    """One step of a feed row or an order, as this view reads it."""
    return said(seen_step(step, view))


async def steps_of(tx: Tx, visit_id: UUID, view: View) -> list[dict[str, Any]]:
    """The steps this view may know of, in the order they were ordered."""
    found = [
        seen(orders.step_payload(order)["step"], view)
        for order in await orders.orders_of(tx, visit_id)
        if view.shows(Audience.STEPS, order.category)
    ]
    return [dict(step) for step in in_order(found)]
