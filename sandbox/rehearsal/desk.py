"""The hospital's desks in a rehearsal: cashiers with their drawers, a scanner, a kiosk, the finance department.

They use the pages people use, by their forms. What a cashier has in hand is counted here, never asked of Houfu.
"""

import asyncio
import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from sandbox.rehearsal.verdict import Json

_YUAN = re.compile(r"¥\s*([0-9][0-9,]*\.[0-9]{2})")
_PATIENCE = 75.0  # seconds a shown code has, its thirty for a password included


@dataclass(frozen=True, slots=True)
class Movement:
    """Money over the counter: ``fen`` is positive when it came, negative when it was handed out.

    ``patient`` is the hospital's number of whose bill it was, ``slip`` a card's own number.
    """

    patient: str
    way: str
    fen: int
    slip: str = ""


def fen_of(text: str) -> list[int]:
    """Every amount of a page, in fen."""
    return [int(Decimal(found.replace(",", "")) * 100) for found in _YUAN.findall(html.unescape(text))]


def yuan(fen: int) -> str:
    """As a cashier types it."""
    return f"{fen // 100}.{fen % 100:02d}"


class Pages:
    """Somebody at a browser of the hospital's; ``client`` is Houfu's own, without cookies."""

    def __init__(self, client: httpx.AsyncClient, login: Json) -> None:
        self.client, self.login = client, login
        self.headers: dict[str, str] = {}

    async def log_in(self) -> None:
        """By name and PIN."""
        answer = await self.client.post("/api/session/staff", json=self.login)
        self.headers = {"Authorization": f"Bearer {answer.raise_for_status().json()['token']}", "Accept": "text/html"}

    async def page(self, path: str) -> httpx.Response:
        """A page as it is now."""
        return await self.client.get(path, headers=self.headers)

    async def form(self, path: str, **fields: Any) -> httpx.Response:
        """A form of a page; 303 means done."""
        return await self.client.post(path, data={k: str(v) for k, v in fields.items()}, headers=self.headers)


class Cashier(Pages):
    """One window with one drawer."""

    def __init__(self, client: httpx.AsyncClient, login: Json, float_fen: int) -> None:
        super().__init__(client, login)
        self.drawer = self.float_fen = float_fen
        self.moved: list[Movement] = []
        self.wrong: list[str] = []  # what Houfu took that it must not
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Begin the shift; one somebody forgot is closed first.

        Raises:
            RuntimeError: it cannot be begun.
        """
        await self.log_in()
        counter = "/desk/counter/shift"
        if (await self.form(counter, do="open", yuan=yuan(self.float_fen))).status_code == 409:
            await self.form(counter, do="close", yuan="0", reason="演练前忘了交班")
            begun = await self.form(counter, do="open", yuan=yuan(self.float_fen))
            if begun.status_code != 303:
                raise RuntimeError(f"a shift could not be begun: {begun.status_code}")

    async def close(self) -> int:
        """Count the drawer and close the shift; by how many fen the house thinks the count is wrong."""
        done = await self.form("/desk/counter/shift", do="close", yuan=yuan(self.drawer))
        if done.status_code == 303:
            return 0
        off = next((part for part in re.findall(r'class="strip bad"[^>]*>(.*?)</p>', done.text, re.S)), "")
        await self.form("/desk/counter/shift", do="close", yuan=yuan(self.drawer), reason="演练")
        return next(iter(fen_of(off)), 0) or 1

    def take(self, patient: str, way: str, fen: int, slip: str = "") -> None:
        """It lies in the drawer now, or is given out of it; a card's money never does."""
        self.moved.append(Movement(patient, way, fen, slip))
        if way == "CASH":
            self.drawer += fen

    async def sheet(self, visit: str, share: int | None) -> tuple[int, str]:
        """What the pay page of a visit asks for, 0 if it asks for nothing; and the page."""
        shown = await self.page(f"/desk/pay/{visit}{f'?share={share}' if share else ''}")
        found = re.search(r'name="amount_fen" value="(\d+)"', shown.text)
        return (int(found[1]) if found and shown.status_code == 200 else 0), shown.text

    async def cash(self, patient: str, visit: str, share: int | None, given: int) -> bool:
        """Put down ``given`` fen more than is asked, after a wrong try; pressed twice, taken once."""
        amount, _ = await self.sheet(visit, share)
        if not amount:
            return False
        said: Json = {"amount_fen": amount, "share": share or 0, "said": yuan(amount + given)}
        path = f"/desk/pay/{visit}/cash"
        little = await self.form(path, **{**said, "_idem": uuid4().hex, "said": yuan(amount - 1)})
        other = await self.form(path, **{**said, "_idem": uuid4().hex, "amount_fen": amount + 1})
        for answer, what in ((little, "too little cash"), (other, "another amount")):
            if answer.status_code == 303:
                self.take(patient, "CASH", amount)
                self.wrong.append(f"{what} was taken at the counter for {visit}")
                return True
        said["_idem"] = uuid4().hex
        pressed = await asyncio.gather(*(self.form(path, **said) for _ in range(2)))
        if not any(answer.status_code == 303 for answer in pressed):
            return False
        self.take(patient, "CASH", amount)
        return True

    async def card(self, patient: str, visit: str, share: int | None, slip: str) -> bool:
        """The bank's terminal has printed a slip; one used before is refused."""
        amount, _ = await self.sheet(visit, share)
        if not amount:
            return False
        said: Json = {"amount_fen": amount, "share": share or 0}
        path = f"/desk/pay/{visit}/card"
        old = next((m.slip for m in self.moved if m.slip), "")
        if old and (await self.form(path, **said, _idem=uuid4().hex, said=old)).status_code == 303:
            self.wrong.append(f"the slip {old} was taken twice")
            return True
        if (await self.form(path, **said, _idem=uuid4().hex, said=slip)).status_code != 303:
            return False
        self.take(patient, "CARD", amount, slip)
        return True

    async def hand_out(self, patients: dict[str, str], mark: str) -> int:
        """Give back what waits at the counter, of these visits' numbers; how many."""
        async with self._turn:
            text, handed = (await self.page("/desk/refunds")).text, 0
            for path, block in _blocks(text, "hand"):
                number, amount = _number(block), next(iter(fen_of(block)), 0)
                if number not in patients:
                    continue
                card = 'name="said"' in block
                slip = f"B{mark}{uuid4().hex[:10]}" if card else ""
                if (await self.form(path, said=slip)).status_code == 303:
                    self.take(patients[number], "CARD" if card else "CASH", -amount, slip)
                    handed += 1
            return handed


class Finance(Pages):
    """Whoever answers requests for money back."""

    async def answer(self, number: str, *, agreed: bool) -> bool:
        """Agree to a visit's request, or say why not."""
        text = (await self.page("/desk/refunds")).text
        for path, block in _blocks(text, "answer"):
            if _number(block) == number:
                said = "" if agreed else "已经做过，记录在案"
                return (await self.form(path, agreed=int(agreed), said=said)).status_code == 303
        return False


def _blocks(text: str, what: str) -> list[tuple[str, str]]:
    found = []
    for block in text.split('<div class="pad-y">')[1:]:
        form = re.search(rf'action="(/desk/refunds/{what}/[0-9a-f-]+)"', block)
        if form:
            found.append((form[1], block))
    return found


def _number(block: str) -> str:
    found = re.search(r'<span class="num">([\d ]+)</span>', block)
    return found[1].replace(" ", "") if found else ""


@dataclass(slots=True)
class Terminal:
    """A machine that reads codes or looks at faces; it signs what it sends as ``docs/terminals.md`` says."""

    client: httpx.AsyncClient
    name: str
    secret: str
    place: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, value: str, operator: str = "", kind: str = "", **face: str) -> int:
        """Hand over a payment code, a face's with openid and number, or another ``kind``; the status of the answer."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        kind = kind or ("FACE_CODE" if face else "PAY_CODE")
        told = {"kind": kind, "value": value, "terminal_id": self.name, "operator": operator, "captured_at": at}
        return (await self._send("captures", {**told, **face})).status_code

    async def may_look(self) -> Json | None:
        """Ask to look at a face: the order it is for, or None."""
        answer = await self._send("faces", {"terminal_id": self.name, "rawdata": "rehearsal"})
        told: Json = answer.json()
        return told if answer.status_code == 200 else None

    async def _send(self, what: str, told: dict[str, str]) -> httpx.Response:
        now = int(time.time())
        raw = json.dumps(told).encode()
        signed = hmac.new(self.secret.encode(), f"{now}.{self.name}.".encode() + raw, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Houfu-Terminal": self.name,
            "X-Houfu-Timestamp": str(now),
            "X-Houfu-Signature": signed,
        }
        return await self.client.post(f"/api/terminals/{what}", content=raw, headers=headers)


Shown = Callable[[Terminal], Awaitable[dict[str, str]]]
"""What a terminal reads when somebody steps up to it: ``value``, of a face with its ``openid`` and ``out_trade_no``."""


async def scanned(cashier: Cashier, scanner: Terminal, visit: str, share: int | None, show: Shown) -> bool:
    """The cashier asks for a code at the scanner, which reads one twice; whether the first was taken."""
    amount, text = await cashier.sheet(visit, share)
    places = {html.unescape(name): key for key, name in re.findall(r'<option value="([^"]+)">([^<]*)<', text)}
    if not amount or scanner.place not in places:
        return False
    said: Json = {"_idem": uuid4().hex, "amount_fen": amount, "share": share or 0, "said": places[scanner.place]}
    async with scanner.turn:
        if (await cashier.form(f"/desk/pay/{visit}/scanner", **said)).status_code != 303:
            return False
        read, who = await show(scanner), str(cashier.login["login"])
        if not read or await scanner.read(operator=who, **read) != 202:
            await cashier.form(f"/desk/pay/{visit}/stop")
            return False
        if await scanner.read(operator=who, **read) == 202:
            cashier.wrong.append(f"a code was taken twice at {scanner.name}")
        return True


async def came(cashier: Pages, path: str) -> bool | None:
    """How a shown code went: True paid, False undone; None if nobody knows after a while."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while asyncio.get_running_loop().time() < end:
        text = (await cashier.page(path)).text
        if "data-waits" not in text:
            return 'class="strip bad"' not in text
        await asyncio.sleep(0.4)
    return None


class Kiosk(Pages):
    """The machine in the hall; one person at a time."""

    def __init__(self, client: httpx.AsyncClient, terminal: Terminal) -> None:
        super().__init__(client, {})
        self.terminal = terminal
        self.turn = asyncio.Lock()

    async def open(self) -> None:
        """The hospital's IT sets it up.

        Raises:
            RuntimeError: it is not let in.
        """
        async with httpx.AsyncClient(base_url=self.client.base_url, trust_env=False) as browser:
            form = {"name": self.terminal.name, "secret": self.terminal.secret}
            done = await browser.post("/kiosk/setup", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        token = done.headers.get("set-cookie", "").partition(";")[0].partition("=")[2]
        if done.status_code != 303 or not token:
            raise RuntimeError(f"the kiosk could not be set up: {done.status_code}")
        self.headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}

    async def pay(self, shown: str, code: str, *, typed: bool) -> bool:
        """Somebody shows a pass or types a number, then holds a code under the scanner.

        Args:
            typed: the kiosk's scanner types the code into the page; else the terminal sends it.
        """
        async with self.turn:
            try:
                if (await self.form("/kiosk", said=shown)).status_code != 303:
                    return False
                page = (await self.page("/kiosk")).text
                fields = dict(re.findall(r'name="(_idem|amount_fen)" value="([^"]+)"', page))
                if len(fields) < 2:
                    return False
                if (await self.form("/kiosk/code", **fields, said=code if typed else "")).status_code != 303:
                    return False
                if not typed and await self.terminal.read(code) != 202:
                    return False
                return await came(self, "/kiosk") is True and 'class="mark"' in (await self.page("/kiosk")).text
            finally:
                await self.form("/kiosk/quit")
