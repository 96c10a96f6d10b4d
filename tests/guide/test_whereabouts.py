"""Where she says she stands is where her day is planned from: till she goes on, for half an hour, for her alone."""

import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import delete, select

from api.deps import COOKIE
from guide import service as guide
from guide.maps.network import Network
from guide.models import Advice, Whereabouts
from guide.ports import Profile
from guide.service import books, maps, ordering, spots, walking, whereabouts
from houfu.app import create_app
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from people.rules import OWNER, STAFF_VIEW, Actor, ActorKind, ChoiceKind, Depth, Role, View
from people.service import choices, hospitals, patients
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward, visit_row
from visits.service import encounters, orders
from visits.service.orders import OrderFact

WATCHER = View(Depth.STEPS, frozenset(), pays=False, owner=False)


@pytest.fixture
async def ward(database_url: str, tmp_path: Path, network: Network) -> AsyncIterator[Ward]:
    """She came to the heart's doctor; two pictures are to be taken, in two houses, and there is a map."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        async with opened.world.db.begin() as tx:
            await maps.publish(tx, opened.hospital, network)
            house, visit = await hospitals.by_id(tx, opened.hospital), await visit_row(tx, opened)
            encounter = encounters.encounter_id(opened.hospital, "E1")
            for n, (name, door) in enumerate((("拍片", "XRAY"), ("彩超", "US")), 20):
                fact = OrderFact(f"O{n}", encounter, "imaging", name, door, None, (), None, None, "周明远", tx.now, n)
                await orders.place(tx, house, visit, fact)
            for name in ("blood", "gyn"):
                order = await orders.order_by_id(tx, opened.orders[name])
                assert order is not None
                await orders.give_up(tx, visit, order)
        await opened.perform("ecg")
        yield opened


async def planned(ward: Ward, view: View = OWNER) -> list[str]:
    """What is to be done, in the order advised."""
    async with ward.world.db.begin() as tx:
        return [s["name"] for s in guide.plan_of(await guide.steps_of(tx, ward.visit, view))[0]]


async def code_of(ward: Ward, name: str) -> str:
    """The sign at a door."""
    async with ward.world.db.begin() as tx:
        return next(s.code for s in await spots.signs(tx, ward.hospital) if s.name == name)


async def say(ward: Ward, who: str, code: str, ago: int = 0) -> None:
    """Somebody says so, having been there so many minutes ago."""
    async with ward.world.db.begin() as tx:
        await whereabouts.say(tx, ward.actors[who], ward.visit, code, tx.now - timedelta(minutes=ago))


async def forget(ward: Ward) -> None:
    """As if nobody had advised her before: what she was told stays unless five minutes are gained."""
    async with ward.world.db.begin() as tx:
        await tx.session.execute(delete(Advice))


async def now_of(ward: Ward) -> datetime:
    """The house's own time."""
    async with ward.world.db.begin() as tx:
        return tx.now


async def kept(ward: Ward) -> list[str]:
    """The codes that are remembered."""
    async with ward.world.db.begin() as tx:
        return list(await tx.session.scalars(select(Whereabouts.code)))


async def test_the_day_is_planned_from_where_she_stands(ward: Ward) -> None:
    """At either door that one comes first, for her and her nurse; who follows is told what they were told before."""
    before, watched = await planned(ward), await planned(ward, WATCHER)
    signs = {name: await code_of(ward, door) for name, door in (("拍片", "放射科"), ("彩超", "超声科"))}
    for name in (*signs, *signs):
        ward.clock.move(timedelta(minutes=1))
        await say(ward, "mother", signs[name])
        await forget(ward)
        assert [(await planned(ward, view))[0] for view in (OWNER, STAFF_VIEW)] == [name, name]
        assert await planned(ward, WATCHER) == watched
    async with ward.world.db.begin() as tx:
        assert await ordering.sweep(tx) == 1
        assert await ordering.sweep(tx) == 0
    ward.clock.move(timedelta(minutes=31))
    assert await planned(ward) in (before, before[::-1])
    async with ward.world.db.begin() as tx:
        assert await ordering.sweep(tx) == 1  # thought over anew without it
        assert not list(await tx.session.scalars(select(Whereabouts)))


async def test_an_old_word_and_a_later_door_count(ward: Ward) -> None:
    """An older scan does not stand above a newer; one of an hour ago is none; where she reports she is."""
    first, second = await code_of(ward, "放射科"), await code_of(ward, "磁共振室")
    await say(ward, "mother", second, ago=60)
    assert await kept(ward) == []
    await say(ward, "mother", first, ago=2)
    await say(ward, "mother", second, ago=5)
    await say(ward, "mother", second, ago=-600)  # nobody was there in the future
    assert await kept(ward) == [second]
    async with ward.world.db.begin() as tx:
        visit, found = await visit_row(tx, ward), await orders.orders_of(tx, ward.visit)
        assert await whereabouts.last_place(tx, visit, WATCHER, found) == "ECG"
        sign = await whereabouts.sign_of(tx, visit, found)
        assert sign is not None
        assert await whereabouts.last_place(tx, visit, OWNER, found) == sign.place
        ward.clock.move(timedelta(minutes=1))
    async with ward.world.db.begin() as tx:
        order = await orders.order_by_id(tx, orders.order_id(ward.hospital, "O20"))
        assert order is not None
        await orders.check_in(tx, order, tx.now)
        visit, found = await visit_row(tx, ward), await orders.orders_of(tx, ward.visit)
        assert await whereabouts.last_place(tx, visit, OWNER, found) == "XRAY"


async def test_only_her_side_and_who_guides_her_say_it(ward: Ward) -> None:
    """A stranger finds no visit; who only looks, and finance, say nothing; nothing is kept."""
    code = await code_of(ward, "放射科")
    ward.actors["finance"] = Actor(ActorKind.STAFF, new_id(), ward.hospital, Role.FINANCE)
    errors = {"stranger": NotFoundError, "neighbour": ForbiddenError, "finance": ForbiddenError}
    for who, error in errors.items():
        with pytest.raises(error):
            await say(ward, who, code)
    with pytest.raises(NotFoundError):
        await say(ward, "mother", "QQQQQQQ")
    assert await kept(ward) == []
    await say(ward, "g.guide", code)
    assert await kept(ward) == [code]


async def test_who_has_switched_it_off_is_not_remembered(ward: Ward) -> None:
    """The place switched off: her page still begins at the sign she scanned, and nothing is written down. By program
    it is said the same way."""
    code, mother = await code_of(ward, "磁共振室"), ward.actors["mother"]
    async with ward.world.db.begin() as tx:
        await choices.choose(tx, mother, mother.id, ChoiceKind.LOCATION, given=True)
        await choices.choose(tx, mother, mother.id, ChoiceKind.LOCATION, given=False)
    headers = {"Origin": BASE, "Cookie": f"{COOKIE}={ward.tokens['mother']}"}
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE, headers=headers) as web:
        now = int((await now_of(ward)).timestamp())
        said = await web.post(f"/api/visits/{ward.visit}/place", json={"code": code})
        page = await web.get(f"/visits/{ward.visit}/guide?at={code}&since={now}", headers={"Accept": "text/html"})
        assert (said.status_code, "从“磁共振室”出发" in page.text, await kept(ward)) == (204, True, [])
        async with ward.world.db.begin() as tx:
            await choices.choose(tx, mother, mother.id, ChoiceKind.LOCATION, given=True)
        assert (await web.post(f"/api/visits/{ward.visit}/place", json={"code": code})).status_code == 204
        assert await kept(ward) == [code]
        page = await web.get(f"/visits/{ward.visit}/guide", headers={"Accept": "text/html"})
        assert "从“磁共振室”出发" in page.text  # without any address: it is remembered


async def test_a_nurse_puts_off_and_takes_back_by_program(ward: Ward) -> None:
    """Later until a time, then taken back; the patient may not, and a time without its offset is refused."""
    order: UUID = orders.order_id(ward.hospital, "O20")
    until = (await now_of(ward) + timedelta(hours=1)).isoformat()
    transport = ASGITransport(create_app(ward.world))
    async with AsyncClient(transport=transport, base_url=BASE, headers={"Origin": BASE}) as web:

        async def ask(who: str, method: str, path: str, body: object = None) -> int:
            bearer = {"Authorization": f"Bearer {ward.tokens[who]}"}
            return (await web.request(method, f"/api/visits/{ward.visit}{path}", json=body, headers=bearer)).status_code

        late = {"until": until, "reason": "unwell"}
        before = await planned(ward)
        assert await ask("mother", "POST", f"/orders/{order}/later", late) == 403
        assert await ask("g.guide", "POST", f"/orders/{order}/later", late | {"until": until[:19]}) == 422
        assert await ask("g.guide", "POST", f"/orders/{order}/later", {"reason": "unwell"}) == 422
        assert await planned(ward) == before
        assert await ask("g.guide", "POST", f"/orders/{order}/later", late) == 204
        assert (await planned(ward))[-1] == "拍片"
        assert await ask("g.guide", "DELETE", "/first") == 204
        assert await planned(ward) == before
        document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
        for age, moves in ((75, Profile.WALK), (60, Profile.SLOW)):  # by what the hospital has signed
            document["exam_rules"]["numbers"] = {"slow_from_age": age}
            async with ward.world.db.begin() as tx:
                await books.keep(tx, await hospitals.by_id(tx, ward.hospital), document)
            async with ward.world.db.begin() as tx:
                (await patients.by_id(tx, ward.actors["mother"].id)).birth_date = date(1955, 3, 8)
                assert await walking.profile_of(tx, await visit_row(tx, ward)) is moves
        assert await ask("mother", "POST", "/walking", {"profile": "wheelchair"}) == 204
        assert await ask("mother", "POST", f"/orders/{order}/move") == 409  # nothing is booked
