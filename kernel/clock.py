"""The one place that knows what time it is: the database's clock in production, a hand-moved one in tests."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

CHINA = ZoneInfo("Asia/Shanghai")
_NOW = text("SELECT clock_timestamp()")


class Clock(Protocol):
    """Answers once per transaction what time it is there, aware UTC."""

    async def now(self, session: AsyncSession) -> datetime:
        """Read the time; the session is open and may be used to ask the server."""
        ...


class ServerClock:
    """Production: PostgreSQL's clock, so that every process and machine agrees.

    It is asked every few seconds; in between we count the seconds ourselves (those since boot, which nobody can set),
    so that a transaction does not begin with a question. The error is half the way to the server and back.
    """

    ASK_EVERY = 5.0  # seconds; a server clock that is set anew is followed within it

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._answer = datetime.min.replace(tzinfo=UTC)

    async def now(self, session: AsyncSession) -> datetime:
        """The server's time."""
        mark = since_boot()
        if self._asked_at is None or mark - self._asked_at > self.ASK_EVERY:
            answer: datetime = (await session.execute(_NOW)).scalar_one()
            back = since_boot()
            self._asked_at, self._answer = (mark + back) / 2, answer.astimezone(UTC)
            mark = back
        return self._answer + timedelta(seconds=mark - self._asked_at)


class ManualClock:
    """Tests and simulations: stands still until moved.

    Args:
        start: aware datetime.
    """

    def __init__(self, start: datetime) -> None:
        self.time = start.astimezone(UTC)

    async def now(self, session: AsyncSession) -> datetime:
        """The time it was last set to."""
        return self.time

    def move(self, by: timedelta) -> None:
        """Let ``by`` pass (or un-pass)."""
        self.time += by


def since_boot() -> float:
    """Seconds since this machine started, asleep or awake; no setting of the clock moves it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def wall_clock() -> datetime:
    """This machine's time, aware UTC: for signatures' freshness and logs, never for deadlines."""
    return datetime.now(UTC)


def china_day(moment: datetime) -> date:
    """The calendar day in China of an aware moment: a visit is a day there, whatever the server's zone."""
    return moment.astimezone(CHINA).date()
