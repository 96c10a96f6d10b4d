"""The production clients on the sandbox's own books without a wire between them, and a place to step in at every call.

Everything but signatures and sockets is the real thing: what our adapters ask and how they read the answers, and the
provider's rules and books. ``Step`` is asked before each call what is to go wrong, and after each effect.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from adapters import his as his_line
from adapters.insurance.client import InsuranceClient, InsuranceSettings
from adapters.wechat_pay import WeChatPay, WeChatPaySettings, cash
from adapters.wechat_pay import line as wechat_line
from kernel.outside import Breaker, Guard, Rejected, Unknown
from payments.ports import Authorized, CashNotice
from sandbox.his import commands
from sandbox.his.server import His
from sandbox.insurance import app as centre
from sandbox.insurance.wire import Refusal as CentreRefusal
from sandbox.insurance.world import World as Centre
from sandbox.wechat_pay.app import refund_view
from sandbox.wechat_pay.books import Books as PayBooks
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.wire import Merchant, Refusal
from visits.ports import HisAnswer, HisCommand

LOST, UNHEARD = "lost", "unheard"
QUESTION, DEED = (LOST,), (LOST, UNHEARD)
"""What can go wrong with a call: it never arrives, or it takes effect and the answer never arrives."""
_KINDS = {"JSAPI": "jsapi", "MINIPROG": "jsapi", "H5": "h5", "NATIVE": "native", "CODEPAY": "codepay"}
Json = dict[str, Any]


class Step(Protocol):
    """Steps in: before a call with what may go wrong (answers with one of these, or ""), after an effect with none."""

    def __call__(self, where: str, faults: Sequence[str] = ()) -> Awaitable[str]:
        """``where`` names the place."""
        ...


async def ask(step: Step, name: str, faults: Sequence[str], act: Callable[[], Any]) -> Any:
    """One call to an outside system.

    Raises:
        Unknown: it was made to go wrong.
    """
    how = await step(name, faults)
    if how == LOST:
        raise Unknown("it never arrived")
    told = act()
    if faults is DEED:
        await step(f"{name} done")
    if how == UNHEARD:
        raise Unknown("the answer never arrived")
    return told


class _Library:
    """Stands where ``wechatpayv3`` stands: the same calls, answered by the books."""

    def __init__(self, books: PayBooks, merchant: Merchant, now: Callable[[], datetime], step: Step) -> None:
        self.books, self.merchant, self.now, self.step = books, merchant, now, step
        self.notify_url = ""

    async def _answer(self, name: str, faults: Sequence[str], act: Callable[[], Json | None]) -> tuple[int, str]:
        try:
            told = await ask(self.step, f"wechat {name}", faults, act)
        except Refusal as no:
            wechat_line._SAID.set(no.number)
            return no.status, json.dumps({"code": no.code, "message": no.message})
        return (200, json.dumps(told)) if told is not None else (204, "")

    async def pay(self, *, pay_type: Any, **given: Any) -> tuple[int, str]:
        kind = _KINDS[pay_type.name]
        data = {"mchid": self.merchant.mchid} | {k: v for k, v in given.items() if v is not None}
        if kind != "codepay":
            data["notify_url"] = self.notify_url

        def act() -> Json:
            order = self.books.create(self.merchant, kind, data, self.now())
            return {"prepay_id": order.prepay_id, "code_url": "weixin://x", "h5_url": "https://x"}

        return await self._answer("create", DEED, act)

    async def query(self, *, out_trade_no: str) -> tuple[int, str]:
        return await self._answer(
            "query", QUESTION, lambda: transaction(self.books.order(self.merchant.mchid, out_trade_no, self.now()))
        )

    async def close(self, *, out_trade_no: str) -> tuple[int, str]:
        return await self._answer(
            "close", DEED, lambda: self.books.close(self.merchant.mchid, out_trade_no, self.now())
        )

    async def refund(self, **given: Any) -> tuple[int, str]:
        data = {k: v for k, v in given.items() if v is not None}
        return await self._answer(
            "refund", DEED, lambda: refund_view(self.books.refund(self.merchant, data, self.now()))
        )

    async def query_refund(self, *, out_refund_no: str) -> tuple[int, str]:
        return await self._answer(
            "query refund",
            QUESTION,
            lambda: refund_view(self.books.find_refund(self.merchant.mchid, out_refund_no)),
        )

    def sign(self, parts: Sequence[str]) -> str:
        return "unsigned"


class PayLine(WeChatPay):
    """``CashPay`` of production on the platform's books."""

    def __init__(
        self,
        settings: WeChatPaySettings,
        books: PayBooks,
        merchant: Merchant,
        now: Callable[[], datetime],
        step: Step,
    ) -> None:
        # A tree may grow in the middle of a call: nothing of it runs out of time or place.
        super().__init__(settings, Guard("wechat_pay", 10**6, deadline=1e9, wait=1e9, breaker=Breaker(10**9)))
        self._library: Any = _Library(books, merchant, now, step)
        self._library.notify_url = settings.notify_url
        self.line.library = self._library

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> CashNotice:
        """What ``Post`` carries, read as the adapter reads what it has decrypted."""
        body = json.loads(raw)
        kind, data = body["event"], body["data"]
        payment = cash._cash_state(data) if kind.startswith("TRANSACTION.") else None
        refund = cash._refund_state(data) if kind.startswith("REFUND.") else None
        return CashNotice(body["id"], kind, now, payment, refund)


class CentreLine(InsuranceClient):
    """``InsuranceCenter`` of production on the centre's books."""

    def __init__(self, settings: InsuranceSettings, world: Centre, step: Step) -> None:
        super().__init__(settings, world.now)
        self.world, self.step = world, step

    async def _ask(self, number: str, fields: Json, region: str = "") -> tuple[Mapping[str, Any], datetime]:
        name = next(n for n, (no, _) in centre.PATHS.items() if no == number)
        told = {k: v for k, v in fields.items() if v != ""}
        faults = QUESTION if name == "query" else DEED
        try:
            answer = await ask(
                self.step, f"centre {name}", faults, lambda: centre.HANDLERS[name](self.world, told, None)
            )
        except CentreRefusal as no:
            raise Rejected(no.code) from None
        return answer, self.world.now()

    async def resolve_auth(self, auth_code: str, openid: str) -> Authorized:
        """The city host's answer, as ``adapters.insurance.authorize`` reads it."""
        try:
            auth, token = await ask(
                self.step, "centre resolve", DEED, lambda: self.world.books.resolve(auth_code, openid)
            )
        except CentreRefusal as no:
            raise Rejected(no.code) from None
        payer = self.world.books.people[auth.payer]
        return Authorized(auth.number, auth.payer != auth.patient, payer.name, payer.id_number, token)


class HisLine:
    """``HisCommands`` and ``HisInsurance`` on the hospital's own books."""

    def __init__(self, his: His, step: Step) -> None:
        self.his, self.step = his, step

    async def of(self, hospital_id: UUID) -> "HisLine":
        """The one hospital."""
        return self

    async def send(self, given: Sequence[HisCommand]) -> list[HisAnswer | None]:
        """As ``adapters.his.HisClient.send`` says it and reads the answers."""
        said = [
            {"key": c.key, "kind": c.kind, "encounters": list(c.encounters), "at": c.at.isoformat(), "data": c.data}
            for c in given
        ]
        raw: list[Json] = json.loads(json.dumps(said))
        answers = await ask(self.step, "his send", DEED, lambda: [commands.take(self.his.books, one) for one in raw])
        return [his_line._understood(his_line._Answer.model_validate(one)) for one in answers]

    async def insurance(self, encounter: str) -> Json:
        """As ``adapters.his.HisClient.insurance`` reads it."""
        facts = self.his.books.insurance(encounter)
        if facts is None:
            raise Rejected("not_insured")
        return his_line._Facts.model_validate(facts).model_dump(mode="json")
