"""Facts about people that other packages react to."""

from dataclasses import dataclass
from uuid import UUID

from kernel.events import Event


@dataclass(frozen=True, slots=True)
class GrantMade(Event):
    """A relative may now see or do something."""

    grant_id: UUID
    patient_id: UUID
    person_id: UUID


@dataclass(frozen=True, slots=True)
class GrantEnded(Event):
    """A relative may no longer; open streams of this pair stop at once."""

    grant_id: UUID
    patient_id: UUID
    person_id: UUID


@dataclass(frozen=True, slots=True)
class PhoneChanged(Event):
    """Somebody has another telephone number; all their sessions have ended."""

    person_id: UUID


@dataclass(frozen=True, slots=True)
class WeChatLeft(Event):
    """A WeChat account lets this person in no more: another one took its place, or a phone was lost."""

    person_id: UUID


@dataclass(frozen=True, slots=True)
class ViewsChanged(Event):
    """Rung, not emitted: whoever streams something of this patient must have the view decided anew.

    Lines about the patient compare their marks, too: it is also rung where a page of theirs is no longer true.
    """

    patient_id: UUID


@dataclass(frozen=True, slots=True)
class SessionsEnded(Event):
    """Rung, not emitted: somebody's session has ended, and no stream of theirs may go on under it."""

    viewer: str


@dataclass(frozen=True, slots=True)
class WeChatFollowChanged(Event):
    """Somebody begins or ceases to follow an official account; ``person_id`` when we know them."""

    appid: str
    person_id: UUID | None
    follows: bool


@dataclass(frozen=True, slots=True)
class WeChatMessageReported(Event):
    """WeChat says what became of a message of ours; ``status`` in its words (``success``, ``failed:user block``)."""

    appid: str
    message_id: str
    status: str
