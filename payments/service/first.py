"""What is paid before it is done: who may choose which lines, and what they come to."""

from collections.abc import Collection
from uuid import UUID

from billing.rules import ChargeState
from billing.service import paying, registration
from billing.service.lines import lines_of
from billing.service.paying import ChargeItem
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Actor, ActorKind, Audience
from people.service import access
from visits.service.encounters import Visit
from visits.service.reading import subject_of


async def offered(tx: Tx, actor: Actor, visit: Visit) -> list[ChargeItem]:
    """The lines this caller may choose now: those they see, and the fee of what they booked.

    A kiosk shows none, and takes money for all of them.
    """
    found = await paying.payable_first(tx, visit)
    if actor.kind is ActorKind.TERMINAL:
        return found
    view = await access.view_of(tx, actor, subject_of(visit))
    booked = await registration.booked_by(tx, actor, visit.id)
    return [c for c in found if view.shows(Audience.BILL, c.category) or c.id in booked]


async def takes_now(tx: Tx, actor: Actor, visit: Visit) -> tuple[int, list[ChargeItem]]:
    """(fen a payment beginning now would take, the lines it would pay before they are done).

    What is owed comes first; without any it is everything this caller may choose.
    """
    due = await paying.due_now(tx, visit)
    if due or await paying.live_round(tx, visit.id) is not None:
        return due, []
    lines = await offered(tx, actor, visit)
    return sum(c.self_fen for c in lines), lines


async def may_choose(tx: Tx, actor: Actor, visit: Visit, wanted: Collection[UUID]) -> None:
    """Whether these lines exist for the caller.

    Raises:
        NotFoundError: one does not, whether or not there is such a line.
    """
    if actor.kind is ActorKind.TERMINAL:
        known = {c.id for c in await lines_of(tx, visit.id)}
    else:
        view = await access.view_of(tx, actor, subject_of(visit))
        known = {c.id for c in await lines_of(tx, visit.id) if view.shows(Audience.BILL, c.category)}
        known |= await registration.booked_by(tx, actor, visit.id)
    if not set(wanted) <= known:
        raise NotFoundError


async def are_paid(tx: Tx, visit_id: UUID, wanted: Collection[UUID]) -> bool:
    """Whether somebody has paid these lines here."""
    paid = (ChargeState.PREPAID, ChargeState.SETTLED)
    return all(c.state in paid for c in await lines_of(tx, visit_id) if c.id in wanted)
