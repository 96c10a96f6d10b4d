"""The letters between an official account's server and us: signed, encrypted, not older than five minutes.

``wechatpy`` 1.8.18 knows the cipher and the XML; added here are what it lacks: comparisons that take the same time, the
age, one error for everything that does not fit, and a refusal of letters that are not encrypted.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from struct import error
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatException
from wechatpy.replies import ArticlesReply, TextReply
from wechatpy.utils import WeChatSigner

from kernel.crypto import digest
from kernel.outside import NotConfigured
from people.ports import ForgedCallbackError, Said, Told, ToldKind

FRESH = timedelta(minutes=5)
NOTHING = "success"  # what WeChat takes for "received, no answer"
_KINDS = {
    "subscribe": ToldKind.FOLLOWED,
    "subscribe_scan": ToldKind.FOLLOWED,
    "unsubscribe": ToldKind.LEFT,
    "scan": ToldKind.SCANNED,
    "click": ToldKind.CLICKED,
    "view": ToldKind.LOOKED,
    "view_miniprogram": ToldKind.LOOKED,
    "templatesendjobfinish": ToldKind.REPORTED,
}
_SPOKEN = {"text", "image", "voice", "video", "shortvideo", "location", "link"}


class CallbackDesk:
    """``people.ports.WeChatDesk`` for one official account.

    Args:
        token, aes_key: as entered in the account's server configuration (43 characters the key).

    Raises:
        NotConfigured: one of the two is missing or misshapen.
    """

    def __init__(self, appid: str, token: str, aes_key: str) -> None:
        if not token:
            raise NotConfigured("wechat.callback_token")
        if not re.fullmatch("[A-Za-z0-9]{43}", aes_key):
            raise NotConfigured("wechat.callback_aes_key")
        self._appid, self._token = appid, token
        self._crypto = WeChatCrypto(token, aes_key, appid)

    def greet(self, params: Mapping[str, str], now: datetime) -> str:
        """See ``WeChatDesk.greet``."""
        self._check(params, "signature", now)
        return params.get("echostr", "")

    def open(self, params: Mapping[str, str], raw: bytes, now: datetime) -> Told:
        """See ``WeChatDesk.open``."""
        try:
            sealed = xmltodict.parse(raw)["xml"]["Encrypt"]
            if not isinstance(sealed, str):
                raise ForgedCallbackError
            self._check(params, "msg_signature", now, sealed)
            plain = self._crypto.decrypt_message(
                {"Encrypt": sealed}, params["msg_signature"], params["timestamp"], params["nonce"]
            )
            return self._told(parse_message(plain))
        except (
            ExpatError,
            WeChatException,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
            error,
        ):
            # What a letter can be wrong in, as the library and the cipher say it: none of it is WeChat's.
            raise ForgedCallbackError from None

    def answer(self, told: Told, said: Said | None, now: datetime) -> str:
        """See ``WeChatDesk.answer``."""
        if said is None:
            return NOTHING
        stamp = int(now.timestamp())
        to: dict[str, Any] = {"source": told.account, "target": told.openid, "time": stamp}
        if said.url is None:
            reply = TextReply(content=said.text, **to)
        else:
            card = {"title": said.title or "", "description": said.text, "url": said.url}
            reply = ArticlesReply(articles=[card], **to)
        return str(self._crypto.encrypt_message(reply.render(), secrets.token_hex(8), str(stamp)))

    def _check(self, params: Mapping[str, str], name: str, now: datetime, *more: str) -> None:
        stamp = params.get("timestamp", "")
        signer = WeChatSigner()
        signer.add_data(self._token, stamp, params.get("nonce", ""), *more)
        if not hmac.compare_digest(str(signer.signature).encode(), params.get(name, "").encode()):
            raise ForgedCallbackError
        if not re.fullmatch("[0-9]{1,12}", stamp) or abs(now - datetime.fromtimestamp(int(stamp), UTC)) > FRESH:
            raise ForgedCallbackError

    def _told(self, message: Any) -> Told:
        data: Mapping[str, Any] = message._data
        openid, account = str(data["FromUserName"]), str(data["ToUserName"])
        made = datetime.fromtimestamp(int(data["CreateTime"]), UTC)
        name = str(data.get("Event", "")).lower() if data["MsgType"] == "event" else ""
        kind = ToldKind.SAID if data["MsgType"] in _SPOKEN else _KINDS.get(name, ToldKind.OTHER)
        number = data.get("MsgId") or data.get("MsgID")
        # WeChat's own advice: by number where there is one, else by who and when; two codes in one second are two.
        mark = f"{number}/{name}" if number else f"{openid}/{data['CreateTime']}/{name}/{data.get('EventKey')}"
        scanned = name in {"subscribe_scan", "scan"}
        return Told(
            kind,
            self._appid,
            openid,
            account,
            digest(f"{self._appid}/{mark}"),
            made,
            scene=str(data.get("EventKey") or "") if scanned else None,
            detail=str(number) if kind is ToldKind.REPORTED else str(data.get("EventKey") or "") or None,
            status=str(data["Status"]) if "Status" in data else None,
        )
