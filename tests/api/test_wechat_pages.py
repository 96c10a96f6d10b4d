"""Our pages inside WeChat: signed for its script, reached through the account's doors and codes, and only there."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from adapters.wechat_callback import CallbackDesk
from api.deps import COOKIE
from api.world import Ports, World
from family_pay.rules import Offer, Relation
from family_pay.service import invitations
from houfu import wiring
from houfu.app import create_app
from kernel.ids import new_id
from kernel.outside import Unknown
from kernel.settings import load
from people.models import Grant, Staff
from people.rules import Actor, ActorKind, Depth, GrantKind, GrantState
from people.service import sessions
from people.service.wechat_account import Purpose
from pwa.codes import code_text
from tests.api.conftest import a_hospital, a_person, a_visit

BASE, SCRIPT = "https://houfu.test", "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
IN_WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0.50", "Accept": "text/html"}


class NoHis:
    """No hospital's system is asked here."""

    async def of(self, hospital_id: object) -> Any:
        raise LookupError(hospital_id)


class WeChatHere:
    """Signs pages and makes codes; ``away``: does not answer."""

    def __init__(self) -> None:
        self.signed: list[str] = []
        self.away = False

    def authorize_url(self, redirect_uri: str, state: str, scope: str = "snsapi_base") -> str:
        return f"https://open.test/?{redirect_uri}&{state}"

    async def exchange(self, code: str) -> Any:
        raise NotImplementedError

    async def mini_session(self, js_code: str) -> Any:
        raise NotImplementedError

    async def jssdk_config(self, url: str) -> dict[str, str | int]:
        self.signed.append(url)
        return {"appId": "wx1", "timestamp": 5, "nonceStr": "n", "signature": "s"}

    async def scene_qr(self, scene: str, seconds: int) -> str:
        if self.away:
            raise Unknown("away")
        return f"http://weixin.qq.com/q/{len(scene)}"

    async def menu(self) -> list[dict[str, Any]]:
        return []

    async def set_menu(self, buttons: Any) -> None:
        raise NotImplementedError


@dataclass
class Inside:
    """A house with an account, and somebody's phone inside WeChat."""

    world: World
    wechat: WeChatHere
    phone: AsyncClient
    me: Actor
    hospital: Any

    async def staff(self) -> dict[str, str]:
        """A member of staff's header."""
        async with self.world.db.begin() as tx:
            row = Staff(
                id=new_id(), hospital_id=self.hospital, login="g", name="导", role="guide", department=None,
                pin_hash=b"x", active=True, failures=0, failed_at=None,
            )  # fmt: skip
            tx.add(row)
            await tx.session.flush()
            entered = await sessions.begin_staff(tx, row.id)
        return {"Authorization": f"Bearer {entered.token}"}

    async def follow(self, path: str) -> str:
        """Where a door leads."""
        answer = await self.phone.get(path)
        assert answer.status_code == 303
        return str(answer.headers["location"])


@pytest.fixture
async def inside(database_url: str, tmp_path: Path) -> AsyncIterator[Inside]:
    """Somebody is logged in, inside WeChat."""
    settings = load(
        {}, database_url=database_url, key_file=tmp_path / "keys", public_url=BASE, wechat_appid="wx1",
        wechat_js=SCRIPT, wechat_scan_follows=True,
    )  # fmt: skip
    wechat = WeChatHere()
    desk = CallbackDesk("wx1", "t", "k" * 42 + "A")
    world = wiring.build(settings, ports=Ports(NoHis(), wechat, wechat, desk))
    async with world.db.begin() as tx:
        hospital = await a_hospital(tx)
        person = await a_person(tx)
        entered = await sessions.begin(tx, person)
    transport = ASGITransport(create_app(world))
    async with AsyncClient(
        transport=transport, base_url=BASE, headers=IN_WECHAT, cookies={COOKIE: entered.token}
    ) as phone:
        yield Inside(world, wechat, phone, entered.actor, hospital)
    await world.db.close()


async def test_wechat_s_script_loads_inside_wechat_only(inside: Inside) -> None:
    """Inside WeChat a page brings its script, and the policy names just that file; nowhere else, nor at a desk."""
    page = await inside.phone.get("/settings")
    assert f'src="{SCRIPT}"' in page.text
    assert f"script-src 'self' {SCRIPT};" in page.headers["content-security-policy"]
    for path, agent in (("/settings", "Mozilla/5.0 Chrome/120"), ("/desk/login", IN_WECHAT["User-Agent"])):
        other = await inside.phone.get(path, headers={"User-Agent": agent})
        assert other.status_code == 200
        assert "res.wx.qq.com" not in other.text + other.headers["content-security-policy"]
        assert not re.search(r"/static/wx\.\w+\.js", other.text)


async def test_only_our_own_pages_are_signed(inside: Inside) -> None:
    """The page's address is signed for whoever is logged in; another site's is not, and nobody's neither."""
    answer = await inside.phone.get("/api/wechat/page", params={"url": f"{BASE}/visits?skip=1"})
    assert answer.json() == {"appId": "wx1", "timestamp": 5, "nonceStr": "n", "signature": "s"}
    for url in ("https://evil.test/", f"{BASE}.evil.test/", "http://houfu.test/", "x"):
        assert (await inside.phone.get("/api/wechat/page", params={"url": url})).status_code == 422
    inside.phone.cookies.clear()
    assert (await inside.phone.get("/api/wechat/page", params={"url": BASE})).status_code == 401
    assert inside.wechat.signed == [f"{BASE}/visits?skip=1"]


async def test_the_doors_lead_where_the_menu_says(inside: Inside) -> None:
    """Nothing to watch: the family's page. One visit one may follow: its story. Two: the first page, no guess."""
    assert await inside.follow("/go/pay") == "/"
    assert await inside.follow("/go/watch") == "/family"
    visits = []
    for _ in range(2):
        async with inside.world.db.begin() as tx:
            mother = await a_person(tx)
            visits.append(await a_visit(tx, inside.hospital, mother.id))
            tx.add(
                Grant(
                    id=new_id(),
                    patient_id=mother.id,
                    person_id=inside.me.id,
                    kind=GrantKind.WATCH,
                    relation="child",
                    depth=int(Depth.STEPS),
                    opened=[],
                    visit_id=None,
                    until=None,
                    bond=new_id(),
                    state=GrantState.ACTIVE,
                    created_at=tx.now,
                )
            )
        expected = f"/visits/{visits[0]}/story" if len(visits) == 1 else "/"
        assert await inside.follow("/go/watch") == expected
    assert await inside.follow("/go/pay") == "/"


async def test_a_door_lets_nobody_out(inside: Inside) -> None:
    """A door opens paths of ours only; who is not logged in is logged in by WeChat on the way."""
    assert await inside.follow("/go?to=/bind/abc") == "/bind/abc"
    for evil in ("https://evil.test/", "//evil.test", "/\\evil.test"):
        assert (await inside.phone.get("/go", params={"to": evil})).headers["location"] == "/"
    inside.phone.cookies.clear()
    assert await inside.follow("/go?to=/bind/abc") == "/login/wechat?next=/bind/abc"
    assert await inside.follow("/go/pay") == "/login/wechat?next=/go/pay"
    outside = await inside.phone.get("/go/watch", headers={"User-Agent": "Chrome"})
    assert outside.headers["location"] == "/login?next=/go/watch"


async def test_the_family_s_code_leads_through_the_account(inside: Inside) -> None:
    """Her invitation's code is one of the account; with WeChat away, or unwanted, it is the plain address."""
    world, me = inside.world, inside.me
    async with world.db.begin() as tx:
        made = await invitations.invite(tx, me, me.id, Offer(Relation.DAUGHTER, True))
    path = f"/bind/{made.token}"
    picture = await inside.phone.get(f"/family/invite/{made.id}/qr.png")
    assert picture.content.startswith(b"\x89PNG")
    assert await code_text(world, path, Purpose.BIND) == "http://weixin.qq.com/q/32"
    inside.wechat.away = True
    assert await code_text(world, "/bind/other", Purpose.BIND) == f"{BASE}/bind/other"
    plain = replace(world, settings=world.settings.model_copy(update={"wechat_scan_follows": False}))
    assert await code_text(plain, path, Purpose.BIND) == BASE + path


async def test_a_desk_has_codes_made(inside: Inside) -> None:
    """For pages that ask who is there; for no other path, and for staff only."""
    header = await inside.staff()
    visit = new_id()
    for path, purpose in (
        ("/o/K7Q2M9", "order"), ("/consent/on/abcdefgh12", "letter"), (f"/visits/{visit}/pay", "pay"),
        (f"/visits/{visit}/pass", "visit"), ("/bind/abcdefgh12", "bind"),
    ):  # fmt: skip
        inside.phone.cookies.clear()
        made = await inside.phone.post("/api/wechat/codes", json={"path": path}, headers=header)
        assert made.json() == {"url": "http://weixin.qq.com/q/32", "purpose": purpose}
    for path in ("/", "//evil.test", "https://evil.test/", "/o/../desk", f"/visits/{visit}/pay?x=1", "/logout"):
        refused = await inside.phone.post("/api/wechat/codes", json={"path": path}, headers=header)
        assert (refused.status_code, refused.json()["code"]) == (422, "foreign_page")
    async with inside.world.db.begin() as tx:
        person = await sessions.begin(tx, await a_person(tx))
    mine = {"Authorization": f"Bearer {person.token}"}
    assert person.actor.kind is ActorKind.PERSON
    assert (await inside.phone.post("/api/wechat/codes", json={"path": "/o/K7Q2M9"}, headers=mine)).status_code == 403
