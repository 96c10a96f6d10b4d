"""Money in the rehearsal: patients and relatives pay, change their minds, press at once; the hospital takes lines back.

Judged by two books that are not Houfu's: what the till took and gave back, and what the hospital's system was told to
settle and to refund.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx

from sandbox.his.server import His
from sandbox.rehearsal.phones import Phone

Json = dict[str, Any]
_OVER = ("settled", "closed", "refunded", "returned", "failed", "share_paid")
_WEATHER = (
    ("notify", "drop", 0.2),
    ("notify", "duplicate", 0.2),
    ("notify", "tamper", 0.1),
    ("notify", "delay", 0.1),
    ("notify", "reorder", 0.1),
    ("notify", "wrong_serial", 0.05),
    ("create", "error_after", 0.05),
    ("query", "error_before", 0.05),
    ("refund", "error_after", 0.1),
)


class Purse:
    """Everybody's money.

    Args:
        till: the sandbox's WeChat Pay.
        payer: whose WeChat pays there.
    """

    def __init__(self, till: str, payer: str, his: His, rng: random.Random) -> None:
        self.outside = httpx.AsyncClient(trust_env=False, timeout=30)
        self.till, self.payer, self.his, self.rng = till, payer, his, rng
        self.others_paid: set[str] = set()  # and WeChat's numbers of those that were paid
        self.others: set[str] = set()  # orders that were at the till before us
        self.payments = self.forged = self.shared = 0
        self.fooled: list[str] = []  # forged or spoilt notices that were taken
        self._left: list[tuple[Phone, str]] = []  # payments somebody walked away from
        self._back: set[str] = set()

    async def open(self) -> None:
        """Remember what is at the till already; it is none of ours."""
        found = await self.books()
        self.others = {order["out_trade_no"] for order in found["orders"]}
        self.others_paid = {payment["transaction_id"] for payment in found["payments"]}

    async def close(self) -> None:
        """Let go of the line to the till."""
        await self.outside.aclose()

    async def misbehave(self) -> None:
        """Bad weather between the till and Houfu, until ``behave``."""
        rules = [
            {"on": on, "do": do, "times": None, "probability": chance, "seed": n}
            | ({"seconds": 1.5} if do == "delay" else {})
            for n, (on, do, chance) in enumerate(_WEATHER)
        ]
        (await self.outside.post(f"{self.till}/control/behave", json=rules)).raise_for_status()

    async def behave(self) -> None:
        """Good weather again."""
        (await self.outside.post(f"{self.till}/control/behave", json={"reset": True})).raise_for_status()

    # -- the middle of the day

    async def spend(self, payers: Callable[[], Sequence[Phone]], over: Callable[[], bool]) -> None:
        """Somebody pays now and then, before the visit is over."""
        while not over():
            await asyncio.sleep(self.rng.uniform(0.2, 1.0))
            ready = [(p, v) for p in payers() for v, w in p.following.items() if w.screen.sums.get("payable_fen")]
            if not ready:
                continue
            phone, visit = self.rng.choice(ready)
            chosen = self.rng.random()
            if chosen < 0.35:
                await self._share(phone, visit)
            if chosen < 0.2:
                await self._walk_away(phone, visit)
            else:
                await self._pay(phone, visit, patience=8)
            if chosen > 0.7:
                await self.forge()
            if chosen > 0.4:
                self.take_back()

    async def _walk_away(self, phone: Phone, visit: str) -> None:
        for payment in await self._press(phone, visit):
            self._left.append((phone, payment["id"]))

    async def _share(self, phone: Phone, visit: str) -> None:
        """Cut what is left into two or three shares, now and then after thinking better of it."""
        bill = await phone.client.get(f"/api/visits/{visit}", headers=phone.headers)
        left = bill.json()["sums"]["payable_fen"] if bill.status_code == 200 else 0
        if left < 4:
            return
        part = self.rng.randint(1, left // 2)
        shares = [{"amount_fen": part}] + ([{"amount_fen": part // 2}] if part > 1 and self.rng.random() < 0.5 else [])
        cut = await phone.post(f"/api/visits/{visit}/shares", {"left_fen": left, "shares": shares})
        self.shared += cut.status_code == 204
        if self.rng.random() < 0.2:
            await phone.post(f"/api/visits/{visit}/shares/give-up")

    async def tidy(self) -> None:
        """Whoever walked away gives it up in the evening."""
        for phone, payment in self._left:
            await phone.post(f"/api/payments/{payment}/cancel")
        self._left.clear()

    def take_back(self) -> None:
        """The hospital takes one paid line back: returned medicine, a mistake."""
        paid = [c for c in sorted(self.his.books.settled) if c not in self._back]
        if paid and len(self._back) < 2 + len(self.his.books.encounters) // 5:
            charge = self.rng.choice(paid)
            self._back.add(charge)
            enc = self.his.books.encounter(charge)
            data = {"charge_no": charge, "reason": "退药", "at": self.his.now().isoformat()}
            self.his.books.record("charge.reversed", enc.no, data)

    async def forge(self) -> None:
        """A notice nobody at WeChat sent: sealed with another key, over another amount, or an old one said again."""
        till = await self.books()
        unpaid = [o for o in till["orders"] if o.get("paid_at") is None]
        paid = till["payments"]
        tricks: list[Json] = []
        if unpaid:
            number = self.rng.choice(unpaid)["out_trade_no"]
            lie = {"trade_state": "SUCCESS", "transaction_id": f"42{uuid4().int % 10**26:026d}"}
            tricks.append({"out_trade_no": number, "wrong_key": True, "overrides": lie})
            tricks.append({"out_trade_no": number, "spoil": "tamper", "overrides": lie})
        if paid:
            number = self.rng.choice(paid)["out_trade_no"]
            tricks.append({"out_trade_no": number, "overrides": {"amount": {"total": 1, "payer_total": 1}}})
            tricks.append({"out_trade_no": number, "spoil": "stale"})
        if tricks:
            trick = self.rng.choice(tricks)
            answer = (await self.outside.post(f"{self.till}/control/notify", json=trick)).raise_for_status().json()
            if answer["status"] in (200, 204) and "amount" not in trick.get("overrides", {}):
                self.fooled.append(f"{trick} was answered {answer['status']}")
            else:
                self.forged += 1

    # -- paying

    async def settle_up(self, phones: Sequence[Phone], visit: str) -> str:
        """Pay until nothing is owed, each time by one of them or by two at once; says what is wrong, or nothing."""
        for _ in range(12):
            owed = (await phones[0].get(f"/api/visits/{visit}"))["sums"]["payable_fen"]
            if owed == 0:
                return ""
            payers = self.rng.sample(phones, k=min(len(phones), self.rng.choice((1, 1, 2))))
            if len(payers) > 1 or self.rng.random() < 0.3:
                await self._share(payers[0], visit)
            await asyncio.gather(*(self._pay(phone, visit, patience=60) for phone in payers))
        return f"{visit} could not be paid"

    async def _pay(self, phone: Phone, visit: str, patience: float) -> None:
        await asyncio.gather(*(self._cashier(phone, one, patience) for one in await self._press(phone, visit)))

    async def _press(self, phone: Phone, visit: str) -> list[Json]:
        """The pay button, twice, and once on another page of the same payer; the payments that began."""
        bill = await phone.client.get(f"/api/visits/{visit}", headers=phone.headers)
        if bill.status_code != 200 or not (owed := bill.json()["sums"]["payable_fen"]):
            return []
        body, path = {"amount_fen": owed, "channel": "H5"}, f"/api/visits/{visit}/payments"
        free = [s for s in (bill.json()["round"] or {"shares": []})["shares"] if s["state"] == "free"]
        if free and self.rng.random() < 0.8:  # one's own share; else all that is left
            share = self.rng.choice(free)
            body |= {"amount_fen": share["amount_fen"], "share": share["number"]}
        one, other = uuid4().hex, uuid4().hex
        pressed = await asyncio.gather(*(phone.post(path, body, **{"Idempotency-Key": k}) for k in (one, one, other)))
        return list({a.json()["id"]: a.json() for a in pressed if a.status_code == 201}.values())

    async def _cashier(self, phone: Phone, payment: Json, patience: float) -> None:
        """Press twice where WeChat's cashier asks for the money, and wait for the end of it."""
        pressed, end = False, asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < end:
            if payment["state"] in _OVER:
                self.payments += payment["state"] in ("settled", "share_paid")
                return
            if payment["h5_url"] is not None and not pressed:
                pressed = True
                paid = {"openid": self.payer}
                await asyncio.gather(*(self.outside.post(payment["h5_url"], data=paid) for _ in range(2)))
            await asyncio.sleep(0.3)
            payment = await phone.get(f"/api/payments/{payment['id']}")
        if not pressed:
            self._left.append((phone, payment["id"]))

    async def close_the_day(self) -> None:
        """The till makes its bill now, not tomorrow at ten."""
        rule = [{"on": "day", "do": "over", "times": None}]
        (await self.outside.post(f"{self.till}/control/behave", json=rule)).raise_for_status()

    # -- the judgement

    async def books(self) -> Json:
        """What the till holds."""
        found: Json = (await self.outside.get(f"{self.till}/control/books")).raise_for_status().json()
        return {
            part: [row for row in found[part] if row["out_trade_no"] not in self.others]
            for part in ("orders", "payments", "refunds")
        }

    async def wrong(self) -> tuple[list[str], list[str]]:
        """(money that went two ways or none, what the hospital was told that the till does not hold)."""
        return judge_money(await self.books(), self.his.books.settlements, self.his.books.refunds)


def judge_money(till: Json, settlements: dict[str, Json], refunds: dict[str, Json]) -> tuple[list[str], list[str]]:
    """Every fen the till kept is settled at the hospital exactly once, and nothing else is.

    Returns: (payments settled never or more than once, settlements and refunds that do not fit the till).
    """
    doubled, other = list[str](), list[str]()
    back: Counter[str] = Counter()
    for refund in till["refunds"]:
        if refund["status"] == "SUCCESS":
            back[refund["out_trade_no"]] += refund["amount"]
        else:
            other.append(f"a refund is {refund['status']}: {refund['out_refund_no']}")
    told_back: Counter[str] = Counter()
    for data in refunds.values():
        told_back[data["settlement_no"]] += data["total_fen"]
    till_by = {payment["transaction_id"]: payment for payment in till["payments"]}
    named = Counter(one["transaction"] for data in settlements.values() for one in data["payments"])
    for transaction, payment in till_by.items():
        number, kept = payment["out_trade_no"], payment["total"] - back[payment["out_trade_no"]]
        if named[transaction] > 1 or (named[transaction] == 0 and kept):
            doubled.append(f"{number}: paid {payment['total']}, kept {kept}, in {named[transaction]} settlements")
    for number, data in settlements.items():
        mine = [(one, till_by.get(one["transaction"])) for one in data["payments"]]
        other += [f"{number} names a payment the till does not have: {one}" for one, payment in mine if payment is None]
        paid = [(one, payment) for one, payment in mine if payment is not None]
        other += [f"{number} tells another amount: {one}" for one, p in paid if p["total"] != one["amount_fen"]]
        kept = sum(p["total"] - back[p["out_trade_no"]] for _, p in paid)
        booked = data["total_fen"] - told_back[number]
        if kept != booked and len(paid) == len(mine):
            doubled.append(f"{number}: the till kept {kept}, the hospital booked {booked}")
    return doubled, other
