"""Paying where it touches WeChat: claim, ask, record; what is unknown is looked up there before anything is decided."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from kernel.db import Database, Tx
from kernel.outside import OutsideError, Rejected, Unknown
from payments.flows import codes, taking
from payments.flows.booking import DEAD, TAKEN, book, each
from payments.flows.insuring import authorize as authorize
from payments.flows.insuring import confirm as confirm
from payments.flows.insuring import go_on as go_on
from payments.flows.insuring import insurance_due as insurance_due
from payments.flows.insuring import insurance_noticed as insurance_noticed
from payments.flows.insuring import insure as insure
from payments.ports import CashPay, CashState
from payments.rules import LINK_TURN, OVER, PAYABLE, AttemptInProgressError, AttemptState, Till
from payments.rules.counter import READ
from payments.rules.taking import AutoWay
from payments.service import attempts, labels, pressing, refunds, returns, rounds
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people.rules import Actor, ActorKind

log = structlog.get_logger()

S = AttemptState
_OTHERWISE = READ | {AutoWay.CONTRACT}
"""Channels whose orders are not closed at the provider."""
_LOOK_AGAIN = frozenset({"ORDER_PAID", "ORDER_CLOSED", "OUT_TRADE_NO_USED"})


async def press(db: Database, pay: CashPay, actor: Actor, visit_id: UUID, wish: Press, till: Till) -> UUID:
    """The pay button: begins an attempt and has the provider open its order. Returns the attempt's id.

    One's own older attempt, and anybody's whose time is over, is closed first.

    Raises:
        HoufuError: as ``payments.service.pressing.begin`` does.
    """
    return await pressed(db, pay, actor, lambda tx: pressing.begin(tx, actor, visit_id, wish, till))


async def pressed(db: Database, pay: CashPay, actor: Actor, begin: Callable[[Tx], Awaitable[Attempt]]) -> UUID:
    """A press that ``begin`` turns into an attempt in one transaction; what may be in its way is closed once.

    Raises:
        HoufuError: as ``begin`` does.
    """
    for last in (False, True):
        try:
            async with db.begin() as tx:
                attempt = await begin(tx)
                fresh, first = attempt.state == S.CREATED, pressing.began(tx, attempt)
            break
        except AttemptInProgressError as busy:
            if last or busy.attempt_id is None or not await make_room(db, pay, actor, busy.attempt_id):
                raise
    if fresh:
        await offer(db, pay, attempt.id, first=first)
    return attempt.id


async def make_room(db: Database, pay: CashPay, actor: Actor, attempt_id: UUID) -> bool:
    """Close an attempt that is in the way, if it is the caller's own or its time is over. Whether it is gone.

    A pay link is in many hands, so its own older attempt is somebody else's perhaps, and is given some time. Everybody
    else goes before a link: strangers keep neither the family nor the counter waiting.
    """
    async with db.begin() as tx:
        live = await attempts.by_id(tx, attempt_id)
        if actor.kind is ActorKind.LINK:
            mine = live.actor == actor.viewer and tx.now - live.created_at >= LINK_TURN
        else:
            mine = live.actor == actor.viewer or live.relation == labels.LINK
        late = live.expires_at <= tx.now and live.state in PAYABLE
    if not (mine or late):
        return False
    return await gone(db, pay, attempt_id)


async def gone(db: Database, pay: CashPay, attempt_id: UUID) -> bool:
    """Close an attempt, and say whether nothing can be paid by it any more."""
    await close(db, pay, attempt_id)
    async with db.begin() as tx:
        return (await attempts.by_id(tx, attempt_id)).state not in PAYABLE


async def give_up(db: Database, pay: CashPay, actor: Actor, visit_id: UUID) -> None:
    """Give the live round up: whatever is under way is closed first, then what was paid goes back.

    Raises:
        HoufuError: as ``payments.service.rounds.give_up`` does.
    """
    async with db.begin() as tx:
        under_way = await rounds.give_up(tx, actor, visit_id)
    await each(under_way, lambda one: close(db, pay, one))


async def offer(db: Database, pay: CashPay, attempt_id: UUID, *, first: bool = False) -> None:
    """Have the provider open the order, or find the same one again; no answer makes the attempt unknown.

    Args:
        first: nobody has asked for it yet, so that a refusal proves that nothing is open there; otherwise an earlier
            try may have opened what the payer can still pay, so the order is closed there before it is over here.
    """
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        order = attempts.order_of(tx, attempt)
    if attempt.state not in (S.CREATED, S.UNKNOWN, S.OFFERED):
        return
    try:
        prepared = await pay.create(order)
    except Rejected as no:
        if no.reason in _LOOK_AGAIN:
            await look(db, pay, attempt_id)
        elif first:
            async with db.begin() as tx:
                await attempts.failed(tx, attempt_id, no.reason)
        else:
            log.warning("pay.offer", reason=no.reason)
            await close(db, pay, attempt_id)
        return
    except OutsideError as error:
        async with db.begin() as tx:
            if first and not isinstance(error, Unknown):  # nothing was sent, and nothing before
                await attempts.failed(tx, attempt_id, error.code)
            else:
                await attempts.unknown(tx, attempt_id)
        return
    async with db.begin() as tx:
        open_here = await attempts.offered(tx, attempt_id, prepared)
    if not open_here:
        await _close_there(pay, order.out_trade_no)


async def look(db: Database, pay: CashPay, attempt_id: UUID) -> None:
    """Ask the provider how the order stands, then decide: paid, closed, offer again, or go on waiting."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        late = tx.now >= attempt.expires_at or await attempts.given_up(tx, attempt)
    if attempt.channel in READ:
        await codes.look(db, pay, attempt_id)
        return
    if attempt.channel == AutoWay.CONTRACT:
        await taking.look(db, pay, attempt_id)
        return
    state = S(attempt.state)
    if state is S.CLOSING:
        await close(db, pay, attempt_id)
    if state not in (PAYABLE | OVER) - {S.CLOSING}:
        return
    try:
        found: CashState | None = await pay.query(attempt.out_trade_no)
    except Rejected as no:
        if no.reason != "ORDER_NOT_EXIST":
            return
        found = None
    except OutsideError:
        if state not in OVER:
            async with db.begin() as tx:
                await attempts.unknown(tx, attempt_id)
        return
    await _decide(db, pay, attempt_id, state, found, late=late)


async def _decide(
    db: Database, pay: CashPay, attempt_id: UUID, state: AttemptState, found: CashState | None, *, late: bool
) -> None:
    if found is not None and found.trade_state in TAKEN:
        await book(db, found, attempt_id)
    elif state in OVER:
        return
    elif found is not None and found.trade_state in DEAD:
        async with db.begin() as tx:
            await attempts.closed(tx, attempt_id)
    elif late:
        await close(db, pay, attempt_id)
    elif found is None or state in (S.CREATED, S.UNKNOWN):
        await offer(db, pay, attempt_id)


async def close(db: Database, pay: CashPay, attempt_id: UUID) -> None:
    """Make sure it can no longer be paid: closed there, asked there, then closed here. Paid meanwhile is paid."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        if attempt.channel not in _OTHERWISE and not await attempts.closing(tx, attempt_id):
            return None
    if attempt.channel == AutoWay.CONTRACT:  # nothing there can be closed: it is only asked about
        return await taking.look(db, pay, attempt_id)
    if attempt.channel in READ:
        return await codes.undo(db, pay, attempt_id, codes.TOO_LATE)
    return await _close(db, pay, attempt)


async def _close(db: Database, pay: CashPay, attempt: Attempt) -> None:
    attempt_id = attempt.id
    number = attempt.out_trade_no
    try:
        await pay.close(number)
        found: CashState | None = await pay.query(number)
    except Rejected as no:
        if no.reason == "ORDER_PAID":
            found = await _query(pay, number)
            if found is None:
                return
        elif no.reason == "ORDER_NOT_EXIST":
            found = None
        else:
            log.warning("pay.close", reason=no.reason)
            return
    except OutsideError:
        return  # still closing: the sweeper tries again
    if found is None or found.trade_state in DEAD:
        async with db.begin() as tx:
            await attempts.closed(tx, attempt_id)
    elif found.trade_state in TAKEN:
        await book(db, found, attempt_id)


async def sweep(db: Database, pay: CashPay) -> int:
    """Look at every attempt that is due. Returns how many."""
    async with db.begin() as tx:
        due = await attempts.claim_due(tx)
    await each(due, lambda one: look(db, pay, one))
    return len(due)


async def release_idle(db: Database) -> int:
    """Let lines go whose shares nobody has begun to pay for a day. Returns how many visits."""
    async with db.begin() as tx:
        visits = await rounds.idle(tx)
    for visit_id in visits:
        async with db.begin() as tx:
            await rounds.release_idle(tx, visit_id)
    return len(visits)


async def refund_due(db: Database, pay: CashPay) -> int:
    """Ask for, or about, every refund that is due. Returns how many."""
    async with db.begin() as tx:
        due = await refunds.claim_due(tx)
    await each(due, lambda one: _refund(db, pay, one))
    return len(due)


async def _refund(db: Database, pay: CashPay, refund_id: UUID) -> None:
    async with db.begin() as tx:
        order, sent = await refunds.order_of(tx, refund_id)
    try:
        told = await (pay.query_refund(order.out_refund_no) if sent else pay.refund(order))
    except Rejected as no:
        async with db.begin() as tx:
            await refunds.refused(tx, refund_id, no.reason)
        return
    except OutsideError:
        return  # asked again under the same number
    async with db.begin() as tx:
        await returns.said(tx, told)


async def _query(pay: CashPay, number: str) -> CashState | None:
    try:
        return await pay.query(number)
    except OutsideError:
        return None


async def _close_there(pay: CashPay, number: str) -> None:
    try:
        await pay.close(number)
    except OutsideError as error:
        log.warning("pay.close", reason=error.code)  # the last look after closing finds money that still comes
