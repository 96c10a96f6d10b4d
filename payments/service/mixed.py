"""A mixed order at WeChat from its opening to its end: what is asked next, and what WeChat's answers change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from billing.rules import RoundState
from billing.service.paying import Round
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import rules
from payments.models import Attempt, InsurancePart, MixedOrder, Refund
from payments.ports import (
    Authorized,
    CashChannel,
    Insured,
    MedInsStatus,
    MixEnd,
    MixKind,
    MixMoney,
    MixOrder,
    MixPerson,
    MixRefund,
    MixState,
    ReduceKind,
    SelfPayStatus,
)
from payments.rules import PAYABLE, AttemptState, InsuranceState, RefundState
from payments.rules.mixing import INSURANCE_PAID, MIXED, UNDECIDED, MixedState
from payments.service import attempts, insurance, parts
from payments.service.moves import tell_settlements

M = MixedState
_ENDS = {
    MixEnd.WHOLE: M.WHOLE,
    MixEnd.NOTHING: M.DEAD,
    MixEnd.CASH_ALONE: M.CASH_ALONE,
    MixEnd.INSURANCE_ALONE: M.INSURANCE_ALONE,
}


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next about a mixed order.

    Args:
        wanted: whether it is still to be opened; not when its round is being given up.
        paying: whether the settlement still waits for what WeChat and the centre say.
        tried: whether it may exist at WeChat already, though we do not know.
        cash: the attempt whose order has to be opened first.
        order: as WeChat is told of it, always in the same words; None: nothing can be told yet.
    """

    state: MixedState
    number: str
    part_id: UUID
    wanted: bool
    paying: bool
    tried: bool
    attempt_id: UUID | None
    cash: UUID | None
    order: MixOrder | None


async def claim(tx: Tx, mixed_id: UUID) -> Next:
    """What to do next; from here on an order that can be told of may exist at WeChat."""
    mixed, part, now = await locked(tx, mixed_id)
    attempt = await attempts.by_id(tx, mixed.attempt_id) if mixed.attempt_id else None
    wanted = now.state == RoundState.INSURING and part.state == InsuranceState.PAYING
    cash = None
    if attempt is not None:
        wanted = wanted and attempt.state in (AttemptState.CREATED, AttemptState.OFFERED, AttemptState.UNKNOWN)
        cash = attempt.id if attempt.prepared_sealed is None else None
    tried = mixed.sent_at is not None
    order = None
    if mixed.state == M.CREATED and wanted and cash is None:
        order = await _order(tx, mixed, part, attempt)
        mixed.sent_at = mixed.sent_at or tx.now
    return Next(
        state=M(mixed.state),
        number=mixed.out_trade_no,
        part_id=part.id,
        wanted=wanted,
        paying=part.state == InsuranceState.PAYING,
        tried=tried,
        attempt_id=mixed.attempt_id,
        cash=cash if wanted else None,
        order=order,
    )


async def locked(tx: Tx, mixed_id: UUID) -> tuple[MixedOrder, InsurancePart, Round]:
    """A mixed order, its settlement and round with the visit's turn taken.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(MixedOrder, mixed_id)
    if found is None:
        raise NotFoundError
    part, now = await insurance.locked(tx, found.part_id)
    mixed = await tx.get(MixedOrder, mixed_id, lock=True)
    if mixed is None:
        raise NotFoundError
    return mixed, part, now


async def _order(tx: Tx, mixed: MixedOrder, part: InsurancePart, attempt: Attempt | None) -> MixOrder:
    asked = await insurance.asked(tx, part.id)
    auth = insurance.auth_of(tx, part)
    payer, relative = people(auth, asked.fees.insured)
    prepared = attempts.prepared_of(tx, attempt) if attempt is not None else None
    return MixOrder(
        out_trade_no=mixed.out_trade_no,
        order_number=part.order_number,
        kind=MixKind(mixed.kind),
        money=money_of(part, both=attempt is not None),
        channel=CashChannel(mixed.channel),
        payer_openid=tx.vault.open(mixed.openid_sealed, "mixed", mixed.id.hex),
        payer=payer,
        relative=relative,
        pay_order_id=part.pay_order_id or "",
        pay_auth_no=auth.pay_auth_no,
        location=asked.fees.location,
        insured_at=part.reckoned_at,
        prepay_id=(prepared.prepay_id or "") if prepared is not None else "",
        attach=mixed.id.hex,
    )


def people(auth: Authorized, insured: Insured) -> tuple[MixPerson, MixPerson | None]:
    """Who pays, and for whom else: whose card is bound says the insurance's consent alone, never our family table."""
    patient = MixPerson(insured.name, insured.id_number)
    if auth.family:
        return MixPerson(auth.name, auth.card), patient
    return (MixPerson(auth.name, auth.card) if auth.name and auth.card else patient), None


def money_of(part: InsurancePart, *, both: bool) -> MixMoney:
    """The split as WeChat is told of it; cash that is paid by other orders is taken off this one."""
    asked, borne = parts.asks(part), part.hospital_part_fen or 0
    less = [(ReduceKind.HOSPITAL, borne), (ReduceKind.DEFAULT, 0 if both else asked)]
    return MixMoney(
        total_fen=part.total_fen,
        fund_fen=part.fund_fen or 0,
        account_fen=part.account_fen or 0,
        other_fen=part.other_fen or 0,
        cash_fen=part.cash_fen or 0,
        pay_fen=asked if both else 0,
        reduced=tuple((kind, fen) for kind, fen in less if fen),
    )


# ----------------------------------------------------------------------------------------------------- what WeChat says


async def opened(tx: Tx, mixed_id: UUID, mix_trade_no: str, params: Mapping[str, str]) -> None:
    """The order is there: its number, and what the payer's page hands over."""
    mixed, _, _ = await locked(tx, mixed_id)
    if mixed.state != M.CREATED:
        return
    MIXED.move(M.CREATED, M.OPEN)
    mixed.state, mixed.mix_trade_no = M.OPEN, mix_trade_no
    mixed.params_sealed = tx.vault.seal(json.dumps(dict(params)), "mixed.params", mixed.id.hex)
    mixed.opened_at = tx.now
    mixed.looks, mixed.next_look_at = 0, rules.next_insurance_look(0, tx.now)


async def dropped(tx: Tx, mixed_id: UUID, why: str) -> None:
    """It was never opened and will not be: a definite no, or nobody wants it any more. What follows the centre says."""
    mixed, part, now = await locked(tx, mixed_id)
    if mixed.state != M.CREATED:
        return
    MIXED.move(M.CREATED, M.DEAD)
    mixed.state, mixed.trouble = M.DEAD, why[:80]
    mixed.ended_at, mixed.next_look_at = tx.now, None
    await _over(tx, part, now)


async def said(tx: Tx, mixed_id: UUID, told: MixState) -> bool:
    """WeChat's verified word, asked for by us. Whether it decides anything about this order.

    What does not fit our order is noted for a person, and decides nothing.
    """
    mixed, part, now = await locked(tx, mixed_id)
    if mixed.state != M.OPEN:
        return False
    ours = (
        mixed.kind,
        mixed.out_trade_no,
        mixed.mix_trade_no,
        part.pay_order_id,
        money_of(part, both=mixed.attempt_id is not None),
    )
    if ours != (told.kind, told.out_trade_no, told.mix_trade_no, told.pay_order_id, told.money):
        mixed.trouble = "mismatch:order"
        return False
    end = _ended(told)
    if end is None:
        return False
    MIXED.move(M.OPEN, end)
    mixed.state, mixed.ended_at, mixed.next_look_at = end, tx.now, None
    mixed.trouble = told.failed_because[:80] or None
    await _over(tx, part, now)
    return True


def _ended(told: MixState) -> MixedState | None:
    if told.concludes is not None:
        return _ENDS[told.concludes]
    # Given back by us before we had asked: what remains is the insurance's payment, as far as WeChat knows.
    alone = told.insurance is MedInsStatus.SUCCESS and told.cash is SelfPayStatus.REFUND
    return M.INSURANCE_ALONE if alone else None


async def _over(tx: Tx, part: InsurancePart, now: Round) -> None:
    """No password is waited for any more: the centre is asked at once, and the payer's page looks again."""
    if part.next_look_at is not None:
        part.looks, part.next_look_at = 0, tx.now
    await tx.session.flush()
    if now.state == RoundState.INSURING:
        await tell_settlements(tx, now)


async def may_be_paid(tx: Tx, attempt_id: UUID) -> bool:
    """Whether the cash of a press may have come; if not, its order is closed, so that nobody pays it alone."""
    query = select(MixedOrder.state).where(MixedOrder.attempt_id == attempt_id)
    return (await tx.session.scalars(query)).one() in (M.WHOLE, M.CASH_ALONE)


async def noticed(tx: Tx, out_trade_no: str) -> None:
    """WeChat says that one of our orders is paid: it is asked now; a notice decides nothing.

    Raises:
        NotFoundError: none of ours.
    """
    query = select(MixedOrder).where(MixedOrder.out_trade_no == out_trade_no).with_for_update()
    mixed = (await tx.session.scalars(query)).first()
    if mixed is None:
        raise NotFoundError
    if mixed.state in UNDECIDED:
        mixed.looks, mixed.next_look_at = 0, tx.now


# ------------------------------------------------------------------------------------------------------- looking after


async def claim_due(tx: Tx, limit: int = 20) -> list[UUID]:
    """Mixed orders to ask about now, each given to one sweeper only."""
    query = select(MixedOrder).where(MixedOrder.next_look_at <= tx.now).order_by(MixedOrder.next_look_at)
    found = (await tx.session.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()
    for mixed in found:
        mixed.looks += 1
        mixed.next_look_at = rules.next_insurance_look(mixed.looks, tx.now)
    return [m.id for m in found]


async def claim_round(tx: Tx, visit_id: UUID) -> list[UUID]:
    """The mixed orders of a visit that are not decided, because somebody waits: not twice within two seconds."""
    query = select(MixedOrder).join(InsurancePart, InsurancePart.id == MixedOrder.part_id)
    open_ = MixedOrder.state.in_(UNDECIDED) | (InsurancePart.state == InsuranceState.PAYING)
    query = query.where(MixedOrder.visit_id == visit_id, open_)
    found = (await tx.session.scalars(query.with_for_update(skip_locked=True, of=MixedOrder))).all()
    due = [m for m in found if m.asked_at is None or tx.now - m.asked_at >= timedelta(seconds=2)]
    for mixed in due:
        mixed.asked_at = tx.now
    return [m.id for m in due]


async def claim_reports(tx: Tx, limit: int = 20) -> list[UUID]:
    """Mixed orders whose insurance has its money again, which WeChat has to be told, after their cash went back."""
    going = select(Refund.id).where(Refund.attempt_id == Attempt.id, Refund.done_at.is_(None))
    going = going.where(Refund.state.not_in((RefundState.REQUESTED, RefundState.REFUSED)))
    query = (
        select(MixedOrder)
        .join(InsurancePart, InsurancePart.id == MixedOrder.part_id)
        .outerjoin(Attempt, Attempt.id == MixedOrder.attempt_id)
        .where(MixedOrder.report_at <= tx.now, MixedOrder.reported_at.is_(None))
        .where(MixedOrder.state.in_(INSURANCE_PAID), InsurancePart.state == InsuranceState.REFUNDED)
        .where(Attempt.id.is_(None) | (Attempt.state.not_in(PAYABLE) & ~going.exists()))
        .order_by(MixedOrder.report_at)
    )
    found = await tx.session.scalars(query.limit(limit).with_for_update(skip_locked=True, of=MixedOrder))
    claimed = found.all()
    for mixed in claimed:
        mixed.report_at = rules.next_refund_try(mixed.reports, tx.now)
        mixed.reports += 1
    return [m.id for m in claimed]


async def report_of(tx: Tx, mixed_id: UUID) -> MixRefund | None:
    """What WeChat is told; None: nothing went back by it."""
    mixed, part, _ = await locked(tx, mixed_id)
    fund, account, other = part.fund_fen or 0, part.account_fen or 0, part.other_fen or 0
    if not fund + account + other or mixed.mix_trade_no is None:
        return None
    cash = select(Refund.out_refund_no).where(Refund.attempt_id == mixed.attempt_id, Refund.done_at.is_not(None))
    last = (await tx.session.scalars(cash.order_by(Refund.done_at.desc()).limit(1))).first()
    return MixRefund(
        mix_trade_no=mixed.mix_trade_no,
        refund_number=last or parts.refund_number(part),
        at=part.refund_at or mixed.report_at or tx.now,
        total_fen=fund + account + other,
        fund_fen=fund,
        account_fen=account,
        other_fen=other,
    )


async def reported(tx: Tx, mixed_id: UUID) -> None:
    """WeChat knows."""
    mixed, _, _ = await locked(tx, mixed_id)
    if mixed.state in INSURANCE_PAID and mixed.reported_at is None:
        MIXED.move(M(mixed.state), M.RETURNED)
        mixed.state, mixed.reported_at, mixed.report_at, mixed.trouble = M.RETURNED, tx.now, None, None


async def not_reported(tx: Tx, mixed_id: UUID, why: str) -> None:
    """WeChat refuses to be told; it is told again, and a person may look."""
    mixed, _, _ = await locked(tx, mixed_id)
    if mixed.reported_at is None:
        mixed.trouble = f"report:{why}"[:80]
