"""What people needs from WeChat: who is this, and what an official account is told and says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from kernel.errors import HoufuError, Kind


@dataclass(frozen=True, slots=True)
class WeChatSubject:
    """Somebody WeChat knows: ``openid`` is theirs within one app only, ``unionid`` across a hospital's apps."""

    openid: str
    unionid: str | None = None


class WeChatIdentity(Protocol):
    """Login by the official account (web page in WeChat) or the mini-program. Raises ``kernel.outside`` errors."""

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        """Where to send the browser; it returns to ``redirect_uri?code=…&state=…``."""

    async def exchange(self, code: str) -> WeChatSubject:
        """Turn the single-use code into the person.

        Raises:
            Rejected: ``40029`` unknown code, ``40163`` used code.
        """

    async def mini_session(self, js_code: str) -> WeChatSubject:
        """The same for a mini-program's login code; the session key is not kept."""

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        """``{appId, timestamp, nonceStr, signature}`` for ``wx.config`` on exactly this page address."""


class CodeSender(Protocol):
    """Brings a code to a phone, by text message and the approved template. Raises ``kernel.outside`` errors."""

    async def __call__(self, phone: str, digits: str, minutes: int) -> None:
        """Send the digits and for how many minutes they are good."""


class WeChatAccount(Protocol):
    """What an official account shows: QR codes that lead on, and its menu. Raises ``kernel.outside`` errors."""

    async def scene_qr(self, scene: str, seconds: int) -> str:
        """Make a QR code that brings ``scene`` to us when it is scanned; returns the text to draw as one."""

    async def menu(self) -> Sequence[Mapping[str, Any]]:
        """The buttons the account shows now, in WeChat's own form; empty when there is no menu."""

    async def set_menu(self, buttons: Sequence[Mapping[str, Any]]) -> None:
        """Show these buttons; followers see them within a day, at once when they follow anew."""


class ToldKind(StrEnum):
    """What somebody did in an official account."""

    FOLLOWED = "followed"
    LEFT = "left"
    SCANNED = "scanned"
    CLICKED = "clicked"
    LOOKED = "looked"
    SAID = "said"
    REPORTED = "reported"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Told:
    """One message an official account's server has brought.

    Attributes:
        key: the same when WeChat brings the message again, and for no other message.
        account: the account's own name there, from which an answer comes.
        scene: of the QR code that was scanned, if any.
        detail: the key of a menu's button, or the number of a message that is reported about.
        status: what became of that message.
    """

    kind: ToldKind
    appid: str
    openid: str = field(repr=False)
    account: str
    key: bytes
    at: datetime
    scene: str | None = field(default=None, repr=False)
    detail: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the account answers: a text, or a card with a title that leads to ``url``."""

    text: str
    title: str | None = None
    url: str | None = field(default=None, repr=False)


class ForgedCallbackError(HoufuError):
    """What came as a message of the official account is not from WeChat, not readable, or too old."""

    code = "wechat_forged"
    kind = Kind.UNAUTHENTICATED


class WeChatDesk(Protocol):
    """Reads and writes the letters between an official account's server and us."""

    def greet(self, params: Mapping[str, str], now: datetime) -> str:
        """What WeChat wants to hear when it tries our address.

        Raises:
            ForgedCallbackError: it is not WeChat.
        """

    def open(self, params: Mapping[str, str], raw: bytes, now: datetime) -> Told:
        """A message, its signature, age and encryption checked.

        Raises:
            ForgedCallbackError: forged, older than five minutes, not encrypted, or for another account.
        """

    def answer(self, told: Told, said: Said | None, now: datetime) -> str:
        """The answer as WeChat takes it, encrypted; ``None`` means there is nothing to say."""
