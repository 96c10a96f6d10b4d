"""A pay link as the family sees it: make one, see what became of it, take it back."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.payments import till_of
from family_pay import flows
from family_pay.rules import PayLinkState
from family_pay.service import links
from family_pay.service.links import Given
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Actor
from pwa.answer import go, qr_data, show, world_of
from pwa.pay_views import LinkRow, LinkSheet
from pwa.urls import Urls
from pwa.views import Ask
from pwa.visit_pages import Seen, seen
from words.pay import Link as Words
from words.pay import from_where

router = APIRouter(include_in_schema=False)
_OPEN = (PayLinkState.OPEN, PayLinkState.PAYING, PayLinkState.BUSY, PayLinkState.CHANGED)


def _row(one: Given) -> LinkRow:
    paid = one.state is PayLinkState.PAID and one.attempt is not None
    return LinkRow(
        str(one.link.id),
        one.link.amount_fen,
        one.link.created_at,
        one.state,
        one.attempt.paid_at if paid and one.attempt else None,
        from_where(one.attempt.channel, link=False) if paid and one.attempt else None,
        open=one.state in _OPEN,
    )


async def _sheet(tx: Tx, caller: Actor, found: Seen, share: int | None) -> LinkSheet:
    amount = await links.asks(tx, caller, found.visit.id, share)
    return LinkSheet(found.head, amount, share, [_row(x) for x in await links.given(tx, caller, found.visit.id)])


@router.get("/visits/{visit_id}/links")
async def page(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    share: Annotated[int | None, Query(ge=1, description="number of a share")] = None,
) -> Response:
    """What whoever gets it will see, and those made before."""
    found = await seen(world, tx, caller, visit_id, "pay")
    return await show(request, tx, "links.html", await _sheet(tx, caller, found, share))


@router.post("/visits/{visit_id}/links")
async def make(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    amount_fen: Annotated[int, Form(ge=1)],
    share: Annotated[int | None, Form(ge=1)] = None,
) -> Response:
    """Make it; address and picture are shown this once, for only the address' digest is kept."""
    found = await seen(world, tx, caller, visit_id, "pay")
    made = await links.make(tx, caller, visit_id, amount_fen, share)
    await tx.session.flush()
    url = world_of(request).settings.base_url + Urls.pay_link(made.token)
    view = LinkSheet(found.head, made.amount_fen, share, (), url, qr_data(url), made.expires_at)
    return await show(request, tx, "links.html", view)


@router.get("/visits/{visit_id}/links/{link_id}/withdraw")
async def ask_withdraw(request: Request, visit_id: UUID, link_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """What taking it back means."""
    if link_id not in {x.link.id for x in await links.given(tx, caller, visit_id)}:
        raise NotFoundError
    action, back = Urls.withdraw_link(str(visit_id), str(link_id)), Urls.links(str(visit_id))
    view = Ask(Words.back_title, (Words.back_says,), action, Words.take_back, back, danger=True)
    return await show(request, tx, "ask.html", view)


@router.post("/visits/{visit_id}/links/{link_id}/withdraw")
async def withdraw(visit_id: UUID, link_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Take it back at once."""
    pay, _ = till_of(world)
    await tx.let_go()
    await flows.withdraw_link(world.db, pay, caller, link_id)
    return go(Urls.links(str(visit_id)))
