"""The worklist: the same difference is the same line, what is gone closes itself, people give reasons."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select

from kernel.db import Tx, one_of
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import derive
from payments.models import Difference as Difference
from payments.rules.reconciling import DIFFERENCE, About, DiffState, Found, NoReasonError
from payments.service.books import Item
from people.rules import Actor, ActorKind, Role

VANISHED = "vanished"  # the reason under which a line closes itself; words.books says it
D = DiffState


def check_finance(actor: Actor) -> UUID:
    """The hospital whose books this caller may see.

    Raises:
        ForbiddenError: the caller is not of its finance department.
    """
    if actor.kind is not ActorKind.STAFF or actor.role is not Role.FINANCE or actor.hospital_id is None:
        raise ForbiddenError
    return actor.hospital_id


async def follow(
    tx: Tx,
    hospital_id: UUID,
    day: date,
    found: Sequence[Found],
    items: Mapping[tuple[About, str], Item],
) -> None:
    """Bring a day's lines in step with what was found now.

    A side's books that were once with us stay: when they cannot be had again, what they showed is still found.
    """
    query = select(Difference).where(Difference.hospital_id == hospital_id, Difference.day == day)
    known = {row.id: row for row in await tx.session.scalars(query.order_by(Difference.id).with_for_update())}
    for one in found:
        identity = derive(hospital_id, "difference", f"{day}/{one.about}/{one.kind}/{one.number}")
        row = known.pop(identity, None)
        if row is None:
            tx.add(_line(tx, identity, hospital_id, day, one, items[one.about, one.number]))
        else:
            _seen_again(tx, row, one)
    for row in known.values():
        if row.state == D.OPEN:
            _close(tx, row, None, VANISHED)
    await tx.session.flush()


def _line(tx: Tx, identity: UUID, hospital_id: UUID, day: date, one: Found, item: Item) -> Difference:
    DIFFERENCE.move(None, D.OPEN)
    return Difference(
        id=identity,
        hospital_id=hospital_id,
        day=day,
        about=one.about,
        kind=one.kind,
        number=one.number,
        payment=item.thing.payment,
        reference=item.reference,
        visit_id=item.visit_id,
        amount_fen=one.amount_fen,
        here_fen=one.here_fen,
        there_fen=one.there_fen,
        cause=one.cause,
        state=D.OPEN,
        found_at=tx.now,
        seen_at=tx.now,
    )


def _seen_again(tx: Tx, row: Difference, one: Found) -> None:
    explained = row.state == D.CLOSED and row.closed_by is not None and row.amount_fen == one.amount_fen
    row.amount_fen, row.here_fen, row.there_fen = one.amount_fen, one.here_fen, one.there_fen
    row.cause, row.seen_at = one.cause, tx.now
    if row.state == D.CLOSED and not explained:
        DIFFERENCE.move(D.CLOSED, D.OPEN)
        row.state, row.closed_at, row.closed_by, row.closed_reason = D.OPEN, None, None, None


def _close(tx: Tx, row: Difference, by: UUID | None, reason: str) -> None:
    DIFFERENCE.move(D(row.state), D.CLOSED)
    row.state, row.closed_at, row.closed_by, row.closed_reason = D.CLOSED, tx.now, by, reason


async def close(tx: Tx, actor: Actor, difference_id: UUID, reason: str) -> Difference:
    """A person of the finance department has found out what it was; closed twice is closed once.

    Raises:
        ForbiddenError: not of the finance department.
        NotFoundError: no such line in the caller's hospital.
        NoReasonError: without a reason nobody will understand it later.
    """
    hospital_id = check_finance(actor)
    row = await tx.get(Difference, difference_id, lock=True)
    if row is None or row.hospital_id != hospital_id:
        raise NotFoundError
    said = " ".join(reason.split())[:500]
    if len(said) < 2:
        raise NoReasonError
    if row.state == D.OPEN:
        _close(tx, row, actor.id, said)
    return row


async def lines(tx: Tx, hospital_id: UUID, day: date) -> Sequence[Difference]:
    """A day's worklist: open ones first, the largest first."""
    query = select(Difference).where(Difference.hospital_id == hospital_id, Difference.day == day)
    found = (await tx.session.scalars(query)).all()
    return sorted(found, key=lambda row: (row.state != D.OPEN, -row.amount_fen, row.number, row.kind))


async def figures(tx: Tx, hospital_id: UUID, days: Collection[date]) -> dict[date, Counter[str]]:
    """Per day: ``open`` and ``closed`` lines, and ``open_fen``."""
    query = (
        select(Difference.day, Difference.state, func.count(), func.sum(Difference.amount_fen))
        .where(Difference.hospital_id == hospital_id, one_of(Difference.day, days))
        .group_by(Difference.day, Difference.state)
    )
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for day, state, many, fen in await tx.session.execute(query):
        found[day][state] = many
        if state == D.OPEN:
            found[day]["open_fen"] = int(fen)
    return found


async def count(tx: Tx, day: date) -> tuple[int, int]:
    """How many lines of a day were found by the last comparison, or closed by a person; and how many are open."""
    query = select(Difference.state, func.count()).where(Difference.day == day).group_by(Difference.state)
    found: dict[str, int] = {state: many for state, many in await tx.session.execute(query)}  # noqa: C416  mypy
    return sum(found.values()), found.get(D.OPEN, 0)


async def open_days(tx: Tx, since: date) -> set[date]:
    """Days with an open line."""
    query = select(Difference.day).where(Difference.state == D.OPEN, Difference.day >= since).distinct()
    return set(await tx.session.scalars(query))


async def open_fen(tx: Tx) -> int:
    """The open differences of all days and hospitals together."""
    query = select(func.coalesce(func.sum(Difference.amount_fen), 0)).where(Difference.state == D.OPEN)
    return int(await tx.session.scalar(query) or 0)
