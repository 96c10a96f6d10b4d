"""The wall around an outside system: breaker, bulkhead, deadline."""

import asyncio

import pytest

from kernel.outside import Breaker, Guard, Rejected, Throttled, Unknown


async def _unknown() -> str:
    raise Unknown("silence")


async def _rejected() -> str:
    raise Rejected("NO")


async def _fine() -> str:
    return "yes"


async def test_a_failed_probe_keeps_it_shut() -> None:
    """Two silences open the breaker; after the rest one probe goes out, fails, and it rests again."""
    time = [0.0]
    guard = Guard("x", breaker=Breaker(failures=2, rest=10, monotonic=lambda: time[0]))
    for _ in range(2):
        with pytest.raises(Unknown):
            await guard.call(_unknown)
    time[0] = 11.0
    with pytest.raises(Unknown):
        await guard.call(_unknown)
    with pytest.raises(Throttled):
        await guard.call(_fine)
    time[0] = 22.0
    assert await guard.call(_fine) == "yes"
    assert not guard.breaker.is_open


async def test_only_one_probe_at_a_time() -> None:
    """While the probe is out, others are turned away; a probe whose caller gave up frees its place."""
    time = [0.0]
    guard = Guard("x", breaker=Breaker(failures=1, rest=10, monotonic=lambda: time[0]))
    with pytest.raises(Unknown):
        await guard.call(_unknown)
    time[0] = 11.0
    forever = asyncio.Event()
    probe = asyncio.create_task(guard.call(forever.wait))
    await asyncio.sleep(0)
    with pytest.raises(Throttled):
        await guard.call(_fine)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert await guard.call(_fine) == "yes"


async def test_a_no_is_an_answer() -> None:
    """Refusals do not open the breaker, and they end a row of silences."""
    guard = Guard("x", breaker=Breaker(failures=2))
    for call in (_unknown, _rejected, _unknown, _rejected):
        with pytest.raises((Unknown, Rejected)):
            await guard.call(call)
    assert await guard.call(_fine) == "yes"


async def test_the_deadline_makes_it_unknown() -> None:
    """A call that outlives its deadline is unknown, and its place is free again."""
    guard = Guard("x", places=1, deadline=0.02, wait=0.02)
    with pytest.raises(Unknown, match="no answer"):
        await guard.call(asyncio.Event().wait)
    assert await guard.call(_fine) == "yes"
