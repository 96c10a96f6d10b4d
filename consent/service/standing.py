"""Does a signed letter stand for this patient here, and does it cover the visit that begins now?"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import exists, select

from consent.models import Contract, CreditAnswer, Suspension
from consent.rules import ContractState
from kernel.clock import china_day
from kernel.db import Tx
from people.service import hospitals

NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Standing:
    """What one question to the database tells: the contract (if any), the platform's last word, whether paused."""

    contract: Contract | None
    serious: bool
    suspended: bool


async def contract_of(tx: Tx, hospital_id: UUID, patient_id: UUID) -> Contract | None:
    """The contract that stands (also while suspended), or ``None``."""
    return (await standing_of(tx, hospital_id, patient_id)).contract


async def stands(tx: Tx, hospital_id: UUID, patient_id: UUID) -> bool:
    """Whether a contract stands that is neither withdrawn nor suspended, and its signer's right has not run out."""
    found = await standing_of(tx, hospital_id, patient_id)
    return found.contract is not None and not found.suspended and _alive(found.contract, china_day(tx.now))


async def covers(tx: Tx, hospital_id: UUID, patient_id: UUID, insurance_status: str) -> bool:
    """Whether a visit that begins (or is signed for) now is paid afterwards.

    A contract stands, the platform's last word was not "serious", and the insurance status is normal unless the city
    asks for none.

    Args:
        insurance_status: ``normal``, ``suspended`` or ``none``, as the HIS sent it with the encounter.
    """
    if not await stands(tx, hospital_id, patient_id):
        return False
    if insurance_status == NORMAL and not (await standing_of(tx, hospital_id, patient_id)).serious:
        return True
    return hospitals.settings_of(await hospitals.by_id(tx, hospital_id)).zero_threshold


def _alive(contract: Contract, day: date) -> bool:
    if contract.state not in (ContractState.SIGNED, ContractState.SEALED):
        return False
    return contract.guardian_until is None or day < contract.guardian_until


async def standing_of(tx: Tx, hospital_id: UUID, patient_id: UUID) -> Standing:
    """Asked once per transaction; ``forget`` after a change."""
    key = ("consent.standing", hospital_id, patient_id)
    if key not in tx.memo:
        paused = exists().where(
            Suspension.hospital_id == hospital_id,
            Suspension.patient_id == patient_id,
            Suspension.lifted_at.is_(None),
            (Suspension.until.is_(None)) | (Suspension.until > tx.now),
        )
        # One row whatever exists: the person need have neither a contract nor an answer.
        query = (
            select(Contract, CreditAnswer.serious, select(paused).scalar_subquery())
            .select_from(select(1).subquery())
            .outerjoin(
                Contract,
                (Contract.hospital_id == hospital_id)
                & (Contract.patient_id == patient_id)
                & (Contract.state != ContractState.WITHDRAWN),
            )
            .outerjoin(CreditAnswer, CreditAnswer.person_id == patient_id)
        )
        contract, serious, suspended = (await tx.session.execute(query)).one()
        tx.memo[key] = Standing(contract, bool(serious), bool(suspended))
    found: Standing = tx.memo[key]
    return found


def forget(tx: Tx, hospital_id: UUID, patient_id: UUID) -> None:
    """What was looked up of this pair is no longer true."""
    tx.memo.pop(("consent.standing", hospital_id, patient_id), None)
