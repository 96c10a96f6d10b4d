"""Facts about money that other packages may react to; ids and amounts only."""

from dataclasses import dataclass
from uuid import UUID

from kernel.events import Event


@dataclass(frozen=True, slots=True)
class AttemptPaid(Event):
    """The money is there; the hospital is being told."""

    attempt_id: UUID
    visit_id: UUID
    amount_fen: int


@dataclass(frozen=True, slots=True)
class AttemptSettled(Event):
    """The hospital has booked the payment."""

    attempt_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class AttemptClosed(Event):
    """A try to pay came to nothing; no money was taken."""

    attempt_id: UUID
    visit_id: UUID


@dataclass(frozen=True, slots=True)
class MoneyReturned(Event):
    """A refund has reached the payer."""

    refund_id: UUID
    visit_id: UUID
    amount_fen: int
