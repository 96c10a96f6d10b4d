"""A round of paying from the first share to the hospital's books: all of it is paid and told once, or all goes back."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from billing.rules import NothingPayableError, RoundState, till_of
from billing.service import paying
from billing.service.paying import Came, Round
from kernel.db import Tx
from kernel.errors import ForbiddenError
from payments import rules
from payments.events import AttemptSettled
from payments.models import Attempt
from payments.rules import LIVE, OURS, PAYABLE, AttemptState, InsuranceState, Piece
from payments.service import again, first, labels, parts, refunds, shares
from payments.service.moves import move, tell, tell_round
from people.rules import Action, Actor, ActorKind
from people.service import access
from visits.events import HisAnswered
from visits.service.calls import AGAIN
from visits.service.reading import subject_of
from words import pay as words

S = AttemptState


async def cut(
    tx: Tx,
    actor: Actor,
    visit_id: UUID,
    pieces: Sequence[Piece],
    seen_left_fen: int,
    lines: Collection[UUID] = (),
) -> Round:
    """Cut what is left to pay of a visit into shares; begins a round where none is under way.

    Args:
        lines: begin it of just these, which are paid before they are done.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
        billing.rules.NothingPayableError: there is nothing to pay.
        rules.AmountChangedError: it is no longer what the caller saw.
        rules.RoundClosingError, rules.AttemptInProgressError: there is nothing to cut now.
        rules.OtherRoundError: something else is under way than the lines that were named.
        rules.WrongSharesError: as ``shares.plan`` does.
    """
    visit = await paying.locked_visit(tx, visit_id)
    subject = subject_of(visit)
    await access.require(tx, actor, pays(actor), subject)
    if lines:
        await first.may_choose(tx, actor, visit, lines)
    now = await paying.live_round(tx, visit_id)
    if now is not None:
        await shares.free(tx, actor, now)
        if lines and set(now.charge_ids) != {str(line) for line in lines}:
            raise rules.OtherRoundError
    left = await paying.due_now(tx, visit)
    if lines and now is None:
        left = sum(c.self_fen for c in await paying.payable_first(tx, visit) if c.id in lines)
    if not left:
        raise NothingPayableError
    if left != seen_left_fen:
        raise rules.AmountChangedError(left, words.amount(left))
    meant = await shares.plan(tx, actor, subject, left, pieces)
    if now is None:
        now = await paying.open_round(tx, visit_id, actor.viewer, chosen=lines)
    await shares.cut(tx, actor, now, meant)
    await tx.session.flush()
    await tell_round(tx, now, "shared", await labels.relation_of(tx, actor, visit.patient_id, visit_id))
    return now


def pays(actor: Actor) -> Action:
    """What a caller has to be allowed who wants to pay, or take the money."""
    return Action.TAKE_PAYMENT if actor.kind is ActorKind.STAFF else Action.PAY


def insures(actor: Actor) -> Action:
    """What a caller has to be allowed who wants to use the insurance: the patient's side, or the counter for her."""
    return Action.TAKE_PAYMENT if actor.kind is ActorKind.STAFF else Action.ASK_FAMILY


async def over(tx: Tx, attempt: Attempt) -> None:
    """A try to pay has ended without money: its share is free again, and a round that was not cut ends with it."""
    now = await paying.round_by_id(tx, attempt.round_id, lock=True)
    now.busy_fen -= attempt.amount_fen
    if attempt.mixed:
        await parts.cash_is_over(tx, attempt.id)
    if now.state == RoundState.CLOSING:
        await go_back(tx, now)
    elif not (now.shared or now.insured or now.paid_fen or now.busy_fen):
        await paying.release(tx, now)


async def came(tx: Tx, attempt: Attempt) -> None:
    """A share's money is there; with the last one the lines are settled, and the HIS is told of all of them."""
    now = await paying.round_by_id(tx, attempt.round_id, lock=True)
    now.busy_fen -= attempt.amount_fen
    now.paid_fen += attempt.amount_fen
    till = till_of(attempt.channel)
    await paying.cash_in(tx, now, attempt.id, attempt.out_trade_no, attempt.amount_fen, till)
    if now.paid_fen == now.cash_fen and await parts.stands(tx, now):
        await _settle(tx, now)
    elif now.state == RoundState.CLOSING:
        await go_back(tx, now)


async def insured(tx: Tx, now: Round) -> None:
    """The insurance has paid all of its part: what remains is one share of cash, or nothing at all.

    Where one press paid both, the share is there already, and so may be its money.
    """
    if now.cash_fen:
        paying.move_round(now, RoundState.OPEN)
        if not await shares.of_round(tx, now.id):
            await shares.whole(tx, now.opened_by, now)
        await tx.session.flush()
    if now.paid_fen == now.cash_fen:
        await _settle(tx, now)
        for attempt in await _paid(tx, now.id):
            await tell(tx, attempt)
    if now.state == RoundState.OPEN or not now.cash_fen:  # else one press has paid both, and that is what was told
        await tell_round(tx, now, "insured", labels.SELF)


async def _settle(tx: Tx, now: Round) -> None:
    await paying.settle(tx, now, [_came(a) for a in await _paid(tx, now.id)], await parts.told(tx, now))


def _came(attempt: Attempt) -> Came:
    if attempt.transaction_id is None or attempt.paid_at is None:
        raise LookupError(f"attempt {attempt.id} is paid by nothing")
    return Came(attempt.channel, attempt.transaction_id, attempt.amount_fen, attempt.paid_at)


async def _paid(tx: Tx, round_id: UUID) -> list[Attempt]:
    query = select(Attempt).where(Attempt.round_id == round_id, Attempt.state.in_(OURS))
    return list(await tx.session.scalars(query.order_by(Attempt.paid_at, Attempt.created_at, Attempt.id)))


async def give_up(tx: Tx, actor: Actor, visit_id: UUID) -> list[UUID]:
    """The live round is given up: what is paid of it goes back to who paid, its lines are payable again.

    Returns:
        Attempts that have to be closed at the provider first; until then nothing is released.

    Raises:
        NotFoundError, ForbiddenError: not the caller's: only the patient's side and the desk undo others' payments.
        rules.NothingSharedError: there is no live round.
    """
    visit = await paying.locked_visit(tx, visit_id)
    view = await access.require(tx, actor, pays(actor), subject_of(visit))
    now = await paying.live_round(tx, visit_id)
    if now is None:
        raise rules.NothingSharedError
    query = select(Attempt).where(Attempt.round_id == now.id, Attempt.state.in_(LIVE)).order_by(Attempt.id)
    taken = (await tx.session.scalars(query)).all()
    if not (view.owner or view.staff) and any(a.actor != actor.viewer for a in taken):
        raise ForbiddenError
    if now.state in (RoundState.INSURING, RoundState.OPEN):
        paying.move_round(now, RoundState.CLOSING)
        await parts.take_back(tx, now)
        now.given_up_by = await labels.relation_of(tx, actor, visit.patient_id, visit_id)
        if now.insured:
            await tell_round(tx, now, "insurance_ending", now.given_up_by)
    under_way = [a for a in taken if a.state in PAYABLE]
    for attempt in under_way:
        attempt.next_look_at = tx.now  # if we do not get to close it now, the sweeper does
    if not under_way:
        await go_back(tx, now)
    return [a.id for a in under_way]


async def go_back(tx: Tx, now: Round) -> None:
    """Once nothing is under way any more, here or at the insurance: cash back to its payers, lines payable again."""
    if now.state != RoundState.CLOSING or now.busy_fen or not await parts.over(tx, now):
        return
    await parts.replaced_again(tx, now)
    for attempt in await _paid(tx, now.id):
        move(attempt, S.REFUNDING)
        now.paid_fen -= attempt.amount_fen
        await paying.given_up(tx, now, attempt.id, attempt.out_trade_no, attempt.amount_fen)
        await refunds.ask(tx, attempt, None, attempt.amount_fen)
    await paying.release(tx, now)
    for attempt in await _going_back(tx, now.id):
        await tell(tx, attempt)
    told = "insurance_over" if now.insured else "given_up"
    await tell_round(tx, now, told, now.given_up_by or labels.DESK)


async def _going_back(tx: Tx, round_id: UUID) -> list[Attempt]:
    query = select(Attempt).where(Attempt.round_id == round_id, Attempt.state == S.REFUNDING)
    return list(await tx.session.scalars(query.where(Attempt.closed_at.is_(None)).order_by(Attempt.paid_at)))


def _too_old(tx: Tx) -> ColumnElement[bool]:
    nobody = (Round.paid_fen == 0) & (Round.busy_fen == 0)
    shares_ = (Round.state == RoundState.OPEN) & nobody & (Round.opened_at < tx.now - rules.SHARES_LIFE)
    return shares_ | ((Round.state == RoundState.INSURING) & (Round.opened_at < tx.now - rules.INSURING_LIFE))


async def idle(tx: Tx) -> list[UUID]:
    """Visits whose shares, or settlements, wait in vain: they keep their lines from every other way to pay."""
    return list(await tx.session.scalars(select(Round.visit_id).where(_too_old(tx)).limit(100)))


async def release_idle(tx: Tx, visit_id: UUID) -> None:
    """Let the lines of shares nobody has begun to pay go."""
    await paying.locked_visit(tx, visit_id)
    query = select(Round).where(Round.visit_id == visit_id, _too_old(tx))
    now = (await tx.session.scalars(query)).first()
    if now is not None:
        paying.move_round(now, RoundState.CLOSING)
        await parts.take_back(tx, now)
        if now.insured:
            await tell_round(tx, now, "insurance_ending", labels.DESK)
        await go_back(tx, now)


async def his_answered(tx: Tx, event: HisAnswered) -> None:
    """Subscriber: the hospital has booked a round, or refused to, which a person has to look at."""
    if event.kind == "refund" and event.outcome == "refused":
        await again.crossed(tx, event)
    if event.kind != "settle" or not event.key.startswith("settle:"):
        return
    await paying.locked_visit(tx, event.visit_id)
    now = await paying.round_by_id(tx, UUID(event.key.removeprefix("settle:").partition(AGAIN)[0]), lock=True)
    if now.state != RoundState.PAID:
        return
    paid = await _paid(tx, now.id)
    if event.outcome != "done":
        for attempt in paid:
            attempt.trouble = f"his:{event.reason or 'refused'}"[:80]
        return
    paying.move_round(now, RoundState.SETTLED)
    now.settled_at = tx.now
    for part in await parts.of_round(tx, now.id):
        if part.state == InsuranceState.PAID:  # one that goes back already still has to be looked after
            part.next_look_at = None  # the hospital has booked it: now it is final
    for attempt in paid:
        move(attempt, S.SETTLED)
        attempt.settled_at, attempt.trouble = tx.now, None
    for attempt in paid:
        await tell(tx, attempt)
        await tx.emit(AttemptSettled(attempt.id, attempt.visit_id))


async def troubles(tx: Tx, hospital_id: UUID) -> Sequence[Attempt]:
    """What a person has to look at: refused by the HIS, not fitting, or paid and not booked for five minutes."""
    waits = (Round.state == RoundState.PAID) & (Round.paid_at < tx.now - rules.SETTLE_ALARM)
    slow = (Attempt.state == S.PAID) & waits
    query = select(Attempt).join(Round, Round.id == Attempt.round_id).where(Attempt.hospital_id == hospital_id)
    found = await tx.session.scalars(query.where(or_(Attempt.trouble.is_not(None), slow)).order_by(Attempt.created_at))
    return found.all()
