"""Other sides' books of a day as they were fetched, and our own side of the same payments and refunds."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, or_, select

from billing.service import books as ledger
from billing.service.paying import settle_key
from kernel.clock import china_day
from kernel.db import Tx, one_of
from kernel.ids import new_id
from payments.models import Attempt, BookRow, Refund
from payments.ports import CashChannel, TradeBill
from payments.rules import LATE, OURS, RefundState
from payments.rules.counter import READ
from payments.rules.reconciling import INSURED, About, Cut, Row, Side, Thing, day_of
from payments.rules.taking import AutoWay
from payments.service import statements
from payments.service.statements import GIVES, how
from visits.ports import HisSettlement
from visits.service import calls
from visits.service.calls import HisCall

_BILLED = frozenset({*CashChannel, *READ, *AutoWay})  # ways whose money stands in the provider's bill
_SENT = frozenset({RefundState.SENT, RefundState.CASH_RETURNED, RefundState.ABNORMAL, RefundState.MANUAL})
_SENT |= {RefundState.DONE}


@dataclass(slots=True)
class Item:
    """A payment or refund with what the worklist and the export tell of it beside the amounts.

    ``days`` are those on which the provider's bill may hold it, by what we know ourselves.
    """

    thing: Thing
    day: date
    hospital_id: UUID | None
    visit_id: UUID | None = None
    reference: str = ""
    at: datetime | None = None
    way: str = ""
    days: tuple[date, date] | None = None
    rows: dict[Side, list[BookRow]] = field(default_factory=lambda: defaultdict(list))


# ---------------------------------------------------------------------------------------------- rows of other sides


def rows_of_bill(bill: TradeBill) -> list[Row]:
    """The provider's bill as rows; who paid is not kept."""
    made = []
    for one in bill.rows:
        if one.out_refund_no is not None:
            fen, number, about = one.refund_fen, one.out_refund_no, About.REFUND
        else:
            # A payment by a shown code that was reversed has a second line, without a refund's number: it cancels out.
            fen, number, about = one.amount_fen - one.refund_fen, one.out_trade_no, About.PAYMENT
        made.append(Row(about, number, one.out_trade_no, one.transaction_id, fen, one.at, one.trade_state))
    return made


def rows_of_his(booked: Iterable[HisSettlement]) -> list[Row]:
    """The hospital's list as rows."""
    every = list(booked)
    return [
        *_rows_of_his(every),
        *statements.rows_of_his(every),
    ]


def _rows_of_his(booked: Iterable[HisSettlement]) -> list[Row]:
    return [
        Row(
            About.SETTLEMENT if one.kind == "settle" else About.REFUND,
            one.number,
            one.settlement_no,
            ",".join(one.transactions),
            one.total_fen,
            one.booked_at,
            "" if one.insurance is None else GIVES,
        )
        for one in booked
    ]


async def keep_rows(tx: Tx, day: date, side: Side, hospital_id: UUID | None, rows: Sequence[Row]) -> None:
    """Keep one side's books of a day in place of what was fetched before."""
    await tx.session.execute(
        delete(BookRow).where(
            BookRow.day == day, BookRow.side == side, BookRow.hospital_id.is_not_distinct_from(hospital_id)
        )
    )
    tx.session.add_all(
        BookRow(
            id=new_id(),
            day=day,
            side=side,
            hospital_id=hospital_id,
            about=row.about,
            number=row.number,
            payment=row.payment,
            reference=row.reference,
            amount_fen=row.amount_fen,
            at=row.at,
            state=row.state,
        )
        for row in rows
    )
    await tx.session.flush()


async def rows_on(tx: Tx, day: date, hospital_id: UUID | None = None) -> Sequence[BookRow]:
    """All kept rows of a day, of one hospital (and of nobody's) if asked, by side and time."""
    query = select(BookRow).where(BookRow.day == day)
    if hospital_id is not None:
        query = query.where(or_(BookRow.hospital_id == hospital_id, BookRow.hospital_id.is_(None)))
    return (await tx.session.scalars(query.order_by(BookRow.side, BookRow.at, BookRow.number, BookRow.id))).all()


# ------------------------------------------------------------------------------------------------- items of a day


async def items_of(tx: Tx, day: date) -> tuple[list[Item], set[date]]:
    """Every payment and refund of a day, and the other days that this day's rows speak of.

    A thing's day is the provider's where the bill has it, else ours, else the hospital's own.
    """
    numbers = {(row.about, row.number) for row in await rows_on(tx, day)}
    payments = await _payments(tx, day, {n for about, n in numbers if about == About.PAYMENT})
    refunds = await _refunds(tx, day, {n for about, n in numbers if about == About.REFUND})
    known = payments | refunds | await _settlements(tx, day, {n for about, n in numbers if about == About.SETTLEMENT})
    known |= await _insured(tx, day, numbers)
    every = numbers | set(known)
    wanted = {number for _, number in every} | {item.thing.payment for item in known.values()}
    rows: dict[tuple[str, str], list[BookRow]] = defaultdict(list)
    gives = set()
    query = select(BookRow).where(one_of(BookRow.number, wanted))
    for row in await tx.session.scalars(query.order_by(BookRow.at, BookRow.id)):
        rows[row.about, row.number].append(row)
        if row.side == Side.HIS and row.state == GIVES:
            gives.add(row.number)
    made = [_joined(key, known.get(key), rows[key], gives) for key in sorted(every)]
    return [item for item in made if item.day == day], {item.day for item in made} - {day}


async def _insured(tx: Tx, day: date, numbers: Collection[tuple[str, str]]) -> dict[tuple[str, str], Item]:
    settled = {n for about, n in numbers if about == About.INSURANCE}
    returned = {n for about, n in numbers if about in (About.INSURANCE_BACK, About.REFUND)}
    found = await statements.known(tx, day, settled, returned)
    return {
        key: Item(one.thing, one.day, one.hospital_id, one.visit_id, one.reference, one.at, days=one.days)
        for key, one in found.items()
    }


def _joined(key: tuple[str, str], ours: Item | None, rows: Sequence[BookRow], gives: Collection[str]) -> Item:
    about, number = key
    item = ours
    if item is None:
        first = rows[0]
        item = Item(Thing(About(about), number, first.payment), first.day, None, reference=first.reference, at=first.at)
    for row in rows:
        item.rows[Side(row.side)].append(row)
    theirs = item.rows[Side.INSURANCE if about in INSURED else Side.PROVIDER]
    booked = item.rows[Side.HIS]
    if theirs:
        item.day = theirs[0].day
        item.reference = item.reference or theirs[0].reference
    if booked and item.hospital_id is None:
        item.hospital_id = booked[0].hospital_id
    item.thing = replace(
        item.thing,
        provider=sum(row.amount_fen for row in theirs) if theirs else None,
        his=sum(row.amount_fen for row in booked) if booked else None,
    )
    if about in INSURED:
        item.thing = _with_cuts(item.thing, theirs, booked, gives)
    return item


def _with_cuts(thing: Thing, theirs: Sequence[BookRow], booked: Sequence[BookRow], gives: Collection[str]) -> Thing:
    """Who bears it, as insurer and HIS say; a HIS whose list says nothing of the insurance is not held to it."""
    thing = replace(
        thing,
        provider_cut=Cut.of(theirs[0].state) if len(theirs) == 1 else None,
        his_cut=Cut.of(booked[0].state) if len(booked) == 1 else None,
    )
    says = thing.number if thing.about is About.INSURANCE_BACK else thing.payment
    return thing if says in gives else replace(thing, told=None, told_cut=None)


async def _payments(tx: Tx, day: date, numbers: Collection[str]) -> dict[tuple[str, str], Item]:
    begin, end = day_of(day)
    a = Attempt
    columns = (a.id, a.out_trade_no, a.hospital_id, a.visit_id, a.amount_fen, a.state, a.paid_at, a.created_at)
    query = select(*columns, a.transaction_id, a.channel).where(
        or_((a.paid_at >= begin) & (a.paid_at < end), one_of(a.out_trade_no, numbers))
    )
    found = (await tx.session.execute(query)).all()
    came = [row for row in found if row.state in OURS | LATE]
    # Money that came in time and money that came late are posted differently; each attempt has one of the two.
    postings = {row.id: (ledger.paid(row.id, row.out_trade_no), ledger.late(row.id)) for row in came}
    cash = await ledger.cash_of(tx, [posting for both in postings.values() for posting in both])
    made = {}
    for row in found:
        taken = row.id in postings
        thing = Thing(
            About.PAYMENT,
            row.out_trade_no,
            row.out_trade_no,
            state=row.state,
            here=row.amount_fen if taken else None,
            ledger=sum(cash[posting] for posting in postings[row.id]) if taken else None,
            billed=row.channel in _BILLED,
        )
        at = row.paid_at or row.created_at
        made[About.PAYMENT.value, row.out_trade_no] = Item(
            thing, china_day(at), row.hospital_id, row.visit_id, row.transaction_id or "", at, row.channel
        )
    return made


async def _settlements(tx: Tx, day: date, numbers: Collection[str]) -> dict[tuple[str, str], Item]:
    """What the hospital was told to book: one settlement for all the payments of a round."""
    found = await ledger.settlements(tx, *day_of(day), numbers)
    told = await calls.told_all(tx, [settle_key(one.round_id) for one in found])
    made = {}
    for one in found:
        call = told.get(settle_key(one.round_id))
        thing = Thing(About.SETTLEMENT, one.number, one.number, state="round", told=_told(call), call=how(call))
        paid = call.data.get("payments", ()) if call is not None else ()
        reference = ",".join(payment["transaction"] for payment in paid)
        made[About.SETTLEMENT.value, one.number] = Item(
            thing, china_day(one.paid_at), one.hospital_id, one.visit_id, reference, one.paid_at
        )
    return made


async def _refunds(tx: Tx, day: date, numbers: Collection[str]) -> dict[tuple[str, str], Item]:
    begin, end = day_of(day)
    r, a = Refund, Attempt
    columns = (r.id, r.out_refund_no, r.visit_id, r.amount_fen, r.state, r.created_at, r.done_at)
    query = (
        select(*columns, r.provider_refund_id, a.out_trade_no, a.hospital_id, a.channel)
        .join(a, a.id == r.attempt_id)
        .where(or_((r.created_at >= begin) & (r.created_at < end), one_of(r.out_refund_no, numbers)))
    )
    found = (await tx.session.execute(query)).all()
    told = await calls.told_all(tx, [_refund_key(row.out_refund_no) for row in found])
    postings = {
        row.out_refund_no: ledger.returned(row.id, row.out_refund_no) for row in found if row.state == RefundState.DONE
    }
    cash = await ledger.cash_of(tx, postings.values())
    made = {}
    for row in found:
        number, sent = row.out_refund_no, row.state in _SENT
        call = told.get(_refund_key(number))
        thing = Thing(
            About.REFUND,
            number,
            row.out_trade_no,
            state=row.state,
            here=row.amount_fen if sent else None,
            ledger=cash[postings[number]] if number in postings else None,
            told=_told(call),
            call=how(call),
            billed=row.channel in _BILLED,
        )
        item = Item(
            thing,
            china_day(row.created_at),
            row.hospital_id,
            row.visit_id,
            row.provider_refund_id or "",
            row.created_at,
            row.channel,
            days=(china_day(row.created_at), china_day(row.done_at or tx.now)),
        )
        made[About.REFUND.value, number] = item
    return made


def _refund_key(number: str) -> str:
    return f"refund:{number}"


def _told(call: HisCall | None) -> int | None:
    return int(call.data["total_fen"]) if call is not None else None
