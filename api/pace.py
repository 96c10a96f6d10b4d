"""Whoever tries tokens that do not exist is soon answered no more, for a while; right ones are not counted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from family_pay.rules import PayLinkGoneError
from kernel.errors import HoufuError, Kind

WRONG_AT_MOST = 30
WITHIN = 600.0  # seconds
_KNOWN_AT_MOST = 10_000


class TooManyWrongError(HoufuError):
    """Thirty addresses of nothing within ten minutes, from one place."""

    code = "too_many_tries"
    kind = Kind.TOO_MANY


class Pace:
    """Wrong tries by place. In memory only: where somebody calls from is not ours to keep."""

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[float, int]] = {}

    def check(self, place: str, now: float) -> None:
        """Let a try through.

        Raises:
            TooManyWrongError: too many wrong ones.
        """
        began, count = self._wrong.get(place, (now, 0))
        if count >= WRONG_AT_MOST and now - began < WITHIN:
            raise TooManyWrongError

    def wrong(self, place: str, now: float) -> None:
        """Count a wrong one."""
        began, count = self._wrong.get(place, (now, 0))
        if now - began >= WITHIN:
            began, count = now, 0
        if place not in self._wrong and len(self._wrong) >= _KNOWN_AT_MOST:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong[place] = began, count + 1


@contextmanager
def slow_down(request: Request) -> Iterator[None]:
    """Around looking a token up.

    Raises:
        TooManyWrongError: this place has tried too many that do not exist.
    """
    pace: Pace = request.app.state.world.extras.setdefault("pace", Pace())
    place = request.client.host if request.client else ""
    pace.check(place, time.monotonic())
    try:
        yield
    except PayLinkGoneError:
        pace.wrong(place, time.monotonic())
        raise
