"""The window takes cash, cards and shown codes: once, the whole or a share, in an open shift, never beside a phone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.ids import new_id
from payments import flows, rules
from payments.flows import codes as charging
from payments.flows import counter as windows
from payments.models import Attempt, CaptureSeen, TillMovement
from payments.ports import BadCaptureError, CashChannel, CodeCharge
from payments.rules import Piece
from payments.rules.counter import (
    CardReferenceError,
    CardUsedError,
    CodeUsedError,
    CountReasonError,
    NoShiftError,
    ShiftOpenError,
    TooLittleCashError,
)
from payments.service import counter, refunds, rounds, shifts
from payments.service.codes import Wanted
from people.rules import Actor
from tests.payments.conftest import DAUGHTER, Bill, House
from tests.payments.desk import FLOAT, card, cash, opened, shown_code, sound, staff, takes


async def charges(house: House, bill: Bill, value: str, **over: Any) -> Any:
    """The scanner types a code into the desk's page."""
    wanted = Wanted(bill.visit, over.pop("key", str(new_id())), over.pop("amount", bill.owed), over.pop("share", None))
    return await windows.charge(house.db, house.pay, house.counter, wanted, value, house.till, "W01")


async def expected(house: House) -> int:
    """What should lie in the drawer."""
    async with house.db.begin() as tx:
        shift = await shifts.current(tx, house.counter)
        assert shift is not None
        return await shifts.expected_fen(tx, shift)


async def test_cash_is_taken_with_change(house: House) -> None:
    """A hundred put down, the change computed, the bill paid, the HIS told by which way; the drawer holds it."""
    bill = await house.bill()
    await opened(house, house.counter)
    attempt = await takes(house, house.counter, bill, cash(bill, 10_000))
    assert (await house.attempt(attempt)).state == "paid"
    async with house.db.begin() as tx:
        row = (await tx.session.scalars(select(TillMovement))).one()
    assert (row.amount_fen, row.given_fen, row.way, row.reference) == (bill.owed, 10_000, "CASH", None)
    assert await house.ledger() == {
        **{k: v for k, v in (await house.ledger()).items() if k not in ("cash_counter", "patient")},
        "cash_counter": bill.owed,
    }
    assert await expected(house) == FLOAT + bill.owed
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    assert [(p["way"], p["amount_fen"]) for p in told["payments"]] == [("CASH", bill.owed)]
    assert (await house.attempt(attempt)).state == "settled"
    assert house.town.his.books.complaints == []
    assert house.payments == 0
    await sound(house)


async def test_a_card_is_taken_by_its_slip(house: House) -> None:
    """The slip's number is the payment's; no number, or one that was used, is refused and nothing is booked."""
    bill = await house.bill("CONS2")
    await opened(house, house.counter)
    with pytest.raises(CardReferenceError):
        await takes(house, house.counter, bill, card(bill, "  "))
    await takes(house, house.counter, bill, card(bill, "0912 3344 5566"))
    await house.bill("URINE")
    more = Bill(bill.visit, bill.encounter, [], await house.owed(bill.visit))
    with pytest.raises(CardUsedError):
        await takes(house, house.counter, more, card(more, "091233445566"))
    assert await house.owed(bill.visit) == more.owed
    await takes(house, house.counter, more, card(more, "091233445567"))
    ledger = await house.ledger()
    assert (ledger["bank_card"], "cash_counter" in ledger) == (bill.owed + more.owed, False)
    assert await expected(house) == FLOAT  # slips are counted by the bank
    await house.settle()
    told = [p for s in house.town.his.books.settlements.values() for p in s["payments"]]
    assert [(p["way"], p["transaction"]) for p in told] == [
        ("CARD", "HF01-091233445566"),
        ("CARD", "HF01-091233445567"),
    ]
    await sound(house)


async def test_too_little_is_not_taken(house: House) -> None:
    """One fen short: refused with what is missing, nothing frozen, nothing in the drawer."""
    bill = await house.bill()
    await opened(house, house.counter)
    with pytest.raises(TooLittleCashError) as short:
        await takes(house, house.counter, bill, cash(bill, bill.owed - 1))
    assert short.value.params == {"missing": "¥0.01"}
    assert await house.attempts(bill.visit) == []
    assert await house.owed(bill.visit) == bill.owed


async def test_pressing_twice_takes_once(house: House) -> None:
    """The page was slow and the cashier pressed again: the same payment, one movement."""
    bill = await house.bill()
    await opened(house, house.counter)
    held = cash(bill, 10_000)
    first, second = await asyncio.gather(*(takes(house, house.counter, bill, held) for _ in range(2)))
    assert first == second == await takes(house, house.counter, bill, held)
    assert await house.count(TillMovement) == 1
    await sound(house)


async def test_money_needs_an_open_shift_of_a_cashier(house: House) -> None:
    """No shift, a closed one, somebody who is no cashier, another hospital: no money is taken."""
    bill = await house.bill()
    guide = await staff(house, "g.guide")
    for actor, error in ((house.counter, NoShiftError), (guide, ForbiddenError), (house.mother, ForbiddenError)):
        with pytest.raises(error):
            await takes(house, actor, bill, cash(bill))
    await opened(house, house.counter)
    foreign = Actor(house.counter.kind, house.counter.id, new_id(), house.counter.role)
    with pytest.raises((NotFoundError, ForbiddenError)):
        await takes(house, foreign, bill, cash(bill))
    async with house.db.begin() as tx:
        await shifts.close(tx, house.counter, FLOAT, "")
    with pytest.raises(NoShiftError):
        await takes(house, house.counter, bill, cash(bill))
    assert await house.attempts(bill.visit) == []


async def test_a_shift_is_counted(house: House) -> None:
    """Expected is float and cash; a difference needs a reason and is kept with it; one open shift, and none reopens."""
    bill = await house.bill()
    first = await opened(house, house.counter)
    with pytest.raises(ShiftOpenError):
        await opened(house, house.counter)
    await takes(house, house.counter, bill, cash(bill))
    async with house.db.begin() as tx:
        with pytest.raises(CountReasonError) as off:
            await shifts.close(tx, house.counter, FLOAT + bill.owed - 500, " ")
    assert off.value.params == {"difference": "-¥5.00"}
    async with house.db.begin() as tx:
        closed = await shifts.close(tx, house.counter, FLOAT + bill.owed - 500, "找错了五元")
    assert (closed.expected_fen, closed.counted_fen, closed.reason) == (
        FLOAT + bill.owed,
        FLOAT + bill.owed - 500,
        "找错了五元",
    )
    with pytest.raises(NoShiftError):
        async with house.db.begin() as tx:
            await shifts.close(tx, house.counter, 0, "x")
    second = await opened(house, house.counter)
    finance, other = await staff(house, "f.finance"), await staff(house, "c.cash2")
    async with house.db.begin() as tx:
        assert [s.id for s in await shifts.of_hospital(tx, finance)] == [second.id, first.id]
        assert await shifts.of_hospital(tx, other) == []
        with pytest.raises(NotFoundError):
            await shifts.seen(tx, other, first.id)
    await sound(house)


async def test_two_presses_open_one_shift(house: House) -> None:
    """In the same moment: the index lets one in."""
    made = await asyncio.gather(*(opened(house, house.counter) for _ in range(6)), return_exceptions=True)
    assert sorted(type(m).__name__ for m in made) == ["Shift"] + ["ShiftOpenError"] * 5


async def test_the_database_keeps_a_closed_shift_closed(house: House) -> None:
    """Behind the use cases' back: no row into a closed shift, none changed, no second open shift."""
    bill = await house.bill()
    await opened(house, house.counter)
    await takes(house, house.counter, bill, cash(bill))
    row = """INSERT INTO till_movement (id, hospital_id, shift_id, visit_id, refund_id, way, amount_fen, at)
        SELECT gen_random_uuid(), hospital_id, id, :visit, gen_random_uuid(), 'CASH', -1, now() FROM shift"""
    async with house.db.begin() as tx:
        await shifts.close(tx, house.counter, FLOAT + bill.owed, "")
    for statement, said in (
        (row, "is not open"),
        ("UPDATE till_movement SET amount_fen = amount_fen + 1", "append-only"),
        ("DELETE FROM till_movement", "append-only"),
    ):
        with pytest.raises(DBAPIError, match=said):
            async with house.db.begin() as tx:
                await tx.session.execute(text(statement), {"visit": bill.visit} if ":visit" in statement else {})


async def closes(house: House, counted: int, reason: str = "") -> int:
    """The cashier closes the shift. Returns what should have been there."""
    async with house.db.begin() as tx:
        shift = await shifts.close(tx, house.counter, counted, reason)
        assert shift.expected_fen is not None
        return shift.expected_fen


async def test_closing_and_taking_in_the_same_moment(house: House) -> None:
    """Whichever is first: the count contains the money, or the money is refused."""
    for _ in range(4):
        bill = await house.bill("CONS2")
        await opened(house, house.counter)
        both = (takes(house, house.counter, bill, cash(bill)), closes(house, FLOAT, "数过"))
        took, told = await asyncio.gather(*both, return_exceptions=True)
        refused = isinstance(took, NoShiftError)
        assert told == FLOAT + (0 if refused else bill.owed)
        await sound(house)
        if refused:
            await opened(house, house.counter)
            await takes(house, house.counter, bill, cash(bill))
            await closes(house, FLOAT + bill.owed)


async def test_the_daughters_phone_and_the_window(house: House) -> None:
    """The daughter's WeChat is open on the same money: the window is told, and takes nothing until she is done."""
    bill = await house.bill()
    await opened(house, house.counter)
    hers = await house.press(house.daughter, bill, DAUGHTER)
    with pytest.raises(rules.AttemptInProgressError) as busy:
        await takes(house, house.counter, bill, cash(bill))
    assert busy.value.params == {"who": "女儿"}
    assert await house.bridge(hers, DAUGHTER) == "ok"
    await house.until_state(hers, "paid")
    with pytest.raises(rules.AlreadyPaidError):
        await takes(house, house.counter, bill, cash(bill))
    assert await house.count(TillMovement) == 0
    await sound(house)


async def test_the_window_first_then_the_phone(house: House) -> None:
    """Paid in cash: the daughter is told at the window, and WeChat is never asked."""
    bill = await house.bill()
    await opened(house, house.counter)
    await takes(house, house.counter, bill, cash(bill))
    with pytest.raises(rules.AlreadyPaidError) as told:
        await house.press(house.daughter, bill, DAUGHTER)
    assert told.value.params == {"who": "窗口"}
    assert house.payments == 0


async def test_everybody_at_once_one_payment(house: House) -> None:
    """Two windows, a scanner and two phones in the same moment: one of them gets it, the others are told so."""
    bill = await house.bill()
    second = await staff(house, "c.cash2")
    await opened(house, house.counter)
    await opened(house, second)
    value = await shown_code(house)
    tries = [
        takes(house, house.counter, bill, cash(bill)),
        takes(house, second, bill, card(bill, "A0001")),
        charges(house, bill, value),
        house.press(house.daughter, bill, DAUGHTER),
        house.press(house.mother, bill),
    ]
    made = await asyncio.gather(*tries, return_exceptions=True)
    for one in made:
        assert not isinstance(one, BaseException) or isinstance(
            one, rules.AttemptInProgressError | rules.AlreadyPaidError
        ), one
    live = [a for a in await house.attempts(bill.visit) if a.state in rules.LIVE]
    assert len(live) == 1
    await sound(house)


async def test_the_window_takes_a_share(house: House) -> None:
    """The daughter pays her share by phone, the mother's is paid in cash; the HIS hears of both at once."""
    bill = await house.bill()
    await opened(house, house.counter)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(400)], bill.owed)
    took = await takes(house, house.counter, bill, cash(bill, 500, amount=400, share=1))
    with pytest.raises(rules.AlreadyPaidError):
        await takes(house, house.counter, bill, cash(bill, 500, amount=400, share=1))
    hers = await house.press(house.daughter, bill, DAUGHTER, amount=bill.owed - 400)
    assert await house.bridge(hers, DAUGHTER) == "ok"
    await house.until_state(hers, "paid")
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    assert sorted(p["way"] for p in told["payments"]) == ["CASH", "JSAPI"]
    assert (await house.attempt(took)).state == "settled"
    await sound(house)


async def test_the_qr_on_the_screen_makes_room_for_cash(house: House) -> None:
    """The patient cannot scan after all: the same cashier takes cash, the order at WeChat is closed before."""
    bill = await house.bill()
    await opened(house, house.counter)
    shown = await house.press(house.counter, bill, None, channel=CashChannel.NATIVE)
    await takes(house, house.counter, bill, cash(bill))
    assert (await house.attempt(shown)).state == "closed"
    assert [o.state for o in house.town.pay.books.orders.values()] == ["CLOSED"]
    await sound(house)


async def test_a_shown_code_is_charged(house: House) -> None:
    """At once; the code is kept nowhere, and good for one charge."""
    bill = await house.bill("CONS2")
    value = await shown_code(house)
    attempt = await charges(house, bill, value)
    assert ((await house.attempt(attempt)).state, (await house.attempt(attempt)).channel) == ("paid", "CODE")
    await house.bill("URINE")
    more = Bill(bill.visit, bill.encounter, [], await house.owed(bill.visit))
    with pytest.raises(CodeUsedError):
        await charges(house, more, value)
    with pytest.raises(BadCaptureError):
        await charges(house, more, "28" + value[2:])
    assert await house.owed(bill.visit) == more.owed
    assert await house.count(CaptureSeen) == 1
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    assert [(p["way"], p["amount_fen"]) for p in told["payments"]] == [("CODE", bill.owed)]
    await sound(house)


async def test_a_password_comes_in_time(house: House) -> None:
    """The desk shows that the payer types; the next look finds the money."""
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 12})
    bill = await house.bill()
    attempt = await charges(house, bill, await shown_code(house))
    assert (await house.attempt(attempt)).state == "offered"
    for _ in range(3):
        house.clock.move(seconds=5)
        await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt)).state == "paid"
    await sound(house)


async def test_a_password_that_never_comes(house: House) -> None:
    """Six looks in thirty seconds, then undone at WeChat: free for the next, and nothing was taken."""
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 3600})
    bill = await house.bill()
    attempt = await charges(house, bill, await shown_code(house))
    looks = 0
    while (await house.attempt(attempt)).state == "offered":
        assert looks < 10
        house.clock.move(seconds=5)
        looks += await flows.sweep(house.db, house.pay)
    assert looks == 6
    made = await house.attempt(attempt)
    assert (made.state, made.refusal) == ("closed", "TOO_LATE")
    assert [o.state for o in house.town.pay.books.orders.values()] == ["REVOKED"]
    assert await house.states(bill.visit) == {"billable"}
    await house.behave()
    again = await charges(house, bill, await shown_code(house, DAUGHTER))
    assert (await house.attempt(again)).state == "paid"
    await sound(house)


@pytest.mark.parametrize(("rule", "word"), [({"on": "pay", "do": "decline"}, "NOT_ENOUGH")])
async def test_the_bank_declines(house: House, rule: dict[str, Any], word: str) -> None:
    """A definite no is undone and closed at once, with its word for the desk; it is nobody's trouble."""
    await house.behave(rule)
    bill = await house.bill()
    made = await house.attempt(await charges(house, bill, await shown_code(house)))
    assert (made.state, made.refusal, made.trouble) == ("closed", word, None)
    assert await house.owed(bill.visit) == bill.owed
    await sound(house)


async def test_an_old_code_is_scanned_anew(house: House) -> None:
    """A minute old: WeChat knows it no more, nothing is taken."""
    bill = await house.bill()
    value = await shown_code(house)
    house.clock.move(seconds=61)
    made = await house.attempt(await charges(house, bill, value))
    assert (made.state, made.refusal) == ("closed", "AUTH_CODE_INVALID")
    await sound(house)


@pytest.mark.parametrize("do", ["hang_after", "error_after"])
async def test_taken_in_silence(house: House, do: str) -> None:
    """WeChat took it and said nothing: unknown, the window takes nothing else, the look finds the money."""
    await house.behave({"on": "code", "do": do, "seconds": 4})
    bill = await house.bill()
    await opened(house, house.counter)
    attempt = await charges(house, bill, await shown_code(house))
    assert (await house.attempt(attempt)).state == "unknown"
    other = await staff(house, "c.cash2")
    await opened(house, other)
    with pytest.raises(rules.AttemptInProgressError):
        await takes(house, other, bill, cash(bill))
    house.clock.move(seconds=6)
    await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt)).state == "paid"
    assert house.payments == 1
    await sound(house)


async def test_a_crash_after_the_charge_began(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """We die before anything was sent: nobody has the code any more, so after thirty seconds it is given up."""

    async def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    bill = await house.bill()
    value = await shown_code(house)
    with monkeypatch.context() as patch:
        patch.setattr(charging, "charge", dies)
        with pytest.raises(KeyboardInterrupt):
            await charges(house, bill, value)
    [attempt] = await house.attempts(bill.visit)
    assert attempt.state == "created"
    for _ in range(8):
        house.clock.move(seconds=5)
        await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt.id)).state == "closed"
    assert await house.owed(bill.visit) == bill.owed
    await sound(house)


async def test_money_that_comes_after_the_undoing_goes_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The charge reached WeChat only after we had given it up: found on the last look, and returned by itself."""
    bill = await house.bill()
    value = await shown_code(house)
    kept: list[Any] = []

    async def later(*given: Any) -> None:
        kept.extend(given)

    with monkeypatch.context() as patch:
        patch.setattr(charging, "charge", later)
        attempt = await charges(house, bill, value)
    house.clock.move(seconds=31)
    await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt)).state == "closed"
    fresh = await shown_code(house)
    pay, terminal, store = kept[1], kept[4], kept[5]
    made = await house.attempt(attempt)
    await pay.charge_code(
        CodeCharge(made.out_trade_no, made.amount_fen, made.description, fresh, terminal, store, made.attach)
    )
    house.clock.move(minutes=6)
    await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt)).state == "refunding"
    house.clock.move(seconds=5)
    await flows.refund_due(house.db, house.pay)
    for _ in range(10):  # on a crowded machine an answer may come too late, and is asked for again
        house.clock.move(seconds=20)
        await flows.refund_due(house.db, house.pay)
        if (await house.attempt(attempt)).state == "refunded":
            break
    assert (await house.attempt(attempt)).state == "refunded"
    await sound(house)


async def test_cash_of_a_given_up_round_goes_back_at_the_counter(house: House) -> None:
    """Shares are given up: WeChat's go back by themselves, the cash waits for its payer at the counter, in a shift."""
    bill = await house.bill()
    await opened(house, house.counter)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(400)], bill.owed)
    took = await takes(house, house.counter, bill, cash(bill, 400, amount=400, share=1))
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await flows.refund_due(house.db, house.pay) == 0  # no provider is asked for cash
    async with house.db.begin() as tx:
        [(refund, _)] = await refunds.at_counter(tx, house.hospital)
    assert (refund.state, refund.amount_fen) == ("approved", 400)
    stranger = await staff(house, "c.cash2")
    with pytest.raises(NoShiftError):
        async with house.db.begin() as tx:
            await counter.give_back(tx, stranger, refund.id)

    async def hands(actor: Actor) -> None:
        async with house.db.begin() as tx:
            await counter.give_back(tx, actor, refund.id)

    await opened(house, stranger)
    done = await asyncio.gather(*(hands(a) for a in (house.counter, stranger, house.counter)), return_exceptions=True)
    assert sum(d is None for d in done) == 1
    assert all(d is None or isinstance(d, HoufuError) for d in done)
    assert (await house.attempt(took)).state == "refunded"
    assert "cash_counter" not in await house.ledger()
    await sound(house)
    assert await house.count(Attempt) == 1
