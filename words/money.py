"""How an amount, a time and a name are written for a person."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from kernel.money import yuan

SHANGHAI = ZoneInfo("Asia/Shanghai")


def rmb(fen: int) -> str:
    """``7760`` -> ``¥77.60``; a minus stands before the sign."""
    return f"-¥{yuan(-fen)}" if fen < 0 else f"¥{yuan(fen)}"


def day(at: datetime, now: datetime) -> str:
    """今天, 明天, 昨天, else 11月20日, with the year when it is another one."""
    local, today = at.astimezone(SHANGHAI).date(), now.astimezone(SHANGHAI).date()
    near = {timedelta(0): "今天", timedelta(1): "明天", timedelta(-1): "昨天"}
    if (local - today) in near:
        return near[local - today]
    written = f"{local.month}月{local.day}日"
    return written if local.year == today.year else f"{local.year}年{written}"


def clock(at: datetime) -> str:
    """``09:31`` in Shanghai."""
    return at.astimezone(SHANGHAI).strftime("%H:%M")


def when(at: datetime, now: datetime) -> str:
    """今天 16:20 · 明天 09:00 · 11月20日 10:05."""
    return f"{day(at, now)} {clock(at)}"


def date(at: datetime) -> str:
    """``2026年11月20日``, as papers say it, which are read on other days, too."""
    local = at.astimezone(SHANGHAI)
    return f"{local.year}年{local.month}月{local.day}日"


def moment(at: datetime) -> str:
    """``2026年11月20日 09:31``."""
    return f"{date(at)} {clock(at)}"


def masked(name: str) -> str:
    """张明 -> 张*, 欧阳小明 -> 欧***; one character stays hidden as *."""
    return name[0] + "*" * (len(name) - 1) if len(name) > 1 else "*"
