"""Every move that is not in a table is refused; the database keeps what matters most as well."""

from enum import StrEnum
from itertools import product
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from billing.rules import CHARGE, REFUND_REQUEST, ROUND, ChargeState, RefundWish, RoundState
from kernel.errors import IllegalTransitionError
from kernel.ids import new_id
from kernel.lifecycle import Lifecycle
from payments.models import Attempt
from payments.rules import (
    ATTEMPT,
    INSURANCE,
    LATE,
    LIVE,
    OVER,
    REFUND,
    AttemptState,
    InsuranceState,
    RefundState,
)
from tests.payments.conftest import House

A = AttemptState


# How many edges each table has: an edge more or less is a decision, so it is written down twice.
TABLES: list[tuple[Lifecycle[Any], type[StrEnum], int]] = [
    (ATTEMPT, AttemptState, 20),
    (REFUND, RefundState, 13),
    (INSURANCE, InsuranceState, 23),
    (ROUND, RoundState, 11),
    (CHARGE, ChargeState, 30),
    (REFUND_REQUEST, RefundWish, 4),
]


@pytest.mark.parametrize(("table", "states", "edges"), TABLES, ids=lambda one: getattr(one, "name", ""))
def test_everything_moves_only_as_drawn(table: Lifecycle[Any], states: type[StrEnum], edges: int) -> None:
    """Each edge of the table makes its fact; every other pair of states, also a state with itself, is refused."""
    pairs = list(product([None, *states], states))
    drawn = [pair for pair in pairs if pair in table.edges]
    assert set(drawn) == set(table.edges)
    assert len(drawn) == edges
    for before, after in pairs:
        if (before, after) in table.edges:
            assert table.move(before, after)
        else:
            with pytest.raises(IllegalTransitionError):
                table.move(before, after)
    reached = {after for before, after in drawn}
    assert reached == set(states), "a state nobody can come to"


def test_the_sentences_of_the_design_hold() -> None:
    """A closed attempt never reopens, paid never becomes unpaid, and every state is one of three kinds."""
    for over, live in product(OVER | LATE, LIVE):
        assert not ATTEMPT.allows(over, live)
    for paid in (A.PAID, A.SETTLED):
        assert {after for after in A if ATTEMPT.allows(paid, after)} == (
            {A.SETTLED, A.REFUNDING} if paid is A.PAID else set()
        )
    assert set(A) == LIVE | OVER | LATE


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
