"""A try to pay, from its first answer to the hospital's books; how it began is told in ``pressing``."""

import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from billing.rules import RoundState, till_of
from billing.service import paying
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import rules
from payments.events import AttemptClosed, AttemptPaid
from payments.models import Attempt as Attempt
from payments.ports import CODE_LOOK, CODE_PATIENCE, CashChannel, CashOrder, CashState, Prepared, TradeState
from payments.rules import LAST_LOOK, OVER, PAYABLE, AttemptState
from payments.rules.counter import READ, next_code_look
from payments.service import labels, refunds, rounds
from payments.service.moves import move, tell
from people.events import ViewsChanged
from people.rules import Actor, ActorKind

S = AttemptState


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


async def by_number(tx: Tx, out_trade_no: str) -> Attempt:
    """An attempt by its order's number at the provider.

    Raises:
        NotFoundError: there is none.
    """
    found = (await tx.session.scalars(select(Attempt).where(Attempt.out_trade_no == out_trade_no))).first()
    if found is None:
        raise NotFoundError
    return found


async def look_now(tx: Tx, attempt_id: UUID) -> None:
    """Somebody says that something has changed there: the sweeper asks at once, if money can still come."""
    attempt = await locked(tx, attempt_id)
    if attempt.state in PAYABLE:
        attempt.next_look_at = tx.now


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


def openid_of(tx: Tx, attempt: Attempt) -> str | None:
    """As whom WeChat knows the payer, where that was known before paying."""
    sealed = attempt.openid_sealed
    return tx.vault.open(sealed, "attempt", attempt.id.hex) if sealed else None


def order_of(tx: Tx, attempt: Attempt) -> CashOrder:
    """The order at the provider; always the same words, so that asking again finds the same order."""
    return CashOrder(
        out_trade_no=attempt.out_trade_no,
        amount_fen=attempt.amount_fen,
        description=attempt.description,
        channel=CashChannel(attempt.channel),
        expires_at=attempt.expires_at,
        payer_openid=openid_of(tx, attempt),
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


async def accepted(tx: Tx, attempt_id: UUID) -> None:
    """The provider has taken a deduction in, and will say how it went."""
    await password(tx, attempt_id)


async def refuse(tx: Tx, attempt_id: UUID, why: str) -> bool:
    """Nothing comes of a shown code: it is to be undone. False when that is decided already."""
    begun = await closing(tx, attempt_id)
    attempt = await by_id(tx, attempt_id)
    if begun and attempt.refusal is None:
        attempt.refusal = why[:40]
    if begun:  # no row, for it is as it was to everybody else: a kiosk asks for no password any more
        tx.ring(ViewsChanged(attempt.patient_id))
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
    attempt = await locked(tx, (await by_number(tx, state.out_trade_no)).id)
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
    if attempt.openid_sealed is not None and state.payer_openid != openid_of(tx, attempt):
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
