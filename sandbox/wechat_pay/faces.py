"""What WeChat's terminals get for a face: a code for one order, one amount and one person, used once, for a minute."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.wechat_pay.wire import Refusal

LIFE = timedelta(minutes=1)
PERMIT_LIFE = timedelta(hours=1)


@dataclass(slots=True)
class Face:
    """One look at a face; ``used`` once it has been charged or tried."""

    openid: str
    out_trade_no: str
    total: int
    until: datetime
    used: bool = False


class Faces:
    """All permissions given to terminals, and all codes their looks gave."""

    def __init__(self) -> None:
        self._permits: dict[str, datetime] = {}
        self._faces: dict[str, Face] = {}

    def permit(self, now: datetime) -> str:
        """A terminal may look for an hour (``authinfo``)."""
        made = secrets.token_urlsafe(96)
        self._permits[made] = now + PERMIT_LIFE
        return made

    def look(self, authinfo: str, openid: str, out_trade_no: str, total: int, now: datetime) -> str:
        """The terminal's SDK has looked and knows them (``getWxpayfaceCode``).

        Raises:
            Refusal: the terminal may not.
        """
        until = self._permits.get(authinfo)
        if until is None or now >= until:
            raise Refusal(403, "AUTHINFO_INVALID", "SDK 调用凭证无效")
        made = secrets.token_hex(18)
        self._faces[made] = Face(openid, out_trade_no, total, now + LIFE)
        return made

    def check(self, data: dict[str, Any], now: datetime) -> None:
        """Whether this code is good for this order of this person.

        Raises:
            Refusal: unknown, used, too old, another order, amount or person.
        """
        found = self._faces.get(str(data["payer"].get("face_code")))
        if found is None or found.used:
            raise Refusal(400, "AUTH_CODE_INVALID", "人脸凭证无效或已使用")
        if now >= found.until:
            raise Refusal(400, "AUTHCODEEXPIRE", "人脸凭证已过期")
        if found.openid != data["payer"].get("openid"):
            raise Refusal(400, "BUYER_MISMATCH", "人脸凭证与 openid 不一致")
        if (found.out_trade_no, found.total) != (data["out_trade_no"], data["amount"]["total"]):
            raise Refusal(400, "PARAM_ERROR", "out_trade_no 或 total_fee 与获取人脸凭证时不一致")

    def use(self, code: str) -> None:
        """It will not be taken again."""
        self._faces[code].used = True
