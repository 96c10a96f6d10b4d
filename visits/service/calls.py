"""Telling the HIS: what was decided is queued in the deciding transaction and delivered until it answers."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Integer, Text, bindparam, cast, exists, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from kernel.db import Tx, one_of
from kernel.errors import NotFoundError
from notices.service import lock, lock_all
from visits.events import CallsAnswered, HisAnswered
from visits.models import Encounter, Visit
from visits.models import HisCall as HisCall
from visits.ports import CommandKind, HisAnswer
from visits.rules import CALL, CallState, Pause

AGAIN = "~"  # between a key and how often it has been said, when a person has it said again
_CLAIMING = 0x686973  # one process claims at a time, so that nobody overtakes within a visit


async def tell(
    tx: Tx, visit: Visit, kind: CommandKind, key: str, data: Mapping[str, Any] | None = None, *, fresh: bool = False
) -> None:
    """Queue one decision; the same key is queued once, whoever decides again.

    Args:
        fresh: the key names something this transaction begins, so nobody can have queued it: it is not looked up.
    """
    if not fresh and await tx.get(HisCall, key) is not None:
        return
    tx.write(
        HisCall,
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


async def last_said(tx: Tx, key: str) -> HisCall | None:
    """The call with which the HIS was last told this; what was said again stands for the first."""
    call, times = await tx.get(HisCall, key), 1
    while call is not None and call.state == CallState.GIVEN_AGAIN:
        times += 1
        call = await tx.get(HisCall, f"{key}{AGAIN}{times}")
    return call


async def told_all(tx: Tx, keys: Collection[str]) -> dict[str, HisCall]:
    """The last call under each key, as far as the HIS is told of it; what was said again stands for the first.

    What was dropped was refused and is said no more: the HIS has nothing of it, and is to have nothing.
    """
    found: dict[str, HisCall] = {}
    roots, times = {key: key for key in keys}, 1
    while roots:
        query = select(HisCall).where(one_of(HisCall.key, roots))
        calls = {roots[call.key]: call for call in await tx.session.scalars(query)}
        found |= calls
        times += 1
        roots = {f"{r}{AGAIN}{times}": r for r, call in calls.items() if call.state == CallState.GIVEN_AGAIN}
    return {key: call for key, call in found.items() if call.state != CallState.DROPPED}


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


async def behind(tx: Tx, visit_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these visits the HIS has still to answer something about, however much waits in the hospital."""
    waits = select(HisCall.visit_id).where(one_of(HisCall.visit_id, visit_ids), HisCall.state == CallState.PENDING)
    return frozenset(await tx.session.scalars(waits.distinct())) if visit_ids else frozenset()


async def refused(tx: Tx, hospital_id: UUID, limit: int = 200) -> list[HisCall]:
    """What the HIS has refused and nobody has given again, oldest first.

    That an order was done before the patient's word came is no trouble: the bill shows it as done. Nor is it that an
    appointment cannot be moved: it stands, and the patient has read so.
    """
    query = (
        select(HisCall)
        .where(HisCall.hospital_id == hospital_id, HisCall.state == "refused", HisCall.kind.not_in(("abandon", "move")))
        .order_by(HisCall.turn)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def refused_call(tx: Tx, hospital_id: UUID, key: str) -> HisCall | None:
    """A refused call with its visit's turn taken, for a person who has looked into it; ``say_again`` or ``drop`` it.

    A call still pending is tried sooner, in the same words, since nobody knows whether it was done; then None, as for
    one that is over.

    Raises:
        NotFoundError: no such call in this hospital.
    """
    known = await tx.get(HisCall, key)
    if known is None or known.hospital_id != hospital_id:
        raise NotFoundError
    await lock(tx, known.visit_id)
    call = await tx.get(HisCall, key, lock=True)
    if call is not None and call.state == CallState.PENDING:
        call.next_at = min(call.next_at, tx.now)
    return call if call is not None and call.state == CallState.REFUSED else None


async def say_again(tx: Tx, call: HisCall, data: Mapping[str, Any]) -> None:
    """Say a refused call once more, now.

    A refusal is the HIS's last word under that key, so it is said under a new one; nothing was done under the old one,
    and the settlement's number is the same, so it is booked once.

    Args:
        data: what still stands of what was said.
    """
    visit = await tx.get(Visit, call.visit_id)
    if visit is None:
        raise NotFoundError
    CALL.move(CallState.REFUSED, CallState.GIVEN_AGAIN)
    call.state = CallState.GIVEN_AGAIN
    root, _, times = call.key.partition(AGAIN)
    await tell(tx, visit, call.kind, f"{root}{AGAIN}{int(times or 1) + 1}", data)  # type: ignore[arg-type]


def drop(call: HisCall) -> None:
    """What was refused is over, so nobody has to look at it, or can have it said again."""
    CALL.move(CallState(call.state), CallState.DROPPED)
    call.state = CallState.DROPPED


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


_earlier = aliased(HisCall)
# What waits for its next try, or is being said at this moment, holds up what was decided after it.
_BLOCKED = exists().where(
    _earlier.visit_id == HisCall.visit_id,
    _earlier.state == CallState.PENDING,
    _earlier.turn < HisCall.turn,
    _earlier.next_at > bindparam("now"),
)
_DUE = (
    select(HisCall)
    .where(HisCall.state == CallState.PENDING, HisCall.next_at <= bindparam("now"), ~_BLOCKED)
    .order_by(HisCall.turn)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_TAKE = select(
    func.unnest(bindparam("keys", type_=ARRAY(Text))).label("key"),
    func.unnest(bindparam("after", type_=ARRAY(DateTime(timezone=True)))).label("after"),
    func.unnest(bindparam("encounters", type_=ARRAY(Text))).label("encounters"),
).subquery()
_TAKEN = (
    update(HisCall)
    .where(HisCall.key == _TAKE.c.key)
    .values(tries=HisCall.tries + 1, next_at=_TAKE.c.after, encounters=cast(_TAKE.c.encounters, JSONB))
    .execution_options(synchronize_session=False)
)


async def claim(tx: Tx, limit: int) -> list[Claimed]:
    """Take due calls, of each visit the oldest unanswered ones in order; they are ours until their next time comes."""
    if not await tx.session.scalar(select(func.pg_try_advisory_xact_lock(_CLAIMING))):
        return []
    due = list(await tx.session.scalars(_DUE, {"now": tx.now, "most": limit}))
    if not due:
        return []
    numbers = await _numbers_of(tx, {call.visit_id for call in due if call.encounters is None})
    # An encounter that begins while something is said again and again is no part of it: it gets a mark of its own.
    meant = [numbers.get(call.visit_id, []) if call.encounters is None else call.encounters for call in due]
    # Long enough for the slowest answer, so that no second worker takes it meanwhile.
    after = [tx.now + max(Pause(call.tries + 1).until_next, timedelta(seconds=6)) for call in due]
    said = {"keys": [call.key for call in due], "after": after, "encounters": [json.dumps(one) for one in meant]}
    await tx.session.execute(_TAKEN, said)
    return [
        Claimed(
            call.key,
            call.hospital_id,
            call.visit_id,
            call.kind,  # type: ignore[arg-type]
            list(encounters),
            call.queued_at,
            dict(call.data),
            call.tries + 1,
        )
        for call, encounters in zip(due, meant, strict=True)
    ]


async def _numbers_of(tx: Tx, visit_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    if visit_ids:
        query = select(Encounter.visit_id, Encounter.number).where(one_of(Encounter.visit_id, visit_ids))
        for visit_id, number in await tx.session.execute(query.order_by(Encounter.started_at, Encounter.number)):
            found.setdefault(visit_id, []).append(number)
    return found


_SAID = select(
    func.unnest(bindparam("keys", type_=ARRAY(Text))).label("key"),
    func.unnest(bindparam("states", type_=ARRAY(Text))).label("state"),
    func.unnest(bindparam("troubles", type_=ARRAY(Text))).label("trouble"),
    func.unnest(bindparam("next_at", type_=ARRAY(DateTime(timezone=True)))).label("next_at"),
    func.unnest(bindparam("answered", type_=ARRAY(DateTime(timezone=True)))).label("answered_at"),
).subquery()
_RECORD = (
    update(HisCall)
    .where(HisCall.key == _SAID.c.key, HisCall.state == CallState.PENDING)
    .values(
        state=_SAID.c.state,
        trouble=_SAID.c.trouble,
        next_at=func.coalesce(_SAID.c.next_at, HisCall.next_at),
        answered_at=_SAID.c.answered_at,
    )
    .returning(HisCall.key)
    .execution_options(synchronize_session=False)
)
_AFTER = {"done": CallState.DONE, "refused": CallState.REFUSED}


async def record_all(tx: Tx, answers: Sequence[tuple[Claimed, HisAnswer | None, str | None]]) -> None:
    """Write down what the HIS said; without an answer a call stays pending and comes again after a pause."""
    # A charge posted to account is the end of it; what anything else sets off needs the visit's turn.
    await lock_all(tx, {claimed.visit_id for claimed, _, _ in answers if claimed.kind != "post"})
    columns: dict[str, list[object]] = {"keys": [], "states": [], "troubles": [], "next_at": [], "answered": []}
    for claimed, answer, trouble in answers:
        after = _AFTER[answer.outcome] if answer is not None else CallState.PENDING
        if answer is not None:
            CALL.move(CallState.PENDING, after)
        columns["keys"].append(claimed.key)
        columns["states"].append(after)
        columns["troubles"].append(answer.reason if answer is not None else (trouble or "no answer")[:200])
        columns["next_at"].append(None if answer is not None else tx.now + Pause(claimed.tries).until_next)
        columns["answered"].append(None if answer is None else tx.now)
    heard = set(await tx.session.scalars(_RECORD, columns))
    if any(answer is not None for _, answer, _ in answers):
        tx.ring(CallsAnswered())
    for claimed, answer, _ in answers:
        if answer is not None and claimed.key in heard:
            await tx.emit(HisAnswered(claimed.key, claimed.kind, claimed.visit_id, answer.outcome, answer.reason))
