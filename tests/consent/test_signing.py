"""The letter is read by the server's clock and signed by the right hand, or not at all."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, event, select

from consent import flows
from consent.events import ContractSigned, ContractWithdrawn
from consent.models import Contract, Evidence, Reading
from consent.rules import (
    AlreadySignedError,
    BadNonceError,
    CodeError,
    FieldMissingError,
    GuardianNeededError,
    LetterChangedError,
    NameMismatchError,
    NotEligibleError,
    ReadingOverError,
    Refusal,
    SignerRole,
    TooEarlyError,
)
from consent.service import contracts, evidence, letters, reading, standing
from consent.service.signing import Signature
from kernel.errors import ForbiddenError, Kind, NotFoundError
from people.models import Grant, Hospital, PatientNumber
from people.rules import GrantKind, Role
from tests.consent.conftest import DRAWN, PHONE, House, drawn
from tests.consent.gateway import Gateway
from words import errors


async def test_a_mother_reads_and_signs(house: House) -> None:
    """She reads as long as the text needs, signs by finger; the contract stands at once and the papers are ordered."""
    await house.credit(house.mother)
    contract_id = await house.signed(house.mother)
    async with house.db.begin() as tx:
        contract = await standing.contract_of(tx, house.hospital, house.mother)
        assert contract is not None
        assert (contract.id, contract.state, contract.role, contract.method) == (
            contract_id,
            "signed",
            "patient",
            "strokes",
        )
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        assert not await standing.covers(tx, house.hospital, house.mother, "suspended")
        assert not await standing.covers(tx, house.hospital, house.daughter, "normal")
        assert await evidence.audit(tx, house.hospital) == []
    assert house.jobs.all == [("consent.seal", {"contract_id": str(contract_id)})]
    assert house.events == [ContractSigned(house.hospital, house.mother, contract_id)]


async def test_signing_early_is_refused_to_the_second(house: House) -> None:
    """One second before the reading time is served the pen stays away; the refusal is kept; a second later it comes."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    whole = await house.left(reading_id)
    assert whole > 10
    house.clock.move(timedelta(seconds=whole - 8))
    with pytest.raises(TooEarlyError) as refused:
        await house.pen(actor, reading_id)
    assert (refused.value.kind, refused.value.seconds) == (Kind.TOO_EARLY, 8)
    said = errors.sentence(refused.value.code, refused.value.kind, **refused.value.params)
    assert said == "请再看 8 秒。这一页说的是要在什么时候付钱。"
    house.clock.move(timedelta(seconds=7))
    with pytest.raises(TooEarlyError, match="read_delay"):
        await house.sign(actor, reading_id, drawn("guessed"))
    assert await house.count(Contract) == 0
    assert await house.refusals() == ["read_delay", "read_delay"]
    house.clock.move(timedelta(seconds=1))
    await house.sign(actor, reading_id, drawn(await house.pen(actor, reading_id)))
    assert await house.count(Contract) == 1


async def test_a_phone_a_year_ahead_gains_nothing(house: House) -> None:
    """The phone's clock is a year ahead; the server's second counts, and what the phone claimed is kept."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    ahead = house.clock.time + timedelta(days=365)
    with pytest.raises(TooEarlyError):
        await house.sign(actor, reading_id, drawn("x", client_time=ahead))
    assert (await house.count(Contract), await house.refusals()) == (0, ["read_delay"])
    await house.serve(reading_id)
    contract_id = await house.sign(actor, reading_id, drawn(await house.pen(actor, reading_id), client_time=ahead))
    async with house.db.begin() as tx:
        signed = await evidence.of_contract(tx, contract_id, "signed")
        assert signed is not None
        place = evidence.body_of(tx, signed)["place"]
    assert (place["client_time"], place["signed_at"]) == (ahead.isoformat(), house.clock.time.isoformat())


async def test_beats_are_evidence_not_authority(house: House) -> None:
    """A page that beats wildly and says it saw the end gets not one second; what it said is kept, capped."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    whole = await house.left(reading_id)
    for _ in range(50):
        async with house.db.begin() as tx:
            assert await reading.beat(tx, actor, reading_id, end=True, regions=["told", "made-up"]) == whole
    async with house.db.begin() as tx:
        row = await tx.get(Reading, reading_id)
        assert row is not None
        assert (row.seen["beats"], row.seen["visible_ms"], row.seen["end"]) == (50, 0, True)
        assert row.seen["regions"] == ["told"]


async def test_coming_back_does_not_start_the_clock_again(house: House) -> None:
    """She leaves the page and comes back: it is the same reading, and its time went on."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    first = await house.open(actor, house.mother)
    whole = await house.left(first)
    house.clock.move(timedelta(seconds=5))
    assert await house.open(actor, house.mother) == first
    assert await house.left(first) == whole - 5


async def test_the_elder_letter_takes_longer(house: House) -> None:
    """长辈版 reads 3 characters a second instead of 5."""
    await house.credit(house.mother)
    await house.credit(house.daughter)
    elder = reading.Device(PHONE.channel, "a phone", elder=True)
    fast = await house.left(await house.open(house.person(house.daughter), house.daughter))
    slow = await house.left(await house.open(house.person(house.mother), house.mother, elder))
    assert 1.5 < slow / fast < 1.8


async def test_signing_twice(house: House) -> None:
    """The same signature again (the answer was lost) gives the same contract; another one is refused and kept."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    first = await house.sign(actor, reading_id, drawn(nonce))
    assert await house.sign(actor, reading_id, drawn(nonce)) == first
    moved = [[[p[0] + 1, *p[1:]] for p in line] for line in DRAWN]
    from consent.rules import read_strokes

    with pytest.raises(AlreadySignedError):
        await house.sign(actor, reading_id, Signature(nonce, read_strokes(moved, 320, 160)))
    assert (await house.count(Contract), await house.refusals(), len(house.jobs.all)) == (1, ["already_signed"], 1)
    with pytest.raises(AlreadySignedError):
        await house.open(actor, house.mother)


async def test_two_tabs(house: House) -> None:
    """Mother and daughter each have the letter open for her; whoever is second is told it is signed."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    hers, mine = house.person(house.mother), house.person(house.daughter)
    first, second = await house.open(hers, house.mother), await house.open(mine, house.mother)
    assert first != second
    await house.serve(second)
    pen_one, pen_two = await house.pen(hers, first), await house.pen(mine, second)
    await house.sign(hers, first, drawn(pen_one))
    with pytest.raises(AlreadySignedError):
        await house.sign(mine, second, drawn(pen_two))
    assert (await house.count(Contract), await house.refusals()) == (1, ["already_signed"])


async def test_a_pen_is_not_lent(house: House) -> None:
    """The nonce of one reading does not sign another, nor in another's hand."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    hers, mine = house.person(house.mother), house.person(house.daughter)
    first, second = await house.open(hers, house.mother), await house.open(mine, house.mother)
    await house.serve(second)
    pen = await house.pen(hers, first)
    with pytest.raises(BadNonceError):
        await house.sign(mine, second, drawn(pen))
    with pytest.raises(NotFoundError):
        await house.sign(mine, first, drawn(pen))
    assert (await house.count(Contract), await house.refusals()) == (0, ["pen_not_yours"])


async def test_a_new_version_makes_open_readings_stale(house: House) -> None:
    """While she reads, the hospital changes when to pay: what she read may not be signed any more."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    async with house.db.begin() as tx:
        hospital = await tx.get(Hospital, house.hospital)
        assert hospital is not None
        hospital.settings = {"due_hours": 48}
        await tx.session.flush()
        assert (await letters.publish(tx, house.hospital)).version == 2
        assert (await letters.publish(tx, house.hospital)).version == 2  # the same words are no new version
    with pytest.raises(LetterChangedError):
        await house.sign(actor, reading_id, drawn(nonce))
    assert (await house.count(Contract), await house.refusals()) == (0, ["letter_changed"])
    async with house.db.begin() as tx:
        row = await tx.get(Reading, reading_id)
        assert row is not None
        assert row.state == "abandoned"
    assert await house.open(actor, house.mother) != reading_id


async def test_a_reading_from_yesterday_is_over(house: House) -> None:
    """After a day the letter must be read anew."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    house.clock.move(timedelta(hours=24))
    with pytest.raises(ReadingOverError):
        await house.pen(actor, reading_id)
    assert await house.refusals() == ["reading_expired"]


async def test_a_stranger_finds_nothing(house: House) -> None:
    """Somebody without a grant gets the same answer for her, for nobody and for her reading."""
    await house.credit(house.mother)
    stranger = house.person(house.daughter)
    reading_id = await house.open(house.person(house.mother), house.mother)
    with pytest.raises(NotFoundError):
        await house.open(stranger, house.mother)
    with pytest.raises(NotFoundError):
        await house.pen(stranger, reading_id)
    assert (await house.count(Reading), await house.refusals()) == (1, [])


async def test_a_daughter_afar_signs_when_authorised(house: House) -> None:
    """The mother let her; role, relation and grant are recorded; with the grant ended she could not have."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    contract_id = await house.signed(house.daughter, house.mother)
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        signed = await evidence.of_contract(tx, contract_id, "signed")
        assert contract is not None
        assert signed is not None
        signer = evidence.body_of(tx, signed)["signer"]
    assert (contract.patient_id, contract.signer_id, contract.role) == (house.mother, house.daughter, "proxy")
    assert (signer["relation"], signer["reason"], signer["name"]) == ("daughter", "authorised", "示例乙")
    assert signer["grant"] is not None


async def test_a_grant_that_ended_while_she_read(house: House) -> None:
    """The mother takes the right back before the daughter signs: nothing is signed."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    actor = house.person(house.daughter)
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    async with house.db.begin() as tx:
        for grant in await tx.session.scalars(select(Grant)):
            grant.state = "withdrawn"
    with pytest.raises(NotFoundError):
        await house.sign(actor, reading_id, drawn(nonce))
    assert await house.count(Contract) == 0


async def test_a_child_needs_the_guardian(house: House) -> None:
    """At eight he may not sign, nor may an authorised aunt; his guardian may, with relation and reason, until 18."""
    await house.credit(house.child)
    with pytest.raises(GuardianNeededError):
        await house.open(house.person(house.child), house.child)
    await house.grant(house.child, house.daughter, GrantKind.SIGN, "other")
    with pytest.raises(GuardianNeededError):
        await house.open(house.person(house.daughter), house.child)
    await house.grant(house.child, house.mother, GrantKind.GUARD, "mother")
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.child)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    with pytest.raises(FieldMissingError):
        await house.sign(actor, reading_id, drawn(nonce))
    contract_id = await house.sign(actor, reading_id, drawn(nonce, reason="minor"))
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        assert contract is not None
        assert (contract.role, contract.relation, str(contract.guardian_until)) == ("guardian", "mother", "2036-05-01")
        assert await standing.covers(tx, house.hospital, house.child, "normal")
    house.clock.move(timedelta(days=365 * 10))
    await house.credit(house.child)
    async with house.db.begin() as tx:
        assert not await standing.covers(tx, house.hospital, house.child, "normal")


async def test_staff_witness_only_for_the_hospitals_own_patients(house: House) -> None:
    """Somebody this hospital never gave a number: the counter cannot open a letter for her, and nothing is begun."""
    actor = house.staff(house.counter, Role.COUNTER)
    await house.credit(house.daughter)
    async with house.db.begin() as tx:
        await tx.session.execute(delete(PatientNumber).where(PatientNumber.person_id == house.daughter))
    with pytest.raises(NotFoundError):
        await house.open(actor, house.daughter)
    assert await house.count(Reading) == 0


async def test_at_the_bedside_on_the_hospitals_tablet(house: House) -> None:
    """Staff hold the tablet and are the witness; a son without a login signs with name, relation and reason."""
    await house.credit(house.mother)
    actor = house.staff(house.counter, Role.COUNTER)
    with pytest.raises(NotFoundError):
        await house.open(house.staff(house.counter, Role.COUNTER, house.mother), house.mother)
    with pytest.raises(NotFoundError):
        await house.open(house.staff(house.counter, Role.FINANCE), house.mother)
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    for said in ({"relation": "son", "reason": "unable"}, {"name": "示例丁", "relation": "son"}):
        with pytest.raises(FieldMissingError):
            await house.sign(actor, reading_id, drawn(nonce, role=SignerRole.PROXY, **said))
    contract_id = await house.sign(
        actor, reading_id, drawn(nonce, role=SignerRole.PROXY, name="示例丁", relation="son", reason="unable")
    )
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        assert contract is not None
        assert (contract.signer_id, contract.witness_id, contract.role) == (None, house.counter, "proxy")


@pytest.mark.parametrize(
    ("insurance", "serious", "refusal"),
    [("suspended", False, Refusal.INSURANCE), ("none", False, Refusal.INSURANCE), ("normal", True, Refusal.CREDIT)],
)
async def test_not_eligible(house: House, insurance: str, serious: bool, refusal: Refusal) -> None:
    """Insurance or credit stand against it: said plainly before anybody reads; a zero-threshold city skips it."""
    await house.credit(house.mother, serious=serious)
    actor = house.person(house.mother)
    with pytest.raises(NotEligibleError) as no:
        await house.open(actor, house.mother, insurance_status=insurance)
    assert no.value.refusal is refusal
    said = errors.sentence(no.value.code, no.value.kind, **no.value.params)
    assert said.startswith("这次不能用“看完病再付”，因为")
    assert said.endswith("照常就诊，缴费后检查即可。有疑问请到 1 号窗口。")
    assert await house.count(Reading) == 0
    async with house.db.begin() as tx:
        hospital = await tx.get(Hospital, house.hospital)
        assert hospital is not None
        hospital.settings = {"zero_threshold": True}
    await house.open(actor, house.mother, insurance_status=insurance)
    assert await house.count(Reading) == 1


async def test_credit_that_nobody_could_ask(house: House) -> None:
    """Without any answer of the platform she is not offered it yet; where a city has no platform nobody asks."""
    actor = house.person(house.mother)
    with pytest.raises(NotEligibleError) as no:
        await house.open(actor, house.mother)
    assert no.value.refusal is Refusal.CREDIT_UNKNOWN
    await house.open(actor, house.mother, credit_asked_here=False)
    await house.credit(house.daughter)
    house.clock.move(timedelta(days=31))
    with pytest.raises(NotEligibleError):
        await house.open(house.person(house.daughter), house.daughter)


async def test_eligibility_is_asked_again_with_the_pen(house: House) -> None:
    """She was eligible when she began to read; meanwhile the platform says otherwise."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    await house.credit(house.mother, serious=True)
    with pytest.raises(NotEligibleError):
        await house.sign(actor, reading_id, drawn(nonce))
    assert (await house.count(Contract), await house.refusals()) == (0, ["not_eligible"])


async def test_withdraw_and_sign_again(house: House) -> None:
    """Withdrawn it covers nothing; signing again is a new contract, the old one stays as it was."""
    await house.credit(house.mother)
    first = await house.signed(house.mother)
    with pytest.raises(NotFoundError):
        async with house.db.begin() as tx:
            await contracts.withdraw(tx, house.person(house.daughter), house.hospital, house.mother)
    async with house.db.begin() as tx:
        await contracts.withdraw(tx, house.person(house.mother), house.hospital, house.mother)
        assert not await standing.covers(tx, house.hospital, house.mother, "normal")
    assert house.events[-1] == ContractWithdrawn(house.hospital, house.mother, first)
    second = await house.signed(house.mother)
    assert second != first
    async with house.db.begin() as tx:
        old = await tx.get(Contract, first)
        assert old is not None
        assert old.state == "withdrawn"
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        assert await evidence.audit(tx, house.hospital) == []


async def test_whoever_signed_may_withdraw(house: House) -> None:
    """The daughter who signed for her may end it, and so may the mother; a payer may not."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    await house.signed(house.daughter, house.mother)
    async with house.db.begin() as tx:
        await contracts.withdraw(tx, house.person(house.daughter), house.hospital, house.mother)
    await house.signed(house.daughter, house.mother)
    async with house.db.begin() as tx:
        await contracts.withdraw(tx, house.person(house.mother), house.hospital, house.mother)
        assert await standing.contract_of(tx, house.hospital, house.mother) is None


async def test_a_pause_outlives_a_withdrawal(house: House) -> None:
    """Suspended for arrears: not covered; withdrawing and signing again is no way out; paid, it carries again."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    async with house.db.begin() as tx:
        assert await contracts.suspend(tx, house.hospital, house.mother, "arrears") is not None
        assert not await standing.covers(tx, house.hospital, house.mother, "normal")
    async with house.db.begin() as tx:
        assert await contracts.restore(tx, house.hospital, house.mother)
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        await contracts.suspend(tx, house.hospital, house.mother, "arrears")
        await contracts.withdraw(tx, house.person(house.mother), house.hospital, house.mother)
    with pytest.raises(NotEligibleError) as no:
        await house.open(house.person(house.mother), house.mother)
    assert no.value.refusal is Refusal.SUSPENDED
    async with house.db.begin() as tx:
        await contracts.restore(tx, house.hospital, house.mother)
    assert isinstance(await house.signed(house.mother), UUID)


async def test_a_minor_is_never_suspended(house: House) -> None:
    """A child's debt is the guardian's."""
    async with house.db.begin() as tx:
        assert await contracts.suspend(tx, house.hospital, house.child, "arrears") is None


async def test_a_pause_for_a_fixed_time_ends_by_itself(house: House) -> None:
    """Thirty days, then the sweeper lifts it."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    async with house.db.begin() as tx:
        await contracts.suspend(tx, house.hospital, house.mother, "arrears", tx.now + timedelta(days=30))
    assert await flows.lift_lapsed(house.db) == 0
    house.clock.move(timedelta(days=30))
    assert await flows.lift_lapsed(house.db) == 1
    async with house.db.begin() as tx:
        assert await standing.covers(tx, house.hospital, house.mother, "normal")


async def test_going_on_with_another_device(house: House) -> None:
    """Begun on the phone, scanned by the hospital's tablet: the clock goes on; the code works once and ten minutes."""
    await house.credit(house.mother)
    actor, tablet = house.person(house.mother), house.staff(house.counter, Role.COUNTER)
    reading_id = await house.open(actor, house.mother)
    async with house.db.begin() as tx:
        secret = await reading.hand_over(tx, actor, reading_id)
    with pytest.raises(NotFoundError):
        async with house.db.begin() as tx:
            await reading.take_over(tx, house.person(house.daughter), secret, PHONE)
    before = await house.left(reading_id)
    house.clock.move(timedelta(seconds=4))
    async with house.db.begin() as tx:
        assert (await reading.take_over(tx, tablet, secret, PHONE)).id == reading_id
    assert await house.left(reading_id) == before - 4
    with pytest.raises(NotFoundError):
        async with house.db.begin() as tx:
            await reading.take_over(tx, tablet, secret, PHONE)
    await house.serve(reading_id)
    contract_id = await house.sign(tablet, reading_id, drawn(await house.pen(tablet, reading_id)))
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        assert contract is not None
        assert (contract.channel, contract.role, contract.witness_id) == ("TABLET", "patient", house.counter)


async def test_an_old_handover_code(house: House) -> None:
    """After ten minutes the code is nothing."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    async with house.db.begin() as tx:
        secret = await reading.hand_over(tx, actor, reading_id)
    house.clock.move(timedelta(minutes=10))
    with pytest.raises(NotFoundError):
        async with house.db.begin() as tx:
            await reading.take_over(tx, actor, secret, PHONE)


async def test_page_by_page_without_javascript(house: House) -> None:
    """Each region waits its own time on the server; going on early is refused and kept; the last pages do not wait."""
    await house.credit(house.mother)
    actor = house.person(house.mother)
    reading_id = await house.open(actor, house.mother)
    with pytest.raises(TooEarlyError) as refused:
        await flows.leave_region(house.db, actor, reading_id, 0, PHONE)
    house.clock.move(timedelta(seconds=refused.value.seconds))
    assert await flows.leave_region(house.db, actor, reading_id, 0, PHONE) == "patient"
    with pytest.raises(TooEarlyError) as refused:
        await flows.leave_region(house.db, actor, reading_id, 1, PHONE)
    house.clock.move(timedelta(seconds=refused.value.seconds))
    assert [await flows.leave_region(house.db, actor, reading_id, n, PHONE) for n in (1, 2, 3, 4)] == [
        "sign",
        "proxy",
        "doctor",
        None,
    ]
    assert await house.left(reading_id) == 0
    assert await house.refusals() == ["read_delay", "read_delay"]


async def test_signing_by_name_and_code(house: House) -> None:
    """No drawing: the own name as registered and the code from the SMS, recorded as such; wrong ones are counted."""
    await house.credit(house.mother)
    actor, gateway = house.person(house.mother), Gateway()
    reading_id = await house.open(actor, house.mother)
    with pytest.raises(TooEarlyError):
        await flows.send_sign_code(house.db, gateway, "T", actor, reading_id)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    await flows.send_sign_code(house.db, gateway, "T", actor, reading_id)
    ((phone, code),) = gateway.sent
    assert phone == "19900000011"
    with pytest.raises(NameMismatchError):
        await house.sign(actor, reading_id, Signature(nonce, name="别人", code=code))
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(4):
        with pytest.raises(CodeError):
            await house.sign(actor, reading_id, Signature(nonce, name="示例甲", code=wrong))
    contract_id = await house.sign(actor, reading_id, Signature(nonce, name="示例甲", code=code))
    async with house.db.begin() as tx:
        signed = await evidence.of_contract(tx, contract_id, "signed")
        assert signed is not None
        signature = evidence.body_of(tx, signed)["signature"]
    assert (signature["method"], signature["name"], signature["phone"]) == ("code", "示例甲", "199****0011")
    assert await house.refusals() == ["name_mismatch"] + ["wrong_code"] * 4


async def test_five_wrong_codes_kill_the_code(house: House) -> None:
    """After five tries the right code is no use either; another is sent after a minute."""
    await house.credit(house.mother)
    actor, gateway = house.person(house.mother), Gateway()
    reading_id = await house.open(actor, house.mother)
    await house.serve(reading_id)
    nonce = await house.pen(actor, reading_id)
    await flows.send_sign_code(house.db, gateway, "T", actor, reading_id)
    code = gateway.sent[0][1]
    for _ in range(5):
        with pytest.raises(CodeError):
            await house.sign(actor, reading_id, Signature(nonce, name="示例甲", code=f"{(int(code) + 1) % 10**6:06d}"))
    with pytest.raises(CodeError):
        await house.sign(actor, reading_id, Signature(nonce, name="示例甲", code=code))
    assert await house.count(Contract) == 0


async def test_the_doctor_countersigns(house: House) -> None:
    """Where the hospital asks for it the papers wait for the doctor, the contract does not."""
    async with house.db.begin() as tx:
        hospital = await tx.get(Hospital, house.hospital)
        assert hospital is not None
        hospital.settings = {"countersign": True}
    await house.credit(house.mother)
    contract_id = await house.signed(house.mother)
    assert house.jobs.all == []
    doctor = house.staff(house.doctor, Role.DOCTOR)
    with pytest.raises(ForbiddenError):
        async with house.db.begin() as tx:
            await contracts.countersign(tx, house.staff(house.counter, Role.COUNTER), contract_id)
    async with house.db.begin() as tx:
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        assert [c.id for c in await contracts.waiting_for_doctor(tx, house.hospital)] == [contract_id]
        await contracts.countersign(tx, doctor, contract_id)
    async with house.db.begin() as tx:
        await contracts.countersign(tx, doctor, contract_id)
        assert await contracts.waiting_for_doctor(tx, house.hospital) == []
        links = list(await tx.session.scalars(select(Evidence.kind).order_by(Evidence.seq)))
    assert links == ["reading_opened", "signed", "countersigned"]
    assert house.jobs.all == [("consent.seal", {"contract_id": str(contract_id)})]


async def test_both_press_in_the_same_moment(house: House) -> None:
    """Mother and daughter press at once, five times over: one contract, the other told, nothing half done."""
    await house.credit(house.mother)
    await house.grant(house.mother, house.daughter, GrantKind.SIGN, "daughter")
    hers, mine = house.person(house.mother), house.person(house.daughter)
    for round_ in range(5):
        first, second = await house.open(hers, house.mother), await house.open(mine, house.mother)
        await house.serve(first)
        await house.serve(second)
        pens = await house.pen(hers, first), await house.pen(mine, second)
        ended = await asyncio.gather(
            house.sign(hers, first, drawn(pens[0])),
            house.sign(mine, second, drawn(pens[1])),
            return_exceptions=True,
        )
        assert sorted(type(e).__name__ for e in ended) == ["AlreadySignedError", "UUID"]
        assert await house.count(Contract) == round_ + 1
        async with house.db.begin() as tx:
            await contracts.withdraw(tx, hers, house.hospital, house.mother)
            assert await evidence.audit(tx, house.hospital) == []


async def test_one_question_on_the_hot_path(house: House) -> None:
    """An encounter asks the database once whether a contract covers it, and not at all the second time."""
    await house.credit(house.mother)
    await house.signed(house.mother)
    asked: list[str] = []

    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(house.db.engine.sync_engine, "before_cursor_execute", count)
    async with house.db.begin() as tx:
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        assert await standing.covers(tx, house.hospital, house.mother, "normal")
        assert await standing.contract_of(tx, house.hospital, house.mother) is not None
    assert len(asked) == 1
