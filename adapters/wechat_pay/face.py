"""WeChat's face payment for one merchant, which speaks APIv2: XML, signed with a key of its own (docs/adr/0026).

Only ``facepayreverse`` demands the merchant's certificate in the TLS handshake; it is offered whenever it is asked for.
A signed answer has no time in it, so its freshness rests on TLS. ``return_code`` FAIL is unsigned and proves nothing.
"""

import re
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from adapters.wechat_pay import apiv2
from adapters.wechat_pay.line import BEIJING, readable
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import CashState, FaceCharge, FacePermit, FaceTerminal, TradeState

_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
_DEFINITE = {
    "AUTHCODEEXPIRE": "AUTH_CODE_INVALID",
    "AUTH_CODE_ERROR": "AUTH_CODE_INVALID",
    "AUTH_CODE_INVALID": "AUTH_CODE_INVALID",
    "NOTENOUGH": "NOT_ENOUGH",
    "NOTSUPORTCARD": "TRADE_ERROR",
    "TRADE_ERROR": "TRADE_ERROR",
    "ORDERPAID": "ORDER_PAID",
    "ORDERCLOSED": "ORDER_CLOSED",
    "ORDERREVERSED": "ORDER_REVERSED",
    "ORDERNOTEXIST": "ORDER_NOT_EXIST",
    "OUT_TRADE_NO_USED": "OUT_TRADE_NO_USED",
    "REVERSE_EXPIRE": "REVERSE_EXPIRE",
    "INVALID_REQUEST": "INVALID_REQUEST",
    "INVALID_TRANSACTIONID": "INVALID_REQUEST",
    "BUYER_MISMATCH": "INVALID_REQUEST",
    "PARAM_ERROR": "PARAM_ERROR",
    "LACK_PARAMS": "PARAM_ERROR",
    "NOAUTH": "NO_AUTH",
    "APPID_NOT_EXIST": "NO_AUTH",
    "MCHID_NOT_EXIST": "NO_AUTH",
    "APPID_MCHID_NOT_MATCH": "NO_AUTH",
}
"""Every refusal that counts as a no. A word that is not here is no proof of anything."""
_LATER = {"FREQUENCY_LIMITED", "FREQ_LIMIT"}


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """One merchant at APIv2. ``cert`` and ``private_key`` are PEM texts; ``ca_cert`` only where WeChat's is private.

    ``terminal_base_url`` is another host of WeChat's, which lets a terminal look. ``md5``: how the account signs.
    """

    mchid: str
    appid: str
    apiv2_key: str = field(repr=False)
    cert: str
    private_key: str = field(repr=False)
    base_url: str = "https://api.mch.weixin.qq.com"
    terminal_base_url: str = "https://payapp.weixin.qq.com"
    ca_cert: str = ""
    md5: bool = False


class WeChatFace:
    """``payments.ports.FacePay``; ``close`` it in the end.

    Raises:
        NotConfigured: a setting is empty, or key and certificate are not each other's.
    """

    def __init__(self, settings: FaceSettings, guard: Guard | None = None, timeout: tuple[float, float] = (3, 5)):
        for name in (f.name for f in fields(settings) if f.name not in ("ca_cert", "md5")):
            if not getattr(settings, name):
                raise NotConfigured(f"wechat_face.{name}")
        self.settings = settings
        self._guard = guard or Guard("wechat_face")
        self._timeout = httpx.Timeout(timeout[1], connect=timeout[0])
        self._tls: ssl.SSLContext | None = None
        self._client: httpx.AsyncClient | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """The handshake, made when it is first needed.

        Raises:
            NotConfigured: key or certificate cannot be used.
        """
        if self._tls is None:
            self._tls = _handshake(self.settings)
        return self._tls

    @property
    def certificate_until(self) -> datetime:
        """When the merchant's certificate ends."""
        return x509.load_pem_x509_certificate(self.settings.cert.encode()).not_valid_after_utc

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def authorize_terminal(self, asked: FaceTerminal) -> FacePermit:
        """Let a terminal look. See ``FacePay.authorize_terminal``."""
        mine = self.settings
        told = await self._ask(
            f"{mine.terminal_base_url.rstrip('/')}/face/get_wxpayface_authinfo",
            {
                "version": "1",
                "now": str(int(time.time())),
                "rawdata": asked.rawdata,
                "store_id": asked.store[:32],
                "store_name": asked.store_name[:64],
                "device_id": asked.terminal[:32],
            },
        )
        if told.get("result_code", "SUCCESS") != "SUCCESS":
            raise _refusal(told)
        seconds = readable(lambda a: _whole(a["expires_in"]), told)
        return FacePermit(readable(lambda a: a["authinfo"], told), seconds, mine.mchid, mine.appid)

    async def charge_face(self, charge: FaceCharge) -> CashState:
        """Take the money. See ``FacePay.charge_face``."""
        _number(charge.out_trade_no)
        if type(charge.amount_fen) is not int or charge.amount_fen < 1:
            raise Rejected("PARAM_ERROR", "amount")
        if not charge.face_code or not charge.payer_openid or not charge.terminal_ip:
            raise Rejected("PARAM_ERROR", "face")
        asked = {
            "device_info": charge.terminal[:32],
            # The limit is in bytes.
            "body": charge.description.encode()[:128].decode(errors="ignore"),
            "attach": charge.attach[:127],
            "out_trade_no": charge.out_trade_no,
            "total_fee": str(charge.amount_fen),
            "fee_type": "CNY",
            "spbill_create_ip": charge.terminal_ip,
            "openid": charge.payer_openid,
            "face_code": charge.face_code,
        }
        told = await self._ask(self._place("/pay/facepay"), asked)
        if told.get("result_code") == "SUCCESS":
            return self._same_order({**told, "trade_state": TradeState.SUCCESS}, charge.out_trade_no)
        if told.get("err_code") == TradeState.USERPAYING:  # no more is said while they type
            return CashState(charge.out_trade_no, TradeState.USERPAYING, self.settings.mchid, self.settings.appid)
        raise _refusal(told)

    async def query(self, out_trade_no: str) -> CashState:
        """Ask WeChat for the charge. See ``FacePay.query``."""
        _number(out_trade_no)
        told = await self._ask(self._place("/pay/facepayquery"), {"out_trade_no": out_trade_no})
        if told.get("result_code") != "SUCCESS":
            raise _refusal(told)
        return self._same_order(told, out_trade_no)

    async def reverse(self, out_trade_no: str) -> None:
        """Undo it, with the merchant's certificate. See ``FacePay.reverse``."""
        _number(out_trade_no)
        told = await self._ask(self._place("/secapi/pay/facepayreverse"), {"out_trade_no": out_trade_no})
        if told.get("recall") == "Y":
            raise Unknown("to be asked again")
        if told.get("result_code") != "SUCCESS":
            raise _refusal(told)

    def _place(self, path: str) -> str:
        return self.settings.base_url.rstrip("/") + path

    async def _ask(self, url: str, asked: Mapping[str, str]) -> dict[str, str]:
        """One call: the fields of its verified answer."""
        mine = self.settings
        said = {
            "appid": mine.appid,
            "mch_id": mine.mchid,
            "nonce_str": secrets.token_hex(16),
            "sign_type": "MD5" if mine.md5 else "HMAC-SHA256",
            **{name: value for name, value in asked.items() if value},
        }
        raw = apiv2.write({**said, "sign": apiv2.sign(said, mine.apiv2_key, md5=mine.md5)})
        if self._client is None:
            self._client = httpx.AsyncClient(verify=self.tls, timeout=self._timeout)
        client = self._client

        async def once() -> dict[str, str]:
            try:
                answer = await client.post(url, content=raw, headers={"Content-Type": "text/xml; charset=utf-8"})
            except httpx.HTTPError as error:
                raise Unknown(type(error).__name__) from None
            if answer.status_code != 200:
                raise Unknown(f"HTTP {answer.status_code}")
            return self._verified(answer.content)

        return await self._guard.call(once)

    def _verified(self, raw: bytes) -> dict[str, str]:
        told = readable(apiv2.read, raw)
        if told.get("return_code") != "SUCCESS":
            raise Unknown(f"return_code {told.get('return_code')}: {told.get('return_msg', '')[:80]}")
        if not apiv2.holds(told, self.settings.apiv2_key, md5=self.settings.md5):
            raise Unknown("unverifiable")
        if told.get("mch_id") != self.settings.mchid or told.get("appid") != self.settings.appid:
            raise Unknown("the answer is for another merchant")
        if told.get("err_code") in _LATER:
            raise Throttled(told["err_code"])
        return told

    def _same_order(self, told: Mapping[str, str], out_trade_no: str) -> CashState:
        state = readable(_cash_state, told)
        if state.out_trade_no != out_trade_no:
            raise Unknown("the answer is about another order")
        return state


def _refusal(told: Mapping[str, str]) -> Rejected | Unknown:
    code = told.get("err_code", "")
    if code in _DEFINITE:
        return Rejected(_DEFINITE[code], told.get("err_code_des", ""))
    return Unknown(f"result_code {told.get('result_code')} {code}")


def _number(out_trade_no: str) -> None:
    if not _OUT_TRADE_NO.fullmatch(out_trade_no):
        raise Rejected("PARAM_ERROR", "out_trade_no")


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError("not a whole number")
    return int(text)


def _cash_state(told: Mapping[str, str]) -> CashState:
    ended = told.get("time_end")
    at = datetime.strptime(ended, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC) if ended else None
    return CashState(
        out_trade_no=told["out_trade_no"],
        trade_state=TradeState(told["trade_state"]),
        mchid=told["mch_id"],
        appid=told["appid"],
        transaction_id=told.get("transaction_id"),
        amount_fen=_whole(told["total_fee"]) if "total_fee" in told else None,
        payer_openid=told.get("openid"),
        success_time=at,
        trade_type=told.get("trade_type"),
        attach=told.get("attach", ""),
    )


def _handshake(settings: FaceSettings) -> ssl.SSLContext:
    try:
        key = load_pem_private_key(settings.private_key.encode(), None)
        mine = x509.load_pem_x509_certificate(settings.cert.encode())
    except ValueError:
        raise NotConfigured("wechat_face.cert") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != mine.public_key().public_bytes(*form):
        raise NotConfigured("wechat_face.private_key")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_cert:
        tls.load_verify_locations(cadata=settings.ca_cert)
    else:
        tls.load_default_certs()
    # The ssl module reads files only: the key lies in one sealed with a word that is forgotten at once.
    word = secrets.token_hex(32)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(word.encode()))
    with TemporaryDirectory() as folder:  # nobody else may look into it
        both = Path(folder) / "merchant.pem"
        both.write_bytes(sealed + b"\n" + settings.cert.encode())
        tls.load_cert_chain(both, password=word)
    return tls
