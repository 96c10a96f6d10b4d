"""No push says what nobody may read over a shoulder: every fact is made full of secrets, and every byte looked into."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from billing.service import lines as billing
from billing.service.lines import ChargeFact
from family_pay.service import bonds, news
from kernel.db import Tx
from notices.rules import Row
from notices.rules.messages import FIELDS, Masked, Place, Slots, compose
from notices.rules.reach import REACH, Channel, Kind, fact_of
from people.rules import Audience
from people.service import grants, hospitals
from tests.notices.conftest import Reach
from tests.notices.test_reach import end_visit
from tests.visits.ward import visit_row
from visits.rules import ResultState
from visits.service import encounters, orders
from visits.service.orders import OrderFact

SECRET = "机密"  # every text that comes from outside and may hold one carries this
NAMES = ("朱桂芳", "陈敏", "刘芸")


async def full_of_secrets(reach: Reach, tx: Tx, number: int, department: str, category: str | None) -> None:
    """An order, its queue, charge, execution and result, all whose texts are secrets."""
    hospital = await hospitals.by_id(tx, reach.ward.hospital)
    visit = await visit_row(tx, reach.ward)
    encounter = encounters.encounter_id(hospital.id, f"E{reach.ward.day}")
    fact = OrderFact(
        number=f"S{number}",
        encounter_id=encounter,
        kind="lab",
        name=f"{SECRET}检查",
        department=department,
        place=f"{SECRET}位置",
        preparation=(f"{SECRET}准备",),
        note=f"{SECRET}备注",
        category=category,
        ordered_by=f"{SECRET}医生",
        ordered_at=tx.now,
        sequence=number,
    )
    order = await orders.place(tx, hospital, visit, fact)
    charge = ChargeFact(f"SC{number}", order.id, SECRET, f"{SECRET}费", "1", 700, 700, 0, 0, 700, "A", tx.now)
    await billing.record(tx, hospital, visit, charge)
    await tx.flush()


async def all_happens(reach: Reach, number: int) -> None:
    """That order's queue moves, it is called, performed, and its report comes."""
    identity = orders.order_id(reach.ward.hospital, f"S{number}")
    for ahead, called in ((2, False), (0, True)):
        reach.ward.clock.move(timedelta(seconds=1))

        async def move(tx: Tx, ahead: int = ahead, called: bool = called) -> None:
            order = await orders.order_by_id(tx, identity)
            assert order is not None
            await orders.queue_moved(tx, order, ahead=ahead, called=called, room=f"{SECRET}诊室", at=tx.now)

        await reach.do(move)
        await reach.run(seconds=10)

    async def perform(tx: Tx) -> None:
        order = await orders.order_by_id(tx, identity)
        assert order is not None
        await orders.perform(tx, order, by=f"{SECRET}护士", where=f"{SECRET}窗口", at=tx.now, covers_all=True)
        summary = f"{SECRET}结果"
        await orders.result_ready(tx, order, state=ResultState.FINAL, flag="critical", summary=summary, at=tx.now)

    await reach.do(perform)
    await reach.run(minutes=3)


async def test_every_fact_full_of_secrets(reach: Reach) -> None:
    """All kinds of facts go out by all three channels, for an open and for a sensitive department: no whole name, item,
    department, result or room, nothing the HIS wrote; and nothing at all of the closed one to relatives."""
    await reach.ring("mother")
    for number, (department, category) in enumerate((("BLOOD", None), ("GYNE", "gynaecology")), 1):
        await reach.do(partial(full_of_secrets, reach, number=number, department=department, category=category))
        await reach.run(minutes=3)
        await all_happens(reach, number)
    await end_visit(reach)
    await reach.run(minutes=11)
    await reach.wish("mother", basic=True)
    await reach.do(partial(full_of_secrets, reach, number=3, department="GYNE", category="gynaecology"))
    await reach.run(minutes=3)
    await reach.wish("mother", basic=False, off_channels=frozenset({Channel.WECHAT}))
    news_of = {"what": "asked", "bond": str(uuid4()), "relation": SECRET, "who": "陈*", "note": SECRET}
    await reach.do(lambda tx: news.tell(tx, {reach.person("mother"): {"family": news_of}}))

    async def end(tx: Tx) -> None:
        (first, *_) = await grants.of_relative(tx, reach.person("daughter"))
        await bonds.withdraw(tx, reach.ward.actors["mother"], first.bond)

    await reach.do(end)
    await reach.run(minutes=31)
    told = {row[0] for row in await reach.rows("SELECT DISTINCT kind FROM notice WHERE state IN ('spent', 'waiting')")}
    assert told >= {"step", "turn", "called", "next", "critical", "bill", "due", "asked", "ended"}
    assert {channel for channel, *_ in reach.outside.log} == {"wechat", "web_push", "sms"}
    everything = json.dumps(reach.outside.log, ensure_ascii=False)
    departments = [d.name for d in await reach.do(lambda tx: hospitals.departments(tx, reach.ward.hospital))]
    for secret in (SECRET, *NAMES, *departments, "GYNE", "gynaecology", "blood", "19900000002", "999901"):
        assert secret not in everything.replace("19900000001", "to"), secret
    gyn_place = (await reach.do(lambda tx: hospitals.department(tx, reach.ward.hospital, "GYNE"))).place
    assert gyn_place not in everything
    # The daughter pays and sees bills; of the sensitive department she was told nothing, only what is to be paid.
    hers = [texts for _, kind, to, texts in reach.outside.log if to == "o-daughter" and kind not in ("due", "ended")]
    assert len(hers) == 1
    assert "¥7.00" in hers[0]


def test_a_masked_name_that_shows_more_is_none() -> None:
    """Whoever puts a whole name into the slot is stopped, in the first test that runs over it."""
    assert [Masked(n) for n in ("朱**", "*", "陈*")] == ["朱**", "*", "陈*"]
    for whole in ("朱桂芳", "朱桂*", "陈敏*", "", "朱"):
        with pytest.raises(ValueError, match="masked"):
            Masked(whole)


def test_a_sensitive_place_is_no_place() -> None:
    """The order's category or its department's: either is enough."""
    assert Place.of("2 楼", None, None) == "2 楼"
    assert Place.of("2 楼", "gynaecology", None) is None
    assert Place.of("2 楼", None, "psychiatry") is None


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_said_with_nothing(kind: Kind) -> None:
    """Whatever slots are missing there is a sentence, and all fields of templates are there as texts."""
    message = compose(kind, Slots(), "/x", datetime(2026, 11, 22, 3, 0, tzinfo=UTC))
    assert set(message.fields) == set(FIELDS)
    assert "{" not in message.body + message.title
    assert REACH[kind].why


def test_rows_of_no_kind_make_no_fact() -> None:
    """A row that is not told, or is shaped otherwise, is no fact; nothing raises within somebody's transaction."""
    at = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    for kind, payload in (
        ("bill.line", {"line": {"state": "planned", "id": "x", "pay_first": False}}),
        ("bill.line", {"line": {"state": "billable", "id": "x", "pay_first": True}}),
        ("step", {"step": {"state": "performed", "kind": "registration", "id": "x"}}),
        ("step", {"step": {"state": "cancelled", "kind": "lab", "id": "x"}}),
        ("step", {"n": 1}),
        ("visit", {"visit": {"state": "ended", "due_at": None}}),
        ("payment", {"payment": {"state": "share_paid", "id": "x"}}),
        ("family", {"family": {"what": "somethingelse"}}),
        ("message", {"text": SECRET}),
    ):
        assert fact_of(Row(uuid4(), 1, at, kind, Audience.STEPS, None, payload)) is None
