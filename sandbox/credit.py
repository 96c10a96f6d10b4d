"""A city's credit platform on loopback: checks who asks, says what it knows of a made-up identity, signs its word.

``build(World(...))`` is the ASGI app. Magic: an identity number whose last digit before the check digit is 8 has a
serious record, 7 a minor one; ``world.records`` stands above that. ``POST /control/behave`` with ``{"do": what,
"times": n}``: ``error`` (HTTP 500), ``silent``, ``forge`` (signed with another key), ``stale``, ``other`` (another
question's answer), ``garbage``, ``unknown`` (404). ``GET /control/asked`` lists the questions without identities.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MISDEEDS = {"error", "silent", "forge", "stale", "other", "garbage", "unknown"}
MAGIC = {"8": "SERIOUS", "7": "MINOR"}
FRESH_SECONDS = 300


@dataclass(slots=True)
class World:
    """The state behind one server.

    Args:
        key_id: of the one customer.
        secret: shared with it.
        now: the world's clock.
        records: identity number → level, above the magic.
    """

    key_id: str
    secret: str
    now: Callable[[], datetime]
    records: dict[str, str] = field(default_factory=dict)
    do: str | None = None
    times: int = 0
    silence: float = 30.0
    asked: list[dict[str, str]] = field(default_factory=list)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of one message."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def build(world: World) -> Starlette:
    """The server."""

    async def query(request: Request) -> Response:
        body = await request.body()
        if not _known(world, request, body):
            return JSONResponse({"error": "signature"}, 401)
        do = None
        if world.times:
            world.times -= 1
            do = world.do
        if do == "error":
            return Response("error", 500)
        if do == "silent":
            await asyncio.sleep(world.silence)
        asked = json.loads(body)
        world.asked.append({"request_id": asked["request_id"], "purpose": asked["purpose"]})
        if do == "unknown":
            return JSONResponse({"error": "no such identity"}, 404)
        return _answer(world, asked, do)

    async def behave(request: Request) -> Response:
        told = await request.json()
        if told.get("do") not in MISDEEDS:
            return JSONResponse({"error": "no such behaviour"}, 400)
        world.do, world.times = told["do"], int(told.get("times", 1))
        return JSONResponse({})

    async def questions(request: Request) -> Response:
        return JSONResponse(world.asked)

    return Starlette(
        routes=[
            Route("/v1/records/query", query, methods=["POST"]),
            Route("/control/behave", behave, methods=["POST"]),
            Route("/control/asked", questions),
        ]
    )


def _known(world: World, request: Request, body: bytes) -> bool:
    at = request.headers.get("x-houfu-timestamp", "")
    if request.headers.get("x-houfu-key") != world.key_id or not at.isdigit():
        return False
    if abs(world.now().timestamp() - int(at)) > FRESH_SECONDS:
        return False
    return hmac.compare_digest(request.headers.get("x-houfu-signature", ""), sign(world.secret, at, body))


def _answer(world: World, asked: dict[str, Any], do: str | None) -> Response:
    number = str(asked["id_number"])
    level = world.records.get(number) or MAGIC.get(number[-2:-1], "NONE")
    told = {
        "request_id": "another" if do == "other" else asked["request_id"],
        "level": level,
        "reference": f"CR{len(world.asked):08d}",
    }
    body = b"{" if do == "garbage" else json.dumps(told).encode()
    at = str(int(world.now().timestamp()) - (FRESH_SECONDS * 2 if do == "stale" else 0))
    secret = "forged" if do == "forge" else world.secret
    headers = {"X-Houfu-Timestamp": at, "X-Houfu-Signature": sign(secret, at, body)}
    return Response(body, media_type="application/json", headers=headers)
