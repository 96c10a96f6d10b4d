"""What becomes of a contract after it was signed: countersigned, sealed, paused, resumed, withdrawn."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from consent.events import ContractRestored, ContractSealed, ContractSuspended, ContractWithdrawn
from consent.models import Contract, Evidence, Letter, Reading, SealedDocument, Suspension
from consent.rules import CONTRACT, ContractState, NotSignedError, iso
from consent.service import evidence, signers, standing
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from people.rules import FULL_AGE, Action, Actor, ActorKind, Role, age_on
from people.service import access, patients, signing

__all__ = [
    "SEAL_JOB",
    "Contract",
    "by_id",
    "claim_seal",
    "countersign",
    "due_seals",
    "lapsed_pauses",
    "of_patient",
    "of_reading",
    "order_seal",
    "papers",
    "restore",
    "seal_failed",
    "sealed",
    "suspend",
    "waiting_for_doctor",
    "withdraw",
]

SEAL_JOB = "consent.seal"


async def by_id(tx: Tx, actor: Actor, contract_id: UUID) -> Contract:
    """A contract the caller may read: the patient's side, the signer, staff of that hospital.

    Raises:
        NotFoundError: absent or foreign.
    """
    contract = await tx.get(Contract, contract_id)
    if contract is None or not await _may_read(tx, actor, contract):
        raise NotFoundError
    return contract


async def of_reading(tx: Tx, read: Reading) -> Contract | None:
    """What a reading led to, if it was signed."""
    found: Contract | None = await tx.session.scalar(select(Contract).where(Contract.reading_id == read.id))
    return found


async def _may_read(tx: Tx, actor: Actor, contract: Contract) -> bool:
    if actor.kind is ActorKind.STAFF:
        return actor.hospital_id == contract.hospital_id and actor.role in signers.WITNESSES
    if actor.id in (contract.patient_id, contract.signer_id):
        return True
    return await access.can_for(tx, actor, Action.WITHDRAW, contract.patient_id)


async def of_patient(tx: Tx, patient_id: UUID) -> list[Contract]:
    """All standing contracts of a patient, newest first."""
    query = select(Contract).where(Contract.patient_id == patient_id, Contract.state != ContractState.WITHDRAWN)
    return list(await tx.session.scalars(query.order_by(Contract.signed_at.desc())))


async def withdraw(tx: Tx, actor: Actor, hospital_id: UUID, patient_id: UUID) -> Contract:
    """End the service: by the patient, her guardian, or the relative who signed. What is on account stays owed.

    Raises:
        NotFoundError: the caller has nothing to do with this patient.
        NotSignedError: there is nothing to withdraw.
    """
    await evidence.take_turn(tx, hospital_id)
    standing.forget(tx, hospital_id, patient_id)
    contract = await standing.contract_of(tx, hospital_id, patient_id)
    signer = contract is not None and contract.signer_id == actor.id and actor.kind is ActorKind.PERSON
    if not signer and not await access.can_for(tx, actor, Action.WITHDRAW, patient_id):
        raise NotFoundError
    if contract is None:
        raise NotSignedError
    CONTRACT.move(ContractState(contract.state), ContractState.WITHDRAWN)
    contract.state, contract.withdrawn_at, contract.withdrawn_by = ContractState.WITHDRAWN, tx.now, actor.viewer
    await evidence.append(tx, hospital_id, "withdrawn", {"by": actor.viewer}, contract_id=contract.id)
    standing.forget(tx, hospital_id, patient_id)
    await tx.session.flush()
    await tx.emit(ContractWithdrawn(hospital_id, patient_id, contract.id))
    return contract


async def waiting_for_doctor(tx: Tx, hospital_id: UUID, limit: int = 50) -> list[Contract]:
    """Contracts a doctor has still to countersign, oldest first."""
    query = (
        select(Contract)
        .where(
            Contract.hospital_id == hospital_id,
            Contract.countersign,
            Contract.countersigned_at.is_(None),
            Contract.state != ContractState.WITHDRAWN,
        )
        .order_by(Contract.signed_at)
        .limit(limit)
    )
    return list(await tx.session.scalars(query))


async def countersign(tx: Tx, actor: Actor, contract_id: UUID) -> Contract:
    """A doctor of the hospital signs beside the patient; then the papers are made. Twice is once.

    Raises:
        ForbiddenError: the caller is no doctor here.
        NotFoundError: no such contract in this hospital.
    """
    if actor.role is not Role.DOCTOR:
        raise ForbiddenError
    contract = await tx.get(Contract, contract_id, lock=True)
    if contract is None or actor.kind is not ActorKind.STAFF or actor.hospital_id != contract.hospital_id:
        raise NotFoundError
    if not contract.countersign or contract.countersigned_at is not None:
        return contract
    doctor = await signing.staff_member(tx, actor.id)
    contract.countersigned_at, contract.countersigned_by = tx.now, actor.id
    body = {"doctor": str(actor.id), "name": doctor.name if doctor else "", "at": iso(tx.now)}
    await evidence.append(tx, contract.hospital_id, "countersigned", body, contract_id=contract.id)
    await order_seal(tx, contract)
    return contract


# ----------------------------------------------------------------------------------------------- pause and resume


async def suspend(
    tx: Tx, hospital_id: UUID, patient_id: UUID, reason: str, until: datetime | None = None
) -> Suspension | None:
    """Pause the service here (arrears, the city); a minor is never suspended. Returns ``None`` for a minor.

    Args:
        reason: ``arrears``, ``wilful_default`` (exclusion d), ``city``.
    """
    person = await patients.by_id(tx, patient_id)
    if person.birth_date is not None and age_on(person.birth_date, tx.now.date()) < FULL_AGE:
        return None
    await evidence.take_turn(tx, hospital_id)
    standing.forget(tx, hospital_id, patient_id)
    pause = tx.add(
        Suspension(
            id=new_id(), hospital_id=hospital_id, patient_id=patient_id, reason=reason, since=tx.now, until=until
        )
    )
    contract = await standing.contract_of(tx, hospital_id, patient_id)
    standing.forget(tx, hospital_id, patient_id)
    if contract is not None and contract.state != ContractState.SUSPENDED:
        CONTRACT.move(ContractState(contract.state), ContractState.SUSPENDED)
        contract.state = ContractState.SUSPENDED
        await evidence.append(tx, hospital_id, "suspended", {"reason": reason}, contract_id=contract.id)
        await tx.session.flush()
        await tx.emit(ContractSuspended(hospital_id, patient_id, contract.id))
    return pause


async def restore(tx: Tx, hospital_id: UUID, patient_id: UUID) -> bool:
    """End all pauses of a patient here (paid, repaired, appealed). Returns whether a contract carries again."""
    await evidence.take_turn(tx, hospital_id)
    standing.forget(tx, hospital_id, patient_id)
    pauses = select(Suspension).where(
        Suspension.hospital_id == hospital_id, Suspension.patient_id == patient_id, Suspension.lifted_at.is_(None)
    )
    for pause in await tx.session.scalars(pauses):
        pause.lifted_at = tx.now
    await tx.session.flush()
    contract = await standing.contract_of(tx, hospital_id, patient_id)
    if contract is None or contract.state != ContractState.SUSPENDED:
        return False
    after = ContractState.SIGNED if contract.sealed_at is None else ContractState.SEALED
    CONTRACT.move(ContractState.SUSPENDED, after)
    contract.state = after
    await evidence.append(tx, hospital_id, "restored", {}, contract_id=contract.id)
    await tx.session.flush()
    standing.forget(tx, hospital_id, patient_id)
    await tx.emit(ContractRestored(hospital_id, patient_id, contract.id))
    return True


async def lapsed_pauses(tx: Tx, limit: int = 100) -> list[tuple[UUID, UUID]]:
    """Pauses for a fixed time that is over, (hospital, patient): each to be handed to ``restore``."""
    query = (
        select(Suspension.hospital_id, Suspension.patient_id)
        .where(Suspension.lifted_at.is_(None), Suspension.until <= tx.now)
        .limit(limit)
    )
    return [(h, p) for h, p in await tx.session.execute(query)]


# ------------------------------------------------------------------------------------------------------- the papers


async def order_seal(tx: Tx, contract: Contract) -> None:
    """Have the papers made soon; the contract carries meanwhile."""
    contract.seal_at = tx.now
    await tx.enqueue(SEAL_JOB, contract_id=contract.id)


async def due_seals(tx: Tx, limit: int = 20) -> list[UUID]:
    """Contracts whose papers should be made (again) now, longest waiting first."""
    query = select(Contract.id).where(Contract.seal_at <= tx.now).order_by(Contract.seal_at).limit(limit)
    return list(await tx.session.scalars(query))


async def claim_seal(tx: Tx, contract_id: UUID) -> tuple[Contract, Evidence, Evidence | None, Letter] | None:
    """Take the making of the papers for two minutes; ``None`` when there is nothing to do or another has it."""
    contract = await tx.get(Contract, contract_id, lock=True)
    if contract is None or contract.sealed_at is not None or contract.seal_at is None or contract.seal_at > tx.now:
        return None
    contract.seal_at = tx.now + timedelta(minutes=2)
    signed = await evidence.of_contract(tx, contract_id, "signed")
    letter = await tx.get(Letter, contract.letter_id)
    if signed is None or letter is None:
        raise LookupError("a contract without its evidence")
    return contract, signed, await evidence.of_contract(tx, contract_id, "countersigned"), letter


async def seal_failed(tx: Tx, contract_id: UUID, trouble: str) -> None:
    """The outside did not help: try again later, 5 s first, then doubling to ten minutes."""
    contract = await tx.get(Contract, contract_id, lock=True)
    if contract is None or contract.sealed_at is not None:
        return
    contract.seal_tries += 1
    contract.seal_trouble = trouble[:200]
    contract.seal_at = tx.now + timedelta(seconds=min(600, 5 * 2 ** min(contract.seal_tries - 1, 10)))


async def sealed(tx: Tx, contract_id: UUID, bundle: bytes, bundle_sha256: str, pdf: bytes, pdf_sha256: str) -> None:
    """Keep the papers; twice is once."""
    contract = await tx.get(Contract, contract_id, lock=True)
    if contract is None or contract.sealed_at is not None:
        return
    tx.add(
        SealedDocument(
            contract_id=contract_id,
            bundle_sealed=tx.vault.seal(bundle, "sealed_document", "bundle", contract_id),
            bundle_sha256=bundle_sha256,
            pdf_sealed=tx.vault.seal(pdf, "sealed_document", "pdf", contract_id),
            pdf_sha256=pdf_sha256,
            made_at=tx.now,
        )
    )
    contract.sealed_at, contract.seal_at, contract.seal_trouble = tx.now, None, None
    if contract.state == ContractState.SIGNED:  # one that was paused or withdrawn meanwhile keeps its state
        CONTRACT.move(ContractState.SIGNED, ContractState.SEALED)
        contract.state = ContractState.SEALED
    body = {"bundle_sha256": bundle_sha256, "pdf_sha256": pdf_sha256}
    await evidence.append(tx, contract.hospital_id, "sealed", body, contract_id=contract_id)
    await tx.emit(ContractSealed(contract.hospital_id, contract.patient_id, contract_id))


async def papers(tx: Tx, contract_id: UUID) -> tuple[bytes, bytes] | None:
    """(PDF, bundle) of a sealed contract, ``None`` while they are being made."""
    row = await tx.get(SealedDocument, contract_id)
    if row is None:
        return None
    return (
        tx.vault.open_bytes(row.pdf_sealed, "sealed_document", "pdf", contract_id),
        tx.vault.open_bytes(row.bundle_sealed, "sealed_document", "bundle", contract_id),
    )
