"""Folds a network to its crossings: dead ends and the points along a corridor are put away and found again later."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from guide.maps.network import Network

Step = tuple[int, bool]
"""An edge, and whether it is walked from its a to its b."""


@dataclass(slots=True)
class Folded:
    """The crossings of a network and how every other point hangs on them.

    Attributes:
        cores: node numbers of the crossings; ``core_of`` the other way, −1 for the rest.
        up: for a node in a dead end the step towards the rest of the network, else None; ``above`` where it leads.
        depth: steps to the end of the dead end.
        chain, place: for a node between two crossings its chain and how many edges lie before it; else −1.
        chains: per chain its first and last crossing (node numbers) and its steps from one to the other.
    """

    cores: list[int]
    core_of: Any
    up: list[Step | None]
    above: list[int]
    depth: list[int]
    chain: list[int]
    place: list[int]
    chains: list[tuple[int, int, list[Step]]]
    edge: Any = field(default=None)
    forward: Any = field(default=None)
    starts: Any = field(default=None)

    def sums(self, there: Any, back: Any) -> tuple[Any, Any]:
        """Seconds of every chain from its first crossing to its last, and back again."""
        if not self.chains:
            return np.zeros(0), np.zeros(0)
        along = np.where(self.forward, there[self.edge], back[self.edge])
        against = np.where(self.forward, back[self.edge], there[self.edge])
        return np.add.reduceat(along, self.starts), np.add.reduceat(against, self.starts)


def fold(network: Network) -> Folded:
    """Fold once per map; what is closed or crowded changes the seconds, never the folding."""
    count = len(network.nodes)
    around: list[list[Step]] = [[] for _ in range(count)]
    for n, edge in enumerate(network.edges):
        if edge.a != edge.b:
            around[edge.a].append((n, True))
            around[edge.b].append((n, False))
    made = Folded([], np.full(count, -1, dtype=np.int64), [None] * count, [-1] * count, [0] * count,
                  [-1] * count, [-1] * count, [])  # fmt: skip
    degree = _fold_ends(network, around, made)
    cores = [n for n in range(count) if made.up[n] is None and degree[n] != 2]
    _fold_chains(network, around, made, cores)
    made.cores = sorted(cores)
    made.core_of[made.cores] = np.arange(len(made.cores))
    made.edge = np.asarray([e for _, _, steps in made.chains for e, _ in steps], dtype=np.int64)
    made.forward = np.asarray([f for _, _, steps in made.chains for _, f in steps], dtype=bool)
    made.starts = np.cumsum([0, *(len(steps) for _, _, steps in made.chains)], dtype=np.int64)[:-1]
    return made


def _fold_ends(network: Network, around: list[list[Step]], made: Folded) -> list[int]:
    """Dead ends from their tips inwards; returns how many edges each node has left."""
    degree = [len(steps) for steps in around]
    tips = deque(n for n, d in enumerate(degree) if d == 1)
    order = []
    while tips:
        n = tips.popleft()
        if degree[n] != 1:
            continue  # the last of a tree that folds away wholly: it stays as a crossing
        step = next(s for s in around[n] if made.up[_far(network, s)] is None)
        far = _far(network, step)
        made.up[n], made.above[n] = step, far
        degree[n] = 0
        degree[far] -= 1
        order.append(n)
        if degree[far] == 1:
            tips.append(far)
    for n in reversed(order):
        made.depth[n] = made.depth[made.above[n]] + 1
    return degree


def _fold_chains(network: Network, around: list[list[Step]], made: Folded, cores: list[int]) -> None:
    """Corridors from crossing to crossing; a ring without any gets one."""
    is_core = [False] * len(around)
    for n in cores:
        is_core[n] = True
    done: set[int] = set()
    for n in cores:
        _chains_from(network, around, made, is_core, done, n)
    for n in range(len(around)):
        if made.up[n] is None and not is_core[n] and made.chain[n] < 0:
            is_core[n] = True
            cores.append(n)
            _chains_from(network, around, made, is_core, done, n)


def _chains_from(
    network: Network, around: list[list[Step]], made: Folded, is_core: list[bool], done: set[int], start: int
) -> None:
    for first in around[start]:
        if first[0] in done or made.up[_far(network, first)] is not None:
            continue
        steps, at = [first], _far(network, first)
        done.add(first[0])
        inside = []
        while not is_core[at]:
            inside.append(at)
            onward = next(s for s in around[at] if s[0] not in done and made.up[_far(network, s)] is None)
            done.add(onward[0])
            steps.append(onward)
            at = _far(network, onward)
        for k, n in enumerate(inside, 1):
            made.chain[n], made.place[n] = len(made.chains), k
        made.chains.append((start, at, steps))


def _far(network: Network, step: Step) -> int:
    edge = network.edges[step[0]]
    return edge.b if step[1] else edge.a
