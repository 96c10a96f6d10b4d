"""The desk beside a patient without a phone: a slip for her relative, who stands for whom, another number."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response

from houfu.app import create_app
from kernel.outside import Unknown
from notices.ports import SmsReceipt
from notices.service import since
from payments.ports import Insured
from people.events import PhoneChanged
from people.service import patients
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.family_pay.test_companion import ask, listening
from tests.visits.ward import BASE, Ward, open_ward


@dataclass
class Gateway:
    """Keeps the messages as phones would get them."""

    sent: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        self.sent.append((phone, tuple(params)))
        return SmsReceipt(str(len(self.sent)), 1)


@dataclass
class Insurer:
    """Says what it is told to say, or nothing."""

    says: bool | None = True

    async def family_account(self, payer: Insured, patient: Insured) -> bool:
        if self.says is None:
            raise Unknown("timeout")
        return self.says


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def line() -> Insurer:
    return Insurer()


@pytest.fixture
async def ward(database_url: str, tmp_path: Path, gateway: Gateway, line: Insurer) -> AsyncIterator[Ward]:
    """The mother's visit, with text messages and an insurer that answers."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        world = opened.world
        opened.world = replace(
            world,
            ports=replace(world.ports, sms=gateway, family_accounts=line),
            settings=world.settings.model_copy(update={"sms_template_code": "T1"}),
        )
        yield opened


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as client:
        yield client


async def test_a_slip_of_the_desk_lets_a_relative_carry_the_pass(web: AsyncClient, ward: Ward) -> None:
    """Printed with her beside the cashier; a relative scans, is bound, shows her pass; taken back, shows none."""
    form_at, pass_at = f"/desk/visits/{ward.visit}/invite", f"/visits/{ward.visit}/pass"
    assert form_at in (await ask(web, ward, "c.cash", f"/desk/visits/{ward.visit}")).text
    assert (await ask(web, ward, "c.cash", form_at)).status_code == 200
    offer = {"relation": "son", "books": "1", "depth": "steps"}
    assert (await ask(web, ward, "k.blood", form_at, offer)).status_code == 403
    assert (await ask(web, ward, "c.cash", form_at, {"relation": "son"})).status_code == 422
    slip = (await ask(web, ward, "c.cash", form_at, offer)).text
    assert "能挂号、带就诊码" in slip
    assert "data:image/png;base64," in slip
    ((first, last),) = re.findall(r'class="total num">(\w{3}) (\w{3})<', slip)
    found = await ask(web, ward, "stranger", "/bind", {"who": "19900000001", "code": first + last})
    assert (await ask(web, ward, "stranger", pass_at)).status_code == 404
    assert (await ask(web, ward, "stranger", found.headers["location"], {})).headers["location"] == "/family"
    for path in (pass_at, f"{pass_at}/kept.png", f"{pass_at}/live.png", f"/visits/{ward.visit}/sheet"):
        assert (await ask(web, ward, "stranger", path)).status_code == 200, path
        assert (await ask(web, ward, "neighbour", path)).status_code == 403, path
    assert pass_at in (await ask(web, ward, "stranger", f"/visits/{ward.visit}/story")).text
    assert pass_at not in (await ask(web, ward, "neighbour", f"/visits/{ward.visit}/story")).text
    assert "朱桂芳" not in (await ask(web, ward, "stranger", pass_at)).text
    held = (await ask(web, ward, "stranger", "/api/family")).json()["held"]
    assert {(g["kind"], g["proof"]) for g in held} == {("watch", "desk"), ("book", "desk")}
    hers = (await ask(web, ward, "mother", "/family")).text
    assert "2026年11月22日，医院窗口" in hers
    # She has that page; who has none comes to the desk, which reads out whom it bound, and ends it.
    (end,) = re.findall(r'href="(/desk/visits/[\w-]+/guardian/[\w-]+/end)"', (await at_desk(web, ward)).text)
    assert "马**" in (await ask(web, ward, "c.cash", end)).text
    assert (await ask(web, ward, "k.blood", end, {})).status_code == 404
    assert (await ask(web, ward, "stranger", pass_at)).status_code == 200
    assert (await ask(web, ward, "c.cash", end, {})).status_code == 303
    assert "在窗口加的家人" not in (await at_desk(web, ward)).text
    for path in (pass_at, f"{pass_at}/kept.png"):
        assert (await ask(web, ward, "stranger", path)).status_code == 404, path


async def at_desk(web: AsyncClient, ward: Ward) -> Response:
    """Her page there."""
    return await ask(web, ward, "c.cash", f"/desk/visits/{ward.visit}")


async def test_a_program_at_the_desk_does_the_same(web: AsyncClient, ward: Ward) -> None:
    """By JSON: an invitation, a guardian by paper, reviewed and ended; the bill says who owes."""
    body = {"patient_number": "P1", "relation": "son", "books": True, "depth": "steps"}
    made = await ask(web, ward, "g.guide", "/api/family/desk-invitations", **body)
    assert (made.status_code, made.json()["path"][:6]) == (201, "/bind/")
    assert (await ask(web, ward, "k.blood", "/api/family/desk-invitations", **body)).status_code == 403
    assert (
        await ask(web, ward, "g.guide", "/api/family/desk-invitations", **body | {"patient_number": "X"})
    ).status_code == 404
    bill = f"/api/visits/{ward.visit}"
    assert (await ask(web, ward, "mother", bill)).json()["debtor"] == {
        "guardian": False,
        "minor": False,
        "name": "朱**",
    }
    assert (await ask(web, ward, "daughter", bill)).json()["debtor"] is None
    guardian = {"patient_number": "P1", "guardian_phone": "19900000009", "relation": "son", "cannot_act": True}
    assert (await ask(web, ward, "c.cash", "/api/family/guardians", **guardian)).status_code == 422
    guardian |= {"document": "court", "until": "2027-11-22"}
    set_ = await ask(web, ward, "c.cash", "/api/family/guardians", **guardian)
    assert (set_.status_code, set_.json()["proof"], set_.json()["until"]) == (201, "desk", "2027-11-22T16:00:00Z")
    (row,) = (await ask(web, ward, "g.guide", "/api/family/guardians?patient_number=P1")).json()
    assert (row["document"], row["relative"], row["proven_by"]) == ("court", "马**", str(ward.actors["c.cash"].id))
    assert (await ask(web, ward, "stranger", bill)).json()["debtor"]["name"] == "马**"
    page = (await ask(web, ward, "c.cash", f"/desk/visits/{ward.visit}")).text
    assert "法院判决书" in page
    assert "到2027年11月22日" in page
    (end,) = re.findall(r'href="(/desk/visits/[\w-]+/guardian/[\w-]+/end)"', page)
    assert "马**" in (await ask(web, ward, "c.cash", end)).text
    assert (await ask(web, ward, "c.cash", end, {})).status_code == 303
    assert (await ask(web, ward, "stranger", bill)).status_code == 404


async def test_another_number_at_the_desk_by_two(web: AsyncClient, ward: Ward, gateway: Gateway) -> None:
    """The cashier writes it down with the new phone's code; only the guide desk can confirm; her sessions are out."""
    at = f"/desk/visits/{ward.visit}/phone"
    assert (await ask(web, ward, "k.blood", at)).status_code == 403
    assert (await ask(web, ward, "c.cash", at)).status_code == 200
    assert (await ask(web, ward, "c.cash", f"{at}/codes", {"phone": "19900000088"})).status_code == 200
    ((to, (digits, _)),) = gateway.sent
    assert to == "19900000088"
    form = {"phone": to, "code": "000000" if digits != "000000" else "000001", "document": "id_card"}
    assert (await ask(web, ward, "c.cash", at, form)).status_code == 422
    assert (await ask(web, ward, "c.cash", at, form | {"code": digits})).headers["location"] == "/desk/phones"
    mine = (await ask(web, ward, "c.cash", "/desk/phones")).text
    theirs = (await ask(web, ward, "g.guide", "/desk/phones")).text
    assert ("看过了，确认" in mine, "看过了，确认" in theirs) == (False, True)
    assert "199****0088" in theirs
    (change,) = set(re.findall(r'action="(/desk/phones/[\w-]+)"', theirs))
    assert (await ask(web, ward, "c.cash", change, {"do": "confirm"})).status_code == 409
    assert (await ask(web, ward, "mother", "/api/family")).status_code == 200
    assert (await ask(web, ward, "g.guide", change, {"do": "confirm"})).headers["location"] == "/desk/phones?done=1"
    assert (await ask(web, ward, "mother", "/api/family")).status_code == 401
    async with ward.world.db.begin() as tx:
        assert patients.phone_of(tx, await patients.by_id(tx, ward.actors["mother"].id)) == to
    assert (await ask(web, ward, "daughter", "/api/family")).json()["held"] != []  # what she let others do goes on


async def test_the_family_page_says_what_the_insurer_says(web: AsyncClient, ward: Ward, line: Insurer) -> None:
    """Asked by a press; yes with its time, then silence is told as such; a companion's page asks nobody by itself."""
    page = (await ask(web, ward, "daughter", "/family")).text
    assert "医保说" not in page
    (path,) = re.findall(r'action="(/family/[\w-]+/insurer)"', page)
    assert (await ask(web, ward, "stranger", path, {})).status_code == 404
    assert (await ask(web, ward, "daughter", path, {})).headers["location"] == "/family"
    assert "医保说：在同一个亲情账户里 · 今天 11:00" in (await ask(web, ward, "daughter", "/family")).text
    line.says = None
    ward.clock.move(ward.clock.time.replace(minute=2) - ward.clock.time)
    about = {"patient_id": str(ward.actors["mother"].id)}
    assert (await ask(web, ward, "daughter", "/api/family/insurance-accounts", **about)).json() == {"says": "unknown"}
    assert "医保没有说" in (await ask(web, ward, "daughter", "/family")).text
    again = await ask(web, ward, "daughter", "/api/family/insurance-accounts", **about)
    assert (again.status_code, again.json()["code"]) == (429, "asked_just_now")


async def test_a_lost_phone_hears_no_more(web: AsyncClient, ward: Ward, gateway: Gateway) -> None:
    """A page is open on the lost phone: its stream ends within a second, and what happens then does not reach it."""
    async with listening(ward, "mother") as heard:
        assert (await ask(web, ward, "mother", "/settings/lost", {})).headers["location"] == "/settings"
        async with asyncio.timeout(1):
            while heard[-1:] != [b""]:
                await asyncio.sleep(0.005)
        await ward.perform("blood")
        await asyncio.sleep(0.05)
    assert b"".join(heard) == b""
    assert (await ask(web, ward, "mother", f"/api/visits/{ward.visit}")).status_code == 401


async def test_the_family_is_told_of_another_number(ward: Ward) -> None:
    """She, who pays, who watches and whom she may act for are told, masked; nobody else, and no number is said."""
    async with ward.world.db.begin() as tx:
        await tx.emit(PhoneChanged(ward.actors["mother"].id))
    async with ward.world.db.begin() as tx:
        for who, told in (("mother", 1), ("daughter", 1), ("neighbour", 1), ("stranger", 0)):
            try:
                rows = [r.payload["family"] for r in await since(tx, ward.actors[who].id, 0)]
            except LookupError:
                rows = []
            news = [r for r in rows if r["what"] == "phone"]
            assert news == [{"what": "phone", "bond": "", "relation": "", "who": "朱**"}] * told, who
