"""One statement of the HIS becomes facts of visits and billing; what it refers to is known to be there."""

from datetime import date
from typing import Any
from uuid import UUID

from billing.service import lines
from billing.service.lines import ChargeItem
from intake.rules import (
    BookingChanged,
    ChargeCreated,
    ChargeReversed,
    ChargeSettled,
    EncounterFinished,
    EncounterStarted,
    ExecutionConfirmed,
    Item,
    OrderCancelled,
    OrderPlaced,
    OtherPatientError,
    OtherVisitError,
    QueueMoved,
    ResultReady,
    VisitExcluded,
)
from kernel.db import Tx
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from visits.rules import ModeChange, PaymentMode, ResultState
from visits.service import booking_calls, encounters, orders
from visits.service.encounters import Encounter, Visit
from visits.service.orders import Order


async def apply(tx: Tx, hospital: Hospital, item: Item) -> bool:  # noqa: C901 - one flat table of what may be said
    """Make the facts of one statement; returns False when it told nothing new (older than what is known).

    Raises:
        OtherVisitError: it names an order or charge of another visit.
        OtherPatientError: it starts a known encounter with another patient.
    """
    data: Any = item.data
    if isinstance(data, EncounterStarted):
        return await _started(tx, hospital, item, data)
    if isinstance(data, BookingChanged):
        return await _booking(tx, hospital, item, data)
    visit = await _visit(tx, hospital, item)
    match data:
        case EncounterFinished():
            await encounters.finish(tx, hospital, item.subject, data.finished_at)
        case OrderPlaced():
            return await _placed(tx, hospital, visit, item, data)
        case OrderCancelled():
            await orders.cancel(tx, await _order(tx, hospital, visit, data.order_no), data.at)
        case ChargeCreated():
            return await _charged(tx, hospital, visit, item, data)
        case ChargeReversed():
            await lines.reverse(tx, visit, await _charge(tx, hospital, visit, data.charge_no), data.at)
        case ChargeSettled():
            charge = await _charge(tx, hospital, visit, data.charge_no)
            return await lines.settled_elsewhere(
                tx, visit, charge, paid_fen=data.amount_fen, where=data.where, reference=data.reference, at=data.at
            )
        case ExecutionConfirmed():
            await _confirmed(tx, hospital, visit, data)
        case ResultReady():
            order = await _order(tx, hospital, visit, data.order_no)
            state = ResultState(data.status)
            return await orders.result_ready(tx, order, state=state, flag=data.flag, summary=data.summary, at=data.at)
        case QueueMoved():
            order = await _order(tx, hospital, visit, data.order_no)
            return await orders.queue_moved(tx, order, ahead=data.ahead, called=data.called, room=data.room, at=data.at)
        case VisitExcluded():
            await _excluded(tx, hospital, visit, data)
        case _:
            raise TypeError(f"no facts in {item.type}")
    return True


async def _visit(tx: Tx, hospital: Hospital, item: Item) -> Visit:
    encounter = await tx.get(Encounter, encounters.encounter_id(hospital.id, item.subject))
    visit = await tx.get(Visit, encounter.visit_id) if encounter else None
    if visit is None:
        raise LookupError("the encounter is not known")
    return visit


async def _order(tx: Tx, hospital: Hospital, visit: Visit, number: str) -> Order:
    order = await tx.get(Order, orders.order_id(hospital.id, number))
    if order is None:
        raise LookupError("the order is not known")
    if order.visit_id != visit.id:
        raise OtherVisitError
    return order


async def _charge(tx: Tx, hospital: Hospital, visit: Visit, number: str) -> ChargeItem:
    charge = await tx.get(ChargeItem, lines.charge_id(hospital.id, number))
    if charge is None:
        raise LookupError("the charge is not known")
    if charge.visit_id != visit.id:
        raise OtherVisitError
    return charge


async def _started(tx: Tx, hospital: Hospital, item: Item, data: EncounterStarted) -> bool:
    known = await tx.get(Encounter, encounters.encounter_id(hospital.id, item.subject))
    if known is not None and item.sequence <= known.sequence:
        return False
    who = data.patient
    fact = patients.PatientFact(
        number=who.no,
        name=who.name,
        id_number=who.id_number,
        phone=who.phone,
        birth_date=date.fromisoformat(who.birth_date) if who.birth_date else None,
        sex=who.sex,
    )
    visit = await tx.get(Visit, known.visit_id) if known is not None else None
    if visit is not None:
        same = await patients.known_number(tx, hospital.id, who.no)
        if same is None or same.id != visit.patient_id:
            raise OtherPatientError
    person = await patients.known(tx, hospital.id, fact)
    if known is not None:
        if visit is not None:
            await encounters.renew(tx, visit, known, _encounter_fact(item, data, visit))
            await _begun(tx, hospital, visit, known.id, data)
        return True
    started = encounters.EncounterFact(
        number=item.subject,
        patient_id=person.id,
        klass=data.klass,
        department=data.department,
        doctor=data.doctor,
        insurance_status=data.insurance.status,
        insurance_scheme=data.insurance.scheme,
        started_at=data.started_at,
        sequence=item.sequence,
    )
    visit = await encounters.start(tx, hospital, started)
    await _begun(tx, hospital, visit, encounters.encounter_id(hospital.id, item.subject), data)
    return True


async def _begun(tx: Tx, hospital: Hospital, visit: Visit, encounter: UUID, data: EncounterStarted) -> None:
    booking = await booking_calls.find(tx, hospital.id, data.booking) if data.booking else None
    if booking is not None:
        await tx.session.flush()
        await booking_calls.begun(tx, booking, visit.patient_id, visit.id, encounter, data.started_at)


async def _booking(tx: Tx, hospital: Hospital, item: Item, data: BookingChanged) -> bool:
    booking = await booking_calls.find(tx, hospital.id, item.subject)
    if booking is None:
        raise LookupError("the booking is not known")
    told = booking_calls.Change(
        data.change, item.sequence, data.slot, data.doctor, data.begins, data.until, data.number, data.reason
    )
    return await booking_calls.change(tx, booking, told)


def _encounter_fact(item: Item, data: EncounterStarted, visit: Visit) -> encounters.EncounterFact:
    return encounters.EncounterFact(
        number=item.subject,
        patient_id=visit.patient_id,
        klass=data.klass,
        department=data.department,
        doctor=data.doctor,
        insurance_status=data.insurance.status,
        insurance_scheme=data.insurance.scheme,
        started_at=data.started_at,
        sequence=item.sequence,
    )


async def _placed(tx: Tx, hospital: Hospital, visit: Visit, item: Item, data: OrderPlaced) -> bool:
    known = await tx.get(Order, orders.order_id(hospital.id, data.order_no))
    if known is not None and known.visit_id != visit.id:
        raise OtherVisitError
    if known is not None and item.sequence <= known.sequence:
        return False
    fact = orders.OrderFact(
        number=data.order_no,
        encounter_id=encounters.encounter_id(hospital.id, item.subject),
        kind=data.kind,
        name=data.name,
        department=data.department,
        place=data.place,
        preparation=data.preparation or [],
        note=data.note,
        category=data.category,
        ordered_by=data.ordered_by,
        ordered_at=data.ordered_at,
        sequence=item.sequence,
        window=(data.appointment.begins, data.appointment.until) if data.appointment else None,
    )
    await orders.place(tx, hospital, visit, fact)
    return True


async def _charged(tx: Tx, hospital: Hospital, visit: Visit, item: Item, data: ChargeCreated) -> bool:
    known = await tx.get(ChargeItem, lines.charge_id(hospital.id, data.charge_no))
    if known is not None and known.visit_id != visit.id:
        raise OtherVisitError
    if data.order_no is not None:
        await _order(tx, hospital, visit, data.order_no)
    encounter = await tx.get(Encounter, encounters.encounter_id(hospital.id, item.subject))
    category = encounter.category if encounter else None
    return await lines.record(tx, hospital, visit, _charge_fact(hospital, data, category))


def _charge_fact(hospital: Hospital, data: ChargeCreated, category: str | None) -> lines.ChargeFact:
    return lines.ChargeFact(
        number=data.charge_no,
        order_id=orders.order_id(hospital.id, data.order_no) if data.order_no else None,
        item_code=data.item_code,
        name=data.name,
        quantity=str(data.quantity),
        unit_price_fen=data.unit_price_fen,
        amount_fen=data.amount_fen,
        fund_fen=data.split.fund_fen,
        account_fen=data.split.account_fen,
        self_fen=data.split.self_fen,
        insurance_class=data.insurance_class,
        created_at=data.created_at,
        category=category,
    )


async def _confirmed(tx: Tx, hospital: Hospital, visit: Visit, data: ExecutionConfirmed) -> None:
    department = await hospitals.department(tx, hospital.id, data.department)
    where = department.name if department else data.department
    # Looked up before anything is done: what is refused in the middle of a snapshot leaves nothing half.
    named = [await _charge(tx, hospital, visit, number) for number in data.charge_nos or ()]
    if data.order_no is not None:
        order = await _order(tx, hospital, visit, data.order_no)
        await orders.perform(tx, order, by=data.by, where=where, at=data.at, covers_all=data.charge_nos is None)
    for charge in named:
        await lines.confirm(tx, visit, charge, data.by, where, data.at)


async def _excluded(tx: Tx, hospital: Hospital, visit: Visit, data: VisitExcluded) -> None:
    if data.charge_no is not None:
        await lines.exclude_line(tx, visit, await _charge(tx, hospital, visit, data.charge_no))
    elif visit.mode == PaymentMode.DEFERRED or visit.mode_reason != ModeChange.EXCLUDED:
        await encounters.exclude(tx, visit, data.reason, his_knows=True)
