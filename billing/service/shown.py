"""What a line is to its readers: the money of it, what can be done with it, and all of it as the feed carries it."""

from datetime import datetime
from typing import Any

from billing.models import ChargeItem
from billing.rules import GONE_LINE, PAYABLE_FIRST, PILE, ChargeState, Money, RefundWish
from visits.rules import OPEN_ORDER, PaymentMode
from visits.service.encounters import Visit
from visits.service.orders import Order

_NOT_DONE = frozenset({ChargeState.PLANNED, ChargeState.PREPAID})


def money_of(visit: Visit, charge: Any) -> Money:
    """What the sums need of a line, or of a row of ``_MONEY``."""
    here = visit.mode == PaymentMode.DEFERRED and not charge.pay_first
    fund, hospital = charge.fund_fen + charge.other_fen, charge.hospital_fen
    fen = (charge.amount_fen, fund, charge.account_fen, charge.self_fen, hospital)
    told = charge.estimate or {"fund_fen": fund, "account_fen": charge.account_fen, "self_fen": charge.self_fen}
    estimate = (told["fund_fen"], told["account_fen"], told["self_fen"])
    return Money(charge.state, charge.category, *fen, here, estimate)


def far_mark(charge: ChargeItem) -> str:
    """All that may change of a line for those who neither pay nor act for the patient."""
    return f"{charge.rank}/{_iso(charge.executed_at)}/{charge.executed_by}/{charge.executed_where}"


def is_first(visit: Visit, charge: ChargeItem) -> bool:
    """Whether a line can be paid before it is done, or, because the department did not wait, by itself afterwards."""
    return charge.state in PAYABLE_FIRST and bool(charge.self_fen) and not money_of(visit, charge).here


def line_payload(visit: Visit, charge: ChargeItem, order: Order | None) -> dict[str, Any]:
    """A line as the feed carries it, for a viewer who may see everything."""
    return {
        "id": str(charge.id),
        "order_id": str(charge.order_id) if charge.order_id else None,
        "name": charge.name,
        "department": charge.department_name,
        "quantity": charge.quantity,
        "amount_fen": charge.amount_fen,
        "fund_fen": charge.fund_fen + charge.other_fen,
        "account_fen": charge.account_fen,
        "self_fen": charge.self_fen,
        "hospital_fen": charge.hospital_fen,
        "insurance_class": charge.insurance_class,
        "pile": PILE[ChargeState(charge.state)],
        "state": charge.state,
        "rank": charge.rank,
        "ordered_by": charge.ordered_by,
        "ordered_at": _iso(charge.ordered_at),
        "executed_by": charge.executed_by,
        "executed_at": _iso(charge.executed_at),
        "executed_where": charge.executed_where,
        "category": charge.category,
        "estimate": charge.estimate,
        "refund": charge.refund or _on_its_way(charge),
        "pay_first": is_first(visit, charge),
        "going_back": charge.state in GONE_LINE
        and charge.state != ChargeState.REFUNDED
        and charge.round_id is not None,
        "can_refund": is_refundable(charge),
        "can_dispute": charge.state == ChargeState.BILLABLE,
        "can_abandon": charge.state in _NOT_DONE and order is not None and order.state in OPEN_ORDER,
    }


def _on_its_way(charge: ChargeItem) -> str | None:
    """What stands for a request where the hospital took a paid line back without one."""
    return RefundWish.OVERTAKEN if charge.state == ChargeState.SETTLED and charge.reversed_at is not None else None


def is_refundable(charge: ChargeItem) -> bool:
    """Whether a line's money is here, and nobody is asking for it or giving it back yet."""
    free = charge.refund in (None, RefundWish.REFUSED)
    return charge.state == ChargeState.SETTLED and charge.reversed_at is None and bool(charge.self_fen) and free


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
