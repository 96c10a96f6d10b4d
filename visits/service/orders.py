"""Orders are the steps of a visit: placed by a doctor, checked in, performed or given up, with a report at the end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx, one_of
from kernel.errors import NotFoundError
from kernel.ids import derive, token
from notices.service import append, lock, next_rank
from people.rules import Actor, Audience
from people.service import access, hospitals
from people.service.hospitals import Department, Hospital
from visits.events import OrderCheckedIn, OrderGone, OrderPerformed, OrderPlaced, ResultReady
from visits.models import Encounter, Visit
from visits.models import Order as Order
from visits.rules import (
    GONE_ORDER,
    OPEN_ORDER,
    ORDER,
    PACE_FROM,
    RESULT,
    OrderGoneError,
    OrderState,
    Pace,
    ResultState,
    VisitState,
    pace_of,
)
from visits.service.calls import tell
from visits.service.subjects import subject_of


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order as the HIS told it; ``category`` empty takes the performing department's, or the encounter's."""

    number: str
    encounter_id: UUID
    kind: str
    name: str
    department: str
    place: str | None
    preparation: Sequence[str]
    note: str | None
    category: str | None
    ordered_by: str | None
    ordered_at: datetime
    sequence: int
    window: tuple[datetime, datetime] | None = None  # an appointment, where there is one


def order_id(hospital_id: UUID, number: str) -> UUID:
    """The id of an order by the HIS's number."""
    return derive(hospital_id, "order", number)


async def place(tx: Tx, hospital: Hospital, visit: Visit, fact: OrderFact) -> Order:
    """Take an order, or its newer details; what was performed or given up keeps its state."""
    feed = await lock(tx, visit.id)
    department = await hospitals.department(tx, hospital.id, fact.department)
    order = await tx.get(Order, order_id(hospital.id, fact.number))
    if order is None:
        ORDER.move(None, OrderState.PLACED)
        order = tx.add(
            Order(
                id=order_id(hospital.id, fact.number),
                visit_id=visit.id,
                encounter_id=fact.encounter_id,
                number=fact.number,
                state=OrderState.PLACED,
                result_state=ResultState.PENDING,
                called=False,
                covers_all=False,
                paper_code=token(12),
                sequence=-1,
                rank=0,
            )
        )
        await _describe(tx, order, fact, department)
        order.rank = next_rank(tx, feed, order.category)
        await announce(tx, order)
        await tx.emit(OrderPlaced(order.id, visit.id))
    elif fact.sequence > order.sequence:
        await _describe(tx, order, fact, department)
        await announce(tx, order)
    return order


async def _describe(tx: Tx, order: Order, fact: OrderFact, department: Department | None) -> None:
    order.kind, order.name, order.department = fact.kind, fact.name, fact.department
    order.department_name = department.name if department else fact.department
    order.place = fact.place or (department.place if department else "")
    order.preparation = [p for p in fact.preparation if p != "none"]
    order.note = fact.note
    encounter = await tx.get(Encounter, fact.encounter_id)
    inherited = encounter.category if encounter else None  # a gynaecologist's blood test is hers, whoever draws it
    order.category = fact.category or (department.sensitive if department else None) or inherited
    order.ordered_by, order.ordered_at = fact.ordered_by, fact.ordered_at
    order.window_from, order.window_until = fact.window or (None, None)
    order.sequence = fact.sequence


async def perform(tx: Tx, order: Order, *, by: str | None, where: str, at: datetime, covers_all: bool) -> None:
    """The performing department confirms; its word stands above a crossing cancel; repeated, it changes nothing.

    Args:
        covers_all: it covers every charge of the order, also those written later.
    """
    await lock(tx, order.visit_id)
    order.covers_all = order.covers_all or covers_all
    first = order.state != OrderState.PERFORMED
    if first:
        ORDER.move(OrderState(order.state), OrderState.PERFORMED)
        order.state, order.performed_at, order.performed_by, order.performed_where = OrderState.PERFORMED, at, by, where
        order.gone_at, order.called, order.ahead = None, False, None
        await announce(tx, order)
    if first or covers_all:
        await tx.emit(OrderPerformed(order.id, order.visit_id))


async def cancel(tx: Tx, order: Order, at: datetime) -> None:
    """The doctor takes the order back; one already performed stays performed."""
    await lock(tx, order.visit_id)
    if order.state in (OrderState.PERFORMED, OrderState.CANCELLED):
        return
    ORDER.move(OrderState(order.state), OrderState.CANCELLED)
    order.state, order.gone_at = OrderState.CANCELLED, at
    await announce(tx, order)
    await tx.emit(OrderGone(order.id, order.visit_id))


async def abandon(tx: Tx, actor: Actor, identity: UUID) -> Order:
    """The patient's side gives an open order up (放弃项目): it leaves the bill at once, and the HIS is told.

    Raises:
        NotFoundError: no such order, or not the caller's.
        OrderGoneError: it was performed or given up already.
    """
    order = await tx.get(Order, identity)
    visit = await tx.get(Visit, order.visit_id) if order else None
    if order is None or visit is None:
        raise NotFoundError
    await access.require(tx, actor, access.Action.ABANDON, subject_of(visit))
    await lock(tx, visit.id)
    await tx.session.refresh(order)
    if order.state not in OPEN_ORDER:
        raise OrderGoneError(state=order.state)
    await give_up(tx, visit, order)
    return order


async def give_up(tx: Tx, visit: Visit, order: Order) -> None:
    """Give an open order up; the caller has checked that it may."""
    ORDER.move(OrderState(order.state), OrderState.ABANDONED)
    order.state, order.gone_at = OrderState.ABANDONED, tx.now
    await tell(tx, visit, "abandon", f"abandon:{order.id.hex}", {"order_no": order.number})
    await announce(tx, order)
    await tx.emit(OrderGone(order.id, visit.id))


async def check_in(tx: Tx, order: Order, at: datetime) -> bool:
    """The patient reports at the department (报到). Returns False when she had done so before.

    Raises:
        OrderGoneError: the order is no longer open.
    """
    await lock(tx, order.visit_id)
    await tx.session.refresh(order)
    if order.state == OrderState.CHECKED_IN:
        return False
    if order.state not in OPEN_ORDER:
        raise OrderGoneError(state=order.state)
    ORDER.move(OrderState(order.state), OrderState.CHECKED_IN)
    order.state, order.checked_in_at = OrderState.CHECKED_IN, at
    await announce(tx, order)
    await tx.emit(OrderCheckedIn(order.id, order.visit_id))
    return True


async def queue_moved(tx: Tx, order: Order, *, ahead: int, called: bool, room: str | None, at: datetime) -> bool:
    """The queue before an open order moved; a word older than the last, or after the order, is dropped.

    Returns: whether it was news.
    """
    await lock(tx, order.visit_id)
    if order.state not in OPEN_ORDER or (order.queue_at is not None and at <= order.queue_at):
        return False
    # The pace is seen from one word to a later one; one who was put back, or a queue of this morning, begins anew.
    back = order.pace_ahead is None or ahead > order.pace_ahead
    if order.pace_at is None or back:
        order.pace_ahead, order.pace_at = ahead, at
    elif at - order.pace_at > PACE_FROM:
        order.pace_ahead, order.pace_at = order.ahead, order.queue_at
    order.queue_at, order.ahead, order.called, order.room = at, ahead, called, room
    await announce(tx, order)
    return True


def pace(order: Order) -> Pace | None:
    """How the queue before an order moves, as far as the hospital's words tell."""
    before = (order.pace_ahead, order.pace_at) if order.pace_ahead is not None and order.pace_at is not None else None
    now = (order.ahead, order.queue_at) if order.ahead is not None and order.queue_at is not None else None
    return pace_of(before, now)


async def result_ready(
    tx: Tx, order: Order, *, state: ResultState, flag: str, summary: str | None, at: datetime
) -> bool:
    """A report came; a stage that was passed already is dropped. Returns whether it was news."""
    await lock(tx, order.visit_id)
    if order.result_state == state and state is not ResultState.AMENDED:
        return False
    if not RESULT.allows(ResultState(order.result_state), state):
        return False
    order.result_state, order.result_flag, order.result_at = state, flag, at
    if summary is not None:
        order.result_sealed = tx.vault.seal(summary, "order", "result_sealed", order.id)
    # Whoever does not see results must not notice this row either: it asks for the depth of results.
    await append(tx, order.visit_id, "step", step_payload(order), audience=Audience.RESULTS, category=order.category)
    await tx.emit(ResultReady(order.id, order.visit_id))
    return True


async def announce(tx: Tx, order: Order) -> None:
    """Write the step's state to the visit's feed."""
    await append(tx, order.visit_id, "step", step_payload(order), audience=Audience.STEPS, category=order.category)


def step_payload(order: Order) -> dict[str, Any]:
    """A step as the feed carries it, for a viewer who may see everything."""
    return {
        "step": {
            "id": str(order.id),
            "kind": order.kind,
            "name": order.name,
            "department": order.department_name,
            "place": order.place,
            "state": shown_state(order),
            "preparation": list(order.preparation),
            "note": order.note,
            "ahead": order.ahead,
            "queue_at": order.queue_at.isoformat() if order.queue_at else None,
            "room": order.room,
            "result_flag": order.result_flag,
            "at": _last_moment(order).isoformat(),
            "rank": order.rank,
            "category": order.category,
        }
    }


def shown_state(order: Order) -> str:
    """placed, called, checked_in, performed, result or cancelled: the word a page draws."""
    if order.state in GONE_ORDER:
        return "cancelled"
    if order.state == OrderState.PERFORMED:
        return "result" if order.result_state in (ResultState.FINAL, ResultState.AMENDED) else "performed"
    return "called" if order.called else str(order.state)


def _last_moment(order: Order) -> datetime:
    # Not the result's time: the step must look the same to those who do not see results.
    called = order.queue_at if order.called else None
    known = (order.gone_at, order.performed_at, called, order.checked_in_at)
    return next((moment for moment in known if moment is not None), order.ordered_at)


async def orders_of(tx: Tx, visit_id: UUID) -> list[Order]:
    """The orders of a visit in the order they were placed."""
    return list(await tx.session.scalars(select(Order).where(Order.visit_id == visit_id).order_by(Order.rank)))


async def visits_with_open(tx: Tx, limit: int) -> list[UUID]:
    """Open visits everywhere in which something is still to be done: for whoever plans the way of all of them."""
    query = (
        select(Order.visit_id)
        .join(Visit, Visit.id == Order.visit_id)
        .where(Order.state.in_(OPEN_ORDER), Visit.state == VisitState.OPEN)
        .distinct()
        .order_by(Order.visit_id)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def open_of(tx: Tx, visit_ids: Collection[UUID]) -> list[Order]:
    """What is still to be done in these visits, by visit, in the order it was placed."""
    query = select(Order).where(one_of(Order.visit_id, visit_ids), Order.state.in_(OPEN_ORDER))
    return list(await tx.session.scalars(query.order_by(Order.visit_id, Order.rank)))


@dataclass(frozen=True, slots=True)
class Been:
    """A door at which a patient reported or was done; ``category`` of the order she was there for."""

    department: str
    category: str | None
    checked_in_at: datetime | None
    performed_at: datetime | None


async def been_of(tx: Tx, visit_ids: Collection[UUID]) -> dict[UUID, list[Been]]:
    """Visit → the doors where its patient has been, of many visits in one question."""
    query = select(Order.visit_id, Order.department, Order.category, Order.checked_in_at, Order.performed_at).where(
        one_of(Order.visit_id, visit_ids), Order.checked_in_at.is_not(None) | Order.performed_at.is_not(None)
    )
    found: dict[UUID, list[Been]] = {}
    for row in await tx.session.execute(query):
        been = Been(row.department, row.category, row.checked_in_at, row.performed_at)
        found.setdefault(row.visit_id, []).append(been)
    return found


async def order_by_id(tx: Tx, identity: UUID) -> Order | None:
    """One order; the caller checks whose it is."""
    return await tx.get(Order, identity)


async def by_paper_code(tx: Tx, code: str) -> Order | None:
    """The order a printed QR names; the code alone entitles to nothing."""
    return (await tx.session.scalars(select(Order).where(Order.paper_code == code))).one_or_none()


async def open_of_department(tx: Tx, hospital_id: UUID, department: str, limit: int = 300) -> list[Order]:
    """Open orders a department is to perform, oldest first."""
    query = (
        select(Order)
        .join(Visit, Visit.id == Order.visit_id)
        .where(Visit.hospital_id == hospital_id, Order.department == department, Order.state.in_(OPEN_ORDER))
        .order_by(Order.checked_in_at.nulls_last(), Order.ordered_at)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))
