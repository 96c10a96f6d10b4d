"""``make torture``: schedules enumerated, random histories, and what they cost; exits with 1 when money is wrong.

Usage: ``python -m tests.proof.torture [--workers 2] [--histories 300]``
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from houfu import migrate
from houfu.embedded import EmbeddedPostgres
from tests.conftest import ROOT, fresh_database
from tests.proof import scenarios
from tests.proof.office import Wrong
from tests.proof.stand import Stand, a_stand
from tests.proof.tree import Scenario, Tree

LEAST = 10_000
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
_BY_NAME = {scenario.name: scenario for scenario in scenarios.EVERY}


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario, how often it is disturbed, and by which extras; ``least`` schedules come of it."""

    scenario: str
    disturbances: int
    extras: tuple[str, ...] | None = None
    least: int = 1

    def made(self) -> Scenario:
        """What to explore."""
        whole = _BY_NAME[self.scenario]
        if self.extras is None:
            return whole
        return replace(whole, extras={name: whole.extras[name] for name in self.extras})


SLICE: Sequence[Job] = (
    Job("one payer", 1, ("confirms early", "given up", "closed yet paid"), 16),
    Job("given up", 1, ("son confirms",), 20),
    Job("insured", 1, ("given up",), 30),
    Job("one press pays both", 0),
    Job("a settlement goes back", 0),
    Job("paid first", 1, ("doctor cancels",), 16),
)
# Extras make many schedules of few states; more disturbances of a long scenario make many states of few schedules.
# Nobody pays an order that was closed sixteen minutes ago: what our last look cannot see, the nightly books show.
WHOLE: Sequence[Job] = (  # dealt out in turn, so that both workers have as much to do
    Job("one payer", 7, ("confirms early", "given up", "sweep", "16 minutes", "notice early")),
    Job("two shares", 6, ("given up",)),
    Job("a settlement goes back", 4, ()),
    Job("two settlements, shares of the rest", 1, ()),
    Job("insured", 6, ()),
    Job("given up", 1, ("son confirms",)),
    Job("paid first", 2, ("done early", "doctor cancels", "taken back", "given up", "closed yet paid")),
    Job("one press pays both", 1, ("insurance fails", "cash fails")),
    Job("one payer", 5, ("confirms early", "given up", "closed yet paid")),
)


@contextmanager
def _database(server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(server, None) as url:
        migrate.upgrade(url)
        yield url


def work(jobs: Sequence[Job]) -> bool:
    """Do these jobs one after the other, a line of JSON for each; whether all went well."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with (
        EmbeddedPostgres(ROOT / ".cache" / "test-pg", settings=QUICK) as server,
        tempfile.TemporaryDirectory() as folder,
        a_stand(lambda: _database(server), Path(folder)) as stand,
    ):
        done = [_done(stand, job) for job in jobs]  # the others too, when one finds something
        return all(done)


def _done(stand: Stand, job: Job) -> bool:
    scenario, begun, spent = job.made(), time.perf_counter(), time.process_time()
    tree = Tree(stand.office(scenario.items), scenario, job.disturbances)
    wrong = ""
    try:
        stand.run(tree.explore())
    except Wrong as found:
        wrong = str(found)
    tally = tree.tally
    print(
        json.dumps(
            {
                "scenario": job.scenario,
                "disturbances": job.disturbances,
                "schedules": tally.schedules,
                "run": tally.run,
                "acts": tally.acts,
                "seconds": round(time.perf_counter() - begun, 1),
                "cpu": round(time.process_time() - spent, 1),
                "wrong": wrong,
            }
        ),
        flush=True,
    )
    return not wrong


def main() -> int:
    """All of it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--histories", type=int, default=300)
    asked.add_argument("--jobs", help="numbers of jobs, for a worker")
    given = asked.parse_args()
    if given.jobs:
        return 0 if work([WHOLE[int(n)] for n in given.jobs.split(",")]) else 1
    begun = time.perf_counter()
    shares = [[str(n) for n in range(len(WHOLE)) if n % given.workers == w] for w in range(given.workers)]
    workers = [
        subprocess.Popen([sys.executable, "-m", "tests.proof.torture", "--jobs", ",".join(s)], stdout=subprocess.PIPE)
        for s in shares
    ]
    told = [json.loads(line) for worker in workers for line in worker.communicate()[0].splitlines()]
    seconds = time.perf_counter() - begun
    for one in told:
        print(
            "{scenario:38} ≤ {disturbances} disturbances {schedules:>7} schedules, {run:>5} run to their end, "
            "{acts:>5} acts, {seconds:>6} s".format(**one)
        )
        if one["wrong"]:
            print(f"  WRONG: {one['wrong']}")
    schedules, run = (sum(one[name] for one in told) for name in ("schedules", "run"))
    print(f"{schedules} schedules in {seconds:.0f} s: {run} run to their end, the others met one of these on their way")
    well = not any(worker.returncode for worker in workers) and schedules >= LEAST
    histories = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/proof/test_histories.py"],
        env={**os.environ, "HOUFU_HISTORIES": str(given.histories)},
        check=False,
    )
    return 0 if well and histories.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
