"""The platform is asked before the letter opens; what it said is kept with its age."""

from datetime import timedelta
from uuid import UUID

import pytest

from consent import flows
from consent.models import CreditAnswer
from consent.ports import CreditRecord
from consent.service import standing
from kernel.outside import OutsideError, Rejected, Unknown
from tests.consent.conftest import House


class City:
    """Answers as told."""

    def __init__(self) -> None:
        self.answer: CreditRecord | OutsideError = CreditRecord(False, "C1")
        self.asked: list[tuple[str, str]] = []

    async def record_of(self, id_number: str, name: str, request_id: str) -> CreditRecord:
        """One person."""
        self.asked.append((id_number, name))
        if isinstance(self.answer, OutsideError):
            raise self.answer
        return self.answer


async def _kept(house: House, who: UUID) -> tuple[bool, str] | None:
    async with house.db.begin() as tx:
        row = await tx.get(CreditAnswer, who)
        return None if row is None else (row.serious, row.reference)


async def test_asked_once_a_day(house: House) -> None:
    """The first question is asked, the second within a day is not, the third a day later is."""
    city = City()
    for _ in range(2):
        assert await flows.check_credit(house.db, city, house.hospital, house.mother)
    assert city.asked == [("999901195503089023", "示例甲")]
    house.clock.move(timedelta(days=1, seconds=1))
    city.answer = CreditRecord(True, "C2")
    assert await flows.check_credit(house.db, city, house.hospital, house.mother)
    assert (len(city.asked), await _kept(house, house.mother)) == (2, (True, "C2"))


@pytest.mark.parametrize("trouble", [Unknown("down"), Rejected("HTTP_404")])
async def test_no_answer_and_no_such_person(house: House, trouble: OutsideError) -> None:
    """Down: nothing is kept and she is told so; unknown to the platform: nothing serious is on record."""
    city = City()
    city.answer = trouble
    known = await flows.check_credit(house.db, city, house.hospital, house.mother)
    kept = await _kept(house, house.mother)
    if isinstance(trouble, Unknown):
        assert (known, kept) == (False, None)
    else:
        assert known
        assert kept is not None
        assert (kept[0], kept[1].startswith("HTTP_404/")) == (False, True)


async def test_a_standing_contract_is_asked_about_again(house: House) -> None:
    """Days later the sweeper asks; a serious record now means the next visit is not covered."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    city = City()
    assert await flows.refresh_credit(house.db, city) == 0
    house.clock.move(timedelta(days=2))
    city.answer = CreditRecord(True, "C3")
    assert await flows.refresh_credit(house.db, city) == 1
    async with house.db.begin() as tx:
        assert not await standing.covers(tx, house.hospital, house.mother, "normal")
