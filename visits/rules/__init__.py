"""What a visit and an order are, how they move, and until when a visit is to be paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from notices.rules import Row
from people.rules import Depth, View

ENDS_BY_ITSELF_AFTER = timedelta(hours=12)  # the stated fallback when the HIS never says that a visit ended


class PaymentMode(StrEnum):
    """How a visit is paid; changes only by a recorded reason."""

    UPFRONT = "UPFRONT"
    DEFERRED = "DEFERRED"


class VisitState(StrEnum):
    """Where a visit stands."""

    OPEN = "open"
    ENDED = "ended"
    SETTLED = "settled"


class OrderState(StrEnum):
    """Where a doctor's order stands."""

    PLACED = "placed"
    CHECKED_IN = "checked_in"
    PERFORMED = "performed"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"


class ResultState(StrEnum):
    """How far the report of an order is."""

    PENDING = "pending"
    PARTIAL = "partial"
    FINAL = "final"
    AMENDED = "amended"


class CallState(StrEnum):
    """A call to the HIS: until it answers it is pending, however often it was tried."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    GIVEN_AGAIN = "given_again"  # a person had it said once more, under a new key
    DROPPED = "dropped"  # what it was about is over: nobody says it again


class ModeChange(StrEnum):
    """Why the payment mode of a visit changed."""

    CONTRACT = "contract"  # signed, or a standing contract applied
    WITHDRAWN = "withdrawn"
    EXCLUDED = "excluded"  # sealed: relatives and companions never see it


class Exclusion(StrEnum):
    """Why fees or a visit cannot be paid afterwards (product.md, rules with numbers)."""

    UNLAWFUL_ACT = "UNLAWFUL_ACT"
    ABORTION = "ABORTION"
    THIRD_PARTY_LIABILITY = "THIRD_PARTY_LIABILITY"
    DEFAULT_RECORD = "DEFAULT_RECORD"
    OTHER = "OTHER"


VISIT = Lifecycle[VisitState](
    "Visit",
    {
        (None, VisitState.OPEN): "VisitOpened",
        (VisitState.OPEN, VisitState.ENDED): "VisitEnded",
        (VisitState.ENDED, VisitState.OPEN): "VisitReopened",
        (VisitState.ENDED, VisitState.SETTLED): "VisitSettled",
        (VisitState.SETTLED, VisitState.OPEN): "VisitReopened",
        (VisitState.SETTLED, VisitState.ENDED): "VisitOwedAgain",
    },
)

MODE = Lifecycle[PaymentMode](
    "Payment mode of a visit",
    {
        (None, PaymentMode.UPFRONT): "VisitOpened",
        (PaymentMode.UPFRONT, PaymentMode.DEFERRED): "VisitMarked",
        (PaymentMode.DEFERRED, PaymentMode.UPFRONT): "VisitUnmarked",
    },
)

ORDER = Lifecycle[OrderState](
    "Order",
    {
        (None, OrderState.PLACED): "OrderPlaced",
        (OrderState.PLACED, OrderState.CHECKED_IN): "OrderCheckedIn",
        (OrderState.PLACED, OrderState.PERFORMED): "OrderPerformed",
        (OrderState.CHECKED_IN, OrderState.PERFORMED): "OrderPerformed",
        (OrderState.PLACED, OrderState.ABANDONED): "OrderAbandoned",
        (OrderState.CHECKED_IN, OrderState.ABANDONED): "OrderAbandoned",
        (OrderState.PLACED, OrderState.CANCELLED): "OrderCancelled",
        (OrderState.CHECKED_IN, OrderState.CANCELLED): "OrderCancelled",
        (OrderState.ABANDONED, OrderState.CANCELLED): "OrderCancelled",
        # The performing department's word stands above a cancel or an abandon that crossed it on the way.
        (OrderState.ABANDONED, OrderState.PERFORMED): "OrderPerformed",
        (OrderState.CANCELLED, OrderState.PERFORMED): "OrderPerformed",
    },
)

RESULT = Lifecycle[ResultState](
    "Result",
    {
        (None, ResultState.PENDING): "OrderPlaced",
        (ResultState.PENDING, ResultState.PARTIAL): "ResultPartial",
        (ResultState.PENDING, ResultState.FINAL): "ResultReady",
        (ResultState.PARTIAL, ResultState.FINAL): "ResultReady",
        (ResultState.PENDING, ResultState.AMENDED): "ResultAmended",
        (ResultState.PARTIAL, ResultState.AMENDED): "ResultAmended",
        (ResultState.FINAL, ResultState.AMENDED): "ResultAmended",
        (ResultState.AMENDED, ResultState.AMENDED): "ResultAmended",
    },
)

CALL = Lifecycle[CallState](
    "Call to the HIS",
    {
        (None, CallState.PENDING): "CallQueued",
        (CallState.PENDING, CallState.DONE): "CallDone",
        (CallState.PENDING, CallState.REFUSED): "CallRefused",
        (CallState.REFUSED, CallState.GIVEN_AGAIN): "CallGivenAgain",
        (CallState.REFUSED, CallState.DROPPED): "CallDropped",
    },
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a queue moves, by two of the hospital's words: so many were served in so many minutes."""

    served: int
    minutes: float

    @property
    def each(self) -> float:
        """Minutes from one patient to the next, whatever the number of rooms."""
        return self.minutes / self.served

    @property
    def sure(self) -> bool:
        """Whether it says much: some were served, or one has watched long enough to know that it crawls."""
        return self.served >= 3 or self.minutes >= 20


PACE_FROM = timedelta(minutes=30)  # how far back one looks; before lunch a queue moved otherwise


def pace_of(before: tuple[int, datetime] | None, now: tuple[int, datetime] | None) -> Pace | None:
    """The pace between two words (people ahead, when); None where nobody was served between them."""
    if before is None or now is None or before[0] <= now[0] or before[1] >= now[1]:
        return None
    return Pace(before[0] - now[0], (now[1] - before[1]).total_seconds() / 60)


OPEN_ORDER = frozenset({OrderState.PLACED, OrderState.CHECKED_IN})
GONE_ORDER = frozenset({OrderState.ABANDONED, OrderState.CANCELLED})


class OrderGoneError(HoufuError):
    """The order is no longer open: performed, cancelled or abandoned already."""

    code = "order_not_open"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before the next try of a call."""

    tries: int

    @property
    def until_next(self) -> timedelta:
        """0.5 s, then doubling to at most five minutes."""
        return timedelta(seconds=min(300.0, 0.5 * 2 ** min(self.tries, 12)))


def due_at(ended: datetime, hours: int) -> datetime:
    """Until when a visit that ended then is to be paid."""
    return ended + timedelta(hours=hours)


def visit_number(seed: bytes) -> str:
    """Ten digits people read aloud, in groups of 4-4-2, made from random bytes (at least 8)."""
    digits = f"{int.from_bytes(seed[:8], 'big') % 10**10:010d}"
    return f"{digits[:4]} {digits[4:8]} {digits[8:]}"


class Stage(TypedDict):
    """How the encounters of a visit in one sensitive category stand: since when, how many go on, when the last ended.

    Times are ISO; ``over`` is None before the first has ended.
    """

    since: str
    going: int
    over: str | None


Stages = Mapping[str, Stage]
"""Category, or "" for what is not sensitive → its stage."""


def begun(stages: Stages, category: str | None, at: datetime) -> dict[str, Stage]:
    """An encounter of this category has begun."""
    was = stages.get(category or "")
    since = at if was is None else min(at, datetime.fromisoformat(was["since"]))
    now = Stage(since=since.isoformat(), going=was["going"] + 1 if was else 1, over=was["over"] if was else None)
    return {**stages, category or "": now}


def over(stages: Stages, category: str | None, at: datetime) -> dict[str, Stage]:
    """One has ended."""
    was = stages[category or ""]
    last = at if was["over"] is None else max(at, datetime.fromisoformat(was["over"]))
    return {**stages, category or "": Stage(since=was["since"], going=was["going"] - 1, over=last.isoformat())}


def known_since(stages: Stages, view: View) -> datetime | None:
    """When the first encounter began that this view may know of."""
    known = [datetime.fromisoformat(s["since"]) for c, s in stages.items() if view.sees(Depth.STEPS, c or None)]
    return min(known, default=None)


def see_step(row: Row, view: View) -> dict[str, Any] | None:
    """What of a ``step`` row a view sees: results only as deep as granted, notes only by the patient's side."""
    if not view.shows(row.audience, row.category):
        return None
    return {"step": seen_step(row.payload["step"], view)}


def seen_step(step: Mapping[str, Any], view: View) -> dict[str, Any]:
    """A step as this view sees it; the category itself is told to nobody but the patient's side and staff."""
    made = dict(step)
    category = made.pop("category", None)
    if not view.sees(Depth.RESULTS, category):
        made["result_flag"] = None
        if made["state"] == "result":
            made["state"] = "performed"
    if not (view.owner or view.staff):
        made["note"], made["preparation"] = None, []
    return made


def see_visit(row: Row, view: View) -> dict[str, Any] | None:
    """What of a ``visit`` row a view sees: how it is paid and until when is for the patient's side and payers.

    Rows about money are not even sent to the others, nor those of an encounter they may not know of.
    """
    if view.blind or not (view.owner or view.pays or view.staff or view.shows(row.audience, row.category)):
        return None
    return {"visit": seen_visit(row.payload["visit"], view)}


def seen_visit(visit: Mapping[str, Any], view: View) -> dict[str, Any]:
    """A visit's state as this view sees it; a companion who does not pay cannot tell the two ways of paying apart.

    For such a viewer the visit is no more than its encounters that are known to them.
    """
    made = dict(visit)
    stages: Stages = made.pop("stages")
    if not (view.owner or view.pays or view.staff):
        made.update(mode=PaymentMode.DEFERRED.value, due_at=None)
        known = [stage for c, stage in stages.items() if view.sees(Depth.STEPS, c or None)]
        if known:
            ends = [s["over"] for s in known if s["over"] is not None]
            going = any(s["going"] for s in known)
            made["state"] = VisitState.OPEN.value if going else VisitState.ENDED.value
            made["ended_at"] = None if going else max(ends, key=datetime.fromisoformat, default=None)
        elif made["state"] == VisitState.SETTLED:
            made["state"] = VisitState.ENDED.value
    return made
