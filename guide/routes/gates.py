"""Ways from floor to floor without a search: whoever leaves a floor passes one of its few gates, a lift or a stair.

From every gate a tree of ways to everywhere is kept, and inside each floor the ways to its gates. The quickest way to
another floor is then the best of a few sums. A way that stays on its floor is searched for as ever.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

_MOST = 3_000_000  # entries of a table, 10 bytes each; a campus of 50,000 points has half of it


class Gates:
    """The gates of one scene.

    Attributes:
        floor: for each crossing the number of its floor.
    """

    def __init__(self, ways: Any, floor: Any) -> None:
        """``ways``: seconds from crossing to crossing, as ``Gates.of`` has looked them over."""
        size = ways.shape[0]
        starts, ends = ways.nonzero()
        cross = floor[starts] != floor[ends]
        gates = np.unique(starts[cross])
        self.floor: list[int] = floor.tolist()
        self._gates: list[int] = gates.tolist()
        away, before = dijkstra(ways, directed=True, indices=gates, return_predecessors=True)
        self._away = np.ascontiguousarray(away.T)
        self._before = before.astype(np.int32)
        stay = csr_array((ways.data[~cross], (ends[~cross], starts[~cross])), shape=ways.shape)
        inside, after = dijkstra(stay, directed=True, indices=gates, return_predecessors=True)
        of: dict[int, list[int]] = {}
        for n, gate in enumerate(self._gates):
            of.setdefault(self.floor[gate], []).append(n)
        none = np.zeros(0, dtype=np.int64)
        numbers = {at: np.asarray(ns) for at, ns in of.items()}
        self._near = [numbers.get(self.floor[core], none) for core in range(size)]
        self._inside = [inside[near, core] for core, near in enumerate(self._near)]
        self._after = [after[near, core].tolist() for core, near in enumerate(self._near)]

    @classmethod
    def of(cls, turned_round: Any, floor: Any) -> "Gates | None":
        """The gates of a scene's graph (without its stand-in); None where there are none, or more than one can keep."""
        ways = csr_array(turned_round.T)
        ways.sort_indices()
        starts, ends = ways.nonzero()
        count = len(np.unique(starts[floor[starts] != floor[ends]]))
        return cls(ways, floor) if 0 < count * ways.shape[0] <= _MOST else None

    def best(self, start: int, end: int) -> tuple[float, int]:
        """Seconds of the quickest way to a crossing on another floor, and which of the start's gates it takes."""
        near = self._near[start]
        if not len(near):
            return float("inf"), -1
        sums = self._inside[start] + self._away[end][near]
        which = int(sums.argmin())
        return float(sums[which]), which

    def passed(self, start: int, end: int, which: int) -> Iterator[int]:
        """The crossings of that way, from the first to the last."""
        number = int(self._near[start][which])
        gate, at = self._gates[number], start
        while at != gate:
            yield at
            at = self._after[at][which]
        before, back, at = self._before[number], list[int](), end
        while at != gate:
            back.append(at)
            at = int(before[at])
        yield gate
        yield from reversed(back)
