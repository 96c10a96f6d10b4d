"""When a door, a lift or a corridor is open: the plain part of the ``opening_hours`` writing that maps use."""

import re
from datetime import datetime

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_ALWAYS = frozenset({"", "24/7", "00:00-24:00"})
Week = tuple[tuple[tuple[int, int], ...], ...]
"""Monday to Sunday, each with its spans in minutes of the day."""


def parse(text: str) -> Week | None:
    """``Mo-Fr 08:00-12:00,13:30-17:00; Sa 08:00-12:00``; None for always open.

    A later rule replaces an earlier one for its days, as the writing has it; ``off`` closes.

    Raises:
        ValueError: a part of it is written in a way we do not know.
    """
    if text.strip() in _ALWAYS:
        return None
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for rule in filter(None, (part.strip() for part in text.split(";"))):
        days, _, times = rule.rpartition(" ")
        spans = () if times in ("off", "closed") else tuple(_span(t) for t in times.split(","))
        for day in _days(days.strip()):
            week[day] = spans
    return tuple(week)


def is_open(week: Week | None, local: datetime) -> bool:
    """Whether it is open at this moment of the hospital's own clock."""
    if week is None:
        return True
    minute = local.hour * 60 + local.minute
    yesterday = week[(local.weekday() - 1) % 7]
    return any(begin <= minute < end for begin, end in week[local.weekday()]) or any(
        minute < end - 24 * 60 for _, end in yesterday
    )


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no span of time")
    begin, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    return begin, end if end > begin else end + 24 * 60


def _days(text: str) -> list[int]:
    if not text:
        return list(range(7))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"{part!r} is no day")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found += [d % 7 for d in range(begin, end + 1 if end >= begin else end + 8)]
    return found
