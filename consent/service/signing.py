"""The signature itself: everything is checked once more, then the contract stands from this moment."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consent.events import ContractSigned
from consent.models import Contract, Reading
from consent.rules import (
    CONTRACT,
    READING,
    AlreadySignedError,
    BadNonceError,
    CodeError,
    ConsentError,
    ContractState,
    FieldMissingError,
    LetterChangedError,
    NameMismatchError,
    ReadingOverError,
    ReadingState,
    SignerRole,
    SignMethod,
    Strokes,
    full_age_on,
    iso,
    sha256,
)
from consent.rules.bundle import svg
from consent.service import codes, contracts, eligibility, evidence, letters, reading, signers, standing
from kernel.db import Tx
from kernel.ids import new_id
from people.events import ViewsChanged
from people.rules import Actor, mask_phone
from people.service import hospitals, patients
from people.service import signing as people_signing
from words import letter_text


@dataclass(frozen=True, slots=True)
class Signature:
    """What the signing page sends.

    Args:
        nonce: handed over with the page (``reading.pen``).
        strokes: checked strokes, or ``None`` when signed by name and code.
        name: typed name (by code), or the name of a relative at the bedside on the hospital's tablet.
        code: six digits from the SMS.
        role: only on the hospital's tablet: who holds the pen.
        relation: of whoever signs for the patient, a key of ``words.letter_text.RELATIONS``.
        reason: why, a key of ``words.letter_text.REASONS``.
        client_time: what the phone thinks the time is; evidence only.
    """

    nonce: str
    strokes: Strokes | None = None
    name: str | None = None
    code: str | None = None
    role: SignerRole = SignerRole.PATIENT
    relation: str | None = None
    reason: str | None = None
    client_time: datetime | None = None

    @property
    def sha256(self) -> str | None:
        """The hash of the strokes: a retry of the same signature is the same signature."""
        return None if self.strokes is None else sha256(self.strokes.plain())


@dataclass(frozen=True, slots=True)
class _Hand:
    role: SignerRole
    person_id: UUID | None
    relation: str | None
    reason: str | None
    name: str


async def sign(
    tx: Tx,
    actor: Actor,
    reading_id: UUID,
    signature: Signature,
    device: reading.Device,
    *,
    insurance_status: str | None,
    credit_asked_here: bool,
) -> Contract:
    """Sign the letter. A repeat of the very same signature (the answer was lost on the way) gives the same contract.

    Raises:
        NotFoundError: the reading is absent or foreign.
        ConsentError: one of its family; the caller (``consent.flows.sign``) keeps the refusal as evidence.
    """
    read, right = await reading.of(tx, actor, reading_id, lock=True)
    await evidence.take_turn(tx, read.hospital_id)
    standing.forget(tx, read.hospital_id, read.patient_id)
    stands = await standing.contract_of(tx, read.hospital_id, read.patient_id)
    if stands is not None:
        if stands.reading_id == read.id and await _same(tx, stands, signature):
            return stands
        raise AlreadySignedError
    await reading.require_live(tx, read)
    if not hmac.compare_digest(signature.nonce.encode(), reading.pen(tx, actor, read).encode()):
        raise BadNonceError
    await eligibility.require(
        tx,
        read.hospital_id,
        read.patient_id,
        insurance_status=insurance_status,
        credit_asked_here=credit_asked_here,
    )
    hand = await _hand(tx, read, right, signature)
    contract = await _store(tx, read, right, hand, signature)
    parts = await _parts(tx, actor, read, right, hand, signature, device)
    await evidence.append(tx, read.hospital_id, "signed", parts, reading_id=read.id, contract_id=contract.id)
    standing.forget(tx, read.hospital_id, read.patient_id)
    await tx.session.flush()
    if not contract.countersign:
        await contracts.order_seal(tx, contract)
    await tx.emit(ContractSigned(read.hospital_id, read.patient_id, contract.id))
    tx.ring(ViewsChanged(read.patient_id))
    return contract


async def _same(tx: Tx, contract: Contract, signature: Signature) -> bool:
    signed = await evidence.of_contract(tx, contract.id, "signed")
    if signed is None or signature.sha256 is None:
        return False
    return bool(evidence.body_of(tx, signed)["signature"].get("sha256") == signature.sha256)


async def _hand(tx: Tx, read: Reading, right: signers.Right, signature: Signature) -> _Hand:
    """Who holds the pen, and that relation and reason are said where somebody signs for another.

    Raises:
        FieldMissingError: relation, reason or name is not said.
    """
    role = right.role or signature.role
    if right.role is None and right.minor and role is SignerRole.PATIENT:
        role = SignerRole.GUARDIAN  # a child's name under the letter binds nobody
    if role is SignerRole.PATIENT:
        patient = await patients.by_id(tx, read.patient_id)
        return _Hand(role, read.patient_id, None, None, patients.name_of(tx, patient))
    relation = right.relation or signature.relation or ""
    reason = signature.reason or ("authorised" if role is SignerRole.PROXY and right.person_id else "")
    if not relation or (relation not in letter_text.RELATIONS and right.relation is None):
        raise FieldMissingError
    if reason not in letter_text.REASONS:
        raise FieldMissingError
    if right.person_id is not None:
        person = await patients.by_id(tx, right.person_id)
        return _Hand(role, person.id, relation, reason, patients.name_of(tx, person))
    name = (signature.name or "").strip()
    if not 2 <= len(name) <= 30:
        raise FieldMissingError
    return _Hand(role, None, relation, reason, name)


async def _store(tx: Tx, read: Reading, right: signers.Right, hand: _Hand, signature: Signature) -> Contract:
    hospital = await hospitals.by_id(tx, read.hospital_id)
    patient = await patients.by_id(tx, read.patient_id)
    minor_signed_for = hand.role is SignerRole.GUARDIAN and right.minor and patient.birth_date is not None
    READING.move(ReadingState(read.state), ReadingState.SIGNED)
    CONTRACT.move(None, ContractState.SIGNED)
    read.state, read.closed_at = ReadingState.SIGNED, tx.now
    return tx.add(
        Contract(
            id=new_id(),
            hospital_id=read.hospital_id,
            patient_id=read.patient_id,
            letter_id=read.letter_id,
            reading_id=read.id,
            signer_id=hand.person_id,
            witness_id=right.witness_id,
            role=hand.role,
            relation=hand.relation,
            method=SignMethod.CODE if signature.strokes is None else SignMethod.STROKES,
            channel=read.channel,
            state=ContractState.SIGNED,
            guardian_until=full_age_on(patient.birth_date) if minor_signed_for and patient.birth_date else None,
            signed_at=tx.now,
            countersign=hospitals.settings_of(hospital).countersign,
            seal_tries=0,
        )
    )


async def _parts(
    tx: Tx,
    actor: Actor,
    read: Reading,
    right: signers.Right,
    hand: _Hand,
    signature: Signature,
    device: reading.Device,
) -> dict[str, Any]:
    """The body of the link ``signed``: what ``consent.rules.bundle`` checks years later."""
    letter = await letters.by_id(tx, read.letter_id)
    hospital = await hospitals.by_id(tx, read.hospital_id)
    patient = await patients.by_id(tx, read.patient_id)
    shown = await letters.identity_of(tx, read.patient_id)
    refused = [
        {"at": iso(e.at), "code": evidence.body_of(tx, e)["code"]}
        for e in await evidence.of_reading(tx, read.id)
        if e.kind == "refused"
    ]
    witness = None if right.witness_id is None else await people_signing.staff_member(tx, right.witness_id)
    return {
        "letter": {
            "title": letter.title,
            "label": letter.label,
            "regions": [dict(r) for r in letter.regions],
            "sha256": letter.sha256,
        },
        "patient": {
            "id": str(patient.id),
            "name": patients.name_of(tx, patient),
            "id_number": patients.id_number_of(tx, patient),
            "shown": {"name": shown.name, "id_number": shown.id_number, "phone": shown.phone},
        },
        "reading": {
            "id": str(read.id),
            "letter_sha256": letter.sha256,
            "opened_by": read.opened_by,
            "opened_at": iso(read.opened_at),
            "needed": dict(read.needed),
            "rate": read.rate,
            "minimum": read.minimum,
            "elder": read.elder,
            "steps": dict(read.steps),
            "seen": dict(read.seen),
            "continued_by": list(read.handed_to),
            "refused": refused,
        },
        "signer": {
            "role": hand.role,
            "person": None if hand.person_id is None else str(hand.person_id),
            "name": hand.name,
            "relation": hand.relation,
            "reason": hand.reason,
            "grant": None if right.grant_id is None else str(right.grant_id),
            "identity": "checked by staff" if right.witness_id else "logged in",
            "witness": None if witness is None else {"id": str(witness.id), "name": witness.name},
        },
        "signature": await _signature(tx, read, hand, signature),
        "place": {
            "hospital": {"id": str(hospital.id), "code": hospital.code, "name": hospital.name},
            "channel": read.channel,
            "opened_on": read.device,
            "device": device.name[:200],
            "session": actor.viewer,
            "signed_at": iso(tx.now),
            "client_time": None if signature.client_time is None else iso(signature.client_time),
        },
    }


async def _signature(tx: Tx, read: Reading, hand: _Hand, signature: Signature) -> dict[str, Any]:
    if signature.strokes is not None:
        drawn = {"method": SignMethod.STROKES.value, "strokes": signature.strokes.plain(), "sha256": signature.sha256}
        return {**drawn, "svg": svg(drawn)}
    who = hand.person_id
    if who is None:  # at the bedside nobody but the witness vouches: a drawn signature is needed
        raise FieldMissingError
    if (signature.name or "").strip() != hand.name:
        raise NameMismatchError
    spent = await codes.spend(tx, read.id, who, signature.code or "")
    phone = patients.phone_of(tx, await patients.by_id(tx, who)) or ""
    return {
        "method": SignMethod.CODE.value,
        "name": hand.name,
        "phone": mask_phone(phone),
        "code_sent_at": iso(spent.sent_at),
        "code_given_at": iso(tx.now),
    }


async def keep_refusal(
    tx: Tx, actor: Actor, reading_id: UUID, refusal: ConsentError, what: str, device: reading.Device
) -> None:
    """After the refused work was rolled back: note who tried what; a stale or expired reading is closed."""
    read = await tx.get(Reading, reading_id, lock=True)
    if read is None:
        return
    if isinstance(refusal, CodeError):
        _, right = await reading.of(tx, actor, reading_id)
        who = right.person_id or read.patient_id
        await codes.count_try(tx, reading_id, who)
    if isinstance(refusal, LetterChangedError | ReadingOverError) and read.state == ReadingState.READING:
        await reading.abandon(tx, read)
    body = {
        "code": refusal.code,
        "kind": refusal.kind,
        "what": what,
        "by": actor.viewer,
        "device": device.name[:200],
        "left": reading.left(read, tx.now),
    }
    await evidence.append(tx, read.hospital_id, "refused", body, reading_id=reading_id)
