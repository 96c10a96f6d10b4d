"""A time stamping authority on loopback (RFC 3161 over HTTP) with a CA of its own.

``build(World(...))`` is the ASGI app: ``POST /`` takes ``application/timestamp-query``. ``POST /control/behave`` with
``{"do": what, "times": n}`` makes the next answers bad: ``refuse`` (status rejection), ``imprint`` (another digest),
``nonce``, ``foreign`` (an unknown authority), ``broken`` (signature), ``garbage``, ``error`` (HTTP 500), ``silent``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from asn1crypto import core, keys, pem, tsp, x509
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.keys import TimestampKeys, fresh

REPLY = "application/timestamp-reply"
MISDEEDS = {"refuse", "imprint", "nonce", "foreign", "broken", "garbage", "error", "silent"}


@dataclass(slots=True)
class World:
    """The state behind one server: its keys, the world's clock, and how to misbehave."""

    keys: TimestampKeys
    now: Callable[[], datetime]
    do: str | None = None
    times: int = 0
    issued: int = 0
    silence: float = 30.0


class _Refusal(core.Sequence):  # type: ignore[misc]
    # asn1crypto's own class demands a token even where the authority refuses.
    _fields: ClassVar[list[Any]] = [("status", tsp.PKIStatusInfo)]


def build(world: World) -> Starlette:
    """The server."""

    async def stamp(request: Request) -> Response:
        if request.headers.get("content-type") != "application/timestamp-query":
            return Response("unsupported media type", 415)
        do = None
        if world.times:
            world.times -= 1
            do = world.do
        if do == "error":
            return Response("error", 500)
        if do == "silent":
            await asyncio.sleep(world.silence)
        return Response(_answer(world, await request.body(), do), media_type=REPLY)

    async def behave(request: Request) -> Response:
        asked = await request.json()
        if asked.get("do") not in MISDEEDS:
            return JSONResponse({"error": "no such behaviour"}, 400)
        world.do, world.times = asked["do"], int(asked.get("times", 1))
        return JSONResponse({})

    return Starlette(routes=[Route("/", stamp, methods=["POST"]), Route("/control/behave", behave, methods=["POST"])])


def _answer(world: World, body: bytes, do: str | None) -> bytes:
    if do == "garbage":
        return b"\x30\x03nonsense"
    if do == "refuse":
        return _refusal("time_not_available")
    try:
        asked = tsp.TimeStampReq.load(body, strict=True)
        algorithm = asked["message_imprint"]["hash_algorithm"]["algorithm"].native
    except ValueError:
        return _refusal("bad_data_format")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return _refusal("bad_alg")
    world.issued += 1
    return _reply(world, asked, do)


def _reply(world: World, asked: tsp.TimeStampReq, do: str | None) -> bytes:
    made_by = fresh().timestamp if do == "foreign" else world.keys
    if do == "imprint":
        asked["message_imprint"]["hashed_message"] = bytes(32)
    if do == "nonce":
        asked["nonce"] = 1
    signer = DummyTimeStamper(
        tsa_cert=x509.Certificate.load(pem.unarmor(made_by.tsa_cert.encode())[2]),
        tsa_key=keys.PrivateKeyInfo.load(pem.unarmor(made_by.tsa_key.encode())[2]),
        fixed_dt=world.now().replace(microsecond=0),
    )
    answer = signer.request_tsa_response(asked)
    if do == "broken":
        info = answer["time_stamp_token"]["content"]["signer_infos"][0]
        signature = info["signature"].native
        info["signature"] = signature[:-1] + bytes([signature[-1] ^ 1])
    raw: bytes = answer.dump(force=True)
    return raw


def _refusal(why: str) -> bytes:
    status = tsp.PKIStatusInfo(
        {"status": "rejection", "status_string": ["refused"], "fail_info": tsp.PKIFailureInfo({why})}
    )
    raw: bytes = _Refusal({"status": status}).dump()
    return raw
