"""Insurance and cash at one press: our client against the sandbox's WeChat Pay, the insurance's own books behind it."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from wechatpayv3.async_.type import RequestType

from adapters.wechat_pay import WeChatMix
from kernel.outside import NotConfigured, Rejected, Throttled, Unknown
from payments.ports import (
    AddKind,
    CashChannel,
    MedInsStatus,
    MixEnd,
    MixKind,
    MixMoney,
    MixNo,
    MixOrder,
    MixRefund,
    MixState,
    MixStatus,
    ReduceKind,
    RefundKind,
    RefundOrder,
    SelfPayStatus,
    TradeState,
)
from sandbox.keys import SandboxKeys
from tests.adapters.insurance_stand import NOON, refund_of
from tests.adapters.mix_stand import MixStand, a_mix_stand

_POST = RequestType.POST
PAID = (MixStatus.SUCCESS, SelfPayStatus.SUCCESS, MedInsStatus.SUCCESS)


@pytest.fixture
async def stand(world_keys: SandboxKeys, clock: Any, serving: Any) -> AsyncIterator[MixStand]:
    """WeChat Pay, the insurance, and our clients."""
    async with a_mix_stand(world_keys, clock, serving) as made:
        yield made


def states(state: MixState) -> tuple[MixStatus, SelfPayStatus, MedInsStatus]:
    """All three."""
    return state.status, state.cash, state.insurance


async def test_one_press_pays_both(stand: MixStand, until: Any) -> None:
    """Reckoned, opened, bound, pressed: both books have their part, both notices come, every way of asking agrees."""
    bill = await stand.bill()
    prepared = await stand.mix.create(bill.order)
    assert prepared.state.money == bill.order.money == MixMoney(20000, 14000, 3500, 0, 2500, 2500)
    before = await stand.mix.query(bill.order.out_trade_no)
    assert (before.status, before.concludes) == (MixStatus.CREATED, None)

    assert await stand.press(prepared) == {"err_msg": "requestMedicalInsurancePay:ok"}
    await until(lambda: len(stand.house.notices) == 1 and stand.house.cash == 1)

    after = await stand.mix.query(bill.order.out_trade_no)
    assert after == await stand.mix.query_by_mix_trade_no(prepared.mix_trade_no) == stand.house.notices[0].state
    assert (states(after), after.concludes, after.order_number) == (PAID, MixEnd.WHOLE, bill.order.order_number)
    assert after.paid_at is not None
    cash = await stand.pay.query(bill.order.out_trade_no)
    assert (cash.trade_state, cash.amount_fen, cash.payer_openid) == (TradeState.SUCCESS, 2500, "oFather")
    insured = stand.insured(bill)
    assert (insured.status, insured.insurance, insured.cash_paid) == (6, "paid", 2500)
    books = (await stand.insurance.books())["sums"]
    assert (books["fund_paid"], books["drawn"]) == (14000, 3500)
    assert stand.world.books.dump()["sums"] == {"paid": 2500, "refunded": 0}
    assert await stand.press(prepared) == {"err_msg": "requestMedicalInsurancePay:fail", "reason": "ORDER_STATUS"}


async def test_without_cash_nothing_is_signed_and_nothing_opened(stand: MixStand) -> None:
    """The insurance pays all of it: no cash order, the page is given the app and the number only."""
    bill = await stand.bill(("A1", 5000))
    assert (bill.order.kind, bill.order.prepay_id) == (MixKind.INSURANCE_ONLY, "")
    prepared = await stand.pressed(bill)
    assert dict(prepared.client_params) == {
        "appid": stand.pay.line.settings.appid,
        "mixTradeNo": prepared.mix_trade_no,
    }
    after = await stand.mix.query(bill.order.out_trade_no)
    assert states(after) == (MixStatus.SUCCESS, SelfPayStatus.NONE, MedInsStatus.SUCCESS)
    assert (after.concludes, after.money.pay_fen) == (MixEnd.WHOLE, 0)
    with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
        await stand.pay.query(bill.order.out_trade_no)


async def test_a_cash_only_order_has_nothing_of_the_insurance(stand: MixStand) -> None:
    """CASH_ONLY: all of it is added cash, the insurance's part does not exist."""
    bill = await stand.bill()
    order = replace(
        bill.order,
        out_trade_no="MXCASHONLY",
        kind=MixKind.CASH_ONLY,
        money=MixMoney(300, pay_fen=300, added=((AddKind.OTHER_MEDICAL, 300),)),
        prepay_id=await stand.cash("MXCASHONLY", 300, "oFather"),
        pay_order_id="",
        pay_auth_no="",
        location="",
        insured_at=None,
    )
    prepared = await stand.mix.create(order)
    assert (await stand.press(prepared))["err_msg"].endswith(":ok")
    after = await stand.mix.query("MXCASHONLY")
    assert states(after) == (MixStatus.SUCCESS, SelfPayStatus.SUCCESS, MedInsStatus.NONE)
    assert (after.concludes, after.money) == (MixEnd.WHOLE, order.money)
    assert stand.insured(bill).status == 1


async def test_the_hospital_bears_a_part_of_the_cash(stand: MixStand) -> None:
    """25.00 are left by the insurance, the hospital takes 5.00 off, 1.00 of freight comes on top: 21.00 are paid."""
    bill = await stand.bill()
    money = replace(
        bill.order.money,
        total_fen=20100,
        pay_fen=2100,
        added=((AddKind.FREIGHT, 100),),
        reduced=((ReduceKind.HOSPITAL, 300), (ReduceKind.DISCOUNT, 200)),
    )
    order = replace(bill.order, out_trade_no="MXREDUCED", money=money)
    order = replace(order, prepay_id=await stand.cash("MXREDUCED", 2100, "oFather"))
    await stand.pressed(replace(bill, order=order))
    assert (await stand.mix.query("MXREDUCED")).money == money
    assert stand.world.books.dump()["sums"]["paid"] == 2100


async def test_a_mini_program_and_a_page_are_given_different_names(stand: MixStand) -> None:
    """H5 wants ``appid`` in lower case, a mini-program none; the four signed lines are the same."""
    page = dict((await stand.mix.create((await stand.bill()).order)).client_params)
    assert set(page) == {"appid", "timeStamp", "nonceStr", "package", "signType", "paySign", "mixTradeNo"}
    bill = await stand.bill(channel=CashChannel.MINIPROG)
    prepared = await stand.mix.create(bill.order)
    assert set(prepared.client_params) == set(page) - {"appid"}
    assert (await stand.press(prepared, "mFather"))["err_msg"].endswith(":ok")
    assert (await stand.mix.query(bill.order.out_trade_no)).concludes is MixEnd.WHOLE
    again = stand.mix.client_params(bill.order, prepared.mix_trade_no)
    assert again["mixTradeNo"] == prepared.mix_trade_no
    assert again["nonceStr"] != prepared.client_params["nonceStr"]


async def test_a_relative_pays_by_the_insurer_s_family_account(stand: MixStand) -> None:
    """The daughter presses for her father: his insurance, her cash; without the account it is refused by name."""
    bill = await stand.bill(payer="oDaughter")
    await stand.pressed(bill)
    assert (await stand.mix.query(bill.order.out_trade_no)).concludes is MixEnd.WHOLE
    assert (await stand.pay.query(bill.order.out_trade_no)).payer_openid == "oDaughter"
    father = await stand.bill()
    stranger = replace(father.order, relative=stand.person("oStranger"))
    with pytest.raises(Rejected) as no:
        await stand.mix.create(stranger)
    assert no.value.reason == MixNo.NO_FAMILY_ACCOUNT


async def test_only_the_payer_of_the_order_may_press(stand: MixStand) -> None:
    """Somebody else's phone, another ticket, a wrong signature: refused, and nobody's money moves."""
    bill, other = await stand.bill(), await stand.bill()
    prepared, foreign = await stand.mix.create(bill.order), await stand.mix.create(other.order)
    wrong = {**prepared.client_params, "paySign": "AAAA"}
    mixed = {**prepared.client_params, "mixTradeNo": foreign.mix_trade_no}
    asked = [
        ({"openid": "oDaughter", "params": dict(prepared.client_params)}, "PAYER_MISMATCH"),
        ({"openid": "oFather", "params": wrong}, "SIGN_ERROR"),
        ({"openid": "oFather", "params": mixed}, "PARAM_ERROR"),
    ]
    for body, reason in asked:
        assert (await stand.post("/control/mix/pay", body))["reason"] == reason
    assert stand.world.books.dump()["payments"] == []
    assert stand.insured(bill).status == stand.insured(other).status == 1


# ------------------------------------------------------------------------------- what WeChat refuses, and what it is


REFUSED: list[tuple[dict[str, Any], MixNo | str]] = [
    ({"mix_pay_type": "UNKNOWN_MIX_PAY_TYPE"}, "PARAM_ERROR"),
    ({"order_type": "UNKNOWN_ORDER_TYPE"}, "PARAM_ERROR"),
    ({"med_ins_order_create_time": "2026-11-22T04:00:00Z"}, "PARAM_ERROR"),
    ({"callback_url": "https://houfu.example/mix?hospital=1"}, "PARAM_ERROR"),
    ({"callback_url": "http://houfu.example/mix"}, "PARAM_ERROR"),
    ({"city_id": "430100"}, "PARAM_ERROR"),
    ({"med_inst_name": "别的医院"}, "PARAM_ERROR"),
    ({"openid": "oElsewhere"}, MixNo.OPENID),
    ({"total_fee": 20001}, MixNo.MONEY),
    ({"med_ins_cash_fee": 2501}, MixNo.MONEY),
    ({"wechat_pay_cash_fee": 2499}, MixNo.MONEY),
    ({"total_fee": 200.0}, "PARAM_ERROR"),
    ({"prepay_id": None}, MixNo.LINKAGE),
    ({"pay_auth_no": None}, MixNo.LINKAGE),
    ({"geo_location": None}, MixNo.LINKAGE),
    ({"mix_pay_type": "CASH_ONLY"}, MixNo.LINKAGE),
    ({"mix_pay_type": "INSURANCE_ONLY"}, MixNo.LINKAGE),
    ({"serial_no": "HFOTHER"}, MixNo.INSURANCE_SAYS_NO),
    ({"pay_auth_no": "AUTHOTHER"}, MixNo.AUTHORIZATION),
    ({"pay_order_id": "ORDOTHER"}, MixNo.AUTHORIZATION),
    ({"passthrough_request_content": "{}"}, MixNo.AUTHORIZATION),
    ({"passthrough_request_content": "no"}, "PARAM_ERROR"),
    ({"prepay_id": "wx0"}, MixNo.INSURANCE_SAYS_NO),
    ({"out_trade_no": "MXANOTHER1"}, MixNo.INSURANCE_SAYS_NO),
    ({"payer": {"name": "示例父", "id_digest": "plain", "card_type": "ID_CARD"}}, "PARAM_ERROR"),
    ({"pay_for_relatives": True}, "PARAM_ERROR"),
]


async def test_wechat_refuses_what_does_not_hold(stand: MixStand) -> None:
    """Every rule on the other side, past our own checks: a definite no with its name, and no order is made."""
    bill = await stand.bill()
    body = stand.mix._body(bill.order)
    for change, reason in REFUSED:
        spoilt = {name: value for name, value in {**body, **change}.items() if value is not None}
        spoilt["payer"] = change.get("payer") or stand.mix._sealed(bill.order.payer)
        with pytest.raises(Rejected) as no:
            await stand.pay.line.request("/v3/med-ins/orders", _POST, spoilt)
        assert (no.value.reason, change) == (reason, change)
    assert stand.desk.orders == {}
    # The very same body, unspoilt, is taken.
    assert (await stand.mix.create(bill.order)).state.status is MixStatus.CREATED


async def test_amounts_the_insurance_did_not_reckon(stand: MixStand) -> None:
    """The formulas hold, but the parts are not the insurance's: refused by the insurance."""
    bill = await stand.bill()
    money = replace(bill.order.money, fund_fen=14001, account_fen=3499)
    assert money.fault is None
    with pytest.raises(Rejected, match=MixNo.INSURANCE_SAYS_NO):
        await stand.mix.create(replace(bill.order, money=money))


async def test_people_are_who_the_e_certificate_says(stand: MixStand, clock: Any) -> None:
    """Another name, another number, no e-certificate, an authorization grown old: each has its own name."""
    bill = await stand.bill()
    father = bill.order.payer
    cases = [
        (replace(bill.order, payer=replace(father, name="示例夫")), MixNo.IDENTITY),
        (replace(bill.order, payer=replace(father, id_number="99990119550308902X")), MixNo.IDENTITY),
        (replace(bill.order, payer_openid="oNobody"), MixNo.NO_E_CERTIFICATE),
    ]
    for order, reason in cases:
        with pytest.raises(Rejected) as no:
            await stand.mix.create(order)
        assert no.value.reason == reason
    clock.move(minutes=16)
    with pytest.raises(Rejected, match=MixNo.AUTHORIZATION):
        await stand.mix.create(bill.order)
    assert stand.desk.orders == {}


async def test_the_same_number_is_taken_once(stand: MixStand) -> None:
    """Also an identical repetition is refused; the query finds the order, and its parameters pay."""
    bill = await stand.bill()
    first = await stand.mix.create(bill.order)
    with pytest.raises(Rejected, match=MixNo.EXISTS):
        await stand.mix.create(bill.order)
    found = await stand.mix.query(bill.order.out_trade_no)
    assert found.mix_trade_no == first.mix_trade_no
    params = stand.mix.client_params(bill.order, found.mix_trade_no)
    answer = await stand.post("/control/mix/pay", {"openid": "oFather", "params": dict(params)})
    assert answer["err_msg"].endswith(":ok")
    with pytest.raises(Rejected, match=MixNo.NOT_EXIST):
        await stand.mix.query("MXNOTHERE1")


@pytest.mark.parametrize(("repeats", "rule"), [(True, "must"), (False, "must_not"), (True, "either")])
async def test_provinces_differ_about_what_is_passed_on(
    world_keys: SandboxKeys, clock: Any, serving: Any, repeats: bool, rule: str
) -> None:
    """The three numbers again inside the passed-on content: demanded here, forbidden there; a setting decides."""
    async with a_mix_stand(world_keys, clock, serving, passthrough=rule, passthrough_repeats=repeats) as stand:
        bill = await stand.bill(passthrough={"chrgBchno": "B1"})
        await stand.pressed(bill)
        assert (await stand.mix.query(bill.order.out_trade_no)).concludes is MixEnd.WHOLE
        wrong = WeChatMix(stand.pay, replace(stand.settings, passthrough_repeats=not repeats))
        if rule != "either":
            other = await stand.bill()
            with pytest.raises(Rejected):
                await wrong.create(other.order)


# ------------------------------------------------------------------------------------------ one part without the other


async def test_the_cash_is_taken_and_the_insurance_fails(stand: MixStand, until: Any) -> None:
    """The whole says FAIL, the cash SUCCESS: an ordinary refund gives the money back, and all is nothing."""
    bill = await stand.bill()
    await stand.pressed(bill, on="mix_pay", do="insurance_fails")
    failed = await stand.mix.query(bill.order.out_trade_no)
    assert states(failed) == (MixStatus.FAIL, SelfPayStatus.SUCCESS, MedInsStatus.FAIL)
    assert (failed.concludes, failed.failed_because) == (MixEnd.CASH_ALONE, "医保局结算失败")
    assert stand.insured(bill).status == 16
    assert (await stand.insurance.books())["sums"]["drawn"] == 0
    await stand.pay.refund(RefundOrder("RFMIX1", bill.order.out_trade_no, 2500, 2500))
    await until(lambda: stand.world.books.dump()["sums"]["refunded"] == 2500)
    over = await stand.mix.query(bill.order.out_trade_no)
    assert (over.cash, over.concludes) == (SelfPayStatus.REFUND, MixEnd.NOTHING)
    assert stand.house.notices == []


async def test_the_insurance_pays_and_the_cash_fails(stand: MixStand) -> None:
    """The reverse: the insurance takes its payment back (6203), WeChat is told, and all is nothing."""
    bill = await stand.bill()
    prepared = await stand.pressed(bill, on="mix_pay", do="cash_fails")
    failed = await stand.mix.query(bill.order.out_trade_no)
    assert states(failed) == (MixStatus.FAIL, SelfPayStatus.FAIL, MedInsStatus.SUCCESS)
    assert failed.concludes is MixEnd.INSURANCE_ALONE
    assert (stand.insured(bill).status, stand.world.books.dump()["payments"]) == (4, [])
    report = MixRefund(prepared.mix_trade_no, "RFMIX2", NOON, 17500, 14000, 3500)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.mix.report_refund(report)  # it is not back yet
    refund = refund_of(bill.fees, bill.credential, bill.split, RefundKind.INSURANCE)
    await stand.insurance.client.refund(refund)
    await stand.mix.report_refund(report)
    await stand.mix.report_refund(report)
    over = await stand.mix.query(bill.order.out_trade_no)
    assert (over.insurance, over.concludes) == (MedInsStatus.REFUND, MixEnd.NOTHING)
    assert (await stand.insurance.books())["sums"]["drawn"] == 0


@pytest.mark.parametrize("success", [True, False])
async def test_while_the_insurance_hangs_nothing_is_concluded(stand: MixStand, until: Any, success: bool) -> None:
    """Cash there, insurance undecided: no end may be told; then it ends one way or the other."""
    bill = await stand.bill()
    await stand.pressed(bill, on="mix_pay", do="insurance_hangs")
    waiting = await stand.mix.query(bill.order.out_trade_no)
    assert states(waiting) == (MixStatus.CREATED, SelfPayStatus.SUCCESS, MedInsStatus.CREATED)
    assert waiting.concludes is None
    await stand.post("/control/mix/finish", {"out_trade_no": bill.order.out_trade_no, "success": success})
    after = await stand.mix.query(bill.order.out_trade_no)
    assert after.concludes is (MixEnd.WHOLE if success else MixEnd.CASH_ALONE)
    if success:
        await until(lambda: len(stand.house.notices) == 1)


@pytest.mark.parametrize("first", ["cash", "insurance"])
async def test_an_order_left_alone_can_be_ended_from_either_side(stand: MixStand, first: str) -> None:
    """The cash part closed, or the insurance's order revoked, before the press: nothing was taken, no press helps."""
    bill = await stand.bill()
    prepared = await stand.mix.create(bill.order)
    if first == "cash":
        await stand.pay.close(bill.order.out_trade_no)
    await stand.insurance.client.revoke(bill.credential, bill.fees.insured)
    if first == "insurance":
        assert (await stand.mix.query(bill.order.out_trade_no)).concludes is None  # the cash may still come
        await stand.pay.close(bill.order.out_trade_no)
    over = await stand.mix.query(bill.order.out_trade_no)
    assert (over.status, over.concludes) == (MixStatus.FAIL, MixEnd.NOTHING)
    assert (await stand.press(prepared))["err_msg"].endswith(":fail")
    assert stand.world.books.dump()["payments"] == []


async def test_a_payer_who_is_through_cannot_be_shut_out(stand: MixStand) -> None:
    """The password is in: the cash part's close is refused under its own name, and the payment goes on."""
    bill = await stand.bill()
    prepared = await stand.mix.create(bill.order)
    stand.world.behaviour.plan([{"on": "close", "do": "password_entered"}])
    with pytest.raises(Rejected, match="PASSWORD_ENTERED"):
        await stand.pay.close(bill.order.out_trade_no)
    assert (await stand.press(prepared))["err_msg"].endswith(":ok")


async def test_a_paid_bill_goes_back_whole(stand: MixStand, until: Any) -> None:
    """Insurance first (6203), then the cash, then the report under the same number: REFUND on every side."""
    bill = await stand.bill()
    prepared = await stand.pressed(bill)
    whole = refund_of(bill.fees, bill.credential, bill.split, RefundKind.INSURANCE)
    await stand.insurance.client.refund(whole)
    half = await stand.mix.query(bill.order.out_trade_no)
    assert half.concludes is MixEnd.WHOLE  # WeChat does not know yet
    await stand.pay.refund(RefundOrder("RFMIX3", bill.order.out_trade_no, 2500, 2500))
    await until(lambda: stand.world.books.dump()["sums"]["refunded"] == 2500)
    await stand.mix.report_refund(MixRefund(prepared.mix_trade_no, "RFMIX3", NOON, 17500, 14000, 3500))
    over = await stand.mix.query(bill.order.out_trade_no)
    assert states(over) == (MixStatus.REFUND, SelfPayStatus.REFUND, MedInsStatus.REFUND)
    assert over.concludes is MixEnd.NOTHING
    assert stand.desk.dump()[0]["reports"][0]["refund_time"] == "2026-11-22T12:00:00+08:00"


# ------------------------------------------------------------------------------------------- a line one cannot trust


@pytest.mark.parametrize("do", ["error_after", "hang_after", "bad_signature", "unsigned", "wrong_serial", "stale"])
async def test_silence_after_success_is_unknown_until_asked(stand: MixStand, do: str) -> None:
    """The order is made, the answer proves nothing: unknown; the query finds it under its number."""
    bill = await stand.bill()
    stand.world.behaviour.plan([{"on": "mix_create", "do": do, "seconds": 3}])
    with pytest.raises(Unknown):
        await stand.mix.create(bill.order)
    assert len(stand.desk.orders) == 1
    assert (await stand.mix.query(bill.order.out_trade_no)).status is MixStatus.CREATED


async def test_an_error_before_the_fact_left_nothing(stand: MixStand) -> None:
    """Unknown, then the query says that WeChat never made it; throttled is neither."""
    bill = await stand.bill()
    stand.world.behaviour.plan([{"on": "mix_create", "do": "error_before"}, {"on": "mix_create", "do": "throttle"}])
    with pytest.raises(Unknown):
        await stand.mix.create(bill.order)
    with pytest.raises(Rejected, match=MixNo.NOT_EXIST):
        await stand.mix.query(bill.order.out_trade_no)
    with pytest.raises(Throttled):
        await stand.mix.create(bill.order)
    await stand.pressed(bill)
    stand.world.behaviour.plan([{"on": "mix_report", "do": "error_after"}])
    await stand.insurance.client.refund(refund_of(bill.fees, bill.credential, bill.split, RefundKind.INSURANCE))
    found = await stand.mix.query(bill.order.out_trade_no)
    report = MixRefund(found.mix_trade_no, "RFMIX4", NOON, 17500, 14000, 3500)
    with pytest.raises(Unknown):
        await stand.mix.report_refund(report)
    await stand.mix.report_refund(report)
    assert (await stand.mix.query(bill.order.out_trade_no)).insurance is MedInsStatus.REFUND


SPOILT_ANSWERS: list[dict[str, Any]] = [
    {"mix_pay_status": "UNKNOWN_MIX_PAY_STATUS"},
    {"mix_pay_status": "MIX_PAY_USER_PAYING"},
    {"self_pay_status": "UNKNOWN_SELF_PAY_STATUS"},
    {"med_ins_pay_status": "UNKNOWN_MED_INS_PAY_STATUS"},
    {"mix_pay_type": "UNKNOWN_MIX_PAY_TYPE"},
    {"total_fee": 20000.0},
    {"total_fee": 1},
    {"med_ins_gov_fee": 1},
    {"med_inst_no": "H0"},
    {"appid": "wxforeign"},
    {"out_trade_no": "MXOTHER001"},
    {"mix_trade_no": ""},
    {"paid_time": "2026-11-22T12:00:00"},
]


async def test_a_signed_answer_that_makes_no_sense_proves_nothing(stand: MixStand, until: Any) -> None:
    """Words no list has, money that does not add up, another hospital: unknown from a query, forged from a notice."""
    bill = await stand.bill()
    await stand.pressed(bill)
    await until(lambda: len(stand.house.notices) == 1)
    made = next(iter(stand.desk.orders.values()))
    true_view = stand.desk.view
    for change in SPOILT_ANSWERS:
        stand.desk.view = lambda _, change=change: true_view(made) | change  # type: ignore[method-assign, misc]
        with pytest.raises(Unknown):
            await stand.mix.query(bill.order.out_trade_no)
        if "out_trade_no" not in change:
            told = await stand.post("/control/mix/notify", {"out_trade_no": bill.order.out_trade_no})
            assert (told["status"], change) == (401, change)
    assert len(stand.house.notices) == 1
    stand.desk.view = lambda order: true_view(made) | {"mix_trade_no": "MIXOTHER"}  # type: ignore[method-assign]
    with pytest.raises(Unknown, match="another order"):
        await stand.mix.query_by_mix_trade_no(made.mix_trade_no)
    other = await stand.bill(("A1", 4000))
    stand.desk.view = lambda order: true_view(made)  # type: ignore[method-assign]
    with pytest.raises(Unknown, match="another order"):
        await stand.mix.create(other.order)


# ------------------------------------------------------------------------------------------------------------ notices


async def test_notices_stop_after_thirty_seconds(stand: MixStand, until: Any) -> None:
    """Four tries, no more; who does not ask never hears of it."""
    bill = await stand.bill()
    await stand.pressed(bill, on="mix_notify", do="drop", times=None)
    await stand.world.notifier.quiet()
    tries = [t for t in stand.world.notifier.log if t.event_type == "MEDICAL_INSURANCE.SUCCESS"]
    assert [t.attempt for t in tries] == [1, 2, 3, 4]
    assert stand.house.notices == []
    assert (await stand.mix.query(bill.order.out_trade_no)).concludes is MixEnd.WHOLE


@pytest.mark.parametrize(
    "forged",
    [
        {"spoil": "bad_signature"},
        {"spoil": "unsigned"},
        {"spoil": "stale"},
        {"spoil": "tamper"},
        {"spoil": "wrong_serial"},
        {"spoil": "signtest"},
        {"wrong_key": True},
        {"event_type": "TRANSACTION.SUCCESS"},
    ],
)
async def test_forged_notices_are_refused(stand: MixStand, forged: dict[str, Any]) -> None:
    """Whatever is not a genuine, fresh notice of this event: 401, and nothing is believed."""
    bill = await stand.bill()
    await stand.mix.create(bill.order)
    answer = await stand.post("/control/mix/notify", {"out_trade_no": bill.order.out_trade_no, **forged})
    assert (answer["status"], stand.house.notices, len(stand.house.refused)) == (401, [], 1)


async def test_a_recorded_notice_keeps_its_id_and_goes_stale(stand: MixStand, until: Any, clock: Any) -> None:
    """Played again at once it has the same id (the caller dedupes), a day later it is refused."""
    bill = await stand.bill()
    await stand.pressed(bill)
    await until(lambda: len(stand.house.notices) == 1)
    known = stand.house.notices[0].id
    assert (await stand.post("/control/notify", {"replay": known}))["status"] == 200
    assert [n.id for n in stand.house.notices] == [known, known]
    clock.move(days=1)
    assert (await stand.post("/control/notify", {"replay": known}))["status"] == 401
    assert stand.house.refused == ["not fresh"]


# ------------------------------------------------------------------------------------------------------------- privacy


async def test_nobody_s_papers_are_seen_on_the_way(stand: MixStand, caplog: pytest.LogCaptureFixture) -> None:
    """On the wire names and numbers are sealed; the most talkative log and reprs show none, nor authorizations."""
    caplog.set_level(logging.DEBUG)
    sent: list[bytes] = []

    async def keep(request: httpx.Request) -> None:
        sent.append(request.content)

    stand.pay.line.library._core._client.event_hooks["request"] = [keep]
    bill = await stand.bill(payer="oDaughter")
    prepared = await stand.pressed(bill)
    await stand.mix.query(bill.order.out_trade_no)
    body = json.loads(next(raw for raw in sent if b"mix_pay_type" in raw))
    assert set(body["payer"]) == set(body["relative"]) == {"name", "id_digest", "card_type"}
    told = " ".join(record.getMessage() for record in caplog.records)
    papers = [
        *(bill.order.payer.name, bill.order.payer.id_number, stand.person().name, stand.person().id_number),
        *(bill.order.pay_auth_no, bill.order.location),
    ]
    for paper in papers:
        assert paper not in told
        assert paper not in repr(bill.order) + repr(prepared)
    for paper in papers[:4]:
        assert json.dumps(paper)[1:-1].encode() not in b"".join(sent)


async def test_half_a_configuration_is_none(stand: MixStand) -> None:
    """What is missing is named; a callback WeChat would refuse is no callback."""
    for name in ("city_id", "institution_no", "institution_name", "callback_url"):
        with pytest.raises(NotConfigured, match=name):
            WeChatMix(stand.pay, replace(stand.settings, **{name: ""}))  # type: ignore[arg-type]
    strict = replace(stand.settings, loopback_http=False)
    for url in (stand.settings.callback_url, "https://houfu.example/mix?x=1", "http://houfu.example/mix"):
        with pytest.raises(NotConfigured, match="callback_url"):
            WeChatMix(stand.pay, replace(strict, callback_url=url))
    WeChatMix(stand.pay, replace(strict, callback_url="https://houfu.example/mix"))


async def test_what_is_wrong_never_leaves_the_house(stand: MixStand, serving: Any) -> None:
    """Our own no is said before anything is sent."""
    asked: list[str] = []

    async def anything(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(status_code=500)

    bill = await stand.bill()
    order = bill.order
    async with serving(Starlette(routes=[Route("/{path:path}", anything, methods=["GET", "POST"])])) as base:
        stand.pay.line.library._core._gate_way = base
        wrong: list[MixOrder] = [
            replace(order, money=replace(order.money, total_fen=20001)),
            replace(order, prepay_id=""),
            replace(order, kind=MixKind.CASH_ONLY),
            replace(order, order_number="x" * 21),
            replace(order, order_number=""),
            replace(order, out_trade_no="a/b/c/d"),
            replace(order, pay_auth_no="A" * 41),
            replace(order, passthrough={"payAuthNo": "AUTH0"}),
            replace(order, channel=CashChannel.NATIVE),
        ]
        for each in wrong:
            with pytest.raises(Rejected, match=MixNo.PARAM_ERROR):
                await stand.mix.create(each)
        for number in ("", "a/b", "../orders"):
            with pytest.raises(Rejected, match=MixNo.PARAM_ERROR):
                await stand.mix.query(number)
            with pytest.raises(Rejected, match=MixNo.PARAM_ERROR):
                await stand.mix.query_by_mix_trade_no(number)
        with pytest.raises(Rejected, match=MixNo.PARAM_ERROR):
            await stand.mix.report_refund(MixRefund("MIX0", "R1", NOON, 100, 50, 49))
    assert asked == []
