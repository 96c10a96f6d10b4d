"""A shown code is charged once: at once, or after a password, or it is undone after thirty seconds.

The code lives in this call alone. After a crash nobody has it any more, so what was begun is looked up at the provider
under its number, and undone there.
"""

from uuid import UUID

import structlog

from kernel.db import Database
from kernel.outside import OutsideError, Rejected, Unknown
from payments.flows.booking import DEAD, TAKEN, book
from payments.ports import CashPay, CashState, CodeCharge, TradeState
from payments.rules import OVER, PAYABLE
from payments.service import attempts
from payments.service.attempts import S

log = structlog.get_logger()

_GONE = DEAD | {TradeState.PAYERROR, TradeState.NOTPAY}
TOO_LATE = "TOO_LATE"
"""Our own word for a password that did not come in thirty seconds."""


async def charge(db: Database, pay: CashPay, attempt_id: UUID, auth_code: str, terminal: str, store: str) -> None:
    """Charge a code for an attempt that was just begun; how it went is what the attempt then says.

    Args:
        terminal, store: the hospital's own names of the desk and the house.
    """
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
    number = attempt.out_trade_no
    made = CodeCharge(number, attempt.amount_fen, attempt.description, auth_code, terminal, store, attempt.attach)
    try:
        state = await pay.charge_code(made)
    except Rejected as no:
        if no.reason == "ORDER_PAID":
            await look(db, pay, attempt_id)
        else:
            await undo(db, pay, attempt_id, no.reason)
        return
    except Unknown:
        async with db.begin() as tx:
            await attempts.unknown(tx, attempt_id)
        return
    except OutsideError as error:  # nothing was sent
        await undo(db, pay, attempt_id, error.code)
        return
    if state.trade_state in TAKEN:
        await book(db, state, attempt_id)
        return
    async with db.begin() as tx:
        awaited = await attempts.password(tx, attempt_id)
    if not awaited:  # the answer came after we had given it up
        await _reverse(pay, number)


async def look(db: Database, pay: CashPay, attempt_id: UUID) -> None:
    """Ask the provider about a shown code, then decide: paid, go on waiting, or undo because it takes too long."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        late = tx.now >= attempt.expires_at or await attempts.given_up(tx, attempt)
    state = S(attempt.state)
    if state not in PAYABLE | OVER:
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
    if found is not None and found.trade_state in TAKEN:
        await book(db, found, attempt_id)
    elif state in OVER:
        return
    elif state is S.CLOSING or late:
        await undo(db, pay, attempt_id, TOO_LATE)
    elif found is not None and found.trade_state in _GONE:
        await undo(db, pay, attempt_id, found.trade_state.value)


async def undo(db: Database, pay: CashPay, attempt_id: UUID, why: str) -> None:
    """Make sure nothing can come of it any more: undone there, asked there, then closed here; paid is paid."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        if not await attempts.refuse(tx, attempt_id, why):
            return
    if not await _reverse(pay, attempt.out_trade_no):
        return  # still closing: the sweeper tries again
    try:
        found: CashState | None = await pay.query(attempt.out_trade_no)
    except Rejected as no:
        if no.reason != "ORDER_NOT_EXIST":
            return
        found = None
    except OutsideError:
        return
    if found is not None and found.trade_state in TAKEN:
        await book(db, found, attempt_id)
    elif found is None or found.trade_state in _GONE:
        async with db.begin() as tx:
            await attempts.closed(tx, attempt_id)


async def _reverse(pay: CashPay, number: str) -> bool:
    """Whether the provider has answered; nothing there is as good as undone."""
    try:
        await pay.reverse(number)
    except Rejected as no:
        if no.reason == "ORDER_NOT_EXIST":
            return True
        log.warning("pay.reverse", reason=no.reason)
        return no.reason == "INVALID_REQUEST"  # asked next: it may be paid and going back
    except OutsideError:
        return False
    return True
