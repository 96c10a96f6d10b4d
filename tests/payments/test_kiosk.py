"""The kiosk in the hall: set up once, nobody before a pass is shown, a phoneless patient pays, everything forgotten."""

import html
import os
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright
from sqlalchemy import select

from payments import flows
from payments.models import Attempt, KioskTurn
from people.models import Session
from people.service import sessions, terminals
from tests.listening import hear, soon
from tests.payments.conftest import PAGE, Bill, House
from tests.payments.desk import shown_code, sound
from tests.payments.test_captures import KIOSK, terminal
from tests.payments.test_counter_pages import post, visit_of
from tests.payments.test_pages import read
from tests.payments.test_told import line_of
from tests.pwa.browser import ARGS, CHROMIUM
from visits.service import passes

WAITING = "document.activeElement.name === 'said'"  # for whatever the scanner types


async def machine(house: House) -> httpx.AsyncClient:
    """The kiosk's browser, set up by the hospital's IT."""
    async with house.db.begin() as tx:
        found = await terminals.by_name(tx, KIOSK)
        assert found is not None
        token = (await sessions.begin_kiosk(tx, found)).token
    client = httpx.AsyncClient(base_url=house.url, trust_env=False, headers={"Authorization": f"Bearer {token}"})
    house.clients.append(client)
    return client


def told(house: House, kiosk: httpx.AsyncClient, page: str) -> AbstractAsyncContextManager[list[bytes]]:
    """What this page is told from now on; it asks for nothing by itself."""
    assert "every 2s" not in page
    path, _, query = line_of(page).partition("?")
    return hear(house.world, kiosk.headers["Authorization"].partition(" ")[2], path, query)


async def printed(house: House, bill: Bill) -> str:
    """The pass on the sheet of paper."""
    visit = await visit_of(house, bill)
    async with house.db.begin() as tx:
        return passes.kept_code(tx.vault, visit)


def fields(page: str) -> dict[str, Any]:
    """The hidden fields of the one form that pays."""
    return dict(re.findall(r'name="(_idem|amount_fen)" value="([^"]+)"', page))


async def test_it_is_set_up_once(house: House) -> None:
    """Without the secret nothing is shown; with it the browser is the kiosk; a second browser takes its place."""
    client = httpx.AsyncClient(base_url=house.url, trust_env=False, headers={"Sec-Fetch-Site": "same-origin"})
    house.clients.append(client)
    assert "还没有登记" in await read(client, "/kiosk")
    await post(client, "/kiosk", 401, said="8888888888")
    async with house.db.begin() as tx:
        found = await terminals.by_name(tx, KIOSK)
        assert found is not None
        secret = terminals.secret_of(tx, found)
    for name, given in ((KIOSK, "x" * 12), ("HF01-W01-scan", secret), ("nobody", secret)):
        assert "名字或密钥不对" in html.unescape(
            (await post(client, "/kiosk/setup", 422, name=name, secret=given)).text
        )
    done = await post(client, "/kiosk/setup", name=KIOSK, secret=secret)
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert "请扫就诊码" in await read_as(client, cookie, "/kiosk")
    await machine(house)
    assert "还没有登记" in await read_as(client, cookie, "/kiosk")
    async with house.db.begin() as tx:
        made = (await tx.session.scalars(select(Session).where(Session.terminal_id.is_not(None)))).all()
        assert sorted(s.ended_at is None for s in made) == [False, True]


async def read_as(client: httpx.AsyncClient, cookie: str, path: str) -> str:
    """A page with this cookie."""
    return html.unescape((await client.get(path, headers={**PAGE, "Cookie": cookie})).text)


async def test_a_kiosk_is_nobody_elsewhere(house: House) -> None:
    """Its session opens neither a bill nor a desk, by page or by program."""
    bill = await house.bill()
    kiosk = await machine(house)
    for path in (f"/api/visits/{bill.visit}", "/api/visits", "/api/session", "/api/desk/stream"):
        assert (await kiosk.get(path)).status_code == 401, path
    assert (await house.phone(house.counter).get("/kiosk/stream")).status_code == 401, "and its line is nobody else's"
    body = {"amount_fen": bill.owed}
    answer = await kiosk.post(f"/api/visits/{bill.visit}/payments", json=body, headers={"Idempotency-Key": "k" * 12})
    assert answer.status_code == 401
    assert await house.attempts(bill.visit) == []


async def test_a_printed_pass_and_a_code(house: House) -> None:
    """No phone of the patient's: the pass on paper, a neighbour's code; a masked name, the amount, no item."""
    bill = await house.bill()
    kiosk = await machine(house)
    start = await read(kiosk, "/kiosk")
    assert "朱" not in start
    await post(kiosk, "/kiosk", said=await printed(house, bill))
    page = await read(kiosk, "/kiosk")
    assert "朱**，您好" in page
    assert f"{bill.owed / 100:.2f}" in page
    names = [c["name"] for c in house.town.his.books.encounters[bill.encounter].charges.values()]
    assert [n for n in [*names, "朱桂芳", str(bill.visit)] if n in page] == []
    answer = await kiosk.get("/kiosk", headers=PAGE)
    assert answer.headers["cache-control"] == "no-store"
    await post(kiosk, "/kiosk/code", **fields(page), said=await shown_code(house))
    assert "付好了" in await read(kiosk, "/kiosk")
    [made] = await house.attempts(bill.visit)
    assert (made.state, made.relation, made.channel, made.payer_id) == ("paid", "kiosk", "CODE", None)
    await post(kiosk, "/kiosk/quit")
    assert "朱" not in await read(kiosk, "/kiosk")
    assert await house.count(KioskTurn) == 0
    await house.settle()
    await sound(house)


async def test_by_an_id_number_at_its_own_scanner(house: House) -> None:
    """Found by the ID card, the kiosk's signed scanner reads the code, a face is refused with another way."""
    house.faceless()
    await house.bill()
    kiosk = await machine(house)
    await post(kiosk, "/kiosk", said=house.town.his.catalogue.patients["P0000001"].id_number)
    page = await read(kiosk, "/kiosk")
    await post(kiosk, "/kiosk/code", **fields(page))
    page = await read(kiosk, "/kiosk")
    assert "请把付款码对着扫码口" in page
    scanner = await terminal(house, KIOSK)
    async with told(house, kiosk, page) as heard:
        assert (await scanner.send("face-1", kind="FACE_CODE", operator="")).status_code == 409
        await soon(heard, "event: refresh", 5)
        assert "这里还不能刷脸付" in await read(kiosk, "/kiosk")
        heard.clear()
        assert (await scanner.send(await shown_code(house), operator="")).status_code == 202
        await soon(heard, "event: refresh", 5)
        assert b"".join(heard).replace(b"event: refresh\ndata:\n\n", b"") == b"", "it says nothing else"
    done = await read(kiosk, "/kiosk")
    assert ("付好了" in done, "hx-sse:connect" in done) == (True, False)
    async with told(house, kiosk, page) as late:  # what came between the drawing of the page and its line
        await soon(late, "event: refresh", 5)
    await sound(house)


async def test_it_times_out_to_the_start(house: House) -> None:
    """Nobody touches it for ninety seconds: the next one sees nothing, and no code is waited for any more."""
    bill = await house.bill()
    kiosk = await machine(house)
    await post(kiosk, "/kiosk", said=await printed(house, bill))
    page = await read(kiosk, "/kiosk")
    rest = re.fullmatch(r"(\d+); url=/kiosk", (await kiosk.get("/kiosk")).headers["Refresh"])
    assert rest
    assert 85 <= int(rest[1]) <= 92
    await post(kiosk, "/kiosk/code", **fields(page))
    house.clock.move(seconds=91)
    assert "请扫就诊码" in await read(kiosk, "/kiosk")
    scanner = await terminal(house, KIOSK)
    assert (await scanner.send(await shown_code(house), operator="")).json()["code"] == "capture_not_awaited"
    late = await post(kiosk, "/kiosk/code", **fields(page), said=await shown_code(house))
    assert late.headers["location"] == "/kiosk"
    assert await house.attempts(bill.visit) == []


async def test_a_password_holds_the_turn(house: House) -> None:
    """While the payer types nobody is sent off; after thirty seconds it is undone, told, and can be tried again.

    No look at the page is needed to stay: a payment longer on its way than a turn lasts is seen to its end.
    """
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 3600})
    bill = await house.bill()
    kiosk = await machine(house)
    await post(kiosk, "/kiosk", said=await printed(house, bill))
    await post(kiosk, "/kiosk/code", **fields(await read(kiosk, "/kiosk")), said=await shown_code(house))
    page = await read(kiosk, "/kiosk")
    assert "请在手机上输密码" in page
    async with told(house, kiosk, page) as heard:
        for _ in range(7):
            house.clock.move(seconds=5)
            await flows.sweep(house.db, house.pay)
        await soon(heard, "event: refresh", 5)
    page = await read(kiosk, "/kiosk")
    assert "30 秒没有输密码" in page
    assert "付款码付" in page
    silent = {"on": "reverse", "do": "error_before"}
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 3600}, silent)
    await post(kiosk, "/kiosk/code", **fields(page), said=await shown_code(house))
    house.clock.move(seconds=91)
    page = await read(kiosk, "/kiosk")
    assert "请在手机上输密码" in page
    async with told(house, kiosk, page) as heard:
        house.clock.move(seconds=91)
        await flows.sweep(house.db, house.pay)
        await soon(heard, "event: refresh", 5)
        assert "请在手机上输密码" not in await read(kiosk, "/kiosk"), "it is being undone, and nobody knows yet"
        heard.clear()
        house.clock.move(seconds=6)
        await flows.sweep(house.db, house.pay)
        await soon(heard, "event: refresh", 5)
    house.clock.move(seconds=80)
    assert "30 秒没有输密码" in await read(kiosk, "/kiosk")
    house.clock.move(seconds=11)
    assert "请扫就诊码" in await read(kiosk, "/kiosk")
    await sound(house)


async def test_nothing_owed_and_nobody_found(house: House) -> None:
    """Nothing to pay is said kindly; a wrong number says no more about one patient than about another."""
    await house.bill("CONS2")
    kiosk = await machine(house)
    for said in ("8888888888", "999901199001011236", "x"):
        answer = await post(kiosk, "/kiosk", 404, said=said)
        assert "没有找到" in html.unescape(answer.text)
    assert await house.count(KioskTurn) == 0
    assert await house.count(Attempt) == 0


@pytest.mark.browser
async def test_in_the_browser(house: House, tmp_path: Path) -> None:
    """A printed pass held to the scanner, the amount read, a neighbour's code and password pay, and nothing is left."""
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 4})
    bill = await house.bill()
    token = (await machine(house)).headers["Authorization"]
    shots = Path(os.environ.get("HOUFU_SHOTS", tmp_path))
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        context = await browser.new_context(
            viewport={"width": 1080, "height": 1400}, locale="zh-CN", service_workers="block",
            extra_http_headers={"Authorization": token},
        )  # fmt: skip
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        await page.goto(f"{house.url}/kiosk")
        await page.screenshot(path=shots / "kiosk-start.png")
        await page.wait_for_function(WAITING)
        await page.keyboard.type(await printed(house, bill))  # a scanner types, and presses Enter
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".total")
        await page.screenshot(path=shots / "kiosk-owed.png")
        assert f"{bill.owed / 100:.2f}" in await page.inner_text(".total")
        assert page.url == f"{house.url}/kiosk"
        await page.wait_for_function(WAITING)
        await page.keyboard.type(await shown_code(house))
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=请在手机上输密码")
        house.clock.move(seconds=5)
        await flows.sweep(house.db, house.pay)
        await page.wait_for_selector("text=付好了")
        await page.screenshot(path=shots / "kiosk-paid.png")
        await page.click("text=退出")
        await page.wait_for_selector("text=请扫就诊码")
        await page.go_back()
        assert "朱" not in await page.content()
        kept = await page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert str(bill.visit) not in kept
        await browser.close()
    assert errors == []
    [made] = await house.attempts(bill.visit)
    assert made.state == "paid"
    await sound(house)
