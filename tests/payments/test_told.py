"""What a payment says by itself afterwards: pushed to the page that waits, and money that went back on its receipt."""

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx

from kernel.money import yuan
from payments import flows
from payments.models import Refund
from people.rules import Actor
from tests.adapters.conftest import until
from tests.listening import hear
from tests.payments.conftest import DAUGHTER, PAGE, House


async def pushed(client: httpx.AsyncClient, address: str, heard: list[str], listening: asyncio.Event) -> None:
    """Write down the data of a stream's messages as they come."""
    async with client.stream("GET", address, timeout=60) as stream:
        assert stream.status_code == 200
        listening.set()
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                heard.append(line)


async def page(client: httpx.AsyncClient, path: str) -> str:
    """A page's text."""
    answer = await client.get(path, headers=PAGE)
    assert answer.status_code == 200, (path, answer.status_code)
    return html.unescape(answer.text)


def line_of(text: str) -> str:
    """The address of a page's stream."""
    found = re.search(r'hx-sse:connect="([^"]+)"', text)
    assert found
    return found[1]


def moved(text: str) -> str:
    """What makes a page ask for itself again."""
    (found,) = re.findall(r'hx-trigger="((?:news|every|load delay)[^"]*)"', text)
    return str(found)


def at(house: House, reader: Actor, text: str) -> AbstractAsyncContextManager[list[bytes]]:
    """What the page a reader has before them is told from now on."""
    path, _, query = line_of(text).partition("?")
    return hear(house.world, house.tokens[reader.id], path, query)


async def test_the_waiting_page_is_told(house: House) -> None:
    """The daughter's page is open while she confirms in WeChat: one push when the money is there, one when booked."""
    bill = await house.bill()
    attempt = await house.press(house.daughter, bill, DAUGHTER)
    daughter, counter = house.phone(house.daughter), house.phone(house.counter)
    hers = await page(daughter, f"/payments/{attempt}")
    desk = await page(counter, f"/desk/pay/{bill.visit}")
    assert 'hx-trigger="news from:body"' in hers
    assert "every 3s" not in hers + desk
    heard, at_desk = list[str](), list[str]()
    lines = [(daughter, line_of(hers), heard), (counter, line_of(desk), at_desk)]
    ready = [asyncio.Event() for _ in lines]
    tasks = [asyncio.create_task(pushed(*line, go)) for line, go in zip(lines, ready, strict=True)]
    try:
        for go in ready:
            await asyncio.wait_for(go.wait(), 20)
        await house.bridge(attempt, DAUGHTER)
        await house.until_state(attempt, "paid")
        await until(_at_least(heard, 1))
        assert "医院正在入账" in await page(daughter, f"/payments/{attempt}")
        await house.settle()
        await until(_at_least(heard, 2))
        await until(_at_least(at_desk, 2))
        # Lines of the bill move as well; this page hears of payments only.
        assert len(heard) == 2
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _at_least(heard: list[str], wanted: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(heard) >= wanted

    return enough


async def test_the_receipt_says_what_went_back(house: House) -> None:
    """The hospital takes a paid line back: on its way, then there, on the receipt; nothing before it happened."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    mother = house.phone(house.mother)
    there = f"/payments/{attempt}/receipt"
    assert "退回" not in await page(mother, there)
    charge = next(iter(house.town.his.books.encounters[bill.encounter].charges))
    taken_back = {"charge_no": charge, "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, taken_back)

    async def asked() -> bool:
        return await house.count(Refund) == 1

    await until(asked)
    going = await page(mother, there)
    assert "正在退回" in going
    await flows.refund_due(house.db, house.pay)

    async def back() -> bool:
        return "已退回" in await page(mother, there)

    await until(back)
    refunded = (await house.attempt(attempt)).refunded_fen
    assert f"-¥{yuan(refunded)}" in await page(mother, there)
    paper = await mother.get(f"{there}.pdf", timeout=60)
    assert paper.content.startswith(b"%PDF-")
