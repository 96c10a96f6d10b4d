"""The nurse's word on where a patient goes first, what waits, and what she has asked: it wins over the planner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from guide.models import NurseWord
from guide.order.planner import plan
from guide.service.ordering import aside, task_for
from guide.service.walking import MAY_PIN
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, Kind, NotFoundError
from notices.service import lock
from people.rules import Actor
from visits.rules import OPEN_ORDER, OrderState
from visits.service import orders, reading
from words.guide_desk import REASONS

__all__ = ["Later", "PinBreaksRulesError", "ReportedError", "pin", "put_off", "unpin", "word_of"]

LONGEST = timedelta(hours=12)  # whatever is later than that is another day


class PinBreaksRulesError(HoufuError):
    """The nurse's order is against a rule the hospital signed, or nobody can do it today."""

    code = "pin_breaks_rules"
    kind = Kind.CONFLICT


class ReportedError(HoufuError):
    """She has reported there, and whoever has reported is not moved."""

    code = "reported_already"
    kind = Kind.CONFLICT


class BadReasonError(HoufuError):
    """No reason of the list, or a time that is over or not today."""

    code = "bad_reason"


@dataclass(frozen=True, slots=True)
class Later:
    """Not before a moment, or not before another order is done: exactly one of the two."""

    until: datetime | None = None
    after: UUID | None = None


async def word_of(tx: Tx, visit_id: UUID) -> NurseWord | None:
    """What nurses have said of a visit; the caller has checked who asks."""
    return await tx.get(NurseWord, visit_id)


async def pin(
    tx: Tx,
    actor: Actor,
    visit_id: UUID,
    first: Sequence[UUID],
    cleared: Sequence[UUID] = (),
    reason: str | None = None,
) -> None:
    """A nurse says which orders come first and which she has looked at; her word wins over the planner's.

    What comes first is no longer put off. Who has reported somewhere does that first, whatever is pinned.

    Args:
        reason: a code of ``words.guide_desk.REASONS``.

    Raises:
        ForbiddenError: not somebody who guides.
        NotFoundError: no such visit, another hospital's, or an order that is not open there.
        BadReasonError: no such reason.
        PinBreaksRulesError: nobody can go that way today.
    """
    word, found = await _of(tx, actor, visit_id, (*first, *cleared), reason)
    said = [str(one) for one in first]
    word.first, word.reason = said, reason if said else None
    word.cleared = sorted({*word.cleared, *(str(one) for one in cleared)})
    word.later = {key: why for key, why in word.later.items() if key not in said}
    await _keep(tx, actor, word, found, said)


async def put_off(tx: Tx, actor: Actor, visit_id: UUID, order_id: UUID, later: Later, reason: str) -> None:
    """A nurse says that an order is not done before a time, or not before another one.

    Raises:
        ReportedError: she has reported there already.
        ForbiddenError, NotFoundError, BadReasonError, PinBreaksRulesError: as ``pin``.
    """
    others = [] if later.after is None else [later.after]
    word, found = await _of(tx, actor, visit_id, (order_id, *others), reason)
    if (later.until is None) == (later.after is None) or later.after == order_id:
        raise BadReasonError
    if later.until is not None and not tx.now < later.until <= tx.now + LONGEST:
        raise BadReasonError
    order = next(o for o in found if o.id == order_id)
    if order.state == OrderState.CHECKED_IN or order.called:
        raise ReportedError
    said = {"until": later.until.isoformat()} if later.until is not None else {"after": str(later.after)}
    word.first = [key for key in word.first if key != str(order_id)]
    word.later = {**word.later, str(order_id): said | {"reason": reason}}
    await _keep(tx, actor, word, found, [str(order_id)])


async def unpin(tx: Tx, actor: Actor, visit_id: UUID) -> None:
    """The planner decides again; what a nurse has asked the patient stays asked.

    Raises:
        ForbiddenError, NotFoundError: as ``pin``.
    """
    word, _ = await _of(tx, actor, visit_id, (), None)
    word.first, word.reason, word.later = [], None, {}
    await _write(tx, actor, word)


async def _of(
    tx: Tx, actor: Actor, visit_id: UUID, named: Sequence[UUID], reason: str | None
) -> tuple[NurseWord, list[orders.Order]]:
    """A copy of the word so far, to be changed, and the visit's orders; nothing is kept before ``_keep``."""
    if actor.role not in MAY_PIN:
        raise ForbiddenError
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or actor.hospital_id != visit.hospital_id:
        raise NotFoundError
    if reason is not None and reason not in REASONS:
        raise BadReasonError
    await lock(tx, visit_id)  # nobody reports there meanwhile
    found = await orders.orders_of(tx, visit_id)
    if not set(named) <= {o.id for o in found if o.state in OPEN_ORDER}:
        raise NotFoundError
    was = await tx.get(NurseWord, visit_id, lock=True)
    word = NurseWord(visit_id=visit_id, first=[], cleared=[], reason=None, later={})
    if was is not None:
        word.first, word.cleared, word.reason, word.later = was.first, was.cleared, was.reason, was.later
    return word, found


async def _keep(tx: Tx, actor: Actor, word: NurseWord, found: Sequence[orders.Order], placed: Sequence[str]) -> None:
    """Keep it if the day can be gone like that: everything that had a place before has one, and these too."""
    visit = await reading.visit_of(tx, word.visit_id)
    if visit is None:
        raise NotFoundError
    task = await task_for(tx, visit, found, word)
    made = await aside(task, lambda: plan(task))
    if made.unpinned or not set(placed) <= set(made.keys):
        raise PinBreaksRulesError
    await _write(tx, actor, word)


async def _write(tx: Tx, actor: Actor, word: NurseWord) -> None:
    row = await tx.get(NurseWord, word.visit_id, lock=True) or tx.add(
        NurseWord(visit_id=word.visit_id, first=[], cleared=[], later={})
    )
    changed = {*row.first, *row.later, *word.first, *word.later}
    row.first, row.cleared, row.reason, row.later = word.first, word.cleared, word.reason, word.later
    row.said_by, row.said_at = actor.id, tx.now
    await tx.session.flush()
    for order in await orders.orders_of(tx, word.visit_id):
        if str(order.id) in changed:  # open pages of who may know of it ask for the order anew
            await orders.announce(tx, order)
