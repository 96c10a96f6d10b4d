"""What paying does to a bill: a round freezes lines together, and settles or releases them all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from billing.models import ChargeItem as ChargeItem
from billing.models import Round as Round
from billing.rules import ROUND, Account, ChargeState, NothingPayableError, Parts, RoundState, spread
from billing.service.ledger import post
from billing.service.lines import (
    announce,
    check_settled,
    give_back,
    lines_of,
    money_of,
    move,
    sums_of,
    take_back,
)
from billing.service.turns import live_round as live_round
from billing.service.turns import turn_of
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id, short_code
from notices.service import append, lock
from people.rules import Audience
from visits.events import HisAnswered
from visits.rules import VisitState
from visits.service import encounters
from visits.service.calls import tell, told_of
from visits.service.encounters import Visit
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


async def open_round(tx: Tx, visit_id: UUID, opened_by: str, *, insured: bool = False) -> Round:
    """Freeze every payable line in a new round; later lines go to the next one.

    ``insured``: the insurance settles first, so what remains in cash is not known yet.

    Raises:
        NothingPayableError: all paid, being paid, or nothing done yet.
    """
    visit = await locked_visit(tx, visit_id)
    lines = await payable(tx, visit)
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
            insured=insured,
            state=begin,
            opened_by=opened_by,
            opened_at=tx.now,
        )
    )
    tx.memo["round", visit_id] = opened
    for charge in lines:
        charge.round_id = opened.id
        await move(tx, visit, charge, ChargeState.COVERED)
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
        await move(tx, visit, charge, ChargeState.BILLABLE)
    for charge in lines:
        if charge.reversed_at is not None:
            await take_back(tx, visit, charge)
        else:
            await announce(tx, visit, charge)
    await check_settled(tx, visit)


async def insured(tx: Tx, round_: Round, charge_ids: Sequence[UUID], final: Parts, mutual_aid_fen: int) -> None:
    """The insurance has paid: its split replaces the estimate of these lines, by a correcting entry."""
    visit = await locked_visit(tx, round_.visit_id)
    lines = [c for c in await covered_by(tx, round_) if c.id in charge_ids]
    before = _parts(lines)
    for charge, was, now in zip(lines, before, spread(final, before), strict=True):
        charge.estimate = {"fund_fen": was.fund_fen, "account_fen": was.account_fen, "self_fen": was.self_fen}
        charge.fund_fen, charge.account_fen, charge.other_fen, charge.self_fen = now
    was = Parts(*(sum(column) for column in zip(*before, strict=True)))
    entries = {
        Account.POOLED_FUND: final.fund_fen - was.fund_fen,
        Account.PERSONAL_ACCOUNT: final.account_fen - mutual_aid_fen - was.account_fen,
        Account.MUTUAL_AID: mutual_aid_fen,
        Account.INSURANCE_OTHER: final.other_fen - was.other_fen,
        Account.PATIENT: final.self_fen - was.self_fen,
    }
    await post(tx, visit.id, "insured", lines[0].id, round_.number, entries)
    for charge in lines:
        await announce(tx, visit, charge)


async def uninsured(tx: Tx, round_: Round, charge_ids: Sequence[UUID], mutual_aid_fen: int) -> None:
    """The insurance has its money again: the lines bear their estimate as before, by a correcting entry."""
    visit = await locked_visit(tx, round_.visit_id)
    lines = [c for c in await covered_by(tx, round_) if c.id in charge_ids and c.estimate]
    if not lines:  # it had not paid all of its settlements, so nothing was replaced
        return
    now = Parts(*(sum(column) for column in zip(*_parts(lines), strict=True)))
    for charge in lines:
        _restore(charge)
    again = Parts(*(sum(column) for column in zip(*_parts(lines), strict=True)))
    entries = {
        Account.POOLED_FUND: again.fund_fen - now.fund_fen,
        Account.PERSONAL_ACCOUNT: again.account_fen - (now.account_fen - mutual_aid_fen),
        Account.MUTUAL_AID: -mutual_aid_fen,
        Account.INSURANCE_OTHER: -now.other_fen,
        Account.PATIENT: again.self_fen - now.self_fen,
    }
    await post(tx, visit.id, "uninsured", lines[0].id, round_.number, entries)


def _parts(lines: Sequence[ChargeItem]) -> list[Parts]:
    return [Parts(c.fund_fen, c.account_fen, c.other_fen, c.self_fen) for c in lines]


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
    for charge in lines:
        charge.settled_at, charge.settled_reference = round_.paid_at, round_.number
        await move(tx, visit, charge, ChargeState.SETTLED)
    # What the HIS took back meanwhile it would refuse to book; that money goes straight back (below).
    booked = [c for c in lines if c.reversed_at is None]
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
        if charge.reversed_at is not None:
            await give_back(tx, visit, charge)
    await check_settled(tx, visit)


def _told(charge: ChargeItem) -> dict[str, Any]:
    line: dict[str, Any] = {"charge_no": charge.number, "self_fen": charge.self_fen}
    if charge.estimate is not None:
        line |= {"fund_fen": charge.fund_fen, "account_fen": charge.account_fen, "other_fen": charge.other_fen}
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
    await post(tx, visit.id, "unsettled", held[0].id, refund_no, _estimated(again, mutual_aid_fen))
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


def _estimated(lines: Sequence[ChargeItem], mutual_aid_fen: int) -> dict[Account, int]:
    """Give lines the insurance has paid their estimate back; the entries that make paid lines owed ones.

    Whatever line the mutual aid was spread to: lines taken back have left all of it to these entries.
    """
    now = Parts(*(sum(column) for column in zip(*_parts(lines), strict=True))) if lines else Parts(0, 0, 0, 0)
    for charge in lines:
        _restore(charge)
    again = Parts(*(sum(column) for column in zip(*_parts(lines), strict=True))) if lines else Parts(0, 0, 0, 0)
    return {
        Account.POOLED_FUND: again.fund_fen - now.fund_fen,
        Account.PERSONAL_ACCOUNT: again.account_fen - (now.account_fen - mutual_aid_fen),
        Account.MUTUAL_AID: -mutual_aid_fen,
        Account.INSURANCE_OTHER: again.other_fen - now.other_fen,
        Account.PATIENT: again.self_fen,
        Account.SUSPENSE: -now.self_fen,
    }


def _restore(charge: ChargeItem) -> None:
    was = charge.estimate
    if was is not None:
        charge.fund_fen, charge.account_fen, charge.self_fen = was["fund_fen"], was["account_fen"], was["self_fen"]
        charge.other_fen, charge.estimate = 0, None


async def line_returned(tx: Tx, visit_id: UUID, charge_id: UUID, refund_no: str | None) -> None:
    """All the money of one settled line has gone back: the line leaves the bill.

    Args:
        refund_no: the HIS is told under this number; None: it knows, or there was no money.
    """
    visit = await locked_visit(tx, visit_id)
    charge = next((c for c in await lines_of(tx, visit_id) if c.id == charge_id), None)
    if charge is None:
        raise NotFoundError
    if charge.state == ChargeState.REFUNDED:
        return
    await move(tx, visit, charge, ChargeState.REFUNDED)
    lines = [{"charge_no": charge.number, "self_fen": charge.self_fen}]
    data = {
        "refund_no": refund_no,
        "settlement_no": charge.settled_reference,
        "charges": lines,
        "total_fen": charge.self_fen,
    }
    if refund_no is not None and charge.round_id is not None and await _was_booked(tx, charge, charge.round_id):
        await tell(tx, visit, "refund", f"refund:{refund_no}", data)
    await announce(tx, visit, charge)


async def _was_booked(tx: Tx, charge: ChargeItem, round_id: UUID) -> bool:
    told = await told_of(tx, settle_key(round_id))
    return told is not None and any(line["charge_no"] == charge.number for line in told["charges"])


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


async def cash_in(tx: Tx, visit_id: UUID, attempt_id: UUID, number: str, amount_fen: int, till: Account) -> None:
    """A payment came into this till: so much less is owed, whether or not it is all of the round."""
    await post(tx, visit_id, "paid", attempt_id, number, {till: amount_fen, Account.PATIENT: -amount_fen})


async def late_in(tx: Tx, visit_id: UUID, attempt_id: UUID, amount_fen: int, till: Account) -> None:
    """Money came for an attempt that was over: it waits in suspense to go back."""
    await post(tx, visit_id, "late", attempt_id, "in", {till: amount_fen, Account.SUSPENSE: -amount_fen})


async def given_up(tx: Tx, visit_id: UUID, attempt_id: UUID, amount_fen: int) -> None:
    """A payment's round was given up: it is owed again, and the money waits in suspense to go back."""
    entries = {Account.PATIENT: amount_fen, Account.SUSPENSE: -amount_fen}
    await post(tx, visit_id, "given_up", attempt_id, "", entries)


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
