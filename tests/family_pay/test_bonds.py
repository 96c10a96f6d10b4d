"""A patient lets a relative in to a degree, by link or spoken code, and shuts the door again at once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from family_pay import flows
from family_pay.models import Guesses
from family_pay.rules import (
    EmptyOfferError,
    GuardianRefusedError,
    InviteExpiredError,
    InviteUsedError,
    Offer,
    OwnInviteError,
    Relation,
    TooManyGuessesError,
    TooManyInvitesError,
    WrongInviteCodeError,
)
from family_pay.service import bonds, confirming, invitations
from kernel.clock import ManualClock
from kernel.db import Database
from kernel.errors import ForbiddenError, NotFoundError
from notices.service import open_feed, since
from people.events import ViewsChanged
from people.rules import NOTHING, OWNER, Action, Actor, ActorKind, Audience, Depth, Role, Subject, View
from people.service import access, grants, patients
from people.service.hospitals import Hospital
from tests.family_pay.conftest import Employ, Meet
from visits.events import VisitEnded, VisitSettled

PAY = Offer(Relation.DAUGHTER, pays=True, cap_fen=50_000, ask_first=True)
ALL = replace(PAY, depth=Depth.BILL, opened=frozenset({"gynaecology"}), signs=True)


async def invite(db: Database, actor: Actor, offer: Offer, visit_id: UUID | None = None) -> invitations.Invited:
    async with db.begin() as tx:
        return await invitations.invite(tx, actor, actor.id, offer, visit_id, agrees=True)


async def accept(db: Database, actor: Actor, token: str) -> list[grants.Grant]:
    """Accept; whoever invited says yes to who it is."""
    async with db.begin() as tx:
        made = await invitations.accept(tx, actor, token)
        for claim in await confirming.waiting_with_others(tx, actor):
            made = await confirming.answer(tx, Actor(ActorKind.PERSON, claim.patient_id), claim.id, agreed=True)
        return made


async def view(db: Database, actor: Actor, subject: Subject) -> View:
    async with db.begin() as tx:
        return await access.view_of(tx, actor, subject)


async def test_the_daughter_is_let_in_as_far_as_her_mother_says(
    db: Database, mother: Actor, daughter: Actor, visit: Subject
) -> None:
    """By link: she sees whom she binds, masked; after her yes she pays, watches, may sign; both are told."""
    made = await invite(db, mother, ALL)
    async with db.begin() as tx:
        offered = await invitations.seen(tx, daughter, made.token)
        assert (offered.patient, offered.offer) == ("朱**", ALL)
        assert await invitations.token_of(tx, mother, made.id) == made.token
        with pytest.raises(NotFoundError):
            await invitations.token_of(tx, daughter, made.id)
    assert await view(db, daughter, visit) == NOTHING
    await accept(db, daughter, made.token)
    assert await view(db, daughter, visit) == View(Depth.BILL, frozenset({"gynaecology"}), pays=True, owner=False)
    assert await view(db, mother, visit) == OWNER
    async with db.begin() as tx:
        assert await access.pay_terms(tx, daughter, visit) == access.PayTerms(50_000, ask_first=True)
        assert await access.can(tx, daughter, Action.PAY, visit)
        assert await access.can_for(tx, daughter, Action.SIGN, mother.id)
        assert not await access.can(tx, daughter, Action.ABANDON, visit)
        assert not await access.can_for(tx, daughter, Action.SHARE, mother.id)
        assert [p.id for p in await access.patients_of(tx, daughter)] == [daughter.id, mother.id]
        assert [p.id for p in await access.patients_of(tx, mother)] == [mother.id]
        claimed, *told = [row.payload["family"] for row in await since(tx, mother.id, 0)]
        assert (claimed["what"], claimed["who"]) == ("claimed", "陈*")
        assert told == [{"what": "bound", "bond": str(made.id), "relation": "daughter", "who": "陈*"}]
        (row,) = await since(tx, daughter.id, 0)
        assert (row.audience, row.payload["family"]["who"]) == (Audience.PATIENT, "朱**")


async def test_withdrawn_is_blind_at_once_and_streams_are_told(
    db: Database, mother: Actor, daughter: Actor, visit: Subject, rung: list[object]
) -> None:
    """The mother ends it: from the commit on the daughter sees nothing, and every open stream is decided anew."""
    made = await invite(db, mother, ALL)
    await accept(db, daughter, made.token)
    rung.clear()
    async with db.begin() as tx:
        assert len(await bonds.withdraw(tx, mother, made.id)) == 3
    assert rung.count(ViewsChanged(mother.id)) == 3
    assert await view(db, daughter, visit) == NOTHING
    async with db.begin() as tx:
        assert not await access.can(tx, daughter, Action.PAY, visit)
        assert await access.pay_terms(tx, daughter, visit) is None
        assert not await access.can_for(tx, daughter, Action.SIGN, mother.id)
        assert [p.id for p in await access.patients_of(tx, daughter)] == [daughter.id]
        with pytest.raises(NotFoundError):
            await bonds.withdraw(tx, mother, made.id)
    with pytest.raises(InviteUsedError):
        await accept(db, daughter, made.token)
    assert await view(db, daughter, visit) == NOTHING


async def test_strangers_end_nothing(db: Database, mother: Actor, daughter: Actor, meet: Meet, visit: Subject) -> None:
    """Somebody else's id of a bond is as good as none; the relative may leave by herself."""
    made = await invite(db, mother, PAY)
    await accept(db, daughter, made.token)
    stranger = await meet("P3", "王五", "19900000009")
    async with db.begin() as tx:
        with pytest.raises(NotFoundError):
            await bonds.withdraw(tx, stranger, made.id)
    assert (await view(db, daughter, visit)).pays
    async with db.begin() as tx:
        await bonds.withdraw(tx, daughter, made.id)
    assert await view(db, daughter, visit) == NOTHING


async def test_two_accept_at_once_one_is_bound(db: Database, mother: Actor, meet: Meet, visit: Subject) -> None:
    """The link was forwarded: eight people press in the same moment, one is bound, the others are told it is used."""
    made = await invite(db, mother, PAY)
    crowd = [await meet(f"N{n}", f"人{n}", f"1990000010{n}") for n in range(8)]
    outcomes = await asyncio.gather(*(accept(db, who, made.token) for who in crowd), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["InviteUsedError"] * 7 + ["list"]
    assert sum([(await view(db, who, visit)).pays for who in crowd]) == 1


async def test_an_invitation_is_not_for_oneself_not_for_ever_and_can_be_taken_back(
    db: Database, mother: Actor, daughter: Actor, clock: ManualClock
) -> None:
    """Her own, a day old, taken back, made up: none of them binds."""
    own, old, back = [await invite(db, mother, PAY) for _ in range(3)]
    with pytest.raises(OwnInviteError):
        await accept(db, mother, own.token)
    async with db.begin() as tx:
        with pytest.raises(NotFoundError):
            await invitations.withdraw_invitation(tx, daughter, back.id)
        await invitations.withdraw_invitation(tx, mother, back.id)
    for token in (back.token, "x" * 22, ""):
        with pytest.raises(InviteExpiredError):
            await accept(db, daughter, token)
    clock.move(timedelta(hours=24))
    with pytest.raises(InviteExpiredError):
        await accept(db, daughter, old.token)
    async with db.begin() as tx:
        assert await grants.of_patient(tx, mother.id) == []


@pytest.mark.parametrize(
    "offer",
    [
        Offer(Relation.SON),
        Offer(Relation.SON, pays=True, opened=frozenset({"gynaecology"})),
        Offer(Relation.SON, depth=Depth.ALL),
        Offer(Relation.SON, depth=Depth.BILL, opened=frozenset({"everything"})),
        Offer(Relation.SON, pays=True, cap_fen=0),
        Offer(Relation.SON, depth=Depth.BILL, cap_fen=100),
    ],
)
async def test_an_offer_must_be_one(db: Database, mother: Actor, offer: Offer) -> None:
    """Nothing, too much, or money without the right to pay: refused before anything is written."""
    with pytest.raises(EmptyOfferError):
        await invite(db, mother, offer)
    async with db.begin() as tx:
        assert await invitations.waiting_of(tx, mother.id) == []


async def test_nobody_offers_for_somebody_else_and_not_without_end(
    db: Database, mother: Actor, daughter: Actor
) -> None:
    """The daughter cannot share her mother; the mother has ten invitations waiting at most."""
    async with db.begin() as tx:
        with pytest.raises(ForbiddenError):
            await invitations.invite(tx, daughter, mother.id, PAY)
    for _ in range(10):
        await invite(db, mother, PAY)
    with pytest.raises(TooManyInvitesError):
        await invite(db, mother, PAY)


async def test_a_spoken_code_opens_once_within_ten_minutes(
    db: Database, mother: Actor, daughter: Actor, visit: Subject, clock: ManualClock
) -> None:
    """Read out on the telephone, typed with blanks and small letters; a second time, or late, it is worth nothing."""
    made = await invite(db, mother, PAY)
    spoken = f" {made.code[:3].lower()}-{made.code[3:]} "
    assert await flows.open_by_code(db, daughter, "19900000001", spoken) == made.token
    with pytest.raises(WrongInviteCodeError):
        await flows.open_by_code(db, daughter, "19900000001", spoken)
    await accept(db, daughter, made.token)
    assert (await view(db, daughter, visit)).pays
    late = await invite(db, mother, PAY)
    with pytest.raises(WrongInviteCodeError):
        await flows.open_by_code(db, daughter, "19900000002", late.code)
    clock.move(timedelta(minutes=10))
    with pytest.raises(WrongInviteCodeError):
        await flows.open_by_code(db, daughter, "19900000001", late.code)


async def test_two_hundred_guesses_at_once_find_nothing(
    db: Database, mother: Actor, daughter: Actor, meet: Meet
) -> None:
    """One guesser: twenty tries a day, five a code. Many guessers: still five a code. The right one comes too late."""
    made = await invite(db, mother, PAY)
    guesses = [f"{n:06d}".replace("0", "A").replace("1", "B") for n in range(200)]
    assert made.code not in guesses
    tries = (flows.open_by_code(db, daughter, "19900000001", g) for g in guesses)
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted({type(o) for o in outcomes}, key=str) == [TooManyGuessesError, WrongInviteCodeError]
    assert sum(isinstance(o, WrongInviteCodeError) for o in outcomes) == 20
    async with db.begin() as tx:
        assert await tx.session.scalar(select(Guesses.tries).where(Guesses.person_id == daughter.id)) == 20
    other = await meet("P7", "李七", "19900000077")
    with pytest.raises(WrongInviteCodeError):
        await flows.open_by_code(db, other, "19900000001", made.code)
    with pytest.raises(TooManyGuessesError):
        await flows.open_by_code(db, daughter, "19900000001", made.code)


async def test_a_companion_for_one_visit_sees_that_visit_until_it_ends(
    db: Database, mother: Actor, daughter: Actor, visit: Subject, rung: list[object]
) -> None:
    """For one visit: no other one, and shut when it ends; a payer keeps the total until all is paid."""
    watching = Offer(Relation.FRIEND, depth=Depth.STEPS, pays=True)
    made = await invite(db, mother, watching, visit.visit_id)
    await accept(db, daughter, made.token)
    assert await view(db, daughter, visit) == View(Depth.STEPS, frozenset(), pays=True, owner=False)
    assert await view(db, daughter, replace(visit, visit_id=uuid4())) == NOTHING
    assert await view(db, daughter, replace(visit, ended=True)) == View(
        Depth.NOTHING, frozenset(), pays=True, owner=False
    )
    async with db.begin() as tx:
        await open_feed(tx, visit.visit_id, "visit", mother.id)
    rung.clear()
    async with db.begin() as tx:
        await tx.emit(VisitEnded(visit.visit_id))
    assert rung == [ViewsChanged(mother.id)]
    async with db.begin() as tx:
        await tx.emit(VisitSettled(visit.visit_id))
    assert await view(db, daughter, replace(visit, ended=True, settled=True)) == NOTHING
    async with db.begin() as tx:
        assert {g.state for g in await grants.of_patient(tx, mother.id)} == {"expired"}


async def test_a_new_offer_replaces_the_old_one(db: Database, mother: Actor, daughter: Actor, visit: Subject) -> None:
    """The mother shows less than before: the narrower offer counts, the two are not added up."""
    for offer in (ALL, Offer(Relation.DAUGHTER, depth=Depth.STEPS)):
        await accept(db, daughter, (await invite(db, mother, offer)).token)
    assert await view(db, daughter, visit) == View(Depth.STEPS, frozenset(), pays=True, owner=False)


async def test_a_guardian_stands_for_a_child_until_fourteen(
    db: Database, hospital: Hospital, meet: Meet, daughter: Actor, employ: Employ, clock: ManualClock
) -> None:
    """The desk sets the father; he is as the child herself; on the fourteenth birthday it ends by itself."""
    father, child = await meet("P8", "孙立新", "19900000007"), await meet("P9", "孙小满", "")
    async with db.begin() as tx:
        (await patients.by_id(tx, child.id)).birth_date = clock.time.date() - timedelta(days=14 * 365)  # nearly 14
    desk = await employ(Role.COUNTER)
    subject = Subject(child.id, hospital.id, uuid4(), ended=False, settled=False)
    async with db.begin() as tx:
        with pytest.raises(ForbiddenError):
            await bonds.set_guardian(tx, replace(desk, role=Role.FINANCE), child.id, father.id, Relation.PARENT)
        with pytest.raises(GuardianRefusedError):
            await bonds.set_guardian(tx, desk, father.id, daughter.id, Relation.OTHER)
        made = await bonds.set_guardian(tx, desk, child.id, father.id, Relation.PARENT)
    assert await view(db, father, subject) == OWNER
    async with db.begin() as tx:
        assert await access.can_for(tx, father, Action.SIGN, child.id)
        with pytest.raises(NotFoundError):
            await bonds.withdraw(tx, child, made.id)
    clock.move(timedelta(days=5))
    assert await view(db, father, subject) == NOTHING


async def test_looks_are_logged_and_read(db: Database, mother: Actor, daughter: Actor, visit: Subject) -> None:
    """The daughter looks twice within a minute: one look, with her masked name; the mother's own are none."""
    async with db.begin() as tx:
        for who in (daughter, daughter, mother):
            await access.look(tx, who, visit, "bill")
        assert [(x.viewer_name, x.page) for x in await access.looks(tx, mother.id)] == [("陈*", "bill")]


async def test_staff_see_their_own_hospital_only(db: Database, hospital: Hospital, visit: Subject) -> None:
    """A desk of the hospital sees the bill, another hospital's sees nothing, the admin has no business with visits."""
    desk = Actor(ActorKind.STAFF, uuid4(), hospital.id, Role.DESK, "BLOOD")
    assert (await view(db, desk, visit)).staff
    assert await view(db, replace(desk, hospital_id=uuid4()), visit) == NOTHING
    assert await view(db, replace(desk, role=Role.ADMIN), visit) == NOTHING
    async with db.begin() as tx:
        assert await access.can(tx, desk, Action.CONFIRM, visit)
        assert not await access.can(tx, desk, Action.PAY, visit)
        with pytest.raises(ForbiddenError):
            await access.require(tx, desk, Action.SIGN, visit)
        with pytest.raises(NotFoundError):
            await access.require(tx, replace(desk, hospital_id=uuid4()), Action.CONFIRM, visit)


async def test_two_accept_at_once(db: Database, mother: Actor, meet: Meet) -> None:
    """Two relatives scan at her bedside in the same moment, before she ever had family news: both are bound."""
    both = [await meet("P8", "陈敏", "19900000008"), await meet("P9", "陈强", "19900000009")]
    async with db.begin() as tx:
        offers = [Offer(Relation.DAUGHTER, pays=True), Offer(Relation.SON, pays=True)]
        tokens = [(await invitations.invite(tx, mother, mother.id, offer)).token for offer in offers]
    meet_here = asyncio.Barrier(2)

    async def accepts(who: Actor, token: str) -> str:
        async with db.begin() as tx:
            await invitations.seen(tx, who, token)
            await meet_here.wait()
            assert await invitations.accept(tx, who, token) == []
        async with db.begin() as tx:
            [claim] = await confirming.waiting_with_others(tx, who)
            [made] = await confirming.answer(tx, mother, claim.id, agreed=True)
            return made.relation

    assert set(await asyncio.gather(*map(accepts, both, tokens))) == {"daughter", "son"}
    async with db.begin() as tx:
        assert len([g for g in await grants.of_patient(tx, mother.id) if g.state == "active"]) == 2
