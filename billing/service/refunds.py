"""Asking for money back (退费咨询): who paid or the desk asks, somebody else agrees or says why not.

What is agreed goes the way of every line that was paid here and is taken back: revenue is reversed, the money waits in
suspense, and ``payments`` returns it the way it came.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from billing.events import PaidChargeReversed, RefundAnswered
from billing.models import ChargeItem, RefundLine
from billing.models import RefundRequest as RefundRequest
from billing.rules import (
    ANSWER_AT_MOST,
    REFUND_REQUEST,
    ChargeState,
    NotRefundableError,
    OwnRequestError,
    RefundReasonError,
    RefundWish,
    RequestAnsweredError,
)
from billing.service.lines import announce, check_settled, give_back, lines_of
from billing.service.shown import is_refundable
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id
from notices.service import lock
from people.rules import Action, Actor
from people.service import access
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of

W = RefundWish


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its lines. ``back_fen``: of lines whose money has arrived."""

    request: RefundRequest
    lines: Sequence[ChargeItem]

    @property
    def back_fen(self) -> int:
        """Fen that have come back."""
        return sum(c.self_fen for c in self.lines if c.state == ChargeState.REFUNDED)

    @property
    def shown(self) -> str:
        """``requested``, ``refused``, ``going`` (agreed, the money is on its way) or ``back``."""
        if self.request.state in (W.REQUESTED, W.REFUSED):
            return self.request.state
        return "back" if all(c.state == ChargeState.REFUNDED for c in self.lines) else "going"


async def ask(tx: Tx, actor: Actor, visit_id: UUID, charge_ids: Collection[UUID], reason: str) -> RefundRequest:
    """Ask to have paid lines paid back; the whole of a payment is all its lines.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to ask for.
        RefundReasonError: it is not said why.
        NotRefundableError: a line is not paid here, or has been asked back already.
    """
    visit = await _locked(tx, visit_id)
    await access.require(tx, actor, Action.ASK_REFUND, subject_of(visit))
    reason = reason.strip()[:ANSWER_AT_MOST]
    if not reason:
        raise RefundReasonError
    wanted = [c for c in await lines_of(tx, visit_id) if c.id in set(charge_ids)]
    for charge in wanted:
        await tx.session.refresh(charge)
    if not wanted or len(wanted) != len(set(charge_ids)) or not all(is_refundable(c) for c in wanted):
        raise NotRefundableError
    REFUND_REQUEST.move(None, W.REQUESTED)
    request = RefundRequest(
        id=new_id(),
        visit_id=visit_id,
        hospital_id=visit.hospital_id,
        amount_fen=sum(c.self_fen for c in wanted),
        reason=reason,
        state=W.REQUESTED,
        asked_by=actor.viewer,
        asked_at=tx.now,
    )
    tx.session.add(request)
    for charge in wanted:
        line = RefundLine(request_id=request.id, charge_id=charge.id, amount_fen=charge.self_fen, counts=True)
        tx.session.add(line)
        charge.refund = W.REQUESTED
    try:
        await tx.session.flush()
    except IntegrityError as twice:  # the index: somebody else asked in the same moment
        raise NotRefundableError from twice
    for charge in wanted:
        await announce(tx, visit, charge)
    return request


async def answer(tx: Tx, actor: Actor, request_id: UUID, *, agreed: bool, says: str = "") -> RefundRequest:
    """Agree, and the money goes back the way it came; or refuse, and say why.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to answer.
        OwnRequestError: the caller asked for it.
        RequestAnsweredError: it was answered before, or the hospital has taken the lines back itself.
        RefundReasonError: a refusal says why.
    """
    known = await tx.get(RefundRequest, request_id)
    if known is None or known.hospital_id != actor.hospital_id:
        raise NotFoundError
    visit = await _locked(tx, known.visit_id)
    await access.require(tx, actor, Action.APPROVE_REFUND, subject_of(visit))
    request = await tx.get(RefundRequest, request_id, lock=True)
    if request is None:
        raise NotFoundError
    if request.asked_by == actor.viewer:
        raise OwnRequestError
    if request.state != W.REQUESTED:
        raise RequestAnsweredError
    says = says.strip()[:ANSWER_AT_MOST]
    if not agreed and not says:
        raise RefundReasonError
    _move(tx, request, W.APPROVED if agreed else W.REFUSED)
    request.answered_by, request.answer = actor.id, says or None
    for charge, line in await _lines(tx, request):
        charge.refund = request.state
        line.counts = agreed
        if not agreed:
            await announce(tx, visit, charge)
        elif charge.reversed_at is None:
            charge.reversed_at = tx.now
            await announce(tx, visit, charge)
            await give_back(tx, visit, charge)
    await check_settled(tx, visit)
    await tx.emit(RefundAnswered(request.id, visit.id, agreed))
    return request


async def overtaken(tx: Tx, event: PaidChargeReversed) -> None:
    """Subscriber: the hospital took a line back itself; a request all of whose lines are gone needs no answer."""
    query = select(RefundRequest).join(RefundLine, RefundLine.request_id == RefundRequest.id)
    query = query.where(RefundLine.charge_id == event.charge_id, RefundRequest.state == W.REQUESTED)
    request = (await tx.session.scalars(query)).one_or_none()
    if request is None:
        return
    lines = await _lines(tx, request)
    if all(charge.reversed_at is not None for charge, _ in lines):
        _move(tx, request, W.OVERTAKEN)
        for charge, _ in lines:
            charge.refund = W.OVERTAKEN


def _move(tx: Tx, request: RefundRequest, after: RefundWish) -> None:
    REFUND_REQUEST.move(W(request.state), after)
    request.state, request.answered_at = after, tx.now


async def _locked(tx: Tx, visit_id: UUID) -> Visit:
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await lock(tx, visit_id)
    await tx.session.refresh(visit)
    return visit


async def _lines(tx: Tx, request: RefundRequest) -> list[tuple[ChargeItem, RefundLine]]:
    held = {c.id: c for c in await lines_of(tx, request.visit_id)}
    found = (await tx.session.scalars(select(RefundLine).where(RefundLine.request_id == request.id))).all()
    for line in found:
        await tx.session.refresh(held[line.charge_id])
    return [(held[line.charge_id], line) for line in found]


async def of_visit(tx: Tx, visit_id: UUID) -> list[Asked]:
    """All requests of a visit, newest first."""
    query = select(RefundRequest).where(RefundRequest.visit_id == visit_id)
    found = await tx.session.scalars(query.order_by(RefundRequest.asked_at.desc(), RefundRequest.id))
    return [Asked(r, [c for c, _ in await _lines(tx, r)]) for r in found.all()]


async def waiting(tx: Tx, hospital_id: UUID, limit: int = 100) -> list[Asked]:
    """Requests a hospital has not answered yet, the oldest first."""
    query = select(RefundRequest).where(RefundRequest.hospital_id == hospital_id, RefundRequest.state == W.REQUESTED)
    found = await tx.session.scalars(query.order_by(RefundRequest.asked_at, RefundRequest.id).limit(limit))
    return [Asked(r, [c for c, _ in await _lines(tx, r)]) for r in found.all()]


async def waiting_count(tx: Tx, hospital_id: UUID) -> int:
    """How many requests wait for an answer."""
    query = select(func.count()).select_from(RefundRequest)
    where = query.where(RefundRequest.hospital_id == hospital_id, RefundRequest.state == W.REQUESTED)
    return int(await tx.session.scalar(where) or 0)
