"""The whole outside world on loopback: the hospital's system, WeChat and its cash register, SMS, timestamps, credit.

Each speaks its own wire format on its own port. They run in the event loop of whoever opens the town.
"""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from kernel.clock import wall_clock
from sandbox import credit, insurance, push, sms, timestamp, tls, wechat, wechat_pay
from sandbox.his.catalogue import HOSPITAL_FILE, PEOPLE_FILE
from sandbox.his.server import His
from sandbox.his.server import create_app as his_app
from sandbox.his.wire import Key
from sandbox.insurance import cast
from sandbox.keys import SandboxKeys, make
from sandbox.quiet import QuietServer
from sandbox.wechat_letters import Server
from words import sandbox_sms, sandbox_wechat

Now = Callable[[], datetime]
NAMES = ("his", "wechat", "wechat_pay", "sms", "timestamp", "credit", "insurance", "wechat_face", "push")
CREDIT_KEY = "houfu"
MIX_CITY, MIX_HOSPITAL = "100023", "H43010000001"  # as WeChat numbers the city, and the insurance the hospital


@dataclass(frozen=True, slots=True)
class Ports:
    """Sockets already listening, so that addresses are known before anybody is started."""

    sockets: Mapping[str, socket.socket]

    def url(self, name: str) -> str:
        """``http://127.0.0.1:8091``."""
        scheme = "https" if name == "wechat_face" else "http"
        return f"{scheme}://127.0.0.1:{self.sockets[name].getsockname()[1]}"


def listen(first: int | None = None) -> Ports:
    """Take a port for each on loopback: from ``first`` on where they are free, else any."""
    return Ports({name: _socket(None if first is None else first + n) for n, name in enumerate(NAMES)})


def listen_at(port: int) -> socket.socket:
    """One port on loopback.

    Raises:
        OSError: it is taken.
    """
    made = _socket(port)
    if made.getsockname()[1] != port:
        made.close()
        raise OSError(f"port {port} is taken")
    return made


def _socket(port: int | None) -> socket.socket:
    made = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on: 40 ms a call
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port or 0))
    except OSError:
        made.bind(("127.0.0.1", 0))
    made.listen(128)
    return made


@dataclass(slots=True)
class Town:
    """Everything outside; the parts are there for tests and the stage to look into and to make misbehave."""

    keys: SandboxKeys
    ports: Ports
    his: His
    wechat: wechat.World
    pay: wechat_pay.World
    mixed: wechat_pay.MixDesk
    sms: sms.World
    timestamp: timestamp.World
    credit: credit.World
    insurance: insurance.World
    push: push.World

    def register(self) -> ASGIApp:
        """WeChat Pay's cash register and its mixed office, which pays in the insurance's own books."""
        return wechat_pay.build(self.pay, mixed=self.mixed)

    def faces(self) -> AbstractAsyncContextManager[QuietServer]:
        """WeChat Pay's address for faces, which asks for the merchant's certificate, until the block ends."""
        mine = self.keys.wechat_face
        secure = tls.context(mine.server_cert, mine.server_key, mine.ca_cert)
        return serving(wechat_pay.build_apiv2(self.pay), self.ports.sockets["wechat_face"], secure)


def _credit_secret(keys: SandboxKeys) -> str:
    return hmac.new(keys.sms.secret_key.encode(), b"credit platform", hashlib.sha256).hexdigest()


def _clean(folk: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Nobody of the demo has a record, whatever the digits of their made-up numbers."""
    return {one["id_number"]: "NONE" for one in folk if one["id_number"]}


def client_settings(keys: SandboxKeys, ports: Ports) -> dict[str, str]:
    """The production side's settings for this town, by their names (without prefix)."""
    groups = {
        "wechat": {
            **keys.client_wechat(ports.url("wechat")),
            **keys.client_wechat_callback(),
            "templates": json.dumps(sandbox_wechat.TEMPLATES, ensure_ascii=False),
        },
        "wechat_pay": keys.client_wechat_pay(ports.url("wechat_pay"), "", ""),
        "wechat_face": keys.client_wechat_face(ports.url("wechat_face")),
        "wechat_deduct": keys.client_wechat_deduct(ports.url("wechat_face"), ports.url("wechat_pay")),
        "wechat_mix": {
            "city_id": MIX_CITY,
            "institution_no": MIX_HOSPITAL,
            "institution_name": _hospital_name(),
        },
        "sms": {
            **keys.client_sms(ports.url("sms")),
            "template_code": sandbox_sms.CODE,
            "template_bind": sandbox_sms.BIND,
            "templates": json.dumps(sandbox_sms.KINDS, ensure_ascii=False),
        },
        "web_push": {
            "private_key": keys.vapid,
            "contact": "mailto:demo@houfu.localhost",
            "services": ports.url("push").removeprefix("http://"),
        },
        "timestamp": keys.client_timestamp(ports.url("timestamp")),
        "insurance": keys.client_insurance(ports.url("insurance")),
        "credit": {"url": ports.url("credit"), "key_id": CREDIT_KEY, "secret": _credit_secret(keys)},
    }
    named = {f"{group}_{name}": value for group, values in groups.items() for name, value in values.items()}
    del named["wechat_pay_mini_appid"]
    return {name: value for name, value in named.items() if value}


@cache
def _hospital_name() -> str:
    return str(json.loads(HOSPITAL_FILE.read_text("utf-8"))["hospital"]["name"])


def people(file: Path = PEOPLE_FILE) -> list[dict[str, Any]]:
    """The demo's people as ``docs/hospital-file.md`` describes them."""
    found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["people"]
    return found


def cabinet(folder: Path) -> SandboxKeys:
    """The town's keys, made on first use."""
    return make(folder)


def _account_server(keys: SandboxKeys, houfu_url: str) -> Server:
    mine = keys.wechat
    return Server(f"{houfu_url}/api/callbacks/wechat", mine.callback_token, mine.callback_aes_key)


def build(
    keys: SandboxKeys,
    ports: Ports,
    houfu_url: str,
    his_keys: tuple[Key, Sequence[Key]],
    *,
    journal: Path | None = None,
    now: Now = wall_clock,
    at_home: Mapping[str, str] | None = None,
    scale: float = 0.2,
) -> Town:
    """Assemble the town; nothing runs yet.

    Args:
        houfu_url: where the hospital's system posts its events.
        his_keys: the key it signs with, and those it accepts.
        journal: file of the hospital's books, so that they survive a restart.
        at_home: host → key of the person whose phone shows pages of that host.
        scale: factor on WeChat Pay's pauses.
    """
    inbound, outbound = his_keys
    account, mini = keys.wechat.appid, keys.wechat.mini_appid
    folk = people()
    with_wechat = [p for p in folk if p["openid"]]
    persons = [wechat.Person(p["name"], p["openid"], f"m{p['openid']}") for p in with_wechat]
    payers = [wechat_pay.Payer(p["name"], {account: p["openid"], mini: f"m{p['openid']}"}) for p in with_wechat]
    by_key = {p["key"]: p["openid"] for p in with_wechat}
    homes = {host: by_key[key] for host, key in (at_home or {}).items() if key in by_key}
    mine = keys.wechat_pay
    merchant = wechat_pay.Merchant(
        mine.mchid,
        mine.cert_serial,
        mine.merchant_public_key,
        mine.apiv3_key,
        frozenset({account, mini}),
        keys.wechat_face.apiv2_key,
    )
    pay = wechat_pay.World([merchant], mine.platform_private_key, mine.public_key_id, payers, now, scale=scale)
    centre = insurance.World(
        keys.insurance,
        cast.people(json.loads(PEOPLE_FILE.read_text("utf-8"))),
        now,
        cast.rules(json.loads(HOSPITAL_FILE.read_text("utf-8"))),
        notify_url=f"{houfu_url}/api/callbacks/insurance",
        scale=scale,
        house=_hospital_name(),
        at_home=homes,
    )
    registered = {MIX_HOSPITAL: _hospital_name()}
    return Town(
        keys=keys,
        ports=ports,
        his=His(houfu_url, inbound, outbound, journal=journal, now=now),
        wechat=wechat.World(
            wechat.App(account, keys.wechat.secret),
            wechat.App(mini, keys.wechat.mini_secret),
            persons,
            now,
            templates=frozenset(str(t["id"]) for t in sandbox_wechat.TEMPLATES.values()),
            at_home=homes,
            server=_account_server(keys, houfu_url),
        ),
        pay=pay,
        mixed=wechat_pay.MixDesk(pay, wechat_pay.MedIns(centre, frozenset({MIX_CITY}), registered, loopback_http=True)),
        sms=_texts(keys, now),
        timestamp=timestamp.World(keys.timestamp, now),
        credit=credit.World(CREDIT_KEY, _credit_secret(keys), now, _clean(folk)),
        insurance=centre,
        push=push.World(),
    )


def _texts(keys: SandboxKeys, now: Now) -> sms.World:
    mine = keys.sms
    return sms.World(mine.secret_id, mine.secret_key, mine.sdk_app_id, mine.sign_name, now, sandbox_sms.TEMPLATES)


@asynccontextmanager
async def running(town: Town) -> AsyncIterator[Town]:
    """All servers of the town, until the block ends."""
    apps: dict[str, ASGIApp] = {
        "his": his_app(town.his),
        "wechat": wechat.build(town.wechat),
        "wechat_pay": town.register(),
        "sms": sms.build(town.sms),
        "timestamp": timestamp.build(town.timestamp),
        "credit": credit.build(town.credit),
        "insurance": insurance.build(town.insurance),
        "push": push.build(town.push),
    }
    async with AsyncExitStack() as stack:
        for name, app in apps.items():
            await stack.enter_async_context(serving(app, town.ports.sockets[name]))
        await stack.enter_async_context(town.faces())
        stack.push_async_callback(town.wechat.talk.stop)
        yield town


@asynccontextmanager
async def serving(
    app: ASGIApp, listening: socket.socket, secure: ssl.SSLContext | None = None
) -> AsyncIterator[QuietServer]:
    """One server on a socket that listens already, until the block ends.

    Args:
        secure: behind TLS, with what this says.
    """
    http: Any = tls.Shaken if secure is not None else "auto"
    config = uvicorn.Config(
        app,
        http=http,
        log_config=None,
        access_log=False,
        ws="none",
        timeout_keep_alive=60,  # longer than any caller keeps a line: else one that hangs up now is used once more
        timeout_graceful_shutdown=1,
    )
    config.load()
    config.ssl = secure
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("a sandbox server ended before it began")
            await asyncio.sleep(0.01)
        yield server
    finally:
        server.leave()
        await asyncio.gather(task, return_exceptions=True)
        listening.close()
