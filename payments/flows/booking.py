"""Money the provider says it has is booked; what does not fit is an alarm and changes nothing."""

from uuid import UUID

import structlog

from kernel.db import Database
from payments.ports import CashState, TradeState
from payments.rules import WrongMoneyError
from payments.service import attempts

log = structlog.get_logger()

TAKEN = frozenset({TradeState.SUCCESS, TradeState.REFUND})
DEAD = frozenset({TradeState.CLOSED, TradeState.REVOKED})


async def book(db: Database, found: CashState, attempt_id: UUID) -> None:
    """Write down that an attempt is paid; a word that does not fit it is noted for a person."""
    try:
        async with db.begin() as tx:
            await attempts.paid(tx, found)
    except WrongMoneyError as wrong:
        log.error("pay.mismatch", what=wrong.what, attempt=str(attempt_id))
        async with db.begin() as tx:
            await attempts.troubled(tx, attempt_id, f"mismatch:{wrong.what}")
