"""Facts about standing contracts that other packages react to."""

from dataclasses import dataclass
from uuid import UUID

from kernel.events import Event


@dataclass(frozen=True, slots=True)
class ContractEvent(Event):
    """Something happened to the contract of a patient with a hospital."""

    hospital_id: UUID
    patient_id: UUID
    contract_id: UUID


@dataclass(frozen=True, slots=True)
class ContractSigned(ContractEvent):
    """Signed, and effective from this moment: today's open visit may be paid afterwards."""


@dataclass(frozen=True, slots=True)
class ContractSealed(ContractEvent):
    """The papers are signed and timestamped; nothing changes for the patient."""


@dataclass(frozen=True, slots=True)
class ContractWithdrawn(ContractEvent):
    """The patient does not want it any more: open visits turn pay-first, what is on account stays owed."""


@dataclass(frozen=True, slots=True)
class ContractSuspended(ContractEvent):
    """Paused (arrears, the city): the next visits are pay-first."""


@dataclass(frozen=True, slots=True)
class ContractRestored(ContractEvent):
    """The pause is over."""


@dataclass(frozen=True, slots=True)
class ReadingOpened(Event):
    """Somebody began to read the letter for a patient."""

    reading_id: UUID
    hospital_id: UUID
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class ReadingAbandoned(Event):
    """A reading ended without a signature: left, expired, or the letter has a new version."""

    reading_id: UUID
    hospital_id: UUID
    patient_id: UUID
