"""An attempt or a round moves, and everybody who may know of it is told with how the shares stand."""

from collections.abc import Mapping
from typing import Any

from billing.rules import LIVE_ROUND, RoundState
from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from payments.models import Attempt
from payments.rules import ATTEMPT, AttemptState, InsuranceState
from payments.service import labels, parts, shares

S = AttemptState
_SHOWN = {S.CREATED: "offered", S.OFFERED: "offered", S.UNKNOWN: "unknown", S.PAID: "paid", S.SETTLED: "settled"}
_SHOWN |= {S.CLOSED: "closed", S.FAILED: "closed", S.LATE_PAID: "refunding", S.REFUNDING: "refunding"}
_SHOWN |= {S.REFUNDED: "refunded", S.CLOSING: "offered"}
_MEANWHILE = {RoundState.INSURING: "insuring", RoundState.CLOSING: "insurance_ending"}
_MEANWHILE |= dict.fromkeys((RoundState.PAID, RoundState.SETTLED), "insurance_returning")


async def shown(tx: Tx, attempt: Attempt) -> str:
    """How an attempt stands, as people are told.

    offered, unknown, share_paid (others' shares are still missing), paid, settled, closed, refunding and refunded (late
    money), returning and returned (the round was given up).
    """
    state = _SHOWN[S(attempt.state)]
    if state == "paid" and (await paying.round_by_id(tx, attempt.round_id)).state in LIVE_ROUND:
        return "share_paid"
    if attempt.closed_at is None:  # it was never closed: the money was in time, and goes back all the same
        return {"refunding": "returning", "refunded": "returned"}.get(state, state)
    return state


def move(attempt: Attempt, after: AttemptState) -> None:
    """Move an attempt along its lifecycle."""
    ATTEMPT.move(S(attempt.state), after)
    attempt.state = after


async def tell(tx: Tx, attempt: Attempt, of_it: tuple[str, int] | None = None) -> None:
    """Write to the visit's feed how an attempt stands; or what became of a part of its money (a word, and fen)."""
    state, fen = of_it or (await shown(tx, attempt), attempt.amount_fen)
    payment = {
        "id": str(attempt.id),
        "state": state,
        "amount_fen": fen,
        "payer_label": labels.family_label(attempt.relation),
        "owner_label": labels.owner_label(attempt.relation),
        "at": tx.now.isoformat(),
    }
    own = await paying.round_by_id(tx, attempt.round_id)
    await paying.payment_row(tx, attempt.visit_id, payment, await _round(tx, own))


async def tell_round(tx: Tx, round_: Round, state: str, relation: str, fen: int | None = None) -> None:
    """Write to the visit's feed how a round stands, and by whom: ``shared``, ``given_up``, and how its insurance does.

    insuring, reckoned, insured; after a line was taken back insurance_returning, insurance_returned, and where that
    needs a person insurance_checking.
    """
    payment = {
        "id": str(round_.id),
        "state": state,
        "amount_fen": round_.cash_fen if fen is None else fen,
        "payer_label": labels.family_label(relation),
        "owner_label": labels.owner_label(relation),
        "at": tx.now.isoformat(),
    }
    await paying.payment_row(tx, round_.visit_id, payment, await _round(tx, round_))


async def tell_settlements(tx: Tx, round_: Round) -> None:
    """A settlement of the insurance's has moved and its round has not: said again, because pages show each of them."""
    state = _MEANWHILE.get(RoundState(round_.state))
    if state is not None:
        await tell_round(tx, round_, state, labels.DESK if parts.at_counter(round_) else labels.SELF)


async def _round(tx: Tx, own: Round) -> Mapping[str, Any] | None:
    """What everybody sees of shares: those of the live round, or of the one just paid; a whole payment has none."""
    now = await paying.live_round(tx, own.visit_id) or own
    if not (now.shared or now.insured) or now.state == RoundState.RELEASED:
        return None
    each = await parts.shown(tx, now) if now.insured else []
    if now.insured and now.state not in LIVE_ROUND and all(p["state"] == InsuranceState.REFUNDED for p in each):
        return None  # what was paid in it is owed anew
    return {
        "state": now.state,
        "cash_fen": now.cash_fen,
        "paid_fen": now.paid_fen,
        "left_fen": now.cash_fen - now.paid_fen - now.busy_fen,
        "shares": [_share(s) for s in await shares.of_round(tx, now.id)],
        "parts": each,
    }


def _share(share: shares.Share) -> dict[str, Any]:
    part, attempt = share.allocation, share.attempt
    who = attempt.relation if attempt is not None else part.relation
    return {
        "number": part.number,
        "amount_fen": part.amount_fen,
        "state": share.state,
        "family_label": labels.family_label(who) if who else labels.ANYBODY,
        "owner_label": labels.owner_label(who) if who else labels.ANYBODY,
    }
