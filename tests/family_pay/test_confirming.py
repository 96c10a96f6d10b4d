"""The patient sees who accepted her invitation before anything begins; a no, an end and a late word begin nothing."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from family_pay.models import Invitation
from family_pay.rules import InviteExpiredError, InviteUsedError, Offer, Relation, TooManyInvitesError
from family_pay.service import bonds, confirming, invitations
from houfu.app import create_app
from houfu.pushes import House
from kernel.clock import ManualClock
from kernel.db import Database
from kernel.errors import NotFoundError
from notices.ports import Tell
from notices.rules.reach import Kind
from notices.service import since
from people.rules import NOTHING, Actor, Depth, Role, Subject
from people.service import access, grants, patients
from people.service.hospitals import Hospital
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.family_pay.conftest import Employ, Meet
from tests.family_pay.test_companion import ask, listening
from tests.listening import soon
from tests.visits.ward import BASE, Ward, open_ward

ALL = Offer(Relation.DAUGHTER, pays=True, cap_fen=50_000, depth=Depth.BILL, signs=True, books=True)


async def claim(db: Database, mother: Actor, relative: Actor, offer: Offer = ALL) -> invitations.Invited:
    """Invited and accepted, her word still to come."""
    async with db.begin() as tx:
        made = await invitations.invite(tx, mother, mother.id, offer, agrees=True)
    async with db.begin() as tx:
        assert await invitations.accept(tx, relative, made.token) == []
    return made


async def says(db: Database, who: Actor, made: invitations.Invited, *, agreed: bool) -> list[grants.Grant]:
    async with db.begin() as tx:
        return await confirming.answer(tx, who, made.id, agreed=agreed)


async def news(db: Database, who: Actor) -> list[str]:
    async with db.begin() as tx:
        return [row.payload["family"]["what"] for row in await since(tx, who.id, 0)]


async def may_nothing(db: Database, relative: Actor, visit: Subject) -> bool:
    """No view, no money, no signature, no booking, no name in the list, no grant of any state."""
    async with db.begin() as tx:
        assert await access.view_of(tx, relative, visit) == NOTHING
        assert await access.pay_terms(tx, relative, visit) is None
        assert [p.id for p in await access.patients_of(tx, relative)] == [relative.id]
        return await grants.of_patient(tx, visit.patient_id) == []


async def test_nothing_begins_before_her_yes(db: Database, mother: Actor, daughter: Actor, visit: Subject) -> None:
    """She is told who accepted, masked, with the telephone's last digits and what would begin; with her yes it does."""
    made = await claim(db, mother, daughter)
    assert await may_nothing(db, daughter, visit)
    async with db.begin() as tx:
        [one] = await confirming.claims_for(tx, mother)
        assert (one.who, one.tail, one.offer, one.patient) == ("陈*", "0002", ALL, "朱**")
        assert [c.id for c in await confirming.waiting_with_others(tx, daughter)] == [made.id]
        assert await confirming.claims_for(tx, daughter) == []
        assert (await invitations.seen(tx, daughter, made.token)).state == "waiting"
        assert await invitations.accept(tx, daughter, made.token) == [], "accepting again changes nothing"
    assert (await news(db, mother), await news(db, daughter)) == (["claimed"], [])
    assert {g.kind for g in await says(db, mother, made, agreed=True)} == {"pay", "watch", "sign", "book"}
    assert len(await says(db, mother, made, agreed=True)) == 4, "a yes said twice is said once"
    async with db.begin() as tx:
        assert (await access.view_of(tx, daughter, visit)).pays
        assert (await invitations.seen(tx, daughter, made.token)).state == "accepted"
        row = await tx.get(Invitation, made.id)
        assert row is not None
        assert (row.accepted_by, row.answered_by) == (daughter.id, mother.id)
    assert (await news(db, mother), await news(db, daughter)) == (["claimed", "bound"], ["bound"])
    with pytest.raises(InviteExpiredError):
        await says(db, mother, made, agreed=False)
    with pytest.raises(InviteUsedError):
        await db_accept(db, daughter, made)


async def db_accept(db: Database, who: Actor, made: invitations.Invited) -> None:
    async with db.begin() as tx:
        await invitations.accept(tx, who, made.token)


async def test_a_no_is_an_end_and_others_learn_nothing(
    db: Database, mother: Actor, daughter: Actor, meet: Meet, visit: Subject
) -> None:
    """The link went to the wrong person: she says no. He hears what he would hear of an end; the daughter, who opens it
    before, between and after, reads the same sentence each time."""
    stranger = await meet("P3", "陈武", "19900000009")
    made = await claim(db, mother, stranger)
    told = []
    for step in ("waits", "refused", "late"):
        with pytest.raises(InviteUsedError) as used:
            await db_accept(db, daughter, made)
        told.append((used.value.code, used.value.params))
        if step == "waits":
            for nobody in (daughter, stranger):
                with pytest.raises(NotFoundError):
                    await says(db, nobody, made, agreed=True)
            assert await says(db, mother, made, agreed=False) == []
            assert await says(db, mother, made, agreed=False) == [], "a no said twice is said once"
    assert told == [told[0]] * 3
    with pytest.raises(InviteExpiredError):
        await says(db, mother, made, agreed=True)
    with pytest.raises(InviteExpiredError):
        await db_accept(db, stranger, made)
    async with db.begin() as tx:
        assert (await invitations.seen(tx, stranger, made.token)).state == "withdrawn"
        with pytest.raises(NotFoundError):
            await invitations.token_of(tx, mother, made.id)
    assert await may_nothing(db, stranger, visit)
    assert (await news(db, mother), await news(db, stranger)) == (["claimed", "unbound"], ["unbound"])


async def test_her_word_has_a_day_from_the_accepting(
    db: Database, mother: Actor, daughter: Actor, visit: Subject, clock: ManualClock
) -> None:
    """Accepted in the link's last minute: she still has a day, and not a minute more; then it is as if never made."""
    async with db.begin() as tx:
        made = await invitations.invite(tx, mother, mother.id, ALL, agrees=True)
    clock.move(timedelta(hours=23, minutes=59))
    await db_accept(db, daughter, made)
    clock.move(timedelta(hours=23, minutes=59))
    async with db.begin() as tx:
        assert [c.id for c in await confirming.claims_for(tx, mother)] == [made.id]
    clock.move(timedelta(minutes=1))
    with pytest.raises(InviteExpiredError):
        await says(db, mother, made, agreed=True)
    async with db.begin() as tx:
        assert await confirming.claims_for(tx, mother) == []
        assert (await invitations.seen(tx, daughter, made.token)).state == "withdrawn"
    assert await may_nothing(db, daughter, visit)


async def test_either_side_takes_it_back_while_it_waits(
    db: Database, mother: Actor, daughter: Actor, meet: Meet, visit: Subject
) -> None:
    """The mother withdraws, or the daughter thinks better of it; a stranger ends nothing."""
    stranger = await meet("P3", "王五", "19900000009")
    for who in (mother, daughter):
        made = await claim(db, mother, daughter)
        async with db.begin() as tx:
            with pytest.raises(NotFoundError):
                await invitations.withdraw_invitation(tx, stranger, made.id)
            await invitations.withdraw_invitation(tx, who, made.id)
        with pytest.raises(InviteExpiredError):
            await says(db, mother, made, agreed=True)
    assert await may_nothing(db, daughter, visit)


@pytest.mark.parametrize("rival", ["withdraws", "says no", "leaves"])
async def test_a_yes_and_an_end_in_the_same_moment(
    db: Database, mother: Actor, daughter: Actor, visit: Subject, rival: str
) -> None:
    """Her two phones, or hers and the daughter's: one word holds, and what is live is what that word says."""
    for _ in range(4):
        made = await claim(db, mother, daughter)

        async def other(of: invitations.Invited = made) -> None:
            if rival == "says no":
                await says(db, mother, of, agreed=False)
                return
            async with db.begin() as tx:
                await invitations.withdraw_invitation(tx, mother if rival == "withdraws" else daughter, of.id)

        yes, end = await asyncio.gather(says(db, mother, made, agreed=True), other(), return_exceptions=True)
        async with db.begin() as tx:
            live = [g for g in await grants.of_patient(tx, mother.id) if g.state == "active"]
        assert (len(live) == 4) == isinstance(yes, list), (yes, end)
        assert isinstance(yes, list) is isinstance(end, Exception), (yes, end)
        if live:
            async with db.begin() as tx:
                await bonds.withdraw(tx, mother, made.id)


async def test_two_accept_at_once_and_she_is_shown_one(db: Database, mother: Actor, meet: Meet, visit: Subject) -> None:
    """Eight hold the forwarded link: one is shown to her, seven hear that it is used, and nobody sees anything."""
    async with db.begin() as tx:
        made = await invitations.invite(tx, mother, mother.id, ALL, agrees=True)
    crowd = [await meet(f"N{n}", f"人{n}", f"1990000010{n}") for n in range(8)]
    outcomes = await asyncio.gather(*(db_accept(db, who, made) for who in crowd), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["InviteUsedError"] * 7 + ["NoneType"]
    async with db.begin() as tx:
        assert len(await confirming.claims_for(tx, mother)) == 1
    assert all([await may_nothing(db, who, visit) for who in crowd])
    assert await news(db, mother) == ["claimed"]


async def test_what_waits_counts_as_an_invitation(db: Database, mother: Actor, daughter: Actor) -> None:
    """Ten accepted and unanswered are ten: she is not flooded."""
    for _ in range(10):
        await claim(db, mother, daughter)
    with pytest.raises(TooManyInvitesError):
        await claim(db, mother, daughter)


async def test_who_stands_for_a_child_is_asked(
    db: Database, mother: Actor, daughter: Actor, meet: Meet, employ: Employ, clock: ManualClock, hospital: Hospital
) -> None:
    """The father invites for his child: he is told and says yes, until he stands for it no more."""
    father, child = await meet("P8", "孙立新", "19900000007"), await meet("P9", "孙小满", "")
    desk = await employ(Role.COUNTER)
    async with db.begin() as tx:
        (await patients.by_id(tx, child.id)).birth_date = clock.time.date() - timedelta(days=9 * 365)
        guard = await bonds.set_guardian(tx, desk, child.id, father.id, Relation.PARENT)
        made = await invitations.invite(tx, father, child.id, ALL, agrees=True)
        late = await invitations.invite(tx, father, child.id, ALL)
    for one in (made, late):
        await db_accept(db, daughter, one)
    assert (await news(db, father))[1:] == ["claimed", "claimed"]
    async with db.begin() as tx:
        assert {c.id for c in await confirming.claims_for(tx, father)} == {made.id, late.id}
        assert await confirming.claims_for(tx, mother) == []
    assert len(await says(db, father, made, agreed=True)) == 4
    async with db.begin() as tx:
        await bonds.end_at_desk(tx, desk, guard.id)
    with pytest.raises(NotFoundError):
        await says(db, father, late, agreed=True)


async def test_she_is_told_until_she_has_answered(db: Database, mother: Actor, daughter: Actor) -> None:
    """The push says who, masked, and leads to the page; once answered it is no longer true, and nothing is sent."""
    made = await claim(db, mother, daughter)
    tell = Tell(Kind.CLAIMED, mother.id, mother.id, ("1",))
    async with db.begin() as tx:
        said = await House().still(tx, tell, mother.id)
        assert said is not None
        assert (said.slots.who, said.path) == ("陈*", "/family/claims")
    await says(db, mother, made, agreed=False)
    async with db.begin() as tx:
        assert await House().still(tx, tell, mother.id) is None


# ---------------------------------------------------------------------------------------------------------- the pages


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """A mother's visit going on."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as client:
        yield client


STREAM = "/api/family/claims/stream"


async def test_at_the_bedside_it_is_one_tap_within_a_second(web: AsyncClient, ward: Ward) -> None:
    """Her page with the QR is open; he scans and accepts; it rings, shows who; one tap; and his own page changes."""
    shown = (await ask(web, ward, "mother", "/family/invite", {"relation": "friend", "depth": "steps"})).text
    (path,) = re.findall(r'value="https://houfu.test(/bind/[\w-]{22})"', shown)
    (mark,) = re.findall(rf"{STREAM}\?after=(\w+)", shown)
    offered = (await ask(web, ward, "stranger", path)).text
    assert "朱**会看到您的姓和手机尾号" in offered
    async with listening(ward, "mother", f"after={mark}", STREAM) as hers:
        taken = await ask(web, ward, "stranger", path, {})
        assert (taken.status_code, taken.headers["location"]) == (303, path)
        await soon(hers, "event: refresh")
    waits = (await ask(web, ward, "stranger", path)).text
    assert "已经告诉朱**" in waits
    (end,) = re.findall(r'href="(/family/[\w-]+/withdraw)"', waits)
    assert (await ask(web, ward, "stranger", end)).status_code == 200
    assert f"/visits/{ward.visit}" not in (await ask(web, ward, "stranger", "/")).text
    page = (await ask(web, ward, "mother", "/family/claims")).text
    assert "想加为您的家人，称呼是“朋友”" in page
    assert "/family/claims" in (await ask(web, ward, "mother", "/")).text
    (action,) = re.findall(r'action="(/family/claims/[\w-]+)"', page)
    assert (await ask(web, ward, "stranger", action, {"word": "yes"})).status_code == 404
    (mark,) = re.findall(rf"{STREAM}\?after=(\w+)", waits)
    async with listening(ward, "stranger", f"after={mark}", STREAM) as his:
        answered = await ask(web, ward, "mother", action, {"word": "yes"})
        assert (answered.status_code, answered.headers["location"]) == (303, "/family")
        await soon(his, "event: refresh")
    assert "对方点头了" in (await ask(web, ward, "stranger", path)).text
    assert (await ask(web, ward, "stranger", f"/visits/{ward.visit}/story")).status_code == 200
    assert "没有人在等您点头" in (await ask(web, ward, "mother", "/family/claims")).text


async def test_a_no_by_the_page_and_by_a_program(web: AsyncClient, ward: Ward) -> None:
    """She taps no: his page says that nothing came of it, and he sees no visit; a program's no is the same."""
    for program in (False, True):
        made = await ask(web, ward, "mother", "/api/family/invitations", relation="friend", depth="steps")
        path = made.json()["path"]
        await ask(web, ward, "stranger", path, {})
        action = f"/family/claims/{made.json()['id']}"
        if program:
            no = await ask(web, ward, "mother", f"/api{action}", agreed=False)
            assert (no.status_code, no.json()) == (200, [])
        else:
            assert (await ask(web, ward, "mother", action, {"word": "no"})).status_code == 303
        assert "没有加上" in (await ask(web, ward, "stranger", path)).text
        assert (await ask(web, ward, "stranger", f"/visits/{ward.visit}/story")).status_code == 404
        late = await ask(web, ward, "mother", f"/api{action}", agreed=True)
        assert (late.status_code, late.json()["code"]) == (409, "invite_expired")
