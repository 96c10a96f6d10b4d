"""The lines to the outside, laid from the settings: what is not set is not there, and says so when it is needed."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from adapters.his import HisAccess, HisClient
from api.world import Ports
from kernel.clock import wall_clock
from kernel.db import Database
from kernel.settings import Settings
from notices.ports import Lines, SmsKind
from people.service import hospitals, wechat_tokens

LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Kept:
    access: HisAccess
    client: HisClient
    looked: float = 0.0  # monotonic seconds


class HisLines:
    """``api.world.HisClients``: one client per hospital, made anew when its address or key has changed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: dict[UUID, _Kept] = {}
        self._turn = asyncio.Lock()

    async def of(self, hospital_id: UUID) -> HisClient:
        """The client of one hospital; whether its address or key changed is looked up once a second."""
        known = self._fresh(hospital_id)
        if known is not None:
            return known
        async with self._turn:  # one looks up, the others wait for what it found
            known = self._fresh(hospital_id)
            if known is not None:
                return known
            async with self._db.begin() as tx:
                access = HisAccess(*await hospitals.his_access(tx, await hospitals.by_id(tx, hospital_id)))
            kept = self._kept.get(hospital_id)
            if kept is None or kept.access != access:
                if kept is not None:
                    await kept.client.aclose()
                kept = self._kept[hospital_id] = _Kept(access, HisClient(access, wall_clock))
            kept.looked = time.monotonic()
            return kept.client

    def _fresh(self, hospital_id: UUID) -> HisClient | None:
        kept = self._kept.get(hospital_id)
        return kept.client if kept is not None and time.monotonic() - kept.looked < LOOK_SECONDS else None

    async def close(self) -> None:
        """Close all connections."""
        for kept in self._kept.values():
            await kept.client.aclose()
        self._kept.clear()


class KeptTokens:
    """``adapters.wechat_token.TokenKeep`` in the database; while that is away every process fetches for itself."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, name: str) -> tuple[str, float] | None:
        """See ``TokenKeep``."""
        with suppress(SQLAlchemyError, OSError):
            async with self._db.begin() as tx:
                return await wechat_tokens.read(tx, name)
        return None

    async def write(self, name: str, value: str, seconds: float) -> None:
        """See ``TokenKeep``."""
        with suppress(SQLAlchemyError, OSError):
            async with self._db.begin() as tx:
                await wechat_tokens.write(tx, name, value, seconds)

    async def drop(self, name: str, value: str) -> None:
        """See ``TokenKeep``."""
        with suppress(SQLAlchemyError, OSError):
            async with self._db.begin() as tx:
                await wechat_tokens.drop(tx, name, value)


def lay(settings: Settings, db: Database) -> Ports:
    """Make the clients of everything that is configured; heavy libraries are imported only then."""
    from pwa.paper import Paper

    wechat, timestamps, pay = _wechat(settings, KeptTokens(db)), _timestamps(settings), _wechat_pay(settings)
    insurance, sms = _insurance(settings), _sms(settings)
    return Ports(
        his=HisLines(db),
        wechat=wechat,
        wechat_account=wechat,
        wechat_desk=wechat_desk(settings),
        reach=reach(settings, wechat, sms),
        pay=pay,
        mix=wechat_mix(settings, pay),
        insurance=insurance,
        insurance_books=insurance,
        family_accounts=insurance if settings.insurance_family_path else None,
        sms=sms,
        timestamps=timestamps,
        signer=_signer(settings, timestamps),
        paper=Paper(),
        credit=_credit(settings),
    )


async def open_lines(ports: Ports, stack: AsyncExitStack) -> None:
    """Open what wants opening, and have it closed with the stack."""
    lines: list[Any] = [ports.his, ports.wechat, ports.pay, ports.insurance, ports.sms, ports.timestamps, ports.credit]
    lines.append(ports.reach.web_push if ports.reach is not None else None)
    for line in lines:
        if hasattr(line, "__aenter__"):
            await stack.enter_async_context(line)
        else:
            close = getattr(line, "close", None) or getattr(line, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)


def _wechat(settings: Settings, keep: Any = None) -> Any:
    given = settings.group("wechat")
    if not given["appid"]:
        return None
    from adapters.wechat import WeChat, WeChatSettings

    return WeChat(
        WeChatSettings(
            given["appid"],
            given["secret"],
            given["mini_appid"] or None,
            given["mini_secret"] or None,
            given["api_base_url"],
            given["open_base_url"],
        ),
        keep=keep,
    )


def wechat_desk(settings: Settings) -> Any:
    """What reads and answers the messages of the official account."""
    given = settings.group("wechat")
    if not given["callback_token"] and not given["callback_aes_key"]:
        return None
    from adapters.wechat_callback import CallbackDesk

    return CallbackDesk(given["appid"], given["callback_token"], given["callback_aes_key"])


def _wechat_pay(settings: Settings) -> Any:
    given = settings.group("wechat_pay")
    if not given["mchid"]:
        return None
    from adapters.wechat_pay import WeChatPay, WeChatPaySettings

    notify = f"{settings.base_url}/api/callbacks/wechat-pay"
    given["appid"] = given["appid"] or settings.wechat_appid
    given["notify_url"] = given["notify_url"] or notify
    given["refund_notify_url"] = given["refund_notify_url"] or f"{notify}/refund"
    mine = WeChatPaySettings(**given, mini_appid=settings.wechat_mini_appid or None)
    return WeChatPay(mine, face=wechat_face(settings), deduct=wechat_deduct(settings))


def wechat_deduct(settings: Settings) -> Any:
    """The line for deduction contracts of the same merchant."""
    given = settings.group("wechat_deduct")
    if not given["plan_id"]:
        return None
    from adapters.wechat_pay import DeductSettings, WeChatDeduct

    callbacks = f"{settings.base_url}/api/callbacks/wechat-pay"
    given["apiv2_key"] = given["apiv2_key"] or settings.group("wechat_face")["apiv2_key"]
    given["notify_url"] = given["notify_url"] or f"{callbacks}/deduction"
    given["contract_notify_url"] = given["contract_notify_url"] or f"{callbacks}/contract"
    appid = settings.wechat_pay_appid or settings.wechat_appid
    return WeChatDeduct(DeductSettings(settings.wechat_pay_mchid, appid, **given))


def wechat_face(settings: Settings) -> Any:
    """The line for faces of the same merchant, whose till it is."""
    given = settings.group("wechat_face")
    if not given["apiv2_key"]:
        return None
    from adapters.wechat_pay import FaceSettings, WeChatFace

    given["private_key"] = given["private_key"] or settings.group("wechat_pay")["private_key"]
    appid = settings.wechat_pay_appid or settings.wechat_appid
    plain = {name: value for name, value in given.items() if name != "md5"}
    return WeChatFace(FaceSettings(settings.wechat_pay_mchid, appid, **plain, md5=settings.wechat_face_md5))


def wechat_mix(settings: Settings, pay: Any = None) -> Any:
    """The mixed office of WeChat, over the line of its cash register (a new one where none is given)."""
    pay = pay or _wechat_pay(settings)
    if pay is None or not settings.wechat_mix_city_id:
        return None
    from adapters.wechat_pay import MixSettings, WeChatMix

    callback = settings.wechat_mix_callback_url or f"{settings.base_url}/api/callbacks/wechat-pay/insurance"
    return WeChatMix(
        pay,
        MixSettings(
            settings.wechat_mix_city_id,
            settings.wechat_mix_institution_no,
            settings.wechat_mix_institution_name,
            callback,
            settings.wechat_mix_channel_no,
            settings.wechat_mix_passthrough_repeats,
            settings.wechat_mix_test_env,
            # Only WeChat on this machine takes a callback without https, and that one is the sandbox.
            loopback_http=settings.wechat_pay_base_url.startswith("http://127.0.0.1:"),
        ),
    )


def _insurance(settings: Settings) -> Any:
    given = settings.group("insurance")
    if not given["base_url"]:
        return None
    from adapters.insurance import (
        Access,
        InsuranceClient,
        InsuranceSettings,
        NestedOrder,
        Province,
        UserQuerySettings,
        Wrapping,
    )

    partner = UserQuerySettings(given["partner_url"], given["partner_id"], given["partner_secret"])
    province = Province(
        "here",
        NestedOrder[given["nested_order"].upper()],
        given["user_id"] or None,
        Wrapping[given["wrapping"].upper()],
    )
    access = Access(given["app_id"], given["app_secret"], given["private_key"], given["public_key"])
    mine = InsuranceSettings(
        given["base_url"],
        given["org_code"],
        access,
        province,
        partner if partner.base_url else None,
        given["family_path"],
    )
    return InsuranceClient(mine, wall_clock)


def _sms(settings: Settings) -> Any:
    given = settings.group("sms")
    if not given["secret_id"]:
        return None
    from adapters.sms import SmsSettings, TencentSms

    return TencentSms(SmsSettings(**{n: v for n, v in given.items() if not n.startswith("template")}))


def reach(settings: Settings, wechat: Any, sms: Any) -> Lines:
    """The lines by which people are told."""
    from adapters.wechat_messages import WeChatPusher

    in_wechat, kinds = templates(settings)
    return Lines(
        settings.base_url,
        settings.wechat_appid,
        WeChatPusher(wechat, in_wechat) if wechat is not None and in_wechat else None,
        web_push(settings),
        sms,
        kinds,
    )


def templates(settings: Settings) -> tuple[dict[str, Any], dict[str, SmsKind]]:
    """The hospital's approved templates by kind of message: in WeChat, and of text messages.

    Raises:
        adapters.wechat_messages.TemplatesError: a setting cannot be used.
    """
    from adapters.wechat_messages import read_sms_kinds, read_templates

    return read_templates(settings.wechat_templates), read_sms_kinds(settings.sms_templates)


def web_push(settings: Settings) -> Any:
    """The line to the push services of browsers."""
    given = settings.group("web_push")
    if not given["private_key"]:
        return None
    from adapters.web_push import VapidPush, WebPushSettings, services

    return VapidPush(WebPushSettings(given["private_key"], given["contact"], tuple(services(given["services"]))))


def _timestamps(settings: Settings) -> Any:
    given = settings.group("timestamp")
    if not given["url"]:
        return None
    from adapters.timestamp import Rfc3161, TimestampSettings

    return Rfc3161(TimestampSettings(**given))


def _signer(settings: Settings, timestamps: Any) -> Any:
    if timestamps is None:
        return None  # a letter without a trusted clock is not sealed
    from adapters.pdf_signer import PdfSigner, load_authority

    return PdfSigner(load_authority(settings.signing), timestamps.for_pdf())


def _credit(settings: Settings) -> Any:
    given = settings.group("credit")
    if not given["url"]:
        return None
    from adapters.credit import CityCredit, CreditSettings

    return CityCredit(CreditSettings(**given), wall_clock)
