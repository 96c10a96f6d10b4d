"""Days under several ways beside the same days as people go today: gains, losers beside them, and how sure it is."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from guide.sim.choose import chooser
from guide.sim.day import Day, Outcome, Way
from guide.sim.hospital import Hospital, Visitor, people

BASE = Way("sheet")
WAYS = (
    BASE,
    Way("nearest", "nearest"),
    Way("shortest", "shortest", stale=5),
    Way("advice", "ours"),
    Way("numbers", "ours", numbers=True, grace=20),
    Way("numbers-bare", "ours", numbers=True),
    Way("call-in", "ours", numbers=True, call_in=10),
    Way("advice-half", "ours", use=0.5),
    Way("advice-stale", "ours", stale=30),
    Way("shortest-stale", "shortest", stale=30),
)
SAYS = {
    "sheet": "in the order of the sheet (today)",
    "nearest": "the nearest first",
    "shortest": "shortest queue, board 5 min old",
    "advice": "ours, advice only",
    "numbers": "ours, numbers from 20 min after the order",
    "numbers-bare": "ours, numbers from the order",
    "call-in": "late call-in, numbers for all",
    "advice-half": "ours, used by half",
    "advice-stale": "ours, boards 30 min old",
    "shortest-stale": "shortest queue, board 30 min old",
}
LATER = 10.0  # minutes that count as better or worse off


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One day under one way; minutes, shares of examined people 0–1. ``others``: exam minutes of who has no guide."""

    exam: float
    exam_p95: float
    many: float
    total: float
    total_p95: float
    longest: float
    unfinished: float
    worse: float
    better: float
    others: float | None
    others_before: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """By how many per cent something changed over paired days, and half the width of its 95 % interval."""

    mean: float
    half: float


def figures(outcome: Outcome, base: Outcome) -> DayFigures:
    """The figures of a day, and who is better or worse off than on the same day as people go today."""
    examined = {n: (exam, total) for n, (exam, total, _) in outcome.people.items() if exam is not None}
    both = [n for n in examined if base.people[n][0] is not None]
    moved = [examined[n][1] - base.people[n][1] for n in both]
    others = [n for n in both if not outcome.people[n][2]]
    exams, totals = [e for e, _ in examined.values()], [t for _, t in examined.values()]
    return DayFigures(
        statistics.fmean(exams),
        _p95(exams),
        statistics.fmean([examined[n][0] for n in outcome.many if n in examined] or [0.0]),
        statistics.fmean(totals),
        _p95(totals),
        outcome.longest,
        outcome.unfinished,
        sum(m > LATER for m in moved) / max(len(moved), 1),
        sum(m < -LATER for m in moved) / max(len(moved), 1),
        statistics.fmean([examined[n][0] for n in others]) if others else None,
        statistics.fmean([base.people[n][0] or 0.0 for n in others]) if others else None,
    )


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def play(
    hospital: Hospital, seeds: Sequence[int], count: int, ways: Sequence[Way] = WAYS
) -> Iterator[tuple[int, str, DayFigures]]:
    """Each day under each way, one after the other; only the figures of a day are kept."""
    for seed in seeds:
        crowd = people(seed, count)
        base = run(hospital, crowd, BASE)
        for way in ways:
            yield seed, way.key, figures(base if way is BASE else run(hospital, crowd, way), base)


def run(hospital: Hospital, crowd: list[Visitor], way: Way) -> Outcome:
    """One day."""
    return Day(hospital, crowd, way, chooser(way)).run()


def change(now: Sequence[float], before: Sequence[float]) -> Change:
    """The change in per cent, day by day; with one day no interval is known, and its half is infinite."""
    moved = [100 * (a / b - 1) for a, b in zip(now, before, strict=True) if b]
    if len(moved) < 2:
        return Change(moved[0] if moved else 0.0, float("inf"))
    return Change(statistics.fmean(moved), student(len(moved) - 1) * statistics.stdev(moved) / sqrt(len(moved)))


_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def student(freedom: int) -> float:
    """Student's t at 97.5 % for so many degrees of freedom."""
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.5 / freedom


def changes(all_days: Mapping[str, Sequence[DayFigures]], key: str) -> dict[str, Change]:
    """What changed under a way, for each figure that is compared in per cent."""
    base, now = all_days[BASE.key], all_days[key]
    names = ("exam", "exam_p95", "many", "total", "total_p95", "longest")
    made = {name: change([getattr(d, name) for d in now], [getattr(d, name) for d in base]) for name in names}
    if all(d.others is not None for d in now):
        made["others"] = change([d.others or 0.0 for d in now], [d.others_before or 0.0 for d in now])
    return made


def one_more(hospital: Hospital, seeds: Sequence[int], count: int) -> Iterator[tuple[str, float]]:
    """Door → minutes a patient saves on average if it had one room more, as people go today."""
    crowds = [people(seed, count) for seed in seeds]
    before = [_mean_total(run(hospital, crowd, BASE)) for crowd in crowds]
    for door in hospital.doors:
        more = hospital.with_one_more(door)
        yield (
            door,
            statistics.fmean(
                was - _mean_total(run(more, crowd, BASE)) for crowd, was in zip(crowds, before, strict=True)
            ),
        )


def _mean_total(outcome: Outcome) -> float:
    return statistics.fmean(total for _, total, _ in outcome.people.values())
