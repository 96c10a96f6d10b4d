"""What notices needs from outside: a text message to a phone, a message in WeChat, a ring of somebody's browser.

And from above: what is still true, and for whom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from kernel.db import Tx
from notices.rules.messages import Slots
from notices.rules.reach import Kind


@dataclass(frozen=True, slots=True)
class SmsReceipt:
    """The carrier's gateway has taken the message; ``serial_no`` is its number for delivery reports."""

    serial_no: str
    fee_count: int


@dataclass(frozen=True, slots=True)
class SmsReport:
    """What became of a text message: ``session_context`` is our own id, ``trouble`` the carrier's word for a no."""

    serial_no: str
    session_context: str
    arrived: bool
    trouble: str = ""


class Sms(Protocol):
    """Text messages by approved template. Raises ``kernel.outside`` errors."""

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        """Send one message.

        Args:
            template_id: the approved template.
            phone: mainland mobile number, 11 digits.
            params: values in the template's order; no diagnosis, no item names.
            session_context: our own id, returned in reports.

        Raises:
            Rejected: the gateway refuses this number or template.
            Unknown: it may have been sent; sending again may disturb twice.
        """


class ReportingSms(Sms, Protocol):
    """Text messages of which one can ask what became of them."""

    async def reports(self, phone: str, since: datetime, until: datetime) -> Sequence[SmsReport]:
        """What became of the messages to a phone in this time, as far as the carriers have said."""

    def decode_status(self, raw: bytes) -> Sequence[SmsReport]:
        """The body of the gateway's callback.

        Raises:
            ValueError: it is none.
        """


class WeChatMessages(Protocol):
    """Messages of the official account. Raises ``kernel.outside`` errors."""

    def speaks(self, kind: str) -> bool:
        """Whether there is an approved template for this kind of message."""

    def repeatable(self, kind: str) -> bool:
        """Whether the same message sent twice within ten minutes is shown once."""

    async def push(self, openid: str, kind: str, fields: Mapping[str, str], link: str, client_id: str) -> str:
        """Send one; returns WeChat's message id.

        Args:
            client_id: our own id of it, at most 32 characters.

        Raises:
            Rejected: ``43004`` does not follow the account, ``43101`` has not asked for it, ``40003`` foreign openid,
                ``40037`` unknown template.
        """


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser's push subscription: where its push service is, and the keys only that browser can open."""

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


class WebPush(Protocol):
    """Rings browsers through their push services. Raises ``kernel.outside`` errors."""

    @property
    def public_key(self) -> str:
        """The key a browser subscribes with, base64url."""

    def accepts(self, endpoint: str) -> bool:
        """Whether this is the address of a push service we would call."""

    async def push(self, to: Subscription, payload: Mapping[str, str], topic: str, ttl: int, urgent: bool) -> None:
        """Send one.

        Args:
            topic: a waiting message of the same topic is replaced; at most 32 characters of base64url.
            ttl: seconds the service may keep it.

        Raises:
            Rejected: ``GONE`` the subscription has ended (404, 410), else the service's status.
        """


@dataclass(frozen=True, slots=True)
class SmsKind:
    """An approved text message of one kind: its template, and which fields it is filled with, in order."""

    template_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines by which people are reached; None or empty where nothing is configured."""

    base_url: str
    appid: str = ""
    wechat: WeChatMessages | None = None
    web_push: WebPush | None = None
    sms: ReportingSms | None = None
    sms_kinds: Mapping[str, SmsKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tell:
    """A fact as it waits to be told: its kind, the feed's subject, whose it is, and what it is about."""

    kind: Kind
    subject: UUID
    patient_id: UUID
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What may be said of a fact to somebody now, and the page of ours that shows it."""

    slots: Slots
    path: str


class Truth(Protocol):
    """Knows the house: who may be told of a fact, and whether it is still so."""

    async def readers(self, tx: Tx, tell: Tell, audience: int, category: str | None) -> Sequence[UUID]:
        """Who may be told, by the views they have now."""

    async def still(self, tx: Tx, tell: Tell, person_id: UUID) -> Said | None:
        """What may be said of it to this person; None when it is no longer true, or no longer theirs to know."""


__all__ = [
    "Lines",
    "ReportingSms",
    "Said",
    "Sms",
    "SmsKind",
    "SmsReceipt",
    "SmsReport",
    "Subscription",
    "Tell",
    "Truth",
    "WeChatMessages",
    "WebPush",
]
