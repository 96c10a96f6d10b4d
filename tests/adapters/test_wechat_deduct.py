"""A deduction contract by APIv2: signed on WeChat's page, charged without a password, ended by either; and faults."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from adapters.wechat_pay import DeductSettings, WeChatDeduct, apiv2
from kernel.outside import Breaker, Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import (
    ContractAsk,
    ContractState,
    ContractWord,
    Deduction,
    DeductPay,
    ForgedNotice,
    RefundOrder,
    TradeState,
)
from sandbox import wechat_pay
from sandbox.keys import SandboxKeys
from sandbox.wechat_pay.papay import PLAN_ID, signed
from tests.adapters.conftest import until
from tests.adapters.pay_stand import DAUGHTER, MOTHER, Stand
from tests.adapters.test_wechat_face import Office, office  # noqa: F401  a fixture

ASK = ContractAsk("HFC0000000000000000000000001", 7, "妈妈 朱**")


@dataclass
class Desk:
    """Our client, WeChat's books, and what came to our address."""

    stand: Stand
    line: WeChatDeduct

    @property
    def port(self) -> DeductPay:
        return self.line

    async def signs(self, openid: str = DAUGHTER, ask: ContractAsk = ASK) -> ContractState:
        """The payer signs on the page."""
        told = await self.stand.post("/control/contract", {"url": self.line.sign_url(ask), "openid": openid})
        assert "contract_id" in told, told
        return await self.line.contract(ask.code)

    def deduction(self, contract: ContractState, amount: int = 7760, **over: Any) -> Deduction:
        self.stand.number += 1
        number = f"PA{self.stand.number:06d}"
        return replace(Deduction(number, amount, "后付演示医院 就诊费", contract.contract_id or "", "attempt"), **over)

    async def decided(self, number: str) -> TradeState:
        async def there() -> bool:
            return (await self.line.query(number)).trade_state is not TradeState.NOTPAY

        await until(there)
        return (await self.line.query(number)).trade_state

    def plan(self, *rules: dict[str, Any]) -> None:
        self.stand.world.behaviour.plan(rules)

    @property
    def taken(self) -> int:
        return int(self.stand.world.books.dump()["sums"]["paid"])


@pytest.fixture
async def desk(stand: Stand, office: Office, world_keys: SandboxKeys) -> AsyncIterator[Desk]:  # noqa: F811
    """The line; notices go to the house of the stand, which keeps their bytes."""
    office.app = wechat_pay.build_apiv2(stand.world)
    notify = stand.settings.notify_url
    pays = str(stand.http.base_url).rstrip("/")
    mine = world_keys.client_wechat_deduct(office.url, pays)
    settings = DeductSettings(
        world_keys.wechat_pay.mchid, world_keys.wechat.appid, contract_notify_url=notify, notify_url=notify, **mine
    )
    line = WeChatDeduct(settings, Guard("deduct", deadline=5, breaker=Breaker(failures=1000)), timeout=(2, 1))
    yield Desk(stand, line)
    await line.close()


async def test_signed_charged_and_paid_back(desk: Desk) -> None:
    """The whole way: nobody's before the page, then hers; taken in, then paid; the same order by APIv3, refunded there;
    the merchant ends it, twice is once, and nothing more is taken."""
    with pytest.raises(Rejected, match="CONTRACT_NOT_EXIST"):
        await desk.port.contract(ASK.code)
    contract = await desk.signs()
    assert (contract.word, contract.openid, contract.plan_id) == (ContractWord.SIGNED, DAUGHTER, PLAN_ID)
    asked = desk.deduction(contract)
    await desk.port.deduct(asked)
    assert await desk.decided(asked.out_trade_no) is TradeState.SUCCESS
    state = await desk.port.query(asked.out_trade_no)
    assert (state.amount_fen, state.payer_openid, state.trade_type, state.attach) == (7760, DAUGHTER, "PAP", "attempt")
    assert await desk.stand.pay.query(asked.out_trade_no) == state
    with pytest.raises(Rejected, match="ORDER_PAID"):
        await desk.port.deduct(asked)
    assert desk.taken == 7760
    await desk.stand.pay.refund(RefundOrder("RF000001", asked.out_trade_no, 7760, 7760))
    await desk.port.end_contract(ASK.code, "不再自动付")
    with pytest.raises(Rejected, match="CONTRACT_NOT_EXIST"):
        await desk.port.end_contract(ASK.code, "不再自动付")
    assert (await desk.port.contract(ASK.code)).word is ContractWord.ENDED
    with pytest.raises(Rejected, match="CONTRACT_NOT_EXIST"):
        await desk.port.deduct(desk.deduction(contract))
    assert desk.taken == 7760


async def test_refusals_and_what_proves_nothing(desk: Desk) -> None:
    """Too little in the purse comes later; silence, a fault, an unsigned or spoilt answer and a changed order are
    unknown: each is found out by asking, and no more is taken than was asked for once."""
    contract = await desk.signs()
    poor = desk.deduction(contract)
    desk.plan({"on": "deducting", "do": "not_enough"})
    await desk.port.deduct(poor)
    assert await desk.decided(poor.out_trade_no) is TradeState.PAYERROR
    for do, is_taken in (
        ("error_after", True), ("hang_after", True), ("bad_signature", True), ("unsigned", True),
        ("error_before", False), ("fail", False), ("throttle", False),
    ):  # fmt: skip
        desk.plan({"on": "deduct", "do": do, "seconds": 3})
        asked, before = desk.deduction(contract), desk.taken
        with pytest.raises(Throttled if do == "throttle" else Unknown):
            await desk.port.deduct(asked)
        if is_taken:
            assert await desk.decided(asked.out_trade_no) is TradeState.SUCCESS
        else:
            with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
                await desk.port.query(asked.out_trade_no)
        assert desk.taken - before == (7760 if is_taken else 0), do
    twice = desk.deduction(contract, 500)
    desk.plan({"on": "deducting", "do": "stuck"})
    await desk.port.deduct(twice)
    await desk.port.deduct(twice)
    with pytest.raises(Unknown):
        await desk.port.deduct(replace(twice, amount_fen=501))
    assert (await desk.port.query(twice.out_trade_no)).trade_state is TradeState.NOTPAY
    with pytest.raises(Rejected, match="CLOSE_NOT_FOR_CODES"):
        await desk.stand.pay.close(twice.out_trade_no)


async def test_notices_are_believed_by_their_signature(desk: Desk) -> None:
    """Signed and ended, paid and not paid, as they really came; changed by one letter, for another merchant, plan or
    app, with another key, in another way of signing, or with a declaration: refused."""
    contract = await desk.signs()
    good, poor = desk.deduction(contract), desk.deduction(contract)
    await desk.port.deduct(good)
    assert await desk.decided(good.out_trade_no) is TradeState.SUCCESS
    desk.plan({"on": "deducting", "do": "not_enough"})
    await desk.port.deduct(poor)
    await desk.decided(poor.out_trade_no)
    assert (await desk.stand.post("/control/contract", {"openid": DAUGHTER, "end": True})) == {"contracts": 1}
    came = desk.stand.house.raw

    async def all_four() -> bool:
        return len({raw for _, raw in came}) >= 4

    await until(all_four)
    each = list(dict.fromkeys(raw for _, raw in came))
    contracts = [desk.port.decode_contract(raw) for raw in each if b"change_type" in raw]
    assert [(n.code, n.ended) for n in contracts] == [(ASK.code, False), (ASK.code, True)]
    paid = [desk.port.decode_deduction(raw) for raw in each if b"change_type" not in raw]
    assert [n.out_trade_no for n in paid] == [good.out_trade_no, poor.out_trade_no]
    assert paid[0].paid == await desk.port.query(good.out_trade_no)
    assert paid[1].paid is None
    merchant = next(iter(desk.stand.world.merchants.values()))
    fields = apiv2.read(next(raw for raw in each if b"transaction_id" in raw))
    for change, key in (
        ({"mch_id": "1900000001"}, ""), ({"appid": "wx0"}, ""), ({"sign_type": "HMAC-SHA256"}, ""),
        ({"total_fee": "1.5"}, ""), ({}, "0" * 32),
    ):  # fmt: skip
        made = {name: value for name, value in (fields | change).items() if name != "sign"}
        with pytest.raises(ForgedNotice):
            desk.port.decode_deduction(signed(replace(merchant, apiv2_key=key or merchant.apiv2_key), made))
    with pytest.raises(ForgedNotice):
        desk.port.decode_deduction(apiv2.write(fields | {"total_fee": "1"}))
    for raw in (b"", b"<xml>", b'<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>', each[0][:-9]):
        with pytest.raises(ForgedNotice):
            desk.port.decode_contract(raw)
    other = {
        "mch_id": merchant.mchid,
        "return_code": "SUCCESS",
        "plan_id": "1",
        "contract_code": "a",
        "change_type": "ADD",
    }
    with pytest.raises(ForgedNotice):
        desk.port.decode_contract(signed(merchant, other))


async def test_whom_the_page_lets_sign(desk: Desk, world_keys: SandboxKeys) -> None:
    """The address we make is signed: one letter changed, and WeChat's page refuses; a code signs once."""
    url = desk.line.sign_url(ASK)
    given = dict(parse_qsl(urlsplit(url).query))
    assert (given["plan_id"], given["contract_code"], given["version"]) == (PLAN_ID, ASK.code, "1.0")
    answer = await desk.stand.post(
        "/control/contract", {"url": url.replace("request_serial=7", "request_serial=8"), "openid": MOTHER}
    )
    assert answer == {"code": "SIGN_ERROR"}
    await desk.signs()
    assert (await desk.stand.post("/control/contract", {"url": url, "openid": MOTHER})) == {"code": "CONTRACT_EXIST"}
    assert (await desk.stand.http.get(url)).status_code == 200
    with pytest.raises(NotConfigured, match="plan_id"):
        WeChatDeduct(replace(desk.line.settings, plan_id=""))
