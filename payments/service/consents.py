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


async def mine(tx: Tx, actor: Actor, part_id: UUID) -> InsurancePart:
    """A settlement of the caller's.

    Raises:
        NotFoundError: none of the caller's.
    """
    part = await tx.get(InsurancePart, part_id)
    if part is None or part.actor != actor.viewer:
        raise NotFoundError
    return part


async def waits(tx: Tx, actor: Actor, part_id: UUID) -> bool:
    """Whether a settlement of the caller's waits for a consent.

    Raises:
        NotFoundError: none of the caller's.
    """
    part = await mine(tx, actor, part_id)
    return part.state == InsuranceState.CREATED and part.auth_sealed is None


async def leave(tx: Tx, actor: Actor, part_id: UUID, session: str) -> str | None:
    """What the caller takes along to the consent page and must bring back; an older one is void from now on.

    None: this settlement waits for no consent (any more).

    Raises:
        NotFoundError: none of the caller's.
    """
    if not await waits(tx, actor, part_id):
        return None
    part, now = await insurance.locked(tx, part_id)
    if now.state != RoundState.INSURING or part.state != InsuranceState.CREATED or part.auth_sealed is not None:
        return None
    state = token()
    part.consent_hash = _hash(tx, part_id, session, state)
    return state


async def come_back(tx: Tx, actor: Actor, part_id: UUID, session: str, state: str) -> None:
    """The caller is back from the consent page; what was brought back is used up.

    Raises:
        NotFoundError: none of the caller's.
        rules.ForeignConsentError: it was not given to this session for this settlement, or is used up.
    """
    await mine(tx, actor, part_id)
    part, _ = await insurance.locked(tx, part_id)
    if part.consent_hash is None or not hmac.compare_digest(part.consent_hash, _hash(tx, part_id, session, state)):
        raise rules.ForeignConsentError
    part.consent_hash = None


def _hash(tx: Tx, part_id: UUID, session: str, state: str) -> bytes:
    return tx.vault.index("insurance.consent", f"{part_id.hex} {session} {state}")


async def latest_round(tx: Tx, visit_id: UUID) -> Round | None:
    """The visit's last round, under way or over, if it is the insurance's to settle first; else None."""
    every = await paying.rounds_of(tx, visit_id)
    return every[-1] if every and every[-1].insured else None
