"""Mixed payments: both money formulas, which fields go together, and what three states prove."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.wechat_pay.mixed import id_digest
from payments.ports import (
    AddKind,
    CardType,
    CashChannel,
    MedInsStatus,
    MixEnd,
    MixKind,
    MixMoney,
    MixOrder,
    MixPerson,
    MixState,
    MixStatus,
    ReduceKind,
    SelfPayStatus,
)

FEN = st.integers(0, 10**7)
MORE = st.integers(1, 10**5)


@st.composite
def right_money(draw: st.DrawFn) -> MixMoney:
    """Any money that adds up."""
    fund, account, other, cash = (draw(FEN) for _ in range(4))
    added = draw(st.lists(st.tuples(st.sampled_from(AddKind), MORE), max_size=3))
    reduced = draw(st.lists(st.tuples(st.sampled_from(ReduceKind), MORE), max_size=3))
    more, less = sum(fen for _, fen in added), sum(fen for _, fen in reduced)
    if less > cash + more:
        reduced, less = [], 0
    total = fund + account + other + cash + more
    if total == 0:
        cash, total = 1, 1
    return MixMoney(total, fund, account, other, cash, cash + more - less, tuple(added), tuple(reduced))


AMOUNTS = [f.name for f in fields(MixMoney) if f.name.endswith("fen")]


@given(right_money(), st.sampled_from(AMOUNTS), st.sampled_from([1, -1]))
def test_a_fen_anywhere_breaks_a_formula(money: MixMoney, part: str, by: int) -> None:
    """What adds up is right; one fen more or less in any single amount is not."""
    assert money.fault is None
    assert replace(money, **{part: getattr(money, part) + by}).fault is not None


@pytest.mark.parametrize(
    "spoilt",
    [
        MixMoney(0),
        MixMoney(100, fund_fen=100.0),  # type: ignore[arg-type]
        MixMoney(100, fund_fen=110, account_fen=-10),
        MixMoney(True, cash_fen=True, pay_fen=True),
        MixMoney(100, cash_fen=100, pay_fen=100, added=((AddKind.DEFAULT, 0),)),
        MixMoney(100, cash_fen=110, pay_fen=100, added=((AddKind.DEFAULT, -10),)),
        MixMoney(100, cash_fen=100, pay_fen=100, reduced=((ReduceKind.DEFAULT, 5),), added=((AddKind.DEFAULT, 5),)),
    ],
)
def test_no_money_at_all(spoilt: MixMoney) -> None:
    """Nothing, floats, negatives, truth values; both formulas must hold, not only their difference."""
    assert spoilt.fault is not None


INSURED: dict[str, Any] = {
    "pay_order_id": "ORD1",
    "pay_auth_no": "AUTH1",
    "location": "112.9,28.2",
    "insured_at": datetime(2026, 11, 22, tzinfo=UTC),
}
NOT_INSURED: dict[str, Any] = {"pay_order_id": "", "pay_auth_no": "", "location": "", "insured_at": None}
CASH = MixMoney(300, pay_fen=300, added=((AddKind.DEFAULT, 300),))
INSURANCE = MixMoney(100, fund_fen=100)
FREED = MixMoney(100, fund_fen=70, cash_fen=30, reduced=((ReduceKind.HOSPITAL, 30),))
BOTH = MixMoney(100, fund_fen=70, cash_fen=30, pay_fen=30)
ALL_CASH = MixMoney(100, cash_fen=100, pay_fen=100)


def order(kind: MixKind, money: MixMoney, prepay: str, insured: dict[str, Any], **over: Any) -> MixOrder:
    """One order."""
    person = MixPerson("示例父", "999901195503089023")
    made = MixOrder("MX0001", "HF0001", kind, money, CashChannel.JSAPI, "oFather", person, prepay_id=prepay, **insured)
    return replace(made, **over)


RIGHT = [
    (MixKind.CASH_ONLY, CASH, "wx1", NOT_INSURED),
    (MixKind.INSURANCE_ONLY, INSURANCE, "", INSURED),
    (MixKind.INSURANCE_ONLY, FREED, "", INSURED),  # what was left over is borne by the hospital
    (MixKind.BOTH, BOTH, "wx1", INSURED),
    (MixKind.BOTH, ALL_CASH, "wx1", INSURED),  # reckoned, and all of it left to the payer
]


def test_the_linkage_table() -> None:
    """Of all combinations of kind, money, ticket and insurance only the five of the table may be sent."""
    moneys, tickets, papers = (CASH, INSURANCE, FREED, BOTH, ALL_CASH), ("", "wx1"), (NOT_INSURED, INSURED)
    right = [
        (kind, money, ticket, paper)
        for kind, money, ticket, paper in product(MixKind, moneys, tickets, papers)
        if order(kind, money, ticket, paper).fault is None
    ]
    # Also: a mixed order may be mostly added cash, as long as the insurance has some of it.
    assert sorted(map(repr, right)) == sorted(map(repr, RIGHT))


@pytest.mark.parametrize("missing", sorted(INSURED))
def test_each_paper_of_the_insurance_is_needed(missing: str) -> None:
    """One of the four left out, with insurance; one of them given, without."""
    assert order(MixKind.BOTH, BOTH, "wx1", {**INSURED, missing: NOT_INSURED[missing]}).fault is not None
    assert order(MixKind.CASH_ONLY, CASH, "wx1", {**NOT_INSURED, missing: INSURED[missing]}).fault is not None


def test_people_must_be_named() -> None:
    """Payer and relative, wholly; and no desk screen asks the insurance for money."""
    nobody = MixPerson("", "999901195503089023")
    for over in ({"payer": nobody}, {"relative": nobody}, {"payer_openid": ""}, {"channel": CashChannel.H5}):
        assert order(MixKind.BOTH, BOTH, "wx1", INSURED, **over).fault is not None


@pytest.mark.parametrize(
    ("number", "card", "digest"),
    [
        ("44030019000101123x", CardType.ID_CARD, "09eb26e839ff3a2e3980352ae45ef09e"),
        ("44030019000101123X", CardType.ID_CARD, "09eb26e839ff3a2e3980352ae45ef09e"),
        ("e12345678", CardType.FOREIGNER_PASSPORT, "d02f3cf86bb402a904f98df6373eb1ac"),
    ],
)
def test_identity_digests(number: str, card: CardType, digest: str) -> None:
    """The merchant guide's vector, in either case; a passport as it is, in capitals."""
    assert id_digest(number, card) == digest


def test_fifteen_digits_become_eighteen() -> None:
    """GB 11643: the century and the check character are put back; a passport of fifteen digits stays."""
    assert id_digest("110105491231002") == id_digest("11010519491231002X")
    assert id_digest("110105491231002", CardType.FOREIGNER_PASSPORT) != id_digest("11010519491231002X")


def test_what_three_states_prove() -> None:
    """All 4 x 5 x 5 of them: which are an end, and which."""
    money = MixMoney(100, fund_fen=70, cash_fen=30, pay_fen=30)
    found: dict[MixEnd, set[tuple[str, str, str]]] = {end: set() for end in MixEnd}
    for status, cash, insurance in product(MixStatus, SelfPayStatus, MedInsStatus):
        state = MixState("MX0001", "MIX1", MixKind.BOTH, status, cash, insurance, money)
        if state.concludes:
            found[state.concludes].add((status.name, cash.name, insurance.name))
    assert found[MixEnd.WHOLE] == {
        ("SUCCESS", "SUCCESS", "SUCCESS"),
        ("SUCCESS", "NONE", "SUCCESS"),
        ("SUCCESS", "SUCCESS", "NONE"),
    }
    assert found[MixEnd.CASH_ALONE] == {("FAIL", "SUCCESS", other) for other in ("FAIL", "REFUND", "NONE")}
    assert found[MixEnd.INSURANCE_ALONE] == {("FAIL", other, "SUCCESS") for other in ("FAIL", "REFUND", "NONE")}
    gone = ("FAIL", "REFUND", "NONE")
    assert found[MixEnd.NOTHING] == set(product(("FAIL", "REFUND"), gone, gone))
