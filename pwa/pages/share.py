"""Cutting a bill into shares: how much each is to pay, and undoing it."""

from collections.abc import Collection
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.payments import till_of
from api.world import World
from billing.service import paying
from kernel.db import Tx
from kernel.errors import HoufuError
from kernel.money import fen_of_yuan, yuan
from payments import flows
from payments.rules import AmountChangedError, NothingSharedError, Piece, WrongSharesError
from payments.service import labels, rounds, shares
from payments.service.first import offered
from people.rules import Action, Actor
from people.service import access, patients
from pwa.answer import go, show
from pwa.pay_views import SharePerson, ShareSheet
from pwa.urls import Urls
from pwa.views import Ask
from pwa.visit_pages import Seen, seen
from words import errors
from words.pay import Share as Words

router = APIRouter(include_in_schema=False)


async def _allowed(world: World, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    found = await seen(world, tx, caller, visit_id, "pay")
    await access.require(tx, caller, Action.PAY, found.subject)
    return found


async def _people(tx: Tx, caller: Actor, found: Seen, written: dict[str, str] | None) -> list[SharePerson]:
    """Everybody a share can be meant for, with what stands now or was written."""
    now = await paying.live_round(tx, found.visit.id)
    every = await shares.of_round(tx, now.id) if now is not None else []
    meant = {s.allocation.person_id: yuan(s.allocation.amount_fen) for s in every if s.state == "free"}
    made = []
    for person_id, relation in await shares.payers(tx, caller, found.subject):
        if person_id == caller.id:
            label = Words.myself
        elif relation == labels.SELF:
            label = Words.patient
        else:
            label = f"{labels.owner_label(relation)} {(await patients.by_id(tx, person_id)).name_masked}"
        stands = meant.get(person_id, "").replace(",", "")
        made.append(SharePerson(str(person_id), label, stands if written is None else written.get(str(person_id), "")))
    return made


async def _sheet(
    tx: Tx,
    caller: Actor,
    found: Seen,
    written: dict[str, str] | None = None,
    error: str | None = None,
    first: Collection[UUID] = (),
) -> ShareSheet:
    now = await paying.live_round(tx, found.visit.id)
    if now is not None:
        await shares.free(tx, caller, now)
    left = await paying.due_now(tx, found.visit)
    if first and now is None:
        left = sum(c.self_fen for c in await offered(tx, caller, found.visit) if c.id in first)
    stop = Urls.share_stop(str(found.visit.id)) if now is not None and now.shared else None
    return ShareSheet(found.head, left, await _people(tx, caller, found, written), stop, error, [str(f) for f in first])


@router.get("/visits/{visit_id}/share")
async def page(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    line: Annotated[list[UUID] | None, Query(max_length=200)] = None,
) -> Response:
    """How much is left, and a field for everybody who may pay."""
    found = await _allowed(world, tx, caller, visit_id)
    return await show(request, tx, "share.html", await _sheet(tx, caller, found, first=line or ()))


@router.post("/visits/{visit_id}/share")
async def cut(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    left_fen: Annotated[int, Form(ge=1)],
    line: Annotated[list[UUID] | None, Form(max_length=200)] = None,
) -> Response:
    """Cut it; the pay sheet shows the shares."""
    found = await _allowed(world, tx, caller, visit_id)
    form = {k.removeprefix("yuan_"): str(v).strip() for k, v in (await request.form()).items() if k.startswith("yuan_")}
    try:
        pieces = [Piece(fen_of_yuan(text.removeprefix("¥")), UUID(who)) for who, text in form.items() if text]
    except ValueError:
        return await _again(request, tx, caller, found, form, Words.not_money, 422, line or ())
    try:
        await rounds.cut(tx, caller, visit_id, pieces, left_fen, line or ())
    except (WrongSharesError, AmountChangedError) as wrong:
        return await _again(request, tx, caller, found, form, _said(wrong), STATUS[wrong.kind], line or ())
    return go(Urls.pay(str(visit_id)))


def _said(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


async def _again(
    request: Request,
    tx: Tx,
    caller: Actor,
    found: Seen,
    form: dict[str, str],
    error: str,
    status: int,
    first: Collection[UUID],
) -> Response:
    return await show(request, tx, "share.html", await _sheet(tx, caller, found, form, error, first), status=status)


@router.get("/visits/{visit_id}/share/stop")
async def ask_stop(request: Request, visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Who gets what back."""
    await _allowed(world, tx, caller, visit_id)
    now = await paying.live_round(tx, visit_id)
    if now is None:
        raise NothingSharedError
    every = await shares.of_round(tx, now.id)
    paid = [
        (await labels.label_for(tx, caller, s.attempt), s.allocation.amount_fen)
        for s in every
        if s.attempt is not None and s.state == "paid"
    ]
    back, visit = Urls.share(str(visit_id)), str(visit_id)
    return await show(
        request,
        tx,
        "ask.html",
        Ask(Words.stop, Words.stop_says(paid), Urls.share_stop(visit), Words.stop_button, back, danger=bool(paid)),
    )


@router.post("/visits/{visit_id}/share/stop")
async def stop(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Share no more; what was paid goes back."""
    await _allowed(world, tx, caller, visit_id)
    pay, _ = till_of(world)
    await tx.let_go()
    await flows.give_up(world.db, pay, caller, visit_id)
    return go(Urls.bill(str(visit_id)))
