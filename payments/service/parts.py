"""The insurance's settlements of a round as they stand together: all paid, all back, or on their way."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from billing.rules import Parts, RoundState, spread
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import rules
from payments.models import InsurancePart, MixedOrder
from payments.ports import Split
from payments.rules import INSURANCE, NO_MONEY, InsuranceState
from people.rules import Actor, ActorKind

S = InsuranceState


async def of_round(tx: Tx, round_id: UUID) -> list[InsurancePart]:
    """The settlements of a round, in order."""
    query = select(InsurancePart).where(InsurancePart.round_id == round_id)
    return list(await tx.session.scalars(query.order_by(InsurancePart.created_at, InsurancePart.encounter)))


def at_counter(now: Round) -> bool:
    """Whether a cashier uses the insurance for the patient: certified terminals ask her, and no mixed order pays."""
    return now.opened_by.startswith(f"{ActorKind.STAFF}:")


def theirs(part: InsurancePart, now: Round, actor: Actor) -> bool:
    """Whether a settlement is the caller's to go on with: who began it, at the counter any cashier of the hospital."""
    staff = actor.kind is ActorKind.STAFF and at_counter(now) and actor.hospital_id == part.hospital_id
    return staff or part.actor == actor.viewer


def asks(part: InsurancePart) -> int:
    """Fen a settlement leaves to be paid in cash: the centre's cash part less what the hospital bears of it itself."""
    return (part.cash_fen or 0) - (part.hospital_part_fen or 0)


def keep(part: InsurancePart, split: Split) -> None:
    """Write down what the insurance has reckoned, or paid."""
    part.fund_fen, part.account_fen, part.other_fen = split.fund_fen, split.personal_account_fen, split.other_fen
    part.mutual_aid_fen, part.hospital_part_fen = split.mutual_aid_fen, split.hospital_part_fen
    part.cash_fen = split.cash_fen


def same(part: InsurancePart, split: Split | None) -> bool:
    """Whether the insurer paid what the payer was shown; an answer without amounts says nothing against it."""
    if split is None:
        return True
    shown = (part.fund_fen, part.account_fen, part.other_fen, part.cash_fen, part.mutual_aid_fen)
    paid = (split.fund_fen, split.personal_account_fen, split.other_fen, split.cash_fen, split.mutual_aid_fen)
    return (*shown, part.hospital_part_fen) == (*paid, split.hospital_part_fen)


async def over(tx: Tx, now: Round) -> bool:
    """Whether the insurance holds all of its money again, so that the rest of a round can go back."""
    return all(p.state in NO_MONEY for p in await of_round(tx, now.id))


async def settling(tx: Tx, visit_id: UUID) -> bool:
    """Whether the insurance has the turn: what there is to pay in cash is not known, or is being taken back."""
    now = await paying.live_round(tx, visit_id)
    return now is not None and now.insured and now.state != RoundState.OPEN


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
    names = ("fund_fen", "account_fen", "mutual_aid_fen", "other_fen")
    return {
        "encounter": part.encounter,
        "number": part.pay_order_id,
        **{name: getattr(part, name) for name in names},
        "hospital_fen": part.hospital_part_fen or 0,
        "cash_fen": asks(part),
    }


def refund_number(part: InsurancePart) -> str:
    """Our number of a settlement's way back; another one each time the centre has said no to the one before."""
    return f"R{part.order_number}{part.refund_tries or ''}"


async def shown(tx: Tx, now: Round) -> list[Mapping[str, Any]]:
    """How each settlement stands, for the patient's side; no department, no diagnosis."""
    names = ("total_fen", "fund_fen", "account_fen", "mutual_aid_fen", "other_fen", "hospital_part_fen")
    return [
        {
            "id": str(p.id),
            "state": p.state,
            **{name: getattr(p, name) for name in names},
            "cash_fen": None if p.cash_fen is None else asks(p),
        }
        for p in await of_round(tx, now.id)
    ]


async def line_by_line(tx: Tx, now: Round) -> list[tuple[ChargeItem, Parts, Parts]]:
    """The lines of a reckoned round, each with who was estimated to bear it and who does, or would once agreed to."""
    covered = await paying.covered_by(tx, now)
    made = []
    for part in await of_round(tx, now.id):
        lines = [c for c in covered if str(c.id) in part.charge_ids]
        if part.fund_fen is None or not lines:
            continue
        were = [_estimate(c) for c in lines]
        final = Parts(part.fund_fen, part.account_fen or 0, part.other_fen or 0, part.cash_fen or 0)
        made += [
            (line, was, _borne(line) if line.estimate else share)
            for line, was, share in zip(lines, were, spread(final, were), strict=True)
        ]
    return made


def _borne(line: ChargeItem) -> Parts:
    return Parts(line.fund_fen, line.account_fen, line.other_fen, line.self_fen)


def _estimate(line: ChargeItem) -> Parts:
    was = line.estimate
    return Parts(was["fund_fen"], was["account_fen"], 0, was["self_fen"]) if was else _borne(line)


async def claim_due(tx: Tx, limit: int = 20) -> list[UUID]:
    """Settlements to go on with now, each given to one sweeper only."""
    query = select(InsurancePart).where(InsurancePart.next_look_at <= tx.now).order_by(InsurancePart.next_look_at)
    found = (await tx.session.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()
    for part in found:
        part.looks += 1
        part.next_look_at = rules.next_insurance_look(part.looks, tx.now)
    return [p.id for p in found]


async def by_order(tx: Tx, pay_order_id: str) -> UUID:
    """The settlement a notice is about.

    Raises:
        NotFoundError: none of ours.
    """
    query = select(InsurancePart.id).where(InsurancePart.pay_order_id == pay_order_id)
    found = (await tx.session.scalars(query)).first()
    if found is None:
        raise NotFoundError
    return found
