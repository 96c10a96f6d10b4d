"""WeChat Pay's daily bill in the sandbox: the official CSV with its backticks, gzipped, made from the sandbox's books.

27 columns (bill type ALL), CRLF, a BOM, every cell prefixed with a backtick, amounts in yuan; then the totals.
"""

import gzip
import hashlib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from kernel.money import fen_of_yuan
from sandbox.wechat_pay.books import BEIJING, Books, Order, Refund
from sandbox.wechat_pay.wire import Refusal

HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"


def rows(books: Books, mchid: str, day: date, now: datetime, *, over: bool = False) -> list[list[str]]:
    """The lines of a past day in Beijing; ``over``: of any day, as if it were past and its bill ready.

    Raises:
        Refusal: the day is not over, its bill is not ready before ten, or nothing happened.
    """
    ready = datetime.combine(day + timedelta(days=1), time(10), BEIJING)
    if not over and day >= now.astimezone(BEIJING).date():
        raise Refusal(400, "INVALID_REQUEST", "账单日期有误")
    if not over and now < ready:
        raise Refusal(400, "STATEMENT_CREATING", "账单生成中")
    lines: list[tuple[datetime, list[str]]] = []
    for order in books.orders.values():
        if order.mchid == mchid and order.paid_at is not None and order.paid_at.astimezone(BEIJING).date() == day:
            lines.append((order.paid_at, _payment(order)))
    for order in books.orders.values():
        if order.mchid == mchid and order.reversed_at and order.reversed_at.astimezone(BEIJING).date() == day:
            lines.append((order.reversed_at, _reversal(order, order.reversed_at)))
    for refund in books.refunds.values():
        if refund.mchid == mchid and refund.created.astimezone(BEIJING).date() == day:
            lines.append((refund.created, _refund(books.orders[mchid, refund.out_trade_no], refund)))
    if not lines:
        raise Refusal(400, "NO_STATEMENT_EXIST", "账单不存在")
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def spoilt(lines: list[list[str]], how: Callable[[str], str | None]) -> list[list[str]]:
    """Get lines wrong: ``missing``, ``extra`` (a second one of nobody's) or ``differing`` (its amount by one fen).

    Args:
        how: what to do with the line of this ``out_trade_no``; None leaves it.
    """
    told = []
    for line in lines:
        do = how(line[6])
        if do != "missing":
            told.append(_differing(line) if do == "differing" else line)
        if do == "extra":
            told.append([*line[:5], "4200" + "9" * 24, "EXTRA" + line[6][-10:], *line[7:]])
    return told


def _differing(line: list[str]) -> list[str]:
    changed = [*line]
    # An order's amount stands twice, and so does a refund's.
    for place in (12, 24) if line[9] == "SUCCESS" else (16, 25):
        changed[place] = _yuan(fen_of_yuan(line[place]) + 1)
    return changed


def packed(lines: list[list[str]]) -> tuple[bytes, str]:
    """The gzip file and the SHA-1 of what is inside."""
    fen = [[fen_of_yuan(line[i]) for i in (12, 16, 24, 25)] for line in lines]
    settled, returned, ordered, asked = (sum(column) for column in zip(*fen, strict=True)) if fen else (0, 0, 0, 0)
    totals = [str(len(lines)), _yuan(settled), _yuan(returned), "0.00", "0.00000", _yuan(ordered), _yuan(asked)]
    text = "\r\n".join([HEADER, *(_line(line) for line in lines), TOTALS, _line(totals)]) + "\r\n"
    plain = b"\xef\xbb\xbf" + text.encode()
    # SHA-1 is what the platform uses here.
    return gzip.compress(plain), hashlib.sha1(plain, usedforsecurity=False).hexdigest()


def _line(cells: list[str]) -> str:
    return ",".join("`" + cell for cell in cells)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _payment(order: Order) -> list[str]:
    at = order.paid_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S") if order.paid_at else ""
    numbers = [order.transaction_id or "", order.out_trade_no, order.payer or ""]
    head = [at, order.appid, order.mchid, "0", order.device, *numbers]
    total = _yuan(order.total)
    middle = [order.trade_type, "SUCCESS", "OTHERS", "CNY", total, "0.00", "0", "0", "0.00", "0.00", "", ""]
    return [*head, *middle, order.description, order.attach, "0.00000", "0.00%", total, "0.00", ""]


def _reversal(order: Order, reversed_at: datetime) -> list[str]:
    """A payment by a shown code taken back: no number of the merchant's, for there was no refund."""
    at = reversed_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    head = [at, *_payment(order)[1:8], order.trade_type, "REVOKED", "OTHERS", "CNY", "0.00", "0.00"]
    back = _yuan(order.total)
    kind = [f"5030{order.transaction_id}"[:32], "0", back, "0.00", "ORIGINAL", "SUCCESS"]
    return [*head, *kind, order.description, order.attach, "0.00000", "0.00%", "0.00", back, ""]


def _refund(order: Order, refund: Refund) -> list[str]:
    at = refund.created.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    head = [
        at,
        order.appid,
        order.mchid,
        "0",
        order.device,
        refund.transaction_id,
        order.out_trade_no,
        order.payer or "",
    ]
    back = _yuan(refund.amount)
    middle = [order.trade_type, "REFUND", "OTHERS", "CNY", "0.00", "0.00", refund.refund_id, refund.out_refund_no]
    # The status is a snapshot at acceptance, as on the real bill.
    kind = [back, "0.00", "ORIGINAL", "PROCESSING"]
    return [*head, *middle, *kind, order.description, order.attach, "0.00000", "0.00%", "0.00", back, ""]
