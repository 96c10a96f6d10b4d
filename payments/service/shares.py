"""Shares of a round's cash: cut as the payers like, taken one by one; together they are always the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn
from uuid import UUID

from sqlalchemy import select

from billing.rules import RoundState
from billing.service.paying import Round
from kernel.db import Tx
from kernel.ids import new_id
from payments import rules
from payments.models import Allocation as Allocation
from payments.models import Attempt
from payments.rules import LIVE, OURS, Piece
from payments.service import labels
from people.rules import Actor, ActorKind, GrantKind, GrantState, Subject
from people.service import access, grants
from words import pay as words


@dataclass(frozen=True, slots=True)
class Share:
    """One share as it stands: ``free``, ``busy`` (somebody is paying it) or ``paid``, by which attempt."""

    allocation: Allocation
    attempt: Attempt | None

    @property
    def state(self) -> Literal["free", "busy", "paid"]:
        """How it stands."""
        if self.attempt is None:
            return "free"
        return "paid" if self.attempt.state in OURS else "busy"


async def of_round(tx: Tx, round_id: UUID) -> list[Share]:
    """The shares a round consists of now, by number."""
    parts = select(Allocation).where(Allocation.round_id == round_id, Allocation.replaced_at.is_(None))
    tries = select(Attempt).where(Attempt.round_id == round_id, Attempt.state.in_(LIVE))
    taken = {attempt.allocation_id: attempt for attempt in await tx.session.scalars(tries)}
    found = await tx.session.scalars(parts.order_by(Allocation.number))
    return [Share(part, taken.get(part.id)) for part in found]


async def number_of(tx: Tx, attempt: Attempt) -> int:
    """The number of the share that an attempt pays."""
    return (await tx.session.get_one(Allocation, attempt.allocation_id)).number


async def whole(tx: Tx, made_by: str, round_: Round) -> Allocation:
    """The one share of a round nobody cut."""
    return _add(tx, made_by, round_, [Meant(round_.cash_fen)], 0)[0]


async def take(tx: Tx, actor: Actor, round_: Round, number: int | None) -> Allocation:
    """The share a press pays: the one that was chosen, or everything nobody is paying yet, made one share.

    Raises:
        rules.RoundClosingError, rules.InsuringError: it is being given up, or not known yet.
        rules.ShareGoneError: cut anew meanwhile.
        rules.AttemptInProgressError, rules.AlreadyPaidError: somebody else was quicker.
    """
    if number is None:
        open_ = await free(tx, actor, round_)
        if len(open_) == 1:
            return open_[0].allocation
        every = await of_round(tx, round_.id)
        return _replace(tx, actor.viewer, round_, every, [Meant(sum(s.allocation.amount_fen for s in open_))])[0]
    _open(round_)
    chosen = next((s for s in await of_round(tx, round_.id) if s.allocation.number == number), None)
    if chosen is None:
        raise rules.ShareGoneError
    if chosen.attempt is not None:
        await _taken(tx, actor, chosen.attempt)
    return chosen.allocation


async def free(tx: Tx, actor: Actor, round_: Round) -> list[Share]:
    """The shares nobody is paying yet: at least one.

    Raises:
        rules.RoundClosingError, rules.InsuringError: it is being given up, or not known yet.
        rules.AttemptInProgressError: all of them are being paid; of several the caller's own is in the way first.
    """
    _open(round_)
    every = await of_round(tx, round_.id)
    found = [s for s in every if s.attempt is None]
    if not found:
        busy = [s.attempt for s in every if s.attempt is not None and s.state == "busy"]
        await _taken(tx, actor, next((a for a in busy if a.actor == actor.viewer), busy[0]))
    return found


def _open(round_: Round) -> None:
    if round_.state == RoundState.INSURING:
        raise rules.InsuringError
    if round_.state != RoundState.OPEN:
        raise rules.RoundClosingError


async def _taken(tx: Tx, actor: Actor, attempt: Attempt) -> NoReturn:
    who = await labels.label_for(tx, actor, attempt)
    if attempt.state in OURS:
        raise rules.AlreadyPaidError(who=who)
    raise rules.AttemptInProgressError(who, attempt.id)


@dataclass(frozen=True, slots=True)
class Meant:
    """One share to be made: how much, for whom, and what that person is to the patient."""

    amount_fen: int
    person_id: UUID | None = None
    relation: str | None = None


async def plan(tx: Tx, actor: Actor, subject: Subject, left_fen: int, pieces: Sequence[Piece]) -> list[Meant]:
    """What is left cut into these shares; a rest is for whoever comes first.

    Raises:
        rules.WrongSharesError: they do not fit, or are meant for somebody who may not pay here or is not the caller's
            to name.
    """
    made = rules.cut(left_fen, pieces)
    known: dict[UUID | None, str | None] = {None: None, **dict(await payers(tx, actor, subject))}
    if made is None or any(piece.person_id not in known for piece in made):
        raise rules.WrongSharesError(left_fen, words.amount(left_fen))
    return [Meant(piece.amount_fen, piece.person_id, known[piece.person_id]) for piece in made]


async def cut(tx: Tx, actor: Actor, round_: Round, meant: Sequence[Meant]) -> None:
    """Replace the shares nobody has taken by these."""
    round_.shared = True
    _replace(tx, actor.viewer, round_, await of_round(tx, round_.id), meant)


async def payers(tx: Tx, actor: Actor, subject: Subject) -> list[tuple[UUID, str]]:
    """For whom the caller may mean a share, and what they are to the patient: a relative only names herself."""
    view = await access.view_of(tx, actor, subject)
    known = [subject.patient_id]
    if view.owner or view.staff:
        live = [
            g for g in await grants.of_patient(tx, subject.patient_id) if g.kind in (GrantKind.PAY, GrantKind.GUARD)
        ]
        known += [g.person_id for g in reversed(live) if g.state == GrantState.ACTIVE]
    elif actor.id not in known:
        known.insert(0, actor.id)
    found = []
    for person_id in dict.fromkeys(known):
        person = Actor(ActorKind.PERSON, person_id)
        if await access.pay_terms(tx, person, subject) is not None:
            found.append((person_id, await labels.relation_of(tx, person, subject.patient_id, subject.visit_id)))
    return found


def _replace(tx: Tx, made_by: str, round_: Round, every: Sequence[Share], meant: Sequence[Meant]) -> list[Allocation]:
    for share in every:
        if share.attempt is None:
            share.allocation.replaced_at = tx.now
    return _add(tx, made_by, round_, meant, max(s.allocation.number for s in every) if every else 0)


def _add(tx: Tx, made_by: str, round_: Round, meant: Sequence[Meant], last: int) -> list[Allocation]:
    return [
        tx.add(
            Allocation(
                id=new_id(),
                round_id=round_.id,
                number=number,
                amount_fen=one.amount_fen,
                person_id=one.person_id,
                relation=one.relation,
                made_by=made_by,
                made_at=tx.now,
            )
        )
        for number, one in enumerate(meant, last + 1)
    ]
