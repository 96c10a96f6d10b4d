"""The counter takes the money of one visit by a QR code that the patient scans with WeChat."""

import io
from dataclasses import replace
from typing import Annotated
from uuid import UUID

import qrcode
from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.routes.payments import press_of, till_of
from billing.service import paying
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import flows
from payments.rules import PAYABLE
from payments.service import attempts, labels, moves
from payments.service.attempts import Attempt, S
from people.rules import Action, Actor
from people.service import access
from pwa.answer import go, show
from pwa.desk_views import DeskPay
from pwa.urls import Urls
from pwa.visit_pages import Seen, seen

router = APIRouter(include_in_schema=False)


async def _view(tx: Tx, found: Seen) -> DeskPay:
    return replace(await _state(tx, found), stream_url=found.stream("pay"))


async def _state(tx: Tx, found: Seen) -> DeskPay:
    every = await attempts.of_visit(tx, found.visit.id)
    under_way = [a for a in every if a.state in PAYABLE]
    here = next((a for a in under_way if a.relation == labels.DESK), None)
    owed = await paying.due_now(tx, found.visit)
    if here is not None:
        url = f"{Urls.desk_pay(str(found.visit.id))}/{here.id}/qr.png" if here.prepared_sealed else None
        return DeskPay(found.head, here.amount_fen, url, await moves.shown(tx, here))
    if owed:
        failed = every and every[-1].relation == labels.DESK and every[-1].state in (S.CLOSED, S.FAILED)
        return DeskPay(found.head, owed, None, "closed" if failed else "new")
    if under_way:
        return DeskPay(found.head, under_way[0].amount_fen, None, "other")
    return await _over(tx, found, every[-1] if every else None)


async def _over(tx: Tx, found: Seen, last: Attempt | None) -> DeskPay:
    """Nothing is owed any more: the hospital is booking it, or has."""
    state = await moves.shown(tx, last) if last is not None else "settled"
    amount = last.amount_fen if last is not None and state in ("paid", "settled") else 0
    return DeskPay(found.head, amount, None, "paid" if state == "paid" else "settled")


async def _allowed(world: WorldDep, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    found = await seen(world, tx, caller, visit_id, None)
    await access.require(tx, caller, Action.TAKE_PAYMENT, found.subject)
    return found


@router.get("/desk/pay/{visit_id}")
async def page(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """What is owed, the code, and how it stands."""
    found = await _allowed(world, tx, caller, visit_id)
    return await show(request, tx, "desk_pay.html", await _view(tx, found))


@router.post("/desk/pay/{visit_id}")
async def begin(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    key: Annotated[str, Form(alias="_idem", min_length=8, max_length=64)],
    amount_fen: Annotated[int, Form(ge=1)],
) -> Response:
    """Make the code."""
    await _allowed(world, tx, caller, visit_id)
    wish = await press_of(request, world, tx, caller, key, amount_fen)
    pay, till = till_of(world)
    await tx.let_go()
    await flows.press(world.db, pay, caller, visit_id, wish, till)
    return go(Urls.desk_pay(str(visit_id)))


@router.get("/desk/pay/{visit_id}/{payment_id}/qr.png")
async def code(visit_id: UUID, payment_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """The code as a picture."""
    await _allowed(world, tx, caller, visit_id)
    attempt = await attempts.seen(tx, caller, payment_id)
    ready = attempts.prepared_of(tx, attempt)
    if attempt.visit_id != visit_id or attempt.state != S.OFFERED or ready is None or not ready.code_url:
        raise NotFoundError
    picture = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    picture.add_data(ready.code_url)
    out = io.BytesIO()
    picture.make_image().save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": "private, no-store"})
