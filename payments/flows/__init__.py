"""Paying where it touches WeChat: claim, ask, record; what is unknown is looked up there before anything is decided."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from uuid import UUID

import structlog

from kernel.db import Database, Tx
from kernel.errors import HoufuError
from kernel.outside import OutsideError, Rejected, Unknown
from payments.flows import codes
from payments.flows.booking import DEAD, TAKEN, book
from payments.ports import CashPay, CashState, InsuranceCenter
from payments.rules import OVER, PAYABLE, AttemptInProgressError, AttemptState, InsuranceState, Till
from payments.rules.counter import DeskWay
from payments.service import attempts, insurance, refunds, returns, rounds
from payments.service.attempts import Press
from payments.service.insurance import Asked
from people.rules import Actor
from visits.ports import HisInsurance

log = structlog.get_logger()

S = AttemptState
_LOOK_AGAIN = frozenset({"ORDER_PAID", "ORDER_CLOSED", "OUT_TRADE_NO_USED"})
_SIDE_BY_SIDE = 4


async def press(db: Database, pay: CashPay, actor: Actor, visit_id: UUID, wish: Press, till: Till) -> UUID:
    """The pay button: begins an attempt and has the provider open its order. Returns the attempt's id.

    One's own older attempt, and anybody's whose time is over, is closed first.

    Raises:
        HoufuError: as ``payments.service.attempts.begin`` does.
    """
    for last in (False, True):
        try:
            async with db.begin() as tx:
                attempt = await attempts.begin(tx, actor, visit_id, wish, till)
                fresh, first = attempt.state == S.CREATED, attempts.began(tx, attempt)
            break
        except AttemptInProgressError as busy:
            if last or busy.attempt_id is None or not await make_room(db, pay, actor, busy.attempt_id):
                raise
    if fresh:
        await offer(db, pay, attempt.id, first=first)
    return attempt.id


async def make_room(db: Database, pay: CashPay, actor: Actor, attempt_id: UUID) -> bool:
    """Close an attempt that is in the way, if it is the caller's own or its time is over. Whether it is gone."""
    async with db.begin() as tx:
        live = await attempts.by_id(tx, attempt_id)
        mine = live.actor == actor.viewer
        late = live.expires_at <= tx.now and live.state in PAYABLE
    if not (mine or late):
        return False
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
    await _each(under_way, lambda one: close(db, pay, one))


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
    if attempt.channel == DeskWay.CODE:
        await codes.look(db, pay, attempt_id)
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
        shown = attempt.channel == DeskWay.CODE
        if not shown and not await attempts.closing(tx, attempt_id):
            return
    if shown:
        await codes.undo(db, pay, attempt_id, codes.TOO_LATE)
        return
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
    await _each(due, lambda one: look(db, pay, one))
    return len(due)


async def release_idle(db: Database) -> int:
    """Let lines go whose shares nobody has begun to pay for a day. Returns how many visits."""
    async with db.begin() as tx:
        visits = await rounds.idle(tx)
    for visit_id in visits:
        async with db.begin() as tx:
            await rounds.release_idle(tx, visit_id)
    return len(visits)


# ------------------------------------------------------------------------------------------------- the insurance first


async def insure(
    db: Database, his: HisInsurance, actor: Actor, visit_id: UUID, *, account_used: bool | None
) -> list[UUID]:
    """Begin to let the insurance settle: the HIS says what it has to be told, then the round is opened.

    Returns: the settlements, each waiting for the patient's consent.

    Raises:
        HoufuError: as ``payments.service.insurance.begin`` does, and the four errors of the HIS.
    """
    async with db.begin() as tx:
        encounters = await insurance.wanted(tx, actor, visit_id)
    facts = {number: await his.insurance(number) for number in encounters}
    async with db.begin() as tx:
        return await insurance.begin(tx, actor, visit_id, facts, account_used=account_used)


async def authorize(
    db: Database, center: InsuranceCenter, actor: Actor, part_id: UUID, auth_code: str, openid: str
) -> None:
    """The patient consented: the code is changed for an authorization, the bill handed in and reckoned.

    Raises:
        Rejected: the code is no good; the patient consents once more.
        Unknown: the code may be used up; the same.
    """
    async with db.begin() as tx:
        if not await insurance.waits(tx, actor, part_id):
            return
    given = await center.resolve_auth(auth_code, openid)
    async with db.begin() as tx:
        await insurance.authorized(tx, actor, part_id, given)
    await go_on(db, center, part_id)
    await go_on(db, center, part_id)


async def confirm(db: Database, center: InsuranceCenter, actor: Actor, visit_id: UUID, seen_cash_fen: int) -> None:
    """The payer agrees to what was shown; from now on the insurance may pay.

    Raises:
        HoufuError: as ``payments.service.insurance.confirm`` does.
    """
    async with db.begin() as tx:
        agreed = await insurance.confirm(tx, actor, visit_id, seen_cash_fen)
    await _each(agreed, lambda one: go_on(db, center, one))


async def go_on(db: Database, center: InsuranceCenter, part_id: UUID) -> None:
    """Whatever comes next for one settlement; no answer leaves it where it is, to be asked again in the same words."""
    async with db.begin() as tx:
        asked = await insurance.asked(tx, part_id)
    step = _STEPS.get(asked.state)
    if step is None:
        return
    try:
        record = await step(center, asked)
    except Rejected as no:
        record = partial(_said_no, reason=no.reason)
    except OutsideError as error:
        log.warning("insurance.waits", state=asked.state, reason=error.code)
        return
    if record is not None:
        async with db.begin() as tx:
            await record(tx, part_id)


Record = Callable[[Tx, UUID], Awaitable[None]]
I = InsuranceState  # noqa: E741 - as short as the other tables' letters


async def _upload(center: InsuranceCenter, asked: Asked) -> Record | None:
    if not asked.fees.pay_auth_no:
        return None  # waits for the patient
    return partial(insurance.uploaded, credential=await center.upload(asked.fees))


async def _place(center: InsuranceCenter, asked: Asked) -> Record | None:
    return partial(insurance.placed, split=await center.place(asked.order)) if asked.order else None


async def _ask(center: InsuranceCenter, asked: Asked) -> Record | None:
    if asked.credential is None:
        return None
    return partial(insurance.said, told=await center.query(asked.credential, asked.fees.insured))


async def _revoke(center: InsuranceCenter, asked: Asked) -> Record | None:
    if asked.credential is None:
        return None
    try:
        await center.revoke(asked.credential, asked.fees.insured)
    except Rejected:
        return await _ask(center, asked)  # it may have paid, or be about to
    return insurance.revoked


async def _return(center: InsuranceCenter, asked: Asked) -> Record | None:
    if asked.state is I.MANUAL:
        return await _ask(center, asked)
    return partial(insurance.refunded, told=await center.refund(asked.refund)) if asked.refund else None


async def _said_no(tx: Tx, part_id: UUID, reason: str) -> None:
    await insurance.refused(tx, part_id, reason)


_STEPS: Mapping[InsuranceState, Callable[[InsuranceCenter, Asked], Awaitable[Record | None]]] = {
    I.CREATED: _upload,
    I.UPLOADED: _place,
    I.PAYING: _ask,
    I.PAID: _ask,  # paid is not for ever, until the hospital has booked it
    I.REVOKING: _revoke,
    I.REFUNDING: _return,
    I.MANUAL: _return,
}


async def insurance_due(db: Database, center: InsuranceCenter) -> int:
    """Go on with every settlement that is due. Returns how many."""
    async with db.begin() as tx:
        due = await insurance.claim_due(tx)
    await _each(due, lambda one: go_on(db, center, one))
    return len(due)


async def insurance_noticed(db: Database, center: InsuranceCenter, raw: bytes) -> None:
    """A 6302 notice: verified, then asked about; it may be old or said again, so it only makes us ask sooner.

    Raises:
        ForgedNotice, NotFoundError: not the centre's, or about nothing of ours.
    """
    told = await center.decode_notice(raw)
    async with db.begin() as tx:
        part_id = await insurance.by_order(tx, told.pay_order_id)
    await go_on(db, center, part_id)


async def refund_due(db: Database, pay: CashPay) -> int:
    """Ask for, or about, every refund that is due. Returns how many."""
    async with db.begin() as tx:
        due = await refunds.claim_due(tx)
    await _each(due, lambda one: _refund(db, pay, one))
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


async def _each(ids: Iterable[UUID], do: Callable[[UUID], Awaitable[None]]) -> None:
    """A few at a time; one that fails does not keep the others waiting, and the first failure is told at the end."""
    turn = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(which: UUID) -> None:
        async with turn:
            await do(which)

    results = await asyncio.gather(*(one(i) for i in ids), return_exceptions=True)
    for result in results:
        if isinstance(result, HoufuError):
            log.error("pay.sweep", error=result.code)
        elif isinstance(result, BaseException):
            raise result
