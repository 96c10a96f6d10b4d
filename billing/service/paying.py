"""What a payment does to a bill: it freezes the lines it covers, and settles or releases them all together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.models import ChargeItem
from billing.rules import Account, ChargeState, NothingPayableError
from billing.service.ledger import post
from billing.service.lines import announce, check_settled, give_back, lines_of, money_of, move, sums_of, take_back
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices.service import append, lock
from people.rules import Audience
from visits.events import HisAnswered
from visits.service.calls import tell, told_of
from visits.service.encounters import Visit
from visits.service.reading import visit_of


@dataclass(frozen=True, slots=True)
class Covered:
    """What an attempt freezes: the cash it has to bring, and its lines."""

    amount_fen: int
    charge_ids: tuple[UUID, ...]


async def locked_visit(tx: Tx, visit_id: UUID) -> Visit:
    """Take a visit's turn and read it as it is now.

    Raises:
        NotFoundError: there is none.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await lock(tx, visit_id)
    await tx.session.refresh(visit)
    return visit


async def payable(tx: Tx, visit: Visit) -> list[ChargeItem]:
    """The lines a payment beginning now would cover; those the insurance pays whole travel along at 0 fen."""
    lines = await lines_of(tx, visit.id)
    return [c for c in lines if c.state == ChargeState.BILLABLE and money_of(visit, c).here]


async def cover(tx: Tx, visit_id: UUID, attempt_id: UUID) -> Covered:
    """Freeze every payable line in this attempt; later lines go to the next one.

    Raises:
        NothingPayableError: all paid, being paid, or nothing done yet.
    """
    visit = await locked_visit(tx, visit_id)
    _, busy = await sums_of(tx, visit)
    lines = await payable(tx, visit)
    if busy or not sum(c.self_fen for c in lines):
        raise NothingPayableError(busy=busy)
    for charge in lines:
        charge.attempt_id = attempt_id
        await move(tx, visit, charge, ChargeState.COVERED)
    for charge in lines:
        await announce(tx, visit, charge)
    return Covered(sum(c.self_fen for c in lines), tuple(c.id for c in lines))


async def covered_by(tx: Tx, visit_id: UUID, attempt_id: UUID) -> list[ChargeItem]:
    """The lines an attempt froze or settled."""
    return [c for c in await lines_of(tx, visit_id) if c.attempt_id == attempt_id]


async def release(tx: Tx, visit_id: UUID, attempt_id: UUID) -> None:
    """The attempt came to nothing: its lines are payable again (or reversed, if the HIS took them back meanwhile)."""
    visit = await locked_visit(tx, visit_id)
    lines = await covered_by(tx, visit_id, attempt_id)
    for charge in lines:
        charge.attempt_id = None
        await move(tx, visit, charge, ChargeState.BILLABLE)
    for charge in lines:
        if charge.reversed_at is not None:
            await take_back(tx, visit, charge)
        else:
            await announce(tx, visit, charge)
    await check_settled(tx, visit)


async def settle(
    tx: Tx, visit_id: UUID, attempt_id: UUID, *, number: str, transaction_id: str, way: str, paid_at: datetime
) -> None:
    """The attempt's money is there: its lines are settled, the ledger says so and the HIS is told.

    Args:
        number: our number of the payment, which the HIS keeps as the settlement's.
        way: JSAPI, H5, NATIVE …
    """
    visit = await locked_visit(tx, visit_id)
    lines = await covered_by(tx, visit_id, attempt_id)
    total = sum(c.self_fen for c in lines)
    for charge in lines:
        charge.settled_at, charge.settled_reference = paid_at, number
        await move(tx, visit, charge, ChargeState.SETTLED)
    entries = {Account.CASH_WECHAT: total, Account.PATIENT: -total}
    await post(tx, visit_id, "paid", attempt_id, number, entries)
    # What the HIS took back meanwhile it would refuse to book; that money goes straight back (below).
    booked = [c for c in lines if c.reversed_at is None]
    data = {
        "settlement_no": number,
        "charges": [{"charge_no": c.number, "self_fen": c.self_fen} for c in booked],
        "total_fen": sum(c.self_fen for c in booked),
        "way": way,
        "transaction": transaction_id,
        "paid_at": paid_at.isoformat(),
    }
    if booked:
        await tell(tx, visit, "settle", settle_key(attempt_id), data)
    else:
        await tx.emit(HisAnswered(settle_key(attempt_id), "settle", visit.id, "done", "nothing to book"))
    for charge in lines:
        await announce(tx, visit, charge)
    for charge in lines:
        if charge.reversed_at is not None:
            await give_back(tx, visit, charge)
    await check_settled(tx, visit)


def settle_key(attempt_id: UUID) -> str:
    """The key under which the HIS is told of an attempt's money."""
    return f"settle:{attempt_id.hex}"


async def refund_line(tx: Tx, visit_id: UUID, charge_id: UUID, refund_no: str) -> None:
    """The money of one settled line has gone back: the line leaves the bill, and the HIS is told."""
    visit = await locked_visit(tx, visit_id)
    charge = next((c for c in await lines_of(tx, visit_id) if c.id == charge_id), None)
    if charge is None:
        raise NotFoundError
    if charge.state == ChargeState.REFUNDED:
        return
    await move(tx, visit, charge, ChargeState.REFUNDED)
    # The mirror of what execution and payment posted: nothing of this line stays in the books.
    back = {
        Account.CASH_WECHAT: -charge.self_fen,
        Account.POOLED_FUND: -charge.fund_fen,
        Account.PERSONAL_ACCOUNT: -charge.account_fen,
        Account.REVENUE: charge.amount_fen,
    }
    await post(tx, visit_id, "refunded", charge.id, refund_no, back)
    lines = [{"charge_no": charge.number, "self_fen": charge.self_fen}]
    data = {
        "refund_no": refund_no,
        "settlement_no": charge.settled_reference,
        "charges": lines,
        "total_fen": charge.self_fen,
    }
    if charge.attempt_id is not None and await _was_booked(tx, charge, charge.attempt_id):
        await tell(tx, visit, "refund", f"refund:{refund_no}", data)
    await announce(tx, visit, charge)


async def _was_booked(tx: Tx, charge: ChargeItem, attempt_id: UUID) -> bool:
    told = await told_of(tx, settle_key(attempt_id))
    return told is not None and any(line["charge_no"] == charge.number for line in told["charges"])


async def suspense_in(tx: Tx, visit_id: UUID, attempt_id: UUID, amount_fen: int) -> None:
    """Money came for an attempt that was closed: it waits in suspense to go back."""
    await post(tx, visit_id, "late", attempt_id, "in", {Account.CASH_WECHAT: amount_fen, Account.SUSPENSE: -amount_fen})


async def suspense_out(tx: Tx, visit_id: UUID, attempt_id: UUID, amount_fen: int) -> None:
    """The late money has gone back."""
    await post(
        tx, visit_id, "late", attempt_id, "out", {Account.CASH_WECHAT: -amount_fen, Account.SUSPENSE: amount_fen}
    )


async def payment_row(tx: Tx, visit_id: UUID, payment: Mapping[str, Any]) -> None:
    """Write how a payment stands to the visit's feed; ``payment``: state, amount_fen, payer_label, at."""
    visit = await locked_visit(tx, visit_id)
    sums, busy = await sums_of(tx, visit)
    payload = {"payment": dict(payment), "sums": sums, "busy": busy}
    await append(tx, visit_id, "payment", payload, audience=Audience.PAYERS)
