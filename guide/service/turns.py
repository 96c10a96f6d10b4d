"""When it is time to set out: about ten minutes before it is her turn, and as much earlier as she walks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy import select

from guide.models import TurnTold
from guide.order.today import Book
from guide.service import whereabouts
from guide.service.books import book_of
from guide.service.lots import MOST, lots
from guide.service.walking import hold, profile_of, walking_of
from kernel.clock import china_day
from kernel.db import Tx
from notices.service import append, lock
from people.rules import Audience
from visits.rules import OPEN_ORDER, OrderState
from visits.service import orders, reading
from visits.service.encounters import Visit
from visits.service.orders import Been, Order

__all__ = ["Near", "due", "each_minutes", "near", "tell"]

FARTHEST = 30  # minutes; no way within a hospital is longer


@dataclass(frozen=True, slots=True)
class Near:
    """In about how many minutes it is her turn, how many she walks there, and whether she should set out by now."""

    minutes: int
    walk: int
    now: bool


async def near(tx: Tx, visit: Visit, order: Order) -> Near | None:
    """When this order's turn is, by its appointment, or by who waits there and what each takes by the hospital's file.

    It is reckoned from nothing but what everybody may know who may know of this order.

    Returns:
        None where nobody can say: no word of the queue, or an old one, or no minutes in the hospital's file.
    """
    return await _near(tx, visit, order, None)


async def _near(tx: Tx, visit: Visit, order: Order, known: "_Known | None") -> Near | None:
    if order.state not in OPEN_ORDER or order.called or visit.day != china_day(tx.now):
        return None
    book = await book_of(tx, visit.hospital_id)
    begins, soon = _begins(tx, book, order), book.numbers.soon_minutes
    if begins is None:
        return None
    minutes = max(0.0, (begins - tx.now).total_seconds() / 60)
    # How many rooms call nobody tells: while one has not seen how fast it goes, one before her is soon.
    pace = orders.pace(order)
    next_ = order.ahead is not None and order.ahead <= 1 and order.window_from is None
    unsure = next_ and (pace is None or not pace.sure)
    if minutes > soon + FARTHEST and not unsure:  # nobody need know how far it is
        return Near(ceil(minutes), 0, now=False)
    walk = min(await _walk(tx, visit, order, known or await _known(tx, [visit.id])), FARTHEST)
    return Near(ceil(minutes), walk, unsure or minutes <= soon + walk)


def _begins(tx: Tx, book: Book, order: Order) -> datetime | None:
    queue, each = order.queue_at, each_minutes(order, book)
    fresh = queue is not None and tx.now - queue <= timedelta(minutes=book.numbers.queue_minutes)
    waits = None
    known = book.exam_of(order.name, order.department) is not None  # of others she is told when two are before her
    if known and each is not None and order.ahead is not None and queue is not None and fresh:
        waits = queue + timedelta(minutes=each * order.ahead)
    # Whoever has an appointment is taken when it has come, and not before.
    return max(waits, order.window_from) if waits and order.window_from else waits or order.window_from


def each_minutes(order: Order, book: Book) -> float | None:
    """Minutes from one patient to the next at this door: as the queue moves, else as the hospital's file says.

    A few served say little: then the shorter of the two counts, for a missed call costs more than a wait.
    """
    exam, pace = book.exam_of(order.name, order.department), orders.pace(order)
    by_file = exam.minutes if exam is not None else None
    if pace is None or by_file is None or pace.sure:
        return pace.each if pace is not None else by_file
    return min(pace.each, by_file)


async def _walk(tx: Tx, visit: Visit, order: Order, known: "_Known") -> int:
    """Minutes from where she reported or was done last with what is known to all who may know of this order."""
    if order.state == OrderState.CHECKED_IN:
        return 0
    open_to_all = {None, order.category}
    start = whereabouts.last_door([b for b in known.been.get(visit.id, ()) if b.category in open_to_all])
    came = [door for door, category in known.came.get(visit.id, ()) if category in open_to_all]
    book = await book_of(tx, visit.hospital_id)
    ways = await walking_of(tx, visit.hospital_id, book, await profile_of(tx, visit))
    return ceil(ways.walking_seconds(start or (came[0] if came else ""), order.department) / 60)


@dataclass(frozen=True, slots=True)
class _Known:
    """Visit → the doors where she has been, and those she came to."""

    been: Mapping[UUID, Sequence[Been]]
    came: Mapping[UUID, Sequence[tuple[str, str | None]]]


async def _known(tx: Tx, visit_ids: Collection[UUID]) -> _Known:
    return _Known(await orders.been_of(tx, visit_ids), await reading.departments_of(tx, visit_ids))


async def due(tx: Tx) -> list[UUID]:
    """Orders whose turn is near and of which nobody was told: the visits' turns are taken one by one.

    Many visits are asked for at once, and between two such lots others work.
    """
    found = []
    async for some in lots(await orders.visits_with_open(tx, MOST)):
        waiting = [o for o in await orders.open_of(tx, some) if not o.called and _has_a_word(o)]
        told = await _told(tx, [o.id for o in waiting])
        waiting = [o for o in waiting if o.id not in told]
        of = {o.visit_id for o in waiting}
        await hold(tx, of)
        known = await _known(tx, of)
        for order in waiting:
            visit = await reading.visit_of(tx, order.visit_id)
            one = await _near(tx, visit, order, known) if visit is not None else None
            if one is not None and one.now:
                found.append(order.id)
    return found


def _has_a_word(order: Order) -> bool:
    return order.ahead is not None or order.window_from is not None


async def _told(tx: Tx, orders_: Sequence[UUID]) -> set[UUID]:
    return set(await tx.session.scalars(select(TurnTold.order_id).where(TurnTold.order_id.in_(orders_))))


async def tell(tx: Tx, order_id: UUID) -> bool:
    """Write to the visit's feed that its turn is near, once for each order; returns whether it was written now.

    The row is for whoever may know of the step; how long she walks is hers and not in it.
    """
    order = await orders.order_by_id(tx, order_id)
    if order is None:
        return False
    await lock(tx, order.visit_id)
    await tx.session.refresh(order)
    visit = await reading.visit_of(tx, order.visit_id)
    one = await near(tx, visit, order) if visit is not None else None
    if one is None or not one.now or await tx.get(TurnTold, order_id) is not None:
        return False
    tx.add(TurnTold(order_id=order_id, at=tx.now))
    said = {"id": str(order.id), "name": order.name, "place": order.place, "minutes": one.minutes}
    await append(tx, order.visit_id, "soon", {"soon": said}, audience=Audience.STEPS, category=order.category)
    return True
