"""Asking the hospital for another time of an examination that is booked; until it says a new one, the old one holds."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kernel.db import Tx
from kernel.errors import HoufuError, Kind, NotFoundError
from notices.service import lock
from people.rules import Action, Actor
from people.service import access
from visits.events import HisAnswered
from visits.models import HisCall, Order, Visit
from visits.rules import CallState, OrderGoneError, OrderState
from visits.service.calls import tell
from visits.service.orders import announce, order_by_id
from visits.service.subjects import subject_of

__all__ = ["Asked", "NotMovableError", "answered", "ask", "asked_of"]

MOVE = "move"


class NotMovableError(HoufuError):
    """There is no appointment to move, or she has reported for it already."""

    code = "appointment_not_movable"
    kind = Kind.CONFLICT


class Asked(StrEnum):
    """How the question about one window stands; a new window is a new question."""

    ASKED = "asked"
    AGREED = "agreed"  # the hospital is going to say the new time
    REFUSED = "refused"


def _key(order: Order) -> str | None:
    """One question for each window: pressed twice, by whomever, it is asked once."""
    begins = order.window_from
    return None if begins is None else f"{MOVE}:{order.id.hex}:{int(begins.timestamp())}"


async def ask(tx: Tx, actor: Actor, visit_id: UUID, order_id: UUID, wanted: datetime | None) -> None:
    """Ask the HIS to move the appointment of an open order; asked again for the same window it changes nothing.

    Args:
        wanted: from when another would suit; None: the hospital chooses.

    Raises:
        NotFoundError: no such order in this visit, or not the caller's.
        ForbiddenError: a relative who only looks.
        OrderGoneError: it is done or given up.
        NotMovableError: nothing is booked, or she has reported there.
    """
    visit = await tx.get(Visit, visit_id)
    if visit is None:
        raise NotFoundError
    # Before the order is looked up: a no must not tell whether there is one.
    await access.require(tx, actor, Action.ASK_GUIDE, subject_of(visit))
    order = await order_by_id(tx, order_id)
    if order is None or order.visit_id != visit_id:
        raise NotFoundError
    await lock(tx, visit.id)
    await tx.session.refresh(order)
    if order.state not in (OrderState.PLACED, OrderState.CHECKED_IN):
        raise OrderGoneError(state=order.state)
    key = _key(order)
    if key is None or order.window_from is None or order.window_until is None:
        raise NotMovableError
    if order.state == OrderState.CHECKED_IN or order.called:
        raise NotMovableError
    data = {
        "order_no": order.number,
        "from": order.window_from.isoformat(),
        "until": order.window_until.isoformat(),
    } | ({"wanted_from": wanted.isoformat()} if wanted is not None else {})
    if await tx.get(HisCall, key) is None:
        await tell(tx, visit, "move", key, data)
        await announce(tx, order)


async def asked_of(tx: Tx, order: Order) -> Asked | None:
    """Whether the hospital was asked to move this window, and what it said."""
    key = _key(order)
    call = await tx.get(HisCall, key) if key is not None else None
    if call is None:
        return None
    if call.state == CallState.PENDING:
        return Asked.ASKED
    return Asked.AGREED if call.state == CallState.DONE else Asked.REFUSED


async def answered(tx: Tx, event: HisAnswered) -> None:
    """Subscriber: open pages show what the hospital said; the new window itself comes as the order said again."""
    if event.kind != MOVE:
        return
    order = await order_by_id(tx, UUID(event.key.split(":")[1]))
    if order is not None:
        await lock(tx, order.visit_id)
        await announce(tx, order)
