"""Our client against the sandbox's HIS, over real loopback HTTP: what is known, refused, unknown."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from adapters.his import HisAccess, HisClient
from kernel.clock import wall_clock
from kernel.outside import NotConfigured, Rejected, Throttled, Unknown
from sandbox.his.scripts import SCRIPTS
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from visits.ports import HisAnswer, HisCommand, HisCommands

AT = datetime(2026, 11, 22, 1, 31, 5, tzinfo=UTC)
OUT = Key("out-1", "outbound-secret")


@pytest.fixture
async def his() -> AsyncIterator[His]:
    """A hospital's system whose events nobody hears."""
    made = His("http://127.0.0.1:9", Key("in-1", "inbound-secret"), [Key("out-0", "older"), OUT])
    yield made
    await made.close()


@pytest.fixture
async def base_url(his: His, serving: Any) -> AsyncIterator[str]:
    """Where it listens."""
    async with serving(create_app(his, send=False)) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[HisClient]:
    """Ours, with a short patience."""
    async with HisClient(HisAccess(base_url, OUT.id, OUT.secret), wall_clock, answer_seconds=2) as made:
        yield made


def encounter(his: His) -> str:
    return his.clinic.register(his.catalogue.by_key["mother"], "CARD")


def command(no: str, kind: Any = "mark", key: str = "mark:1", **data: Any) -> HisCommand:
    return HisCommand(key, kind, [no], AT, data)


async def say(client: HisCommands, one: HisCommand) -> HisAnswer:
    """Send one command and have its answer."""
    (answer,) = await client.send([one])
    assert answer is not None
    return answer


async def test_a_command_is_done_once_however_often_it_is_sent(his: His, client: HisCommands) -> None:
    """The mark arrives three times: done each time, once in the books, as the contract's body."""
    no = encounter(his)
    answers = [await say(client, command(no)) for _ in range(3)]
    assert [(a.outcome, a.reason) for a in answers] == [("done", None)] * 3
    assert his.books.encounters[no].mode == "DEFERRED"
    (kept,) = his.books.commands.values()
    assert kept[0] == {
        "key": "mark:1", "kind": "mark", "encounters": [no], "at": "2026-11-22T01:31:05+00:00", "data": {},
    }  # fmt: skip
    assert his.books.complaints == []


async def test_a_refusal_is_an_answer(his: His, client: HisClient) -> None:
    """Abandon of a performed ECG: refused, "performed"; nothing was cancelled."""
    no = encounter(his)
    order = his.clinic.order(no, "ECG12")
    his.clinic.confirm(order)
    answer = await say(client, command(no, "abandon", "abandon:1", order_no=order))
    assert (answer.outcome, answer.reason) == ("refused", "performed")
    assert his.books.encounters[no].cancelled == {}


@pytest.mark.parametrize("fault", ["down", "silent", "slow", "late", "500_after", "garbage", "other_key"])
async def test_anything_unclear_is_unknown_and_may_be_sent_again(his: His, client: HisClient, fault: str) -> None:
    """Each fault raises Unknown; the same command sent again is done, and it was done once."""
    no = encounter(his)
    order = his.clinic.order(no, "ECHOHEART")
    abandon = command(no, "abandon", "abandon:1", order_no=order)
    his.behaviour.be(fault, seconds=3)
    with pytest.raises(Unknown):
        await say(client, abandon)
    assert (await say(client, abandon)).outcome == "done"
    said = [i for i in his.books.outbox.values() if i["type"] == "order.cancelled"]
    assert len(said) == 1
    assert list(his.books.commands) == ["abandon:1"]


async def test_performed_at_the_same_moment(his: His, client: HisClient) -> None:
    """The department is quicker: refused, the execution is on its way, the order stays."""
    no = encounter(his)
    order = his.clinic.order(no, "ECHOHEART")
    his.behaviour.be("refuse_abandon")
    answer = await say(client, command(no, "abandon", "abandon:1", order_no=order))
    assert (answer.outcome, answer.reason) == ("refused", "performed")
    assert [i["type"] for i in his.books.outbox.values()][-1] == "execution.confirmed"
    assert his.books.encounters[no].cancelled == {}


@pytest.mark.parametrize(("key_id", "secret"), [("out-1", "wrong"), ("out-9", OUT.secret)])
async def test_a_wrong_key_changes_nothing(his: His, base_url: str, key_id: str, secret: str) -> None:
    """The HIS answers 401: for us that is unknown, and there nothing happened; questions are not answered either."""
    no = encounter(his)
    async with HisClient(HisAccess(base_url, key_id, secret), wall_clock) as client:
        with pytest.raises(Unknown):
            await say(client, command(no))
        with pytest.raises(Unknown):
            await client.snapshot(no)
    assert his.books.commands == {}
    assert his.books.encounters[no].mode == "UPFRONT"


async def test_an_older_key_still_opens(his: His, base_url: str) -> None:
    """Two keys are valid at once, for rotation."""
    no = encounter(his)
    async with HisClient(HisAccess(base_url, "out-0", "older"), wall_clock) as client:
        assert (await say(client, command(no))).outcome == "done"


@pytest.mark.parametrize("missing", ["base_url", "key_id", "secret"])
async def test_without_address_or_key_nothing_is_sent(his: His, base_url: str, missing: str) -> None:
    """The hospital is not set up: said by name, nothing sent."""
    no = encounter(his)
    access = {"base_url": base_url, "key_id": OUT.id, "secret": OUT.secret} | {missing: ""}
    async with HisClient(HisAccess(**access), wall_clock) as client:
        with pytest.raises(NotConfigured) as caught:
            await say(client, command(no))
    assert caught.value.what == f"his.{missing}"
    assert his.books.commands == {}


async def test_a_dead_address_is_unknown_and_then_spared(his: His) -> None:
    """Five failures in a row open the breaker; then the client says "later" without trying."""
    async with HisClient(HisAccess("http://127.0.0.1:9", OUT.id, OUT.secret), wall_clock) as client:
        for _ in range(5):
            with pytest.raises(Unknown):
                await say(client, command("E1"))
        with pytest.raises(Throttled):
            await say(client, command("E1"))


async def test_the_snapshot_is_the_books(his: His, client: HisClient) -> None:
    """Everything of one encounter, rare characters whole."""
    no = his.clinic.register(his.catalogue.by_key["rare_a"], "CARD")
    his.clinic.confirm(his.clinic.order(no, "ECG12"))
    data = await client.snapshot(no)
    expected = his.books.snapshot(no)
    assert {k: v for k, v in data.items() if k != "as_of"} == {k: v for k, v in expected.items() if k != "as_of"}
    assert data["encounter"]["patient"]["name"] == "𠅤㛃"


@pytest.mark.parametrize("number", ["E-none", "E 空/格?x=1"])
async def test_an_unknown_encounter_is_said_so(client: HisClient, number: str) -> None:
    """404 is a definite no, whatever the number is made of."""
    with pytest.raises(Rejected) as caught:
        await client.snapshot(number)
    assert caught.value.reason == "no_such_encounter"


async def test_slots_are_half_hours_of_the_day(client: HisClient) -> None:
    """Cardiology on a Monday: two doctors, 7 + 6 half hours each, six places free; an unknown department is a no."""
    slots = await client.slots("CARD", date(2026, 11, 23))
    assert len(slots) == 26
    assert {s.doctor for s in slots} == {"周明远", "何静"}
    assert slots[0].begins.isoformat() == "2026-11-23T08:00:00+08:00"
    assert {(s.until - s.begins).total_seconds() for s in slots} == {1800.0}
    assert {s.free for s in slots} == {6}
    assert await client.slots("RESP", date(2026, 11, 22)) == []  # a Sunday
    with pytest.raises(Rejected):
        await client.slots("NONE", date(2026, 11, 23))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"slots": [{"id": 1}]}', "忙".encode("gb18030")])
async def test_nonsense_is_not_believed(serving: Any, body: bytes) -> None:
    """200 with a body outside the contract is unknown, for commands and questions."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with serving(app) as url, HisClient(HisAccess(url, OUT.id, OUT.secret), wall_clock) as client:
        with pytest.raises(Unknown):
            await say(client, command("E1"))
        with pytest.raises(Unknown):
            await client.slots("CARD", date(2026, 11, 23))


async def test_the_stage_buttons(his: His, base_url: str) -> None:
    """Start a script, step it, confirm an order as the desk would, read the bill, see an impossible act refused."""
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as stage:
        scripts = (await stage.get("/control/scripts")).json()["scripts"]
        assert [s["name"] for s in scripts] == list(SCRIPTS)
        run = (await stage.post("/control/scripts/cardiology/start")).json()
        for _ in range(3):
            step = (await stage.post(f"/control/visits/{run['id']}/step")).json()
        assert step["caption"] == "诊室：开了抽血、心电图、心脏彩超、动态心电图"
        orders, no = step["visit"]["orders"], step["visit"]["encounter"]
        done = await stage.post("/control/confirm", json={"order_no": orders["ecg"], "by": "k.ecg"})
        assert done.json() == {"execution_no": his.books.encounters[no].executions[-1]["execution_no"]}
        again = await stage.post("/control/confirm", json={"order_no": orders["ecg"]})
        assert (again.status_code, len(his.books.encounters[no].executions)) == (409, 2)
        bill = (await stage.get(f"/control/bill/{no}")).json()
        assert bill["total_fen"] == 100 + 2200
        assert (await stage.get("/control/bill/E-none")).status_code == 404
        assert (await stage.post("/control/visits/v9/step")).status_code == 404
        assert (await stage.post("/control/behave", json={"name": "fly"})).status_code == 422
        assert (await stage.post("/control/behave", json={"name": "down"})).json()["on"][0]["name"] == "down"
        assert (await stage.request("DELETE", "/control/behave")).json() == {"on": []}
        books = (await stage.get("/control/books")).json()
        assert books["waiting"] == len(his.books.outbox)
        json.dumps(books)


async def test_the_stage_walks_in_by_itself(his: His, base_url: str) -> None:
    """Register a patient by key, order and perform by hand; an act that is none is not found."""
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as stage:
        body = {"patient": "elder", "department": "GMED"}
        no = (await stage.post("/control/act/register", json=body)).json()["result"]
        order = (await stage.post("/control/act/order", json={"encounter": no, "template": "URINE"})).json()["result"]
        await stage.post("/control/confirm", json={"order_no": order})
        assert his.books.right_bill(no).total_fen == 1200
        assert (await stage.post("/control/act/close", json={})).status_code == 404
        assert (await stage.post("/control/act/finish", json={"nobody": 1})).status_code == 422
