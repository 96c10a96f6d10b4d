"""The insurance settles first: shown before anything is taken, then cash; both or neither, wherever it breaks."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from billing.models import ChargeItem
from billing.rules import Parts, spread
from billing.service import lines, paying
from kernel.errors import ForbiddenError
from kernel.ids import new_id
from kernel.outside import Rejected
from payments import flows, rules
from payments.models import InsurancePart, Refund
from payments.rules import Piece
from payments.service import insurance, parts, rounds
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.test_shares import money_back, pays, presses, sound

ACCOUNTS = {True, False, None}


def center(house: House) -> Any:
    """Our line to the payment centre."""
    assert house.world.ports.insurance is not None
    return house.world.ports.insurance


async def his(house: House) -> Any:
    """Our line to the hospital's system."""
    return await house.world.ports.his.of(house.hospital)


async def begun(house: House, bill: Bill, *, account_used: bool | None = None) -> list[UUID]:
    """The mother chooses 医保."""
    return await flows.insure(house.db, await his(house), house.mother, bill.visit, account_used=account_used)


async def consented(house: House, part: UUID) -> None:
    """She consents on the insurance's page."""
    code = house.town.insurance.books.consent(MOTHER)
    await flows.authorize(house.db, center(house), house.mother, part, code, MOTHER)


async def shown(house: House, bill: Bill, *, account_used: bool | None = None) -> list[InsurancePart]:
    """All settlements reckoned and shown."""
    for part in await begun(house, bill, account_used=account_used):
        await consented(house, part)
    found = await of_visit(house, bill)
    assert [p.state for p in found] == ["placed"] * len(found)
    return found


async def of_visit(house: House, bill: Bill) -> list[InsurancePart]:
    """The settlements of the visit's latest round."""
    async with house.db.begin() as tx:
        every = await paying.rounds_of(tx, bill.visit)
        return await parts.of_round(tx, every[-1].id)


def insurer(house: House, do: str, which: int | None = None) -> None:
    """What happens at the insurer."""
    world = house.town.insurance
    orders = list(world.books.orders.values())
    for order in orders if which is None else [orders[which]]:
        {"pay": world.pay, "fail": world.fail, "reverse": world.reverse}[do](order)


async def agreed(house: House, bill: Bill, cash: int) -> None:
    """The payer agrees to what was shown; the insurance then pays by itself, with no order of WeChat's."""
    house.excused = frozenset({"counter_alone"})
    await flows.confirm(house.db, center(house), house.mother, bill.visit, cash)


async def insured(house: House, bill: Bill, **options: Any) -> list[InsurancePart]:
    """The insurance has paid all of its part."""
    found = await shown(house, bill, **options)
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    insurer(house, "pay")
    await swept(house)
    return await of_visit(house, bill)


async def swept(house: House, times: int = 3) -> None:
    """The sweeper looks, and looks again."""
    for _ in range(times):
        house.clock.move(seconds=61)
        await flows.insurance_due(house.db, center(house))


def held(house: House) -> int:
    """Fen the insurer has paid and not got back, by its own books."""
    sums = house.town.insurance.books.dump()["sums"]
    return int(sums["fund_paid"] + sums["other_paid"] + sums["drawn"])


async def whole(house: House, bill: Bill) -> None:
    """Everything is paid, by both."""
    assert await house.states(bill.visit) == {"settled"}
    found = await of_visit(house, bill)
    total = sum(p.total_fen for p in found)
    assert held(house) + house.taken == total
    await sound(house)


async def nothing(house: House, bill: Bill) -> None:
    """Nothing is paid by anybody, and the bill is what it was."""
    assert await house.states(bill.visit) == {"billable"}
    assert (held(house), house.taken) == (0, 0)
    assert await house.owed(bill.visit) == bill.owed
    ledger = await house.ledger()
    assert {"cash_wechat", "suspense", "mutual_aid", "insurance_other"} & set(ledger) == set()
    assert house.town.his.books.settlements == {}
    await sound(house)


async def test_a_consent_that_is_no_good(house: House) -> None:
    """Too old when the bill is handed in, and the next when it is reckoned: asked of her once more, each time.

    The other department's settlement stands as it was; what the centre kept of the second nobody can pay.
    """
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    behaviour = house.town.insurance.behaviour
    first, second = await begun(house, bill, account_used=False)
    await consented(house, first)
    numbers, orders = set(), house.town.insurance.books.orders
    for call, there in (("upload", 1), ("place", 2)):
        behaviour.plan([{"on": call, "do": "error_before", "times": 2}])
        await consented(house, second)
        behaviour.forget()
        house.clock.move(minutes=11)
        for auth in house.town.insurance.books.auths.values():
            auth.until = house.town.insurance.books.now() - timedelta(seconds=1)
        await flows.insurance_due(house.db, center(house))
        one, other = await of_visit(house, bill)
        assert (one.state, other.state, other.trouble) == ("placed", "created", "PAY_AUTH_NO_EXPIRED")
        assert (other.auth_sealed, other.pay_order_id, other.next_look_at) == (None, None, None)
        assert len(orders) == there
        numbers.add(other.order_number)
    await consented(house, second)
    found = await of_visit(house, bill)
    assert [(p.state, p.trouble) for p in found] == [("placed", None)] * 2
    assert len(numbers) == 2
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    for part in found:
        house.town.insurance.pay(orders[part.pay_order_id or ""])
    await swept(house)
    found = await of_visit(house, bill)
    await pays(house, house.mother, MOTHER, bill, None, sum(p.cash_fen or 0 for p in found))
    await house.settle()
    await whole(house, bill)


@pytest.mark.parametrize("account_used", [True, False, None])
async def test_the_insurance_first_then_cash(house: House, account_used: bool | None) -> None:
    """Reckoned, shown, agreed, paid by the insurer; the rest in cash by the daughter; told once; every book agrees."""
    bill = await house.bill()
    found = await shown(house, bill, account_used=account_used)
    assert held(house) == sum(p.account_fen or 0 for p in found)  # set aside, not taken
    assert await house.owed(bill.visit) == 0  # nothing is asked in cash before that is known
    cash = sum(p.cash_fen or 0 for p in found)
    if account_used is False:
        assert sum(p.account_fen or 0 for p in found) == 0
    await agreed(house, bill, cash)
    assert [p.state for p in await of_visit(house, bill)] == ["paying"]
    insurer(house, "pay")
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["paid"]
    assert await house.owed(bill.visit) == cash
    async with house.db.begin() as tx:
        every = await lines.lines_of(tx, bill.visit)
    assert sum(c.self_fen for c in every) == cash
    assert all(c.fund_fen + c.account_fen + c.other_fen + c.self_fen == c.amount_fen for c in every)
    assert all(sum(c.estimate.values()) == c.amount_fen for c in every if c.estimate)
    ledger = await house.ledger()
    aid = sum(p.mutual_aid_fen or 0 for p in found)
    assert ledger.get("mutual_aid", 0) == aid
    assert ledger.get("personal_account", 0) == sum(p.account_fen or 0 for p in found) - aid
    assert ledger.get("pooled_fund", 0) == sum(p.fund_fen or 0 for p in found)
    await sound(house)
    if cash:
        await pays(house, house.daughter, DAUGHTER, bill, None, cash)
    await house.settle()
    [told] = house.town.his.books.settlements.values()
    assert [(i["fund_fen"], i["account_fen"], i["cash_fen"]) for i in told["insurance"]] == [
        (p.fund_fen, p.account_fen, p.cash_fen) for p in found
    ]
    assert told["total_fen"] == cash
    assert house.town.his.books.complaints == []
    await whole(house, bill)


async def test_what_is_agreed_to_is_what_was_shown(house: House) -> None:
    """Another amount, before it is reckoned, or by a relative: refused, and nothing is asked of the insurance."""
    bill = await house.bill()
    with pytest.raises(ForbiddenError):
        await flows.insure(house.db, await his(house), house.daughter, bill.visit, account_used=None)
    [part] = await begun(house, bill)
    with pytest.raises(rules.NotShownError):
        await agreed(house, bill, 0)
    await consented(house, part)
    [found] = await of_visit(house, bill)
    with pytest.raises(rules.NotShownError):
        await agreed(house, bill, (found.cash_fen or 0) + 1)
    assert (await of_visit(house, bill))[0].state == "placed"
    await agreed(house, bill, found.cash_fen or 0)
    await agreed(house, bill, found.cash_fen or 0)  # pressed twice
    assert (await of_visit(house, bill))[0].state == "paying"


async def test_given_up_before_anything_is_taken(house: House) -> None:
    """Seen and not wanted: revoked at the centre, the whole is payable as before, in cash too."""
    bill = await house.bill()
    await shown(house, bill)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await house.states(bill.visit) == {"covered"}  # not before the insurance has said so
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["revoked"]
    await nothing(house, bill)
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)


async def test_the_insurance_paid_and_the_cash_is_given_up(house: House) -> None:
    """A share of the cash is paid, then it is given up: insurance and cash both go back, and everybody is told."""
    bill = await house.bill()
    found = await insured(house, bill, account_used=False)
    cash = sum(p.cash_fen or 0 for p in found)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(1)], cash)
    await pays(house, house.daughter, DAUGHTER, bill, 2, 1)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await house.count(Refund) == 0  # the insurance first
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["refunded"]
    await money_back(house, bill.visit, 1)
    assert (await house.said(bill.visit))[-2:] == ["insurance_over", "returned"]
    await nothing(house, bill)


async def test_the_insurance_fails_while_cash_is_there(house: House) -> None:
    """The insurer takes its payment back after a share was paid in cash: the cash goes back too."""
    bill = await house.bill()
    found = await insured(house, bill, account_used=False)
    cash = sum(p.cash_fen or 0 for p in found)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(1)], cash)
    await pays(house, house.daughter, DAUGHTER, bill, 2, 1)
    insurer(house, "reverse")
    await swept(house)
    await money_back(house, bill.visit, 1)
    await nothing(house, bill)


async def test_the_insurer_does_not_pay(house: House) -> None:
    """Agreed, but the insurer says no for good: nothing was taken, the bill is as before."""
    bill = await house.bill()
    found = await shown(house, bill)
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    insurer(house, "fail")
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["failed"]
    await nothing(house, bill)


async def test_given_up_while_the_insurer_pays(house: House) -> None:
    """It has paid before it heard of the revocation: the centre refuses to revoke, so it is refunded."""
    bill = await house.bill()
    found = await shown(house, bill)
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    insurer(house, "pay")
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["refunded"]
    await nothing(house, bill)


async def test_the_insurer_pays_what_was_never_shown(house: House) -> None:
    """Its reckoning was lost, the bill given up, and it pays all the same: what it really paid goes back to it."""
    bill = await house.bill()
    house.town.insurance.behaviour.plan([{"on": "place", "do": "error_after"}])
    for part in await begun(house, bill):
        await consented(house, part)
    assert [(p.state, p.fund_fen) for p in await of_visit(house, bill)] == [("uploaded", None)]
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    insurer(house, "pay")
    assert held(house) > 0
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["refunded"]
    await nothing(house, bill)


@pytest.mark.parametrize("how", ["error_after", "error_before", "garbage", "tamper", "unsure"])
@pytest.mark.parametrize("on", ["upload", "place", "query", "refund", "revoke"])
async def test_no_answer_at_any_step(house: House, on: str, how: str) -> None:
    """The answer is lost, or is none: asked again in the same words, and it ends whole, or in nothing."""
    bill = await house.bill()
    house.town.insurance.behaviour.plan([{"on": on, "do": how}])
    for part in await begun(house, bill, account_used=False):
        await consented(house, part)
    await swept(house, 2)
    found = await of_visit(house, bill)
    assert [p.state for p in found] == ["placed"]
    if on == "revoke":
        await flows.give_up(house.db, house.pay, house.mother, bill.visit)
        await swept(house)
        await nothing(house, bill)
        return
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    insurer(house, "pay")
    await swept(house)
    assert [p.state for p in await of_visit(house, bill)] == ["paid"]
    if on == "refund":
        await flows.give_up(house.db, house.pay, house.mother, bill.visit)
        await swept(house)
        await nothing(house, bill)
        return
    await pays(house, house.mother, MOTHER, bill, None, sum(p.cash_fen or 0 for p in found))
    await house.settle()
    await whole(house, bill)


async def test_a_refund_nobody_knows_about(house: House) -> None:
    """EXP: a person is called, nothing of the cash goes back by itself; when the centre decides, the rest follows."""
    bill = await house.bill()
    await insured(house, bill, account_used=False)
    house.town.insurance.behaviour.plan([{"on": "refund", "do": "exp"}])
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await swept(house)
    [part] = await of_visit(house, bill)
    assert (part.state, part.trouble) == ("manual", "refund:EXP")
    assert await house.states(bill.visit) == {"covered"}
    world = house.town.insurance
    world.finish_refund(next(iter(world.books.refunds.values())), True)
    await swept(house)
    assert (await of_visit(house, bill))[0].state == "refunded"
    await nothing(house, bill)


async def test_a_consent_that_is_not_given(house: House) -> None:
    """She walks away from the consent page: after half an hour the lines are payable again."""
    bill = await house.bill()
    await begun(house, bill)
    assert await flows.release_idle(house.db) == 0
    house.clock.move(minutes=31)
    assert await flows.release_idle(house.db) == 1
    await nothing(house, bill)


async def test_a_code_that_is_no_good(house: House) -> None:
    """Used, or somebody else's: refused, and she can consent once more."""
    bill = await house.bill()
    [part] = await begun(house, bill)
    with pytest.raises(Rejected):
        await flows.authorize(house.db, center(house), house.mother, part, "nonsense", MOTHER)
    await consented(house, part)
    assert (await of_visit(house, bill))[0].state == "placed"


async def test_somebody_the_insurance_does_not_know(house: House) -> None:
    """The HIS says no: nothing is opened."""
    bill = await house.bill()
    house.town.his.books.encounters[bill.encounter].started["insurance"]["status"] = "suspended"
    with pytest.raises(Rejected):
        await begun(house, bill)
    assert await house.states(bill.visit) == {"billable"}


async def test_two_departments_two_settlements(house: House) -> None:
    """One consent and one settlement each; when the second fails, the first is taken back, too; then both pay."""
    first = await house.bill("CONS2")
    bill = await house.bill("URINE")
    assert bill.visit == first.visit
    found = await shown(house, bill, account_used=False)
    assert len(found) == 2
    cash = sum(p.cash_fen or 0 for p in found)
    await agreed(house, bill, cash)
    insurer(house, "pay", 0)
    insurer(house, "fail", 1)
    await swept(house)
    assert sorted(p.state for p in await of_visit(house, bill)) == ["failed", "refunded"]
    await nothing(house, bill)
    found = await shown(house, bill, account_used=False)
    await agreed(house, bill, cash)
    for which in (2, 3):
        insurer(house, "pay", which)
    await swept(house)
    await pays(house, house.mother, MOTHER, bill, None, cash)
    await house.settle()
    assert len(next(iter(house.town.his.books.settlements.values()))["insurance"]) == 2
    await whole(house, bill)


Crash = Callable[[House, Bill], Awaitable[None]]


@pytest.mark.parametrize("at", ["uploaded", "placed", "confirmed", "paid", "revoking", "refunding"])
async def test_the_process_dies_between_call_and_record(house: House, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The centre has acted and we die before writing it down: the sweeper finds out; whole, or nothing."""

    class Died(Exception):
        """The process is gone."""

    def dies(name: str) -> None:
        async def gone(*_: object, **__: object) -> None:
            monkeypatch.undo()
            raise Died

        monkeypatch.setattr(insurance, name, gone)

    house.town.insurance.behaviour.plan([{"on": "notify", "do": "lose", "times": None}])  # the sweeper is on its own
    bill = await house.bill()
    [part] = await begun(house, bill, account_used=False)
    if at in ("uploaded", "placed"):
        dies(at)
        with pytest.raises(Died):
            await consented(house, part)
    else:
        await consented(house, part)
    await swept(house)
    [found] = await of_visit(house, bill)
    assert found.state == "placed"
    if at == "revoking":
        dies("revoked")
        await flows.give_up(house.db, house.pay, house.mother, bill.visit)
        with pytest.raises(Died):
            await swept(house)
        await swept(house)
        await nothing(house, bill)
        return
    if at == "confirmed":
        dies("said")
        with pytest.raises(Died):
            await agreed(house, bill, found.cash_fen or 0)
    else:
        await agreed(house, bill, found.cash_fen or 0)
    insurer(house, "pay")
    if at == "paid":
        dies("said")
        with pytest.raises(Died):
            await swept(house)
    await swept(house)
    if at == "refunding":
        dies("refunded")
        await flows.give_up(house.db, house.pay, house.mother, bill.visit)
        with pytest.raises(Died):
            await swept(house)
        await swept(house)
        await nothing(house, bill)
        return
    await pays(house, house.mother, MOTHER, bill, None, found.cash_fen or 0)
    await house.settle()
    await whole(house, bill)


async def test_a_notice_makes_us_ask(house: House) -> None:
    """6302: a genuine one makes us ask at once; forged, played again or a day old it changes nothing that is not so."""
    bill = await house.bill()
    found = await shown(house, bill)
    await agreed(house, bill, sum(p.cash_fen or 0 for p in found))
    world = house.town.insurance
    order = next(iter(world.books.orders.values()))
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as client:
        for raw in (b"", b"{}", b"x" * 600_000):
            answer = await client.post("/api/callbacks/insurance", content=raw)
            assert answer.status_code in (401, 413)
    view = world.view(order, world.books.shown(order), "02")
    assert await world.post(view | {"ordStas": "6"}, None) == 204  # it lies about what the centre itself does not say
    assert (await of_visit(house, bill))[0].state == "paying"
    assert await world.post(view, "tamper") in (401, None)
    insurer(house, "pay")

    async def paid() -> bool:
        return (await of_visit(house, bill))[0].state == "paid"

    await until(paid)  # by the centre's own notice
    assert await world.replay(order.pay_order_id) == 204
    await sound(house)


async def test_for_programs(house: House) -> None:
    """The same by JSON: begin, consent, look at the split, agree; a payer of totals is told none of the split."""
    bill = await house.bill()
    mother, daughter = house.phone(house.mother), house.phone(house.daughter)
    path = f"/api/visits/{bill.visit}"
    made = await mother.post(f"{path}/insurance", json={"account_used": False})
    assert made.status_code == 201, made.text
    [part] = made.json()["settlements"]
    code = house.town.insurance.books.consent(MOTHER)
    consent = f"/api/insurance/{part}/consent"
    assert (await daughter.post(consent, json={"auth_code": code})).status_code == 404
    assert (await mother.post(consent, json={"auth_code": code})).status_code == 204
    [split] = (await mother.get(path)).json()["round"]["parts"]
    assert split["state"] == "placed"
    assert split["fund_fen"] + split["account_fen"] + split["other_fen"] + split["cash_fen"] == split["total_fen"]
    assert (await daughter.get(path)).json()["round"]["parts"] is None
    wrong = await mother.post(f"{path}/insurance/agree", json={"cash_fen": split["cash_fen"] + 1})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "insurance_not_shown")
    assert (await mother.post(f"{path}/insurance/agree", json={"cash_fen": split["cash_fen"]})).status_code == 200
    other = await house.phone(house.son).post(
        f"{path}/payments", json={"amount_fen": 1}, headers={"Idempotency-Key": str(new_id())}
    )
    assert other.status_code == 409


async def test_nobody_pays_in_cash_meanwhile(house: House) -> None:
    """While the insurance settles nothing can be paid or cut: it is not known yet how much."""
    bill = await house.bill()
    await shown(house, bill)
    with pytest.raises(rules.RoundClosingError):
        await presses(house, house.mother, MOTHER, bill, None, bill.owed)
    with pytest.raises(rules.NotInsuredError):
        await begun(house, bill)


async def test_the_database_keeps_the_split(house: House) -> None:
    """Past every rule of ours, a split that does not add up cannot be written."""
    bill = await house.bill()
    await shown(house, bill)
    for wrong in (
        "cash_fen = cash_fen + 1",
        "mutual_aid_fen = account_fen + 1",
        "fund_fen = -1, cash_fen = cash_fen + fund_fen + 1",
    ):
        with pytest.raises(Exception, match="ck_insurance_part"):
            async with house.db.begin() as tx:
                await tx.session.execute(text(f"UPDATE insurance_part SET {wrong}"))
    async with house.db.begin() as tx:
        assert await tx.session.get(ChargeItem, new_id()) is None


def test_a_split_over_lines() -> None:
    """Where it was estimated first; rows and columns add up; the estimate itself spreads to itself."""
    lines_ = [Parts(50, 10, 0, 40), Parts(0, 0, 0, 30), Parts(20, 0, 0, 0)]
    assert spread(Parts(70, 10, 0, 70), lines_) == lines_
    assert spread(Parts(80, 0, 5, 65), lines_) == [Parts(60, 0, 5, 35), Parts(0, 0, 0, 30), Parts(20, 0, 0, 0)]
    with pytest.raises(ValueError, match="not that of these lines"):
        spread(Parts(1, 0, 0, 0), lines_)
