"""What visits needs the hospital's own system to be told, and how it answers.

The wire behind this port is described in ``docs/his.md``, "Commands out".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

from visits.rules.booking import Slot

CommandKind = Literal[
    "mark", "unmark", "post", "abandon", "move", "exclude", "settle", "refund", "book", "cancel_booking", "requeue"
]
Outcome = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class HisCommand:
    """One decision the HIS must take over; the same ``key`` always means the same decision.

    Args:
        key: idempotency key, stable over every attempt to deliver.
        kind: what was decided.
        encounters: the HIS's encounter numbers, at least one; of a booking there are none yet.
        at: when it was decided, aware.
        data: the fields of that kind; money in whole fen.
    """

    key: str
    kind: CommandKind
    encounters: Sequence[str]
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HisAnswer:
    """What the HIS said; ``refused`` is final, ``reason`` is the HIS's own code (``performed`` …).

    ``number`` is her place in the queue of that half hour, where the HIS gave one with a booking.
    """

    outcome: Outcome
    reason: str | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class HisSettlement:
    """One booking of a payment or refund of ours in the hospital's own books.

    Args:
        kind: a ``refund`` counts as money back; its amount is positive, too.
        number: ours, of the settlement or the refund.
        settlement_no: the settlement that a refund takes back; of a settlement its own number.
        transactions: the provider's numbers of the settlement's payments.
        charges: charge number → fen of the patient's part.
        insurance: the insurance's number of a settlement → fund, accounts, other and cash in fen; None: not said.
    """

    kind: Literal["settle", "refund"]
    number: str
    settlement_no: str
    transactions: tuple[str, ...]
    total_fen: int
    charges: Mapping[str, int]
    booked_at: datetime
    insurance: Mapping[str, tuple[int, int, int, int]] | None = None


class HisSlots(Protocol):
    """Asks the hospital's system which times are free."""

    async def slots(self, department: str, day: date) -> list[Slot]:
        """The times of a department (its code) on a day in China, free or not.

        Raises:
            kernel.outside.Rejected: ``no_such_department``.
            kernel.outside.Unknown, Throttled, NotConfigured: nobody can say now.
        """
        ...


class HisBooks(Protocol):
    """Asks the hospital's system what it has booked."""

    async def settlements(self, day: date) -> list[HisSettlement]:
        """Everything it booked on a day in China, today so far included, in the order booked.

        Raises:
            kernel.outside.Rejected: ``no_settlement_list``, this system cannot answer that.
            kernel.outside.Unknown, Throttled, NotConfigured: ask again later.
        """
        ...


class HisInsurance(Protocol):
    """Asks the hospital's system what the insurance has to be told; nothing of it is kept open."""

    async def insurance(self, encounter: str) -> Mapping[str, Any]:
        """Who is insured, the diagnoses and the national codes of an encounter (``docs/his.md``, "Questions out").

        Raises:
            kernel.outside.Rejected: ``no_such_encounter``, ``not_insured``.
            kernel.outside.Unknown: no answer one can rely on.
        """
        ...


class HisCommands(Protocol):
    """Tells the hospital's system what was decided."""

    async def send(self, commands: Sequence[HisCommand]) -> list[HisAnswer | None]:
        """Deliver some commands once, in this order; returns an answer each, None where the HIS has none yet.

        Raises:
            kernel.outside.Unknown: nobody knows which were taken; send the same commands again later.
            kernel.outside.NotConfigured: this hospital has no HIS address or key.
        """
        ...
