"""Asking for money back: what was paid, why it should come back, what the hospital says; by the patient or the desk."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from api.problems import STATUS
from api.world import World
from billing.service import lines
from billing.service import refunds as requests
from billing.service.refunds import Asked
from kernel.db import Tx
from kernel.errors import HoufuError
from people.rules import Action, Actor, ActorKind
from people.service import access
from pwa.answer import go, show, uuid_or_none
from pwa.counter_views import RefundCard, Refunds
from pwa.rows import Line
from pwa.urls import Urls
from pwa.visit_pages import Seen, seen
from words import errors
from words.counter import Refunds as Words

router = APIRouter(include_in_schema=False)


def card_of(caller: Actor, asked: Asked) -> RefundCard:
    """A request for this reader."""
    request = asked.request
    return RefundCard(
        id=str(request.id),
        items="、".join(c.name for c in asked.lines),
        amount_fen=request.amount_fen,
        reason=request.reason,
        at=request.asked_at,
        state=asked.shown,
        answer=request.answer,
        who=Words.by_desk if request.asked_by.startswith(ActorKind.STAFF) else Words.by_patient,
        own=request.asked_by == caller.viewer,
        insured=any(c.estimate is not None for c in asked.lines),
    )


async def _view(tx: Tx, caller: Actor, found: Seen, error: str | None = None) -> Refunds:
    bill = await lines.bill_of(tx, found.visit, found.view)
    rows = [Line.of(row) for row in bill["lines"]]
    asked = [card_of(caller, a) for a in await requests.of_visit(tx, found.visit.id)]
    insured = any(c.estimate is not None and lines.is_refundable(c) for c in await lines.lines_of(tx, found.visit.id))
    return Refunds(found.head, [r for r in rows if r.can_refund], asked, error, insured)


async def _allowed(world: World, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    found = await seen(world, tx, caller, visit_id, None)
    await access.require(tx, caller, Action.ASK_REFUND, found.subject)
    return found


@router.get("/visits/{visit_id}/refunds")
async def page(request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """What can be asked back, and what was."""
    found = await _allowed(world, tx, caller, visit_id)
    return await show(request, tx, "refunds.html", await _view(tx, caller, found))


@router.post("/visits/{visit_id}/refunds")
async def ask(
    request: Request,
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    line: Annotated[list[str], Form(max_length=200)] = [],  # noqa: B006 - FastAPI copies it
    reason: Annotated[str, Form(max_length=40)] = "",
    note: Annotated[str, Form(max_length=160)] = "",
) -> Response:
    """Ask; the hospital answers here."""
    await _allowed(world, tx, caller, visit_id)
    await tx.let_go()
    said = dict(Words.reasons).get(reason, "")
    text = "：".join(part for part in (said, note.strip()) if part)
    ids = [i for i in map(uuid_or_none, line) if i is not None]
    try:
        async with world.db.begin() as own:
            await requests.ask(own, caller, visit_id, ids, text)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            found = await _allowed(world, fresh, caller, visit_id)
            view = await _view(fresh, caller, found, errors.sentence(error.code, error.kind, **error.params))
            return await show(request, fresh, "refunds.html", view, status=STATUS[error.kind])
    return go(Urls.refunds(str(visit_id)))
