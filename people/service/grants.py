"""What a patient lets a relative see and do: made, listed and ended here; whoever is watching learns of it at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select

from kernel.db import Tx
from kernel.ids import new_id
from people.events import GrantEnded, GrantMade, ViewsChanged
from people.models import Grant
from people.rules import GRANT, Depth, Document, GrantKind, GrantState, Proof, ProofKind

__all__ = [
    "Grant",
    "Terms",
    "end",
    "end_all",
    "live_of_bond",
    "make",
    "of_patient",
    "of_relative",
    "of_visit",
    "proof_of",
]


@dataclass(frozen=True, slots=True)
class Terms:
    """One right. ``depth``, ``opened`` and ``calls`` speak for WATCH, ``cap_fen`` and ``ask_first`` for PAY."""

    kind: GrantKind
    depth: Depth = Depth.NOTHING
    opened: tuple[str, ...] = ()
    cap_fen: int | None = None
    ask_first: bool = False
    calls: bool = False


async def make(
    tx: Tx,
    patient_id: UUID,
    person_id: UUID,
    terms: Sequence[Terms],
    *,
    bond: UUID,
    relation: str,
    proof: Proof,
    visit_id: UUID | None = None,
    until: datetime | None = None,
) -> list[Grant]:
    """Give a relative these rights. What the pair had before of the same kind and scope is replaced, never added to."""
    kinds = {t.kind for t in terms}
    await end_all(tx, [g for g in await _pair(tx, patient_id, person_id) if g.kind in kinds and g.visit_id == visit_id])
    made = []
    for term in terms:
        GRANT.move(None, GrantState.ACTIVE)
        made.append(
            tx.add(
                Grant(
                    id=new_id(),
                    patient_id=patient_id,
                    person_id=person_id,
                    kind=term.kind,
                    relation=relation,
                    depth=int(term.depth),
                    opened=sorted(term.opened),
                    visit_id=visit_id,
                    calls=term.calls,
                    cap_fen=term.cap_fen,
                    ask_first=term.ask_first,
                    proof=proof.how,
                    proven_by=proof.by,
                    document=proof.document,
                    bond=bond,
                    until=until,
                    state=GrantState.ACTIVE,
                    created_at=tx.now,
                )
            )
        )
    await tx.session.flush()
    for grant in made:
        await tx.emit(GrantMade(grant.id, patient_id, person_id))
    tx.ring(ViewsChanged(patient_id))
    return made


def proof_of(grant: Grant) -> Proof:
    """How a grant was proven."""
    return Proof(ProofKind(grant.proof), grant.proven_by, Document(grant.document) if grant.document else None)


async def end(tx: Tx, grant: Grant, state: GrantState = GrantState.WITHDRAWN, *, ended_by: UUID | None = None) -> None:
    """End a grant; ending it again does nothing. Open streams of the pair are decided anew after the commit.

    Args:
        ended_by: the member of staff who ended it, if one did.
    """
    if grant.state != GrantState.ACTIVE:
        return
    GRANT.move(GrantState.ACTIVE, state)
    grant.state, grant.ended_at, grant.ended_by = state, tx.now, ended_by
    await tx.emit(GrantEnded(grant.id, grant.patient_id, grant.person_id))
    tx.ring(ViewsChanged(grant.patient_id))


async def end_all(tx: Tx, grants: Iterable[Grant], state: GrantState = GrantState.WITHDRAWN) -> None:
    """End several grants."""
    for grant in grants:
        await end(tx, grant, state)


async def live_of_bond(tx: Tx, bond: UUID) -> list[Grant]:
    """The live grants of a bond, or the one grant with this id; locked."""
    query = select(Grant).where(or_(Grant.bond == bond, Grant.id == bond), Grant.state == GrantState.ACTIVE)
    found = await tx.session.scalars(
        query.order_by(Grant.id).with_for_update().execution_options(populate_existing=True)
    )
    return list(found)


async def of_patient(tx: Tx, patient_id: UUID) -> list[Grant]:
    """All grants a patient ever gave, newest first."""
    query = select(Grant).where(Grant.patient_id == patient_id).order_by(Grant.created_at.desc(), Grant.id)
    return list(await tx.session.scalars(query))


async def of_relative(tx: Tx, person_id: UUID) -> list[Grant]:
    """All live grants somebody was given, oldest first."""
    query = select(Grant).where(Grant.person_id == person_id, Grant.state == GrantState.ACTIVE)
    found = await tx.session.scalars(query.order_by(Grant.created_at, Grant.id))
    return [g for g in found if g.until is None or g.until > tx.now]


async def of_visit(tx: Tx, visit_id: UUID) -> list[Grant]:
    """The live grants given for one visit only, locked."""
    query = select(Grant).where(Grant.visit_id == visit_id, Grant.state == GrantState.ACTIVE).order_by(Grant.id)
    return list(await tx.session.scalars(query.with_for_update()))


async def _pair(tx: Tx, patient_id: UUID, person_id: UUID) -> list[Grant]:
    query = select(Grant).where(
        Grant.patient_id == patient_id, Grant.person_id == person_id, Grant.state == GrantState.ACTIVE
    )
    return list(await tx.session.scalars(query.order_by(Grant.id).with_for_update()))
