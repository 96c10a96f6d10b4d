"""How the patient's consent in the insurance's mini-program becomes a number we may use: one question to the city host.

``POST {base_url}/api/mipuserquery/userQuery/{partner_id}`` with ``{"qrcode", "openid"}``; headers
``god-portal-timestamp`` (milliseconds), ``god-portal-request-id``, ``god-portal-signature`` = hex HMAC-SHA256 over
partner id and timestamp. The answer is unsigned, so it is worth what its TLS connection is worth.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from kernel.outside import NotConfigured, Rejected, Throttled, Unknown
from payments.ports import Authorized

_MOST = 64 * 1024


@dataclass(frozen=True, slots=True)
class UserQuerySettings:
    """The city host and our partnership with it."""

    base_url: str
    partner_id: str
    partner_secret: str = field(repr=False)


class UserQuery:
    """Asks the city host; no code, openid or number ever gets into an error.

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(self, settings: UserQuerySettings, http: httpx.AsyncClient, clock: Callable[[], datetime]) -> None:
        for name in ("base_url", "partner_id", "partner_secret"):
            if not getattr(settings, name):
                raise NotConfigured(f"insurance.user_query.{name}")
        self._settings, self._http, self._clock = settings, http, clock

    async def resolve(self, auth_code: str, openid: str) -> Authorized:
        """See ``payments.ports.InsuranceCenter.resolve_auth``."""
        if not auth_code or not openid:
            raise Rejected("PARAM_ERROR", "auth_code or openid")
        mine = self._settings
        url = f"{mine.base_url.rstrip('/')}/api/mipuserquery/userQuery/{quote(mine.partner_id, safe='')}"
        body = json.dumps({"qrcode": auth_code, "openid": openid}).encode()
        try:
            answer = await self._http.post(url, content=body, headers=self._headers())
        except httpx.HTTPError as error:
            raise Unknown(f"insurance: {type(error).__name__}") from None
        if answer.status_code == 429:
            raise Throttled("insurance: HTTP 429")
        if answer.status_code != 200 or len(answer.content) > _MOST:
            raise Unknown(f"insurance: user query answered HTTP {answer.status_code}")
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise Unknown("insurance: user query is no object")
        return _authorized(told)

    def _headers(self) -> dict[str, str]:
        stamp = str(int(self._clock().timestamp() * 1000))
        text = f"{self._settings.partner_id}{stamp}"
        mac = hmac.new(self._settings.partner_secret.encode(), text.encode(), hashlib.sha256)
        return {
            "Content-Type": "application/json",
            "god-portal-timestamp": stamp,
            "god-portal-request-id": uuid.uuid4().hex,
            "god-portal-signature": mac.hexdigest(),
        }


def _authorized(told: dict[str, Any]) -> Authorized:
    code = told.get("code")
    if str(code) != "0":
        if isinstance(code, int | str) and code != "":
            raise Rejected(str(code)[:64])
        raise Unknown("insurance: user query without a code")
    own, family = told.get("pay_auth_no") or "", told.get("family_pay_auth_no") or ""
    if not isinstance(own, str) or not isinstance(family, str) or bool(own) == bool(family):
        # Both or none: whose insurance it would be is not to be guessed.
        raise Unknown("insurance: not exactly one authorization")
    return Authorized(
        pay_auth_no=own or family,
        family=bool(family),
        name=str(told.get("user_name") or ""),
        card=str(told.get("user_card_no") or ""),
        ec_token=str(told.get("ec_token") or "") or None,
    )
