"""The HIS's books: the split adds up, the right bill is right, each command counts once, a restart forgets nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.his import catalogue, commands, insurance, wire
from sandbox.his.books import Books
from sandbox.his.clinic import Clinic, NotPossibleError
from sandbox.his.generate import Clock

PERCENT = {"employee": {"A": 70, "B": 60, "C": 0}, "resident": {"A": 55, "B": 45, "C": 0}}


@given(
    amount=st.integers(0, 10**9),
    insurance_class=st.sampled_from(["A", "B", "C", None]),
    status=st.sampled_from(["normal", "suspended", "none"]),
    scheme=st.sampled_from(["employee", "resident", "other", None]),
    account=st.integers(0, 10**6),
)
def test_a_split_always_adds_up(
    amount: int, insurance_class: str | None, status: str, scheme: str | None, account: int
) -> None:
    """Three parts, none negative, to the fen; the account is never overdrawn; who is not insured pays all."""
    parts = insurance.split(amount, insurance_class, status, scheme, PERCENT, account)
    assert sum(parts) == amount
    assert min(parts) >= 0
    assert parts.account_fen <= account
    if status != "normal" or insurance_class not in ("A", "B") or scheme is None:
        assert parts == (0, 0, amount)


def test_the_fund_rounds_down_and_the_account_fills_up() -> None:
    """¥0.99 of class B, 60 %: the fund pays 59 fen, the account its last 10, the patient 30."""
    assert insurance.split(99, "B", "normal", "employee", PERCENT, 10) == (59, 10, 30)


def visit(clinic: Clinic, who: str = "mother") -> str:
    return clinic.register(clinic.catalogue.by_key[who], "CARD")


def command(kind: str, encounter: str, data: dict[str, Any] | None = None, key: str | None = None) -> dict[str, Any]:
    return {
        "key": key or f"{kind}:1",
        "kind": kind,
        "encounters": [encounter],
        "at": "2026-11-22T01:31:05Z",
        "data": data or {},
    }


def settle(clinic: Clinic, encounter: str, paid: list[str], number: str = "S1", **change: Any) -> dict[str, Any]:
    lines = [
        {"charge_no": c, "self_fen": clinic.books.encounters[encounter].charges[c]["split"]["self_fen"]} for c in paid
    ]
    data = {
        "settlement_no": number,
        "charges": lines,
        "total_fen": sum(int(line["self_fen"]) for line in lines),
        "insurance": [],
    } | change
    data["payments"] = [
        {"way": "JSAPI", "transaction": "T1", "amount_fen": data["total_fen"], "paid_at": "2026-11-22T01:31:05Z"}
    ]
    return command("settle", encounter, data, key=f"settle:{number}")


def test_ordered_is_not_owed(clinic: Clinic) -> None:
    """An ECG and an echo are ordered; the ECG is done; only its ¥22.00 is owed, the echo is planned."""
    no = visit(clinic)
    ecg, echo = clinic.order(no, "ECG12"), clinic.order(no, "ECHOHEART")
    assert clinic.books.right_bill(no).payable == {}
    clinic.confirm(ecg)
    bill = clinic.books.right_bill(no)
    enc = clinic.books.encounters[no]
    assert list(bill.payable.values()) == [2200]
    assert bill.planned == {c: enc.charges[c]["amount_fen"] for c in clinic.books.charges_of(enc, echo)}
    assert bill.self_total_fen == 2200 - 1540 - 660  # 70 % fund, the rest from the account


def test_every_charge_lies_in_exactly_one_pile(clinic: Clinic) -> None:
    """Done, planned, cancelled, reversed, paid at the window and excluded charges are each counted once."""
    no = visit(clinic)
    orders = [clinic.order(no, t) for t in ("ECG12", "URINE", "STOOL", "FLU", "NEB", "LUNG")]
    charges = [clinic.books.charges_of(clinic.books.encounters[no], o)[0] for o in orders]
    for order in (orders[0], orders[2], orders[3], orders[4]):
        clinic.confirm(order)
    clinic.cancel(orders[1], "changed mind")
    clinic.reverse(charges[2])
    clinic.pay_at_window(no, orders[3])
    clinic.exclude(no, "OTHER", charges[4])
    bill = clinic.books.right_bill(no)
    piles = [list(p) for p in (bill.payable, bill.gone, bill.at_window, bill.excluded, bill.planned)]
    assert piles == [[charges[0]], [charges[1], charges[2]], [charges[3]], [charges[4]], [charges[5]]]


def test_a_confirmation_covers_later_charges_of_its_order(clinic: Clinic) -> None:
    """The order is confirmed, then one more tube is charged to it: it is owed too (docs/his.md)."""
    no = visit(clinic)
    order = clinic.order(no, "URINE")
    clinic.confirm(order)
    late = clinic.charge(no, "L001", 1, order)
    assert late in clinic.books.right_bill(no).payable


def test_a_partial_confirmation_covers_only_what_it_names(clinic: Clinic) -> None:
    """Of two charges one is confirmed; the other stays planned, and the order can no longer be taken back."""
    no = visit(clinic)
    order = clinic.order(no, "ECHOHEART")
    first, second = clinic.books.charges_of(clinic.books.encounters[no], order)
    clinic.confirm(order, charge_nos=[first])
    bill = clinic.books.right_bill(no)
    assert (list(bill.payable), list(bill.planned)) == ([first], [second])
    with pytest.raises(NotPossibleError):
        clinic.cancel(order, "late")
    assert order not in clinic.books.encounters[no].cancelled


def test_the_personal_account_is_spent_once_and_given_back(clinic: Clinic) -> None:
    """Charges draw on ¥62.00 until it is empty; cancelling gives back, cancelling and reversing give back once."""
    no = visit(clinic)
    order = clinic.order(no, "ECHOHEART")  # 40 % of 186.00 and of 32.00 is more than the account holds
    parts = [c["split"] for c in clinic.books.encounters[no].charges.values()]
    assert sum(p["account_fen"] for p in parts) == 6200
    clinic.cancel(order, "doctor")
    for charge in clinic.books.charges_of(clinic.books.encounters[no], order):
        clinic.reverse(charge)
    assert clinic.books.account_used["P0000001"] == 0


def test_abandon_cancels_once_and_tells_houfu(clinic: Clinic) -> None:
    """The patient does not want the echo; the command comes twice; there is one order.cancelled and the same answer."""
    no = visit(clinic)
    order = clinic.order(no, "ECHOHEART")
    body = command("abandon", no, {"order_no": order})
    first, second = commands.take(clinic.books, body), commands.take(clinic.books, body)
    assert first == second == {"key": "abandon:1", "outcome": "done"}
    said = [i["data"]["order_no"] for i in clinic.books.outbox.values() if i["type"] == "order.cancelled"]
    assert said == [order]
    assert clinic.books.right_bill(no).planned == {}
    with pytest.raises(NotPossibleError):
        clinic.confirm(order)


def test_abandon_of_a_performed_order_is_refused(clinic: Clinic) -> None:
    """It was done meanwhile: refused with "performed", nothing cancelled, and that is nobody's fault."""
    no = visit(clinic)
    order = clinic.order(no, "ECG12")
    clinic.confirm(order)
    answer = commands.take(clinic.books, command("abandon", no, {"order_no": order}))
    assert answer == {"key": "abandon:1", "outcome": "refused", "reason": "performed"}
    assert clinic.books.encounters[no].cancelled == {}
    assert clinic.books.complaints == []


def test_mark_and_unmark_turn_the_mode(clinic: Clinic) -> None:
    """The mark lasts until the unmark; a repeated old mark does not turn it back."""
    no = visit(clinic)
    mark = command("mark", no)
    commands.take(clinic.books, mark)
    assert clinic.books.encounters[no].mode == "DEFERRED"
    commands.take(clinic.books, command("unmark", no))
    commands.take(clinic.books, mark)
    assert clinic.books.encounters[no].mode == "UPFRONT"


def test_a_settlement_counts_once(clinic: Clinic) -> None:
    """The same settlement twice is done twice and booked once; another settlement of the same line is refused."""
    no = visit(clinic)
    order = clinic.order(no, "CTCHEST")
    clinic.confirm(order)
    (charge,) = clinic.books.charges_of(clinic.books.encounters[no], order)
    body = settle(clinic, no, [charge])
    assert [commands.take(clinic.books, body)["outcome"] for _ in range(2)] == ["done", "done"]
    again = commands.take(clinic.books, settle(clinic, no, [charge], number="S2"))
    assert again == {"key": "settle:S2", "outcome": "refused", "reason": "already_settled"}
    assert clinic.books.settled == {charge: "S1"}
    assert list(clinic.books.settlements) == ["S1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"total_fen": 1}, "total_differs"),
        ({"charges": [{"charge_no": "C?", "self_fen": 0}], "total_fen": 0}, "no_such_charge"),
    ],
)
def test_a_wrong_settlement_is_refused(clinic: Clinic, change: dict[str, Any], reason: str) -> None:
    """Sums that do not fit and unknown lines settle nothing, and the HIS complains."""
    no = visit(clinic)
    order = clinic.order(no, "CTCHEST")
    clinic.confirm(order)
    charges = clinic.books.charges_of(clinic.books.encounters[no], order)
    assert commands.take(clinic.books, settle(clinic, no, charges, **change))["reason"] == reason
    assert clinic.books.settled == {}
    assert len(clinic.books.complaints) == 1


def test_paying_for_what_was_not_done_is_refused(clinic: Clinic) -> None:
    """Houfu settles a planned line: refused "not_performed", the hardest lesson of all."""
    no = visit(clinic)
    clinic.books.encounters[no].mode = "DEFERRED"
    charges = clinic.books.charges_of(clinic.books.encounters[no], clinic.order(no, "CTCHEST"))
    assert commands.take(clinic.books, settle(clinic, no, charges))["reason"] == "not_performed"
    assert clinic.books.settled == {}


def test_the_fund_part_cannot_be_taken_from_the_patient(clinic: Clinic) -> None:
    """One fen too little or one fen into the fund's part is refused; the account's part may be paid in cash."""
    no = visit(clinic)
    order = clinic.order(no, "CTCHEST")
    clinic.confirm(order)
    (charge,) = clinic.books.charges_of(clinic.books.encounters[no], order)
    split = clinic.books.encounters[no].charges[charge]["split"]
    assert split["account_fen"] > 0
    limit = split["self_fen"] + split["account_fen"]
    for number, fen in (("low", split["self_fen"] - 1), ("high", limit + 1)):
        lines = {"charges": [{"charge_no": charge, "self_fen": fen}], "total_fen": fen}
        assert commands.take(clinic.books, settle(clinic, no, [charge], number, **lines))["reason"] == "amount_differs"
    lines = {"charges": [{"charge_no": charge, "self_fen": limit}], "total_fen": limit}
    assert commands.take(clinic.books, settle(clinic, no, [charge], "cash", **lines))["outcome"] == "done"


def test_a_refund_opens_the_line_again(clinic: Clinic) -> None:
    """A settled line is paid back once; a second refund of it is refused; then it can be settled anew."""
    no = visit(clinic)
    order = clinic.order(no, "CTCHEST")
    clinic.confirm(order)
    (charge,) = clinic.books.charges_of(clinic.books.encounters[no], order)
    paid = settle(clinic, no, [charge])
    commands.take(clinic.books, paid)
    back = {k: paid["data"][k] for k in ("settlement_no", "charges", "total_fen")}
    refund = command("refund", no, back | {"refund_no": "R1"}, key="refund:R1")
    assert [commands.take(clinic.books, refund)["outcome"] for _ in range(2)] == ["done", "done"]
    second = commands.take(clinic.books, command("refund", no, back | {"refund_no": "R2"}, key="refund:R2"))
    assert second["outcome"] == "refused"
    assert list(clinic.books.refunds) == ["R1"]
    assert commands.take(clinic.books, settle(clinic, no, [charge], "S3"))["outcome"] == "done"


def test_a_key_with_another_meaning_is_noticed(clinic: Clinic) -> None:
    """The same key for another decision: answered as before, nothing done, and written down as a complaint."""
    no = visit(clinic)
    commands.take(clinic.books, command("mark", no, key="k1"))
    commands.take(clinic.books, command("unmark", no, key="k1"))
    assert clinic.books.encounters[no].mode == "DEFERRED"
    assert clinic.books.complaints == ["key k1 came again with another meaning"]


def test_a_restart_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    """Books on a journal: closed in mid-visit, opened again, they say the same and still owe Houfu the same items."""
    journal = tmp_path / "his.jsonl"
    clinic = Clinic(Books("HF01", clock, journal), catalogue.load())
    no = visit(clinic, "rare_a")
    order = clinic.order(no, "BLOODBASIC")
    clinic.confirm(order)
    commands.take(clinic.books, command("mark", no))
    said = list(clinic.books.outbox)
    clinic.books.acknowledge(said[:2], [{"id": i, "status": "accepted"} for i in said[:2]])
    clinic.books.lose(said[2:3])
    before = (clinic.books.snapshot(no), clinic.books.right_bill(no), list(clinic.books.outbox), clinic.books.commands)
    clinic.books.close()

    reopened = Books("HF01", clock, journal)
    after = (reopened.snapshot(no), reopened.right_bill(no), list(reopened.outbox), reopened.commands)
    assert after == before
    assert list(reopened.outbox) == said[3:]
    assert reopened.encounters[no].mode == "DEFERRED"
    assert reopened.account_used == clinic.books.account_used
    assert reopened.number("O20261122") == "O202611220002"
    reopened.close()


def test_a_snapshot_tells_everything_validly(clinic: Clinic) -> None:
    """Cancelled, reversed, window-paid, executed and reported things all stand in one valid snapshot."""
    no = visit(clinic)
    ecg, urine, flu = (clinic.order(no, t) for t in ("ECG12", "URINE", "FLU"))
    clinic.confirm(ecg)
    clinic.result(ecg, "abnormal", "早搏")
    clinic.cancel(urine, "doctor")
    paid = clinic.pay_at_window(no, flu)
    clinic.finish(no)
    data = clinic.books.snapshot(no)
    wire.VisitSnapshot.model_validate(data)
    assert [("cancelled_at" in o) for o in data["orders"]] == [False, True, False]
    assert [c["charge_no"] for c in data["charges"] if "settled" in c] == paid
    assert [e["order_no"] for e in data["executions"]] == [ecg]
    assert [r["flag"] for r in data["results"]] == ["abnormal"]
    assert "finished_at" in data["encounter"]
