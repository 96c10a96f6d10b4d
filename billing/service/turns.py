"""Whose turn it is to pay: the live round of a visit, asked for once a transaction."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select

from billing.models import Round
from billing.rules import LIVE_ROUND, RoundState, Turn
from kernel.db import Tx

_ROUNDS = (
    select(Round)
    .where(Round.visit_id == any_(bindparam("visits", type_=ARRAY(Uuid))), Round.state.in_(LIVE_ROUND))
    .execution_options(populate_existing=True)
)


def nobody_pays(tx: Tx, visit_ids: Iterable[UUID]) -> None:
    """None of these has a live round but those that ``found`` tells of next."""
    for visit_id in visit_ids:
        tx.memo["round", visit_id] = None


def found(tx: Tx, live: Round) -> None:
    """This is its visit's live round."""
    tx.memo["round", live.visit_id] = live


async def live_round(tx: Tx, visit_id: UUID) -> Round | None:
    """The round of a visit that is being paid; take the visit's turn first when something will change."""
    if ("round", visit_id) not in tx.memo:
        nobody_pays(tx, [visit_id])
        for live in await tx.session.scalars(_ROUNDS, {"visits": [visit_id]}):
            found(tx, live)
    known: Round | None = tx.memo["round", visit_id]
    return known


async def turn_of(tx: Tx, visit_id: UUID) -> Turn | None:
    """The live round as the sums need it."""
    live = await live_round(tx, visit_id)
    if live is None:
        return None
    left = live.cash_fen - live.paid_fen - live.busy_fen  # while the insurance settles nothing is asked in cash
    return Turn(left if live.state == RoundState.OPEN else 0, live.paid_fen)
