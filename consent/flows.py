"""Use cases of consent that reach outside, or whose refusals must be kept: ask the credit platform, sign, seal."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from consent.ports import CreditPlatform, DocumentSigner, PaperRenderer, Timestamps
from consent.rules import CREDIT_FRESH, ConsentError, iso, sha256
from consent.rules.bundle import build, finish
from consent.service import codes, contracts, eligibility, evidence, reading, signing
from kernel.crypto import digest
from kernel.db import Database, Tx
from kernel.ids import new_id
from kernel.outside import OutsideError, Rejected
from notices.ports import Sms
from people.rules import Actor

T = TypeVar("T")


async def check_credit(db: Database, platform: CreditPlatform | None, hospital_id: UUID, patient_id: UUID) -> bool:
    """Ask the city's platform about a patient if its last word is older than a day; no answer changes nothing.

    Returns: whether an answer that is fresh, or not needed, is at hand.
    """
    if platform is None:
        return True
    async with db.begin() as tx:
        question = await eligibility.question_for(tx, hospital_id, patient_id)
    if question is None:
        return True
    request = str(new_id())
    try:
        record = await platform.record_of(question.id_number, question.name, request)
    except Rejected as refused:  # it does not know such a person: nothing serious is on record
        serious, reference = False, f"{refused.reason}/{request}"
    except OutsideError:
        return False
    else:
        serious, reference = record.serious, record.reference
    async with db.begin() as tx:
        await eligibility.keep_answer(tx, patient_id, serious=serious, reference=reference)
    return True


async def refresh_credit(db: Database, platform: CreditPlatform | None, limit: int = 50) -> int:
    """Ask again about standing contracts whose answer is older than a day. Returns how many were answered."""
    if platform is None:
        return 0
    async with db.begin() as tx:
        stale = await eligibility.stale_answers(tx, tx.now - CREDIT_FRESH, limit)
    answered = 0
    for hospital_id, patient_id in stale:
        answered += await check_credit(db, platform, hospital_id, patient_id)
    return answered


async def sign(
    db: Database,
    actor: Actor,
    reading_id: UUID,
    signature: signing.Signature,
    device: reading.Device,
    *,
    insurance_status: str | None,
    credit_asked_here: bool,
) -> UUID:
    """Sign; a refusal is rolled back and kept as evidence before it is raised. Returns the contract's id.

    Raises:
        ConsentError, NotFoundError: see ``consent.service.signing.sign``.
    """

    async def do(tx: Tx) -> UUID:
        contract = await signing.sign(
            tx,
            actor,
            reading_id,
            signature,
            device,
            insurance_status=insurance_status,
            credit_asked_here=credit_asked_here,
        )
        return contract.id

    return await _or_evidence(db, actor, reading_id, "sign", device, do)


async def ask_pen(db: Database, actor: Actor, reading_id: UUID, device: reading.Device) -> str:
    """Open the signing page: its nonce, if the reading time is served.

    Raises:
        TooEarlyError: kept as evidence, like every other refusal.
    """

    async def do(tx: Tx) -> str:
        read, _ = await reading.of(tx, actor, reading_id)
        await reading.require_live(tx, read)
        return reading.pen(tx, actor, read)

    return await _or_evidence(db, actor, reading_id, "pen", device, do)


async def leave_region(db: Database, actor: Actor, reading_id: UUID, region: int, device: reading.Device) -> str | None:
    """Page by page: the next region's code, ``None`` after the last.

    Raises:
        TooEarlyError: kept as evidence.
    """

    async def do(tx: Tx) -> str | None:
        return await reading.leave_region(tx, actor, reading_id, region)

    return await _or_evidence(db, actor, reading_id, "next", device, do)


async def _or_evidence(
    db: Database,
    actor: Actor,
    reading_id: UUID,
    what: str,
    device: reading.Device,
    do: Callable[[Tx], Awaitable[T]],
) -> T:
    async with db.begin() as tx:
        try:
            async with tx.savepoint():
                return await do(tx)
        except ConsentError as error:
            refusal = error
        await signing.keep_refusal(tx, actor, reading_id, refusal, what, device)
    raise refusal


async def send_sign_code(db: Database, sms: Sms, template_id: str, actor: Actor, reading_id: UUID) -> None:
    """Send the code by which a name under the letter counts; the text carries the code and its minutes.

    Raises:
        TooManyCodesError, CodeError, ConsentError: nothing was sent.
        Rejected: the gateway refuses this phone. An unknown outcome counts as sent.
    """
    async with db.begin() as tx:
        read, right = await reading.of(tx, actor, reading_id, lock=True)
        await reading.require_live(tx, read)
        reading.pen(tx, actor, read)
        phone, code = await codes.issue(tx, read, right.person_id or read.patient_id)
    try:
        await sms.send(template_id, phone, [code, "10"], str(reading_id))
    except Rejected:
        raise
    except OutsideError:
        return  # it may have been sent; asking again is possible in a minute


async def seal(
    db: Database, timestamps: Timestamps, signer: DocumentSigner, paper: PaperRenderer, contract_id: UUID
) -> bool:
    """Make the papers of a contract: evidence signed and timestamped, PDF signed and timestamped; then keep both.

    Returns: whether they are there now; if the outside did not help, ``seal_due`` tries again later.
    """
    async with db.begin() as tx:
        claimed = await contracts.claim_seal(tx, contract_id)
        if claimed is None:
            return await contracts.papers(tx, contract_id) is not None
        contract, signed, doctor, _ = claimed
        bundle = build(
            str(contract.id),
            evidence.body_of(tx, signed),
            _link(signed),
            None if doctor is None else {"body": evidence.body_of(tx, doctor), "chain": _link(doctor)},
        )
        now = tx.now
    try:
        whole = await _sealed_bundle(bundle, timestamps, signer)
        plain = await asyncio.to_thread(paper.letter, bundle, whole)
        pdf = await signer.sign_pdf(plain, now)
    except OutsideError as trouble:
        async with db.begin() as tx:
            await contracts.seal_failed(tx, contract_id, str(trouble))
        return False
    async with db.begin() as tx:
        await contracts.sealed(tx, contract_id, whole, sha256(whole), pdf, sha256(pdf))
    return True


async def seal_due(
    db: Database, timestamps: Timestamps, signer: DocumentSigner, paper: PaperRenderer, limit: int = 20
) -> int:
    """The sweeper: papers whose making failed, or whose worker died. Returns how many were made."""
    async with db.begin() as tx:
        waiting = await contracts.due_seals(tx, limit)
    made = 0
    for contract_id in waiting:
        made += await seal(db, timestamps, signer, paper, contract_id)
    return made


async def lift_lapsed(db: Database) -> int:
    """Pauses for a fixed time end by themselves. Returns how many did."""
    async with db.begin() as tx:
        over = await contracts.lapsed_pauses(tx)
    for hospital_id, patient_id in over:
        async with db.begin() as tx:
            await contracts.restore(tx, hospital_id, patient_id)
    return len(over)


async def _sealed_bundle(bundle: dict[str, Any], timestamps: Timestamps, signer: DocumentSigner) -> bytes:
    root = bytes.fromhex(bundle["root"])
    signature = await asyncio.to_thread(signer.sign, root)
    token = await timestamps.token(digest(signature))
    return finish(
        bundle,
        {
            "signature": _text(signature),
            "certificate": _text(signer.certificate()),
            "timestamp": _text(token.der),
            "timestamp_at": iso(token.at),
        },
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _link(row: Any) -> dict[str, Any]:
    return {
        "hospital": str(row.hospital_id),
        "seq": row.seq,
        "at": iso(row.at),
        "kind": row.kind,
        "body_sha256": row.body_sha256,
        "previous": row.previous,
        "link": row.link,
    }
