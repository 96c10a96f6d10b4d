"""The planner finds what trying all orders finds, breaks no rule, and leaves alone who has reported."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from guide.order.advice import advise, reasons
from guide.order.planner import plan
from guide.order.stops import After, Site, Stop, Task
from guide.order.waits import Arrival, Door, Ledger, Waits, curve, widened
from tests.guide.instances import broken, brute, crowded, patient


def test_it_finds_what_trying_all_orders_finds() -> None:
    """Two hundred patients with up to five stops: as many stops placed, and back to the doctor at the same minute."""
    partly = 0
    for seed in range(200):
        task = patient(seed, 1 + seed % 5)
        count, cost = brute(task)
        found = plan(task)
        assert (seed, len(found.placed)) == (seed, count)
        assert count == 0 or abs(found.cost - cost) < 1e-6, seed
        partly += count < len(task.stops)
    assert partly > 10  # days on which not everything has a place are among them


def test_days_on_which_much_has_no_place_are_planned_right_too() -> None:
    """A hundred and twenty patients with early hours and pairs kept apart: as many placed as can be, at least cost."""
    left = set()
    for seed in range(3000, 3120):
        task = crowded(seed, 3 + seed % 3)
        count, cost = brute(task)
        found = plan(task)
        assert (seed, len(found.placed), broken(task, found)) == (seed, count, [])
        assert count == 0 or abs(found.cost - cost) < 1e-6, seed
        left.add(len(found.left))
    assert left > {1, 2}


def test_no_rule_is_broken() -> None:
    """Four hundred patients with up to seven stops, with lags, hours, appointments, pins and people who wait."""
    for seed in range(1000, 1400):
        task = patient(seed, 1 + seed % 7)
        assert (seed, broken(task, plan(task))) == (seed, [])


def test_walking_times_that_are_no_distances_are_planned_right_too() -> None:
    """Ways that are shorter over a third door (a map with a mistake): still what trying all orders finds."""
    for seed in range(60):
        chance = random.Random(seed)
        table = {(a, b): chance.uniform(0, 9) for a in range(16) for b in range(16)}
        task = replace(
            patient(seed, 4),
            walk=lambda a, b, t=table: t[int(a[1:]), int(b[1:])],  # type: ignore[misc]
        )
        count, cost = brute(task)
        found = plan(task)
        assert len(found.placed) == count
        assert count == 0 or abs(found.cost - cost) < 1e-6, seed


@given(st.lists(st.floats(0, 60), max_size=20), st.floats(-5, 30), st.floats(0, 10))
def test_who_comes_later_never_begins_earlier(values: list[float], minute: float, more: float) -> None:
    """However a board jumps, one minute later at the door is not one more minute sooner inside."""
    waits = Waits(0.0, values)
    assert minute + more + waits.at(minute + more) >= minute + waits.at(minute) - 1e-9


def stop(key: str, *, minutes: float = 5.0, wait: float = 0.0, report: float | None = None, **more: object) -> Stop:
    """A stop at a door of its own name."""
    return Stop(key, minutes, report, [Site(key, Waits(0, [wait]))], **more)  # type: ignore[arg-type]


def task(*stops: Stop, **more: object) -> Task:
    """All doors two minutes apart."""
    return Task(0, "doctor", "doctor", stops, lambda a, b: 0.0 if a == b else 2.0, **more)  # type: ignore[arg-type]


def test_the_long_result_comes_first_and_says_why() -> None:
    """Blood takes 45 minutes to its result, the picture none: blood first, fasting, with the reason."""
    today = task(stop("picture", minutes=10), stop("blood", report=45, fasting=True))
    made = plan(today)
    assert made.keys == ("blood", "picture")
    told = reasons(today, made, load_known=False)
    assert [(r.code, r.minutes) for r in told["blood"]] == [("fasting", None), ("report", 45)]


def test_whoever_has_reported_is_not_moved() -> None:
    """Reported at the picture, though blood first were better, and though the nurse pinned blood."""
    today = task(stop("blood", report=45), stop("picture", wait=30, here=True), pinned=("blood",))
    assert plan(today).keys == ("picture", "blood")


def test_the_nurse_wins_over_the_planner_but_not_over_a_rule() -> None:
    """Her pin stands first at any cost; where the signed rules forbid it, the rules stand and it is said."""
    pinned = task(stop("blood", report=90), stop("picture", wait=40), pinned=("picture",))
    assert (plan(pinned).keys, plan(pinned).unpinned) == (("picture", "blood"), False)
    ruled = replace(pinned, after=[After("blood", "picture", result=True)])
    assert (plan(ruled).keys, plan(ruled).unpinned) == (("blood", "picture"), True)


def test_advice_changes_only_for_five_minutes() -> None:
    """The queues change: for four minutes gained the old order stays, for more it goes; what is new is put in."""
    before = ("one", "two")

    def crowded(minutes: int) -> Task:
        """So many minutes wait at the one, fewer every minute; going to the other first saves them."""
        gone = Waits(0, [float(n) for n in range(minutes, -1, -1)])
        return task(Stop("one", 5, None, [Site("one", gone)]), stop("two", minutes=15))

    assert [plan(crowded(n)).keys for n in (6, 7)] == [("two", "one")] * 2
    assert advise(crowded(6), before).keys == before
    assert advise(crowded(7), before).keys == ("two", "one")
    much = task(stop("one", report=0), stop("two", report=45))
    assert advise(much, before).keys == ("two", "one")
    assert advise(task(stop("one"), stop("two"), stop("new")), before).keys.index("one") < 2
    gone = task(stop("two"), stop("new", until=3))
    assert advise(gone, before).keys == ("new", "two")


def test_what_a_nurse_must_see_first_is_left_out() -> None:
    """A blocked stop has no place and is named; the others go on."""
    made = plan(task(stop("scan", blocked="pacemaker"), stop("blood")))
    assert (made.keys, made.left) == (("blood",), ("scan",))


def test_who_is_on_the_way_is_waited_for() -> None:
    """Three are expected in ten minutes: until then nobody waits, then two turns, and it is worked off."""
    ledger = Ledger()
    for n in range(3):
        ledger.put(str(n), [Arrival("ct", 10.5), Arrival("ct", 200)])
    waits = curve(0, Door(0, 10), ledger.expected("ct"))
    assert waits.at(5) == 0
    assert 20 <= waits.at(10) <= 30
    assert waits.at(60) == 0
    for n in range(3):
        ledger.drop(str(n))
    assert not ledger.expected("ct")


def test_ranges_widen_with_age() -> None:
    """The older the word, the wider; without a word the least is nothing."""
    fresh, old, none = widened(20, 0), widened(20, 30), widened(20, None)
    assert old[0] < fresh[0] <= 20 <= fresh[1] < old[1]
    assert none[0] == 0
    assert none[1] > old[1] - 20
