"""A busy hospital and a thousand phones: how soon a posted event stands on the phone, and how much memory it takes."""

import itertools
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.stand import Stand

GOAL_P99_MS, GOAL_MEMORY_MB = 25.0, 250.0
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


def with_phones(stand: Stand, rate: int, seconds: float) -> list[Figure]:
    """``rate`` events a second, alone in their posts and in posts of ten, while every patient's page is open."""
    phones = Phones(stand)
    try:
        return _measure(stand, phones, rate, seconds)
    finally:
        phones.hang_up()


def _measure(stand: Stand, phones: Phones, rate: int, seconds: float) -> list[Figure]:
    count = len(stand.streams)
    at_rest = stand.memory()
    runs: list[tuple[str, dict[str, Any]]] = []
    cpu: list[float] = []
    for name, size in (("alone", 1), ("tens", 10)):
        before = stand.cpu()
        answer = sender(stand, rate=rate, seconds=seconds, size=size)
        cpu.append((stand.cpu() - before) / len(answer["sent"]) * 1e6)
        runs.append((name, answer))
    time.sleep(1.0)
    memory = stand.memory()
    seen = phones.seen()
    figures = []
    for (name, answer), used in zip(runs, cpu, strict=True):
        reached = compare(answer["sent"], seen)
        how = f"{count:,} streams, {rate}/s, " + ("one event a post" if name == "alone" else "ten events a post")
        late = f"{how}; sender late ≤ {answer['late_ms']:.0f} ms; {used:.0f} µs processor an event"
        if name == "alone":
            late = f"{late}, connections included"
        figures += [
            Figure(f"push_{name}_p50_ms", f"event to phone, p50 ({name})", percentile(reached.ms, 0.5), "ms"),
            Figure(
                f"push_{name}_p99_ms",
                f"event to phone, p99 ({name})",
                percentile(reached.ms, 0.99),
                "ms",
                GOAL_P99_MS,
                note=late,
            ),
            Figure(
                f"push_{name}_lost",
                f"lines that never came ({name})",
                reached.lost,
                "",
                0,
                note=f"of {len(answer['sent']):,}",
            ),
        ]
    figures.append(
        Figure("memory_rest_mb", "serving process, streams open", at_rest, "MB", note="proportional set size")
    )
    figures.append(Figure("memory_load_mb", "serving process, after the load", memory, "MB", GOAL_MEMORY_MB))
    return figures
