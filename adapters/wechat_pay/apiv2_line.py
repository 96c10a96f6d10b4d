"""One merchant's line to WeChat Pay, APIv2: flat XML, signed both ways with one key, and no unsigned word believed.

A signed answer has no time in it, so its freshness rests on TLS. ``return_code`` FAIL is unsigned and proves nothing.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from adapters.wechat_pay import apiv2
from adapters.wechat_pay.line import BEIJING, readable
from kernel.outside import Guard, Rejected, Throttled, Unknown
from payments.ports import CashState, TradeState

_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
DEFINITE = {
    "AUTHCODEEXPIRE": "AUTH_CODE_INVALID",
    "AUTH_CODE_ERROR": "AUTH_CODE_INVALID",
    "AUTH_CODE_INVALID": "AUTH_CODE_INVALID",
    "NOTENOUGH": "NOT_ENOUGH",
    "NOTSUPORTCARD": "TRADE_ERROR",
    "TRADE_ERROR": "TRADE_ERROR",
    "ORDERPAID": "ORDER_PAID",
    "ORDERCLOSED": "ORDER_CLOSED",
    "ORDERREVERSED": "ORDER_REVERSED",
    "ORDERNOTEXIST": "ORDER_NOT_EXIST",
    "OUT_TRADE_NO_USED": "OUT_TRADE_NO_USED",
    "REVERSE_EXPIRE": "REVERSE_EXPIRE",
    "INVALID_REQUEST": "INVALID_REQUEST",
    "INVALID_TRANSACTIONID": "INVALID_REQUEST",
    "BUYER_MISMATCH": "INVALID_REQUEST",
    "PARAM_ERROR": "PARAM_ERROR",
    "LACK_PARAMS": "PARAM_ERROR",
    "NOAUTH": "NO_AUTH",
    "APPID_NOT_EXIST": "NO_AUTH",
    "MCHID_NOT_EXIST": "NO_AUTH",
    "APPID_MCHID_NOT_MATCH": "NO_AUTH",
}
"""Every refusal that counts as a no. A word that is not here is no proof of anything."""
_LATER = {"FREQUENCY_LIMITED", "FREQ_LIMIT"}


@dataclass(slots=True)
class Apiv2Line:
    """Calls and their verified answers; ``tls`` is made at the first call. ``close`` it in the end."""

    mchid: str
    appid: str
    key: str = field(repr=False)
    guard: Guard
    timeout: tuple[float, float]
    tls: Callable[[], ssl.SSLContext]
    md5: bool = False
    _client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def ask(self, url: str, said: Mapping[str, str]) -> dict[str, str]:
        """One call with these fields, signed: the fields of its verified answer.

        Raises:
            Throttled, Unknown: as ``kernel.outside`` says; a refusal is the caller's to read.
        """
        raw = apiv2.write({**said, "sign": apiv2.sign(said, self.key, md5=self.md5)})
        if self._client is None:
            patience = httpx.Timeout(self.timeout[1], connect=self.timeout[0])
            self._client = httpx.AsyncClient(verify=self.tls(), timeout=patience)
        client = self._client

        async def once() -> dict[str, str]:
            try:
                answer = await client.post(url, content=raw, headers={"Content-Type": "text/xml; charset=utf-8"})
            except httpx.HTTPError as error:
                raise Unknown(type(error).__name__) from None
            if answer.status_code != 200:
                raise Unknown(f"HTTP {answer.status_code}")
            return self._verified(answer.content)

        return await self.guard.call(once)

    def _verified(self, raw: bytes) -> dict[str, str]:
        told = readable(apiv2.read, raw)
        if told.get("return_code") != "SUCCESS":
            raise Unknown(f"return_code {told.get('return_code')}: {told.get('return_msg', '')[:80]}")
        if not apiv2.holds(told, self.key, md5=self.md5):
            raise Unknown("unverifiable")
        if told.get("mch_id") != self.mchid or told.get("appid") != self.appid:
            raise Unknown("the answer is for another merchant")
        if told.get("err_code") in _LATER:
            raise Throttled(told["err_code"])
        return told


def refusal(told: Mapping[str, str], definite: Mapping[str, str] = DEFINITE) -> Rejected | Unknown:
    """What an answer that is no success comes to."""
    code = told.get("err_code", "")
    if code in definite:
        return Rejected(definite[code], told.get("err_code_des", ""))
    return Unknown(f"result_code {told.get('result_code')} {code}")


def number(out_trade_no: str) -> None:
    """Refuse what cannot be an order's number, before it is sent."""
    if not _OUT_TRADE_NO.fullmatch(out_trade_no):
        raise Rejected("PARAM_ERROR", "out_trade_no")


def whole(text: str) -> int:
    """An amount, in whole fen and nothing else."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError("not a whole number")
    return int(text)


def moment(text: str) -> datetime:
    """A time as APIv2 writes it: Beijing, fourteen digits."""
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)


def cash_state(told: Mapping[str, str]) -> CashState:
    """An order as a query, an answer or a notice shows it; its ``trade_state`` in our words."""
    ended = told.get("time_end")
    return CashState(
        out_trade_no=told["out_trade_no"],
        trade_state=TradeState(told["trade_state"]),
        mchid=told["mch_id"],
        appid=told["appid"],
        transaction_id=told.get("transaction_id"),
        amount_fen=whole(told["total_fee"]) if "total_fee" in told else None,
        payer_openid=told.get("openid"),
        success_time=moment(ended) if ended else None,
        trade_type=told.get("trade_type"),
        attach=told.get("attach", ""),
    )


def same_order(told: Mapping[str, str], out_trade_no: str) -> CashState:
    """The order that was asked about.

    Raises:
        Unknown: unreadable, or about another.
    """
    state = readable(cash_state, told)
    if state.out_trade_no != out_trade_no:
        raise Unknown("the answer is about another order")
    return state
