"""Where a patient wants to be asked before a relative pays: asked, answered, and held at the press."""

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.models import PayConsent as PayConsent
from payments.rules import OverCapError
from payments.rules.limits import AskFirstError
from people.rules import Actor, Subject
from people.service import access

Standing = Literal["free", "must", "waiting", "refused"]


async def stands(tx: Tx, actor: Actor, subject: Subject, amount_fen: int) -> Standing:
    """Whether a payer may go on with so much: ``free``, or what she has to wait for."""
    terms = await access.pay_terms(tx, actor, subject)
    if terms is None or not terms.ask_first:
        return "free"
    row = await tx.get(PayConsent, (subject.visit_id, actor.id))
    if row is None or row.patient_id != subject.patient_id or row.amount_fen < amount_fen:
        return "must"
    return "waiting" if row.agreed is None else "free" if row.agreed else "refused"


async def hold(tx: Tx, actor: Actor, subject: Subject, amount_fen: int) -> None:
    """Hold a payment of a person against what the patient allows this payer.

    Raises:
        rules.OverCapError: more than she lets this relative pay at once.
        AskFirstError: she wants to be asked, and has not agreed to so much.
    """
    terms = await access.pay_terms(tx, actor, subject)
    if terms is not None and terms.cap_fen is not None and amount_fen > terms.cap_fen:
        raise OverCapError
    if terms is not None and terms.ask_first and await stands(tx, actor, subject, amount_fen) != "free":
        raise AskFirstError


async def ask(tx: Tx, actor: Actor, subject: Subject, amount_fen: int) -> bool:
    """Ask the patient, or ask anew for more. False when that was asked already, or nobody has to be asked."""
    if await stands(tx, actor, subject, amount_fen) in ("free", "waiting"):
        return False
    row = await tx.get(PayConsent, (subject.visit_id, actor.id), lock=True)
    if row is None:
        row = PayConsent(visit_id=subject.visit_id, person_id=actor.id)
        tx.add(row)
    row.patient_id, row.amount_fen, row.asked_at = subject.patient_id, amount_fen, tx.now
    row.agreed = row.answered_at = row.answered_by = None
    await tx.session.flush()
    return True


async def answer(tx: Tx, actor: Actor, visit_id: UUID, person_id: UUID, *, agreed: bool) -> PayConsent:
    """The patient's side has decided; the last word counts, for what is begun from now on.

    Raises:
        NotFoundError: nobody asked.
    """
    row = await tx.get(PayConsent, (visit_id, person_id), lock=True)
    if row is None:
        raise NotFoundError
    row.agreed, row.answered_at, row.answered_by = agreed, tx.now, actor.id
    return row


async def waiting(tx: Tx, patient_ids: Collection[UUID]) -> list[PayConsent]:
    """What these patients have not answered yet, newest first."""
    query = select(PayConsent).where(PayConsent.patient_id.in_(patient_ids), PayConsent.agreed.is_(None))
    return list(await tx.session.scalars(query.order_by(PayConsent.asked_at.desc()).limit(10)))
