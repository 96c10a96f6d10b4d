"""Who stands before a kiosk now: one visit at a time, forgotten when they leave or touch nothing for a while."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from billing.service import paying
from kernel.db import Tx
from kernel.errors import ForbiddenError
from payments.models import Attempt
from payments.models import KioskTurn as KioskTurn
from payments.rules import PAYABLE
from payments.rules.counter import KIOSK_REST
from payments.service import attempts, codes, first, parts
from payments.service.codes import Wanted
from people.rules import Action, Actor, ActorKind
from people.service import access
from visits.service import finding
from visits.service.reading import subject_of, visit_of


async def begin(tx: Tx, kiosk: Actor, said: str) -> KioskTurn:
    """Somebody has shown a pass, or typed a number or an identity number: the newest visit where something is owed.

    Raises:
        ForbiddenError: the caller is no kiosk.
        HoufuError: as ``finding.find`` does.
    """
    if kiosk.kind is not ActorKind.TERMINAL:
        raise ForbiddenError
    found = await finding.find(tx, kiosk, said)
    owed = [v for v in found if (await first.takes_now(tx, kiosk, v))[0]]
    visit = (owed or found)[0]
    await access.require(tx, kiosk, Action.PAY, subject_of(visit))
    await codes.stop_waiting(tx, kiosk)
    values = {"visit_id": visit.id, "since": tx.now, "until": tx.now + KIOSK_REST}
    made = insert(KioskTurn).values(terminal_id=kiosk.id, **values)
    await tx.session.execute(made.on_conflict_do_update(index_elements=["terminal_id"], set_=values))
    turn = await _row(tx, kiosk)
    if turn is None:
        raise ForbiddenError
    return turn


async def _row(tx: Tx, kiosk: Actor) -> KioskTurn | None:
    query = select(KioskTurn).where(KioskTurn.terminal_id == kiosk.id).with_for_update()
    return (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def current(tx: Tx, kiosk: Actor) -> KioskTurn | None:
    """Whose turn it is now; None when nobody stands there, or has touched nothing for a while.

    While money is on its way nobody is sent off; and how it went is there to be read as long as after a touch.
    """
    turn = await _row(tx, kiosk)
    if turn is None:
        return None
    turn.until = await _stays(tx, kiosk, turn)
    if turn.until <= tx.now:
        await leave(tx, kiosk)
        return None
    return turn


async def _stays(tx: Tx, kiosk: Actor, turn: KioskTurn) -> datetime:
    begun = await attempt_of(tx, kiosk, turn)
    if begun is None:
        return turn.until
    moved = tx.now if begun.state in PAYABLE else begun.closed_at or begun.paid_at
    return turn.until if moved is None else max(turn.until, moved + KIOSK_REST)


async def touched(tx: Tx, turn: KioskTurn) -> None:
    """Somebody pressed something."""
    turn.until = tx.now + KIOSK_REST


async def leave(tx: Tx, kiosk: Actor) -> None:
    """The kiosk forgets who stood there and waits for no code; money already under way goes on without it."""
    await codes.stop_waiting(tx, kiosk)
    await tx.session.execute(delete(KioskTurn).where(KioskTurn.terminal_id == kiosk.id))


async def attempt_of(tx: Tx, kiosk: Actor, turn: KioskTurn) -> Attempt | None:
    """What this person has begun to pay here in this turn."""
    every = await attempts.of_visit(tx, turn.visit_id)
    mine = [a for a in every if a.actor == kiosk.viewer and a.created_at >= turn.since]
    return mine[-1] if mine else None


async def in_the_way(tx: Tx, kiosk: Actor, turn: KioskTurn) -> bool:
    """Whether somebody else is paying the same visit now, or the insurance settles it first."""
    if await parts.settling(tx, turn.visit_id):
        return True
    every = await attempts.of_visit(tx, turn.visit_id)
    return any(a.state in PAYABLE and a.actor != kiosk.viewer for a in every)


@dataclass(frozen=True, slots=True)
class Due:
    """What this person can pay here now: so many fen for so many things; ``lines`` are paid before they are done."""

    fen: int
    count: int
    lines: frozenset[UUID]


async def due(tx: Tx, kiosk: Actor, turn: KioskTurn) -> Due:
    """What can be paid now: what is done, or else what is paid first. A kiosk shows no items, so it is all of them."""
    visit = await visit_of(tx, turn.visit_id)
    if visit is None:
        return Due(0, 0, frozenset())
    fen, lines = await first.takes_now(tx, kiosk, visit)
    return Due(fen, len(lines or await paying.payable(tx, visit)), frozenset(c.id for c in lines))


async def wanted(tx: Tx, kiosk: Actor, turn: KioskTurn, key: str, amount_fen: int) -> Wanted:
    """What a code is to pay: the amount that was shown, for what it was shown."""
    return Wanted(turn.visit_id, key, amount_fen, lines=(await due(tx, kiosk, turn)).lines)


async def await_code(tx: Tx, kiosk: Actor, turn: KioskTurn, key: str, amount_fen: int) -> None:
    """The kiosk waits for a code for what was shown.

    Raises:
        HoufuError: as ``codes.await_code`` does.
    """
    await codes.await_code(tx, kiosk, kiosk.id, await wanted(tx, kiosk, turn, key, amount_fen))
    await touched(tx, turn)
