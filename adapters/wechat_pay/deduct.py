"""WeChat's deduction contract (委托代扣) for one merchant: signed on WeChat's page, then charged without a password.

APIv2, as the vendor's pages give it: signed with MD5, and asking about a contract carries no nonce. ``pappayapply``
only takes the order in; whether the money came is told by ``paporderquery`` or a notice. Its notices have no time in
them: a contract's is a reason to ask, and a payment's is believed only if it fits the attempt.
"""

import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from urllib.parse import urlencode

from adapters.wechat_pay import apiv2
from adapters.wechat_pay.apiv2_line import DEFINITE, Apiv2Line, cash_state, number, refusal, same_order
from adapters.wechat_pay.line import BEIJING, readable
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from payments.ports import (
    CashState,
    ContractAsk,
    ContractNotice,
    ContractState,
    ContractWord,
    Deduction,
    DeductionNotice,
    ForgedNotice,
    TradeState,
)

_DEFINITE = {
    **DEFINITE,
    "CONTRACT_NOT_EXIST": "CONTRACT_NOT_EXIST",
    "CONTRACTNOTEXIST": "CONTRACT_NOT_EXIST",
    "RULELIMIT": "OVER_RULE",
    "USER_ACCOUNT_ABNORMAL": "TRADE_ERROR",
    "USERACCOUNTABNORMAL": "TRADE_ERROR",
}
# Of a deduction these may also be said of one that was taken in before: they prove nothing.
_ABOUT_BEFORE = {"INVALID_REQUEST", "ORDERCLOSED", "ORDERREVERSED"}
_STATES = {"ACCEPT": TradeState.NOTPAY, "PAY_FAIL": TradeState.PAYERROR, "PAYFAIL": TradeState.PAYERROR}
_WORDS = {"0": ContractWord.SIGNED, "1": ContractWord.ENDED}


@dataclass(frozen=True, slots=True)
class DeductSettings:
    """One merchant's plan. ``entrust_base_url``: where the payer's page lies; ``ca_cert`` only where it is private."""

    mchid: str
    appid: str
    apiv2_key: str = field(repr=False)
    plan_id: str
    contract_notify_url: str
    notify_url: str
    base_url: str = "https://api.mch.weixin.qq.com"
    entrust_base_url: str = "https://api.mch.weixin.qq.com"
    ca_cert: str = ""
    server_ip: str = "127.0.0.1"


class WeChatDeduct:
    """``payments.ports.DeductPay``; ``close`` it in the end.

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(self, settings: DeductSettings, guard: Guard | None = None, timeout: tuple[float, float] = (3, 5)):
        for name in (f.name for f in fields(settings) if f.name != "ca_cert"):
            if not getattr(settings, name):
                raise NotConfigured(f"wechat_deduct.{name}")
        self.settings = settings
        mine, guarded = settings, guard or Guard("wechat_deduct")
        self._line = Apiv2Line(mine.mchid, mine.appid, mine.apiv2_key, guarded, timeout, self._tls, md5=True)

    @property
    def plan_id(self) -> str:
        """See ``DeductPay.plan_id``."""
        return self.settings.plan_id

    async def close(self) -> None:
        """Let the connections go."""
        await self._line.close()

    def sign_url(self, asked: ContractAsk) -> str:
        """WeChat's page. See ``DeductPay.sign_url``."""
        said = {
            "appid": self.settings.appid,
            "mch_id": self.settings.mchid,
            "plan_id": self.settings.plan_id,
            "contract_code": asked.code,
            "request_serial": str(asked.serial),
            "contract_display_account": asked.display[:32],
            "notify_url": self.settings.contract_notify_url,
            "version": "1.0",
            "timestamp": str(int(time.time())),
            "return_web": "1",
        }
        said["sign"] = apiv2.sign(said, self.settings.apiv2_key, md5=True)
        return f"{self.settings.entrust_base_url.rstrip('/')}/papay/entrustweb?{urlencode(said)}"

    async def contract(self, code: str) -> ContractState:
        """Ask WeChat. See ``DeductPay.contract``."""
        told = await self._ask("/papay/querycontract", self._named(code), nonce=False)
        if told.get("result_code") != "SUCCESS":
            raise refusal(told, _DEFINITE)
        state = readable(self._contract, told)
        if (state.code, state.plan_id) != (code, self.settings.plan_id):
            raise Unknown("the answer is about another contract")
        return state

    async def end_contract(self, code: str, why: str) -> None:
        """End it at WeChat. See ``DeductPay.end_contract``."""
        asked = {**self._named(code), "contract_termination_remark": why[:200]}
        told = await self._ask("/papay/deletecontract", asked, nonce=False)
        if told.get("result_code") != "SUCCESS":
            raise refusal(told, _DEFINITE)

    async def deduct(self, asked: Deduction) -> None:
        """Ask for the money. See ``DeductPay.deduct``."""
        number(asked.out_trade_no)
        if type(asked.amount_fen) is not int or asked.amount_fen < 1:
            raise Rejected("PARAM_ERROR", "amount")
        told = await self._ask(
            "/pay/pappayapply",
            {
                "body": asked.description.encode()[:128].decode(errors="ignore"),
                "attach": asked.attach[:127],
                "out_trade_no": asked.out_trade_no,
                "total_fee": str(asked.amount_fen),
                "fee_type": "CNY",
                "spbill_create_ip": self.settings.server_ip,
                "notify_url": self.settings.notify_url,
                "trade_type": "PAP",
                "contract_id": asked.contract_id,
            },
        )
        if told.get("result_code") != "SUCCESS":
            no = refusal(told, _DEFINITE)
            raise Unknown(f"refused {told.get('err_code')}") if told.get("err_code") in _ABOUT_BEFORE else no

    async def query(self, out_trade_no: str) -> CashState:
        """Ask WeChat. See ``DeductPay.query``."""
        number(out_trade_no)
        told = await self._ask("/pay/paporderquery", {"out_trade_no": out_trade_no})
        if told.get("result_code") != "SUCCESS":
            raise refusal(told, _DEFINITE)
        return same_order(_translated(told), out_trade_no)

    def decode_contract(self, raw: bytes) -> ContractNotice:
        """See ``DeductPay.decode_contract``."""
        told = self._genuine(raw)
        if told.get("plan_id") != self.settings.plan_id or told.get("change_type") not in ("ADD", "DELETE"):
            raise ForgedNotice("another plan, or no change")
        if not told.get("contract_code"):
            raise ForgedNotice("no contract")
        return ContractNotice(told["contract_code"], told.get("contract_id", ""), told["change_type"] == "DELETE")

    def decode_deduction(self, raw: bytes) -> DeductionNotice:
        """See ``DeductPay.decode_deduction``."""
        told = self._genuine(raw)
        if told.get("appid") != self.settings.appid or not told.get("out_trade_no"):
            raise ForgedNotice("another app, or no order")
        if told.get("result_code") != "SUCCESS":
            return DeductionNotice(told["out_trade_no"], None)
        try:
            found = cash_state({**told, "trade_state": TradeState.SUCCESS})
        except (KeyError, ValueError) as error:
            raise ForgedNotice(f"unreadable: {type(error).__name__}") from None
        return DeductionNotice(found.out_trade_no, found)

    def _genuine(self, raw: bytes) -> dict[str, str]:
        try:
            told = apiv2.read(raw)
        except ValueError:
            raise ForgedNotice("no XML of WeChat's") from None
        # What an account that signs otherwise than asked sends is refused: a field cannot choose how it is believed.
        if told.get("sign_type", "MD5") != "MD5" or not apiv2.holds(told, self.settings.apiv2_key, md5=True):
            raise ForgedNotice("signature")
        if told.get("return_code") != "SUCCESS" or told.get("mch_id") != self.settings.mchid:
            raise ForgedNotice("another merchant")
        return told

    def _named(self, code: str) -> dict[str, str]:
        return {"plan_id": self.settings.plan_id, "contract_code": code, "version": "1.0"}

    def _contract(self, told: Mapping[str, str]) -> ContractState:
        until = told.get("contract_expired_time", "")
        return ContractState(
            code=told["contract_code"],
            word=_WORDS[told["contract_state"]],
            mchid=told["mch_id"],
            plan_id=told["plan_id"],
            contract_id=told.get("contract_id"),
            openid=told.get("openid"),
            until=_when(until) if until else None,
        )

    async def _ask(self, path: str, asked: Mapping[str, str], *, nonce: bool = True) -> dict[str, str]:
        head = {"appid": self.settings.appid, "mch_id": self.settings.mchid}
        head |= {"nonce_str": secrets.token_hex(16)} if nonce else {}
        said = {**head, **{name: value for name, value in asked.items() if value}}
        return await self._line.ask(self.settings.base_url.rstrip("/") + path, said)

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.settings.ca_cert or None)


def _translated(told: Mapping[str, str]) -> dict[str, str]:
    state = told.get("trade_state", "")
    return {**told, "trade_state": _STATES.get(state, state)}


def _when(text: str) -> datetime:
    """The vendor's pages show seconds since 1970 in answers, and a written time in notices."""
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).astimezone(UTC)
