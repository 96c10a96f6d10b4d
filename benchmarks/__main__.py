"""``python -m benchmarks`` (``make bench``): measures the budgets on this machine and prints figures and ratios.

Never a test: other people's load moves every figure. Ratios and processor time per event move least.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import against, load, maps, orders, pages, sheets, turns
from benchmarks.figures import Figure, save, show
from benchmarks.stand import stand


def main(
    json: Annotated[Path | None, typer.Option(help="also write the figures here")] = None,
    visits: Annotated[int, typer.Option(help="patients with their page open")] = 1000,
    rate: Annotated[int, typer.Option(help="events a second")] = 300,
    seconds: Annotated[float, typer.Option(help="length of each load")] = 10.0,
    profile: Annotated[Path | None, typer.Option(help="profile the serving process into this file")] = None,
    plans: Annotated[int, typer.Option(help="plans held against their rules")] = 100_000,
    demo: Annotated[bool, typer.Option(help="also start make demo twice")] = True,
    building: Annotated[
        Path | None, typer.Option(exists=True, help="a real building's map (IMDF, OpenStreetMap) to import")
    ] = None,
    only_maps: Annotated[bool, typer.Option(help="only the guide's maps and routes")] = False,
) -> None:
    """Measure everything; about two minutes, and as long again for the plans."""
    console = Console()
    figures: list[Figure] = []
    began = time.monotonic()

    def step(name: str, work: Callable[[], list[Figure]]) -> None:
        with console.status(f"{name} …"):
            started = time.monotonic()
            try:
                figures.extend(work())
            except RuntimeError as error:
                console.print(f"[red]✗[/] {name}: {error}", highlight=False)
                return
        console.print(f"[green]✓[/] {name} ({time.monotonic() - started:.0f} s)", highlight=False)

    step("ways on a campus", maps.routes)
    if building is not None:
        step(f"importing {building.name}", lambda: maps.building(building))
    if only_maps:
        show(figures, console)
        if json is not None:
            save(figures, json)
        return
    step("sizes", pages.assets)
    step("guide sheets", sheets.measure)
    step("the order of examinations", lambda: orders.measure(plans=plans))
    step("everybody on the way", turns.measure)
    with console.status(f"a hospital with {visits:,} patients …") as status, stand(visits, profile) as house:
        status.stop()
        console.print(f"[green]✓[/] a hospital with {visits:,} patients", highlight=False)
        step("first load in a browser", lambda: pages.first_load(house))
        step(f"{visits:,} streams and {rate} events a second", lambda: load.with_phones(house, rate, seconds))
        step("drawing", lambda: pages.drawing(house))
        step("as fast as it goes, beside pgbench", lambda: against.measure(house, min(seconds, 8.0)))
    if demo:
        step("make demo, twice", pages.second_start)
    show(figures, console)
    console.print(f"Measured in {time.monotonic() - began:.0f} s.", highlight=False)
    if json is not None:
        save(figures, json)


if __name__ == "__main__":
    typer.run(main)
