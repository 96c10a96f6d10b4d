"""Paid before it is done, in a rehearsal: chosen on a phone and paid; then it is done, or its money comes back."""

import asyncio
import random
from collections.abc import Callable, Sequence

from sandbox.his.books import Encounter
from sandbox.his.clinic import NotPossibleError
from sandbox.his.server import His
from sandbox.rehearsal.hall import Account
from sandbox.rehearsal.money import Purse
from sandbox.rehearsal.verdict import Json
from sandbox.rehearsal.ways import FIRST, Ways

_PATIENCE = 60.0
_ITEMS = ("URINE", "ECG12", "CONS2")
_ENDS = {"first_done": "settled", "first_back": "refunded"}


class First:
    """Everybody who pays for something that is only ordered.

    Args:
        his: the hospital, whose doctors order and whose departments do it.
    """

    def __init__(self, purse: Purse, his: His, ways: Ways, rng: random.Random) -> None:
        self.purse, self.his, self.ways, self.rng = purse, his, ways, rng

    async def play(self, accounts: Sequence[Account]) -> list[str]:
        """Two of it are done, two not; says what is wrong."""
        # Who is only let see the bill is told no line any more once the visit has ended; the patient's side is.
        own = [account for account in accounts if account.owner.sees == "all"]
        able = [(account, enc) for account in own if (enc := self._encounter(account)) is not None]
        self.rng.shuffle(able)
        able.sort(key=lambda one: one[1].mode != "UPFRONT")  # where all is paid first, before a line is made so
        told, played = list[str](), 0
        for account, enc in able[:12]:
            way = self.ways.deal(FIRST) if played < 4 else None
            if way is None:
                break
            wrong = await self._one(account, enc, way)
            self.ways.done(way, worked=wrong == "")
            played += wrong is not None
            told += [wrong] if wrong else []
        return told

    def _encounter(self, account: Account) -> Encounter | None:
        """One of the patient's that is in this visit."""
        mine = [e for e in self.his.books.encounters.values() if e.started["patient"]["no"] == account.patient]
        return next((e for e in mine if not e.excluded_all), None)

    async def _one(self, account: Account, enc: Encounter, way: str) -> str | None:
        """What is wrong, or nothing; None: whatever is ordered costs this patient nothing."""
        clinic, visit = self.his.clinic, account.visit
        order = await self._order(account, enc)
        if order is None:
            return None
        number, before = order
        new = await self._until(account, lambda x: x["id"] not in before and x["self_fen"] and x["pay_first"], "")
        if not new:
            return f"{visit}: {number} cannot be paid first"
        fen, ids = sum(line["self_fen"] for line in new), {line["id"] for line in new}
        for _ in range(3):  # another round may live for a while
            if await self.purse.pay_first(account.owner, visit, sorted(ids), fen):
                break
        if not await self._until(account, lambda x: x["id"] in ids, "prepaid"):
            return f"{visit}: {fen} fen of {number} were not paid before it was done"
        try:
            if way == "first_done":
                clinic.confirm(number)
            else:
                clinic.cancel(number, "医生取消")
        except NotPossibleError:
            return f"{visit}: {number} could not be {way}"
        if not await self._until(account, lambda x: x["id"] in ids, _ENDS[way]):
            return f"{visit}: {fen} fen were paid first for {number}, and are not {_ENDS[way]}"
        return ""

    async def _order(self, account: Account, enc: Encounter) -> tuple[str, set[str]] | None:
        """Order one thing more that costs the patient something: its number, and which lines were there before it."""
        books, clinic = self.his.books, self.his.clinic
        bill = await account.owner.get(f"/api/visits/{account.visit}")
        for item in _ITEMS:
            order = clinic.order(enc.no, item)
            numbers = books.charges_of(enc, order)
            if any(books.split(number)["self_fen"] for number in numbers):
                for number in numbers if bill["visit"]["mode"] != "UPFRONT" else ():
                    clinic.exclude(enc.no, "OTHER", number)
                return order, {line["id"] for line in bill["lines"]}
            clinic.cancel(order, "医生取消")
        return None

    async def _until(self, account: Account, ours: Callable[[Json], bool], state: str) -> list[Json]:
        """These lines, once there are any and all are in this state (any); nothing if they never are."""
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            bill = await account.owner.get(f"/api/visits/{account.visit}")
            seen = [line for line in bill["lines"] if ours(line)]
            if seen and all(state in ("", line["state"]) for line in seen):
                return seen
            await asyncio.sleep(0.3)
        return []
