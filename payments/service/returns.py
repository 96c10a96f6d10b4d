"""What the provider says about money on its way back, and what it does to the books."""

from uuid import UUID

from sqlalchemy import select

from billing.service import paying
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import rules
from payments.events import MoneyReturned
from payments.models import Attempt, Refund
from payments.ports import RefundState as Said
from payments.ports import RefundStatus
from payments.rules import REFUND, AttemptState, RefundState
from payments.service.moves import move, tell

R = RefundState


async def said(tx: Tx, told: Said) -> Refund:
    """The provider's verified word about a refund.

    Raises:
        NotFoundError: not a refund of ours.
        rules.WrongMoneyError: another amount or order than we asked for; nothing changes.
    """
    query = select(Refund.id, Refund.attempt_id, Refund.visit_id).where(Refund.out_refund_no == told.out_refund_no)
    found = (await tx.session.execute(query)).first()
    if found is None:
        raise NotFoundError
    await paying.locked_visit(tx, found.visit_id)
    attempt = await tx.get(Attempt, found.attempt_id, lock=True)
    refund = await tx.get(Refund, found.id, lock=True)
    if attempt is None or refund is None:
        raise NotFoundError
    if (told.refund_fen, told.total_fen) != (refund.amount_fen, attempt.amount_fen):
        raise rules.WrongMoneyError("refund", attempt.out_trade_no)
    if told.out_trade_no != attempt.out_trade_no:
        raise rules.WrongMoneyError("refund", attempt.out_trade_no)
    refund.provider_refund_id = told.refund_id or refund.provider_refund_id
    if refund.state == R.APPROVED:
        _move(refund, R.SENT)
    if told.status is RefundStatus.SUCCESS and refund.state in (R.SENT, R.ABNORMAL):
        await _returned(tx, attempt, refund)
    elif told.status in (RefundStatus.ABNORMAL, RefundStatus.CLOSED) and refund.state == R.SENT:
        # A person decides how the money finds its way; we do not ask again by ourselves.
        _move(refund, R.ABNORMAL)
        refund.next_at, refund.trouble = None, told.status.value
    return refund


async def _returned(tx: Tx, attempt: Attempt, refund: Refund) -> None:
    _move(refund, R.CASH_RETURNED)
    refund.next_at, refund.trouble = None, None
    await paying.cash_out(tx, refund.visit_id, refund.id, refund.out_refund_no, refund.amount_fen)
    _move(refund, R.DONE)
    refund.done_at = tx.now
    if refund.charge_id is None:
        move(attempt, AttemptState.REFUNDED)
        await tell(tx, attempt)
    elif await _line_is_back(tx, refund.charge_id):
        await paying.line_returned(tx, refund.visit_id, refund.charge_id, refund.out_refund_no)
    await tx.emit(MoneyReturned(refund.id, refund.visit_id, refund.amount_fen))


async def _line_is_back(tx: Tx, charge_id: UUID) -> bool:
    """A line several people paid is back when the last of them has their part."""
    await tx.session.flush()
    query = select(Refund.id).where(Refund.charge_id == charge_id, Refund.done_at.is_(None), Refund.state != R.REFUSED)
    return (await tx.session.scalars(query.limit(1))).first() is None


def _move(refund: Refund, after: RefundState) -> None:
    REFUND.move(R(refund.state), after)
    refund.state = after
