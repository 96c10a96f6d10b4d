"""The nurse's word: what comes first, what later and why, and who may say it; nobody who has reported is moved."""

from datetime import timedelta
from uuid import UUID

import pytest

from guide.models import NurseWord
from guide.service import nursing
from guide.service.nursing import Later
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from people.rules import Actor, ActorKind, Role
from tests.guide.test_ordering import WATCHER, keep, morning, told
from tests.intake.conftest import Hall
from visits.service import orders


def guide(hall: Hall, role: Role = Role.GUIDE) -> Actor:
    """A nurse of this hospital."""
    return Actor(ActorKind.STAFF, new_id(), hall.hospital, role)


async def first(hall: Hall, visit: UUID, order: UUID, reason: str) -> None:
    """She puts one first."""
    async with hall.db.begin() as tx:
        await nursing.pin(tx, guide(hall), visit, [order], reason=reason)


async def put_off(hall: Hall, visit: UUID, order: UUID, later: Later, reason: str = "busy") -> None:
    """She puts one off."""
    async with hall.db.begin() as tx:
        await nursing.put_off(tx, guide(hall), visit, order, later, reason)


async def test_first_and_later_with_a_reason(hall: Hall) -> None:
    """Put first, put off until half past nine, put behind another: she reads who says it and why; the last word counts;
    taken back, the planner decides again. Who follows reads no reasons."""
    await keep(hall)
    visit, ids = await morning(hall, "ECG12", "DRCHEST", "BLOODBASIC")
    mine = (await told(hall, visit))[0]
    await first(hall, visit, ids["ECG12"], "quiet")
    names, because, _ = await told(hall, visit)
    assert because[0] == "先心电图：护士安排的，那边现在人少。"
    async with hall.db.begin() as tx:
        half_past = tx.now + timedelta(minutes=30)
    await put_off(hall, visit, ids["ECG12"], Later(until=half_past))
    names, because, _ = await told(hall, visit)
    assert (names[-1], because[-1]) == ("心电图", "最后心电图：护士说9:30以后再去，那边现在忙不过来。")
    assert not any("那边现在人少" in said for said in because)
    await put_off(hall, visit, ids["DRCHEST"], Later(after=ids["ECG12"]), "doctor")
    names, because, _ = await told(hall, visit)
    assert names == ["抽血：血常规、C反应蛋白", "心电图", "胸片"]
    assert because[2] == "最后胸片：护士说心电图做完再去，医生这样要求。"
    assert (await told(hall, visit, WATCHER))[1] == [None] * 3
    async with hall.db.begin() as tx:
        await nursing.unpin(tx, guide(hall), visit)
    names, because, _ = await told(hall, visit)
    assert names == mine
    assert not any("护士" in said for said in because)


async def test_what_she_may_not(hall: Hall) -> None:
    """Not where she has reported, not in a circle, not without a reason, not yesterday; not finance, not another
    hospital, not the patient: each time the word stays as it was."""
    await keep(hall)
    visit, ids = await morning(hall, "ECG12", "DRCHEST", "BLOODBASIC")
    ecg, chest, blood = ids["ECG12"], ids["DRCHEST"], ids["BLOODBASIC"]
    async with hall.db.begin() as tx:
        now = tx.now
        order = await orders.order_by_id(tx, blood)
        assert order is not None
        await orders.check_in(tx, order, tx.now)
    await put_off(hall, visit, ecg, Later(after=chest))
    soon = Later(until=now + timedelta(hours=1))
    for later, one, reason, refusal in (
        (soon, blood, "busy", nursing.ReportedError),
        (Later(after=ecg), chest, "busy", nursing.PinBreaksRulesError),
        (soon, chest, "因为", nursing.BadReasonError),
        (Later(), chest, "busy", nursing.BadReasonError),
        (Later(after=chest), chest, "busy", nursing.BadReasonError),
        (Later(until=now - timedelta(minutes=1)), chest, "busy", nursing.BadReasonError),
        (Later(until=now + timedelta(hours=13)), chest, "busy", nursing.BadReasonError),
        (soon, new_id(), "busy", NotFoundError),
    ):
        async with hall.db.begin() as tx:  # which goes on, as that of a page does that says so
            with pytest.raises(refusal):
                await nursing.put_off(tx, guide(hall), visit, one, later, reason)
    async with hall.db.begin() as tx:
        word = await tx.get(NurseWord, visit)
        assert word is not None
        assert (word.first, list(word.later)) == ([], [str(ecg)])
    elsewhere = Actor(ActorKind.STAFF, new_id(), new_id(), Role.GUIDE)
    for actor, error in (
        (guide(hall, Role.FINANCE), ForbiddenError),
        (Actor(ActorKind.PERSON, new_id()), ForbiddenError),
        (elsewhere, NotFoundError),
    ):
        with pytest.raises(error):
            async with hall.db.begin() as tx:
                await nursing.unpin(tx, actor, visit)
    await first(hall, visit, chest, "unwell")  # behind the blood, where she has reported
    names, because, _ = await told(hall, visit)
    assert names == ["抽血：血常规、C反应蛋白", "胸片", "心电图"]
    assert because[0] == "先抽血：血常规、C反应蛋白：您已经报到，先做完这一项。"
    async with hall.db.begin() as tx:
        word = await tx.get(NurseWord, visit)
        assert word is not None
        assert (word.first, word.reason, set(word.later)) == ([str(chest)], "unwell", {str(ecg)})
