"""The words the hospital's system and Houfu exchange, written down a second time, independently, from ``docs/his.md``.

The product has its own reading of that page; when the two readings differ, a test of the sandbox against the product
fails, which is the point. Nothing here may be imported by the product.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

Now = Callable[[], datetime]
Json = dict[str, Any]
SKEW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Key:
    """A shared secret and its public id."""

    id: str
    secret: str


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 over ``timestamp + "." + raw body`` (docs/his.md, Signing)."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed_headers(key: Key, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers that prove a body (for a GET: its path with query) comes from the key's holder."""
    timestamp = str(int(now.timestamp()))
    return {
        "X-Houfu-Key": key.id,
        "X-Houfu-Timestamp": timestamp,
        "X-Houfu-Signature": signature(key.secret, timestamp, body),
    }


def is_signed(headers: Mapping[str, str], body: bytes, keys: Mapping[str, Key], now: datetime) -> bool:
    """Whether these headers prove this body, now. ``headers`` must look names up without regard to case."""
    key = keys.get(headers.get("x-houfu-key", ""))
    timestamp = headers.get("x-houfu-timestamp", "")
    if key is None or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 13):
        return False
    if abs(now.timestamp() - int(timestamp)) > SKEW_SECONDS:
        return False
    given = headers.get("x-houfu-signature", "")
    return hmac.compare_digest(signature(key.secret, timestamp, body).encode(), given.encode())


Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Fen = Annotated[StrictInt, Field(ge=0)]
OrderKind = Literal["registration", "consultation", "lab", "imaging", "procedure", "medication"]
Preparation = Literal["fasting", "full_bladder", "remove_metal", "bring_records", "none"]
ExclusionReason = Literal["UNLAWFUL_ACT", "ABORTION", "THIRD_PARTY_LIABILITY", "DEFAULT_RECORD", "OTHER"]


class Wire(BaseModel):
    """Unknown fields are refused, as the contract says."""

    model_config = ConfigDict(extra="forbid")


class Patient(Wire):
    no: Text
    name: Text
    id_number: Annotated[str, StringConstraints(pattern=r"^\d{17}[\dX]$")] | None = None
    phone: Text | None = None
    birth_date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    sex: Literal["F", "M"] | None = None


class Insurance(Wire):
    status: Literal["normal", "suspended", "none"]
    scheme: Text | None = None


class EncounterStarted(Wire):
    patient: Patient
    encounter_class: Literal["AMB", "EMER"] = Field(alias="class")
    department: Text
    doctor: Text | None = None
    insurance: Insurance
    started_at: AwareDatetime
    booking: Text | None = None


class EncounterFinished(Wire):
    finished_at: AwareDatetime


class Appointment(Wire):
    begins: Annotated[AwareDatetime, Field(alias="from")]
    until: AwareDatetime
    at: AwareDatetime


class OrderPlaced(Wire):
    order_no: Text
    kind: OrderKind
    name: Text
    department: Text
    place: Text | None = None
    ordered_by: Text | None = None
    ordered_at: AwareDatetime
    preparation: list[Preparation] | None = None
    note: Text | None = None
    category: Text | None = None
    appointment: Appointment | None = None


class OrderCancelled(Wire):
    order_no: Text
    by: Text | None = None
    reason: Text | None = None
    at: AwareDatetime


class Split(Wire):
    fund_fen: Fen
    account_fen: Fen
    self_fen: Fen


class ChargeCreated(Wire):
    charge_no: Text
    order_no: Text | None = None
    item_code: Text
    name: Text
    quantity: Annotated[StrictInt, Field(ge=1)]
    unit_price_fen: Fen
    amount_fen: Fen
    insurance_class: Literal["A", "B", "C"] | None = None
    split: Split
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _adds_up(self) -> "ChargeCreated":
        if self.split.fund_fen + self.split.account_fen + self.split.self_fen != self.amount_fen:
            raise ValueError("split does not add up to amount_fen")
        return self


class ChargeReversed(Wire):
    charge_no: Text
    reason: Text | None = None
    at: AwareDatetime


class SettledAtHis(Wire):
    amount_fen: Fen
    where: Text
    reference: Text
    at: AwareDatetime


class ChargeSettled(SettledAtHis):
    charge_no: Text


class ExecutionConfirmed(Wire):
    execution_no: Text
    order_no: Text | None = None
    charge_nos: list[Text] | None = None
    department: Text
    by: Text | None = None
    at: AwareDatetime

    @model_validator(mode="after")
    def _says_what(self) -> "ExecutionConfirmed":
        if self.order_no is None and not self.charge_nos:
            raise ValueError("an execution names its order or its charges")
        return self


class ResultReady(Wire):
    order_no: Text
    report_no: Text
    status: Literal["partial", "final", "amended"]
    flag: Literal["normal", "abnormal", "critical"]
    summary: Annotated[str, StringConstraints(max_length=2000)] | None = None
    at: AwareDatetime


class QueueMoved(Wire):
    order_no: Text
    ahead: Annotated[StrictInt, Field(ge=0)]
    called: bool
    room: Text | None = None
    at: AwareDatetime


class VisitExcluded(Wire):
    reason: ExclusionReason
    charge_no: Text | None = None
    at: AwareDatetime


class BookingChanged(Wire):
    """Where and when are said of ``moved`` only."""

    change: Literal["moved", "stopped", "missed", "requeued"]
    slot: Text | None = None
    doctor: Text | None = None
    begins: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = None
    number: Text | None = None
    reason: Text | None = None
    at: AwareDatetime

    @model_validator(mode="after")
    def _says_where(self) -> "BookingChanged":
        if (self.change == "moved") != all((self.slot, self.doctor, self.begins, self.until)):
            raise ValueError("slot, doctor, from and until belong to moved")
        return self


class SnapshotEncounter(EncounterStarted):
    finished_at: AwareDatetime | None = None


class SnapshotOrder(OrderPlaced):
    cancelled_at: AwareDatetime | None = None


class SnapshotCharge(ChargeCreated):
    reversed_at: AwareDatetime | None = None
    settled: SettledAtHis | None = None


class VisitSnapshot(Wire):
    as_of: AwareDatetime
    encounter: SnapshotEncounter
    orders: list[SnapshotOrder]
    charges: list[SnapshotCharge]
    executions: list[ExecutionConfirmed]
    results: list[ResultReady]


DATA: dict[str, type[Wire]] = {
    "encounter.started": EncounterStarted,
    "encounter.finished": EncounterFinished,
    "order.placed": OrderPlaced,
    "order.cancelled": OrderCancelled,
    "charge.created": ChargeCreated,
    "charge.reversed": ChargeReversed,
    "charge.settled": ChargeSettled,
    "execution.confirmed": ExecutionConfirmed,
    "result.ready": ResultReady,
    "queue.moved": QueueMoved,
    "visit.excluded": VisitExcluded,
    "booking.changed": BookingChanged,
    "visit.snapshot": VisitSnapshot,
}


class Item(Wire):
    """The envelope of one event."""

    specversion: Literal["1.0"]
    id: Text
    source: Annotated[str, StringConstraints(pattern=r"^/hospital/[A-Za-z0-9-]+$")]
    type: Text
    subject: Text
    time: AwareDatetime
    sequence: Annotated[StrictInt, Field(ge=1)]
    data: Json


def check(item: Json) -> None:
    """Hold one outgoing item against the contract.

    Raises:
        ValueError: the envelope or the data does not follow ``docs/his.md``.
    """
    envelope = Item.model_validate(item)
    shape = DATA.get(envelope.type)
    if shape is None:
        raise ValueError(f"no such event type: {envelope.type}")
    shape.model_validate(envelope.data)


class CommandCharge(Wire):
    charge_no: Text
    amount_fen: Fen


class PaidCharge(Wire):
    """The other four are said together, of lines the insurance settled through Houfu."""

    charge_no: Text
    self_fen: Fen
    fund_fen: Fen | None = None
    account_fen: Fen | None = None
    other_fen: Fen | None = None
    hospital_fen: Fen | None = None


class NoData(Wire):
    pass


class PostData(Wire):
    charges: Annotated[list[CommandCharge], Field(min_length=1)]


class AbandonData(Wire):
    order_no: Text


class ExcludeData(Wire):
    charge_no: Text | None = None


class InsuranceSettled(Wire):
    encounter: Text
    number: Text
    fund_fen: Fen
    account_fen: Fen
    mutual_aid_fen: Fen
    other_fen: Fen
    hospital_fen: Fen
    cash_fen: Fen


class Paid(Wire):
    way: Text
    transaction: Text
    amount_fen: Fen
    paid_at: AwareDatetime


class SettleData(Wire):
    settlement_no: Text
    charges: Annotated[list[PaidCharge], Field(min_length=1)]
    total_fen: Fen
    insurance: list[InsuranceSettled]
    payments: list[Paid]


class ReturnedCharge(Wire):
    """A line that stands, and is only settled anew, is owed again."""

    charge_no: Text
    self_fen: Fen
    owed_again: bool = False


class RefundData(Wire):
    """``insurance`` is said where one of its settlements went back whole."""

    refund_no: Text
    settlement_no: Text
    charges: Annotated[list[ReturnedCharge], Field(min_length=1)]
    total_fen: Fen
    insurance: list[InsuranceSettled] = []


class Booker(Wire):
    """For whom; ``no`` where the hospital has given one."""

    name: Text
    no: Text | None = None
    id_number: Text | None = None
    phone: Text | None = None


class BookData(Wire):
    """``fee_fen`` is what the person was shown, and ``pay`` when it is taken (``free``: 0 fen)."""

    booking: Text
    slot: Text
    patient: Booker
    fee_fen: Fen
    pay: Literal["upfront", "account", "free"]


class BookingData(Wire):
    booking: Text


class MoveData(Wire):
    order_no: Text
    begins: Annotated[AwareDatetime, Field(alias="from")]
    until: AwareDatetime
    wanted_from: AwareDatetime | None = None


BOOKING_KINDS = frozenset({"book", "cancel_booking", "requeue"})
COMMAND_DATA: dict[str, type[Wire]] = {
    "mark": NoData,
    "unmark": NoData,
    "post": PostData,
    "abandon": AbandonData,
    "move": MoveData,
    "exclude": ExcludeData,
    "settle": SettleData,
    "refund": RefundData,
    "book": BookData,
    "cancel_booking": BookingData,
    "requeue": BookingData,
}


class Command(Wire):
    """One command as it arrives at the HIS."""

    key: Text
    kind: Literal[
        "mark",
        "unmark",
        "post",
        "abandon",
        "move",
        "exclude",
        "settle",
        "refund",
        "book",
        "cancel_booking",
        "requeue",
    ]
    encounters: list[Text]
    at: AwareDatetime
    data: Json

    @model_validator(mode="after")
    def _data_fits(self) -> "Command":
        if bool(self.encounters) == (self.kind in BOOKING_KINDS):
            raise ValueError("a booking has no encounters yet, anything else has")
        COMMAND_DATA[self.kind].model_validate(self.data)
        return self


COMMANDS = TypeAdapter(Annotated[list[Command], Field(min_length=1, max_length=100)])
