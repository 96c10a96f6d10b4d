"""A person's telephone number changes: with both phones in hand, or at a desk before two members of its staff."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, Kind, NotFoundError
from kernel.ids import new_id
from people.events import PhoneChanged
from people.models import Person, PhoneChange
from people.rules import PHONE_CHANGE, Actor, ActorKind, Document, PhoneChangeState, Role, is_phone, mask_phone
from people.service import codes, patients, sessions
from people.service.patients import id_number_index, phone_index, set_phone

__all__ = ["PhoneChange"]

MAY_CHANGE_PHONES = frozenset({Role.COUNTER, Role.GUIDE})
WAITS = timedelta(hours=24)


class NoOldPhoneError(HoufuError):
    """There is no number yet, or it is this one already: nothing to change."""

    code = "no_old_phone"
    kind = Kind.CONFLICT


class WrongIdNumberError(HoufuError):
    """Not the identity number of this person, or we have none to compare with."""

    code = "wrong_id_number"


class OwnChangeError(HoufuError):
    """Who wrote the change down does not confirm it."""

    code = "own_change"
    kind = Kind.CONFLICT


class ChangeWaitsError(HoufuError):
    """Another change of this person's number waits already."""

    code = "change_waits"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that a colleague has to confirm; ``phone`` masked."""

    id: UUID
    patient: str = field(repr=False)
    phone: str
    document: str
    asked_by: UUID
    asked_at: datetime


async def old_phone(tx: Tx, person_id: UUID, new: str) -> str:
    """The number a person has, when it can be changed for the new one.

    Raises:
        BadPhoneError: the new one is no mobile number.
        NoOldPhoneError: they have none, or the new one already.
    """
    if not is_phone(new):
        raise codes.BadPhoneError
    old = patients.phone_of(tx, await patients.by_id(tx, person_id))
    if old is None or old == new:
        raise NoOldPhoneError
    return old


async def change_own(tx: Tx, person_id: UUID, old: str, new: str, id_number: str) -> Person:
    """Both phones are proven: with the right identity number the new one takes the old one's place.

    Raises:
        WrongIdNumberError: nothing was changed.
        NoOldPhoneError: the number was changed meanwhile.
    """
    person = await tx.get(Person, person_id, lock=True)
    if person is None or person.phone_index != phone_index(tx, old):
        raise NoOldPhoneError
    given = id_number_index(tx, id_number.strip())
    known = person.id_number_index or person.claimed_index
    if known is None or given != known:
        raise WrongIdNumberError
    PHONE_CHANGE.move(None, PhoneChangeState.DONE)
    tx.add(PhoneChange(id=new_id(), person_id=person.id, state=PhoneChangeState.DONE, asked_at=tx.now, ended_at=tx.now))
    await _give(tx, person, new)
    await sessions.end_all(tx, person.id)
    return person


async def ask_at_desk(tx: Tx, staff: Actor, person_id: UUID, phone: str, document: Document) -> PhoneChange:
    """The desk has seen the person, a paper, and the code that came to the new phone: a colleague is to confirm.

    Raises:
        ForbiddenError: this member of staff does not do that.
        NotFoundError: nobody this hospital knows.
        ChangeWaitsError: one waits already.
    """
    hospital = _desk(staff)
    person = await tx.get(Person, person_id, lock=True)
    if person is None or not await patients.is_known_at(tx, hospital, person.id):
        raise NotFoundError
    waiting = await _asked(tx, person.id)
    if waiting is not None and waiting.asked_at > tx.now - WAITS:
        raise ChangeWaitsError
    if waiting is not None:
        _end(tx, waiting, PhoneChangeState.REFUSED)
        await tx.session.flush()
    PHONE_CHANGE.move(None, PhoneChangeState.ASKED)
    identity = new_id()
    made = tx.add(
        PhoneChange(
            id=identity,
            person_id=person.id,
            hospital_id=hospital,
            phone_sealed=tx.vault.seal(phone, "phone_change", identity),
            document=document,
            asked_by=staff.id,
            state=PhoneChangeState.ASKED,
            asked_at=tx.now,
        )
    )
    await tx.session.flush()
    return made


async def answer_at_desk(tx: Tx, staff: Actor, change_id: UUID, *, confirmed: bool) -> Person:
    """A second member of staff has seen the person and the paper, too, or says no.

    Confirmed, no phone and no WeChat account lets the person in any more until the new number is proven again.

    Raises:
        ForbiddenError: this member of staff does not do that.
        NotFoundError: no such change waits here, or it waited for more than a day.
        OwnChangeError: the same person wrote it down; they may only take it back.
    """
    hospital = _desk(staff)
    found = await tx.get(PhoneChange, change_id, lock=True)
    if found is None or found.hospital_id != hospital or found.state != PhoneChangeState.ASKED:
        raise NotFoundError
    if found.asked_at <= tx.now - WAITS or found.phone_sealed is None:
        raise NotFoundError
    if confirmed and found.asked_by == staff.id:
        raise OwnChangeError
    phone = tx.vault.open(found.phone_sealed, "phone_change", found.id)
    found.confirmed_by = staff.id if found.asked_by != staff.id else None
    person = await tx.get(Person, found.person_id, lock=True)
    if person is None:
        raise NotFoundError
    if not confirmed:
        _end(tx, found, PhoneChangeState.REFUSED)
        return person
    _end(tx, found, PhoneChangeState.DONE)
    await _give(tx, person, phone)
    await sessions.forget_devices(tx, person.id)
    return person


async def waiting_at(tx: Tx, staff: Actor) -> list[Waiting]:
    """The changes that wait for a second member of staff at this hospital, oldest first.

    Raises:
        ForbiddenError: this member of staff has no business with them.
    """
    query = select(PhoneChange).where(
        PhoneChange.hospital_id == _desk(staff),
        PhoneChange.state == PhoneChangeState.ASKED,
        PhoneChange.asked_at > tx.now - WAITS,
    )
    made = []
    for x in await tx.session.scalars(query.order_by(PhoneChange.asked_at, PhoneChange.id)):
        if x.phone_sealed is None or x.asked_by is None:
            continue
        person = await patients.by_id(tx, x.person_id)
        phone = mask_phone(tx.vault.open(x.phone_sealed, "phone_change", x.id))
        made.append(Waiting(x.id, patients.name_of(tx, person), phone, x.document or "", x.asked_by, x.asked_at))
    return made


async def history(tx: Tx, person_id: UUID) -> list[PhoneChange]:
    """Every change of a person's number and who did it, newest first."""
    query = select(PhoneChange).where(PhoneChange.person_id == person_id)
    return list(await tx.session.scalars(query.order_by(PhoneChange.asked_at.desc(), PhoneChange.id)))


async def _asked(tx: Tx, person_id: UUID) -> PhoneChange | None:
    found: PhoneChange | None = await tx.session.scalar(
        select(PhoneChange).where(PhoneChange.person_id == person_id, PhoneChange.state == PhoneChangeState.ASKED)
    )
    return found


def _end(tx: Tx, change: PhoneChange, state: PhoneChangeState) -> None:
    PHONE_CHANGE.move(PhoneChangeState(change.state), state)
    change.state, change.ended_at, change.phone_sealed = state, tx.now, None


async def _give(tx: Tx, person: Person, phone: str) -> None:
    old = patients.phone_of(tx, person)
    if old is not None:
        await codes.forget(tx, old)
    set_phone(tx, person, phone)
    await tx.emit(PhoneChanged(person.id))


def _desk(staff: Actor) -> UUID:
    if staff.kind is not ActorKind.STAFF or staff.role not in MAY_CHANGE_PHONES or staff.hospital_id is None:
        raise ForbiddenError
    return staff.hospital_id
