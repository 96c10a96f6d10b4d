"""``houfu reconcile``: one day's books compared from the command line, with what is going on and what was found."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from houfu import lines, wiring
from kernel.clock import china_day
from kernel.money import yuan
from kernel.settings import Settings
from payments.flows import reconciling
from payments.rules.reconciling import SideState
from payments.service import worklist
from payments.service.reconciling import DayBook, Outcome, days
from payments.service.worklist import Difference
from people.service import hospitals


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended, and per hospital (its code) the day and the open lines."""

    outcome: Outcome
    hospitals: Sequence[tuple[str, DayBook, Sequence[Difference]]]


async def reconcile_once(settings: Settings, day: date | None, progress: Progress) -> Told:
    """Compare one day (yesterday, if none is named) with the configured lines.

    Raises:
        payments.rules.reconciling.NotOverError: it lies ahead.
    """
    world = wiring.build(settings)
    task = progress.add_task("the lines are opened", total=1.0)

    def say(what: str, part: float) -> None:
        progress.update(task, description=what, completed=part)
        if not progress.console.is_terminal:
            progress.console.print(what, markup=False)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(world.db.close)
        await lines.open_lines(world.ports, stack)
        async with world.db.begin() as tx:
            day = day or china_day(tx.now) - timedelta(days=1)
        ports = world.ports
        outcome = await reconciling.reconcile(world.db, ports.pay, ports.his, day, say, insurance=ports.insurance_books)
        found = []
        async with world.db.begin() as tx:
            for hospital in await hospitals.everyone(tx):
                (mine,) = await days(tx, hospital.id, day)
                rows = [row for row in await worklist.lines(tx, hospital.id, day) if row.state == "open"]
                found.append((hospital.code, mine, rows))
    return Told(outcome, found)


def exit_code(told: Told) -> int:
    """0 right, 1 open differences, 2 a side's books could not be had."""
    if told.outcome.open:
        return 1
    return 2 if any(state is not SideState.ABSENT for _, _, state, _ in told.outcome.lacking) else 0


def bars() -> Progress:
    """While it goes on: which side is asked."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description:<40}"), BarColumn(28), TimeElapsedColumn(), transient=True
    )


def tell(told: Told, console: Console) -> None:
    """Totals per side, what differs, whose books are missing."""
    for code, day, rows in told.hospitals:
        table = Table(title=f"{code} {day.day}", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("side", "paid", "back", "lines"):
            table.add_column(name, justify="left" if name == "side" else "right")
        for side, part in sorted(day.totals.items()):
            table.add_row(side, yuan(part["paid"]), yuan(part["back"]), str(part["count"]))
        console.print(table, highlight=False)
        for row in rows:
            here, there = ("–" if fen is None else yuan(fen) for fen in (row.here_fen, row.there_fen))
            text = f"✗ {row.about} {row.kind} {row.number}: here {here}, there {there} ({row.cause})"
            console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    for code, side, state, why in told.outcome.lacking:
        text = f"· {code or 'all'}: the {side} side is {state}{f' ({why})' if why else ''}"
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    diff = told.outcome.diff_fen
    if told.outcome.open:
        console.print(f"[bold red]✗ {told.outcome.open} open, {diff} fen differ[/]", highlight=False)
    elif exit_code(told):
        console.print("[bold yellow]· not compared whole[/]", highlight=False)
    else:
        explained = f", {diff} fen explained" if diff else ""
        console.print(f"[bold green]✓ the books agree{explained}[/]", highlight=False)
