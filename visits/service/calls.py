"""Telling the HIS: what was decided is queued in the deciding transaction and delivered until it answers."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from visits.models import Encounter, HisCall, Visit
from visits.ports import CommandKind
from visits.rules import CallState


async def tell(tx: Tx, visit: Visit, kind: CommandKind, key: str, data: Mapping[str, Any] | None = None) -> HisCall:
    """Queue one decision; the same key is queued once, whoever decides again."""
    known = await tx.get(HisCall, key)
    if known is not None:
        return known
    call = HisCall(
        key=key,
        hospital_id=visit.hospital_id,
        visit_id=visit.id,
        kind=kind,
        data=dict(data or {}),
        state=CallState.PENDING,
        queued_at=tx.now,
        next_at=tx.now,
        tries=0,
    )
    return tx.add(call)


async def post_charge(tx: Tx, visit: Visit, charge_no: str, amount_fen: int) -> None:
    """Charge to account (记账): lines that arrive while an earlier post still waits for its first try travel with it."""
    waiting = await _waiting_post(tx, visit.id)
    line = {"charge_no": charge_no, "amount_fen": amount_fen}
    if waiting is None:
        waiting = await tell(tx, visit, "post", f"post:{charge_no}:{visit.id.hex}", {"charges": [line]})
        tx.memo["post", visit.id] = waiting
    else:
        waiting.data = {"charges": [*waiting.data["charges"], line]}


async def _waiting_post(tx: Tx, visit_id: UUID) -> HisCall | None:
    if ("post", visit_id) not in tx.memo:
        await preload_posts(tx, [visit_id])
    found: HisCall | None = tx.memo["post", visit_id]
    return found


async def preload_posts(tx: Tx, visit_ids: Sequence[UUID]) -> None:
    """Fetch, and hold, the not yet tried posts of these visits."""
    query = (
        select(HisCall)
        .where(HisCall.visit_id.in_(visit_ids), HisCall.kind == "post", HisCall.state == "pending", HisCall.tries == 0)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for visit_id in visit_ids:
        tx.memo["post", visit_id] = None
    for call in await tx.session.scalars(query):
        tx.memo["post", call.visit_id] = call
    tx.hold(c for c in (tx.memo["post", v] for v in visit_ids) if c is not None)


async def pending(tx: Tx, hospital_id: UUID, limit: int = 200) -> list[HisCall]:
    """What the HIS has not yet answered, oldest first: the desk shows it."""
    query = (
        select(HisCall)
        .where(HisCall.hospital_id == hospital_id, HisCall.state == "pending")
        .order_by(HisCall.turn)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def encounter_numbers(tx: Tx, visit_id: UUID) -> list[str]:
    """The HIS's numbers of a visit's encounters, oldest first."""
    query = select(Encounter.number).where(Encounter.visit_id == visit_id).order_by(Encounter.started_at, Encounter.number)
    return list(await tx.session.scalars(query))
