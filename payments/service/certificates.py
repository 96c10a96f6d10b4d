"""The insurance at the counter: whose certificate a terminal has read, and for which settlement it is the consent."""

import json
from uuid import UUID

from billing.rules import RoundState
from billing.service import paying
from kernel.db import Tx
from payments.models import InsurancePart
from payments.ports import Authorized, Certificate, read_certificate
from payments.rules import InsuranceState
from payments.rules.counter import CertificateForeignError, NotAwaitedError
from payments.service import insurance, parts
from people.rules import Action, Actor
from people.service import access
from visits.service.reading import subject_of


async def wanted(tx: Tx, visit_id: UUID) -> InsurancePart | None:
    """The first settlement a cashier has begun for a visit that still waits for the patient's certificate."""
    now = await paying.live_round(tx, visit_id)
    if now is None or now.state != RoundState.INSURING or not parts.at_counter(now):
        return None
    return next((p for p in await parts.of_round(tx, now.id) if _waits(p)), None)


def _waits(part: InsurancePart) -> bool:
    return part.state == InsuranceState.CREATED and part.auth_sealed is None


async def given(tx: Tx, actor: Actor, part_id: UUID, value: str) -> None:
    """A terminal has read the patient's certificate: it is the consent to one settlement, kept sealed with it.

    Args:
        actor: the cashier who waits for it.
        value: as it was read; it goes nowhere else.

    Raises:
        NotFoundError, ForbiddenError: not theirs to take payment for.
        NotAwaitedError: the settlement waits for none (any more).
        BadCaptureError: ``value``; the terminal is no certified one, or gave something else.
        CertificateForeignError: it is not the patient's, by what the hospital's system says of her.
    """
    part, now = await insurance.locked(tx, part_id)
    await access.require(tx, actor, Action.TAKE_PAYMENT, subject_of(await paying.locked_visit(tx, part.visit_id)))
    if now.state != RoundState.INSURING or not parts.theirs(part, now, actor) or not _waits(part):
        raise NotAwaitedError
    read = read_certificate(value)
    if read.id_number != _insured(tx, part):
        raise CertificateForeignError
    await insurance.authorized(tx, actor, part_id, _consent(read))


def _insured(tx: Tx, part: InsurancePart) -> str:
    facts = json.loads(tx.vault.open(part.facts_sealed, "insurance.facts", part.id.hex))
    return str(facts["insured"]["id_number"]).upper()


def _consent(read: Certificate) -> Authorized:
    # Handed in, reckoned and refunded by the one number: 6202 takes no other, and 6203 takes exactly one.
    return Authorized(pay_auth_no=read.auth_no, family=False, card=read.id_number, ec_token=read.ec_token)
