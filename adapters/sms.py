"""Text messages through Tencent Cloud: one approved template, one phone, one receipt.

The vendor's SDK signs (TC3-HMAC-SHA256) and sends, in threads; this module sets its deadline and address and sorts
its answers into the closed set of ``kernel.outside``. Reference: cloud.tencent.com/document/product/382, SendSms
2021-01-11.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from notices.ports import SmsReceipt, SmsReport

_PHONE = re.compile(r"1[3-9][0-9]{9}")
_THREADS = 4
_LATER = ("LimitExceeded.", "RequestLimitExceeded", "FailedOperation.InsufficientBalance")
_DONT_KNOW = ("InternalError", "ClientNetworkError", "ServerNetworkError", "FailedOperation.Other")


@dataclass(frozen=True, slots=True)
class SmsSettings:
    """One hospital's account, application and signature (签名)."""

    secret_id: str
    secret_key: str = field(repr=False)
    sdk_app_id: str
    sign_name: str
    base_url: str = "https://sms.tencentcloudapi.com"
    region: str = "ap-guangzhou"


class TencentSms:
    """``notices.ports.Sms`` over Tencent Cloud.

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(self, settings: SmsSettings, guard: Guard | None = None, timeout: int = 5) -> None:
        for name in ("secret_id", "secret_key", "sdk_app_id", "sign_name"):
            if not getattr(settings, name):
                raise NotConfigured(f"sms.{name}")
        self._settings = settings
        self._guard = guard or Guard("sms", places=_THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sms")
        self._timeout = timeout
        self._client: Any = None

    async def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        """Send one message. See ``notices.ports.Sms.send``."""
        if not _PHONE.fullmatch(phone):
            raise Rejected("BAD_PHONE", "not a mainland mobile number")
        asked = {
            "SmsSdkAppId": self._settings.sdk_app_id,
            "SignName": self._settings.sign_name,
            "TemplateId": template_id,
            "TemplateParamSet": [str(p) for p in params],
            "PhoneNumberSet": [f"+86{phone}"],
            "SessionContext": session_context,
        }
        loop = asyncio.get_running_loop()

        async def once() -> SmsReceipt:
            return await loop.run_in_executor(self._threads, self._send, asked)

        return await self._guard.call(once)

    async def reports(self, phone: str, since: datetime, until: datetime) -> Sequence[SmsReport]:
        """What the carriers said of a phone's messages. See ``notices.ports.Sms.reports``.

        Our own id comes back only where Tencent has switched SessionContext on for the account (docs/operations.md).
        """
        asked = {
            "SmsSdkAppId": self._settings.sdk_app_id,
            "PhoneNumber": f"+86{phone}",
            "BeginTime": int(since.timestamp()),
            "EndTime": int(until.timestamp()),
            "Offset": 0,
            "Limit": 100,
        }
        loop = asyncio.get_running_loop()

        async def once() -> Sequence[SmsReport]:
            return await loop.run_in_executor(self._threads, self._reports, asked)

        return await self._guard.call(once)

    def decode_status(self, raw: bytes) -> Sequence[SmsReport]:
        """A JSON array, unsigned: who calls must have proved itself otherwise. See ``ReportingSms.decode_status``."""
        given = json.loads(raw)
        if not isinstance(given, list) or not all(isinstance(one, dict) and one.get("sid") for one in given):
            raise ValueError("no status report")
        return [report(r["sid"], r.get("session_context"), r.get("report_status"), r.get("description")) for r in given]

    def _reports(self, asked: dict[str, Any]) -> Sequence[SmsReport]:
        from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
        from tencentcloud.sms.v20210111 import models

        request = models.PullSmsSendStatusByPhoneNumberRequest()
        request._deserialize(asked)
        try:
            found = self._connected().PullSmsSendStatusByPhoneNumber(request).PullSmsSendStatusSet or []
        except TencentCloudSDKException as error:
            raise _refusal(str(error.get_code()), str(error.get_message())) from None
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise Unknown(f"unreadable answer: {type(error).__name__}") from None
        return [report(r.SerialNo, r.SessionContext, r.ReportStatus, r.Description) for r in found if r.ReportStatus]

    def _send(self, asked: dict[str, Any]) -> SmsReceipt:
        # Imported late: it takes a quarter of a second, and a hospital may have no SMS.
        from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
        from tencentcloud.sms.v20210111 import models

        request = models.SendSmsRequest()
        request._deserialize(asked)
        try:
            statuses = self._connected().SendSms(request).SendStatusSet
        except TencentCloudSDKException as error:
            raise _refusal(str(error.get_code()), str(error.get_message())) from None
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise Unknown(f"unreadable answer: {type(error).__name__}") from None
        if not statuses or len(statuses) != 1:
            raise Unknown("no status in the answer")
        if statuses[0].Code != "Ok":
            raise _refusal(str(statuses[0].Code), str(statuses[0].Message))
        return SmsReceipt(str(statuses[0].SerialNo), int(statuses[0].Fee or 0))

    def _connected(self) -> Any:
        if self._client is None:
            from tencentcloud.common.credential import Credential
            from tencentcloud.common.profile.client_profile import ClientProfile
            from tencentcloud.common.profile.http_profile import HttpProfile
            from tencentcloud.sms.v20210111.sms_client import SmsClient

            address = urlsplit(self._settings.base_url)
            http = HttpProfile(protocol=address.scheme, endpoint=address.netloc, reqTimeout=self._timeout)
            credential = Credential(self._settings.secret_id, self._settings.secret_key)
            self._client = SmsClient(credential, self._settings.region, ClientProfile(httpProfile=http))
        return self._client


def report(serial_no: object, context: object, status: object, words: object) -> SmsReport:
    """One entry of a status report, asked for or called back; the carrier's words carry no number of anybody."""
    arrived = status == "SUCCESS"
    said = re.sub(r"\d{7,}", "…", str(words or ""))[:60]
    return SmsReport(str(serial_no), str(context or ""), arrived, "" if arrived else said or "FAIL")


def _refusal(code: str, message: str) -> Rejected | Unknown | Throttled:
    if code.startswith(_LATER):
        return Throttled(code)
    if code.startswith(_DONT_KNOW):
        return Unknown(code)
    return Rejected(code, re.sub(r"\d{7,}", "…", message))
