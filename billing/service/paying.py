"""What paying does to a bill: a round freezes lines together, and settles or releases them all together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from billing.events import PaidChargeReversed
from billing.models import ChargeItem as ChargeItem
from billing.models import Round as Round
from billing.rules import ROUND, Account, ChargeState, NothingPayableError, Parts, RoundState, spread
from billing.service.ledger import entries_of, level, paid_to, post
from billing.service.lines import (
    announce,
    check_settled,
    give_back,
    lines_of,
    move,
    prepayment_counts,
    return_prepaid,
    settle_noted,
    sums_of,
    take_back,
)
from billing.service.shown import is_first, money_of
from billing.service.splits import estimated, parts_of, restore
from billing.service.turns import live_round as live_round
from billing.service.turns import turn_of
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id, short_code
from notices.service import append, lock
from people.rules import Audience
from visits.events import HisAnswered
from visits.rules import GONE_ORDER, CallState, PaymentMode, VisitState
from visits.service import encounters
from visits.service.calls import last_said, post_charge, tell
from visits.service.encounters import Visit
from visits.service.orders import Order
from visits.service.reading import visit_of


@dataclass(frozen=True, slots=True)
class Came:
    """One payment of a round, as the HIS is told of it. ``way``: JSAPI, H5, NATIVE …"""

    way: str
    transaction: str
    amount_fen: int
    paid_at: datetime


async def locked_visit(tx: Tx, visit_id: UUID) -> Visit:
    """Take a visit's turn and read it, and its live round, as they are now.

    Raises:
        NotFoundError: there is none.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await lock(tx, visit_id)
    if ("turn", visit_id) not in tx.memo:  # what was read before the turn was taken may be untrue
        tx.memo["turn", visit_id] = True
        tx.memo.pop(("round", visit_id), None)
    await tx.session.refresh(visit)
    return visit


async def payable(tx: Tx, visit: Visit) -> list[ChargeItem]:
    """The lines a round beginning now would freeze; those the insurance pays whole travel along at 0 fen."""
    lines = await lines_of(tx, visit.id)
    return [c for c in lines if c.state == ChargeState.BILLABLE and money_of(visit, c).here]


async def due_now(tx: Tx, visit: Visit) -> int:
    """Fen a payment beginning now would take: what is left of the live round, or else all that is payable."""
    turn = await turn_of(tx, visit.id)
    return turn.left_fen if turn is not None else sum(c.self_fen for c in await payable(tx, visit))


async def payable_first(tx: Tx, visit: Visit) -> list[ChargeItem]:
    """The lines that are paid before they are done, each by itself or several together; no round takes them unasked."""
    return [c for c in await lines_of(tx, visit.id) if is_first(visit, c)]


async def open_round(
    tx: Tx, visit_id: UUID, opened_by: str, *, insured: bool = False, chosen: Collection[UUID] = ()
) -> Round:
    """Freeze every payable line in a new round; later lines go to the next one.

    Args:
        insured: the insurance settles first, so what remains in cash is not known yet.
        chosen: instead just these lines, which are paid before they are done.

    Raises:
        NothingPayableError: all paid, being paid, or nothing done yet; of the chosen lines, one cannot be paid now.
    """
    visit = await locked_visit(tx, visit_id)
    lines = await payable(tx, visit)
    if chosen:
        for charge in await lines_of(tx, visit_id):
            await tx.session.refresh(charge)
        lines = [c for c in await payable_first(tx, visit) if c.id in chosen]
        if len(lines) != len(set(chosen)):
            raise NothingPayableError
    cash = sum(c.self_fen for c in lines)
    if not (cash or (insured and lines)) or await live_round(tx, visit_id) is not None:
        raise NothingPayableError
    begin = RoundState.INSURING if insured else RoundState.OPEN
    ROUND.move(None, begin)
    opened = tx.add(
        Round(
            id=new_id(),
            visit_id=visit_id,
            number=f"HFS{china_day(tx.now):%Y%m%d}{short_code(14)}",
            charge_ids=[str(c.id) for c in lines],
            total_fen=sum(c.amount_fen for c in lines),
            cash_fen=0 if insured else cash,
            paid_fen=0,
            busy_fen=0,
            shared=False,
            first=bool(chosen),
            insured=insured,
            state=begin,
            opened_by=opened_by,
            opened_at=tx.now,
        )
    )
    tx.memo["round", visit_id] = opened
    for charge in lines:
        charge.round_id = opened.id
        done = charge.executed_at is not None
        await move(tx, visit, charge, ChargeState.COVERED if done else ChargeState.PREPAYING)
    # Two rounds at once would freeze the same lines: the index says so here, before anything is announced.
    await tx.session.flush()
    for charge in lines:
        await announce(tx, visit, charge)
    return opened


async def round_by_id(tx: Tx, round_id: UUID, *, lock: bool = False) -> Round:
    """A round as it stands; take its visit's turn first when it is to stay so (``lock``).

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(Round, round_id, lock=lock)
    if found is None:
        raise NotFoundError
    return found


async def rounds_of(tx: Tx, visit_id: UUID) -> Sequence[Round]:
    """All rounds of a visit, oldest first."""
    return (
        await tx.session.scalars(select(Round).where(Round.visit_id == visit_id).order_by(Round.opened_at, Round.id))
    ).all()


async def covered_by(tx: Tx, round_: Round) -> list[ChargeItem]:
    """The lines a round froze or settled."""
    return [c for c in await lines_of(tx, round_.visit_id) if c.round_id == round_.id]


def move_round(round_: Round, after: RoundState) -> None:
    """Move a round along its lifecycle."""
    ROUND.move(RoundState(round_.state), after)
    round_.state = after


async def release(tx: Tx, round_: Round) -> None:
    """The round came to nothing: its lines are payable again (or reversed, if the HIS took them back meanwhile)."""
    visit = await locked_visit(tx, round_.visit_id)
    lines = await covered_by(tx, round_)
    move_round(round_, RoundState.RELEASED)
    round_.released_at = tx.now
    tx.memo["round", visit.id] = None
    for charge in lines:
        charge.round_id = None
        done = charge.executed_at is not None
        await move(tx, visit, charge, ChargeState.BILLABLE if done else ChargeState.PLANNED)
    for charge in lines:
        await _as_before(tx, visit, charge)
    await check_settled(tx, visit)


async def _as_before(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """A line that is no longer frozen: what was said about it meanwhile comes true now."""
    if charge.reversed_at is not None:
        await take_back(tx, visit, charge)
    elif charge.elsewhere is not None:
        await settle_noted(tx, visit, charge)
    elif await _unwanted(tx, charge):
        await move(tx, visit, charge, ChargeState.ABORTED)
        await announce(tx, visit, charge)
    else:
        if visit.mode == PaymentMode.DEFERRED:  # it may have turned post-pay meanwhile
            await post_charge(tx, visit, charge.number, charge.amount_fen)
        await announce(tx, visit, charge)


async def _unwanted(tx: Tx, charge: ChargeItem) -> bool:
    """Whether the order of a line nobody has done was given up while it was being paid."""
    order = await tx.get(Order, charge.order_id) if charge.order_id and charge.executed_at is None else None
    return order is not None and order.state in GONE_ORDER


async def insured(tx: Tx, round_: Round, charge_ids: Sequence[UUID], final: Parts, mutual_aid_fen: int) -> None:
    """The insurance has paid: its split replaces the estimate of these lines, by a correcting entry."""
    visit = await locked_visit(tx, round_.visit_id)
    lines = [c for c in await covered_by(tx, round_) if c.id in charge_ids]
    before = parts_of(lines)
    for charge, was, now in zip(lines, before, spread(final, before), strict=True):
        charge.estimate = {"fund_fen": was.fund_fen, "account_fen": was.account_fen, "self_fen": was.self_fen}
        charge.fund_fen, charge.account_fen, charge.other_fen, charge.self_fen, charge.hospital_fen = now
    was = Parts(*(sum(column) for column in zip(*before, strict=True)))
    entries = {
        Account.POOLED_FUND: final.fund_fen - was.fund_fen,
        Account.PERSONAL_ACCOUNT: final.account_fen - mutual_aid_fen - was.account_fen,
        Account.MUTUAL_AID: mutual_aid_fen,
        Account.INSURANCE_OTHER: final.other_fen - was.other_fen,
        Account.HOSPITAL_PART: final.hospital_fen - was.hospital_fen,
        Account.PATIENT: final.self_fen - was.self_fen,
    }
    await post(tx, visit.id, "insured", lines[0].id, round_.number, entries)
    await level(tx, visit.id)
    for charge in lines:
        await announce(tx, visit, charge)


async def uninsured(tx: Tx, round_: Round, charge_ids: Sequence[UUID], mutual_aid_fen: int) -> None:
    """The insurance has its money again: the lines bear their estimate as before, by a correcting entry."""
    visit = await locked_visit(tx, round_.visit_id)
    lines = [c for c in await covered_by(tx, round_) if c.id in charge_ids and c.estimate]
    if not lines:  # it had not paid all of its settlements, so nothing was replaced
        return
    now = Parts(*(sum(column) for column in zip(*parts_of(lines), strict=True)))
    for charge in lines:
        restore(charge)
    again = Parts(*(sum(column) for column in zip(*parts_of(lines), strict=True)))
    entries = {
        Account.POOLED_FUND: again.fund_fen - now.fund_fen,
        Account.PERSONAL_ACCOUNT: again.account_fen - (now.account_fen - mutual_aid_fen),
        Account.MUTUAL_AID: -mutual_aid_fen,
        Account.INSURANCE_OTHER: -now.other_fen,
        Account.HOSPITAL_PART: -now.hospital_fen,
        Account.PATIENT: again.self_fen - now.self_fen,
    }
    await post(tx, visit.id, "uninsured", lines[0].id, round_.number, entries)


async def settle(tx: Tx, round_: Round, payments: Sequence[Came], insurance: Sequence[Mapping[str, Any]] = ()) -> None:
    """All of the round's money is there: its lines are settled and the HIS is told, once, of every payment.

    Args:
        insurance: what the insurance bears, as ``docs/his.md`` says; empty where it was not asked here.
    """
    visit = await locked_visit(tx, round_.visit_id)
    lines = await covered_by(tx, round_)
    move_round(round_, RoundState.PAID)
    round_.paid_at = max((p.paid_at for p in payments), default=tx.now)
    tx.memo["round", visit.id] = None
    twice = [c for c in lines if c.elsewhere and not c.reversed_at]
    lines = [c for c in lines if c not in twice]
    for charge in lines:
        charge.settled_at, charge.settled_reference = round_.paid_at, round_.number
        done = charge.state == ChargeState.COVERED
        await move(tx, visit, charge, ChargeState.SETTLED if done else ChargeState.PREPAID)
        if done and round_.first:
            await prepayment_counts(tx, charge)
    # What was taken back, given up or paid elsewhere meanwhile the HIS would not book: that money goes back (below).
    booked = [c for c in lines if c.reversed_at is None and not await _unwanted(tx, c)]
    data = {
        "settlement_no": round_.number,
        "charges": [_told(c) for c in booked],
        "total_fen": sum(c.self_fen for c in booked),
        "insurance": list(insurance),
        "payments": [
            {
                "way": p.way,
                "transaction": p.transaction,
                "amount_fen": p.amount_fen,
                "paid_at": p.paid_at.isoformat(),
            }
            for p in payments
        ],
    }
    if booked:
        await tell(tx, visit, "settle", settle_key(round_.id), data)
    else:
        await tx.emit(HisAnswered(settle_key(round_.id), "settle", visit.id, "done", "nothing to book"))
    for charge in lines:
        await announce(tx, visit, charge)
    for charge in lines:
        if charge not in booked:
            await _straight_back(tx, visit, charge)
    for charge in twice:
        await _paid_twice(tx, visit, round_, charge)
    await check_settled(tx, visit)


async def _straight_back(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    if charge.state == ChargeState.SETTLED:
        await give_back(tx, visit, charge)
    else:
        await return_prepaid(tx, visit, charge, ChargeState.REVERSED if charge.reversed_at else ChargeState.ABORTED)


async def _paid_twice(tx: Tx, visit: Visit, round_: Round, charge: ChargeItem) -> None:
    """Paid here, and at the hospital's window while we were at it: the window's payment counts, ours goes back."""
    entries = {_for(round_): charge.self_fen, Account.SUSPENSE: -charge.self_fen}
    await post(tx, visit.id, "twice", charge.id, round_.number, entries)
    charge.round_id = None
    await move(tx, visit, charge, ChargeState.PLANNED if charge.executed_at is None else ChargeState.BILLABLE)
    await settle_noted(tx, visit, charge)
    await tx.emit(PaidChargeReversed(charge.id, visit.id, charge.self_fen, round_.id))


def _told(charge: ChargeItem) -> dict[str, Any]:
    line: dict[str, Any] = {"charge_no": charge.number, "self_fen": charge.self_fen}
    if charge.estimate is not None:
        line |= {"fund_fen": charge.fund_fen, "account_fen": charge.account_fen, "other_fen": charge.other_fen}
        line |= {"hospital_fen": charge.hospital_fen}
    return line


def settle_key(round_id: UUID) -> str:
    """The key under which the HIS is told of a round's money."""
    return f"settle:{round_id.hex}"


async def unsettle(
    tx: Tx, round_: Round, charge_ids: Sequence[UUID], mutual_aid_fen: int, refund_no: str, insurance: Mapping[str, Any]
) -> tuple[int, int]:
    """An insurance settlement of a paid round went back whole, for one of its lines: the others are owed again.

    They bear their estimate as before it, and what was paid for them waits in suspense. The HIS is told once, of all.

    Args:
        charge_ids: the settlement's lines.
        refund_no: of the settlement's way back; insurance: what it was, both as ``docs/his.md`` says.

    Returns:
        Fen that were paid in cash for the lines that are owed again, and how much of them is owed now.
    """
    visit = await locked_visit(tx, round_.visit_id)
    held = [c for c in await covered_by(tx, round_) if c.id in charge_ids and c.state == ChargeState.SETTLED]
    again = [c for c in held if c.reversed_at is None]
    booked = [c for c in held if await _was_booked(tx, c, round_.id)]
    lines: list[dict[str, Any]] = [
        {"charge_no": c.number, "self_fen": c.self_fen, "owed_again": c in again} for c in booked
    ]
    paid = sum(c.self_fen for c in again)
    await post(tx, visit.id, "unsettled", held[0].id, refund_no, estimated(again, mutual_aid_fen))
    for charge in again:
        charge.round_id = charge.settled_at = charge.settled_reference = None
        await move(tx, visit, charge, ChargeState.BILLABLE)
    for charge in held:
        if charge not in again and not charge.self_fen:  # nobody waits for cash of it
            await move(tx, visit, charge, ChargeState.REFUNDED)
    if booked:
        data = {
            "refund_no": refund_no,
            "settlement_no": round_.number,
            "charges": lines,
            "total_fen": sum(line["self_fen"] for line in lines),
            "insurance": [dict(insurance)],
        }
        await tell(tx, visit, "refund", f"refund:{refund_no}", data)
    for charge in held:
        await announce(tx, visit, charge)
    if visit.state == VisitState.SETTLED and any(c.self_fen for c in again):
        await encounters.owed_again(tx, visit)
    await check_settled(tx, visit)
    return paid, sum(c.self_fen for c in again)


async def _was_booked(tx: Tx, charge: ChargeItem, round_id: UUID) -> bool:
    told = await _booked(tx, round_id)
    return told is not None and any(line["charge_no"] == charge.number for line in told["charges"])


async def _booked(tx: Tx, round_id: UUID) -> Mapping[str, Any] | None:
    """What the HIS has booked of a round's money, or is being told to; None: nothing (not told, or refused)."""
    call = await last_said(tx, settle_key(round_id))
    return call.data if call is not None and call.state in (CallState.PENDING, CallState.DONE) else None


async def standing(tx: Tx, visit_id: UUID, settlement_no: str) -> set[str]:
    """Numbers of the lines whose payment stands under a settlement's number: none of it goes, or went, back."""
    return {
        c.number
        for c in await lines_of(tx, visit_id)
        if c.settled_reference == settlement_no
        and c.state in (ChargeState.SETTLED, ChargeState.PREPAID)
        and c.reversed_at is None
    }


async def pays_back(tx: Tx, refund: Mapping[str, Any]) -> bool:
    """Whether the HIS has anything of what it was told to pay back: what it refused to book it cannot give back."""
    round_id = await tx.session.scalar(select(Round.id).where(Round.number == refund["settlement_no"]))
    told = await _booked(tx, round_id) if round_id is not None else None
    booked = {line["charge_no"] for line in told["charges"]} if told is not None else set()
    return any(line["charge_no"] in booked for line in refund["charges"])


async def line_returned(tx: Tx, visit_id: UUID, charge_id: UUID, refund_no: str | None, round_id: UUID) -> None:
    """All the money a round had for one line has gone back: the line leaves the bill.

    A line that stands for itself again, because it was done all the same or paid at the hospital's window, stays.

    Args:
        refund_no: the HIS is told under this number; None: it knows, or there was no money.
    """
    visit = await locked_visit(tx, visit_id)
    charge = next((c for c in await lines_of(tx, visit_id) if c.id == charge_id), None)
    if charge is None:
        raise NotFoundError
    own = charge.round_id == round_id
    if own and charge.state == ChargeState.REFUNDED:
        return
    if own:
        await move(tx, visit, charge, ChargeState.REFUNDED)
    told = await _booked(tx, round_id) or {"charges": []}
    fen = next((line["self_fen"] for line in told["charges"] if line["charge_no"] == charge.number), None)
    if refund_no is not None and fen is not None:
        data = {
            "refund_no": refund_no,
            "settlement_no": told["settlement_no"],
            "charges": [{"charge_no": charge.number, "self_fen": fen}],
            "total_fen": fen,
        }
        await tell(tx, visit, "refund", f"refund:{refund_no}", data)
    if own:
        await announce(tx, visit, charge)


async def line_of(tx: Tx, charge_id: UUID) -> ChargeItem:
    """A line by its id.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(ChargeItem, charge_id)
    if found is None:
        raise NotFoundError
    return found


# ------------------------------------------------------------------------------------ what money does to the ledger


def _for(round_: Round) -> Account:
    """What the money of a live round lessens: what is owed, or, of what is paid first, nothing yet."""
    return Account.PREPAID if round_.first else Account.PATIENT


async def cash_in(tx: Tx, round_: Round, attempt_id: UUID, number: str, amount_fen: int, till: Account) -> None:
    """A payment came into this till: so much less is owed, whether or not it is all of the round."""
    lessened = {Account.PREPAID: amount_fen} if round_.first else await paid_to(tx, round_.visit_id, amount_fen)
    entries = {till: amount_fen, **{account: -fen for account, fen in lessened.items()}}
    await post(tx, round_.visit_id, "paid", attempt_id, number, entries)


async def late_in(tx: Tx, visit_id: UUID, attempt_id: UUID, amount_fen: int, till: Account) -> None:
    """Money came for an attempt that was over: it waits in suspense to go back."""
    await post(tx, visit_id, "late", attempt_id, "in", {till: amount_fen, Account.SUSPENSE: -amount_fen})


async def given_up(tx: Tx, round_: Round, attempt_id: UUID, number: str, amount_fen: int) -> None:
    """A payment's round was given up: it is owed as before, and the money waits in suspense to go back."""
    paid = await entries_of(tx, attempt_id, "paid", number)
    entries = {account: -fen for account, fen in paid.items() if fen < 0}
    await post(tx, round_.visit_id, "given_up", attempt_id, "", {**entries, Account.SUSPENSE: -amount_fen})


async def cash_out(tx: Tx, visit_id: UUID, refund_id: UUID, number: str, amount_fen: int, till: Account) -> None:
    """A refund has reached its payer, out of this till."""
    await post(tx, visit_id, "returned", refund_id, number, {till: -amount_fen, Account.SUSPENSE: amount_fen})


async def payment_row(
    tx: Tx, visit_id: UUID, payment: Mapping[str, Any], round_: Mapping[str, Any] | None = None
) -> None:
    """Write how a payment, and the live round with its shares, stand to the visit's feed."""
    visit = await locked_visit(tx, visit_id)
    payload = {
        "payment": dict(payment),
        "round": round_,
        "sums": await sums_of(tx, visit),
        "turn": await turn_of(tx, visit_id),
    }
    await append(tx, visit_id, "payment", payload, audience=Audience.PAYERS)
