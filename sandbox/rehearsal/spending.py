"""Who pays how: by the way during the day, and in the evening until nothing is owed; some ask for money back."""

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from sandbox.rehearsal.first import First
from sandbox.rehearsal.hall import Account, Hall
from sandbox.rehearsal.insurer import Insurer, Stop
from sandbox.rehearsal.money import Purse
from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.verdict import Json
from sandbox.rehearsal.ways import DESK, INSURANCE, PHONE, WINDOW, Ways
from sandbox.rehearsal.window import Window

_LIVE = ("insuring", "open", "closing")
_WHOLE = (*PHONE, *DESK, "kiosk")
_ONE_BY_ONE = (*PHONE, *DESK)


class Spending:
    """All paying of one rehearsal.

    Args:
        insurer: None where nobody can ask the insurance.
    """

    def __init__(self, purse: Purse, hall: Hall, insurer: Insurer | None, ways: Ways, rng: random.Random) -> None:
        self.purse, self.hall, self.insurer, self.ways, self.rng = purse, hall, insurer, ways, rng
        can = insurer is not None and bool(hall.cashiers and hall.scanners)
        self.window = Window(hall, insurer, rng) if can and insurer is not None else None
        self.first = First(purse, purse.his, ways, rng)
        self.insured: set[str] = set()  # visits of which the insurance has paid something
        self._given_up: set[str] = set()
        self._saves: dict[str, bool] = {}

    # -- in the middle of the day

    async def day(self, accounts: Callable[[], Sequence[Account]], over: Callable[[], bool]) -> None:
        """Somebody pays now and then, before the visit is over; half of them save it all for the evening."""
        gone = list[asyncio.Task[None]]()
        while not over():
            await asyncio.sleep(self.rng.uniform(0.2, 1.0))
            ready = [a for a in accounts() if self._spends(a)]
            if not ready:
                continue
            account = self.rng.choice(ready)
            phone, chosen = self.rng.choice([account.owner, *account.helpers]), self.rng.random()
            if chosen < 0.35:
                await self.purse.share(phone, account.visit)
                if self.rng.random() < 0.2:
                    await phone.post(f"/api/visits/{account.visit}/shares/give-up")
            if chosen < 0.2:
                await self.purse.walk_away(phone, account.visit)
            elif chosen < 0.6:
                await self._by_phone(phone, account, None, patience=8)
            elif chosen < 0.7 and self._insurable(account):
                gone.append(asyncio.create_task(self._ask_insurance(account, give_up=True)))
            else:
                await self.pay(account, [*DESK, "kiosk"], None, patience=8)
            if chosen > 0.7:
                await self.purse.forge()
            if chosen > 0.4:
                self.purse.take_back()
        await asyncio.gather(*gone)

    def _spends(self, account: Account) -> bool:
        if self._saves.setdefault(account.visit, account.encounters > 1 or self.rng.random() < 0.5):
            return False
        return bool(account.owner.following[account.visit].screen.sums.get("payable_fen"))

    async def tidy(self, accounts: Sequence[Account]) -> None:
        """Whoever walked away gives it up, and what was begun by several is given up, too, or paid."""
        await self.purse.tidy()
        await asyncio.gather(*(self._tidy(account) for account in accounts))

    async def _tidy(self, account: Account) -> None:
        now = (await account.owner.get(f"/api/visits/{account.visit}"))["round"]
        if now is None or now["state"] not in _LIVE:
            return
        if now["state"] == "open" and self.rng.random() < 0.5 and not now["parts"]:
            await self.settle_up(account)
        else:
            await account.owner.post(f"/api/visits/{account.visit}/shares/give-up")

    # -- one payment

    async def pay(self, account: Account, able: Sequence[str], share: int | None, patience: float = 60) -> str | None:
        """One payment by the way that was tried least; that way if it worked."""
        able = [way for way in able if way != "jsapi" or any(p.openid for p in (account.owner, *account.helpers))]
        way = self.ways.deal(able)
        if way is None:
            return None
        if way in PHONE:
            payers = [p for p in (account.owner, *account.helpers) if way == "h5" or p.openid]
            worked = await self.purse.pay(self.rng.choice(payers), account.visit, patience, way, share)
        else:
            worked = await self.hall.pay(way, account, share)
            if worked and way in ("native", "code", "code_password", "face", "kiosk"):
                self.purse.payments += 1
        self.ways.done(way, worked=worked)
        return way if worked else None

    async def _by_phone(self, phone: Phone, account: Account, share: int | None, patience: float) -> None:
        way = "jsapi" if phone.openid and self.rng.random() < 0.5 else "h5"
        if await self.purse.pay(phone, account.visit, patience, way, share):
            self.ways.played[way] += 1

    # -- the evening

    async def settle_up(self, account: Account) -> str:
        """Pay until nothing is owed; says what is wrong, or nothing."""
        before = 0
        for _ in range(24):
            bill = await account.owner.get(f"/api/visits/{account.visit}")
            owed, now = bill["sums"]["payable_fen"], bill["round"]
            if owed:
                if owed == before:
                    await asyncio.sleep(2)  # somebody's code may wait for a password; that takes half a minute
                before = owed
                await self._once(account, owed, now)
            elif now is None or now["state"] not in _LIVE:
                return ""
            else:
                await asyncio.sleep(1)  # the last of it is still on its way
        return f"{account.visit} could not be paid"

    async def _once(self, account: Account, owed: int, now: Json | None) -> None:
        live = now if now is not None and now["state"] in _LIVE else None
        if live is None and account.helpers and not self.purse.held:
            patient = account.owner.patient or account.owner.person
            await self.purse.within_limits(account.helpers[0], account.visit, patient)
        if live is None and self._to_window(account):
            await self._ask_at_window(account)
            return
        if live is None and self._insurable(account) and self._wants_insurance(account):
            await self._ask_insurance(account, give_up=False)
            return
        shares: Sequence[Json] = live["shares"] if live else ()
        free = {share["number"]: share["amount_fen"] for share in shares if share["state"] == "free"}
        if len(free) < 2 and owed >= 40 and (len(self.ways.untried(_ONE_BY_ONE)) > 1 or self.rng.random() < 0.3):
            await self._cut(account, owed)
        elif len(free) > 1:
            await self._share_by_share(account, free)
        elif account.helpers and self.rng.random() < 0.3:  # two at once
            payers = (account.owner, self.rng.choice(account.helpers))
            await asyncio.gather(*(self._by_phone(phone, account, None, patience=60) for phone in payers))
        else:
            await self.pay(account, _WHOLE, None)

    async def _cut(self, account: Account, owed: int) -> None:
        part = self.rng.randint(owed // 4, owed // 2)
        shares = [{"amount_fen": part}, {"amount_fen": max(1, part // 2)}]
        cut = await account.owner.post(f"/api/visits/{account.visit}/shares", {"left_fen": owed, "shares": shares})
        self.purse.shared += cut.status_code == 204

    async def _share_by_share(self, account: Account, free: Mapping[int, int]) -> None:
        """Several people, each in their own way; what remains at the end may go at the kiosk."""
        ways = set[str]()
        for n, (share, amount) in enumerate(free.items()):
            by_link = n == 0 and not self.purse.linked  # the first to be sent on goes to somebody nobody knows
            if by_link and await self.purse.by_link(account.owner, account.visit, amount, share):
                ways.add("link")
                continue
            last = n == len(free) - 1 and "kiosk" in self.ways.untried(["kiosk"])
            way = await self.pay(account, ["kiosk"] if last else _ONE_BY_ONE, None if last else share)
            if way == "code_undone":
                way = await self.pay(account, [w for w in _ONE_BY_ONE if w != "code_undone"], share)
            ways |= {way} if way else set()
        if len(ways) > 1:
            self.ways.done("shared")

    # -- the insurance

    def _insurable(self, account: Account) -> bool:
        return self.insurer is not None and account.insured and bool(account.owner.openid)

    def _wants_insurance(self, account: Account) -> bool:
        if account.visit in self.insured or account.ways.count("insurance") > 3:
            return False
        return bool(self.ways.untried(INSURANCE)) or self.rng.random() < 0.4

    def _to_window(self, account: Account) -> bool:
        """Whether she has the insurance used for her by a cashier, as somebody without a phone does."""
        if self.window is None or not account.insured or not account.id_number or account.visit in self.insured:
            return False
        return account.ways.count("window") < 2 and (bool(self.ways.untried(WINDOW)) or self.rng.random() < 0.1)

    async def _ask_at_window(self, account: Account) -> None:
        account.ways.append("window")
        if self.window is None or self.ways.deal(WINDOW) is None:
            return
        stop = self.rng.random() < 0.2
        paid = bool(await self.window.settle(account, stop=stop))
        self.ways.done("insurance_counter", worked=paid)
        if paid:
            self.insured.add(account.visit)

    async def _ask_insurance(self, account: Account, *, give_up: bool) -> None:
        if self.insurer is None:
            return
        account.ways.append("insurance")
        open_ = self.ways.untried(INSURANCE)
        stop: Stop | None = None
        # Whoever comes with two departments is not wasted on giving up.
        if give_up or ("insurance_given_up" in open_ and account.encounters < 2) or self.rng.random() < 0.15:
            stop = self.rng.choice(get_args(Stop))
            self._given_up.add(account.visit)
        wanted = [w for w in open_ if w in ("insurance_no_account", "insurance_mutual_aid", "insurance_account")]
        used = self.rng.choice((True, None, False))
        if wanted and stop is None:
            used = wanted[0] != "insurance_no_account"
        marks = ["insurance_given_up"] if stop else ["insurance_no_account"] if used is False else list(INSURANCE[2:4])
        for mark in marks:
            self.ways.deal([mark])
        came = await self.insurer.settle(
            account.owner, account.visit, account.id_number, account.owner.openid, account_used=used, stop=stop
        )
        for mark in marks:
            self.ways.done(mark, worked=False)
        if came is None:
            return
        if came["given_up"]:
            self.ways.done("insurance_given_up")
            return
        self.insured.add(account.visit)
        found = {
            "insurance_one": came["settlements"] == 1,
            "insurance_two": came["settlements"] > 1,
            "insurance_account": came["account_fen"] > came["mutual_aid_fen"],
            "insurance_mutual_aid": came["mutual_aid_fen"] > 0,
            "insurance_no_account": used is False,
        }
        for way in (way for way, true in found.items() if true):
            self.ways.done(way)

    # -- money back

    async def ask_back(self, accounts: Sequence[Account]) -> None:
        """Some want money back of what they paid: finance agrees, or says why not."""
        if self.hall.finance is None:
            return
        cash = {one.patient for one in self.hall.moved if one.fen > 0}
        waiting = sorted(accounts, key=lambda a: (a.patient not in cash, a.visit not in self.insured))
        asked = 0
        for account in waiting:
            if asked >= max(3, len(accounts) // 4):
                return
            way = self.ways.deal(["refund_agreed", "refund_refused"])
            if way is None:
                return
            worked = await self._ask_back(account, agreed=way == "refund_agreed")
            self.ways.done(way, worked=worked)
            asked += worked

    async def _ask_back(self, account: Account, *, agreed: bool) -> bool:
        phone, finance = account.owner, self.hall.finance
        lines = [line for line in (await phone.get(f"/api/visits/{account.visit}"))["lines"] if line["can_refund"]]
        if not lines or finance is None:
            return False
        number = await account.numbered()
        self.hall.numbers[number] = account.patient
        path, headers = f"/visits/{account.visit}/refunds", phone.headers | {"Accept": "text/html"}
        page = (await phone.client.get(path, headers=headers)).text
        reason = next(iter(re.findall(r'name="reason" value="([^"]+)"', page)), "")
        some = self.rng.sample(lines, k=min(len(lines), self.rng.choice((1, 2))))
        form = {"line": [line["id"] for line in some], "reason": reason}
        if (await phone.client.post(path, data=form, headers=headers)).status_code != 303:
            return False
        return await finance.answer(number, agreed=agreed)

    async def keep_house(self, accounts: Sequence[Account] = ()) -> None:
        """What people behind desks do while others wait: hand out, decide.

        Args:
            accounts: visits of whoever pays again where a settlement went back as a whole and the rest is owed again.
        """
        for _ in range(await self.hall.hand_out()):
            self.ways.done("refund_handed_out")
        if self.insurer is not None:
            await self.insurer.decide()
        again = [a for a in accounts if a.owner.following[a.visit].screen.sums.get("payable_fen")]
        await asyncio.gather(*(self.settle_up(account) for account in again))
