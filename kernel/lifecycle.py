"""A lifecycle is a table of edges, each with the name of the fact it makes; any other move is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from kernel.errors import IllegalTransitionError

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True)  # no slots: typing writes to an instance of a generic
class Lifecycle(Generic[S]):
    """The states of one kind of thing and how it may move between them.

    Attributes:
        name: what moves, as ``docs/states.md`` titles it.
        edges: (from, to) → name of the fact; ``None`` is where a thing begins.
    """

    name: str
    edges: Mapping[tuple[S | None, S], str]

    def move(self, before: S | None, after: S) -> str:
        """The fact that this move makes.

        Raises:
            IllegalTransitionError: the table has no such edge.
        """
        fact = self.edges.get((before, after))
        if fact is None:
            raise IllegalTransitionError(what=self.name, before=str(before), after=str(after))
        return fact

    def allows(self, before: S | None, after: S) -> bool:
        """Whether the table has this edge."""
        return (before, after) in self.edges
