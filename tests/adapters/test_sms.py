"""Our SMS client (Tencent Cloud's own SDK) against the sandbox's gateway."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from adapters.sms import SmsSettings, TencentSms
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from sandbox import sms as sandbox
from sandbox.keys import SandboxKeys

PHONE = "13900001234"


@dataclass
class Gateway:
    """Both ends."""

    world: sandbox.World
    sms: TencentSms
    settings: SmsSettings
    base: str


@pytest.fixture
async def gateway(world_keys: SandboxKeys, clock: Any, serving: Any) -> AsyncIterator[Gateway]:
    mine = world_keys.sms
    world = sandbox.World(
        mine.secret_id,
        mine.secret_key,
        mine.sdk_app_id,
        mine.sign_name,
        clock,
        templates={"1001": "您{1}的就诊费 ¥{2} 还没付。查询码 {3}。"},
        silence=1.3,
    )
    async with serving(sandbox.build(world)) as base:
        settings = SmsSettings(**world_keys.client_sms(base))
        sms = TencentSms(settings, Guard("sms", deadline=2), timeout=1)
        yield Gateway(world, sms, settings, base)
        await sms.close()


async def test_a_message_is_taken(gateway: Gateway) -> None:
    """The gateway checks the signature and keeps the message as the phone would show it."""
    receipt = await gateway.sms.send("1001", PHONE, ["11月20日", "77.60", "4821"], "delivery-7")
    assert receipt.fee_count == 1
    async with httpx.AsyncClient(base_url=gateway.base, trust_env=False) as http:
        kept = (await http.get("/control/messages", params={"phone": PHONE})).json()
        assert (await http.get("/control/messages", params={"phone": "13900009999"})).json() == []
    assert [(m["text"], m["session_context"], m["serial_no"]) for m in kept] == [
        ("【后付演示医院】您11月20日的就诊费 ¥77.60 还没付。查询码 4821。", "delivery-7", receipt.serial_no)
    ]


@pytest.mark.parametrize(
    ("phone", "template", "params", "reason"),
    [
        ("19900009901", "1001", 3, "FailedOperation.PhoneNumberInBlacklist"),
        ("19900009906", "1001", 3, "InvalidParameterValue.IncorrectPhoneNumber"),
        (PHONE, "9999", 3, "FailedOperation.TemplateIncorrectOrUnapproved"),
        (PHONE, "1001", 2, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ("12345", "1001", 3, "BAD_PHONE"),
        ("+8613900001234", "1001", 3, "BAD_PHONE"),
    ],
)
async def test_a_definite_no(gateway: Gateway, phone: str, template: str, params: int, reason: str) -> None:
    """The number or the template is not acceptable: rejected with the gateway's code, nothing kept."""
    with pytest.raises(Rejected) as no:
        await gateway.sms.send(template, phone, ["x"] * params)
    assert no.value.reason == reason
    assert gateway.world.messages == []


async def test_come_later_and_unknown(gateway: Gateway) -> None:
    """The daily limit is throttled; an inner error, silence and a 502 after taking it are unknown."""
    with pytest.raises(Throttled):
        await gateway.sms.send("1001", "19900009902", ["a", "b", "c"])
    for phone in ("19900009903", "19900009904", "19900009905"):
        with pytest.raises(Unknown):
            await gateway.sms.send("1001", phone, ["a", "b", "c"])
    assert [m["phone"] for m in gateway.world.messages] == ["+8619900009904", "+8619900009905"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"secret_id": "AKIDwrong"}, "AuthFailure.SecretIdNotFound"),
        ({"sdk_app_id": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        ({"sign_name": "别的医院"}, "FailedOperation.SignatureIncorrectOrUnapproved"),
    ],
)
async def test_wrong_papers(gateway: Gateway, change: dict[str, str], reason: str) -> None:
    """A wrong key, id, application or signature text sends nothing and leaks no key."""
    wrong = TencentSms(replace(gateway.settings, **change))
    with pytest.raises(Rejected) as no:
        await wrong.send("1001", PHONE, ["a", "b", "c"])
    await wrong.close()
    assert no.value.reason == reason
    assert gateway.world.messages == []
    assert gateway.settings.secret_key not in repr(gateway.settings) + str(no.value)


async def test_a_changed_body_is_refused_by_the_gateway(gateway: Gateway) -> None:
    """A recorded request with another phone number does not pass: the signature covers the body."""
    seen: list[Any] = []
    inner = gateway.sms._connected().request
    original = inner._request

    def keep(request: Any) -> Any:
        seen.append(request)
        return original(request)

    inner._request = keep
    await gateway.sms.send("1001", PHONE, ["a", "b", "c"])
    async with httpx.AsyncClient(base_url=gateway.base, trust_env=False) as http:
        headers = {name: value for name, value in seen[0].header.items() if name != "Host"}
        body = seen[0].data.replace(PHONE, "13900005678")
        answer = await http.post("/", content=body, headers=headers)
        same = await http.post("/", content=seen[0].data, headers=headers)
    assert answer.json()["Response"]["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert same.json()["Response"]["SendStatusSet"][0]["Code"] == "Ok"
    assert [m["phone"] for m in gateway.world.messages] == [f"+86{PHONE}"] * 2


async def test_nothing_is_sent_without_an_account(gateway: Gateway) -> None:
    """A missing setting is named."""
    with pytest.raises(NotConfigured) as missing:
        TencentSms(replace(gateway.settings, secret_key=""))
    assert missing.value.what == "sms.secret_key"
