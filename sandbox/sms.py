"""Tencent Cloud's SMS on loopback: checks the signature of each request and keeps what it would have sent.

``build(World(...))`` is the ASGI app; one POST address as the real one, TC3-HMAC-SHA256 verified over the raw bytes.
``PullSmsSendStatusByPhoneNumber`` tells what became of them. ``GET /control/messages?phone=`` lists the kept messages,
with the text as the phone shows it if the template is known; ``POST /control/reports`` gives the status reports since
the last call as the gateway's callback would carry them, and ``{"fail": [serial, …]}`` says which did not arrive.

Magic numbers: 19900009901 blacklisted · 19900009902 daily limit reached · 19900009903 the gateway fails inside ·
19900009904 taken, then silence · 19900009905 taken, then HTTP 502 · 19900009906 wrong number.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MAGIC = {
    "+8619900009901": "FailedOperation.PhoneNumberInBlacklist",
    "+8619900009902": "LimitExceeded.PhoneNumberDailyLimit",
    "+8619900009903": "InternalError.OtherError",
    "+8619900009906": "InvalidParameterValue.IncorrectPhoneNumber",
}
SILENT, BROKEN = "+8619900009904", "+8619900009905"
FRESH_SECONDS = 300
_AUTH = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d\d-\d\d)/sms/tc3_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class Refused(Exception):
    """An answer with ``Response.Error``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass(slots=True)
class World:
    """The state behind one server.

    Args:
        secret_id, secret_key, sdk_app_id, sign_name: the one customer.
        now: the world's clock, for the time of a message.
        templates: approved templates, id → text with ``{1}`` ``{2}`` …; None approves all and shows the values only.
        silence: real seconds the silent number takes to answer.
    """

    secret_id: str
    secret_key: str
    sdk_app_id: str
    sign_name: str
    now: Callable[[], datetime]
    templates: Mapping[str, str] | None = None
    silence: float = 30.0
    messages: list[dict[str, Any]] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    reported: int = 0


def build(world: World) -> Starlette:
    """The server."""

    async def api(request: Request) -> Response:
        body = await request.body()
        try:
            action = _authorise(world, request, body, time.time())
            content = _ACTIONS[action](world, json.loads(body))
        except Refused as no:
            content = {"Error": {"Code": no.code, "Message": no.message}}
        except ValueError:
            content = {"Error": {"Code": "InvalidParameter", "Message": "body is not JSON"}}
        numbers = [s["PhoneNumber"] for s in content.get("SendStatusSet", [])]
        if SILENT in numbers:
            await asyncio.sleep(world.silence)
        if BROKEN in numbers:
            return Response("bad gateway", 502)
        return JSONResponse({"Response": {**content, "RequestId": str(uuid.uuid4())}})

    async def messages(request: Request) -> Response:
        phone = request.query_params.get("phone")
        kept = [m for m in world.messages if phone is None or m["phone"] in (phone, f"+86{phone}")]
        return JSONResponse(kept)

    async def reports(request: Request) -> Response:
        asked = json.loads(await request.body() or b"{}")
        world.failed.update(asked.get("fail", ()))
        fresh, world.reported = world.messages[world.reported :], len(world.messages)
        return JSONResponse([_report(world, message) for message in fresh])

    return Starlette(
        routes=[
            Route("/", api, methods=["POST"]),
            Route("/control/messages", messages, methods=["GET"]),
            Route("/control/reports", reports, methods=["POST"]),
        ]
    )


def _report(world: World, message: dict[str, Any]) -> dict[str, Any]:
    failed = message["serial_no"] in world.failed
    return {
        "user_receive_time": datetime.fromisoformat(message["at"]).strftime("%Y-%m-%d %H:%M:%S"),
        "nationcode": "86",
        "mobile": message["phone"].removeprefix("+86"),
        "report_status": "FAIL" if failed else "SUCCESS",
        "errmsg": "MK:0001" if failed else "DELIVRD",
        "description": "用户终端关机" if failed else "用户短信送达成功",
        "sid": message["serial_no"],
        "session_context": message["session_context"],
    }


def _authorise(world: World, request: Request, body: bytes, now: float) -> str:
    headers = request.headers
    found = _AUTH.fullmatch(headers.get("authorization", ""))
    stamp = headers.get("x-tc-timestamp", "")
    if found is None or not stamp.isdigit():
        raise Refused("AuthFailure.SignatureFailure", "The authorization header is malformed.")
    secret_id, day, signed, signature = found.groups()
    if secret_id != world.secret_id:
        raise Refused("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
    if abs(now - int(stamp)) > FRESH_SECONDS or datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d") != day:
        raise Refused("AuthFailure.SignatureExpire", "The signature has expired.")
    names = signed.split(";")
    if "content-type" not in names or "host" not in names:
        raise Refused("AuthFailure.SignatureFailure", "content-type and host must be signed.")
    lines = "".join(f"{name}:{headers.get(name, '').strip().lower()}\n" for name in names)
    canonical = f"POST\n/\n{request.url.query}\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{day}/sms/tc3_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{world.secret_key}".encode()
    for part in (day, "sms", "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature):
        raise Refused("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")
    action = headers.get("x-tc-action", "")
    if action not in _ACTIONS or headers.get("x-tc-version") != "2021-01-11":
        raise Refused("InvalidAction", "SendSms and PullSmsSendStatusByPhoneNumber, 2021-01-11")
    return action


def _send(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("SmsSdkAppId") != world.sdk_app_id:
        raise Refused("UnauthorizedOperation.SmsSdkAppIdVerifyFail", "SmsSdkAppId is not yours.")
    numbers = asked.get("PhoneNumberSet")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= 200:
        raise Refused("InvalidParameterValue.IncorrectPhoneNumber", "PhoneNumberSet")
    return {"SendStatusSet": [_status(world, asked, str(number)) for number in numbers]}


def _pull(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("SmsSdkAppId") != world.sdk_app_id:
        raise Refused("UnauthorizedOperation.SmsSdkAppIdVerifyFail", "SmsSdkAppId is not yours.")
    first, last = int(asked.get("BeginTime", 0)), int(asked.get("EndTime") or 2**40)
    found = []
    for message in world.messages:
        at = int(datetime.fromisoformat(message["at"]).timestamp())
        if message["phone"] == asked.get("PhoneNumber") and first <= at <= last:
            failed = message["serial_no"] in world.failed
            found.append(
                {
                    "UserReceiveTime": at,
                    "CountryCode": "86",
                    "SubscriberNumber": message["phone"].removeprefix("+86"),
                    "PhoneNumber": message["phone"],
                    "SerialNo": message["serial_no"],
                    "ReportStatus": "FAIL" if failed else "SUCCESS",
                    "Description": "用户终端关机" if failed else "用户短信送达成功",
                    "SessionContext": message["session_context"],
                }
            )
    return {"PullSmsSendStatusSet": found}


_ACTIONS: Mapping[str, Callable[[World, dict[str, Any]], dict[str, Any]]] = {
    "SendSms": _send,
    "PullSmsSendStatusByPhoneNumber": _pull,
}


def _status(world: World, asked: dict[str, Any], number: str) -> dict[str, Any]:
    params = asked.get("TemplateParamSet") or []
    template = None if world.templates is None else world.templates.get(str(asked.get("TemplateId")))
    code = "Ok"
    if asked.get("SignName") != world.sign_name:
        code = "FailedOperation.SignatureIncorrectOrUnapproved"
    elif world.templates is not None and template is None:
        code = "FailedOperation.TemplateIncorrectOrUnapproved"
    elif template is not None and len(set(re.findall(r"\{\d+\}", template))) != len(params):
        code = "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
    elif not re.fullmatch(r"\+861[3-9]\d{9}", number):
        code = "InvalidParameterValue.IncorrectPhoneNumber"
    elif number in MAGIC:
        code = MAGIC[number]
    serial = ""
    if code == "Ok":
        serial = f"{int(time.time())}:{uuid.uuid4().int % 10**18}"
        world.messages.append(_kept(world, asked, number, params, template, serial))
    return {
        "SerialNo": serial,
        "PhoneNumber": number,
        "Fee": 1 if code == "Ok" else 0,
        "SessionContext": asked.get("SessionContext", ""),
        "Code": code,
        "Message": "send success" if code == "Ok" else code,
        "IsoCode": "CN",
    }


def _kept(
    world: World, asked: dict[str, Any], number: str, params: list[str], template: str | None, serial: str
) -> dict[str, Any]:
    text = " ".join(params)
    if template is not None:
        text = re.sub(r"\{(\d+)\}", lambda m: params[int(m[1]) - 1], template)
    return {
        "phone": number,
        "template_id": asked.get("TemplateId"),
        "params": params,
        "text": f"【{world.sign_name}】{text}",
        "session_context": asked.get("SessionContext", ""),
        "serial_no": serial,
        "at": world.now().isoformat(),
    }
