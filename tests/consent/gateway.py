"""A phone that receives the codes of these tests."""

from collections.abc import Sequence

from notices.ports import SmsReceipt


class Gateway:
    """Takes text messages: (phone, code)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        """Remember phone and code."""
        self.sent.append((phone, params[0]))
        return SmsReceipt("1", 1)
