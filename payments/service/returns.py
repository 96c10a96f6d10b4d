"""What the provider says about money on its way back, and what it does to the books."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlalchemy import select

from billing.rules import Account, till_of
from billing.service import paying
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from payments import rules
from payments.events import MoneyReturned
from payments.models import Attempt, Refund
from payments.ports import RefundState as Said
from payments.ports import RefundStatus
from payments.rules import REFUND, AttemptState, RefundState
from payments.rules.counter import IN_HAND, CardReferenceError, NotAbnormalError, NotCashBackError
from payments.service.moves import move, tell
from people.rules import Actor, Role

R = RefundState


async def said(tx: Tx, told: Said) -> Refund:
    """The provider's verified word about a refund.

    Raises:
        NotFoundError: not a refund of ours.
        rules.WrongMoneyError: another amount or order than we asked for; nothing changes.
    """
    query = select(Refund.id).where(Refund.out_refund_no == told.out_refund_no)
    found = (await tx.session.scalars(query)).first()
    if found is None:
        raise NotFoundError
    attempt, refund = await locked(tx, found)
    if (told.refund_fen, told.total_fen) != (refund.amount_fen, attempt.amount_fen):
        raise rules.WrongMoneyError("refund", attempt.out_trade_no)
    if told.out_trade_no != attempt.out_trade_no:
        raise rules.WrongMoneyError("refund", attempt.out_trade_no)
    refund.provider_refund_id = told.refund_id or refund.provider_refund_id
    if refund.state in (R.APPROVED, R.INSURANCE_RETURNED):
        _move(refund, R.SENT)
    if told.status is RefundStatus.SUCCESS and refund.state in (R.SENT, R.ABNORMAL):
        await _returned(tx, attempt, refund)
    elif told.status in (RefundStatus.ABNORMAL, RefundStatus.CLOSED) and refund.state == R.SENT:
        # A person decides how the money finds its way; we do not ask again by ourselves.
        _move(refund, R.ABNORMAL)
        refund.next_at, refund.trouble = None, told.status.value
    elif told.status is RefundStatus.SUCCESS and refund.by_hand is not None:
        refund.trouble = "twice"  # finance has paid it meanwhile: the same money has gone back two ways
    return refund


async def locked(tx: Tx, refund_id: UUID) -> tuple[Attempt, Refund]:
    """A refund and its payment, with the visit's turn taken.

    Raises:
        NotFoundError: there is none.
    """
    known = await tx.get(Refund, refund_id)
    if known is None:
        raise NotFoundError
    await paying.locked_visit(tx, known.visit_id)
    attempt = await tx.get(Attempt, known.attempt_id, lock=True)
    refund = await tx.get(Refund, refund_id, lock=True)
    if attempt is None or refund is None:
        raise NotFoundError
    return attempt, refund


async def handed_out(tx: Tx, refund_id: UUID, before: Callable[[Attempt, Refund], Awaitable[None]]) -> Refund:
    """Money that came over the counter has been given back there.

    Args:
        before: what else has to be written, and may refuse; called with the visit's turn taken.

    Raises:
        NotFoundError: no such refund.
        NotCashBackError: it is not one of the counter's, or not to be given now.
    """
    attempt, refund = await locked(tx, refund_id)
    waits = refund.state == R.APPROVED and refund.part_id is not None  # the insurance first
    if attempt.channel not in IN_HAND or refund.state not in (R.APPROVED, R.INSURANCE_RETURNED) or waits:
        raise NotCashBackError
    await before(attempt, refund)
    _move(refund, R.SENT)
    await _returned(tx, attempt, refund)
    return refund


async def by_hand(tx: Tx, actor: Actor, refund_id: UUID, reference: str) -> Refund:
    """The provider could not give the money back, so finance has: their word, with the number of their payment.

    Raises:
        NotFoundError: no such refund in the caller's hospital.
        ForbiddenError: the caller does not keep the hospital's money.
        NotAbnormalError: the provider has not said that it cannot.
        CardReferenceError: the number is missing.
    """
    attempt, refund = await locked(tx, refund_id)
    if actor.hospital_id != attempt.hospital_id:
        raise NotFoundError
    if actor.role is not Role.FINANCE:
        raise ForbiddenError
    if refund.state != R.ABNORMAL:
        raise NotAbnormalError
    reference = reference.strip()
    if not 4 <= len(reference) <= 64:
        raise CardReferenceError
    refund.by_hand, refund.by_hand_by = reference, actor.id
    _move(refund, R.MANUAL)
    await _over(tx, attempt, refund, Account.PAID_BY_HAND)
    return refund


async def _returned(tx: Tx, attempt: Attempt, refund: Refund) -> None:
    _move(refund, R.CASH_RETURNED)
    await _over(tx, attempt, refund, till_of(attempt.channel))


async def _over(tx: Tx, attempt: Attempt, refund: Refund, till: Account) -> None:
    refund.next_at, refund.trouble = None, None
    await paying.cash_out(tx, refund.visit_id, refund.id, refund.out_refund_no, refund.amount_fen, till)
    _move(refund, R.DONE)
    refund.done_at = tx.now
    if refund.charge_id is None and refund.part_id is None:
        move(attempt, AttemptState.REFUNDED)
        await tell(tx, attempt)
    elif refund.charge_id is None:
        await tell(tx, attempt, ("sent_back", refund.amount_fen))
    elif await _line_is_back(tx, refund.charge_id):
        # With a settlement of the insurance the hospital was told of all its lines at once.
        number = refund.out_refund_no if refund.part_id is None else None
        await paying.line_returned(tx, refund.visit_id, refund.charge_id, number)
    await tx.emit(MoneyReturned(refund.id, refund.visit_id, refund.amount_fen))


async def _line_is_back(tx: Tx, charge_id: UUID) -> bool:
    """A line several people paid is back when the last of them has their part."""
    await tx.session.flush()
    query = select(Refund.id).where(Refund.charge_id == charge_id, Refund.done_at.is_(None), Refund.state != R.REFUSED)
    return (await tx.session.scalars(query.limit(1))).first() is None


def _move(refund: Refund, after: RefundState) -> None:
    REFUND.move(R(refund.state), after)
    refund.state = after
