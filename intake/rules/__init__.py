"""What the hospital's system may say, checked field by field, and what each statement needs to be known before it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.types import StrictInt

from intake.rules.examples import corrected
from intake.rules.examples import example as example
from kernel.errors import HoufuError, Kind
from visits.rules import Exclusion

BATCH_MAX = 500
FRESH_SECONDS = 300

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# A moment near the ends of the calendar has no day in China, and no database keeps it.
Moment = Annotated[AwareDatetime, Field(ge=_EARLIEST, lt=_LATEST)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
BookingId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]  # as ``book`` gave it
Fen = Annotated[StrictInt, Field(ge=0, le=10**11)]


class BadBatchError(HoufuError):
    """The body is no JSON array of 1–500 items; nothing was taken."""

    code = "his_bad_batch"


class BadSignatureError(HoufuError):
    """The signature, its key or its time does not hold; nothing was taken."""

    code = "his_bad_signature"
    kind = Kind.UNAUTHENTICATED


class OtherVisitError(HoufuError):
    """What the statement names belongs to another visit than its ``subject``, and would be shown there."""

    code = "his_other_visit"


class OtherPatientError(HoufuError):
    """The encounter is known as another patient's, and a visit does not change hands."""

    code = "his_other_patient"


class Wire(BaseModel):
    """A part of a message; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PatientData(Wire):
    """The patient of an encounter."""

    no: Number
    name: Text
    id_number: Annotated[str, StringConstraints(pattern=r"^\d{17}[\dXx]$")] | None = None
    phone: Annotated[str, StringConstraints(max_length=20)] | None = None
    birth_date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    sex: Literal["F", "M"] | None = None

    @field_validator("birth_date")
    @classmethod
    def _is_a_day(cls, given: str | None) -> str | None:
        if given is not None:
            date.fromisoformat(given)
        return given


class Insurance(Wire):
    """The insurance status the encounter came with."""

    status: Literal["normal", "suspended", "none"]
    scheme: Text | None = None


class EncounterStarted(Wire):
    """A patient is being seen."""

    patient: PatientData
    klass: Annotated[Literal["AMB", "EMER"], Field(alias="class")]
    department: Number
    doctor: Text | None = None
    insurance: Insurance
    started_at: Moment
    booking: BookingId | None = None


class EncounterFinished(Wire):
    """The encounter is over."""

    finished_at: Moment


class Appointment(Wire):
    """The window in which an examination is booked (检查预约); ``at``: when it was set.

    Moved there and back, the statements differ by ``at`` alone: the same content again would be a repetition.
    """

    begins: Annotated[Moment, Field(alias="from")]
    until: Moment
    at: Moment

    @model_validator(mode="after")
    def _some_time(self) -> "Appointment":
        if self.until <= self.begins:
            raise ValueError("until is after from")
        return self


class OrderPlaced(Wire):
    """A doctor ordered something."""

    order_no: Number
    kind: Literal["registration", "consultation", "lab", "imaging", "procedure", "medication"]
    name: Text
    department: Number
    place: Text | None = None
    ordered_by: Text | None = None
    ordered_at: Moment
    preparation: list[Literal["fasting", "full_bladder", "remove_metal", "bring_records", "none"]] | None = None
    note: Text | None = None
    category: Number | None = None
    appointment: Appointment | None = None


class OrderCancelled(Wire):
    """A doctor took an order back."""

    order_no: Number
    by: Text | None = None
    reason: Text | None = None
    at: Moment


class Split(Wire):
    """How the HIS pre-settled a charge."""

    fund_fen: Fen
    account_fen: Fen
    self_fen: Fen


class ChargeCreated(Wire):
    """A charge was written."""

    charge_no: Number
    order_no: Number | None = None
    item_code: Number
    name: Text
    quantity: Annotated[StrictInt, Field(ge=1, le=10**6)]
    unit_price_fen: Fen
    amount_fen: Fen
    insurance_class: Literal["A", "B", "C"] | None = None
    split: Split
    created_at: Moment

    @model_validator(mode="after")
    def _adds_up(self) -> "ChargeCreated":
        if self.split.fund_fen + self.split.account_fen + self.split.self_fen != self.amount_fen:
            raise ValueError("split does not add up to amount_fen")
        return self


class ChargeReversed(Wire):
    """A charge was taken back."""

    charge_no: Number
    reason: Text | None = None
    at: Moment


class SettledAtHis(Wire):
    """A payment at the hospital's own window or machine."""

    amount_fen: Fen
    where: Text
    reference: Text
    at: Moment


class ChargeSettled(SettledAtHis):
    """A charge was paid at the hospital's own window or machine."""

    charge_no: Number


class ExecutionConfirmed(Wire):
    """The performing department has done it."""

    execution_no: Number
    order_no: Number | None = None
    charge_nos: Annotated[list[Number], Field(min_length=1, max_length=200)] | None = None
    department: Number
    by: Text | None = None
    at: Moment

    @model_validator(mode="after")
    def _names_something(self) -> "ExecutionConfirmed":
        if self.order_no is None and self.charge_nos is None:
            raise ValueError("order_no or charge_nos is needed")
        return self


class ResultReady(Wire):
    """A report is there."""

    order_no: Number
    report_no: Number
    status: Literal["partial", "final", "amended"]
    flag: Literal["normal", "abnormal", "critical"]
    summary: Annotated[str, StringConstraints(max_length=4000)] | None = None
    at: Moment


class QueueMoved(Wire):
    """The queue before an order moved."""

    order_no: Number
    ahead: Annotated[StrictInt, Field(ge=0, le=10_000)]
    called: bool
    room: Text | None = None
    at: Moment


class BookingChanged(Wire):
    """The hospital moved a booking, called its clinic off, called in vain, or put somebody back into the queue."""

    change: Literal["moved", "stopped", "missed", "requeued"]
    slot: Number | None = None
    doctor: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    begins: Annotated[Moment | None, Field(alias="from")] = None
    until: Moment | None = None
    number: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    reason: Text | None = None
    at: Moment

    @model_validator(mode="after")
    def _says_where(self) -> "BookingChanged":
        place = (self.slot, self.doctor, self.begins, self.until)
        if self.change == "moved" and None in place:
            raise ValueError("slot, doctor, from and until are needed with moved")
        if self.change != "moved" and any(part is not None for part in place):
            raise ValueError("slot, doctor, from and until belong to moved only")
        return self


class VisitExcluded(Wire):
    """A visit or one charge of it cannot be paid afterwards."""

    reason: Exclusion
    charge_no: Number | None = None
    at: Moment


class SnapshotEncounter(EncounterStarted):
    """The encounter in a snapshot."""

    finished_at: Moment | None = None


class SnapshotOrder(OrderPlaced):
    """An order in a snapshot."""

    cancelled_at: Moment | None = None


class SnapshotCharge(ChargeCreated):
    """A charge in a snapshot."""

    reversed_at: Moment | None = None
    settled: SettledAtHis | None = None


class VisitSnapshot(Wire):
    """Everything the HIS knows of one encounter."""

    as_of: Moment
    encounter: SnapshotEncounter
    orders: Annotated[list[SnapshotOrder], Field(max_length=500)]
    charges: Annotated[list[SnapshotCharge], Field(max_length=500)]
    executions: Annotated[list[ExecutionConfirmed], Field(max_length=500)]
    results: Annotated[list[ResultReady], Field(max_length=500)]


DATA: Mapping[str, type[Wire]] = {
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


class Envelope(Wire):
    """The CloudEvents-shaped hull of an item."""

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    type: str
    subject: Number
    time: Moment
    sequence: Annotated[StrictInt, Field(ge=0, le=2**62)]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A checked statement of the HIS.

    Attributes:
        key: what it is about, e.g. ``charge.created:C1``.
        content: digest of its data, so that the same statement under a new id is known again.
        raw: as it was received, for keeping.
    """

    id: str
    type: str
    subject: str
    time: datetime
    sequence: int
    data: Wire
    key: str
    content: bytes
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the HIS is told about one item."""

    id: str
    status: Literal["accepted", "duplicate", "parked", "rejected"]
    reason: str | None = None
    field: str | None = None
    waits_for: str | None = None
    example: Mapping[str, Any] | None = None

    def json(self) -> dict[str, Any]:
        """As it goes over the wire."""
        names = ("id", "status", "reason", "field", "waits_for", "example")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def read(raw: object) -> Item | Answer:
    """Check one element of a batch: an ``Item``, or the ``rejected`` answer with a corrected example."""
    identity = raw.get("id") if isinstance(raw, dict) else None
    identity = identity if isinstance(identity, str) and len(identity) <= 128 else ""
    identity = identity.encode(errors="replace").decode()
    try:
        text = json.dumps(raw, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        text.encode()
    except (ValueError, RecursionError):
        return reject(identity, None, "text is not Unicode", None)
    if "\\u0000" in text:
        return reject(identity, None, "text holds a NUL character", None)
    try:
        hull = Envelope.model_validate(raw)
        model = DATA.get(hull.type)
        if model is None:
            return reject(identity, raw, f"unknown type; one of {', '.join(DATA)}", "type")
        data = model.model_validate(hull.data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        field = where if first["loc"] and first["loc"][0] in Envelope.model_fields else f"data.{where}".rstrip(".")
        return reject(identity, raw, first["msg"], field)
    content = json.dumps(hull.data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return item_of(hull.id, hull.type, hull.subject, hull.time, hull.sequence, data, content, raw)  # type: ignore[arg-type]


def item_of(
    identity: str,
    kind: str,
    subject: str,
    time: datetime,
    sequence: int,
    data: Wire,
    content: str,
    raw: Mapping[str, Any],
) -> Item:
    """Build an item from checked parts."""
    digest = hashlib.sha256(content.encode()).digest()
    return Item(identity, kind, subject, time, sequence, data, f"{kind}:{_number(data) or subject}", digest, raw)


def _number(data: Wire) -> str | None:
    for name in ("execution_no", "report_no", "charge_no", "order_no"):
        found = getattr(data, name, None)
        if found is not None:
            return str(found)
    return None


def reject(identity: str, raw: object, reason: str, field: str | None) -> Answer:
    """The refusal of one item, with the item as it should look; ``raw`` None: no text that could be shown again."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    known = kind if isinstance(kind, str) and kind in DATA else None
    return Answer(identity, "rejected", reason=reason, field=field, example=corrected(raw, known, Envelope, DATA))


def split_snapshot(item: Item) -> list[Item]:
    """The statements a snapshot is made of, in an order in which each finds what it needs."""
    if not isinstance(item.data, VisitSnapshot):
        raise TypeError("not a snapshot")
    whole = item.raw["data"]
    parts: list[tuple[str, type[Wire], dict[str, Any]]] = []
    encounter = {k: v for k, v in whole["encounter"].items() if k != "finished_at"}
    parts.append(("encounter.started", EncounterStarted, encounter))
    parts += [("order.placed", OrderPlaced, _without(o, "cancelled_at")) for o in whole["orders"]]
    parts += [("charge.created", ChargeCreated, _without(c, "reversed_at", "settled")) for c in whole["charges"]]
    parts += [("execution.confirmed", ExecutionConfirmed, e) for e in whole["executions"]]
    parts += [
        ("order.cancelled", OrderCancelled, {"order_no": o["order_no"], "at": o["cancelled_at"]})
        for o in whole["orders"]
        if o.get("cancelled_at")
    ]
    parts += [
        ("charge.settled", ChargeSettled, {"charge_no": c["charge_no"], **c["settled"]})
        for c in whole["charges"]
        if c.get("settled")
    ]
    parts += [
        ("charge.reversed", ChargeReversed, {"charge_no": c["charge_no"], "at": c["reversed_at"]})
        for c in whole["charges"]
        if c.get("reversed_at")
    ]
    parts += [("result.ready", ResultReady, r) for r in whole["results"]]
    finished = whole["encounter"].get("finished_at")
    if finished:
        parts.append(("encounter.finished", EncounterFinished, {"finished_at": finished}))
    return [_part(item, kind, model, data) for kind, model, data in parts]


def _without(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in data.items() if k not in names}


def _part(item: Item, kind: str, model: type[Wire], data: dict[str, Any]) -> Item:
    content = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    checked = model.model_validate(data)
    return item_of(item.id, kind, item.subject, item.time, item.sequence, checked, content, {"data": data})


def needs(item: Item) -> list[str]:
    """What must be known before this can be a fact: ``encounter:…``, ``order:…``, ``charge:…``, ``booking:…``."""
    if item.type in ("encounter.started", "visit.snapshot"):
        return []
    if item.type == "booking.changed":
        return [f"booking:{item.subject}"]
    wanted = [f"encounter:{item.subject}"]
    data = item.data
    if item.type != "order.placed":
        order = getattr(data, "order_no", None)
        if order is not None:
            wanted.append(f"order:{order}")
    if item.type != "charge.created":
        charges = getattr(data, "charge_nos", None) or [getattr(data, "charge_no", None)]
        wanted += [f"charge:{number}" for number in charges if number is not None]
    return wanted


def makes(item: Item) -> str | None:
    """What others may have waited for that this statement makes known."""
    data = item.data
    if item.type == "encounter.started":
        return f"encounter:{item.subject}"
    if isinstance(data, OrderPlaced):
        return f"order:{data.order_no}"
    if isinstance(data, ChargeCreated):
        return f"charge:{data.charge_no}"
    return None
