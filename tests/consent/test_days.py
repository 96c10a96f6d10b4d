"""What a letter that comes or goes means for the visits of a day: the mark is looked at again when one is reopened."""

from datetime import timedelta

from sqlalchemy import select

from consent.service import contracts
from people.service import hospitals
from tests.consent.conftest import House
from visits.models import HisCall, Visit
from visits.rules import ModeChange
from visits.service import encounters


async def comes(house: House, number: str) -> Visit:
    """She registers with a department."""
    async with house.db.begin() as tx:
        hospital = await hospitals.by_id(tx, house.hospital)
        fact = encounters.EncounterFact(number, house.mother, "AMB", "CARD", None, "normal", "employee", tx.now, 1)
        return await encounters.start(tx, hospital, fact)


async def goes(house: House, number: str) -> None:
    """The department has finished with her."""
    house.clock.move(timedelta(minutes=10))
    async with house.db.begin() as tx:
        await encounters.finish(tx, await hospitals.by_id(tx, house.hospital), number, tx.now)


async def gives_back(house: House) -> None:
    """She ends the service; what is open today is told so, as the application wires it."""
    async with house.db.begin() as tx:
        await contracts.withdraw(tx, house.person(house.mother), house.hospital, house.mother)
        await encounters.unmark_open_visits(tx, house.hospital, house.mother, ModeChange.WITHDRAWN)


async def told(house: House) -> list[str]:
    """What the hospital was told, in order."""
    async with house.db.begin() as tx:
        return list(await tx.session.scalars(select(HisCall.kind).order_by(HisCall.turn)))


async def test_given_back_after_the_visit_it_covers_no_more_of_the_day(house: House) -> None:
    """Seen in the morning under her letter, given back at noon: the afternoon is paid first, and the hospital knows."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    assert (await comes(house, "E1")).mode == "DEFERRED"
    await goes(house, "E1")
    await gives_back(house)
    visit = await comes(house, "E2")
    assert (visit.state, visit.mode, visit.mode_reason) == ("open", "UPFRONT", "withdrawn")
    assert await told(house) == ["mark", "unmark"]


async def test_paused_after_the_visit_it_covers_no_more_of_the_day(house: House) -> None:
    """Suspended over an old debt at noon: the same."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    await comes(house, "E1")
    await goes(house, "E1")
    async with house.db.begin() as tx:
        await contracts.suspend(tx, house.hospital, house.mother, "arrears")
    assert (await comes(house, "E2")).mode == "UPFRONT"


async def test_while_it_stands_the_day_goes_on_under_it(house: House) -> None:
    """Nothing changed at noon: the afternoon is marked as the morning was, and the hospital is told of it too."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    await comes(house, "E1")
    await goes(house, "E1")
    assert (await comes(house, "E2")).mode == "DEFERRED"
    assert await told(house) == ["mark", "mark"]


async def test_signed_again_between_two_departments_it_covers_the_second(house: House) -> None:
    """Given back while she is seen, signed again in the waiting hall after: what begins then is paid afterwards."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    await comes(house, "E1")
    await gives_back(house)
    await goes(house, "E1")
    await house.signed(house.mother)
    assert (await comes(house, "E2")).mode == "DEFERRED"
    assert await told(house) == ["mark", "unmark", "mark"]
