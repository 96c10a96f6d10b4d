"""The order of examinations: beside trying all orders, against its rules, and how long it takes."""

import time
from collections.abc import Iterable

from benchmarks.figures import Figure, percentile
from guide.order.planner import plan
from tests.guide.instances import broken, brute, patient


def measure(instances: int = 1000, plans: int = 100_000) -> list[Figure]:
    """All of it; some five minutes of one processor, most of them for the plans."""
    return [*exact(instances), *speed(), *rules(plans)]


def exact(instances: int) -> Iterable[Figure]:
    """How often the plan is not what trying all orders finds, up to seven stops."""
    wrong = 0
    for seed in range(instances):
        task = patient(20_000 + seed, 1 + seed % 7)
        count, cost = brute(task)
        found = plan(task)
        wrong += len(found.placed) != count or (count > 0 and abs(found.cost - cost) > 1e-6)
    yield Figure("order.differs", "orders not as good as the best", wrong, f"of {instances:,}", 0, note="1–7 stops")


def speed() -> Iterable[Figure]:
    """Processor time of a plan."""
    for stops, many, goal in ((4, 300, None), (8, 300, 30.0), (12, 200, 350.0)):
        took = []
        for seed in range(many):
            task = patient(40_000 + seed, stops)
            began = time.process_time()
            plan(task)
            took.append(1000 * (time.process_time() - began))
        note = f"p50 {percentile(took, 0.5):.1f} ms, {many} patients, processor time"
        yield Figure(
            f"order.{stops}.p99", f"a plan of {stops} stops, p99", percentile(took, 0.99), "ms", goal, note=note
        )


def rules(plans: int) -> Iterable[Figure]:
    """How many plans break a rule."""
    wrong = sum(bool(broken(task, plan(task))) for task in (patient(seed, 1 + seed % 6) for seed in range(plans)))
    yield Figure("order.broken", "plans that break a rule", wrong, f"of {plans:,}", 0, note="1–6 stops")
