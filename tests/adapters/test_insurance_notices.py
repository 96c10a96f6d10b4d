"""The payment centre's 6302 notices: genuine ones are read, forged ones change nothing, silence ends the trying."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from payments.ports import ForgedNotice
from tests.adapters.insurance_stand import Stand, a_stand


@pytest.fixture
async def stand(clock: Any, serving: Any) -> AsyncIterator[Stand]:
    async with a_stand(clock, serving) as made:
        yield made


async def test_a_notice_is_repeated_until_it_is_taken(stand: Stand) -> None:
    """Lost, then delivered twice: we read the same state twice, with the split and the order's number."""
    stand.behave("notify", "lose")
    stand.behave("notify", "duplicate")
    fees, credential, split = await stand.placed()
    await stand.move(credential, "pay")
    await stand.world.quiet()
    assert len(stand.house.states) == 2
    for state in stand.house.states:
        assert (state.pay_order_id, state.status.value) == (credential.pay_order_id, 6)
        assert (state.split, state.order_number) == (split, fees.order_number)
    assert [(t.attempt, t.spoilt, t.status) for t in stand.world.tries] == [(1, "lose", None), (2, "duplicate", 200)]


async def test_the_centre_gives_up(stand: Stand) -> None:
    """Seven tries, then never again: whoever waits for notices alone waits for ever."""
    stand.house.answer = 500
    _, credential, _ = await stand.placed()
    await stand.move(credential, "pay")
    await stand.world.quiet(10)
    assert [t.attempt for t in stand.world.tries] == [1, 2, 3, 4, 5, 6, 7]
    assert {t.status for t in stand.world.tries} == {500}
    assert len(stand.house.states) == 7


async def test_late_and_replayed_notices_are_dated(stand: Stand, clock: Any) -> None:
    """A notice that overtakes, or is played again, is genuine; its time and the query show what holds now."""
    stand.behave("notify", "late", seconds=0.3)
    fees, credential, _ = await stand.placed(("A1", 20000))
    await stand.move(credential, "pay")
    clock.move(seconds=5)
    await stand.move(credential, "fail")
    await stand.world.quiet()
    assert [s.status.value for s in stand.house.states] == [15, 4]
    first, second = stand.house.states
    assert first.traced_at is not None
    assert second.traced_at is not None
    assert second.traced_at < first.traced_at
    assert await stand.post("/control/notify", {"replay": credential.pay_order_id}) == {"status": 200}
    assert stand.house.states[-1] == second
    assert (await stand.client.query(credential, fees.insured)).status.value == 15


async def test_forged_notices_change_nothing(stand: Stand) -> None:
    """Changed after sealing, sealed with another key, no notice at all, amounts that do not add up: all refused."""
    _, credential, _ = await stand.placed()
    order = {"payOrdId": credential.pay_order_id}
    forgeries: list[dict[str, Any]] = [
        {"spoil": "tamper"},
        {"spoil": "wrong_key"},
        {"spoil": "wrong_user_id"},
        {"spoil": "unsigned"},
        {"overrides": {"callType": "01"}},
        {"overrides": {"fundPay": "1.00"}},
        {"overrides": {"fundPay": "1.001"}},
        {"overrides": {"ordStas": "18"}},
        {"overrides": {"payOrdId": ""}},
    ]
    for forgery in forgeries:
        assert await stand.post("/control/notify", {**order, **forgery}) == {"status": 401}, forgery
    for raw in (b"", b"{}", b"[1]", b"x" * 600_000):
        with pytest.raises(ForgedNotice):
            await stand.client.decode_notice(raw)
    assert stand.house.states == []
    assert len(stand.house.refused) == len(forgeries)
    assert await stand.post("/control/notify", order) == {"status": 200}
