"""Two phones and a desk, by forms as a browser sends them: logging in, inviting, binding, ending, leaving."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from httpx import ASGITransport, AsyncClient, Response

from api.world import Ports, World
from family_pay.service.phone_bindings import SEND_JOB
from houfu import wiring
from houfu.app import create_app
from houfu.tables import JOBS
from kernel import settings
from kernel.outside import Rejected
from notices.ports import SmsReceipt
from people.ports import WeChatSubject
from people.service import hospitals, patients
from people.service.patients import PatientFact

BASE = "https://houfu.test"
PAGE = {"Accept": "text/html", "Origin": BASE}
MOTHER, DAUGHTER = "19900000001", "19900000002"


@dataclass
class Gateway:
    """Keeps the messages as phones would get them."""

    sent: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        self.sent.append((template_id, phone, tuple(params)))
        return SmsReceipt(str(len(self.sent)), 1)


class WeChatHere:
    """WeChat's login: the code is the openid, worth one login."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        return f"https://open.test/authorize?redirect_uri={redirect_uri}&state={state}"

    async def exchange(self, code: str) -> WeChatSubject:
        if code in self.used:
            raise Rejected("40163")
        self.used.add(code)
        return WeChatSubject(code.partition(".")[0])

    async def mini_session(self, js_code: str) -> WeChatSubject:
        return await self.exchange(js_code)

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        return {"url": url}


class NoHis:
    """No hospital's system is asked here."""

    async def of(self, hospital_id: UUID) -> Any:
        raise LookupError(hospital_id)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def world(database_url: str, tmp_path: Path, gateway: Gateway, document: dict[str, Any]) -> AsyncIterator[World]:
    """The assembled house on a fresh database, with one hospital and the mother in it."""
    chosen = settings.load(
        {},
        database_url=database_url,
        key_file=tmp_path / "keys",
        public_url=BASE,
        sms_template_code="T1",
        sms_template_bind="T2",
        wechat_appid="wx1",
    )
    made = wiring.build(chosen, ports=Ports(his=NoHis(), wechat=WeChatHere(), sms=gateway))
    document["staff"] = [s for s in document["staff"] if s["login"] == "c.cash"]
    document["slots"] = []
    async with wiring.running(made):
        async with made.db.begin() as tx:
            loaded = await hospitals.load(tx, document)
            await patients.known(tx, loaded.id, PatientFact("P1", "朱桂芳", "999901195503089023", MOTHER, sex="F"))
            await patients.known(tx, loaded.id, PatientFact("P2", "陈敏", "999901198310219040", DAUGHTER))
        yield made


@pytest.fixture
async def phones(world: World) -> AsyncIterator[list[AsyncClient]]:
    """Three browsers that share nothing."""
    app = create_app(world)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(AsyncClient(transport=ASGITransport(app), base_url=BASE, headers=PAGE))
            for _ in range(3)
        ]


async def log_in(phone: AsyncClient, gateway: Gateway, number: str, go_on: str = "/family") -> Response:
    """Ask for a code and bring it back."""
    asked = await phone.post("/login/code", data={"phone": number, "next": go_on})
    assert asked.status_code == 200
    assert f"{number[:3]}****{number[-4:]}" in asked.text
    template, to, (digits, minutes) = gateway.sent[-1]
    assert (template, to, minutes) == ("T1", number, "5")
    assert digits not in asked.text
    return await phone.post("/login", data={"phone": number, "code": digits, "next": go_on})


async def test_the_mother_invites_the_daughter_accepts_the_mother_ends_it(
    phones: list[AsyncClient], gateway: Gateway
) -> None:
    """The whole way by forms: choices, QR and link, login on the way, both see it, ended, gone."""
    mother, daughter, stranger = phones
    assert (await log_in(mother, gateway, MOTHER)).headers["location"] == "/family"
    form = {"relation": "daughter", "pays": "1", "cap_yuan": "500", "depth": "bill", "opened": "gynaecology"}
    assert (await mother.post("/family/invite", data=form)).status_code == 422  # sharing is agreed to by itself
    form["share"] = "1"
    made = await mother.post("/family/invite", data=form)
    assert made.status_code == 200
    (link,) = re.findall(rf'value="({BASE}/bind/[\w-]{{22}})"', made.text)
    (qr,) = re.findall(r'src="(/family/invite/[\w-]+/qr\.png)"', made.text)
    picture = await mother.get(qr)
    assert (picture.headers["content-type"], picture.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    path = urlsplit(link).path

    asked = await daughter.get(path)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/login?next={path}"
    assert (await log_in(daughter, gateway, DAUGHTER, path)).headers["location"] == path
    page = (await daughter.get(path)).text
    assert "朱**请您做家人" in page
    assert "朱桂芳" not in page
    assert "妇科" in page
    assert "¥500.00" in page
    assert (await daughter.get(qr)).status_code == 404
    assert (await daughter.post(path)).headers["location"] == path
    assert "妈妈" not in (await daughter.get("/family")).text.replace("妈妈”", "")
    (claim,) = re.findall(r'action="(/family/claims/[\w-]+)"', (await mother.get("/family")).text)
    assert (await mother.post(claim, data={"word": "yes"})).headers["location"] == "/family"
    assert "妈妈" in (await daughter.get("/family")).text

    await log_in(stranger, gateway, "19900000044")
    assert (await daughter.post(path)).status_code == 409
    seen = (await mother.get("/family")).text
    assert "陈*" in seen
    (end,) = set(re.findall(r'href="(/family/[\w-]+/withdraw)"', seen))
    assert (await mother.get(end)).status_code == 200
    assert (await mother.post(end)).headers["location"] == "/family"
    assert "妈妈" not in (await daughter.get("/family")).text
    assert (await mother.post(end)).headers["location"] == "/family", "pressing twice does no harm"


async def test_a_spoken_code_by_forms(phones: list[AsyncClient], gateway: Gateway) -> None:
    """Six characters read out on the telephone, typed wrongly once."""
    mother, daughter, _ = phones
    await log_in(mother, gateway, MOTHER)
    made = (await mother.post("/family/invite", data={"relation": "son", "pays": "1"})).text
    (first, second) = re.findall(r'class="total num">(\w{3}) (\w{3})<', made)[0]
    await log_in(daughter, gateway, DAUGHTER)
    assert (await daughter.get("/bind")).status_code == 200
    wrong = await daughter.post("/bind", data={"who": MOTHER, "code": "AAAAAA"})
    assert (wrong.status_code, "口令不对" in wrong.text) == (422, True)
    right = await daughter.post("/bind", data={"who": MOTHER, "code": f"{first}{second}".lower()})
    assert right.status_code == 303
    assert right.headers["location"].startswith("/bind/")


@pytest.mark.parametrize("cap", ["1e9", "-5", "0", "1.005", "NaN", "abc"])
async def test_a_cap_that_is_no_money_is_refused(phones: list[AsyncClient], gateway: Gateway, cap: str) -> None:
    """Typed nonsense in the cap: a sentence, no invitation."""
    await log_in(phones[0], gateway, MOTHER)
    answer = await phones[0].post("/family/invite", data={"relation": "son", "pays": "1", "cap_yuan": cap})
    assert answer.status_code == 422
    assert "/bind/" not in answer.text.replace('href="/bind"', "")


async def test_somebody_new_enrols_and_nobody_is_sent_elsewhere(phones: list[AsyncClient], gateway: Gateway) -> None:
    """A relative the hospital does not know: name and number once. A link to another site is not followed."""
    phone = phones[0]
    step = await log_in(phone, gateway, "19900000044", "//evil.test/x")
    assert step.status_code == 200
    (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', step.text)
    wrong = await phone.post("/login/enrol", data={"ticket": ticket, "name": "王", "id_number": "123"})
    assert wrong.status_code == 422
    done = await phone.post(
        "/login/enrol",
        data={"ticket": ticket, "name": "王五", "id_number": "999901198709029054", "next": "//evil.test/x"},
    )
    assert (done.status_code, done.headers["location"]) == (303, "/")
    again = await phone.post("/login/enrol", data={"ticket": ticket, "name": "王五", "id_number": "999901198709029054"})
    assert again.status_code == 422
    assert (await phone.get("/family")).status_code == 200


async def test_wechat_in_and_the_link_kept(phones: list[AsyncClient], gateway: Gateway) -> None:
    """Inside WeChat: first a phone, next time not; a state from another browser is refused."""
    mother, other, _ = phones
    start = await mother.get("/login/wechat?next=/family")
    state = parse_qs(urlsplit(start.headers["location"]).query)["state"][0]
    assert (await other.get(f"/login/wechat/back?code=oM.0&state={state}")).status_code == 422
    step = await mother.get(f"/login/wechat/back?code=oM.1&state={state}")
    (ticket, *_) = re.findall(r'name="ticket" value="([^"]+)"', step.text)
    await mother.post("/login/code", data={"phone": MOTHER, "ticket": ticket, "next": "/family"})
    digits = gateway.sent[-1][2][0]
    done = await mother.post("/login", data={"phone": MOTHER, "code": digits, "ticket": ticket, "next": "/family"})
    assert done.headers["location"] == "/family"
    assert (await mother.get(f"/login/wechat/back?code=oM.2&state={state}")).status_code == 422
    start = await other.get("/login/wechat?next=/settings")
    state = parse_qs(urlsplit(start.headers["location"]).query)["state"][0]
    back = await other.get(f"/login/wechat/back?code=oM.3&state={state}")
    assert (back.status_code, back.headers["location"]) == (303, "/settings")
    assert "199****0001" in (await other.get("/settings")).text


async def test_settings_are_kept_and_leaving_clears_the_phone(phones: list[AsyncClient], gateway: Gateway) -> None:
    """长辈版 by one tap, kept in the browser; logging out ends the session and clears what was stored."""
    phone = phones[0]
    await log_in(phone, gateway, MOTHER)
    kept = await phone.post("/prefs", data={"mode": "elder", "back": "/settings"})
    assert kept.headers["location"] == "/settings"
    assert '<html lang="zh-CN" class="s140 elder' in (await phone.get("/settings")).text
    token = phone.cookies["__Host-houfu"]
    out = await phone.post("/logout")
    assert (out.headers["location"], out.headers["clear-site-data"]) == ("/login", '"cache", "storage"')
    phone.cookies.set("__Host-houfu", token, domain="houfu.test")
    assert (await phone.get("/family")).headers["location"] == "/login?next=/family"


async def test_a_form_from_another_site_does_nothing(phones: list[AsyncClient], gateway: Gateway) -> None:
    """A page elsewhere posts the invitation form with the mother's cookie: refused, nothing is offered."""
    phone = phones[0]
    await log_in(phone, gateway, MOTHER)
    evil = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    answer = await phone.post("/family/invite", data={"relation": "son", "pays": "1"}, headers=evil)
    assert answer.status_code == 403
    assert "还没有加家人" in (await phone.get("/family")).text


async def test_the_desk_signs_in(phones: list[AsyncClient]) -> None:
    """Staff by name and PIN; a person's pages are not theirs."""
    desk = phones[0]
    assert "滨海市第一人民医院" in (await desk.get("/desk/login")).text
    wrong = await desk.post("/desk/login", data={"name": "c.cash", "password": "000000"})
    assert (wrong.status_code, "工号或密码不对" in wrong.text) == (422, True)
    done = await desk.post("/desk/login", data={"name": "c.cash", "password": "003895"})
    assert (done.status_code, done.headers["location"]) == (303, "/desk")
    assert (await desk.get("/family")).status_code == 403


async def test_programs_do_the_same_by_json(phones: list[AsyncClient], gateway: Gateway) -> None:
    """The mini-program's way: bearer tokens, steps by name, one bond from offer to end."""
    program = phones[2]
    program.headers.update({"Accept": "application/json"})
    tokens = []
    for number in (MOTHER, DAUGHTER):
        assert (await program.post("/api/session/code", json={"phone": number})).status_code == 202
        body = {"phone": number, "code": gateway.sent[-1][2][0]}
        step = (await program.post("/api/session", json=body)).json()
        assert (step["state"], step["proven"]) == ("in", True)
        tokens.append({"Authorization": f"Bearer {step['token']}"})
    mother, daughter = tokens
    offer = {"relation": "daughter", "pays": True, "depth": "results", "opened": ["infection"], "share": True}
    made = (await program.post("/api/family/invitations", json=offer, headers=mother)).json()
    found = await program.post("/api/family/codes", json={"who": MOTHER, "code": made["code"]}, headers=daughter)
    token = found.json()["token"]
    assert made["path"] == f"/bind/{token}"
    read = (await program.get(f"/api/family/invitations/{token}", headers=daughter)).json()
    assert (read["patient"], read["depth"], read["opened"]) == ("朱**", "results", ["infection"])
    taken = await program.post(f"/api/family/invitations/{token}/accept", headers=daughter)
    assert (taken.status_code, taken.json()) == (202, [])
    assert (await program.get("/api/family", headers=daughter)).json()["held"] == []
    [claim] = (await program.get("/api/family/claims", headers=mother)).json()["to_answer"]
    assert (claim["relative"], claim["tail"], claim["depth"]) == ("陈*", DAUGHTER[-4:], "results")
    yes = await program.post(f"/api/family/claims/{claim['id']}", json={"agreed": True}, headers=mother)
    assert {g["kind"] for g in yes.json()} == {"pay", "watch"}
    me = (await program.get("/api/session", headers=daughter)).json()
    assert [p["name"] for p in me["people"]] == ["陈敏", "朱**"]
    held = (await program.get("/api/family", headers=daughter)).json()["held"]
    assert {g["kind"] for g in held} == {"pay", "watch"}
    ended = await program.delete(f"/api/family/bonds/{held[0]['bond']}", headers=mother)
    assert ended.status_code == 204
    assert (await program.get("/api/family", headers=daughter)).json()["held"] == []
    assert (await program.get("/api/family")).status_code == 401
    assert (await program.delete("/api/session", headers=mother)).status_code == 204
    assert (await program.get("/api/session", headers=mother)).status_code == 401


async def test_bound_by_the_mothers_phone_by_forms(phones: list[AsyncClient], gateway: Gateway, world: World) -> None:
    """No invitation: name, number, phone; the job sends; the same page for who does not exist; the code, yes, bound."""
    daughter, sent = phones[1], gateway.sent
    await log_in(daughter, gateway, DAUGHTER)
    assert "/bind/phone" in (await daughter.get("/family")).text
    asked = []
    for name in ("朱桂芬", "朱桂芳"):
        form = {"name": name, "id_number": "999901195503089023", "phone": MOTHER, "relation": "daughter"}
        asked.append(await daughter.post("/bind/phone", data=form))
    nobody, real = (a.headers["location"] for a in asked)
    assert {a.status_code for a in asked} == {303}
    before = len(sent)
    for path in (nobody, real):
        await JOBS[SEND_JOB](world, request_id=path.rsplit("/", 1)[1])
    ((template, to, (who, digits, minutes)),) = sent[before:]
    assert (template, to, who, minutes) == ("T2", MOTHER, "陈*", "10")
    one, other = [await daughter.get(path) for path in (nobody, real)]
    assert plain(one.text, nobody) == plain(other.text, real)
    wrong = {"code": "000000" if digits != "000000" else "000001"}
    refused = [await daughter.post(path, data=wrong) for path in (nobody, real)]
    assert {r.status_code for r in refused} == {422}
    assert plain(refused[0].text, nobody) == plain(refused[1].text, real)
    shown = await daughter.post(real, data={"code": digits})
    assert "您要加的是朱**" in shown.text
    assert "朱桂芳" not in shown.text
    assert "妈妈" not in (await daughter.get("/family")).text
    assert (await daughter.post(f"{real}/yes")).headers["location"] == "/family"
    page = (await daughter.get("/family")).text
    assert "妈妈" in page
    assert "手机验证码" in page
    bad = await daughter.post("/bind/phone", data={"name": "x", "id_number": "1", "phone": MOTHER})
    assert (bad.status_code, "姓名或身份证号没填对" in bad.text) == (422, True)


def plain(page: str, path: str) -> str:
    """A page without what differs in every page: its own address, and the keys of its forms."""
    return re.sub(r'(name="_(?:idem|csrf)" value=")[^"]*', r"\1", page.replace(path, "/x"))


async def test_another_number_and_a_lost_phone_by_forms(phones: list[AsyncClient], gateway: Gateway) -> None:
    """She changes her number on one phone and the other is out; then says that a phone was lost: this one goes on."""
    here, other = phones[0], phones[1]
    await log_in(here, gateway, MOTHER)
    await log_in(other, gateway, MOTHER)
    assert "/settings/phone" in (await here.get("/settings")).text
    assert (await here.get("/settings/phone")).status_code == 200
    same = await here.post("/settings/phone/codes", data={"phone": MOTHER})
    assert (same.status_code, "换" in same.text) == (409, True)
    new = "19900000088"
    assert (await here.post("/settings/phone/codes", data={"phone": new})).status_code == 200
    (_, to_old, (old_code, _)), (_, to_new, (new_code, _)) = gateway.sent[-2:]
    assert (to_old, to_new) == (MOTHER, new)
    form = {"phone": new, "old_code": old_code, "new_code": new_code, "id_number": "999901198310219040"}
    assert (await here.post("/settings/phone", data=form)).status_code == 422
    form["id_number"] = "999901195503089023"
    assert (await here.post("/settings/phone", data=form)).headers["location"] == "/settings"
    assert "199****0088" in (await here.get("/settings")).text
    assert (await other.get("/settings")).headers["location"].startswith("/login")
    await log_in(other, gateway, new)
    assert "运营商" in (await here.get("/settings/lost")).text
    assert (await here.post("/settings/lost")).headers["location"] == "/settings"
    assert (await here.get("/settings")).status_code == 200
    assert (await other.get("/settings")).headers["location"].startswith("/login")


async def test_a_person_is_one_tap_away_even_where_something_is_refused(
    phones: list[AsyncClient], world: World
) -> None:
    """One hospital: its number on the very first page and on a refusal; two: both by name."""
    phone = phones[0]
    async with world.db.begin() as tx:
        number = hospitals.helpline_of((await hospitals.everyone(tx))[0])
    for path in ("/login", "/nothing/there", "/offline"):
        assert f'href="tel:{number}"' in (await phone.get(path)).text, path
    async with world.db.begin() as tx:
        row = (await hospitals.everyone(tx))[0]
        settings_of_it = row.settings | {"helpline": "0513-2"}
        tx.add(
            hospitals.Hospital(
                id=uuid4(), code="HF02", name="第二医院", city=row.city, phone="0513-2", address="", his_url="",
                settings=settings_of_it,
            )
        )  # fmt: skip
    for path in ("/login", "/nothing/there"):
        page = (await phone.get(path)).text
        assert f'href="tel:{number}"' in page, path
        assert "第二医院" in page, path
