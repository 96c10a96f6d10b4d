"""The hospital's letter: which version is read now, and what it says to this patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from consent.models import Letter
from consent.rules import letter_sha256
from kernel.clock import CHINA
from kernel.db import Tx
from kernel.ids import derive
from people.rules import mask_phone
from people.service import hospitals, patients
from words import letter_text


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the patient is, as region two shows it; the identity number is masked in the middle."""

    name: str
    id_number: str
    phone: str


async def current(tx: Tx, hospital_id: UUID) -> Letter:
    """The version that is read and signed now; the first one is published when somebody first asks."""
    return await _newest(tx, hospital_id) or await publish(tx, hospital_id)


async def by_id(tx: Tx, letter_id: UUID) -> Letter:
    """A version.

    Raises:
        LookupError: there is none (a reading always has one).
    """
    letter = await tx.get(Letter, letter_id)
    if letter is None:
        raise LookupError(f"no letter {letter_id}")
    return letter


async def publish(tx: Tx, hospital_id: UUID) -> Letter:
    """Make a version from the hospital's settings if they say something new; open readings turn stale."""
    hospital = await hospitals.by_id(tx, hospital_id)
    settings = hospitals.settings_of(hospital)
    regions = letter_text.regions(
        hospital.name,
        due_hours=settings.due_hours,
        call_days=settings.call_after_days,
        suspend_days=settings.suspend_after_days,
        alone_from=settings.minimum_age,
        zero_threshold=settings.zero_threshold,
        countersign=settings.countersign,
    )
    return await publish_text(tx, hospital_id, letter_text.TITLE, regions)


async def publish_text(tx: Tx, hospital_id: UUID, title: str, regions: list[dict[str, str]]) -> Letter:
    """Publish a wording of the hospital's own; the same words twice make no new version."""
    newest = await _newest(tx, hospital_id)
    if newest is not None and (newest.title, newest.regions) == (title, regions):
        return newest
    version = 1 if newest is None else newest.version + 1
    label = letter_text.label(tx.now.astimezone(CHINA).year, version)
    row = {
        "id": derive(hospital_id, "letter", str(version)),
        "hospital_id": hospital_id,
        "version": version,
        "label": label,
        "title": title,
        "regions": regions,
        "sha256": letter_sha256(title, label, regions),
        "published_at": tx.now,
    }
    # Two first readers in the same moment publish the same version.
    await tx.session.execute(insert(Letter).values(row).on_conflict_do_nothing())
    found = await _newest(tx, hospital_id)
    if found is None:
        raise LookupError("the letter just published is not there")
    return found


async def _newest(tx: Tx, hospital_id: UUID) -> Letter | None:
    query = select(Letter).where(Letter.hospital_id == hospital_id).order_by(Letter.version.desc()).limit(1)
    found: Letter | None = await tx.session.scalar(query)
    return found


async def identity_of(tx: Tx, patient_id: UUID) -> Identity:
    """What region two shows of a patient."""
    person = await patients.by_id(tx, patient_id)
    number = patients.id_number_of(tx, person)
    return Identity(
        patients.name_of(tx, person),
        f"{number[:4]}{'*' * (len(number) - 8)}{number[-4:]}" if number else "—",
        _masked_phone(patients.phone_of(tx, person)),
    )


def _masked_phone(phone: str | None) -> str:
    return mask_phone(phone) if phone else "—"


def filled(letter: Letter, who: Identity) -> list[dict[str, str]]:
    """The five regions as this patient reads them: code, title, text."""
    values: Mapping[str, str] = {"name": who.name, "id_number": who.id_number, "phone": who.phone}
    return [{**region, "text": _fill(region["text"], values)} for region in letter.regions]


def _fill(text: str, values: Mapping[str, str]) -> str:
    # Not str.format: a hospital's own wording may hold braces.
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
