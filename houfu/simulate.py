"""``houfu simulate``: a hospital day under several ways of going through it, for people to read and to look at."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from guide.sim import compare, picture
from guide.sim.compare import BASE, SAYS, WAYS, Change, DayFigures
from guide.sim.day import Way
from guide.sim.hospital import hospital
from kernel.settings import SettingsError

CHOSEN_ON = range(1, 11)  # the days on which settings were chosen: no day to judge by
MOST_DAYS = 100


@dataclass
class Study:
    """What was played: way → its days; door → minutes saved by one room more."""

    load: float
    patients: int
    seeds: list[int]
    days: dict[str, list[DayFigures]] = field(default_factory=dict)
    more: dict[str, float] = field(default_factory=dict)


def seeds_of(text: str) -> list[int]:
    """``101-112`` or ``101,105-107``.

    Raises:
        SettingsError: not that, or more than MOST_DAYS days.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise SettingsError(f"--seeds is like 101-112 or 101,105-107, not {text!r}.")
        if int(match[2] or match[1]) - int(match[1]) + len(found) >= MOST_DAYS:
            raise SettingsError(f"--seeds names more than {MOST_DAYS} days.")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(set(found)) < len(found):
        raise SettingsError("--seeds names a day twice; each counts once.")
    return found


def ways_of(text: str | None) -> list[Way]:
    """The ways named, the sheet always first; all of them for None.

    Raises:
        SettingsError: an unknown name.
    """
    if text is None:
        return list(WAYS)
    known = {w.key: w for w in WAYS}
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"No way is called {unknown[0]!r}; there are {', '.join(known)}.")
    return [BASE, *(known[name] for name in dict.fromkeys(names) if name != BASE.key)]


def study(seeds: Sequence[int], load: float, patients: int, ways: Sequence[Way], *, server: bool) -> Study:
    """Play everything, with a bar."""
    house = hospital(load, patients)
    made = Study(load, patients, list(seeds))
    few = list(seeds)[:4]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        days = bar.add_task("days", total=len(seeds) * len(ways))
        for _, key, figures in compare.play(house, seeds, patients, ways):
            made.days.setdefault(key, []).append(figures)
            bar.advance(days)
        if server:
            doors = bar.add_task("one room more", total=len(house.doors))
            for door, saved in compare.one_more(house, few, patients):
                made.more[door] = saved
                bar.advance(doors)
    return made


def tell(made: Study, console: Console) -> None:
    """The tables."""
    chosen = sorted(set(made.seeds) & set(CHOSEN_ON))
    console.print(
        f"{len(made.seeds)} days of {made.patients:,} patients, load {made.load:g}; minutes of who is examined; "
        "changes against the order of the sheet on the same days, ± half a 95 % interval.",
        highlight=False,
    )
    if chosen:
        console.print("[yellow]·[/] Settings were chosen on days 1–10: judge on others.", highlight=False)
    table = Table(box=None, pad_edge=False)
    heads = ("", "exams", "", "p95", "3 and more", "whole", "", "longest", "left over", "> 10 min later", "earlier")
    for name in heads:
        table.add_column(name, justify="left" if name == "" and not table.columns else "right")
    for key, days in made.days.items():
        moved = compare.changes(made.days, key)
        base = key == BASE.key
        table.add_row(
            SAYS[key],
            f"{_mean(days, 'exam'):.1f}",
            "" if base else _said(moved["exam"]),
            f"{_mean(days, 'exam_p95'):.0f}" if base else _said(moved["exam_p95"]),
            f"{_mean(days, 'many'):.1f}" if base else _said(moved["many"]),
            f"{_mean(days, 'total'):.1f}",
            "" if base else _said(moved["total"]),
            f"{_mean(days, 'longest'):.0f}",
            f"{_mean(days, 'unfinished'):.1f}",
            "" if base else f"{100 * _mean(days, 'worse'):.0f} %",
            "" if base else f"{100 * _mean(days, 'better'):.0f} %",
        )
    console.print(table)
    for key in made.days:
        others = compare.changes(made.days, key).get("others")
        if others is not None and key != BASE.key:
            console.print(f"{SAYS[key]}: examinations of who does not use it {_said(others)}", highlight=False)
    for key in (k for k in made.days if k.endswith("-stale")):
        worse = sum(d.total > base.total for d, base in zip(made.days[key], made.days[BASE.key], strict=True))
        console.print(
            f"{SAYS[key]}: whole visits longer than in the order of the sheet on {worse} of {len(made.seeds)} days",
            highlight=False,
        )
    if made.more:
        console.print("One room more, minutes saved by every patient on average, as people go today:")
        for door, saved in sorted(made.more.items(), key=lambda one: -one[1])[:5]:
            console.print(f"  {door:14} {saved:+.2f}", highlight=False)


def save(made: Study, figure: Path | None, report: Path | None) -> None:
    """The picture and the figures as JSON, where asked for."""
    if figure is not None:
        title = f"{len(made.seeds)} days, {made.patients:,} patients a day, load {made.load:g}"
        figure.write_text(picture.svg(made.days, title), "utf-8")
    if report is not None:
        body = asdict(made) | {"changes": {k: _plain(compare.changes(made.days, k)) for k in made.days}}
        report.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


def _plain(moved: dict[str, Change]) -> dict[str, list[float | None]]:
    return {name: [one.mean, one.half if one.half < float("inf") else None] for name, one in moved.items()}


def _mean(days: Sequence[DayFigures], name: str) -> float:
    return sum(float(getattr(d, name)) for d in days) / len(days)


def _said(one: Change) -> str:
    return f"{one.mean:+.1f} %" + (f" ±{one.half:.1f}" if one.half < float("inf") else "")
