"""The HIS's sender against a Houfu that fails in every way the contract knows: nothing lost, the same batch again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kernel.clock import wall_clock
from sandbox.his import commands
from sandbox.his.clinic import Clinic
from sandbox.his.generate import Clock, Day
from sandbox.his.noise import CALM, ROUGH, STORM, Noise, Weather
from sandbox.his.player import Player
from sandbox.his.sender import Sender, StuckError
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from tests.sandbox.houfu_stub import SECRET, HoufuStub, payable

Make = Callable[..., Sender]
INBOUND = Key("in-1", SECRET)


@pytest.fixture
def houfu() -> HoufuStub:
    """The receiving end."""
    return HoufuStub()


@pytest.fixture
async def sender_for(serving: Any, houfu: HoufuStub) -> AsyncIterator[Callable[..., Sender]]:
    """``sender_for(clinic, **options)``: a sender over real loopback HTTP."""
    async with serving(houfu) as url, httpx.AsyncClient(trust_env=False) as client:

        def make(clinic: Clinic, key: Key = INBOUND, **options: Any) -> Sender:
            return Sender(clinic.books, client, url, key, signing_now=wall_clock, **options)

        yield make


def child_visit(clinic: Clinic) -> str:
    player = Player(clinic)
    run = player.start("child")
    while not run.finished:
        player.step(run)
    assert run.encounter is not None
    return run.encounter


async def test_a_visit_arrives_whole_and_in_order(clinic: Clinic, houfu: HoufuStub, sender_for: Make) -> None:
    """Signed batches of ten; every item answered once; nothing waits afterwards."""
    child_visit(clinic)
    items = list(clinic.books.outbox.values())
    taken = await sender_for(clinic, size=10).drain()
    assert taken == len(houfu.batches) == -(-len(items) // 10)
    assert [i for batch in houfu.batches for i in batch] == items
    assert clinic.books.outbox == {}
    assert {a["status"] for a in clinic.books.answers.values()} == {"accepted"}


@pytest.mark.parametrize("fault", [500, 502, 503, 429, "drop", "slow", "garbage", "short"])
async def test_an_unanswered_batch_is_sent_again_unchanged(
    clinic: Clinic, houfu: HoufuStub, sender_for: Make, fault: int | str
) -> None:
    """Errors, a lost answer, a late one, nonsense, one answer too few: the very same bytes come again."""
    child_visit(clinic)
    waiting = list(clinic.books.outbox)
    houfu.faults = [fault]
    sender = sender_for(clinic, size=10, timeout=1.5)
    assert await sender.once() == "again"
    assert list(clinic.books.outbox) == waiting
    assert clinic.books.answers == {}
    clinic.register(clinic.catalogue.by_key["elder"], "GMED")  # news meanwhile does not change the batch
    await sender.drain()
    assert houfu.bodies[0] == houfu.bodies[1]
    assert list(houfu.items) == [*waiting, list(clinic.books.answers)[-1]]
    assert len(clinic.books.answers) == len(waiting) + 1


async def test_nobody_there_means_again(clinic: Clinic) -> None:
    """The connection is refused: everything still waits."""
    child_visit(clinic)
    waiting = list(clinic.books.outbox)
    async with httpx.AsyncClient(trust_env=False) as client:
        sender = Sender(clinic.books, client, "http://127.0.0.1:9", INBOUND, timeout=0.5)
        assert await sender.once() == "again"
        with pytest.raises(StuckError):
            await sender.drain(tries=3)
    assert list(clinic.books.outbox) == waiting


async def test_a_wrong_secret_is_turned_away(clinic: Clinic, houfu: HoufuStub, sender_for: Make) -> None:
    """401: nothing taken, nothing forgotten."""
    child_visit(clinic)
    sender = sender_for(clinic, key=Key("in-1", "wrong"))
    assert await sender.once() == "refused"
    assert (houfu.statuses, houfu.items) == ([401], {})
    assert len(clinic.books.outbox) > 0


async def test_a_too_big_batch_is_cut_in_half(clinic: Clinic, houfu: HoufuStub, sender_for: Make) -> None:
    """413: half of it is tried, and everything arrives in the end."""
    child_visit(clinic)
    count = len(clinic.books.outbox)
    houfu.faults = [413]
    await sender_for(clinic, size=20).drain()
    assert [len(b) for b in houfu.batches][:1] == [10]
    assert len(houfu.items) == count


async def test_faults_of_the_events_side(clinic: Clinic, houfu: HoufuStub, sender_for: Make) -> None:
    """Bad signature, stale date, bad items, an old item, a repetition: each as told, once, and all is well after."""
    child_visit(clinic)
    count = len(clinic.books.outbox)
    sender = sender_for(clinic, size=10)
    sender.behaviour.be("bad_signature")
    assert await sender.once() == "refused"
    sender.behaviour.be("bad_items")
    sender.behaviour.be("old_events")
    sender._batch = None
    assert await sender.once() == "taken"
    ids = [i["id"] for i in houfu.batches[-1]]
    assert sum(i.startswith("bad-") for i in ids) == 3
    (old,) = [i for i in houfu.batches[-1] if i["id"].startswith("old-")]
    assert (old["sequence"], old["type"]) == (1, "encounter.started")
    sender.behaviour.be("repeat")
    await sender.drain()
    said = [i["id"] for batch in houfu.batches for i in batch]
    real = [i for i in said if i.startswith("e-")]
    assert len(set(real)) == count
    assert len(real) == count + 10
    assert sorted(a["status"] for a in clinic.books.answers.values() if a["status"] == "rejected") == ["rejected"] * 3


async def test_held_and_lost_items(clinic: Clinic, houfu: HoufuStub, sender_for: Make) -> None:
    """Held: nothing leaves. Lost: the first batch is never said, the books remember which."""
    child_visit(clinic)
    first = list(clinic.books.outbox)[:10]
    sender = sender_for(clinic, size=10)
    sender.behaviour.be("hold")
    assert await sender.once() == "nothing"
    assert houfu.batches == []
    sender.behaviour.be("lose")
    await sender.drain()
    assert list(clinic.books.lost) == first
    assert not set(first) & set(houfu.items)


async def test_the_running_sender_says_news_at_once(
    clinic: Clinic, houfu: HoufuStub, sender_for: Make, clock: Clock
) -> None:
    """While it runs, an event is at Houfu long before the idle pause is over, here a minute."""
    sender = sender_for(clinic)
    idle = sender._wait

    async def long_idle(seconds: float) -> None:
        await idle(60 * seconds)

    sender._wait = long_idle  # type: ignore[method-assign]
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(0.05)
    child_visit(clinic)
    async with asyncio.timeout(15):
        while clinic.books.outbox:
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(houfu.items) == len(clinic.books.answers)


def test_the_same_seed_is_the_same_day(clinic: Clinic, clock: Clock) -> None:
    """Two days of seed 7 are equal to the byte; seed 8 is another day."""

    def day(seed: int) -> list[Any]:
        mine = Clock(clock.at)
        own = Clinic(type(clinic.books)("HF01", mine), clinic.catalogue)
        Day(own, mine, seed, visits=30).run()
        return list(own.books.outbox.values())

    assert day(7) == day(7)
    assert day(7) != day(8)


@pytest.mark.parametrize("weather", [CALM, ROUGH, STORM], ids=["calm", "rough", "storm"])
async def test_whatever_the_weather_the_bill_is_right(
    clinic: Clinic, clock: Clock, houfu: HoufuStub, sender_for: Make, weather: Weather
) -> None:
    """120 patients, items doubled, renamed, shuffled, lost: what arrived adds up to the books' right bills."""
    day = Day(clinic, clock, seed=11, visits=120)
    day.run()
    facts = {i["id"] for i in clinic.books.outbox.values()}
    noise = Noise(3, weather)
    sender = sender_for(clinic, size=200, noise=noise)
    houfu.faults = [200, "drop", 503, "slow"]
    await sender.drain()
    touched = noise.make_up(clinic.books)
    await sender.drain()

    right = {no: fen for bill in day.bills().values() for no, fen in bill.payable.items()}
    assert payable(list(houfu.items.values())) == right
    assert len(right) > 500
    lost = facts - set(houfu.items)
    assert (len(lost) > 50, len(touched) > 20) == ((True, True) if weather.lost else (False, False))
    assert lost <= set(clinic.books.lost)  # repetitions may be lost as well
    repeated = sum(len(b) for b in houfu.batches) - len(houfu.items)
    assert (repeated > 250) == bool(weather.again)


def test_a_day_has_everything_in_it(clinic: Clinic, clock: Clock) -> None:
    """300 patients produce every event type but the snapshot, every pile, two-encounter visits and partial work."""
    day = Day(clinic, clock, seed=5, visits=300)
    day.run()
    types = {i["type"] for i in clinic.books.outbox.values()}
    assert types >= {
        "encounter.started", "encounter.finished", "order.placed", "order.cancelled", "charge.created",
        "charge.reversed", "charge.settled", "execution.confirmed", "result.ready", "queue.moved", "visit.excluded",
    }  # fmt: skip
    bills = day.bills().values()
    for pile in ("payable", "planned", "gone", "at_window", "excluded"):
        assert any(getattr(b, pile) for b in bills), pile
    assert any(len(g.encounters) == 2 for g in day.guests)
    executions = [i["data"] for i in clinic.books.outbox.values() if i["type"] == "execution.confirmed"]
    assert any("order_no" not in e for e in executions)
    assert any("charge_nos" in e and "order_no" in e for e in executions)


async def test_the_server_sends_while_it_lives(serving: Any, houfu: HoufuStub, clock: Clock, tmp_path: Path) -> None:
    """The whole HIS on a simulated day , real signatures: what happens arrives, after a restart the rest."""
    async with serving(houfu) as url:
        first = His(url, INBOUND, [], now=clock, signing_now=wall_clock, journal=tmp_path / "his.jsonl")
        async with create_app(first).router.lifespan_context(None):
            child_visit(first.clinic)
            async with asyncio.timeout(15):
                while first.books.outbox:
                    await asyncio.sleep(0.01)
            first.behaviour.be("hold", times=None)
            await asyncio.sleep(0.05)
            late = first.clinic.register(first.catalogue.by_key["elder"], "GMED")
            await asyncio.sleep(0.05)
        assert late not in {i["subject"] for i in houfu.items.values()}

        second = His(url, INBOUND, [], now=clock, signing_now=wall_clock, journal=tmp_path / "his.jsonl")
        async with create_app(second).router.lifespan_context(None):
            async with asyncio.timeout(15):
                while second.books.outbox:
                    await asyncio.sleep(0.01)
        assert [i["type"] for i in houfu.items.values() if i["subject"] == late] == ["encounter.started"]
        assert len({i["id"] for b in houfu.batches for i in b}) == sum(len(b) for b in houfu.batches)


def test_a_day_obeys_what_is_abandoned_in_between(clinic: Clinic, clock: Clock) -> None:
    """Houfu abandons every third order as soon as it is placed: none of those is performed later, and the day ends."""
    day = Day(clinic, clock, seed=9, visits=60)
    seen: set[str] = set()
    abandoned: set[str] = set()
    while day.advance() is not None:
        fresh = [i for i in clinic.books.outbox.values() if i["type"] == "order.placed" and i["id"] not in seen]
        for item in fresh:
            seen.add(item["id"])
            if len(seen) % 3 == 0:
                order = item["data"]["order_no"]
                body = {"key": order, "kind": "abandon", "encounters": [item["subject"]], "data": {"order_no": order}}
                answer = commands.take(clinic.books, body | {"at": clock.at.isoformat()})
                abandoned |= {order} if answer["outcome"] == "done" else set()
    performed = {o for e in clinic.books.encounters.values() for o in e.performed_orders}
    assert len(abandoned) > 50
    assert performed & abandoned == set()
    assert clinic.books.complaints == []
