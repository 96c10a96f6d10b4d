"""Digits by which a person checks that a message or a caller is the hospital's, and cannot be made by anybody else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text

from kernel.db import Tx
from kernel.errors import HoufuError, Kind, NotFoundError
from kernel.ids import new_id
from notices.models import CallerLook, CallerTry, Delivery, Notice
from people.rules import ROLES_WITH_VIEW, Actor, ActorKind
from people.service import hospitals, patients

__all__ = [
    "CallerCode",
    "TooManyLooksError",
    "TooManyTriesError",
    "Verdict",
    "caller_code",
    "check_message",
    "index_of",
    "looks_of",
    "of_message",
    "staff_code",
]

PERIOD = timedelta(minutes=10)
MESSAGE_DIGITS = 4
MESSAGE_LIVES = timedelta(days=60)
TRIES, TRIES_WITHIN = 5, timedelta(minutes=10)
LOOKS_AN_HOUR = 60


class TooManyTriesError(HoufuError):
    """Wrong digits too often: whoever guesses learns nothing."""

    code = "too_many_checks"
    kind = Kind.TOO_MANY


class TooManyLooksError(HoufuError):
    """A member of staff has had more codes shown than anybody phones in an hour."""

    code = "too_many_looks"
    kind = Kind.TOO_MANY


@dataclass(frozen=True, slots=True)
class CallerCode:
    """The digits of one person and one hospital now, and until when they are good."""

    digits: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether digits are of a message we sent this person, when, and about a visit at which hospital (if one)."""

    right: bool
    sent_at: datetime | None = None
    subject: UUID | None = None


# --------------------------------------------------------------------------------------------------- a telephone call


def _digits(key: bytes, count: int) -> str:
    return f"{int.from_bytes(key[:8], 'big') % 10**count:0{count}d}"


async def caller_code(tx: Tx, hospital_id: UUID, person_id: UUID) -> CallerCode:
    """What a caller from this hospital can say to this person now; both see the same for ten minutes."""
    hospital = await hospitals.by_id(tx, hospital_id)
    period = int(tx.now.timestamp() // PERIOD.total_seconds())
    key = tx.vault.index("caller-code", f"{person_id}/{hospital_id}/{period}")
    until = datetime.fromtimestamp((period + 1) * PERIOD.total_seconds(), UTC)
    return CallerCode(_digits(key, hospitals.settings_of(hospital).caller_code_digits), until)


async def staff_code(tx: Tx, staff: Actor, patient_id: UUID) -> CallerCode:
    """The same for a member of staff who is about to phone; the look is written down.

    Raises:
        NotFoundError: not a patient of this hospital, or not this role's to call.
        TooManyLooksError: more than anybody phones in an hour.
    """
    allowed = staff.kind is ActorKind.STAFF and staff.role in ROLES_WITH_VIEW and staff.hospital_id is not None
    if not allowed or staff.hospital_id is None:
        raise NotFoundError
    if not await patients.is_known_at(tx, staff.hospital_id, patient_id):
        raise NotFoundError
    await _turn(tx, staff.id)
    recent = select(func.count()).where(CallerLook.staff_id == staff.id, CallerLook.at > tx.now - timedelta(hours=1))
    if (await tx.session.scalar(recent) or 0) >= LOOKS_AN_HOUR:
        raise TooManyLooksError
    tx.add(CallerLook(id=new_id(), staff_id=staff.id, hospital_id=staff.hospital_id, patient_id=patient_id, at=tx.now))
    return await caller_code(tx, staff.hospital_id, patient_id)


async def looks_of(tx: Tx, patient_id: UUID) -> Sequence[CallerLook]:
    """Who of the staff had a patient's code shown, newest first."""
    query = select(CallerLook).where(CallerLook.patient_id == patient_id).order_by(CallerLook.at.desc())
    return list(await tx.session.scalars(query))


# ----------------------------------------------------------------------------------------------------- a text message


def of_message(tx: Tx, notice_id: UUID) -> str:
    """The digits a text message carries."""
    return _digits(tx.vault.index("message-code", str(notice_id)), MESSAGE_DIGITS)


def index_of(tx: Tx, person_id: UUID, digits: str) -> bytes:
    """Under what a person's digits are found again."""
    return tx.vault.index("message-check", f"{person_id}/{digits}")


async def check_message(tx: Tx, person_id: UUID, digits: str) -> Verdict:
    """Whether we sent this person a message with these digits. Wrong ones are counted, right ones are not held back.

    Raises:
        TooManyTriesError: five wrong ones within ten minutes.
    """
    await _turn(tx, person_id)
    wrong = select(func.count()).where(
        CallerTry.person_id == person_id, CallerTry.at > tx.now - TRIES_WITHIN, CallerTry.right.is_(False)
    )
    if (await tx.session.scalar(wrong) or 0) >= TRIES:
        raise TooManyTriesError
    query = (
        select(Delivery.sent_at, Notice.subject, Delivery.first_at)
        .join(Notice, Notice.id == Delivery.notice_id)
        .where(
            Delivery.code_index == index_of(tx, person_id, digits.strip()),
            Notice.person_id == person_id,
            Delivery.first_at > tx.now - MESSAGE_LIVES,
        )
        .order_by(Delivery.first_at.desc())
    )
    found = (await tx.session.execute(query.limit(1))).first()
    tx.add(CallerTry(id=new_id(), person_id=person_id, at=tx.now, right=found is not None))
    if found is None:
        return Verdict(right=False)
    return Verdict(right=True, sent_at=found.sent_at or found.first_at, subject=found.subject)


async def _turn(tx: Tx, who: UUID) -> None:
    # Tries made at once take turns, otherwise all would count the same number of earlier ones.
    key = int.from_bytes(who.bytes[:8], "big", signed=True)
    await tx.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
