"""One app of WeChat and the token its calls need: kept once for all processes, renewed before it runs out.

An official account allows few token fetches a day, and a plain token kills the one before; so the stable token is asked
for, kept where every process finds it, and replaced once when WeChat calls it stale. ``wechatpy`` 1.8.18 does the
protocol, in threads; what it lacks (measured) is added here: timeouts on every call, one retry instead of endless ones,
an address by setting, and one closed set of errors. Whoever writes to WeChat does it through ``AppLine.call``.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatException

from kernel.outside import Guard, Rejected, Throttled, Unknown

T = TypeVar("T")
REAL = "https://api.weixin.qq.com"
STALE = frozenset({"40001", "40014", "42001"})
_LIMITS = {45009, 45011}
THREADS = 8
EARLY = 240.0
"""Seconds before its end from which on a token is renewed: in its last five minutes WeChat already gives the next."""
# urllib3 writes whole addresses at debug level, and these carry secrets and codes.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class TokenKeep(Protocol):
    """Where tokens lie so that all processes find them. Must not raise: what cannot be kept is fetched again."""

    async def read(self, name: str) -> tuple[str, float] | None:
        """The value and for how many seconds it is good; None when there is none or it has run out."""

    async def write(self, name: str, value: str, seconds: float) -> None:
        """Keep a value for so long, in place of an older one."""

    async def drop(self, name: str, value: str) -> None:
        """Forget this value; another one that has taken its place stays."""


class Forgetful:
    """``TokenKeep`` for one process alone, which remembers by itself."""

    async def read(self, name: str) -> tuple[str, float] | None:
        """Nothing."""

    async def write(self, name: str, value: str, seconds: float) -> None:
        """Nothing."""

    async def drop(self, name: str, value: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class WeChatApp:
    """An official account or a mini-program, and where WeChat's API is."""

    appid: str
    secret: str = field(repr=False)
    api_base_url: str = REAL


class AppLine:
    """The calls of one app.

    Args:
        keep: where its tokens lie.
        timeout: seconds to connect and to wait for an answer.
    """

    def __init__(
        self,
        app: WeChatApp,
        guard: Guard | None = None,
        keep: TokenKeep | None = None,
        timeout: tuple[float, float] = (3, 5),
    ) -> None:
        self.appid, self._app, self._timeout = app.appid, app, timeout
        self._guard = guard or Guard("wechat", places=THREADS)
        self._keep: TokenKeep = keep or Forgetful()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wechat")
        self._client = _Client(app.appid, app.secret, timeout)
        self.mount(self._client._http)
        self._known: dict[str, tuple[str, float]] = {}  # name -> value, monotonic moment from which it is renewed
        self._turn, self._ticket_turn = asyncio.Lock(), asyncio.Lock()

    async def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client._http.close()

    def mount(self, session: requests.Session) -> None:
        """Have what a session sends to WeChat go to the address of the setting, and never wait for ever."""
        # Some calls are spelled with the real host in the library, so the host is changed at the last moment.
        session.mount(REAL, _Elsewhere(self._app.api_base_url, self._timeout))

    async def call(self, ask: Callable[[WeChatClient], T]) -> T:
        """Ask WeChat something that needs the access token; ``ask`` gets the library's client, in a thread.

        If WeChat calls the token stale it is replaced, and ``ask`` called once more.

        Raises:
            Rejected: a definite no, ``reason`` is WeChat's number (``43004`` …).
            Throttled: not done, too often or too many.
            Unknown: it may have been done.
        """
        token = await self._token()
        try:
            return await self._with(token, ask)
        except Rejected as no:
            if no.reason not in STALE:
                raise
        await self._forget("access_token", token)
        return await self._with(await self._token(), ask)

    async def plain(self, ask: Callable[[WeChatClient], T]) -> T:
        """Ask WeChat something that needs no token; raises as ``call``."""
        return await self._with("", ask)

    def local(self, work: Callable[[WeChatClient], T]) -> T:
        """Let the library compute something; nothing is sent."""
        return work(self._client)

    async def ticket(self) -> str:
        """The ticket in force by which pages are signed (``jsapi_ticket``); raises as ``call``."""

        async def fetch() -> tuple[str, float]:
            told = await self.call(lambda client: client.jsapi.get_ticket("jsapi"))
            return _read(told, "ticket")

        return await self._valid("jsapi_ticket", fetch, self._ticket_turn)

    async def _token(self) -> str:
        async def fetch() -> tuple[str, float]:
            return _read(await self._with("", lambda client: client.fetch_access_token()), "access_token")

        return await self._valid("access_token", fetch, self._turn)

    async def _valid(self, name: str, fetch: Callable[[], Awaitable[tuple[str, float]]], turn: asyncio.Lock) -> str:
        known = self._fresh(name)
        if known is not None:
            return known
        async with turn:  # one fetches, the others wait for what it found
            known = self._fresh(name)
            if known is not None:
                return known
            place = f"{self.appid}/{name}"
            kept = await self._keep.read(place)
            if kept is not None and self._remember(name, *kept):
                return kept[0]
            value, seconds = await fetch()
            self._known[name] = (value, time.monotonic() + seconds - min(EARLY, seconds / 2))
            await self._keep.write(place, value, seconds)
            return value

    def _fresh(self, name: str) -> str | None:
        value, until = self._known.get(name, ("", 0.0))
        return value if until > time.monotonic() else None

    def _remember(self, name: str, value: str, seconds: float) -> bool:
        if seconds <= EARLY:
            return False
        self._known[name] = (value, time.monotonic() + seconds - EARLY)
        return True

    async def _forget(self, name: str, value: str) -> None:
        if self._known.get(name, ("", 0.0))[0] == value:
            del self._known[name]
        await self._keep.drop(f"{self.appid}/{name}", value)

    async def _with(self, token: str, ask: Callable[[WeChatClient], T]) -> T:
        def work() -> T:
            self._client.used.token = token
            return translated(lambda: ask(self._client))

        async def once() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

        return await self._guard.call(once)


class _Client(WeChatClient):  # type: ignore[misc]
    """The library's client with the token it is given for each call, and the stable token to fetch."""

    def __init__(self, appid: str, secret: str, timeout: tuple[float, float]) -> None:
        self.used = threading.local()
        # auto_retry would repeat for ever.
        super().__init__(appid, secret, timeout=timeout, auto_retry=False)

    @property
    def access_token(self) -> str:
        """The token of the call this thread is making."""
        return str(self.used.token)

    def fetch_access_token(self) -> dict[str, Any]:
        """``POST /cgi-bin/stable_token`` without force: repeated calls do not rotate it, other systems keep theirs."""
        asked = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
            "force_refresh": False,
        }
        answer = self._http.post(f"{REAL}/cgi-bin/stable_token", json=asked)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        if told.get("errcode"):
            raise WeChatException(int(told["errcode"]), told.get("errmsg"))
        return told


class _Elsewhere(HTTPAdapter):
    """Sends what the library means for WeChat to the address of the setting, and never waits for ever."""

    def __init__(self, base: str, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._base, self._patience = urlsplit(base.rstrip("/")), timeout

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        path = self._base.path + parts.path
        request.url = urlunsplit((self._base.scheme, self._base.netloc, path, parts.query, ""))
        # The library gives its token and login calls no timeout at all.
        kwargs["timeout"] = self._patience
        return super().send(request, *args, **kwargs)


def _read(told: Any, name: str) -> tuple[str, float]:
    try:
        return str(told[name]), float(told["expires_in"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unknown(f"unreadable answer: {type(error).__name__}") from None


def translated(call: Callable[[], T]) -> T:
    """Run a call of the library; its errors become ours.

    Raises:
        Rejected, Throttled, Unknown: see ``AppLine.call``.
    """
    # ``from None`` everywhere: the causes carry addresses with secrets and codes.
    try:
        return call()
    except WeChatException as error:
        raise _refusal(error.errcode, error.errmsg) from None
    except requests.RequestException as error:
        raise Unknown(type(error).__name__) from None
    except (KeyError, TypeError, ValueError) as error:
        raise Unknown(f"unreadable answer: {type(error).__name__}") from None


def _refusal(errcode: int | None, errmsg: object) -> Rejected | Unknown | Throttled:
    if errcode is None:
        return Unknown("HTTP error")
    if errcode == -1:
        return Unknown("WeChat is busy")
    if errcode in _LIMITS:
        return Throttled(str(errcode))
    return Rejected(str(errcode), str(errmsg or ""))
