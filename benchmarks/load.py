"""A busy hospital and a thousand phones: how soon a posted event stands on the phone, and how much memory it takes."""

import itertools
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.stand import Stand

GOAL_P99_MS, GOAL_MEMORY_MB = 25.0, 250.0
RUNS = 3  # of each load; the machine is nobody's alone, and the middle one of three says what Houfu does
_BLOCKS = itertools.count()  # each run of the sender numbers its charges in a block of its own


def sender(stand: Stand, **how: Any) -> dict[str, Any]:
    """Run the sending process; see ``benchmarks.sender``.

    Raises:
        RuntimeError: it failed, or something it sent was not accepted.
    """
    task = {
        "port": stand.port,
        "key": stand.key.id,
        "secret": stand.key.secret,
        "visits": len(stand.streams),
        "first": next(_BLOCKS) * 1_000_000,
        **how,
    }
    command = [sys.executable, "-m", "benchmarks.sender"]
    done = subprocess.run(command, input=json.dumps(task) + "\n", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout)
    # A confirmation may overtake its charge on another connection, and is parked until that is there.
    if not set(answer["said"]) <= {"accepted", "parked"}:
        raise RuntimeError(f"not everything was accepted: {answer['said']}")
    return answer


class Phones:
    """The process of phones, with all streams open."""

    def __init__(self, stand: Stand) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.phones"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write(json.dumps({"port": stand.port, "streams": stand.streams}) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().strip()
        if said != "ready":
            self._process.kill()
            raise RuntimeError(f"the phones do not hear: {said}")

    def seen(self) -> dict[tuple[int, int], float]:
        """Hang up; when each line was first on its phone, by (number, nth time)."""
        out, _ = self._process.communicate("", timeout=30)
        return {(number, nth): at for number, nth, at in json.loads(out)}

    def hang_up(self) -> None:
        """Whatever happened, nobody is left listening."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()


@dataclass(frozen=True, slots=True)
class Reached:
    """Milliseconds from post to phone, and what never came."""

    ms: list[float]
    lost: int


def compare(sent: list[tuple[int, int, float]], seen: dict[tuple[int, int], float]) -> Reached:
    """Match what was sent with what was seen."""
    ms = [(seen[n, k] - at) * 1000 for n, k, at in sent if (n, k) in seen]
    return Reached(ms, len(sent) - len(ms))


@dataclass(frozen=True, slots=True)
class _Run:
    """What one sender sent, (number, nth time, when), how late it was at worst, and what an event cost."""

    sent: list[tuple[int, int, float]]
    late_ms: float
    cpu_us: float


def with_phones(stand: Stand, rate: int, seconds: float) -> list[Figure]:
    """``rate`` events a second, alone in their posts and in posts of ten, while every patient's page is open."""
    phones = Phones(stand)
    try:
        return _measure(stand, phones, rate, seconds)
    finally:
        phones.hang_up()


def _measure(stand: Stand, phones: Phones, rate: int, seconds: float) -> list[Figure]:
    at_rest = stand.memory()
    runs: dict[str, list[_Run]] = {"alone": [], "tens": []}
    for name, size in (("alone", 1), ("tens", 10)):
        for _ in range(RUNS):
            before = stand.cpu()
            answer = sender(stand, rate=rate, seconds=seconds, size=size)
            runs[name].append(
                _Run(answer["sent"], answer["late_ms"], (stand.cpu() - before) / len(answer["sent"]) * 1e6)
            )
    time.sleep(1.0)
    memory = stand.memory()
    seen = phones.seen()
    load = f"{len(stand.streams):,} streams, {rate}/s"
    figures = [f for name, made in runs.items() for f in _pushed(name, made, seen, load)]
    figures.append(
        Figure("memory_rest_mb", "serving process, streams open", at_rest, "MB", note="proportional set size")
    )
    figures.append(Figure("memory_load_mb", "serving process, after the load", memory, "MB", GOAL_MEMORY_MB))
    return figures


def _pushed(name: str, runs: list[_Run], seen: dict[tuple[int, int], float], load: str) -> list[Figure]:
    """The middle one of some equal runs, with all of them beside it: what disturbs the machine disturbs one of them."""
    reached = [compare(run.sent, seen) for run in runs]
    p50, p99 = ([percentile(one.ms, share) for one in reached] for share in (0.5, 0.99))
    how = ["one event a post, connections included" if name == "alone" else "ten events a post"]
    how += [f"{RUNS} runs: " + ", ".join(f"{ms:.1f}" for ms in p99)]
    how += [f"sender late ≤ {max(run.late_ms for run in runs):.0f} ms"]
    how += [f"{median(run.cpu_us for run in runs):.0f} µs processor an event"]
    note, sent = f"{load}, {'; '.join(how)}", sum(len(run.sent) for run in runs)
    return [
        Figure(f"push_{name}_p50_ms", f"event to phone, p50 ({name})", median(p50), "ms"),
        Figure(f"push_{name}_p99_ms", f"event to phone, p99 ({name})", median(p99), "ms", GOAL_P99_MS, note=note),
        Figure(
            f"push_{name}_lost",
            f"lines that never came ({name})",
            sum(one.lost for one in reached),
            "",
            0,
            note=f"of {sent:,}",
        ),
    ]
