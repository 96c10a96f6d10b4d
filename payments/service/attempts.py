"""A try to pay, from the press of the button to the hospital's books; whoever presses when, money is taken once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from billing.rules import NothingPayableError, RoundState, till_of
from billing.service import paying
from billing.service.paying import Round
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id, short_code
from payments import rules
from payments.events import AttemptClosed, AttemptPaid
from payments.models import Attempt as Attempt
from payments.ports import CODE_LOOK, CODE_PATIENCE, CashChannel, CashOrder, CashState, Prepared, TradeState
from payments.rules import ATTEMPT, ATTEMPT_LIFE, LAST_LOOK, LINK_LIFE, OVER, PAYABLE, AttemptState, Till
from payments.rules.counter import READ, DeskWay, next_code_look
from payments.rules.limits import OtherPatientError
from payments.service import agreeing, first, labels, limits, refunds, rounds, shares
from payments.service.moves import move, tell
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

    channel: CashChannel | DeskWay
    idempotency_key: str
    seen_amount_fen: int
    ip: str | None = None
    openid: str | None = None
    share: int | None = None
    lines: frozenset[UUID] = frozenset()
    number: str | None = None
    seen_patient: UUID | None = None


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
    return await _begin(tx, actor, visit, press, till)


async def begin_by_link(tx: Tx, link: Actor, visit: Visit, press: Press, till: Till) -> Attempt:
    """The same for whoever holds a pay link, which was looked at in this transaction with the visit's turn taken.

    Raises:
        HoufuError: as ``begin`` does.
    """
    return await _begin(tx, link, visit, press, till)


async def _begin(tx: Tx, actor: Actor, visit: Visit, press: Press, till: Till) -> Attempt:
    if press.channel not in _WAYS[actor.kind]:
        raise ForbiddenError
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
        sheet=await sheet_of(tx, visit.id),
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


async def sheet_of(tx: Tx, visit_id: UUID) -> int:
    """How many attempts of this visit are over: the browser keeps its key as long as this number stands."""
    query = select(Attempt.id).where(Attempt.visit_id == visit_id, Attempt.state.not_in(PAYABLE))
    return len((await tx.session.scalars(query)).all())


async def of_visit(tx: Tx, visit_id: UUID) -> Sequence[Attempt]:
    """All attempts of a visit, oldest first."""
    query = select(Attempt).where(Attempt.visit_id == visit_id).order_by(Attempt.created_at, Attempt.id)
    return (await tx.session.scalars(query)).all()


async def seen(tx: Tx, actor: Actor, attempt_id: UUID) -> Attempt:
    """An attempt, for who made it.

    Raises:
        NotFoundError: absent, or somebody else's.
    """
    attempt = await by_id(tx, attempt_id)
    if attempt.actor == actor.viewer:
        return attempt
    counter = actor.kind is ActorKind.STAFF and actor.hospital_id == attempt.hospital_id
    if counter and attempt.relation == labels.DESK:
        return attempt
    raise NotFoundError


async def by_id(tx: Tx, attempt_id: UUID) -> Attempt:
    """An attempt as it stands.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(Attempt, attempt_id)
    if found is None:
        raise NotFoundError
    return found


async def locked(tx: Tx, attempt_id: UUID) -> Attempt:
    """An attempt with its visit's turn taken: what it says now stays true until the commit.

    Raises:
        NotFoundError: there is none.
    """
    found = await by_id(tx, attempt_id)
    await paying.locked_visit(tx, found.visit_id)
    attempt = await tx.get(Attempt, attempt_id, lock=True)
    if attempt is None:
        raise NotFoundError
    return attempt


def order_of(tx: Tx, attempt: Attempt) -> CashOrder:
    """The order at the provider; always the same words, so that asking again finds the same order."""
    sealed = attempt.openid_sealed
    return CashOrder(
        out_trade_no=attempt.out_trade_no,
        amount_fen=attempt.amount_fen,
        description=attempt.description,
        channel=CashChannel(attempt.channel),
        expires_at=attempt.expires_at,
        payer_openid=tx.vault.open(sealed, "attempt", attempt.id.hex) if sealed else None,
        payer_ip=attempt.payer_ip,
        attach=attempt.attach,
    )


def prepared_of(tx: Tx, attempt: Attempt) -> Prepared | None:
    """What the payer's page needs, once the provider has opened the order."""
    if attempt.prepared_sealed is None:
        return None
    plain = json.loads(tx.vault.open(attempt.prepared_sealed, "attempt.prepared", attempt.id.hex))
    return Prepared(attempt.out_trade_no, **plain)


async def offered(tx: Tx, attempt_id: UUID, prepared: Prepared) -> bool:
    """The provider has opened the order. False when it is too late to offer it: close it there."""
    attempt = await locked(tx, attempt_id)
    if attempt.state not in (S.CREATED, S.UNKNOWN, S.OFFERED):
        return attempt.state not in OVER | {S.CLOSING}
    plain = {
        "prepay_id": prepared.prepay_id,
        "client_params": dict(prepared.client_params),
        "h5_url": prepared.h5_url,
        "code_url": prepared.code_url,
    }
    attempt.prepared_sealed = tx.vault.seal(json.dumps(plain), "attempt.prepared", attempt.id.hex)
    attempt.prepared_at = tx.now
    if attempt.state != S.OFFERED:
        move(attempt, S.OFFERED)
        attempt.next_look_at = rules.next_look(attempt.looks, attempt.created_at, tx.now)
        if attempt.channel in READ:
            attempt.next_look_at = next_code_look(attempt.created_at, tx.now, CODE_LOOK, CODE_PATIENCE)
        await tell(tx, attempt)
    return True


async def password(tx: Tx, attempt_id: UUID) -> bool:
    """The payer of a code or face must type a password. False when the attempt is over here: to be undone there."""
    attempt = await locked(tx, attempt_id)
    if attempt.state in (S.CREATED, S.UNKNOWN):
        move(attempt, S.OFFERED)
        await tell(tx, attempt)
    return attempt.state in PAYABLE


async def refuse(tx: Tx, attempt_id: UUID, why: str) -> bool:
    """Nothing comes of a shown code: it is to be undone. False when that is decided already."""
    begun = await closing(tx, attempt_id)
    attempt = await by_id(tx, attempt_id)
    if begun and attempt.refusal is None:
        attempt.refusal = why[:40]
    return begun


async def unknown(tx: Tx, attempt_id: UUID) -> None:
    """The provider did not answer in a way one can rely on: only asking again may follow."""
    attempt = await locked(tx, attempt_id)
    if attempt.state in (S.CREATED, S.OFFERED):
        move(attempt, S.UNKNOWN)
        await tell(tx, attempt)


async def failed(tx: Tx, attempt_id: UUID, reason: str) -> None:
    """A definite no: no money can come by this attempt."""
    attempt = await locked(tx, attempt_id)
    if attempt.state not in (S.CREATED, S.OFFERED, S.UNKNOWN):
        return
    move(attempt, S.FAILED)
    attempt.closed_at, attempt.next_look_at, attempt.trouble = tx.now, tx.now + LAST_LOOK, reason
    await rounds.over(tx, attempt)
    await tell(tx, attempt)
    await tx.emit(AttemptClosed(attempt.id, attempt.visit_id))


async def closing(tx: Tx, attempt_id: UUID) -> bool:
    """Begin to close; nothing is released before the provider has said so. False when there is nothing to close."""
    attempt = await locked(tx, attempt_id)
    if attempt.state not in PAYABLE:
        return False
    if attempt.state == S.CREATED:
        move(attempt, S.UNKNOWN)
    if attempt.state != S.CLOSING:
        move(attempt, S.CLOSING)
    attempt.next_look_at = tx.now + (CODE_LOOK if attempt.channel in READ else timedelta(seconds=15))
    return True


async def closed(tx: Tx, attempt_id: UUID) -> None:
    """Closed there, so closed here: the lines are payable again. A closed attempt never reopens."""
    attempt = await locked(tx, attempt_id)
    if attempt.state == S.CREATED:  # nobody wrote down that it was opened, and it has run out since
        move(attempt, S.UNKNOWN)
    if attempt.state in (S.OFFERED, S.UNKNOWN):
        move(attempt, S.CLOSING)
    if attempt.state != S.CLOSING:
        return
    move(attempt, S.CLOSED)
    attempt.closed_at, attempt.next_look_at = tx.now, tx.now + LAST_LOOK
    await rounds.over(tx, attempt)
    await tell(tx, attempt)
    await tx.emit(AttemptClosed(attempt.id, attempt.visit_id))


async def paid(tx: Tx, state: CashState) -> Attempt:
    """The provider says, verified, that the money is there; said twice it is one payment.

    Money for an attempt that was closed goes to suspense and back to the payer by itself.

    Raises:
        NotFoundError: no such attempt.
        rules.WrongMoneyError: amount, payer, merchant or app is not that of the attempt; nothing changes.
    """
    query = select(Attempt.id).where(Attempt.out_trade_no == state.out_trade_no)
    attempt_id = (await tx.session.scalars(query)).first()
    if attempt_id is None:
        raise NotFoundError
    attempt = await locked(tx, attempt_id)
    _fits(tx, attempt, state)
    if attempt.state in rules.OURS | rules.LATE:
        if attempt.transaction_id != state.transaction_id:
            raise rules.WrongMoneyError("transaction", attempt.out_trade_no)
        return attempt
    attempt.transaction_id, attempt.paid_at = state.transaction_id, state.success_time or tx.now
    attempt.next_look_at = None
    if attempt.state in OVER:
        await _late(tx, attempt)
        return attempt
    if attempt.state == S.CREATED:
        move(attempt, S.UNKNOWN)
    await _came(tx, attempt)
    return attempt


async def in_hand(tx: Tx, attempt: Attempt, transaction: str) -> None:
    """A cashier holds the money of an attempt begun in this very transaction; nobody else has to be asked."""
    move(attempt, S.OFFERED)
    attempt.transaction_id, attempt.paid_at, attempt.next_look_at = transaction, tx.now, None
    await _came(tx, attempt)


async def _came(tx: Tx, attempt: Attempt) -> None:
    move(attempt, S.PAID)
    await tx.session.flush()
    await rounds.came(tx, attempt)
    await tell(tx, attempt)
    await tx.emit(AttemptPaid(attempt.id, attempt.visit_id, attempt.amount_fen))


def _fits(tx: Tx, attempt: Attempt, state: CashState) -> None:
    def wrong(what: str) -> rules.WrongMoneyError:
        return rules.WrongMoneyError(what, attempt.out_trade_no)

    if state.trade_state not in (TradeState.SUCCESS, TradeState.REFUND) or not state.transaction_id:
        raise wrong("state")
    if state.amount_fen != attempt.amount_fen:
        raise wrong("amount")
    if state.mchid != attempt.mchid:
        raise wrong("merchant")
    if state.appid != attempt.appid:
        raise wrong("app")
    if attempt.openid_sealed is not None and state.payer_openid != order_of(tx, attempt).payer_openid:
        raise wrong("payer")


async def _late(tx: Tx, attempt: Attempt) -> None:
    move(attempt, S.LATE_PAID)
    await paying.late_in(tx, attempt.visit_id, attempt.id, attempt.amount_fen, till_of(attempt.channel))
    await refunds.ask(tx, attempt, None, attempt.amount_fen)
    move(attempt, S.REFUNDING)
    await tell(tx, attempt)


async def claim_due(tx: Tx, limit: int = 50) -> list[UUID]:
    """Attempts to be looked at now, each given to one sweeper only."""
    query = select(Attempt).where(Attempt.next_look_at <= tx.now).order_by(Attempt.next_look_at).limit(limit)
    found = (await tx.session.scalars(query.with_for_update(skip_locked=True))).all()
    for attempt in found:
        attempt.looks += 1
        attempt.next_look_at = rules.next_look(attempt.looks, attempt.created_at, tx.now)
        if attempt.channel in READ:
            attempt.next_look_at = next_code_look(attempt.created_at, tx.now, CODE_LOOK, CODE_PATIENCE)
        if attempt.state in OVER:
            attempt.next_look_at = None  # this is the last look
    return [a.id for a in found]


async def given_up(tx: Tx, attempt: Attempt) -> bool:
    """Whether the round this attempt pays for is being given up."""
    return (await paying.round_by_id(tx, attempt.round_id)).state == RoundState.CLOSING


async def may_ask(tx: Tx, attempt_id: UUID) -> bool:
    """Whether the provider may be asked now: not twice within two seconds, whoever presses."""
    attempt = await tx.get(Attempt, attempt_id, lock=True)
    if attempt is None or (attempt.asked_at is not None and tx.now - attempt.asked_at < timedelta(seconds=2)):
        return False
    attempt.asked_at = tx.now
    return True


async def troubled(tx: Tx, attempt_id: UUID, what: str) -> None:
    """Note what a person has to look at."""
    attempt = await tx.get(Attempt, attempt_id, lock=True)
    if attempt is not None:
        attempt.trouble = what[:80]
