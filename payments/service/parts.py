"""The insurance's settlements of a round as they stand together: all paid, all back, or on their way."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from payments.models import InsurancePart, MixedOrder
from payments.rules import INSURANCE, NO_MONEY, InsuranceState

S = InsuranceState


async def of_round(tx: Tx, round_id: UUID) -> list[InsurancePart]:
    """The settlements of a round, in order."""
    query = select(InsurancePart).where(InsurancePart.round_id == round_id)
    return list(await tx.session.scalars(query.order_by(InsurancePart.created_at, InsurancePart.encounter)))


async def over(tx: Tx, now: Round) -> bool:
    """Whether the insurance holds all of its money again, so that the rest of a round can go back."""
    return all(p.state in NO_MONEY for p in await of_round(tx, now.id))


async def stands(tx: Tx, now: Round) -> bool:
    """Whether everything the insurance is to pay is paid."""
    return all(p.state == S.PAID for p in await of_round(tx, now.id))


async def mixed_of(tx: Tx, part_id: UUID) -> MixedOrder | None:
    """The mixed order that lets the insurance pay a settlement; None: it is paid by a way that is not ours to drive."""
    query = select(MixedOrder).where(MixedOrder.part_id == part_id)
    return (await tx.session.scalars(query.order_by(MixedOrder.created_at.desc()).limit(1))).first()


async def cash_is_over(tx: Tx, attempt_id: UUID) -> None:
    """The cash part of a mixed order came to nothing: WeChat is asked what that means for the rest of it."""
    query = select(MixedOrder).where(MixedOrder.attempt_id == attempt_id, MixedOrder.next_look_at.is_not(None))
    mixed = (await tx.session.scalars(query)).first()
    if mixed is not None:
        mixed.looks, mixed.next_look_at = 0, tx.now


async def owes_report(tx: Tx, part: InsurancePart) -> None:
    """The insurance has its money again: WeChat, if the payment went through it, is to be told."""
    mixed = await mixed_of(tx, part.id)
    if mixed is not None and mixed.reported_at is None:
        mixed.report_at = tx.now


def move(tx: Tx, part: InsurancePart, after: InsuranceState) -> None:
    """Move a settlement along its lifecycle; the sweeper goes on with it at once unless told otherwise."""
    INSURANCE.move(S(part.state), after)
    part.state = after
    part.looks, part.next_look_at = 0, None if after in NO_MONEY else tx.now


async def bearing(tx: Tx, round_id: UUID, charge_id: UUID) -> InsurancePart | None:
    """The settlement in which the insurance holds a line of a paid round; None: it bears nothing of it (any more)."""
    mine = [p for p in await of_round(tx, round_id) if str(charge_id) in p.charge_ids]
    return next((p for p in mine if p.state not in NO_MONEY), None)


def ask_back(tx: Tx, part: InsurancePart) -> None:
    """What the insurance has paid goes back to it, whole."""
    part.refund_at = tx.now
    move(tx, part, S.REFUNDING)


async def take_back(tx: Tx, now: Round) -> None:
    """The round is given up: what is not paid is revoked, what is paid goes back to the insurance."""
    for part in await of_round(tx, now.id):
        if part.state == S.CREATED and part.auth_sealed is None:
            move(tx, part, S.REVOKED)
        elif part.state in (S.UPLOADED, S.PLACED, S.PAYING):
            move(tx, part, S.REVOKING)
        elif part.state == S.PAID:
            ask_back(tx, part)
    await tx.session.flush()


async def replaced_again(tx: Tx, now: Round) -> None:
    """The insurance has its money: lines that bore its split bear their estimate."""
    for part in await of_round(tx, now.id):
        await paying.uninsured(tx, now, [UUID(c) for c in part.charge_ids], part.mutual_aid_fen or 0)


async def told(tx: Tx, now: Round) -> list[Mapping[str, Any]]:
    """What the HIS is told of the insurance's part of a round."""
    return [told_of(p) for p in await of_round(tx, now.id)]


def told_of(part: InsurancePart) -> Mapping[str, Any]:
    """What the HIS is told of one settlement (``docs/his.md``)."""
    names = ("fund_fen", "account_fen", "mutual_aid_fen", "other_fen", "cash_fen")
    return {
        "encounter": part.encounter,
        "number": part.pay_order_id,
        **{name: getattr(part, name) for name in names},
    }


def refund_number(part: InsurancePart) -> str:
    """Our number of a settlement's way back; another one each time the centre has said no to the one before."""
    return f"R{part.order_number}{part.refund_tries or ''}"


async def shown(tx: Tx, now: Round) -> list[Mapping[str, Any]]:
    """How each settlement stands, for the patient's side; no department, no diagnosis."""
    names = ("total_fen", "fund_fen", "account_fen", "mutual_aid_fen", "other_fen", "hospital_part_fen", "cash_fen")
    return [
        {"id": str(p.id), "state": p.state, **{name: getattr(p, name) for name in names}}
        for p in await of_round(tx, now.id)
    ]
