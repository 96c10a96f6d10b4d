"""Our client of the city's credit platform against the sandbox's."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adapters.credit import CityCredit, CreditSettings
from consent.ports import CreditRecord
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from sandbox import credit as sandbox

CLEAN, MINOR, SERIOUS = "999901195503089023", "999901195503089074", "999901195503089082"


@dataclass
class Platform:
    """Both ends."""

    world: sandbox.World
    client: CityCredit
    settings: CreditSettings


@pytest.fixture
async def platform(clock: Any, serving: Any) -> AsyncIterator[Platform]:
    world = sandbox.World("K1", "s" * 32, clock, silence=3)
    async with serving(sandbox.build(world)) as base:
        settings = CreditSettings(base, "K1", "s" * 32)
        client = CityCredit(settings, clock, Guard("credit", deadline=5), timeout=(2, 2))
        yield Platform(world, client, settings)
        await client.close()


@pytest.mark.parametrize(("number", "serious"), [(CLEAN, False), (MINOR, False), (SERIOUS, True)])
async def test_its_word_is_taken(platform: Platform, number: str, serious: bool) -> None:
    """Only a serious record bars; the platform's own number comes along."""
    assert await platform.client.record_of(number, "示例甲", "Q1") == CreditRecord(serious, "CR00000001")
    assert platform.world.asked == [{"request_id": "Q1", "purpose": "medical_deferred_payment"}]


@pytest.mark.parametrize("misdeed", ["error", "silent", "forge", "stale", "other", "garbage"])
async def test_what_cannot_be_believed_is_unknown(platform: Platform, misdeed: str) -> None:
    """No answer, a forged, old, foreign or broken one: we know nothing, and the next question works."""
    platform.world.do, platform.world.times = misdeed, 1
    with pytest.raises(Unknown):
        await platform.client.record_of(SERIOUS, "示例甲", "Q1")
    assert (await platform.client.record_of(SERIOUS, "示例甲", "Q2")).serious


async def test_a_definite_no(platform: Platform, clock: Any) -> None:
    """An identity it does not know, and a customer it does not know."""
    platform.world.do, platform.world.times = "unknown", 1
    with pytest.raises(Rejected, match="HTTP_404"):
        await platform.client.record_of(CLEAN, "示例甲", "Q1")
    stranger = CityCredit(replace(platform.settings, secret="another"), clock)
    with pytest.raises(Rejected, match="HTTP_401"):
        await stranger.record_of(CLEAN, "示例甲", "Q2")
    await stranger.close()


def test_half_a_configuration_is_none(clock: Any) -> None:
    """The missing setting is named."""
    with pytest.raises(NotConfigured, match=r"credit\.secret"):
        CityCredit(CreditSettings("http://127.0.0.1:1", "K1", ""), clock)
