"""Logging in proves something each time, counts every wrong try, and ends when told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from kernel.clock import ManualClock
from kernel.crypto import digest
from kernel.db import Database
from kernel.outside import Rejected
from people import flows
from people.models import LoginCode, Person, Session, WeChatLogin
from people.ports import WeChatSubject
from people.rules import ActorKind
from people.service import codes, hospitals, patients, sessions
from people.service.codes import CodeExpiredError, Purpose, TooManyCodesError, WrongCodeError
from people.service.patients import PatientFact
from people.service.sessions import LoggedIn

MOTHER = PatientFact("P0000001", "朱桂芳", "999901195503089023", "19900000001")
DAUGHTER_PHONE, DAUGHTER_ID = "19900000002", "999901198310219040"


@dataclass
class Phones:
    """Keeps the codes as phones would show them; refuses a number on demand."""

    seen: list[tuple[str, str, int]] = field(default_factory=list)
    refuse: str | None = None

    async def __call__(self, phone: str, digits: str, minutes: int) -> None:
        if phone == self.refuse:
            raise Rejected("BLACKLIST")
        self.seen.append((phone, digits, minutes))

    def last(self) -> str:
        return self.seen[-1][1]


@dataclass
class WeChatHere:
    """WeChat as far as login goes: single-use codes, one person each."""

    waiting: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        return f"https://open/{redirect_uri}?state={state}&scope={scope}"

    async def exchange(self, code: str) -> WeChatSubject:
        self.asked.append(code)
        if code not in self.waiting:
            raise Rejected("40163")
        return WeChatSubject(self.waiting.pop(code))

    async def mini_session(self, js_code: str) -> WeChatSubject:
        return await self.exchange(js_code)

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        return {"url": url}


async def proved(db: Database, phone: str) -> LoggedIn | flows.MustChoose | flows.MustEnrol:
    """Get a code on this phone and bring it back."""
    phones = Phones()
    await flows.send_code(db, phones, phone)
    return await flows.log_in(db, phone, phones.last())


async def enrolled(db: Database, phone: str, name: str, id_number: str) -> LoggedIn:
    """Somebody new logs in for the first time."""
    step = await proved(db, phone)
    assert isinstance(step, flows.MustEnrol)
    return await flows.enrol(db, step.ticket, name, id_number)


async def mother_at(db: Database, hospital: hospitals.Hospital) -> UUID:
    """The hospital knows the mother."""
    async with db.begin() as tx:
        return (await patients.known(tx, hospital.id, MOTHER)).id


async def count(db: Database, table: type[Session] | type[Person]) -> int:
    """Rows of a table."""
    async with db.begin() as tx:
        return await tx.session.scalar(select(func.count()).select_from(table)) or 0


async def test_phone_and_code_let_the_patient_in_and_out(
    db: Database, hospital: hospitals.Hospital, clock: ManualClock
) -> None:
    """The mother logs in by the phone her hospital knows; the token is not kept; after logging out it opens nothing."""
    mother = await mother_at(db, hospital)
    done = await proved(db, "19900000001")
    assert isinstance(done, LoggedIn)
    assert (done.actor.kind, done.actor.id, done.proven) == (ActorKind.PERSON, mother, True)
    assert done.expires == clock.time + timedelta(days=30)
    async with db.begin() as tx:
        assert await sessions.caller_of(tx, done.token) == done.actor
        assert list(await tx.session.scalars(select(Session.token_digest))) == [digest(done.token)]
        assert await sessions.caller_of(tx, done.token[:-1]) is None
    async with db.begin() as tx:
        await sessions.end(tx, done.token)
    async with db.begin() as tx:
        assert await sessions.caller_of(tx, done.token) is None


async def test_a_session_ends_by_itself(db: Database, hospital: hospitals.Hospital, clock: ManualClock) -> None:
    """After thirty days the phone asks again; after twelve hours the desk does."""
    await mother_at(db, hospital)
    done = await proved(db, "19900000001")
    assert isinstance(done, LoggedIn)
    staff = await flows.staff_log_in(db, "HF01", "c.cash", "003895")
    clock.move(timedelta(hours=12))
    async with db.begin() as tx:
        assert await sessions.caller_of(tx, staff.token) is None
        assert await sessions.caller_of(tx, done.token) == done.actor
    clock.move(timedelta(days=30))
    async with db.begin() as tx:
        assert await sessions.caller_of(tx, done.token) is None


async def test_a_code_is_good_once_for_five_minutes_and_five_tries(
    db: Database, hospital: hospitals.Hospital, clock: ManualClock
) -> None:
    """Used, old, tried too often, meant for something else: none of these opens anything."""
    await mother_at(db, hospital)
    phones = Phones()
    phone = "19900000001"
    await flows.send_code(db, phones, phone)
    assert phones.seen == [(phone, phones.last(), 5)]
    assert isinstance(await flows.log_in(db, phone, phones.last()), LoggedIn)
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, phone, phones.last())
    await flows.send_code(db, phones, phone)
    clock.move(timedelta(minutes=5))
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, phone, phones.last())
    await flows.send_code(db, phones, phone, Purpose.SIGN)
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, phone, phones.last())
    await flows.send_code(db, phones, phone)
    wrong = "000000" if phones.last() != "000000" else "000001"
    for _ in range(5):
        with pytest.raises(WrongCodeError):
            await flows.log_in(db, phone, wrong)
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, phone, phones.last())
    await flows.send_code(db, phones, phone)
    with pytest.raises(TooManyCodesError):
        await flows.send_code(db, phones, phone)
    assert len(phones.seen) == 5
    assert await count(db, Session) == 1


async def test_two_hundred_parallel_guesses_get_five_tries(db: Database, hospital: hospitals.Hospital) -> None:
    """A machine guesses 200 codes at the same moment: five are looked at, the rest find nothing to try."""
    await mother_at(db, hospital)
    phones = Phones()
    phone = "19900000001"
    await flows.send_code(db, phones, phone)
    right = int(phones.last())
    guesses = [f"{(right + n) % 1_000_000:06d}" for n in range(1, 201)]
    outcomes = await asyncio.gather(*(flows.log_in(db, phone, g) for g in guesses), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["CodeExpiredError"] * 195 + ["WrongCodeError"] * 5
    with pytest.raises(CodeExpiredError):
        await flows.log_in(db, phone, phones.last())
    assert await count(db, Session) == 0


async def test_codes_asked_for_at_once_are_still_five(db: Database) -> None:
    """Twenty requests for one phone in one moment send five messages."""
    phones = Phones()
    sends = (flows.send_code(db, phones, "19900000002") for _ in range(20))
    outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["NoneType"] * 5 + ["TooManyCodesError"] * 15
    assert len(phones.seen) == 5


async def test_a_refused_number_costs_no_code(db: Database) -> None:
    """The gateway refuses the number: nobody got a code, and none is counted."""
    phones = Phones(refuse="19900000002")
    with pytest.raises(Rejected):
        await flows.send_code(db, phones, "19900000002")
    with pytest.raises(codes.BadPhoneError):
        await flows.send_code(db, phones, "12345")
    async with db.begin() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(LoginCode)) == 0


async def test_the_same_code_brought_twice_at_once_opens_one_session(
    db: Database, hospital: hospitals.Hospital
) -> None:
    """Two taps on the button: one session, the other is told the code is used."""
    await mother_at(db, hospital)
    phones = Phones()
    await flows.send_code(db, phones, "19900000001")
    outcomes = await asyncio.gather(
        *(flows.log_in(db, "19900000001", phones.last()) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["CodeExpiredError"] * 7 + ["LoggedIn"]
    assert await count(db, Session) == 1


async def test_somebody_new_says_who_they_are_and_cannot_take_a_record(
    db: Database, hospital: hospitals.Hospital
) -> None:
    """A stranger with a phone of his own gives the mother's name and number: he gets a row of his own, not hers."""
    mother = await mother_at(db, hospital)
    stranger = await enrolled(db, "19900000099", "朱桂芳", "999901195503089023")
    assert stranger.actor.id != mother
    assert not stranger.proven
    async with db.begin() as tx:
        again = await patients.known(tx, hospital.id, MOTHER)
        other_hospital_number = await patients.known(tx, hospital.id, PatientFact("P9", "朱桂芳", "999901195503089023"))
        assert {again.id, other_hospital_number.id} == {mother}


async def test_a_claim_made_before_the_first_visit_takes_nothing(db: Database, hospital: hospitals.Hospital) -> None:
    """The stranger is quicker than the mother's first visit ever: her visit still makes a row of her own."""
    stranger = await enrolled(db, "19900000099", "朱桂芳", "999901195503089023")
    assert await mother_at(db, hospital) != stranger.actor.id


async def test_who_logged_in_first_and_is_right_becomes_the_patient(db: Database, hospital: hospitals.Hospital) -> None:
    """The daughter enrols as a relative; later a hospital says the same phone, name and number: one person."""
    daughter = await enrolled(db, DAUGHTER_PHONE, "陈敏", DAUGHTER_ID)
    async with db.begin() as tx:
        known = await patients.known(tx, hospital.id, PatientFact("P77", "陈敏", DAUGHTER_ID, DAUGHTER_PHONE))
    assert known.id == daughter.actor.id
    done = await proved(db, DAUGHTER_PHONE)
    assert isinstance(done, LoggedIn)
    assert done.proven
    assert await count(db, Person) == 1


async def test_several_people_on_one_phone_are_asked(db: Database, hospital: hospitals.Hospital) -> None:
    """An old couple shares one phone: masked names, one tap; somebody else's id is refused, the ticket works once."""
    async with db.begin() as tx:
        a = await patients.known(tx, hospital.id, PatientFact("P1", "赵一", None, "19900000050"))
        b = await patients.known(tx, hospital.id, PatientFact("P2", "钱二", None, "19900000050"))
    step = await proved(db, "19900000050")
    assert isinstance(step, flows.MustChoose)
    assert sorted(step.people) == sorted([(a.id, "赵*"), (b.id, "钱*")])
    with pytest.raises(sessions.LoginExpiredError):
        await flows.choose(db, step.ticket, uuid4())
    with pytest.raises(sessions.LoginExpiredError):
        await flows.choose(db, step.ticket[:-8] + "AAAAAAA=", b.id)
    done = await flows.choose(db, step.ticket, b.id)
    assert done.actor.id == b.id
    with pytest.raises(sessions.LoginExpiredError):
        await flows.choose(db, step.ticket, a.id)
    assert await count(db, Session) == 1


async def test_a_child_is_not_let_in_by_the_parents_phone(db: Database, hospital: hospitals.Hospital) -> None:
    """The child's record carries the father's phone: the father is asked who he is, he does not become the child."""
    child = PatientFact("P3", "孙小满", "999901201905219108", "19900000007", birth_date=None)
    async with db.begin() as tx:
        row = await patients.known(tx, hospital.id, child)
        row.birth_date = (tx.now - timedelta(days=7 * 365)).date()
    step = await proved(db, "19900000007")
    assert isinstance(step, flows.MustEnrol)
    with pytest.raises(sessions.TooYoungError):
        await flows.enrol(db, step.ticket, "孙小满", "999901201905219108")
    with pytest.raises(sessions.BadIdNumberError):
        await flows.enrol(db, step.ticket, "孙立新", "999901198709029055")
    father = await flows.enrol(db, step.ticket, "孙立新", "999901198709029054")
    assert father.actor.id != row.id


async def test_wechat_lets_in_who_is_linked_and_asks_others_for_a_phone_once(
    db: Database, hospital: hospitals.Hospital
) -> None:
    """First time: phone and code; from then on WeChat alone, in the browser that began it."""
    mother = await mother_at(db, hospital)
    wechat = WeChatHere({"c1": "oMother", "c2": "oMother"})
    start = await flows.begin_wechat(db, wechat, "back", "/visits")
    state = start.url.split("state=")[1].split("&")[0]
    first, go_on = await flows.finish_wechat(db, wechat, "wx1", start.cookie, state, "c1")
    assert go_on == "/visits"
    assert isinstance(first, flows.MustProvePhone)
    phones = Phones()
    await flows.send_code(db, phones, "19900000001")
    linked = await flows.log_in(db, "19900000001", phones.last(), first.ticket)
    assert isinstance(linked, LoggedIn)
    start = await flows.begin_wechat(db, wechat, "back", "/")
    state = start.url.split("state=")[1].split("&")[0]
    done, _ = await flows.finish_wechat(db, wechat, "wx1", start.cookie, state, "c2")
    assert isinstance(done, LoggedIn)
    assert done.actor.id == mother
    assert done.token != linked.token
    async with db.begin() as tx:
        assert await sessions.openid_of(tx, mother, "wx1") == "oMother"
        assert await sessions.openid_of(tx, mother, "wx2") is None
        rows = list(await tx.session.scalars(select(WeChatLogin)))
        assert all(b"oMother" not in row.openid_sealed for row in rows)


async def test_a_swapped_or_replayed_state_is_not_even_asked_about(db: Database) -> None:
    """Somebody slips their own return address to a victim, or sends the same one twice: WeChat is not asked."""
    wechat = WeChatHere({"c1": "oA", "c2": "oB", "c3": "oC"})
    mine, theirs = [await flows.begin_wechat(db, wechat, "back", "/") for _ in range(2)]
    state = theirs.url.split("state=")[1].split("&")[0]
    with pytest.raises(sessions.LoginExpiredError):
        await flows.finish_wechat(db, wechat, "wx1", mine.cookie, state, "c1")
    with pytest.raises(sessions.LoginExpiredError):
        await flows.finish_wechat(db, wechat, "wx1", "", state, "c1")
    assert wechat.asked == []
    outcomes: Sequence[object] = await asyncio.gather(
        *(flows.finish_wechat(db, wechat, "wx1", theirs.cookie, state, c) for c in ("c2", "c3")),
        return_exceptions=True,
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["LoginExpiredError", "tuple"]
    assert len(wechat.asked) == 1


async def test_a_code_of_wechat_brought_again_is_refused(db: Database) -> None:
    """The code in the address is worth one login; with it again, in a new round, nobody gets in."""
    wechat = WeChatHere({"c1": "oA"})
    await wechat.exchange("c1")
    start = await flows.begin_wechat(db, wechat, "back", "/")
    state = start.url.split("state=")[1].split("&")[0]
    with pytest.raises(Rejected):
        await flows.finish_wechat(db, wechat, "wx1", start.cookie, state, "c1")
    assert await count(db, Session) == 0


async def test_staff_log_in_by_pin_and_guessing_is_stopped(
    db: Database, hospital: hospitals.Hospital, clock: ManualClock
) -> None:
    """Right PIN: in, with role and department. Forty guesses at once: five are looked at, then a rest."""
    done = await flows.staff_log_in(db, None, "k.blood", "003266")
    assert (done.actor.kind, done.actor.role, done.actor.department) == (ActorKind.STAFF, "desk", "BLOOD")
    assert done.actor.hospital_id == hospital.id
    with pytest.raises(sessions.WrongPinError):
        await flows.staff_log_in(db, "HF01", "nobody", "003266")
    with pytest.raises(sessions.WrongPinError):
        await flows.staff_log_in(db, "HF02", "k.blood", "003266")
    guesses = (flows.staff_log_in(db, "HF01", "k.blood", f"{n:06d}") for n in range(40))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["TooManyTriesError"] * 35 + ["WrongPinError"] * 5
    with pytest.raises(sessions.TooManyTriesError):
        await flows.staff_log_in(db, "HF01", "k.blood", "003266")
    clock.move(timedelta(minutes=15))
    assert isinstance(await flows.staff_log_in(db, "HF01", "k.blood", "003266"), LoggedIn)
