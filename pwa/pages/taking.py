"""Before money is taken by contract: what, from when, and one tap for "not this time"; and the contract itself."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.contracts import desk, signer
from family_pay.service import asking, taking
from kernel.errors import NotFoundError
from payments.flows import taking as flows
from people.service import hospitals, patients
from pwa.answer import go, show
from pwa.urls import Urls
from pwa.views import Ask
from words.pay import Taking as Words

router = APIRouter(include_in_schema=False)


@router.get("/visits/{visit_id}/pay/taking")
async def page(request: Request, visit_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """What will be taken, and from when."""
    found = next((a for a in await asking.waiting(tx, caller) if a.visit.id == visit_id), None)
    if found is None or found.take_at is None:
        raise NotFoundError
    patient = await patients.by_id(tx, found.visit.patient_id)
    house = await hospitals.by_id(tx, found.visit.hospital_id)
    lines = Words.says(patient.name_masked, house.name, found.amount_fen, found.take_at, tx.now)
    return await show(
        request,
        tx,
        "ask.html",
        Ask(Words.title, lines, Urls.taking(str(visit_id)), Words.not_now, Urls.home, keep=Words.keep),
    )


@router.post("/visits/{visit_id}/pay/taking")
async def refuse(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Not this time."""
    await taking.not_this_time(tx, caller, visit_id)
    return go(Urls.home)


@router.post(Urls.contract)
async def sign(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """The way to WeChat's page."""
    pay, till = desk(world)
    who = await signer(request, tx, world, caller)
    await tx.let_go()
    url = await flows.sign(world.db, pay, caller, till, *who)
    async with world.db.begin() as fresh:
        view = Ask(
            Words.sign_title, Words.sign_says, url, Words.sign_go, Urls.family, leaves=True, keep=Words.sign_keep
        )
        return await show(request, fresh, "ask.html", view)


@router.post(Urls.contract_stop)
async def stop(caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Nothing is taken any more."""
    pay, till = desk(world)
    await tx.let_go()
    await flows.stop(world.db, pay, caller, till)
    return go(Urls.family)
