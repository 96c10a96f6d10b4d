"""What the hospital's system has refused or not answered, and payments that hang: what to do, and "try again"."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from payments.service import labels, refunds, rounds
from people.rules import Actor, Role
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from pwa.answer import go, show
from pwa.desk_views import DeskTroubles, StuckPayment, TroubledCall
from pwa.urls import Urls
from visits.service import calls
from visits.service.calls import HisCall
from visits.service.reading import visit_of
from words.desk import Desk as DeskWords
from words.desk import Troubles as Words

router = APIRouter(include_in_schema=False)

MENDS = (Role.COUNTER, Role.FINANCE)


async def _hospital(tx: Tx, caller: Actor) -> Hospital:
    if caller.hospital_id is None:
        raise NotFoundError
    if caller.role not in MENDS:
        raise ForbiddenError
    return await hospitals.by_id(tx, caller.hospital_id)


async def _call(tx: Tx, call: HisCall) -> TroubledCall:
    visit = await visit_of(tx, call.visit_id)
    patient = await patients.by_id(tx, visit.patient_id) if visit else None
    refused = call.state == "refused"
    return TroubledCall(
        key=call.key,
        what=DeskWords.calls_of.get(call.kind, call.kind),
        patient=patients.name_of(tx, patient) if patient else "",
        number=visit.number if visit else "",
        since=call.queued_at,
        tries=call.tries,
        refused=refused,
        todo=Words.todo(call.trouble or "") if refused else Words.waits,
        detail=call.trouble or "",
    )


async def _payments(tx: Tx, hospital: Hospital) -> list[StuckPayment]:
    found = []
    for attempt in await rounds.troubles(tx, hospital.id):
        patient = await patients.by_id(tx, attempt.patient_id)
        found.append(
            StuckPayment(
                patient=patients.name_of(tx, patient),
                amount_fen=attempt.amount_fen,
                who=labels.family_label(attempt.relation),
                at=attempt.paid_at or attempt.created_at,
                number=attempt.transaction_id or attempt.out_trade_no,
                todo=Words.payment(attempt.state, attempt.trouble or ""),
            )
        )
    for refund, attempt in await refunds.troubles(tx, hospital.id):
        patient = await patients.by_id(tx, attempt.patient_id)
        who = labels.family_label(attempt.relation)
        name = patients.name_of(tx, patient)
        found.append(StuckPayment(name, -refund.amount_fen, who, refund.created_at, refund.out_refund_no, Words.refund))
    return found


@router.get(Urls.desk_troubles)
async def page(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """Refused first, then what hangs, then what is only slow."""
    hospital = await _hospital(tx, caller)
    refused = [await _call(tx, c) for c in await calls.refused(tx, hospital.id)]
    pending = [await _call(tx, c) for c in await calls.pending(tx, hospital.id)]
    view = DeskTroubles(hospital.name, refused, await _payments(tx, hospital), pending)
    return await show(request, tx, "desk_troubles.html", view)


@router.post(Urls.desk_troubles)
async def again(caller: StaffCaller, tx: TxDep, key: Annotated[str, Form(min_length=3, max_length=200)]) -> Response:
    """Say it to the hospital's system once more."""
    hospital = await _hospital(tx, caller)
    await calls.again(tx, hospital.id, key)
    return go(Urls.desk_troubles)
