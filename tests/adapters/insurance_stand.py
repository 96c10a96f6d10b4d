"""Both ends of the insurance's line on loopback, for tests of several folders."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.insurance import Access, InsuranceClient, InsuranceSettings, Province, UserQuerySettings
from kernel.outside import Breaker, Guard
from payments.ports import (
    Authorized,
    Credential,
    Diagnosis,
    FeeLine,
    FeeUpload,
    ForgedNotice,
    InsuranceOrder,
    InsuranceRefund,
    InsuranceState,
    Insured,
    RefundKind,
    Split,
)
from sandbox import insurance as sandbox
from sandbox.insurance import keys as sandbox_keys

TLS = ssl.create_default_context()
NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
KEYS = sandbox_keys.fresh()
CLASSES = {"A1": "A", "A2": "A", "B1": "B", "B2": "B"}
RULES = sandbox.Rules(classes=CLASSES, other={"390": 10}, hospital={"C9": 50})


def people(father_has: int = 2000) -> list[sandbox.Person]:
    """A father, his daughter who shares her account and may pay for him, a stranger whose insurance rests."""
    daughter = ("999901198503089012",)
    return [
        sandbox.Person("示例父", "999901195503089023", "oFather", "310", father_has, daughter, daughter),
        sandbox.Person("示例女", "999901198503089012", "oDaughter", "390", 1500),
        sandbox.Person("示例客", "999901199001010017", "oStranger", None, 0),
    ]


@dataclass
class House:
    """Our side's callback address: decodes with the real client and keeps what came."""

    states: list[InsuranceState] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answer: int = 200
    client: InsuranceClient | None = None

    def app(self) -> Starlette:
        async def callback(request: Request) -> Response:
            assert self.client is not None
            try:
                state = await self.client.decode_notice(await request.body())
            except ForgedNotice as error:
                self.refused.append(error.why)
                return Response(status_code=401)
            self.states.append(state)
            return Response(status_code=self.answer)

        return Starlette(routes=[Route("/insurance/notify", callback, methods=["POST"])])


@dataclass
class Stand:
    """Both ends, and the patient's side."""

    world: sandbox.World
    client: InsuranceClient
    house: House
    http: httpx.AsyncClient
    settings: InsuranceSettings
    number: int = 0

    def insured(self, openid: str = "oFather") -> Insured:
        """Somebody as the insurance knows them."""
        one = next(p for p in self.world.books.people.values() if p.openid == openid)
        return Insured(one.name, one.id_type, one.id_number, one.number, one.scheme or "310", "430100")

    def fees(self, *charges: tuple[str, int], openid: str = "oFather", **over: Any) -> FeeUpload:
        """A bill of (national code, fen); 100 yuan of class A if nothing is said."""
        self.number += 1
        charges = charges or (("A1", 10000),)
        lines = tuple(
            FeeLine(f"L{n}", NOON, code, f"H{code}", Decimal("1"), amount, amount, "D01", "DR01")
            for n, (code, amount) in enumerate(charges, 1)
        )
        fees = FeeUpload(
            order_number=f"HF{self.number:08d}",
            insured=self.insured(openid),
            visit_number=f"V{self.number}",
            begun_at=NOON,
            department="D01",
            department_name="内科门诊",
            total_fen=sum(amount for _, amount in charges),
            lines=lines,
            diagnoses=(Diagnosis("Z00.0", "一般性医学检查", "D01", "DR01", "示例医", NOON),),
            batch=f"B{self.number}",
            registration=f"M{self.number}",
            location="112.9388,28.2282",
        )
        return replace(fees, **over)

    def code(self, openid: str = "oFather", patient: str | None = None) -> str:
        """Somebody agrees in the mini-program."""
        return self.world.books.consent(openid, patient)

    async def auth(self, openid: str = "oFather") -> Authorized:
        """A fresh authorization."""
        return await self.client.resolve_auth(self.code(openid), openid)

    async def uploaded(self, *charges: tuple[str, int], **over: Any) -> tuple[FeeUpload, Credential]:
        """A bill handed in."""
        openid = over.get("openid", "oFather")
        auth = over.pop("pay_auth_no", None) or (await self.auth(openid)).pay_auth_no
        fees = self.fees(*charges, pay_auth_no=auth, **over)
        return fees, await self.client.upload(fees)

    def order(self, fees: FeeUpload, credential: Credential, account_used: bool | None = None) -> InsuranceOrder:
        """The 6202 that follows."""
        return InsuranceOrder(
            credential=credential,
            pay_auth_no=fees.pay_auth_no,
            business_number=f"S{fees.order_number}",
            batch=fees.batch,
            registration=fees.registration,
            account_used=account_used,
        )

    async def placed(self, *charges: tuple[str, int], **over: Any) -> tuple[FeeUpload, Credential, Split]:
        """A bill reckoned."""
        used = over.pop("account_used", None)
        fees, credential = await self.uploaded(*charges, **over)
        return fees, credential, await self.client.place(self.order(fees, credential, used))

    async def move(self, credential: Credential, *dos: str) -> Any:
        """What happens outside."""
        told = None
        for do in dos:
            told = await self.post("/control/order", {"payOrdId": credential.pay_order_id, "do": do})
        return told

    async def post(self, path: str, body: Any) -> Any:
        return (await self.http.post(path, json=body)).json()

    async def books(self) -> Any:
        """The oracle."""
        return (await self.http.get("/control/books")).json()

    def behave(self, on: str, do: str, **more: Any) -> None:
        """One misbehaviour."""
        self.world.behaviour.plan([{"on": on, "do": do, **more}])


def refund_of(fees: FeeUpload, credential: Credential, split: Split, kind: RefundKind, **over: Any) -> InsuranceRefund:
    """A refund of everything the kind may take."""
    insured, cash = kind is not RefundKind.CASH, kind is not RefundKind.INSURANCE
    fund, account, other = (split.fund_fen, split.personal_account_fen, split.other_fen) if insured else (0, 0, 0)
    money = split.cash_fen if cash else 0
    made = InsuranceRefund(
        pay_order_id=credential.pay_order_id,
        refund_number=f"R{fees.order_number}{kind.value}",
        at=NOON,
        kind=kind,
        total_fen=fund + account + other + money,
        fund_fen=fund,
        personal_account_fen=account,
        cash_fen=money,
        other_fen=other,
        pay_auth_no=fees.pay_auth_no,
    )
    return replace(made, **over)


def patient_guard(deadline: float = 5.0) -> Guard:
    """One whose breaker stays out of the way of a test that provokes many failures."""
    return Guard("insurance", deadline=deadline, breaker=Breaker(failures=1000))


@asynccontextmanager
async def a_stand(
    clock: Callable[[], datetime],
    serving: Any,
    dialect: sandbox.Dialect | None = None,
    province: Province | None = None,
    guard: Guard | None = None,
    father_has: int = 2000,
) -> AsyncIterator[Stand]:
    """Both ends in one province's manner."""
    house = House()
    async with serving(house.app()) as ours:
        world = sandbox.World(
            KEYS,
            people(father_has),
            clock,
            RULES,
            dialect,
            notify_url=f"{ours}/insurance/notify",
            scale=0.0002,
            patience=2,
        )
        async with serving(sandbox.build(world)) as theirs:
            settings = InsuranceSettings(
                theirs,
                KEYS.org_code,
                Access(**KEYS.client_access()),
                province or Province("plain"),
                UserQuerySettings(**KEYS.client_user_query(theirs)),
                "/org/local/api/hos/family_account",
            )
            async with (
                InsuranceClient(settings, clock, guard or patient_guard(), timeout=(2, 3)) as client,
                httpx.AsyncClient(base_url=theirs, trust_env=False, verify=TLS) as http,
            ):
                house.client = client
                try:
                    yield Stand(world, client, house, http, settings)
                finally:
                    await world.stop()
