"""Visits for programs: the same rights as on the pages, exact amounts, and problem+json when it is a no."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient, Response

from houfu.app import create_app
from people.service import access
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture
async def program(ward: Ward) -> AsyncIterator[AsyncClient]:
    """A program that says with each request for whom it asks."""
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as client:
        yield client


async def ask(program: AsyncClient, ward: Ward, who: str, method: str, path: str, body: Any = None) -> Response:
    """One request with a bearer token."""
    return await program.request(method, path, json=body, headers={"Authorization": f"Bearer {ward.tokens[who]}"})


async def test_a_bill_in_exact_fen(program: AsyncClient, ward: Ward) -> None:
    """Blood done, two open: sums and piles to the fen; the stream's position goes with them."""
    await ward.perform("blood")
    found = (await ask(program, ward, "mother", "GET", f"/api/visits/{ward.visit}")).json()
    assert found["sums"] == {
        "done_fen": 12600, "payable_fen": 6300, "fund_fen": 6300, "account_fen": 0, "self_fen": 6300,
        "planned_fen": 7200, "paid_fen": 0, "first_fen": 0, "prepaid_fen": 0,
        "hospital_fen": 0,
    }  # fmt: skip
    assert sorted(line["pile"] for line in found["lines"]) == ["done", "ordered", "ordered"]
    assert (found["visit"]["mode"], found["visit"]["owner"], len(found["after"])) == ("DEFERRED", True, 22)


async def test_relatives_see_as_far_as_granted(program: AsyncClient, ward: Ward) -> None:
    """The daughter: bill without the hidden line. The neighbour: steps, no bill. A stranger: neither, nor the visit."""
    bill, steps = f"/api/visits/{ward.visit}", f"/api/visits/{ward.visit}/steps"
    daughter = (await ask(program, ward, "daughter", "GET", bill)).json()
    assert sorted(line["name"] for line in daughter["lines"]) == ["blood费", "ecg费"]
    assert (await ask(program, ward, "neighbour", "GET", bill)).status_code == 403
    seen = (await ask(program, ward, "neighbour", "GET", steps)).json()
    assert [(s["name"], s["preparation"]) for s in seen["steps"]] == [("blood项目", []), ("ecg项目", [])]
    mine = (await ask(program, ward, "mother", "GET", steps)).json()
    assert mine["next"] == str(ward.orders["blood"])
    assert mine["steps"][0]["preparation"] == ["先别吃东西，可以喝几口水。"]
    for path in (bill, steps, f"/api/visits/{ward.visit}/pass"):
        foreign = await ask(program, ward, "stranger", "GET", path)
        absent = await ask(program, ward, "stranger", "GET", path.replace(str(ward.visit), str(uuid4())))
        assert (foreign.status_code, foreign.json()) == (404, absent.json())
    async with ward.world.db.begin() as tx:
        looked = {(x.viewer_name, x.page) for x in await access.looks(tx, ward.actors["mother"].id)}
    assert looked == {("陈*", "bill"), ("刘*", "guide")}  # what was refused was not seen


async def test_the_list_of_visits(program: AsyncClient, ward: Ward) -> None:
    """One's own, or of somebody who let one look; whose not is told like nobody."""
    mother = ward.actors["mother"].id
    own = (await ask(program, ward, "mother", "GET", "/api/visits")).json()
    assert [v["id"] for v in own] == [str(ward.visit)]
    seen = (await ask(program, ward, "neighbour", "GET", f"/api/visits?patient={mother}")).json()
    assert [(v["id"], v["owner"]) for v in seen] == [(str(ward.visit), False)]
    assert (await ask(program, ward, "stranger", "GET", f"/api/visits?patient={mother}")).status_code == 404


async def test_a_nurse_says_what_comes_first(program: AsyncClient, ward: Ward) -> None:
    """The guide desk puts the ECG first and ``next`` is the ECG; the patient and a strange order change nothing."""
    path = f"/api/visits/{ward.visit}/first"
    body = {"first": [str(ward.orders["ecg"])]}
    assert (await ask(program, ward, "mother", "POST", path, body)).status_code == 403
    assert (await ask(program, ward, "g.guide", "POST", path, body)).status_code == 204
    told = (await ask(program, ward, "mother", "GET", f"/api/visits/{ward.visit}/steps")).json()
    planned = {s["id"]: (s["planned"], s["because"]) for s in told["steps"]}
    assert planned[body["first"][0]][0] == 0
    strange = {"first": [str(ward.visit)]}
    assert (await ask(program, ward, "g.guide", "POST", path, strange)).status_code == 404


async def test_giving_up_disputing_leaving(program: AsyncClient, ward: Ward) -> None:
    """Each changes exactly what it says; the second time is a conflict; a relative changes nothing."""
    await ward.perform("blood")
    visit = f"/api/visits/{ward.visit}"
    give_up = f"{visit}/orders/{ward.orders['ecg']}/abandon"
    assert (await ask(program, ward, "daughter", "POST", give_up)).status_code == 403
    assert await ward.state("ecg") == "placed"
    assert (await ask(program, ward, "mother", "POST", give_up)).status_code == 204
    again = await ask(program, ward, "mother", "POST", give_up)
    assert (again.status_code, again.json()["code"]) == (409, "order_not_open")
    dispute = f"{visit}/lines/{ward.charges['blood']}/dispute"
    body = {"reason": "这项根本没做"}
    assert (await ask(program, ward, "daughter", "POST", dispute, body)).status_code == 403
    assert (await ask(program, ward, "mother", "POST", dispute, body)).status_code == 201
    assert (await ask(program, ward, "mother", "POST", dispute, body)).status_code == 409
    left = (await ask(program, ward, "mother", "POST", f"{visit}/leave")).json()
    assert (left["given_up"], left["sums"]["payable_fen"], left["sums"]["planned_fen"]) == (1, 0, 0)


async def test_a_pass_for_the_desk(program: AsyncClient, ward: Ward) -> None:
    """The mother's codes are taken by the desk, once; relatives get none; a patient cannot check herself in."""
    path = f"/api/visits/{ward.visit}/pass"
    for who in ("daughter", "neighbour", "k.blood"):
        assert (await ask(program, ward, who, "GET", path)).status_code == 403
    codes = (await ask(program, ward, "mother", "GET", path)).json()
    body = {"code": codes["live"]}
    assert (await ask(program, ward, "mother", "POST", "/api/desk/scan", body)).status_code == 403
    scanned = (await ask(program, ward, "k.blood", "POST", "/api/desk/scan", body)).json()
    assert (scanned["grade"], scanned["check_name"], scanned["checked_in"]) == (
        "live",
        False,
        [str(ward.orders["blood"])],
    )
    again = await ask(program, ward, "k.blood", "POST", "/api/desk/scan", body)
    assert (again.status_code, again.json()["code"]) == (409, "pass_used")
    kept = (await ask(program, ward, "k.ecg", "POST", "/api/desk/scan", {"code": codes["kept"]})).json()
    assert (kept["grade"], kept["check_name"]) == ("kept", True)
