"""The lines of a bill: written down when ordered, owed only when a department has confirmed execution."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, column, func, select

from billing.events import ChargeBecameBillable, PaidChargeReversed
from billing.models import ChargeItem as ChargeItem
from billing.models import Round
from billing.rules import (
    CHARGE,
    FROZEN,
    GONE_LINE,
    LIVE_ROUND,
    OWED,
    PILE,
    Account,
    AmountChangedError,
    ChargeState,
    PaidTooMuchError,
    seen_line,
    seen_sums,
    sums_by_category,
)
from billing.service.ledger import level, post
from billing.service.shown import far_mark, line_payload, money_of
from billing.service.splits import paid_apart
from billing.service.turns import found, nobody_pays, turn_of
from kernel.asking import Question
from kernel.db import Tx, one_of
from kernel.ids import derive
from notices.service import append, lock, next_rank
from people.rules import Audience, View
from people.service.hospitals import Hospital
from visits.rules import GONE_ORDER, OrderState, PaymentMode, VisitState
from visits.service import encounters
from visits.service.calls import post_charge, tell
from visits.service.encounters import VISITS_MET, Met, Visit
from visits.service.orders import Order, order_id

_MONEY = select(
    ChargeItem.visit_id,
    ChargeItem.id,
    ChargeItem.state,
    ChargeItem.category,
    ChargeItem.pay_first,
    ChargeItem.amount_fen,
    ChargeItem.fund_fen,
    ChargeItem.other_fen,
    ChargeItem.account_fen,
    ChargeItem.self_fen,
    ChargeItem.hospital_fen,
    ChargeItem.estimate,
).where(ChargeItem.visit_id == any_(VISITS_MET))

_SAID = (
    func.unnest(*(bindparam(name, type_=ARRAY(Uuid)) for name in ("charges", "orders")), VISITS_MET)
    .table_valued(column("charge_id", Uuid), column("order_id", Uuid), column("visit_id", Uuid), name="said")
    .render_derived()
)
_NAMED = (
    select(ChargeItem, Order, Round)
    .select_from(_SAID)
    .outerjoin(ChargeItem, ChargeItem.id == _SAID.c.charge_id)
    .outerjoin(Order, Order.id == func.coalesce(ChargeItem.order_id, _SAID.c.order_id))
    .outerjoin(Round, (Round.visit_id == _SAID.c.visit_id) & one_of(Round.state, LIVE_ROUND))
)


@dataclass(frozen=True, slots=True)
class ChargeFact:
    """A charge as the HIS told it, in whole fen, pre-settled by the HIS.

    ``category`` is its encounter's: that of a charge without an order.
    """

    number: str
    order_id: UUID | None
    item_code: str
    name: str
    quantity: str
    unit_price_fen: int
    amount_fen: int
    fund_fen: int
    account_fen: int
    self_fen: int
    insurance_class: str | None
    created_at: datetime
    category: str | None = None


def charge_id(hospital_id: UUID, number: str) -> UUID:
    """The id of a charge by the HIS's number."""
    return derive(hospital_id, "charge", number)


async def preload(tx: Tx, visit_ids: Sequence[UUID]) -> None:
    """Fetch all lines of these visits in one question."""
    wanted = [v for v in visit_ids if ("lines", v) not in tx.memo]
    if not wanted:
        return
    for visit_id in wanted:
        tx.memo["lines", visit_id] = []
    query = select(ChargeItem).where(one_of(ChargeItem.visit_id, wanted)).order_by(ChargeItem.rank)
    for charge in await tx.session.scalars(query):
        tx.memo["lines", charge.visit_id].append(charge)
        tx.hold([charge])


def named(
    tx: Tx, hospital_id: UUID, charges: Collection[str], orders: Collection[str], met: Met
) -> list[Question[None]]:
    """Fetch the lines and the orders with these numbers, the orders behind the lines, and of the visits the live rounds
    and the money of all lines: to be asked when the visits' turns have been taken, in the same trip."""
    charge_ids = [charge_id(hospital_id, number) for number in charges]
    order_ids = [order_id(hospital_id, number) for number in orders]

    def heard(rows: Iterable[Iterable[ChargeItem | Order | Round | None]]) -> None:
        nobody_pays(tx, met.found(tx))
        for one in chain.from_iterable(rows):
            if isinstance(one, Round):
                found(tx, one)
            elif one is not None:
                tx.hold([one])
        tx.lacks(ChargeItem, charge_ids)
        tx.lacks(Order, order_ids)

    # Side by side: each row names a line or an order, and perhaps a visit.
    without_lines = [None] * len(charge_ids)
    asked = {"charges": charge_ids, "orders": without_lines + order_ids, **met.values}
    return [_money(tx, met), Question(_NAMED, asked, heard)]


def _money(tx: Tx, met: Met) -> Question[None]:
    # A long bill costs little this way: whole lines are fetched only where they are needed.
    def heard(rows: Iterable[Any]) -> None:
        for visit_id in met.found(tx):
            tx.memo["money", visit_id] = {}
        for row in rows:
            tx.memo["money", row.visit_id][row.id] = row

    return Question(_MONEY, met.values, heard)


async def is_known(tx: Tx, hospital_id: UUID, number: str) -> bool:
    """Whether the HIS has told us of this charge."""
    return await tx.get(ChargeItem, charge_id(hospital_id, number)) is not None


async def lines_of(tx: Tx, visit_id: UUID) -> list[ChargeItem]:
    """All lines of a visit; take the visit's turn first when something will change."""
    await preload(tx, [visit_id])
    lines: list[ChargeItem] = tx.memo["lines", visit_id]
    return lines


async def encounter_of(tx: Tx, charge: ChargeItem) -> UUID | None:
    """The encounter whose order a line is for; None for a line without an order."""
    order = await tx.get(Order, charge.order_id) if charge.order_id else None
    return order.encounter_id if order is not None else None


async def record(tx: Tx, hospital: Hospital, visit: Visit, fact: ChargeFact) -> bool:
    """Write a charge down as planned; owed at once only if its order was performed. Returns whether it was new.

    Raises:
        AmountChangedError: the number is known with other money.
    """
    feed = await lock(tx, visit.id)
    identity = charge_id(hospital.id, fact.number)
    known = await tx.get(ChargeItem, identity)
    if known is not None:
        told = known.estimate or {
            "fund_fen": known.fund_fen,
            "account_fen": known.account_fen,
            "self_fen": known.self_fen,
        }
        same = (known.amount_fen, told["fund_fen"], told["account_fen"], told["self_fen"])
        if same != (fact.amount_fen, fact.fund_fen, fact.account_fen, fact.self_fen):
            raise AmountChangedError(charge=fact.number)
        return False
    order = await tx.get(Order, fact.order_id) if fact.order_id else None
    charge = _add(tx, _planned(identity, visit, order, fact))
    charge.rank = next_rank(tx, feed, charge.category)
    if visit.mode == PaymentMode.DEFERRED:
        await post_charge(tx, visit, charge.number, charge.amount_fen, fresh=True)
    if order is not None and order.state in GONE_ORDER:
        charge.state = ChargeState.ABORTED
    await announce(tx, visit, charge)
    if order is not None and order.state == OrderState.PERFORMED and order.covers_all:
        await confirm(tx, visit, charge, order.performed_by, order.performed_where or "", order.performed_at or tx.now)
    return True


def _add(tx: Tx, charge: ChargeItem) -> ChargeItem:
    if ("lines", charge.visit_id) in tx.memo:
        tx.memo["lines", charge.visit_id].append(charge)
    if ("money", charge.visit_id) in tx.memo:
        tx.memo["money", charge.visit_id][charge.id] = charge
    return tx.add(charge)


def _planned(identity: UUID, visit: Visit, order: Order | None, fact: ChargeFact) -> ChargeItem:
    CHARGE.move(None, ChargeState.PLANNED)
    return ChargeItem(
        id=identity,
        visit_id=visit.id,
        number=fact.number,
        order_id=order.id if order else None,
        item_code=fact.item_code,
        name=fact.name,
        department_name=order.department_name if order else "",
        quantity=fact.quantity,
        unit_price_fen=fact.unit_price_fen,
        amount_fen=fact.amount_fen,
        fund_fen=fact.fund_fen,
        account_fen=fact.account_fen,
        other_fen=0,
        hospital_fen=0,
        self_fen=fact.self_fen,
        insurance_class=fact.insurance_class,
        category=order.category if order else fact.category,
        state=ChargeState.PLANNED,
        pay_first=False,
        ordered_by=order.ordered_by if order else None,
        ordered_at=order.ordered_at if order else fact.created_at,
        created_at=fact.created_at,
        rank=0,
    )


async def move(tx: Tx, visit: Visit, charge: ChargeItem, after: ChargeState) -> None:
    """Move a line along its lifecycle; one that changes its pile goes on top of the new one."""
    before = ChargeState(charge.state)
    CHARGE.move(before, after)
    charge.state = after
    if PILE[before] != PILE[after]:
        charge.rank = next_rank(tx, await lock(tx, visit.id), charge.category)


async def confirm(tx: Tx, visit: Visit, charge: ChargeItem, by: str | None, where: str, at: datetime) -> None:
    """A department confirmed execution: the line is owed, and the ledger says so. Saying it again changes nothing."""
    if charge.executed_at is not None:
        return
    await lock(tx, visit.id)
    charge.executed_at, charge.executed_by, charge.executed_where = at, by, where
    if charge.reversed_at is not None and charge.state in GONE_LINE:
        await announce(tx, visit, charge)  # taken back before we heard that it was done: nothing is owed
        return
    if charge.state != ChargeState.SETTLED_ELSEWHERE:
        let_go(charge)
        await move(tx, visit, charge, _DONE.get(charge.state, ChargeState.BILLABLE))
    await post(tx, visit.id, "executed", charge.id, charge.number, _owed(charge, 1), fresh=True)
    if charge.state == ChargeState.SETTLED_ELSEWHERE:
        await _paid_elsewhere(tx, charge)
    elif charge.state == ChargeState.SETTLED:
        await prepayment_counts(tx, charge)
    await announce(tx, visit, charge)
    await tx.emit(ChargeBecameBillable(charge.id, visit.id))
    if visit.state == VisitState.SETTLED and charge.state in OWED:
        if charge.self_fen:
            await encounters.owed_again(tx, visit)
        else:
            await _book_free(tx, visit)


_DONE: Mapping[str, ChargeState] = {
    ChargeState.PREPAYING: ChargeState.COVERED,
    ChargeState.PREPAID: ChargeState.SETTLED,
}


def let_go(charge: ChargeItem) -> None:
    """A line whose payment went, or goes, back has no payment any more."""
    if charge.state in (ChargeState.ABORTED, ChargeState.REFUNDED):
        charge.round_id = charge.settled_at = charge.settled_reference = None


async def prepayment_counts(tx: Tx, charge: ChargeItem) -> None:
    """What was paid before is now paid for something done: the hospital owes it no more."""
    entries = {Account.PREPAID: charge.self_fen, Account.PATIENT: -charge.self_fen}
    await post(tx, charge.visit_id, "prepaid_done", charge.id, charge.settled_reference or "", entries)


def _owed(charge: ChargeItem, sign: int) -> dict[Account, int]:
    return {
        Account.PATIENT: sign * charge.self_fen,
        Account.POOLED_FUND: sign * charge.fund_fen,
        Account.INSURANCE_OTHER: sign * charge.other_fen,
        Account.PERSONAL_ACCOUNT: sign * charge.account_fen,
        Account.HOSPITAL_PART: sign * charge.hospital_fen,
        Account.REVENUE: -sign * charge.amount_fen,
    }


async def _paid_elsewhere(tx: Tx, charge: ChargeItem) -> None:
    entries = {Account.ELSEWHERE: charge.self_fen, Account.PATIENT: -charge.self_fen}
    await post(tx, charge.visit_id, "elsewhere", charge.id, charge.number, entries)
    await level(tx, charge.visit_id)


async def reverse(tx: Tx, visit: Visit, charge: ChargeItem, at: datetime) -> None:
    """The HIS takes a line back. One in a live round waits for its outcome; one paid here is paid back."""
    await lock(tx, visit.id)
    if charge.reversed_at is not None:
        return
    charge.reversed_at = at
    if charge.state == ChargeState.SETTLED:
        await give_back(tx, visit, charge)
        if charge.state == ChargeState.SETTLED:
            await announce(tx, visit, charge)  # its money is on its way
    elif charge.state == ChargeState.PREPAID:
        await return_prepaid(tx, visit, charge, ChargeState.REVERSED)
    elif charge.state in (ChargeState.ABORTED, ChargeState.REFUNDED) and charge.settled_at is not None:
        await announce(tx, visit, charge)  # its money is on its way back already, or has arrived
    elif charge.state not in FROZEN:
        await take_back(tx, visit, charge)
        await check_settled(tx, visit)


async def give_back(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """A line settled here was taken back: its money goes back, and the insurance's; where nobody paid, none does."""
    taken = _owed(charge, -1)
    taken[Account.SUSPENSE] = taken.pop(Account.PATIENT)  # paid already, so owed to who paid, until it arrives
    await post(tx, visit.id, "reversed", charge.id, charge.number, taken)
    if charge.self_fen or charge.estimate is not None:
        await tx.emit(PaidChargeReversed(charge.id, visit.id, charge.self_fen, round_of(charge)))
        return
    await move(tx, visit, charge, ChargeState.REFUNDED)
    await announce(tx, visit, charge)


def round_of(charge: ChargeItem) -> UUID:
    """The round whose money paid a line.

    Raises:
        LookupError: it was not paid here.
    """
    if charge.round_id is None:
        raise LookupError(f"line {charge.id} was not paid here")
    return charge.round_id


async def return_prepaid(tx: Tx, visit: Visit, charge: ChargeItem, after: ChargeState) -> None:
    """A line paid before it was done will not be done: it leaves the bill at once, and its money goes back."""
    await move(tx, visit, charge, after)
    entries = {Account.PREPAID: charge.self_fen, Account.SUSPENSE: -charge.self_fen}
    await post(tx, visit.id, "prepaid_back", charge.id, charge.settled_reference or "", entries)
    await announce(tx, visit, charge)
    await tx.emit(PaidChargeReversed(charge.id, visit.id, charge.self_fen, round_of(charge)))


async def take_back(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """Reverse a line nobody has paid here, with the mirrored posting when it was owed."""
    elsewhere = charge.state == ChargeState.SETTLED_ELSEWHERE
    await move(tx, visit, charge, ChargeState.REVERSED)
    if charge.executed_at is not None:
        await post(tx, visit.id, "reversed", charge.id, charge.number, _owed(charge, -1))
        if elsewhere:
            entries = {Account.ELSEWHERE: -charge.self_fen, Account.PATIENT: charge.self_fen}
            await post(tx, visit.id, "elsewhere_back", charge.id, charge.number, entries)
        await level(tx, visit.id)
    await announce(tx, visit, charge)


async def settled_elsewhere(
    tx: Tx, visit: Visit, charge: ChargeItem, *, paid_fen: int, where: str, reference: str, at: datetime
) -> bool:
    """The patient paid ``paid_fen`` for this line at the hospital's own window, and the hospital asks no more for it.

    While somebody pays it here it is only noted: that payment's outcome decides. Returns False when it changes nothing.

    Raises:
        PaidTooMuchError: the line costs less.
    """
    await lock(tx, visit.id)
    if paid_fen > charge.amount_fen:
        raise PaidTooMuchError(charge=charge.number)
    if charge.state in FROZEN and charge.elsewhere is None:
        charge.elsewhere = {"at": at.isoformat(), "where": where, "reference": reference, "paid_fen": paid_fen}
        return True
    if not CHARGE.allows(ChargeState(charge.state), ChargeState.SETTLED_ELSEWHERE):
        return False
    let_go(charge)
    charge.settled_at, charge.settled_where, charge.settled_reference = at, where, reference
    await move(tx, visit, charge, ChargeState.SETTLED_ELSEWHERE)
    if paid_fen != charge.self_fen:
        entries = paid_apart(charge, paid_fen)
        if charge.executed_at is not None:
            await post(tx, visit.id, "reckoned_elsewhere", charge.id, charge.number, entries)
    if charge.executed_at is not None:
        await _paid_elsewhere(tx, charge)
    await announce(tx, visit, charge)
    await check_settled(tx, visit)
    return True


async def settle_noted(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """What the window said while a line was being paid here comes true now."""
    said = charge.elsewhere or {}
    at = datetime.fromisoformat(said["at"])
    paid, where, reference = said["paid_fen"], said["where"], said["reference"]
    await settled_elsewhere(tx, visit, charge, paid_fen=paid, where=where, reference=reference, at=at)


async def exclude_line(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """This line turns pay-first: it is no part of what is paid afterwards. Why, no relative sees."""
    await lock(tx, visit.id)
    if not charge.pay_first:
        charge.pay_first = True
        await announce(tx, visit, charge)
        await check_settled(tx, visit)


async def check_settled(tx: Tx, visit: Visit) -> None:
    """An ended visit with nothing owed here is settled."""
    if visit.state == VisitState.SETTLED:
        await _book_free(tx, visit)
    if visit.state != VisitState.ENDED:
        return
    # A line the insurance pays whole asks nothing of the patient.
    owed = any(c.state in OWED and c.self_fen and not c.pay_first for c in await lines_of(tx, visit.id))
    if not owed:
        await _book_free(tx, visit)
        await encounters.settled(tx, visit)


async def _book_free(tx: Tx, visit: Visit) -> None:
    """Nobody pays for lines the insurance pays whole, so no payment tells the HIS of them: this does."""
    lines = await lines_of(tx, visit.id)
    free = [c for c in lines if c.state == ChargeState.BILLABLE and not c.self_fen and money_of(visit, c).here]
    if not free:
        return
    number = f"HF0-{free[0].id.hex}"  # a line is settled once, so the first one's id names the settlement
    for charge in free:
        charge.settled_at, charge.settled_reference = tx.now, number
        await move(tx, visit, charge, ChargeState.COVERED)
        await move(tx, visit, charge, ChargeState.SETTLED)
    data = {
        "settlement_no": number,
        "charges": [{"charge_no": c.number, "self_fen": 0} for c in free],
        "total_fen": 0,
        "insurance": [],
        "payments": [],
    }
    await tell(tx, visit, "settle", f"insured:{free[0].id.hex}", data)
    for charge in free:
        await announce(tx, visit, charge)


async def sums_of(tx: Tx, visit: Visit) -> dict[str, dict[str, int]]:
    """Sums per category."""
    if ("lines", visit.id) in tx.memo:
        return sums_by_category(money_of(visit, charge) for charge in tx.memo["lines", visit.id])
    if ("money", visit.id) not in tx.memo:
        tx.memo["money", visit.id] = {}
        await tx.ask(_money(tx, Met((), [visit.id])))
    # A line this transaction holds may have changed since its money was read.
    money = tx.memo["money", visit.id].items()
    return sums_by_category(money_of(visit, tx.held(ChargeItem, identity) or row) for identity, row in money)


async def announce(tx: Tx, visit: Visit, charge: ChargeItem) -> None:
    """Write the line's state, with the sums, to the visit's feed."""
    order = await tx.get(Order, charge.order_id) if charge.order_id else None
    payload = {
        "line": line_payload(visit, charge, order),
        "sums": await sums_of(tx, visit),
        "turn": await turn_of(tx, visit.id),
    }
    # Who does not pay is told of what was done, not of how it is paid: to them, a payment is no news of a line.
    outside = far_mark(charge)
    audience = Audience.PAYERS if charge.far == outside else Audience.BILL
    charge.far = outside
    await append(tx, visit.id, "bill.line", payload, audience=audience, category=charge.category)


async def bill_of(tx: Tx, visit: Visit, view: View) -> dict[str, Any]:
    """The bill as this view sees it: ``lines`` (as in feed rows), ``sums`` (``SUMS``, in fen)."""
    lines = await lines_of(tx, visit.id)
    await tx.preload(Order, [c.order_id for c in lines if c.order_id])
    shown = []
    for charge in sorted(lines, key=lambda c: -c.rank):
        if view.shows(Audience.BILL, charge.category):
            order = await tx.get(Order, charge.order_id) if charge.order_id else None
            shown.append(seen_line(line_payload(visit, charge, order), view))
    return {"lines": shown, "sums": seen_sums(await sums_of(tx, visit), view, await turn_of(tx, visit.id))}
