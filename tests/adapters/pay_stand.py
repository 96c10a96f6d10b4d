"""Both ends of a WeChat Pay line on loopback, for the tests of this folder."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.wechat_pay import WeChatPay, WeChatPaySettings
from kernel.outside import Guard
from payments.ports import CashChannel, CashNotice, CashOrder, ForgedNotice
from sandbox import wechat_pay as sandbox
from sandbox.keys import SandboxKeys

MOTHER, DAUGHTER, STRANGER = "oMother", "oDaughter", "oStranger"
MINI_MOTHER = "mMother"
TLS = ssl.create_default_context()


@dataclass
class House:
    """Our side's callback address: decodes with the real client and keeps what came."""

    notices: list[CashNotice] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    raw: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: int = 200
    pay: WeChatPay | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def app(self) -> Starlette:
        async def callback(request: Request) -> Response:
            raw = await request.body()
            self.raw.append((dict(request.headers), raw))
            assert self.pay is not None
            try:
                notice = self.pay.decode_notify(request.headers, raw, self.now())
            except ForgedNotice as error:
                self.refused.append(error.why)
                return Response(json.dumps({"code": "FAIL", "message": "refused"}), 401)
            self.notices.append(notice)
            return Response(status_code=self.answer)

        return Starlette(
            routes=[
                Route("/pay/notify", callback, methods=["POST"]),
                Route("/pay/refund", callback, methods=["POST"]),
            ]
        )


@dataclass
class Stand:
    """Both ends of the line and a plain HTTP client for the payer's side."""

    world: sandbox.World
    pay: WeChatPay
    house: House
    http: httpx.AsyncClient
    settings: WeChatPaySettings
    number: int = 0

    def order(self, channel: CashChannel = CashChannel.JSAPI, amount: int = 7760, **over: Any) -> CashOrder:
        self.number += 1
        order = CashOrder(
            out_trade_no=f"HF{self.number:06d}",
            amount_fen=amount,
            description="后付演示医院 就诊费",
            channel=channel,
            expires_at=self.world.now() + timedelta(minutes=30),
            payer_openid=MOTHER if channel is CashChannel.JSAPI else None,
            payer_ip="10.0.0.8" if channel is CashChannel.H5 else None,
            attach="attempt",
        )
        return replace(order, **over)

    async def post(self, path: str, body: Any) -> Any:
        return (await self.http.post(path, json=body)).json()

    async def bridge(self, params: Any, openid: str = MOTHER) -> Any:
        return await self.post("/control/pay", {"openid": openid, "params": dict(params)})

    async def paid(self, amount: int = 7760) -> CashOrder:
        order = self.order(amount=amount)
        prepared = await self.pay.create(order)
        assert await self.bridge(prepared.client_params) == {"err_msg": "get_brand_wcpay_request:ok"}
        return order


@asynccontextmanager
async def a_stand(keys: SandboxKeys, clock: Any, serving: Any, guard: Guard | None = None) -> AsyncIterator[Stand]:
    appid, mini = keys.wechat.appid, keys.wechat.mini_appid
    mine = keys.wechat_pay
    world = sandbox.World(
        [
            sandbox.Merchant(
                mine.mchid,
                mine.cert_serial,
                mine.merchant_public_key,
                mine.apiv3_key,
                frozenset({appid, mini}),
                keys.wechat_face.apiv2_key,
            )
        ],
        mine.platform_private_key,
        mine.public_key_id,
        [
            sandbox.Payer("妈妈", {appid: MOTHER, mini: MINI_MOTHER}),
            sandbox.Payer("女儿", {appid: DAUGHTER}),
        ],
        clock,
        scale=0.001,
    )
    house = House(now=clock)
    async with serving(house.app()) as ours, serving(sandbox.build(world)) as theirs:
        settings = WeChatPaySettings(**keys.client_wechat_pay(theirs, f"{ours}/pay/notify", f"{ours}/pay/refund"))
        async with (
            WeChatPay(settings, guard or Guard("wechat_pay", deadline=5, wait=30), timeout=(2, 2)) as pay,
            httpx.AsyncClient(base_url=theirs, trust_env=False, verify=TLS) as http,
        ):
            house.pay = pay
            yield Stand(world, pay, house, http, settings)
            await world.notifier.stop()
