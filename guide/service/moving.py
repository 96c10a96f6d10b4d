"""An appointment that is in the way of the day: whether to offer that the hospital is asked for another time."""

from datetime import datetime, timedelta
from uuid import UUID

from guide.service.ordering import placing
from kernel.db import Tx
from people.rules import OWNER, Actor
from visits.rules import OrderState
from visits.service import moves, orders
from visits.service.orders import Order

__all__ = ["ASK", "ask", "state_of", "window_of"]

ASK = "ask"
"""It may be asked for; else a word of ``visits.service.moves.Asked``."""
_STEP = timedelta(minutes=5)


async def ask(tx: Tx, actor: Actor, visit_id: UUID, order_id: UUID) -> None:
    """Ask for another time, from when the plan would have her there.

    Raises:
        As ``visits.service.moves.ask``.
    """
    found = await orders.orders_of(tx, visit_id)
    # What is wished for is worked out for her own side; who else asks is refused before anything is said.
    put = await placing(tx, visit_id, OWNER, found)
    wanted = put.in_the_way.get(str(order_id))
    await moves.ask(tx, actor, visit_id, order_id, _up(wanted) if wanted is not None else None)


async def state_of(tx: Tx, order: Order, better: datetime | None) -> str | None:
    """``ASK`` where the appointment is in the way and nobody has asked; else what became of the question.

    Args:
        better: from when another time would suit, if this one is in the way.
    """
    if order.window_from is None or order.state != OrderState.PLACED or order.called:
        return None
    asked = await moves.asked_of(tx, order)
    return asked.value if asked is not None else ASK if better is not None else None


def window_of(order: Order) -> tuple[datetime, datetime] | None:
    """The appointment of an open order."""
    if order.window_from is None or order.window_until is None or order.state != OrderState.PLACED:
        return None
    return order.window_from, order.window_until


def _up(moment: datetime) -> datetime:
    """Up to full five minutes: nobody books 10:43."""
    over = timedelta(minutes=moment.minute % 5, seconds=moment.second, microseconds=moment.microsecond)
    return moment + (_STEP - over if over else timedelta())
