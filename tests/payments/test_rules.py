"""Every move that is not in a table is refused; the database keeps what matters most as well."""

from itertools import product

import pytest
from sqlalchemy.exc import IntegrityError

from kernel.errors import IllegalTransitionError
from kernel.ids import new_id
from payments.models import Attempt
from payments.rules import ATTEMPT, LATE, LIVE, OVER, REFUND, AttemptState, RefundState
from tests.payments.conftest import House

A = AttemptState


@pytest.mark.parametrize("after", list(AttemptState))
@pytest.mark.parametrize("before", [None, *AttemptState])
def test_attempts_move_only_as_drawn(before: AttemptState | None, after: AttemptState) -> None:
    """Allowed edges make their fact, any other raises."""
    if ATTEMPT.allows(before, after):
        assert ATTEMPT.move(before, after)
    else:
        with pytest.raises(IllegalTransitionError):
            ATTEMPT.move(before, after)


def test_the_sentences_of_the_design_hold() -> None:
    """A closed attempt never reopens, paid never becomes unpaid, and every state is one of three kinds."""
    for over, live in product(OVER | LATE, LIVE):
        assert not ATTEMPT.allows(over, live)
    for paid in (A.PAID, A.SETTLED):
        assert {after for after in A if ATTEMPT.allows(paid, after)} == (
            {A.SETTLED, A.REFUNDING} if paid is A.PAID else set()
        )
    assert set(A) == LIVE | OVER | LATE


@pytest.mark.parametrize("after", list(RefundState))
@pytest.mark.parametrize("before", [None, *RefundState])
def test_refunds_move_only_as_drawn(before: RefundState | None, after: RefundState) -> None:
    """Allowed edges make their fact, any other raises."""
    if REFUND.allows(before, after):
        assert REFUND.move(before, after)
    else:
        with pytest.raises(IllegalTransitionError):
            REFUND.move(before, after)


async def test_the_database_allows_one_live_attempt(house: House) -> None:
    """Even past every rule of ours, a second live attempt of a share cannot be written."""
    bill = await house.bill()
    first = await house.attempt(await house.press(house.mother, bill))
    columns = {c.name: getattr(first, c.name) for c in Attempt.__table__.columns}
    twin = columns | {"id": new_id(), "out_trade_no": "HF0000000000", "idempotency_key": "another-key"}
    with pytest.raises(IntegrityError, match="uq_attempt_live"):
        async with house.db.begin() as tx:
            tx.add(Attempt(**twin))
    async with house.db.begin() as tx:
        tx.add(Attempt(**twin | {"state": "closed"}))
