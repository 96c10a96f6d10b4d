"""The command line: what an engineer of the hospital types. A command imports heavy things when it needs them."""

import gc
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from houfu import maps
from kernel.errors import HoufuError
from kernel.settings import Settings, SettingsError, load, table

app = typer.Typer(
    help="Houfu 后付: treat first, pay once, after the visit.", no_args_is_help=True, pretty_exceptions_enable=False
)
hospital = typer.Typer(help="Set up hospitals.", no_args_is_help=True)
app.add_typer(hospital, name="hospital")
app.add_typer(maps.app, name="map")
wechat = typer.Typer(help="The hospital's official account.", no_args_is_help=True)
app.add_typer(wechat, name="wechat")
console = Console()
MARKS = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "bad": "[red]✗[/]"}


@app.command()
def serve(
    worker: Annotated[bool, typer.Option(help="also run jobs and sweeps in this process")] = True,
    port: Annotated[int | None, typer.Option(help="instead of HOUFU_PORT")] = None,
) -> None:
    """Serve phones, desks and the HIS on one port."""
    gc.disable()  # what is loaded now stays for good; ``server.run`` turns it on again
    from houfu import logs, server, wiring
    from houfu.app import create_app

    settings = _settings(**({"port": port} if port else {}))
    logs.set_up(settings)
    with server.database(settings, upgrade=False) as ready:
        application = create_app(wiring.build(ready), work=worker)
        console.print(f"Houfu at {ready.base_url}")
        server.run(server.server(application, ready).serve())


@app.command()
def worker() -> None:
    """Run jobs and sweeps only; as many of these as you like."""
    gc.disable()  # what is loaded now stays for good; ``server.run`` turns it on again
    from houfu import logs, server, wiring
    from houfu import worker as hands

    settings = _settings()
    logs.set_up(settings)
    with server.database(settings, upgrade=False) as ready:
        server.run(hands.forever(wiring.build(ready)))


@app.command()
def migrate() -> None:
    """Bring the database's tables to the shape this version needs."""
    from houfu import migrate as tables
    from houfu import server

    with server.database(_settings(), upgrade=True) as ready:
        console.print(f"The database is at {tables.current(ready.database_url or '')}.")


@app.command()
def demo(
    port: Annotated[int | None, typer.Option(help="instead of HOUFU_PORT")] = None,
) -> None:
    """The whole hospital on this machine, with the outside world beside it; Ctrl-C ends it."""
    gc.disable()  # what is loaded now stays for good; ``server.run`` turns it on again
    from houfu.demo import run

    run(_settings(**({"port": port} if port else {})), console)


@hospital.command("load")
def hospital_load(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="docs/hospital-file.md")],
) -> None:
    """Set a hospital up from its file, or change what differs; secrets made on the way are shown once."""
    from houfu import server
    from houfu.hospitals import load_file

    try:
        document = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise SettingsError(f"{file} is no JSON in UTF-8: {error}") from None
    made: dict[str, str] = {}

    async def work() -> None:
        made.update(await load_file(ready, document))

    with server.database(_settings(), upgrade=False) as ready:
        server.run(work())
    console.print(f"Loaded {document['hospital']['name']}.")
    for key, secret in made.items():
        console.print(
            f"New key {key}: {secret}   (shown once; give it to the HIS, or to the terminal of that name)",
            markup=False,
            soft_wrap=True,
        )


@hospital.command("keys")
def hospital_keys(
    code: Annotated[str, typer.Argument(help="the hospital's code")],
    secret: Annotated[str | None, typer.Option(help="print the secret of this key, and nothing else")] = None,
) -> None:
    """Which keys the HIS and we sign with; with --secret, one of them, for setting up the other side."""
    from houfu import server
    from houfu.hospitals import key_secrets

    found: dict[str, str] = {}

    async def work() -> None:
        found.update(await key_secrets(ready, code))

    with server.database(_settings(), upgrade=False) as ready:
        server.run(work())
    if secret is None:
        print("\n".join(found))
    elif secret in found:
        print(found[secret])
    else:
        raise SettingsError(f"{code} has no valid key {secret}; it has {', '.join(found)}.")


@wechat.command("menu")
def wechat_menu(
    look: Annotated[
        bool, typer.Option("--look", help="only show what differs, change nothing; exit 1 if it does")
    ] = False,
) -> None:
    """Set the account's menu (诊后付, 缴费, 云伴诊), showing what changes; a menu that is right stays as it is."""
    from houfu import server
    from houfu.wechat import menu_of

    found: list[str] = []

    async def work() -> None:
        found.extend(await menu_of(_settings(), change=not look))

    server.run(work())
    for line in found:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not found:
        console.print("The menu is as it should be.")
    elif look:
        raise typer.Exit(1)
    else:
        console.print("The menu is set; followers see it within a day, at once when they open the account anew.")


@app.command()
def doctor(
    settings: Annotated[bool, typer.Option("--settings", help="only print the table of all settings")] = False,
) -> None:
    """Look over settings, database, keys, migrations, clock, fonts and libraries; exit 1 if something is wrong."""
    if settings:
        print("| setting | default | meaning |\n|---|---|---|")
        for name, default, meaning in table():
            print(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
        return
    from houfu.doctor import examine

    wrong = 0
    shown = Table(box=None, show_header=False, pad_edge=False)
    for finding in examine(_settings()):
        wrong += finding.verdict == "bad"
        mend = "" if finding.verdict == "ok" else f"→ {finding.mend}"
        shown.add_row(MARKS[finding.verdict], finding.what, finding.found, mend)
    console.print(shown)
    console.print("All is well." if not wrong else f"{wrong} to mend.")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def audit() -> None:
    """Check every invariant of the money from SQL and name the rows that break one; exit 1 if one is wrong."""
    import asyncio

    from houfu import audit as auditor
    from houfu import server

    with server.database(_settings(), upgrade=False) as ready:
        found = asyncio.run(auditor.audit_once(ready))
    shown = Table(box=None, show_header=False, pad_edge=False)
    for check in auditor.CHECKS:
        mine = [one for one in found if one.check is check]
        mark = MARKS["ok" if not mine else "bad" if check.weight == "wrong" else "note"]
        shown.add_row(mark, check.name, check.says if mine else "", "")
        for one in mine:
            shown.add_row("", "", one.row, one.figures)
    console.print(shown)
    wrong = sum(one.check.weight == "wrong" for one in found)
    console.print("The books are right." if not wrong else f"{wrong} rows are wrong.")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def reconcile(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="which day in China; default: yesterday")
    ] = None,
) -> None:
    """Compare a day's books: WeChat Pay's bill, our ledger, each hospital's settlement list.

    Exit 0 if nothing is open, 1 if the worklist has open differences, 2 if a side's books could not be had.
    """
    import asyncio

    from houfu import books, logs, server

    settings = _settings()
    logs.set_up(settings)
    with server.database(settings, upgrade=False) as ready, books.bars() as progress:
        told = asyncio.run(books.reconcile_once(ready, day.date() if day else None, progress))
    books.tell(told, console)
    raise typer.Exit(books.exit_code(told))


@app.command("verify-consent")
def verify_consent(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a letter (PDF) or its evidence (JSON)")],
    root: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="trusted certificate; default: this installation's own"),
    ] = None,
) -> None:
    """Check a signed letter or its evidence offline and name the part that was changed; exit 1 if one was."""
    import asyncio
    import logging

    from adapters.evidence_check import examine, load_roots
    from consent.rules.bundle import UnreadableBundleError

    for library in ("pyhanko", "pyhanko_certvalidator"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # what they find is said below, in our words
    settings = _settings()
    ours = [settings.signing / "ca.pem"]
    texts = [path.read_bytes() for path in (root or ours) if path.exists()]
    if not root and (ca := settings.timestamp_ca_cert.get_secret_value()):
        texts.append(ca.encode())
    try:
        report = asyncio.run(examine(file.read_bytes(), load_roots(texts)))
    except (UnreadableBundleError, ValueError) as error:
        console.print(f"✗ {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    for name, value in report.facts.items():
        console.print(f"  {name}: {value}", markup=False, highlight=False)
    for finding in report.findings:
        console.print(f"✗ {finding.part}: {finding.what}", style="red", markup=False, highlight=False)
    if not report.findings:
        console.print(
            "✓ intact" + ("" if report.trusted else ", but signed under a certificate nobody named as trusted")
        )
    if not report.findings and not report.trusted:
        console.print("  Name the hospital's ca.pem and the time stamping authority's CA, each with --root.")
    raise typer.Exit(0 if not report.findings and report.trusted else 1)


@app.command()
def rehearse(
    visits: Annotated[int, typer.Option(min=1, help="how many patients come")] = 20,
    seed: Annotated[int, typer.Option(help="same seed, same day")] = 1,
    report: Annotated[Path | None, typer.Option("--json", dir_okay=False, help="where the verdict goes")] = None,
    url: Annotated[str | None, typer.Option(help="a running Houfu instead of a private one; needs --keys")] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON: inbound, outbound {id, secret} of the hospital to play; his_port, where that Houfu reaches its"
            " HIS; texts, where its text messages can be read; and, if there are: till, payer, wechat, insurance,"
            " cashiers, terminals, desk, finance. What is left out is not played",
        ),
    ] = None,
    prepare: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="set up a hospital to rehearse with here, write its key file, and end"),
    ] = None,
    his_port: Annotated[int, typer.Option(help="with --prepare: where its HIS will listen")] = 8399,
) -> None:
    """Play whole visits with phones and a misbehaving outside world, and judge what is left of them.

    People pay by every way the house offers: on phones, at the window in cash, by card, a shown code or a face, at the
    kiosk, together, by the insurance first; some want their money back. In the evening drawers are counted and the
    day's books compared, to a difference of 0 fen.

    Exit 0 only if everything is right in the end, 1 if something is wrong, 2 if it could not be played.
    """
    from houfu import rehearse as rehearsal
    from houfu import server

    if prepare is not None:
        if url or keys:
            raise SettingsError("--prepare sets up the installation these settings name, and plays nothing: no --url.")
        with server.database(_settings(), upgrade=False) as ready:
            rehearsal.prepare(ready, prepare, his_port)
        console.print(
            f"{prepare} is written. Now: houfu rehearse --url {_settings().base_url} --keys {prepare}", soft_wrap=True
        )
        return
    if report is not None and not report.parent.is_dir():
        raise SettingsError(f"--json {report}: there is no folder {report.parent} to write it to.")
    try:
        with rehearsal.bars() as progress:
            verdict = rehearsal.rehearse(visits, seed, url, keys, progress)
    except KeyboardInterrupt:
        console.print("Stopped before the end; there is no verdict, and nothing is left running.")
        raise typer.Exit(130) from None
    if report is not None:
        report.write_text(verdict.json() + "\n", "utf-8")
    rehearsal.tell(verdict, console)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def simulate(
    seeds: Annotated[str, typer.Option(help="which days: 101-112; settings were chosen on 1-10")] = "101-112",
    load: Annotated[float, typer.Option(min=0.3, max=1.2, help="share of its open minutes a room works")] = 0.8,
    patients: Annotated[int, typer.Option(min=50, max=10_000, help="patients a day")] = 2000,
    ways: Annotated[str | None, typer.Option(help="only these, with commas; sheet is always played")] = None,
    server: Annotated[bool, typer.Option(help="also ask which one room more would help most")] = True,
    picture: Annotated[Path | None, typer.Option(dir_okay=False, help="draw the comparison here (SVG)")] = None,
    report: Annotated[Path | None, typer.Option("--json", dir_okay=False, help="where the figures go")] = None,
) -> None:
    """Play hospital days under several ways of going through them: gains, who loses by them, and how sure that is.

    Exit 0 when played, 2 if it could not be, 130 if stopped. docs/simulation.md says what is assumed.
    """
    from houfu import simulate as days

    chosen, asked = days.seeds_of(seeds), days.ways_of(ways)
    try:
        made = days.study(chosen, load, patients, asked, server=server)
    except KeyboardInterrupt:
        console.print("Stopped before the end; nothing was written.")
        raise typer.Exit(130) from None
    days.save(made, picture, report)
    days.tell(made, console)


@app.command()
def docs(
    folder: Annotated[Path, typer.Option(help="where docs are")] = Path("docs"),
) -> None:
    """Draw docs/states.md from the transition tables, and docs/access.md from the routes and who may call them."""
    from houfu import access, states

    for name, text in (("states.md", states.text()), ("access.md", access.text())):
        (folder / name).write_text(text, "utf-8")
        console.print(f"{folder / name} is fresh.")


def _settings(**given: Any) -> Settings:
    return load(None, **given)


def main() -> None:
    """Run; what an operator can mend is said in one line, exit code 2."""
    from psycopg import OperationalError
    from sqlalchemy.exc import DBAPIError

    from houfu.embedded import EmbeddedPostgresError

    try:
        app()
    except (SettingsError, EmbeddedPostgresError, HoufuError, OSError, OperationalError) as error:
        _say(error)
    except DBAPIError as error:
        if not isinstance(error.orig, OperationalError):
            raise
        _say(error.orig)
    except KeyboardInterrupt:
        sys.exit(0)


def _say(error: BaseException) -> NoReturn:
    Console(stderr=True).print(f"✗ {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
