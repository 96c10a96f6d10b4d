"""A scanner beside the desk reads a code: signed, awaited, of this terminal, once; everything else takes nothing."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from payments.models import CaptureSeen, CodeWait
from payments.ports import sign_capture
from payments.rules.counter import TerminalBusyError
from payments.service import codes
from payments.service.codes import Wanted
from people.rules import Actor
from people.service import terminals
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.desk import shown_code, sound, staff

SCANNER, OTHER, KIOSK = "HF01-W01-scan", "HF01-W02-scan", "HF01-K01"


class Terminal:
    """A scanner with its own secret and its own clock."""

    def __init__(self, house: House, name: str, secret: str) -> None:
        self.house, self.name, self.secret = house, name, secret
        self.http = httpx.AsyncClient(base_url=house.url, trust_env=False)
        house.clients.append(self.http)

    async def send(self, value: str, kind: str = "PAY_CODE", **over: Any) -> httpx.Response:
        """Hand over what was read."""
        now = self.house.clock()
        told = {"kind": kind, "value": value, "terminal_id": self.name, "operator": over.pop("operator", "c.cash")}
        told["captured_at"] = over.pop("captured_at", now).isoformat()
        if kind == "FACE_CODE":
            told["openid"], told["out_trade_no"] = over.pop("openid", MOTHER), over.pop("out_trade_no", "HF00000000")
        return await self.post("/api/terminals/captures", told, now, **over)

    async def look(self, rawdata: str = "raw==", **over: Any) -> httpx.Response:
        """Ask to look at a face."""
        told = {"terminal_id": self.name, "rawdata": rawdata}
        return await self.post("/api/terminals/faces", told, self.house.clock(), **over)

    async def post(self, path: str, told: dict[str, str], now: datetime, **over: Any) -> httpx.Response:
        """Sign and send."""
        raw = json.dumps(told).encode()
        stamp = int(over.pop("stamp", now).timestamp())
        signature = sign_capture(over.pop("secret", self.secret), over.get("name", self.name), stamp, raw)
        headers = {
            "Content-Type": "application/json",
            "X-Houfu-Terminal": over.pop("name", self.name),
            "X-Houfu-Timestamp": str(stamp),
            "X-Houfu-Signature": signature,
        }
        return await self.http.post(path, content=raw, headers=headers)


async def terminal(house: House, name: str = SCANNER) -> Terminal:
    """One of the hospital's file."""
    async with house.db.begin() as tx:
        found = await terminals.by_name(tx, name)
        assert found is not None
        return Terminal(house, name, terminals.secret_of(tx, found))


async def waits(house: House, bill: Bill, name: str = SCANNER, actor: Actor | None = None, **over: Any) -> CodeWait:
    """The cashier asks for a code at this scanner."""
    async with house.db.begin() as tx:
        found = await terminals.by_name(tx, name)
        assert found is not None
        wanted = Wanted(bill.visit, str(new_id()), over.pop("amount", bill.owed), **over)
        return await codes.await_code(tx, actor or house.counter, found.id, wanted)


async def test_a_scanner_s_code_is_charged(house: House) -> None:
    """Awaited at this desk for this amount: taken, charged, and the terminal waits no more."""
    bill = await house.bill()
    await waits(house, bill)
    answer = await (await terminal(house)).send(await shown_code(house))
    assert (answer.status_code, answer.json()) == (202, {"state": "taken"})
    [made] = await house.attempts(bill.visit)
    assert (made.state, made.channel, made.actor) == ("paid", "CODE", house.counter.viewer)
    assert await house.count(CodeWait) == 0
    [order] = house.town.pay.books.orders.values()
    assert order.state == "SUCCESS"
    await sound(house)


async def refused(house: House, answer: httpx.Response, status: int, code: str) -> None:
    """Said plainly, and nothing was taken."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert house.town.pay.books.orders == {}


@pytest.mark.parametrize(
    ("over", "status", "code"),
    [
        ({"secret": "guessed-secret"}, 401, "forged_capture"),
        ({"name": "HF01-W09-scan"}, 401, "forged_capture"),
        ({"name": OTHER}, 401, "forged_capture"),
        ({"stamp": timedelta(minutes=-6), "captured_at": timedelta(minutes=-6)}, 401, "forged_capture"),
        ({"captured_at": timedelta(seconds=-61)}, 422, "bad_capture"),
        ({"kind": "PAY_CARD"}, 422, "bad_capture"),
        ({"operator": "c.cash2"}, 409, "capture_not_awaited"),
        ({"kind": "FACE_CODE"}, 409, "face_not_here"),
        ({"kind": "EC_FACE"}, 409, "capture_not_here"),
    ],
)
async def test_what_is_not_taken(house: House, over: dict[str, Any], status: int, code: str) -> None:
    """Forged, foreign, stale, of another operator, of a kind we cannot charge: no money, and the desk still waits."""
    house.faceless()
    bill = await house.bill()
    await waits(house, bill)
    now = house.clock()
    over = {name: now + value if isinstance(value, timedelta) else value for name, value in over.items()}
    await refused(house, await (await terminal(house)).send(await shown_code(house), **over), status, code)
    assert await house.attempts(bill.visit) == []
    async with house.db.begin() as tx:
        wait = await codes.waits_of(tx, house.counter, bill.visit)
    assert wait is not None
    assert wait.said == (code if code in ("face_not_here", "capture_not_here") else None)


async def test_a_terminal_taken_off_is_no_terminal(house: House) -> None:
    """It left the hospital's file: its good signature is worth nothing."""
    bill = await house.bill()
    await waits(house, bill)
    lost = await terminal(house)
    async with house.db.begin() as tx:
        found = await terminals.by_name(tx, SCANNER)
        assert found is not None
        found.active = False
    await refused(house, await lost.send(await shown_code(house)), 401, "forged_capture")


async def test_replayed_and_read_twice(house: House) -> None:
    """The same bytes again, the same code signed anew, at another desk that waits: one charge."""
    bill = await house.bill("CONS2")
    await waits(house, bill)
    value = await shown_code(house)
    scanner = await terminal(house)
    assert (await scanner.send(value)).status_code == 202
    await house.bill("URINE")
    more = Bill(bill.visit, bill.encounter, [], await house.owed(bill.visit))
    other = await staff(house, "c.cash2")
    await waits(house, more)
    await waits(house, more, OTHER, other)
    for again in (scanner, scanner, await terminal(house, OTHER)):
        answer = await again.send(value, operator="")
        assert (answer.status_code, answer.json()["code"]) == (409, "code_used")
    assert house.payments == 1
    assert await house.owed(bill.visit) == more.owed


async def test_many_times_at_once(house: House) -> None:
    """A scanner that fires ten times: the digest lets one through."""
    bill = await house.bill()
    await waits(house, bill)
    scanner, value = await terminal(house), await shown_code(house)
    answers = await asyncio.gather(*(scanner.send(value) for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [202] + [409] * 9
    assert house.payments == 1
    await sound(house)


async def test_nobody_waits(house: House) -> None:
    """Nobody asked, or asked too long ago: not taken, and the code is burnt all the same."""
    bill = await house.bill()
    scanner = await terminal(house)
    await refused(house, await scanner.send(await shown_code(house)), 409, "capture_not_awaited")
    await waits(house, bill)
    house.clock.move(minutes=3)
    value = await shown_code(house)
    await refused(house, await scanner.send(value), 409, "capture_not_awaited")
    await waits(house, bill)
    await refused(house, await scanner.send(value), 409, "code_used")


async def test_the_bill_has_changed(house: House) -> None:
    """More was done since the cashier asked: refused with the desk told, the code burnt, nothing taken."""
    bill = await house.bill("CONS2")
    await waits(house, bill)
    await house.bill("URINE")
    await refused(house, await (await terminal(house)).send(await shown_code(house)), 409, "amount_changed")
    async with house.db.begin() as tx:
        wait = await codes.waits_of(tx, house.counter, bill.visit)
    assert wait is not None
    assert wait.said == "amount_changed"
    assert await house.count(CaptureSeen) == 1


async def test_the_daughter_was_quicker(house: House) -> None:
    """Her phone pays while the window waits for a code: the scanner is refused, one payment."""
    bill = await house.bill()
    await waits(house, bill)
    hers = await house.press(house.daughter, bill, DAUGHTER)
    answer = await (await terminal(house)).send(await shown_code(house))
    assert (answer.status_code, answer.json()["code"]) == (409, "attempt_in_progress")
    assert await house.bridge(hers, DAUGHTER) == "ok"
    await house.until_state(hers, "paid")
    assert house.payments == 1
    await sound(house)


async def test_a_scanner_serves_one_desk(house: House) -> None:
    """Two desks want the same scanner: the first has it until its time is over; nobody else's terminal can be asked."""
    bill = await house.bill()
    second, guide = await staff(house, "c.cash2"), await staff(house, "g.guide")
    made = await asyncio.gather(waits(house, bill), waits(house, bill, actor=second), return_exceptions=True)
    assert sorted(type(m).__name__ for m in made) == ["CodeWait", "TerminalBusyError"]
    first = house.counter if isinstance(made[0], CodeWait) else second
    loser = second if first is house.counter else house.counter
    await waits(house, bill, actor=first)
    with pytest.raises(TerminalBusyError):
        await waits(house, bill, actor=loser)
    house.clock.move(minutes=3)
    await waits(house, bill, actor=loser)
    with pytest.raises(ForbiddenError):
        await waits(house, bill, OTHER, guide)
    foreign = Actor(first.kind, first.id, new_id(), first.role)
    with pytest.raises(NotFoundError):
        await waits(house, bill, OTHER, foreign)


async def test_the_code_is_kept_nowhere(house: House) -> None:
    """Not in a table, not in an answer: a dump of the whole database does not show it."""
    bill = await house.bill()
    await waits(house, bill)
    value = await shown_code(house)
    answer = await (await terminal(house)).send(value)
    assert value not in answer.text
    async with house.db.begin() as tx:
        names = await tx.session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for name in names.all():
            where = text(f'SELECT count(*) FROM "{name}" AS t WHERE t::text LIKE :value')
            assert await tx.session.scalar(where, {"value": f"%{value}%"}) == 0, name


async def test_old_digests_are_forgotten(house: House) -> None:
    """After an hour no signature is good any more, so nothing has to be remembered."""
    await house.bill()
    scanner = await terminal(house)
    await scanner.send(await shown_code(house))
    async with house.db.begin() as tx:
        await codes.forget_old(tx)
    assert await house.count(CaptureSeen) == 1
    house.clock.move(minutes=61)
    async with house.db.begin() as tx:
        await codes.forget_old(tx)
    assert await house.count(CaptureSeen) == 0
