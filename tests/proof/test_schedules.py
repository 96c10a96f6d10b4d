"""Crashes, lost calls and early callbacks, enumerated; ``make torture`` goes deeper than this slice does."""

from dataclasses import replace

import pytest

from tests.proof import scenarios
from tests.proof.stand import Stand
from tests.proof.torture import SLICE, Job
from tests.proof.tree import Tree


@pytest.mark.parametrize("job", SLICE, ids=lambda job: job.scenario)
def test_every_schedule_ends_well(stand: Stand, job: Job) -> None:
    """Wherever it is disturbed: every book says the same, all is paid once and told once, or nothing is."""
    scenario = job.made()
    tally = stand.run(Tree(stand.office(scenario.items), scenario, job.disturbances).explore())
    assert tally.schedules >= job.least, tally
    assert tally.run > 0


def test_the_same_tree_twice_is_the_same(stand: Stand) -> None:
    """Going back leaves nothing behind: a second walk finds the same schedules and does the same."""
    scenario = replace(scenarios.ONE, extras={})
    first, second = (stand.run(Tree(stand.office(scenario.items), scenario, 1).explore()) for _ in range(2))
    assert first == second
