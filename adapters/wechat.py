"""Our line to WeChat itself: who is logging in, a signed page, and the token by which everything else is asked.

``wechatpy`` 1.8.18 does the protocol, in threads. This module adds what it lacks (measured): timeouts on every call,
the stable token (a hospital's account is usually driven by other systems too, and plain tokens invalidate each other),
one retry after an expired token instead of endless ones, an address by setting, and one closed set of errors.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient, WeChatOAuth
from wechatpy.exceptions import WeChatException
from wechatpy.session import SessionStorage

from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from people.ports import WeChatSubject

T = TypeVar("T")
_REAL = "https://api.weixin.qq.com"
_STALE_TOKEN = {40001, 40014, 42001}
_LIMITS = {45009, 45011}
_THREADS = 8
# urllib3 writes whole addresses at debug level, and these carry secrets and codes.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class WeChatSettings:
    """One hospital's official account, and its mini-program where there is one."""

    appid: str
    secret: str = field(repr=False)
    mini_appid: str | None = None
    mini_secret: str | None = field(default=None, repr=False)
    api_base_url: str = _REAL
    open_base_url: str = "https://open.weixin.qq.com"


class WeChat:
    """``people.ports.WeChatIdentity`` over WeChat; ``adapters.wechat_messages`` writes to people on the same line.

    Args:
        timeout: seconds to connect and to wait for an answer.

    Raises:
        NotConfigured: no official account.
    """

    def __init__(
        self, settings: WeChatSettings, guard: Guard | None = None, timeout: tuple[float, float] = (3, 5)
    ) -> None:
        if not settings.appid or not settings.secret:
            raise NotConfigured("wechat.appid")
        self._settings, self._timeout = settings, timeout
        self._guard = guard or Guard("wechat", places=_THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="wechat")
        self._account = _client(settings.appid, settings.secret, settings, timeout)
        self._mini = (
            _client(settings.mini_appid, settings.mini_secret, settings, timeout)
            if settings.mini_appid and settings.mini_secret
            else None
        )

    async def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._account._http.close()
        if self._mini is not None:
            self._mini._http.close()

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        """Where to send the browser. See ``WeChatIdentity.authorize_url``."""
        return str(self._oauth(redirect_uri, state, scope).authorize_url)

    async def exchange(self, code: str) -> WeChatSubject:
        """Turn a web login's code into the person. See ``WeChatIdentity.exchange``."""

        def ask() -> WeChatSubject:
            oauth = self._oauth("", "", "snsapi_base")
            try:
                return _subject(oauth.fetch_access_token(code))
            finally:
                oauth._http.close()

        return await self._ask(ask)

    async def mini_session(self, js_code: str) -> WeChatSubject:
        """Turn a mini-program's login code into the person. See ``WeChatIdentity.mini_session``."""
        mini = self._mini
        if mini is None:
            raise NotConfigured("wechat.mini_appid")
        return await self._ask(lambda: mini.fresh(lambda: _subject(mini.wxa.code_to_session(js_code))))

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        """Sign a page's address for ``wx.config``. See ``WeChatIdentity.jssdk_config``."""
        client = self._account

        def ask() -> dict[str, str | int]:
            ticket = client.fresh(client.jsapi.get_jsapi_ticket)
            nonce, stamp = secrets.token_hex(8), int(time.time())
            # The page's address without its fragment, else WeChat answers "invalid signature".
            signature = client.jsapi.get_jsapi_signature(nonce, ticket, stamp, url.partition("#")[0])
            return {"appId": client.appid, "timestamp": stamp, "nonceStr": nonce, "signature": str(signature)}

        return await self._ask(ask)

    async def with_account(self, call: Callable[[Any], T]) -> T:
        """Have the official account's client called in a thread, with a token in force; errors as everywhere here."""
        client = self._account
        return await self._ask(lambda: client.fresh(lambda: call(client)))

    def _oauth(self, redirect_uri: str, state: str, scope: str) -> WeChatOAuth:
        oauth = WeChatOAuth(self._settings.appid, self._settings.secret, redirect_uri, scope, state)
        oauth.OAUTH_BASE_URL = self._settings.open_base_url.rstrip("/") + "/connect/"
        _mount(oauth._http, self._settings, self._timeout)
        return oauth

    async def _ask(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()

        async def once() -> T:
            return await loop.run_in_executor(self._threads, _translated, call)

        return await self._guard.call(once)


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


class _Storage(SessionStorage):  # type: ignore[misc]
    """Tokens in memory that really expire: the library's own storage ignores the ttl."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, default: Any = None) -> Any:
        value, until = self._kept.get(key, (default, 0.0))
        return value if until > time.monotonic() else default

    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        if value is not None:
            # A minute early; the ticket keys come without ttl and carry their own expiry beside them.
            self._kept[key] = (value, time.monotonic() + (max(ttl - 60, 1) if ttl else 7200))

    def delete(self, key: str) -> None:
        self._kept.pop(key, None)


class _StableClient(WeChatClient):  # type: ignore[misc]
    """The library's client on the stable token, one fetch at a time, one retry when WeChat calls a token stale."""

    def __init__(self, appid: str, secret: str, timeout: tuple[float, float]) -> None:
        # auto_retry would repeat for ever.
        super().__init__(appid, secret, session=_Storage(), timeout=timeout, auto_retry=False)
        self._fetching = threading.Lock()

    @property
    def access_token(self) -> str:
        """The token in force."""
        token = self.session.get(self.access_token_key)
        if token is None:
            with self._fetching:
                token = self.session.get(self.access_token_key)
                if token is None:
                    self.fetch_access_token()
                    token = self.session.get(self.access_token_key)
        return str(token)

    def fetch_access_token(self) -> dict[str, Any]:
        """``POST /cgi-bin/stable_token`` without force: repeated calls do not rotate it, other systems keep theirs."""
        asked = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
            "force_refresh": False,
        }
        answer = self._http.post(f"{_REAL}/cgi-bin/stable_token", json=asked)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        if told.get("errcode"):
            raise WeChatException(int(told["errcode"]), told.get("errmsg"))
        self.session.set(self.access_token_key, told["access_token"], int(told["expires_in"]))
        return told

    def fresh(self, call: Callable[[], T]) -> T:
        """Call; if WeChat says the token is stale, forget it and call once more."""
        used = self.session.get(self.access_token_key)
        try:
            return call()
        except WeChatException as error:
            if error.errcode not in _STALE_TOKEN:
                raise
            if self.session.get(self.access_token_key) == used or used is None:
                self.session.delete(self.access_token_key)
            return call()


def _client(appid: str, secret: str, settings: WeChatSettings, timeout: tuple[float, float]) -> _StableClient:
    client = _StableClient(appid, secret, timeout)
    _mount(client._http, settings, timeout)
    return client


def _mount(session: requests.Session, settings: WeChatSettings, timeout: tuple[float, float]) -> None:
    # One token call is spelled with the real host in the library, so the host is changed at the last moment.
    session.mount(_REAL, _Elsewhere(settings.api_base_url, timeout))


def _subject(answer: Mapping[str, Any]) -> WeChatSubject:
    return WeChatSubject(str(answer["openid"]), answer.get("unionid") or None)


def _translated(call: Callable[[], T]) -> T:
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
