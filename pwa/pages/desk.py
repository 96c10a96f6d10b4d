"""The department's desk: a scanner, one list, what the hospital's system has not answered, what patients dispute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.desk import department_of, mark_of
from billing.rules import ChargeState
from billing.service import answers, lines
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from people.rules import Action, Actor, Role, role_may
from people.service import access, hospitals, patients, staff
from people.service.hospitals import Hospital
from pwa.answer import go, show
from pwa.desk_views import Desk, DeskDispute, DeskOrder, HisCall
from pwa.pages.desk_troubles import MENDS
from pwa.urls import Urls
from visits.rules import OPEN_ORDER, PaymentMode
from visits.service import calls, desk, orders, passes
from visits.service.encounters import Visit
from visits.service.orders import Order
from visits.service.passes import Scanned
from visits.service.reading import subject_of, visit_of
from words import errors
from words.desk import Desk as Words

router = APIRouter(include_in_schema=False)

Code = Annotated[str, Form(max_length=300)]
Short = Annotated[str, Form(max_length=40)]
_CHECKS_IN = (Role.DESK, Role.GUIDE)
_ANSWERS = (Role.DESK, Role.COUNTER, Role.FINANCE)


@dataclass(frozen=True, slots=True)
class Said:
    """What the last scan found, or why it was refused; ``code`` waits in the scan field."""

    scanned: Scanned | None = None
    error: str | None = None
    code: str = ""


NOTHING = Said()
_PAID = frozenset({ChargeState.PREPAID, ChargeState.SETTLED, ChargeState.SETTLED_ELSEWHERE})
_GONE = frozenset({ChargeState.ABORTED, ChargeState.REVERSED, ChargeState.REFUNDED})


async def _hospital(tx: Tx, caller: Actor) -> Hospital:
    if caller.hospital_id is None:
        raise NotFoundError
    return await hospitals.by_id(tx, caller.hospital_id)


async def _visit(tx: Tx, visit_id: UUID) -> Visit:
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    return visit


async def _order(tx: Tx, caller: Actor, order: Order, waiting: frozenset[UUID]) -> DeskOrder:
    visit = await _visit(tx, order.visit_id)
    patient = await patients.by_id(tx, visit.patient_id)
    own = [c for c in await lines.lines_of(tx, visit.id) if c.order_id == order.id]
    asked = [c for c in own if c.self_fen and c.state not in _GONE]
    mine = caller.role == Role.GUIDE or order.department == caller.department
    can = caller.role in _CHECKS_IN and order.state == "placed" and mine
    return DeskOrder(
        id=str(order.id),
        patient=patients.name_of(tx, patient),
        name=order.name,
        number=order.number,
        state=orders.shown_state(order),
        at=order.checked_in_at or order.ordered_at,
        action="check_in" if can else None,
        amount_fen=sum(c.amount_fen for c in own),
        paid=bool(asked) and all(c.state in _PAID for c in asked),
        deferred=visit.mode == PaymentMode.DEFERRED,
        pending_his=visit.id in waiting,
        sheet_url=Urls.sheet(str(visit.id)) if caller.role in (Role.GUIDE, Role.COUNTER) else None,
        url=Urls.desk_visit(str(visit.id)),
    )


async def _orders(tx: Tx, caller: Actor, hospital: Hospital, said: Said) -> Sequence[Order]:
    if said.scanned is not None:
        return said.scanned.orders
    department = department_of(caller)
    if department is None:
        return await desk.open_of_hospital(tx, hospital.id)
    return await desk.open_of_department(tx, hospital.id, department)


async def _disputes(tx: Tx, hospital: Hospital, caller: Actor) -> list[DeskDispute]:
    if caller.role not in _ANSWERS:
        return []
    found = []
    own = await hospitals.department(tx, hospital.id, caller.department or "") if caller.role == Role.DESK else None
    for said, charge, visit in await answers.disputes_open(tx, hospital.id):
        if caller.role == Role.DESK and (own is None or charge.department_name != own.name):
            continue
        patient = await patients.by_id(tx, visit.patient_id)
        name = patients.name_of(tx, patient)
        found.append(DeskDispute(str(said.id), name, charge.name, said.reason, charge.amount_fen, said.answer_by))
    return found


async def _page(request: Request, tx: Tx, caller: Actor, said: Said = NOTHING, status: int = 200) -> Response:
    hospital = await _hospital(tx, caller)
    mark = await mark_of(tx, caller, hospital.id)
    waiting = await calls.pending(tx, hospital.id)
    rows = await _orders(tx, caller, hospital, said)
    visits = {o.visit_id for o in rows}
    await lines.preload(tx, list(visits))
    behind = await calls.behind(tx, visits)
    department = await hospitals.department(tx, hospital.id, caller.department or "")
    found = None
    if said.scanned is not None:
        patient = await patients.by_id(tx, said.scanned.visit.patient_id)
        found = patients.name_of(tx, patient) + (f"（{Words.check_name}）" if said.scanned.check_name else "")
    checked = "、".join(o.name for o in said.scanned.checked_in) if said.scanned else ""
    view = Desk(
        hospital=hospital.name,
        department=department.name if department else Words.everywhere,
        staff=await staff.name_of(tx, caller.id),
        orders=[await _order(tx, caller, o, behind) for o in rows],
        calls=[HisCall(c.key, Words.calls_of.get(c.kind, c.kind), c.queued_at, c.tries) for c in waiting],
        stream_url=f"/api/desk/stream?after={quote(mark)}",
        found=found,
        error=said.error,
        done=Words.reported(checked) if checked else None,
        disputes=await _disputes(tx, hospital, caller),
        letters=caller.role == Role.DOCTOR,
        mends=caller.role in MENDS,
        cashier=caller.role is Role.COUNTER,
        code=said.code,
        found_url=Urls.desk_visit(str(said.scanned.visit.id)) if said.scanned else None,
        books=caller.role is Role.FINANCE,
        requeues=access.can_here(caller, Action.REQUEUE, hospital.id),
        framed=request.headers.get("sec-fetch-dest") == "iframe",
    )
    return await show(request, tx, "desk.html", view, status=status)


@router.get(Urls.desk)
async def page(
    request: Request, caller: StaffCaller, tx: TxDep, code: Annotated[str, Query(max_length=300)] = ""
) -> Response:
    """The list; a ``code`` scanned with another camera waits in the scan field, reported only when sent."""
    return await _page(request, tx, caller, Said(code=code))


@router.post(Urls.desk_scan)
async def scan(request: Request, caller: StaffCaller, world: WorldDep, tx: TxDep, code: Code = "") -> Response:
    """A pass, a printed order, or a number."""
    await tx.let_go()
    try:
        async with world.db.begin() as own:  # what a refused scan began is not kept
            scanned = await passes.scan(own, caller, code)
            return await _page(request, own, caller, Said(scanned))
    except HoufuError as error:
        said, status = errors.sentence(error.code, error.kind, **error.params), STATUS[error.kind]
    async with world.db.begin() as fresh:
        return await _page(request, fresh, caller, Said(error=said), status)


async def _act(tx: Tx, caller: Actor, order_id: UUID) -> None:
    order = await orders.order_by_id(tx, order_id)
    visit = await visit_of(tx, order.visit_id) if order else None
    if order is None or visit is None:
        raise NotFoundError
    await access.require(tx, caller, Action.CHECK_IN, subject_of(visit))
    if caller.role != Role.GUIDE and order.department != caller.department:
        raise passes.WrongDepartmentError
    if order.state in OPEN_ORDER:
        await orders.check_in(tx, order, tx.now)


@router.post("/desk/orders/{order_id}")
async def act(order_id: UUID, caller: StaffCaller, tx: TxDep, do: Short = "check_in") -> Response:
    """Report somebody who stands there without a code."""
    if do == "check_in":
        await _act(tx, caller, order_id)
    return go(Urls.desk)


@router.post("/desk/disputes/{dispute_id}")
async def answer(dispute_id: UUID, caller: StaffCaller, tx: TxDep, upheld: Short = "0") -> Response:
    """Tell the patient: it was not done and comes off, or it was done and stays."""
    if not role_may(Action.ANSWER_DISPUTE, caller.role):
        raise ForbiddenError
    hospital = await _hospital(tx, caller)
    found = next((d for d in await answers.disputes_open(tx, hospital.id) if d[0].id == dispute_id), None)
    if found is not None:
        await access.require(tx, caller, Action.ANSWER_DISPUTE, subject_of(found[2]))
        await answers.answer_dispute(tx, caller, dispute_id, upheld=upheld == "1")
    return go(Urls.desk)
