"""Who a patient is: the hospital's number finds her, her identity number joins what is one person's, by proof only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import derive, new_id
from people.models import PatientNumber, Person
from people.rules import is_id_number, is_phone, mask_name

__all__ = ["PatientFact", "Person", "by_id", "known", "known_number", "name_of", "number_id", "phone_of", "preload"]


@dataclass(frozen=True, slots=True)
class PatientFact:
    """A patient as a hospital tells of her; an emergency patient may have only a number and a name like 无名氏."""

    number: str
    name: str
    id_number: str | None = None
    phone: str | None = None
    birth_date: date | None = None
    sex: str | None = None


def number_id(hospital_id: UUID, number: str) -> UUID:
    """The id of the row of a hospital's patient number."""
    return derive(hospital_id, "patient", number)


async def preload(tx: Tx, hospital_id: UUID, numbers: Iterable[str]) -> None:
    """Fetch many patients by their numbers in two questions, for a batch of encounters."""
    rows = await tx.preload(PatientNumber, [number_id(hospital_id, n) for n in numbers])
    await tx.preload(Person, [row.person_id for row in rows])


async def known_number(tx: Tx, hospital_id: UUID, number: str) -> Person | None:
    """The person behind a hospital's patient number."""
    row = await tx.get(PatientNumber, number_id(hospital_id, number))
    return None if row is None else await tx.get(Person, row.person_id)


async def known(tx: Tx, hospital_id: UUID, fact: PatientFact) -> Person:
    """The person a hospital means: by its number, else by the identity number, else somebody new.

    Newer details fill in what is missing. When the identity number of a numbered person turns out to be another row's,
    both rows stay, ``twin_of`` flags it for staff, and the numbered one is returned. An identity number that fails its
    own check digit is taken as if it had not been said.
    """
    person = await known_number(tx, hospital_id, fact.number)
    if person is not None:
        await _fill(tx, person, fact)
        return person
    identity = _identity(tx, fact.id_number)
    person = await _by_identity(tx, identity) or await _by_claim(tx, identity, fact)
    if person is None:
        person = await _create(tx, fact, identity)
    else:
        await _fill(tx, person, fact)
    return await _number(tx, hospital_id, fact, person)


async def _number(tx: Tx, hospital_id: UUID, fact: PatientFact, person: Person) -> Person:
    row = PatientNumber(
        id=number_id(hospital_id, fact.number), hospital_id=hospital_id, number=fact.number, person_id=person.id
    )
    try:
        async with tx.savepoint():
            tx.session.add(row)
    except IntegrityError:  # another process met the same number first
        found = await known_number(tx, hospital_id, fact.number)
        if found is None:
            raise
        return found
    tx.hold([row])
    return person


async def _create(tx: Tx, fact: PatientFact, identity: bytes | None) -> Person:
    person = new_person(tx, fact.name)
    person.birth_date, person.sex = fact.birth_date, fact.sex
    try:
        async with tx.savepoint():
            tx.session.add(person)
            if identity is not None and fact.id_number is not None:
                set_id_number(tx, person, fact.id_number, identity)
            if fact.phone and is_phone(fact.phone):
                set_phone(tx, person, fact.phone)
    except IntegrityError:  # another process met the same identity first
        found = await _by_identity(tx, identity)
        if found is None:
            raise
        return found
    tx.hold([person])
    return person


async def _fill(tx: Tx, person: Person, fact: PatientFact) -> None:
    identity = _identity(tx, fact.id_number)
    if identity is not None and fact.id_number is not None and person.id_number_index is None:
        other = await _by_identity(tx, identity)
        if other is not None and other.id != person.id:
            person.twin_of = other.id
        else:
            try:
                async with tx.savepoint():
                    set_id_number(tx, person, fact.id_number, identity)
            except IntegrityError:
                await tx.session.refresh(person)
                other = await _by_identity(tx, identity)
                person.twin_of = other.id if other is not None else None
        if name_of(tx, person) != fact.name:  # 无名氏 is somebody now
            set_name(tx, person, fact.name)
    if person.phone_index is None and fact.phone and is_phone(fact.phone):
        set_phone(tx, person, fact.phone)
    person.birth_date = person.birth_date or fact.birth_date
    person.sex = person.sex or fact.sex


def _identity(tx: Tx, id_number: str | None) -> bytes | None:
    return None if id_number is None or not is_id_number(id_number) else id_number_index(tx, id_number)


async def _by_identity(tx: Tx, identity: bytes | None) -> Person | None:
    if identity is None:
        return None
    found = await tx.session.scalar(select(Person).where(Person.id_number_index == identity))
    if found is not None:
        tx.hold([found])
    return found


async def _by_claim(tx: Tx, identity: bytes | None, fact: PatientFact) -> Person | None:
    """Somebody who logged in earlier, proved this phone and claimed this number: the hospital now says the same."""
    if identity is None or not fact.phone:
        return None
    query = select(Person).where(
        Person.claimed_index == identity,
        Person.phone_index == phone_index(tx, fact.phone),
        Person.id_number_index.is_(None),
    )
    for person in await tx.session.scalars(query.order_by(Person.created_at)):
        if name_of(tx, person) == fact.name:
            tx.hold([person])
            return person
    return None


def new_person(tx: Tx, name: str) -> Person:
    """A person with a name and nothing else, not yet added to the session."""
    identity = new_id()
    return Person(
        id=identity,
        name_sealed=tx.vault.seal(name, "person", "name", identity),
        name_masked=mask_name(name),
        care_mode=False,
        created_at=tx.now,
    )


def set_name(tx: Tx, person: Person, name: str) -> None:
    """Give a person another name, whole characters kept as they came."""
    person.name_sealed = tx.vault.seal(name, "person", "name", person.id)
    person.name_masked = mask_name(name)


def set_phone(tx: Tx, person: Person, phone: str) -> None:
    """Give a person a phone number (11 digits), proven or told just now."""
    person.phone_sealed = tx.vault.seal(phone, "person", "phone", person.id)
    person.phone_index = phone_index(tx, phone)
    person.phone_at = tx.now


def set_id_number(tx: Tx, person: Person, id_number: str, index: bytes) -> None:
    """Give a person a proven identity number; ``index`` is its blind index."""
    person.id_number_sealed = tx.vault.seal(id_number.upper(), "person", "id_number", person.id)
    person.id_number_index = index


def phone_index(tx: Tx, phone: str) -> bytes:
    """The blind index of a phone number."""
    return tx.vault.index("phone", phone)


def id_number_index(tx: Tx, id_number: str) -> bytes:
    """The blind index of an identity number."""
    return tx.vault.index("id_number", id_number.upper())


async def is_known_at(tx: Tx, hospital_id: UUID, person_id: UUID) -> bool:
    """Whether this hospital has ever given the person a number."""
    query = select(PatientNumber.id).where(
        PatientNumber.person_id == person_id, PatientNumber.hospital_id == hospital_id
    )
    return (await tx.session.scalars(query.limit(1))).first() is not None


async def number_at(tx: Tx, hospital_id: UUID, person_id: UUID) -> str | None:
    """The number under which this hospital knows the person; its latest where it gave several, None: it does not."""
    query = (
        select(PatientNumber.number)
        .where(PatientNumber.person_id == person_id, PatientNumber.hospital_id == hospital_id)
        .order_by(PatientNumber.number.desc())
    )
    return (await tx.session.scalars(query.limit(1))).first()


async def hospitals_of(tx: Tx, person_id: UUID) -> list[UUID]:
    """The hospitals that have ever given the person a number, always in the same order."""
    query = select(PatientNumber.hospital_id).where(PatientNumber.person_id == person_id).distinct()
    return sorted(await tx.session.scalars(query))


async def hold(tx: Tx, person_ids: Iterable[UUID]) -> None:
    """Fetch many people in one question, so that ``by_id`` need not ask for each."""
    await tx.preload(Person, person_ids)


async def by_id(tx: Tx, person_id: UUID) -> Person:
    """The person with this id.

    Raises:
        NotFoundError: there is none.
    """
    person = await tx.get(Person, person_id)
    if person is None:
        raise NotFoundError
    return person


async def with_handle(tx: Tx, handle: str) -> list[Person]:
    """The people somebody means by a phone, or by a proven identity number."""
    handle = handle.strip().upper()
    column = Person.phone_index if is_phone(handle) else Person.id_number_index
    value = phone_index(tx, handle) if is_phone(handle) else id_number_index(tx, handle)
    return list(await tx.session.scalars(select(Person).where(column == value)))


def name_of(tx: Tx, person: Person) -> str:
    """The whole name, for the person's own side and for staff."""
    return tx.vault.open(person.name_sealed, "person", "name", person.id)


def phone_of(tx: Tx, person: Person) -> str | None:
    """The phone number, if we have one."""
    return None if person.phone_sealed is None else tx.vault.open(person.phone_sealed, "person", "phone", person.id)


def id_number_of(tx: Tx, person: Person) -> str | None:
    """The proven identity number, if a hospital told it (the letter and the PDF need it)."""
    sealed = person.id_number_sealed
    return None if sealed is None else tx.vault.open(sealed, "person", "id_number", person.id)
