"""A whole hospital on one machine: our own code as in production, and a made-up outside world beside it.

Only addresses and keys differ from production; everything goes the ordinary way. Data stay in the data folder, so the
second start continues yesterday.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from rich.console import Console
from starlette.responses import Response

from api.deps import Public
from api.world import World
from guide.service import books, maps
from houfu import logs, regulars, stage, wiring
from houfu.app import create_app
from houfu.server import database, is_free
from houfu.server import run as run_loop
from houfu.server import server as make_server
from houfu.wechat import bring_menu
from kernel.db import Tx
from kernel.settings import Settings, SettingsError
from people.service import hospitals, patients, sessions
from people.service.patients import PatientFact
from sandbox import campus, wechat, wechat_hand
from sandbox import town as towns
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.wire import Key
from sandbox.stage import Stage
from sandbox.wechat_pay.control import bridge_script

HOLDERS = ("mother", "daughter", "companion", "son", "expectant", "husband", "guardian", "elder", "elder_son", "youth")
AT_HOME = {f"{key}.houfu.localhost": key for key in HOLDERS}
MOTHER = "mother.houfu.localhost"
INSURER = "insurance.houfu.localhost"
OUTSIDE_FROM = 91  # the outside world's ports: 8000 → 8091 …
_OUTSIDE = ("wechat_", "sms_", "web_push_", "timestamp_", "credit_")
BRIDGE, REGISTER = "/sandbox/bridge.js", "/sandbox/pay"
PAGE_SCRIPT, WECHAT = "/sandbox/wx.js", "/sandbox/wechat"


def run(settings: Settings, console: Console) -> None:
    """Start everything, say where to go, and stop everything on Ctrl-C.

    Raises:
        SettingsError: the port is taken.
    """
    if not is_free(settings.host, settings.port):
        raise SettingsError(f"Port {settings.port} is taken. Stop what uses it, or set HOUFU_PORT to another.")
    quiet = "warning" if settings.log_level == "info" else settings.log_level
    logs.set_up(settings.model_copy(update={"log_level": quiet}))
    try:
        with console.status("Starting the database …") as status, database(settings, upgrade=True) as ready:
            console.print("[green]✓[/] database and tables")
            status.update("Opening the hospital …")
            run_loop(_serve(ready, console, status.stop))
            status.start()
            status.update("Closing …")
    except KeyboardInterrupt:
        pass
    console.print("Stopped. Your data are kept for the next start.")


async def _serve(ready: Settings, console: Console, up: Any) -> None:
    folder = ready.data_dir / "sandbox"
    keys = towns.cabinet(folder)
    (folder / "tsa-ca.pem").write_text(keys.timestamp.ca_cert)  # for ``houfu verify-consent --root``
    ports = towns.listen(ready.port + OUTSIDE_FROM)
    settings = settings_for(ready, _named(towns.client_settings(keys, ports)))
    world = wiring.build(settings)
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["his"]["base_url"] = ports.url("his")
    his_keys = await open_hospital(world, document)
    await hang_up_map(world, document["hospital"]["code"], folder / "map.sha256")
    console.print(f"[green]✓[/] {document['hospital']['name']}")
    town = towns.build(
        keys,
        ports,
        f"http://127.0.0.1:{settings.port}",
        his_keys,
        journal=folder / "his.journal",
        at_home=AT_HOME,
    )
    world.extras["hosts"] = frozenset(f"{host}:{settings.port}" for host in AT_HOME)
    app = create_app(world, work=True)
    attach(app, town)
    star = stage.Star(town.wechat.at_home[MOTHER], document["hospital"]["code"])
    app.include_router(stage.router(Stage(town.his.player), star, _desk(document), _outside(ports)))
    async with towns.running(town):
        if world.ports.wechat_account is not None:
            await bring_menu(world.ports.wechat_account, settings.base_url)
        console.print(
            "[green]✓[/] the outside world: hospital system, WeChat, WeChat Pay, insurance, SMS, timestamps, credit"
        )

        def say() -> None:
            up()
            console.print(f"\n  [bold]Houfu is open: http://127.0.0.1:{settings.port}/demo[/]", highlight=False)
            console.print("  Ctrl-C ends it.\n")

        await make_server(app, settings, when_up=say).serve()


def _named(client: Mapping[str, str]) -> dict[str, str]:
    """The consent page is one site with the phones, else a phone in a frame would come back from it as a stranger."""
    page = client["insurance_consent_url"].replace("127.0.0.1", INSURER, 1)
    return {**client, "insurance_consent_url": page}


def settings_for(ready: Settings, client: Mapping[str, str]) -> Settings:
    """Ordinary settings, with the outside world's addresses and keys filled in."""
    port = ready.port
    own: dict[str, Any] = {
        name: getattr(ready, name) for name in type(ready).model_fields if not name.startswith(_OUTSIDE)
    }
    own["frame_ancestors"] = (f"http://{stage.HOST}:{port}",)
    own["public_url"] = ready.public_url or f"http://127.0.0.1:{port}"
    own.update(client, wechat_script=BRIDGE, wechat_js=PAGE_SCRIPT, wechat_scan_follows=True)
    # Whatever the public address is: WeChat Pay on this machine calls without https to this machine only.
    own["wechat_mix_callback_url"] = f"http://127.0.0.1:{port}/api/callbacks/wechat-pay/insurance"
    return Settings(**own)


async def open_hospital(world: World, document: Mapping[str, Any]) -> tuple[Key, list[Key]]:
    """Load the hospital as ``houfu hospital load`` does, and let its people be known; returns the HIS's keys."""
    async with world.db.begin() as tx:
        hospital = await hospitals.load(tx, document)
        await books.keep(tx, hospital, document)
        secrets = await hospitals.keys_of(tx, hospital.id)
        await _know_people(tx, hospital.id, world.settings.wechat_appid)
    openids = {one["key"]: one["openid"] for one in towns.people() if one["openid"]}
    await regulars.settle_in(world.db, hospital.id, world.settings.wechat_appid, openids)
    inbound, outbound = document["his"]["inbound_keys"][0]["id"], document["his"]["outbound_key"]["id"]
    return Key(inbound, secrets[inbound]), [Key(outbound, secrets[outbound])]


async def hang_up_map(world: World, code: str, mark: Path) -> None:
    """Import and publish the map of the demo's houses as an engineer would; ``mark`` remembers that it was done."""
    content = campus.archive()
    digest = hashlib.sha256(content).hexdigest()
    async with world.db.begin() as tx:
        hospital = await hospitals.by_code(tx, code)
        hangs = await maps.current(tx, hospital.id) is not None
    if hangs and await asyncio.to_thread(_read, mark) == digest:
        return
    from guide.maps import reading

    network = await asyncio.to_thread(reading.read_bytes, "campus.zip", content)
    async with world.db.begin() as tx:
        await maps.publish(tx, hospital.id, network)
    await asyncio.to_thread(mark.write_text, digest, "utf-8")


def _read(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


async def _know_people(tx: Tx, hospital_id: UUID, appid: str) -> None:
    # They have all been here before and logged in once, so that the stage does not begin with SMS codes.
    for one in towns.people():
        if one["patient_no"] and one["id_number"]:
            born = date.fromisoformat(one["birth_date"]) if one["birth_date"] else None
            fact = PatientFact(one["patient_no"], one["name"], one["id_number"], one["phone"], born, one["sex"])
            person = await patients.known(tx, hospital_id, fact)
        elif one["openid"]:
            person = await sessions.by_wechat(tx, one["openid"], appid) or _visitor(tx, one)
        else:
            continue
        await tx.session.flush()
        if one["openid"]:
            await sessions.link_wechat(tx, person, one["openid"], appid)


def _desk(document: Mapping[str, Any]) -> tuple[str, str]:
    """Login and PIN of the guide desk, which sees every department."""
    found = next(s for s in document["staff"] if s["role"] == "guide")
    return found["login"], found["pin"]


def _outside(ports: towns.Ports) -> dict[str, str]:
    insurer = ports.url("insurance").replace("127.0.0.1", INSURER)
    return {**{name: ports.url(name) for name in ("wechat", "wechat_pay")}, "insurance": insurer}


def _visitor(tx: Tx, one: Mapping[str, Any]) -> patients.Person:
    person = patients.new_person(tx, one["name"])
    person.birth_date, person.sex = date.fromisoformat(one["birth_date"]), one["sex"]
    if one["id_number"]:
        person.claimed_index = patients.id_number_index(tx, one["id_number"])
    if one["phone"]:
        patients.set_phone(tx, person, one["phone"])
    return tx.add(person)


def bridges(town: towns.Town) -> APIRouter:
    """What the real WeChat injects into a page it shows: the bridge of whoever holds this phone."""
    router = APIRouter(include_in_schema=False)

    @router.get(BRIDGE, dependencies=[Public])
    async def bridge(request: Request) -> Response:
        openid = town.wechat.at_home.get(request.url.hostname or "", "")
        script = bridge_script(REGISTER, openid) if openid else ""
        return Response(script, media_type="text/javascript; charset=utf-8")

    @router.get(PAGE_SCRIPT, dependencies=[Public])
    async def page_script(request: Request) -> Response:
        openid = town.wechat.at_home.get(request.url.hostname or "", "")
        account = f"{town.ports.url('wechat')}/account?person={openid}"
        script = wechat_hand.page_script(WECHAT, account) if openid else ""
        return Response(script, media_type="text/javascript; charset=utf-8")

    return router


def attach(app: FastAPI, town: towns.Town) -> None:
    """Put the made-up WeChat into an app's pages (the demo, journeys)."""
    app.include_router(bridges(town))
    app.mount(REGISTER, town.register())
    app.mount(WECHAT, wechat.build(town.wechat))
