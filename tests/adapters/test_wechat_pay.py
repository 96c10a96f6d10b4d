"""Our WeChat Pay client against the sandbox's WeChat Pay, over real HTTP with real signatures."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.wechat_pay import WeChatPay
from kernel.outside import Breaker, Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import CashChannel, RefundOrder, RefundStatus, TradeState
from sandbox.keys import SandboxKeys, wechat_pay_keys
from tests.adapters.pay_stand import DAUGHTER, MINI_MOTHER, MOTHER, STRANGER, Stand, a_stand


async def test_a_patient_pays_inside_wechat(stand: Stand, until: Any) -> None:
    """Order, bridge, notice, query: the money stands the same in the notice, the query and WeChat's own books."""
    order = stand.order()
    prepared = await stand.pay.create(order)
    assert prepared.prepay_id
    assert prepared.h5_url is None
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY

    assert await stand.bridge(prepared.client_params) == {"err_msg": "get_brand_wcpay_request:ok"}
    await until(lambda: len(stand.house.notices) == 1)

    state = await stand.pay.query(order.out_trade_no)
    assert stand.house.notices[0].payment == state
    assert (state.trade_state, state.amount_fen, state.payer_openid) == (TradeState.SUCCESS, 7760, MOTHER)
    assert (state.mchid, state.appid) == (stand.settings.mchid, stand.settings.appid)
    assert (state.trade_type, state.attach) == ("JSAPI", "attempt")
    assert state.success_time is not None
    assert abs(stand.world.now() - state.success_time) < timedelta(seconds=5)
    books = (await stand.http.get("/control/books")).json()
    assert [(p["out_trade_no"], p["total"], p["payer"]) for p in books["payments"]] == [
        (order.out_trade_no, 7760, MOTHER)
    ]


async def test_a_mini_program_pays_under_its_own_app(stand: Stand) -> None:
    """The mini-program's order carries the mini-program's appid and is paid by the openid of that app only."""
    order = stand.order(CashChannel.MINIPROG, payer_openid=MINI_MOTHER)
    prepared = await stand.pay.create(order)
    assert prepared.client_params["appId"] == stand.settings.mini_appid
    assert (await stand.bridge(prepared.client_params, MINI_MOTHER))["err_msg"].endswith(":ok")
    assert (await stand.pay.query(order.out_trade_no)).appid == stand.settings.mini_appid


async def test_another_browser_pays_on_the_cashier_page(stand: Stand, until: Any) -> None:
    """H5: the page wants to be opened from a page of ours, shows payee and amount, takes the money and leads back."""
    order = stand.order(CashChannel.H5)
    prepared = await stand.pay.create(order)
    assert prepared.h5_url is not None
    url = prepared.h5_url + "&redirect_url=https%3A%2F%2Fhoufu.example%2Fbill"
    assert (await stand.http.get(url)).status_code == 403
    shown = await stand.http.get(url, headers={"Referer": "https://houfu.example/"})
    assert shown.status_code == 200
    assert "¥77.60" in shown.text
    assert "后付演示医院" in shown.text
    done = await stand.http.post(url, data={"openid": DAUGHTER})
    assert "付好了，¥77.60。" in done.text
    assert 'href="https://houfu.example/bill"' in done.text
    await until(lambda: len(stand.house.notices) == 1)
    state = await stand.pay.query(order.out_trade_no)
    assert (state.trade_state, state.payer_openid, state.trade_type) == (TradeState.SUCCESS, DAUGHTER, "MWEB")
    again = await stand.http.post(url, data={"openid": MOTHER})
    assert "已经付过了" in again.text


async def test_a_phone_scans_the_desk_screen(stand: Stand) -> None:
    """NATIVE: anybody may scan and pay, once."""
    order = stand.order(CashChannel.NATIVE)
    prepared = await stand.pay.create(order)
    assert prepared.code_url is not None
    assert prepared.code_url.startswith("weixin://wxpay/bizpayurl?pr=")
    asked = {"code_url": prepared.code_url, "openid": DAUGHTER}
    assert (await stand.post("/control/scan", asked))["code"] == "OK"
    assert (await stand.post("/control/scan", asked))["code"] == "ORDERPAID"
    assert (await stand.pay.query(order.out_trade_no)).trade_type == "NATIVE"
    assert stand.world.books.dump()["sums"]["paid"] == 7760


@pytest.mark.parametrize(
    ("change", "openid", "reason"),
    [
        ({}, DAUGHTER, "PAYER_MISMATCH"),
        ({}, STRANGER, "OPENID_MISMATCH"),
        ({"paySign": "AAAA"}, MOTHER, "SIGN_ERROR"),
        ({"timeStamp": "1"}, MOTHER, "SIGN_ERROR"),
        ({"package": "prepay_id=wx0"}, MOTHER, "PREPAY_NOT_EXIST"),
        ({"signType": "MD5"}, MOTHER, "PARAM_ERROR"),
    ],
)
async def test_nobody_pays_with_wrong_papers(stand: Stand, change: dict[str, str], openid: str, reason: str) -> None:
    """Another person, or parameters that are not what we signed: refused, no money moves."""
    order = stand.order()
    prepared = await stand.pay.create(order)
    answer = await stand.bridge({**prepared.client_params, **change}, openid)
    assert answer == {"err_msg": "get_brand_wcpay_request:fail", "reason": reason}
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY
    assert stand.world.books.dump()["payments"] == []


async def test_the_same_order_twice_is_one_and_a_changed_one_is_refused(stand: Stand) -> None:
    """A repeated create returns the same ticket; the same number with another amount or payer is a definite no."""
    order = stand.order()
    first, second = await stand.pay.create(order), await stand.pay.create(order)
    assert first.prepay_id == second.prepay_id
    for changed in (replace(order, amount_fen=1), replace(order, payer_openid=DAUGHTER)):
        with pytest.raises(Rejected) as no:
            await stand.pay.create(changed)
        assert no.value.reason == "INVALID_REQUEST"
    assert [o["total"] for o in stand.world.books.dump()["orders"]] == [7760]


async def test_a_paid_order_cannot_be_opened_or_closed(stand: Stand) -> None:
    """After payment a repeated create and a close both answer ORDER_PAID, in our one spelling."""
    order = await stand.paid()
    for call in (stand.pay.create(order), stand.pay.close(order.out_trade_no)):
        with pytest.raises(Rejected) as no:
            await call
        assert no.value.reason == "ORDER_PAID"


async def test_a_late_repetition_of_a_paid_order_still_says_paid(stand: Stand, clock: Any) -> None:
    """Past its time_expire the same create answers ORDER_PAID, not that the time is wrong."""
    order = await stand.paid()
    clock.move(hours=1)
    with pytest.raises(Rejected, match="ORDER_PAID"):
        await stand.pay.create(order)


async def test_closing_twice_is_closing_once(stand: Stand) -> None:
    """Close is reentrant; a closed order can be neither paid nor opened again."""
    order = stand.order()
    prepared = await stand.pay.create(order)
    await stand.pay.close(order.out_trade_no)
    await stand.pay.close(order.out_trade_no)
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.CLOSED
    assert (await stand.bridge(prepared.client_params))["reason"] == "ORDER_CLOSED"
    with pytest.raises(Rejected, match="ORDER_CLOSED"):
        await stand.pay.create(order)
    with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
        await stand.pay.close("HF999999")


async def test_an_unknown_order_is_a_definite_no(stand: Stand) -> None:
    """Query of a number WeChat never saw."""
    with pytest.raises(Rejected) as no:
        await stand.pay.query("HF999999")
    assert no.value.reason == "ORDER_NOT_EXIST"


async def test_tickets_grow_old(stand: Stand, clock: Any) -> None:
    """A ticket dies after two hours (H5: five minutes) while the order lives; past time_expire the order is closed."""
    long = clock() + timedelta(hours=5)
    order = stand.order(expires_at=long)
    old = await stand.pay.create(order)
    h5 = stand.order(CashChannel.H5, expires_at=long)
    page = (await stand.pay.create(h5)).h5_url
    clock.move(minutes=6)
    assert page is not None
    assert (await stand.http.post(page, data={"openid": MOTHER})).status_code == 400
    clock.move(hours=2)
    assert (await stand.bridge(old.client_params))["reason"] == "PREPAY_EXPIRED"
    new = await stand.pay.create(order)
    assert new.prepay_id != old.prepay_id
    clock.move(hours=3)
    assert (await stand.bridge(new.client_params))["reason"] == "ORDER_CLOSED"
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.CLOSED
    assert stand.world.books.dump()["payments"] == []


@pytest.mark.parametrize(
    "bad",
    [
        {"amount_fen": 0},
        {"amount_fen": True},
        {"out_trade_no": "short"},
        {"out_trade_no": "HF0001?mchid=1"},
        {"payer_openid": None},
        {"payer_openid": STRANGER},
        {"attach": "x" * 129},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
async def test_a_malformed_order_is_refused(stand: Stand, bad: dict[str, Any]) -> None:
    """Whether our client or WeChat says so, it is a definite no and no order exists."""
    with pytest.raises(Rejected, match="PARAM_ERROR"):
        await stand.pay.create(stand.order(**bad))
    assert stand.world.books.dump()["orders"] == []


async def test_silence_after_success_is_unknown_until_asked(stand: Stand) -> None:
    """WeChat makes the order and never answers: unknown, not failed; the same number finds it, and it can be paid."""
    await stand.post("/control/behave", [{"on": "create", "do": "hang_after", "seconds": 3}])
    order = stand.order()
    with pytest.raises(Unknown):
        await stand.pay.create(order)
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY
    prepared = await stand.pay.create(order)
    assert (await stand.bridge(prepared.client_params))["err_msg"].endswith(":ok")
    await stand.post("/control/behave", [{"on": "query", "do": "hang_after", "seconds": 3}])
    with pytest.raises(Unknown):
        await stand.pay.query(order.out_trade_no)
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.SUCCESS
    assert len(stand.world.books.dump()["orders"]) == 1


@pytest.mark.parametrize("do", ["error_before", "error_after", "bad_signature", "unsigned", "wrong_serial", "stale"])
async def test_an_answer_that_proves_nothing_is_unknown(stand: Stand, do: str) -> None:
    """5xx, a wrong, missing or foreign signature, a recorded answer played again: unknown, and a query settles it."""
    await stand.post("/control/behave", [{"on": "create", "do": do}])
    order = stand.order()
    with pytest.raises(Unknown):
        await stand.pay.create(order)
    made = do != "error_before"
    assert len(stand.world.books.dump()["orders"]) == made
    if made:
        assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY
    else:
        with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
            await stand.pay.query(order.out_trade_no)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, '{"code": "PARAM_ERROR"}', Unknown),
        (502, "<html>bad gateway</html>", Unknown),
        (403, "<html>blocked by a proxy</html>", Unknown),
        (404, "[]", Unknown),
        (408, '{"code": "PARAM_ERROR"}', Unknown),
        (400, '{"code": "SYSTEMERROR"}', Unknown),
        (302, "", Unknown),
        (200, '{"trade_state": "SUCCESS"}', Unknown),
        (429, '{"code": "RATELIMIT_EXCEEDED"}', Throttled),
        (403, '{"code": "FREQUENCY_LIMITED"}', Throttled),
        (404, '{"code": "ORDERNOTEXIST", "message": "no"}', Rejected),
    ],
)
async def test_whatever_else_may_stand_on_the_line(
    stand: Stand, serving: Any, status: int, body: str, kind: type[Exception]
) -> None:
    """Only the platform's own coded 4xx is a no; a proxy's page, a 5xx of any content or an unsigned yes is unknown."""

    async def answer(_: Request) -> Response:
        return Response(body, status, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    async with serving(app) as base, WeChatPay(replace(stand.settings, base_url=base)) as pay:
        with pytest.raises(kind):
            await pay.query("HF000001")


async def test_close_and_refund_survive_an_error_after_the_fact(stand: Stand) -> None:
    """The state changed, the answer was 500; asking the same again is harmless."""
    order = stand.order()
    await stand.pay.create(order)
    await stand.post("/control/behave", [{"on": "close", "do": "error_after"}, {"on": "refund", "do": "error_after"}])
    with pytest.raises(Unknown):
        await stand.pay.close(order.out_trade_no)
    await stand.pay.close(order.out_trade_no)
    paid = await stand.paid()
    back = RefundOrder("RF000001", paid.out_trade_no, 100, 7760)
    with pytest.raises(Unknown):
        await stand.pay.refund(back)
    assert (await stand.pay.refund(back)).refund_fen == 100
    assert len(stand.world.books.dump()["refunds"]) == 1


async def test_too_many_requests_is_said_so(stand: Stand) -> None:
    """429 is neither a no nor unknown: nothing happened, come again."""
    await stand.post("/control/behave", [{"on": "create", "do": "throttle"}])
    order = stand.order()
    with pytest.raises(Throttled):
        await stand.pay.create(order)
    assert stand.world.books.dump()["orders"] == []
    assert (await stand.pay.create(order)).prepay_id


async def test_money_goes_back_in_parts_and_never_too_much(stand: Stand, until: Any) -> None:
    """Two partial refunds; a third beyond the total, a changed repetition and a wrong total are refused."""
    order = await stand.paid()
    first = RefundOrder("RF000001", order.out_trade_no, 3000, 7760, "没有做的检查")
    assert (await stand.pay.refund(first)).status is RefundStatus.PROCESSING
    await stand.pay.refund(replace(first, out_refund_no="RF000002", refund_fen=4760))
    for bad in (
        replace(first, out_refund_no="RF000003", refund_fen=1),
        replace(first, refund_fen=2999),
        replace(first, out_refund_no="RF000004", refund_fen=1, total_fen=9999),
    ):
        with pytest.raises(Rejected, match="INVALID_REQUEST"):
            await stand.pay.refund(bad)
    with pytest.raises(Rejected, match="REFUND_NOT_EXIST"):
        await stand.pay.query_refund("RF000003")
    await until(lambda: sum(n.refund is not None for n in stand.house.notices) == 2)
    told = {n.refund.out_refund_no: n.refund for n in stand.house.notices if n.refund}
    assert {k: (v.status, v.refund_fen) for k, v in told.items()} == {
        "RF000001": (RefundStatus.SUCCESS, 3000),
        "RF000002": (RefundStatus.SUCCESS, 4760),
    }
    assert (await stand.pay.query_refund("RF000001")).status is RefundStatus.SUCCESS
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.REFUND
    assert stand.world.books.dump()["sums"] == {"paid": 7760, "refunded": 7760}


async def test_an_unpaid_or_old_order_is_not_refunded(stand: Stand, clock: Any) -> None:
    """No money in, none out; after a year the way back is closed."""
    order = stand.order()
    await stand.pay.create(order)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.pay.refund(RefundOrder("RF000001", order.out_trade_no, 1, 7760))
    paid = await stand.paid()
    clock.move(days=366)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.pay.refund(RefundOrder("RF000002", paid.out_trade_no, 1, 7760))
    assert stand.world.books.dump()["refunds"] == []


async def test_a_refund_may_end_abnormal_or_hang(stand: Stand, until: Any) -> None:
    """ABNORMAL is told by notice; a stuck one stays PROCESSING until the bank moves."""
    order = await stand.paid(amount=200000)
    await stand.post(
        "/control/behave",
        [{"on": "refunding", "do": "abnormal", "amount": 100}, {"on": "refunding", "do": "stuck", "amount": 200}],
    )
    await stand.pay.refund(RefundOrder("RF000001", order.out_trade_no, 100, 200000))
    await stand.pay.refund(RefundOrder("RF000002", order.out_trade_no, 200, 200000))
    await until(lambda: any(n.event_type == "REFUND.ABNORMAL" for n in stand.house.notices))
    assert (await stand.pay.query_refund("RF000001")).status is RefundStatus.ABNORMAL
    assert (await stand.pay.query_refund("RF000002")).status is RefundStatus.PROCESSING
    await stand.post("/control/refund", {"out_refund_no": "RF000002", "status": "SUCCESS"})
    assert (await stand.pay.query_refund("RF000002")).status is RefundStatus.SUCCESS


async def test_a_declined_card_leaves_the_order_open(stand: Stand) -> None:
    """The bank says no once; the same ticket then pays."""
    await stand.post("/control/behave", [{"on": "pay", "do": "decline"}])
    order = stand.order()
    prepared = await stand.pay.create(order)
    assert (await stand.bridge(prepared.client_params))["reason"] == "BANK_DECLINED"
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.NOTPAY
    assert (await stand.bridge(prepared.client_params))["err_msg"].endswith(":ok")


async def test_magic_amounts(stand: Stand, until: Any) -> None:
    """666.01 is declined, 666.02 is made but answered 500, 666.04 is never told."""
    declined = stand.order(amount=66601)
    assert (await stand.bridge((await stand.pay.create(declined)).client_params))["reason"] == "BANK_DECLINED"
    broken = stand.order(amount=66602)
    with pytest.raises(Unknown):
        await stand.pay.create(broken)
    assert (await stand.pay.create(broken)).prepay_id
    await stand.paid(amount=66604)
    await until(lambda: len(stand.world.notifier.log) >= 3)
    assert stand.house.raw == []


async def test_the_platform_refuses_what_is_not_signed_by_the_merchant(stand: Stand, world_keys: SandboxKeys) -> None:
    """Wrong key, wrong serial, no User-Agent, a repeated nonce: 401 or 400, unsigned."""
    other = wechat_pay_keys(world_keys.wechat_pay)
    for bad in (
        replace(stand.settings, private_key=other.private_key),
        replace(stand.settings, cert_serial=other.cert_serial),
        replace(stand.settings, mchid=other.mchid),
    ):
        async with WeChatPay(bad) as stranger:
            with pytest.raises(Rejected, match="SIGN_ERROR"):
                await stranger.query("HF000001")
    seen: list[dict[str, str]] = []

    async def keep(request: httpx.Request) -> None:
        seen.append(dict(request.headers))

    stand.pay.line.library._core._client.event_hooks["request"] = [keep]
    order = stand.order()
    await stand.pay.create(order)
    await stand.pay.query(order.out_trade_no)
    path = f"/v3/pay/transactions/out-trade-no/{order.out_trade_no}?mchid={stand.settings.mchid}"
    replay = await stand.http.get(path, headers=seen[-1])
    assert (replay.status_code, replay.json()["message"]) == (401, "随机串重复")
    assert "wechatpay-signature" not in replay.headers
    bare = await stand.http.get(path, headers={**seen[-1], "user-agent": ""})
    assert bare.status_code == 400


async def test_a_dead_line_opens_the_breaker(world_keys: SandboxKeys, clock: Any, serving: Any) -> None:
    """Five unanswered calls, then nothing is sent for a while; after the rest one probe passes and all is well."""
    time = [0.0]
    guard = Guard("wechat_pay", deadline=5, breaker=Breaker(failures=5, rest=10, monotonic=lambda: time[0]))
    async with a_stand(world_keys, clock, serving, guard) as stand:
        await stand.post("/control/behave", [{"on": "query", "do": "error_before", "times": 5}])
        for _ in range(5):
            with pytest.raises(Unknown):
                await stand.pay.query("HF000001")
        with pytest.raises(Throttled):
            await stand.pay.query("HF000001")
        time[0] = 10.5
        with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
            await stand.pay.query("HF000001")
        assert not guard.breaker.is_open


async def test_a_slow_platform_cannot_take_every_place(world_keys: SandboxKeys, clock: Any, serving: Any) -> None:
    """With two places taken by slow calls the third is turned away unsent."""
    async with a_stand(world_keys, clock, serving, Guard("wechat_pay", places=2, deadline=5, wait=0.05)) as stand:
        await stand.post("/control/behave", [{"on": "create", "do": "slow", "seconds": 1, "times": 2}])
        orders = [stand.order() for _ in range(3)]
        done = await asyncio.gather(*(stand.pay.create(o) for o in orders), return_exceptions=True)
        assert [type(d) for d in done].count(Throttled) == 1
        assert len(stand.world.books.dump()["orders"]) == 2


async def test_forty_at_once(stand: Stand) -> None:
    """Eight places serve forty queries without a refusal."""
    order = stand.order()
    await stand.pay.create(order)
    states = await asyncio.gather(*(stand.pay.query(order.out_trade_no) for _ in range(40)))
    assert {s.trade_state for s in states} == {TradeState.NOTPAY}


async def test_nothing_is_sent_without_keys(stand: Stand) -> None:
    """A missing setting is named; the mini-program channel without its appid likewise."""
    with pytest.raises(NotConfigured) as missing:
        WeChatPay(replace(stand.settings, apiv3_key=""))
    assert missing.value.what == "wechat_pay.apiv3_key"
    async with WeChatPay(replace(stand.settings, mini_appid=None)) as pay:
        with pytest.raises(NotConfigured):
            await pay.create(stand.order(CashChannel.MINIPROG, payer_openid=MINI_MOTHER))
    assert stand.settings.private_key not in repr(stand.settings)


async def test_the_daily_bill_adds_up(stand: Stand, clock: Any) -> None:
    """Next day after ten the bill lists payments and refunds in fen; before that it is being made."""
    beijing = timedelta(hours=8)
    day: date = (clock() + beijing).date()
    order = await stand.paid()
    await stand.pay.refund(RefundOrder("RF000001", order.out_trade_no, 760, 7760))
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.pay.trade_bill(day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) - beijing
    clock.shift += midnight + timedelta(hours=9) - clock()
    with pytest.raises(Rejected, match="STATEMENT_CREATING"):
        await stand.pay.trade_bill(day)
    clock.move(hours=2)
    bill = await stand.pay.trade_bill(day)
    assert (bill.amount_fen, bill.refund_fen) == (7760, 760)
    assert [(r.out_trade_no, r.trade_state, r.amount_fen, r.out_refund_no, r.refund_fen) for r in bill.rows] == [
        (order.out_trade_no, "SUCCESS", 7760, None, 0),
        (order.out_trade_no, "REFUND", 0, "RF000001", 760),
    ]
    await stand.post("/control/behave", [{"on": "rows", "do": "differing"}])
    assert (await stand.pay.trade_bill(day)).amount_fen == 7761
    with pytest.raises(Rejected, match="NO_STATEMENT_EXIST"):
        await stand.pay.trade_bill(day - timedelta(days=1))


async def test_an_unknown_behaviour_is_refused(stand: Stand) -> None:
    """A typo in a plan must not pass as good behaviour."""
    answer = await stand.http.post("/control/behave", json=[{"on": "create", "do": "explode"}])
    assert answer.status_code == 400
    assert stand.world.behaviour.rules == []
