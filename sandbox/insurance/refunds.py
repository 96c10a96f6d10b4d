"""How the payment centre gives money back: whose money, never more than was paid, each number once.

The insurance's part goes back whole or not at all (there is no ``ordStas`` for half of it): for a smaller bill the
hospital takes everything back and uploads the rest anew. Cash may go back in parts.
"""

import re
import secrets
from typing import Any

from sandbox.insurance.books import PAID, Books, Order, Refund
from sandbox.insurance.wire import Refusal, fen


def refund(books: Books, org: str, data: dict[str, Any], outcome: str = "SUCC") -> Refund:
    """6203.

    Args:
        outcome: SUCC; FAIL changes nothing; EXP leaves it undecided (``finish``).

    Raises:
        Refusal: nothing changed.
    """
    number = str(data.get("appRefdSn") or "")
    known = books.refunds.get(number)
    if known is not None:
        if known.asked != data:
            raise Refusal("REFUND_NUMBER_USED", "退款流水号已使用")
        return known
    order = books.orders.get(str(data.get("payOrdId")))
    if order is None or order.org != org or data.get("orgCodg") != org:
        raise Refusal("ORDER_NOT_EXIST", "订单不存在")
    if not number or not re.fullmatch(r"\d{14}", str(data.get("appRefdTime"))):
        raise Refusal("PARAM_ERROR", "appRefdSn 或 appRefdTime 有误")
    patient, auth = books.authorized(data, lambda: order.pay_order_id)
    if patient != order.patient:
        raise Refusal("PERSON_MISMATCH", "授权人与订单不符")
    kind, insurance, cash = _decomposed(order, data)
    if auth is not None:
        auth.order = order.pay_order_id
    refund_id = "REF" + secrets.token_hex(10).upper()
    made = Refund(number, order.pay_order_id, kind, data, insurance, cash, outcome, refund_id, books.now())
    books.refunds[number] = made
    if outcome == "EXP":
        books.move(order, 17)
    elif outcome == "SUCC":
        _book(books, order, made)
    return made


def finish(books: Books, made: Refund, success: bool) -> None:
    """A person at the centre has decided an undecided refund.

    Raises:
        Refusal: it is decided.
    """
    if made.status != "EXP":
        raise Refusal("REFUND_STATUS", "退款不在异常状态")
    order = books.orders[made.order]
    made.status = "SUCC" if success else "FAIL"
    order.status = order.history[-2]
    if success:
        _book(books, order, made)
    else:
        books.move(order, order.status)


def _decomposed(order: Order, data: dict[str, Any]) -> tuple[str, int, int]:
    """The kind, the insurance's part and the cash part, if all of it is right."""
    kind, parts = str(data.get("refdType")), order.cut
    names = ("totlRefdAmt", "cashRefdAmt", "psnAcctRefdAmt", "fundRefdAmt")
    total, cash, account, fund = (fen(data.get(name) or "0", name) for name in names)
    if kind not in ("ALL", "CASH", "HI") or parts is None:
        raise Refusal("PARAM_ERROR", "refdType 或订单状态有误")
    # The wire has no field for the supplement; it goes back with the insurance's part.
    other = 0 if kind == "CASH" else parts.other
    if total < 1 or account + fund + cash + other != total:
        raise Refusal("AMOUNT_MISMATCH", "退款组成与总额不符")
    if (kind == "HI" and cash) or (kind == "CASH" and (account or fund)):
        raise Refusal("AMOUNT_MISMATCH", "退款类型与组成不符")
    if cash > order.cash_paid - order.cash_back:
        raise Refusal("REFUND_TOO_MUCH", "退款超过已付金额")
    if kind == "CASH":
        _cash_only(order, cash)
    else:
        _insurance(order, (account, fund) == (parts.account, parts.fund))
    if kind == "ALL" and (cash != order.cash_paid or order.cash_back or order.status not in PAID):
        raise Refusal("AMOUNT_MISMATCH", "整单退款须退回全部")
    return kind, total - cash, cash


def _cash_only(order: Order, cash: int) -> None:
    if order.status not in (*PAID, 8, 10, 11, 16):
        raise Refusal("NOT_PAID", "现金未支付")
    if order.status == 16 and cash != order.cash_paid:
        raise Refusal("AMOUNT_MISMATCH", "失败订单的现金须全额退回")


def _insurance(order: Order, whole: bool) -> None:
    if order.insurance != "paid" or order.status not in (*PAID, 9, 10):
        raise Refusal("NOT_PAID", "医保未支付")
    if not whole:
        raise Refusal("AMOUNT_MISMATCH", "医保部分须全额退回")


def _book(books: Books, order: Order, made: Refund) -> None:
    if made.kind != "CASH":
        books.give_back(order, "back")
    order.cash_back += made.cash
    everything = order.cash_back == order.cash_paid
    if order.insurance == "failed":
        status = 15
    elif order.insurance == "paid":
        status = 9 if everything else 10
    elif everything:
        status = 7 if order.cash_paid or made.kind == "ALL" else 8
    else:
        status = 11 if order.cash_back else 8
    books.move(order, status)
