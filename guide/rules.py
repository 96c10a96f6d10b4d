"""Which of the open steps comes next: where one is called, then where one waits, then by turn and queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from words.guide import preparation

Step = Mapping[str, Any]

OPEN = frozenset({"placed", "checked_in", "called"})
# Seeing the doctor comes after the examinations that were ordered meanwhile; medicines are fetched last.
_TURN = {"registration": 0, "lab": 1, "imaging": 1, "procedure": 2, "consultation": 3, "medication": 4}
_MANY = 1_000


def said(step: Step) -> dict[str, Any]:
    """A step with its preparation in sentences instead of codes."""
    return dict(step) | {"preparation": preparation(list(step.get("preparation") or ()))}


def ready(step: Step) -> tuple[str, ...]:
    """How to prepare for a step that is ``said``: the hospital's own note first, in the place of what it repeats."""
    sentences, note = tuple(step["preparation"]), step.get("note")
    if not note:
        return sentences
    return (note,) if len(sentences) == 1 else (note, *sentences)


def in_order(steps: Iterable[Step]) -> list[Step]:
    """As they were ordered."""
    return sorted(steps, key=lambda s: int(s["rank"]))


def next_step(steps: Sequence[Step]) -> Step | None:
    """The step to do now, or None when nothing is open.

    Called comes first, reported and waiting second; then what belongs before the rest of the visit, examinations in
    the order advised, and of several doors without one the one with the shortest queue.
    """
    going = [s for s in steps if s["state"] in OPEN]
    return min(going, key=_turn, default=None)


# How long one patient takes at such a door, in minutes, at least and at most; nobody has measured this hospital's yet.
_EACH = {
    "registration": (1, 3),
    "lab": (1, 4),
    "imaging": (5, 12),
    "procedure": (8, 20),
    "consultation": (5, 12),
    "medication": (1, 3),
}
_FRESH = timedelta(minutes=15)
_ROUND = 5  # minutes
_SPREAD, _WIDER = 0.33, 60  # a third either way, and in an hour as much again as it is


@dataclass(frozen=True, slots=True)
class Turn:
    """About when it is somebody's turn, by what the hospital said at ``heard``; ``old``: it may have changed since.

    ``passed``: by that word it should have been by now.
    """

    begin: datetime
    end: datetime
    heard: datetime
    old: bool
    passed: bool


def turn_of(step: Step, now: datetime) -> Turn | None:
    """About when it is this step's turn, the wider the older the hospital's word of the queue is.

    None where it has said nothing of a queue, or it is over. ``minutes`` of a step is what one patient takes there by
    the hospital's file; without it, it is what such doors take.
    """
    if step["state"] not in ("placed", "checked_in") or step.get("ahead") is None or not step.get("queue_at"):
        return None
    heard = datetime.fromisoformat(str(step["queue_at"]))
    age = max(0.0, (now - heard).total_seconds() / 60)
    least, most = _EACH.get(step["kind"], (5, 15))
    if step.get("minutes"):
        spread = min(1.0, _SPREAD + age / _WIDER)
        least, most = step["minutes"] * (1 - spread), step["minutes"] * (1 + spread)
    begin = _down(heard + timedelta(minutes=least * step["ahead"]))
    later = age / 4 if now - heard > _FRESH else 0.0
    end = _down(heard + timedelta(minutes=most * (step["ahead"] + 1) + later + _ROUND - 1))
    return Turn(begin, end, heard, old=now - heard > _FRESH, passed=now > end)


def _down(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute - moment.minute % _ROUND, second=0, microsecond=0)


def _turn(step: Step) -> tuple[int, int, int, int, int]:
    called = {"called": 0, "checked_in": 1}.get(step["state"], 2)
    ahead = step["ahead"] if step["ahead"] is not None else _MANY
    planned = step.get("planned")
    # An examination whose place is planned stands among the others, whatever its kind.
    turn = _TURN.get(step["kind"], 2) if planned is None else _TURN["lab"]
    return called, turn, _MANY if planned is None else planned, ahead, int(step["rank"])
