"""The doorman: where forms come from, how much is taken in, which headers leave, and how a no sounds."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Request
from pydantic import BaseModel
from structlog.testing import capture_logs

from api.deps import COOKIE, AnyCaller, PersonCaller, Public, Signed, StaffCaller, TxDep
from houfu import wiring
from houfu.app import create_app
from kernel.errors import ForbiddenError, HoufuError, Kind
from kernel.ids import new_id
from kernel.outside import Throttled
from kernel.settings import Settings
from tests.api.conftest import House, a_hospital, a_person, serving

router = APIRouter()


class Asked(BaseModel):
    """A form."""

    amount: int


class EarlyError(HoufuError):
    """For this test."""

    code = "read_delay"
    kind = Kind.TOO_EARLY


@router.post("/api/try", dependencies=[Public])
async def take(asked: Asked) -> dict[str, int]:
    return {"amount": asked.amount}


@router.post("/api/callbacks/try", dependencies=[Signed])
async def called(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/api/his/events", dependencies=[Signed])
async def events(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/api/me")
async def me(caller: AnyCaller) -> dict[str, str]:
    return {"kind": caller.kind}


@router.get("/api/person")
async def person(caller: PersonCaller) -> dict[str, str]:
    return {"id": str(caller.id)}


@router.get("/api/staff")
async def staff(caller: StaffCaller) -> dict[str, str]:
    return {"id": str(caller.id)}


@router.get("/try/{what}", dependencies=[Public])
async def refuse(what: str) -> None:
    raise {
        "early": EarlyError(seconds=8),
        "no": ForbiddenError(),
        "outside": Throttled("wechat: 45009 secret"),
        "bug": RuntimeError("朱桂芳 999901195503089023"),
    }[what]


@router.post("/api/rows", dependencies=[Public])
async def row(tx: TxDep, fail: bool = False) -> dict[str, bool]:
    await a_person(tx)
    if fail:
        raise ForbiddenError
    return {"kept": True}


@pytest.fixture
async def guarded(settings: Settings) -> AsyncIterator[House]:
    """A process with the routes above."""
    world = wiring.build(settings)
    app = create_app(world)
    app.include_router(router)
    async with serving(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        async with world.db.begin() as tx:
            hospital = await a_hospital(tx)
        yield House(world, url, client, hospital)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{url}"}, 200),
        ({"Cookie": f"{COOKIE}=x"}, 403),
        ({"Cookie": f"{COOKIE}=x", "Origin": "{url}"}, 200),
        ({"Cookie": f"{COOKIE}=x", "Authorization": "Bearer y"}, 403),
        ({"Authorization": "Bearer y", "Origin": "https://elsewhere.example"}, 200),
        ({}, 200),
    ],
)
async def test_forms_come_from_our_own_pages(guarded: House, headers: dict[str, str], status: int) -> None:
    """A form posted from somebody else's page is refused before it reaches a route; a program with a token is not."""
    headers = {name: value.format(url=guarded.url) for name, value in headers.items()}
    answer = await guarded.client.post("/api/try", json={"amount": 1}, headers=headers)
    assert answer.status_code == status
    assert answer.json().get("amount") == (1 if status == 200 else None)
    if status == 403:
        assert answer.json()["code"] == "csrf"


async def test_machines_that_sign_need_no_origin(guarded: House) -> None:
    """A provider's callback comes from elsewhere; its signature is what counts."""
    answer = await guarded.client.post("/api/callbacks/try", content=b"x", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.json() == {"bytes": 1}


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_bounded(guarded: House, chunked: bool) -> None:
    """256 KB for everybody, 2 MB for a batch of events; more is refused, also when its length was not announced."""

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 1024):
            yield b"x" * 1024

    his = "/api/his/events"  # let through, an unsigned batch gets as far as the check of its signature
    for path, most, small in (
        ("/api/callbacks/try", 256 * 1024, 256 * 1024),
        (his, 2 * 1024 * 1024, "his_bad_signature"),
    ):
        for size, said in ((most, small), (most + 1024, "payload_too_large")):
            content = pieces(size) if chunked else b"x" * size
            answer = (await guarded.client.post(path, content=content)).json()
            assert (path, answer.get("bytes", answer.get("code"))) == (path, said)


async def test_a_no_for_programs(guarded: House) -> None:
    """problem+json with a stable code, the sentence for the person, and when to come again."""
    answer = await guarded.client.get("/try/early")
    assert answer.status_code == 425
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json() == {
        "type": "urn:houfu:problem:read_delay",
        "title": "再等一下",
        "status": 425,
        "detail": "请再看 8 秒。这一页说的是要在什么时候付钱。",
        "code": "read_delay",
    }
    wrong = await guarded.client.post("/api/try", json={"amount": "999901195503089023x"})
    assert (wrong.status_code, wrong.json()["errors"]) == (422, [{"place": "body.amount", "rule": "int_parsing"}])
    assert "999901195503089023" not in wrong.text
    assert (await guarded.client.get("/try/outside")).status_code == 503
    assert (await guarded.client.delete("/api/try")).status_code == 405


async def test_a_no_for_people(guarded: House) -> None:
    """A browser gets a page in plain words; who is not logged in is led to the login and back."""
    browser = {"Accept": "text/html,application/xhtml+xml"}
    page = await guarded.client.get("/try/no", headers=browser)
    assert page.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    assert "这件事您这边办不了" in page.text
    assert "trusted-types app" in page.headers["content-security-policy"]
    assert (await guarded.client.get("/absent", headers=browser)).status_code == 404


async def test_a_slip_of_ours_tells_nothing(guarded: House) -> None:
    """A bug is answered kindly with 500, and neither the answer nor the log holds what was in its text."""
    with capture_logs() as logs:
        answer = await guarded.client.get("/try/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"]
    assert "999901195503089023" not in answer.text
    seen = [{k: v for k, v in entry.items() if k != "exc_info"} for entry in logs]
    assert "999901195503089023" not in str(seen)
    assert any(entry["event"] == "request" and entry["route"] == "/try/{what}" for entry in logs)


async def test_who_is_asking(guarded: House) -> None:
    """Nobody, a forged token, a patient, by cookie or as bearer: each route lets in whom it declares."""
    _, token = await guarded.person()
    cookie, bearer = {"Cookie": f"{COOKIE}={token}"}, {"Authorization": f"Bearer {token}"}
    forged = {"Authorization": f"Bearer {new_id()}"}
    for headers, statuses in (
        ({}, (401, 401, 401)),
        (forged, (401, 401, 401)),
        (cookie, (200, 200, 403)),
        (bearer, (200, 200, 403)),
    ):
        answers = [await guarded.client.get(path, headers=headers) for path in ("/api/me", "/api/person", "/api/staff")]
        assert tuple(a.status_code for a in answers) == statuses


async def test_what_was_refused_was_not_done(guarded: House) -> None:
    """The transaction of a request is kept when it is answered, and gone when it is refused."""
    from sqlalchemy import text

    async def count() -> int:
        async with guarded.world.db.begin() as tx:
            return int(await tx.session.scalar(text("SELECT count(*) FROM person")) or 0)

    assert (await guarded.client.post("/api/rows")).json() == {"kept": True}
    assert await count() == 1
    assert (await guarded.client.post("/api/rows?fail=true")).status_code == 403
    assert await count() == 1


async def test_headers_that_protect(guarded: House) -> None:
    """Every answer says: do not guess types, do not frame, do not keep."""
    answer = await guarded.client.get("/livez")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"


async def test_files_come_packed_and_stay(guarded: House) -> None:
    """Built files are sent packed and kept for ever; the service worker is asked for anew; nothing else is served."""
    from pwa.render import HERE

    name = next(p.name for p in (HERE / "static").iterdir() if p.name.startswith("app.") and p.suffix == ".js")
    file = await guarded.client.get(f"/static/{name}", headers={"Accept-Encoding": "br"})
    assert file.status_code == 200
    assert file.headers["content-encoding"] == "br"
    assert "immutable" in file.headers["cache-control"]
    assert file.content == (HERE / "static" / name).read_bytes()
    worker = await guarded.client.get("/sw.js")
    assert (worker.status_code, worker.headers["cache-control"]) == (200, "no-cache")
    for absent in ("assets.json", f"{name}.br", "..%2Frender.py"):
        assert (await guarded.client.get(f"/static/{absent}")).status_code == 404


async def test_probes(guarded: House, settings: Settings, tmp_path: Path) -> None:
    """Ready with database and tables; not ready at another revision; alive in any case; figures without ids."""
    import dataclasses

    assert (await guarded.client.get("/readyz")).json() == {"status": "ok"}
    world = dataclasses.replace(wiring.build(settings), revision="9999")
    async with serving(create_app(world)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["because"]) == (503, "migrations")
        assert (await client.get("/livez")).status_code == 200
    away = settings.model_copy(update={"database_url": f"postgresql+psycopg://postgres@/none?host={tmp_path}"})
    async with (
        serving(create_app(wiring.build(away))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["because"]) == (503, "database")
        assert (await client.get("/livez")).status_code == 200
    figures = (await guarded.client.get("/metrics")).text
    assert 'houfu_requests_total{method="GET",route="/readyz",status="200"}' in figures
