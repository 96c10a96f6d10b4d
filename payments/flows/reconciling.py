"""The nightly comparison where it touches the outside: claim a day, ask every side for its books, record."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import date, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from kernel.clock import china_day
from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError, Rejected
from payments.ports import CashPay
from payments.ports.statements import InsuranceRow, InsuranceStatements, insurance_totals
from payments.rules.reconciling import Side, SideState
from payments.service import books, reconciling, statements
from payments.service.reconciling import Fetched, Outcome
from people.service import hospitals
from visits.ports import HisBooks

log = structlog.get_logger()
Say = Callable[[str, float], None]
_EMPTY, _NOT_YET = "NO_STATEMENT_EXIST", ("STATEMENT_CREATING", "INVALID_REQUEST")


class HisClients(Protocol):
    """The lines to the hospitals' systems."""

    def of(self, hospital_id: UUID) -> Awaitable[HisBooks]:
        """The client of one hospital."""
        ...


def _quiet(what: str, part: float) -> None:
    """Nobody looks on."""


async def reconcile(
    db: Database,
    pay: CashPay | None,
    his: HisClients,
    day: date,
    say: Say = _quiet,
    *,
    insurance: InsuranceStatements | None = None,
    claimed: bool = False,
) -> Outcome:
    """Compare one day: past, or today so far (then the provider's bill is still missing). Again is the same as once.

    Args:
        say: told what is going on and how much of it is done (0–1).

    Raises:
        NotOverError: the day lies ahead.
    """
    async with db.begin() as tx:
        if not claimed:
            await reconciling.claim(tx, day)
        every = await hospitals.everyone(tx)
        more = day < china_day(tx.now)
    steps = len(every) + 3
    say("the provider's bill", 0.0)
    fetched = [await _provider(pay, day)]
    for n, hospital in enumerate(every, 1):
        say(f"the settlement list of {hospital.code}", n / steps)
        fetched.append(await _his(his, hospital.id, day, more=more))
    say("the insurance's statement", (steps - 2) / steps)
    fetched += await _insurance(db, insurance, day, over=more)
    say("everything is compared", (steps - 1) / steps)
    async with db.begin() as tx:
        outcome = await reconciling.record(tx, day, fetched)
    say("compared", 1.0)
    log.info("reconciled", day=str(day), diff_fen=outcome.diff_fen, open=outcome.open, lacking=len(outcome.lacking))
    return outcome


async def reconcile_due(
    db: Database, pay: CashPay | None, his: HisClients, insurance: InsuranceStatements | None = None
) -> int:
    """The nightly comparison: yesterday after ten, and earlier days that could not be compared whole. How many days."""
    async with db.begin() as tx:
        due = await reconciling.claim_due(tx)
    for day in due:
        await reconcile(db, pay, his, day, insurance=insurance, claimed=True)
    return len(due)


async def _provider(pay: CashPay | None, day: date) -> Fetched:
    if pay is None:
        return Fetched(Side.PROVIDER, None, SideState.ABSENT)
    try:
        rows = books.rows_of_bill(await pay.trade_bill(day))
    except Rejected as no:
        if no.reason == _EMPTY:
            return Fetched(Side.PROVIDER, None, SideState.THERE, [])
        state = SideState.WAITS if no.reason in _NOT_YET else SideState.TROUBLE
        return Fetched(Side.PROVIDER, None, state, why=no.reason)
    except OutsideError as error:
        return Fetched(Side.PROVIDER, None, SideState.TROUBLE, why=error.code)
    return Fetched(Side.PROVIDER, None, SideState.THERE, rows)


async def _insurance(db: Database, center: InsuranceStatements | None, day: date, *, over: bool) -> list[Fetched]:
    """Whether the insurer's totals are ours; only where they are not, each of its lines.

    A house without a line to the insurance has no such side, as long as there is nothing of it in its own books.
    """
    async with db.begin() as tx:
        ours = await statements.ours(tx, day)

    def made(state: SideState, rows: Iterable[InsuranceRow] | None = None, why: str = "") -> list[Fetched]:
        kept = None if rows is None else statements.rows_of_statement(rows)
        return [Fetched(Side.INSURANCE, None, state, kept, why=why)]

    if center is None:
        return made(SideState.ABSENT) if ours else []
    agrees = True
    try:
        agrees = await center.agrees(insurance_totals(day, ours))
        return made(SideState.THERE, ours if agrees else await center.statement(day))
    except (Rejected, NotConfigured) as no:
        if agrees:
            return made(SideState.ABSENT if over else SideState.WAITS, why=no.code)
        # A centre that says that something differs, but not what, has said too much to be left out.
        return made(SideState.TROUBLE, why="totals_differ")
    except OutsideError as error:
        return made(SideState.TROUBLE, why=error.code)


async def _his(his: HisClients, hospital_id: UUID, day: date, *, more: bool) -> Fetched:
    try:
        client = await his.of(hospital_id)
        booked = books.rows_of_his(await client.settlements(day))
        after = books.rows_of_his(await client.settlements(day + timedelta(days=1))) if more else None
    except (Rejected, NotConfigured) as no:
        return Fetched(Side.HIS, hospital_id, SideState.ABSENT, why=no.code)
    except OutsideError as error:
        return Fetched(Side.HIS, hospital_id, SideState.TROUBLE, why=error.code)
    return Fetched(Side.HIS, hospital_id, SideState.THERE, booked, after)
