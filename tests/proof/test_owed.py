"""Nobody pays for an exam she never had, and nothing is owed anew while somebody may still be paying it."""

from collections.abc import Sequence

from payments import flows
from payments.rules import Piece
from payments.service import rounds
from tests.proof.lines import LOST
from tests.proof.office import DAUGHTER, MOTHER, SON
from tests.proof.stand import Stand
from visits.flows import deliver_calls


def test_what_is_not_done_is_not_paid(stand: Stand) -> None:
    """Ordered and charged, but no department has confirmed it: it is not asked for, not paid, and not told as paid."""
    office = stand.office(("CONS2", "~URINE"))

    async def walk() -> None:
        before = {number: state for number, state, _, _ in (await office.money())["lines"]}
        assert sorted(before.values()) == ["billable", "planned"]
        assert await office.left() == office.owed
        await office.press(office.mother, MOTHER)
        [order] = office.orders("NOTPAY")
        assert order.total == office.owed
        office.confirm(order)
        assert await office.deliver(office.posts[0]) == 204
        await deliver_calls(office.db, office.his)
        after = {number: state for number, state, _, _ in (await office.money())["lines"]}
        assert after == {n: "settled" if state == "billable" else "planned" for n, state in before.items()}
        assert set(office.town.his.books.settled) == {n for n, state in before.items() if state == "billable"}
        await office.audit()

    stand.run(walk())


def test_given_up_while_two_pay(stand: Stand) -> None:
    """Two orders are open, one is closed and of the other nothing is heard: nothing is released before it is."""
    office, closes = stand.office(("CONS2", "URINE")), 0

    async def second_is_lost(where: str, faults: Sequence[str] = ()) -> str:
        nonlocal closes
        closes += where == "wechat close"
        return LOST if where == "wechat close" and closes == 2 else ""

    async def walk() -> None:
        async with office.db.begin() as tx:
            await rounds.cut(tx, office.mother, office.visit, [Piece(400)], office.owed)
        await office.press(office.daughter, DAUGHTER, 400, 1)
        await office.press(office.son, SON, office.owed - 400, 2)
        office.stepping = second_is_lost
        await flows.give_up(office.db, office.pay, office.mother, office.visit)
        office.stepping = None
        assert {state for _, state, _, _ in (await office.money())["lines"]} == {"covered"}
        assert [o.state for o in office.orders("NOTPAY", "CLOSED")].count("NOTPAY") == 1
        await office.audit()
        await office.settle()
        await office.check()

    stand.run(walk())
