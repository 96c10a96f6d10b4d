"""Taking money by contract: asked for once, under one number; what is unknown is asked about, never asked for again."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from kernel.db import Database, Tx
from kernel.outside import NotConfigured, OutsideError, Rejected, Unknown
from payments.flows.booking import DEAD, TAKEN, book, each
from payments.ports import CashPay, CashState, Deduction, DeductPay, TradeState
from payments.rules import OVER, PAYABLE, Till
from payments.rules.taking import NEVER_ARRIVED, ContractState, NoContractError, NoContractsError
from payments.service import attempts, contracts
from payments.service.attempts import Attempt, S
from people.rules import Actor

log = structlog.get_logger()

_GONE = DEAD | {TradeState.PAYERROR}
_LOOK = frozenset({"ORDER_PAID", "OUT_TRADE_NO_USED"})
LOST = "NEVER_ARRIVED"


async def take(db: Database, pay: CashPay, begin: Callable[[Tx], Awaitable[Attempt | None]]) -> UUID | None:
    """Begin an attempt in one transaction, and ask for its money; None: ``begin`` found nothing to take."""
    async with db.begin() as tx:
        attempt = await begin(tx)
        if attempt is None:
            return None
        contract = await contracts.of_attempt(tx, attempt.id)
    line = _line(pay)
    asked = Deduction(attempt.out_trade_no, attempt.amount_fen, attempt.description, contract, attempt.attach)
    try:
        await line.deduct(asked)
    except Rejected as no:
        if no.reason in _LOOK:
            await look(db, pay, attempt.id)
            return attempt.id
        async with db.begin() as tx:
            await attempts.failed(tx, attempt.id, no.reason)
            if no.reason == "CONTRACT_NOT_EXIST":
                await contracts.doubted(tx, attempt.id)
    except Unknown:
        async with db.begin() as tx:
            await attempts.unknown(tx, attempt.id)
    except OutsideError as error:  # nothing was sent
        async with db.begin() as tx:
            await attempts.failed(tx, attempt.id, error.code)
    else:
        async with db.begin() as tx:
            await attempts.accepted(tx, attempt.id)
    return attempt.id


async def look(db: Database, pay: CashPay, attempt_id: UUID) -> None:
    """Ask how a deduction stands, then decide. It is never asked for a second time, and cannot be closed."""
    async with db.begin() as tx:
        attempt = await attempts.by_id(tx, attempt_id)
        lost = tx.now - attempt.created_at >= NEVER_ARRIVED
    state = S(attempt.state)
    if state not in PAYABLE | OVER:
        return
    try:
        found: CashState | None = await _line(pay).query(attempt.out_trade_no)
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
    elif state not in OVER:
        await _go_on(db, attempt_id, found, lost=lost)


async def _go_on(db: Database, attempt_id: UUID, found: CashState | None, *, lost: bool) -> None:
    async with db.begin() as tx:
        if found is None and lost:
            await attempts.failed(tx, attempt_id, LOST)
        elif found is not None and found.trade_state in _GONE:
            await attempts.failed(tx, attempt_id, found.trade_state.value)
        elif found is not None:
            await attempts.accepted(tx, attempt_id)


async def sign(db: Database, pay: CashPay, actor: Actor, till: Till, openid: str, display: str) -> str:
    """Where the payer signs, inside WeChat.

    Raises:
        NoContractsError: no money is taken by contract here.
        NoContractError: she was sent there as somebody else; that is being ended, a little later it can be tried again.
    """
    if pay.deduct is None:
        raise NoContractsError
    async with db.begin() as tx:
        row = await contracts.ask(tx, actor, till, pay.deduct.plan_id, openid)
    if row.state == ContractState.ENDING:
        raise NoContractError
    return pay.deduct.sign_url(contracts.asked(row, display))


async def stop(db: Database, pay: CashPay, actor: Actor, till: Till) -> None:
    """Nothing is taken any more, from now on; the provider is told at once, or as soon as it answers."""
    async with db.begin() as tx:
        row = await contracts.stop_own(tx, actor, till)
    if row is not None:
        await settle(db, pay, row)


async def settle(db: Database, pay: CashPay, contract_id: UUID) -> None:
    """Ask how a contract stands, or have the provider end it."""
    if pay.deduct is None:
        return
    async with db.begin() as tx:
        row = await contracts.by_id(tx, contract_id)
    try:
        if row.state == ContractState.ENDING:
            await pay.deduct.end_contract(row.code, "payer")
            async with db.begin() as tx:
                await contracts.ended_there(tx, contract_id)
        else:
            told = await pay.deduct.contract(row.code)
            async with db.begin() as tx:
                await contracts.said(tx, contract_id, told)
    except Rejected as no:
        if no.reason == "CONTRACT_NOT_EXIST":
            async with db.begin() as tx:
                await contracts.unsigned(tx, contract_id)
    except OutsideError as error:
        log.warning("pay.contract", error=error.code)  # the sweeper asks again


async def contracts_due(db: Database, pay: CashPay) -> int:
    """Look after every contract that is due. Returns how many."""
    async with db.begin() as tx:
        due = await contracts.claim_due(tx)
    await each(due, lambda one: settle(db, pay, one))
    return len(due)


def _line(pay: CashPay) -> DeductPay:
    if pay.deduct is None:
        raise NotConfigured("wechat_deduct.plan_id")
    return pay.deduct
