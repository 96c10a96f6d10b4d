"""Our line to WeChat itself: who logs in, signed pages, codes that lead on, the menu; messages go over it, too."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wechatpy import WeChatClient, WeChatOAuth

from adapters.wechat_token import REAL, THREADS, AppLine, TokenKeep, WeChatApp
from kernel.outside import Guard, NotConfigured
from people.ports import WeChatSubject


@dataclass(frozen=True, slots=True)
class WeChatSettings:
    """One hospital's official account, and its mini-program where there is one."""

    appid: str
    secret: str = field(repr=False)
    mini_appid: str | None = None
    mini_secret: str | None = field(default=None, repr=False)
    api_base_url: str = REAL
    open_base_url: str = "https://open.weixin.qq.com"


class WeChat:
    """``people.ports.WeChatIdentity`` and ``people.ports.WeChatAccount`` over WeChat.

    ``adapters.wechat_messages`` writes to people on the same line.

    Args:
        timeout: seconds to connect and to wait for an answer.
        keep: where tokens lie for all processes.

    Attributes:
        account, mini: the calls of the official account, and of the mini-program where there is one.

    Raises:
        NotConfigured: no official account.
    """

    def __init__(
        self,
        settings: WeChatSettings,
        guard: Guard | None = None,
        timeout: tuple[float, float] = (3, 5),
        keep: TokenKeep | None = None,
    ) -> None:
        if not settings.appid or not settings.secret:
            raise NotConfigured("wechat.appid")
        self._settings = settings
        guard = guard or Guard("wechat", places=THREADS)
        self.account = AppLine(WeChatApp(settings.appid, settings.secret, settings.api_base_url), guard, keep, timeout)
        self.mini: AppLine | None = None
        if settings.mini_appid and settings.mini_secret:
            app = WeChatApp(settings.mini_appid, settings.mini_secret, settings.api_base_url)
            self.mini = AppLine(app, guard, keep, timeout)

    async def close(self) -> None:
        """Let go of threads and connections."""
        await self.account.close()
        if self.mini is not None:
            await self.mini.close()

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        """Where to send the browser. See ``WeChatIdentity.authorize_url``."""
        return str(self._oauth(redirect_uri, state, scope).authorize_url)

    async def exchange(self, code: str) -> WeChatSubject:
        """Turn a web login's code into the person. See ``WeChatIdentity.exchange``."""

        def ask(_: WeChatClient) -> WeChatSubject:
            oauth = self._oauth("", "", "snsapi_base")
            try:
                return _subject(oauth.fetch_access_token(code))
            finally:
                oauth._http.close()

        return await self.account.plain(ask)

    async def mini_session(self, js_code: str) -> WeChatSubject:
        """Turn a mini-program's login code into the person. See ``WeChatIdentity.mini_session``."""
        if self.mini is None:
            raise NotConfigured("wechat.mini_appid")
        return await self.mini.plain(lambda client: _subject(client.wxa.code_to_session(js_code)))

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        """Sign a page's address for ``wx.config``. See ``WeChatIdentity.jssdk_config``."""
        ticket = await self.account.ticket()
        nonce, stamp = secrets.token_hex(8), int(time.time())

        def sign(client: WeChatClient) -> str:
            # The page's address without its fragment, else WeChat answers "invalid signature".
            return str(client.jsapi.get_jsapi_signature(nonce, ticket, stamp, url.partition("#")[0]))

        signature = self.account.local(sign)
        return {"appId": self.account.appid, "timestamp": stamp, "nonceStr": nonce, "signature": signature}

    async def scene_qr(self, scene: str, seconds: int) -> str:
        """A code that brings ``scene`` to us. See ``WeChatAccount.scene_qr``."""
        asked = {
            "expire_seconds": seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        return await self.account.call(lambda client: str(client.qrcode.create(asked)["url"]))

    async def menu(self) -> Sequence[Mapping[str, Any]]:
        """The buttons shown now. See ``WeChatAccount.menu``."""

        def ask(client: WeChatClient) -> list[dict[str, Any]]:
            found = client.menu.get()
            return [] if found is None else list(found["menu"]["button"])

        return await self.account.call(ask)

    async def set_menu(self, buttons: Sequence[Mapping[str, Any]]) -> None:
        """Show these buttons. See ``WeChatAccount.set_menu``."""
        await self.account.call(lambda client: client.menu.create({"button": list(buttons)}))

    def _oauth(self, redirect_uri: str, state: str, scope: str) -> WeChatOAuth:
        oauth = WeChatOAuth(self._settings.appid, self._settings.secret, redirect_uri, scope, state)
        oauth.OAUTH_BASE_URL = self._settings.open_base_url.rstrip("/") + "/connect/"
        self.account.mount(oauth._http)
        return oauth


def _subject(answer: Mapping[str, Any]) -> WeChatSubject:
    return WeChatSubject(str(answer["openid"]), answer.get("unionid") or None)
