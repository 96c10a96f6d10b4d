"""Following from afar: degrees in one tap, shut while a stream is open, sentences both ways, every look told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from api.deps import COOKIE
from family_pay.models import Message
from family_pay.rules import Offer, Relation, SharingOffError
from family_pay.service import invitations
from guide.rules import turn_of
from houfu.app import create_app
from people.models import Choice, Grant, Look
from people.rules import (
    LOOKS_KEPT,
    ONE_SITTING,
    Actor,
    ActorKind,
    ChoiceKind,
    Depth,
    GrantKind,
    GrantState,
    LookFact,
    sittings,
)
from people.service import access, choices, hospitals, patients
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.listening import hear, soon
from tests.visits.ward import BASE, Ward, open_ward, visit_row
from visits.service import encounters
from visits.service.subjects import subject_of

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
Json = dict[str, Any]


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """A mother's visit going on; her daughter pays and sees the bill, her neighbour sees the steps."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[AsyncClient]:
    """A browser without cookies of its own; who asks is said with each request."""
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as client:
        yield client


async def ask(web: AsyncClient, ward: Ward, who: str, path: str, data: Any = None, **json_: Any) -> Response:
    """A page or, with data, a form; with more, a program's question."""
    head = {"Cookie": f"{COOKIE}={ward.tokens[who]}", "Origin": BASE}
    if json_:
        return await web.post(path, json=json_, headers=head)
    head |= {} if path.startswith("/api/") else {"Accept": "text/html"}
    return await (web.get(path, headers=head) if data is None else web.post(path, data=data, headers=head))


@asynccontextmanager
async def listening(
    ward: Ward, who: str, query: str = "format=json", path: str | None = None
) -> AsyncIterator[list[bytes]]:
    """One open stream, of the visit unless a path says otherwise: what came, the last item empty when it has ended."""
    address = path or f"/api/visits/{ward.visit}/stream"
    async with hear(ward.world, ward.tokens[who], address, query) as heard:
        yield heard


async def bond_of(ward: Ward, who: str) -> UUID:
    """The live bond of one of them with the mother."""
    async with ward.world.db.begin() as tx:
        mine = (Grant.person_id == ward.actors[who].id, Grant.state == GrantState.ACTIVE)
        found: UUID | None = await tx.session.scalar(select(Grant.bond).where(*mine).limit(1))
    assert found is not None
    return found


async def test_a_tap_changes_what_she_sees_while_she_looks(web: AsyncClient, ward: Ward) -> None:
    """Steps, then the bill, one category, then nothing: told to the open stream within a second; then silence."""
    path = f"/family/{await bond_of(ward, 'neighbour')}/watch"
    story, steps = f"/visits/{ward.visit}/story", f"/api/visits/{ward.visit}/steps"
    assert len((await ask(web, ward, "neighbour", steps)).json()["steps"]) == 2
    for form in ({"depth": "bill"}, {"toggle": "gynaecology"}):
        async with listening(ward, "neighbour") as heard:
            assert (await ask(web, ward, "mother", path, form)).headers["location"] == "/family"
            await soon(heard, "event: reload")
    assert len((await ask(web, ward, "neighbour", steps)).json()["steps"]) == 3
    assert (await ask(web, ward, "neighbour", f"/api/visits/{ward.visit}")).json()["sums"]["planned_fen"] == 19_800
    await ask(web, ward, "mother", path, {"toggle": "gynaecology"})
    assert len((await ask(web, ward, "neighbour", steps)).json()["steps"]) == 2

    async with listening(ward, "neighbour", "format=html&page=story") as heard, listening(ward, "mother") as hers:
        await ask(web, ward, "mother", path, {"depth": "none"})
        await ward.perform("blood")
        await soon(heard, "event: reload")
        await soon(hers, "performed")
        assert b"".join(heard) == b"event: reload\ndata:\n\n"  # and nothing of what came with it or after it
    for path_ in (story, steps, f"/api/visits/{ward.visit}/stream", f"/api/visits/{ward.visit}/words"):
        assert (await ask(web, ward, "neighbour", path_)).status_code == 404
    body = {"depth": "steps", "opened": [], "calls": True}
    assert (await ask(web, ward, "neighbour", f"/api/family/bonds/{ward.visit}/watch", **body)).status_code == 404
    bond = await bond_of(ward, "daughter")
    assert (await ask(web, ward, "daughter", f"/api/family/bonds/{bond}/watch", **body)).status_code == 404  # not hers
    made = await ask(web, ward, "mother", f"/api/family/bonds/{bond}/watch", **body)
    assert [(g["depth"], g["calls"]) for g in made.json()] == [("steps", True)]
    wrong = await ask(web, ward, "mother", f"/api/family/bonds/{bond}/watch", **(body | {"opened": ["everything"]}))
    assert wrong.status_code == 422


async def test_sharing_is_a_switch_of_its_own(web: AsyncClient, ward: Ward) -> None:
    """Switched off, every companion's view shuts within a second; who pays keeps the amount; on again, they see."""
    bill = f"/api/visits/{ward.visit}"
    assert "开着" in (await ask(web, ward, "mother", "/choices")).text
    async with listening(ward, "neighbour") as one, listening(ward, "daughter") as other:
        await ask(web, ward, "mother", "/choices", {"kind": "share"})
        await soon(one, "event: reload")
        await soon(other, "event: reload")
    assert (await ask(web, ward, "neighbour", f"/visits/{ward.visit}/story")).status_code == 404
    assert (await ask(web, ward, "neighbour", f"/api/visits?patient={ward.actors['mother'].id}")).status_code == 404
    seen = (await ask(web, ward, "daughter", bill)).json()
    assert (seen["lines"], seen["sums"]["done_fen"], seen["visit"]["mode"]) == ([], 0, "DEFERRED")
    page = (await ask(web, ward, "mother", "/choices")).text
    assert "打开后，这些家人又能看到" in page
    assert "朋友 刘*" in page
    watching = {"relation": "friend", "depth": "steps"}
    refused = await ask(web, ward, "mother", "/api/family/invitations", **watching)
    assert (refused.status_code, refused.json()["code"]) == (409, "sharing_off")
    assert (await ask(web, ward, "mother", "/api/family/invitations", relation="son", pays=True)).status_code == 201

    assert (await ask(web, ward, "mother", "/api/family/choices", kind="share", given=True)).status_code == 204
    assert (await ask(web, ward, "neighbour", f"/api/visits/{ward.visit}/steps")).status_code == 200
    told = (await ask(web, ward, "mother", "/api/family/choices")).json()
    assert [(c["kind"], c["given"], c["version"]) for c in told] == [
        ("share", True, "2026-2"), ("share", False, "2026-2"), ("share", True, "2026-2"),
    ]  # fmt: skip
    mother = str(ward.actors["mother"].id)
    for who, kept in (("mother", True), ("daughter", False)):  # no copy of somebody else's visit stays on a phone
        for path in (f"/visits/{ward.visit}/bill", f"/person?id={mother}", "/"):
            answer = await ask(web, ward, who, path)
            if answer.status_code == 200 and who == "daughter" and path == "/":
                answer = await web.get("/", headers={"Cookie": f"{COOKIE}={ward.tokens[who]}; person={mother}"})
            assert answer.status_code != 200 or ("x-keep" not in answer.headers) is kept, (who, path)
    foreign = await ask(web, ward, "daughter", "/api/family/choices", kind="share", given=False, patient_id=mother)
    assert foreign.status_code == 404


async def test_choices_are_evidence(ward: Ward) -> None:
    """The others stand apart; said twice is written once; what is written is never changed or deleted."""
    mother = ward.actors["mother"]
    async with ward.world.db.begin() as tx:
        for _ in range(2):
            await choices.choose(tx, mother, mother.id, ChoiceKind.LOCATION, given=True)
        assert await choices.agreed(tx, mother.id, ChoiceKind.SHARE)
        assert not await choices.agreed(tx, mother.id, ChoiceKind.CREDIT)
        kept = [c for c in await choices.history(tx, mother.id) if c.kind == ChoiceKind.LOCATION]
        assert [(c.number, c.given, c.chosen_by, len(c.text_sha256)) for c in kept] == [(1, True, mother.id, 32)]
    for statement in (update(Choice).values(given=False), text("DELETE FROM choice")):
        with pytest.raises(DBAPIError, match="append-only"):
            async with ward.world.db.begin() as tx:
                await tx.session.execute(statement)
    async with ward.world.db.begin() as tx:
        son = await patients.known(tx, ward.hospital, patients.PatientFact("P9", "无名", None, "19900000077"))
        await tx.session.flush()
        actor = Actor(ActorKind.PERSON, son.id)
        with pytest.raises(SharingOffError):  # never chosen is not agreed
            await invitations.invite(tx, actor, son.id, Offer(Relation.FRIEND, depth=Depth.STEPS))


async def test_sentences_go_both_ways_and_end_with_the_visit(web: AsyncClient, ward: Ward) -> None:
    """She says one, all who follow hear it; the neighbour answers, only she hears; too fast, too many, over: no."""
    say = f"/api/visits/{ward.visit}/words"
    page = f"/visits/{ward.visit}/words"
    html = "format=html&page=guide"
    async with (
        listening(ward, "mother", html) as hers,
        listening(ward, "neighbour") as his,
        listening(ward, "daughter") as other,
        listening(ward, "k.blood") as desk,
    ):
        assert (await ask(web, ward, "mother", page, {"code": "waiting"})).status_code == 303
        assert '"who":null' in await soon(his, "我在排队")
        await soon(other, "我在排队")
        said = await ask(web, ward, "neighbour", say, code="here")
        assert (said.status_code, said.json()["relation"]) == (201, "friend")
        assert "朋友：我在看着呢，别着急。" in await soon(hers, "我在看着呢")
        assert b"data-aloud" in b"".join(hers)
        assert "我在看着呢" not in b"".join(other + desk).decode()
        assert "我在排队" not in b"".join(desk).decode()
    both = (await ask(web, ward, "mother", say)).json()
    assert [w["code"] for w in both["said"]] == ["here", "waiting"]
    assert [w["code"] for w in (await ask(web, ward, "daughter", say)).json()["said"]] == ["waiting"]
    assert "fine" in both["can_say"]

    too_fast = await ask(web, ward, "neighbour", page, {"code": "here"})
    assert (too_fast.status_code, "请等几秒再发" in too_fast.text) == (429, True)
    assert (await ask(web, ward, "neighbour", say, code="fine")).status_code == 422  # hers to say
    for _ in range(29):
        ward.clock.move(timedelta(seconds=5))
        assert (await ask(web, ward, "neighbour", say, code="coming")).status_code == 201
    ward.clock.move(timedelta(seconds=5))
    assert (await ask(web, ward, "neighbour", say, code="coming")).json()["code"] == "words_many"
    assert (await ask(web, ward, "stranger", say, code="here")).status_code == 404
    assert (await ask(web, ward, "k.blood", say, code="here")).status_code == 403

    async with ward.world.db.begin() as tx:
        await encounters.finish(tx, await hospitals.by_id(tx, ward.hospital), "E1", tx.now)
    assert (await ask(web, ward, "mother", say, code="fine")).json()["code"] == "words_over"
    assert (await ask(web, ward, "neighbour", say, code="here")).status_code == 404
    async with ward.world.db.begin() as tx:
        assert len((await tx.session.scalars(select(Message))).all()) == 31


async def test_every_look_is_told(web: AsyncClient, ward: Ward) -> None:
    """By page, by program, by stream: the mother reads who, what and when, told as sittings; her own looks not."""
    await ask(web, ward, "daughter", f"/visits/{ward.visit}/story")
    await ask(web, ward, "neighbour", f"/api/visits/{ward.visit}/steps")
    await ask(web, ward, "mother", f"/visits/{ward.visit}/bill")
    for _ in range(3):
        ward.clock.move(timedelta(minutes=15))
        async with listening(ward, "daughter", "format=html&page=story"):
            pass
    async with listening(ward, "neighbour"):
        pass
    await ask(web, ward, "daughter", f"/person?id={ward.actors['mother'].id}")
    told = (await ask(web, ward, "mother", "/api/family/looks")).json()
    assert {(x["relation"], x["page"]) for x in told} == {
        ("daughter", "story"),
        ("friend", "guide"),
        ("friend", "live"),
    }
    page = (await ask(web, ward, "mother", "/family")).text
    for line in (
        "女儿 陈* 看了走到哪一步",
        "（4 次）",
        "今天 11:00–11:45",
        "朋友 刘* 看了检查进度",
        "一直跟着看",
        "保存三年",
    ):
        assert line in page, line
    async with ward.world.db.begin() as tx:
        await tx.session.execute(
            update(Look).values(at=tx.now - LOOKS_KEPT - timedelta(seconds=1)).where(Look.page == "live")
        )
        assert await access.forget_looks(tx) == 1
        assert len(await access.looks(tx, ward.actors["mother"].id)) == len(told) - 1


async def test_her_number_is_given_only_by_her(web: AsyncClient, ward: Ward) -> None:
    """The neighbour may watch and sees no number; once the mother opens it, a tap calls her; who only pays never."""
    story = f"/visits/{ward.visit}/story"
    assert "19900000001" not in (await ask(web, ward, "neighbour", story)).text
    await ask(web, ward, "mother", f"/family/{await bond_of(ward, 'neighbour')}/watch", {"toggle": "telephone"})
    assert 'href="tel:19900000001"' in (await ask(web, ward, "neighbour", story)).text
    assert "tel:19900000001" not in (await ask(web, ward, "daughter", story)).text
    async with ward.world.db.begin() as tx:
        subject = subject_of(await visit_row(tx, ward))
        grant = update(Grant).where(Grant.calls).values(kind=GrantKind.PAY)
        await tx.session.execute(grant)
        assert await access.telephone_for(tx, ward.actors["neighbour"], subject) is None


async def test_an_encounter_nobody_finished_ends_by_itself(ward: Ward) -> None:
    """Twelve hours after it began, whatever else goes on; the visit ends with its last encounter, and only then."""
    async with ward.world.db.begin() as tx:
        hospital, patient = await hospitals.by_id(tx, ward.hospital), ward.actors["mother"].id
        late = encounters.EncounterFact(
            "E2", patient, "AMB", "GYNE", None, "normal", None, NOON + timedelta(hours=6), 1
        )
        await encounters.start(tx, hospital, late)
    seen = []
    for hours in (11, 13, 17, 19, 20):
        ward.clock.time = NOON + timedelta(hours=hours)
        async with ward.world.db.begin() as tx:
            ended = await encounters.end_forgotten(tx)
            visit = await visit_row(tx, ward)
            lasts = subject_of(visit).lasts_for(frozenset())
            seen.append((ended, visit.state, {c: s["going"] for c, s in visit.stages.items()}, lasts))
    assert seen == [
        (0, "open", {"": 1, "gynaecology": 1}, True),
        (1, "open", {"": 0, "gynaecology": 1}, False),
        (0, "open", {"": 0, "gynaecology": 1}, False),
        (1, "settled", {"": 0, "gynaecology": 0}, False),
        (0, "settled", {"": 0, "gynaecology": 0}, False),
    ]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["bill", "story"]), st.integers(0, 200)), max_size=30))
def test_sittings_lose_no_look(looks: list[tuple[str, str, int]]) -> None:
    """Told as sittings, every look is in exactly one, and two of the same viewer at the same page are well apart."""
    facts = [LookFact(v, v, "", page, None, NOON + timedelta(minutes=m)) for v, page, m in looks]
    told = sittings(facts)
    assert sum(s.times for s in told) == len(facts)
    for one in facts:
        mine = [s for s in told if (s.who, s.page) == (one.who, one.page) and s.first <= one.at <= s.last]
        assert len(mine) == 1
    for a in told:
        for b in told:
            if a is not b and (a.who, a.page) == (b.who, b.page):
                assert a.first - b.last > ONE_SITTING or b.first - a.last > ONE_SITTING
    assert [s.last for s in told] == sorted((s.last for s in told), reverse=True)


@given(st.integers(0, 40), st.integers(0, 120), st.sampled_from(["lab", "imaging", "other"]))
def test_about_when_is_a_range_and_knows_its_age(ahead: int, minutes: int, kind: str) -> None:
    """Never a point, never before the word it rests on; old after a quarter of an hour; none where none is known."""
    step: Json = {"state": "checked_in", "kind": kind, "ahead": ahead, "queue_at": NOON.isoformat()}
    now = NOON + timedelta(minutes=minutes)
    turn = turn_of(step, now)
    assert turn is not None
    assert turn.begin >= NOON
    assert turn.begin < turn.end
    assert (turn.old, turn.passed) == (minutes > 15, now > turn.end)
    later = turn_of(step | {"ahead": ahead + 1}, now)
    assert later is not None
    assert (later.begin, later.end) >= (turn.begin, turn.end)
    for known in ({"state": "called"}, {"ahead": None}, {"queue_at": None}, {"state": "performed"}):
        assert turn_of(step | known, now) is None
