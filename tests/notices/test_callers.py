"""Is it really the hospital: digits both sides see, digits in a text, and a limit on guessing."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from kernel.db import Tx
from kernel.errors import NotFoundError
from notices.service import codes
from tests.notices.conftest import Reach
from tests.notices.test_reach import queue


async def test_both_sides_see_the_same_for_ten_minutes(reach: Reach) -> None:
    """The guide looks before phoning: the same four digits as on the mother's phone, others a period later, and
    others than anybody else's; the look is written down."""
    mother, clerk = reach.person("mother"), reach.ward.actors["g.guide"]
    shown = await reach.do(lambda tx: codes.staff_code(tx, clerk, mother))
    mine = await reach.do(lambda tx: codes.caller_code(tx, reach.ward.hospital, mother))
    assert shown == mine
    assert len(mine.digits) == 4
    assert mine.until - reach.ward.clock.time <= codes.PERIOD
    seen = set()
    for _ in range(8):
        seen.add((await reach.do(lambda tx: codes.caller_code(tx, reach.ward.hospital, mother))).digits)
        reach.ward.clock.move(codes.PERIOD)
    other = await reach.do(lambda tx: codes.caller_code(tx, reach.ward.hospital, reach.person("daughter")))
    assert len(seen | {other.digits}) > 6
    looks = await reach.do(lambda tx: codes.looks_of(tx, mother))
    assert [(look.staff_id, look.patient_id) for look in looks] == [(clerk.id, mother)]


async def test_who_may_not_look(reach: Reach) -> None:
    """A doctor without the role's view, a patient, and staff asking for a stranger: not found, nothing written."""
    stranger = reach.ward.actors["mother"]
    for who, patient in ((stranger, reach.person("daughter")), (reach.ward.actors["g.guide"], reach.ward.hospital)):
        with pytest.raises(NotFoundError):
            await reach.do(partial(codes.staff_code, staff=who, patient_id=patient))
    assert await reach.rows("SELECT count(*) FROM caller_look") == [(0,)]


async def test_looks_are_limited(reach: Reach) -> None:
    """Sixty in an hour is more than anybody phones."""
    clerk = reach.ward.actors["g.guide"]

    async def many(tx: Tx) -> None:
        for _ in range(codes.LOOKS_AN_HOUR):
            await codes.staff_code(tx, clerk, reach.person("mother"))
            await tx.session.flush()

    await reach.do(many)
    with pytest.raises(codes.TooManyLooksError):
        await reach.do(lambda tx: codes.staff_code(tx, clerk, reach.person("mother")))


async def test_digits_of_a_text_are_hers_alone(reach: Reach) -> None:
    """The text she got is ours, at that time; the same digits are nobody else's; five wrong ones and it is shut, for
    right ones too, for ten minutes."""
    await reach.wish("mother", basic=True)
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    digits = next(texts[-1] for channel, *_, texts in reach.outside.log if channel == "sms")
    mother, daughter = reach.person("mother"), reach.person("daughter")

    async def check(who: Any, given: str) -> codes.Verdict:
        found = await reach.do(lambda tx: codes.check_message(tx, who, given))
        assert isinstance(found, codes.Verdict)
        return found

    assert (await check(mother, f" {digits} ")).subject == reach.ward.visit
    assert not (await check(daughter, digits)).right
    wrong = f"{(int(digits) + 1) % 10000:04d}"
    for _ in range(codes.TRIES):
        assert not (await check(mother, wrong)).right
    with pytest.raises(codes.TooManyTriesError):
        await check(mother, digits)
    reach.ward.clock.move(timedelta(minutes=11))
    assert (await check(mother, digits)).right
