"""A request never keeps its own transaction while it waits for a second one: walked with a pool of one connection."""

import ast
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from consent.service import eligibility
from kernel.ids import new_id
from people.models import Staff
from people.rules import Actor, ActorKind, Role
from people.service import sessions
from tests.payments.conftest import PAGE, House

ROOT = Path(__file__).parents[2]
CALLERS = {"PersonCaller", "StaffCaller", "AnyCaller", "MaybeCaller", "TxDep"}


@asynccontextmanager
async def one_connection(house: House) -> AsyncIterator[None]:
    """One connection for all requests; who needs a second one waits in vain."""
    wide = house.db.engine
    house.db.engine = create_async_engine(
        wide.url, pool_size=1, max_overflow=0, pool_timeout=3, connect_args={"connect_timeout": 5}
    )
    try:
        yield
    finally:
        await house.db.engine.dispose()
        house.db.engine = wide


async def fine(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """The request got what it asked for, or was refused for its own sake."""
    assert answer.status_code in statuses, (answer.request.url, answer.status_code, answer.text[:300])
    return answer


async def test_paying_needs_one_connection(house: House) -> None:
    """Sheet, press, waiting page, cancelling, the counter's code, and the same for programs."""
    bill = await house.bill()
    async with one_connection(house):
        mother, counter = house.phone(house.mother), house.phone(house.counter)
        form = {"_idem": str(new_id()), "amount_fen": str(bill.owed), "way": "wechat"}
        await fine(await mother.get(f"/visits/{bill.visit}/pay", headers=PAGE), 200)
        there = (await fine(await mother.post(f"/visits/{bill.visit}/pay", data=form, headers=PAGE), 303)).headers[
            "location"
        ]
        for r in ("", "?r=ok", "?r=fail"):
            await fine(await mother.get(there + r, headers=PAGE), 200)
        await fine(await mother.post(f"{there}/cancel", headers=PAGE), 303)
        body = {"amount_fen": bill.owed}
        key = {"Idempotency-Key": str(new_id())}
        made = await mother.post(f"/api/visits/{bill.visit}/payments", json=body, headers=key)
        await fine(made, 200, 201)
        await fine(await mother.get(f"/api/payments/{made.json()['id']}"), 200)
        await fine(await mother.post(f"/api/payments/{made.json()['id']}/cancel"), 200)
        form = {"_idem": str(new_id()), "amount_fen": str(bill.owed)}
        await fine(await counter.post(f"/desk/pay/{bill.visit}", data=form, headers=PAGE), 303)
        await fine(await counter.get(f"/desk/pay/{bill.visit}", headers=PAGE), 200)


async def test_signing_scanning_and_binding_need_one_connection(house: House) -> None:
    """The letter, its beats, the pen too early, a refused scan, a spoken code that is wrong, the login page."""
    bill = await house.bill()
    async with house.db.begin() as tx:
        await eligibility.keep_answer(tx, house.daughter.id, serious=False, reference="R1")
        nurse = (await tx.session.scalars(select(Staff).where(Staff.login == "g.guide"))).one()
        house.tokens[nurse.id] = (await sessions.begin_staff(tx, nurse.id)).token
    guide = Actor(ActorKind.STAFF, nurse.id, house.hospital, Role.GUIDE)
    async with one_connection(house):
        daughter, counter, desk = house.phone(house.daughter), house.phone(house.counter), house.phone(guide)
        there = await daughter.get(f"/consent/new/{house.hospital}", headers=PAGE)
        letter = (await fine(there, 303)).headers["location"]
        assert re.fullmatch(r"/consent/[0-9a-f-]{36}", letter)
        await fine(await daughter.get(letter, headers=PAGE), 200)
        await fine(await daughter.get(f"{letter}?region=0", headers=PAGE), 200)
        await fine(await daughter.post(f"{letter}/beat", data={"region": "0"}, headers=PAGE), 425)
        await fine(await daughter.get(f"{letter}/sign", headers=PAGE), 425)
        await fine(await daughter.post(f"{letter}/sign", data={"nonce": "x", "code": "000000"}, headers=PAGE), 422, 425)
        reading = letter.rpartition("/")[2]
        opened = {"hospital_id": str(house.hospital), "patient_id": str(house.daughter.id)}
        await fine(await daughter.post("/api/consent/readings", json=opened), 201)
        await fine(await daughter.post(f"/api/consent/readings/{reading}/pen"), 425)
        await fine(await daughter.post("/bind", data={"who": "13800000000", "code": "000000"}, headers=PAGE), 422)
        await fine(await daughter.post("/api/family/codes", json={"who": "13800000000", "code": "000000"}), 404, 422)
        await fine(await desk.post("/desk/scan", data={"code": "nothing"}, headers=PAGE), 404, 422)
        await fine(await counter.get("/login", headers=PAGE), 200)
        asked = await house.phone(house.mother).get(f"/visits/{bill.visit}/ask", headers=PAGE)
        assert (await fine(asked, 303)).headers["location"] == f"/family/invite?visit={bill.visit}"


def opens_another(node: ast.AST) -> int | None:
    """The line where a route hands the database on, outside functions inside it."""
    todo, lines = list(ast.iter_child_nodes(node)), []
    while todo:
        one = todo.pop()
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(one, ast.Attribute) and one.attr == "db" and isinstance(one.value, ast.Name):
            lines.append(one.lineno)
        todo += ast.iter_child_nodes(one)
    return min(lines, default=None)


def test_routes_let_go_first() -> None:
    """A new route calls a flow while its caller's transaction is open: it is named here before a rush finds it."""
    seen, wrong = 0, []
    for path in [*(ROOT / "api/routes").glob("*.py"), *(ROOT / "pwa/pages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.AsyncFunctionDef) or not node.decorator_list:
                continue
            named = {a.annotation.id for a in node.args.args if isinstance(a.annotation, ast.Name)}
            first = opens_another(node) if named & CALLERS else None
            if first is None:
                continue
            seen += 1
            goes = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr == "let_go"]
            if not goes or min(goes) > first:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert seen > 5, "the guard does not recognise a flow any more"
    assert wrong == []
