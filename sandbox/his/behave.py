"""How to make the hospital's system misbehave on command, one fault at a time.

| fault | where | what happens |
|---|---|---|
| ``down`` | commands, questions | 503 without doing anything |
| ``silent`` | commands, questions | says nothing for ``seconds`` (6), does nothing, then 503 |
| ``slow`` | commands, questions | waits ``seconds`` (6), then does and answers |
| ``late`` | commands | does it at once, answers after ``seconds`` (6) |
| ``500_after`` | commands | does it, answers 500 |
| ``garbage`` | commands | does it, answers 200 with something that is not the contract |
| ``other_key`` | commands | does it, answers for another key |
| ``refuse_abandon`` | commands | the order turns out to be performed this very moment; refused ``performed`` |
| ``refuse_move`` | commands | no other time is free for the examination; refused ``full`` |
| ``taken`` | book | somebody else has taken the last place this very moment; refused ``taken`` |
| ``row_missing`` | settlement list | its first line with money in it is not there |
| ``row_extra`` | settlement list | a line nobody told the system of |
| ``row_differing`` | settlement list | the first line's amount is one fen more |
| ``row_insured`` | settlement list | a fen of the insurance's fund is said to be the personal account's |
| ``row_uninsured`` | settlement list | it says nothing of the insurance |
| ``no_list`` | settlement list | 404: this system cannot answer that |
| ``repeat`` | events | the next batch is said once more later, same ids |
| ``bad_signature`` | events | the next batch is signed with a wrong secret |
| ``stale`` | events | the next batch is dated ten minutes ago |
| ``old_events`` | events | before the next batch, a visit's first item is said again: old sequence, other doctor |
| ``bad_items`` | events | three impossible items among the next batch |
| ``hold`` | events | nothing is sent |
| ``lose`` | events | the next batch is never said; only a snapshot can tell it |

``times`` says how often (None: until cleared); ``kinds`` limits a command fault to some kinds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

COMMAND_FAULTS = (
    "down", "silent", "slow", "late", "500_after", "garbage", "other_key", "refuse_abandon", "refuse_move", "taken",
)  # fmt: skip
EVENT_FAULTS = ("repeat", "bad_signature", "stale", "old_events", "bad_items", "hold", "lose")
LIST_FAULTS = ("row_missing", "row_extra", "row_differing", "row_insured", "row_uninsured", "no_list")
FAULTS = COMMAND_FAULTS + EVENT_FAULTS + LIST_FAULTS


@dataclass(slots=True)
class Fault:
    """One fault that is switched on."""

    name: str
    times: int | None = 1
    seconds: float = 6.0
    kinds: tuple[str, ...] = ()


class Behaviour:
    """The faults that are on, at most one of each name."""

    def __init__(self) -> None:
        self._on: dict[str, Fault] = {}

    def be(self, name: str, times: int | None = 1, seconds: float = 6.0, kinds: Sequence[str] = ()) -> None:
        """Switch a fault on, or change it.

        Raises:
            ValueError: there is no such fault.
        """
        if name not in FAULTS:
            raise ValueError(f"no such fault: {name}")
        self._on[name] = Fault(name, times, seconds, tuple(kinds))

    def good(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        if name is None:
            self._on.clear()
        else:
            self._on.pop(name, None)

    def take(self, name: str, kind: str | None = None) -> Fault | None:
        """The fault, counted as used once, if it is on and meant for this kind of command."""
        fault = self._on.get(name)
        if fault is None or (fault.kinds and kind not in fault.kinds):
            return None
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                del self._on[name]
        return fault

    def show(self) -> list[dict[str, Any]]:
        """What is on, for the stage."""
        return [asdict(f) for f in self._on.values()]
