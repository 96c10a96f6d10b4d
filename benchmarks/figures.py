"""What was measured beside what is hoped for, as a table for people and as JSON for comparing two days."""

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        key: stable name for comparing runs.
        what: what was measured, for people.
        value: the figure in ``unit``.
        goal: the budget in the same unit, or None for a figure that is only told.
        at_least: the goal is a floor (a ratio), not a ceiling.
        note: how, in a few words.
    """

    key: str
    what: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether the budget holds; None where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0–1) of all do not exceed; 0.0 for nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def show(figures: Iterable[Figure], console: Console) -> None:
    """The table."""
    table = Table(box=None, pad_edge=False)
    for name, side in (("", "left"), ("measured", "right"), ("goal", "right"), ("", "left"), ("how", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    marks = {True: "[green]✓[/]", False: "[red]above[/]", None: ""}
    for one in figures:
        goal = "" if one.goal is None else f"{'≥' if one.at_least else '≤'} {_number(one.goal)}"
        mark = "[red]below[/]" if one.kept is False and one.at_least else marks[one.kept]
        table.add_row(one.what, f"{_number(one.value)} {one.unit}", goal, mark, one.note)
    console.print(table)


def save(figures: Iterable[Figure], file: Path) -> None:
    """The same as JSON, with what is needed to compare it with another machine's."""
    machine = {"cores": psutil.cpu_count(), "python": platform.python_version(), "load": list(psutil.getloadavg())}
    rows = [{**asdict(one), "kept": one.kept} for one in figures]
    file.write_text(json.dumps({"machine": machine, "figures": rows}, ensure_ascii=False, indent=1) + "\n", "utf-8")
