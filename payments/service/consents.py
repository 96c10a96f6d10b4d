"""To the insurance's consent page and back: who began a settlement, in the same session, and once."""

import hmac
from uuid import UUID

from billing.rules import RoundState
from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import token
from payments import rules
from payments.models import InsurancePart
from payments.rules import InsuranceState
from payments.service import insurance
from people.rules import Actor


async def leave(tx: Tx, actor: Actor, part_id: UUID, session: str) -> str | None:
    """What the caller takes along to the consent page and must bring back; an older one is void from now on.

    None: this settlement waits for no consent (any more).

    Raises:
        NotFoundError: none of the caller's.
    """
    if not await insurance.waits(tx, actor, part_id):
        return None
    part, now = await insurance.locked(tx, part_id)
    if now.state != RoundState.INSURING or part.state != InsuranceState.CREATED or part.auth_sealed is not None:
        return None
    state = token()
    part.consent_hash = _hash(tx, part_id, session, state)
    return state


async def come_back(tx: Tx, actor: Actor, part_id: UUID, session: str, state: str) -> UUID:
    """The caller is back from the consent page; what was brought back is used up. Returns the visit.

    Raises:
        NotFoundError: none of the caller's.
        rules.ForeignConsentError: it was not given to this session for this settlement, or is used up.
    """
    await insurance.waits(tx, actor, part_id)
    part, _ = await insurance.locked(tx, part_id)
    if part.consent_hash is None or not hmac.compare_digest(part.consent_hash, _hash(tx, part_id, session, state)):
        raise rules.ForeignConsentError
    part.consent_hash = None
    return part.visit_id


def _hash(tx: Tx, part_id: UUID, session: str, state: str) -> bytes:
    return tx.vault.index("insurance.consent", f"{part_id.hex} {session} {state}")


async def visit_of_part(tx: Tx, actor: Actor, part_id: UUID) -> UUID:
    """The visit of a settlement of the caller's.

    Raises:
        NotFoundError: none of the caller's.
    """
    part = await tx.get(InsurancePart, part_id)
    if part is None or part.actor != actor.viewer:
        raise NotFoundError
    return part.visit_id


async def latest_round(tx: Tx, visit_id: UUID) -> Round | None:
    """The visit's last round, under way or over, if it is the insurance's to settle first; else None."""
    every = await paying.rounds_of(tx, visit_id)
    return every[-1] if every and every[-1].insured else None
