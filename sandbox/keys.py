"""The sandbox's key cabinet: every key and certificate of the made-up outside world, made once into one directory.

``make(directory)`` writes ``keys.json`` (mode 0600) on first use and reads it afterwards. None of it is worth
anything outside this machine; nothing here may ever be a real hospital's.
"""

import json
import os
import secrets
import string
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.insurance import keys as insurance_keys
from sandbox.insurance.keys import InsuranceKeys
from sandbox.wechat_pay.papay import PLAN_ID

_FILE = "keys.json"


@dataclass(frozen=True, slots=True)
class WeChatKeys:
    """The official account's and the mini-program's identities."""

    appid: str
    secret: str
    mini_appid: str
    mini_secret: str
    callback_token: str = ""
    callback_aes_key: str = ""


@dataclass(frozen=True, slots=True)
class WeChatPayKeys:
    """Both ends of WeChat Pay: the merchant's (``private_key`` …) and the platform's (``platform_private_key``)."""

    mchid: str
    cert_serial: str
    private_key: str
    merchant_public_key: str
    apiv3_key: str
    public_key_id: str
    public_key: str
    platform_private_key: str


@dataclass(frozen=True, slots=True)
class WeChatFaceKeys:
    """WeChat Pay's APIv2: the key of its signatures, and behind its private CA the merchant's and its own TLS (PEM)."""

    apiv2_key: str
    merchant_cert: str
    ca_cert: str
    server_cert: str
    server_key: str


@dataclass(frozen=True, slots=True)
class SmsKeys:
    """Tencent Cloud's API key pair and the application the templates belong to."""

    secret_id: str
    secret_key: str
    sdk_app_id: str
    sign_name: str


@dataclass(frozen=True, slots=True)
class TimestampKeys:
    """The time stamping authority: its CA (to be trusted), its certificate and key, all PEM."""

    ca_cert: str
    tsa_cert: str
    tsa_key: str


@dataclass(frozen=True, slots=True)
class SandboxKeys:
    """Everything; ``client_*`` give the production side's half as plain values, addresses to be added there.

    ``vapid`` is the house's own key for push services (PEM).
    """

    wechat: WeChatKeys
    wechat_pay: WeChatPayKeys
    sms: SmsKeys
    timestamp: TimestampKeys
    insurance: InsuranceKeys
    wechat_face: WeChatFaceKeys
    vapid: str

    def client_insurance(self, base_url: str) -> dict[str, str]:
        """The production side's settings of the payment centre and the city host."""
        partner = self.insurance.client_user_query(base_url)
        return {
            **self.insurance.client_access(),
            "base_url": base_url,
            "org_code": self.insurance.org_code,
            "consent_url": f"{base_url}/consent?org={{org}}&state={{state}}&back={{back}}",
            "family_path": "/org/local/api/hos/family_account",
            "partner_url": partner["base_url"],
            "partner_id": partner["partner_id"],
            "partner_secret": partner["partner_secret"],
        }

    def client_wechat(self, base_url: str) -> dict[str, str]:
        """Values for ``adapters.wechat.WeChatSettings``."""
        mine = self.wechat
        return {
            "appid": mine.appid,
            "secret": mine.secret,
            "mini_appid": mine.mini_appid,
            "mini_secret": mine.mini_secret,
            "api_base_url": base_url,
            "open_base_url": base_url,
        }

    def client_wechat_callback(self) -> dict[str, str]:
        """Values for ``adapters.wechat_callback.CallbackDesk`` but the app, which is the one above."""
        return {"callback_token": self.wechat.callback_token, "callback_aes_key": self.wechat.callback_aes_key}

    def client_wechat_pay(self, base_url: str, notify_url: str, refund_notify_url: str) -> dict[str, str]:
        """Values for ``adapters.wechat_pay.WeChatPaySettings``."""
        pay = self.wechat_pay
        return {
            "mchid": pay.mchid,
            "appid": self.wechat.appid,
            "mini_appid": self.wechat.mini_appid,
            "cert_serial": pay.cert_serial,
            "private_key": pay.private_key,
            "apiv3_key": pay.apiv3_key,
            "public_key_id": pay.public_key_id,
            "public_key": pay.public_key,
            "base_url": base_url,
            "notify_url": notify_url,
            "refund_notify_url": refund_notify_url,
        }

    def client_wechat_face(self, base_url: str) -> dict[str, str]:
        """Values for ``adapters.wechat_pay.FaceSettings`` but merchant, app and private key, which are those above."""
        mine = self.wechat_face
        return {
            "apiv2_key": mine.apiv2_key,
            "cert": mine.merchant_cert,
            "ca_cert": mine.ca_cert,
            "base_url": base_url,
            "terminal_base_url": base_url,
        }

    def client_wechat_deduct(self, base_url: str, entrust_base_url: str) -> dict[str, str]:
        """Values for ``adapters.wechat_pay.DeductSettings`` but merchant, app and callbacks."""
        return {
            "plan_id": PLAN_ID,
            "apiv2_key": self.wechat_face.apiv2_key,
            "ca_cert": self.wechat_face.ca_cert,
            "base_url": base_url,
            "entrust_base_url": entrust_base_url,
        }

    def client_sms(self, base_url: str) -> dict[str, str]:
        """Values for ``adapters.sms.SmsSettings``."""
        return {**asdict(self.sms), "base_url": base_url}

    def client_timestamp(self, url: str) -> dict[str, str]:
        """Values for ``adapters.timestamp.TimestampSettings``."""
        return {"url": url, "ca_cert": self.timestamp.ca_cert}


def make(directory: Path) -> SandboxKeys:
    """Read the cabinet, or fill it on first use (about a second)."""
    file = directory / _FILE
    if file.exists():
        read = json.loads(file.read_text("utf-8"))
        pay = WeChatPayKeys(**read["wechat_pay"])
        keys = SandboxKeys(
            _with_callback(WeChatKeys(**read["wechat"])),
            pay,
            SmsKeys(**read["sms"]),
            TimestampKeys(**read["timestamp"]),
            InsuranceKeys(**read["insurance"]) if "insurance" in read else insurance_keys.make(directory),
            WeChatFaceKeys(**read["wechat_face"]) if "wechat_face" in read else wechat_face_keys(pay),
            read.get("vapid") or _private_pem(ec.generate_private_key(ec.SECP256R1())),
        )
        if "wechat_face" not in read or "vapid" not in read or "callback_token" not in read["wechat"]:
            _keep(keys, directory)
        return keys
    keys = fresh()
    _keep(keys, directory)
    return keys


def _keep(keys: SandboxKeys, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    fresh_file = directory / f"{_FILE}.{os.getpid()}"
    with os.fdopen(os.open(fresh_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(keys), out, indent=1)
    fresh_file.replace(directory / _FILE)


def fresh() -> SandboxKeys:
    """A new world, nothing written."""
    pay = wechat_pay_keys()
    return SandboxKeys(
        _with_callback(
            WeChatKeys(
                "wx" + secrets.token_hex(8), secrets.token_hex(16), "wx" + secrets.token_hex(8), secrets.token_hex(16)
            )
        ),
        pay,
        SmsKeys("AKID" + secrets.token_urlsafe(24), secrets.token_urlsafe(24), "1400000001", "后付演示医院"),
        _timestamp_keys(),
        insurance_keys.fresh(),
        wechat_face_keys(pay),
        _private_pem(ec.generate_private_key(ec.SECP256R1())),
    )


def _with_callback(keys: WeChatKeys) -> WeChatKeys:
    if keys.callback_token:
        return keys
    letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(42))
    # The last of the 43 characters holds four bits only; this one is valid whatever they are.
    return replace(keys, callback_token=secrets.token_hex(12), callback_aes_key=f"{letters}A")


def wechat_pay_keys(platform: WeChatPayKeys | None = None) -> WeChatPayKeys:
    """A merchant; give an existing one to stand under the same platform key (a second hospital)."""
    key = _rsa()
    if platform is None:
        platform_key = _rsa()
        public_key_id = "PUB_KEY_ID_" + "".join(secrets.choice("0123456789") for _ in range(28))
        public_key, private_key = _public_pem(platform_key), _private_pem(platform_key)
    else:
        public_key_id = platform.public_key_id
        public_key, private_key = platform.public_key, platform.platform_private_key
    return WeChatPayKeys(
        mchid="19" + "".join(secrets.choice("0123456789") for _ in range(8)),
        cert_serial=secrets.token_hex(20).upper(),
        private_key=_private_pem(key),
        merchant_public_key=_public_pem(key),
        apiv3_key=secrets.token_hex(16),
        public_key_id=public_key_id,
        public_key=public_key,
        platform_private_key=private_key,
    )


def wechat_face_keys(pay: WeChatPayKeys) -> WeChatFaceKeys:
    """APIv2 for this merchant: its certificate and the loopback address's, both by a CA of nobody else's."""
    pem, rules = serialization.Encoding.PEM, x509.BasicConstraints(ca=False, path_length=None)
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    merchant = serialization.load_pem_private_key(pay.private_key.encode(), None).public_key()
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Houfu sandbox WeChat Pay CA")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])

    def signed(name: str, public: Any, use: x509.ObjectIdentifier, *more: x509.ExtensionType) -> str:
        made = _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ca_name, public)
        for extension in (rules, x509.ExtendedKeyUsage([use]), *more):
            made = made.add_extension(extension, critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        made = made.add_extension(identifier, critical=False)
        return made.sign(ca_key, hashes.SHA256()).public_bytes(pem).decode()

    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return WeChatFaceKeys(
        secrets.token_hex(16),
        signed(pay.mchid, merchant, ExtendedKeyUsageOID.CLIENT_AUTH),
        ca.public_bytes(pem).decode(),
        signed("127.0.0.1", server_key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, here),
        _private_pem(server_key),
    )


def _timestamp_keys() -> TimestampKeys:
    ca_key, tsa_key = _rsa(), _rsa()
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Houfu sandbox CA")])
    tsa_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Houfu sandbox time stamping")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    tsa = (
        _certificate(tsa_name, ca_name, tsa_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return TimestampKeys(ca.public_bytes(pem).decode(), tsa.public_bytes(pem).decode(), _private_pem(tsa_key))


def _certificate(subject: x509.Name, issuer: x509.Name, public: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # Wide on both sides: the demo moves its clock.
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=3650))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=not sign_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public_pem(key: rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
