"""``make mutants``: plants each seeded bug and runs the tests that have to notice; exits with 1 if one survives.

Usage: ``python -m tests.mutants [NAME …]``
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.mutants.seeded import BUGS, Bug

SECONDS = 600
WORKERS = 2
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::[^\s\[]+)", re.M)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one bug fared."""

    bug: Bug
    caught: bool
    by: str
    seconds: float


def _pytest(suite: Sequence[str], mutant: str = "") -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    environment = {**os.environ, "HOUFU_MUTANT": mutant}
    try:
        done = subprocess.run(
            [*command, "-p", "tests.mutants.plugin", *suite],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout + done.stderr


def judge(bug: Bug) -> Verdict:
    """Plant it and look who notices; only a failed test counts, not a test that could not be run."""
    begun = time.perf_counter()
    code, said = _pytest(bug.suite, bug.name)
    by = ", ".join(dict.fromkeys(test.rpartition("/")[2] for test in _FAILED.findall(said)))
    caught = code == 1 and bool(by)
    if not caught:
        by = {0: "NOBODY", 9: said[said.find("cannot be planted") :].splitlines()[0], -1: "no end"}.get(
            code, f"pytest ended with {code}: {said.strip()[-200:]}"
        )
    return Verdict(bug, caught, by, time.perf_counter() - begun)


def main() -> int:
    """All, or those named."""
    wanted = set(sys.argv[1:])
    bugs = [bug for bug in BUGS if not wanted or bug.name in wanted]
    if wanted - {bug.name for bug in bugs}:
        print(f"unknown: {sorted(wanted - {bug.name for bug in bugs})}")
        return 2
    suites = sorted({test for bug in bugs for test in bug.suite})
    print(f"first without any bug: {len(suites)} parts of the suite", flush=True)
    code, said = _pytest(suites)
    if code != 0:
        print(said[-2000:])
        print("the tests fail without a bug, so they prove nothing")
        return 1
    verdicts = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, verdict in enumerate(pool.map(judge, bugs), 1):
            verdicts.append(verdict)
            named = verdict.bug.name + (f" (without {verdict.bug.without})" if verdict.bug.without else "")
            word = "caught" if verdict.caught else "SURVIVED"
            took = f"{verdict.seconds:>5.0f} s"
            print(f"{number:>2}/{len(bugs)} {word:8} {named:64} {took}  {verdict.by}", flush=True)
    caught = sum(v.caught for v in verdicts)
    print(f"caught {caught}/{len(bugs)}")
    return 0 if caught == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
