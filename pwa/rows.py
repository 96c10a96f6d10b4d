"""The rows of a visit's feed as pages know them: a line, a step, how the visit and the last payment stand.

A page drawn afresh and a page grown by pushes are drawn from the same values, made by ``Line.of``, ``Step.of`` and so
on from the JSON of a feed row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Row = Mapping[str, Any]
Surface = Literal["bill", "guide", "story", "pass", "pay"]


def _at(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


@dataclass(frozen=True, slots=True)
class Sums:
    """The bill in numbers (fen), filtered for the viewer; fund + account + hospital + self = done.

    ``payable_fen`` is what a new payment would take now: 0 while a payment is under way, so no button invites a second.
    ``first_fen`` is paid before it is done, item by item; ``prepaid_fen`` is paid and not done yet.
    """

    done_fen: int
    payable_fen: int
    fund_fen: int
    account_fen: int
    self_fen: int
    planned_fen: int
    paid_fen: int
    first_fen: int = 0
    prepaid_fen: int = 0
    hospital_fen: int = 0

    @classmethod
    def of(cls, row: Row) -> "Sums":
        """From ``sums`` of a feed row."""
        return cls(**{name: int(row[name]) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill with its proof trail. ``state`` is the charge's word: billable, disputed, settled, …"""

    id: str
    name: str
    department: str
    amount_fen: int
    fund_fen: int
    account_fen: int
    self_fen: int
    pile: Literal["done", "ordered", "cancelled"]
    state: str
    rank: int
    order_id: str | None = None
    quantity: str = "1"
    insurance_class: str | None = None
    ordered_by: str | None = None
    ordered_at: datetime | None = None
    executed_by: str | None = None
    executed_at: datetime | None = None
    executed_where: str | None = None
    category: str | None = None
    can_dispute: bool = False
    can_abandon: bool = False
    can_refund: bool = False
    refund: str | None = None
    pay_first: bool = False
    going_back: bool = False
    hospital_fen: int = 0
    estimate: Mapping[str, int] | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether what the insurance bears of it is only the hospital's estimate."""
        return self.estimate is None and self.state in {"planned", "billable", "disputed", "covered"}

    @property
    def differs(self) -> bool:
        """Whether the insurance bears it otherwise than the hospital had estimated."""
        return self.estimate is not None and any(getattr(self, name) != fen for name, fen in self.estimate.items())

    @classmethod
    def of(cls, row: Row) -> "Line":
        """From ``line`` of a ``bill.line`` feed row."""
        known = {name: row[name] for name in cls.__slots__ if name in row}
        for name in ("id", "order_id", "quantity"):
            if known.get(name) is not None:
                known[name] = str(known[name])
        for name in ("ordered_at", "executed_at"):
            known[name] = _at(known.get(name))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do in the hospital. ``preparation`` are sentences; ``ahead`` people wait before the patient."""

    id: str
    kind: str
    name: str
    department: str
    place: str
    state: str
    rank: int
    preparation: tuple[str, ...] = ()
    note: str | None = None
    ahead: int | None = None
    room: str | None = None
    result_flag: str | None = None
    at: datetime | None = None
    queue_at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> "Step":
        """From ``step`` of a ``step`` feed row."""
        known = {name: row[name] for name in cls.__slots__ if name in row}
        known["id"] = str(known["id"])
        known["preparation"] = tuple(known.get("preparation") or ())
        known["at"], known["queue_at"] = _at(known.get("at")), _at(known.get("queue_at"))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class VisitState:
    """How the visit stands: ``state`` open|ended|settled, ``mode`` DEFERRED|UPFRONT, until when to pay."""

    state: str
    mode: str
    due_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> "VisitState":
        """From ``visit`` of a ``visit`` feed row."""
        return cls(row["state"], row["mode"], _at(row.get("due_at")), _at(row.get("ended_at")))


@dataclass(frozen=True, slots=True)
class PaymentNote:
    """The latest of the visit's payments: its state as ``payments.service.moves.shown`` says, by whom ("您女儿")."""

    state: str
    amount_fen: int
    payer_label: str
    at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> "PaymentNote":
        """From ``payment`` of a ``payment`` feed row."""
        return cls(row["state"], int(row["amount_fen"]), row["payer_label"], _at(row.get("at")))


@dataclass(frozen=True, slots=True)
class Share:
    """One share: ``label`` is who pays it, or for whom it is meant; ``state`` free|busy|paid."""

    number: int
    amount_fen: int
    state: str
    label: str


@dataclass(frozen=True, slots=True)
class InsurancePart:
    """One settlement of the insurance; amounts are None until it is reckoned. Mutual aid is inside the accounts."""

    state: str
    total_fen: int
    fund_fen: int | None = None
    account_fen: int | None = None
    mutual_aid_fen: int | None = None
    other_fen: int | None = None
    cash_fen: int | None = None
    hospital_part_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """A bill several people pay; ``left_fen`` is what nobody is paying yet."""

    cash_fen: int
    paid_fen: int
    left_fen: int
    shares: tuple[Share, ...]
    parts: tuple[InsurancePart, ...] = ()

    @classmethod
    def of(cls, row: Row | None) -> "Shares | None":
        """From ``round`` of a ``payment`` feed row; None where nothing is shared."""
        if row is None:
            return None
        shares = tuple(Share(s["number"], s["amount_fen"], s["state"], s["label"]) for s in row["shares"])
        names = InsurancePart.__slots__
        parts = tuple(InsurancePart(*(p[name] for name in names)) for p in row.get("parts") or ())
        return cls(row["cash_fen"], row["paid_fen"], row["left_fen"], shares, parts)


@dataclass(frozen=True, slots=True)
class Show:
    """For whom and on which page a row of the feed is drawn.

    ``surface`` is the open page: ``bill``, ``guide``, ``story`` (the companion's), ``pass`` or ``pay`` (one on its
    way). ``money`` False leaves amounts out of a companion's story; ``whole`` False leaves of the bill only what is to
    be paid (for somebody who may pay and see nothing else). One rendering may serve every viewer with an equal
    ``Show``.
    """

    visit_id: str
    now: datetime
    surface: Surface
    may_act: bool = False
    may_pay: bool = False
    may_ask: bool = False
    money: bool = True
    whole: bool = True


@dataclass(frozen=True, slots=True)
class StoryEntry:
    """One thing that happened, newest on top (``rank`` = milliseconds of its time)."""

    id: str
    rank: int
    at: datetime
    title: str
    detail: str | None = None
    amount_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A ready-made sentence, as its reader reads it; ``who`` sent it, empty for the reader's own."""

    id: str
    rank: int
    at: datetime
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class VisitHead:
    """Whose visit, where, when: the line under every title. ``patient`` is masked where the viewer may not know it."""

    id: str
    hospital: str
    patient: str
    department: str | None
    at: datetime
    room: str | None = None
    doctor: str | None = None
