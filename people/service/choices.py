"""What a person has agreed to by itself: sharing, credit reporting, location; given and taken back with evidence."""

import hashlib
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from kernel.errors import ForbiddenError
from people.events import ViewsChanged
from people.models import Choice as Choice
from people.models import Person
from people.rules import Action, Actor, ActorKind, ChoiceKind
from people.service import access, patients
from words import choices as words


async def choose(tx: Tx, actor: Actor, person_id: UUID, kind: ChoiceKind, *, given: bool) -> Choice | None:
    """Write down that somebody agrees, or takes it back; saying what stands already writes nothing.

    Sharing taken back shuts every companion's view with this transaction.

    Raises:
        ForbiddenError: only the person, or who stands for them, chooses.
    """
    if not await access.can_for(tx, actor, Action.SHARE, person_id):
        raise ForbiddenError
    return await _write(tx, person_id, kind, given=given, by=actor.id)


async def say_at_desk(tx: Tx, staff: Actor, person_id: UUID, kind: ChoiceKind, *, given: bool) -> Choice | None:
    """The person says so at the desk, having been read the sentence; the member of staff is the witness.

    Raises:
        ForbiddenError: no member of staff of a hospital that knows this person.
    """
    at_home = staff.kind is ActorKind.STAFF and staff.hospital_id is not None
    if not at_home or not await patients.is_known_at(tx, staff.hospital_id or person_id, person_id):
        raise ForbiddenError
    return await _write(tx, person_id, kind, given=given, by=person_id, witness=staff.id)


async def _write(
    tx: Tx, person_id: UUID, kind: ChoiceKind, *, given: bool, by: UUID, witness: UUID | None = None
) -> Choice | None:
    await tx.get(Person, person_id, lock=True)  # two presses at once are numbered one after the other
    last = await latest(tx, person_id, kind)
    if last is not None and last.given is given:
        return None
    made = tx.add(
        Choice(
            person_id=person_id,
            kind=kind,
            number=1 if last is None else last.number + 1,
            given=given,
            version=words.VERSION,
            text_sha256=hashlib.sha256(words.SAYS[kind].encode()).digest(),
            chosen_by=by,
            witness=witness,
            at=tx.now,
        )
    )
    await tx.session.flush()
    if kind is ChoiceKind.SHARE:
        tx.ring(ViewsChanged(person_id))
    return made


async def latest(tx: Tx, person_id: UUID, kind: ChoiceKind) -> Choice | None:
    """What stands; None when nothing was ever chosen."""
    query = select(Choice).where(Choice.person_id == person_id, Choice.kind == kind).order_by(Choice.number.desc())
    found: Choice | None = await tx.session.scalar(query.limit(1))
    return found


async def agreed(tx: Tx, person_id: UUID, kind: ChoiceKind) -> bool:
    """Whether somebody has agreed to this and not taken it back."""
    last = await latest(tx, person_id, kind)
    return last is not None and last.given


async def history(tx: Tx, person_id: UUID) -> list[Choice]:
    """All that was ever chosen, newest first."""
    query = (
        select(Choice)
        .where(Choice.person_id == person_id)
        .order_by(Choice.at.desc(), Choice.kind, Choice.number.desc())
    )
    return list(await tx.session.scalars(query))
