"""One press in WeChat pays insurance and cash: both or neither, whoever fails, dies, forges or gives up on the way."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from kernel.errors import ForbiddenError, IllegalTransitionError
from payments import flows
from payments.flows import mixing as flow
from payments.models import MixedOrder
from payments.ports import CashChannel, InsuranceStatus
from payments.rules import InsuranceState, NotShownError, Till
from payments.rules.mixing import (
    MIXED,
    ConsentOverError,
    InsuranceInWeChatError,
    MixedState,
    Waits,
    waits_for,
)
from payments.service import mixed, mixing
from payments.service.mixing import Payer, Standing
from payments.service.weighing import Verdict, weigh
from people.models import Grant
from people.rules import Actor
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.test_insurance import center, held, nothing, of_visit, shown, whole
from tests.payments.test_insurance_refunds import back, each, owed_anew, reversed_
from tests.payments.test_shares import money_back, pays, sound


def lines(house: House) -> flow.Lines:
    """Our lines to WeChat and the centre."""
    assert house.world.ports.mix is not None
    return flow.Lines(center(house), house.world.ports.mix, house.pay)


def payer(house: House, openid: str = MOTHER, channel: CashChannel = CashChannel.JSAPI) -> Payer:
    """The mother, inside WeChat."""
    if channel is CashChannel.MINIPROG:
        return Payer(channel, f"m{openid}", Till(house.till.mchid, house.town.keys.wechat.mini_appid))
    return Payer(channel, openid, house.till)


async def agreed(house: House, bill: Bill, *, with_cash: bool = True, **options: Any) -> list[MixedOrder]:
    """Everything reckoned and shown, and agreed to; the orders wait for the password."""
    found = await shown(house, bill, account_used=False)
    cash = sum(p.cash_fen or 0 for p in found)
    who = options.get("payer") or payer(house)
    await flow.agree(house.db, lines(house), house.mother, bill.visit, cash, who, with_cash=with_cash)
    return await orders(house)


async def orders(house: House) -> list[MixedOrder]:
    """All mixed orders, oldest first."""
    async with house.db.begin() as tx:
        query = select(MixedOrder).order_by(MixedOrder.created_at, MixedOrder.id)
        return list(await tx.session.scalars(query))


async def standings(house: House, bill: Bill, actor: Actor | None = None) -> list[Standing]:
    """How each settlement stands for the payer's page."""
    async with house.db.begin() as tx:
        return (await mixing.of_visit(tx, actor or house.mother, bill.visit))[1]


async def presses(house: House, bill: Bill, which: int = 0, openid: str = MOTHER) -> str:
    """The payer enters the password in WeChat."""
    waiting = [s for s in await standings(house, bill) if s.invoke is not None]
    invoke = waiting[which].invoke
    assert invoke is not None
    answer = await house.control("/control/mix/pay", {"openid": openid, "params": dict(invoke.params)})
    return str(answer["err_msg"]).partition(":")[2]


async def looked(house: House, times: int = 3) -> None:
    """Every sweeper looks, and looks again."""
    for _ in range(times):
        house.clock.move(seconds=61)
        await flow.due(house.db, lines(house))
        await flows.insurance_due(house.db, center(house))
        await flows.sweep(house.db, house.pay)
        await flows.refund_due(house.db, house.pay)
        await flow.report_due(house.db, lines(house).mix)


def misbehave(house: House, on: str, do: str, **options: Any) -> None:
    """What WeChat does next."""
    house.town.pay.behaviour.plan([{"on": on, "do": do, **options}])


def deaf(house: House) -> None:
    """No notice of anybody ever arrives."""
    misbehave(house, "notify", "drop", times=None)
    misbehave(house, "mix_notify", "drop", times=None)
    house.town.insurance.behaviour.plan([{"on": "notify", "do": "lose", "times": None}])


async def ended(house: House, bill: Bill, refunds: int) -> None:
    """Neither: all money is back, with this many refunds of cash, and nothing waits any more."""
    await looked(house, 2)
    if refunds:
        await money_back(house, bill.visit, refunds)
    await looked(house, 2)
    await nothing(house, bill)
    assert all(m.next_look_at is None for m in await orders(house))


# ---------------------------------------------------------------------------------------------------------- whole


@pytest.mark.parametrize(
    ("heard", "channel"), [(True, CashChannel.JSAPI), (False, CashChannel.JSAPI), (True, CashChannel.MINIPROG)]
)
async def test_one_press_pays_both(house: House, heard: bool, channel: CashChannel) -> None:
    """One encounter, she pays herself: one password, both books have their part, told once; notices or none."""
    if not heard:
        deaf(house)
    bill = await house.bill()
    who = payer(house, channel=channel)
    [order] = await agreed(house, bill, payer=who)
    [attempt] = await house.attempts(bill.visit)
    [part] = await of_visit(house, bill)
    assert (order.kind, order.state) == ("CASH_AND_INSURANCE", "open")
    assert (attempt.out_trade_no, attempt.amount_fen, attempt.mixed) == (order.out_trade_no, part.cash_fen, True)
    [stands] = await standings(house, bill)
    assert (stands.waits_for, stands.pay_fen) == (Waits.PASSWORD, part.cash_fen)
    assert stands.invoke is not None
    assert stands.invoke.channel is channel
    assert stands.invoke.params["mixTradeNo"] == order.mix_trade_no
    assert ("appid" in stands.invoke.params) is (channel is CashChannel.JSAPI)
    assert held(house) == 0
    assert await house.owed(bill.visit) == 0
    await sound(house)
    assert await presses(house, bill, openid=who.openid or "") == "ok"
    await looked(house)
    assert await house.states(bill.visit) == {"settled"}
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    assert [(i["fund_fen"], i["cash_fen"]) for i in told["insurance"]] == [(part.fund_fen, part.cash_fen)]
    assert [p["amount_fen"] for p in told["payments"]] == [part.cash_fen]
    assert [m.state for m in await orders(house)] == ["whole"]
    assert house.payments == 1
    assert (await house.said(bill.visit))[-1] == "settled"
    await whole(house, bill)


async def test_the_insurance_alone_then_the_cash_shared(house: House) -> None:
    """She wants her daughter to pay the rest: the password lets the insurance pay, the cash is paid as ever."""
    bill = await house.bill()
    [order] = await agreed(house, bill, with_cash=False)
    assert (order.kind, order.attempt_id) == ("INSURANCE_ONLY", None)
    assert await house.attempts(bill.visit) == []
    assert await presses(house, bill) == "ok"
    await looked(house)
    [part] = await of_visit(house, bill)
    assert part.state == "paid"
    await pays(house, house.daughter, DAUGHTER, bill, None, part.cash_fen or 0)
    await house.settle()
    await whole(house, bill)


async def test_two_encounters_two_passwords(house: House) -> None:
    """Each settlement is pressed by itself; the cash of both is one payment; one fails: the other is taken back."""
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    made = await agreed(house, bill)
    assert [m.kind for m in made] == ["INSURANCE_ONLY"] * 2
    assert await presses(house, bill) == "ok"
    await looked(house, 1)
    assert sorted(p.state for p in await of_visit(house, bill)) == ["paid", "paying"]
    misbehave(house, "mix_pay", "insurance_fails")
    assert await presses(house, bill) == "ok"
    await ended(house, bill, 0)
    assert sorted(m.state for m in await orders(house)) == ["dead", "returned"]
    await agreed(house, bill)
    assert [await presses(house, bill, n) for n in (0, 1)] == ["ok", "ok"]
    await looked(house)
    cash = sum(p.cash_fen or 0 for p in await of_visit(house, bill))
    await pays(house, house.mother, MOTHER, bill, None, cash)
    await house.settle()
    await whole(house, bill)


# ------------------------------------------------------------------------------------------------- one of both fails


async def test_the_cash_came_and_the_insurance_failed(house: House) -> None:
    """Cash taken, the insurance says no: both witnesses agree, and the cash goes back by an ordinary refund."""
    bill = await house.bill()
    await agreed(house, bill)
    misbehave(house, "mix_pay", "insurance_fails")
    assert await presses(house, bill) == "ok"
    assert house.taken == (await of_visit(house, bill))[0].cash_fen
    await ended(house, bill, 1)
    assert [p.state for p in await of_visit(house, bill)] == ["failed"]
    assert [m.state for m in await orders(house)] == ["cash_alone"]
    assert (await house.said(bill.visit))[-1] == "returned"


async def test_the_insurance_paid_and_the_cash_failed(house: House) -> None:
    """The insurance stands, the cash is simply paid by another attempt."""
    bill = await house.bill()
    await agreed(house, bill)
    misbehave(house, "mix_pay", "cash_fails")
    assert await presses(house, bill) == "ok"
    await looked(house)
    [part] = await of_visit(house, bill)
    assert part.state == "paid"
    assert [m.state for m in await orders(house)] == ["insurance_alone"]
    assert await house.owed(bill.visit) == part.cash_fen
    await sound(house)
    await pays(house, house.mother, MOTHER, bill, None, part.cash_fen or 0)
    await house.settle()
    await whole(house, bill)


async def test_the_insurance_paid_the_cash_failed_and_she_goes(house: House) -> None:
    """Nobody pays the cash any more: the insurance's money goes back, and WeChat is told so."""
    bill = await house.bill()
    await agreed(house, bill)
    misbehave(house, "mix_pay", "cash_fails")
    await presses(house, bill)
    await looked(house)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await ended(house, bill, 0)
    [order] = await orders(house)
    assert order.state == "returned"
    [there] = house.town.mixed.dump()
    assert len(there["reports"]) == 1
    assert there["med_ins_pay_status"] == "MED_INS_PAY_REFUND"


@pytest.mark.parametrize("success", [True, False])
async def test_the_insurance_hangs(house: House, success: bool) -> None:
    """Cash taken, the insurance undecided: nothing is decided here; then whole, or all back."""
    bill = await house.bill()
    [order] = await agreed(house, bill)
    misbehave(house, "mix_pay", "insurance_hangs")
    assert await presses(house, bill) == "ok"
    await looked(house)
    [part] = await of_visit(house, bill)
    assert part.state == "paying"
    assert await house.states(bill.visit) == {"covered"}
    assert (await standings(house, bill))[0].waits_for is Waits.PASSWORD
    await sound(house)
    await house.control("/control/mix/finish", {"out_trade_no": order.out_trade_no, "success": success})
    if success:
        await looked(house)
        await house.settle()
        await whole(house, bill)
    else:
        await ended(house, bill, 1)


async def test_the_insurance_hangs_and_it_is_given_up(house: House) -> None:
    """Given up after the password: the centre will not revoke; whatever it says in the end, all of it goes back."""
    bill = await house.bill()
    [order] = await agreed(house, bill)
    misbehave(house, "mix_pay", "insurance_hangs")
    await presses(house, bill)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await looked(house)
    [part] = await of_visit(house, bill)
    assert part.state == "revoking"
    assert house.taken == part.cash_fen
    await house.control("/control/mix/finish", {"out_trade_no": order.out_trade_no, "success": True})
    await ended(house, bill, 1)
    [order] = await orders(house)
    assert (order.state, len(house.town.mixed.dump()[0]["reports"])) == ("returned", 1)


async def test_wechat_is_silent_until_all_is_back(house: House) -> None:
    """Both paid, WeChat says nothing, she gives up: both go back by whom they came; asked at last, WeChat is told."""
    bill = await house.bill()
    await agreed(house, bill)
    misbehave(house, "mix_query", "error_before", times=None)
    misbehave(house, "mix_notify", "drop", times=None)
    assert await presses(house, bill) == "ok"
    await looked(house)
    [part] = await of_visit(house, bill)
    assert (part.state, held(house) + house.taken) == ("paying", part.total_fen)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await looked(house)
    await money_back(house, bill.visit, 1)
    await nothing(house, bill)
    assert [m.state for m in await orders(house)] == ["open"]
    house.town.pay.behaviour.forget()
    await ended(house, bill, 1)
    assert [m.state for m in await orders(house)] == ["returned"]


async def test_the_witnesses_contradict_each_other(house: House) -> None:
    """The centre says paid, WeChat still waits for the password: nothing is decided, a person is told after a while."""
    bill = await house.bill()
    await agreed(house, bill)
    world = house.town.insurance
    world.cash(next(iter(world.books.orders.values())))
    world.pay(next(iter(world.books.orders.values())))
    await looked(house, 2)
    [part] = await of_visit(house, bill)
    assert (part.state, part.trouble) == ("paying", None)
    await looked(house, 6)
    [part] = await of_visit(house, bill)
    assert (part.state, part.trouble) == ("paying", "mix:disagrees")
    assert await house.states(bill.visit) == {"covered"}


async def test_an_answer_about_other_money(house: House) -> None:
    """WeChat says it is paid, but another split than ours: it decides nothing, a person is told."""
    bill = await house.bill()
    await agreed(house, bill)
    [there] = house.town.mixed.orders.values()
    assert await presses(house, bill) == "ok"
    there.shown["med_ins_gov_fee"] -= 1
    there.shown["med_ins_other_fee"] += 1
    await looked(house)
    [order] = await orders(house)
    assert (order.state, order.trouble) == ("open", "mismatch:order")
    assert [p.state for p in await of_visit(house, bill)] == ["paying"]
    assert await house.states(bill.visit) == {"covered"}


# ---------------------------------------------------------------------------------------------------- never pressed


async def test_given_up_while_waiting_for_the_password(house: House) -> None:
    """Revoked at the centre, closed at WeChat: the order can no longer be paid, though the page still has it."""
    bill = await house.bill()
    await agreed(house, bill)
    [stands] = await standings(house, bill)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await looked(house, 2)
    assert stands.invoke is not None
    press = {"openid": MOTHER, "params": dict(stands.invoke.params)}
    assert (await house.control("/control/mix/pay", press))["err_msg"].endswith(":fail")
    await ended(house, bill, 0)
    assert [m.state for m in await orders(house)] == ["dead"]
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)


@pytest.mark.parametrize("with_cash", [True, False])
async def test_the_password_never_comes(house: House, with_cash: bool) -> None:
    """She puts the phone away: after a while everything is as before."""
    bill = await house.bill()
    await agreed(house, bill, with_cash=with_cash)
    house.clock.move(minutes=31)
    await flows.release_idle(house.db)
    await ended(house, bill, 0)
    assert [p.state for p in await of_visit(house, bill)] == ["revoked"]


async def test_the_cash_order_runs_out(house: House) -> None:
    """After fifteen minutes the cash order is closed: the mixed one is dead with it, the centre's is revoked."""
    bill = await house.bill()
    await agreed(house, bill)
    house.clock.move(minutes=15)
    await ended(house, bill, 0)
    assert [p.state for p in await of_visit(house, bill)] == ["revoked"]


async def test_she_cancels_the_cash(house: House) -> None:
    """The payment is cancelled by itself, as any other: the whole ends with it, at once."""
    bill = await house.bill()
    await agreed(house, bill)
    [attempt] = await house.attempts(bill.visit)
    await flows.close(house.db, house.pay, attempt.id)
    assert await flow.due(house.db, lines(house)) == 1
    assert [m.state for m in await orders(house)] == ["dead"]
    await ended(house, bill, 0)


async def test_the_cash_order_cannot_be_opened(house: House) -> None:
    """A definite no to the cash: no mixed order is opened, and all is as before."""
    misbehave(house, "create", "throttle")
    bill = await house.bill()
    await agreed(house, bill)
    assert house.town.mixed.orders == {}
    await ended(house, bill, 0)
    assert {a.state for a in await house.attempts(bill.visit)} == {"failed"}


async def test_a_consent_that_is_too_old(house: House) -> None:
    """She looks at the split for a quarter of an hour: refused with a word what to do, and all is as before."""
    bill = await house.bill()
    found = await shown(house, bill, account_used=False)
    house.clock.move(minutes=11)
    cash = sum(p.cash_fen or 0 for p in found)
    with pytest.raises(ConsentOverError):
        await flow.agree(house.db, lines(house), house.mother, bill.visit, cash, payer(house))
    await looked(house, 1)
    assert (await orders(house), house.town.mixed.orders) == ([], {})
    await nothing(house, bill)


async def test_wechat_refuses_the_order(house: House) -> None:
    """A definite no, here of the authorization: the cash order is closed, the centre's revoked, nothing was taken."""
    bill = await house.bill()
    found = await shown(house, bill, account_used=False)
    for auth in house.town.insurance.books.auths.values():
        auth.payer = "somebody else"
    cash = sum(p.cash_fen or 0 for p in found)
    await flow.agree(house.db, lines(house), house.mother, bill.visit, cash, payer(house))
    [order] = await orders(house)
    assert (order.state, order.trouble) == ("dead", "PAY_AUTH_NO_INVALID")
    await ended(house, bill, 0)
    assert {a.state for a in await house.attempts(bill.visit)} == {"closed"}


# ------------------------------------------------------------------------------------------- no answer, a dead process


NO_ANSWER = [
    ("create", "error_before"),
    ("create", "error_after"),
    ("mix_create", "error_before"),
    ("mix_create", "error_after"),
    ("mix_create", "throttle"),
    ("mix_query", "bad_signature"),
]


@pytest.mark.parametrize(("on", "how"), NO_ANSWER)
async def test_no_answer(house: House, on: str, how: str) -> None:
    """WeChat's answer is lost, or is none: the same order is found again, or opened; pressed once, paid once."""
    misbehave(house, on, how)
    bill = await house.bill()
    await agreed(house, bill)
    await looked(house)
    [order] = await orders(house)
    assert (order.state, len(house.town.mixed.orders)) == ("open", 1)
    assert await presses(house, bill) == "ok"
    await looked(house)
    await house.settle()
    assert house.payments == 1
    await whole(house, bill)


async def test_a_timeout_after_the_order_exists(house: House) -> None:
    """Made there, then silence: unknown, so it is looked up under its number, and nothing is opened twice."""
    misbehave(house, "mix_create", "hang_after", seconds=10)
    bill = await house.bill()
    [order] = await agreed(house, bill)
    assert (order.state, len(house.town.mixed.orders)) == ("created", 1)
    assert (await standings(house, bill))[0].waits_for is Waits.OPENING
    await looked(house, 1)
    [order] = await orders(house)
    assert order.state == "open"
    assert await presses(house, bill) == "ok"
    await looked(house)
    await whole(house, bill)


@pytest.mark.parametrize("at", ["opened", "said"])
async def test_the_process_dies_between_call_and_record(house: House, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened or paid there, and we die before writing it down: the sweeper finds out; one order, one payment."""

    class Died(Exception):
        """The process is gone."""

    async def gone(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise Died

    deaf(house)
    bill = await house.bill()
    if at == "opened":
        monkeypatch.setattr(mixed, at, gone)
        with pytest.raises(Died):
            await agreed(house, bill)
        assert (await orders(house))[0].state == "created"
        await looked(house, 1)
        assert len(house.town.mixed.orders) == 1
    else:
        await agreed(house, bill)
    assert await presses(house, bill) == "ok"
    if at == "said":
        monkeypatch.setattr(mixed, at, gone)
        with pytest.raises(Died):
            await looked(house, 1)
    await looked(house)
    await house.settle()
    assert house.payments == 1
    await whole(house, bill)


async def test_it_is_given_up_before_the_order_was_opened(house: House) -> None:
    """The answer to opening was lost, then she gives up: what is there can no longer be paid."""
    misbehave(house, "mix_create", "error_after")
    misbehave(house, "mix_query", "error_before", times=2)
    bill = await house.bill()
    await agreed(house, bill)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await ended(house, bill, 0)
    assert [m.state for m in await orders(house)] == ["dead"]


async def test_a_report_that_is_not_taken(house: House) -> None:
    """WeChat does not answer when it is told that the insurance has its money: it is told again, deciding nothing."""
    bill = await house.bill()
    await agreed(house, bill, with_cash=False)
    await presses(house, bill)
    await looked(house)
    misbehave(house, "mix_report", "error_before", times=2)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await ended(house, bill, 0)
    [there] = house.town.mixed.dump()
    assert len(there["reports"]) == 1
    assert [m.state for m in await orders(house)] == ["returned"]


# -------------------------------------------------------------------------------------------------------- notices


async def test_a_notice_makes_us_ask_and_no_more(house: House) -> None:
    """Forged, a day old, played again, or a lie: nothing changes; a genuine one makes the next look immediate."""
    misbehave(house, "mix_notify", "drop", times=None)
    bill = await house.bill()
    [order] = await agreed(house, bill)
    say = {"out_trade_no": order.out_trade_no}
    before = await house.snapshot()
    for forged in ({"spoil": "tamper"}, {"spoil": "wrong_serial"}, {"spoil": "stale"}, {"wrong_key": True}):
        assert (await house.control("/control/mix/notify", say | forged))["status"] in (400, 401)
    assert (await house.control("/control/mix/notify", say | {"event_type": "TRANSACTION.SUCCESS"}))["status"] == 401
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as client:
        assert (await client.post("/api/callbacks/wechat-pay/insurance", content=b"{}")).status_code == 401
    assert await house.snapshot() == before
    lie = {"mix_pay_status": "MIX_PAY_SUCCESS", "self_pay_status": "SELF_PAY_SUCCESS"}
    lie |= {"med_ins_pay_status": "MED_INS_PAY_SUCCESS"}
    said = await house.control("/control/mix/notify", say | {"overrides": lie})
    assert said["status"] == 204
    assert (await house.control("/control/notify", {"replay": said["id"]}))["status"] == 409
    await flow.due(house.db, lines(house))
    assert [m.state for m in await orders(house)] == ["open"]
    assert [p.state for p in await of_visit(house, bill)] == ["paying"]
    other = {"overrides": {"out_trade_no": "HFMSOMEBODYELSE"}}
    assert (await house.control("/control/mix/notify", say | other))["status"] == 404
    assert await presses(house, bill) == "ok"
    assert (await house.control("/control/mix/notify", say))["status"] == 204
    assert await flow.due(house.db, lines(house)) == 1  # at once: no time has passed
    await until(lambda: _paid(house, bill))
    await whole(house, bill)


async def _paid(house: House, bill: Bill) -> bool:
    return (await of_visit(house, bill))[0].state == "paid" and await house.states(bill.visit) == {"settled"}


# --------------------------------------------------------------------------------------------------- who, and where


async def test_a_relative_pays_by_the_insurers_family_account(house: House) -> None:
    """The daughter looks after her mother: she consents for her and pays; who is whose the insurance says alone."""
    async with house.db.begin() as tx:
        await tx.session.execute(update(Grant).where(Grant.person_id == house.daughter.id).values(kind="guard"))
    bill = await house.bill()
    hospital = await house.world.ports.his.of(house.hospital)
    [part] = await flows.insure(house.db, hospital, house.daughter, bill.visit, account_used=False)
    books = house.town.insurance.books
    mother = next(p for p in books.people.values() if p.openid == MOTHER)
    code = books.consent(DAUGHTER, mother.id_number)
    await flows.authorize(house.db, center(house), house.daughter, part, code, DAUGHTER)
    [found] = await of_visit(house, bill)
    daughter = payer(house, DAUGHTER)
    await flow.agree(house.db, lines(house), house.daughter, bill.visit, found.cash_fen or 0, daughter)
    [order] = await orders(house)
    assert order.state == "open", order.trouble
    [there] = house.town.mixed.orders.values()
    assert (there.shown["pay_for_relatives"], there.patient) == (True, mother.id_number)
    assert (await standings(house, bill, house.mother))[0].invoke is None  # only who agreed may press
    [stands] = await standings(house, bill, house.daughter)
    assert stands.invoke is not None
    press = {"openid": DAUGHTER, "params": dict(stands.invoke.params)}
    assert (await house.control("/control/mix/pay", press))["err_msg"].endswith(":ok")
    await looked(house)
    await house.settle()
    await whole(house, bill)


async def test_somebody_else_cannot_agree_with_her_consent(house: House) -> None:
    """The mother consented, the one who looks after her presses: WeChat would refuse, so we do, and nothing happens."""
    async with house.db.begin() as tx:
        await tx.session.execute(update(Grant).where(Grant.person_id == house.daughter.id).values(kind="guard"))
    bill = await house.bill()
    [found] = await shown(house, bill, account_used=False)
    daughter = payer(house, DAUGHTER)
    with pytest.raises(ForbiddenError):
        await flow.agree(house.db, lines(house), house.daughter, bill.visit, found.cash_fen or 0, daughter)
    assert (await of_visit(house, bill))[0].state == "placed"
    assert await orders(house) == []


async def test_without_wechat_there_is_no_insurance(house: House) -> None:
    """Another browser, an unknown payer, no mixed office: a sentence that says what to do, and nothing is begun."""
    bill = await house.bill()
    safari = house.phone(house.mother, "Mozilla/5.0 Safari")
    path = f"/api/visits/{bill.visit}/insurance"
    refused = await safari.post(path, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "insurance_only_in_wechat")
    assert "微信" in refused.json()["detail"]
    assert await house.states(bill.visit) == {"billable"}
    [found] = await shown(house, bill, account_used=False)
    refused = await safari.post(f"{path}/agree", json={"cash_fen": found.cash_fen})
    assert (refused.status_code, refused.json()["code"]) == (409, "insurance_only_in_wechat")
    for who in (Payer(CashChannel.JSAPI, None, house.till), Payer(CashChannel.H5, MOTHER, house.till)):
        with pytest.raises(InsuranceInWeChatError):
            await flow.agree(house.db, lines(house), house.mother, bill.visit, found.cash_fen or 0, who)
    assert (await of_visit(house, bill))[0].state == "placed"
    assert (await orders(house), house.town.mixed.orders) == ([], {})


async def test_for_programs(house: House) -> None:
    """By JSON: agree, hand the parameters to WeChat, look; the cash order's own ticket is given to nobody."""
    bill = await house.bill()
    [found] = await shown(house, bill, account_used=False)
    mother, path = house.phone(house.mother), f"/api/visits/{bill.visit}/insurance"
    shown_ = (await mother.get(path)).json()
    assert (shown_["round_state"], shown_["settlements"][0]["waits_for"]) == ("insuring", "agreement")
    said = await mother.post(f"{path}/agree", json={"cash_fen": found.cash_fen})
    assert said.status_code == 200, said.text
    [one] = said.json()["settlements"]
    assert (one["waits_for"], one["pay_fen"], one["invoke"]["channel"]) == ("password", found.cash_fen, "JSAPI")
    again = await mother.post(f"{path}/agree", json={"cash_fen": found.cash_fen})  # pressed twice
    assert again.json() == said.json()
    assert len(await orders(house)) == 1
    [attempt] = await house.attempts(bill.visit)
    payment = (await mother.get(f"/api/payments/{attempt.id}")).json()
    assert (payment["state"], payment["client_params"]) == ("offered", None)
    assert (await house.phone(house.daughter).get(path)).status_code in (403, 404)
    answer = await house.control("/control/mix/pay", {"openid": MOTHER, "params": one["invoke"]["params"]})
    assert answer["err_msg"].endswith(":ok")

    async def over() -> bool:
        house.clock.move(seconds=3)
        return bool((await mother.get(path)).json()["round_state"] == "paid")

    await until(over)  # by looking alone: no sweeper runs
    now = (await mother.get(path)).json()
    assert now["settlements"][0]["state"] == "paid"
    assert now["settlements"][0]["invoke"] is None
    await whole(house, bill)


# ------------------------------------------------------------------------------------------------------ what is drawn


@pytest.mark.parametrize("after", list(MixedState))
@pytest.mark.parametrize("before", [None, *MixedState])
def test_mixed_orders_move_only_as_drawn(before: MixedState | None, after: MixedState) -> None:
    """Allowed edges make their fact, any other raises."""
    if MIXED.allows(before, after):
        assert MIXED.move(before, after)
    else:
        with pytest.raises(IllegalTransitionError):
            MIXED.move(before, after)


def test_what_two_witnesses_allow() -> None:
    """Decided is what both say; the rest waits, or is a contradiction."""
    table = {
        verdict: {(m.value, int(c)) for m in MixedState for c in InsuranceStatus if weigh(m, c) is verdict}
        for verdict in Verdict
    }
    paid, never, back = {4, 5, 6, 9, 10}, {12, 15, 16}, {7, 8, 11, 13}
    assert table[Verdict.PAID] == {(m, c) for m in ("whole", "insurance_alone") for c in paid}
    assert table[Verdict.TAKE_BACK] == {(m, c) for m in ("dead", "cash_alone") for c in (0, 1)}
    no = ("dead", "cash_alone", "whole", "insurance_alone", "returned")
    assert table[Verdict.GONE] == {(m, c) for m in no[:2] for c in never} | {(m, c) for m in no for c in back}
    assert {c for _, c in table[Verdict.WAIT]} == {0, 1, 2, 3, 14, 17}
    assert table[Verdict.CONTRADICTED] >= {(m, c) for m in ("created", "open") for c in paid | never | back}


def test_what_a_settlement_waits_for() -> None:
    """Each state has one thing that comes next."""
    assert waits_for(InsuranceState.CREATED, None, consented=False) is Waits.CONSENT
    assert waits_for(InsuranceState.CREATED, None, consented=True) is Waits.RECKONING
    assert waits_for(InsuranceState.PLACED, None, consented=True) is Waits.AGREEMENT
    assert waits_for(InsuranceState.PAYING, MixedState.CREATED, consented=True) is Waits.OPENING
    assert waits_for(InsuranceState.PAYING, MixedState.OPEN, consented=True) is Waits.PASSWORD
    assert waits_for(InsuranceState.PAYING, MixedState.WHOLE, consented=True) is Waits.RESULT
    assert waits_for(InsuranceState.PAYING, None, consented=True) is Waits.RESULT
    assert waits_for(InsuranceState.REVOKING, MixedState.OPEN, consented=True) is Waits.RETURN
    assert waits_for(InsuranceState.PAID, MixedState.WHOLE, consented=True) is Waits.NOTHING


async def test_the_database_keeps_one_press(house: House) -> None:
    """Past every rule of ours: a second live order of a settlement, or one of both without cash, cannot be written."""
    bill = await house.bill()
    await agreed(house, bill)
    copy = """INSERT INTO mixed_order (id, out_trade_no, part_id, round_id, visit_id, attempt_id, kind, channel, actor,
        openid_sealed, state, created_at)
        SELECT gen_random_uuid(), 'other', part_id, round_id, visit_id, NULL, {kind}, channel, actor, openid_sealed,
        'created', created_at FROM mixed_order"""
    for kind, why in (("'INSURANCE_ONLY'", "uq_mixed_live"), ("kind", "ck_mixed_order_cash_of_both")):
        with pytest.raises(DBAPIError, match=why):
            async with house.db.begin() as tx:
                await tx.session.execute(text(copy.format(kind=kind)))


async def test_a_line_taken_back_after_one_press_paid_both(house: House) -> None:
    """The insurance has its money first, WeChat is told, then the cash of that press returns; the rest is owed anew."""
    bill = await house.bill("CONS2", "URINE", "ECG12")
    [order] = await agreed(house, bill)
    assert await presses(house, bill) == "ok"
    await looked(house)
    await house.settle()
    [part] = await of_visit(house, bill)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    await looked(house)
    await back(house, bill)
    await looked(house)
    await owed_anew(house, bill, [gone], part)
    [told] = await orders(house)
    assert (told.id, told.state, told.reported_at is not None) == (order.id, "returned", True)


@pytest.mark.parametrize("with_cash", [True, False])
async def test_what_the_hospital_bears_itself(house: House, with_cash: bool) -> None:
    """Of the cash part the hospital bears some: the press, or who pays the rest, pays that much less in every book.

    Then a line is taken back: both have their money again, and of the hospital's part nothing was anybody's.
    """
    bill = await house.bill("CONS2", "URINE", "ECG12")
    charges = house.town.his.books.encounters[bill.encounter].charges.values()
    dear = max(charges, key=lambda charge: charge["amount_fen"])
    books = house.town.insurance.books
    others = {code: kind for code, kind in books.rules.classes.items() if code != dear["item_code"]}
    books.rules = replace(books.rules, classes=others, hospital={dear["item_code"]: 40})
    borne = dear["amount_fen"] * 40 // 100
    [part] = await shown(house, bill, account_used=False)
    asked = (part.cash_fen or 0) - borne
    assert part.hospital_part_fen == borne > 0
    with pytest.raises(NotShownError):  # what the centre calls cash is not what is asked
        await flow.agree(
            house.db, lines(house), house.mother, bill.visit, part.cash_fen or 0, payer(house), with_cash=with_cash
        )
    await flow.agree(house.db, lines(house), house.mother, bill.visit, asked, payer(house), with_cash=with_cash)
    [there] = house.town.mixed.orders.values()
    money = there.shown
    assert (money["total_fee"], money["med_ins_gov_fee"]) == (part.total_fen, part.fund_fen)
    assert money["med_ins_cash_fee"] - money.get("wechat_pay_cash_fee", 0) == borne + (0 if with_cash else asked)
    [standing] = await standings(house, bill)
    assert (standing.cash_fen, standing.pay_fen) == (asked, asked if with_cash else 0)
    assert await presses(house, bill) == "ok"
    await looked(house)
    if not with_cash:
        await pays(house, house.daughter, DAUGHTER, bill, None, asked)
    await house.settle()
    assert await house.states(bill.visit) == {"settled"}
    assert (held(house), house.taken) == (part.total_fen - (part.cash_fen or 0), asked)
    ledger = await house.ledger()
    assert (ledger["hospital_part"], ledger["cash_wechat"], ledger.get("patient", 0)) == (borne, asked, 0)
    [told] = house.town.his.books.settlements.values()
    assert (told["insurance"][0]["hospital_fen"], told["insurance"][0]["cash_fen"], told["total_fen"]) == (
        borne,
        asked,
        asked,
    )
    assert sum(line["hospital_fen"] for line in told["charges"]) == borne
    await sound(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    await looked(house)
    made = await back(house, bill)
    assert sum(r.amount_fen for r in made) == asked
    assert (held(house), house.taken, (await house.ledger()).get("hospital_part", 0)) == (0, 0, 0)
    [refund] = house.town.his.books.refunds.values()
    assert refund["total_fen"] == asked
    assert house.town.his.books.complaints == []
    await sound(house)
