"""A push service on loopback, and the browsers behind it: what it takes is verified, and opened as a browser would.

``build(World(...))`` is the ASGI app. A message must be signed by VAPID (RFC 8292) with the key its browser subscribed
with, for this service and at most a day ahead; it is encrypted for the browser alone (RFC 8291, aes128gcm).

============================ =====================================================================================
POST /push/{id}              a push: 201; 400 TTL or encoding missing; 403 another key; 404 no such; 410 ended; 429
POST /control/subscribe      ``{"key"}`` of the website → ``{"id", "endpoint", "keys": {"p256dh", "auth"}}``
GET  /control/shown/{id}     what the browser has shown: each payload with its ``topic``, ``urgency``, ``ttl``
POST /control/behave         ``{"id", "gone": bool}``; ``{"fail_next": n, "status": 500}``
============================ =====================================================================================
"""

import base64
import json
import secrets
import struct
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LONGEST = 4096
CURVE = ec.SECP256R1()


class Refused(Exception):
    """An answer other than 201."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(slots=True)
class Browser:
    """One subscription with the keys only its browser has. A second message of a tag replaces the first."""

    website_key: str
    private: ec.EllipticCurvePrivateKey
    auth: bytes
    gone: bool = False
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: int = 0


@dataclass(slots=True)
class World:
    """The state behind one server. ``raw``: every byte that was sent to it."""

    browsers: dict[str, Browser] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    fail_next: int = 0
    fail_status: int = 500


def build(world: World) -> Starlette:
    """The server."""

    async def push(request: Request) -> Response:
        body = await request.body()
        world.raw.append(body)
        if world.fail_next:
            world.fail_next -= 1
            return Response("busy", world.fail_status)
        try:
            _take(world, request, body)
        except Refused as no:
            return Response(no.why, no.status)
        return Response(status_code=201, headers={"Location": f"{request.url}/{secrets.token_hex(4)}", "TTL": "0"})

    async def subscribe(request: Request) -> Response:
        key = (await request.json())["key"]
        identity, browser = (
            secrets.token_urlsafe(24),
            Browser(key, ec.generate_private_key(CURVE), secrets.token_bytes(16)),
        )
        world.browsers[identity] = browser
        keys = {"p256dh": _b64(_point(browser.private.public_key())), "auth": _b64(browser.auth)}
        endpoint = f"{request.base_url}push/{identity}"
        return JSONResponse({"id": identity, "endpoint": endpoint, "keys": keys})

    async def shown(request: Request) -> Response:
        return JSONResponse(list(world.browsers[request.path_params["id"]].shown.values()))

    async def behave(request: Request) -> Response:
        asked = await request.json()
        if "id" in asked:
            world.browsers[asked["id"]].gone = bool(asked.get("gone"))
        world.fail_next = int(asked.get("fail_next", world.fail_next))
        world.fail_status = int(asked.get("status", world.fail_status))
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/push/{id}", push, methods=["POST"]),
            Route("/control/subscribe", subscribe, methods=["POST"]),
            Route("/control/shown/{id}", shown, methods=["GET"]),
            Route("/control/behave", behave, methods=["POST"]),
        ]
    )


def _take(world: World, request: Request, body: bytes) -> None:
    browser = world.browsers.get(request.path_params["id"])
    if browser is None:
        raise Refused(404, "no such subscription")
    if browser.gone:
        raise Refused(410, "subscription has ended")
    headers = request.headers
    if not headers.get("ttl", "").isdigit() or headers.get("content-encoding") != "aes128gcm":
        raise Refused(400, "TTL and Content-Encoding: aes128gcm are required")
    if len(body) > LONGEST:
        raise Refused(413, "too long")
    topic = headers.get("topic")
    if topic is not None and (len(topic) > 32 or not topic.replace("-", "").replace("_", "").isalnum()):
        raise Refused(400, "bad Topic")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(request.url)))
    _vapid(headers.get("authorization", ""), browser.website_key, origin)
    note = json.loads(_open(browser, body))
    browser.received += 1
    # The service worker shows one notification for each tag.
    browser.shown[str(note.get("tag"))] = {
        **note,
        "topic": topic,
        "urgency": headers.get("urgency"),
        "ttl": int(headers["ttl"]),
    }


def _vapid(header: str, key: str, origin: str) -> None:
    scheme, _, rest = header.partition(" ")
    parts = dict(p.strip().split("=", 1) for p in rest.split(",") if "=" in p)
    if scheme.lower() != "vapid" or "t" not in parts or parts.get("k", "").rstrip("=") != key.rstrip("="):
        raise Refused(403, "another key than the browser subscribed with")
    try:
        head, claims, signature = parts["t"].split(".")
        point = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, _bytes(key))
        raw = _bytes(signature)
        made = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        point.verify(made, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        said = json.loads(_bytes(claims))
        algorithm = json.loads(_bytes(head))["alg"]
    except (ValueError, KeyError, InvalidSignature):
        raise Refused(403, "the signature does not hold") from None
    if algorithm != "ES256" or said.get("aud") != origin or not str(said.get("sub", "")):
        raise Refused(403, "signed for another service")
    if not time.time() < float(said.get("exp", 0)) <= time.time() + 24 * 3600 + 60:
        raise Refused(403, "expired, or good for too long")


def _open(browser: Browser, body: bytes) -> bytes:
    """What the browser reads (RFC 8188, RFC 8291)."""
    try:
        salt, size, length = body[:16], struct.unpack("!I", body[16:20])[0], body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender)
        secret = browser.private.exchange(ec.ECDH(), theirs)
        mine = _point(browser.private.public_key())
        key = _hkdf(browser.auth, b"WebPush: info\0" + mine + sender, 32, secret)
        content = _hkdf(salt, b"Content-Encoding: aes128gcm\0", 16, key)
        nonce = _hkdf(salt, b"Content-Encoding: nonce\0", 12, key)
        if len(sealed) > size:
            raise ValueError("more than one record")
        plain = AESGCM(content).decrypt(nonce, sealed, None)
    except Exception as error:
        raise Refused(400, f"cannot be opened: {type(error).__name__}") from None
    return plain.rstrip(b"\0")[:-1]


def _hkdf(salt: bytes, info: bytes, length: int, secret: bytes) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
