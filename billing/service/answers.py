"""What the patient can say to a bill: I did not have this; I am leaving now. And what staff answer."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from billing.events import DisputeAnswered, LineDisputed
from billing.models import ChargeItem
from billing.models import Dispute as Dispute
from billing.rules import ChargeState, NotDisputableError
from billing.service.lines import announce, check_settled, lines_of, move, take_back
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id
from notices.service import lock
from people.rules import Actor
from people.service import access, hospitals
from visits.rules import OPEN_ORDER
from visits.service import orders
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of


async def dispute(tx: Tx, actor: Actor, charge_id: UUID, reason: str) -> Dispute:
    """The patient's side says a line was never done: that line waits for an answer, the rest goes on.

    Raises:
        NotFoundError: no such line, or not the caller's.
        NotDisputableError: the line is not owed (any more), or is being paid.
    """
    visit, charge = await _line(tx, charge_id)
    await access.require(tx, actor, access.Action.DISPUTE, subject_of(visit))
    if charge.state != ChargeState.BILLABLE:
        raise NotDisputableError(state=charge.state)
    await move(tx, visit, charge, ChargeState.DISPUTED)
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    answer_by = tx.now + timedelta(hours=hospitals.settings_of(hospital).dispute_answer_hours)
    said = Dispute(
        id=new_id(), charge_id=charge.id, said_by=actor.id, reason=reason[:500], at=tx.now, answer_by=answer_by
    )
    tx.add(said)
    await announce(tx, visit, charge)
    await tx.emit(LineDisputed(charge.id, visit.id))
    return said


async def answer_dispute(tx: Tx, actor: Actor, dispute_id: UUID, *, upheld: bool) -> None:
    """Staff answer: upheld takes the line off the bill, otherwise it is owed again. A second answer changes nothing.

    Raises:
        NotFoundError: no such dispute in the caller's hospital.
    """
    said = await tx.get(Dispute, dispute_id)
    if said is None:
        raise NotFoundError
    visit, charge = await _line(tx, said.charge_id)
    if actor.hospital_id != visit.hospital_id:
        raise NotFoundError
    await tx.session.refresh(said)
    if said.answered_at is not None:
        return
    said.answered_at, said.answered_by, said.upheld = tx.now, actor.id, upheld
    if charge.state == ChargeState.DISPUTED:
        if upheld:
            charge.reversed_at = tx.now
            await take_back(tx, visit, charge)
        else:
            await move(tx, visit, charge, ChargeState.BILLABLE)
            await announce(tx, visit, charge)
        await check_settled(tx, visit)
    await tx.emit(DisputeAnswered(charge.id, visit.id, upheld))


async def disputes_open(tx: Tx, hospital_id: UUID, limit: int = 100) -> list[tuple[Dispute, ChargeItem, Visit]]:
    """Disputes waiting for an answer in a hospital, the most urgent first, with their line and visit."""
    query = (
        select(Dispute, ChargeItem, Visit)
        .join(ChargeItem, ChargeItem.id == Dispute.charge_id)
        .join(Visit, Visit.id == ChargeItem.visit_id)
        .where(Visit.hospital_id == hospital_id, Dispute.answered_at.is_(None))
        .order_by(Dispute.answer_by)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in await tx.session.execute(query)]


async def leave_now(tx: Tx, actor: Actor, visit_id: UUID) -> int:
    """The patient goes home: every order not yet done is given up, what is done stays to be paid.

    Returns: how many orders were given up.

    Raises:
        NotFoundError: no such visit, or not the caller's.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await access.require(tx, actor, access.Action.LEAVE, subject_of(visit))
    await lock(tx, visit.id)
    left = 0
    for order in await orders.orders_of(tx, visit.id):
        await tx.session.refresh(order)
        if order.state in OPEN_ORDER:
            await orders.give_up(tx, visit, order)
            left += 1
    return left


async def _line(tx: Tx, charge_id: UUID) -> tuple[Visit, ChargeItem]:
    charge = await tx.get(ChargeItem, charge_id)
    visit = await visit_of(tx, charge.visit_id) if charge else None
    if charge is None or visit is None:
        raise NotFoundError
    await lock(tx, visit.id)
    await tx.session.refresh(charge)
    await tx.session.refresh(visit)
    await lines_of(tx, visit.id)
    return visit, charge
