"""The doorman of every request: sizes, where a form came from, the headers that protect a page, and one line of log.

Pure ASGI, so that streams pass through it unbuffered.
"""

import secrets
import time
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.deps import COOKIE, SIGNED_PATHS
from api.metrics import Metrics
from api.problems import answer, bug, plain, route_of
from kernel.errors import Kind

log = structlog.get_logger()

EVENTS_BYTES = 2 * 1024 * 1024
OTHER_BYTES = 256 * 1024
_SAFE = {"GET", "HEAD", "OPTIONS"}
_DEFAULTS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_SECURE = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """ASGI middleware.

    Args:
        base_url: our public address; a form may come from there or from the host it is sent to.
        metrics: where answers are counted.
    """

    def __init__(self, app: ASGIApp, base_url: str, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self.origin = _origin(base_url)
        self.defaults = [*_DEFAULTS, _SECURE] if base_url.startswith("https://") else _DEFAULTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Visit(self, scope, receive, send).run()


class _Visit:
    """One request on its way through."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self._receive, self._send = guard, scope, receive, send
        self.headers = Headers(scope=scope)
        self.id = secrets.token_hex(8)
        self.began = time.perf_counter()
        self.status = 0
        self.left = EVENTS_BYTES if scope["path"] == "/api/his/events" else OTHER_BYTES
        self.too_big = False

    async def run(self) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=self.id)
        try:
            if self._announced() > self.left:
                await self._refuse(413, "payload_too_large")
            elif not self._same_site():
                await self._refuse(403, "csrf")
            else:
                await self.guard.app(self.scope, self.receive, self.send)
        except ClientDisconnect:
            if self.too_big:
                await self._refuse(413, "payload_too_large")
        except Exception as error:
            if self.status:
                raise
            await self._answer(await bug(Request(self.scope), error))
        finally:
            self._note()

    def _announced(self) -> int:
        length = self.headers.get("content-length", "0")
        return int(length) if length.isdigit() else 0

    def _same_site(self) -> bool:
        scope, headers = self.scope, self.headers
        if scope["method"] in _SAFE or scope["path"].startswith(SIGNED_PATHS):
            return True
        cookie = f"{COOKIE}=" in headers.get("cookie", "")
        if not cookie and headers.get("authorization", "").lower().startswith("bearer "):
            return True
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in {"same-origin", "none"}
        origin = headers.get("origin")
        if origin is not None:
            return origin in {f"{scope['scheme']}://{headers.get('host', '')}", self.guard.origin}
        return not cookie

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                # Said by ``send`` instead of the answer the app makes of a body cut short.
                self.too_big = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.too_big:
                self.too_big = False
                self.status = 413
                await self._refuse(413, "payload_too_large")
                return
            self._dress(message)
        elif self.status == 413 and self.left < 0:
            return
        await self._send(message)

    def _dress(self, message: Message) -> None:
        self.status = message["status"]
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        said = {name for name, _ in headers}
        headers += [default for default in self.guard.defaults if default[0] not in said]
        message["headers"] = [*headers, (b"x-request-id", self.id.encode())]
        self.guard.metrics.seconds.labels(route_of(self.scope)).observe(time.perf_counter() - self.began)

    async def _refuse(self, status: int, code: str) -> None:
        kind = Kind.FORBIDDEN if status == 403 else Kind.INVALID
        await self._answer(answer(Request(self.scope), plain(status, code, kind)))

    async def _answer(self, response: Response) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(message)
            await self._send(message)

        await response(self.scope, self._receive, dressed)

    def _note(self) -> None:
        method, route = self.scope["method"], route_of(self.scope)
        self.guard.metrics.requests.labels(method, route, self.status).inc()
        quiet = route in {"/livez", "/readyz", "/metrics"} or self.scope["path"].startswith("/static/")
        ms = round((time.perf_counter() - self.began) * 1000, 1)
        (log.debug if quiet else log.info)("request", method=method, route=route, status=self.status, ms=ms)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
