"""`houfu map`: looks a map file over, publishes it, and closes what is closed."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from kernel.crypto import load_vault
from kernel.db import Database, Tx, connect
from kernel.errors import NotFoundError
from kernel.settings import Settings, load

if TYPE_CHECKING:  # shapely and scipy are heavy; `houfu --help` need not wait for them
    from guide.maps.lint import Report
    from guide.maps.network import Network
    from guide.service import maps

app = typer.Typer(help="Maps of the hospital, for showing the way.", no_args_is_help=True)
console = Console()
_SHOWN = 12  # findings on the screen; all of them are in the report


@app.command("import")
def map_import(
    file: Annotated[
        Path, typer.Argument(exists=True, help="IMDF (zip, folder), OSM indoor (.geojson, .osm), nodes.csv")
    ],
    out: Annotated[Path | None, typer.Option(file_okay=False, help="where the result goes; default: beside it")] = None,
    strict: Annotated[bool, typer.Option(help="take the file at its word and guess nothing")] = False,
    metres: Annotated[float, typer.Option(min=1e-4, help="metres a unit of x and y is, for tables")] = 1.0,
) -> None:
    """Read a map, mend what it lacks, and report: map.json, report.txt and one picture (SVG) per floor.

    Exit 0 if nothing is missing, odd or guessed, 1 if something is, 2 if it is no map we can read.
    """
    from guide.maps import lint, reading

    network = reading.read_map(file, strict=strict, metres_per_unit=metres)
    report = lint.look_over(network)
    folder = out or file.with_name(f"{file.stem}-map")
    _write(folder, network, report)
    for line in lint.summary(network, report):
        console.print(f"  {line}", markup=False, highlight=False)
    every = [*(("✗", text) for text in report.findings), *(("?", text) for text in report.guesses)]
    for mark, text in every[:_SHOWN]:
        console.print(f"{mark} {text}", markup=False, highlight=False, soft_wrap=True)
    if len(every) > _SHOWN:
        console.print(f"… and {len(every) - _SHOWN} more in {folder / 'report.txt'}", markup=False, soft_wrap=True)
    console.print(
        f"{folder}: map.json, report.txt, {len(network.floors)} pictures. Next: houfu map publish", soft_wrap=True
    )
    raise typer.Exit(0 if report.clean else 1)


def _write(folder: Path, network: "Network", report: "Report") -> None:
    from guide.maps import lint, picture

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("floor-*.svg"):
        old.unlink()
    (folder / "map.json").write_text(json.dumps(network.document(), ensure_ascii=False), "utf-8")
    lines = [*lint.summary(network, report), "", "Findings", *report.findings, "", "Guesses", *report.guesses]
    (folder / "report.txt").write_text("\n".join(lines) + "\n", "utf-8")
    lost = {n for n in range(len(network.spaces)) if n not in report.reached}
    for level in range(len(network.floors)):
        drawn = picture.floor(network, level, unreachable=lost)
        (folder / f"floor-{level:02}.svg").write_text(drawn, "utf-8")


@app.command("publish")
def map_publish(
    file: Annotated[Path, typer.Argument(exists=True, help="the map.json of `houfu map import`, or its folder")],
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
    anyway: Annotated[bool, typer.Option(help="also if departments are not on it or cannot be reached")] = False,
) -> None:
    """Make a map the hospital's newest version; versions never change, and routes name theirs.

    Exit 0 if it is in force and whole, 1 if something is left open (then only with --anyway it is in force), 2 if it
    is no map.
    """
    from guide.maps import network
    from guide.maps.findings import MapFileError
    from guide.service import maps

    source = file / "map.json" if file.is_dir() else file
    try:
        made = network.parsed(source.read_bytes())
    except OSError as error:
        raise MapFileError("not_map", f"{source} is no map of `houfu map import` ({str(error)[:60]}).") from None

    async def work(tx: Tx) -> "maps.Published | maps.MapRefusedError":
        return await maps.publish(tx, await _hospital(tx, hospital), made, anyway=anyway)

    _told(_done(work))


def _told(done: "maps.Published | maps.MapRefusedError") -> None:
    """What became of a version, and the exit that says so."""
    from guide.service import maps

    for gap in done.gaps:
        console.print(f"✗ {gap}", markup=False, highlight=False, soft_wrap=True)
    if isinstance(done, maps.MapRefusedError):
        console.print(f"Not published: {len(done.gaps)} gaps. Mend them, or --anyway.")
        raise typer.Exit(1)
    said = "is published" if done.fresh else "was in force already; nothing changed"
    console.print(f"Version {done.version.number} ({done.version.digest[:12]}) {said}.", highlight=False)
    raise typer.Exit(1 if done.gaps else 0)


def _done(work: "Callable[[Tx], Awaitable[Any]]") -> Any:
    """In one transaction; a map that is refused is an answer, too."""
    from guide.service import maps
    from houfu import server

    outcome: list[Any] = []

    async def run() -> None:
        db = _database(ready)
        try:
            async with db.begin() as tx:
                outcome.append(await work(tx))
        except maps.MapRefusedError as refused:
            outcome.append(refused)
        finally:
            await db.close()

    with server.database(_settings(), upgrade=False) as ready:
        server.run(run())
    return outcome[0]


@app.command("guesses")
def map_guesses(hospital: Annotated[str, typer.Option(help="the hospital's code")]) -> None:
    """List what the newest version assumes, each with its name, and what was decided by whom.

    Exit 0 if nothing is open, 1 if something is, 2 if there is no map.
    """
    from guide.maps import decide
    from guide.maps.findings import GUESSES

    def look(network: "Network") -> int:
        for name, n in decide.names(network).items():
            guess = network.guesses[n]
            console.print(f"{name}  {guess.what}: {GUESSES[guess.why]}", markup=False, highlight=False, soft_wrap=True)
        for one in network.decided:
            said = f"{'confirmed' if one.confirmed else 'refused'} by {one.by}, {one.at}"
            console.print(f"        {one.what}: {said}", markup=False, highlight=False, soft_wrap=True)
        return len(network.guesses)

    raise typer.Exit(1 if _newest(hospital, look) else 0)


@app.command("confirm")
def map_confirm(
    name: Annotated[str, typer.Argument(help="the guess, as `houfu map guesses` calls it")],
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
    by: Annotated[str, typer.Option(help="who looked")],
) -> None:
    """Say that a guess is right: the next version leads over it like over any other way."""
    _decide(name, hospital, by, confirmed=True, anyway=True)


@app.command("refuse")
def map_refuse(
    name: Annotated[str, typer.Argument(help="the guess, as `houfu map guesses` calls it")],
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
    by: Annotated[str, typer.Option(help="who looked")],
    anyway: Annotated[bool, typer.Option(help="also if a department cannot be reached then")] = False,
) -> None:
    """Say that a guess is wrong: the next version leads nobody over it.

    Exit 1 if a department could not be reached without it (then only with --anyway it is in force).
    """
    _decide(name, hospital, by, confirmed=False, anyway=anyway)


def _decide(name: str, hospital: str, by: str, *, confirmed: bool, anyway: bool) -> None:
    from guide.service import maps

    async def work(tx: Tx) -> "maps.Published | maps.MapRefusedError":
        where = await _hospital(tx, hospital)
        return await maps.decide(tx, where, name, confirmed=confirmed, by=by, anyway=anyway)

    _told(_done(work))


def _newest(hospital: str, look: "Callable[[Network], int]") -> int:
    """What a look at the newest version finds."""
    from guide.service import maps

    async def work(tx: Tx) -> int:
        version = await maps.current(tx, await _hospital(tx, hospital))
        if version is None:
            raise NotFoundError
        return look(await maps.network_of(tx, version.id))

    found: int = _done(work)
    return found


@app.command("close")
def map_close(
    about: Annotated[str, typer.Argument(help="its name on the map: 3号电梯, 空中连廊, 门诊楼301")],
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
    percent: Annotated[
        int | None, typer.Option(min=101, max=10000, help="crowded: takes so many percent; else closed")
    ] = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=60 * 24 * 365, help="for so long; else until opened")
    ] = None,
) -> None:
    """Lead nobody through here, or only if it saves time all the same; in force at once."""
    from guide.service import maps

    async def work(tx: Tx) -> None:
        until = tx.now + timedelta(minutes=minutes) if minutes else None
        await maps.close(tx, await _hospital(tx, hospital), about, percent=percent, until=until)

    _done(work)
    console.print(f"{about}: {'crowded' if percent else 'closed'}.", markup=False)


@app.command("open")
def map_open(
    about: Annotated[str, typer.Argument(help="what was closed")],
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
) -> None:
    """End a closure; exit 1 if there was none."""
    from guide.service import maps

    async def work(tx: Tx) -> int:
        return await maps.reopen(tx, await _hospital(tx, hospital), about)

    ended = _done(work)
    console.print(f"{about}: {'open' if ended else 'was not closed'}.", markup=False)
    raise typer.Exit(0 if ended else 1)


@app.command("signs")
def map_signs(
    hospital: Annotated[str, typer.Option(help="the hospital's code")],
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="a .csv for whoever prints them; else the screen")
    ] = None,
) -> None:
    """List the signs to put up: place, code and the address its QR holds. A code stays the same with the next map.

    Exit 2 if the hospital has no map, or nobody knows our address (HOUFU_PUBLIC_URL).
    """
    import csv

    from guide.service import maps, spots
    from houfu import server

    settings = _settings()
    if not settings.public_url:
        console.print("HOUFU_PUBLIC_URL is empty: a QR needs an address.")
        raise typer.Exit(2)
    base, found = settings.public_url.rstrip("/"), list[spots.Sign]()  # not host and port: a sign hangs for years

    async def work() -> None:
        db = _database(ready)
        try:
            async with db.begin() as tx:
                version = await maps.current(tx, await _hospital(tx, hospital))
                if version is not None:
                    found.extend(spots.listed(await maps.network_of(tx, version.id)))
        finally:
            await db.close()

    with server.database(settings, upgrade=False) as ready:
        server.run(work())
    if not found:
        console.print(f"{hospital} has no map. houfu map publish")
        raise typer.Exit(2)
    rows = [(s.name, s.where, s.code, f"{base}/guide/at/{hospital}/{s.code}") for s in found]
    if out is None:
        for row in rows:
            console.print("  ".join(row), markup=False, highlight=False, soft_wrap=True)
        return
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("place", "floor", "code", "address"), *rows])
    console.print(f"{len(rows)} signs in {out}.", markup=False)


async def _hospital(tx: Tx, code: str) -> UUID:
    from people.service import hospitals

    return (await hospitals.by_code(tx, code)).id


def _database(settings: Settings) -> Database:
    return Database(connect(settings.database_url or "", pool_size=2), load_vault(settings.keys))


def _settings() -> Settings:
    return load(None)
