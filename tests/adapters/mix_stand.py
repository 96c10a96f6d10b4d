"""WeChat Pay and the insurance behind it on loopback, with our three clients, for tests of mixed payments."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.wechat_pay import MixSettings, WeChatMix, WeChatPay, WeChatPaySettings
from kernel.outside import Breaker, Guard
from payments.ports import (
    CashChannel,
    CashOrder,
    Credential,
    FeeUpload,
    ForgedNotice,
    MixKind,
    MixMoney,
    MixNotice,
    MixOrder,
    MixPerson,
    MixPrepared,
    Split,
)
from sandbox import wechat_pay as sandbox
from sandbox.keys import SandboxKeys
from tests.adapters import insurance_stand
from tests.adapters.insurance_stand import NOON
from tests.adapters.pay_stand import TLS

CITY, NUMBER, NAME = "100023", "H43010000001", "后付演示医院"


@dataclass
class House:
    """Our side's callback address: decodes with the real client and keeps what came."""

    notices: list[MixNotice] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    cash: int = 0
    answer: int = 200
    mix: WeChatMix | None = None
    now: Any = None

    def app(self) -> Starlette:
        async def callback(request: Request) -> Response:
            assert self.mix is not None
            try:
                notice = self.mix.decode_notify(dict(request.headers), await request.body(), self.now())
            except ForgedNotice as error:
                self.refused.append(error.why)
                return Response(json.dumps({"code": "FAIL", "message": "refused"}), 401)
            self.notices.append(notice)
            return Response(status_code=self.answer)

        async def cash(_: Request) -> Response:
            self.cash += 1
            return Response(status_code=204)

        return Starlette(
            routes=[Route("/pay/mix", callback, methods=["POST"]), Route("/pay/cash", cash, methods=["POST"])]
        )


@dataclass
class Bill:
    """One bill, reckoned by the insurance, its cash part opened: everything a press needs."""

    order: MixOrder
    fees: FeeUpload
    credential: Credential
    split: Split


@dataclass
class MixStand:
    """All ends of the lines."""

    insurance: insurance_stand.Stand
    world: sandbox.World
    desk: sandbox.MixDesk
    pay: WeChatPay
    mix: WeChatMix
    house: House
    http: httpx.AsyncClient
    settings: MixSettings

    def person(self, openid: str = "oFather") -> MixPerson:
        """Somebody as their e-certificate knows them."""
        one = next(p for p in self.insurance.world.books.people.values() if p.openid == openid)
        return MixPerson(one.name, one.id_number)

    async def bill(self, *charges: tuple[str, int], payer: str = "oFather", **over: Any) -> Bill:
        """The father's bill, 200 yuan of class A if nothing is said: 140 fund, 35 accounts, 25 cash."""
        channel = over.pop("channel", CashChannel.JSAPI)
        father = self.person().id_number
        code = self.insurance.code(payer, father if payer != "oFather" else None)
        auth = await self.insurance.client.resolve_auth(code, payer)
        fees, credential, split = await self.insurance.placed(
            *(charges or (("A1", 20000),)), pay_auth_no=auth.pay_auth_no
        )
        number = over.pop("out_trade_no", f"MX{fees.order_number}")
        openid = payer if channel is CashChannel.JSAPI else payer.replace("o", "m", 1)
        prepay = await self.cash(number, split.cash_fen, openid, channel) if split.cash_fen else ""
        order = MixOrder(
            out_trade_no=number,
            order_number=fees.order_number,
            kind=MixKind.BOTH if split.cash_fen else MixKind.INSURANCE_ONLY,
            money=money_of(split),
            channel=channel,
            payer_openid=openid,
            payer=self.person(payer),
            relative=self.person() if payer != "oFather" else None,
            pay_order_id=credential.pay_order_id,
            pay_auth_no=auth.pay_auth_no,
            location=fees.location,
            insured_at=NOON,
            prepay_id=prepay,
        )
        return Bill(replace(order, **over), fees, credential, split)

    async def cash(self, number: str, fen: int, openid: str, channel: CashChannel = CashChannel.JSAPI) -> str:
        """An ordinary order opened for the cash part; its ticket."""
        until = self.world.now() + timedelta(minutes=30)
        opened = await self.pay.create(CashOrder(number, fen, NAME, channel, until, openid))
        return opened.prepay_id or ""

    async def press(self, prepared: MixPrepared, openid: str = "oFather") -> Any:
        """What the payer's phone does."""
        return await self.post("/control/mix/pay", {"openid": openid, "params": dict(prepared.client_params)})

    async def pressed(self, bill: Bill, **behaviour: Any) -> MixPrepared:
        """Created and pressed."""
        if behaviour:
            self.world.behaviour.plan([behaviour])
        prepared = await self.mix.create(bill.order)
        answer = await self.press(prepared, bill.order.payer_openid)
        assert answer == {"err_msg": "requestMedicalInsurancePay:ok"}
        return prepared

    async def post(self, path: str, body: Any) -> Any:
        return (await self.http.post(path, json=body)).json()

    def insured(self, bill: Bill) -> Any:
        """The insurance's own record."""
        return self.insurance.world.books.orders[bill.credential.pay_order_id]


def money_of(split: Split) -> MixMoney:
    """The split as both formulas have it, nothing added, nothing reduced."""
    return MixMoney(
        total_fen=split.total_fen,
        fund_fen=split.fund_fen,
        account_fen=split.personal_account_fen,
        other_fen=split.other_fen,
        cash_fen=split.cash_fen,
        pay_fen=split.cash_fen,
    )


@asynccontextmanager
async def a_mix_stand(
    keys: SandboxKeys,
    clock: Any,
    serving: Callable[[Any], Any],
    passthrough: Any = "must",
    **over: Any,
) -> AsyncIterator[MixStand]:
    """Everything for one hospital."""
    appid, mini, mine = keys.wechat.appid, keys.wechat.mini_appid, keys.wechat_pay
    merchant = sandbox.Merchant(
        mine.mchid, mine.cert_serial, mine.merchant_public_key, mine.apiv3_key, frozenset({appid, mini})
    )
    payers = [
        sandbox.Payer(name, {appid: f"o{name}", mini: f"m{name}"})
        for name in ("Father", "Daughter", "Stranger", "Nobody")
    ]
    world = sandbox.World([merchant], mine.platform_private_key, mine.public_key_id, payers, clock, scale=0.001)
    house = House(now=clock)
    async with insurance_stand.a_stand(clock, serving) as insurance, serving(house.app()) as ours:
        given = sandbox.MedIns(
            insurance.world, frozenset({CITY}), {NUMBER: NAME}, passthrough=passthrough, loopback_http=True
        )
        desk = sandbox.MixDesk(world, given)
        async with serving(sandbox.build(world, mixed=desk)) as theirs:
            cash = WeChatPaySettings(**keys.client_wechat_pay(theirs, f"{ours}/pay/cash", f"{ours}/pay/cash"))
            settings = replace(MixSettings(CITY, NUMBER, NAME, f"{ours}/pay/mix", loopback_http=True), **over)
            # One whose breaker stays out of the way of tests that provoke many failures.
            guard = Guard("wechat_pay", deadline=5, wait=30, breaker=Breaker(failures=1000))
            async with (
                WeChatPay(cash, guard, timeout=(2, 2)) as pay,
                httpx.AsyncClient(base_url=theirs, trust_env=False, verify=TLS) as http,
            ):
                house.mix = WeChatMix(pay, settings, guard)
                yield MixStand(insurance, world, desk, pay, house.mix, house, http, settings)
                await world.notifier.stop()
