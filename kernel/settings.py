"""Everything an operator may set, in one object made at the start and never changed; the domain never reads it.

Each setting is an environment variable: ``HOUFU_`` and the field's name in capitals. A name nobody knows is refused,
because a misspelt setting that is silently ignored is found on the worst day. A key or certificate may be given as PEM
text or as the path of a file.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "HOUFU_"


class SettingsError(Exception):
    """A setting is unknown or cannot be used; the text says which and what to do, for the operator."""


def _pem(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or text.lstrip().startswith("-----BEGIN"):
        return value
    try:
        return SecretStr(Path(text).read_text())
    except OSError as error:
        raise ValueError(f"neither a PEM text nor a readable file ({error.strerror})") from None


Pem = Annotated[SecretStr, AfterValidator(_pem)]
NONE = SecretStr("")


class Settings(BaseSettings):
    """All settings; see each field's description (``houfu doctor --settings`` prints the table)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    database_url: str | None = Field(
        None,
        description="PostgreSQL 15 or newer, `postgresql://user:password@host/name`; empty: the one that comes along",
    )
    database_pool: int = Field(10, ge=2, le=200, description="connections kept open for requests")
    data_dir: Path = Field(Path(".houfu"), description="database that comes along, keys, the demo's own things")
    key_file: Path | None = Field(
        None, description="master keys; empty: `keys` in the data folder, made on first start"
    )
    signing_dir: Path | None = Field(
        None, description="certificate for letters; empty: `signing` in the data folder, made on first start"
    )
    host: str = Field("127.0.0.1", description="address to listen on; a proxy with TLS stands in front")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    public_url: str = Field("", description="how phones and providers reach us, `https://…`; empty: host and port")
    frame_ancestors: tuple[str, ...] = Field(
        (), description="origins that may show our pages in a frame, separated by spaces"
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for collectors")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="from which level on to log")

    wechat_appid: str = Field("", description="official account; empty: no login by WeChat")
    wechat_secret: SecretStr = Field(NONE, description="its secret")
    wechat_callback_token: str = Field(
        "", description="Token of the account's server configuration; empty: the account does not answer"
    )
    wechat_callback_aes_key: SecretStr = Field(NONE, description="its EncodingAESKey, 43 characters")
    wechat_scan_follows: bool = Field(
        False, description="QR codes for relatives lead through the account, so that who scans follows it too"
    )
    wechat_js: str = Field(
        "", description="WeChat's page script, `https://res.wx.qq.com/open/js/jweixin-1.6.0.js`; empty: never loaded"
    )
    wechat_mini_appid: str = Field("", description="mini-program, where there is one")
    wechat_mini_secret: SecretStr = Field(NONE, description="its secret")
    wechat_api_base_url: str = Field("https://api.weixin.qq.com", description="WeChat's API")
    wechat_open_base_url: str = Field("https://open.weixin.qq.com", description="WeChat's login page")
    wechat_templates: str = Field(
        "", description="approved templates by kind of message, JSON (docs/operations.md); empty: no messages in WeChat"
    )
    wechat_script: str = Field("", description="one extra script of our own origin for pages (the demo's bridge)")

    wechat_pay_mchid: str = Field("", description="merchant number; empty: no payment by WeChat")
    wechat_pay_appid: str = Field("", description="the app the merchant is bound to; empty: `wechat_appid`")
    wechat_pay_cert_serial: str = Field("", description="serial number of the merchant's certificate")
    wechat_pay_private_key: Pem = Field(NONE, description="the merchant's private key (PEM or file)")
    wechat_pay_apiv3_key: SecretStr = Field(NONE, description="APIv3 key, 32 characters")
    wechat_pay_public_key_id: str = Field("", description="id of WeChat Pay's public key")
    wechat_pay_public_key: Pem = Field(NONE, description="WeChat Pay's public key (PEM or file)")
    wechat_pay_notify_url: str = Field("", description="empty: `/api/callbacks/wechat-pay` under the public address")
    wechat_pay_refund_notify_url: str = Field(
        "", description="empty: `/api/callbacks/wechat-pay/refund` under the public address"
    )
    wechat_pay_base_url: str = Field("https://api.mch.weixin.qq.com", description="WeChat Pay's API")

    wechat_face_apiv2_key: SecretStr = Field(NONE, description="APIv2 key, 32 characters; empty: no face is charged")
    wechat_face_cert: Pem = Field(NONE, description="the merchant's certificate (PEM or file), to undo a payment")
    wechat_face_private_key: Pem = Field(
        NONE, description="its private key (PEM or file); empty: `wechat_pay_private_key`"
    )
    wechat_face_md5: bool = Field(False, description="sign with MD5, where the merchant's account cannot HMAC-SHA256")
    wechat_face_base_url: str = Field("https://api.mch.weixin.qq.com", description="WeChat Pay's APIv2")
    wechat_face_terminal_base_url: str = Field(
        "https://payapp.weixin.qq.com", description="WeChat's address for face terminals"
    )
    wechat_face_ca_cert: Pem = Field(NONE, description="CA of these two where it is a private one (the demo's)")

    wechat_deduct_plan_id: str = Field(
        "", description="plan of WeChat's deduction contract (委托代扣); empty: nothing is taken by itself"
    )
    wechat_deduct_apiv2_key: SecretStr = Field(NONE, description="APIv2 key; empty: `wechat_face_apiv2_key`")
    wechat_deduct_notify_url: str = Field(
        "", description="empty: `/api/callbacks/wechat-pay/deduction` under the public address"
    )
    wechat_deduct_contract_notify_url: str = Field(
        "", description="empty: `/api/callbacks/wechat-pay/contract` under the public address"
    )
    wechat_deduct_server_ip: str = Field("127.0.0.1", description="our own address, which WeChat wants to be told")
    wechat_deduct_base_url: str = Field("https://api.mch.weixin.qq.com", description="WeChat Pay's APIv2")
    wechat_deduct_entrust_base_url: str = Field(
        "https://api.mch.weixin.qq.com", description="where the page lies on which a payer signs"
    )
    wechat_deduct_ca_cert: Pem = Field(NONE, description="CA of these where it is a private one (the demo's)")

    wechat_mix_city_id: str = Field(
        "", description="WeChat's own number of the city, for its insurance payment; empty: no insurance by phone"
    )
    wechat_mix_institution_no: str = Field("", description="the hospital's number as registered there")
    wechat_mix_institution_name: str = Field("", description="its name as registered there")
    wechat_mix_callback_url: str = Field(
        "", description="empty: `/api/callbacks/wechat-pay/insurance` under the public address"
    )
    wechat_mix_channel_no: str = Field("", description="number of the channel, where WeChat gave one")
    wechat_mix_passthrough_repeats: bool = Field(
        True, description="whether the province wants authorization, order and place said twice"
    )
    wechat_mix_test_env: bool = Field(False, description="the insurance's test environment; the cash stays real")

    insurance_base_url: str = Field("", description="the insurance's payment centre; empty: no insurance by phone")
    insurance_org_code: str = Field("", description="the hospital's national code there")
    insurance_app_id: str = Field("", description="our app there")
    insurance_app_secret: SecretStr = Field(NONE, description="its secret")
    insurance_private_key: SecretStr = Field(NONE, description="our SM2 key, hexadecimal or base64")
    insurance_public_key: str = Field("", description="the centre's SM2 key")
    insurance_user_id: str = Field("", description="SM2 user id of the province; empty: the app's secret")
    insurance_nested_order: Literal["ordinal", "case_insensitive"] = Field(
        "ordinal", description="in which order the province sorts inner keys"
    )
    insurance_wrapping: Literal["plain", "numbered"] = Field("plain", description="how the province wraps a call")
    insurance_family_path: str = Field(
        "", description="where the province answers who is in a family account (亲情账户); empty: it is not asked"
    )
    insurance_consent_url: str = Field(
        "", description="page on which a patient consents, with `{org}`, `{state}`, `{back}`; empty: mini-program only"
    )
    insurance_consent_appid: str = Field("wxe183cd55df4b4369", description="the insurance's mini-program")
    insurance_consent_path: str = Field(
        "auth/pages/bindcard/auth/index?openType=getAuthCode&bizType=04107",
        description="its page of consent, with the parameters the city gave you",
    )
    insurance_partner_url: str = Field("", description="the city host that changes consents for authorizations")
    insurance_partner_id: str = Field("", description="our number there")
    insurance_partner_secret: SecretStr = Field(NONE, description="its secret")

    sms_secret_id: str = Field("", description="Tencent Cloud API key; empty: no text messages")
    sms_secret_key: SecretStr = Field(NONE, description="its secret")
    sms_sdk_app_id: str = Field("", description="SMS application")
    sms_sign_name: str = Field("", description="approved signature (签名)")
    sms_template_code: str = Field("", description="approved template of a login code: code, minutes")
    sms_template_bind: str = Field(
        "",
        description="approved template of a code that binds a relative: who asks, code, minutes; empty: not this way",
    )
    sms_base_url: str = Field("https://sms.tencentcloudapi.com", description="the gateway")
    sms_region: str = Field("ap-guangzhou", description="its region")

    sms_templates: str = Field(
        "", description="approved texts by kind of message, JSON (docs/operations.md); empty: login codes only"
    )

    web_push_private_key: Pem = Field(NONE, description="VAPID key, P-256 (PEM or file); empty: no browser is rung")
    web_push_contact: str = Field("", description="whom push services may write to, `mailto:…` or `https://…`")
    web_push_services: str = Field(
        "", description="push services that may be called, hosts separated by spaces; empty: the well-known ones"
    )

    timestamp_url: str = Field("", description="time stamping authority (RFC 3161); empty: letters wait for one")
    timestamp_ca_cert: Pem = Field(NONE, description="CA its certificate must chain to (PEM or file)")

    credit_url: str = Field("", description="the city's credit platform; empty: nobody is asked")
    credit_key_id: str = Field("", description="our key there")
    credit_secret: SecretStr = Field(NONE, description="its secret")

    @classmethod
    def settings_customise_sources(  # ``load`` reads the environment, once, and looks at its names
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @field_validator("frame_ancestors", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _driver(cls, value: str | None) -> str | None:
        if not value:
            return None
        scheme, found, rest = value.partition("://")
        if not found or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("Houfu runs on PostgreSQL only: postgresql://user:password@host/name")
        return f"postgresql+psycopg://{rest}"

    @property
    def base_url(self) -> str:
        """The public address without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def keys(self) -> Path:
        """Where the key file is."""
        return self.key_file or self.data_dir / "keys"

    @property
    def signing(self) -> Path:
        """Where the certificate for letters is."""
        return self.signing_dir or self.data_dir / "signing"

    def group(self, prefix: str) -> dict[str, str]:
        """The settings of one outside system as plain texts, without the prefix: ``group("sms")["secret_id"]``."""
        found = {n[len(prefix) + 1 :]: getattr(self, n) for n in type(self).model_fields if n.startswith(f"{prefix}_")}
        return {n: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for n, v in found.items()}


def load(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read the settings; what is ``given`` stands above the environment.

    Raises:
        SettingsError: an unknown ``HOUFU_`` name, or a value that cannot be used.
    """
    names = os.environ if environment is None else environment
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in sorted(names):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1, 0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(f"There is no setting {name}.{hint} `houfu doctor --settings` lists all.")
    values = {n[len(PREFIX) :].lower(): v for n, v in names.items() if n.upper().startswith(PREFIX) and v}
    try:
        return Settings(**{**values, **given})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(wrong["loc"][0]).upper() if wrong["loc"] else "settings"
        raise SettingsError(f"{name}: {str(wrong['msg']).removeprefix('Value error, ')}") from None


def table() -> list[tuple[str, str, str]]:
    """(variable, default, description) of every setting, for the README and ``houfu doctor --settings``."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        text = default.get_secret_value() if isinstance(default, SecretStr) else default
        shown = "" if text in (None, (), "") else str(text)
        rows.append((f"{PREFIX}{name}".upper(), shown, field.description or ""))
    return rows
