"""WeChat's callbacks: what is forged, stale, recorded or does not fit is refused, counted, and changes nothing."""

from typing import Any
from uuid import UUID

import httpx
from prometheus_client import CollectorRegistry

from payments import flows
from payments.models import NoticeSeen
from tests.payments.conftest import DAUGHTER, Bill, House

CALLBACK = "/api/callbacks/wechat-pay"


async def offered(house: House) -> tuple[Bill, UUID, str]:
    """Ready to be paid; WeChat itself keeps quiet."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    return bill, attempt, (await house.attempt(attempt)).out_trade_no


def counted(house: House, outcome: str) -> float:
    """How many notices ended so."""
    registry: CollectorRegistry = house.world.metrics.registry
    return registry.get_sample_value("houfu_pay_notices_total", {"outcome": outcome}) or 0.0


async def test_a_forged_notice(house: House) -> None:
    """The money is really there, but this word of it is not WeChat's: 401, and nothing changes until a true one."""
    _, attempt, number = await offered(house)
    await house.bridge(attempt)
    before = await house.snapshot()
    ways = ("bad_signature", "tamper", "stale", "wrong_serial", "unsigned")
    for spoil in ways:
        told = await house.control("/control/notify", {"out_trade_no": number, "spoil": spoil})
        assert (spoil, told["status"]) == (spoil, 401)
        assert await house.snapshot() == before
    assert counted(house, "forged_notice") == len(ways)
    told = await house.control("/control/notify", {"out_trade_no": number})
    assert told["status"] == 204
    assert (await house.attempt(attempt)).state == "paid"


MISFITS: dict[str, dict[str, Any]] = {
    "amount less": {"amount": {"total": 1}},
    "amount more": {"amount": {"total": 10_000_000}},
    "payer": {"payer": {"openid": DAUGHTER}},
    "transaction": {"transaction_id": None},
    "app": {"appid": "wxforeign"},
    "merchant": {"mchid": "1999999999"},
    "number": {"out_trade_no": "HF00000000NOBODY"},
}


async def test_a_true_signature_on_something_that_does_not_fit(house: House) -> None:
    """Signed by WeChat, yet another amount, payer, app, merchant or number: refused, alarm, no change."""
    _, attempt, number = await offered(house)
    await house.bridge(attempt)
    before = await house.snapshot()
    for what, overrides in MISFITS.items():
        told = await house.control("/control/notify", {"out_trade_no": number, "overrides": overrides})
        assert (what, told["status"] // 100) == (what, 4)
        assert await house.snapshot() == before
    assert (await house.attempt(attempt)).state == "offered"
    assert counted(house, "pay_mismatch") == 4
    assert counted(house, "taken") == 0


async def test_said_but_not_paid(house: House) -> None:
    """A genuine notice of an order nobody paid changes nothing."""
    _, attempt, number = await offered(house)
    told = await house.control("/control/notify", {"out_trade_no": number})
    assert told["status"] == 204
    assert (await house.attempt(attempt)).state == "offered"
    assert (await house.ledger()).get("cash_wechat", 0) == 0


async def test_the_same_bytes_again(house: House) -> None:
    """Recorded and sent again: refused within minutes as a replay, the next day as stale; booked once."""
    bill, attempt, number = await offered(house)
    await house.bridge(attempt)
    told = await house.control("/control/notify", {"out_trade_no": number})
    assert told["status"] == 204
    before = await house.snapshot()
    assert (await house.control("/control/notify", {"replay": told["id"]}))["status"] == 409
    assert counted(house, "replayed") == 1
    house.clock.move(days=1)
    assert (await house.control("/control/notify", {"replay": told["id"]}))["status"] == 401
    assert await house.snapshot() == before
    assert (await house.ledger())["cash_wechat"] == bill.owed


async def test_wechat_says_it_twice(house: House) -> None:
    """The platform repeats a notice, signed anew: taken as heard, booked once."""
    bill = await house.bill()
    await house.behave({"on": "notify", "do": "duplicate"})
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.town.pay.notifier.quiet()
    assert counted(house, "taken") == 1
    assert counted(house, "again") == 1
    assert await house.count(NoticeSeen) == 1
    assert (await house.ledger())["cash_wechat"] == bill.owed == house.taken


async def test_a_day_late(house: House) -> None:
    """Written a day ago, signed a day ago, first heard now: refused as stale."""
    _, attempt, number = await offered(house)
    await house.bridge(attempt)
    now = house.clock.shift
    house.clock.move(days=-1)
    house.town.pay.notifier._now = (lambda then: lambda: then)(house.clock())
    house.clock.shift = now
    before = await house.snapshot()
    told = await house.control("/control/notify", {"out_trade_no": number})
    assert told["status"] == 401
    assert await house.snapshot() == before


async def test_anybody_may_knock(house: House) -> None:
    """Rubbish from anybody: 401 in the platform's form, nothing said about why."""
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as client:
        for body in (b"", b"{}", b"[]", b"x" * 70_000):
            answer = await client.post(CALLBACK, content=body)
            assert (answer.status_code, answer.json()) == (401, {"code": "FAIL", "message": "refused"})
    assert await house.count(NoticeSeen) == 0


async def test_a_wrong_amount_found_by_asking(house: House) -> None:
    """WeChat's own books say another amount than ours: nothing is booked, a person is called."""
    _, attempt, _ = await offered(house)
    await house.bridge(attempt)
    order = next(iter(house.town.pay.books.orders.values()))
    order.total += 1
    await flows.look(house.db, house.pay, attempt)
    found = await house.attempt(attempt)
    assert (found.state, found.trouble) == ("offered", "mismatch:amount")
    assert "cash_wechat" not in await house.ledger()
