"""A shown code or a face is charged once: at once, or after a password, or it is undone after thirty seconds.

The code lives in this call alone. After a crash nobody has it any more, so what was begun is looked up at the provider
under its number, and undone there: a face on its own line, which knows it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError, Rejected, Unknown
from payments.flows.booking import DEAD, TAKEN, book
from payments.ports import CashPay, CashState, CodeCharge, FaceCharge, FacePay, TradeState
from payments.rules import OVER, PAYABLE
from payments.rules.counter import DeskWay
from payments.service import attempts
from payments.service.attempts import Attempt, S

log = structlog.get_logger()

_GONE = DEAD | {TradeState.PAYERROR, TradeState.NOTPAY}
TOO_LATE = "TOO_LATE"
"""Our own word for a password that did not come in thirty seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face was looked at: the hospital's name of the terminal, and its own address."""

    terminal: str
    ip: str


async def charge(db: Database, pay: CashPay, attempt_id: UUID, auth_code: str, terminal: str, store: str) -> None:
    """Charge a code for an attempt that was just begun; how it went is what the attempt then says.

    Args:
        terminal, store: the hospital's own names of the desk and the house.
    """

    async def take(a: Attempt) -> CashState:
        made = CodeCharge(a.out_trade_no, a.amount_fen, a.description, auth_code, terminal, store, a.attach)
        return await pay.charge_code(made)

    await _charged(db, pay, attempt_id, take)


async def charge_face(db: Database, pay: CashPay, attempt_id: UUID, face_code: str, openid: str, where: Place) -> None:
    """Charge a face for an attempt that was just begun; how it went is what the attempt then says."""

    async def take(a: Attempt) -> CashState:
        made = FaceCharge(
            a.out_trade_no, a.amount_fen, a.description, face_code, openid, where.terminal, where.ip, a.attach
        )
        return await _faces(pay).charge_face(made)

    await _charged(db, pay, attempt_id, take)


async def _charged(
    db: Database, pay: CashPay, attempt_id: UUID, take: Callable[[Attempt], Awaitable[CashState]]
) -> None:
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
    try:
        state = await take(attempt)
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
        await _reverse(pay, attempt)


async def look(db: Database, pay: CashPay, attempt_id: UUID) -> None:
    """Ask the provider about a code or a face, then decide: paid, go on waiting, or undo because it takes too long."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        late = tx.now >= attempt.expires_at or await attempts.given_up(tx, attempt)
    state = S(attempt.state)
    if state not in PAYABLE | OVER:
        return
    try:
        found: CashState | None = await _line(pay, attempt).query(attempt.out_trade_no)
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
    if not await _reverse(pay, attempt):
        return  # still closing: the sweeper tries again
    try:
        found: CashState | None = await _line(pay, attempt).query(attempt.out_trade_no)
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


def _line(pay: CashPay, attempt: Attempt) -> CashPay | FacePay:
    """The line that knows this attempt's number."""
    return _faces(pay) if attempt.channel == DeskWay.FACE else pay


def _faces(pay: CashPay) -> FacePay:
    if pay.face is None:
        raise NotConfigured("wechat_face.apiv2_key")
    return pay.face


async def _reverse(pay: CashPay, attempt: Attempt) -> bool:
    """Whether the provider has answered; nothing there is as good as undone."""
    try:
        await _line(pay, attempt).reverse(attempt.out_trade_no)
    except Rejected as no:
        if no.reason == "ORDER_NOT_EXIST":
            return True
        log.warning("pay.reverse", reason=no.reason)
        return no.reason == "INVALID_REQUEST"  # asked next: it may be paid and going back
    except OutsideError:
        return False
    return True
