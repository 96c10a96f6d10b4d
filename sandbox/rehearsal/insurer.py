"""The insurance in a rehearsal: patients consent, see what is taken from where, agree, or give it up in the middle.

Judged by the payment centre's own books against what the hospital's system was told.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal
from uuid import uuid4

import httpx

from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.verdict import Json

Stop = Literal["shown", "agreed", "paid", "refused"]
"""Where it is given up: when the split is shown, after agreeing to it, after the insurance paid; or it pays nothing."""
_WEATHER = (
    *(("auth", do) for do in ("down", "error_after")),
    *(("upload", do) for do in ("error_after", "unsure", "bad_signature", "throttle")),
    *(("place", do) for do in ("error_after", "garbage", "unsure", "error_before")),
    *(("query", do) for do in ("down", "stale", "tamper", "other_order", "old")),
    *(("revoke", do) for do in ("error_after", "unsure")),
    *(("refund", do) for do in ("error_after", "exp")),
    *(("notify", do) for do in ("lose", "duplicate", "tamper", "wrong_key")),
)
_PATIENCE = 150.0


class Insurer:
    """The payment centre, and what patients do there.

    Args:
        center: its address.
        register: WeChat Pay's, whose mixed office takes the payer's password.
    """

    def __init__(self, outside: httpx.AsyncClient, center: str, register: str, rng: random.Random) -> None:
        self.outside, self.center, self.register, self.rng = outside, center, register, rng
        self.others: set[str] = set()  # orders that were there before us
        self.others_back: set[str] = set()
        self.told: list[str] = []  # forged notices that were taken
        self.forged = 0

    async def open(self) -> None:
        """Remember what is there already; it is none of ours."""
        found = await self._dump()
        self.others = {order["payOrdId"] for order in found["orders"]}
        self.others_back = {refund["appRefdSn"] for refund in found["refunds"]}

    async def storm(self, over: Callable[[], bool]) -> None:
        """One misfortune after the other waits on the line to the centre: bad weather, not a wall."""
        while not over():
            on, do = self.rng.choice(_WEATHER)
            await self._post("/control/behave", {"reset": True, "rules": [{"on": on, "do": do}]})
            if self.rng.random() < 0.2:
                await self.forge()
            await asyncio.sleep(self.rng.uniform(0.8, 2.5))

    async def behave(self) -> None:
        """Good weather again."""
        await self._post("/control/behave", {"reset": True})

    async def forge(self) -> None:
        """A notice nobody at the centre sent: it says paid of what is not, spoilt or with another key."""
        waiting = [o for o in (await self.books())["orders"] if o["insurance"] == "aside"]
        if not waiting:
            return
        spoil = self.rng.choice(("tamper", "wrong_key"))
        trick = {"payOrdId": self.rng.choice(waiting)["payOrdId"], "spoil": spoil, "overrides": {"ordStas": "6"}}
        status = (await self._post("/control/notify", trick))["status"]
        if status in (200, 204):
            self.told.append(f"{trick} was answered {status}")
        else:
            self.forged += 1

    # -- a patient

    async def settle(
        self, phone: Phone, visit: str, patient: str, openid: str, *, account_used: bool | None, stop: Stop | None
    ) -> Json | None:
        """Let the insurance settle first, to the end or until it is given up.

        Args:
            patient: the identity number of whose insurance it is.

        Returns: ``settlements``, ``account_fen``, ``mutual_aid_fen`` of what it came to (given up: zeros); None if it
            could not be gone.
        """
        asked = {"account_used": account_used, "channel": "JSAPI"}
        begun = await phone.post(f"/api/visits/{visit}/insurance", asked)
        if begun.status_code != 201:
            return None
        settlements: list[str] = begun.json()["settlements"]
        codes = [await self._consent(phone, one, patient, openid) for one in settlements]
        shown = await self._until(phone, visit, lambda states: set(states) == {"placed"}) if all(codes) else None
        if shown is None or stop == "shown":
            return await self._given_up(phone, visit, len(settlements))
        cash = sum(part["cash_fen"] for part in shown)
        agrees = {"cash_fen": cash, "channel": "JSAPI", "with_cash": self.rng.random() < 0.5}
        lie = await phone.post(f"/api/visits/{visit}/insurance/agree", agrees | {"cash_fen": cash + 1})
        if lie.status_code == 200:
            self.told.append(f"{visit}: agreed to an amount nobody was shown")
        agreed = await phone.post(f"/api/visits/{visit}/insurance/agree", agrees)
        if agreed.status_code != 200 or stop == "agreed":
            return await self._given_up(phone, visit, len(settlements))
        if stop == "refused":  # the password is right, and the insurance pays nothing
            fails = [{"on": "mix_pay", "do": "insurance_fails"}]
            await self.outside.post(f"{self.register}/control/behave", json=fails)
        pressed: set[str] = set()
        done = await self._until(
            phone,
            visit,
            lambda states: not states or set(states) == {"paid"},
            lambda: self._password(phone, visit, openid, pressed),
        )
        if stop == "refused":
            return await self._over(phone, visit, len(settlements))
        if done is None or stop == "paid":
            return await self._given_up(phone, visit, len(settlements))
        sums: Counter[str] = Counter()
        for part in shown:
            sums.update({name: part[name] for name in ("account_fen", "mutual_aid_fen")})
        return {"settlements": len(settlements), "given_up": False, **dict(sums)}

    async def _consent(self, phone: Phone, settlement: str, patient: str, openid: str) -> str:
        """Once more when the line broke; the code that was taken, or nothing."""
        for _ in range(6):
            told = await self._post("/control/consent", {"openid": openid, "patient": patient})
            code = str(told["auth_code"])
            answer = await phone.post(f"/api/insurance/{settlement}/consent", {"auth_code": code})
            if answer.status_code == 204:
                return code
            await asyncio.sleep(1)
        return ""

    async def before_terminal(self, patient: str) -> Json:
        """Somebody stands before a certified terminal: what its library gives."""
        told: Json = await self._post("/control/certificate", {"id_number": patient})
        return told

    async def pays(self, number: str) -> None:
        """She confirms at the terminal: the insurance pays what was consented to by this number, if it can."""
        try:
            await self._post("/control/order", {"auth_code": number, "do": "pay"})
        except httpx.HTTPStatusError as no:
            if no.response.status_code != HTTPStatus.CONFLICT:  # paid already, by a word said twice, or given up
                raise

    async def _password(self, phone: Phone, visit: str, openid: str, pressed: set[str]) -> None:
        """The payer's page hands each order to WeChat, twice, and the payer enters the password."""
        answer = await phone.client.get(f"/api/visits/{visit}/insurance", headers=phone.headers)
        for one in answer.json()["settlements"] if answer.status_code == 200 else []:
            if one["invoke"] is not None and one["id"] not in pressed:
                told = {"openid": openid, "params": one["invoke"]["params"]}
                pay = f"{self.register}/control/mix/pay"
                await asyncio.gather(*(self.outside.post(pay, json=told) for _ in range(2)))
                pressed.add(one["id"])

    async def _given_up(self, phone: Phone, visit: str, settlements: int) -> Json | None:
        await phone.post(f"/api/visits/{visit}/shares/give-up")
        return await self._over(phone, visit, settlements)

    async def _over(self, phone: Phone, visit: str, settlements: int) -> Json | None:
        """Wait until everything has gone back."""
        gone = await self._until(phone, visit, lambda states: not states)
        nothing = {"settlements": settlements, "account_fen": 0, "mutual_aid_fen": 0, "given_up": True}
        return nothing if gone is not None else None

    async def _until(
        self,
        phone: Phone,
        visit: str,
        met: Callable[[list[str]], bool],
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Json] | None:
        """The settlements once they stand so (none: the round is over); None if they never do, or all came back."""
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            now = (await phone.get(f"/api/visits/{visit}"))["round"]
            live = now is not None and now["state"] in ("insuring", "open", "closing")
            parts: list[Json] = (now["parts"] or []) if live else []
            if met([part["state"] for part in parts]):
                return parts
            if not parts:
                return None
            await self.decide()
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(0.5)
        return None

    async def decide(self) -> None:
        """Somebody at the centre decides what nobody knew about."""
        for refund in (await self.books())["refunds"]:
            if refund["status"] == "EXP":
                await self._post("/control/refund", {"appRefdSn": refund["appRefdSn"], "success": True})

    # -- the judgement

    async def books(self) -> Json:
        """What the centre holds, of this rehearsal."""
        found = await self._dump()
        return {
            "orders": [o for o in found["orders"] if o["payOrdId"] not in self.others],
            "refunds": [r for r in found["refunds"] if r["appRefdSn"] not in self.others_back],
        }

    async def _dump(self) -> Json:
        found: Json = (await self.outside.get(f"{self.center}/control/books")).raise_for_status().json()
        return found

    async def _post(self, path: str, body: Any) -> Any:
        answer = await self.outside.post(f"{self.center}{path}", json=body, headers={"X-Request": uuid4().hex})
        return answer.json()


def judge_insurance(books: Json, settlements: Mapping[str, Json], refunds: Iterable[Json]) -> tuple[int, list[str]]:
    """What the insurer has paid and not got back is what the hospital was told of, order by order and part by part.

    Returns: (fen that differ, what differs).
    """
    parts = ("fund", "account", "other")
    told: dict[str, Counter[str]] = {}
    named: Counter[str] = Counter()
    for data in settlements.values():
        for one in data.get("insurance", ()):
            named[one["number"]] += 1
            told.setdefault(one["number"], Counter()).update({part: one[f"{part}_fen"] for part in parts})
    for data in refunds:
        for one in data.get("insurance", ()):
            told.setdefault(one["number"], Counter()).subtract({part: one[f"{part}_fen"] for part in parts})
    held: dict[str, Counter[str]] = {}
    for order in books["orders"]:
        holds = order["insurance"] == "paid"
        held[order["payOrdId"]] = Counter({part: order[part] for part in parts} if holds else {})
        if order["insurance"] == "aside":  # set aside on accounts, and nobody is paying any more
            held[order["payOrdId"]]["account"] = order["account"]
    off, said = 0, list[str]()
    for number in held.keys() | told.keys():
        there, here = held.get(number, Counter()), told.get(number, Counter())
        fen = sum(abs(there[part] - here[part]) for part in parts)
        if fen or named[number] > 1:
            off += fen or 1
            said.append(f"insurance {number}: holds {dict(there)}, the hospital was told {dict(here)}")
    return off, said
