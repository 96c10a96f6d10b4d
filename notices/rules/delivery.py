"""How a message to one person goes from channel to channel, and what is done when nobody knows whether it arrived."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kernel.lifecycle import Lifecycle
from notices.rules.reach import Channel, Rule, Wish

LEASE = timedelta(seconds=60)  # longer than any call lasts: who has not recorded by then is gone
REPEAT_WITHIN = {
    # WeChat takes the same client_msg_id once within ten minutes; a minute is kept in hand.
    Channel.WECHAT: timedelta(minutes=9),
    # A newer message of the same Topic replaces the waiting one, and a shown one of the same tag.
    Channel.WEB_PUSH: timedelta(hours=4),
}
"""How long a message nobody is sure of may be sent again, because the channel itself refuses to show it twice."""
MOST_TRIES = 6


class NoticeState(StrEnum):
    """Where the telling of one fact to one person stands."""

    WAITING = "waiting"
    READ = "read"
    SPENT = "spent"  # no channel is left
    DROPPED = "dropped"  # no longer true, no longer theirs to know, or not wanted


class DeliveryState(StrEnum):
    """Where the message of one channel stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNKNOWN = "unknown"
    FAILED = "failed"
    DROPPED = "dropped"


_N, _D = NoticeState, DeliveryState

NOTICE = Lifecycle[NoticeState](
    "Notice to a person",
    {
        (None, _N.WAITING): "NoticeMade",
        (_N.WAITING, _N.READ): "NoticeRead",
        (_N.WAITING, _N.SPENT): "NoticeSpent",
        (_N.WAITING, _N.DROPPED): "NoticeDropped",
        (_N.SPENT, _N.READ): "NoticeRead",
        (_N.SPENT, _N.WAITING): "NoticeGoesOn",  # a receipt says that what was sent did not arrive
    },
)

DELIVERY = Lifecycle[DeliveryState](
    "Delivery by a channel",
    {
        (None, _D.QUEUED): "DeliveryQueued",
        (_D.QUEUED, _D.SENDING): "DeliveryTried",
        (_D.QUEUED, _D.DROPPED): "DeliveryDropped",
        (_D.QUEUED, _D.READ): "NoticeRead",
        (_D.SENDING, _D.SENT): "DeliverySent",
        (_D.SENDING, _D.QUEUED): "DeliveryPutOff",
        (_D.SENDING, _D.FAILED): "DeliveryFailed",
        (_D.SENDING, _D.UNKNOWN): "DeliveryUnknown",
        (_D.UNKNOWN, _D.SENDING): "DeliveryTried",
        (_D.UNKNOWN, _D.SENT): "DeliverySent",
        (_D.UNKNOWN, _D.DELIVERED): "DeliveryArrived",
        (_D.UNKNOWN, _D.FAILED): "DeliveryFailed",
        (_D.UNKNOWN, _D.READ): "NoticeRead",
        (_D.SENT, _D.DELIVERED): "DeliveryArrived",
        (_D.SENT, _D.FAILED): "DeliveryFailed",
        (_D.SENT, _D.READ): "NoticeRead",
        (_D.DELIVERED, _D.READ): "NoticeRead",
    },
)

REACHED = frozenset({_D.SENT, _D.DELIVERED, _D.READ, _D.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Tried:
    """What a channel was tried with so far. ``next_at``: not before then again."""

    state: DeliveryState
    tries: int
    first_at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Send:
    """Send by this channel now."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Doubt:
    """Nobody will know by trying again: write down that it is unknown, and go on."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Spent:
    """Nothing more to do at all."""


Act = Send | Doubt | Wait | Spent


def next_act(
    rule: Rule,
    wish: Wish,
    reachable: frozenset[Channel],
    repeatable: frozenset[Channel],
    tried: Mapping[Channel, Tried],
    born: datetime,
    now: datetime,
) -> Act:
    """What to do with an unread notice now.

    Args:
        reachable: channels by which this person can be reached at all.
        repeatable: channels that refuse to show the same message twice (``REPEAT_WITHIN``).
        tried: what was tried, ``SENDING`` only where the try's time is over and nobody recorded its outcome.
        born: when the fact was.
    """
    reached = False
    for channel in channels(rule, wish, reachable):
        if channel is Channel.SMS and not _at_once(rule, wish):
            due = born + (rule.sms_after or timedelta())
            if now < due and channel not in tried:
                return Wait(due)
        elif reached:
            continue
        found = tried.get(channel)
        if found is None:
            return Send(channel)
        if found.state is _D.QUEUED:
            if found.tries < MOST_TRIES:
                return Send(channel) if found.next_at <= now else Wait(found.next_at)
            continue
        if found.state in (_D.SENDING, _D.UNKNOWN) and _again(channel, found, repeatable, now):
            return Send(channel) if found.next_at <= now else Wait(found.next_at)
        if found.state is _D.SENDING:
            return Doubt(channel)
        reached = reached or found.state in REACHED
    return Spent()


def channels(rule: Rule, wish: Wish, reachable: frozenset[Channel]) -> list[Channel]:
    """The channels of a kind for this person, in order."""
    if _at_once(rule, wish) and Channel.SMS in reachable:
        return [Channel.SMS]
    wanted = [c for c in Channel if c in reachable and c not in wish.off_channels]
    return [c for c in wanted if c is not Channel.SMS or rule.sms_after is not None]


def _at_once(rule: Rule, wish: Wish) -> bool:
    return wish.basic and rule.guidance


def _again(channel: Channel, found: Tried, repeatable: frozenset[Channel], now: datetime) -> bool:
    within = REPEAT_WITHIN.get(channel)
    fresh = within is not None and now < found.first_at + within
    return fresh and channel in repeatable and found.tries < MOST_TRIES


def pause(tries: int) -> timedelta:
    """How long after a try that came to nothing: 10 s, 20 s, 40 s … at most five minutes."""
    return timedelta(seconds=min(300, 10 * 2 ** max(0, tries - 1)))
