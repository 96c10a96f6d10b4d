"""The insurance at the window of a rehearsal: a cashier begins, a terminal reads the patient, who agrees; it pays.

It is the same round as on a phone, with nothing of WeChat in it. Judged by the payment centre's books (``insurer``).
"""

import asyncio
import html
import json
import random
import re
from uuid import uuid4

from sandbox.rehearsal.desk import Cashier, Terminal
from sandbox.rehearsal.hall import Account, Hall
from sandbox.rehearsal.insurer import Insurer
from sandbox.rehearsal.verdict import Json

_LIVE = ("insuring", "open", "closing")
_PATIENCE = 120.0


class Window:
    """A window with a certified terminal.

    Args:
        insurer: the payment centre, which lets somebody stand before a terminal.
    """

    def __init__(self, hall: Hall, insurer: Insurer, rng: random.Random) -> None:
        self.hall, self.insurer, self.rng = hall, insurer, rng
        self.refused = 0  # readings the centre would not have, and was asked again

    async def settle(self, account: Account, *, stop: bool) -> bool | None:
        """Let a cashier use the insurance for the patient; what remains in cash is paid as ever.

        Args:
            stop: she says no after she has agreed.

        Returns: whether the insurance paid; None if it could not be begun.
        """
        cashier, path = self.rng.choice(self.hall.cashiers), f"/desk/insurance/{account.visit}"
        chosen = self.rng.choice(("", "yes", "no"))
        if (await cashier.form(path, account=chosen)).status_code != 303:
            return None
        forged, read, agreed = self.rng.random() < 0.5, list[str](), False
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            now = (await account.owner.get(f"/api/visits/{account.visit}"))["round"]
            if now is None or now["state"] not in _LIVE:
                return now is not None and now["state"] in ("paid", "settled")
            if now["state"] == "open":
                return True
            text = (await cashier.page(f"/desk/pay/{account.visit}")).text
            if f'{path}/terminal"' in text:
                number = await self._read(cashier, account, path, text, forged=forged)
                self.refused += bool(forged and number)
                forged = False
                read += [number] if number else []
            elif f'{path}/agree"' in text:
                agreed = await self._agree(cashier, path, text)
            elif f'{path}/ask"' in text and not stop:
                await self._at_the_terminal(cashier, path, read)
            if agreed and stop:
                await cashier.form(f"{path}/stop")
            await asyncio.sleep(0.4)
        await cashier.form(f"{path}/stop")
        return False

    async def _read(self, cashier: Cashier, account: Account, path: str, text: str, *, forged: bool) -> str:
        """She stands before the terminal; the number it gave, or nothing."""
        places = {html.unescape(name): key for key, name in re.findall(r'<option value="([^"]+)"[^>]*>([^<]*)<', text)}
        machine: Terminal = self.rng.choice(self.hall.scanners)
        if machine.place not in places:
            return ""
        told: Json = await self.insurer.before_terminal(account.id_number)
        forgery = {"authno": f"AUTHNOBODY{uuid4().hex[:22].upper()}"} if forged else {}
        value = {name: told[name] for name in ("authno", "ectoken", "idno")} | forgery
        async with machine.turn:
            if (await cashier.form(f"{path}/terminal", said=places[machine.place])).status_code != 303:
                return ""
            kind = self.rng.choice(("EC_FACE", "EC_QRCODE"))
            status = await machine.read(json.dumps(value, separators=(",", ":")), str(cashier.login["login"]), kind)
        return str(value["authno"]) if status == 202 else ""

    async def _agree(self, cashier: Cashier, path: str, text: str) -> bool:
        """She has read what the screen shows, and agrees; to another amount nobody can."""
        found = re.search(r'name="cash_fen" value="(\d+)"', text)
        if found is None:
            return False
        if (await cashier.form(f"{path}/agree", cash_fen=int(found[1]) + 1)).status_code == 303:
            self.insurer.told.append(f"{path}: agreed at the window to an amount nobody was shown")
        return (await cashier.form(f"{path}/agree", cash_fen=found[1])).status_code == 303

    async def _at_the_terminal(self, cashier: Cashier, path: str, read: list[str]) -> None:
        """She confirms at the terminal, so the insurance pays; the cashier asks whether it did."""
        for number in read:
            await self.insurer.pays(number)
        await cashier.form(f"{path}/ask")
