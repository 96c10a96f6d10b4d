"""Staff turn a visit or one line of it pay-first: the HIS is told, and no relative or companion sees why."""

from collections.abc import Sequence
from uuid import UUID

from billing.models import ChargeItem
from billing.rules import ChargeState
from billing.service.lines import exclude_line, lines_of
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices.service import lock
from people.rules import Action, Actor
from people.service import access
from visits.rules import Exclusion, ModeChange, PaymentMode, VisitState
from visits.service import encounters
from visits.service.calls import tell
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of

_STILL = frozenset({ChargeState.PLANNED, ChargeState.BILLABLE})


async def excludable(tx: Tx, visit: Visit) -> tuple[bool, Sequence[ChargeItem]]:
    """Whether the whole visit can still be excluded, and which of its lines."""
    whole = visit.mode_reason != ModeChange.EXCLUDED and visit.state != VisitState.SETTLED
    if visit.mode != PaymentMode.DEFERRED:
        return whole, ()
    return whole, [c for c in await lines_of(tx, visit.id) if c.state in _STILL and not c.pay_first]


async def exclude(tx: Tx, actor: Actor, visit_id: UUID, why: Exclusion, charge_id: UUID | None = None) -> None:
    """Exclude a visit, or one line of it (``charge_id``). The HIS is told that, and of a line never the reason.

    Raises:
        NotFoundError: no such visit for this member of staff, or nothing of it that could still be excluded.
        ForbiddenError: not theirs to do.
    """
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    await access.require(tx, actor, Action.EXCLUDE, subject_of(visit))
    await lock(tx, visit.id)
    await tx.session.refresh(visit)
    whole, lines = await excludable(tx, visit)
    if charge_id is None:
        if not whole:
            raise NotFoundError
        await encounters.exclude(tx, visit, why, his_knows=False)
        return
    charge = next((c for c in lines if c.id == charge_id), None)
    if charge is None:
        raise NotFoundError
    await tell(tx, visit, "exclude", f"exclude:{charge.number}:{visit.id.hex}", {"charge_no": charge.number})
    await exclude_line(tx, visit, charge)
