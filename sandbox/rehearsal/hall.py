"""The payment hall of a rehearsal: where the money of one visit is taken by cash, card, shown code, QR or kiosk."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from sandbox.rehearsal.desk import Cashier, Finance, Kiosk, Movement, Terminal, came, scanned
from sandbox.rehearsal.money import OVER, PAID, Purse
from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.verdict import Json

_FLOAT = 50_000  # fen in a drawer in the morning


@dataclass(slots=True)
class Account:
    """One visit with everybody who may pay for it.

    Attributes:
        patient: the hospital's number of the patient; ``id_number`` theirs.
        number: the visit's, ten digits.
        insured: whether the insurance may be asked.
        encounters: how many departments were seen.
    """

    patient: str
    id_number: str
    visit: str
    owner: Phone
    insured: bool
    helpers: list[Phone] = field(default_factory=list)
    encounters: int = 0
    number: str = ""
    ways: list[str] = field(default_factory=list)  # by which it was paid so far

    async def numbered(self) -> str:
        """The visit's number, as its pass says."""
        if not self.number:
            shown = await self.owner.get(f"/api/visits/{self.visit}/pass")
            self.number = "".join(str(shown["number"]).split())
        return self.number


class Hall:
    """Everybody there.

    Args:
        client: to Houfu.
        logins: hospital, login and PIN of each cashier; finance likewise, None for nobody.
        terminals: ``id``, ``kind`` (scanner, kiosk, face), ``place`` and ``secret`` of each.
        mark: sets this rehearsal's slips apart from another's.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        purse: Purse,
        logins: Sequence[Json],
        finance: Json | None,
        terminals: Sequence[Json],
        rng: random.Random,
        mark: str,
    ) -> None:
        self.purse, self.rng, self.mark = purse, rng, mark or uuid4().hex[:5]
        machines = [(t["kind"], Terminal(client, t["id"], t["secret"], t.get("place", ""))) for t in terminals]
        self.cashiers = [Cashier(client, login, _FLOAT + 1000 * n) for n, login in enumerate(logins)]
        self.finance = Finance(client, finance) if finance else None
        self.scanners = [machine for kind, machine in machines if kind == "scanner"]
        self.faces = [machine for kind, machine in machines if kind == "face"]
        self.kiosks = [Kiosk(client, machine) for kind, machine in machines if kind == "kiosk"]
        self.numbers: dict[str, str] = {}  # of visits, and whose they are
        self._slips = 0

    async def open(self) -> None:
        """Shifts begin, the kiosk is switched on."""
        for cashier in self.cashiers:
            await cashier.open()
        for kiosk in self.kiosks:
            await kiosk.open()
        if self.finance is not None:
            await self.finance.log_in()

    async def close(self) -> int:
        """Drawers are counted; by how many fen the house thinks the counts wrong."""
        return sum([await cashier.close() for cashier in self.cashiers])

    @property
    def moved(self) -> list[Movement]:
        """Everything that passed over the counter."""
        return [one for cashier in self.cashiers for one in cashier.moved]

    @property
    def wrong(self) -> list[str]:
        """What was taken that must not be."""
        return [text for cashier in self.cashiers for text in cashier.wrong]

    async def hand_out(self) -> int:
        """Whatever waits to go back over the counter is handed out; how many."""
        return await self.cashiers[0].hand_out(self.numbers, self.mark) if self.cashiers else 0

    async def pay(self, way: str, account: Account, share: int | None) -> bool:
        """Pay what is payable of a visit, or one share of it, at the window or the kiosk; whether it was paid."""
        self.numbers[await account.numbered()] = account.patient
        if way == "kiosk":
            kiosk = self.rng.choice(self.kiosks)
            shown = account.id_number if self.rng.random() < 0.3 else account.number
            return await kiosk.pay(shown, await self._code(), typed=self.rng.random() < 0.5)
        cashier = self.rng.choice(self.cashiers)
        if self.rng.random() < 0.5:
            await cashier.form("/desk/counter/find", code=account.number)
        if way == "cash":
            given = self.rng.choice((0, 1, 50, 5000))
            return await cashier.cash(account.patient, account.visit, share, given)
        if way == "card":
            self._slips += 1
            return await cashier.card(account.patient, account.visit, share, f"A{self.mark}{self._slips:04d}")
        if way == "native":
            return await self._native(cashier, account, share)
        return await self._shown(way, cashier, account, share)

    async def _code(self) -> str:
        body = {"openid": self.purse.payer}
        answer = await self.purse.outside.post(f"{self.purse.till}/control/code", json=body)
        return str(answer.raise_for_status().json()["auth_code"])

    async def _held(self, _: Terminal) -> dict[str, str]:
        return {"value": await self._code()}

    async def _looked(self, machine: Terminal) -> dict[str, str]:
        """Somebody looks into the terminal, which has asked whether it may."""
        order = await machine.may_look()
        if order is None:
            return {}
        body = {name: order[name] for name in ("authinfo", "out_trade_no", "total_fee")} | {"openid": self.purse.payer}
        answer = await self.purse.outside.post(f"{self.purse.till}/control/face", json=body)
        told = answer.raise_for_status().json()
        return {"value": told["face_code"], "openid": told["openid"], "out_trade_no": order["out_trade_no"]}

    async def _native(self, cashier: Cashier, account: Account, share: int | None) -> bool:
        amount, _ = await cashier.sheet(account.visit, share)
        if not amount:
            return False
        body: Json = {"amount_fen": amount} | ({"share": share} if share else {})
        headers = cashier.headers | {"Idempotency-Key": uuid4().hex}
        begun = await cashier.client.post(f"/api/visits/{account.visit}/payments", json=body, headers=headers)
        if begun.status_code != 201:
            return False
        payment, scanned_once, end = begun.json(), False, asyncio.get_running_loop().time() + 60
        while payment["state"] not in OVER and asyncio.get_running_loop().time() < end:
            if payment["code_url"] is not None and not scanned_once:
                scanned_once = True
                told = {"code_url": payment["code_url"], "openid": self.purse.payer}
                await self.purse.outside.post(f"{self.purse.till}/control/scan", json=told)
            await asyncio.sleep(0.3)
            asked = await cashier.client.get(f"/api/payments/{payment['id']}", headers=cashier.headers)
            payment = asked.raise_for_status().json()
        return payment["state"] in PAID

    async def _shown(self, way: str, cashier: Cashier, account: Account, share: int | None) -> bool:
        """A face or a scanned code: taken at once, after a password, or never: the payer says no, or says nothing."""
        amount, _ = await cashier.sheet(account.visit, share)
        if way not in ("code", "face"):
            rule: Json = {"on": "pay", "do": "userpaying", "amount": amount}
            rule |= {"seconds": 2} if way == "code_password" else {}
            await self.purse.outside.post(f"{self.purse.till}/control/behave", json=[rule])
        machine, show = (self.faces, self._looked) if way == "face" else (self.scanners, self._held)
        if not await scanned(cashier, self.rng.choice(machine), account.visit, share, show):
            return False
        if way == "code_undone" and self.rng.random() < 0.8:
            await self._refuse(amount)
        paid = await came(cashier, f"/desk/pay/{account.visit}{f'?share={share}' if share else ''}")
        return paid is (way != "code_undone")

    async def _refuse(self, amount: int) -> None:
        for order in (await self.purse.books())["orders"]:
            if (order.get("state"), order.get("total")) == ("USERPAYING", amount):
                told = {"out_trade_no": order["out_trade_no"], "ok": False}
                await self.purse.outside.post(f"{self.purse.till}/control/code/password", json=told)
