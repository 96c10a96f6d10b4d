"""Notices alone, the sweeper off: no acknowledgement without the work, and what was not acknowledged comes again."""

import pytest

from payments.service import attempts
from sandbox.wechat_pay.books import Order
from tests.proof.office import MOTHER, Office
from tests.proof.stand import Stand
from tests.proof.test_histories import Died
from visits.flows import deliver_calls

ITEMS = ("CONS2", "URINE")


async def paid(office: Office) -> Order:
    """The payer has confirmed; nobody has heard of it yet."""
    await office.press(office.mother, MOTHER)
    [order] = office.orders("NOTPAY")
    assert office.confirm(order)
    return order


async def told_until_taken(office: Office) -> None:
    """The platform says it again until it is acknowledged; the hospital is told; nobody looks by himself."""
    for _ in range(3):
        if not office.posts[0].taken:
            await office.deliver(office.posts[0])
    await deliver_calls(office.db, office.his)
    left = await office.check()
    assert {state for _, state, _, _ in left["lines"]} == {"settled"}


@pytest.mark.parametrize("place", range(3))
def test_the_process_dies_while_it_takes_a_notice(stand: Stand, place: int) -> None:
    """After whatever it has written: not acknowledged, so it comes again, and is paid once."""
    office, seen = stand.office(ITEMS), 0

    async def dies(where: str, faults: object = ()) -> str:
        nonlocal seen
        if seen == place:
            raise Died
        seen += 1
        return ""

    async def walk() -> None:
        await paid(office)
        office.stepping = dies
        try:
            await office.deliver(office.posts[0])
        except Died:
            assert not office.posts[0].taken
        office.stepping = None
        await told_until_taken(office)

    stand.run(walk())


def test_no_acknowledgement_without_the_work(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away in the middle: no 2xx, nothing half written, and the next try lands."""
    office = stand.office(ITEMS)

    async def gone(*_: object) -> None:
        raise ConnectionError

    async def walk() -> None:
        await paid(office)
        before = await office.money()
        with monkeypatch.context() as patch:
            patch.setattr(attempts, "paid", gone)
            with pytest.raises(ConnectionError):
                await office.deliver(office.posts[0])
        assert await office.money() == before
        await told_until_taken(office)

    stand.run(walk())


def test_said_twice_and_played_again(stand: Stand) -> None:
    """The platform repeats itself, signed anew: 204, once in effect; the very bytes of a try again: 409, nothing."""
    office = stand.office(ITEMS)

    async def walk() -> None:
        await paid(office)
        post = office.posts[0]
        assert await office.deliver(post) == 204
        before = await office.money()
        assert await office.deliver(post) == 204
        assert await office.deliver(post, nonce=f"{post.id}-1") == 409
        assert await office.money() == before
        await told_until_taken(office)

    stand.run(walk())


def test_what_does_not_fit(stand: Stand) -> None:
    """Genuine, yet another amount, payer, merchant, app or number of payment: 409, nothing moves; then the true one."""
    office = stand.office(ITEMS)

    async def walk() -> None:
        order = await paid(office)
        before = await office.money()
        for change in ("amount", "payer", "mchid", "appid", "transaction"):
            assert await office.misfit(order, change) == 409, change
            assert await office.money() == before
        await told_until_taken(office)

    stand.run(walk())
