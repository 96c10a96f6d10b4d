"""The insurance settles first, as far as outside systems are asked: claim, call, record, between two transactions."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from uuid import UUID

import structlog

from kernel.db import Database, Tx
from kernel.outside import OutsideError, Rejected
from payments.flows.booking import each
from payments.ports import InsuranceCenter, InsuranceRefunded, InsuranceRefundStatus
from payments.rules import InsuranceState
from payments.service import consents, insurance, parts
from payments.service.insurance import Asked
from people.rules import Actor
from visits.ports import HisInsurance

log = structlog.get_logger()


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
        if not await consents.waits(tx, actor, part_id):
            return
    given = await center.resolve_auth(auth_code, openid)
    async with db.begin() as tx:
        await insurance.authorized(tx, actor, part_id, given)
    await go_on(db, center, part_id)
    await go_on(db, center, part_id)


async def confirm(db: Database, center: InsuranceCenter, actor: Actor, visit_id: UUID, seen_cash_fen: int) -> None:
    """The payer agrees to what was shown; from now on the insurance may pay, in a way that is not ours to drive.

    Inside WeChat it is ours: there ``flows.mixing.agree`` opens the order that lets it pay.

    Raises:
        HoufuError: as ``payments.service.insurance.confirm`` does.
    """
    async with db.begin() as tx:
        agreed = await insurance.confirm(tx, actor, visit_id, seen_cash_fen)
    await each(agreed, lambda one: go_on(db, center, one))


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
            if await insurance.still(tx, part_id, asked):
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
    if asked.refund is None:
        return None
    if not asked.refund.total_fen:  # it bore nothing, so it holds nothing
        return partial(insurance.refunded, told=InsuranceRefunded("", InsuranceRefundStatus.SUCCESS))
    return partial(insurance.refunded, told=await center.refund(asked.refund))


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
        due = await parts.claim_due(tx)
    await each(due, lambda one: go_on(db, center, one))
    return len(due)


async def insurance_noticed(db: Database, center: InsuranceCenter, raw: bytes) -> None:
    """A 6302 notice: verified, then asked about; it may be old or said again, so it only makes us ask sooner.

    Raises:
        ForgedNotice, NotFoundError: not the centre's, or about nothing of ours.
    """
    told = await center.decode_notice(raw)
    async with db.begin() as tx:
        part_id = await parts.by_order(tx, told.pay_order_id)
    await go_on(db, center, part_id)
