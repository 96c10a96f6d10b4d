"""A cashier uses the insurance for a patient without a phone: begin, wait at a terminal, agree by her word, or not."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.insurance import center_of
from api.routes.payments import till_of
from billing.rules import RoundState
from billing.service import paying
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError
from kernel.outside import OutsideError, Rejected
from payments import flows
from payments.rules import InsuranceState, NotInsuredError, NotShownError
from payments.rules.counter import TerminalBusyError
from payments.service import codes, consents, parts
from pwa.answer import go, show, uuid_or_none
from pwa.insuring import is_live
from pwa.pages.desk_counter import sentence
from pwa.pages.desk_pay import allowed, shown
from pwa.pages.insurance import ACCOUNT, stopping
from pwa.urls import Urls
from words.counter import Insured as Words

router = APIRouter(include_in_schema=False)


@router.post("/desk/insurance/{visit_id}")
async def begin(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    account: Annotated[Literal["", "yes", "no"], Form()] = "",
) -> Response:
    """The insurance is to settle first; the personal account as the patient says."""
    found = await allowed(world, tx, caller, visit_id)
    center_of(world)
    his = await world.ports.his.of(found.visit.hospital_id)
    await tx.let_go()
    try:
        await flows.insure(world.db, his, caller, visit_id, account_used=ACCOUNT[account])
    except NotInsuredError as error:
        async with world.db.begin() as now:
            latest = await consents.latest_round(now, visit_id)
        if latest is None or not is_live(latest):  # pressed twice is begun once
            return await shown(request, world, caller, visit_id, sentence(error), STATUS[error.kind])
    except Rejected:
        return await shown(request, world, caller, visit_id, Words.from_his, 409)
    except OutsideError:
        return await shown(request, world, caller, visit_id, Words.his_silent, 503)
    return go(Urls.desk_pay(str(visit_id)))


@router.post("/desk/insurance/{visit_id}/terminal")
async def at_terminal(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    said: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Wait at this terminal for the certificate of the next settlement."""
    await allowed(world, tx, caller, visit_id)
    try:
        async with tx.savepoint():
            await codes.await_certificate(tx, caller, uuid_or_none(said) or visit_id, visit_id)
    except TerminalBusyError as error:
        await tx.let_go()
        return await shown(request, world, caller, visit_id, sentence(error), STATUS[error.kind])
    return go(Urls.desk_pay(str(visit_id)))


@router.post("/desk/insurance/{visit_id}/agree")
async def agree(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    cash_fen: Annotated[int, Form(ge=0)],
) -> Response:
    """The patient has read the split on the turned screen, and agrees to exactly that; the terminal asks her again."""
    await allowed(world, tx, caller, visit_id)
    center = center_of(world)
    await tx.let_go()
    try:
        await flows.confirm(world.db, center, caller, visit_id, cash_fen)
    except NotShownError as error:
        return await shown(request, world, caller, visit_id, sentence(error), STATUS[error.kind])
    return go(Urls.desk_pay(str(visit_id)))


@router.post("/desk/insurance/{visit_id}/ask")
async def ask(visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """Ask the centre now what it has paid, because the patient stands there."""
    await allowed(world, tx, caller, visit_id)
    center = center_of(world)
    now = await paying.live_round(tx, visit_id)
    waiting = [p.id for p in await parts.of_round(tx, now.id) if p.state == InsuranceState.PAYING] if now else []
    await tx.let_go()
    for part in waiting:
        await flows.go_on(world.db, center, part)
    return go(Urls.desk_pay(str(visit_id)))


async def _ours(tx: Tx, visit_id: UUID) -> bool:
    """Whether there is something of the counter's to give up; what is the patient's own, she gives up.

    Raises:
        ForbiddenError: it is the patient's.
    """
    now = await paying.live_round(tx, visit_id)
    if now is None or not now.insured or now.state == RoundState.CLOSING:
        return False
    if not parts.at_counter(now):
        raise ForbiddenError
    return True


@router.get("/desk/insurance/{visit_id}/stop")
async def ask_stop(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """What giving it up means: who gets what back."""
    await allowed(world, tx, caller, visit_id)
    here, visit = Urls.desk_pay(str(visit_id)), str(visit_id)
    if not await _ours(tx, visit_id):
        return go(here)
    question = await stopping(tx, caller, visit_id, Urls.desk_insurance(visit, "stop"), here)
    return await show(request, tx, "ask.html", question)


@router.post("/desk/insurance/{visit_id}/stop")
async def stop(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """The patient says no, or does not pay: everything is revoked, and what was paid goes back."""
    await allowed(world, tx, caller, visit_id)
    if await _ours(tx, visit_id):
        pay, _ = till_of(world)
        await tx.let_go()
        try:
            await flows.give_up(world.db, pay, caller, visit_id)
        except HoufuError as error:
            return await shown(request, world, caller, visit_id, sentence(error), STATUS[error.kind])
    return go(Urls.desk_pay(str(visit_id)))
