"""The visit pass at a desk: who is let in by which code, and that every refused code changes nothing."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from kernel.crypto import Vault
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from people.rules import Actor, ActorKind, Role
from people.service import patients
from tests.visits.ward import Ward, visit_row
from visits.models import PassUse, Visit
from visits.service import orders, passes
from visits.service.passes import Scanned

HALF_MINUTE = timedelta(seconds=30)


async def live(ward: Ward) -> str:
    """The code on the mother's phone now."""
    async with ward.world.db.begin() as tx:
        return passes.live_code(tx.vault, await visit_row(tx, ward), tx.now)


async def kept(ward: Ward) -> str:
    """The code on her paper."""
    async with ward.world.db.begin() as tx:
        return passes.kept_code(tx.vault, await visit_row(tx, ward))


async def scan(ward: Ward, desk: str | Actor, code: str) -> Scanned:
    """A desk scans."""
    actor = ward.actors[desk] if isinstance(desk, str) else desk
    async with ward.world.db.begin() as tx:
        return await passes.scan(tx, actor, code)


async def uses(ward: Ward) -> int:
    """How many scans counted."""
    async with ward.world.db.begin() as tx:
        return await tx.session.scalar(select(func.count()).select_from(PassUse)) or 0


async def refused(ward: Ward, desk: str | Actor, code: str, error: type[HoufuError]) -> None:
    """The scan is refused, nobody is reported, nothing is kept."""
    before = (await uses(ward), await ward.state("blood"), await ward.state("ecg"))
    with pytest.raises(error):
        await scan(ward, desk, code)
    assert (await uses(ward), await ward.state("blood"), await ward.state("ecg")) == before


async def test_a_live_code_reports_her_once_at_each_desk(ward: Ward) -> None:
    """Blood desk: reported without a question for the name. Again: already. The ECG desk takes the same code."""
    code = await live(ward)
    found = await scan(ward, "k.blood", code)
    assert (found.grade, found.check_name, [o.id for o in found.checked_in]) == ("live", False, [ward.orders["blood"]])
    assert (await ward.state("blood"), await ward.state("ecg")) == ("checked_in", "placed")
    await refused(ward, "k.blood", code, passes.PassUsedError)
    ward.clock.move(HALF_MINUTE)
    await refused(ward, "k.blood", await live(ward), passes.PassUsedError)
    assert [o.id for o in (await scan(ward, "k.ecg", code)).checked_in] == [ward.orders["ecg"]]
    assert await uses(ward) == 2


async def test_a_live_code_lives_for_its_half_minute_and_the_next(ward: Ward) -> None:
    """A screenshot sent on is worthless a minute later; a code of a clock that runs ahead is no code."""
    code = await live(ward)
    ward.clock.move(2 * HALF_MINUTE)
    await refused(ward, "k.blood", code, passes.PassExpiredError)
    ahead = await live(ward)
    ward.clock.move(-HALF_MINUTE)
    await refused(ward, "k.blood", ahead, passes.PassFutureError)
    assert (await scan(ward, "k.blood", code)).checked_in


async def test_a_kept_code_serves_the_day_and_has_the_name_checked(ward: Ward) -> None:
    """Paper at 11:00 and at 18:00, not tomorrow, not yesterday; the desk is told to ask for the name."""
    code = await kept(ward)
    found = await scan(ward, "k.blood", code)
    assert (found.grade, found.check_name) == ("kept", True)
    await refused(ward, "k.blood", code, passes.PassUsedError)
    ward.clock.move(timedelta(hours=7))
    assert (await scan(ward, "k.ecg", code)).checked_in
    ward.clock.move(timedelta(hours=10))
    await refused(ward, "k.blood", code, passes.PassExpiredError)
    ward.clock.move(timedelta(days=-2))
    await refused(ward, "k.blood", code, passes.PassFutureError)


async def test_forged_codes_are_refused(ward: Ward) -> None:
    """Any changed byte, another house's key, a stranger's name on her visit, and rubbish."""
    code = await live(ward)
    for place in range(len(passes.PREFIX), len(code), 5):
        other = code[:place] + ("A" if code[place] != "A" else "B") + code[place + 1 :]
        await refused(ward, "k.blood", other, passes.PassForgedError)
    stolen = Vault({1: b"x" * 32}, b"y" * 32)
    async with ward.world.db.begin() as tx:
        visit = await visit_row(tx, ward)
        swapped = passes.Token(True, visit.id, ward.actors["stranger"].id, passes.step_of(tx.now))
        made = [passes.live_code(stolen, visit, tx.now), passes._write(tx.vault, swapped)]
    for wrong in [*made, "HFP", "HFP!!!!", "12", "", "O999", code + "A"]:
        await refused(ward, "k.blood", wrong, passes.PassForgedError)


async def test_a_good_code_at_another_hospital_is_foreign(ward: Ward) -> None:
    """The same city, another hospital's desk."""
    elsewhere = Actor(ActorKind.STAFF, uuid4(), uuid4(), Role.DESK, "BLOOD")
    await refused(ward, elsewhere, await live(ward), passes.PassForeignError)
    await refused(ward, elsewhere, await kept(ward), passes.PassForeignError)


async def test_only_desks_check_people_in(ward: Ward) -> None:
    """A doctor and a cashier scan: refused."""
    for who in ("d.card", "c.cash"):
        await refused(ward, who, await live(ward), ForbiddenError)


async def test_nothing_to_do_here_is_said_and_not_counted(ward: Ward) -> None:
    """After the blood was drawn the same desk has nothing for her; the guide desk reports what is left."""
    await ward.perform("blood")
    await refused(ward, "k.blood", await live(ward), passes.NothingHereError)
    left = await scan(ward, "g.guide", await live(ward))
    assert {o.id for o in left.checked_in} == {ward.orders["ecg"], ward.orders["gyn"]}


async def test_the_code_of_a_printed_order_serves_its_own_desk(ward: Ward) -> None:
    """The blood slip at the ECG desk: the wrong one. At the blood desk: reported, name checked; again: already."""
    async with ward.world.db.begin() as tx:
        order = await orders.order_by_id(tx, ward.orders["blood"])
        assert order is not None
        link = f"https://houfu.test/o/{order.paper_code}"
    await refused(ward, "k.ecg", link, passes.WrongDepartmentError)
    found = await scan(ward, "k.blood", link)
    assert (found.grade, found.check_name, await ward.state("blood")) == ("paper", True, "checked_in")
    await refused(ward, "k.blood", link, passes.PassUsedError)


async def test_a_typed_number_finds_her_and_reports_nothing(ward: Ward) -> None:
    """Read aloud at the desk: the list shows her order, the desk reports by hand after asking the name."""
    async with ward.world.db.begin() as tx:
        number = (await visit_row(tx, ward)).number
    found = await scan(ward, "k.blood", number)
    assert (found.grade, found.check_name, [o.id for o in found.orders]) == ("number", True, [ward.orders["blood"]])
    assert (await ward.state("blood"), await uses(ward)) == ("placed", 0)
    await refused(ward, "k.blood", "0000000000", NotFoundError)
    async with ward.world.db.begin() as tx:  # somebody else's visit of today happens to have the same ten digits
        hers = await visit_row(tx, ward)
        other = await patients.known(tx, hers.hospital_id, patients.PatientFact("P-other", "示例癸"))
        same = ("hospital_id", "day", "number", "mode", "state", "opened_at")
        tx.add(Visit(id=uuid4(), patient_id=other.id, stages={}, **{name: getattr(hers, name) for name in same}))
    await refused(ward, "k.blood", number, NotFoundError)


async def test_two_scanners_at_one_desk_count_once(ward: Ward) -> None:
    """Both scan in the same moment: one reports her, the other is told that she has reported."""
    code = await live(ward)
    both = await asyncio.gather(*(scan(ward, "k.blood", code) for _ in range(4)), return_exceptions=True)
    assert sorted(type(r).__name__ for r in both) == ["PassUsedError"] * 3 + ["Scanned"]
    assert await uses(ward) == 1
