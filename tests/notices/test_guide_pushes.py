"""What the guide tells her on the way: where and how ready, when to set out, what next, who explains a result."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from guide.service import books, turns
from kernel.db import Tx
from notices import service as feeds
from people.rules import Depth, View
from people.service import hospitals
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.notices.conftest import Reach
from tests.visits.ward import visit_row
from visits.rules import ResultState
from visits.service import encounters, orders
from visits.service.orders import Order, OrderFact

FILE: dict[str, Any] = json.loads(HOSPITAL_FILE.read_text("utf-8"))
EXAMS = {one["code"]: one for one in FILE["order_templates"]}
BLOOD, ECG, US, PHARMACY, HEART = (
    next(d["place"] for d in FILE["departments"] if d["code"] == code)
    for code in ("BLOOD", "ECG", "US", "PHARM", "CARD")
)
NEIGHBOUR = View(Depth.STEPS, frozenset(), pays=False, owner=False)


async def ordered(reach: Reach, code: str, category: str | None = None, **more: Any) -> UUID:
    """The doctor orders this, as the hospital's file has it."""
    one = EXAMS.get(code, {"kind": "medication", "name": code, "department": "PHARM", "preparation": []})
    number = f"{code}{category or ''}-{reach.ward.day}"

    async def place(tx: Tx) -> UUID:
        hospital = await hospitals.by_id(tx, reach.ward.hospital)
        await books.keep(tx, hospital, FILE)
        encounter = encounters.encounter_id(hospital.id, f"E{reach.ward.day}")
        what = (one["kind"], one["name"], one["department"], None, one["preparation"])
        fact = OrderFact(
            number, encounter, *what, "一天两次，饭后吃", category, "周明远", tx.now, 9, more.get("window")
        )
        return (await orders.place(tx, hospital, await visit_row(tx, reach.ward), fact)).id

    made: UUID = await reach.do(place)
    return made


Act = Callable[[Tx, Order], Awaitable[Any]]


async def change(reach: Reach, identity: UUID, act: Act) -> None:
    """Something becomes of an order."""

    async def do(tx: Tx) -> None:
        order = await orders.order_by_id(tx, identity)
        assert order is not None
        await act(tx, order)

    await reach.do(do)
    reach.ward.clock.move(timedelta(milliseconds=1))


async def queue(reach: Reach, identity: UUID, ahead: int, *, called: bool = False) -> None:
    """The queue before it moves."""

    async def move(tx: Tx, order: Order) -> None:
        await orders.queue_moved(tx, order, ahead=ahead, called=called, room=None, at=tx.now)

    await change(reach, identity, move)


async def perform(reach: Reach, identity: UUID) -> None:
    """It is done."""

    async def done(tx: Tx, order: Order) -> None:
        await orders.perform(tx, order, by=None, where="", at=tx.now, covers_all=True)

    await change(reach, identity, done)


async def report(reach: Reach, identity: UUID, flag: str) -> None:
    """Its result comes."""

    async def come(tx: Tx, order: Order) -> None:
        await orders.result_ready(tx, order, state=ResultState.FINAL, flag=flag, summary="肌酐 180", at=tx.now)

    await change(reach, identity, come)


async def gone(reach: Reach, *names: str) -> None:
    """These of the ward's orders are taken back by the doctor."""
    for name in names:
        await change(reach, reach.ward.orders[name], lambda tx, order: orders.cancel(tx, order, tx.now))


async def look(reach: Reach) -> int:
    """The guide looks once over whose turn is near; how many it told."""
    near: Sequence[UUID] = await reach.do(turns.due)
    return sum([await reach.do(partial(turns.tell, order_id=one)) for one in near])


def hers(reach: Reach) -> list[tuple[str, str]]:
    """(kind, sentence) of what reached the mother by WeChat, in order, but for money."""
    said = [(str(kind), texts) for _, kind, to, texts in reach.outside.log if to == "o-mother" and kind != "bill"]
    return [(kind, next(t for t in texts if t.endswith("。"))) for kind, texts in said]


async def test_where_and_how_ready_at_once(reach: Reach) -> None:
    """An order says where to and what to do now; of something sensitive neither place nor preparation is said."""
    await ordered(reach, "USURO")
    await reach.run(minutes=2, seconds=1)
    await ordered(reach, "USGYN", "gynaecology")
    await reach.run(minutes=2, seconds=1)
    assert hers(reach) == [
        ("step", f"下一步请到{US}。现在开始喝水憋尿，有尿意了再去。"),
        ("step", "下一步安排好了，共 1 项。点开看怎么走、怎么准备。"),
    ]


async def test_it_is_time_to_go_by_minutes_not_by_heads(reach: Reach) -> None:
    """Two before her at eight minutes each are too early, three at five soon enough with the way; each told once."""
    ecg, blood = await ordered(reach, "ECG12"), await ordered(reach, "BLOODBASIC")
    await reach.run(minutes=3)
    reach.outside.clear()
    await queue(reach, ecg, 2)
    unknown = reach.ward.orders["ecg"]  # of which the hospital's file knows nothing: looked at in the same moment
    await queue(reach, unknown, 2)
    await reach.run(seconds=10)
    assert await look(reach) == 0  # sixteen minutes, and next door
    assert [kind for kind, _ in hers(reach)] == ["turn"]
    reach.outside.clear()
    await queue(reach, blood, 3)
    assert await look(reach) == 0
    reach.ward.clock.move(timedelta(minutes=3))
    assert [await look(reach), await look(reach)] == [1, 0]
    await reach.run(seconds=10)
    reach.ward.clock.move(timedelta(minutes=2))
    assert await look(reach) == 1
    await reach.run(seconds=10)
    assert hers(reach) == [
        ("soon", f"约10分钟后轮到您，走过去约2分钟，现在请到{BLOOD}。"),
        ("soon", f"约10分钟后轮到您，走过去约1分钟，现在请到{ECG}。"),
    ]
    await queue(reach, ecg, 1)
    assert await look(reach) == 0
    await reach.run(minutes=1)
    assert len(hers(reach)) == 2
    # Half an hour later nobody knows what the queue is, so nobody is sent.
    reach.ward.clock.move(timedelta(minutes=31))
    assert await look(reach) == 0


async def test_a_queue_shows_how_fast_it_moves(reach: Reach) -> None:
    """Three rooms call: nine before her at twelve minutes each are forty minutes, not two hours. While nobody has seen
    it move, one before her is soon; where it is known to crawl, one before her is not."""
    us = await ordered(reach, "USURO")
    await reach.run(minutes=3)
    reach.outside.clear()
    for ahead in (9, 6):
        await queue(reach, us, ahead)
        assert await look(reach) == 0
        reach.ward.clock.move(timedelta(minutes=12))
    await queue(reach, us, 3)
    assert await look(reach) == 1
    await reach.run(seconds=6)
    ((kind, said),) = hers(reach)
    assert (kind, said[:5]) == ("soon", "约10分钟")
    # Another day's door: the first word is one before her.
    first, second = await ordered(reach, "MRIHEAD"), await ordered(reach, "DRCHEST")
    await queue(reach, first, 1)
    assert await look(reach) == 1
    for ahead in (4, 3, 2, 1):
        await queue(reach, second, ahead)
        assert await look(reach) == 0
        reach.ward.clock.move(timedelta(minutes=20))


async def test_an_appointment_comes_near(reach: Reach) -> None:
    """From 11:30 to 12:00, nobody says anything of a queue: at 11:15 not yet, at 11:19 it is time."""
    begins = reach.ward.clock.time + timedelta(minutes=30)
    await ordered(reach, "ECG12", window=(begins, begins + timedelta(minutes=30)))
    await reach.run(minutes=15)
    assert await look(reach) == 0
    reach.outside.clear()
    await reach.run(minutes=4)
    assert await look(reach) == 1
    await reach.run(seconds=6)
    assert [kind for kind, _ in hers(reach)] == ["soon"]


async def test_a_turn_is_told_to_who_follows_and_of_nothing_hidden(reach: Reach) -> None:
    """The row is on the page of whoever sees her steps, without how she walks; of a hidden order there is none."""
    before: int = await reach.do(lambda tx: feeds.position(tx, reach.ward.visit))
    for code, category in (("ECG12", None), ("USGYN", "gynaecology")):
        await queue(reach, await ordered(reach, code, category), 0)
    assert await look(reach) == 2
    rows = [r for r in await reach.do(lambda tx: feeds.since(tx, reach.ward.visit, before)) if r.kind == "soon"]
    assert len(rows) == 2
    seen = [r.payload["soon"] for r in rows if NEIGHBOUR.shows(r.audience, r.category)]
    assert [(s["name"], set(s)) for s in seen] == [("心电图", {"id", "name", "place", "minutes"})]
    assert await reach.rows("SELECT count(*) FROM notice") == [(0,)]
    await reach.run(seconds=10)
    assert {to for _, kind, to, _ in reach.outside.log if kind == "soon"} == {"o-mother"}


async def test_done_and_where_next(reach: Reach) -> None:
    """Blood is drawn: where next, once. Done with two at once, only the last says it; reported there, nobody does."""
    await gone(reach, "ecg", "gyn")
    ecg = await ordered(reach, "ECG12")
    await reach.run(minutes=3)
    reach.outside.clear()
    await perform(reach, reach.ward.orders["blood"])
    await reach.run(seconds=21)
    assert hers(reach) == [("next", f"这一项做完了。下一步请到{ECG}，点开看怎么走。")]
    assert reach.outside.links == [f"https://houfu.test/visits/{reach.ward.visit}/guide"] * len(reach.outside.links)
    reach.outside.clear()
    first, second = await ordered(reach, "BLOODBASIC"), await ordered(reach, "DRCHEST")
    await reach.run(minutes=3)
    reach.outside.clear()
    await perform(reach, first)
    await perform(reach, second)
    await reach.run(seconds=21)
    assert [kind for kind, _ in hers(reach)] == ["next"]
    reach.outside.clear()
    third = await ordered(reach, "USURO")
    await reach.run(minutes=3)
    reach.outside.clear()
    await perform(reach, third)
    await change(reach, ecg, lambda tx, order: orders.check_in(tx, order, tx.now))
    await reach.run(seconds=21)
    assert hers(reach) == [("checked_in", f"报到好了，请在{ECG}等叫号。")]


async def test_reported_once(reach: Reach) -> None:
    """She reports with five before her; the queue moves on: it is confirmed once, with as many as there are then."""
    ecg = await ordered(reach, "ECG12")
    await reach.run(minutes=3)
    reach.outside.clear()
    await queue(reach, ecg, 6)
    await change(reach, ecg, lambda tx, order: orders.check_in(tx, order, tx.now))
    await queue(reach, ecg, 5)
    assert await reach.rows("SELECT kind FROM push_fact") == [("checked_in",)]  # no move of a queue costs a row more
    await reach.run(seconds=21)
    assert hers(reach) == [("checked_in", f"报到好了，前面还有 5 位，请在{ECG}等叫号。")]


async def test_results_lead_back_to_the_doctor(reach: Reach) -> None:
    """One of two: it is there. The last: back to the doctor. Abnormal: a doctor explains; critical passes the night."""
    await gone(reach, "blood", "ecg", "gyn")
    codes = ("ECG12", "BLOODBASIC", "DRCHEST", "DRLIMB")
    ecg, blood, chest, limb = [await ordered(reach, code) for code in codes]
    for one in (ecg, blood, chest, limb):
        await perform(reach, one)
    await reach.run(minutes=3)
    reach.outside.clear()
    await report(reach, ecg, "normal")
    await reach.run(seconds=31)
    await report(reach, blood, "abnormal")
    await reach.run(seconds=31)
    await reach.run(hours=10)
    await report(reach, limb, "critical")
    await reach.run(seconds=6)
    await report(reach, chest, "normal")
    await reach.run(minutes=1)
    assert hers(reach) == [
        ("result", "检查有一项结果出来了，点开看。"),
        ("abnormal", f"检查有一项结果要请医生看，请到{HEART}找医生。"),
        ("critical", f"检查有一项结果要医生马上看，请现在到{HEART}找医生。"),
        ("result", f"检查结果都出来了，请回{HEART}找医生。"),
    ]
    assert "180" not in json.dumps(reach.outside.log)


async def test_the_medicine_is_ready(reach: Reach) -> None:
    """The pharmacy calls: where to fetch it, and that the page says how to take it; neither is in the message."""
    medicine = await ordered(reach, "阿司匹林肠溶片")
    await reach.run(minutes=3)
    reach.outside.clear()
    await queue(reach, medicine, 0, called=True)
    await reach.run(seconds=11)
    assert hers(reach) == [("medicine", f"药配好了，请到{PHARMACY}取。怎么吃，点开看。")]
    assert not any(word in json.dumps(reach.outside.log, ensure_ascii=False) for word in ("阿司匹林", "饭后"))
