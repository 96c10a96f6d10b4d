"""The steps of a visit as one viewer sees them, and the one to do now."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from guide.order.today import Book
from guide.rules import OPEN, Turn, in_order, next_step, ready, said, turn_of
from guide.service import moving, turns
from guide.service.books import book_of
from guide.service.nursing import pin
from guide.service.ordering import came_to, placing
from guide.service.walking import profile_of
from kernel.db import Tx
from people.rules import Audience, View
from visits.rules import seen_step
from visits.service import orders, reading

__all__ = [
    "OPEN",
    "Turn",
    "came_to",
    "next_step",
    "pin",
    "plan_of",
    "profile_of",
    "ready",
    "seen",
    "steps_of",
    "turn_of",
]


def seen(step: dict[str, Any], view: View) -> dict[str, Any]:
    """One step of a feed row or an order, as this view reads it."""
    return said(seen_step(step, view))


async def steps_of(tx: Tx, visit_id: UUID, view: View) -> list[dict[str, Any]]:
    """The steps this view may know of, in the order they were ordered.

    ``planned`` is the place of an open examination in the order advised (0 first; None: it has none), ``because`` the
    sentence why, for the patient's side and staff; ``door`` the code of its department; ``minutes``: from one patient
    to the next there; ``asks``: a nurse has to look at it before. ``window`` is its appointment and ``move`` how it
    stands with moving it (``guide.service.moving``), for the patient's side.
    """
    ordered = await orders.orders_of(tx, visit_id)
    book = await _book(tx, visit_id)
    put = await placing(tx, visit_id, view, ordered)
    found = []
    for order in ordered:
        if view.shows(Audience.STEPS, order.category):
            step = seen(orders.step_payload(order)["step"], view)
            key = str(step["id"])
            plan: dict[str, Any] = {
                "planned": put.place.get(key),
                "because": put.because.get(key),
                "plan_note": put.note,
            }
            plan["door"] = order.department
            plan["minutes"] = turns.each_minutes(order, book)
            plan["asks"] = key in put.asks
            plan["move"] = await moving.state_of(tx, order, put.in_the_way.get(key)) if view.owner else None
            plan["window"] = moving.window_of(order) if view.owner else None
            found.append(step | plan)
    return [dict(step) for step in in_order(found)]


async def _book(tx: Tx, visit_id: UUID) -> Book:
    visit = await reading.visit_of(tx, visit_id)
    return await book_of(tx, visit.hospital_id) if visit is not None else Book()


def plan_of(steps: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
    """Of steps as ``steps_of`` gives them: those whose order is advised, in that order, and what is not known of it."""
    found = [s for s in steps if s["planned"] is not None or s["because"]]
    found.sort(key=lambda s: (s["planned"] is None, s["planned"] or 0, s["rank"]))
    return (found, steps[0]["plan_note"]) if len(found) > 1 else ([s for s in found if s["because"]], None)
