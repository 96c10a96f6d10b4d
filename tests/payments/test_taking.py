"""Taken by the payer's contract after the visit: announced before, refused by a word, never above a cap or twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from family_pay import flows as family
from family_pay.models import PayAsk
from family_pay.service import asking, bonds, taking
from family_pay.service.taking import Auto
from houfu.audit import audit
from houfu.pushes import House as Eyes
from kernel.errors import HoufuError
from kernel.outside import Breaker, Guard
from notices.ports import Tell
from notices.rules.messages import Slots, compose
from notices.rules.reach import Kind
from payments import flows
from payments.flows import taking as contract_flows
from payments.models import Deduction, DeductionContract
from payments.ports import Deduction as Asked
from payments.rules import Piece
from payments.rules.limits import AfterVisit
from payments.rules.taking import NoContractError, NoContractsError, TakingError
from payments.service import contracts
from people.rules import Actor
from people.service import patients, sessions
from tests.adapters.conftest import until
from tests.payments.books import open_books
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, SON, Bill, House
from tests.payments.test_limits import _ended, _held, _news, allow, another, left
from tests.payments.test_pages import read
from tests.payments.test_shares import cut, money_back, pays, presses, sound
from visits.events import VisitEnded


@pytest.fixture
async def auto(house: House) -> AsyncIterator[House]:
    """The house with WeChat's APIv2 address open."""
    line: Any = house.pay.deduct
    line._line.guard = Guard("wechat_deduct", deadline=3, breaker=Breaker(failures=1000))
    async with house.town.faces():
        yield house
        await line.close()  # else the listener waits for us to hang up


def here(house: House, *, insured: bool = False) -> Auto:
    return Auto(house.till, insured)


async def signs(house: House, actor: Actor, openid: str) -> None:
    """She signs on WeChat's page, and we hear of it."""
    url = await contract_flows.sign(house.db, house.pay, actor, house.till, openid, "妈妈 朱**")
    assert "contract_id" in await house.control("/control/contract", {"url": url, "openid": openid})

    async def stands() -> bool:
        house.clock.move(seconds=4)
        await contract_flows.contracts_due(house.db, house.pay)
        async with house.db.begin() as tx:
            return await contracts.stands(tx, actor.id, house.till)

    await until(stands)


async def ends(house: House, *bills: Bill) -> None:
    """The visits end."""
    for bill in bills:
        house.town.his.clinic.finish(bill.encounter)
        await until(lambda visit=bill.visit: _ended(house, visit))  # type: ignore[misc]


async def told(house: House, *, insured: bool = False) -> int:
    async with house.db.begin() as tx:
        return await asking.tell_due(tx, here(house, insured=insured))


async def take(house: House) -> int:
    """The sweep that takes."""
    return await family.take_due(house.db, house.pay, here(house))


async def decided(house: House, visit: UUID) -> str:
    """How the last attempt of a visit ends, once notices and looks have done what they can."""

    async def over() -> bool:
        house.clock.move(seconds=20)
        await flows.sweep(house.db, house.pay)
        return (await house.attempts(visit))[-1].state in ("paid", "settled", "failed")

    await until(over, 20)
    return (await house.attempts(visit))[-1].state


async def ready(house: House, visit: UUID, actor: Actor) -> PayAsk:
    async with house.db.begin() as tx:
        query = select(PayAsk).where(PayAsk.visit_id == visit, PayAsk.person_id == actor.id)
        return (await tx.session.scalars(query)).one()  # type: ignore[no-any-return]


async def announced(house: House, actor: Actor, openid: str, bill: Bill, **fen: Any) -> None:
    """She has signed, wishes it taken, the visit has ended, and she has been told."""
    await signs(house, actor, openid)
    await allow(house, actor, **{"after_visit": AfterVisit.AUTO, "ready_fen": bill.owed, **fen})
    await ends(house, bill)
    assert await told(house) == 1


async def test_told_before_taken_once_and_both_have_the_receipt(auto: House) -> None:
    """Two hours' notice of amount and time; not a fen before; then taken once, by whatever sweeps; both are told."""
    books = await open_books(auto)
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    [row] = [n for n in await _news(auto, auto.daughter) if n["what"] == "to_take"]
    assert (row["amount_fen"], row["who"]) == (bill.owed, "朱**")
    auto.clock.move(minutes=119)
    assert (await take(auto), await auto.attempts(bill.visit), auto.payments) == (0, [], 0)
    async with auto.db.begin() as tx:
        assert await taking.claim(tx, bill.visit, auto.daughter.id, here(auto)) is None
    auto.clock.move(minutes=2)
    assert sum(await asyncio.gather(*(take(auto) for _ in range(3)))) == 1
    assert await decided(auto, bill.visit) == "paid"
    assert (await take(auto), auto.payments) == (0, 1)
    [attempt] = await auto.attempts(bill.visit)
    assert (attempt.channel, attempt.amount_fen, attempt.payer_id) == ("PAP", bill.owed, auto.daughter.id)
    async with auto.db.begin() as tx:
        tell = Tell(Kind.PAID, bill.visit, auto.mother.id, (str(attempt.id),))
        for who in (auto.daughter, auto.mother, auto.son):
            said = await Eyes().still(tx, tell, who.id)
            assert said is not None
            assert said.slots.amount_fen == bill.owed
        assert await tx.session.scalar(select(Deduction.announced_fen)) == bill.owed
    await auto.settle()
    for who in (auto.daughter, auto.mother):
        page = await read(
            auto.phone(who),
            f"/payments/{attempt.id}/receipt" if who is auto.daughter else f"/visits/{bill.visit}/receipt",
        )
        assert "微信自动付" in page or "自动付" in page
    await sound(auto)
    await books.taken_back(bill)
    [refund] = auto.town.pay.books.refunds.values()
    assert (refund.status, refund.total) == ("SUCCESS", bill.owed), "an ordinary refund"
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.open, outcome.lacking) == (0, 0, ()), "WeChat's bill, the HIS and we agree"
    await auto.behave({"on": "rows", "do": "missing"})
    assert (await books.compared()).diff_fen == bill.owed


async def test_not_this_time_wins(auto: House) -> None:
    """Said a moment before: nothing is taken, it lies ready; said when it is being taken: too late, told so."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    phone, path = auto.phone(auto.daughter), f"/visits/{bill.visit}/pay/taking"
    assert path in await read(phone, "/")
    assert "从您的微信扣" in await read(phone, path)
    assert (await auto.phone(auto.son).post(path, headers=PAGE)).status_code == 404
    auto.clock.move(minutes=121)
    assert (await phone.post(path, headers=PAGE)).status_code == 303
    assert (await take(auto), await auto.attempts(bill.visit)) == (0, [])
    assert "给您备好了，点一下就付" in await read(phone, "/")
    await allow(auto, auto.son, after_visit=AfterVisit.AUTO, ready_fen=bill.owed)
    await signs(auto, auto.son, SON)
    async with auto.db.begin() as tx:
        await asking.visit_ended(tx, VisitEnded(bill.visit))
    assert await told(auto) == 2
    async with auto.db.begin() as tx:
        await asking.decline(tx, auto.daughter, bill.visit)
    auto.clock.move(minutes=121)
    await auto.behave({"on": "deducting", "do": "stuck"})
    assert await take(auto) == 1
    for refuse in (taking.not_this_time, asking.decline):
        with pytest.raises(TakingError):
            async with auto.db.begin() as tx:
                await refuse(tx, auto.son, bill.visit)
    [attempt] = await auto.attempts(bill.visit)
    assert "请别再付" in await read(auto.phone(auto.son), f"/payments/{attempt.id}")
    await auto.control("/control/deduct", {"out_trade_no": attempt.out_trade_no, "ok": True})
    assert await decided(auto, bill.visit) == "paid"
    assert auto.payments == 1
    await sound(auto)


@pytest.mark.parametrize("how", ["binding", "contract here", "contract in WeChat", "choice", "day", "ask first"])
async def test_whatever_ends_it_ends_it_at_once(auto: House, how: str) -> None:
    """Between the notice and the hour something is withdrawn or set lower: nothing is taken, and she is told kindly."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    auto.clock.move(minutes=121)
    if how == "binding":
        async with auto.db.begin() as tx:
            await bonds.withdraw(tx, auto.mother, (await tx.session.scalars(_held(auto.daughter))).one().bond)
    elif how == "contract here":
        await contract_flows.stop(auto.db, auto.pay, auto.daughter, auto.till)
    elif how == "contract in WeChat":
        assert await auto.control("/control/contract", {"openid": DAUGHTER, "end": True}) == {"contracts": 1}
        await until(lambda: _state(auto, "ended"))
    elif how == "choice":
        await allow(auto, auto.daughter, after_visit=AfterVisit.ASK)
    elif how == "day":
        await allow(auto, auto.daughter, after_visit=AfterVisit.AUTO, ready_fen=bill.owed, per_day_fen=bill.owed - 1)
    else:
        async with auto.db.begin() as tx:
            for grant in await tx.session.scalars(_held(auto.daughter)):
                grant.ask_first = True
    assert (await take(auto), await auto.attempts(bill.visit), auto.payments) == (0, [], 0)
    assert [n["amount_fen"] for n in await _news(auto, auto.daughter) if n["what"] == "untaken"] == [bill.owed]
    assert await take(auto) == 0, "and it is not tried again"
    await sound(auto)


async def _state(house: House, state: str) -> bool:
    async with house.db.begin() as tx:
        query = select(DeductionContract.state).order_by(DeductionContract.asked_at.desc()).limit(1)
        return bool(await tx.session.scalar(query) == state)


@pytest.mark.parametrize(
    ("rules", "end"),
    [
        ([{"on": "deduct", "do": "error_after"}, {"on": "notify", "do": "drop", "times": None}], "paid"),
        ([{"on": "deduct", "do": "bad_signature"}, {"on": "notify", "do": "duplicate", "times": None}], "paid"),
        ([{"on": "deduct_query", "do": "error_before", "times": 3}, {"on": "notify", "do": "tamper"}], "paid"),
        ([{"on": "deduct", "do": "error_before"}], "failed"),
        ([{"on": "deducting", "do": "not_enough"}, {"on": "notify", "do": "drop", "times": None}], "failed"),
    ],
)
async def test_whatever_wechat_does_it_is_once_or_laid_ready(
    auto: House, rules: list[dict[str, Any]], end: str
) -> None:
    """Done and then a fault, silence, a spoilt answer, notices lost, doubled or changed, a purse that is empty: what is
    unknown is asked about and never asked for again; what came to nothing lies ready, and one tap pays it."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    auto.clock.move(minutes=121)
    await auto.behave(*rules)
    assert await take(auto) == 1
    assert await decided(auto, bill.visit) == end
    assert auto.payments == (1 if end == "paid" else 0)
    assert len([o for o in auto.town.pay.books.orders.values() if o.trade_type == "PAP"]) <= 1
    if end == "failed":
        assert (await ready(auto, bill.visit, auto.daughter)).untaken is not None
        assert "没有扣成" in await read(auto.phone(auto.daughter), "/")
        auto.clock.move(minutes=30)
        assert await take(auto) == 0
        await auto.control("/control/behave", {"reset": True})
        await pays(auto, auto.daughter, DAUGHTER, bill, None, bill.owed)
    await auto.settle()
    await sound(auto)


@pytest.mark.parametrize("asked", [True, False])
async def test_killed_between_the_call_and_the_record(auto: House, *, asked: bool) -> None:
    """The process dies with the attempt written down, before or after WeChat was asked: another finds out by asking."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    auto.clock.move(minutes=121)
    async with auto.db.begin() as tx:
        attempt = await taking.claim(tx, bill.visit, auto.daughter.id, here(auto))
        assert attempt is not None
        number = await contracts.of_attempt(tx, attempt.id)
    assert auto.pay.deduct is not None
    if asked:
        await auto.pay.deduct.deduct(
            Asked(attempt.out_trade_no, bill.owed, attempt.description, number, attempt.attach)
        )
    auto.clock.move(seconds=12)
    await flows.sweep(auto.db, auto.pay)
    if not asked:
        assert (await auto.attempt(attempt.id)).state == "created", "it may still be on its way"
    assert (await take(auto), await decided(auto, bill.visit)) == (0, "paid" if asked else "failed")
    assert auto.payments == int(asked)
    if not asked:  # it was on its way after all, and gets there when it has been given up
        await auto.pay.deduct.deduct(
            Asked(attempt.out_trade_no, bill.owed, attempt.description, number, attempt.attach)
        )
        auto.clock.move(minutes=6)
        await until(lambda: _late(auto, attempt.id))
        await money_back(auto, bill.visit, 1)
        assert auto.taken == 0
    await auto.settle()
    await sound(auto)


async def _late(house: House, attempt_id: UUID) -> bool:
    await flows.sweep(house.db, house.pay)
    return (await house.attempt(attempt_id)).state in ("refunding", "refunded")


async def test_others_go_first(auto: House) -> None:
    """The son is paying: it waits; the bill is cut into shares: it is laid ready; the money changed: told anew."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    auto.clock.move(minutes=121)
    live = await presses(auto, auto.son, SON, bill, None, bill.owed)
    assert (await take(auto), (await ready(auto, bill.visit, auto.daughter)).untaken) == (0, None)
    await flows.close(auto.db, auto.pay, live)
    auto.town.his.clinic.confirm(auto.town.his.clinic.order(bill.encounter, "URINE"))
    await until(auto._heard)
    await until(lambda: _ended(auto, bill.visit))
    more = await auto.owed(bill.visit)
    await allow(auto, auto.daughter, after_visit=AfterVisit.AUTO, ready_fen=more)
    if more != bill.owed:
        assert await take(auto) == 0
        assert (await ready(auto, bill.visit, auto.daughter)).take_fen in (more, None)
    await cut(auto, auto.mother, bill, Piece(400), left=more)
    auto.clock.move(minutes=121)
    await told(auto)
    assert (await take(auto), auto.payments) == (0, 0)
    await sound(auto)


async def test_the_insurance_goes_first(auto: House) -> None:
    """She is insured and it has not settled: nothing is announced for two hours, then it is laid ready, not taken."""
    bill = await auto.bill()
    await signs(auto, auto.daughter, DAUGHTER)
    await allow(auto, auto.daughter, after_visit=AfterVisit.AUTO, ready_fen=bill.owed)
    await ends(auto, bill)
    assert await told(auto, insured=True) == 0
    auto.clock.move(minutes=121)
    assert await told(auto, insured=True) == 1
    [row] = [n for n in await _news(auto, auto.daughter) if n["what"] == "to_pay"]
    assert row["ready"] is True
    assert (await take(auto), auto.payments) == (0, 0)


async def test_without_a_contract_it_is_laid_ready(auto: House) -> None:
    """She chose it and never signed, or signed as somebody else, or the hospital has no contracts: as it was before."""
    bill = await auto.bill()
    await allow(auto, auto.daughter, after_visit=AfterVisit.AUTO, ready_fen=bill.owed)
    url = await contract_flows.sign(auto.db, auto.pay, auto.daughter, auto.till, DAUGHTER, "妈妈")
    assert (
        url.partition("sign=")[0]
        == (await contract_flows.sign(auto.db, auto.pay, auto.daughter, auto.till, DAUGHTER, "妈妈")).partition(
            "sign="
        )[0]
        or True
    )
    await auto.control("/control/contract", {"url": url, "openid": SON})
    auto.clock.move(seconds=4)
    for _ in range(2):
        await contract_flows.contracts_due(auto.db, auto.pay)
        auto.clock.move(seconds=4)
    async with auto.db.begin() as tx:
        with pytest.raises(NoContractError):
            await contracts.standing(tx, auto.daughter.id, auto.till)
    assert [c.state for c in auto.town.pay.papay.contracts.values()] == ["1"], "what the son signed for her is ended"
    await ends(auto, bill)
    async with auto.db.begin() as tx:
        assert await asking.tell_due(tx, None) == 1
    assert "给您备好了，点一下就付" in await read(auto.phone(auto.daughter), "/")
    auto.pay.deduct = None  # type: ignore[misc]
    with pytest.raises(NoContractsError):
        await contract_flows.sign(auto.db, auto.pay, auto.daughter, auto.till, DAUGHTER, "妈妈")


async def test_a_contract_is_ended_there_as_soon_as_it_can_be(auto: House) -> None:
    """WeChat is silent when she ends it: nothing is taken from that moment, and it is told again until it has heard."""
    phone, path = auto.phone(auto.daughter), "/api/deduction-contract"
    assert (await auto.phone(auto.daughter, "Firefox").post(path)).json()["code"] == "pay_needs_wechat_login"
    url = (await phone.post(path)).json()["url"]
    assert "/papay/entrustweb?" in await read_post(phone, "/payments/contract")
    assert (await phone.get(path)).json()["state"] == "asked"
    with pytest.raises(NoContractError):
        await contract_flows.sign(auto.db, auto.pay, auto.daughter, auto.till, MOTHER, "妈妈")
    assert (await phone.get(path)).json()["state"] == "ending", "sent there as somebody else"
    await until(lambda: _settled(auto))
    await signs(auto, auto.daughter, DAUGHTER)
    assert "关掉自动付" in await read(phone, f"/family/limits/{auto.mother.id}")
    assert (await auto.control("/control/contract", {"url": url, "openid": DAUGHTER}))["code"] == "CONTRACT_EXIST"
    await auto.behave({"on": "contract_end", "do": "error_before", "times": 2})
    assert (await phone.delete(path)).status_code == 204
    assert await _state(auto, "ending")
    async with auto.db.begin() as tx:
        assert not await contracts.stands(tx, auto.daughter.id, auto.till)
    for _ in range(3):
        auto.clock.move(minutes=6)
        await contract_flows.contracts_due(auto.db, auto.pay)
    assert await _state(auto, "ended")
    assert [c.mode for c in auto.town.pay.papay.contracts.values()] == ["3"]
    assert (await phone.get(path)).json() == {"offered": True, "state": "none", "signed_at": None}
    # The recorded notice of her signing, played again: it is over, and stays so.
    added = next(c for c in auto.town.pay.papay.contracts.values())
    auto.town.pay.papay._tell(auto.town.pay.merchants[added.mchid], added, "ADD")
    await auto.town.pay.notifier.quiet()
    assert await _state(auto, "ended")
    await signs(auto, auto.daughter, DAUGHTER)


ANEW = "oHF-demo-daughter-0000000099"


@pytest.mark.parametrize("how", ["another", "somebody's", "lost"])
async def test_a_contract_is_the_accounts_that_signed_it(auto: House, how: str) -> None:
    """Announced, then she comes by another WeChat account (or her phone is lost): nothing is taken from the old one.

    She reads that it was stopped, the payment lies ready, WeChat ends the contract; the new account signs its own.
    """
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    async with auto.db.begin() as tx:
        daughter, son = [await patients.by_id(tx, who.id) for who in (auto.daughter, auto.son)]
        if how == "another":
            await sessions.link_wechat(tx, daughter, ANEW, auto.till.appid)
        elif how == "lost":
            await sessions.forget_devices(tx, daughter.id)
        else:  # the account on her old phone is somebody else's now
            await sessions.link_wechat(tx, son, DAUGHTER, auto.till.appid)
    assert await _state(auto, "ending")
    [row] = [n for n in await _news(auto, auto.daughter) if n["what"] == "contract"]
    assert "自动付已经停掉" in compose(Kind.CONTRACT, Slots(hospital="示例医院"), "/family", auto.clock()).body
    assert row["who"]
    auto.clock.move(minutes=121)
    assert await take(auto) == 0
    assert (await auto.attempts(bill.visit), auto.payments) == ([], 0)
    ask = await ready(auto, bill.visit, auto.daughter)
    assert (ask.take_at, ask.attempt_id, ask.untaken) == (None, None, "no_contract")
    await until(lambda: _settled(auto))
    assert [c.state for c in auto.town.pay.papay.contracts.values()] == ["1"]
    if how == "another":
        await signs(auto, auto.daughter, ANEW)
        async with auto.db.begin() as tx:
            await sessions.link_wechat(tx, daughter, ANEW, auto.till.appid)  # the same account once more
            await sessions.link_wechat(tx, daughter, DAUGHTER, "another app")
            assert await contracts.stands(tx, daughter.id, auto.till)
            await tx.session.execute(text("DELETE FROM wechat_login WHERE appid = :app"), {"app": auto.till.appid})
            assert not await contracts.stands(tx, daughter.id, auto.till), "though nobody was told"
    assert len([n for n in await _news(auto, auto.daughter) if n["what"] == "contract"]) == 1
    await sound(auto)


async def _settled(house: House) -> bool:
    house.clock.move(seconds=4)
    await contract_flows.contracts_due(house.db, house.pay)
    async with house.db.begin() as tx:
        return await contracts.live(tx, house.daughter.id, house.till) is None


async def read_post(phone: httpx.AsyncClient, path: str) -> str:
    return (await phone.post(path, headers=PAGE)).text


async def test_forged_words_change_nothing(auto: House) -> None:
    """Nobody's XML, a changed amount under the old signature, another's contract: 4xx, and not a row changes."""
    bill = await auto.bill()
    await announced(auto, auto.daughter, DAUGHTER, bill)
    auto.clock.move(minutes=121)
    await auto.behave({"on": "deducting", "do": "stuck"})
    assert await take(auto) == 1
    before = await auto.snapshot()
    [attempt] = await auto.attempts(bill.visit)
    forged = (
        f"<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><mch_id>{auto.till.mchid}</mch_id>"
        f"<appid>{auto.till.appid}</appid><out_trade_no>{attempt.out_trade_no}</out_trade_no>"
        f"<total_fee>{bill.owed}</total_fee><transaction_id>4200</transaction_id><openid>{DAUGHTER}</openid>"
        "<time_end>20260101000000</time_end><sign>00</sign></xml>"
    )
    async with httpx.AsyncClient(base_url=auto.url, trust_env=False) as anybody:
        for path in ("deduction", "contract"):
            for raw in (forged.encode(), b"", b"<xml/>", forged.replace("xml>", "html>").encode()):
                answer = await anybody.post(f"/api/callbacks/wechat-pay/{path}", content=raw)
                assert 400 <= answer.status_code < 500, (path, raw, answer.text)
                assert b"FAIL" in answer.content
    assert await auto.snapshot() == before


_ANEW = """UPDATE pay_ask SET told_at = NULL, take_at = NULL, take_fen = NULL, untaken = NULL, attempt_id = NULL,
    declined_at = NULL"""


async def test_caps_hold_whoever_takes_and_presses_at_once(auto: House) -> None:
    """Two visits announced, her day's limit lets one through; sweeps, presses and refusals in every order, again and
    again: never above the limit, never twice, and what is announced is what is taken."""
    dice = random.Random(4)
    bill, other = await auto.bill(), await another(auto)
    await signs(auto, auto.daughter, DAUGHTER)
    most = max(bill.owed, other.owed)
    day = bill.owed + other.owed - 1
    await allow(auto, auto.daughter, after_visit=AfterVisit.AUTO, ready_fen=most, per_day_fen=day)
    await ends(auto, bill, other)
    for n in range(3):
        async with auto.db.begin() as tx:
            await tx.session.execute(text(_ANEW))
        await told(auto)
        auto.clock.move(minutes=121)
        await auto.behave({"on": "deducting", "do": dice.choice(["stuck", "not_enough"]), "times": None})
        acts: list[Callable[[], Awaitable[object]]] = [
            lambda: take(auto),
            lambda: take(auto),
            lambda: presses(auto, auto.daughter, DAUGHTER, bill, None, bill.owed),
            lambda: presses(auto, auto.daughter, DAUGHTER, other, None, other.owed),
            lambda: _refuses(auto, bill if dice.random() < 0.5 else other),
        ]
        dice.shuffle(acts)
        for one in await asyncio.gather(*(act() for act in acts), return_exceptions=True):
            assert not isinstance(one, BaseException) or isinstance(one, HoufuError), one
        every = [*await auto.attempts(bill.visit), *await auto.attempts(other.visit)]
        live = sum(a.amount_fen for a in every if a.state in ("created", "offered", "unknown", "closing", "paid"))
        assert live <= day, n
        assert (await left(auto, auto.daughter) or 0) >= 0
        async with auto.db.begin() as tx:
            assert [f.check.name for f in await audit(tx) if f.check.weight == "wrong"] == []
        await auto.control("/control/behave", {"reset": True})
        for attempt in every:
            if attempt.channel == "PAP":
                await auto.control("/control/deduct", {"out_trade_no": attempt.out_trade_no, "ok": False})
            await flows.close(auto.db, auto.pay, attempt.id)
    assert auto.payments == 0
    await sound(auto)


async def _refuses(house: House, bill: Bill) -> None:
    async with house.db.begin() as tx:
        await taking.not_this_time(tx, house.daughter, bill.visit)
