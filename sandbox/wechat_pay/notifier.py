"""How WeChat Pay tells the merchant: a signed, encrypted POST, repeated on the real schedule until it is taken.

15 tries over about 24 h 4 min; ``scale`` shrinks the pauses (0.001: a day in 87 seconds). 200 or 204 within five
seconds ends it. Each try is signed anew; the notice's id stays the same.
"""

import asyncio
import json
import ssl
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

import httpx

from sandbox.wechat_pay.behave import Behaviour, Rule
from sandbox.wechat_pay.books import Order, Refund, rfc3339
from sandbox.wechat_pay.wire import Merchant, Wire, sealed

M, H = 60, 3600
PAUSES = (15, 15, 30, 3 * M, 10 * M, 20 * M, 30 * M, 30 * M, 30 * M, 60 * M, 3 * H, 3 * H, 3 * H, 6 * H, 6 * H)

# Mixed payments: the real one stops after thirty seconds; how it spends them nobody says.
MIX_PAUSES = (5, 10, 15)


@cache
def _tls() -> ssl.SSLContext:
    # Made once: reading the trusted roots takes longer than a hundred notices.
    return ssl.create_default_context()


@dataclass(slots=True)
class Try:
    """One try of one notice, as it went: ``status`` is None when nothing answered or nothing was sent."""

    notice_id: str
    event_type: str
    number: str
    attempt: int
    spoilt: str | None
    status: int | None


class Notifier:
    """The platform's postman.

    Args:
        now: the time written into and signed with notices (the world's clock; the merchant judges age by its own).
        scale: factor on the pauses between tries.
        patience: real seconds to wait for an answer.
    """

    def __init__(
        self, wire: Wire, behaviour: Behaviour, now: Callable[[], datetime], scale: float, patience: float = 5.0
    ) -> None:
        self._wire, self._behaviour, self._now = wire, behaviour, now
        self.scale, self._patience = scale, patience
        self.log: list[Try] = []
        self.sent: dict[str, tuple[str, bytes, dict[str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._passed = asyncio.Event()
        self._client: httpx.AsyncClient | None = None

    async def stop(self) -> None:
        """Drop everything still to be told."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background until ``stop``."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def paid(self, merchant: Merchant, order: Order) -> None:
        """Begin to tell of a payment."""
        body = self.envelope(merchant, "TRANSACTION.SUCCESS", "支付成功", "transaction", transaction(order))
        self.soon(self._deliver(order.notify_url, body, order.out_trade_no, order.total))

    def refunded(self, merchant: Merchant, refund: Refund) -> None:
        """Begin to tell of a refund's end."""
        if refund.notify_url is None:
            return
        word = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}[refund.status]
        body = self.envelope(merchant, f"REFUND.{refund.status}", word, "refund", refund_notice(refund))
        self.soon(self._deliver(refund.notify_url, body, refund.out_trade_no, refund.amount))

    def mixed(self, merchant: Merchant, url: str, view: dict[str, Any]) -> None:
        """Begin to tell of a mixed payment, for thirty seconds."""
        body = self.envelope(merchant, "MEDICAL_INSURANCE.SUCCESS", "医保混合收款成功", "medical_insurance", view)
        self.soon(self._deliver(url, body, view["out_trade_no"], view["total_fee"], "mix_notify", MIX_PAUSES))

    def plain(self, url: str, raw: bytes, event: str, number: str, amount: int = 0) -> None:
        """Begin to tell in APIv2's way: the same signed XML each time, until it is answered with 200."""
        self.soon(self._repeat(url, raw, event, number, amount))

    async def _repeat(self, url: str, raw: bytes, event: str, number: str, amount: int) -> None:
        head = {"Content-Type": "text/xml; charset=utf-8", "User-Agent": "Mozilla/4.0"}
        for attempt in range(1, len(PAUSES) + 2):
            rule = self._behaviour.now("notify", number, amount)
            do = rule.do if rule else None
            record = Try(f"{event}/{number}", event, number, attempt, do, None)
            if do == "delay":
                await asyncio.sleep(rule.seconds if rule and rule.seconds is not None else 1.0)
            if do == "duplicate":
                await self._post(url, raw, head)
            if do != "drop":
                record.status = await self._post(
                    url, raw.replace(b"SUCCESS", b"SUCCES5") if do == "tamper" else raw, head
                )
            self.log.append(record)
            if record.status == 200:
                return
            if attempt <= len(PAUSES):
                await asyncio.sleep(PAUSES[attempt - 1] * self.scale)

    def envelope(
        self, merchant: Merchant, event: str, summary: str, kind: str, content: dict[str, Any]
    ) -> dict[str, Any]:
        """A notice's body with a new id."""
        return {
            "id": str(uuid.uuid4()),
            "create_time": rfc3339(self._now()),
            "event_type": event,
            "resource_type": "encrypt-resource",
            "summary": summary,
            "resource": sealed(merchant.apiv3_key, content, kind),
        }

    async def _deliver(
        self,
        url: str,
        body: dict[str, Any],
        number: str,
        amount: int,
        on: str = "notify",
        pauses: tuple[int, ...] = PAUSES,
    ) -> None:
        for attempt in range(1, len(pauses) + 2):
            rule = self._behaviour.now(on, number, amount)
            if await self._try(url, body, number, attempt, rule):
                return
            if attempt <= len(pauses):
                await asyncio.sleep(pauses[attempt - 1] * self.scale)

    async def _try(self, url: str, body: dict[str, Any], number: str, attempt: int, rule: Rule | None) -> bool:
        do = rule.do if rule else None
        record = Try(body["id"], body["event_type"], number, attempt, do, None)
        if do == "drop":
            self.log.append(record)
            return False
        if do == "delay":
            await asyncio.sleep(rule.seconds if rule and rule.seconds is not None else 1.0)
        if do == "reorder":
            passed = self._passed
            await passed.wait()
        if do == "signtest":
            await self.post(url, body, "signtest")
        if do == "duplicate":
            await self.post(url, body)
        spoil = do if do in ("wrong_serial", "tamper", "stale") else None
        record.status = await self.post(url, body, spoil)
        self.log.append(record)
        self._passed.set()
        self._passed = asyncio.Event()
        return record.status in (200, 204)

    async def post(self, url: str, body: dict[str, Any], spoil: str | None = None) -> int | None:
        """Send once; the HTTP status, or None when nobody answered.

        Args:
            spoil: how to get it wrong (see ``Wire.sign``), or ``tamper`` to change the body after signing.
        """
        raw = json.dumps(body, ensure_ascii=False).encode()
        headers = self._wire.sign(raw, self._now().timestamp(), spoil)
        if spoil == "tamper":
            raw = raw.replace(b'"encrypt-resource"', b'"encrypt-resource" ', 1)
        headers |= {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "Mozilla/4.0"}
        if spoil is None:
            self.sent[body["id"]] = (url, raw, headers)
        return await self._post(url, raw, headers)

    async def replay(self, notice_id: str) -> int | None:
        """Send the very bytes of an earlier try again, as somebody who recorded them could.

        Raises:
            KeyError: no such notice was sent.
        """
        return await self._post(*self.sent[notice_id])

    async def _post(self, url: str, raw: bytes, headers: dict[str, str]) -> int | None:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=self._patience, verify=_tls())
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._client.post(url, content=raw, headers=headers)
        except (httpx.HTTPError, TimeoutError):
            return None
        return answer.status_code

    async def quiet(self, seconds: float = 5.0) -> None:
        """Wait until nothing is left to tell, or so many real seconds (for tests)."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def dump(self) -> list[dict[str, Any]]:
        """All tries so far."""
        return [asdict(t) for t in self.log]


def transaction(order: Order) -> dict[str, Any]:
    """An order as queries and notices show it."""
    words = {"SUCCESS": "支付成功", "REFUND": "转入退款", "NOTPAY": "订单未支付", "CLOSED": "订单已关闭"} | {
        "USERPAYING": "用户支付中", "PAYERROR": "支付失败", "REVOKED": "已撤销",
    }  # fmt: skip
    shown: dict[str, Any] = {
        "mchid": order.mchid,
        "appid": order.appid,
        "out_trade_no": order.out_trade_no,
        "trade_state": order.state,
        "trade_state_desc": words[order.state],
        "attach": order.attach,
    }
    if order.paid_at is None:
        return shown
    return shown | {
        "transaction_id": order.transaction_id,
        "trade_type": order.trade_type,
        "bank_type": "OTHERS",
        "success_time": rfc3339(order.paid_at),
        "payer": {"openid": order.payer},
        "amount": {"total": order.total, "payer_total": order.total, "currency": "CNY", "payer_currency": "CNY"},
    }


def refund_notice(refund: Refund) -> dict[str, Any]:
    """A refund as its notice shows it (a query differs, see ``app``)."""
    shown: dict[str, Any] = {
        "mchid": refund.mchid,
        "out_trade_no": refund.out_trade_no,
        "transaction_id": refund.transaction_id,
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_status": refund.status,
        "user_received_account": "支付用户零钱",
        "amount": {
            "total": refund.total,
            "refund": refund.amount,
            "payer_total": refund.total,
            "payer_refund": refund.amount,
        },
    }
    if refund.done_at is not None:
        shown["success_time"] = rfc3339(refund.done_at)
    return shown
