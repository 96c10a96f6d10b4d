"""Money the provider says it has is booked; what does not fit is an alarm and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

import structlog

from kernel.db import Database
from kernel.errors import HoufuError
from payments.ports import CashState, TradeState
from payments.rules import WrongMoneyError
from payments.service import attempts

log = structlog.get_logger()

TAKEN = frozenset({TradeState.SUCCESS, TradeState.REFUND})
DEAD = frozenset({TradeState.CLOSED, TradeState.REVOKED})
_SIDE_BY_SIDE = 4


async def book(db: Database, found: CashState, attempt_id: UUID) -> None:
    """Write down that an attempt is paid; a word that does not fit it is noted for a person."""
    try:
        async with db.begin() as tx:
            await attempts.paid(tx, found)
    except WrongMoneyError as wrong:
        log.error("pay.mismatch", what=wrong.what, attempt=str(attempt_id))
        async with db.begin() as tx:
            await attempts.troubled(tx, attempt_id, f"mismatch:{wrong.what}")


async def each(ids: Iterable[UUID], do: Callable[[UUID], Awaitable[None]]) -> None:
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
