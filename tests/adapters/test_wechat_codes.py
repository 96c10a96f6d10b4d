"""Charging the payment code a phone shows: at once, after a password, declined, in silence, and undone."""

import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from kernel.outside import Rejected, Unknown
from payments.ports import (
    CODE_LOOK,
    CODE_PATIENCE,
    CashState,
    CodeCharge,
    RefundOrder,
    TradeState,
)
from tests.adapters.pay_stand import DAUGHTER, MOTHER, Stand


async def charge(stand: Stand, amount: int = 7760, openid: str = MOTHER, **over: Any) -> CodeCharge:
    """The phone is held to the scanner."""
    shown = await stand.post("/control/code", {"openid": openid})
    stand.number += 1
    made = CodeCharge(
        f"CD{stand.number:06d}", amount, "后付演示医院 就诊费", shown["auth_code"], "W03", "HF01", "attempt"
    )
    return replace(made, **over)


async def watched(stand: Stand, clock: Any, number: str) -> tuple[CashState, int]:
    """What the desk does while the payer types: ask every five seconds for thirty, then undo."""
    asked = 0
    until = clock() + CODE_PATIENCE
    while clock() < until:
        clock.move(seconds=CODE_LOOK.total_seconds())
        asked += 1
        state = await stand.pay.query(number)
        if state.trade_state is not TradeState.USERPAYING:
            return state, asked
    await stand.pay.reverse(number)
    return await stand.pay.query(number), asked


def sums(stand: Stand) -> dict[str, int]:
    """The platform's own sums."""
    found: dict[str, int] = stand.world.books.dump()["sums"]
    return found


async def test_a_code_is_charged_at_once(stand: Stand) -> None:
    """The answer is the payment; asking says the same; no notice comes."""
    asked = await charge(stand)
    state = await stand.pay.charge_code(asked)
    assert (state.trade_state, state.amount_fen, state.payer_openid) == (TradeState.SUCCESS, 7760, MOTHER)
    assert (state.trade_type, state.attach) == ("MICROPAY", "attempt")
    assert await stand.pay.query(asked.out_trade_no) == state
    await stand.world.notifier.quiet(0.2)
    assert stand.house.raw == []
    with pytest.raises(Rejected, match="ORDER_PAID"):
        await stand.pay.charge_code(asked)
    assert sums(stand) == {"paid": 7760, "refunded": 0}


async def test_a_code_is_good_once_and_for_a_minute(stand: Stand, clock: Any) -> None:
    """Used, too old, made up, not a code at all: scan anew; nothing is taken, no order is left behind."""
    used = await charge(stand)
    await stand.pay.charge_code(used)
    old = await charge(stand)
    clock.move(seconds=61)
    mine = await charge(stand)
    sent: list[str] = []

    async def keep(request: Any) -> None:
        sent.append(request.url.path)

    stand.pay.line.library._core._client.event_hooks["request"] = [keep]
    for bad in (
        replace(used, out_trade_no="CD900001"),
        old,
        replace(mine, auth_code="130000000000000000"),
        replace(mine, auth_code="28" + mine.auth_code[2:]),
        replace(mine, auth_code="13"),
    ):
        with pytest.raises(Rejected, match="AUTH_CODE_INVALID"):
            await stand.pay.charge_code(bad)
    assert len(sent) == 3  # what is no code of WeChat's is not even sent
    assert len(stand.world.books.orders) == 1
    assert (await stand.pay.charge_code(mine)).trade_state is TradeState.SUCCESS


async def test_the_payer_types_a_password(stand: Stand, clock: Any) -> None:
    """USERPAYING with nothing else said; twelve seconds later the third look finds the money."""
    stand.world.behaviour.plan([{"on": "pay", "do": "userpaying", "seconds": 12}])
    asked = await charge(stand)
    first = await stand.pay.charge_code(asked)
    assert (first.trade_state, first.out_trade_no, first.amount_fen) == (
        TradeState.USERPAYING,
        asked.out_trade_no,
        None,
    )
    assert (await stand.pay.charge_code(asked)).trade_state is TradeState.USERPAYING
    state, times = await watched(stand, clock, asked.out_trade_no)
    assert (state.trade_state, state.amount_fen, times) == (TradeState.SUCCESS, 7760, 3)


async def test_a_payer_who_never_types_is_undone(stand: Stand, clock: Any) -> None:
    """Thirty seconds, six looks, then reverse: it can no longer be paid. Close would have been refused."""
    asked = await charge(stand, amount=66608)
    assert (await stand.pay.charge_code(asked)).trade_state is TradeState.USERPAYING
    with pytest.raises(Rejected, match="CLOSE_NOT_FOR_CODES"):
        await stand.pay.close(asked.out_trade_no)
    state, times = await watched(stand, clock, asked.out_trade_no)
    assert (state.trade_state, times) == (TradeState.REVOKED, 6)
    late = await stand.http.post("/control/code/password", json={"out_trade_no": asked.out_trade_no})
    assert late.status_code == 409
    with pytest.raises(Rejected, match="ORDER_REVERSED"):
        await stand.pay.charge_code(asked)
    assert sums(stand) == {"paid": 0, "refunded": 0}


async def test_a_payer_gives_up(stand: Stand, clock: Any) -> None:
    """The phone says no: PAYERROR, nothing taken; undoing it all the same is harmless."""
    asked = await charge(stand, amount=66608)
    await stand.pay.charge_code(asked)
    await stand.post("/control/code/password", {"out_trade_no": asked.out_trade_no, "ok": False})
    state, times = await watched(stand, clock, asked.out_trade_no)
    assert (state.trade_state, times) == (TradeState.PAYERROR, 1)
    await stand.pay.reverse(asked.out_trade_no)
    assert sums(stand) == {"paid": 0, "refunded": 0}


async def test_the_bank_declines(stand: Stand) -> None:
    """A definite no with its reason; another number and another code are tried and pay."""
    stand.world.behaviour.plan([{"on": "pay", "do": "decline"}])
    asked = await charge(stand)
    with pytest.raises(Rejected, match="NOT_ENOUGH"):
        await stand.pay.charge_code(asked)
    assert (await stand.pay.query(asked.out_trade_no)).trade_state is TradeState.PAYERROR
    again = await charge(stand, openid=DAUGHTER)
    assert (await stand.pay.charge_code(again)).payer_openid == DAUGHTER


@pytest.mark.parametrize("do", ["hang_after", "error_after", "bad_signature", "unsigned"])
async def test_the_money_is_taken_in_silence(stand: Stand, do: str) -> None:
    """Taken, not said: unknown; the query finds it under its number, and nobody charges twice."""
    stand.world.behaviour.plan([{"on": "code", "do": do, "seconds": 3}])
    asked = await charge(stand)
    with pytest.raises(Unknown):
        await stand.pay.charge_code(asked)
    assert (await stand.pay.query(asked.out_trade_no)).trade_state is TradeState.SUCCESS
    with pytest.raises(Rejected, match="ORDER_PAID"):
        await stand.pay.charge_code(asked)
    assert sums(stand)["paid"] == 7760


async def test_it_never_arrived(stand: Stand) -> None:
    """Unknown, but there is no order: neither to ask nor to undo; the same code still pays."""
    stand.world.behaviour.plan([{"on": "code", "do": "error_before"}])
    asked = await charge(stand)
    with pytest.raises(Unknown):
        await stand.pay.charge_code(asked)
    for call in (stand.pay.query(asked.out_trade_no), stand.pay.reverse(asked.out_trade_no)):
        with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
            await call
    assert (await stand.pay.charge_code(asked)).trade_state is TradeState.SUCCESS


async def test_undoing_what_was_paid_gives_it_back(stand: Stand) -> None:
    """Reverse of a paid one: REVOKED, the money is back, once, even when the first answer was lost."""
    asked = await charge(stand)
    await stand.pay.charge_code(asked)
    stand.world.behaviour.plan([{"on": "reverse", "do": "error_after"}])
    with pytest.raises(Unknown):
        await stand.pay.reverse(asked.out_trade_no)
    await stand.pay.reverse(asked.out_trade_no)
    assert (await stand.pay.query(asked.out_trade_no)).trade_state is TradeState.REVOKED
    assert sums(stand) == {"paid": 7760, "refunded": 7760}
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.pay.refund(RefundOrder("RF000001", asked.out_trade_no, 1, 7760))


async def test_an_answer_about_another_charge_proves_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Well signed, but somebody else's: neither the charge nor its undoing is believed."""
    asked = await charge(stand)
    ask = stand.pay.line.ask

    async def other(call: Any) -> dict[str, Any]:
        return {**await ask(call), "out_trade_no": "CD999999"}

    with monkeypatch.context() as patch:
        patch.setattr(stand.pay.line, "ask", other)
        with pytest.raises(Unknown, match="another order"):
            await stand.pay.charge_code(asked)
        with pytest.raises(Unknown, match="another order"):
            await stand.pay.reverse(asked.out_trade_no)
    assert (await stand.pay.query(asked.out_trade_no)).trade_state is TradeState.REVOKED


async def test_only_codes_are_undone_so(stand: Stand) -> None:
    """An order of a page is closed or refunded, not reversed; nor is a code's payment that is being refunded."""
    page = await stand.paid()
    asked = await charge(stand)
    await stand.pay.charge_code(asked)
    await stand.pay.refund(RefundOrder("RF000001", asked.out_trade_no, 100, 7760))
    for number in (page.out_trade_no, asked.out_trade_no):
        with pytest.raises(Rejected, match="INVALID_REQUEST"):
            await stand.pay.reverse(number)
    assert sums(stand)["paid"] == 2 * 7760


async def test_the_same_number_with_another_code_is_another_charge(stand: Stand) -> None:
    """A new code under a used number is refused: it needs a number of its own."""
    stand.world.behaviour.plan([{"on": "pay", "do": "userpaying"}])
    asked = await charge(stand)
    await stand.pay.charge_code(asked)
    other = await charge(stand, out_trade_no=asked.out_trade_no)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await stand.pay.charge_code(other)


@pytest.mark.parametrize("bad", [{"amount_fen": 0}, {"amount_fen": True}, {"out_trade_no": "x"}, {"store": ""}])
async def test_a_malformed_charge_is_refused(stand: Stand, bad: dict[str, Any]) -> None:
    """Our own no; nothing was sent."""
    with pytest.raises(Rejected, match="PARAM_ERROR"):
        await stand.pay.charge_code(await charge(stand, **bad))
    assert stand.world.books.orders == {}


async def test_nobody_keeps_a_code(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Neither our logs at their most talkative, nor a repr, nor the platform's own books show it."""
    caplog.set_level(logging.DEBUG)
    asked = await charge(stand)
    await stand.pay.charge_code(asked)
    told = " ".join(record.getMessage() for record in caplog.records)
    assert asked.auth_code not in told + repr(asked) + str(stand.world.books.dump())


async def test_the_bill_has_codes_and_their_undoing(stand: Stand, clock: Any) -> None:
    """Paid: MICROPAY with the desk's name; reversed: REVOKED with the money, without a number of ours."""
    kept, undone = await charge(stand), await charge(stand, amount=500)
    for each in (kept, undone):
        await stand.pay.charge_code(each)
    await stand.pay.reverse(undone.out_trade_no)
    day: date = (clock() + timedelta(hours=8)).date()
    morning = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=3)
    clock.shift += morning - clock()
    bill = await stand.pay.trade_bill(day)
    assert (bill.amount_fen, bill.refund_fen) == (8260, 500)
    rows = [
        (r.out_trade_no, r.trade_type, r.trade_state, r.amount_fen, r.refund_fen, r.out_refund_no) for r in bill.rows
    ]
    assert rows == [
        (kept.out_trade_no, "MICROPAY", "SUCCESS", 7760, 0, None),
        (undone.out_trade_no, "MICROPAY", "SUCCESS", 500, 0, None),
        (undone.out_trade_no, "MICROPAY", "REVOKED", 0, 500, None),
    ]
