"""Our line to the insurance's payment centre against the sandbox's: bills, splits, states, refunds, and the sums."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.insurance import NestedOrder, Province, Wrapping
from kernel.outside import NotConfigured, Rejected
from payments.ports import Conclusion, InsuranceRefundStatus, InsuranceStatus, RefundKind, Split, UnbalancedSplit
from sandbox import insurance as sandbox
from tests.adapters.insurance_stand import Stand, a_stand, refund_of


@pytest.fixture
async def stand(clock: Any, serving: Any) -> AsyncIterator[Stand]:
    async with a_stand(clock, serving) as made:
        yield made


async def test_a_bill_is_cut_to_the_fen(stand: Stand) -> None:
    """Fund 70 % of A and 60 % of B rounded down a charge; 20.00 own account, 15.00 the daughter's; the rest is cash."""
    fees, credential, split = await stand.placed(("A1", 10001), ("B1", 3333), ("C9", 501))
    assert split == Split(
        total_fen=13835,
        fund_fen=7000 + 1999,
        personal_account_fen=3500,
        mutual_aid_fen=1500,
        other_fen=0,
        cash_fen=1336,
        hospital_part_fen=250,
    )
    assert credential.registration == fees.registration
    assert [p.account for p in stand.world.books.people.values()] == [0, 0, 0]


async def test_the_patient_may_keep_their_account(stand: Stand) -> None:
    """Without accounts everything beside the fund is cash, and no account is touched."""
    _, _, split = await stand.placed(account_used=False)
    assert split == Split(total_fen=10000, fund_fen=7000, personal_account_fen=0, cash_fen=3000)
    assert [p.account for p in stand.world.books.people.values()] == [2000, 1500, 0]


async def test_states_on_the_way(stand: Stand) -> None:
    """Saved, reckoned, settling, insurance paid, all paid: only from 4 on is anything proved."""
    fees, credential = await stand.uploaded(("A1", 20000))
    seen = []
    for step in ("", "place", "settling", "pay", "cash"):
        if step == "place":
            split = await stand.client.place(stand.order(fees, credential))
        elif step:
            await stand.move(credential, step)
        state = await stand.client.query(credential, fees.insured)
        assert state.order_number == fees.order_number
        assert state.split == (None if step == "" else split)
        seen.append((state.status.value, state.status.concludes))
    paid = Conclusion.PAID
    assert seen == [(0, None), (1, None), (2, None), (4, paid), (6, paid)]
    await stand.world.quiet()
    assert [s.status.value for s in stand.house.states] == [4, 6]
    assert {s.split for s in stand.house.states} == {split}
    assert (await stand.books())["sums"]["fund_paid"] == 14000


async def test_repetitions_change_nothing(stand: Stand) -> None:
    """The same upload, order, revocation and refund again find the same; other contents are refused."""
    fees, credential, split = await stand.placed()
    assert await stand.client.upload(fees) == credential
    assert await stand.client.place(stand.order(fees, credential)) == split
    with pytest.raises(Rejected, match="MED_ORG_ORD_USED"):
        await stand.client.upload(replace(fees, visit_number="V-other"))
    await stand.client.revoke(credential, fees.insured)
    await stand.client.revoke(credential, fees.insured)
    assert [p.account for p in stand.world.books.people.values()] == [2000, 1500, 0]
    with pytest.raises(Rejected, match="ORDER_STATUS_12"):
        await stand.client.place(stand.order(fees, credential))
    books = await stand.books()
    assert [o["history"] for o in books["orders"]] == [[0, 1, 12]]


async def test_an_authorization_is_good_for_one_order(stand: Stand, clock: Any) -> None:
    """Code and number work once, for their owner, for minutes; whatever is refused leaves no order behind."""
    code = stand.code()
    with pytest.raises(Rejected, match="OPENID_MISMATCH"):
        await stand.client.resolve_auth(code, "oStranger")
    auth = await stand.client.resolve_auth(code, "oFather")
    assert (auth.family, auth.name, auth.card) == (False, "示例父", "999901195503089023")
    with pytest.raises(Rejected, match="QRCODE_INVALID"):
        await stand.client.resolve_auth(code, "oFather")
    await stand.uploaded(pay_auth_no=auth.pay_auth_no)
    with pytest.raises(Rejected, match="PAY_AUTH_NO_USED"):
        await stand.uploaded(pay_auth_no=auth.pay_auth_no)
    stale, code = await stand.auth(), stand.code()
    clock.move(minutes=16)
    with pytest.raises(Rejected, match="PAY_AUTH_NO_EXPIRED"):
        await stand.uploaded(pay_auth_no=stale.pay_auth_no)
    with pytest.raises(Rejected, match="QRCODE_EXPIRED"):
        await stand.client.resolve_auth(code, "oFather")
    assert len(stand.world.books.orders) == 1


async def test_a_relative_authorizes(stand: Stand) -> None:
    """Only with the insurer's family account; the answer says that it is a relative's, the bill is the father's."""
    father = stand.insured().id_number
    auth = await stand.client.resolve_auth(stand.code("oDaughter", father), "oDaughter")
    assert (auth.family, auth.name) == (True, "示例女")
    fees, credential = await stand.uploaded(pay_auth_no=auth.pay_auth_no)
    assert (await stand.client.place(stand.order(fees, credential))).fund_fen == 7000
    with pytest.raises(sandbox.Refusal, match="NO_FAMILY_ACCOUNT"):
        stand.code("oStranger", father)
    with pytest.raises(Rejected, match="PERSON_MISMATCH"):
        await stand.uploaded(pay_auth_no=(await stand.auth("oStranger")).pay_auth_no)


async def test_who_is_in_a_family_account_is_asked(stand: Stand) -> None:
    """The daughter may pay for her father, not he for her, nor a stranger; unknown people are in none."""
    father, daughter, stranger = (stand.insured(o) for o in ("oFather", "oDaughter", "oStranger"))
    asked = [
        (daughter, father),
        (father, daughter),
        (stranger, father),
        (daughter, replace(father, id_number="9" * 18)),
    ]
    assert [await stand.client.family_account(*pair) for pair in asked] == [True, False, False, False]


async def test_another_s_token_opens_nothing(stand: Stand) -> None:
    """payOrdId and payToken belong together, and the patient's name to both."""
    fees, mine = await stand.uploaded()
    _, other = await stand.uploaded(openid="oDaughter")
    mixed = replace(mine, pay_token=other.pay_token)
    for call in (stand.client.query, stand.client.revoke):
        with pytest.raises(Rejected, match="TOKEN_MISMATCH"):
            await call(mixed, fees.insured)
        with pytest.raises(Rejected, match="PERSON_MISMATCH"):
            await call(mine, stand.insured("oStranger"))
    with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
        await stand.client.query(replace(mine, pay_order_id="ORD0"), fees.insured)
    assert [o.status for o in stand.world.books.orders.values()] == [0, 0]


async def test_after_payment_only_a_refund_helps(stand: Stand) -> None:
    """6401 is refused once the insurance has paid; 6203 gives every part back and the accounts are whole."""
    fees, credential, split = await stand.placed(("A1", 20000))
    await stand.move(credential, "pay")
    with pytest.raises(Rejected, match="INSURANCE_PAID"):
        await stand.client.revoke(credential, fees.insured)
    await stand.move(credential, "cash")
    whole = refund_of(fees, credential, split, RefundKind.ALL)
    done = await stand.client.refund(whole)
    assert done.status is InsuranceRefundStatus.SUCCESS
    assert await stand.client.refund(whole) == done
    state = await stand.client.query(credential, fees.insured)
    assert (state.status, state.status.concludes) == (InsuranceStatus.REFUNDED, Conclusion.GIVEN_BACK)
    sums = (await stand.books())["sums"]
    assert (sums["fund_paid"], sums["drawn"], sums["accounts"]) == (0, 0, sums["opened"])


async def test_never_more_back_than_was_paid(stand: Stand) -> None:
    """Cash in parts up to what was paid, the insurance whole or not at all, a number once."""
    fees, credential, split = await stand.placed(("A1", 20000), ("C1", 1000))
    assert split.cash_fen == 3500
    with pytest.raises(Rejected, match="NOT_PAID"):
        await stand.client.refund(refund_of(fees, credential, split, RefundKind.INSURANCE))
    await stand.move(credential, "pay", "cash")
    half = {"total_fen": 2000, "cash_fen": 2000}
    one = refund_of(fees, credential, split, RefundKind.CASH, **half, refund_number="RA")
    assert (await stand.client.refund(one)).status is InsuranceRefundStatus.SUCCESS
    with pytest.raises(Rejected, match="REFUND_TOO_MUCH"):
        await stand.client.refund(replace(one, refund_number="RB"))
    with pytest.raises(Rejected, match="REFUND_NUMBER_USED"):
        await stand.client.refund(replace(one, total_fen=1000, cash_fen=1000))
    part = refund_of(fees, credential, split, RefundKind.INSURANCE, refund_number="RC")
    with pytest.raises(Rejected, match="AMOUNT_MISMATCH"):
        await stand.client.refund(replace(part, fund_fen=part.fund_fen - 1, total_fen=part.total_fen - 1))
    await stand.client.refund(part)
    with pytest.raises(Rejected, match="NOT_PAID"):
        await stand.client.refund(replace(part, refund_number="RD"))
    assert (await stand.client.query(credential, fees.insured)).status.value == 11
    books = await stand.books()
    assert [(r["insurance"], r["cash"]) for r in books["refunds"]] == [(0, 2000), (17500, 0)]
    assert books["sums"]["fund_paid"] == 0


async def test_what_is_wrong_never_leaves_the_house(stand: Stand) -> None:
    """Sums that do not hold and impossible authorizations are our own no; the centre hears nothing."""
    fees = stand.fees(pay_auth_no="AUTH0")
    wrong = [
        replace(fees, total_fen=9999),
        replace(fees, lines=()),
        replace(fees, ec_token="EC0"),
        replace(fees, registration=""),
        replace(fees, order_number="x" * 21),
        replace(fees, scope=(1, 2, 3)),
    ]
    for each in wrong:
        with pytest.raises(Rejected, match="PARAM_ERROR"):
            await stand.client.upload(each)
    fees, credential, split = await stand.placed()
    refund = refund_of(fees, credential, split, RefundKind.ALL)
    for over in ({"total_fen": 1}, {"ec_token": "EC0"}, {"kind": RefundKind.CASH}, {"refund_number": "一"}):
        with pytest.raises(Rejected, match="PARAM_ERROR"):
            await stand.client.refund(replace(refund, **over))
    books = await stand.books()
    assert (len(books["orders"]), books["refunds"]) == (1, [])


@pytest.mark.parametrize(
    ("dialect", "province"),
    [
        (
            sandbox.Dialect(case_blind=True, user_id="1234567812345678", lower_hex=True),
            Province("b", NestedOrder.CASE_INSENSITIVE, "1234567812345678", upper_hex=False),
        ),
        (sandbox.Dialect(numbered=True), Province("c", wrapping=Wrapping.NUMBERED)),
    ],
    ids=["case-blind", "numbered"],
)
async def test_other_provinces(clock: Any, serving: Any, dialect: sandbox.Dialect, province: Province) -> None:
    """The same visit under another key order, user id, hex case, or wrapping, notice and refusal included."""
    async with a_stand(clock, serving, dialect, province) as stand:
        fees, credential, split = await stand.placed(("A1", 10000), ("B2", 50))
        await stand.move(credential, "pay")
        assert (await stand.client.query(credential, fees.insured)).split == split
        with pytest.raises(Rejected, match="INSURANCE_PAID"):
            await stand.client.revoke(credential, fees.insured)
        await stand.world.quiet()
        # No cash was left, so with the insurance everything is paid.
        assert [(s.status.value, s.split) for s in stand.house.states] == [(6, split)]


async def test_the_wrong_province_understands_nothing(clock: Any, serving: Any) -> None:
    """Settings of another province are refused by the centre itself, as a definite no: nothing happened."""
    settings = [
        Province("x", NestedOrder.CASE_INSENSITIVE),
        Province("x", user_id="1234567812345678"),
        Province("x", wrapping=Wrapping.NUMBERED),
    ]
    for province, reason in zip(settings, ("SIGN_ERROR", None, "PARAM_ERROR"), strict=True):
        async with a_stand(clock, serving, None, province) as stand:
            with pytest.raises(Exception, match=reason or "signature"):
                await stand.uploaded()
            assert stand.world.books.orders == {}


async def test_half_a_configuration_is_none(stand: Stand, clock: Any) -> None:
    """What is missing is named; without a city host only authorizations are."""
    made = type(stand.client)
    with pytest.raises(NotConfigured, match=r"insurance\.org_code"):
        made(replace(stand.settings, org_code=""), clock)
    broken = replace(stand.settings.access, public_key="04" + "11" * 64)
    with pytest.raises(NotConfigured, match=r"insurance\.access"):
        made(replace(stand.settings, access=broken), clock)
    async with made(replace(stand.settings, user_query=None), clock) as client:
        with pytest.raises(NotConfigured, match=r"insurance\.user_query"):
            await client.resolve_auth("code", "oFather")


async def test_a_day_of_fifty_visits(clock: Any, serving: Any) -> None:
    """Fifty random bills paid, refunded, revoked, left: our sums are the centre's, and no fen is lost."""
    async with a_stand(clock, serving, father_has=100_000) as stand:
        # Notices have tests of their own; here every one would cost another verification.
        stand.world.notify_url = ""
        await a_day(stand, random.Random(20261122))


async def a_day(stand: Stand, dice: random.Random) -> None:
    """Fifty visits, then the comparison."""
    ours = {"fund": 0, "account": 0, "other": 0, "cash_back": 0}
    for _ in range(50):
        charges = [(dice.choice(["A1", "B1", "C1", "C9"]), dice.randint(1, 9999)) for _ in range(dice.randint(1, 4))]
        openid = dice.choice(["oFather", "oDaughter", "oStranger"])
        auth = await stand.auth(openid)
        fees, credential, split = await stand.placed(*charges, openid=openid, pay_auth_no=auth.pay_auth_no)
        end = dice.choice(["paid", "paid", "paid", "refund", "revoke", "left"])
        if end in ("paid", "refund"):
            order = stand.world.books.orders[credential.pay_order_id]
            stand.world.pay(order)
            if split.cash_fen:
                stand.world.cash(order)
        if end == "refund":
            await stand.client.refund(refund_of(fees, credential, split, RefundKind.ALL))
            ours["cash_back"] += split.cash_fen
        if end == "revoke":
            await stand.client.revoke(credential, fees.insured)
        if end == "paid":
            ours["fund"] += split.fund_fen
            ours["other"] += split.other_fen
        if end in ("paid", "left"):
            ours["account"] += split.personal_account_fen
    books = await stand.books()
    sums = books["sums"]
    theirs = {"fund": sums["fund_paid"], "account": sums["drawn"], "other": sums["other_paid"]}
    assert theirs | {"cash_back": sum(r["cash"] for r in books["refunds"])} == ours
    assert ours["fund"] > 0
    assert ours["other"] > 0
    assert sums["accounts"] + sums["drawn"] == sums["opened"]
    assert len(books["orders"]) == 50


def test_only_definite_states_conclude() -> None:
    """All eighteen: paid while the insurance's payment stands, never paid, given back; the rest proves nothing."""
    proved = {conclusion: {s.value for s in InsuranceStatus if s.concludes is conclusion} for conclusion in Conclusion}
    assert proved == {
        Conclusion.PAID: {4, 5, 6, 9, 10},
        Conclusion.NEVER_PAID: {12, 15, 16},
        Conclusion.GIVEN_BACK: {7, 8, 11, 13},
    }
    assert {s.value for s in InsuranceStatus if s.concludes is None} == {0, 1, 2, 3, 14, 17}


@pytest.mark.parametrize(
    "parts",
    [
        {"cash_fen": 31},
        {"cash_fen": -1, "fund_fen": 71},
        {"mutual_aid_fen": 31, "personal_account_fen": 30, "cash_fen": 0},
        {"hospital_part_fen": 101},
        {"cash_fen": True, "fund_fen": 99},
        {"deposit_fen": -1},
    ],
)
def test_a_split_that_does_not_add_up_is_none(parts: dict[str, int]) -> None:
    """Neither by a fen, nor with negative amounts, nor with a part larger than its whole."""
    good = {"total_fen": 100, "fund_fen": 70, "personal_account_fen": 0, "cash_fen": 30}
    Split(**good)
    with pytest.raises(UnbalancedSplit):
        Split(**good | parts)
