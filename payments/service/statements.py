"""The insurance's settlements, and their ways back, as each side's books have them: the insurer's, ours, the HIS's."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import or_, select

from billing.service import books as ledger
from billing.service.paying import settle_key
from kernel.clock import china_day
from kernel.db import Tx, one_of
from payments.models import InsurancePart
from payments.ports.statements import InsuranceRow
from payments.rules import InsuranceState
from payments.rules.reconciling import About, Cut, Row, Thing, day_of
from payments.service import parts
from visits.ports import HisSettlement
from visits.service import calls
from visits.service.calls import HisCall

S = InsuranceState
GIVES = "insurance"  # state of a line of the HIS's list that says what the insurance bears


# ---------------------------------------------------------------------------------------------- rows of other sides


def rows_of_statement(statement: Iterable[InsuranceRow]) -> list[Row]:
    """The insurer's statement as rows: by its own number of a settlement, by ours of a way back."""
    made = []
    for one in statement:
        cut = Cut(one.fund_fen, one.personal_account_fen, one.other_fen, one.cash_fen)
        back = one.kind == "refund"
        about, number = (About.INSURANCE_BACK, one.number) if back else (About.INSURANCE, one.pay_order_id)
        made.append(Row(about, number, one.order_number, one.pay_order_id, cut.insured_fen, one.at, cut.text))
    return made


def rows_of_his(booked: Iterable[HisSettlement]) -> Iterator[Row]:
    """What the HIS's list says of the insurance."""
    for one in booked:
        for number, parts_ in (one.insurance or {}).items():
            back, cut = one.kind == "refund", Cut(*parts_)
            about = About.INSURANCE_BACK if back else About.INSURANCE
            # A settlement that goes back has the number of the HIS's refund: ours of that way back.
            yield Row(
                about, one.number if back else number, one.number, number, cut.insured_fen, one.booked_at, cut.text
            )


# ---------------------------------------------------------------------------------------------------------- our side


def _stood(part: InsurancePart) -> bool:
    """Whether the insurer has paid it, by what we know; one it took back by itself it does not list."""
    return part.paid_at is not None and not (part.state == S.REFUNDED and part.refunded_at is None)


def _cut(part: InsurancePart) -> Cut:
    return Cut(part.fund_fen or 0, part.account_fen or 0, part.other_fen or 0, part.cash_fen or 0)


def _back(part: InsurancePart) -> Cut:
    return _cut(part)._replace(cash_fen=0)


async def ours(tx: Tx, day: date) -> list[InsuranceRow]:
    """What of a day we have of the insurance, to be laid beside its totals."""
    begin, end = day_of(day)
    made = []
    for part in await _parts(tx, day, (), ()):
        numbers = (part.order_number, part.pay_order_id or "")
        if _stood(part) and part.paid_at is not None and begin <= part.paid_at < end:
            made.append(InsuranceRow("settle", part.order_number, *numbers, part.total_fen, *_cut(part), part.paid_at))
        back = _back(part)
        if part.refunded_at is not None and begin <= part.refunded_at < end and back.insured_fen:
            number = parts.refund_number(part)
            made.append(InsuranceRow("refund", number, *numbers, back.insured_fen, *back, part.refunded_at))
    return made


async def _parts(tx: Tx, day: date, settled: Collection[str], returned: Collection[str]) -> list[InsurancePart]:
    begin, end = day_of(day)
    p = InsurancePart
    query = select(p).where(
        or_(
            (p.paid_at >= begin) & (p.paid_at < end),
            (p.refunded_at >= begin) & (p.refunded_at < end),
            one_of(p.pay_order_id, settled),
            one_of(p.order_number, {number[1:19] for number in returned}),
        )
    )
    return list(await tx.session.scalars(query.order_by(p.created_at, p.id)))


@dataclass(frozen=True, slots=True)
class Known:
    """One settlement or its way back as we and the HIS's commands have it. ``days``: when the insurer may have it."""

    thing: Thing
    day: date
    hospital_id: UUID
    visit_id: UUID
    reference: str
    at: datetime
    days: tuple[date, date] | None


async def known(tx: Tx, day: date, settled: Collection[str], returned: Collection[str]) -> dict[tuple[str, str], Known]:
    """Settlements and ways back of a day, and those with these numbers; by what they are about and their number."""
    found = await _parts(tx, day, settled, returned)
    rounds = {p.round_id for p in found}
    numbers = await ledger.numbers_of(tx, rounds)
    told = await calls.told_all(tx, [settle_key(one) for one in rounds])
    told |= await calls.told_all(tx, [_refund_key(p) for p in found])
    made: dict[tuple[str, str], Known] = {}
    for part in found:
        for one in _known(tx, part, numbers[part.round_id], told):
            made[one.thing.about.value, one.thing.number] = one
    return made


def _refund_key(part: InsurancePart) -> str:
    return f"refund:{parts.refund_number(part)}"


def _known(tx: Tx, part: InsurancePart, settlement: str, told: Mapping[str, HisCall]) -> Iterator[Known]:
    def one(thing: Thing, at: datetime, asked: datetime | None = None) -> Known:
        # Asked before midnight and done after it, or the other way round by another clock.
        days = (china_day(asked), china_day(at)) if asked is not None else None
        number = part.pay_order_id or part.order_number
        return Known(thing, china_day(at), part.hospital_id, part.visit_id, number, at, days)

    if part.pay_order_id:
        call = told.get(settle_key(part.round_id))
        cut = _cut(part) if _stood(part) else None
        thing = _thing(About.INSURANCE, part.pay_order_id, settlement, part, cut, call)
        yield one(thing, part.paid_at or part.created_at, part.confirmed_at if part.paid_at else None)
    if part.refund_at is None:
        return
    back, number = _back(part), parts.refund_number(part)
    call = told.get(_refund_key(part))
    holds = part.refunded_at is not None
    at = part.refunded_at or tx.now
    yield one(_thing(About.INSURANCE_BACK, number, settlement, part, back if holds else None, call), at, part.refund_at)
    if call is not None:
        # What the HIS books of it is the patients' cash; it goes back by refunds of its own.
        fen = int(call.data["total_fen"])
        yield one(Thing(About.REFUND, number, settlement, part.state, told=fen, call=how(call), billed=False), at)


def _thing(
    about: About, number: str, settlement: str, part: InsurancePart, cut: Cut | None, call: HisCall | None
) -> Thing:
    mine = [i for i in call.data.get("insurance", ()) if i["number"] == part.pay_order_id] if call is not None else []
    said = Cut(*(mine[0][name] for name in Cut._fields)) if mine else None
    return Thing(
        about,
        number,
        settlement,
        state=part.state,
        here=cut.insured_fen if cut is not None else None,
        here_cut=cut,
        told=said.insured_fen if said is not None else None,
        told_cut=said,
        call=how(call),
    )


def how(call: HisCall | None) -> str:
    """How telling the HIS went: ``pending``, ``done``, or the reason of a refusal; empty: it was told nothing."""
    if call is None:
        return ""
    return (call.trouble or "refused") if call.state == "refused" else str(call.state)
