"""Patients made by chance, and the slow way to order their stops: all orders tried, by a reckoning of its own."""

import random
from collections.abc import Callable
from dataclasses import replace
from math import inf

from guide.order.planner import BESIDE
from guide.order.stops import After, Placed, Plan, Site, Stop, Task
from guide.order.waits import Waits

PLACES = [f"p{n}" for n in range(16)]


def metric(chance: random.Random) -> Callable[[str, str], float]:
    """Walking minutes between places that lie in a plane."""
    at = {p: (chance.uniform(0, 8), chance.uniform(0, 8)) for p in PLACES}
    ways = {(a, b): ((x - u) ** 2 + (y - v) ** 2) ** 0.5 for a, (x, y) in at.items() for b, (u, v) in at.items()}
    return lambda a, b: ways[a, b]


def patient(seed: int, stops: int, *, tight: bool = True) -> Task:
    """One patient with so many stops; ``tight``: with hours and slots that may leave no room for all of them."""
    chance = random.Random(seed)
    made = []
    for n in range(stops):
        sites = []
        for place in chance.sample(PLACES, 2 if chance.random() < 0.25 else 1):
            peak, length = chance.uniform(0, 50), chance.randint(1, 240)
            waits = [max(0.0, peak + chance.uniform(-6, 6) - 0.3 * m) for m in range(length)]
            spans = [(0, chance.uniform(200, 280)), (330, 560)] if chance.random() < 0.2 else [(-inf, inf)]
            sites.append(Site(place, Waits(0.0, waits), spans))
        kind = chance.random()
        made.append(
            Stop(
                f"s{n}",
                chance.uniform(3, 20),
                chance.choice([None, 20.0, 45.0, 90.0]),
                sites,
                ready_at=chance.uniform(30, 60) if kind < 0.15 else -inf,
                until=chance.uniform(60, 150) if tight and 0.15 < kind < 0.3 else inf,
                slot=(at := chance.uniform(20, 200), at + 30) if tight and 0.3 < kind < 0.4 else None,
                here=n == 0 and chance.random() < 0.1,
            )
        )
    chance.shuffle(made)
    keys = [s.key for s in made]
    after = tuple(
        After(min(pair), max(pair), chance.choice([0.0, 30.0]), chance.random() < 0.5)
        for pair in [chance.sample(keys, 2) for _ in range(chance.randint(0, 2) if stops > 1 else 0)]
    )
    apart = (frozenset(chance.sample(keys, 2)),) if tight and stops > 1 and chance.random() < 0.1 else ()
    pinned = tuple(chance.sample(keys, 1)) if chance.random() < 0.1 else ()
    return Task(0.0, PLACES[0], PLACES[1], made, metric(chance), after, apart, pinned)


def crowded(seed: int, stops: int) -> Task:
    """A patient of whose stops many close early and some are never done on one day, so that several have no place."""
    chance, task = random.Random(seed), patient(seed, stops)
    keys = [s.key for s in task.stops]
    return replace(
        task,
        stops=[s if s.here or chance.random() < 0.5 else replace(s, until=chance.uniform(30, 200)) for s in task.stops],
        apart=tuple(frozenset(chance.sample(keys, 2)) for _ in range(chance.randint(1, 3))),
    )


def brute(task: Task) -> tuple[int, float]:
    """Of all orders and doors: the most stops that have a place, and the least cost of those."""
    here = [s for s in task.stops if s.here]
    wished = [s for s in task.stops if s.key in task.pinned and not s.here]
    with_pin = _brute(task, [*here, *wished])
    return with_pin if with_pin[0] >= len(here) + len(wished) else _brute(task, here)


def _brute(task: Task, first: list[Stop]) -> tuple[int, float]:
    best = (0, inf)

    def go(time: float, place: str, known: float, done: dict[str, float]) -> None:
        nonlocal best
        if done:
            cost = max(time + task.walk(place, task.back), known) + BESIDE * time
            if (-len(done), cost) < (-best[0], best[1]):
                best = (len(done), cost)
        going = first[len(done) : len(done) + 1] if len(done) < len(first) else task.stops
        for stop in going:
            if stop.key in done or not _may(task, stop, done):
                continue
            for site in stop.sites:
                begun = _begin(task, stop, site, time + task.walk(place, site.place), done)
                if begun is not None:
                    over = begun + stop.minutes
                    go(over, site.place, max(known, over + (stop.report or 0)), {**done, stop.key: over})

    go(task.now, task.start, task.now, {})
    return best


def _may(task: Task, stop: Stop, done: dict[str, float]) -> bool:
    if stop.here:
        return True
    keys = {s.key for s in task.stops}
    return all(r.first in done for r in task.after if r.then == stop.key and r.first in keys) and not any(
        stop.key in pair and (pair - {stop.key}) & set(done) for pair in task.apart
    )


def _begin(task: Task, stop: Stop, site: Site, arrive: float, done: dict[str, float]) -> float | None:
    if stop.here:
        return arrive + site.waits.at(arrive)
    reports = {s.key: s.report or 0.0 for s in task.stops}
    lags = [
        done[r.first] + r.lag + (reports[r.first] if r.result else 0)
        for r in task.after
        if r.then == stop.key and r.first in done
    ]
    if stop.slot is not None:
        at = max(arrive, stop.ready_at, stop.slot[0], *lags)
        return at if at <= min(stop.slot[1], stop.until) else None
    at = max(arrive + site.waits.at(arrive), stop.ready_at, *lags)
    at = min((max(at, opens) for opens, closes in site.spans if at <= closes), default=inf)
    return at if at <= stop.until else None


def broken(task: Task, plan: Plan) -> list[str]:
    """The rules that a plan breaks, by looking at the plan alone."""
    stops = {s.key: s for s in task.stops}
    done = {one.key: one for one in plan.placed}
    wrong = [why for one in plan.placed if not stops[one.key].here for why in _untimely(one, stops[one.key])]
    wrong += _out_of_order(task, done, stops)
    time, place = task.now, task.start
    for one in plan.placed:
        if one.arrive + 1e-6 < time + task.walk(place, one.place):
            wrong.append(f"{one.key}: not there yet")
        time, place = one.done, one.place
    if sorted([*done, *plan.left]) != sorted(stops):
        wrong.append("a stop is lost")
    if any(stops[k].here for k in plan.keys[sum(s.here for s in task.stops) :]):
        wrong.append("somebody who has reported was moved")
    return wrong


def _untimely(one: Placed, stop: Stop) -> list[str]:
    spans = [stop.slot] if stop.slot else next((s.spans for s in stop.sites if s.place == one.place), [])
    if not any(a <= one.begin <= b for a, b in spans):
        return [f"{one.key}: shut, or its appointment missed"]
    timely = stop.ready_at <= one.begin <= stop.until and not stop.blocked
    return [] if timely else [f"{one.key}: not its time"]


def _out_of_order(task: Task, done: dict[str, Placed], stops: dict[str, Stop]) -> list[str]:
    wrong = []
    for rule in task.after:
        if rule.then in done and rule.first in stops and not stops[rule.then].here:
            lag = rule.lag + ((stops[rule.first].report or 0) if rule.result else 0)
            if rule.first not in done or done[rule.then].begin + 1e-6 < done[rule.first].done + lag:
                wrong.append(f"{rule.then} before {rule.first}")
    apart = [pair for pair in task.apart if pair <= set(done) and not all(stops[k].here for k in pair)]
    return wrong + [f"{sorted(pair)} on one day" for pair in apart]
