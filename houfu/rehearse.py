"""``houfu rehearse``: a private Houfu with its own database and outside world, a day of patients, a verdict.

The server runs in a process of its own, as in production; the outside world and the phones live in this one. Everything
is thrown away at the end. With a key file it plays against a Houfu that is running elsewhere instead.
"""

import asyncio
import json
import os
import secrets as secrets_of_chance
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.service.audit import imbalance_fen
from guide.service import books
from houfu import migrate, wiring
from houfu.embedded import EmbeddedPostgres
from houfu.hospitals import key_secrets, load_file
from kernel.db import Database
from kernel.settings import Settings, SettingsError, load
from people.service import hospitals, patients
from sandbox import town as towns
from sandbox.his.catalogue import HOSPITAL_FILE, PEOPLE_FILE, Catalogue, PatientCard
from sandbox.his.server import create_app as his_app
from sandbox.his.wire import Key
from sandbox.rehearsal.door import answers, is_open, misfit
from sandbox.rehearsal.house import House
from sandbox.rehearsal.play import Afterwards, Rehearsal, his_for
from sandbox.rehearsal.verdict import Verdict
from words import rehearsal as rehearsal_words

Say = Callable[[str, float], None]
CODE = "REHEARSAL"
QUICK = {"read_chars_per_second": 2_000, "read_seconds_min": 1}  # nobody reads in a rehearsal; the wait itself stays


def rehearse(visits: int, seed: int, url: str | None, keys: Path | None, progress: Progress) -> Verdict:
    """Play and judge.

    Args:
        url: an instance that is running, with ``keys``; None: a private one.

    Raises:
        SettingsError: ``url`` without ``keys`` or the other way round, or a key file that cannot be used.
    """
    if (url is None) is not (keys is None):
        raise SettingsError(
            "--url and --keys go together: a Houfu that is running, and the key file that --prepare wrote for it."
            " With neither, a private one is rehearsed with."
        )
    task, told = progress.add_task("the house opens", total=1.0), [""]
    # Whoever ends us politely still has the server and the database of the rehearsal ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def say(what: str, part: float) -> None:
        progress.update(task, description=what, completed=min(1.0, part))
        if not progress.console.is_terminal and what.rstrip("0123456789, ofpatiencvs") != told[0]:
            told[0] = what.rstrip("0123456789, ofpatiencvs")
            progress.console.print(what, markup=False)

    if url is None or keys is None:
        with private_house() as settings:
            return asyncio.run(private(settings, visits, seed, say))
    return asyncio.run(_elsewhere(url.rstrip("/"), _key_file(keys), visits, seed, say))


@contextmanager
def private_house() -> Iterator[Settings]:
    """Settings of a Houfu nobody else uses, its database running; all of it is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="houfu-rehearsal-"))
    try:
        with EmbeddedPostgres(home / "postgres") as postgres:
            migrate.upgrade(postgres.url())
            yield load({}, data_dir=home / "data", database_url=postgres.url(), log_level="error")
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def private(own: Settings, visits: int, seed: int, say: Say, afterwards: Afterwards | None = None) -> Verdict:
    """One rehearsal with a server and an outside world of its own, on the database of ``own``.

    Args:
        afterwards: see ``Rehearsal.run``.
    """
    cabinet, ports = towns.cabinet(own.data_dir / "sandbox"), towns.listen()
    given = {k: v for k, v in own.model_dump().items() if k not in towns.client_settings(cabinet, ports)}
    with _free_port() as port:
        settings = Settings(**{**given, "port": port, **towns.client_settings(cabinet, ports)})
    world = wiring.build(settings)
    try:
        document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
        document["his"]["base_url"] = ports.url("his")
        document["hospital"]["settings"] |= QUICK
        document["terminals"] = _terminals(document, document["hospital"]["code"])
        hospital, inbound, outbound = await _open(world.db, document)
        his = his_for(settings.base_url, inbound, outbound, seed)
        town = towns.build(cabinet, ports, settings.base_url, (inbound, [outbound]), scale=0.02)
        await town.his.close()
        town.his = his
        house = House(
            settings.base_url,
            f"{ports.url('sms')}/control/messages",
            ports.url("wechat_pay"),
            payer=next(p["openid"] for p in towns.people() if p["openid"]),
            wechat=ports.url("wechat"),
            insurance=ports.url("insurance"),
            cashiers=_cashiers(document),
            terminals=document["terminals"],
            hospital=str(hospital),
            desk=_login(document, "counter"),
            finance=_login(document, "finance"),
            know=lambda cards: _know(world.db, hospital, cards),
            ledger=lambda: _unbalanced(world.db),
        )
        async with towns.running(town), server(settings):
            return await Rehearsal(house, his, visits, seed, say).run(afterwards)
    finally:
        await world.db.close()


def _login(document: Mapping[str, Any], role: str) -> dict[str, str]:
    return _logins(document, role)[0]


def _logins(document: Mapping[str, Any], role: str) -> list[dict[str, str]]:
    code, staff = document["hospital"]["code"], [one for one in document["staff"] if one["role"] == role]
    return [{"hospital": code, "login": one["login"], "pin": one["pin"]} for one in staff]


def _cashiers(document: Mapping[str, Any]) -> list[dict[str, str]]:
    return _logins(document, "counter")


def _terminals(document: Mapping[str, Any], code: str) -> list[dict[str, str]]:
    """The file's terminals under names and with secrets of this hospital's own."""
    return [
        {**one, "id": f"{code}-{one['id'].partition('-')[2]}", "secret": secrets_of_chance.token_hex(16)}
        for one in document["terminals"]
    ]


async def _open(db: Database, document: Mapping[str, Any]) -> tuple[UUID, Key, Key]:
    async with db.begin() as tx:
        hospital = await hospitals.load(tx, document)
        await books.keep(tx, hospital, document)
        secrets = await hospitals.keys_of(tx, hospital.id)
    inbound, outbound = document["his"]["inbound_keys"][0]["id"], document["his"]["outbound_key"]["id"]
    return hospital.id, Key(inbound, secrets[inbound]), Key(outbound, secrets[outbound])


async def _know(db: Database, hospital: UUID, cards: Sequence[PatientCard]) -> None:
    async with db.begin() as tx:
        for card in cards:
            born = date.fromisoformat(card.birth_date) if card.birth_date else None
            fact = patients.PatientFact(card.no, card.name, card.id_number, card.phone, born, card.sex)
            await patients.known(tx, hospital, fact)


async def _unbalanced(db: Database) -> int:
    async with db.begin() as tx:
        return await imbalance_fen(tx)


@contextmanager
def _free_port() -> Iterator[int]:
    ports = towns.listen(None)
    port = ports.sockets["his"].getsockname()[1]
    for one in ports.sockets.values():
        one.close()
    yield port


@asynccontextmanager
async def server(settings: Settings) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """``houfu serve`` in a process of its own, until the block ends.

    Raises:
        SettingsError: it does not come up.
    """
    process = start(settings)
    try:
        await ready(settings, process)
        yield process
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        finally:
            process.kill()  # nothing is left running, whatever it waits for
        said = (settings.data_dir / "server.log").read_text("utf-8", "replace")
        if said:
            sys.stderr.write(said[-4000:])


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a process that is to have exactly these settings."""
    from pydantic import SecretStr

    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(plain, tuple):
            plain = " ".join(plain)
        if plain not in (None, ""):
            environment[f"HOUFU_{name.upper()}"] = str(plain)
    return environment


def start(settings: Settings) -> "subprocess.Popen[bytes]":
    """Start a server process with exactly these settings."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "houfu.cli", "serve"],
            env=environment_of(settings),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the rehearsal, which then ends the server
        )


class Started(Protocol):
    """What has to be known of a process that was started."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, once ``poll`` has seen it end."""

    def poll(self) -> int | None:
        """Look whether it has ended."""


async def ready(settings: Settings, process: Started, seconds: float = 30) -> None:
    """Wait until a server answers.

    Raises:
        SettingsError: it ended, or does not answer.
    """
    for _ in range(int(seconds / 0.1)):
        if process.poll() is not None:
            raise SettingsError(f"The server ended at once with code {process.returncode}.")
        if await is_open(settings.base_url):
            return
        await asyncio.sleep(0.1)
    raise SettingsError("The server does not answer.")


# -- against an instance elsewhere


def own_hospital(his_port: int) -> dict[str, Any]:
    """The file of a hospital that exists to be rehearsed with: the demo's, with a code, keys and a HIS of its own."""
    document: dict[str, Any] = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["hospital"] |= {"code": CODE, "name": rehearsal_words.NAME, "short_name": rehearsal_words.NAME}
    document["hospital"]["settings"] |= QUICK
    document["terminals"] = _terminals(document, CODE)
    document["his"] = {
        "base_url": f"http://127.0.0.1:{his_port}",
        "inbound_keys": [{"id": f"{CODE}-in-1", "secret": "generate"}],
        "outbound_key": {"id": f"{CODE}-out-1", "secret": "generate"},
    }
    return document


def prepare(settings: Settings, file: Path, his_port: int) -> None:
    """Set up that hospital in this installation, and write the key file for ``--url`` (readable by its owner only).

    Text messages and till are those of ``houfu demo`` on the same port; elsewhere they are to be filled in.
    """
    from houfu.demo import OUTSIDE_FROM

    document = own_hospital(his_port)
    asyncio.run(load_file(settings, document))
    secrets = asyncio.run(key_secrets(settings, CODE))
    outside = settings.port + OUTSIDE_FROM
    names = ("sms", "wechat", "wechat_pay", "insurance")
    places = {name: f"http://127.0.0.1:{outside + towns.NAMES.index(name)}" for name in names}
    keys = {
        "inbound": {"id": f"{CODE}-in-1", "secret": secrets[f"{CODE}-in-1"]},
        "outbound": {"id": f"{CODE}-out-1", "secret": secrets[f"{CODE}-out-1"]},
        "his_port": his_port,
        "texts": f"{places['sms']}/control/messages",
        "till": places["wechat_pay"],
        "payer": next(p["openid"] for p in towns.people() if p["openid"]),
        "wechat": places["wechat"],
        "insurance": places["insurance"],
        "cashiers": _cashiers(document),
        "terminals": document["terminals"],
        "desk": _login(document, "counter"),
        "finance": _login(document, "finance"),
    }
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(json.dumps(keys, indent=1) + "\n", "utf-8")


def _key_file(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        for name in ("inbound", "outbound"):
            Key(found[name]["id"], found[name]["secret"])
        int(found["his_port"]), str(found["texts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f'{path} is no key file ({error!r}); see "Rehearse" in docs/operations.md.') from None
    return found


async def _elsewhere(url: str, keys: Mapping[str, Any], visits: int, seed: int, say: Say) -> Verdict:
    if not await is_open(url):
        raise SettingsError(
            f"No Houfu answers at {url}/readyz. Is it running there? http:// or https:// is part of --url."
        )
    inbound, outbound = (Key(keys[name]["id"], keys[name]["secret"]) for name in ("inbound", "outbound"))
    his = his_for(url, inbound, outbound, seed, Catalogue(own_hospital(0), json.loads(PEOPLE_FILE.read_text("utf-8"))))
    try:
        listening = towns.listen_at(int(keys["his_port"]))
    except OSError as error:
        raise SettingsError(
            f"The rehearsal's HIS cannot listen where that Houfu expects it: {error}. End what uses it (another"
            " rehearsal?), or write the key file anew: houfu rehearse --prepare FILE --his-port ANOTHER."
        ) from None
    await _reachable(keys)
    house = House(
        url,
        keys["texts"],
        keys.get("till", ""),
        payer=keys.get("payer", ""),
        wechat=keys.get("wechat", ""),
        insurance=keys.get("insurance", ""),
        cashiers=keys.get("cashiers", ()),
        terminals=keys.get("terminals", ()),
        desk=keys.get("desk"),
        finance=keys.get("finance"),
    )
    mark = f"{10_000 + secrets_of_chance.randbelow(90_000)}"
    async with towns.serving(his_app(his), listening):
        if wrong := await misfit(house, inbound, his):
            raise SettingsError(
                f"The key file does not fit the Houfu at {url}. {wrong}. Write it anew with that Houfu's settings:"
                " houfu rehearse --prepare FILE."
            )
        return await Rehearsal(house, his, visits, seed, say, mark).run()


async def _reachable(keys: Mapping[str, Any]) -> None:
    """Phones need their text messages, families their till, and whatever else the file names.

    Raises:
        SettingsError: one does not answer.
    """
    books = "/control/books"
    places = (("texts", ""), ("till", books), ("insurance", books), ("wechat", "/control/inbox/nobody"))
    for name, path in places:
        if keys.get(name) and not await answers(keys[name] + path):
            raise SettingsError(
                f"{name} of the key file, {keys[name]}, does not answer. Start what it belongs to (of a key file as"
                " --prepare wrote it: houfu demo, on that Houfu's port), or put its address into the file."
            )


# -- how it shows itself


def bars() -> Progress:
    """While it goes on: what is going on, how much of it is done, how long it takes."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(28), TimeElapsedColumn(), transient=True
    )


def tell(verdict: Verdict, console: Console) -> None:
    """The verdict for people: what was compared, what was found, and why it is no when it is."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    events = f"{verdict.spoilt_refused} spoilt ones refused, {verdict.abandoned} orders given up"
    came = f"{verdict.children} of children, {verdict.wards} with a guardian, {verdict.elders} without a phone"
    came += f", {verdict.signed} signed"
    people = (
        f"{verdict.people_per_patient} a patient; {verdict.relatives} relatives, {verdict.withdrawn} shut out midway"
    )
    people += f", {verdict.strangers} paid by a link, {verdict.limits_held} limits held"
    times = f"p50 {verdict.push_p50_ms} ms, p99 {verdict.push_p99_ms} ms"
    paid = f"{verdict.refunds} refunds, {verdict.forged_refused} forged notices came to nothing"
    table.add_row(str(verdict.visits), "visits", came)
    table.add_row(str(verdict.people), "people", people)
    table.add_row(str(verdict.events_sent), "events", events)
    table.add_row(
        str(verdict.pushes_seen), "pushes", f"of {verdict.pushes_expected}, in {verdict.rows_seen} rows; {times}"
    )
    table.add_row(str(verdict.payments), "payments", paid)
    if verdict.ways:
        table.add_row("", "ways", ", ".join(f"{way} {times}" for way, times in verdict.ways.items()))
    for name, wrong in verdict.wrong.items() if not verdict.broke_off else ():  # nobody judged them
        colour = "red" if wrong else "yellow" if wrong is None else "green"
        table.add_row(f"[{colour}]{'–' if wrong is None else wrong}[/]", name.replace("_", " "), "")
    console.print(table, highlight=False)
    for what in verdict.unjudged:
        console.print(f"· not judged: {what}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for note in verdict.notes:
        console.print(f"✗ {note}", style="red", markup=False, highlight=False, soft_wrap=True)
    last = "[bold green]✓ all is right[/]" if verdict.ok else "[bold red]✗ something is wrong[/]"
    console.print(last, highlight=False)


__all__ = [
    "bars",
    "own_hospital",
    "prepare",
    "private",
    "private_house",
    "ready",
    "rehearse",
    "server",
    "start",
    "tell",
]
