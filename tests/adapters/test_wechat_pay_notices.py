"""What WeChat Pay tells us, and what only pretends to be WeChat Pay."""

from datetime import timedelta
from typing import Any

import pytest

from payments.ports import ForgedNotice, TradeState
from sandbox.wechat_pay.notifier import PAUSES
from tests.adapters.pay_stand import Stand


async def test_a_lost_notice_comes_again_on_the_real_schedule(stand: Stand, until: Any) -> None:
    """Two tries are lost, the third is refused by us with 500, the fourth is taken; then silence. One id throughout."""
    await stand.post("/control/behave", [{"on": "notify", "do": "drop", "times": 2}])
    stand.house.answer = 500
    await stand.paid()
    await until(lambda: len(stand.house.notices) == 1)
    stand.house.answer = 204
    await until(lambda: len(stand.house.notices) == 2)
    await stand.world.notifier.quiet()
    tries = (await stand.http.get("/control/notifies")).json()
    assert [(t["attempt"], t["spoilt"], t["status"]) for t in tries] == [
        (1, "drop", None),
        (2, "drop", None),
        (3, None, 500),
        (4, None, 204),
    ]
    assert len({n.id for n in stand.house.notices}) == 1


async def test_the_retry_schedule_is_the_published_one(stand: Stand) -> None:
    """15 pauses, a day and four minutes in all."""
    assert len(PAUSES) == 15
    assert timedelta(seconds=sum(PAUSES)) == timedelta(hours=24, minutes=4)


async def test_notices_may_double_and_overtake(stand: Stand, until: Any) -> None:
    """A doubled notice carries the same id; a held-back one arrives after the next."""
    await stand.post("/control/behave", [{"on": "notify", "do": "reorder"}, {"on": "notify", "do": "duplicate"}])
    first = await stand.paid()
    second = await stand.paid()
    await until(lambda: len(stand.house.notices) == 3)
    numbers = [n.payment.out_trade_no for n in stand.house.notices if n.payment]
    assert numbers == [second.out_trade_no, second.out_trade_no, first.out_trade_no]
    assert stand.house.notices[0].id == stand.house.notices[1].id != stand.house.notices[2].id


@pytest.mark.parametrize("do", ["wrong_serial", "tamper", "stale", "signtest"])
async def test_a_spoilt_notice_is_refused_and_the_true_one_follows(stand: Stand, until: Any, do: str) -> None:
    """Foreign key id, changed body, a day old, or WeChat's own probe: 4xx and nothing booked; then the genuine try."""
    await stand.post("/control/behave", [{"on": "notify", "do": do}])
    order = await stand.paid()
    await until(lambda: len(stand.house.notices) == 1)
    assert len(stand.house.refused) == 1
    assert stand.house.notices[0].payment is not None
    assert stand.house.notices[0].payment.out_trade_no == order.out_trade_no


@pytest.mark.parametrize(
    "forged",
    [
        {"spoil": "bad_signature"},
        {"spoil": "unsigned"},
        {"spoil": "stale"},
        {"spoil": "tamper"},
        {"wrong_key": True},
        {"overrides": {"mchid": "1900000000"}},
        {"overrides": {"appid": "wxforeign"}},
        {"overrides": {"trade_state": "HEAVEN"}},
        {"overrides": {"amount": {"total": 77.6}}},
        {"overrides": {"trade_state": "SUCCESS", "success_time": "2026-11-22T10:00:00"}},
    ],
)
async def test_forged_notices_are_refused(stand: Stand, forged: dict[str, Any]) -> None:
    """Whatever is not a genuine, fresh, well-formed notice for this merchant is answered 401 and tells us nothing."""
    order = stand.order()
    await stand.pay.create(order)
    answer = await stand.post("/control/notify", {"out_trade_no": order.out_trade_no, **forged})
    assert answer["status"] == 401
    assert stand.house.notices == []
    assert len(stand.house.refused) == 1


async def test_a_genuine_notice_with_a_wrong_amount_shows_it(stand: Stand) -> None:
    """The signature holds, the amount is not the ordered one: the caller is given the figure to judge."""
    order = stand.order()
    await stand.pay.create(order)
    over = {"trade_state": "SUCCESS", "amount": {"total": 1}, "transaction_id": "4200"}
    await stand.post("/control/notify", {"out_trade_no": order.out_trade_no, "overrides": over})
    notice = stand.house.notices[0].payment
    assert notice is not None
    assert (notice.amount_fen, notice.trade_state) == (1, TradeState.SUCCESS)
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY


async def test_a_recorded_notice_keeps_its_id_and_goes_stale(stand: Stand, until: Any, clock: Any) -> None:
    """Replayed at once it has the same id (the caller dedupes); replayed after five minutes it is refused."""
    await stand.paid()
    await until(lambda: len(stand.house.notices) == 1)
    known = stand.house.notices[0].id
    assert (await stand.post("/control/notify", {"replay": known}))["status"] == 200
    assert [n.id for n in stand.house.notices] == [known, known]
    clock.move(minutes=6)
    assert (await stand.post("/control/notify", {"replay": known}))["status"] == 401
    assert stand.house.refused == ["not fresh"]


async def test_a_notice_dated_ahead_is_refused(stand: Stand, until: Any) -> None:
    """Age is judged in both directions."""
    await stand.paid()
    await until(lambda: len(stand.house.raw) == 1)
    headers, raw = stand.house.raw[0]
    with pytest.raises(ForgedNotice, match="not fresh"):
        stand.pay.decode_notify(headers, raw, stand.world.now() - timedelta(minutes=6))
    for missing in ("wechatpay-timestamp", "wechatpay-signature", "wechatpay-serial", "wechatpay-signature-type"):
        with pytest.raises(ForgedNotice):
            stand.pay.decode_notify({k: v for k, v in headers.items() if k != missing}, raw, stand.world.now())
    assert stand.pay.decode_notify(headers, raw, stand.world.now()).payment is not None
