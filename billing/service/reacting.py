"""What becomes of a bill's lines when something happens to their order or their visit."""

from typing import Any

from billing.rules import PAYABLE_FIRST, ChargeState
from billing.service.lines import announce, check_settled, confirm, lines_of, move, return_prepaid
from kernel.db import Tx
from visits.events import OrderGone, OrderPerformed, VisitEnded, VisitMarked
from visits.service.calls import post_charge
from visits.service.encounters import Visit
from visits.service.orders import Order


async def order_performed(tx: Tx, event: OrderPerformed) -> None:
    """Subscriber: an order performed as a whole makes all its lines owed; in part, none of them can be given up."""
    order, visit = await tx.get(Order, event.order_id), await tx.get(Visit, event.visit_id)
    if order is None or visit is None:
        raise LookupError("an order without its rows")
    for charge in await lines_of(tx, visit.id):
        if charge.order_id == order.id and order.covers_all:
            at = order.performed_at or tx.now
            await confirm(tx, visit, charge, order.performed_by, order.performed_where or "", at)
        elif charge.order_id == order.id and charge.state in (ChargeState.PLANNED, ChargeState.PREPAID):
            await announce(tx, visit, charge)


async def order_gone(tx: Tx, event: OrderGone) -> None:
    """Subscriber: an order given up releases its lines nobody performed; what was paid for them before goes back.

    One that is being paid now waits for that payment's outcome.
    """
    visit = await tx.get(Visit, event.visit_id)
    if visit is None:
        raise LookupError("an order without a visit")
    for charge in await lines_of(tx, visit.id):
        if charge.order_id != event.order_id:
            continue
        if charge.state == ChargeState.PLANNED:
            await move(tx, visit, charge, ChargeState.ABORTED)
            await announce(tx, visit, charge)
        elif charge.state == ChargeState.PREPAID:
            await return_prepaid(tx, visit, charge, ChargeState.ABORTED)


async def visit_marked(tx: Tx, event: VisitMarked) -> None:
    """Subscriber: a visit that turns post-pay has its lines charged to account, and they become payable here."""
    visit = await tx.get(Visit, event.visit_id)
    if visit is None:
        raise LookupError("no visit")
    for charge in await lines_of(tx, visit.id):
        if charge.state in PAYABLE_FIRST:
            await post_charge(tx, visit, charge.number, charge.amount_fen)
            await announce(tx, visit, charge)


async def visit_mode_changed(tx: Tx, event: Any) -> None:
    """Subscriber: what is owed is no longer payable afterwards (unmarked), what is not done is paid first."""
    visit = await tx.get(Visit, event.visit_id)
    if visit is None:
        raise LookupError("no visit")
    for charge in await lines_of(tx, visit.id):
        if charge.state in PAYABLE_FIRST:
            await announce(tx, visit, charge)


async def visit_ended(tx: Tx, event: VisitEnded) -> None:
    """Subscriber: a visit that ends with nothing owed is settled at once."""
    visit = await tx.get(Visit, event.visit_id)
    if visit is not None:
        await check_settled(tx, visit)
