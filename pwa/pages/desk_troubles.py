"""What the hospital's system has refused or not answered, and payments that hang: what to do, and "try again"."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from payments.service import again, anew, labels, refunds, rounds
from people.rules import Actor, Role
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from pwa.answer import go, show, uuid_or_none
from pwa.desk_views import DeskTroubles, StuckInsurance, StuckPayment, TroubledCall
from pwa.urls import Urls
from visits.service import calls
from visits.service.calls import HisCall
from visits.service.reading import visit_of
from words.desk import Desk as DeskWords
from words.desk import Troubles as Words

router = APIRouter(include_in_schema=False)

MENDS = (Role.COUNTER, Role.FINANCE)
_INSURANCE = "insurance:"


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


async def _insurance(tx: Tx, hospital: Hospital, *, finance: bool) -> list[StuckInsurance]:
    found = []
    for part in await anew.troubles(tx, hospital.id):
        visit = await visit_of(tx, part.visit_id)
        name = patients.name_of(tx, await patients.by_id(tx, visit.patient_id)) if visit else ""
        button = Words.insurance_anew if anew.gone(part) else Words.insurance_again
        found.append(
            StuckInsurance(
                key=f"{_INSURANCE}{part.id}",
                patient=name,
                amount_fen=part.total_fen - (part.cash_fen or 0),
                at=part.refund_at or part.paid_at or part.created_at,
                number=part.pay_order_id or part.order_number,
                todo=Words.insurance_todo(part.refund_at is not None, part.trouble or ""),
                detail=part.trouble or "",
                button=button if finance and anew.may_go_on(part) else "",
            )
        )
    return found


@router.get(Urls.desk_troubles)
async def page(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """Refused first, then what hangs, then what is only slow."""
    hospital = await _hospital(tx, caller)
    refused = [await _call(tx, c) for c in await calls.refused(tx, hospital.id)]
    pending = [await _call(tx, c) for c in await calls.pending(tx, hospital.id)]
    stuck = await _insurance(tx, hospital, finance=caller.role is Role.FINANCE)
    view = DeskTroubles(hospital.name, refused, await _payments(tx, hospital), pending, stuck)
    return await show(request, tx, "desk_troubles.html", view)


@router.post(Urls.desk_troubles)
async def say_again(
    caller: StaffCaller, tx: TxDep, key: Annotated[str, Form(min_length=3, max_length=200)]
) -> Response:
    """Say it to the hospital's system once more; or let a settlement of the insurance go on."""
    hospital = await _hospital(tx, caller)
    if key.startswith(_INSURANCE):
        part_id = uuid_or_none(key.removeprefix(_INSURANCE))
        if part_id is None:
            raise NotFoundError
        await anew.go_on(tx, caller, part_id)
    else:
        await again.say(tx, hospital.id, key)
    return go(Urls.desk_troubles)
