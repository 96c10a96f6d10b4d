"""The letter in a browser: read, refused early, signed by finger, page by page without JavaScript, stopped again."""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import async_playwright
from sqlalchemy import select

from adapters.evidence_check import examine, load_roots
from adapters.pdf_signer import PdfSigner, load_authority
from adapters.timestamp import Rfc3161, TimestampSettings
from api.world import Ports
from consent import flows
from consent.models import Contract
from houfu import wiring
from houfu.app import create_app
from kernel.clock import ManualClock
from kernel.settings import load
from people.models import Hospital, Staff
from people.rules import Role
from people.service import sessions
from people.service.patients import PatientFact, known
from pwa.paper import Paper
from sandbox import timestamp as sandbox
from sandbox.keys import SandboxKeys
from tests.api.conftest import a_hospital
from tests.api.conftest import serving as run_app
from tests.consent.conftest import DRAWN, NOW
from tests.consent.gateway import Gateway
from tests.pwa.browser import ARGS, CHROMIUM

BORN = date(1955, 3, 8)
PAGE = {"Accept": "text/html"}


class NoHis:
    """No hospital's system is asked here."""

    async def of(self, hospital_id: UUID) -> Any:
        """Nobody."""
        raise AssertionError("the letter asks no HIS")


@dataclass
class Site:
    """A running Houfu, the mother's browser, and everybody's clock."""

    world: Any
    client: httpx.AsyncClient
    url: str
    clock: ManualClock
    hospital: UUID
    mother: UUID
    token: str
    gateway: Gateway
    roots: list[bytes]

    async def opened(self) -> str:
        """The address of the open letter."""
        answer = await self.client.get(f"/consent/new/{self.hospital}", headers=PAGE)
        assert answer.status_code == 303
        return str(answer.headers["location"])

    async def seal(self) -> int:
        """Run the sweeper once."""
        ports = self.world.ports
        return await flows.seal_due(self.world.db, ports.timestamps, ports.signer, ports.paper)


@pytest.fixture
async def site(database_url: str, tmp_path: Path, serving: Any, world_keys: SandboxKeys) -> AsyncIterator[Site]:
    clock, gateway = ManualClock(NOW), Gateway()
    authority = load_authority(tmp_path / "signing")
    authority_world = sandbox.World(world_keys.timestamp, lambda: clock.time)
    settings = load({}, database_url=database_url.replace("+psycopg", ""), data_dir=tmp_path, sms_template_code="T")
    async with serving(sandbox.build(authority_world)) as tsa:
        stamps = Rfc3161(TimestampSettings(**world_keys.client_timestamp(tsa + "/")))
        signer = PdfSigner(authority, stamps.for_pdf())
        ports = Ports(NoHis(), sms=gateway, timestamps=stamps, signer=signer, paper=Paper())
        world = wiring.build(settings, clock=clock, ports=ports)
        app = create_app(world)
        async with run_app(app) as url:
            async with world.db.begin() as tx:
                hospital = await a_hospital(tx)
                fact = PatientFact(
                    "P1", "示例甲", "999901195503089023", "19900000011", NOW.date().replace(year=1955), "F"
                )
                mother = await known(tx, hospital, fact)
                token = (await sessions.begin(tx, mother)).token
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
                roots = [authority.ca_pem, world_keys.timestamp.ca_cert.encode()]
                yield Site(world, client, url, clock, hospital, mother.id, token, gateway, roots)


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


async def test_signed_by_finger_over_http(site: Site) -> None:
    """The letter says how long; the pen too early brings it back with the seconds; then it is signed and sealed."""
    at = await site.opened()
    page = await site.client.get(at, headers=PAGE)
    assert page.status_code == 200
    total = int(re.search(r'data-total="(\d+)"', page.text)[1])  # type: ignore[index]
    early = await site.client.get(at + "/sign", headers=PAGE)
    assert (early.status_code, f"请再看 {total} 秒" in early.text) == (425, True)
    beat = await site.client.post(at + "/beat", data={"end": "1", "regions": "told"})
    assert beat.json() == {"left": total}
    site.clock.move(timedelta(seconds=total))
    pen = await site.client.get(at + "/sign", headers=PAGE)
    assert pen.status_code == 200
    nonce = field(pen.text, "nonce")
    strokes = re.sub(r"\s", "", str(DRAWN))
    given = {"nonce": nonce, "how": "strokes", "strokes": strokes, "box": "320x160", "role": "patient"}
    empty = await site.client.post(at + "/sign", data={**given, "strokes": "[]"}, headers=PAGE)
    assert (empty.status_code, "还没有写名字。请在白框里写。" in empty.text) == (422, True)
    odd = await site.client.post(at + "/sign", data={**given, "box": "²x160"}, headers=PAGE)
    assert odd.status_code == 422
    done = await site.client.post(at + "/sign", data=given, headers=PAGE)
    assert done.status_code == 303
    signed = done.headers["location"]
    assert "letter.pdf" not in (await site.client.get(signed, headers=PAGE)).text
    assert await site.seal() == 1
    assert "letter.pdf" in (await site.client.get(signed, headers=PAGE)).text
    pdf = await site.client.get(signed + "/letter.pdf")
    report = await examine(pdf.content, load_roots(site.roots))
    assert (report.findings, report.trusted) == ([], True)
    contract = signed.rpartition("/")[2]
    bundle = await site.client.get(f"/api/consent/contracts/{contract}/evidence.json")
    assert (await examine(bundle.content, load_roots(site.roots))).findings == []


async def test_page_by_page_without_javascript(site: Site) -> None:
    """One region a page, the server waits; signed with name and SMS code, recorded as such."""
    at = await site.opened()
    for number in range(5):
        page = await site.client.get(f"{at}?region={number}", headers=PAGE)
        assert page.status_code == 200
        if number == 4:
            break
        on = await site.client.post(at + "/beat", data={"region": number}, headers=PAGE)
        if number < 2:
            assert on.status_code == 425
            site.clock.move(timedelta(seconds=int(re.search(r"请再看 (\d+) 秒", on.text)[1])))  # type: ignore[index]
            on = await site.client.post(at + "/beat", data={"region": number}, headers=PAGE)
        assert (on.status_code, on.headers["location"]) == (303, f"{at}?region={number + 1}")
    pen = await site.client.get(at + "/sign", headers=PAGE)
    assert pen.status_code == 200
    sent = await site.client.post(at + "/code", headers=PAGE)
    assert "199****0011" in sent.text
    ((phone, code),) = site.gateway.sent
    assert phone == "19900000011"
    given = {"nonce": field(sent.text, "nonce"), "how": "code", "name": "示例甲", "code": code}
    wrong = await site.client.post(at + "/sign", data={**given, "name": "示例乙"}, headers=PAGE)
    assert (wrong.status_code, "请按证件上的写" in wrong.text) == (422, True)
    assert (await site.client.post(at + "/sign", data=given, headers=PAGE)).status_code == 303
    async with site.world.db.begin() as tx:
        (contract,) = await tx.session.scalars(select(Contract))
    assert (contract.method, contract.role, contract.channel) == ("code", "patient", "WEB")


async def test_strangers_and_nobody(site: Site) -> None:
    """Another person's reading answers like an absent one; without a login there is nothing at all."""
    at = await site.opened()
    async with site.world.db.begin() as tx:
        stranger = await known(tx, site.hospital, PatientFact("P9", "示例壬"))
        other = (await sessions.begin(tx, stranger)).token
    absent = "/consent/00000000-0000-0000-0000-000000000000"
    for path in ("", "/sign", "/elsewhere"):
        answers = [
            await site.client.get(x + path, headers={"Authorization": f"Bearer {other}", **PAGE}) for x in (at, absent)
        ]
        assert [a.status_code for a in answers] == [404, 404]
        async with httpx.AsyncClient(base_url=site.url, trust_env=False) as nobody:
            assert (await nobody.get(at + path)).status_code == 401


async def test_stop_and_sign_again_through_the_api(site: Site) -> None:
    """The programs' way: open, wait, pen, sign; offered no more; stopped; offered again."""
    body = {"hospital_id": str(site.hospital), "patient_id": str(site.mother)}
    offers = f"/api/consent/offers/{site.hospital}"
    assert (await site.client.get(offers)).json() == {"offered": True, "signed": False, "why_not": None}
    read = (await site.client.post("/api/consent/readings", json=body)).json()
    at = f"/api/consent/readings/{read['reading_id']}"
    early = await site.client.post(at + "/pen")
    assert (early.status_code, early.json()["code"]) == (425, "read_delay")
    site.clock.move(timedelta(seconds=read["seconds_left"]))
    nonce = (await site.client.post(at + "/pen")).json()["nonce"]
    given = {"nonce": nonce, "strokes": DRAWN, "box": [320, 160]}
    assert (await site.client.post(at + "/sign", json={**given, "surprise": 1})).status_code == 422
    signed = await site.client.post(at + "/sign", json=given)
    assert (signed.status_code, signed.json()["state"]) == (201, "signed")
    assert (await site.client.get(offers)).json() == {"offered": False, "signed": True, "why_not": None}
    assert len((await site.client.get("/api/consent/contracts")).json()) == 1
    again = await site.client.post("/api/consent/readings", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "already_signed")
    asked = await site.client.get(f"/consent/withdraw/{site.hospital}", headers=PAGE)
    assert "已经记账的，看完病照样付" in asked.text
    assert (await site.client.post(f"/consent/withdraw/{site.hospital}", headers=PAGE)).status_code == 303
    assert (await site.client.get(offers)).json()["offered"]


async def test_the_doctors_page(site: Site) -> None:
    """Where the hospital asks for it, the doctor finds the letter at the desk and signs it with one press."""
    async with site.world.db.begin() as tx:
        hospital = await tx.get(Hospital, site.hospital)
        hospital.settings = {"countersign": True}
        doctor = Staff(
            id=UUID(int=7), hospital_id=site.hospital, login="d", name="示例医生", role=Role.DOCTOR, pin_hash=b"",
            failures=0, active=True,
        )  # fmt: skip
        tx.add(doctor)
        await tx.session.flush()
        token = (await sessions.begin_staff(tx, doctor.id)).token
    await test_signed_page(site)
    desk = {"Authorization": f"Bearer {token}", **PAGE}
    page = await site.client.get("/desk/letters", headers=desk)
    assert "示例甲" in page.text
    done = await site.client.post("/desk/letters", data={"contract": field(page.text, "contract")}, headers=desk)
    assert done.status_code == 303
    assert "没有要签的。" in (await site.client.get("/desk/letters", headers=desk)).text
    assert await site.seal() == 1


async def test_signed_page(site: Site) -> None:
    """A short way through the form, for others to build on."""
    at = await site.opened()
    page = await site.client.get(at, headers=PAGE)
    site.clock.move(timedelta(seconds=int(re.search(r'data-total="(\d+)"', page.text)[1])))  # type: ignore[index]
    pen = await site.client.get(at + "/sign", headers=PAGE)
    given = {"nonce": field(pen.text, "nonce"), "strokes": str(DRAWN), "box": "320x160"}
    done = await site.client.post(at + "/sign", data=given, headers=PAGE)
    assert done.status_code == 303


@pytest.mark.browser
async def test_signed_by_finger_in_the_browser(site: Site, tmp_path: Path) -> None:
    """A phone: she scrolls to the end, the server's seconds pass, the button opens, she writes with her finger."""
    shots = Path(os.environ.get("HOUFU_SHOTS", tmp_path))
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        context = await browser.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="zh-CN",
            service_workers="block", extra_http_headers={"Authorization": f"Bearer {site.token}"},
        )  # fmt: skip
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        await page.goto(f"{site.url}/consent/new/{site.hospital}")
        agree = page.locator("#agree")
        assert await agree.get_attribute("aria-disabled") == "true"
        await page.screenshot(path=shots / "letter.png", full_page=True)
        total = int(await page.locator("[data-total]").get_attribute("data-total") or 0)
        site.clock.move(timedelta(seconds=total))
        await page.locator("#end").scroll_into_view_if_needed()
        await page.wait_for_selector('#agree[aria-disabled="false"]', timeout=8000)
        await agree.click()
        await page.wait_for_url("**/sign")
        await page.screenshot(path=shots / "sign.png", full_page=True)
        await page.locator("[data-open]").click()
        box = await page.locator("canvas.pad").bounding_box()
        assert box is not None
        for line in DRAWN:
            await page.mouse.move(box["x"] + line[0][0], box["y"] + line[0][1])
            await page.mouse.down()
            for point in line[1:]:
                await page.mouse.move(box["x"] + point[0], box["y"] + point[1], steps=8)
            await page.mouse.up()
        await page.screenshot(path=shots / "pad.png")
        await page.locator("dialog form button:not([type=button])").click()
        await page.wait_for_url("**/consent/contracts/**")
        await page.screenshot(path=shots / "signed.png", full_page=True)
        await browser.close()
    assert errors == []
    async with site.world.db.begin() as tx:
        (contract,) = await tx.session.scalars(select(Contract))
    assert (contract.method, contract.state) == ("strokes", "signed")
