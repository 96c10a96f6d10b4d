"""Non-interference: the same day with and without hidden things is the same to companions who do not pay, byte by byte.

Two worlds with the same clock, keys and people live through one day; in one of them she also sees the gynaecologist.
Everything a companion can ask (every route there is), and everything that is pushed to them, is compared.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from api import examples, openapi
from api.deps import COOKIE
from api.stream import KEEP_ALIVE
from api.world import Ports, World
from billing.rules import Money, seen_line, seen_sums, sums_by_category
from billing.service import lines, paying
from family_pay.service import messages
from guide.maps import reading as map_reading
from guide.maps.network import Network, of_document
from guide.ports import Profile
from guide.service import books, maps, nursing, ordering, turns, walking
from houfu import wiring
from houfu.app import create_app, routers
from intake.rules import Item, read
from kernel import settings
from kernel.clock import ManualClock
from notices.models import Notice
from payments.ports import CashChannel, CashState, TradeState
from payments.rules import Till
from payments.service import attempts, pressing
from people.rules import Actor, ActorKind, Depth, GrantKind, Proof, ProofKind, Role, View
from people.service import grants, hospitals, patients, sessions
from people.service.grants import Terms
from people.service.patients import PatientFact
from sandbox import campus
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.databases import Databases
from tests.intake.conftest import NOW, Teller, at
from tests.visits.ward import BASE, NoHis
from visits.service import encounters, orders, reading

Json = dict[str, Any]
WATCHERS = {
    "steps": Terms(GrantKind.WATCH, Depth.STEPS),
    "bill": Terms(GrantKind.WATCH, Depth.BILL),
    "results": Terms(GrantKind.WATCH, Depth.RESULTS),
    "knows": Terms(GrantKind.WATCH, Depth.RESULTS, ("gynaecology",)),
}
READ = re.compile(r"/|/visits|/api/visits|(/api)?/visits/{visit_id}(/(bill|story|guide|steps|words))?")
CURIOUS = "results"  # sees most of what is not hidden, and carries the pass
TOMORROW = NOW + timedelta(days=1)
# They end the session, answer with nothing but chance, or do not end (streams are listened to by themselves). The press
# makes its PDF of what the sheet's page and slip say, and packs the codes of chance into it.
LEFT_OUT = {
    "/api/news", "/api/family/claims/stream", "/logout", "/api/session", "/api/session/lost", "/settings/lost",
    "/login/wechat/back", "/visits/{visit_id}/sheet.pdf",
}  # fmt: skip
# What makes itself anew each time, of one length: positions of feeds and keys of forms.
OPAQUE = [
    (re.compile(rb"after=[\w-]{22}(?![\w-])"), b"after=@"),
    (re.compile(rb'"after":"[\w-]{22}"'), b'"after":"@"'),
    (re.compile(rb"^id: [\w-]{22}$", re.M), b"id: @"),
    (re.compile(rb"^retry: \d+$", re.M), b"retry: @"),
    (re.compile(rb'<p id="age".*?</p>'), b"@"),  # a refusal is drawn by the machine's clock
    (re.compile(rb'name="_idem" value="[\w-]+"'), b'name="_idem" value="@"'),
    (re.compile(rb'(?<="path":)"/bind/[\w-]{22}","code":"\w{6}"'), b"@"),
    (
        re.compile(rb'(?<=src="data:image/png;base64,)[\w+/=]+(?=" width="96")'),
        b"@",
    ),  # an order's code on paper is chance
    (re.compile(rb"/o/[\w-]{16}(?![\w-])"), b"/o/@"),  # and in words
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), b"@"),  # not a derived one
]


def plain(raw: bytes) -> bytes:
    """An answer without what is random in it."""
    for pattern, put in OPAQUE:
        raw = pattern.sub(put, raw)
    return raw


@dataclass
class Ear:
    """One open stream of a companion: the very bytes, message by message."""

    heard: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def receive(self) -> Json:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Json) -> None:
        if message.get("body") and message["body"] != KEEP_ALIVE:
            self.heard.append(plain(message["body"]))


@dataclass
class Day:
    """One of the two worlds."""

    world: World
    clock: ManualClock
    hospital: UUID
    patient: UUID
    secret: bool
    web: AsyncClient
    app: Any
    tokens: dict[str, str] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    ears: dict[str, Ear] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def visit(self) -> UUID:
        """The visit of the day, the same in both worlds."""
        return encounters.visit_id_on(self.hospital, self.patient, NOW)

    async def at(self, minute: float, *plain_: Json, hidden: tuple[Json, ...] = ()) -> None:
        """What the hospital says at one moment, in one batch, the hidden things first."""
        self.clock.time = NOW + timedelta(minutes=minute)
        said = [*(hidden if self.secret else ()), *plain_]
        if not said:
            return
        items = [one for one in map(read, said) if isinstance(one, Item)]
        assert len(items) == len(said)
        async with self.world.db.begin() as tx:
            known = await hospitals.snapshot(tx, self.hospital)
        answers = await self.world.intake.take(known, items)
        assert {a.status for a in answers} == {"accepted"}, answers
        await self.rest()

    async def rest(self) -> None:
        """Every stream is open or over, and nothing is on its way to one: no view is being decided anew."""
        hub = self.world.hub
        async with asyncio.timeout(20):
            while hub._tasks or hub.open != sum(not ear.task.done() for ear in self.ears.values() if ear.task):
                await asyncio.sleep(0.001)

    async def pays(self, minute: float) -> None:
        """She pays what is owed, as one in whose bill there is something hidden; the hospital takes it."""
        self.clock.time = NOW + timedelta(minutes=minute)
        mother = Actor(ActorKind.PERSON, self.patient)
        async with self.world.db.begin() as tx:
            visit = await reading.visit_of(tx, self.visit)
            assert visit is not None
            wish = pressing.Press(CashChannel.H5, "once", await paying.due_now(tx, visit))
            made = await pressing.begin(tx, mother, self.visit, wish, Till("m", "a"))
        async with self.world.db.begin() as tx:
            made = await attempts.by_id(tx, made.id)
            state = CashState(made.out_trade_no, TradeState.SUCCESS, "m", "a", "T1", made.amount_fen)
            await attempts.paid(tx, state)

    async def ask(self, who: str, method: str, path: str, **more: Any) -> tuple[int, bytes, bytes]:
        """Everything of one answer that reaches the companion."""
        form = {"Accept": "text/html"} if not path.startswith("/api/") else {}
        answer = await self.web.request(
            method, path, headers={"Cookie": f"{COOKIE}={self.tokens[who]}", "Origin": BASE, **form}, **more
        )
        told = json.dumps([(k, v) for k, v in answer.headers.items() if k not in ("x-request-id", "content-length")])
        return answer.status_code, plain(answer.content), plain(told.encode())

    async def look(self, mark: str, who: str, *, wide: bool = False) -> None:
        """Ask everything there is to ask, as one companion."""
        for method, path, more in probes(self, wide=wide):
            self.told[f"{mark} {who} {method} {path}"] = await self.ask(who, method, path, **more)

    async def listen(self, who: str, query: str) -> None:
        """Open a stream of the visit, through the whole app; what happens from now on is heard."""
        ear = self.ears[f"{who} {query} #{len(self.ears)}"] = Ear()
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": f"/api/visits/{self.visit}/stream",
            "raw_path": b"", "root_path": "", "scheme": "https", "query_string": query.encode(), "client": ("h", 1),
            "server": ("houfu.test", 443), "headers": [(b"cookie", f"{COOKIE}={self.tokens[who]}".encode())],
        }  # fmt: skip
        ear.task = asyncio.create_task(self.app(scope, ear.receive, ear.send))
        await self.rest()
        assert ear.heard  # it said when to come back

    async def push(self) -> None:
        """What is to be pushed to each companion: kind, what it is about, and when; keys and ids are the house's."""
        for who, person in self.people.items():
            async with self.world.db.begin() as tx:
                found = list(await tx.session.scalars(select(Notice).where(Notice.person_id == person)))
            made = sorted((n.at, n.kind, n.refs, n.state, n.last_at, n.step_at, n.read_at) for n in found)
            self.told[f"pushes {who} all day"] = str(made)

    async def hang_up(self) -> None:
        """All streams end."""
        for ear in self.ears.values():
            ear.gone.set()
        await asyncio.gather(*(ear.task for ear in self.ears.values() if ear.task))


def probes(day: Day, *, wide: bool) -> Iterator[tuple[str, str, Json]]:
    """Every route with its places filled: with what both worlds know, and with what only one does.

    Args:
        wide: all routes with all methods; else what a companion reads all day.
    """
    visit = str(day.visit)
    seen = {
        "line_id": [str(lines.charge_id(day.hospital, c)) for c in ("CV", "CH", "RH")],
        "order_id": [str(orders.order_id(day.hospital, o)) for o in ("OV", "OH")],
        "visit_id": [visit, str(encounters.visit_id_on(day.hospital, day.patient, TOMORROW))][: 1 + wide],
        "hospital_id": [str(day.hospital)],
        "patient_id": [str(day.patient)],
    }
    for route in (r for router in routers() for r in router.routes):
        path: str = getattr(route, "path", "")
        methods = sorted(getattr(route, "methods", None) or ())
        if not (wide or READ.fullmatch(path)):
            continue
        if (
            path in LEFT_OUT
            or path.startswith(("/static", "/metrics", "/demo"))
            or path.endswith("/stream")
            or path == "/api/news"
        ):
            continue
        filled = [path]
        for name in re.findall(r"{(\w+)(?::\w+)?}", path):
            values = seen.get(name, [str(uuid5(NAMESPACE_URL, name))])
            filled = [re.sub(rf"{{{name}(?::\w+)?}}", value, f) for f in filled for value in values]
        for method in methods if wide else [m for m in methods if m == "GET"]:
            more: Json = {}
            if method != "GET":
                body = openapi.body_of(route) if path.startswith("/api/") else None  # type: ignore[arg-type]
                more = {"json": examples.of(body)} if body in examples.MODELS else {"data": {"_csrf": "x"}}
            for one in filled:
                yield method, one, more
    if not wide:
        yield "GET", f"/api/visits?patient={day.patient}", {}


@asynccontextmanager
async def a_day(
    url: str, folder: Path, patch: pytest.MonkeyPatch, network: Network, *, secret: bool
) -> AsyncIterator[Day]:
    """A world with one hospital and its map, one patient, and four companions who do not pay."""
    count = iter(range(10_000))

    def same() -> UUID:  # whoever is made in one order is the same twice
        return uuid5(NAMESPACE_URL, str(next(count)))

    for module in ("people.service.patients", "people.service.grants", "people.service.hospitals"):
        if "new_id" in vars(__import__(module, fromlist=["new_id"])):
            patch.setattr(f"{module}.new_id", same)
    clock = ManualClock(NOW)
    chosen = settings.load({}, database_url=url, key_file=folder / "keys", public_url=BASE)
    world = wiring.build(chosen, clock=clock, ports=Ports(his=NoHis()))
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["staff"] = document["slots"] = []
    app = create_app(world)
    web = AsyncClient(transport=ASGITransport(app), base_url=BASE)
    async with wiring.running(world), web:
        async with world.db.begin() as tx:
            hospital = await hospitals.load(tx, document)
            await books.keep(tx, hospital, document)
            await maps.publish(tx, hospital.id, network)
            mother = await patients.known(tx, hospital.id, PatientFact("P1", "朱桂芳", None, "19900000001", sex="F"))
            day = Day(world, clock, hospital.id, mother.id, secret, web, app)
            for n, (who, terms) in enumerate(WATCHERS.items(), 2):
                friend = await patients.known(tx, hospital.id, PatientFact(f"P{n}", "刘芸", None, f"1990000000{n}"))
                await tx.session.flush()
                day.tokens[who], day.people[who] = (await sessions.begin(tx, friend)).token, friend.id
                given_ = [terms, *([Terms(GrantKind.BOOK)] if who == CURIOUS else [])]
                await grants.make(
                    tx, mother.id, friend.id, given_, bond=same(), relation="daughter", proof=Proof(ProofKind.DESK)
                )
        yield day
        await day.hang_up()


def her(teller: Teller, department: str, minute: float) -> Json:
    """An encounter of hers begins."""
    patient = {"no": "P1", "name": "朱桂芳"}
    return teller.started(patient=patient, department=department, doctor=f"{department}医生", started_at=at(minute))


async def morning(day: Day) -> None:
    """The gynaecologist first, then the heart clinic; orders, queues, charges, results, the window, a free line."""
    v, h = Teller("V"), Teller("H")
    await day.at(0, hidden=(her(h, "GYNE", 0), h.charged("R", None, 2500)))
    await day.look("before", CURIOUS)
    await day.at(3, her(v, "CARD", 3), v.charged("R", None, 1500))
    async with day.world.db.begin() as tx:
        visit = await reading.visit_of(tx, day.visit)
        assert visit is not None
        visit.mode = "DEFERRED"  # she has signed
    for who in WATCHERS:
        await day.listen(who, "format=json")
    for page in ("bill", "story", "guide"):
        await day.listen(CURIOUS, f"format=html&page={page}")
    await day.at(4, hidden=(her(Teller("P"), "PSYC", 4),))
    own = {"department": "BLOOD", "kind": "lab"}
    await day.at(5, v.placed(**own), hidden=(h.placed(**own), h.placed("Q", department="GYNE")))
    await day.at(6, v.charged(), v.charged("D", "O", 900), hidden=(h.charged(), h.charged("Q", "Q")))
    for minute, ahead in ((7, 3), (8, 0)):
        moved = {"ahead": ahead, "called": not ahead, "room": "2", "at": at(minute)}
        said = [t.item("queue.moved", {**moved, "order_no": f"O{t.mark}"}) for t in (v, h)]
        await day.at(minute, said[0], hidden=(said[1],))
    await day.look("queue", CURIOUS)
    async with day.world.db.begin() as tx:
        await messages.send(tx, Actor(ActorKind.PERSON, day.patient), day.visit, "waiting")
    await day.at(9, hidden=(h.confirmed(), h.cancelled("Q")))
    await day.at(10, v.confirmed())
    free = {"split": {"fund_fen": 700, "account_fen": 0, "self_fen": 0}, "amount_fen": 700, "unit_price_fen": 700}
    await day.at(11, v.charged("F", "O", 700, **free), hidden=(h.settled("R", 2500),))
    for minute, status in ((12, "partial"), (13, "final")):
        data = {"report_no": "R1", "status": status, "flag": "abnormal", "summary": "请听医生说", "at": at(minute)}
        said = [t.item("result.ready", {**data, "order_no": f"O{t.mark}"}) for t in (v, h)]
        await day.at(minute, said[0], hidden=(said[1],))
    for who in WATCHERS:
        await day.look("done", who)
    await day.at(14, v.settled("D", 360), v.settled(), hidden=(h.charged("U"),))
    if day.secret:
        await day.pays(15)
    await day.at(16, v.charged("E", "O", 700, **free), hidden=(h.reversed("Q"), h.charged("Y")))
    await day.at(20, v.finished())  # for whom may not know the other, the visit is over
    await day.look("over", CURIOUS)


async def afternoon(day: Day) -> None:
    """The heart clinic once more while the gynaecologist goes on; tomorrow the gynaecologist alone."""
    w, h = Teller("W"), Teller("H", 50)
    await day.at(35, her(w, "RESP", 35), hidden=(h.charged("S", None, 4000),))
    await day.listen(CURIOUS, "format=json")
    more = [w.placed(f"M{n}", department=d, kind="imaging", name=d) for n, d in enumerate(("CT", "US", "MRI"))]
    far = (
        h.placed("T", department="US", category="gynaecology", kind="imaging", name="妇科彩超"),
        h.placed("Z", department="MRI", category="gynaecology"),
    )
    await day.at(36, w.placed(department="ECG", kind="imaging", name="心电图"), *more, hidden=far)
    if day.secret:  # a nurse puts the hidden one first, she is done with another one elsewhere, all of it is advised
        nurse = Actor(ActorKind.STAFF, uuid5(NAMESPACE_URL, "nurse"), day.hospital, Role.GUIDE)
        async with day.world.db.begin() as tx:
            await nursing.pin(tx, nurse, day.visit, [orders.order_id(day.hospital, "TH")])
            await walking.choose(tx, Actor(ActorKind.PERSON, day.patient), day.visit, Profile.BED)
    elsewhere = h.item("execution.confirmed", h.execution_data("Z", "XZ") | {"at": at(37)})
    await day.at(37, hidden=(elsewhere,))
    # Where she was last, for something hidden and far away, does not hasten the word that it is time to set out.
    moved = [({"ahead": n, "called": False, "at": at(37)}, t, o) for n, t, o in ((2, w, "O"), (1, h, "T"))]
    said = [t.item("queue.moved", {**what, "order_no": f"{o}{t.mark}"}) for what, t, o in moved]
    await day.at(37, said[0], hidden=(said[1],))
    for minute, near in ((37, int(day.secret)), (43, 1)):
        day.clock.time = NOW + timedelta(minutes=minute)
        async with day.world.db.begin() as tx:
            due = await turns.due(tx)
        assert len(due) == near
        for order in due:
            async with day.world.db.begin() as tx:
                assert await turns.tell(tx, order)
    async with day.world.db.begin() as tx:
        assert await ordering.sweep(tx) == 1
    await day.look("again", CURIOUS, wide=True)
    await day.at(44, w.finished())
    await day.at(45, hidden=(h.finished(), Teller("P", 9).finished()))
    await day.at(46, hidden=(her(Teller("N"), "PSYC", 24 * 60 + 46),))
    await day.look("end", CURIOUS)
    await day.push()
    await day.hang_up()


def text(value: Any) -> str:
    """Bytes as words."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "|".join(map(text, value)) if isinstance(value, (list, tuple)) else str(value)


def differs(one: Any, other: Any) -> tuple[str, str]:
    """What two answers say where they part."""
    a, b = text(one), text(other)
    n = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[max(0, n - 80) : n + 80], b[max(0, n - 80) : n + 80]


async def test_a_hidden_department_leaves_no_trace(
    databases: Databases, template_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All routes and streams of three companions: equal in both worlds; who was let in sees the difference."""
    days, network = list[Day](), map_reading.read_bytes("campus.zip", campus.archive())
    for secret in (True, False):
        with databases.lent(template_database) as url:
            async with a_day(url, tmp_path, monkeypatch, of_document(network.document()), secret=secret) as day:
                await morning(day)
                await afternoon(day)
                days.append(day)
    with_, without = days
    assert with_.visit == without.visit
    assert set(with_.told) == set(without.told)
    assert len(with_.told) > 200
    blind = [key for key in with_.told if " knows " not in key]
    assert {k: differs(with_.told[k], without.told[k]) for k in blind if with_.told[k] != without.told[k]} == {}
    heard = {k: (e.heard, without.ears[k].heard) for k, e in with_.ears.items() if not k.startswith("knows")}
    assert {k: differs(*pair) for k, pair in heard.items() if pair[0] != pair[1]} == {}
    # The comparison is not one of nothing with nothing.
    assert [k for k in with_.told if " knows " in k and with_.told[k] != without.told[k]]
    assert sum(len(e.heard) for e in without.ears.values()) > 40
    assert any("/story" in key and b'class="map' in told[1] for key, told in without.told.items() if key in blind)
    assert without.told["pushes results all day"] != "[]"
    told = [one for key, one in without.told.items() if not key.startswith("pushes")]
    assert any(status == 200 and b"RESP" not in body and len(body) > 500 for status, body, _ in told)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 3)), max_size=6)
)
def test_how_a_settlement_is_spread_is_not_told(lines_: list[tuple[int, int, int, int]]) -> None:
    """The insurance spreads what it pays over all lines, hidden ones too: companions read the hospital's own split."""
    view = View(Depth.RESULTS, frozenset(), pays=False, owner=False)
    before, after = [], []
    for fund, account, own, moved in lines_:
        amount, estimate, more = fund + account + own, (fund, account, own), min(own, moved * 50)
        before.append(Money("billable", None, amount, fund, account, own, 0, True, estimate))
        after.append(Money("settled", None, amount, fund + more, account, own - more, 0, True, estimate))
        names = ("fund_fen", "account_fen", "self_fen")
        line = {"pile": "done", "executed_at": "x", "estimate": None, "hospital_fen": 0, "category": None}
        told = dict(zip(names, (fund + more, account, own - more), strict=True))
        first = line | {"state": "billable"} | dict(zip(names, estimate, strict=True))
        second = (
            line | {"state": "settled", "hospital_fen": 3, "estimate": dict(zip(names, estimate, strict=True))} | told
        )
        assert seen_line(first, view) == seen_line(second, view)
    turn = (5, 7)
    assert seen_sums(sums_by_category(before), view, None) == seen_sums(sums_by_category(after), view, turn)
