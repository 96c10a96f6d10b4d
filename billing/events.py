"""Facts about the bill that other packages react to."""

from dataclasses import dataclass
from uuid import UUID

from kernel.events import Event


@dataclass(frozen=True, slots=True)
class ChargeBecameBillable(Event):
    """A department confirmed execution: the line is owed now."""

    charge_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class PaidChargeReversed(Event):
    """A line that was paid here was taken back: the money goes back. 0 fen of a line that insurance alone paid."""

    charge_id: UUID
    visit_id: UUID
    self_fen: int


@dataclass(frozen=True, slots=True)
class LineDisputed(Event):
    """The patient says she did not have this; the line waits for an answer, the rest goes on."""

    charge_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class DisputeAnswered(Event):
    """Staff answered; ``upheld`` means the patient was right and the line is reversed."""

    charge_id: UUID
    visit_id: UUID
    upheld: bool


@dataclass(frozen=True, slots=True)
class RefundAnswered(Event):
    """Somebody of the hospital has agreed to pay lines back, or has refused to."""

    request_id: UUID
    visit_id: UUID
    agreed: bool
