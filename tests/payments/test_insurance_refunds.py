"""A line taken back after the insurance has paid: its settlement goes back whole, then the cash; the rest is owed anew.

The oracles are the insurer's own books (what it holds) and the till's own books (what it holds).
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from billing.models import ChargeItem
from billing.service import lines, paying
from billing.service import refunds as requests
from houfu.audit import audit
from kernel.errors import ForbiddenError, HoufuError
from notices import service as notices
from payments import flows
from payments.models import InsurancePart, Refund
from payments.rules import NotDecidedError, Piece
from payments.rules.counter import NotCashBackError
from payments.service import anew, counter, insurance, refunds, returns, rounds
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.desk import cash, opened, staff, takes
from tests.payments.test_insurance import agreed, held, insured, insurer, of_visit, shown, swept
from tests.payments.test_shares import pays
from words.counter import Refunds
from words.desk import Troubles
from words.patient import Bill as Bill_
from words.pay import Pay

ITEMS = ("CONS2", "URINE", "ECG12")


async def right(house: House) -> None:
    """The auditor finds nothing wrong."""
    async with house.db.begin() as tx:
        wrong = [one for one in await audit(tx) if one.check.weight == "wrong"]
    wrong = [one for one in wrong if one.check.name not in house.excused]
    assert [(one.check.name, one.row, one.figures) for one in wrong] == []


async def paid(house: House, *items: str, account_used: bool | None = False) -> tuple[Bill, InsurancePart]:
    """One settlement of the insurance, the rest in cash by the mother, booked by the hospital."""
    bill = await house.bill(*items or ITEMS)
    [part] = await insured(house, bill, account_used=account_used)
    if part.cash_fen:
        await pays(house, house.mother, MOTHER, bill, None, part.cash_fen)
    await house.settle()
    assert await house.states(bill.visit) == {"settled"}
    assert (held(house), house.taken) == (part.total_fen - (part.cash_fen or 0), part.cash_fen)
    return bill, part


def small_accounts(house: House, fen: int) -> None:
    """Nobody has more on their personal account at the insurer than this."""
    books = house.town.insurance.books
    for person in books.people.values():
        person.account = min(person.account, fen)
    books._opened = sum(person.account for person in books.people.values())


async def each(house: House, bill: Bill) -> list[ChargeItem]:
    """The visit's lines, by number."""
    async with house.db.begin() as tx:
        return sorted(await lines.lines_of(tx, bill.visit), key=lambda c: c.number)


async def reversed_(house: House, bill: Bill, *charges: ChargeItem) -> None:
    """The hospital takes lines back."""
    his = house.town.his.books
    for charge in charges:
        data = {"charge_no": charge.number, "reason": "退药", "at": house.clock().isoformat()}
        his.record("charge.reversed", bill.encounter, data)
    await until(lambda: not his.outbox)


async def back(house: House, bill: Bill) -> list[Refund]:
    """Every refund of cash is asked for and arrives."""

    async def done() -> bool:
        house.clock.move(seconds=4)
        await flows.refund_due(house.db, house.pay)
        return all(r.state == "done" for r in await refunds_of(house, bill))

    await until(done)
    await house.settle()
    return await refunds_of(house, bill)


async def refunds_of(house: House, bill: Bill) -> list[Refund]:
    """The visit's refunds, oldest first."""
    async with house.db.begin() as tx:
        return list(await refunds.of_visit(tx, bill.visit))


async def owed_anew(house: House, bill: Bill, gone: Sequence[ChargeItem], part: InsurancePart) -> None:
    """Nobody holds anything of the settlement; the other lines are owed as the hospital estimated, and it knows."""
    assert (held(house), house.taken) == (0, 0)
    names = {c.number for c in gone}
    now = await each(house, bill)
    assert {c.number: c.state for c in now} == {c.number: "refunded" if c.number in names else "billable" for c in now}
    his = house.town.his.books
    kept = [c for c in now if c.number not in names]
    told = {n: c["split"] for n, c in his.encounters[bill.encounter].charges.items()}
    assert [(c.fund_fen, c.account_fen, c.self_fen) for c in kept] == [
        (s["fund_fen"], s["account_fen"], s["self_fen"]) for s in (told[c.number] for c in kept)
    ]
    assert await house.owed(bill.visit) == sum(c.self_fen for c in kept)
    [back_] = his.refunds.values()
    assert back_["total_fen"] == part.cash_fen
    assert {line["charge_no"] for line in back_["charges"] if line["owed_again"]} == {c.number for c in kept}
    assert [i["number"] for i in back_["insurance"]] == [part.pay_order_id]
    assert (his.settled, his.complaints) == ({}, [])
    assert {"cash_wechat", "suspense", "mutual_aid", "insurance_other"} & set(await house.ledger()) == set()
    await right(house)


@pytest.mark.parametrize("account_used", [False, None])
async def test_the_insurance_first_then_cash_then_anew(house: House, account_used: bool | None) -> None:
    """One of three items is taken back: nothing of the cash moves before the insurer has its part; then all is said."""
    small_accounts(house, 5)
    bill, part = await paid(house, account_used=account_used)
    assert bool(part.mutual_aid_fen) is (account_used is None)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    [waits] = await refunds_of(house, bill)
    assert (waits.state, waits.amount_fen, waits.next_at) == ("approved", gone.self_fen, None)
    assert (await of_visit(house, bill))[0].state == "refunding"
    await flows.refund_due(house.db, house.pay)
    assert house.taken == part.cash_fen  # the insurance first
    assert await house.states(bill.visit) == {"settled"}
    await right(house)
    await swept(house)
    [now] = await of_visit(house, bill)
    assert (now.state, held(house)) == ("refunded", 0)
    assert await house.states(bill.visit) == {"settled", "billable"}
    assert [r.state for r in await refunds_of(house, bill)] == ["insurance_returned"] * 2
    assert house.taken == part.cash_fen
    await right(house)
    made = await back(house, bill)
    assert [r.amount_fen for r in made] == [gone.self_fen, (part.cash_fen or 0) - gone.self_fen]
    assert (await house.said(bill.visit))[-3:] == ["insurance_returning", "insurance_returned", "sent_back"]
    await owed_anew(house, bill, [gone], part)


@pytest.mark.parametrize("how", ["insurance", "cash"])
async def test_paid_anew(house: House, how: str) -> None:
    """The other items are settled again, with the insurance or without: everybody's books have them once."""
    bill, part = await paid(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    await swept(house)
    await back(house, bill)
    if how == "cash":
        await pays(house, house.daughter, DAUGHTER, bill, None, await house.owed(bill.visit))
    else:
        [new] = await shown(house, bill, account_used=False)
        await agreed(house, bill, new.cash_fen or 0)
        insurer(house, "pay", 1)
        await swept(house)
        assert new.total_fen == part.total_fen - gone.amount_fen == held(house) + (new.cash_fen or 0)
        await pays(house, house.daughter, DAUGHTER, bill, None, new.cash_fen or 0)
    await house.settle()
    assert {c.number: c.state for c in await each(house, bill)} == {
        c.number: "refunded" if c.id == gone.id else "settled" for c in await each(house, bill)
    }
    his = house.town.his.books
    assert (len(his.settlements), len(his.refunds), his.complaints) == (2, 1, [])
    assert set(his.settled) == {c.number for c in await each(house, bill) if c.id != gone.id}
    assert house.taken == sum(c.self_fen for c in await each(house, bill) if c.state == "settled")
    await house.balanced()
    await right(house)


async def test_all_lines_taken_back(house: House) -> None:
    """The whole bill is taken back, mutual aid and all: nothing is owed, nobody holds anything."""
    bill, part = await paid(house, account_used=None)
    every = await each(house, bill)
    await reversed_(house, bill, *every)
    await swept(house)
    await back(house, bill)
    await owed_anew(house, bill, every, part)
    assert await house.ledger() == {}


async def test_a_second_line_while_the_first_is_on_its_way(house: House) -> None:
    """Another item is taken back while the insurer is asked: one way back for both, the third is owed again."""
    bill, part = await paid(house)
    house.town.insurance.behaviour.plan([{"on": "refund", "do": "error_before"}])
    first, second = [c for c in await each(house, bill) if c.self_fen][:2]
    await reversed_(house, bill, first)
    await swept(house, 1)
    await reversed_(house, bill, second)
    await swept(house)
    await back(house, bill)
    assert len(house.town.insurance.books.refunds) == 1
    await owed_anew(house, bill, [first, second], part)


async def test_a_line_the_insurance_paid_whole(house: House) -> None:
    """Nothing was paid in cash for it, and still the insurance has to have its money: the settlement goes back."""
    bill, part = await paid(house, account_used=None)
    free = [c for c in await each(house, bill) if not c.self_fen]
    assert free
    assert part.cash_fen == 0
    await reversed_(house, bill, free[0])
    assert (await of_visit(house, bill))[0].state == "refunding"
    await swept(house)
    await back(house, bill)
    await owed_anew(house, bill, free[:1], part)


async def test_two_encounters_only_one_goes_back(house: House) -> None:
    """Two departments, two settlements, two payers: only the settlement of the item goes back, the other stands."""
    first = await house.bill("CONS2", "ECG12")
    bill = await house.bill("URINE")
    found = await insured(house, bill, account_used=False)
    total = sum(p.cash_fen or 0 for p in found)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(1)], total)
    await pays(house, house.daughter, DAUGHTER, bill, 2, 1)
    await pays(house, house.mother, MOTHER, bill, None, total - 1)
    await house.settle()
    part = next(p for p in found if p.encounter == first.encounter)
    other = next(p for p in found if p.encounter != first.encounter)
    gone = next(c for c in await each(house, bill) if c.self_fen and str(c.id) in part.charge_ids)
    await reversed_(house, first, gone)
    await swept(house)
    await back(house, bill)
    assert {c.id: c.state for c in await each(house, bill)} == {
        c.id: "refunded" if c.id == gone.id else "billable" if str(c.id) in part.charge_ids else "settled"
        for c in await each(house, bill)
    }
    assert held(house) == other.total_fen - (other.cash_fen or 0)
    assert house.taken == other.cash_fen
    await right(house)


# ------------------------------------------------------------------------------------------------------- on request


async def asked(house: House, bill: Bill, ids: Sequence[UUID]) -> Any:
    """The mother asks for these lines."""
    async with house.db.begin() as tx:
        return await requests.ask(tx, house.mother, bill.visit, ids, "这项没有做")


async def test_twenty_requests_at_once(house: House) -> None:
    """Twenty requests and answers at once for the lines of one settlement: one way back, never more than was paid."""
    bill, part = await paid(house)
    finance = await staff(house, "f.finance")
    wanted = [c for c in await each(house, bill) if c.self_fen]

    async def ask(which: int) -> Any:
        try:
            return await asked(house, bill, [wanted[which % len(wanted)].id])
        except HoufuError:
            return None

    made = [one for one in await asyncio.gather(*(ask(n) for n in range(20))) if one is not None]
    assert len(made) == len(wanted)

    async def agree(which: int) -> None:
        try:
            async with house.db.begin() as tx:
                await requests.answer(tx, finance, made[which % len(made)].id, agreed=True)
        except HoufuError:
            pass

    await asyncio.gather(*(agree(n) for n in range(20)), swept(house, 1))
    await right(house)
    await asyncio.gather(*(swept(house, 1) for _ in range(4)))
    await back(house, bill)
    assert sum(r.amount_fen for r in await refunds_of(house, bill)) == part.cash_fen
    assert (held(house), house.taken) == (0, 0)
    assert len(house.town.insurance.books.refunds) == 1
    await right(house)


async def test_a_request_says_how_it_goes(house: House) -> None:
    """Agreed, on its way while the insurer and the till are busy, back when the cash has arrived."""
    bill, _ = await paid(house)
    line = next(c for c in await each(house, bill) if c.self_fen)
    request = await asked(house, bill, [line.id])
    async with house.db.begin() as tx:
        await requests.answer(tx, await staff(house, "f.finance"), request.id, agreed=True)

    async def stands() -> str:
        async with house.db.begin() as tx:
            return (await requests.of_visit(tx, bill.visit))[0].shown

    assert await stands() == "going"
    await swept(house)
    assert await stands() == "going"
    await back(house, bill)
    assert await stands() == "back"


# --------------------------------------------------------------------------------------------- what breaks in between


@pytest.mark.parametrize("how", ["error_after", "error_before", "garbage", "tamper", "unsure"])
async def test_no_answer_from_the_insurer(house: House, how: str) -> None:
    """Lost or no answer: asked again in the same words, given back once."""
    bill, part = await paid(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    house.town.insurance.behaviour.plan([{"on": "refund", "do": how}])
    await reversed_(house, bill, gone)
    await swept(house)
    await back(house, bill)
    assert len(house.town.insurance.books.refunds) == 1
    await owed_anew(house, bill, [gone], part)


@pytest.mark.parametrize("at", ["asked", "insurance", "cash"])
async def test_the_process_dies_between_the_steps(house: House, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the insurer's answer, the till's answer and writing them down: the sweepers go on where it stopped."""

    class Died(Exception):
        """The process is gone."""

    async def gone_(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise Died

    bill, part = await paid(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    house.town.insurance.behaviour.plan([{"on": "notify", "do": "lose", "times": None}])
    await house.behave({"on": "notify", "do": "drop", "times": None})
    await reversed_(house, bill, gone)
    if at == "asked":
        monkeypatch.setattr(insurance, "asked", gone_)
    elif at == "insurance":
        monkeypatch.setattr(insurance, "refunded", gone_)
    if at != "cash":
        with pytest.raises(Died):
            await swept(house, 1)
    await swept(house)
    if at == "cash":
        monkeypatch.setattr(returns, "said", gone_)
        with pytest.raises(Died):
            await flows.refund_due(house.db, house.pay)
    house.clock.move(seconds=61)
    await back(house, bill)
    assert len(house.town.insurance.books.refunds) == 1
    await owed_anew(house, bill, [gone], part)


@pytest.mark.parametrize("decides", [True, False])
async def test_nobody_knows_then_the_centre_decides(house: House, decides: bool) -> None:
    """EXP: nothing of the cash moves, nothing is asked twice; the centre decides, and after a no finance asks again."""
    bill, part = await paid(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    house.town.insurance.behaviour.plan([{"on": "refund", "do": "exp" if decides else "fail"}])
    await reversed_(house, bill, gone)
    await swept(house)
    [now] = await of_visit(house, bill)
    assert (now.state, now.trouble) == ("manual", "refund:EXP" if decides else "refund:FAIL")
    assert await house.states(bill.visit) == {"settled"}
    assert house.taken == part.cash_fen
    async with house.db.begin() as tx:
        assert [p.id for p in await anew.troubles(tx, house.hospital)] == [part.id]
    finance, world = await staff(house, "f.finance"), house.town.insurance
    with pytest.raises(ForbiddenError):
        await once_more(house, house.counter, part.id)
    if decides:
        with pytest.raises(NotDecidedError):
            await once_more(house, finance, part.id)
        world.finish_refund(next(iter(world.books.refunds.values())), True)
    else:
        await once_more(house, finance, part.id)
    await swept(house)
    await back(house, bill)
    await owed_anew(house, bill, [gone], part)
    async with house.db.begin() as tx:
        assert list(await anew.troubles(tx, house.hospital)) == []


async def once_more(house: House, actor: Any, part: UUID) -> None:
    """Asked for once more."""
    async with house.db.begin() as tx:
        await anew.go_on(tx, actor, part)


async def test_before_the_hospital_has_booked_it(house: House) -> None:
    """Taken back while the hospital is slow to book: both are told in order, nothing stays half."""
    bill = await house.bill(*ITEMS)
    [part] = await insured(house, bill, account_used=False)
    await pays(house, house.mother, MOTHER, bill, None, part.cash_fen or 0)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    async with house.db.begin() as tx:  # by a person of the hospital: its system still stands by the line
        visit = await paying.locked_visit(tx, bill.visit)
        charge = next(c for c in await lines.lines_of(tx, bill.visit) if c.id == gone.id)
        await lines.reverse(tx, visit, charge, tx.now)
    await house.settle()
    assert (await of_visit(house, bill))[0].next_look_at is not None  # booked, and still looked after
    await swept(house)
    await back(house, bill)
    await owed_anew(house, bill, [gone], part)


async def test_cash_of_the_counter_waits_for_the_insurer(house: House) -> None:
    """Paid in cash at the window: it is handed out there, and not before the insurer has its part."""
    bill = await house.bill(*ITEMS)
    [part] = await insured(house, bill, account_used=False)
    cashier = await staff(house, "c.cash")
    await opened(house, cashier)
    await takes(house, cashier, bill, cash(bill, amount=part.cash_fen))
    await house.settle()
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    [waits] = await refunds_of(house, bill)
    async with house.db.begin() as tx:
        assert list(await refunds.at_counter(tx, house.hospital)) == []
    with pytest.raises(NotCashBackError):
        async with house.db.begin() as tx:
            await counter.give_back(tx, cashier, waits.id, "")
    await swept(house)
    async with house.db.begin() as tx:
        ready = [refund.id for refund, _ in await refunds.at_counter(tx, house.hospital)]
    assert len(ready) == 2
    for one in ready:
        async with house.db.begin() as tx:
            await counter.give_back(tx, cashier, one, "")
    await house.settle()
    await owed_anew(house, bill, [gone], part)


async def test_the_insurer_took_it_back_by_itself(house: House) -> None:
    """After all was paid the insurer takes its payment back: nothing moves before a person says that it is so."""
    bill = await house.bill(*ITEMS)
    [part] = await insured(house, bill, account_used=False)
    await pays(house, house.mother, MOTHER, bill, None, part.cash_fen or 0)
    insurer(house, "reverse")
    await swept(house)
    [now] = await of_visit(house, bill)
    assert (now.state, now.trouble) == ("refunded", "insurance:gone_after_paid")
    assert house.taken == part.cash_fen
    async with house.db.begin() as tx:
        assert [p.id for p in await anew.troubles(tx, house.hospital)] == [part.id]
        assert (await tx.session.scalars(select(Refund))).all() == []
    await house.settle()
    await once_more(house, await staff(house, "f.finance"), part.id)
    await back(house, bill)
    await owed_anew(house, bill, [], part)
    with pytest.raises(NotDecidedError):
        await once_more(house, await staff(house, "f.finance"), part.id)


async def test_what_is_seen(house: House) -> None:
    """Her bill, the receipt and the desk's list say what happens, what it means, and what to do."""
    bill, part = await paid(house)
    gone = next(c for c in await each(house, bill) if c.self_fen)
    mother, page = house.phone(house.mother), f"/visits/{bill.visit}"
    mother.headers["Accept"] = "text/html"
    assert Refunds.insured in (await mother.get(f"{page}/refunds")).text
    house.town.insurance.behaviour.plan([{"on": "refund", "do": "fail"}])
    await reversed_(house, bill, gone)
    await swept(house)
    shown_ = (await mother.get(f"{page}/bill")).text
    assert Bill_.refund_tags["overtaken"] in shown_
    assert Bill_.payment("insurance_checking", 0, "") in shown_
    assert Bill_.insurance_states["manual"] in shown_
    finance = house.phone(await staff(house, "f.finance"), agent="Mozilla/5.0 (X11; Linux)")
    finance.headers["Accept"] = "text/html"
    assert Refunds.after_insurance in (await finance.get("/desk/refunds")).text
    listed = (await finance.get("/desk/troubles")).text
    assert Troubles.insurance_todos["refund"] in listed
    assert Troubles.insurance_again in listed
    cashier = house.phone(house.counter, agent="Mozilla/5.0 (X11; Linux)")
    pressed = {"key": f"insurance:{part.id}"}
    assert (await cashier.post("/desk/troubles", data=pressed)).status_code == 403
    assert (await finance.post("/desk/troubles", data={"key": "insurance:nonsense"})).status_code == 404
    assert (await finance.post("/desk/troubles", data=pressed)).status_code == 303
    await swept(house)
    await back(house, bill)
    owed = await house.owed(bill.visit)
    assert (
        Bill_.payment("sent_back", (part.cash_fen or 0) - gone.self_fen, "") in (await mother.get(f"{page}/bill")).text
    )
    [attempt] = await house.attempts(bill.visit)
    receipt = (await mother.get(f"/payments/{attempt.id}/receipt")).text
    assert Pay.anew in receipt
    assert (await mother.get(f"/payments/{attempt.id}/receipt.pdf", timeout=60)).status_code == 200
    assert (await finance.get("/desk/troubles")).text.count(Troubles.insurance_again) == 0
    async with house.db.begin() as tx:
        said = [row.payload["payment"] for row in await notices.since(tx, bill.visit, 0) if row.kind == "payment"]
    assert ("insurance_returned", owed) in {(p["state"], p["amount_fen"]) for p in said}
