"""Binding without a page of the patient's: by her own phone from afar, by the desk beside her, and by no machine."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from family_pay import flows
from family_pay.models import InsurerSays, Invitation, PhoneBinding
from family_pay.rules import (
    AskedJustNowError,
    AskExpiredError,
    EmptyOfferError,
    GuardianRefusedError,
    NoPapersError,
    Offer,
    Relation,
    SharingOffError,
    TooManyAsksError,
    TooManyInvitesError,
    WrongAskCodeError,
    WrongInviteCodeError,
)
from family_pay.service import bonds, confirming, insurer, invitations, phone_bindings
from family_pay.service.bonds import Papers
from family_pay.service.phone_bindings import Named
from kernel.clock import ManualClock
from kernel.db import Database
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.ids import new_id
from kernel.outside import Unknown
from notices.service import since
from people.models import Choice, Grant
from people.rules import (
    NOTHING,
    OWNER,
    Action,
    Actor,
    Depth,
    Document,
    GrantKind,
    Proof,
    ProofKind,
    Role,
    Subject,
    View,
)
from people.service import access, debtors, grants, patients
from people.service.codes import BadPhoneError
from people.service.hospitals import Hospital
from people.service.patients import PatientFact
from people.service.sessions import BadIdNumberError
from tests.family_pay.conftest import Employ, Meet

MOTHER_ID, DAUGHTER_ID = "999901195503089023", "999901198310219040"
HER = Named("朱桂芳", MOTHER_ID, "19900000001", Relation.DAUGHTER)


@dataclass
class Phones:
    """Keeps what phones get."""

    got: list[tuple[str, str, str, int]] = field(default_factory=list)

    async def __call__(self, phone: str, who: str, digits: str, minutes: int) -> None:
        self.got.append((phone, who, digits, minutes))


class Wished:
    """Jobs that were put down, not run."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []

    async def enqueue(self, connection: object, name: str, arguments: dict[str, str]) -> None:
        assert name == phone_bindings.SEND_JOB
        self.ids.append(UUID(arguments["request_id"]))


@pytest.fixture
def wished(db: Database) -> Wished:
    made = Wished()
    db.jobs = made  # type: ignore[assignment]
    return made


@pytest.fixture
async def her(db: Database, hospital: Hospital, mother: Actor) -> Actor:
    """The mother, whose identity number the hospital has told."""
    async with db.begin() as tx:
        await patients.known(tx, hospital.id, PatientFact("P1", "朱桂芳", MOTHER_ID, "19900000001"))
    return mother


async def asks(db: Database, wished: Wished, who: Actor, named: Named) -> tuple[UUID, list[tuple[str, str, str, int]]]:
    """Ask, and let the job run twice: the request's id, and what phones got."""
    async with db.begin() as tx:
        made = await phone_bindings.ask(tx, who, named)
    phones = Phones()
    for _ in range(2):
        await flows.send_phone_code(db, phones, wished.ids[-1])
    return made.id, phones.got


async def view(db: Database, actor: Actor, subject: Subject) -> View:
    async with db.begin() as tx:
        return await access.view_of(tx, actor, subject)


async def count(db: Database) -> int:
    async with db.begin() as tx:
        return await tx.session.scalar(select(func.count()).select_from(Grant)) or 0


async def test_bound_by_a_code_to_her_own_phone(
    db: Database, wished: Wished, her: Actor, daughter: Actor, meet: Meet, visit: Subject
) -> None:
    """She names her mother; the mother's phone says who asks; the code, a look, a yes: she may pay, and no more."""
    request, got = await asks(db, wished, daughter, HER)
    ((phone, who, digits, minutes),) = got
    assert (phone, who, minutes) == ("19900000001", "陈*", 10)
    async with db.begin() as tx:
        row = await tx.get(PhoneBinding, request)
        assert row is not None
        assert row.code_sealed is None
        with pytest.raises(AskExpiredError):
            await phone_bindings.accept(tx, daughter, request)
    stranger = await meet("P3", "王五", "19900000009")
    with pytest.raises(AskExpiredError):
        await flows.prove_by_phone(db, stranger, request, digits)
    wrong = "000000" if digits != "000000" else "000001"
    with pytest.raises(WrongAskCodeError):
        await flows.prove_by_phone(db, daughter, request, wrong)
    assert await flows.prove_by_phone(db, daughter, request, f" {digits}") == ("朱**", "daughter")
    assert await count(db) == 0
    async with db.begin() as tx:
        (made,) = await phone_bindings.accept(tx, daughter, request)
        assert (made.kind, made.proof, made.proven_by, made.relation) == ("pay", "phone", None, "daughter")
    assert await view(db, daughter, visit) == View(Depth.NOTHING, frozenset(), pays=True, owner=False)
    async with db.begin() as tx:
        for who_is_told, other in ((her, "陈*"), (daughter, "朱**")):
            assert [r.payload["family"]["who"] for r in await since(tx, who_is_told.id, 0)] == [other]
        with pytest.raises(AskExpiredError):
            await phone_bindings.accept(tx, daughter, request)
    with pytest.raises(AskExpiredError):
        await flows.prove_by_phone(db, daughter, request, digits)


async def test_wrong_and_right_details_are_answered_alike(
    db: Database, wished: Wished, her: Actor, daughter: Actor, meet: Meet, clock: ManualClock
) -> None:
    """One detail wrong, a stranger's, a number silent for long: same answers in the same order, and no message."""

    async def asked(who: Actor, named: Named) -> list[str]:
        request, got = await asks(db, wished, who, named)
        assert got == []
        said = []
        for _ in range(6):
            try:
                await flows.prove_by_phone(db, who, request, "000000")
            except HoufuError as error:
                said.append(error.code)
        return said

    alike = [
        await asked(daughter, replace(HER, name="朱桂芬")),
        await asked(daughter, replace(HER, id_number=DAUGHTER_ID)),
        await asked(daughter, replace(HER, phone="19900000008")),
        await asked(her, HER),  # herself
    ]
    # The real one, guessed wrongly, says the same.
    request, got = await asks(db, wished, daughter, HER)
    assert len(got) == 1
    wrong = "000000" if got[0][2] != "000000" else "000001"
    real = []
    for _ in range(6):
        try:
            await flows.prove_by_phone(db, daughter, request, wrong)
        except HoufuError as error:
            real.append(error.code)
    assert [*alike, real] == [["wrong_ask_code"] * 5 + ["ask_expired"]] * 5
    clock.move(timedelta(days=91))
    late = await meet("P4", "李四", "19900000004")
    assert await asked(late, HER) == real
    assert await count(db) == 0


async def test_the_code_of_nobody_binds_nobody(db: Database, wished: Wished, daughter: Actor, her: Actor) -> None:
    """One detail is wrong; even the very digits that were made for it, and went nowhere, prove nothing."""
    async with db.begin() as tx:
        request = (await phone_bindings.ask(tx, daughter, replace(HER, name="朱桂芬"))).id
        row = await tx.get(PhoneBinding, request)
        assert row is not None
        assert row.code_sealed is not None
        digits = tx.vault.open(row.code_sealed, "phone_binding", request)
    with pytest.raises(WrongAskCodeError):
        await flows.prove_by_phone(db, daughter, request, digits)


async def test_asking_is_limited_by_who_asks_and_whom(
    db: Database, wished: Wished, her: Actor, daughter: Actor, meet: Meet
) -> None:
    """Ten at once by one: five. Many about one patient: three messages a day, the others are answered just the same."""
    outcomes = await asyncio.gather(*(_ask(db, daughter, HER) for _ in range(10)), return_exceptions=True)
    assert Counter(type(o).__name__ for o in outcomes) == {"Asked": 5, "TooManyAsksError": 5}
    friends = [await meet(f"F{n}", "友", f"1990000020{n}") for n in range(4)]
    for friend in friends:
        await _ask(db, friend, HER)
    phones = Phones()
    for request in wished.ids:
        await flows.send_phone_code(db, phones, request)
    assert len(phones.got) == 3
    async with db.begin() as tx:
        with pytest.raises(BadIdNumberError):
            await phone_bindings.ask(tx, friends[0], replace(HER, id_number=MOTHER_ID[:-1] + "4"))
        with pytest.raises(BadPhoneError):
            await phone_bindings.ask(tx, friends[0], replace(HER, phone="12345"))
        with pytest.raises(TooManyAsksError):
            await phone_bindings.ask(tx, daughter, HER)


async def _ask(db: Database, who: Actor, named: Named) -> phone_bindings.Asked:
    async with db.begin() as tx:
        return await phone_bindings.ask(tx, who, named)


async def test_who_does_not_act_for_themselves_is_not_bound_by_phone(
    db: Database, wished: Wished, her: Actor, daughter: Actor, meet: Meet, employ: Employ
) -> None:
    """She has a guardian: nobody else is let in by her phone; nor is anybody under fourteen."""
    son = await meet("P5", "陈刚", "19900000005")
    desk = await employ(Role.GUIDE)
    async with db.begin() as tx:
        made = await bonds.set_guardian(tx, desk, her.id, son.id, Relation.SON, Papers(Document.COURT, cannot_act=True))
    assert (await asks(db, wished, daughter, HER))[1] == []
    async with db.begin() as tx:
        await bonds.end_at_desk(tx, desk, made.id)
        (await patients.by_id(tx, her.id)).birth_date = date(2013, 3, 5)
    assert (await asks(db, wished, daughter, HER))[1] == []
    async with db.begin() as tx:
        (await patients.by_id(tx, her.id)).birth_date = date(1955, 3, 8)
    assert len((await asks(db, wished, daughter, HER))[1]) == 1


async def test_ten_thousand_guesses_get_nobody_in(
    db: Database, wished: Wished, her: Actor, daughter: Actor, meet: Meet
) -> None:
    """Twenty machines guess 10,000 times at her spoken code and at the code on her phone: looked at are a handful."""
    async with db.begin() as tx:
        made = await invitations.invite(tx, her, her.id, Offer(Relation.OTHER, pays=True))
    request, got = await asks(db, wished, daughter, HER)
    crowd = [daughter, *[await meet(f"N{n}", "人", f"199000030{n:02d}") for n in range(19)]]
    digits, at_once = got[0][2], asyncio.Semaphore(20)

    async def batch(who: Actor, part: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        async with at_once, db.begin() as tx:
            for n in range(125):
                guess = f"{(int(digits) + 1 + part * 125 + n) % 1_000_000:06d}"
                if n % 5:
                    allowed, token = await invitations.try_code(tx, who, "19900000001", f"ZZ{part:02d}{n:02d}"[:6])
                    seen["code, looked at" if allowed else "code, too many"] += 1
                    assert token is None
                else:
                    tried = await phone_bindings.try_code(tx, who, request, guess)
                    assert tried is not True
                    seen["phone, nothing to try" if tried is None else "phone, looked at"] += 1
        return seen

    total: Counter[str] = sum(
        await asyncio.gather(*(batch(who, part) for part in range(4) for who in crowd)), start=Counter()
    )
    assert total == {
        "code, looked at": 20 * 20,
        "code, too many": 8000 - 20 * 20,
        "phone, looked at": 5,
        "phone, nothing to try": 1995,
    }
    async with db.begin() as tx:
        row = await tx.get(Invitation, made.id)
        assert row is not None
        assert row.code_tries == 5
    with pytest.raises(AskExpiredError):  # the right one comes too late
        await flows.prove_by_phone(db, daughter, request, digits)
    with pytest.raises(WrongInviteCodeError):
        await flows.open_by_code(db, await meet("P9", "赵", "19900000099"), "19900000001", made.code)
    assert await count(db) == 0


async def test_the_desk_binds_for_an_elder_without_a_phone(
    db: Database, hospital: Hospital, meet: Meet, daughter: Actor, employ: Employ
) -> None:
    """He stands at the desk; it makes a slip; she types its code with his ID number: who made it stays written down."""
    async with db.begin() as tx:
        elder = (await patients.known(tx, hospital.id, PatientFact("P20", "周福", MOTHER_ID, None))).id
    desk = await employ(Role.COUNTER)
    offer = Offer(Relation.DAUGHTER, pays=True, depth=Depth.STEPS, books=True, signs=True)
    async with db.begin() as tx:
        for nobody in (await employ(Role.FINANCE), replace(desk, hospital_id=uuid4()), daughter):
            with pytest.raises(ForbiddenError):
                await invitations.invite_at_desk(tx, nobody, elder, offer, agrees=True)
        elsewhere = replace(desk, hospital_id=uuid4())
        with pytest.raises(EmptyOfferError):
            await invitations.invite_at_desk(tx, desk, elder, replace(offer, opened=frozenset({"psychiatry"})))
        with pytest.raises(SharingOffError):
            await invitations.invite_at_desk(tx, desk, elder, offer)
        assert await invitations.waiting_of(tx, elder) == []
        made = await invitations.invite_at_desk(tx, desk, elder, offer, agrees=True)
        said = await tx.session.scalar(select(Choice))
        assert said is not None
        assert (said.chosen_by, said.witness, said.given) == (elder, desk.id, True)
    token = await flows.open_by_code(db, daughter, MOTHER_ID, made.code)
    async with db.begin() as tx:
        assert (await invitations.seen(tx, daughter, token)).patient == "周*"
        given = await invitations.accept(tx, daughter, token)
        assert {g.kind for g in given} == {"pay", "watch", "sign", "book"}
        assert {(g.proof, g.proven_by) for g in given} == {("desk", desk.id)}
    running = Subject(elder, hospital.id, uuid4(), ended=False, settled=False)
    async with db.begin() as tx:
        for action in (Action.BOOK, Action.SIGN):
            assert await access.can_for(tx, daughter, action, elder)
            assert not await access.can_for(tx, daughter, Action.SHARE, elder)
        assert await access.can(tx, daughter, Action.SHOW_PASS, running)
        assert not await access.can(tx, daughter, Action.ABANDON, running)
        # He has no page to end it on: a desk reads out whom he is bound to, and ends all of it with him beside it.
        assert [(g.person_id, g.bond) for g in await bonds.made_at_desk(tx, elder)] == [(daughter.id, made.id)]
        for nobody, error in ((await employ(Role.FINANCE), ForbiddenError), (elsewhere, NotFoundError)):
            with pytest.raises(error):
                await bonds.end_at_desk(tx, nobody, made.id)
        await bonds.end_at_desk(tx, desk, made.id)
        assert {(g.state, g.ended_by) for g in await grants.of_patient(tx, elder)} == {("withdrawn", desk.id)}
        assert await bonds.made_at_desk(tx, elder) == []
        for action in (Action.BOOK, Action.SIGN):
            assert not await access.can_for(tx, daughter, action, elder)
        assert not await access.can(tx, daughter, Action.SHOW_PASS, running)
        assert not await access.can(tx, daughter, Action.PAY, running)


async def test_what_she_gave_herself_no_desk_ends(
    db: Database, mother: Actor, daughter: Actor, hospital: Hospital, employ: Employ
) -> None:
    """Bound by her own invitation: a desk is not told of it, and does not end it."""
    desk = await employ(Role.COUNTER)
    async with db.begin() as tx:
        terms, bond = [grants.Terms(GrantKind.PAY)], uuid4()
        proof = Proof(ProofKind.INVITATION)
        await grants.make(tx, mother.id, daughter.id, terms, bond=bond, relation="daughter", proof=proof)
        assert await bonds.made_at_desk(tx, mother.id) == []
        with pytest.raises(NotFoundError):
            await bonds.end_at_desk(tx, desk, bond)
        assert [g.state for g in await grants.of_patient(tx, mother.id)] == ["active"]


async def test_signing_and_booking_are_two_words(db: Database, mother: Actor, daughter: Actor, visit: Subject) -> None:
    """She lets her daughter book, and not sign; the other way round; and without a view there is no pass to carry."""
    for offer, signs, books in (
        (Offer(Relation.DAUGHTER, books=True), False, True),
        (Offer(Relation.DAUGHTER, signs=True), True, False),
    ):
        async with db.begin() as tx:
            made = await invitations.invite(tx, mother, mother.id, offer)
        async with db.begin() as tx:
            await invitations.accept(tx, daughter, made.token)
            bond = (await confirming.answer(tx, mother, made.id, agreed=True))[0].bond
        async with db.begin() as tx:
            assert await access.can_for(tx, daughter, Action.SIGN, mother.id) is signs
            assert await access.can_for(tx, daughter, Action.BOOK, mother.id) is books
            assert not await access.can(tx, daughter, Action.SHOW_PASS, visit)
            assert [p.id for p in await access.patients_of(tx, daughter)] == [daughter.id, mother.id]
            await bonds.withdraw(tx, mother, bond)


async def test_codes_of_a_day_have_an_end(db: Database, mother: Actor) -> None:
    """Made and taken back again and again: thirty a day, at whatever speed."""

    async def one() -> None:
        async with db.begin() as tx:
            made = await invitations.invite(tx, mother, mother.id, Offer(Relation.SON, pays=True))
        async with db.begin() as tx:
            await invitations.withdraw_invitation(tx, mother, made.id)

    made = 0
    for _ in range(6):
        outcomes = await asyncio.gather(*(one() for _ in range(7)), return_exceptions=True)
        made += sum(o is None for o in outcomes)
        assert all(o is None or isinstance(o, TooManyInvitesError) for o in outcomes)
    assert made == 30


@pytest.mark.parametrize(
    ("born", "last"),
    [
        (date(2012, 3, 5), datetime(2026, 3, 4, 15, 59, 59, tzinfo=UTC)),
        (date(2012, 2, 29), datetime(2026, 2, 28, 15, 59, 59, tzinfo=UTC)),
    ],
)
async def test_fourteen_begins_at_midnight_in_china(
    db: Database, hospital: Hospital, meet: Meet, employ: Employ, clock: ManualClock, born: date, last: datetime
) -> None:
    """A second before midnight in China he stands for her; at midnight she goes alone (29 February: 1 March)."""
    clock.time = last - timedelta(days=30)
    father, child = await meet("P8", "孙立新", "19900000007"), await meet("P9", "孙小满", "")
    desk = await employ(Role.GUIDE)
    async with db.begin() as tx:
        (await patients.by_id(tx, child.id)).birth_date = born
        # Nobody is written down yet: a minor owes nothing all the same.
        assert await debtors.debtor_of(tx, child.id, tx.now) == debtors.Debtor(None, guardian=True, minor=True)
    subject = Subject(child.id, hospital.id, uuid4(), ended=False, settled=False)
    async with db.begin() as tx:
        (await patients.by_id(tx, child.id)).birth_date = born
        await bonds.set_guardian(tx, desk, child.id, father.id, Relation.PARENT, Papers(Document.HOUSEHOLD))
    clock.time = last
    assert await view(db, father, subject) == OWNER
    async with db.begin() as tx:
        assert await bonds.is_child(tx, child.id)
        assert await debtors.debtor_of(tx, child.id, tx.now) == debtors.Debtor(father.id, guardian=True, minor=True)
        with pytest.raises(GuardianRefusedError):  # a child stands for nobody
            await bonds.set_guardian(tx, desk, father.id, child.id, Relation.OTHER, Papers(Document.COURT, True))
    clock.move(timedelta(seconds=1))
    assert await view(db, father, subject) == NOTHING
    async with db.begin() as tx:
        assert not await bonds.is_child(tx, child.id)
        assert not await access.can_for(tx, father, Action.SIGN, child.id)
        with pytest.raises(GuardianRefusedError):
            await bonds.set_guardian(tx, desk, child.id, father.id, Relation.PARENT, Papers(Document.HOUSEHOLD))
        # She goes alone, and yet owes nothing before she is of age.
        assert await debtors.debtor_of(tx, child.id, tx.now) == debtors.Debtor(father.id, guardian=True, minor=True)


async def test_an_adult_who_cannot_act_has_a_guardian_on_paper(
    db: Database, hospital: Hospital, her: Actor, meet: Meet, employ: Employ, clock: ManualClock
) -> None:
    """By a named paper, until its last day in China or the desk's word; who wrote it down is there to be reviewed."""
    son = await meet("P5", "陈刚", "19900000005")
    desk, other = await employ(Role.COUNTER), await employ(Role.GUIDE)
    subject = Subject(her.id, hospital.id, uuid4(), ended=False, settled=False)
    last = date(2026, 3, 6)
    async with db.begin() as tx:
        for papers in (Papers(cannot_act=True), Papers(Document.COURT, True, date(2026, 3, 3))):
            with pytest.raises(NoPapersError):
                await bonds.set_guardian(tx, desk, her.id, son.id, Relation.SON, papers)
        with pytest.raises(ForbiddenError):
            await bonds.set_guardian(
                tx, replace(desk, hospital_id=uuid4()), her.id, son.id, Relation.SON, Papers(Document.COURT, True)
            )
        assert await bonds.guardians_of(tx, her.id) == []
        assert await debtors.debtor_of(tx, her.id, tx.now) == debtors.Debtor(her.id, guardian=False, minor=False)
    async with db.begin() as tx:
        made = await bonds.set_guardian(tx, desk, her.id, son.id, Relation.SON, Papers(Document.COURT, True, last))
        assert (made.proof, made.proven_by, made.document) == (ProofKind.DESK, desk.id, "court")
    clock.time = datetime(2026, 3, 6, 15, 59, 59, tzinfo=UTC)
    assert await view(db, son, subject) == OWNER
    async with db.begin() as tx:
        assert (await debtors.debtor_of(tx, her.id, tx.now)).person_id == son.id
    clock.move(timedelta(seconds=1))
    assert await view(db, son, subject) == NOTHING
    async with db.begin() as tx:
        again = await bonds.set_guardian(tx, desk, her.id, son.id, Relation.SON, Papers(Document.COURT, True))
        owed = tx.now
    clock.move(timedelta(hours=1))
    async with db.begin() as tx:
        for nobody in (son, her, replace(other, role=Role.FINANCE)):
            with pytest.raises(ForbiddenError):
                await bonds.end_at_desk(tx, nobody, again.id)
        with pytest.raises(NotFoundError):  # of a hospital she never was at
            await bonds.end_at_desk(tx, replace(other, hospital_id=uuid4()), again.id)
        ended = await bonds.end_at_desk(tx, other, again.id)
        assert ended.ended_by == other.id
    assert await view(db, son, subject) == NOTHING
    async with db.begin() as tx:
        assert (await debtors.debtor_of(tx, her.id, owed)).person_id == son.id  # what he owed, he owes
        assert (await debtors.debtor_of(tx, her.id, tx.now)).person_id == her.id
        with pytest.raises(NotFoundError):
            await bonds.end_at_desk(tx, other, again.id)


async def test_the_insurer_alone_knows_its_family_accounts(
    db: Database, hospital: Hospital, her: Actor, daughter: Actor, meet: Meet, clock: ManualClock
) -> None:
    """Bound here says nothing: it is asked, by proven numbers only; silence is unknown; two presses ask once."""
    asked: list[object] = []

    async def says_yes(payer: tuple[str, str], patient: tuple[str, str]) -> bool:
        asked.append((payer, patient))
        return True

    async def is_silent(payer: tuple[str, str], patient: tuple[str, str]) -> bool:
        raise Unknown("timeout")

    with pytest.raises(NotFoundError):
        await flows.ask_insurer(db, says_yes, daughter, her.id)
    async with db.begin() as tx:
        await grants.make(
            tx,
            her.id,
            daughter.id,
            [grants.Terms(GrantKind.PAY)],
            bond=new_id(),
            relation="daughter",
            proof=Proof(ProofKind.DESK),
        )
    assert await flows.ask_insurer(db, says_yes, daughter, her.id) is None  # her own number is not proven
    assert asked == []
    async with db.begin() as tx:
        await patients.known(tx, hospital.id, PatientFact("P2", "陈敏", DAUGHTER_ID, "19900000002"))
    with pytest.raises(AskedJustNowError):
        await flows.ask_insurer(db, says_yes, daughter, her.id)
    clock.move(timedelta(minutes=1))
    assert await flows.ask_insurer(db, says_yes, daughter, her.id) is True
    assert asked == [(("陈敏", DAUGHTER_ID), ("朱桂芳", MOTHER_ID))]
    async with db.begin() as tx:
        assert await insurer.said_to(tx, daughter.id, {her.id}) == {her.id: (True, clock.time)}
    clock.move(timedelta(minutes=1))
    assert await flows.ask_insurer(db, is_silent, daughter, her.id) is None
    async with db.begin() as tx:
        row = await tx.session.scalar(select(InsurerSays))
        assert row is not None
        assert (row.related, row.asked_at) == (None, clock.time)
