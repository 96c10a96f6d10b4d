"""The press of a button becomes an attempt: whoever presses when, each share has one that may still be paid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from billing.rules import NothingPayableError
from billing.service import paying
from billing.service.paying import Round
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError
from kernel.ids import new_id, short_code
from payments import rules
from payments.models import Attempt, Deduction
from payments.ports import CODE_LOOK, CODE_PATIENCE, CashChannel
from payments.rules import ATTEMPT, ATTEMPT_LIFE, LINK_LIFE, AttemptState, Till
from payments.rules.counter import READ, DeskWay
from payments.rules.limits import OtherPatientError
from payments.rules.taking import AutoWay
from payments.service import agreeing, attempts, contracts, first, labels, limits, rounds, shares
from payments.service.moves import tell
from payments.service.shares import Allocation
from people.rules import Actor, ActorKind
from people.service import access, hospitals
from visits.service.encounters import Visit
from visits.service.reading import subject_of
from words import pay as words

S = AttemptState
_WAYS: Mapping[ActorKind, frozenset[str]] = {
    ActorKind.PERSON: frozenset(CashChannel),
    ActorKind.STAFF: frozenset({CashChannel.NATIVE, *DeskWay}),
    ActorKind.TERMINAL: READ,
    ActorKind.LINK: frozenset({CashChannel.JSAPI, CashChannel.H5}),
}


@dataclass(frozen=True, slots=True)
class Press:
    """What a payer's page asks: which way, under which key, for the amount that was shown; where from.

    ``share``: the number of one share; None: all that is payable now. ``lines``: instead just these lines, which are
    paid before they are done. ``number``: the order's at the provider, where a terminal was told it beforehand.
    ``seen_patient``: whom the page named; empty where it named nobody.
    """

    channel: CashChannel | DeskWay | AutoWay
    idempotency_key: str
    seen_amount_fen: int
    ip: str | None = None
    openid: str | None = None
    share: int | None = None
    lines: frozenset[UUID] = frozenset()
    number: str | None = None
    seen_patient: UUID | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """What a payer was told before money is taken by her contract: how much, when, up to what, for whose till."""

    fen: int
    at: datetime
    cap_fen: int
    till: Till


def new_number(tx: Tx) -> str:
    """An order's number at the provider, never used before."""
    return f"HF{china_day(tx.now):%Y%m%d}{short_code(14)}"


async def begin(tx: Tx, actor: Actor, visit_id: UUID, press: Press, till: Till) -> Attempt:
    """Begin to pay: opens a round for all that is payable now, or takes up a share of the open one.

    The same key is the same attempt.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
        rules.IdempotencyConflictError: the key was used for another visit, way or amount.
        rules.AttemptInProgressError, rules.AlreadyPaidError: somebody else was quicker.
        rules.ShareGoneError, rules.RoundClosingError: the shares were cut anew, or are being given up.
        rules.OtherRoundError: others things are being paid together; the chosen lines have to wait.
        rules.AmountChangedError: it is no longer what the payer saw.
        rules.OverCapError: more than the patient lets this relative pay at once.
        rules.limits.OverLimitError, rules.limits.AskFirstError: more than the payer lets herself pay, or than the
            patient, who wants to be asked, has agreed to.
        rules.limits.OtherPatientError: it is no longer whom the payer saw.
        rules.NotInWeChatError: WeChat does not know the payer under our app.
        billing.rules.NothingPayableError: there is nothing to pay.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, rounds.pays(actor), subject_of(visit))
    if press.channel not in _WAYS[actor.kind]:
        raise ForbiddenError
    return await _begin(tx, actor, visit, press, till)


async def begin_by_contract(tx: Tx, payer: Actor, visit: Visit, press: Press, why: Announced) -> Attempt:
    """The same where nobody presses: the payer was told, and has a contract that stands; the visit's turn is taken.

    Raises:
        HoufuError: as ``begin`` does.
        rules.taking.NoContractError: it stands no more.
    """
    await access.require(tx, payer, rounds.pays(payer), subject_of(visit))
    contract = await contracts.standing(tx, payer.id, why.till, lock=True)
    openid = contracts.openid_of(tx, contract)
    attempt = await _begin(tx, payer, visit, replace(press, channel=AutoWay.CONTRACT, openid=openid), why.till)
    tx.add(
        Deduction(
            attempt_id=attempt.id,
            contract_id=contract.id,
            announced_at=why.at,
            announced_fen=why.fen,
            cap_fen=why.cap_fen,
        )
    )
    await tx.session.flush()
    return attempt


async def begin_by_link(tx: Tx, link: Actor, visit: Visit, press: Press, till: Till) -> Attempt:
    """The same for whoever holds a pay link, which was looked at in this transaction with the visit's turn taken.

    Raises:
        HoufuError: as ``begin`` does.
    """
    if press.channel not in _WAYS[link.kind]:
        raise ForbiddenError
    return await _begin(tx, link, visit, press, till)


async def _begin(tx: Tx, actor: Actor, visit: Visit, press: Press, till: Till) -> Attempt:
    known = await _by_key(tx, actor, press.idempotency_key)
    if known is not None:
        return await _same(tx, known, visit.id, press)
    if press.seen_patient not in (None, visit.patient_id):
        raise OtherPatientError
    now, share = await _share(tx, actor, visit, press)
    if share.amount_fen != press.seen_amount_fen:
        raise rules.AmountChangedError(share.amount_fen, words.amount(share.amount_fen))
    if actor.kind is ActorKind.PERSON:
        await agreeing.hold(tx, actor, subject_of(visit), share.amount_fen)
    if press.channel in (CashChannel.JSAPI, CashChannel.MINIPROG) and not press.openid:
        raise rules.NotInWeChatError
    return await _made(tx, actor, visit, now, share, press, till)


async def beside(
    tx: Tx, actor: Actor, visit: Visit, now: Round, share: Allocation, press: Press, till: Till
) -> Attempt:
    """The cash part of a mixed order, whose share was made for it in this very transaction: never pressed alone."""
    return await _made(tx, actor, visit, now, share, press, till, mixed=True)


async def _made(
    tx: Tx,
    actor: Actor,
    visit: Visit,
    now: Round,
    share: Allocation,
    press: Press,
    till: Till,
    *,
    mixed: bool = False,
) -> Attempt:
    if actor.kind is ActorKind.PERSON and actor.id != visit.patient_id:
        await limits.require(tx, actor.id, visit.patient_id, share.amount_fen)
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    shown = press.channel in READ
    ATTEMPT.move(None, S.CREATED)
    attempt_id = new_id()
    attempt = Attempt(
        id=attempt_id,
        out_trade_no=press.number or new_number(tx),
        visit_id=visit.id,
        round_id=now.id,
        allocation_id=share.id,
        hospital_id=visit.hospital_id,
        patient_id=visit.patient_id,
        payer_id=actor.id if actor.kind is ActorKind.PERSON else None,
        actor=actor.viewer,
        relation=await labels.relation_of(tx, actor, visit.patient_id, visit.id),
        idempotency_key=press.idempotency_key,
        sheet=await attempts.sheet_of(tx, visit.id),
        channel=press.channel,
        mixed=mixed,
        mchid=till.mchid,
        appid=till.appid,
        description=words.description(hospital.name),
        attach=attempt_id.hex,
        amount_fen=share.amount_fen,
        refunded_fen=0,
        openid_sealed=tx.vault.seal(press.openid, "attempt", attempt_id.hex) if press.openid else None,
        payer_ip=press.ip,
        state=S.CREATED,
        created_at=tx.now,
        expires_at=tx.now + (CODE_PATIENCE if shown else LINK_LIFE if actor.kind is ActorKind.LINK else ATTEMPT_LIFE),
        next_look_at=tx.now + (CODE_LOOK if shown else timedelta(seconds=10)),
        looks=0,
    )
    now.busy_fen += share.amount_fen
    tx.add(attempt)
    await tx.session.flush()
    await tell(tx, attempt)
    return attempt


def began(tx: Tx, attempt: Attempt) -> bool:
    """Whether this very transaction began it, so that nobody can have asked the provider about it."""
    return tx.held(Attempt, attempt.id) is attempt


async def _share(tx: Tx, actor: Actor, visit: Visit, press: Press) -> tuple[Round, Allocation]:
    visit_id = visit.id
    if press.lines:
        await first.may_choose(tx, actor, visit, press.lines)
    now = await paying.live_round(tx, visit_id)
    if now is not None:
        if press.lines and set(now.charge_ids) != {str(line) for line in press.lines}:
            await shares.free(tx, actor, now)  # who is paying now is told by name
            raise rules.OtherRoundError
        return now, await shares.take(tx, actor, now, press.share)
    if press.share is not None:
        await paid_already(tx, actor, visit_id)
        raise rules.ShareGoneError
    try:
        now = await paying.open_round(tx, visit_id, actor.viewer, chosen=press.lines)
    except NothingPayableError:
        if not press.lines or await first.are_paid(tx, visit_id, press.lines):
            await paid_already(tx, actor, visit_id)
        raise
    return now, await shares.whole(tx, actor.viewer, now)


async def _by_key(tx: Tx, actor: Actor, key: str) -> Attempt | None:
    query = select(Attempt).where(Attempt.actor == actor.viewer, Attempt.idempotency_key == key)
    return (await tx.session.scalars(query)).first()


async def _same(tx: Tx, known: Attempt, visit_id: UUID, press: Press) -> Attempt:
    if (known.visit_id, known.amount_fen) != (visit_id, press.seen_amount_fen):
        raise rules.IdempotencyConflictError
    paid = (await paying.round_by_id(tx, known.round_id)).charge_ids
    if press.lines and set(paid) != {str(line) for line in press.lines}:
        raise rules.IdempotencyConflictError
    return known


async def paid_already(tx: Tx, actor: Actor, visit_id: UUID) -> None:
    """Whether there is nothing to pay because somebody has paid.

    Raises:
        rules.AlreadyPaidError: somebody has.
    """
    query = select(Attempt).where(Attempt.visit_id == visit_id, Attempt.state.in_(rules.OURS))
    last = (await tx.session.scalars(query.order_by(Attempt.created_at.desc()).limit(1))).first()
    if last is not None:
        raise rules.AlreadyPaidError(who=await labels.label_for(tx, actor, last))
