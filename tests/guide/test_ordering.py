"""The order a visit is advised: from signed rules, by the nurse's word, for each viewer from what they may know."""

import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from guide import service as guide
from guide.models import Advice, ExamRulesVersion, NurseWord
from guide.service import books, nursing, ordering
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from people.rules import OWNER, Actor, ActorKind, Depth, Role, View
from people.service import hospitals
from people.service.hospitals import HospitalFileError
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.intake.conftest import Hall, Teller, at
from visits.service import encounters, orders
from words.guide_order import MISSES_APPOINTMENT, UNKNOWN_LOAD

Json = dict[str, Any]
FILE: Json = json.loads(HOSPITAL_FILE.read_text("utf-8"))
EXAMS = {one["code"]: one for one in FILE["order_templates"]}
WATCHER = View(Depth.STEPS, frozenset(), pays=False, owner=False)


async def keep(hall: Hall, **changed: Any) -> int | None:
    """Load the demo's rules, changed."""
    async with hall.db.begin() as tx:
        document = FILE | {"exam_rules": FILE["exam_rules"] | changed}
        return await books.keep(tx, await hospitals.by_id(tx, hall.hospital), document)


def placed(teller: Teller, code: str, **more: Any) -> Json:
    """An order as the demo's hospital writes it."""
    one = EXAMS[code]
    kept = {name: one[name] for name in ("kind", "name", "department", "preparation")}
    return teller.placed(code, **kept, **more)


async def morning(hall: Hall, *codes: str, **more: Any) -> tuple[UUID, dict[str, UUID]]:
    """She comes and these are ordered; (visit, code → order)."""
    teller = Teller("A")
    await hall.say(teller.started(), *(placed(teller, code, **more) for code in codes))
    ids = {code: orders.order_id(hall.hospital, f"{code}A") for code in codes}
    async with hall.db.begin() as tx:
        encounter = await tx.get(encounters.Encounter, encounters.encounter_id(hall.hospital, "EA"))
        assert encounter is not None
        return encounter.visit_id, ids


async def told(hall: Hall, visit: UUID, view: View = OWNER) -> tuple[list[str], list[Any], str | None]:
    """(names in the order advised, sentences, note) as this view reads them."""
    async with hall.db.begin() as tx:
        steps, note = guide.plan_of(await guide.steps_of(tx, visit, view))
        return [s["name"] for s in steps], [s["because"] for s in steps], note


async def test_rules_are_versions_that_never_change(hall: Hall) -> None:
    """Loaded twice they are one version; changed, the next; a wrong row is named, nothing kept; none is rewritten."""
    assert (await keep(hall), await keep(hall)) == (1, 1)
    fewer = FILE["exam_rules"]["rules"][:3]
    assert await keep(hall, rules=fewer) == 2
    with pytest.raises(HospitalFileError, match=r"exam_rules\.rules\.0\.exam: no order template has the code 'XX'"):
        await keep(hall, rules=[{"kind": "meal", "exam": "XX"}])
    async with hall.db.begin() as tx:
        kept = list(await tx.session.scalars(select(ExamRulesVersion).order_by(ExamRulesVersion.version)))
        assert [(k.version, k.signed_by) for k in kept] == [(1, "医务科"), (2, "医务科")]
        assert (await books.book_of(tx, hall.hospital)).version == 2
        assert await books.keep(tx, await hospitals.by_id(tx, hall.hospital), {}) is None
    with pytest.raises(DBAPIError):
        async with hall.db.begin() as tx:
            await tx.session.execute(text("UPDATE exam_rules_version SET signed_by = 'x'"))


async def test_the_order_is_told_with_its_reasons(hall: Hall) -> None:
    """Blood for an hour's result first, then the bladder when it is full; nobody knows the queues, and that is said."""
    await keep(hall)
    visit, _ = await morning(hall, "USURO", "ECG12", "BLOODCARD")
    names, because, note = await told(hall, visit)
    assert names == ["抽血：血脂、肝功能、血糖", "心电图", "泌尿系彩超"]
    assert because[0] == "先抽血：血脂、肝功能、血糖：空腹，结果要60分钟。"
    assert because[2] == "最后泌尿系彩超：要憋尿，约9:46以后能做。"
    assert note == UNKNOWN_LOAD
    assert (await told(hall, visit, WATCHER))[1] == [None] * 3  # how she prepares is hers


async def test_what_needs_a_nurse_waits_for_her(hall: Hall) -> None:
    """The magnet asks for pacemakers: it has no place before a nurse has looked."""
    await keep(hall)
    visit, ids = await morning(hall, "MRIHEAD", "ECG12")
    names, because, _ = await told(hall, visit)
    assert names == ["心电图", "头颅磁共振"]
    assert because[1].startswith("您装了心脏起搏器吗？")
    await nurse(hall, visit, [], [ids["MRIHEAD"]])
    names, because, _ = await told(hall, visit)
    assert names[0] == "头颅磁共振"  # its result takes longest


async def nurse(hall: Hall, visit: UUID, first: list[UUID], cleared: list[UUID], **more: Any) -> None:
    """The guide desk says which come first."""
    actor = Actor(ActorKind.STAFF, new_id(), more.get("hospital", hall.hospital), Role.GUIDE)
    async with hall.db.begin() as tx:
        await nursing.pin(tx, more.get("actor", actor), visit, first, cleared)


async def test_the_nurses_word_wins_and_only_hers(hall: Hall) -> None:
    """She pins the picture; another hospital's nurse, the patient and a strange order change nothing; rules stand."""
    await keep(hall)
    visit, ids = await morning(hall, "ECG12", "BLOODCARD", "USABD", "GASTRO")
    assert (await told(hall, visit))[0][0] != "心电图"
    for wrong, error in (
        ({"hospital": new_id()}, NotFoundError),
        ({"actor": Actor(ActorKind.PERSON, new_id())}, ForbiddenError),
        ({"actor": Actor(ActorKind.STAFF, new_id(), hall.hospital, Role.FINANCE)}, ForbiddenError),
    ):
        with pytest.raises(error):
            await nurse(hall, visit, [ids["ECG12"]], [], **wrong)
    with pytest.raises(NotFoundError):
        await nurse(hall, visit, [new_id()], [])
    with pytest.raises(nursing.PinBreaksRulesError):  # the stomach only after the ultrasound
        await nurse(hall, visit, [ids["GASTRO"]], [ids["GASTRO"]])
    assert await hall.count(NurseWord) == 0
    await nurse(hall, visit, [ids["ECG12"]], [])
    names, because, _ = await told(hall, visit)
    assert (names[0], because[0]) == ("心电图", "先心电图：护士安排的。")


async def test_advice_is_remembered_and_kept(hall: Hall) -> None:
    """The sweep remembers each order once; what it remembers stays for less than five minutes' gain, and ends."""
    await keep(hall)
    visit, ids = await morning(hall, "ECG12", "DRCHEST")
    async with hall.db.begin() as tx:
        assert [await ordering.sweep(tx), await ordering.sweep(tx)] == [1, 0]
        kept = await tx.get(Advice, visit)
        assert kept is not None
        first = [a[0] for a in kept.arrivals]
        assert sorted(first) == sorted(str(i) for i in ids.values())
        kept.arrivals = kept.arrivals[::-1]  # as if the other way had been advised
    names, _, _ = await told(hall, visit)
    assert names == [{str(ids["ECG12"]): "心电图", str(ids["DRCHEST"]): "胸片"}[key] for key in first[::-1]]
    await hall.say(Teller("A", 50).confirmed("ECG12"))
    async with hall.db.begin() as tx:
        assert await ordering.sweep(tx) == 0
    assert await hall.count(Advice) == 0


async def test_what_a_page_showed_first_is_what_was_advised(hall: Hall) -> None:
    """She looks before the sweep comes by: the sweep stays with what she saw, and waits for no page."""
    await keep(hall)
    visit, _ = await morning(hall, "DRCHEST", "DRLIMB")
    names, _, _ = await told(hall, visit)
    async with hall.db.begin() as tx:
        kept = await tx.get(Advice, visit)
        assert kept is not None
        assert len(kept.arrivals) == len(names) == 2
        kept.arrivals = seen = kept.arrivals[::-1]  # either way is as short
    async with hall.db.begin() as page:
        assert await ordering._turns(page, [visit]) == {visit}
        async with hall.db.begin() as tx:
            assert await ordering.sweep(tx) == 0
    async with hall.db.begin() as tx:
        assert [await ordering.sweep(tx), await ordering.sweep(tx)] == [1, 0]
        kept = await tx.get(Advice, visit)
        assert kept is not None
        assert [a[0] for a in kept.arrivals] == [a[0] for a in seen]
    assert (await told(hall, visit))[0] == names[::-1]


async def test_who_has_reported_goes_on_there(hall: Hall) -> None:
    """Reported at the ECG, though blood first were better."""
    await keep(hall)
    visit, ids = await morning(hall, "BLOODCARD", "ECG12")
    async with hall.db.begin() as tx:
        order = await orders.order_by_id(tx, ids["ECG12"])
        assert order is not None
        await orders.check_in(tx, order, tx.now)
    names, because, _ = await told(hall, visit)
    assert (names[0], because[0]) == ("心电图", "先心电图：您已经报到，先做完这一项。")


async def test_queues_that_are_known_are_reckoned_with(hall: Hall) -> None:
    """Thirty wait at the ECG, one at the picture: the picture first, though the paper says otherwise."""
    visit, _ = await morning(hall, "ECG12", "DRLIMB")
    await keep(hall, rules=[])
    teller = Teller("A", 60)
    for code, ahead in (("ECG12", 30), ("DRLIMB", 0)):
        word = {"order_no": f"{code}A", "ahead": ahead, "called": False, "at": at(2)}
        await hall.say(teller.item("queue.moved", word))
    names, because, note = await told(hall, visit)
    assert (names, note) == (["四肢拍片", "心电图"], None)
    assert because[0] == "先四肢拍片：结果要30分钟。"


async def test_an_appointment_is_kept(hall: Hall) -> None:
    """The ECG is booked from 9:20 to 9:30: others go before it; moved into the past, she goes to the desk."""
    await keep(hall)
    window = {"from": at(20), "until": at(30), "at": at(1)}
    visit, _ = await morning(hall, "ECG12", appointment=window)
    await hall.say(placed(Teller("A", 40), "BLOODBASIC"), placed(Teller("A", 41), "DRCHEST"))
    names, because, _ = await told(hall, visit)
    assert names[0] != "心电图"  # there is time before it
    assert "预约的是9:20到9:30" in because[names.index("心电图")]
    past = {"from": at(-30), "until": at(-10), "at": at(2)}
    await hall.say(placed(Teller("A", 50), "ECG12", appointment=past))
    names, because, _ = await told(hall, visit)
    assert (names[-1], because[-1]) == ("心电图", MISSES_APPOINTMENT)
    assert await hall.statuses(placed(Teller("A", 60), "ECG12", appointment=window | {"at": at(3)})) == ["accepted"]
    names, because, _ = await told(hall, visit)  # there and back: the first window holds again
    assert "预约的是9:20到9:30" in because[names.index("心电图")]


async def test_a_hidden_examination_changes_nothing_for_who_may_not_know(hall: Hall) -> None:
    """With and without what is hidden, done or open, pinned or advised: the companion's order is the same."""
    await keep(hall)
    visit, _ = await morning(hall, "ECG12", "DRCHEST", "URINE")
    before = (await told(hall, visit, WATCHER))[0]
    teller = Teller("A", 70)
    hidden = {"category": "gynaecology"}
    await hall.say(placed(teller, "USGYN", **hidden), placed(teller, "NST", **hidden), teller.confirmed("NST"))
    gyn = orders.order_id(hall.hospital, "USGYNA")
    await nurse(hall, visit, [gyn], [])
    async with hall.db.begin() as tx:
        await ordering.sweep(tx)
    mine = (await told(hall, visit))[0]
    assert mine[0] == "妇科彩超"
    assert (await told(hall, visit, WATCHER))[0] == before
