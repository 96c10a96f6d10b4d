"""What one is advised: the plan, changed only when it is worth it, and why each stop stands where it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guide.order.planner import plan
from guide.order.stops import Plan, Stop, Task

GAIN = 5.0  # minutes a new order must save before anybody is told something else than before
LONG_REPORT = 15.0  # minutes; a shorter wait for a result is no reason to go there first
QUIET = 10.0  # minutes of queue that count as short


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a stop stands where it stands: a code of ``words.guide_order``, with minutes or another stop's key."""

    code: str
    minutes: float | None = None
    until: float | None = None
    other: str | None = None


def advise(task: Task, before: Sequence[str] = ()) -> Plan:
    """The plan; the order given ``before`` stays, new stops put in between, unless another saves ``GAIN`` minutes."""
    best = plan(task)
    here = set(best.keys)
    kept = [key for key in before if key in here]
    if [key for key in best.keys if key in set(kept)] == kept:
        return best
    same = plan(task, kept)
    if len(same.placed) < len(best.placed) or (same.unpinned and not best.unpinned):
        return best
    return same if same.cost - best.cost < GAIN else best


def reasons(task: Task, made: Plan, *, load_known: bool) -> Mapping[str, tuple[Reason, ...]]:
    """Key → why there, at most two reasons each, the weightiest first.

    Args:
        load_known: the queues are known; else nothing is said of them.
    """
    stops = {s.key: s for s in task.stops}
    told: dict[str, tuple[Reason, ...]] = {}
    place = task.start
    for n, one in enumerate(made.placed):
        later = [stops[key] for key in made.keys[n + 1 :]]
        found = list(_firm(task, made, stops[one.key], later))
        if not found and later:
            walks = [min(task.walk(place, site.place) for site in s.sites) for s in later]
            if load_known and one.wait <= QUIET:
                found.append(Reason("quiet"))
            elif task.walk(place, one.place) <= min(walks):
                found.append(Reason("near"))
        told[one.key] = tuple(found[:2])
        place = one.place
    return told


def _firm(task: Task, made: Plan, stop: Stop, later: Sequence[Stop]) -> list[Reason]:
    if stop.here:
        return [Reason("here")]
    found = []
    if stop.key in task.pinned and not made.unpinned:
        found.append(Reason("pinned"))
    if stop.slot is not None:
        found.append(Reason("slot", stop.slot[0], stop.slot[1]))
    if stop.fasting:
        found.append(Reason("fasting"))
    if later and stop.report is not None and stop.report >= max([LONG_REPORT, *(s.report or 0.0 for s in later)]):
        found.append(Reason("report", stop.report))
    if stop.bladder:
        found.append(Reason("bladder", stop.ready_at if stop.ready_at > task.now else None))
    for rule in task.after:
        if rule.then == stop.key and rule.first in made.keys:
            found.append(Reason("after_result" if rule.result else "after", rule.lag or None, other=rule.first))
    return found
