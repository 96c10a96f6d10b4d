"""The refund work-list: requests to be answered, money to hand out at the counter, what WeChat could not return."""

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from billing.service import refunds as requests
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError
from payments.service import counter, refunds, returns, shifts
from payments.service.refunds import Attempt, Refund
from people.rules import Actor, Role
from people.service import hospitals, patients
from pwa.answer import go, show
from pwa.counter_views import BackCard, DeskRefunds, RefundCard
from pwa.pages.desk_counter import sentence
from pwa.pages.refunds import card_of
from pwa.urls import Urls
from visits.service.reading import visit_of

router = APIRouter(include_in_schema=False)

_SEES = (Role.COUNTER, Role.FINANCE)


def _hospital(caller: Actor) -> UUID:
    if caller.hospital_id is None or caller.role not in _SEES:
        raise ForbiddenError
    return caller.hospital_id


async def _asked(tx: Tx, caller: Actor, hospital_id: UUID) -> list[RefundCard]:
    found = []
    for asked in await requests.waiting(tx, hospital_id):
        name, number = await _whose(tx, asked.request.visit_id)
        found.append(replace(card_of(caller, asked), patient=name, number=number))
    return found


async def _whose(tx: Tx, visit_id: UUID) -> tuple[str, str]:
    visit = await visit_of(tx, visit_id)
    if visit is None:
        return "", ""
    return patients.name_of(tx, await patients.by_id(tx, visit.patient_id)), visit.number


async def _back(tx: Tx, refund: Refund, attempt: Attempt) -> BackCard:
    name, number = await _whose(tx, attempt.visit_id)
    twice = refund.trouble == "twice"
    return BackCard(str(refund.id), name, number, refund.amount_fen, refund.created_at, attempt.channel, twice)


async def _page(request: Request, tx: Tx, caller: Actor, error: str | None = None, status: int = 200) -> Response:
    hospital = await hospitals.by_id(tx, _hospital(caller))
    finance = caller.role is Role.FINANCE
    view = DeskRefunds(
        hospital=hospital.name,
        to_answer=await _asked(tx, caller, hospital.id),
        to_hand=[await _back(tx, r, a) for r, a in await refunds.at_counter(tx, hospital.id)],
        abnormal=[await _back(tx, r, a) for r, a in await refunds.troubles(tx, hospital.id)],
        answers=finance,
        hands=caller.role is Role.COUNTER,
        pays=finance,
        shift=await shifts.current(tx, caller) is not None,
        error=error,
        insurance=[await _back(tx, r, a) for r, a in await refunds.after_insurance(tx, hospital.id)],
    )
    return await show(request, tx, "desk_refunds.html", view, status=status)


@router.get(Urls.desk_refunds)
async def page(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """What waits, for whom it is to do."""
    return await _page(request, tx, caller)


@router.post("/desk/refunds/{what}/{identity}")
async def act(
    request: Request,
    what: Literal["answer", "hand", "by-hand"],
    identity: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    agreed: Annotated[str, Form(max_length=1)] = "",
    said: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Agree or refuse (``agreed`` 1 or 0, ``said`` why), hand out (``said`` the slip), or finance has paid (number)."""
    _hospital(caller)
    await tx.let_go()
    try:
        async with world.db.begin() as own:
            if what == "answer":
                await requests.answer(own, caller, identity, agreed=agreed == "1", says=said)
            elif what == "hand":
                await counter.give_back(own, caller, identity, said)
            else:
                await returns.by_hand(own, caller, identity, said)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            return await _page(request, fresh, caller, sentence(error), STATUS[error.kind])
    return go(Urls.desk_refunds)
