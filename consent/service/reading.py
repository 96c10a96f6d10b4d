"""Reading the letter: the server's clock starts with the first page and alone decides when the pen is handed over."""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from consent.events import ReadingAbandoned, ReadingOpened
from consent.models import Letter, Reading
from consent.rules import (
    BEAT_SECONDS,
    HANDOVER_LIVES,
    READING,
    READING_LIVES,
    REGIONS,
    TIMED,
    AlreadySignedError,
    LetterChangedError,
    ReadingOverError,
    ReadingState,
    SigningChannel,
    TooEarlyError,
    iso,
    needed_seconds,
    seconds_left,
)
from consent.service import eligibility, evidence, letters, signers, standing
from kernel.crypto import digest
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id, token
from people.events import ViewsChanged
from people.rules import Actor, ActorKind
from people.service import hospitals

__all__ = [
    "Device",
    "Reading",
    "abandon",
    "beat",
    "hand_over",
    "leave_region",
    "left",
    "of",
    "open_reading",
    "pen",
    "require_live",
    "show",
    "take_over",
    "total",
]


@dataclass(frozen=True, slots=True)
class Device:
    """From where somebody reads or signs.

    Args:
        channel: 签名渠道.
        name: the browser's own words about itself, cut to 200 characters.
        elder: whether 长辈版 is on (read at 3 characters a second).
    """

    channel: SigningChannel
    name: str
    elder: bool = False


async def open_reading(
    tx: Tx,
    actor: Actor,
    hospital_id: UUID,
    patient_id: UUID,
    device: Device,
    *,
    insurance_status: str | None,
    credit_asked_here: bool,
) -> Reading:
    """Begin to read for a patient; coming back to one's own open reading does not start the clock again.

    Raises:
        NotFoundError: the caller has nothing to do with this patient.
        GuardianNeededError, AlreadySignedError, NotEligibleError: said before anybody reads for nothing.
    """
    await signers.right_of(tx, actor, hospital_id, patient_id)
    if await standing.contract_of(tx, hospital_id, patient_id) is not None:
        raise AlreadySignedError
    await eligibility.require(
        tx, hospital_id, patient_id, insurance_status=insurance_status, credit_asked_here=credit_asked_here
    )
    letter = await letters.current(tx, hospital_id)
    kept = await _own_open(tx, actor, letter, patient_id)
    if kept is not None:
        return kept
    settings = hospitals.settings_of(await hospitals.by_id(tx, hospital_id))
    rate = settings.read_chars_per_second_elder if device.elder else settings.read_chars_per_second
    texts = {
        r["code"]: r["title"] + r["text"] for r in letters.filled(letter, await letters.identity_of(tx, patient_id))
    }
    READING.move(None, ReadingState.READING)
    reading = tx.add(
        Reading(
            id=new_id(),
            hospital_id=hospital_id,
            patient_id=patient_id,
            letter_id=letter.id,
            opened_by=actor.viewer,
            channel=device.channel,
            device=device.name[:200],
            elder=device.elder,
            state=ReadingState.READING,
            needed=needed_seconds(texts, rate, settings.read_seconds_min),
            rate=rate,
            minimum=settings.read_seconds_min,
            steps={TIMED[0]: {"shown": iso(tx.now)}},
            seen={"beats": 0, "visible_ms": 0, "regions": [], "end": False},
            opened_at=tx.now,
            expires_at=tx.now + READING_LIVES,
            handed_to=[],
        )
    )
    body = {"by": actor.viewer, "patient": str(patient_id), "letter": letter.sha256, "needed": reading.needed}
    await evidence.append(tx, hospital_id, "reading_opened", body, reading_id=reading.id)
    await tx.emit(ReadingOpened(reading.id, hospital_id, patient_id))
    return reading


async def _own_open(tx: Tx, actor: Actor, letter: Letter, patient_id: UUID) -> Reading | None:
    query = select(Reading).where(
        Reading.patient_id == patient_id,
        Reading.letter_id == letter.id,
        Reading.opened_by == actor.viewer,
        Reading.state == ReadingState.READING,
        Reading.expires_at > tx.now,
    )
    found: Reading | None = await tx.session.scalar(query.order_by(Reading.opened_at).limit(1))
    return found


async def of(tx: Tx, actor: Actor, reading_id: UUID, *, lock: bool = False) -> tuple[Reading, signers.Right]:
    """A reading the caller opened or continued, with the right to sign.

    Raises:
        NotFoundError: absent or foreign.
        GuardianNeededError: the right was lost meanwhile.
    """
    reading = await tx.get(Reading, reading_id, lock=lock)
    if reading is None or actor.viewer not in (reading.opened_by, *reading.handed_to):
        raise NotFoundError
    return reading, await signers.right_of(tx, actor, reading.hospital_id, reading.patient_id)


def total(reading: Reading) -> int:
    """Seconds the timed regions take together."""
    return sum(int(s) for s in reading.needed.values())


def left(reading: Reading, now: datetime) -> int:
    """Seconds until the pen may be handed over."""
    return seconds_left(reading.opened_at, total(reading), now)


async def require_live(tx: Tx, reading: Reading) -> None:
    """Only a reading of the newest version, neither signed nor left, goes on.

    Raises:
        AlreadySignedError, ReadingOverError, LetterChangedError: it does not.
    """
    if reading.state == ReadingState.SIGNED:
        raise AlreadySignedError
    if reading.state != ReadingState.READING or reading.expires_at <= tx.now:
        raise ReadingOverError
    if (await letters.current(tx, reading.hospital_id)).id != reading.letter_id:
        raise LetterChangedError


async def beat(tx: Tx, actor: Actor, reading_id: UUID, *, end: bool, regions: list[str]) -> int:
    """The page says it is on screen: evidence, never believed. Returns the seconds left by the server's clock."""
    reading, _ = await of(tx, actor, reading_id, lock=True)
    await require_live(tx, reading)
    seen = dict(reading.seen)
    last = datetime.fromisoformat(seen["last"]) if "last" in seen else tx.now
    passed = int((tx.now - last).total_seconds() * 1000)
    seen["beats"] += 1
    seen["visible_ms"] += min(max(0, passed), (BEAT_SECONDS + 2) * 1000)
    seen["regions"] = sorted({*seen["regions"], *(r for r in regions if r in REGIONS)})
    seen["end"] = bool(seen["end"] or end)
    seen["last"] = iso(tx.now)
    reading.seen = seen
    return left(reading, tx.now)


async def show(tx: Tx, reading: Reading, region: str) -> int:
    """Page by page: note when a region was first shown. Returns the seconds it must still be looked at."""
    steps: dict[str, Any] = {k: dict(v) for k, v in reading.steps.items()}
    if region not in steps:
        steps[region] = {"shown": iso(tx.now)}
        reading.steps = steps
    if "left" in steps[region]:
        return 0
    return seconds_left(datetime.fromisoformat(steps[region]["shown"]), int(reading.needed.get(region, 0)), tx.now)


async def leave_region(tx: Tx, actor: Actor, reading_id: UUID, region: int) -> str | None:
    """Page by page: go on to the next region. Returns its code, ``None`` after the last.

    Raises:
        TooEarlyError: this region has not been shown long enough.
    """
    reading, _ = await of(tx, actor, reading_id, lock=True)
    await require_live(tx, reading)
    if not 0 <= region < len(REGIONS):
        raise NotFoundError
    code = REGIONS[region]
    waiting = await show(tx, reading, code)
    if waiting > 0:
        raise TooEarlyError(waiting)
    steps = {k: dict(v) for k, v in reading.steps.items()}
    steps[code].setdefault("left", iso(tx.now))
    following = REGIONS[region + 1] if region + 1 < len(REGIONS) else None
    if following is not None:
        steps.setdefault(following, {"shown": iso(tx.now)})
    reading.steps = steps
    return following


async def abandon(tx: Tx, reading: Reading) -> None:
    """The reading is over without a signature."""
    READING.move(ReadingState(reading.state), ReadingState.ABANDONED)
    reading.state, reading.closed_at = ReadingState.ABANDONED, tx.now
    await tx.emit(ReadingAbandoned(reading.id, reading.hospital_id, reading.patient_id))


async def hand_over(tx: Tx, actor: Actor, reading_id: UUID) -> str:
    """Let the reading go on elsewhere: the token of a QR, good for ten minutes and for one device."""
    reading, _ = await of(tx, actor, reading_id, lock=True)
    await require_live(tx, reading)
    secret = token()
    reading.handover_digest, reading.handover_until = digest(secret), tx.now + HANDOVER_LIVES
    return secret


async def take_over(tx: Tx, actor: Actor, secret: str, device: Device) -> Reading:
    """Go on here what began on another device; the clock goes on as well.

    Raises:
        NotFoundError: unknown, used or old code, or a caller who may not sign for this patient.
        GuardianNeededError: the patient is too young and the caller not the guardian.
    """
    query = select(Reading).where(Reading.handover_digest == digest(secret)).with_for_update()
    reading = await tx.session.scalar(query)
    if reading is None or reading.handover_until is None or reading.handover_until <= tx.now:
        raise NotFoundError
    await signers.right_of(tx, actor, reading.hospital_id, reading.patient_id)
    await require_live(tx, reading)
    reading.handover_digest, reading.handover_until = None, None
    reading.handed_to = [*reading.handed_to, actor.viewer]
    reading.channel = SigningChannel.TABLET if actor.kind is ActorKind.STAFF else SigningChannel.QR_SCAN
    tx.ring(ViewsChanged(reading.patient_id))
    body = {"from": reading.opened_by, "to": actor.viewer, "device": device.name[:200], "channel": reading.channel}
    await evidence.append(tx, reading.hospital_id, "handed_over", body, reading_id=reading.id)
    return reading


def pen(tx: Tx, actor: Actor, reading: Reading) -> str:
    """The nonce that goes with the signing page: of this reading, this version, this caller; spent with the signature.

    Raises:
        TooEarlyError: it is not handed over yet.
    """
    waiting = left(reading, tx.now)
    if waiting > 0:
        raise TooEarlyError(waiting)
    made = hmac.digest(
        tx.vault.key("consent-pen"), f"{reading.id}/{reading.letter_id}/{actor.viewer}".encode(), "sha256"
    )
    return base64.urlsafe_b64encode(made[:24]).decode()
