"""The planner finds what trying all orders finds, breaks no rule, and leaves alone who has reported."""

from guide.order.planner import plan
from tests.guide.instances import broken, brute, patient


def test_it_finds_what_trying_all_orders_finds() -> None:
    """Two hundred patients with up to five stops: as many stops placed, and back to the doctor at the same minute."""
    for seed in range(200):
        task = patient(seed, 1 + seed % 5)
        count, cost = brute(task)
        found = plan(task)
        assert (seed, len(found.placed)) == (seed, count)
        assert count == 0 or abs(found.cost - cost) < 1e-6, seed


def test_no_rule_is_broken() -> None:
    """Four hundred patients with up to seven stops, with lags, hours, appointments, pins and people who wait."""
    for seed in range(1000, 1400):
        task = patient(seed, 1 + seed % 7)
        assert (seed, broken(task, plan(task))) == (seed, [])
