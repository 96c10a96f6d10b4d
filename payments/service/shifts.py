"""A cashier's shift: opened with a float, everything they take and give is in it, closed with a count."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from payments.models import Shift as Shift
from payments.models import TillMovement as TillMovement
from payments.rules.counter import SHIFT, CountReasonError, DeskWay, NoShiftError, ShiftOpenError, ShiftState
from people.rules import Actor, ActorKind, Role
from words import pay as words

_TAKES = frozenset({Role.COUNTER})
_READS = frozenset({Role.FINANCE, Role.COUNTER})


@dataclass(frozen=True, slots=True)
class Till:
    """What passed through a shift, in fen: cash and cards, taken and given back (both positive), and how often."""

    cash_in: int
    cash_out: int
    card_in: int
    card_out: int
    count: int


def _hospital(actor: Actor, roles: frozenset[Role]) -> UUID:
    if actor.kind is not ActorKind.STAFF or actor.hospital_id is None or actor.role not in roles:
        raise ForbiddenError
    return actor.hospital_id


async def begin(tx: Tx, actor: Actor, float_fen: int) -> Shift:
    """Open the cashier's shift with what lies in the drawer.

    Raises:
        ForbiddenError: the caller is no cashier.
        ShiftOpenError: it is open already.
    """
    hospital = _hospital(actor, _TAKES)
    SHIFT.move(None, ShiftState.OPEN)
    shift = Shift(
        id=new_id(),
        hospital_id=hospital,
        staff_id=actor.id,
        state=ShiftState.OPEN,
        float_fen=float_fen,
        opened_at=tx.now,
    )
    try:
        async with tx.savepoint():
            tx.session.add(shift)
    except IntegrityError as twice:  # two presses at once: the index says no to the second
        raise ShiftOpenError from twice
    return shift


async def current(tx: Tx, actor: Actor, *, lock: bool = False) -> Shift | None:
    """The cashier's open shift; take the visit's turn before its ``lock``."""
    query = select(Shift).where(Shift.staff_id == actor.id, Shift.state == ShiftState.OPEN)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await tx.session.scalars(query)).one_or_none()


async def held(tx: Tx, actor: Actor) -> Shift:
    """The cashier's open shift, locked: it stays open until the commit.

    Raises:
        NoShiftError: there is none.
    """
    _hospital(actor, _TAKES)
    shift = await current(tx, actor, lock=True)
    if shift is None:
        raise NoShiftError
    return shift


async def till_of(tx: Tx, shift_id: UUID) -> Till:
    """What passed through a shift."""
    await tx.flush()
    amount = TillMovement.amount_fen
    query = select(TillMovement.way, (amount > 0).label("came"), func.sum(amount), func.count())
    query = query.where(TillMovement.shift_id == shift_id).group_by("way", "came")
    found = {(way, came): (int(total), n) for way, came, total, n in await tx.session.execute(query)}

    def fen(way: DeskWay, came: bool) -> int:
        return abs(found.get((way, came), (0, 0))[0])

    return Till(
        fen(DeskWay.CASH, True),
        fen(DeskWay.CASH, False),
        fen(DeskWay.CARD, True),
        fen(DeskWay.CARD, False),
        sum(n for _, n in found.values()),
    )


async def expected_fen(tx: Tx, shift: Shift) -> int:
    """The cash that should lie in the drawer."""
    till = await till_of(tx, shift.id)
    return shift.float_fen + till.cash_in - till.cash_out


async def close(tx: Tx, actor: Actor, counted_fen: int, reason: str) -> Shift:
    """Close the cashier's shift with what was counted; it takes no money any more.

    Raises:
        NoShiftError: none is open.
        CountReasonError: it is more or less than should be there, and no reason is given.
    """
    shift = await held(tx, actor)
    expected = await expected_fen(tx, shift)
    reason = reason.strip()[:200]
    if counted_fen != expected and not reason:
        raise CountReasonError(words.amount(counted_fen - expected))
    SHIFT.move(ShiftState(shift.state), ShiftState.CLOSED)
    shift.state, shift.closed_at = ShiftState.CLOSED, tx.now
    shift.expected_fen, shift.counted_fen = expected, counted_fen
    shift.reason = reason or None
    return shift


async def movements(tx: Tx, shift_id: UUID) -> Sequence[TillMovement]:
    """All that passed through a shift, newest first."""
    await tx.flush()
    query = select(TillMovement).where(TillMovement.shift_id == shift_id)
    return (await tx.session.scalars(query.order_by(TillMovement.at.desc(), TillMovement.id))).all()


async def of_hospital(tx: Tx, actor: Actor, limit: int = 60) -> Sequence[Shift]:
    """The hospital's shifts, newest first: all for finance, a cashier's own for the cashier.

    Raises:
        ForbiddenError: neither.
    """
    query = select(Shift).where(Shift.hospital_id == _hospital(actor, _READS))
    if actor.role is not Role.FINANCE:
        query = query.where(Shift.staff_id == actor.id)
    return (await tx.session.scalars(query.order_by(Shift.opened_at.desc(), Shift.id).limit(limit))).all()


async def seen(tx: Tx, actor: Actor, shift_id: UUID) -> Shift:
    """One shift, for finance or the cashier whose it is.

    Raises:
        NotFoundError: there is none for this caller.
    """
    hospital = _hospital(actor, _READS)
    shift = await tx.get(Shift, shift_id)
    if shift is None or shift.hospital_id != hospital:
        raise NotFoundError
    if actor.role is not Role.FINANCE and shift.staff_id != actor.id:
        raise NotFoundError
    return shift
