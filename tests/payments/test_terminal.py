"""A capture of a terminal: signed, fresh, of its own kind, and never seen by anybody."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import wall_clock
from payments.ports import (
    BadCaptureError,
    Capture,
    CaptureKind,
    ForgedCaptureError,
    check_capture,
    read_capture,
    read_look,
    sign_capture,
)
from tests.adapters.conftest import Servers
from tests.architecture.source import ROOT

SECRET, TERMINAL = "terminal-secret-of-the-example", "W03-scan"
PAGE = (ROOT / "docs/terminals.md").read_text("utf-8")
STAMP = re.search(r"`([0-9]{10})`", PAGE)
BODY = re.search(r"^```\n(\{.*\})\n```$", PAGE, re.M)
SIGNATURE = re.search(r"the signature is `([0-9a-f]{64})`", PAGE)
AT = datetime(2026, 11, 22, 1, 31, 5, tzinfo=UTC)
CODE = "131234567890123456"


def body(**over: Any) -> bytes:
    """A capture read half a minute ago."""
    told = {"kind": "PAY_CODE", "value": CODE, "terminal_id": TERMINAL, "operator": "C0307"}
    told["captured_at"] = (AT - timedelta(seconds=30)).isoformat()
    return json.dumps({name: value for name, value in {**told, **over}.items() if value is not ...}).encode()


def face(**over: Any) -> bytes:
    """A face somebody has just looked in with."""
    return body(**{"kind": "FACE_CODE", "value": "f-1", "openid": "oMother", "out_trade_no": "HF202611220001", **over})


def test_the_page_s_golden_vector() -> None:
    """What docs/terminals.md says a signature is, openssl made; ours is the same, and the body can be read."""
    assert STAMP is not None
    assert BODY is not None
    assert SIGNATURE is not None
    raw = BODY[1].encode()
    assert sign_capture(SECRET, TERMINAL, int(STAMP[1]), raw) == SIGNATURE[1]
    check_capture(SECRET, TERMINAL, STAMP[1], SIGNATURE[1], raw, AT)
    assert read_capture(TERMINAL, STAMP[1], raw) == Capture(CaptureKind.PAY_CODE, CODE, TERMINAL, "C0307", AT)


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "another"},
        {"terminal_id": "W04-scan"},
        {"timestamp": "1795311066"},
        {"timestamp": "1795311065.0"},
        {"timestamp": ""},
        {"raw": body(value="131234567890123457")},
        {"signature": ""},
        {"signature": "签"},
        {"now": AT + timedelta(minutes=5, seconds=1)},
        {"now": AT - timedelta(minutes=5, seconds=1)},
    ],
)
def test_nobody_else_s_signature(change: dict[str, Any]) -> None:
    """Another secret, name, time or body, a day of its own, too long: forged, whatever is wrong."""
    stamp = str(int(AT.timestamp()))
    right = {"secret": SECRET, "terminal_id": TERMINAL, "timestamp": stamp, "raw": body(), "now": AT}
    right["signature"] = sign_capture(SECRET, TERMINAL, int(stamp), body())
    check_capture(**right)  # type: ignore[arg-type]
    with pytest.raises(ForgedCaptureError):
        check_capture(**right | change)  # type: ignore[arg-type]


def test_no_body_is_that_long() -> None:
    """Signed or not: nothing a terminal reads has more than four kilobytes."""
    stamp, raw = str(int(AT.timestamp())), body() + b" " * 4096
    with pytest.raises(ForgedCaptureError):
        check_capture(SECRET, TERMINAL, stamp, sign_capture(SECRET, TERMINAL, int(stamp), raw), raw, AT)


def test_the_signed_parts_cannot_run_together() -> None:
    """Name ``a.b`` with body ``c`` signs the same text as name ``a`` with body ``b.c``: no name has a full stop."""
    stamp = int(AT.timestamp())
    stolen = sign_capture(SECRET, "a", stamp, b"b.c")
    assert stolen == sign_capture(SECRET, "a.b", stamp, b"c")
    check_capture(SECRET, "a", str(stamp), stolen, b"b.c", AT)
    with pytest.raises(ForgedCaptureError):
        check_capture(SECRET, "a.b", str(stamp), stolen, b"c", AT)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"[]", "unreadable"),
        (b"{", "unreadable"),
        (b"[" * 3000, "unreadable"),
        (body(operator=...), "unreadable"),
        (body(amount="1"), "unreadable"),
        (body(value=131234567890123456), "unreadable"),
        (body(kind="CASH"), "kind"),
        (body(value="281234567890123456"), "value"),
        (body(value=CODE + "\n"), "value"),
        (face(value=""), "value"),
        (face(value="f" * 129), "value"),
        (face(openid=...), "unreadable"),
        (face(openid="o P"), "openid"),
        (face(out_trade_no="HF 1"), "out_trade_no"),
        (body(openid="oMother", out_trade_no="HF202611220001"), "unreadable"),
        (body(kind="EC_QRCODE", value="码"), "value"),
        (body(terminal_id="W04-scan"), "terminal_id"),
        (body(operator="C 0307"), "operator"),
        (body(captured_at="2026-11-22T09:30:35"), "captured_at"),
        (body(captured_at="today"), "captured_at"),
        (body(captured_at=(AT - timedelta(seconds=61)).isoformat()), "old"),
        (body(captured_at=(AT + timedelta(seconds=2)).isoformat()), "old"),
    ],
)
def test_what_cannot_be_used(raw: bytes, why: str) -> None:
    """Genuine, but not a capture: the terminal is told which part."""
    with pytest.raises(BadCaptureError) as no:
        read_capture(TERMINAL, str(int(AT.timestamp())), raw)
    assert (no.value.why, no.value.params) == (why, {"why": why})


@pytest.mark.parametrize("kind", [k.value for k in CaptureKind])
def test_every_kind_can_be_read_and_none_is_seen(kind: str) -> None:
    """All four; a repr, an error's text, a log line of the whole show nothing of the value."""
    value = CODE if kind == "PAY_CODE" else "b713b5d2-666c-48"
    capture = read_capture(
        TERMINAL, str(int(AT.timestamp())), (face if kind == "FACE_CODE" else body)(kind=kind, value=value)
    )
    assert (capture.kind, capture.value) == (kind, value)
    assert value not in f"{capture!r} {capture!s}"


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ({}, None),
        ({"terminal_id": "W04-scan"}, "terminal_id"),
        ({"rawdata": ""}, "rawdata"),
        ({"rawdata": "r" * 3501}, "rawdata"),
        ({"rawdata": 1}, "unreadable"),
        ({"more": "1"}, "unreadable"),
    ],
)
def test_a_terminal_asks_to_look(over: dict[str, Any], why: str | None) -> None:
    """What its SDK made, under its own name, and nothing else."""
    raw = json.dumps({"terminal_id": TERMINAL, "rawdata": "raw==", **over}).encode()
    if why is None:
        assert read_look(TERMINAL, raw) == "raw=="
        return
    with pytest.raises(BadCaptureError) as no:
        read_look(TERMINAL, raw)
    assert no.value.why == why


def test_the_terminal_s_own_clock_judges_the_age() -> None:
    """Three minutes slow, it still may send what it read a moment ago."""
    stamp = str(int((AT - timedelta(minutes=3)).timestamp()))
    raw = body(captured_at=(AT - timedelta(minutes=3, seconds=1)).isoformat())
    check_capture(SECRET, TERMINAL, stamp, sign_capture(SECRET, TERMINAL, int(stamp), raw), raw, AT)
    assert read_capture(TERMINAL, stamp, raw).value == CODE


@pytest.fixture
async def counter() -> AsyncIterator[tuple[str, list[Capture]]]:
    """An address that takes captures as ``docs/terminals.md`` says; what came."""
    came: list[Capture] = []

    async def capture(request: Request) -> Response:
        raw, headers = await request.body(), request.headers
        terminal, stamp = headers["x-houfu-terminal"], headers["x-houfu-timestamp"]
        try:
            check_capture(SECRET, terminal, stamp, headers["x-houfu-signature"], raw, wall_clock())
            came.append(read_capture(terminal, stamp, raw))
        except ForgedCaptureError as no:
            return JSONResponse({"code": no.code}, 401)
        except BadCaptureError as no:
            return JSONResponse({"code": no.code, "why": no.why}, 422)
        return JSONResponse({})

    servers = Servers()
    app = Starlette(routes=[Route("/api/terminals/captures", capture, methods=["POST"])])
    async with servers.serving(app) as url:
        yield url, came
    await servers.stop()


async def test_the_example_works_as_written(counter: tuple[str, list[Capture]]) -> None:
    """docs/terminal-example.sh with nothing but openssl and curl; a wrong secret and a wrong code are told apart."""
    url, came = counter

    async def run(*given: str) -> tuple[int | None, str]:
        script = str(ROOT / "docs/terminal-example.sh")
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = await asyncio.create_subprocess_exec(
            "sh", script, url, *given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=clean
        )
        said, _ = await done.communicate()
        return done.returncode, said.decode()

    assert await run(TERMINAL, SECRET, CODE, "C0307") == (0, "{}\n")
    assert [(c.kind, c.value, c.terminal_id, c.operator) for c in came] == [("PAY_CODE", CODE, TERMINAL, "C0307")]
    for given, said in (((TERMINAL, "wrong", CODE), "forged_capture"), ((TERMINAL, SECRET, "28"), '"why":"value"')):
        code, text = await run(*given)
        assert code != 0
        assert said in text
    assert len(came) == 1
