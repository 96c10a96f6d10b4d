"""What notices needs from outside: a text message to a phone, a template message to a WeChat follower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SmsReceipt:
    """The carrier's gateway has taken the message; ``serial_no`` is its number for delivery reports."""

    serial_no: str
    fee_count: int


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


class WeChatMessages(Protocol):
    """Template messages of the official account. Raises ``kernel.outside`` errors."""

    async def push(self, openid: str, template_id: str, data: Mapping[str, str], link: str | None = None) -> str:
        """Send one; returns WeChat's message id.

        Raises:
            Rejected: ``43004`` does not follow the account, ``40003`` foreign openid, ``40037`` unknown template.
        """
