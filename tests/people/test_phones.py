"""Another number, a lost phone, a number given away: people come back by proof, and nobody else comes in."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from kernel.clock import ManualClock
from kernel.db import Database
from kernel.errors import ForbiddenError, NotFoundError
from people import flows
from people.events import SessionsEnded
from people.models import PhoneChange, Staff, WeChatLogin
from people.rules import Actor, ActorKind, Document, Role, mask_phone
from people.service import codes, patients, phones, sessions
from people.service.codes import CodeExpiredError, Purpose, WrongCodeError
from people.service.hospitals import Hospital
from people.service.patients import PatientFact
from people.service.phones import ChangeWaitsError, NoOldPhoneError, OwnChangeError, WrongIdNumberError
from people.service.sessions import LoggedIn
from tests.people.test_sessions import MOTHER, Phones, mother_at, proved

OLD, NEW, HER_ID = "19900000001", "19900000011", "999901195503089023"


async def logged_in(db: Database, phone: str = OLD) -> LoggedIn:
    done = await proved(db, phone)
    assert isinstance(done, LoggedIn)
    return done


async def alive(db: Database, *tokens: str) -> list[bool]:
    """Which of these sessions still are somebody's."""
    async with db.begin() as tx:
        return [await sessions.caller_of(tx, t) is not None for t in tokens]


async def number_of(db: Database, person: UUID) -> str | None:
    async with db.begin() as tx:
        return patients.phone_of(tx, await patients.by_id(tx, person))


async def desk(db: Database, hospital: Hospital, role: Role = Role.COUNTER) -> Actor:
    async with db.begin() as tx:
        row = tx.add(
            Staff(id=uuid4(), hospital_id=hospital.id, login=uuid4().hex, name="王芳", role=role, pin_hash=b"")
        )
    return Actor(ActorKind.STAFF, row.id, hospital.id, role)


async def test_a_new_number_with_both_phones_in_hand(db: Database, hospital: Hospital, rung: list[object]) -> None:
    """Both codes and her identity number: the number is changed, every other phone is out, her WeChat stays."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        await sessions.link_wechat(tx, await patients.by_id(tx, mother), "oMother", "wx1")
    here, elsewhere = await logged_in(db), await logged_in(db)
    texts = Phones()
    with pytest.raises(NoOldPhoneError):
        await flows.ask_phone_change(db, texts, here.actor, OLD)
    with pytest.raises(codes.BadPhoneError):
        await flows.ask_phone_change(db, texts, here.actor, "123")
    await flows.ask_phone_change(db, texts, here.actor, NEW)
    (old_phone, old_code, _), (new_phone, new_code, _) = texts.seen
    assert (old_phone, new_phone) == (OLD, NEW)
    wrong = "000000" if "000000" not in (old_code, new_code) else "000001"
    for old, new in ((wrong, new_code), (old_code, wrong)):
        with pytest.raises(WrongCodeError):
            await flows.change_phone(db, here.actor, NEW, old, new, HER_ID)
    with pytest.raises(WrongIdNumberError):
        await flows.change_phone(db, here.actor, NEW, old_code, new_code, "999901198310219040")
    assert await alive(db, here.token, elsewhere.token) == [True, True]
    assert await number_of(db, mother) == OLD
    rung.clear()
    done = await flows.change_phone(db, here.actor, NEW, old_code, new_code, HER_ID.lower())
    assert SessionsEnded(here.actor.viewer) in rung  # what rings it, closes her streams everywhere
    assert await alive(db, here.token, elsewhere.token, done.token) == [False, False, True]
    assert await number_of(db, mother) == NEW
    async with db.begin() as tx:
        (change,) = await phones.history(tx, mother)
        assert (change.state, change.asked_by, change.phone_sealed) == ("done", None, None)
        assert await sessions.by_wechat(tx, "oMother", "wx1") is not None
    with pytest.raises(CodeExpiredError):
        await flows.change_phone(db, here.actor, OLD, new_code, old_code, HER_ID)
    assert isinstance(await proved(db, OLD), flows.MustEnrol)
    assert (await logged_in(db, NEW)).actor.id == mother


async def test_what_was_pending_on_the_old_number_opens_nothing(db: Database, hospital: Hospital) -> None:
    """A code, a proved step and a choice wait on the old phone while the number changes: none of them comes in."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        await patients.known(tx, hospital.id, PatientFact("P2", "周福", None, OLD))
    step = await proved(db, OLD)
    assert isinstance(step, flows.MustChoose)
    pending = Phones()
    await flows.send_code(db, pending, OLD)
    texts = Phones()
    me = Actor(ActorKind.PERSON, mother)
    await flows.ask_phone_change(db, texts, me, NEW)
    await flows.change_phone(db, me, NEW, texts.seen[0][1], texts.seen[1][1], HER_ID)
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, OLD, pending.last())
    with pytest.raises(sessions.LoginExpiredError):
        await flows.choose(db, step.ticket, mother)
    async with db.begin() as tx:  # whose last step had looked her up a moment before the change
        ticket, person = sessions.open_ticket(tx.vault, step.ticket, tx.now), await patients.by_id(tx, mother)
        with pytest.raises(sessions.LoginExpiredError):
            await sessions.enter(tx, ticket, person)
    again = await proved(db, OLD)  # her husband's alone now
    assert isinstance(again, LoggedIn)
    assert again.actor.id != mother


async def test_a_lost_phone_is_out_at_once(db: Database, hospital: Hospital, rung: list[object]) -> None:
    """From a new phone with the same number: sessions and WeChat of the lost one let nobody in, this one goes on."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        await sessions.link_wechat(tx, await patients.by_id(tx, mother), "oLost", "wx1")
    stolen, here = await logged_in(db), await logged_in(db)
    rung.clear()
    done = await flows.forget_other_devices(db, here.actor)
    assert await alive(db, stolen.token, here.token, done.token) == [False, False, True]
    assert rung == [SessionsEnded(here.actor.viewer)]
    async with db.begin() as tx:
        assert await sessions.by_wechat(tx, "oLost", "wx1") is None
        assert await number_of(db, mother) == OLD


async def test_a_new_wechat_account_takes_the_old_ones_place(db: Database, hospital: Hospital) -> None:
    """She proves her phone from another WeChat: the old account and its sessions are out, another app's link stays."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        person = await patients.by_id(tx, mother)
        await sessions.link_wechat(tx, person, "oOld", "wx1")
        await sessions.link_wechat(tx, person, "mOld", "mini1")
    old = await logged_in(db)
    async with db.begin() as tx:
        sealed = sessions.seal_ticket(
            tx.vault, sessions.Ticket(appid="wx1", openid="oNew"), tx.now + timedelta(minutes=9)
        )
    texts = Phones()
    await flows.send_code(db, texts, OLD)
    fresh = await flows.log_in(db, OLD, texts.last(), sealed)
    assert isinstance(fresh, LoggedIn)
    assert await alive(db, old.token, fresh.token) == [False, True]
    async with db.begin() as tx:
        assert await sessions.by_wechat(tx, "oOld", "wx1") is None
        assert await sessions.openid_of(tx, mother, "wx1") == "oNew"
        assert await sessions.openid_of(tx, mother, "mini1") == "mOld"
        assert len(list(await tx.session.scalars(select(WeChatLogin)))) == 2


async def test_a_number_given_to_somebody_else_does_not_open_the_old_account(
    db: Database, hospital: Hospital, clock: ManualClock
) -> None:
    """Silent for ninety days: the number alone opens nothing and names nobody; its old owner says name and number."""
    mother = await mother_at(db, hospital)
    await logged_in(db)
    clock.move(timedelta(days=89, hours=23))
    assert (await logged_in(db)).actor.id == mother  # and begins the ninety days anew
    clock.move(timedelta(days=90))
    step = await proved(db, OLD)
    assert isinstance(step, flows.MustEnrol)
    stranger = await flows.enrol(db, step.ticket, "王五", "999901198310219040")
    assert stranger.actor.id != mother
    step = await proved(db, OLD)
    assert isinstance(step, LoggedIn)  # the number is the stranger's now
    assert step.actor.id == stranger.actor.id
    clock.move(timedelta(days=90))
    step = await proved(db, OLD)
    assert isinstance(step, flows.MustEnrol)
    back = await flows.enrol(db, step.ticket, MOTHER.name, HER_ID)
    assert (back.actor.id, back.proven) == (mother, True)


async def test_at_the_desk_two_pairs_of_eyes_change_a_number(
    db: Database, hospital: Hospital, clock: ManualClock
) -> None:
    """No old phone: one of the staff writes it down with the code of the new one, another confirms; all is recorded."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        await sessions.link_wechat(tx, await patients.by_id(tx, mother), "oLost", "wx1")
    old = await logged_in(db)
    first, second, finance = [await desk(db, hospital, r) for r in (Role.COUNTER, Role.GUIDE, Role.FINANCE)]
    texts = Phones()
    await flows.send_code(db, texts, NEW, Purpose.NEW_PHONE)
    wrong = "000000" if texts.last() != "000000" else "000001"
    with pytest.raises(WrongCodeError):
        await flows.ask_desk_change(db, first, mother, NEW, wrong, Document.ID_CARD)
    made = await flows.ask_desk_change(db, first, mother, NEW, texts.last(), Document.ID_CARD)
    async with db.begin() as tx:
        (row,) = await phones.waiting_at(tx, second)
        assert (row.patient, row.phone, row.document, row.asked_by) == ("朱桂芳", mask_phone(NEW), "id_card", first.id)
        for nobody in (finance, Actor(ActorKind.PERSON, mother)):
            with pytest.raises(ForbiddenError):
                await phones.waiting_at(tx, nobody)
            with pytest.raises(ForbiddenError):
                await phones.answer_at_desk(tx, nobody, made.id, confirmed=True)
        with pytest.raises(OwnChangeError):
            await phones.answer_at_desk(tx, first, made.id, confirmed=True)
        foreign = Actor(ActorKind.STAFF, second.id, uuid4(), Role.COUNTER)
        with pytest.raises(NotFoundError):
            await phones.answer_at_desk(tx, foreign, made.id, confirmed=True)
        with pytest.raises(ChangeWaitsError):
            await phones.ask_at_desk(tx, second, mother, NEW, Document.ID_CARD)
    assert (await alive(db, old.token), await number_of(db, mother)) == ([True], OLD)

    async def confirm() -> None:
        async with db.begin() as tx:
            await phones.answer_at_desk(tx, second, made.id, confirmed=True)

    outcomes = await asyncio.gather(confirm(), confirm(), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["NoneType", "NotFoundError"]
    assert (await alive(db, old.token), await number_of(db, mother)) == ([False], NEW)
    async with db.begin() as tx:
        assert await sessions.by_wechat(tx, "oLost", "wx1") is None
        (change,) = await phones.history(tx, mother)
        assert (change.asked_by, change.confirmed_by, change.document) == (first.id, second.id, "id_card")
        assert (change.state, change.phone_sealed, change.ended_at) == ("done", None, clock.time)


async def test_a_change_nobody_confirms_comes_to_nothing(db: Database, hospital: Hospital, clock: ManualClock) -> None:
    """Refused, taken back, or a day old: the number stays, and the next one can be asked for."""
    mother = await mother_at(db, hospital)
    first, second = await desk(db, hospital), await desk(db, hospital)
    for who in (second, first):
        async with db.begin() as tx:
            made = await phones.ask_at_desk(tx, first, mother, NEW, Document.ID_CARD)
        async with db.begin() as tx:
            await phones.answer_at_desk(tx, who, made.id, confirmed=False)
    async with db.begin() as tx:
        old = await phones.ask_at_desk(tx, first, mother, NEW, Document.ID_CARD)
    clock.move(timedelta(hours=24))
    async with db.begin() as tx:
        assert await phones.waiting_at(tx, second) == []
        with pytest.raises(NotFoundError):
            await phones.answer_at_desk(tx, second, old.id, confirmed=True)
        await phones.ask_at_desk(tx, first, mother, NEW, Document.ID_CARD)
        with pytest.raises(NotFoundError):
            await phones.ask_at_desk(tx, first, uuid4(), NEW, Document.ID_CARD)
    assert await number_of(db, mother) == OLD
    async with db.begin() as tx:
        assert [c.state for c in await phones.history(tx, mother)].count("refused") == 3
        assert len(list(await tx.session.scalars(select(PhoneChange)))) == 4


async def test_two_people_with_one_number(db: Database, hospital: Hospital) -> None:
    """She takes her husband's number: both are on it, each by their own name, and neither is the other."""
    mother = await mother_at(db, hospital)
    async with db.begin() as tx:
        husband = (await patients.known(tx, hospital.id, PatientFact("P2", "周福", None, NEW))).id
    texts, me = Phones(), Actor(ActorKind.PERSON, mother)
    await flows.ask_phone_change(db, texts, me, NEW)
    await flows.change_phone(db, me, NEW, texts.seen[0][1], texts.seen[1][1], HER_ID)
    step = await proved(db, NEW)
    assert isinstance(step, flows.MustChoose)
    assert {i for i, _ in step.people} == {mother, husband}
    assert (await flows.choose(db, step.ticket, husband)).actor.id == husband
