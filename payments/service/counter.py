"""Cash and bank cards over the counter: an attempt like any other, paid in the transaction that begins it."""

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from billing.service import paying
from kernel.db import Tx
from kernel.ids import new_id
from payments.models import Attempt, Refund, TillMovement
from payments.rules import Till
from payments.rules.counter import CardReferenceError, CardUsedError, DeskWay, NotCashBackError, TooLittleCashError
from payments.service import attempts, pressing, returns, shifts
from payments.service.attempts import S
from payments.service.pressing import Press
from payments.service.shifts import Shift
from people.rules import Actor
from people.service import hospitals
from words import pay as words

_SLIP = re.compile(r"[A-Za-z0-9-]{4,40}")
_NOBODYS = Till("", "")  # this money lies with no provider


@dataclass(frozen=True, slots=True)
class InHand:
    """What the cashier holds: the amount that was asked for, and the cash put down or the slip's number.

    ``share``: the number of one share; None: all that is payable now. ``lines``: just these, paid before they are done.
    """

    way: Literal[DeskWay.CASH, DeskWay.CARD]
    idempotency_key: str
    seen_amount_fen: int
    given_fen: int | None = None
    reference: str = ""
    share: int | None = None
    lines: frozenset[UUID] = frozenset()


async def take(tx: Tx, actor: Actor, visit_id: UUID, held: InHand) -> Attempt:
    """Money was taken over the counter; the same key is the same payment.

    Raises:
        HoufuError: as ``pressing.begin`` does, somebody's paying the same share now among them.
        NoShiftError: the cashier's shift is not open.
        TooLittleCashError: less was put down than is asked for.
        CardReferenceError, CardUsedError: the slip's number is missing, or belongs to another payment.
    """
    await paying.locked_visit(tx, visit_id)
    shift = await shifts.held(tx, actor)
    reference = _checked(held)
    press = Press(held.way, held.idempotency_key, held.seen_amount_fen, share=held.share, lines=held.lines)
    attempt = await pressing.begin(tx, actor, visit_id, press, _NOBODYS)
    if attempt.state != S.CREATED:
        return attempt
    given = held.given_fen if held.way is DeskWay.CASH else None
    await _moved(tx, shift, attempt, None, attempt.amount_fen, given, reference)
    hospital = await hospitals.by_id(tx, attempt.hospital_id)
    await attempts.in_hand(tx, attempt, f"{hospital.code}-{reference}" if reference else attempt.out_trade_no)
    return attempt


def _checked(held: InHand) -> str | None:
    if held.way is DeskWay.CASH:
        given = held.seen_amount_fen if held.given_fen is None else held.given_fen
        if given < held.seen_amount_fen:
            raise TooLittleCashError(words.amount(held.seen_amount_fen - given))
        return None
    return slip(held.reference)


def slip(reference: str) -> str:
    """The number on a slip of the bank's terminal.

    Raises:
        CardReferenceError: it is none.
    """
    reference = "".join(reference.split())
    if not _SLIP.fullmatch(reference):
        raise CardReferenceError
    return reference


async def give_back(tx: Tx, actor: Actor, refund_id: UUID, reference: str = "") -> Refund:
    """Money that came over the counter is handed out there; of a card with the number of the terminal's own slip.

    Raises:
        NotFoundError, NotCashBackError: it is no refund to be handed out here now.
        NoShiftError: the cashier's shift is not open.
        CardReferenceError, CardUsedError: the slip's number is missing or was used.
    """

    async def pass_over(attempt: Attempt, refund: Refund) -> None:
        shift = await shifts.held(tx, actor)
        if shift.hospital_id != attempt.hospital_id:
            raise NotCashBackError
        number = slip(reference) if attempt.channel == DeskWay.CARD else None
        await _moved(tx, shift, attempt, refund, -refund.amount_fen, None, number)

    return await returns.handed_out(tx, refund_id, pass_over)


async def _moved(
    tx: Tx, shift: Shift, attempt: Attempt, refund: Refund | None, fen: int, given: int | None, reference: str | None
) -> None:
    row = TillMovement(
        id=new_id(),
        hospital_id=shift.hospital_id,
        shift_id=shift.id,
        visit_id=attempt.visit_id,
        attempt_id=attempt.id if refund is None else None,
        refund_id=refund.id if refund is not None else None,
        way=attempt.channel,
        amount_fen=fen,
        given_fen=given,
        reference=reference,
        at=tx.now,
    )
    if reference is not None:
        used = select(TillMovement.id).where(
            TillMovement.hospital_id == shift.hospital_id, TillMovement.reference == reference
        )
        if (await tx.session.scalars(used)).first() is not None:
            raise CardUsedError
    tx.session.add(row)
    try:
        await tx.session.flush()
    except IntegrityError as crossed:  # the same slip at two counters in the same moment
        raise CardUsedError from crossed


async def movement_of(tx: Tx, attempt_id: UUID) -> TillMovement | None:
    """How an attempt's money came over the counter."""
    query = select(TillMovement).where(TillMovement.attempt_id == attempt_id)
    return (await tx.session.scalars(query)).one_or_none()
