"""WeChat's face payment for one merchant, which speaks APIv2: XML, signed with a key of its own (docs/adr/0026).

Only ``facepayreverse`` demands the merchant's certificate in the TLS handshake; it is offered whenever it is asked for.
"""

import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from adapters.wechat_pay.apiv2_line import Apiv2Line, number, refusal, same_order, whole
from adapters.wechat_pay.line import readable
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from payments.ports import CashState, FaceCharge, FacePermit, FaceTerminal, TradeState


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
        self._tls: ssl.SSLContext | None = None
        mine, guarded = settings, guard or Guard("wechat_face")
        self._line = Apiv2Line(mine.mchid, mine.appid, mine.apiv2_key, guarded, timeout, lambda: self.tls, mine.md5)

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
        await self._line.close()

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
            raise refusal(told)
        seconds = readable(lambda a: whole(a["expires_in"]), told)
        return FacePermit(readable(lambda a: a["authinfo"], told), seconds, mine.mchid, mine.appid)

    async def charge_face(self, charge: FaceCharge) -> CashState:
        """Take the money. See ``FacePay.charge_face``."""
        number(charge.out_trade_no)
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
            return same_order({**told, "trade_state": TradeState.SUCCESS}, charge.out_trade_no)
        if told.get("err_code") == TradeState.USERPAYING:  # no more is said while they type
            return CashState(charge.out_trade_no, TradeState.USERPAYING, self.settings.mchid, self.settings.appid)
        raise refusal(told)

    async def query(self, out_trade_no: str) -> CashState:
        """Ask WeChat for the charge. See ``FacePay.query``."""
        number(out_trade_no)
        told = await self._ask(self._place("/pay/facepayquery"), {"out_trade_no": out_trade_no})
        if told.get("result_code") != "SUCCESS":
            raise refusal(told)
        return same_order(told, out_trade_no)

    async def reverse(self, out_trade_no: str) -> None:
        """Undo it, with the merchant's certificate. See ``FacePay.reverse``."""
        number(out_trade_no)
        told = await self._ask(self._place("/secapi/pay/facepayreverse"), {"out_trade_no": out_trade_no})
        if told.get("recall") == "Y":
            raise Unknown("to be asked again")
        if told.get("result_code") != "SUCCESS":
            raise refusal(told)

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
        return await self._line.ask(url, said)


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
