"""Whose hand may hold the pen for a patient: her own, an authorised relative's, a guardian's, or one at the bedside."""

from dataclasses import dataclass
from uuid import UUID

from consent.rules import GuardianNeededError, SignerRole, may_sign_alone
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Actor, ActorKind, GrantKind, Role
from people.service import hospitals, patients, signing

WITNESSES = frozenset({Role.COUNTER, Role.GUIDE, Role.DESK, Role.DOCTOR})


@dataclass(frozen=True, slots=True)
class Right:
    """By what right the caller signs.

    Args:
        role: ``None`` on a hospital's tablet, where the form says who signs before the witness.
        person_id: the signer, if logged in.
        relation: to the patient, by the grant.
        grant_id: the authorisation or guardianship.
        witness_id: the member of staff whose tablet it is.
        minor: the patient may not sign alone.
    """

    role: SignerRole | None
    person_id: UUID | None
    relation: str | None = None
    grant_id: UUID | None = None
    witness_id: UUID | None = None
    minor: bool = False


async def right_of(tx: Tx, actor: Actor, hospital_id: UUID, patient_id: UUID) -> Right:
    """The caller's right.

    Raises:
        GuardianNeededError: the patient is too young, and the caller is not the guardian.
        NotFoundError: the caller has nothing to do with this patient; absent patients are answered alike.
    """
    minor = await is_minor(tx, hospital_id, patient_id)
    if actor.kind is ActorKind.STAFF:
        if actor.hospital_id != hospital_id or actor.role not in WITNESSES:
            raise NotFoundError
        if not await patients.is_known_at(tx, hospital_id, patient_id):
            raise NotFoundError  # staff witness for the hospital's own patients, not for whoever has an id
        return Right(None, None, witness_id=actor.id, minor=minor)
    if actor.id == patient_id:
        if minor:
            raise GuardianNeededError
        return Right(SignerRole.PATIENT, actor.id)
    grant = await signing.pen_grant(tx, actor.id, patient_id)
    if grant is None:
        raise NotFoundError
    if grant.kind == GrantKind.GUARD:
        return Right(SignerRole.GUARDIAN, actor.id, grant.relation, grant.id, minor=minor)
    if minor:
        raise GuardianNeededError
    return Right(SignerRole.PROXY, actor.id, grant.relation, grant.id)


async def is_minor(tx: Tx, hospital_id: UUID, patient_id: UUID) -> bool:
    """Whether the patient is too young to sign alone.

    Raises:
        NotFoundError: no such patient or hospital.
    """
    settings = hospitals.settings_of(await hospitals.by_id(tx, hospital_id))
    person = await patients.by_id(tx, patient_id)
    return not may_sign_alone(person.birth_date, china_day(tx.now), settings)
