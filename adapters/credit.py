"""The city's credit platform: one question about one person, signed both ways, answered with a word and a number.

There is no national wire format; this is the one of our own contract, small enough for a city to stand in front of
whatever it has: ``POST {url}/v1/records/query`` with ``{request_id, id_type, id_number, name, purpose}``, signed
``X-Houfu-Signature: v1=<hex HMAC-SHA256(secret, timestamp + "." + body)>`` beside ``X-Houfu-Timestamp`` and
``X-Houfu-Key``; answered ``{request_id, level: NONE | MINOR | SERIOUS, reference}`` with the same signature over the
answer. 404 means the platform does not know such an identity.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from consent.ports import CreditRecord
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown

PURPOSE = "medical_deferred_payment"
FRESH_SECONDS = 300
_MOST = 16 * 1024


@dataclass(frozen=True, slots=True)
class CreditSettings:
    """Address and key of the platform."""

    url: str
    key_id: str
    secret: str = field(repr=False)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    request_id: str
    level: Literal["NONE", "MINOR", "SERIOUS"]
    reference: str


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature header of one message."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class CityCredit:
    """``consent.ports.CreditPlatform``.

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(
        self,
        settings: CreditSettings,
        now: Callable[[], datetime],
        guard: Guard | None = None,
        timeout: tuple[float, float] = (3, 5),
    ) -> None:
        for name in ("url", "key_id", "secret"):
            if not getattr(settings, name):
                raise NotConfigured(f"credit.{name}")
        self._settings, self._now = settings, now
        self._guard = guard or Guard("credit", places=4)
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(timeout[1], connect=timeout[0]), trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def record_of(self, id_number: str, name: str, request_id: str) -> CreditRecord:
        """Ask for one person. See ``consent.ports.CreditPlatform.record_of``."""
        asked = {
            "request_id": request_id,
            "id_type": "resident",
            "id_number": id_number,
            "name": name,
            "purpose": PURPOSE,
        }
        answer = await self._guard.call(lambda: self._post(json.dumps(asked, ensure_ascii=False).encode()))
        if answer.request_id != request_id:
            raise Unknown("an answer to another question")
        return CreditRecord(answer.level == "SERIOUS", answer.reference)

    async def _post(self, body: bytes) -> _Answer:
        timestamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Houfu-Key": self._settings.key_id,
            "X-Houfu-Timestamp": timestamp,
            "X-Houfu-Signature": signature(self._settings.secret, timestamp, body),
        }
        try:
            answer = await self._http.post(f"{self._settings.url}/v1/records/query", content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unknown(type(error).__name__) from None
        if answer.status_code == 429:
            raise Throttled("HTTP 429")
        if answer.status_code >= 500:
            raise Unknown(f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise Rejected(f"HTTP_{answer.status_code}")
        return self._believed(answer)

    def _believed(self, answer: Any) -> _Answer:
        given, at = answer.headers.get("X-Houfu-Signature", ""), answer.headers.get("X-Houfu-Timestamp", "")
        right = hmac.compare_digest(given, signature(self._settings.secret, at, answer.content))
        fresh = at.isdigit() and abs(self._now().timestamp() - int(at)) <= FRESH_SECONDS
        if not right or not fresh or len(answer.content) > _MOST:
            raise Unknown("an answer nobody signed")
        try:
            return _Answer.model_validate_json(answer.content)
        except ValidationError:
            raise Unknown("an answer of another form") from None
