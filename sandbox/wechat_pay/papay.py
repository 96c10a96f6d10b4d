"""Deduction contracts (委托代扣) of the sandbox's WeChat: signed by the payer on a page, ended by either side.

A charge is taken in at once and decided a moment later. Nothing of it can be closed. The payer can end a contract in
WeChat's own settings, and the merchant hears of that by a notice like of everything else.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.wechat_pay.books import BEIJING, Books, Order
from sandbox.wechat_pay.notifier import Notifier
from sandbox.wechat_pay.wire import Fields, Merchant, Refusal, sign_fields, xml_of

PLAN_ID = "147001"
CONTRACT_LIFE = timedelta(days=365 * 5)
PAUSE = 1.0  # seconds until a charge is decided, times the world's scale
_CODE = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(slots=True)
class Contract:
    """One contract: ``state`` 0 stands, 1 has ended; ``mode`` who ended it (2 the payer, 3 the merchant)."""

    mchid: str
    appid: str
    code: str
    serial: str
    display: str
    notify_url: str
    openid: str
    contract_id: str
    signed: datetime
    state: str = "0"
    ended: datetime | None = None
    mode: str = "0"
    remark: str = ""


class Papay:
    """All contracts, and the postman who tells of them."""

    def __init__(self, books: Books, notifier: Notifier, now: Callable[[], datetime]) -> None:
        self.contracts: dict[tuple[str, str], Contract] = {}
        self._books, self._notifier, self._now = books, notifier, now

    def asked(self, merchants: Mapping[str, Merchant], given: Mapping[str, str], wall: float) -> Merchant:
        """Check what a merchant's page handed to ``entrustweb``.

        Raises:
            Refusal: a parameter or the signature does not hold.
        """
        merchant = merchants.get(given.get("mch_id", ""))
        if merchant is None or given.get("appid") not in merchant.appids:
            raise Refusal(400, "PARAM_ERROR", "商户号或 appid 有误")
        if given.get("sign") != sign_fields(given, merchant.apiv2_key):
            raise Refusal(400, "SIGN_ERROR", "签名错误")
        if given.get("plan_id") != PLAN_ID or given.get("version") != "1.0":
            raise Refusal(400, "PARAM_ERROR", "模板有误")
        if not _CODE.fullmatch(given.get("contract_code", "")) or not given.get("request_serial", "").isdigit():
            raise Refusal(400, "PARAM_ERROR", "协议号或序列号有误")
        if not given.get("contract_display_account") or not given.get("notify_url"):
            raise Refusal(400, "LACK_PARAMS", "缺少参数")
        if not given.get("timestamp", "").isdigit() or abs(wall - int(given["timestamp"])) > 600:
            raise Refusal(400, "PARAM_ERROR", "页面已过期")
        return merchant

    def sign(self, merchant: Merchant, given: Mapping[str, str], openid: str) -> Contract:
        """The payer has typed the password on the page.

        Raises:
            Refusal: the code was used.
        """
        key = (merchant.mchid, given["contract_code"])
        if key in self.contracts:
            raise Refusal(400, "CONTRACT_EXIST", "协议号已使用")
        standing = [c for c in self.contracts.values() if c.openid == openid and c.state == "0"]
        if standing:
            raise Refusal(400, "CONTRACT_EXIST", "已签约")
        made = Contract(
            merchant.mchid,
            given["appid"],
            given["contract_code"],
            given["request_serial"],
            given["contract_display_account"],
            given["notify_url"],
            openid,
            f"Wx{secrets.randbelow(10**26):026d}",
            self._now(),
        )
        self.contracts[key] = made
        self._tell(merchant, made, "ADD")
        return made

    def end(self, merchant: Merchant, found: Contract, mode: str, remark: str = "") -> None:
        """Ended by the payer in WeChat (2) or by the merchant (3); twice is once."""
        if found.state == "0":
            found.state, found.ended, found.mode, found.remark = "1", self._now(), mode, remark
            self._tell(merchant, found, "DELETE")

    def by_id(self, contract_id: str) -> Contract | None:
        """A contract by WeChat's own number."""
        return next((c for c in self.contracts.values() if c.contract_id == contract_id), None)

    def _tell(self, merchant: Merchant, found: Contract, change: str) -> None:
        fields = {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "mch_id": found.mchid,
            "contract_code": found.code,
            "plan_id": PLAN_ID,
            "openid": found.openid,
            "change_type": change,
            "operate_time": _written(self._now()),
            "contract_id": found.contract_id,
            "contract_expired_time": _written(found.signed + CONTRACT_LIFE) if change == "ADD" else "",
            "contract_termination_mode": found.mode if change == "DELETE" else "",
            "request_serial": found.serial,
        }
        self._notifier.plain(found.notify_url, signed(merchant, fields), f"CONTRACT.{change}", found.code)

    def told(self, merchant: Merchant, order: Order, contract_id: str, err: str = "") -> None:
        """Begin to tell how a charge went."""
        fields = {
            "return_code": "SUCCESS",
            "result_code": "FAIL" if err else "SUCCESS",
            "appid": order.appid,
            "mch_id": order.mchid,
            "nonce_str": secrets.token_hex(16),
            "out_trade_no": order.out_trade_no,
            "contract_id": contract_id,
            "err_code": err,
            "attach": order.attach,
        }
        if order.paid_at is not None:
            fields |= shown(order)
        self._notifier.plain(order.notify_url, signed(merchant, fields), "PAP", order.out_trade_no, order.total)


def signed(merchant: Merchant, fields: Fields) -> bytes:
    """A notice's bytes: MD5, without what says nothing."""
    said = {name: value for name, value in fields.items() if value}
    return xml_of({**said, "sign": sign_fields(said, merchant.apiv2_key)})


def _written(at: datetime) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def shown(order: Order) -> Fields:
    """A charge as queries and notices show it."""
    if order.paid_at is None:
        return {}
    return {
        "openid": order.payer or "",
        "is_subscribe": "N",
        "trade_type": "PAP",
        "bank_type": "OTHERS",
        "fee_type": "CNY",
        "total_fee": str(order.total),
        "cash_fee": str(order.total),
        "transaction_id": order.transaction_id or "",
        "time_end": order.paid_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
    }
