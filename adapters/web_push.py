"""Rings a browser through its maker's push service: encrypted for that browser alone, signed with our VAPID key.

``pywebpush`` encrypts (RFC 8291), signs (RFC 8292) and sends, in threads; this module sets deadlines, calls only push
services it knows (a subscription is an address a browser gave us), and sorts answers into ``kernel.outside``.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from notices.ports import Subscription

_THREADS = 8
_GONE = {404, 410}
_LATER = {429, 503}
SERVICES = (
    "fcm.googleapis.com",
    ".push.apple.com",
    "updates.push.services.mozilla.com",
    ".notify.windows.com",
    ".push.services.huawei.com",
)
"""Push services by host; one that begins with a dot means every host below."""
logging.getLogger("pywebpush").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class WebPushSettings:
    """Our VAPID key (PEM) and whom a push service may write to about us; ``services`` as in ``SERVICES``."""

    private_key: str = field(repr=False)
    contact: str
    services: tuple[str, ...] = SERVICES


class VapidPush:
    """``notices.ports.WebPush`` by VAPID.

    Raises:
        NotConfigured: no key or no contact.
        ValueError: the key is no P-256 key in PEM.
    """

    def __init__(self, settings: WebPushSettings, guard: Guard | None = None, timeout: float = 6) -> None:
        if not settings.private_key:
            raise NotConfigured("web_push.private_key")
        if not settings.contact.startswith(("mailto:", "https://")):
            raise NotConfigured("web_push.contact")
        self._settings, self._timeout = settings, timeout
        self._guard = guard or Guard("web_push", places=_THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="web-push")
        self._vapid, self._public = _vapid(settings.private_key)
        self._http = requests.Session()
        self._http.trust_env = False

    async def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    @property
    def public_key(self) -> str:
        """See ``WebPush.public_key``."""
        return self._public

    def accepts(self, endpoint: str) -> bool:
        """See ``WebPush.accepts``: https and a service of the setting; on this machine the sandbox, by its port."""
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        if host == "127.0.0.1":
            return parts.scheme == "http" and parts.netloc in self._settings.services
        known = any(host.endswith(s) if s.startswith(".") else host == s for s in self._settings.services)
        return parts.scheme == "https" and known and parts.port in (None, 443) and parts.username is None

    async def push(self, to: Subscription, payload: Mapping[str, str], topic: str, ttl: int, urgent: bool) -> None:
        """See ``WebPush.push``."""
        if not self.accepts(to.endpoint):
            raise Rejected("GONE", "not a push service")
        headers = {"Topic": topic, "Urgency": "high" if urgent else "normal"}
        text = json.dumps(dict(payload), ensure_ascii=False, separators=(",", ":"))
        loop = asyncio.get_running_loop()

        async def once() -> None:
            await loop.run_in_executor(self._threads, self._send, to, text, headers, ttl)

        await self._guard.call(once)

    def _send(self, to: Subscription, text: str, headers: dict[str, str], ttl: int) -> None:
        # Imported late: it brings an HTTP client of its own that we do not use.
        from pywebpush import WebPushException, webpush

        try:
            webpush(
                {"endpoint": to.endpoint, "keys": {"p256dh": to.p256dh, "auth": to.auth}},
                text,
                vapid_private_key=self._vapid,
                vapid_claims={"sub": self._settings.contact},
                timeout=self._timeout,
                ttl=ttl,
                headers=headers,
                requests_session=self._http,
            )
        except WebPushException as error:
            # ``from None``: the cause carries the endpoint, which is as good as a key.
            status = None if error.response is None else int(error.response.status_code)
            raise _refusal(status) from None
        except requests.RequestException as error:
            raise Unknown(type(error).__name__) from None
        except (ValueError, TypeError, KeyError) as error:
            raise Rejected("GONE", f"keys of no use: {type(error).__name__}") from None


def _vapid(pem: str) -> tuple[Any, str]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from py_vapid import Vapid

    try:
        made = Vapid.from_pem(pem.encode())
        public: EllipticCurvePublicKey = made.public_key
        raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    except Exception as error:
        raise ValueError(f"web_push_private_key is no P-256 key in PEM: {type(error).__name__}") from None
    if len(raw) != 65:
        raise ValueError("web_push_private_key is no P-256 key")
    return made, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _refusal(status: int | None) -> Rejected | Unknown | Throttled:
    if status in _GONE:
        return Rejected("GONE", str(status))
    if status in _LATER:
        return Throttled(str(status))
    if status is None or status >= 500:
        return Unknown(f"HTTP {status}")
    return Rejected(str(status))


def services(text: str) -> Sequence[str]:
    """The setting: hosts separated by spaces; empty takes those we know."""
    return tuple(text.split()) or SERVICES
