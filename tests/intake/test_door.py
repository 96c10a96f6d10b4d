"""The door of the HIS as it stands on the network: keys, clocks, sizes, and answers over HTTP."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from intake.models import HisEvent, Rejected
from kernel.settings import Settings, load
from people.service import hospitals
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.wire import Key, signed_headers
from tests.api.conftest import House, a_house
from tests.intake.conftest import Teller

OLD, NEW = Key("his-old", "0123456789abcdef-old"), Key("his-new", "0123456789abcdef-new")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a process on this test's database."""
    return load({}, database_url=database_url.replace("+psycopg", ""), data_dir=tmp_path)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """A running Houfu with a hospital whose HIS has two keys."""
    async with a_house(settings) as made:
        document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
        document["his"]["inbound_keys"] = [{"id": k.id, "secret": k.secret} for k in (OLD, NEW)]
        async with made.world.db.begin() as tx:
            await hospitals.load(tx, document)
        yield made


async def post(house: House, body: bytes, key: Key = OLD, age: int = 0, **headers: str) -> httpx.Response:
    """One batch, signed ``age`` seconds ago."""
    signed = signed_headers(key, body, datetime.now(UTC) - timedelta(seconds=age))
    return await house.client.post("/api/his/events", content=body, headers=signed | headers)


def batch(*items: Any) -> bytes:
    """As the HIS writes it."""
    return json.dumps(items, ensure_ascii=False).encode()


async def stored(house: House) -> tuple[int, int]:
    """(statements, refused ones) in the database."""
    async with house.world.db.begin() as tx:
        count = [await tx.session.scalar(select(func.count()).select_from(m)) for m in (HisEvent, Rejected)]
    return int(count[0] or 0), int(count[1] or 0)


async def test_two_keys_are_valid_at_once(house: House) -> None:
    """During a rotation half of the interfaces sign with the new key already."""
    teller = Teller("A")
    for key, item in ((OLD, teller.started()), (NEW, teller.placed())):
        answer = await post(house, batch(item), key)
        assert (answer.status_code, answer.json()) == (200, {"items": [{"id": item["id"], "status": "accepted"}]})


@pytest.mark.parametrize(
    ("key", "age", "headers"),
    [
        (Key("his-old", "0123456789abcdef-wrong"), 0, {}),
        (Key("nobody", OLD.secret), 0, {}),
        (OLD, 301, {}),
        (OLD, -301, {}),
        (OLD, 0, {"X-Houfu-Timestamp": str(int(time.time()) + 7)}),
        (OLD, 0, {"X-Houfu-Timestamp": "²"}),
        (OLD, 0, {"X-Houfu-Timestamp": "NaN"}),
        (OLD, 0, {"X-Houfu-Signature": ""}),
        (OLD, 0, {"X-Houfu-Signature": "é" * 30}),
    ],
    ids=["secret", "key", "old", "early", "other time", "a superscript", "no number", "no signature", "no hex"],
)
async def test_what_is_not_signed_leaves_no_trace(house: House, key: Key, age: int, headers: dict[str, str]) -> None:
    """Each is 401, and nothing at all is kept of it."""
    body = batch(Teller("A").started())
    signed = {**signed_headers(key, body, datetime.now(UTC) - timedelta(seconds=age)), **headers}
    raw = {name.encode(): value.encode() for name, value in signed.items()}
    answer = await house.client.post("/api/his/events", content=body, headers=raw)
    assert answer.status_code == 401
    assert await stored(house) == (0, 0)


async def test_a_changed_body_is_not_signed(house: House) -> None:
    """One fen more under yesterday's signature: 401."""
    body = batch(Teller("A").charged(order=None))
    signed = signed_headers(OLD, body, datetime.now(UTC))
    answer = await house.client.post("/api/his/events", content=body.replace(b"2000", b"2001"), headers=signed)
    assert (answer.status_code, await stored(house)) == (401, (0, 0))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[",
        b"\xff\xfe",
        b"[" * 100_000,
        b'[{"sequence": ' + b"9" * 5_000 + b"}]",
        b"[" + b",".join([b"1"] * 501) + b"]",
    ],
    ids=["empty", "object", "no item", "null", "cut", "no UTF-8", "a tower", "an endless number", "501 items"],
)
async def test_what_is_no_batch_is_422(house: House, body: bytes) -> None:
    """Nothing is taken, and the whole batch may come again."""
    answer = await post(house, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert await stored(house) == (0, 0)


async def test_over_two_megabytes_is_413(house: House) -> None:
    """The door does not read on."""
    answer = await post(house, b'["' + b"x" * 2_200_000 + b'"]')
    assert (answer.status_code, await stored(house)) == (413, (0, 0))


async def test_good_beside_bad(house: House) -> None:
    """Wrong things of every sort between the statements of one visit: each is answered in its place."""
    teller = Teller("A")
    start, charged = teller.started(), teller.charged(order=None)
    wrong = [
        7,
        teller.charged("X", None, name="血\x00"),
        teller.item("charge.imagined", {}),
        {**teller.charged("Y", None), "sequence": 1.5},
        {**teller.charged("Z", None), "time": "0001-01-01T00:00:00+14:00"},
    ]
    body = json.dumps([start, *wrong, charged]).encode()
    body = body.replace(b'"id": "A-3"', b'"id": "A-3\\ud800"', 1)
    answer = await post(house, body)
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [one["status"] for one in items] == ["accepted", *["rejected"] * 5, "accepted"]
    assert all(one["reason"] and one["example"]["data"] for one in items[1:6])
    assert await stored(house) == (2, 5)


async def test_five_hundred_fit(house: House) -> None:
    """A full batch of ten visits is taken whole; said again it is known."""
    said: list[Any] = []
    for number in range(10):
        teller = Teller(f"-{number}")
        said += [teller.started(), *(teller.charged(f"C{n}", None) for n in range(49))]
    for status in ("accepted", "duplicate"):
        answer = await house.client.post(
            "/api/his/events",
            content=batch(*said),
            headers=signed_headers(OLD, batch(*said), datetime.now(UTC)),
            timeout=60,
        )
        items = answer.json()["items"]
        assert (len(items), {one["status"] for one in items}) == (500, {status})
