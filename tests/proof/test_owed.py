"""Nobody pays for an exam she never had."""

from tests.proof.office import MOTHER
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
