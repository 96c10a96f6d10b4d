"""A day's books compared: what was fetched is kept, every payment and refund is looked at, the worklist follows."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from kernel.clock import china_day
from kernel.db import Tx, one_of
from payments.models import Attempt, BookDay, BookRow, BookRun, InsurancePart
from payments.rules import reconciling as rules
from payments.rules.reconciling import About, NotOverError, Row, Side, SideState
from payments.service import books, worklist
from payments.service.books import Item
from people.service import hospitals

INSURED_HERE = "insured_here"  # in the totals: what the insurance bears, by our books
EVERYBODY = "all"  # whose side it is when it is not one hospital's
_DONE = (SideState.THERE, SideState.ABSENT)
_AGAIN = timedelta(days=31)
_TURN = 0x626F6F6B73


@dataclass(frozen=True, slots=True)
class Fetched:
    """What asking one side came to; ``rows`` None: nothing new, what was kept before stays, and ``state`` says so.

    Args:
        hospital_id: whose side; None: everybody's.
        next_day: rows of the day after, so far: what was booked there after midnight.
        why: the reason of a trouble, a code.
    """

    side: Side
    hospital_id: UUID | None
    state: SideState
    rows: Sequence[Row] | None = None
    next_day: Sequence[Row] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the comparison of a day ended: the difference of all hospitals together, and the sides that were not there.

    ``lacking`` are (hospital code or empty, side, state, why).
    """

    day: date
    diff_fen: int
    found: int
    open: int
    lacking: tuple[tuple[str, Side, SideState, str], ...]


# ---------------------------------------------------------------------------------------------------------- claiming


async def claim(tx: Tx, day: date) -> None:
    """A person wants this day compared now.

    Raises:
        NotOverError: it lies ahead.
    """
    if day > china_day(tx.now):
        raise NotOverError
    await _take(tx, day)


async def claim_due(tx: Tx) -> list[date]:
    """Days whose nightly comparison is due, oldest first; each is given to one sweeper only."""
    first = [await tx.session.scalar(select(func.min(at))) for at in (Attempt.paid_at, InsurancePart.paid_at)]
    paid = [at for at in first if at is not None]
    if not paid:
        return []
    since = min(paid)
    today, claimed = china_day(tx.now), []
    for back in range(rules.LOOK_BACK.days, 0, -1):
        day = today - timedelta(days=back)
        if day >= china_day(since) and rules.is_ready(day, tx.now) and await _take(tx, day, only_due=True):
            claimed.append(day)
    return claimed


async def _take(tx: Tx, day: date, *, only_due: bool = False) -> bool:
    fresh = {"day": day, "sides": {}, "tries": 0}
    made = insert(BookRun).values(fresh).on_conflict_do_nothing().returning(BookRun.day)
    new = (await tx.session.execute(made)).first() is not None
    query = select(BookRun).where(BookRun.day == day).with_for_update(skip_locked=only_due)
    run = (await tx.session.scalars(query)).first()
    if run is None or (only_due and not new and (run.next_at is None or run.next_at > tx.now)):
        # A day looked at while it lasted has been compared, and not yet as a whole: see ``_when_again``.
        return False
    run.tries += 1
    run.next_at = rules.next_try(run.tries, tx.now)  # in case this one is cut off
    return True


# --------------------------------------------------------------------------------------------------------- recording


async def record(tx: Tx, day: date, fetched: Sequence[Fetched]) -> Outcome:
    """Keep what was fetched and compare the day, and with it the days it throws another light on."""
    # One at a time: comparing a day looks at its neighbours, too.
    await tx.session.execute(select(func.pg_advisory_xact_lock(_TURN)))
    run = await _run(tx, day)
    sides: dict[str, dict[str, str]] = {whose: dict(known) for whose, known in run.sides.items()}
    whole = run.ran_at is not None and china_day(run.ran_at) > day
    for one in fetched:
        known = sides.setdefault(str(one.hospital_id or EVERYBODY), {})
        if one.rows is not None:
            await books.keep_rows(tx, day, one.side, one.hospital_id, one.rows)
        if one.next_day is not None:
            await books.keep_rows(tx, day + timedelta(days=1), one.side, one.hospital_id, one.next_day)
        known[one.side] = rules.side_after(known.get(one.side), one.state, whole=whole)
    run.sides, run.ran_at = sides, tx.now
    await tx.session.flush()
    complete = all(state in _DONE for whose in sides.values() for state in whose.values())
    over = china_day(tx.now) > day
    if complete and over:
        run.next_at, run.tries = None, 0
    elif not over:
        run.next_at = rules.day_of(day)[1]  # what is compared while the day lasts is compared again when it is over
    touched = await compare(tx, day)
    for other in await _once_more(tx, day, touched):
        await compare(tx, other)
    return await _outcome(tx, day, fetched)


async def _run(tx: Tx, day: date) -> BookRun:
    return (await tx.session.scalars(select(BookRun).where(BookRun.day == day).with_for_update())).one()


async def _once_more(tx: Tx, day: date, touched: Collection[date]) -> list[date]:
    """Days compared before whose items this day's rows speak of, that wait for a bill, or that are not explained."""
    since = day - _AGAIN
    waiting = select(BookDay.day).where(BookDay.waiting > 0, BookDay.day >= since)
    days = set(touched) | set(await tx.session.scalars(waiting)) | await worklist.open_days(tx, since)
    query = select(BookRun.day).where(one_of(BookRun.day, days), BookRun.ran_at.is_not(None), BookRun.day != day)
    return list(await tx.session.scalars(query.order_by(BookRun.day)))


async def compare(tx: Tx, day: date) -> set[date]:
    """Compare a day from what is kept. Returns the other days that its rows speak of."""
    run = await _run(tx, day)
    items, elsewhere = await books.items_of(tx, day)
    every = await hospitals.everyone(tx)
    if not every:
        return elsewhere
    items = await _waiting(tx, items)
    by_hospital: dict[UUID, list[Item]] = {hospital.id: [] for hospital in every}
    for item in items:
        # What nobody knows is looked into by the first hospital: one till serves them all.
        by_hospital[item.hospital_id or every[0].id].append(item)
    for hospital_id, mine in by_hospital.items():
        there = there_for(run.sides, hospital_id)
        things = [item.thing for item in mine]
        found = list(rules.compare(things, there))
        await worklist.follow(tx, hospital_id, day, found, {(i.thing.about, i.thing.number): i for i in mine})
        await _keep_day(tx, hospital_id, day, mine, sum(one.amount_fen for one in found))
    return elsewhere


def there_for(sides: dict[str, Any], hospital_id: UUID) -> frozenset[Side]:
    """Whose books of a day are with us for this hospital."""
    known = {**sides.get(EVERYBODY, {}), **sides.get(str(hospital_id), {})}
    return frozenset(Side(side) for side, state in known.items() if state in rules.HAVE)


async def _waiting(tx: Tx, items: Iterable[Item]) -> list[Item]:
    """Mark what may still turn up in the bill of a day that is not here: sent before midnight, taken after it."""
    found = list(items)
    missing = [i for i in found if i.days is not None and i.thing.provider is None and i.thing.here is not None]
    if not missing:
        return found
    spans = [i.days for i in missing if i.days is not None]
    begin, end = min(a for a, _ in spans), max(b for _, b in spans)
    query = select(BookRun.day, BookRun.sides).where(BookRun.day >= begin, BookRun.day <= end)
    there: dict[str, set[date]] = defaultdict(set)
    for day, sides in await tx.session.execute(query):
        for side, state in sides.get(EVERYBODY, {}).items():
            if state in rules.HAVE:
                there[side].add(day)
    for item, (first, last) in zip(missing, spans, strict=True):
        days = {first + timedelta(days=n) for n in range((last - first).days + 1)}
        side = Side.INSURANCE if item.thing.about in rules.INSURED else Side.PROVIDER
        # A day whose own bill lacks it and that ended on the same day is decided.
        item.thing = replace(item.thing, waits=not days <= there[side])
    return found


async def _keep_day(tx: Tx, hospital_id: UUID, day: date, items: Sequence[Item], diff_fen: int) -> None:
    values = {
        "hospital_id": hospital_id,
        "day": day,
        "totals": totals(items),
        "diff_fen": diff_fen,
        "waiting": sum(item.thing.waits for item in items),
        "compared_at": tx.now,
    }
    made = insert(BookDay).values(values)
    keep = {name: made.excluded[name] for name in ("totals", "diff_fen", "waiting", "compared_at")}
    await tx.session.execute(made.on_conflict_do_update(index_elements=["hospital_id", "day"], set_=keep))


def totals(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Per side: fen paid, fen gone back, and how many lines; what waits for another day's bill is left out."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        thing = item.thing
        if thing.waits:
            continue
        insured = thing.about in rules.INSURED  # cash and what the insurance bears are not added up
        sides: dict[str, int | None] = (
            {Side.INSURANCE: thing.provider, INSURED_HERE: thing.here}
            if insured
            else {Side.PROVIDER: thing.provider, Side.HERE: thing.here, Side.LEDGER: thing.ledger, Side.HIS: thing.his}
        )
        for side, fen in sides.items():
            if fen is not None:
                found[side]["back" if thing.about in (About.REFUND, About.INSURANCE_BACK) else "paid"] += fen
                found[side]["count"] += 1
    return {str(side): {name: part[name] for name in ("paid", "back", "count")} for side, part in found.items()}


async def _outcome(tx: Tx, day: date, fetched: Sequence[Fetched]) -> Outcome:
    diff = await tx.session.scalar(select(func.coalesce(func.sum(BookDay.diff_fen), 0)).where(BookDay.day == day))
    lines, opened = await worklist.count(tx, day)
    codes = {hospital.id: hospital.code for hospital in await hospitals.everyone(tx)}
    lacking = tuple(
        (codes[one.hospital_id] if one.hospital_id else "", one.side, one.state, one.why)
        for one in fetched
        if one.state is not SideState.THERE
    )
    return Outcome(day, int(diff or 0), lines, opened, lacking)


# ----------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class DayBook:
    """One hospital's day: totals per side, the difference as last found, what is open of it, whose books we have."""

    day: date
    totals: dict[str, dict[str, int]]
    diff_fen: int
    open_fen: int
    open: int
    closed: int
    waiting: int
    sides: dict[Side, SideState]
    compared_at: Any


async def days(tx: Tx, hospital_id: UUID, only: date | None = None, limit: int = 60) -> list[DayBook]:
    """The compared days of a hospital, newest first."""
    query = (
        select(BookDay, BookRun.sides)
        .join(BookRun, BookRun.day == BookDay.day)
        .where(BookDay.hospital_id == hospital_id)
        .order_by(BookDay.day.desc())
        .limit(limit)
    )
    if only is not None:
        query = query.where(BookDay.day == only)
    found = [(row, sides) for row, sides in await tx.session.execute(query)]
    lines = await worklist.figures(tx, hospital_id, [row.day for row, _ in found])
    made = []
    for row, sides in found:
        known = {**sides.get(EVERYBODY, {}), **sides.get(str(hospital_id), {})}
        mine = lines[row.day]
        made.append(
            DayBook(
                row.day,
                dict(row.totals),
                row.diff_fen,
                mine["open_fen"],
                mine["open"],
                mine["closed"],
                row.waiting,
                {Side(side): SideState(state) for side, state in known.items()},
                row.compared_at,
            )
        )
    return made


async def rows(tx: Tx, hospital_id: UUID, day: date) -> list[Item]:
    """Every payment and refund of a hospital's day with what each side says of it, by time."""
    items, _ = await books.items_of(tx, day)
    first = (await hospitals.everyone(tx))[0].id
    mine = [item for item in await _waiting(tx, items) if (item.hospital_id or first) == hospital_id]
    return sorted(mine, key=lambda item: (item.at or tx.now, item.thing.number))


__all__ = [
    "BookRow",
    "DayBook",
    "Fetched",
    "Item",
    "Outcome",
    "claim",
    "claim_due",
    "compare",
    "days",
    "record",
    "rows",
]
