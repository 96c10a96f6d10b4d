"""The payment codes on the payers' phones: eighteen digits, one payment each, a new one every minute."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sandbox.wechat_pay.wire import Refusal

LIFE = timedelta(minutes=1)
P = TypeVar("P")


@dataclass(slots=True)
class Code(Generic[P]):
    """One code; ``used`` once it has been charged or tried."""

    payer: P
    until: datetime
    used: bool = False


class Codes(Generic[P]):
    """All codes shown so far."""

    def __init__(self) -> None:
        self._codes: dict[str, Code[P]] = {}

    def show(self, payer: P, now: datetime) -> str:
        """What the phone shows now."""
        made = f"1{secrets.randbelow(6)}{secrets.randbelow(10**16):016d}"
        self._codes[made] = Code(payer, now + LIFE)
        return made

    def payer(self, code: str, now: datetime) -> P:
        """Whose it is, if it is still good.

        Raises:
            Refusal: unknown, used or too old.
        """
        found = self._codes.get(code)
        if found is None:
            raise Refusal(400, "AUTH_CODE_INVALID", "付款码无效，请重新扫码")
        if found.used:
            raise Refusal(400, "AUTH_CODE_INVALID", "每个二维码仅限使用一次，请刷新再试")
        if now >= found.until:
            raise Refusal(400, "AUTHCODEEXPIRE", "付款码已过期，请刷新再试")
        return found.payer

    def use(self, code: str) -> None:
        """It will not be taken again."""
        self._codes[code].used = True
