"""Everybody who is on the way, lot by lot: small enough that others are served between two of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST = 5_000
"""So many visits a look goes over."""
AT_ONCE = 50


async def lots(ones: Sequence[T], size: int = AT_ONCE) -> AsyncIterator[Sequence[T]]:
    """The same, so many at a time; between two of them whoever else waits has their turn."""
    for at in range(0, len(ones), size):
        yield ones[at : at + size]
        await asyncio.sleep(0)
