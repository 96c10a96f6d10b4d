"""A patient is found by her number, joined by her identity number, and never merged by guess."""

import asyncio
from datetime import date

from sqlalchemy import func, select

from kernel.db import Database
from people.models import PatientNumber, Person
from people.service import patients
from people.service.hospitals import Hospital
from people.service.patients import PatientFact

ID, PHONE = "999901195806309177", "19900000013"


async def known(db: Database, hospital: Hospital, fact: PatientFact) -> Person:
    async with db.begin() as tx:
        return await patients.known(tx, hospital.id, fact)


async def test_somebody_unknown_gets_a_name_later(db: Database, hospital: Hospital) -> None:
    """Brought to emergency as 无名氏; the family comes: the same row has a name, a number, a phone, a birthday."""
    first = await known(db, hospital, PatientFact("P5", "无名氏", sex="M"))
    later = PatientFact("P5", "赵永年", ID.lower(), PHONE, date(1958, 6, 30), "M")
    again = await known(db, hospital, later)
    assert again.id == first.id
    async with db.begin() as tx:
        row = await patients.by_id(tx, first.id)
        assert (patients.name_of(tx, row), row.name_masked) == ("赵永年", "赵**")
        assert (patients.phone_of(tx, row), patients.id_number_of(tx, row)) == (PHONE, ID)
        assert (row.birth_date, row.sex, row.twin_of) == (date(1958, 6, 30), "M", None)
        assert ID.encode() not in (row.id_number_sealed or b"")


async def test_identified_as_somebody_we_know_stays_two_rows(db: Database, hospital: Hospital) -> None:
    """无名氏 turns out to be a known patient: nothing is merged, the numbered row comes back, staff are told."""
    old = await known(db, hospital, PatientFact("P1", "赵永年", ID))
    nameless = await known(db, hospital, PatientFact("P5", "无名氏"))
    found = await known(db, hospital, PatientFact("P5", "赵永年", ID))
    assert found.id == nameless.id != old.id
    assert found.twin_of == old.id
    assert (await known(db, hospital, PatientFact("P1", "赵永年", ID))).id == old.id


async def test_one_person_under_two_numbers(db: Database, hospital: Hospital) -> None:
    """A new card, the same identity number: one person; a number with a wrong check digit joins nobody."""
    a = await known(db, hospital, PatientFact("P1", "赵永年", ID))
    b = await known(db, hospital, PatientFact("P2", "赵永年", ID))
    c = await known(db, hospital, PatientFact("P3", "赵永年", ID[:-1] + "8"))
    assert a.id == b.id != c.id
    async with db.begin() as tx:
        found = await patients.known_number(tx, hospital.id, "P2")
        assert found is not None
        assert found.id == a.id
        assert await patients.known_number(tx, hospital.id, "P4") is None


async def test_rare_characters_come_back_whole(db: Database, hospital: Hospital) -> None:
    """Names from extension B, four bytes a character, masked by whole characters."""
    person = await known(db, hospital, PatientFact("P7", "𠅤㛃"))
    async with db.begin() as tx:
        row = await patients.by_id(tx, person.id)
        assert (patients.name_of(tx, row), row.name_masked) == ("𠅤㛃", "𠅤*")


async def test_the_same_new_patient_from_many_sides_at_once(db: Database, hospital: Hospital) -> None:
    """Ten transactions meet one new patient under two numbers in the same moment: one person, two numbers."""
    facts = [PatientFact(f"P{n % 2}", "赵永年", ID, PHONE) for n in range(10)]
    people = await asyncio.gather(*(known(db, hospital, f) for f in facts))
    assert len({p.id for p in people}) == 1
    async with db.begin() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(Person)) == 1
        assert await tx.session.scalar(select(func.count()).select_from(PatientNumber)) == 2


async def test_meeting_her_again_asks_nothing_new(db: Database, hospital: Hospital) -> None:
    """On the hot path a known patient costs two look-ups by key, none when the batch preloaded her."""
    fact = PatientFact("P1", "赵永年", ID, PHONE, date(1958, 6, 30), "M")
    await known(db, hospital, fact)
    async with db.begin() as tx:
        await patients.preload(tx, hospital.id, ["P1", "P404"])
        asked = []
        from sqlalchemy import event

        event.listen(tx.session.bind.sync_engine, "before_cursor_execute", lambda *a: asked.append(a[2]))  # type: ignore[union-attr]
        await patients.known(tx, hospital.id, fact)
        assert asked == []
