"""The one place that knows what time it is: the database's clock in production, a hand-moved one in tests."""

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
    """Production: PostgreSQL's clock, so that every process and machine agrees."""

    async def now(self, session: AsyncSession) -> datetime:
        """Ask the server."""
        moment: datetime = (await session.execute(_NOW)).scalar_one()
        return moment.astimezone(UTC)


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


def wall_clock() -> datetime:
    """This machine's time, aware UTC: for signatures' freshness and logs, never for deadlines."""
    return datetime.now(UTC)


def china_day(moment: datetime) -> date:
    """The calendar day in China of an aware moment: a visit is a day there, whatever the server's zone."""
    return moment.astimezone(CHINA).date()
