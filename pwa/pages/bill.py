"""The live bill, and what the patient can say to it: I did not have this, I do not want this, I am leaving now."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from api.problems import STATUS
from billing.rules import ChargeState, NotDisputableError
from billing.service import answers, lines
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from people.rules import Action, Actor
from people.service import access
from pwa.answer import go, show
from pwa.live import show_of
from pwa.rows import Line, Sums, VisitState
from pwa.urls import Urls
from pwa.views import Ask, Bill, Nav
from pwa.visit_pages import Seen, payment_of, receipt_of, seen
from visits.rules import OPEN_ORDER, OrderGoneError, seen_visit
from visits.service import encounters, orders
from words import errors
from words.pages import Pages

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=40)]
Note = Annotated[str, Form(max_length=200)]
NOT_INSURED = "none"


async def bill_view(tx: Tx, found: Seen) -> Bill:
    """The bill page of one reader."""
    bill = await lines.bill_of(tx, found.visit, found.view)
    rows = [Line.of(row) for row in bill["lines"]]
    status = seen_visit(encounters.visit_payload(found.visit)["visit"], found.view)
    shown = show_of(found.view, found.visit.id, found.visit.opened_at, "bill")
    open_orders = any(o.state in OPEN_ORDER for o in await orders.orders_of(tx, found.visit.id))
    payment, shares = await payment_of(tx, found.visit, found.view)
    insurance = await encounters.insurance_status_of(tx, found.visit.id)
    return Bill(
        visit=found.head,
        status=VisitState.of(status),
        sums=Sums.of(bill["sums"]),
        done=[r for r in rows if r.pile == "done"],
        ordered=[r for r in rows if r.pile == "ordered"],
        cancelled=[r for r in rows if r.pile == "cancelled"],
        stream_url=found.stream("bill"),
        payment=payment,
        can_pay=shown.may_pay,
        can_ask_family=shown.may_ask,
        can_leave=found.view.owner and found.visit.state == "open" and open_orders,
        can_act=shown.may_act,
        whole=shown.whole,
        shares=shares,
        receipt_url=await receipt_of(tx, found.visit, found.view),
        insured=insurance != NOT_INSURED or not (found.view.owner or found.view.staff),
    )


@router.get("/visits/{visit_id}/bill")
async def bill(request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """The bill as it stands; it goes on by itself."""
    found = await seen(world, tx, caller, visit_id, "bill")
    if not found.money:
        return go(Urls.companion(str(visit_id)))
    nav = Nav("bill", str(visit_id)) if found.view.owner else None
    return await show(request, tx, "bill.html", await bill_view(tx, found), nav, private=not found.view.owner)


async def _owned(world: WorldDep, tx: Tx, caller: Actor, visit_id: UUID, action: Action) -> Seen:
    found = await seen(world, tx, caller, visit_id, None)
    await access.require(tx, caller, action, found.subject)
    return found


async def _line(tx: Tx, found: Seen, line_id: UUID) -> Line:
    rows = (await lines.bill_of(tx, found.visit, found.view))["lines"]
    row = next((r for r in rows if r["id"] == str(line_id)), None)
    if row is None:
        raise NotFoundError
    return Line.of(row)


def _dispute_page(visit_id: UUID, line: Line) -> Ask:
    ask = Pages.ask
    return Ask(
        ask.dispute_title,
        (f"{line.name}", *ask.dispute),
        Urls.dispute(str(visit_id), line.id),
        ask.dispute_button,
        Urls.bill(str(visit_id)),
        ask.dispute_reasons,
        ask.dispute_why,
        ask.note,
    )


@router.get("/visits/{visit_id}/lines/{line_id}/dispute")
async def ask_dispute(
    request: Request, visit_id: UUID, line_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep
) -> Response:
    """Which kind of "I did not have this"?"""
    found = await _owned(world, tx, caller, visit_id, Action.DISPUTE)
    return await show(request, tx, "ask.html", _dispute_page(visit_id, await _line(tx, found, line_id)))


@router.post("/visits/{visit_id}/lines/{line_id}/dispute")
async def dispute(
    request: Request,
    visit_id: UUID,
    line_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    reason: Short = "not_done",
    note: Note = "",
) -> Response:
    """Say it; that line waits for the hospital's answer."""
    found = await _owned(world, tx, caller, visit_id, Action.DISPUTE)
    line = await _line(tx, found, line_id)
    known = dict(Pages.ask.dispute_reasons)
    text = known.get(reason, known["not_done"]) + (f"：{note.strip()}" if note.strip() else "")
    try:
        await answers.dispute(tx, caller, line_id, text)
    except NotDisputableError as error:
        if line.state != ChargeState.DISPUTED:  # pressed twice is said once
            return await _again(request, tx, _dispute_page(visit_id, line), error)
    return go(Urls.bill(str(visit_id)))


async def _again(request: Request, tx: Tx, page: Ask, error: HoufuError) -> Response:
    said = errors.sentence(error.code, error.kind, **error.params)
    return await show(request, tx, "ask.html", replace(page, error=said), status=STATUS[error.kind])


async def _order_page(tx: Tx, found: Seen, order_id: UUID) -> Ask:
    order = await orders.order_by_id(tx, order_id)
    if order is None or order.visit_id != found.visit.id:
        raise NotFoundError
    visit, ask = str(found.visit.id), Pages.ask
    every = await lines.lines_of(tx, found.visit.id)
    paid = any(c.order_id == order_id and c.state == ChargeState.PREPAID for c in every)
    return Ask(
        ask.abandon_title,
        (order.name, *((ask.abandon_paid, *ask.abandon[1:]) if paid else ask.abandon)),
        Urls.abandon(visit, str(order_id)),
        ask.abandon_button,
        Urls.bill(visit),
    )


@router.get("/visits/{visit_id}/orders/{order_id}/abandon")
async def ask_abandon(
    request: Request, visit_id: UUID, order_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep
) -> Response:
    """What giving an order up means."""
    found = await _owned(world, tx, caller, visit_id, Action.ABANDON)
    return await show(request, tx, "ask.html", await _order_page(tx, found, order_id))


@router.post("/visits/{visit_id}/orders/{order_id}/abandon")
async def abandon(
    request: Request, visit_id: UUID, order_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep
) -> Response:
    """Give it up; it leaves the bill at once."""
    found = await _owned(world, tx, caller, visit_id, Action.ABANDON)
    page = await _order_page(tx, found, order_id)
    try:
        await orders.abandon(tx, caller, order_id)
    except OrderGoneError as error:
        if error.params.get("state") == "performed":
            return await _again(request, tx, page, error)
    return go(Urls.bill(str(visit_id)))


@router.get("/visits/{visit_id}/ask")
async def ask_family(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Ask a relative to pay: on to the invitation, for this visit."""
    await _owned(world, tx, caller, visit_id, Action.ASK_FAMILY)
    return go(f"{Urls.invite}?visit={visit_id}")


@router.get("/visits/{visit_id}/leave")
async def ask_leave(request: Request, visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """What leaving now means, in money."""
    found = await _owned(world, tx, caller, visit_id, Action.LEAVE)
    sums = (await lines.bill_of(tx, found.visit, found.view))["sums"]
    visit, ask = str(visit_id), Pages.ask
    owed = sums["payable_fen"]
    view = Ask(
        ask.leave_title,
        ask.leave(owed, sums["planned_fen"], sums["prepaid_fen"]),
        Urls.leave(visit),
        ask.leave_button if owed else ask.leave_free,
        Urls.bill(visit),
    )
    return await show(request, tx, "ask.html", view)


@router.post("/visits/{visit_id}/leave")
async def leave(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Leave: what is not done is given up, what is done is paid next."""
    found = await _owned(world, tx, caller, visit_id, Action.LEAVE)
    await answers.leave_now(tx, caller, visit_id)
    owed = (await lines.bill_of(tx, found.visit, found.view))["sums"]["payable_fen"]
    return go(Urls.pay(str(visit_id)) if owed else Urls.bill(str(visit_id)))
