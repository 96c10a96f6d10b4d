"""What the made-up payment centre refuses at its door, and how it is steered."""

import base64
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import insurance as sandbox
from sandbox.insurance import gm, keys
from sandbox.insurance.wire import App, Wire
from tests.adapters.insurance_stand import TLS

KEYS = keys.fresh()
QUERY = "/org/local/api/hos/query_order_info"


@pytest.fixture
async def centre(clock: Any, serving: Any) -> AsyncIterator[tuple[sandbox.World, httpx.AsyncClient]]:
    world = sandbox.World(KEYS, [sandbox.Person("示例甲", "ID1", "o1")], clock)
    async with (
        serving(sandbox.build(world)) as base,
        httpx.AsyncClient(base_url=base, trust_env=False, verify=TLS) as http,
    ):
        yield world, http
        await world.stop()


def hospital(world: sandbox.World, private: int | None = None) -> Wire:
    """The hospital's side made of the centre's own code: it signs with the hospital's key, verifies the centre's."""
    app = App(KEYS.app_id, KEYS.app_secret, KEYS.center_public_key, KEYS.org_code)
    return Wire(app, private or int(KEYS.private_key, 16), world.dialect)


async def test_the_door(centre: tuple[sandbox.World, httpx.AsyncClient]) -> None:
    """Another key, tampering, an old letter, another app, a wrapped letter, no letter: each its own signed no."""
    world, http = centre
    mine = hospital(world)
    now = str(int(world.now().timestamp() * 1000))
    data = {"payOrdId": "ORD0", "orgCodg": KEYS.org_code}
    head = {"timestamp": now}
    letters = {
        "ORDER_NOT_EXIST": mine.seal(head, data),
        "SIGN_ERROR": mine.seal(head, data, "tamper"),
        "BAD_ENVELOPE": mine.seal(head, data) | {"encData": "00"},
        "TIMESTAMP_EXPIRED": mine.seal({"timestamp": str(int(now) - 301_000)}, data),
        "APP_UNKNOWN": mine.seal(head, data) | {"appId": "A" * 32},
        "PARAM_ERROR": mine.seal(head, {"infno": "6301", "input": {"data": data}}),
    }
    for code, letter in letters.items():
        told = (await http.post(QUERY, json=letter)).json()
        assert told["code"] == code
        # A no without contents: the text is the head alone.
        text = mine.text(told).encode()
        signature = base64.b64decode(told["signData"])
        assert gm.verify(gm.decode(bytes.fromhex(KEYS.center_public_key)), KEYS.app_secret.encode(), text, signature)
    stranger = hospital(world, gm.new_key()).seal(head, data)
    assert (await http.post(QUERY, json=stranger)).json()["code"] == "SIGN_ERROR"
    assert (await http.post(QUERY, content=b"[]")).status_code == 400


async def test_the_controls(centre: tuple[sandbox.World, httpx.AsyncClient]) -> None:
    """Unknown behaviour and orders are refused, a reset forgets; the oracle names nobody and shows no secret."""
    world, http = centre
    assert (await http.post("/control/behave", json=[{"on": "query", "do": "explode"}])).status_code == 400
    assert (await http.post("/control/behave", json=[{"on": "query", "do": "down", "x": 1}])).status_code == 400
    assert (await http.post("/control/behave", json=[{"on": "query", "do": "down"}])).json() == {"rules": 1}
    assert (await http.post("/control/behave", json={"reset": True})).json() == {"rules": 0}
    assert (await http.post("/control/order", json={"payOrdId": "ORD0", "do": "pay"})).status_code == 400
    assert (await http.post("/control/consent", json={"openid": "nobody"})).json() == {"code": "NO_SUCH_PERSON"}
    assert (await http.post("/control/notify", json={"replay": "ORD0"})).json() == {"code": "NOTICE_NOT_SENT"}
    code = (await http.post("/control/consent", json={"openid": "o1"})).json()["auth_code"]
    auth, token = world.books.resolve(code, "o1")
    told = json.dumps((await http.get("/control/books")).json(), ensure_ascii=False)
    for secret in ("示例甲", "ID1", auth.number, token, KEYS.app_secret):
        assert secret not in told


def test_the_cabinet(tmp_path: Path) -> None:
    """Keys are made once, readable by the owner only, and fit together."""
    made = keys.make(tmp_path / "keys")
    assert keys.make(tmp_path / "keys") == made
    assert stat.S_IMODE((tmp_path / "keys" / "insurance.json").stat().st_mode) == 0o600
    public = gm.decode(bytes.fromhex(made.public_key))
    signature = gm.sign(int(made.private_key, 16), public, b"uid", b"text")
    assert gm.verify(public, b"uid", b"text", signature)
    assert not gm.verify(public, b"uid2", b"text", signature)
    with pytest.raises(ValueError, match="curve"):
        gm.decode(b"\x04" + bytes(64))


def test_padding_is_checked() -> None:
    """What does not end as PKCS7 prescribes is refused."""
    sealed = gm.sm4_encrypt(b"k" * 16, b"text")
    assert gm.sm4_decrypt(b"k" * 16, sealed) == b"text"
    for wrong in (sealed[:-1], b"", sealed[::-1]):
        with pytest.raises(ValueError, match=r"."):
            gm.sm4_decrypt(b"k" * 16, wrong)
