"""One made-up payment centre: the hospitals' apps, its books, its postman, and the way to make it misbehave."""

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import httpx

from sandbox.insurance import refunds
from sandbox.insurance.behave import Behaviour
from sandbox.insurance.books import Books, Order, Person, Refund
from sandbox.insurance.keys import InsuranceKeys
from sandbox.insurance.rules import Rules
from sandbox.insurance.wire import Dialect, Refusal, Wire, yuan

# Nobody publishes the centre's schedule: this one is ours. 200 or 204 ends it, and after the last pause it gives up.
PAUSES = (15, 30, 60, 300, 600, 1800)
BEIJING = timezone(timedelta(hours=8))
TOLD = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16)


@cache
def _tls() -> ssl.SSLContext:
    # Made once: reading the trusted roots takes longer than a hundred notices.
    return ssl.create_default_context()


@dataclass(slots=True)
class Try:
    """One try of one notice: ``status`` is None when nothing was sent or nobody answered."""

    order: str
    ord_stas: int
    attempt: int
    spoilt: str | None
    status: int | None


class World:
    """The state behind one server.

    Args:
        keys: the hospital's app and the city host's partnership.
        people: who is insured.
        now: the world's clock, for lifetimes and timestamps.
        notify_url: where 6302 goes; empty for nowhere.
        scale: factor on the pauses between tries.
        patience: real seconds to wait for the hospital's answer to a notice.
        house: the hospital's name, as the consent page shows it.
        at_home: host → openid of the person whose phone shows pages of that host.
    """

    def __init__(
        self,
        keys: InsuranceKeys,
        people: Iterable[Person],
        now: Callable[[], datetime],
        rules: Rules | None = None,
        dialect: Dialect | None = None,
        *,
        notify_url: str = "",
        scale: float = 1.0,
        patience: float = 5.0,
        house: str = "",
        at_home: Mapping[str, str] | None = None,
    ) -> None:
        self.keys, self.now = keys, now
        self.dialect = dialect or Dialect()
        self.notify_url, self.scale, self.patience = notify_url, scale, patience
        self.house, self.at_home = house, at_home or {}
        self.wire = Wire(keys.app(notify_url), int(keys.center_private_key, 16), self.dialect)
        self.books = Books(list(people), rules or Rules(), now)
        self.behaviour = Behaviour()
        self.tries: list[Try] = []
        self._sent: dict[str, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
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

    # What happens outside the hospital's calls; each raises Refusal when the order is not in a state for it.

    def pay(self, order: Order) -> None:
        """The patient agreed: the insurance pays."""
        self._told(order, self.books.pay)

    def cash(self, order: Order) -> None:
        """The cash part arrived."""
        self._told(order, self.books.cash)

    def fail(self, order: Order) -> None:
        """The insurance does not pay (any longer)."""
        self._told(order, self.books.fail)

    def inside(self, order: Order) -> None:
        """Settled at the hospital's window."""
        self._told(order, self.books.inside)

    def reverse(self, order: Order) -> None:
        """The insurer takes its payment back."""
        self._told(order, self.books.reverse)

    def put(self, order: Order, status: int) -> None:
        """A state without any movement of money: 2 settling, 14 abnormal."""
        if order.status not in {2: (1, 14), 14: (1, 2)}[status]:
            raise Refusal("ORDER_STATUS", "订单状态不允许")
        self._told(order, lambda one: self.books.move(one, status))

    def finish_refund(self, refund: Refund, success: bool) -> None:
        """An undecided refund is decided."""
        order = self.books.orders[refund.order]
        self._told(order, lambda _: refunds.finish(self.books, refund, success))

    def refund(self, org: str, data: dict[str, Any], outcome: str) -> Refund:
        """6203."""
        known = str(data.get("appRefdSn")) in self.books.refunds
        made = refunds.refund(self.books, org, data, outcome)
        if not known and made.status == "SUCC":
            self.tell(self.books.orders[made.order])
        return made

    def _told(self, order: Order, do: Callable[[Order], None]) -> None:
        do(order)
        self.tell(order)

    def tell(self, order: Order) -> None:
        """Begin to tell the hospital of an order's state, if it is one that is told."""
        if self.notify_url and order.status in TOLD:
            self.soon(self._deliver(order, self.view(order, self.books.shown(order), "02")))

    # 6302.

    async def _deliver(self, order: Order, view: dict[str, Any]) -> None:
        for attempt in range(1, len(PAUSES) + 2):
            rule = self.behaviour.now("notify", order.number)
            do = rule.do if rule else None
            record = Try(order.pay_order_id, int(view["ordStas"]), attempt, do, None)
            if rule is not None and do == "late":
                await asyncio.sleep(rule.seconds if rule.seconds is not None else 1.0)
            if do != "lose":
                if do == "duplicate":
                    await self.post(view)
                record.status = await self.post(view, do if do in ("tamper", "wrong_key") else None)
            self.tries.append(record)
            if record.status in (200, 204):
                return
            if attempt <= len(PAUSES):
                await asyncio.sleep(PAUSES[attempt - 1] * self.scale)

    async def post(self, view: dict[str, Any], spoil: str | None = None, url: str | None = None) -> int | None:
        """Send a notice once; the HTTP status, or None when nobody answered."""
        raw = json.dumps(self.letter("6302", view, spoil)).encode()
        if spoil is None:
            self._sent[str(view["payOrdId"])] = raw
        return await self._post(raw, url)

    async def replay(self, pay_order_id: str) -> int | None:
        """Send the very bytes of an order's last genuine notice again.

        Raises:
            KeyError: none was sent.
        """
        return await self._post(self._sent[pay_order_id], None)

    async def _post(self, raw: bytes, url: str | None) -> int | None:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=self.patience, verify=_tls())
        headers = {"Content-Type": "application/json"}
        try:
            answer = await self._client.post(url or self.notify_url, content=raw, headers=headers)
        except httpx.HTTPError:
            return None
        return answer.status_code

    async def quiet(self, seconds: float = 5.0) -> None:
        """Wait until nothing is left to tell, or so many real seconds (for tests)."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    # What goes out.

    def letter(self, number: str, data: dict[str, Any], spoil: str | None = None, age: float = 0) -> dict[str, Any]:
        """A sealed answer or notice with success written on it."""
        head = {"code": "0", "message": "成功", "success": True, "timestamp": self._stamp(age)}
        if self.dialect.numbered:
            data = (
                {"infno": number, "input": {"data": data}}
                if number == "6302"
                else {"infcode": "0", "output": {"data": data}}
            )
        return self.wire.seal(head, data, spoil)

    def refusal(self, code: str, message: str) -> dict[str, Any]:
        """A no, signed if this province signs them."""
        head = {"code": code, "message": message, "success": False, "timestamp": self._stamp(0)}
        return self.wire.seal(head, None) if self.dialect.signs_refusals else {"code": code, "message": message}

    def view(self, order: Order, shown: dict[str, Any], call_type: str) -> dict[str, Any]:
        """An order as 6202, 6301 and 6302 show it."""
        told = {
            "payOrdId": order.pay_order_id,
            "ordStas": str(shown["status"]),
            "medOrgOrd": order.number,
            "callType": call_type,
            "traceTime": f"{shown['traced'].astimezone(BEIJING):%Y%m%d%H%M%S}",
        }
        if "total" not in shown:
            return told
        own = shown["account"] - shown["mutual"]
        return told | {
            "setlType": "ALL",
            "revsToken": f"RV{order.pay_order_id[-12:]}",
            "feeSumamt": yuan(shown["total"]),
            "ownPayAmt": yuan(shown["cash"]),
            "psnAcctPay": yuan(shown["account"]),
            "fundPay": yuan(shown["fund"]),
            "othFeeAmt": yuan(shown["other"]),
            "hospPartAmt": yuan(shown["hospital"]),
            "acctMulaidPay": yuan(shown["mutual"]),
            "selfAcctPay": yuan(own),
            "deposit": "0.00",
            "delvFee": "0.00",
            "extData": {
                "preSetl": {
                    "medfee_sumamt": yuan(shown["total"]),
                    "fund_pay_sumamt": yuan(shown["fund"]),
                    "acct_pay": yuan(own),
                    "acct_mulaid_pay": yuan(shown["mutual"]),
                    "psn_cash_pay": yuan(shown["cash"]),
                    "balc": yuan(self.books.people[order.patient].account),
                }
            },
        }

    def _stamp(self, age: float) -> str:
        return str(int((self.now().timestamp() - age) * 1000))
