"""The made-up insurance: what it pays is exact, and whatever happens in whatever order, no fen appears or is lost."""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.his.catalogue import HOSPITAL_FILE, PEOPLE_FILE
from sandbox.his.generate import Clock
from sandbox.his.insurance import split
from sandbox.insurance import cast, refunds
from sandbox.insurance.books import FIELDS_6201, Books, Order, Person
from sandbox.insurance.rules import SCHEMES, Rules, cut
from sandbox.insurance.wire import Refusal, yuan

CLASSES = {"A1": "A", "B1": "B", "C1": "C"}
RULES = Rules(classes=CLASSES, other={"390": 10}, hospital={"C9": 50})
ORG = "H1"
FEN = st.integers(0, 1_000_000)
CHARGES = st.lists(st.tuples(st.sampled_from(["A1", "B1", "C1", "C9"]), FEN), max_size=6)


@given(CHARGES, st.sampled_from(["310", "390", None]), FEN, FEN)
@settings(max_examples=150, deadline=None)
def test_every_cut_adds_up(charges: list[tuple[str, int]], scheme: str | None, own: int, shared: int) -> None:
    """Total = fund + supplement + accounts + cash; nobody gives more than they have; the own account goes first."""
    found = cut(RULES, scheme, charges, [("me", own), ("you", shared)])
    assert found.total == sum(amount for _, amount in charges) == found.fund + found.other + found.account + found.cash
    drawn = dict(found.accounts)
    assert drawn.get("me", 0) <= own
    assert found.mutual == drawn.get("you", 0) <= shared
    assert not found.mutual or drawn.get("me", 0) == own
    assert 0 <= found.hospital <= found.cash
    if scheme is None:
        assert found.cash == found.total


@given(CHARGES, st.sampled_from(["310", "390"]), FEN)
@settings(max_examples=60, deadline=None)
def test_the_hospital_s_estimate_is_the_same(charges: list[tuple[str, int]], scheme: str, own: int) -> None:
    """What the HIS reckons charge by charge is what the centre settles, without supplement and relatives."""
    left, fund, account, cash = own, 0, 0, 0
    for code, amount in charges:
        part = split(amount, CLASSES.get(code), "normal", scheme, SCHEMES, left)
        fund, account, cash, left = fund + part[0], account + part[1], cash + part[2], left - part[1]
    found = cut(Rules(classes=CLASSES), scheme, charges, [("me", own)])
    assert (found.fund, found.account, found.cash) == (fund, account, cash)


def people() -> list[Person]:
    """A father and the daughter who shares her account."""
    return [Person("甲", "ID1", "o1", "310", 5000, ("ID2",), ("ID2",)), Person("乙", "ID2", "o2", "390", 3000)]


def test_who_comes_with_another_wechat_consents_there(books: Books) -> None:
    """Known by the identity number: the account is as it was, the code comes to the new phone, no more to the old."""
    books.join(Person("甲", "ID1", "o9", "390", 99))
    assert (books.people["ID1"].account, books.people["ID1"].scheme) == (5000, "310")
    assert books.consents[books.consent("o9")].patient == "ID1"
    with pytest.raises(Refusal):
        books.consent("o1")


@pytest.fixture
def books(clock: Clock) -> Books:
    return Books(people(), RULES, clock)


def bill(number: str, auth: str, *charges: tuple[str, int], **over: Any) -> dict[str, Any]:
    """A 6201 of the first person."""
    lines = [
        {"feedetlSn": str(n), "medListCodg": code, "detItemFeeSumamt": yuan(amount)}
        for n, (code, amount) in enumerate(charges)
    ]
    data: dict[str, Any] = dict.fromkeys(FIELDS_6201, "x")
    data |= {"orgCodg": ORG, "medOrgOrd": number, "idNo": "ID1", "userName": "甲", "idType": "01"}
    data |= {"payAuthNo": auth, "mdtrtId": "M1", "feedetailList": lines}
    return data | {"medfeeSumamt": yuan(sum(amount for _, amount in charges))} | over


def placed(books: Books, number: str = "N1", *charges: tuple[str, int]) -> Order:
    """An order reckoned."""
    auth, _ = books.resolve(books.consent("o1"), "o1")
    order = books.upload(ORG, bill(number, auth.number, *(charges or (("A1", 10000), ("C1", 700)))))
    asked = {"payOrdId": order.pay_order_id, "payToken": order.token, "orgCodg": ORG, "payAuthNo": auth.number}
    return books.place(ORG, asked | {"orgBizSer": "S", "chrgBchno": "B", "feeType": "01", "mdtrtId": "M1"})


def refund(order: Order, kind: str, number: str, **over: str) -> dict[str, Any]:
    """A 6203 of everything the kind may take."""
    assert order.cut is not None
    insured, cash = kind != "CASH", order.cash_paid if kind != "HI" else 0
    account, fund, other = (order.cut.account, order.cut.fund, order.cut.other) if insured else (0, 0, 0)
    data = {"payOrdId": order.pay_order_id, "orgCodg": ORG, "appRefdSn": number, "appRefdTime": "20261122120000"}
    data |= {"refdType": kind, "payAuthNo": str(order.auth), "totlRefdAmt": yuan(account + fund + other + cash)}
    return data | {"psnAcctRefdAmt": yuan(account), "fundRefdAmt": yuan(fund), "cashRefdAmt": yuan(cash)} | over


def test_sums_that_do_not_hold_are_refused(books: Books) -> None:
    """Σ lines, the three scopes, repeated line numbers, broken amounts, missing fields: no order is made."""
    auth, _ = books.resolve(books.consent("o1"), "o1")
    good = bill("N1", auth.number, ("A1", 100), ("B1", 200))
    scope = {"fulamtOwnpayAmt": "1.00", "preselfpayAmt": "1.00", "inscpScpAmt": "1.01"}
    doubled = [*good["feedetailList"], good["feedetailList"][0]]
    for over, code in (
        ({"medfeeSumamt": "3.01"}, "AMOUNT_MISMATCH"),
        (scope, "AMOUNT_MISMATCH"),
        ({"medfeeSumamt": "3.001"}, "PARAM_ERROR"),
        ({"medfeeSumamt": "-3.00"}, "PARAM_ERROR"),
        ({"medfeeSumamt": "NaN"}, "PARAM_ERROR"),
        ({"feedetailList": doubled}, "PARAM_ERROR"),
        ({"feedetailList": []}, "PARAM_ERROR"),
        ({"deptCode": ""}, "PARAM_ERROR"),
        ({"orgCodg": "H2"}, "PARAM_ERROR"),
        ({"mdtrtId": ""}, "PARAM_ERROR"),
        ({"ecToken": "EC"}, "PARAM_ERROR"),
        ({"userName": "乙"}, "PERSON_MISMATCH"),
        ({"payAuthNo": "AUTHX"}, "PAY_AUTH_NO_INVALID"),
    ):
        with pytest.raises(Refusal, match=code):
            books.upload(ORG, good | over)
    assert books.orders == {}
    assert books.upload(ORG, good).status == 0


def test_an_ec_token_lives_a_day(books: Books, clock: Clock) -> None:
    """It needs no registration, is given one, and ends."""
    _, token = books.resolve(books.consent("o1"), "o1")
    data = bill("N1", "", ("A1", 100), ecToken=token, mdtrtId="")
    assert books.upload(ORG, data).registration.startswith("M")
    clock.at += timedelta(hours=25)
    with pytest.raises(Refusal, match="EC_TOKEN_INVALID"):
        books.upload(ORG, data | {"medOrgOrd": "N2"})


def test_a_certificate_is_good_for_one_order(books: Books, clock: Clock) -> None:
    """A certified terminal's reading opens its person's insurance, for one order and a quarter of an hour."""
    auth, token = books.certificate("ID1")
    assert books.authorized({"ecToken": token}, lambda: None) == ("ID1", None)
    order = books.upload(ORG, bill("N1", auth.number, ("A1", 1000)))
    assert books.upload(ORG, bill("N1", auth.number, ("A1", 1000))) is order
    late, stranger = books.certificate("ID1")[0].number, books.certificate("ID2")[0].number
    for number, code in ((auth.number, "PAY_AUTH_NO_USED"), (stranger, "PERSON_MISMATCH")):
        with pytest.raises(Refusal, match=code):
            books.upload(ORG, bill("N2", number, ("A1", 1000)))
    clock.at += timedelta(minutes=16)
    with pytest.raises(Refusal, match="PAY_AUTH_NO_EXPIRED"):
        books.upload(ORG, bill("N2", late, ("A1", 1000)))
    assert list(books.orders.values()) == [order]


ALLOWED = {
    "pay": {1, 2, 3},
    "cash": {1, 2, 4},
    "inside": {4},
    "fail": {1, 2, 3, 4, 5, 6},
    "reverse": {4, 5, 6},
    "revoke": {0, 1, 12},
}


@pytest.mark.parametrize("move", ALLOWED)
def test_forbidden_moves_change_nothing(books: Books, move: str) -> None:
    """Every move from every state: allowed ones move, the others are refused and leave all as it was."""
    for status in range(18):
        order = placed(books, f"N{status}", ("A1", 10))
        order.status = status
        if status in (4, 5, 6):
            order.insurance = "paid"
            books.fund_paid += order.cut.fund if order.cut else 0
        asked = {"payOrdId": order.pay_order_id, "payToken": order.token, "orgCodg": ORG}
        asked |= {"idNo": "ID1", "userName": "甲", "idType": "01"}
        before, sums = books.shown(order), books.dump()["sums"]
        try:
            if move == "revoke":
                books.revoke(ORG, asked)
            else:
                getattr(books, move)(order)
            moved = True
        except Refusal:
            moved = False
            assert (books.shown(order), books.dump()["sums"]) == (before, sums)
        assert moved == (status in ALLOWED[move]), status


@pytest.mark.parametrize("seed", range(6))
def test_no_fen_appears_or_is_lost(clock: Clock, seed: int) -> None:
    """Three hundred random doings: accounts and what is drawn make what was there; refunds stay below payments."""
    dice, books = random.Random(seed), Books(people(), RULES, clock)
    orders: list[Order] = []
    done = 0
    for step in range(300):
        if not orders or dice.random() < 0.2:
            codes = dice.choices(["A1", "B1", "C1", "C9"], k=2)
            orders.append(placed(books, f"N{step}", *((code, dice.randint(1, 3000)) for code in codes)))
        order = dice.choice(orders[-5:])
        asked = {"payOrdId": order.pay_order_id, "payToken": order.token, "orgCodg": ORG}
        doings: dict[str, Callable[[], object]] = {
            "pay": partial(books.pay, order),
            "cash": partial(books.cash, order),
            "fail": partial(books.fail, order),
            "reverse": partial(books.reverse, order),
            "revoke": partial(books.revoke, ORG, asked | {"idNo": "ID1", "userName": "甲", "idType": "01"}),
        }
        for kind in ("ALL", "HI", "CASH"):
            doings[kind] = partial(refunds.refund, books, ORG, refund(order, kind, f"R{step}"))
        try:
            doings[dice.choice(["pay", "cash", *doings])]()
            done += 1
        except Refusal:
            pass
        sums = books.dump()["sums"]
        assert sums["accounts"] + sums["drawn"] == sums["opened"]
        assert min(p.account for p in books.people.values()) >= 0
        standing = [o for o in orders if o.insurance == "paid" and o.cut]
        assert books.fund_paid == sum(o.cut.fund for o in standing if o.cut)
        assert all(0 <= o.cash_back <= o.cash_paid for o in orders)
    assert done > 50


def test_an_undecided_refund_ends_once(books: Books) -> None:
    """EXP moves no money; decided, it returns it once, or the order is as it was before."""
    order = placed(books)
    books.pay(order)
    books.cash(order)
    first = refunds.refund(books, ORG, refund(order, "ALL", "R1"), "EXP")
    assert (order.status, books.dump()["sums"]["fund_paid"]) == (17, 7000)
    refunds.finish(books, first, False)
    assert (order.status, first.status, books.dump()["sums"]["fund_paid"]) == (6, "FAIL", 7000)
    second = refunds.refund(books, ORG, refund(order, "ALL", "R2"), "EXP")
    refunds.finish(books, second, True)
    assert (order.status, second.status, books.dump()["sums"]["fund_paid"]) == (7, "SUCC", 0)
    for made in (first, second):
        with pytest.raises(Refusal, match="REFUND_STATUS"):
            refunds.finish(books, made, True)


def test_the_demo_s_people_are_insured() -> None:
    """The mother has her own account and her children's, who may pay for her; a friend shares nothing."""
    file = json.loads(PEOPLE_FILE.read_text("utf-8"))
    found = {p.name: p for p in cast.people(file)}
    numbers = {one["key"]: one["id_number"] for one in file["people"]}
    mother = found[next(one["name"] for one in file["people"] if one["key"] == "mother")]
    assert (mother.scheme, mother.account) == ("310", 6200)
    assert mother.sharing == mother.family == (numbers["daughter"], numbers["son"])
    resting = next(one["name"] for one in file["people"] if one["key"] == "pay_first")
    assert found[resting].scheme is None


def test_the_demo_s_prices_have_classes() -> None:
    """Fund 70 % of a class A charge of the hospital file, as its own system reckons."""
    hospital = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    made = cast.rules(hospital)
    assert cut(made, "310", [("R001", 1000), ("R000", 100)], []).fund == 700
