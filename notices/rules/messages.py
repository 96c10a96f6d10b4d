"""What a push may say: one of a closed set of sentences, filled from slots that cannot hold a secret.

There is no slot for a name in full, for what was ordered, done, found or charged, or for a department. A message is
made from slots and nothing else, so nobody who adds a fact can let one slip.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from notices.rules.reach import Kind
from words import pushes
from words.money import rmb, when

FIELDS = ("title", "body", "hospital", "who", "amount", "until", "place", "count", "code")
"""What an approved template of WeChat or SMS may be filled with, by name."""
_MASKED = re.compile(r"[^*\s]?\*+")


class Masked(str):
    """A name of which the first character may be seen: ``朱**``.

    Raises:
        ValueError: it shows more.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> "Masked":
        """Check before it is one."""
        if not _MASKED.fullmatch(name):
            raise ValueError("not a masked name")
        return super().__new__(cls, name)


class Place(str):
    """Where a department is, as the hospital's own file says it; ``of`` makes none for anything sensitive."""

    __slots__ = ()

    @classmethod
    def of(cls, place: str, *sensitive: str | None) -> "Place | None":
        """The place, unless the order or its department falls into a sensitive category."""
        return cls(place) if place and not any(sensitive) else None


class Ready(str):
    """How to prepare before going there, one code of those that may be said aloud; ``of`` makes none for what is
    sensitive, and none for what the HIS wrote itself."""

    __slots__ = ()

    @classmethod
    def of(cls, codes: Collection[str], *sensitive: str | None) -> "Ready | None":
        """The most pressing of these codes: who may not eat is told that before anything else."""
        found = next((code for code in pushes.READY if code in codes), None)
        return cls(found) if found and not any(sensitive) else None


@dataclass(frozen=True, slots=True)
class Slots:
    """All a message may be filled with.

    Attributes:
        hospital: its name as the hospital's file gives it; empty in news that are of no hospital.
        who: whom it is about, or who did it.
        mine: it is about the reader.
        amount_fen: a sum, never a line's price with the line.
        count: how many things of the kind.
        ahead: how many are before her.
        minutes: until about then it is her turn; walk: so many of them she walks.
        ready: how to prepare now.
        whole: nothing more of the kind is awaited.
    """

    hospital: str = ""
    who: Masked | None = None
    mine: bool = False
    amount_fen: int | None = None
    until: datetime | None = None
    place: Place | None = None
    count: int = 1
    ahead: int | None = None
    minutes: int | None = None
    walk: int | None = None
    ready: Ready | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message: what people read, and the same in parts for templates (``FIELDS``). ``path`` leads to our page."""

    kind: Kind
    title: str
    body: str
    fields: Mapping[str, str]
    path: str


def compose(kind: Kind, slots: Slots, path: str, now: datetime, code: str = "") -> Message:
    """Fill a sentence.

    Args:
        path: a page of ours, ids only.
        code: the digits by which a text message is checked in the app.
    """
    who = "" if slots.mine or slots.who is None else str(slots.who)
    parts = {
        "hospital": slots.hospital,
        "who": str(slots.who or ""),
        "amount": "" if slots.amount_fen is None else rmb(slots.amount_fen),
        "until": "" if slots.until is None else when(slots.until, now),
        "place": str(slots.place or ""),
        "count": str(slots.count),
        "ahead": str(slots.ahead or ""),
        "minutes": "" if slots.minutes is None else pushes.about(slots.minutes),
        "walk": str(slots.walk or ""),
        "ready": pushes.READY[slots.ready] if slots.ready else "",
        "whole": "1" if slots.whole else "",
    }
    parts["who"] = str(slots.who or "") if kind in _BY else who
    title, body = pushes.TITLES[kind.value], pushes.say(kind.value, parts)
    for name in ("ahead", "minutes", "walk", "ready", "whole"):
        del parts[name]
    return Message(kind, title, body, {**parts, "title": title, "body": body, "code": code}, path)


_BY = frozenset(
    {Kind.ASKED, Kind.OFFERED, Kind.ANSWERED, Kind.TAKING, Kind.UNTAKEN, Kind.CLAIMED, Kind.BOUND, Kind.ENDED}
    | {Kind.PAID, Kind.PHONE}
)
"""Kinds whose ``who`` is somebody else in any case."""
