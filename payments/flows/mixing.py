"""The mixed order at WeChat, from the agreement to its end: claim, call, record; what is unknown is asked.

An order that may exist there is looked up before it is opened again. The notice gives up after half a minute, so a
sweeper asks; WeChat's word and the centre's decide together (``payments.service.weighing``).
"""

from dataclasses import dataclass
from uuid import UUID

import structlog

from kernel.db import Database
from kernel.outside import OutsideError, Rejected
from payments.flows import close, insuring, look, offer
from payments.flows.booking import each
from payments.ports import CashPay, InsuranceCenter, MedInsMix, MixNo, MixState
from payments.rules.mixing import ConsentOverError, MixedState
from payments.service import mixed, mixing
from payments.service.mixed import Next
from payments.service.mixing import Payer
from people.rules import Actor

log = structlog.get_logger()

M = MixedState


@dataclass(frozen=True, slots=True)
class Lines:
    """The three that one press concerns: the payment centre, WeChat's mixed office, and its cash register."""

    center: InsuranceCenter
    mix: MedInsMix
    pay: CashPay


async def agree(
    db: Database,
    lines: Lines,
    actor: Actor,
    visit_id: UUID,
    seen_cash_fen: int,
    payer: Payer,
    *,
    with_cash: bool = True,
) -> None:
    """The payer agrees to what was shown: each settlement's order is opened at WeChat, to wait for the password.

    Raises:
        ConsentOverError: the consent is too old; everything is taken back.
        HoufuError: as ``payments.service.mixing.agree`` does.
    """
    async with db.begin() as tx:
        over = await mixing.lapsed(tx, actor, visit_id)
    if over:
        await each(over, lambda one: insuring.go_on(db, lines.center, one))
        raise ConsentOverError
    async with db.begin() as tx:
        made = await mixing.agree(tx, actor, visit_id, seen_cash_fen, payer, with_cash=with_cash)
    await each(made, lambda one: go_on(db, lines, one, first=True))


async def go_on(db: Database, lines: Lines, mixed_id: UUID, *, first: bool = False) -> None:
    """Whatever comes next for one mixed order; no answer leaves it where it is.

    Args:
        first: it was begun just now, so nothing can be open at WeChat yet.
    """
    async with db.begin() as tx:
        now = await mixed.claim(tx, mixed_id)
    if now.cash is not None:
        await offer(db, lines.pay, now.cash, first=first)
        async with db.begin() as tx:
            now = await mixed.claim(tx, mixed_id)
    try:
        if now.state is M.CREATED:
            await _open(db, lines, mixed_id, now)
        elif now.state is M.OPEN:
            await _look(db, lines, mixed_id, now)
        elif now.paying:
            await insuring.go_on(db, lines.center, now.part_id)
    except OutsideError as error:
        log.warning("mixed.waits", state=now.state, reason=error.code)


async def _open(db: Database, lines: Lines, mixed_id: UUID, now: Next) -> None:
    found = await _find(lines, now.number) if now.tried else None
    if found is None and not now.wanted:
        await _drop(db, lines, mixed_id, now, "not wanted")
        return
    if found is None and now.order is not None:
        try:
            made = await lines.mix.create(now.order)
        except Rejected as no:
            found = await _find(lines, now.number) if no.reason == MixNo.EXISTS else None
            if found is None:
                await _drop(db, lines, mixed_id, now, no.reason)
                return
        else:
            async with db.begin() as tx:
                await mixed.opened(tx, mixed_id, made.mix_trade_no, made.client_params)
            return
    if found is not None:
        params = lines.mix.client_params(now.order, found.mix_trade_no) if now.order is not None else {}
        async with db.begin() as tx:
            await mixed.opened(tx, mixed_id, found.mix_trade_no, params)
        await _hear(db, lines, mixed_id, now, found)


async def _find(lines: Lines, number: str) -> MixState | None:
    try:
        return await lines.mix.query(number)
    except Rejected as no:
        if no.reason == MixNo.NOT_EXIST:
            return None
        raise


async def _look(db: Database, lines: Lines, mixed_id: UUID, now: Next) -> None:
    await _hear(db, lines, mixed_id, now, await lines.mix.query(now.number))


async def _hear(db: Database, lines: Lines, mixed_id: UUID, now: Next, told: MixState) -> None:
    async with db.begin() as tx:
        decided = await mixed.said(tx, mixed_id, told)
    if decided:
        await _after(db, lines, now)


async def _drop(db: Database, lines: Lines, mixed_id: UUID, now: Next, why: str) -> None:
    log.warning("mixed.refused", reason=why)
    async with db.begin() as tx:
        await mixed.dropped(tx, mixed_id, why)
    await _after(db, lines, now)


async def _after(db: Database, lines: Lines, now: Next) -> None:
    """The order's fate is known: so may be the cash's, and the insurance's."""
    if now.attempt_id is not None:
        async with db.begin() as tx:
            paid = await mixed.may_be_paid(tx, now.attempt_id)
        await (look if paid else close)(db, lines.pay, now.attempt_id)
    await insuring.go_on(db, lines.center, now.part_id)


async def due(db: Database, lines: Lines) -> int:
    """Go on with every mixed order that is due. Returns how many."""
    async with db.begin() as tx:
        found = await mixed.claim_due(tx)
    await each(found, lambda one: go_on(db, lines, one))
    return len(found)


async def look_now(db: Database, lines: Lines, visit_id: UUID) -> None:
    """Ask about a visit's open orders at once, because somebody waits; at most every two seconds."""
    async with db.begin() as tx:
        found = await mixed.claim_round(tx, visit_id)
    await each(found, lambda one: go_on(db, lines, one))


async def report_due(db: Database, mix: MedInsMix) -> int:
    """Tell WeChat of every insurance payment that went back: after the fact, deciding nothing. Returns how many."""
    async with db.begin() as tx:
        found = await mixed.claim_reports(tx)
    await each(found, lambda one: _report(db, mix, one))
    return len(found)


async def _report(db: Database, mix: MedInsMix, mixed_id: UUID) -> None:
    async with db.begin() as tx:
        refund = await mixed.report_of(tx, mixed_id)
    try:
        if refund is not None:
            await mix.report_refund(refund)
    except Rejected as no:
        async with db.begin() as tx:
            await mixed.not_reported(tx, mixed_id, no.reason)
        return
    except OutsideError as error:
        log.warning("mixed.report", reason=error.code)
        return
    async with db.begin() as tx:
        await mixed.reported(tx, mixed_id)
