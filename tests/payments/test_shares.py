"""One bill, several payers: shares add up to the fen, each is paid once, all is told once, or all of it goes back."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from billing.rules import NothingPayableError
from billing.service import lines, paying
from houfu.audit import audit
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.ids import new_id
from payments import flows, rules
from payments.models import Allocation, Attempt, Refund
from payments.rules import Piece
from payments.service import pressing, rounds, shares
from people.models import Grant
from people.rules import Actor, ActorKind
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, SON, Bill, House


async def cut(house: House, actor: Actor, bill: Bill, *pieces: Piece, left: int | None = None) -> None:
    """Cut what is left."""
    seen = await house.owed(bill.visit) if left is None else left
    async with house.db.begin() as tx:
        await rounds.cut(tx, actor, bill.visit, pieces, seen)


async def parts(house: House, visit: UUID) -> list[tuple[int, int, str]]:
    """The live round's shares: number, fen, state."""
    async with house.db.begin() as tx:
        now = await paying.live_round(tx, visit)
        found = await shares.of_round(tx, now.id) if now is not None else []
        return [(s.allocation.number, s.allocation.amount_fen, s.state) for s in found]


async def pays(house: House, actor: Actor, openid: str, bill: Bill, share: int | None, amount: int) -> UUID:
    """Press for a share, confirm it in WeChat, and wait until we know."""
    attempt = await presses(house, actor, openid, bill, share, amount)
    assert await house.bridge(attempt, openid) == "ok"
    await house.until_state(attempt, "paid")
    return attempt


async def presses(house: House, actor: Actor, openid: str, bill: Bill, share: int | None, amount: int) -> UUID:
    """Press for a share."""
    wish = house.wish(amount, openid)
    wish = pressing.Press(wish.channel, wish.idempotency_key, amount, wish.ip, openid, share)
    return await flows.press(house.db, house.pay, actor, bill.visit, wish, house.till)


async def sound(house: House) -> None:
    """No invariant is broken, and our cash is what WeChat Pay holds."""
    async with house.db.begin() as tx:
        found = [f for f in await audit(tx) if f.check.name not in house.excused]
        assert [f"{f.check.name} {f.row} {f.figures}" for f in found] == []
    assert (await house.ledger()).get("cash_wechat", 0) == house.taken


async def money_back(house: House, visit: UUID, wanted: int) -> None:
    """Wait until this many refunds have arrived."""

    async def back() -> bool:
        await flows.refund_due(house.db, house.pay)
        async with house.db.begin() as tx:
            query = select(Refund).where(Refund.visit_id == visit, Refund.state == "done")
            return len((await tx.session.scalars(query)).all()) == wanted

    await until(back)


async def test_the_daughter_pays_a_part_the_son_the_rest(house: House) -> None:
    """Cut by the mother; told to the HIS once, when the last share is there, with both payments; every book agrees."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400, house.daughter.id), Piece(bill.owed - 400, house.son.id))
    assert await parts(house, bill.visit) == [(1, 400, "free"), (2, bill.owed - 400, "free")]
    first = await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    assert await house.states(bill.visit) == {"covered"}
    assert await house.owed(bill.visit) == bill.owed - 400
    ledger = await house.ledger()
    assert (ledger["cash_wechat"], ledger["patient"]) == (400, bill.owed - 400)
    await house.settle()
    assert house.town.his.books.settlements == {}  # nothing is told while a share is missing
    await sound(house)
    second = await pays(house, house.son, SON, bill, 2, bill.owed - 400)
    assert await house.states(bill.visit) == {"settled"}
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    made = [await house.attempt(a) for a in (first, second)]
    assert told["total_fen"] == bill.owed
    assert [(p["way"], p["transaction"], p["amount_fen"]) for p in told["payments"]] == [
        ("JSAPI", a.transaction_id, a.amount_fen) for a in made
    ]
    assert [a.state for a in made] == ["settled", "settled"]
    assert await house.said(bill.visit) == [
        "shared", "offered", "offered", "share_paid", "offered", "offered", "paid", "settled", "settled",
    ]  # fmt: skip
    assert "patient" not in await house.ledger()
    assert house.town.his.books.complaints == []
    await sound(house)


async def test_part_early_more_is_charged_and_the_rest_later(house: House) -> None:
    """A part is paid early, something more is done, the rest is paid, then the new line: two rounds."""
    bill = await house.bill("CONS2")
    await cut(house, house.mother, bill, Piece(100))
    await pays(house, house.mother, MOTHER, bill, 1, 100)
    await house.bill("URINE")
    assert await house.owed(bill.visit) == bill.owed - 100
    await pays(house, house.mother, MOTHER, bill, None, bill.owed - 100)
    rest = await house.owed(bill.visit)
    assert rest > 0
    await pays(house, house.mother, MOTHER, bill, None, rest)
    await house.settle()
    told = list(house.town.his.books.settlements.values())
    assert [t["total_fen"] for t in told] == [bill.owed, rest]
    assert [[p["amount_fen"] for p in t["payments"]] for t in told] == [[100, bill.owed - 100], [rest]]
    assert await house.states(bill.visit) == {"settled"}
    await sound(house)


async def test_cut_anew_and_taken_over(house: House) -> None:
    """Shares nobody has taken are cut anew, or taken over by one; what is paid stays as it is."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100, house.daughter.id), Piece(200, house.son.id))
    await pays(house, house.daughter, DAUGHTER, bill, 1, 100)
    await cut(house, house.mother, bill, Piece(300))
    rest = bill.owed - 400
    assert await parts(house, bill.visit) == [(1, 100, "paid"), (4, 300, "free"), (5, rest, "free")]
    with pytest.raises(rules.ShareGoneError):
        await presses(house, house.son, SON, bill, 2, 200)
    await pays(house, house.son, SON, bill, None, 300 + rest)
    assert [a.amount_fen for a in await house.attempts(bill.visit)] == [100, 300 + rest]
    assert await house.states(bill.visit) == {"settled"}
    await sound(house)


async def test_given_up_after_a_part_was_paid(house: House) -> None:
    """The mother gives it up: the daughter's money goes back to her, everybody is told, the whole is payable again."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400, house.daughter.id))
    first = await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    with pytest.raises(ForbiddenError):
        await flows.give_up(house.db, house.pay, house.son, bill.visit)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await house.states(bill.visit) == {"billable"}
    ledger = await house.ledger()
    assert (ledger["suspense"], ledger["patient"]) == (-400, bill.owed)
    assert (await house.said(bill.visit))[-2:] == ["returning", "given_up"]
    await sound(house)
    await money_back(house, bill.visit, 1)
    assert (await house.attempt(first)).state == "refunded"
    assert (await house.said(bill.visit))[-1] == "returned"
    assert house.taken == 0
    await house.settle()
    assert house.town.his.books.settlements == {}
    with pytest.raises(rules.NothingSharedError):
        await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    await house.settle()
    await sound(house)


async def test_given_up_while_somebody_pays(house: House) -> None:
    """An order that is open is closed at WeChat first; nothing is released and nothing new begins before it is."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400), Piece(200))
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    second = await presses(house, house.son, SON, bill, 2, 200)
    await house.behave({"on": "close", "do": "error_before"})
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await house.states(bill.visit) == {"covered"}
    assert await house.owed(bill.visit) == 0
    with pytest.raises(rules.RoundClosingError):
        await presses(house, house.mother, MOTHER, bill, None, bill.owed)
    with pytest.raises(rules.RoundClosingError):
        await cut(house, house.mother, bill, Piece(1), left=1)
    await sound(house)
    house.clock.move(seconds=20)
    await flows.sweep(house.db, house.pay)
    assert (await house.attempt(second)).state == "closed"
    assert await house.states(bill.visit) == {"billable"}
    await money_back(house, bill.visit, 1)
    assert house.taken == 0
    await sound(house)


async def test_the_crash_between_giving_up_and_closing(house: House) -> None:
    """The process dies after it was written down: the sweeper closes the order, the share goes back."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400), Piece(200))
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    await presses(house, house.son, SON, bill, 2, 200)
    async with house.db.begin() as tx:
        assert len(await rounds.give_up(tx, house.mother, bill.visit)) == 1
    await flows.sweep(house.db, house.pay)
    assert await house.states(bill.visit) == {"billable"}
    await money_back(house, bill.visit, 1)
    assert house.taken == 0
    await sound(house)


async def test_the_last_payer_was_quicker(house: House) -> None:
    """Given up, but the open order was the last share and WeChat says paid: paid it is, and nothing goes back."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400, house.daughter.id))
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    await house.behave({"on": "notify", "do": "drop", "times": None})
    last = await presses(house, house.son, SON, bill, 2, bill.owed - 400)
    await house.bridge(last, SON)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await house.states(bill.visit) == {"settled"}
    assert (await house.attempt(last)).state == "paid"
    await house.settle()
    assert house.taken == bill.owed
    assert await house.count(Refund) == 0
    await sound(house)


async def test_shares_that_cannot_be(house: House) -> None:
    """More than is left, nothing, for or by a stranger, over a cap, of an old amount: refused, nothing done."""
    bill = await house.bill()
    stranger = Actor(ActorKind.PERSON, new_id())
    for pieces in ([], [Piece(bill.owed + 1)], [Piece(0)], [Piece(-1), Piece(2)], [Piece(1)] * 8, [Piece(1, new_id())]):
        with pytest.raises(rules.WrongSharesError):
            await cut(house, house.mother, bill, *pieces)
    with pytest.raises(rules.WrongSharesError):  # a relative names nobody else
        await cut(house, house.daughter, bill, Piece(1, house.son.id))
    with pytest.raises(NotFoundError):
        await cut(house, stranger, bill, Piece(1))
    with pytest.raises(rules.AmountChangedError):
        await cut(house, house.mother, bill, Piece(1), left=bill.owed - 1)
    assert await house.states(bill.visit) == {"billable"}
    assert await house.count(Allocation) == 0
    async with house.db.begin() as tx:
        who = Grant.person_id == house.daughter.id
        await tx.session.execute(update(Grant).where(who).values(cap_fen=300))
    await cut(house, house.mother, bill, Piece(300, house.daughter.id), Piece(301))
    with pytest.raises(rules.OverCapError):
        await presses(house, house.daughter, DAUGHTER, bill, 2, 301)
    await pays(house, house.daughter, DAUGHTER, bill, 1, 300)
    with pytest.raises(rules.AlreadyPaidError):
        await presses(house, house.son, SON, bill, 1, 300)
    await sound(house)


async def test_a_share_nobody_pays_lets_the_lines_go(house: House) -> None:
    """Cut and forgotten: after a day the lines are payable in every way again; with a share paid they wait."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100))
    house.clock.move(hours=23)
    assert await flows.release_idle(house.db) == 0
    house.clock.move(hours=2)
    assert await flows.release_idle(house.db) == 1
    assert await house.states(bill.visit) == {"billable"}
    await cut(house, house.mother, bill, Piece(100))
    await pays(house, house.mother, MOTHER, bill, 1, 100)
    house.clock.move(days=2)
    assert await flows.release_idle(house.db) == 0
    await sound(house)


async def test_the_hospital_takes_a_shared_line_back(house: House) -> None:
    """A line two people paid for: exactly its money goes back, by as few payments as can bear it; told once."""
    bill = await house.bill("CONS2", "URINE")
    charges = house.town.his.books.encounters[bill.encounter].charges
    number = max(charges, key=lambda no: charges[no]["split"]["self_fen"])
    async with house.db.begin() as tx:
        line = next(c for c in await lines.lines_of(tx, bill.visit) if c.number == number)
    half = line.self_fen // 2
    await cut(house, house.mother, bill, Piece(bill.owed - half))
    await pays(house, house.daughter, DAUGHTER, bill, 1, bill.owed - half)
    await pays(house, house.son, SON, bill, 2, half)
    await house.settle()
    data = {"charge_no": number, "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, data)

    async def asked() -> bool:
        return await house.count(Refund) > 0

    await until(asked)
    wanted = await house.count(Refund)
    await sound(house)
    await money_back(house, bill.visit, wanted)
    await house.settle()
    assert house.taken == bill.owed - line.self_fen
    assert [r["total_fen"] for r in house.town.his.books.refunds.values()] == [line.self_fen]
    assert house.town.his.books.complaints == []
    await sound(house)


# ------------------------------------------------------------------------------------------------------------- races


async def at_once(*acts: Callable[[], Awaitable[object]]) -> list[object]:
    """All in the same moment; what each got or was refused."""
    start = asyncio.Barrier(len(acts))

    async def one(act: Callable[[], Awaitable[object]]) -> object:
        await start.wait()
        try:
            return await act()
        except HoufuError as error:
            return error

    return await asyncio.gather(*(one(act) for act in acts))


async def test_two_relatives_on_one_share(house: House) -> None:
    """Ten times daughter and son press for the same share in the same moment: one order each time."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100), Piece(200))
    for _ in range(10):
        found = await at_once(
            lambda: presses(house, house.daughter, DAUGHTER, bill, 1, 100),
            lambda: presses(house, house.son, SON, bill, 1, 100),
        )
        won = [f for f in found if isinstance(f, UUID)]
        lost = [f for f in found if not isinstance(f, UUID)]
        assert len(won) == 1, found
        assert isinstance(lost[0], rules.AttemptInProgressError)
        await flows.close(house.db, house.pay, won[0])
    assert [state for _, _, state in await parts(house, bill.visit)] == ["free", "free", "free"]
    await sound(house)


async def test_cut_while_paying(house: House) -> None:
    """Cut anew in the moment somebody takes a share: either the share is gone, or it stays and the rest is cut."""
    bill = await house.bill()
    seen = set()
    for turn in range(10):
        await cut(house, house.mother, bill, Piece(100), Piece(200))
        number = (await parts(house, bill.visit))[0][0]
        left = await house.owed(bill.visit)
        found = await at_once(
            lambda n=number: presses(house, house.daughter, DAUGHTER, bill, n, 100),  # type: ignore[misc]
            lambda fen=left: cut(house, house.mother, bill, Piece(50), left=fen),  # type: ignore[misc]
        )
        pressed, was_cut = found
        seen.add(isinstance(pressed, UUID))
        if isinstance(pressed, UUID):
            assert isinstance(was_cut, rules.AmountChangedError), turn
            await flows.close(house.db, house.pay, pressed)
        else:
            assert isinstance(pressed, rules.ShareGoneError), turn
            assert was_cut is None
        await sound(house)
    assert await house.owed(bill.visit) == bill.owed
    assert seen  # which of them comes first is not ours to choose


async def test_paying_while_it_is_given_up(house: House) -> None:
    """The daughter confirms in the moment the mother gives it up: all of it is paid, or all of it goes back."""
    bill = await house.bill()
    for _ in range(6):
        await cut(house, house.mother, bill, Piece(100), Piece(bill.owed - 100))
        numbers = [n for n, _, _ in await parts(house, bill.visit)]
        await pays(house, house.son, SON, bill, numbers[0], 100)
        second = await presses(house, house.daughter, DAUGHTER, bill, numbers[1], bill.owed - 100)
        await at_once(
            lambda a=second: house.bridge(a, DAUGHTER),  # type: ignore[misc]
            lambda: flows.give_up(house.db, house.pay, house.mother, bill.visit),
        )
        await house.town.pay.notifier.quiet()
        house.clock.move(minutes=1)
        await flows.sweep(house.db, house.pay)
        states = await house.states(bill.visit)
        assert states in ({"settled"}, {"billable"})
        await sound(house)
        if states == {"settled"}:
            assert house.taken == bill.owed
            return
        async with house.db.begin() as tx:
            query = select(Refund.id).where(Refund.visit_id == bill.visit)
            wanted = len((await tx.session.scalars(query)).all())
        await money_back(house, bill.visit, wanted)
        assert house.taken == 0


async def test_the_same_key_twice_on_a_share(house: House) -> None:
    """Pressed twice with one key: one attempt; with the key for another share: refused."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100), Piece(200))
    wish = pressing.Press(house.wish(100).channel, str(new_id()), 100, None, DAUGHTER, 1)

    async def press(w: pressing.Press) -> UUID:
        return await flows.press(house.db, house.pay, house.daughter, bill.visit, w, house.till)

    found = await at_once(lambda: press(wish), lambda: press(wish))
    assert found[0] == found[1]
    assert await house.count(Attempt) == 1
    other = pressing.Press(wish.channel, wish.idempotency_key, 200, None, DAUGHTER, 2)
    with pytest.raises(rules.IdempotencyConflictError):
        await press(other)
    await sound(house)


async def test_everybody_presses_for_everything(house: House) -> None:
    """Mother, daughter and son press for shares, for all, cut and give up at random: never a fen too much."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100), Piece(200), Piece(300))
    left = await house.owed(bill.visit)
    await at_once(
        lambda: presses(house, house.daughter, DAUGHTER, bill, 1, 100),
        lambda: presses(house, house.son, SON, bill, 2, 200),
        lambda: presses(house, house.mother, MOTHER, bill, None, left),
        lambda: cut(house, house.daughter, bill, Piece(5), left=left),
        lambda: presses(house, house.son, SON, bill, 3, 300),
    )
    for attempt in await house.attempts(bill.visit):
        payer = {house.mother.viewer: MOTHER, house.daughter.viewer: DAUGHTER, house.son.viewer: SON}[attempt.actor]
        if attempt.state == "offered":
            await house.bridge(attempt.id, payer)
    await house.town.pay.notifier.quiet()
    assert house.taken <= bill.owed
    await sound(house)


# ------------------------------------------------------------------------------------------------ the database itself


async def test_the_database_keeps_shares_whole(house: House) -> None:
    """Past every rule of ours: a share more or less, more paid than asked: none of it can be written."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(100), Piece(200))
    wrong = (
        "UPDATE allocation SET replaced_at = now() WHERE number = 1",
        "INSERT INTO allocation SELECT gen_random_uuid(), round_id, 9, 1, NULL, NULL, 'x', now(), NULL"
        " FROM allocation WHERE number = 1",
        "UPDATE round SET cash_fen = cash_fen + 1",
        "UPDATE round SET paid_fen = cash_fen, busy_fen = 1",
        "UPDATE allocation SET amount_fen = 0 WHERE number = 1",
        "UPDATE allocation SET number = 2 WHERE number = 1",
    )
    for statement in wrong:
        with pytest.raises(DBAPIError):
            async with house.db.begin() as tx:
                await tx.session.execute(text(statement))
    await sound(house)


async def test_nothing_to_share(house: House) -> None:
    """All is paid, or nothing was done: there is nothing to cut."""
    bill = await house.bill()
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    with pytest.raises(NothingPayableError):
        await cut(house, house.mother, bill, Piece(1), left=1)


@pytest.mark.parametrize(
    ("left", "amount", "wanted"),
    [
        ([50, 50], 30, [30, 0]),
        ([20, 50], 30, [0, 30]),
        ([20, 20], 30, [20, 10]),
        ([20, 5], 30, None),
        ([], 1, None),
        ([30], 30, [30]),
    ],
)
def test_spreading_back(left: list[int], amount: int, wanted: list[int] | None) -> None:
    """One payment that can bear the whole line does; else the latest first; never more than any holds."""
    assert rules.spread_back(amount, left) == wanted
