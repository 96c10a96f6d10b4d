"""Telling the HIS: what was decided is queued in the deciding transaction and delivered until it answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from kernel.db import Tx
from kernel.errors import NotFoundError
from notices.service import lock, lock_all
from visits.events import HisAnswered
from visits.models import Encounter, Visit
from visits.models import HisCall as HisCall
from visits.ports import CommandKind, HisAnswer
from visits.rules import CALL, CallState, Pause

AGAIN = "~"  # between a key and how often it has been said, when a person has it said again
_CLAIMING = 0x686973  # one process claims at a time, so that nobody overtakes within a visit


async def tell(
    tx: Tx, visit: Visit, kind: CommandKind, key: str, data: Mapping[str, Any] | None = None, *, fresh: bool = False
) -> HisCall:
    """Queue one decision; the same key is queued once, whoever decides again.

    Args:
        fresh: the key names something this transaction begins, so nobody can have queued it: it is not looked up.
    """
    known = None if fresh else await tx.get(HisCall, key)
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


async def told_of(tx: Tx, key: str) -> Mapping[str, Any] | None:
    """What the HIS was, or is being, told under this key."""
    call = await tx.get(HisCall, key)
    return call.data if call is not None else None


async def post_charge(tx: Tx, visit: Visit, charge_no: str, amount_fen: int, *, fresh: bool = False) -> None:
    """Charge a line to account (记账).

    Args:
        fresh: the line is new in this transaction; see ``tell``.
    """
    line = {"charge_no": charge_no, "amount_fen": amount_fen}
    await tell(tx, visit, "post", f"post:{charge_no}:{visit.id.hex}", {"charges": [line]}, fresh=fresh)


async def pending(tx: Tx, hospital_id: UUID, limit: int = 200) -> list[HisCall]:
    """What the HIS has not yet answered, oldest first: the desk shows it."""
    query = (
        select(HisCall)
        .where(HisCall.hospital_id == hospital_id, HisCall.state == "pending")
        .order_by(HisCall.turn)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def refused(tx: Tx, hospital_id: UUID, limit: int = 200) -> list[HisCall]:
    """What the HIS has refused and nobody has given again, oldest first.

    That an order was done before the patient's word came is no trouble: the bill shows it as done.
    """
    query = (
        select(HisCall)
        .where(HisCall.hospital_id == hospital_id, HisCall.state == "refused", HisCall.kind != "abandon")
        .order_by(HisCall.turn)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def again(tx: Tx, hospital_id: UUID, key: str) -> None:
    """A person has looked into it: say it once more, now.

    A refusal is the HIS's last word under that key, so the same is said under a new one; nothing was done under the old
    one, and the settlement's number is the same, so it is booked once. A call still pending is only tried sooner.

    Raises:
        NotFoundError: no such call in this hospital.
    """
    known = await tx.get(HisCall, key)
    if known is None or known.hospital_id != hospital_id:
        raise NotFoundError
    await lock(tx, known.visit_id)
    call = await tx.get(HisCall, key, lock=True)
    if call is None or call.state not in (CallState.PENDING, CallState.REFUSED):
        return
    if call.state == CallState.PENDING:
        call.next_at = min(call.next_at, tx.now)
        return
    visit = await tx.get(Visit, call.visit_id)
    if visit is None:
        raise NotFoundError
    CALL.move(CallState.REFUSED, CallState.GIVEN_AGAIN)
    call.state = CallState.GIVEN_AGAIN
    root, _, times = key.partition(AGAIN)
    await tell(tx, visit, call.kind, f"{root}{AGAIN}{int(times or 1) + 1}", call.data)  # type: ignore[arg-type]


async def encounter_numbers(tx: Tx, visit_id: UUID) -> list[str]:
    """The HIS's numbers of a visit's encounters, oldest first."""
    query = (
        select(Encounter.number).where(Encounter.visit_id == visit_id).order_by(Encounter.started_at, Encounter.number)
    )
    return list(await tx.session.scalars(query))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A call as it is delivered; detached from any transaction."""

    key: str
    hospital_id: UUID
    visit_id: UUID
    kind: CommandKind
    encounters: list[str]
    at: datetime
    data: Mapping[str, Any]
    tries: int


async def claim(tx: Tx, limit: int) -> list[Claimed]:
    """Take due calls, of each visit the oldest unanswered ones in order; they are ours until their next time comes."""
    if not await tx.session.scalar(select(func.pg_try_advisory_xact_lock(_CLAIMING))):
        return []
    earlier = aliased(HisCall)
    # What waits for its next try, or is being said at this moment, holds up what was decided after it.
    blocked = exists().where(
        earlier.visit_id == HisCall.visit_id,
        earlier.state == CallState.PENDING,
        earlier.turn < HisCall.turn,
        earlier.next_at > tx.now,
    )
    query = (
        select(HisCall)
        .where(HisCall.state == CallState.PENDING, HisCall.next_at <= tx.now, ~blocked)
        .order_by(HisCall.turn)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = list(await tx.session.scalars(query))
    numbers = await _numbers_of(tx, {call.visit_id for call in due})
    claimed = []
    for call in due:
        call.tries += 1
        # Long enough for the slowest answer, so that no second worker takes it meanwhile.
        call.next_at = tx.now + max(Pause(call.tries).until_next, timedelta(seconds=6))
        known = numbers.get(call.visit_id, [])
        claimed.append(
            Claimed(
                call.key,
                call.hospital_id,
                call.visit_id,
                call.kind,  # type: ignore[arg-type]
                known,
                call.queued_at,
                dict(call.data),
                call.tries,
            )
        )
    return claimed


async def _numbers_of(tx: Tx, visit_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    if visit_ids:
        query = select(Encounter.visit_id, Encounter.number).where(Encounter.visit_id.in_(visit_ids))
        for visit_id, number in await tx.session.execute(query.order_by(Encounter.started_at, Encounter.number)):
            found.setdefault(visit_id, []).append(number)
    return found


async def record_all(tx: Tx, answers: Sequence[tuple[Claimed, HisAnswer | None, str | None]]) -> None:
    """Write down several answers together; see ``record``."""
    await lock_all(tx, {claimed.visit_id for claimed, _, _ in answers})
    await tx.preload(HisCall, [claimed.key for claimed, _, _ in answers], lock=True)
    for claimed, answer, trouble in answers:
        await record(tx, claimed, answer, trouble)


async def record(tx: Tx, claimed: Claimed, answer: HisAnswer | None, trouble: str | None) -> None:
    """Write down what the HIS said; without an answer the call stays pending and comes again after a pause."""
    await lock(tx, claimed.visit_id)
    call = await tx.get(HisCall, claimed.key, lock=True)
    if call is None or call.state != CallState.PENDING:
        return
    if answer is None:
        call.trouble = (trouble or "no answer")[:200]
        call.next_at = tx.now + Pause(call.tries).until_next
        return
    after = CallState.DONE if answer.outcome == "done" else CallState.REFUSED
    CALL.move(CallState(call.state), after)
    call.state, call.answered_at, call.trouble = after, tx.now, answer.reason
    await tx.emit(HisAnswered(call.key, call.kind, call.visit_id, answer.outcome, answer.reason))
