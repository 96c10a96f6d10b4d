"""Looks over a map before it is published: what can be reached, without steps too, and everything that was assumed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from guide.maps.findings import FINDINGS, GUESSES, Finding
from guide.maps.network import STEPPED, Edge, Network

ROOMS = frozenset({"room", "toilet"})


@dataclass(frozen=True, slots=True)
class Report:
    """What a map is worth.

    Attributes:
        rooms: how many there are.
        reached: numbers of the spaces one can get to and back from, of all kinds.
        step_free: those that need no stair.
        findings, guesses: sentences for the hospital, in a stable order.
    """

    rooms: int
    reached: frozenset[int]
    step_free: frozenset[int]
    reached_rooms: int
    step_free_rooms: int
    findings: tuple[str, ...]
    guesses: tuple[str, ...]

    @property
    def share(self) -> float:
        """Reachable rooms of all, 0–1."""
        return self.reached_rooms / self.rooms if self.rooms else 0.0

    @property
    def clean(self) -> bool:
        """Nothing is missing, odd or guessed."""
        return not self.findings and not self.guesses


def look_over(network: Network) -> Report:
    """Examine a map; the network itself is not changed."""
    reached = _main_part(network, network.edges)
    step_free = _main_part(network, [e for e in network.edges if e.way not in STEPPED])
    rooms = [n for n, s in enumerate(network.spaces) if s.kind in ROOMS]
    closed = {f.what for f in network.findings if f.code == "closed"}
    rooms = [n for n in rooms if network.described(n) not in closed]
    findings = list(network.findings)
    findings += [Finding("unreachable", network.described(n)) for n in rooms if n not in reached]
    findings += [Finding("no_step_free", network.described(n)) for n in rooms if n in reached and n not in step_free]
    return Report(
        len(rooms), reached, step_free, sum(n in reached for n in rooms), sum(n in step_free for n in rooms),
        tuple(f"{f.what} {FINDINGS[f.code]}" for f in findings),
        tuple(f"{g.what}: {GUESSES[g.why]}" for g in network.guesses),
    )  # fmt: skip


def summary(network: Network, report: Report) -> list[str]:
    """A few lines with the counts, most telling first."""
    whys = Counter(g.why for g in network.guesses)
    ways: Any = Counter(e.way for e in network.edges)
    return [
        f"{len(network.floors)} floors, {report.rooms} rooms, {len(network.links)} shafts and links, "
        f"{len(network.nodes)} points, {len(network.edges)} ways ({', '.join(f'{n} {w}' for w, n in ways.items())})",
        f"{report.reached_rooms} of {report.rooms} rooms can be reached ({report.share:.1%}), "
        f"{report.step_free_rooms} without a step",
        f"{len(network.guesses)} guesses" + (f" ({', '.join(f'{n} {w}' for w, n in whys.items())})" if whys else ""),
        f"{len(report.findings)} findings",
    ]


def _main_part(network: Network, edges: Iterable[Edge]) -> frozenset[int]:
    """The spaces in the largest part of the map whose every point leads to every other."""
    used = [(e.a, e.b) for e in edges] + [(e.b, e.a) for e in edges if not e.one_way]
    count = len(network.nodes)
    if not used:
        return frozenset()
    ends = np.asarray(used, dtype=np.int64)
    graph = csr_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, part = connected_components(graph, directed=True, connection="strong")
    standing = np.asarray([s.node for s in network.spaces])
    weights = Counter(part[n] for n, s in zip(standing, network.spaces, strict=True) if n >= 0 and s.kind in ROOMS)
    weights = weights or Counter(part.tolist())
    largest = max(weights.items(), key=lambda item: (item[1], -item[0]))[0]
    return frozenset(n for n, node in enumerate(standing) if node >= 0 and part[node] == largest)
