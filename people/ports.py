"""What people needs from WeChat: who is this, on the strength of a code the phone brought."""

from dataclasses import dataclass
from typing import Protocol


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
