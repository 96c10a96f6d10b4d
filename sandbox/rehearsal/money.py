"""Money on phones in the rehearsal: patients and relatives pay by WeChat, change their minds, press at once.

Judged by two books that are not Houfu's: what the till took and gave back, and what the hospital's system was told to
settle and to refund.
"""

import asyncio
import html
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import httpx

from sandbox.his.server import His
from sandbox.rehearsal.drawers import at_till
from sandbox.rehearsal.phones import Phone

Json = dict[str, Any]
PAID = ("paid", "settled", "share_paid")
OVER = (*PAID, "closed", "refunded", "returned", "failed")
_CASHIER = re.compile(r'href="([^"]+checkmweb[^"]+)" referrerpolicy="origin"')
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
    ("code", "error_after", 0.1),
    ("reverse", "error_after", 0.1),
    ("face", "error_after", 0.1),
    ("face_query", "error_before", 0.05),
    ("face_reverse", "error_after", 0.1),
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
        self.payments = self.forged = self.shared = 0  # payments are those at the till alone
        self.linked = self.held = 0  # links a stranger paid, and presses a payer's own limit refused
        self.told: list[str] = []  # what a link said that it must not
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

    async def walk_away(self, phone: Phone, visit: str) -> None:
        for payment in await self._press(phone, visit):
            self._left.append((phone, payment["id"]))

    async def share(self, phone: Phone, visit: str) -> None:
        """Cut what is left into two or three shares."""
        bill = await phone.client.get(f"/api/visits/{visit}", headers=phone.headers)
        left = bill.json()["sums"]["payable_fen"] if bill.status_code == 200 else 0
        if left < 4:
            return
        part = self.rng.randint(1, left // 2)
        shares = [{"amount_fen": part}] + ([{"amount_fen": part // 2}] if part > 1 and self.rng.random() < 0.5 else [])
        cut = await phone.post(f"/api/visits/{visit}/shares", {"left_fen": left, "shares": shares})
        self.shared += cut.status_code == 204

    async def tidy(self) -> None:
        """Whoever walked away gives it up in the evening."""
        for phone, payment in self._left:
            await phone.post(f"/api/payments/{payment}/cancel")
        self._left.clear()

    def take_back(self) -> None:
        """The hospital takes one paid line back: returned medicine, a mistake."""
        books = self.his.books
        paid = [c for c in sorted(books.settled) if c not in self._back]
        if paid and len(self._back) < 2 + len(books.encounters) // 5:
            charge = self.rng.choice(paid)
            self._back.add(charge)
            enc = books.encounter(charge)
            data = {"charge_no": charge, "reason": "退药", "at": self.his.now().isoformat()}
            books.record("charge.reversed", enc.no, data)

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

    async def pay(self, phone: Phone, visit: str, patience: float, way: str = "h5", share: int | None = None) -> bool:
        """Pay in WeChat or in another browser; whether something was paid.

        Args:
            way: ``jsapi`` or ``h5``.
            share: number of one share; None: one's own choice.
        """
        begun = await self._press(phone, visit, way.upper(), share)
        return any(await asyncio.gather(*(self._cashier(phone, one, patience) for one in begun)))

    async def _press(self, phone: Phone, visit: str, channel: str = "H5", share: int | None = None) -> list[Json]:
        """The pay button, twice, and once on another page of the same payer; the payments that began."""
        bill = await phone.client.get(f"/api/visits/{visit}", headers=phone.headers)
        if bill.status_code != 200 or not (owed := bill.json()["sums"]["payable_fen"]):
            return []
        body, path = {"amount_fen": owed, "channel": channel}, f"/api/visits/{visit}/payments"
        free = [s for s in (bill.json()["round"] or {"shares": []})["shares"] if s["state"] == "free"]
        mine = [s for s in free if s["number"] == share] if share else free
        if mine and (share or self.rng.random() < 0.8):  # one's own share; else all that is left
            chosen = self.rng.choice(mine)
            body |= {"amount_fen": chosen["amount_fen"], "share": chosen["number"]}
        elif share:
            return []
        one, other = uuid4().hex, uuid4().hex
        pressed = await asyncio.gather(*(phone.post(path, body, **{"Idempotency-Key": k}) for k in (one, one, other)))
        return list({a.json()["id"]: a.json() for a in pressed if a.status_code == 201}.values())

    async def pay_first(self, phone: Phone, visit: str, lines: list[str], fen: int, patience: float = 40) -> bool:
        """Pay for lines that are only ordered; pressed twice, and over another amount in vain. Whether it was paid."""
        body: Json = {"amount_fen": fen, "channel": "H5", "lines": lines}
        path, key = f"/api/visits/{visit}/payments", uuid4().hex
        lie = await phone.post(path, body | {"amount_fen": fen + 1}, **{"Idempotency-Key": uuid4().hex})
        if lie.status_code == 201:
            self.fooled.append(f"{lie.json()} was begun over another amount than the lines are")
        pressed = await asyncio.gather(*(phone.post(path, body, **{"Idempotency-Key": key}) for _ in range(2)))
        begun = {a.json()["id"]: a.json() for a in pressed if a.status_code == 201}
        return any([await self._cashier(phone, one, patience) for one in begun.values()])

    async def by_link(self, phone: Phone, visit: str, amount: int, share: int, patience: float = 40) -> bool:
        """Send a link for one share on; somebody nobody knows opens it in a browser and pays. Whether it was paid."""
        bill = await phone.get(f"/api/visits/{visit}")
        made = await phone.post(f"/api/visits/{visit}/pay-links", {"amount_fen": amount, "share": share})
        if made.status_code != 201:
            return False
        link, stranger = made.json(), {"Accept": "text/html"}
        page = await phone.client.get(link["path"], headers=stranger)
        seen = (await phone.client.get(f"/api/pay-links/{link['path'].rpartition('/')[2]}")).json()
        names = [*([] if phone.patient else [phone.card.name]), *(line["name"] for line in bill["lines"])]
        self.told += [f"a link tells {name}" for name in names if name in page.text or name in str(seen)]
        form = {"_idem": uuid4().hex, "amount_fen": str(link["amount_fen"])}
        begun = await phone.client.post(f"{link['path']}/pay", data=form, headers=stranger)
        if begun.status_code != 303:
            return False
        paid = await self._stranger(phone, begun.headers["location"], link["path"], patience)
        self.linked += paid
        self.payments += paid
        if not paid:
            await phone.client.delete(f"/api/pay-links/{link['id']}", headers=phone.headers)
        return paid

    async def _stranger(self, phone: Phone, sheet: str, link: str, patience: float) -> bool:
        pressed, end = False, asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < end:
            page = await phone.client.get(sheet, headers={"Accept": "text/html"})
            cashier = _CASHIER.search(page.text)
            if not pressed and cashier is not None:
                pressed = True
                await self.outside.post(html.unescape(cashier[1]), data={"openid": self.payer})
            if (await phone.client.get(f"/api/pay-links/{link.rpartition('/')[2]}")).json().get("state") == "paid":
                return True
            await asyncio.sleep(0.3)
        return False

    async def within_limits(self, phone: Phone, visit: str, patient: str) -> None:
        """A payer sets a limit of one fen, is refused, and lifts it again."""
        path = f"/api/family/limits/{patient}"
        if (await phone.post(path, {"per_payment_fen": 1})).status_code != 200:
            return
        bill = await phone.get(f"/api/visits/{visit}")
        body = {"amount_fen": bill["sums"]["payable_fen"], "channel": "H5"}
        answer = await phone.post(f"/api/visits/{visit}/payments", body, **{"Idempotency-Key": uuid4().hex})
        self.held += answer.json().get("code") == "over_limit"
        if answer.status_code == 201:
            self.fooled.append(f"{body} was begun over a limit of one fen")
            self._left.append((phone, answer.json()["id"]))
        (await phone.post(path, {})).raise_for_status()

    async def _cashier(self, phone: Phone, payment: Json, patience: float) -> bool:
        """Press twice where WeChat asks for the money, and wait for the end of it; whether it was paid."""
        pressed, end = False, asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < end:
            if payment["state"] in OVER:
                paid = payment["state"] in PAID
                self.payments += paid
                return paid
            if not pressed and (payment["h5_url"] or payment["client_params"]):
                pressed = True
                await asyncio.gather(*(self._confirm(phone, payment) for _ in range(2)))
            await asyncio.sleep(0.3)
            payment = await phone.get(f"/api/payments/{payment['id']}")
        if not pressed:
            self._left.append((phone, payment["id"]))
        return False

    async def _confirm(self, phone: Phone, payment: Json) -> None:
        """The payer's finger: on the cashier page in a browser, on WeChat's own sheet inside it."""
        if payment["h5_url"]:
            await self.outside.post(payment["h5_url"], data={"openid": self.payer})
        else:
            told = {"openid": phone.openid, "params": payment["client_params"]}
            await self.outside.post(f"{self.till}/control/pay", json=told)

    async def close_the_day(self) -> None:
        """The till makes its bill now, not tomorrow at ten."""
        rule = [{"on": "day", "do": "over", "times": None}]
        (await self.outside.post(f"{self.till}/control/behave", json=rule)).raise_for_status()

    # -- the judgement

    async def books(self) -> Json:
        """What the till holds."""
        found: Json = (await self.outside.get(f"{self.till}/control/books")).raise_for_status().json()
        mine: Json = {
            part: [row for row in found[part] if row["out_trade_no"] not in self.others]
            for part in ("orders", "payments", "refunds")
        }
        undone = [o for o in mine["orders"] if o.get("reversed_at") and o.get("paid_at")]
        mine["refunds"] += [
            {"out_trade_no": o["out_trade_no"], "out_refund_no": "", "amount": o["total"], "status": "SUCCESS"}
            for o in undone
        ]
        return mine


def judge_money(
    till: Json, settlements: Mapping[str, Json], refunds: Mapping[str, Json]
) -> tuple[list[str], list[str]]:
    """Every fen the till kept is settled at the hospital exactly once, and nothing else is.

    A settlement that names money of the counter, too, is weighed as a whole by ``drawers.judge_drawers``.

    Returns: (payments settled never or more than once, settlements and refunds that do not fit the till).
    """
    doubled, other = list[str](), list[str]()
    back: Counter[str] = Counter()
    for refund in till["refunds"]:
        if refund["status"] == "SUCCESS":
            back[refund["out_trade_no"]] += refund["amount"]
        else:
            other.append(f"a refund is {refund['status']}: {refund['out_refund_no']}")
    till_by = {payment["transaction_id"]: payment for payment in till["payments"]}
    named = Counter(one["transaction"] for data in settlements.values() for one in at_till(data))
    for transaction, payment in till_by.items():
        number, kept = payment["out_trade_no"], payment["total"] - back[payment["out_trade_no"]]
        if named[transaction] > 1 or (named[transaction] == 0 and kept):
            doubled.append(f"{number}: paid {payment['total']}, kept {kept}, in {named[transaction]} settlements")
    told_back = _told_back(refunds.values())
    for number, data in settlements.items():
        mine = [(one, till_by.get(one["transaction"])) for one in at_till(data)]
        other += [f"{number} names a payment the till does not have: {one}" for one, payment in mine if payment is None]
        paid = [(one, payment) for one, payment in mine if payment is not None]
        other += [f"{number} tells another amount: {one}" for one, p in paid if p["total"] != one["amount_fen"]]
        kept = sum(p["total"] - back[p["out_trade_no"]] for _, p in paid)
        booked = data["total_fen"] - told_back[number]
        if kept != booked and len(paid) == len(data["payments"]):
            doubled.append(f"{number}: the till kept {kept}, the hospital booked {booked}")
    return doubled, other


def _told_back(refunds: Iterable[Json]) -> Counter[str]:
    found: Counter[str] = Counter()
    for data in refunds:
        found[data["settlement_no"]] += data["total_fen"]
    return found
