"""Which facts are told to whom, by which channel and how urgently: the one table of the pushes.

A push leaves the house only when nobody has seen the fact in it. Everything here is decided without asking anybody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kernel.errors import HoufuError
from notices.rules import Row
from people.rules import Audience, Depth, View

MERGE = timedelta(minutes=2)  # the issue: charges within two minutes become one message


class Channel(StrEnum):
    """How somebody is reached outside our own pages, in the order they are tried."""

    WECHAT = "wechat"
    WEB_PUSH = "web_push"
    SMS = "sms"


class Kind(StrEnum):
    """A sort of fact that may leave the house."""

    STEP = "step"
    TURN = "turn"
    SOON = "soon"
    CALLED = "called"
    CHECKED = "checked_in"
    NEXT = "next"
    MEDICINE = "medicine"
    RESULT = "result"
    ABNORMAL = "abnormal"
    CRITICAL = "critical"
    BILL = "bill"
    DUE = "due"
    PAID = "paid"
    ASKED = "asked"
    OFFERED = "offered"
    ANSWERED = "answered"
    TAKING = "taking"
    UNTAKEN = "untaken"
    CONTRACT = "contract"
    CLAIMED = "claimed"
    BOUND = "bound"
    ENDED = "ended"
    PHONE = "phone"
    TEST = "test"


class Topic(StrEnum):
    """What a person switches on and off: a few words for many kinds."""

    VISIT = "visit"
    BILL = "bill"
    FAMILY = "family"


class Urgency(StrEnum):
    """Whether quiet hours hold it back."""

    NOW = "now"  # somebody is waiting: it passes
    DAY = "day"  # it waits for the morning


class To(StrEnum):
    """Who may be told, of those whose view shows the fact."""

    OWNER = "owner"  # the patient, and a guardian
    PAYER = "payer"  # whoever may pay for her
    WATCHER = "watcher"  # whoever follows the visit
    SELF = "self"  # the one person whose own feed it is


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of fact travels.

    Attributes:
        grace: how long it waits to be seen in our own pages before it is sent anywhere.
        merge: facts of the kind within this time of the first become one message.
        sms_after: unread for so long since the fact, it goes by text message; None: never for those with a smartphone.
        lives: afterwards it is no longer news, and dropped.
        guidance: goes by text message at once to those with nothing but a basic phone.
        why: the reason, for whoever changes the line.
    """

    topic: Topic
    to: frozenset[To]
    urgency: Urgency
    grace: timedelta
    lives: timedelta
    why: str
    merge: timedelta | None = None
    sms_after: timedelta | None = None
    guidance: bool = False

    @property
    def hold(self) -> timedelta:
        """How long a fact may wait for others before anybody asks whom to tell: of those that merge, most of that.

        A morning's charges are then looked at by the handful and not one by one, and nobody hears of them later: the
        message leaves when the time to merge is over, and the last quarter is enough to look at what has come.
        """
        return (self.merge or timedelta()) * 3 / 4


def _s(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


def _m(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)


def _h(hours: int) -> timedelta:
    return timedelta(hours=hours)


_OWNER, _MONEY = frozenset({To.OWNER}), frozenset({To.OWNER, To.PAYER})
_NEAR, _SELF = frozenset({To.OWNER, To.WATCHER}), frozenset({To.SELF})
T, U = Topic, Urgency

REACH: Mapping[Kind, Rule] = {
    Kind.STEP: Rule(
        T.VISIT, _OWNER, U.DAY, _s(20), _h(4), "she walks there; relatives follow the page", merge=MERGE, guidance=True
    ),
    Kind.TURN: Rule(
        T.VISIT, _OWNER, U.NOW, _s(5), _m(20), "a missed call costs her the place; later it is noise", guidance=True
    ),
    Kind.SOON: Rule(
        T.VISIT, _OWNER, U.NOW, _s(5), _m(20), "by minutes and her way where somebody can say them", guidance=True
    ),
    Kind.CALLED: Rule(T.VISIT, _OWNER, U.NOW, _s(3), _m(10), "somebody waits for her at the door", guidance=True),
    Kind.CHECKED: Rule(T.VISIT, _OWNER, U.DAY, _s(20), _m(20), "she knows that she may sit down"),
    Kind.NEXT: Rule(
        T.VISIT, _OWNER, U.DAY, _s(20), _h(1), "she stands at a door and does not know where to", guidance=True
    ),
    Kind.MEDICINE: Rule(
        T.VISIT, _OWNER, U.DAY, _s(10), _h(4), "she can fetch it; how to take it is in the page", guidance=True
    ),
    Kind.RESULT: Rule(T.VISIT, _NEAR, U.DAY, _s(30), _h(24), "never the value: only that it is there", guidance=True),
    Kind.ABNORMAL: Rule(
        T.VISIT, _NEAR, U.DAY, _s(30), _h(24), "a doctor explains it, no message does: never the value", guidance=True
    ),
    Kind.CRITICAL: Rule(
        T.VISIT, _NEAR, U.NOW, _s(5), _h(24), "she must not go home with it, at night neither", guidance=True
    ),
    Kind.BILL: Rule(T.BILL, _MONEY, U.DAY, _s(0), _h(4), "told, not asked for: never by SMS", merge=MERGE),
    Kind.DUE: Rule(
        T.BILL, _MONEY, U.DAY, _m(10), _h(24), "she may pay on the way out; SMS only if unread", sms_after=_h(4)
    ),
    Kind.PAID: Rule(T.BILL, _MONEY, U.DAY, _s(20), _h(24), "so that nobody pays again; not to who paid"),
    Kind.ASKED: Rule(T.FAMILY, _SELF, U.NOW, _s(10), _h(24), "somebody waits for the answer", sms_after=_m(30)),
    Kind.OFFERED: Rule(T.FAMILY, _SELF, U.NOW, _s(10), _h(24), "a relative waits for her yes", sms_after=_m(30)),
    Kind.ANSWERED: Rule(T.FAMILY, _SELF, U.DAY, _s(10), _h(24), "who asked goes on with it, or need not wait"),
    Kind.TAKING: Rule(
        T.FAMILY,
        _SELF,
        U.NOW,
        _s(10),
        _h(2),
        "before money is taken by her contract; no is said until then",
        sms_after=_m(30),
    ),
    Kind.UNTAKEN: Rule(T.FAMILY, _SELF, U.DAY, _s(10), _h(24), "she thought it was paid, and it is not"),
    Kind.CONTRACT: Rule(T.FAMILY, _SELF, U.DAY, _s(10), _h(72), "nothing is taken by itself any more: she must know"),
    Kind.CLAIMED: Rule(T.FAMILY, _SELF, U.NOW, _s(10), _h(24), "who accepted her invitation waits for her yes"),
    Kind.BOUND: Rule(T.FAMILY, _SELF, U.DAY, _s(60), _h(72), "both sides know who is let in"),
    Kind.ENDED: Rule(T.FAMILY, _SELF, U.DAY, _s(60), _h(72), "both sides know who is let in no more"),
    Kind.PHONE: Rule(T.FAMILY, _SELF, U.NOW, _s(10), _h(72), "a number a stranger changed is noticed by the family"),
    Kind.TEST: Rule(T.VISIT, _SELF, U.NOW, _s(0), _m(10), "she pressed the button and waits for it"),
}
"""Kind of fact → to whom, how urgent, when. The order of channels is that of ``Channel`` for all of them."""

AHEAD = 2  # so many before her is "soon"
_STEP_KINDS = {"called": Kind.CALLED, "placed": Kind.STEP, "performed": Kind.NEXT}
_RESULT_KINDS = {"abnormal": Kind.ABNORMAL, "critical": Kind.CRITICAL}
RESULTS = frozenset({Kind.RESULT, *_RESULT_KINDS.values()})
_FAMILY_KINDS = {
    "asked": Kind.ASKED,
    "to_pay": Kind.ASKED,
    "wishes_to_pay": Kind.OFFERED,
    "agreed": Kind.ANSWERED,
    "refused": Kind.ANSWERED,
    "declined": Kind.ANSWERED,
    "to_take": Kind.TAKING,
    "untaken": Kind.UNTAKEN,
    "contract": Kind.CONTRACT,
    "claimed": Kind.CLAIMED,
    "bound": Kind.BOUND,
    "guardian": Kind.BOUND,
    "ended": Kind.ENDED,
    "phone": Kind.PHONE,
}
"""What a row of family news says (``what``) → the kind of message; other news stays in the pages."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a feed row says that may be pushed.

    Attributes:
        ref: the thing it is about (order, charge, payment; of family news the row's number).
        key: the same for the same fact, however often rows tell of it.
    """

    kind: Kind
    ref: str
    key: str
    audience: Audience
    category: str | None = None


def fact_of(row: Row) -> Fact | None:
    """What of a row may be pushed, if anything; the row's marks go with it."""
    shown = row.payload.get(_MEMBER.get(row.kind, row.kind))
    made = _MAKERS.get(row.kind)
    return made(row, shown) if made is not None and isinstance(shown, Mapping) else None


def _fact(kind: Kind, ref: str, audience: Audience, category: str | None = None) -> Fact:
    return Fact(kind, ref, f"{kind}:{ref}", audience, category)


def _step(row: Row, step: Mapping[str, Any]) -> Fact | None:
    state, ahead = step.get("state"), step.get("ahead")
    if state == "result":
        # A result asks for the depth of results, whichever row tells of it.
        kind = _RESULT_KINDS.get(str(step.get("result_flag")), Kind.RESULT)
        return _fact(kind, step["id"], Audience.RESULTS, row.category)
    if state in ("placed", "checked_in") and ahead is not None and ahead <= AHEAD:
        return _fact(Kind.TURN, step["id"], Audience.STEPS, row.category)
    found = _STEP_KINDS.get(str(state))
    if state == "called" and step.get("kind") == "medication":
        found = Kind.MEDICINE
    elif state == "performed" and step.get("kind") == "registration":
        found = None  # what comes after it is an order of its own, and told with it
    elif state == "checked_in":
        found = Kind.CHECKED
    if found in (Kind.STEP, Kind.CHECKED) and _heard_since(step):
        return None
    return None if found is None else _fact(found, step["id"], Audience.STEPS, row.category)


def _heard_since(step: Mapping[str, Any]) -> bool:
    """Whether the queue has moved since: every move writes a row, and only the one before it was news of the order."""
    queue, at = step.get("queue_at"), step.get("at")
    return bool(queue and at and datetime.fromisoformat(queue) > datetime.fromisoformat(at))


def _soon(row: Row, soon: Mapping[str, Any]) -> Fact:
    return _fact(Kind.SOON, soon["id"], Audience.STEPS, row.category)


def _line(row: Row, line: Mapping[str, Any]) -> Fact | None:
    owed = line.get("state") == "billable" and not line.get("pay_first")
    return _fact(Kind.BILL, line["id"], row.audience, row.category) if owed else None


def _visit(_: Row, visit: Mapping[str, Any]) -> Fact | None:
    due = visit.get("due_at")
    return _fact(Kind.DUE, due, Audience.PAYERS) if visit.get("state") == "ended" and due else None


def _payment(_: Row, payment: Mapping[str, Any]) -> Fact | None:
    return _fact(Kind.PAID, payment["id"], Audience.PAYERS) if payment.get("state") == "paid" else None


def _family(row: Row, news: Mapping[str, Any]) -> Fact | None:
    kind = _FAMILY_KINDS.get(str(news.get("what")))
    if kind is None:
        return None
    return Fact(kind, str(row.seq), f"{kind}:{news.get('bond') or row.seq}", Audience.PATIENT)


_MEMBER = {"bill.line": "line"}
_MAKERS: Mapping[str, Callable[[Row, Mapping[str, Any]], Fact | None]] = {
    "step": _step,
    "soon": _soon,
    "bill.line": _line,
    "visit": _visit,
    "payment": _payment,
    "family": _family,
}


def is_told(rule: Rule, view: View, audience: Audience, category: str | None) -> bool:
    """Whether a viewer is pushed a fact: the view shows it, and the viewer is one of those it is for."""
    if not view.shows(audience, category):
        return False
    if view.owner:
        return To.OWNER in rule.to
    return (To.PAYER in rule.to and view.pays) or (To.WATCHER in rule.to and view.depth > Depth.NOTHING)


# ------------------------------------------------------------------------------------------------ a person's wishes


class BadWishError(HoufuError):
    """Hours or words that cannot be."""

    code = "bad_wish"


DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Wish:
    """What one person wants to hear, where, and when not (minutes of the day in China).

    ``basic``: has nothing but a basic phone, so what guides her through the visit comes by text message at once.
    """

    off_topics: frozenset[Topic] = frozenset()
    off_channels: frozenset[Channel] = frozenset()
    quiet_from: int = 21 * 60 + 30
    quiet_to: int = 7 * 60
    basic: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.quiet_from < DAY_MINUTES and 0 <= self.quiet_to < DAY_MINUTES):
            raise BadWishError

    def quiet_until(self, now: datetime, local: datetime) -> datetime | None:
        """When the quiet ends, if it is quiet now.

        Args:
            now: the moment; local: the same in China, for the time of day.
        """
        minute = local.hour * 60 + local.minute
        start, end = self.quiet_from, self.quiet_to
        quiet = start <= minute < end if start <= end else minute >= start or minute < end
        if not quiet:
            return None
        left = timedelta(minutes=(end - minute) % DAY_MINUTES)
        return now + left - timedelta(seconds=local.second, microseconds=local.microsecond)
