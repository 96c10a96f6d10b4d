"""A relative names a patient, and a code that came to the patient's own phone proves that she agrees.

Right and wrong details are answered alike to the end: nobody learns here whether somebody is a patient.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update

from family_pay.models import PhoneBinding
from family_pay.rules import (
    PHONE_ASK_OPEN,
    PHONE_ASKS_A_DAY,
    PHONE_BINDING,
    PHONE_CODE_DIGITS,
    PHONE_CODE_LIVES,
    PHONE_CODE_TRIES,
    PHONE_CODES_A_DAY,
    AskExpiredError,
    PhoneBindingState,
    Relation,
    TooManyAsksError,
    WrongAskCodeError,
)
from family_pay.service.news import tell
from kernel.clock import china_day
from kernel.db import Tx
from kernel.ids import derive, digits, new_id
from people.rules import ALONE_FROM_AGE, Actor, GrantKind, GrantState, Proof, ProofKind, age_on, is_id_number, is_phone
from people.service import grants, patients
from people.service.codes import BadPhoneError
from people.service.grants import Grant, Terms
from people.service.patients import Person
from people.service.sessions import BadIdNumberError, with_phone

SEND_JOB = "family_pay.phone_code"


@dataclass(frozen=True, slots=True)
class Named:
    """Whom the relative means, and what they are to her."""

    name: str = field(repr=False)
    id_number: str = field(repr=False)
    phone: str = field(repr=False)
    relation: Relation = Relation.OTHER


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; the same for everybody who asks. ``expires_at`` is when the code ends."""

    id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ToSend:
    """A code on its way to a patient's phone, and who asks, masked."""

    phone: str = field(repr=False)
    who: str
    digits: str = field(repr=False)


async def ask(tx: Tx, actor: Actor, named: Named) -> Asked:
    """Ask; a job sends the code, if there is anybody to send it to.

    Raises:
        BadIdNumberError, BadPhoneError: typed wrongly, by their own check digits.
        TooManyAsksError: five within a day.
    """
    if not named.name.strip() or not is_id_number(named.id_number.strip().upper()):
        raise BadIdNumberError
    if not is_phone(named.phone.strip()):
        raise BadPhoneError
    await _turns(tx, "asks", actor.id)
    day = PhoneBinding.asked_at > tx.now - timedelta(days=1)
    mine = select(func.count()).where(PhoneBinding.asked_by == actor.id, day)
    if (await tx.session.scalar(mine) or 0) >= PHONE_ASKS_A_DAY:
        raise TooManyAsksError
    patient = await _meant(tx, actor, named)
    if patient is not None:
        await _turns(tx, "is asked", patient.id)
        sent = select(func.count()).where(PhoneBinding.patient_id == patient.id, day)
        if (await tx.session.scalar(sent) or 0) >= PHONE_CODES_A_DAY:
            patient = None
    PHONE_BINDING.move(None, PhoneBindingState.ASKED)
    identity, code = new_id(), digits(PHONE_CODE_DIGITS)
    row = PhoneBinding(
        id=identity,
        asked_by=actor.id,
        patient_id=patient.id if patient is not None else None,
        relation=named.relation,
        code_sealed=tx.vault.seal(code, "phone_binding", identity),
        code_digest=_digest(tx, identity, actor.id, code),
        tries=0,
        state=PhoneBindingState.ASKED,
        asked_at=tx.now,
        expires_at=tx.now + PHONE_CODE_LIVES,
    )
    tx.add(row)
    await tx.session.flush()
    await tx.enqueue(SEND_JOB, request_id=identity)
    return Asked(identity, row.expires_at)


async def to_send(tx: Tx, request_id: UUID) -> ToSend | None:
    """Take the code out to send it, once; ``None``: sent before, too late, or nobody to send it to."""
    row = await tx.get(PhoneBinding, request_id, lock=True)
    if row is None or row.code_sealed is None:
        return None
    code, row.code_sealed = tx.vault.open(row.code_sealed, "phone_binding", row.id), None
    if row.patient_id is None or row.expires_at <= tx.now or row.state != PhoneBindingState.ASKED:
        return None
    phone = patients.phone_of(tx, await patients.by_id(tx, row.patient_id))
    who = await patients.by_id(tx, row.asked_by)
    return None if phone is None else ToSend(phone, who.name_masked, code)


async def try_code(tx: Tx, actor: Actor, request_id: UUID, code: str) -> bool | None:
    """Try the code: counted before it is compared, and for nobody but who asked. ``None``: nothing to try any more.

    Told rather than raised, so that the try is counted when the transaction commits.
    """
    claim = (
        update(PhoneBinding)
        .where(
            PhoneBinding.id == request_id,
            PhoneBinding.asked_by == actor.id,
            PhoneBinding.state == PhoneBindingState.ASKED,
            PhoneBinding.expires_at > tx.now,
            PhoneBinding.tries < PHONE_CODE_TRIES,
        )
        .values(tries=PhoneBinding.tries + 1)
        .returning(PhoneBinding.code_digest, PhoneBinding.patient_id)
        .execution_options(synchronize_session=False)
    )
    found = (await tx.session.execute(claim)).first()
    if found is None:
        return None
    right = hmac.compare_digest(found.code_digest, _digest(tx, request_id, actor.id, code.strip()))
    if not right or found.patient_id is None:
        return False
    PHONE_BINDING.move(PhoneBindingState.ASKED, PhoneBindingState.PROVEN)
    proven = update(PhoneBinding).where(PhoneBinding.id == request_id).values(state=PhoneBindingState.PROVEN)
    await tx.session.execute(proven.execution_options(synchronize_session=False))
    return True


async def shown(tx: Tx, actor: Actor, request_id: UUID) -> tuple[str, Relation]:
    """Whom the relative is about to be bound to, masked, once the code was right.

    Raises:
        AskExpiredError: it was not, or too long ago.
    """
    row, patient = await _proven(tx, actor, request_id, lock=False)
    return patient.name_masked, Relation(row.relation)


async def accept(tx: Tx, actor: Actor, request_id: UUID) -> list[Grant]:
    """Bind: the relative may pay from now on, and nothing else; the patient opens more on her own phone.

    Raises:
        AskExpiredError: the code was not right, too long ago, or used.
    """
    row, patient = await _proven(tx, actor, request_id, lock=True)
    PHONE_BINDING.move(PhoneBindingState.PROVEN, PhoneBindingState.BOUND)
    row.state = PhoneBindingState.BOUND
    relative = await patients.by_id(tx, actor.id)
    made = await grants.make(
        tx,
        patient.id,
        relative.id,
        [Terms(GrantKind.PAY)],
        bond=row.id,
        relation=row.relation,
        proof=Proof(ProofKind.PHONE),
    )
    news = {"what": "bound", "bond": str(row.id), "relation": row.relation}
    await tell(
        tx,
        {
            patient.id: {"family": {**news, "who": relative.name_masked}},
            relative.id: {"family": {**news, "who": patient.name_masked}},
        },
    )
    return made


def outcome(tried: bool | None) -> None:
    """Say what a try came to.

    Raises:
        AskExpiredError, WrongAskCodeError: it was not right.
    """
    if tried is None:
        raise AskExpiredError
    if not tried:
        raise WrongAskCodeError


async def _meant(tx: Tx, actor: Actor, named: Named) -> Person | None:
    """The one patient all three details are right of, if she acts for herself; her number must be fresh, too."""
    identity = patients.id_number_index(tx, named.id_number.strip())
    found = [
        p
        for p in await with_phone(tx, named.phone.strip())
        if identity in (p.id_number_index, p.claimed_index) and patients.name_of(tx, p) == named.name.strip()
    ]
    if len(found) != 1 or found[0].id == actor.id:
        return None
    born = found[0].birth_date
    if born is not None and age_on(born, china_day(tx.now)) < ALONE_FROM_AGE:
        return None
    for grant in await grants.of_patient(tx, found[0].id):
        live = grant.state == GrantState.ACTIVE and (grant.until is None or grant.until > tx.now)
        if live and (grant.kind == GrantKind.GUARD or (grant.kind == GrantKind.PAY and grant.person_id == actor.id)):
            return None  # her guardian lets people in; and whoever pays already keeps the limits she set
    return found[0]


async def _proven(tx: Tx, actor: Actor, request_id: UUID, *, lock: bool) -> tuple[PhoneBinding, Person]:
    row = await tx.get(PhoneBinding, request_id, lock=lock)
    good = row is not None and row.asked_by == actor.id and row.state == PhoneBindingState.PROVEN
    if row is None or not good or row.patient_id is None or row.asked_at <= tx.now - PHONE_ASK_OPEN:
        raise AskExpiredError
    return row, await patients.by_id(tx, row.patient_id)


async def _turns(tx: Tx, role: str, who: UUID) -> None:
    """Requests by one and about one take turns, otherwise two at once would both count one too few.

    Always who asks before who is asked, and never under one key: two who ask for each other do not wait in a ring.
    """
    key = int.from_bytes(derive(who, "phone binding", role).bytes[:8], "big", signed=True)
    await tx.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _digest(tx: Tx, request_id: UUID, asked_by: UUID, code: str) -> bytes:
    return tx.vault.index("phone-binding", f"{request_id}/{asked_by}/{code}")
