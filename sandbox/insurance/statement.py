"""The payment centre's own books of a day: whether a hospital's totals agree (3201), and each settlement (3202)."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.insurance.books import Books
from sandbox.insurance.wire import Refusal, yuan

BEIJING = timezone(timedelta(hours=8))
TAKEN_BACK = (13, 15, 16)  # by the insurer itself: it never says that it paid
PARTS = ("medfeeSumamt", "fundPay", "psnAcctPay", "othFeeAmt", "ownPayAmt")


def lines(books: Books, org: str, day: date, how: str | None = None) -> list[dict[str, Any]]:
    """What the insurance paid on a day in China, and what of it went back on that day, by time.

    Args:
        how: get one line wrong: ``missing``, ``extra``, ``differing`` (by one fen of the fund).
    """
    found = []
    for order in books.orders.values():
        cut, paid = order.cut, order.paid
        if order.org != org or cut is None or paid is None or order.status in TAKEN_BACK or _day(paid) != day:
            continue
        parts = (cut.total, cut.fund, cut.account, cut.other, cut.cash)
        found.append(_line(paid, "0", "", order.number, order.pay_order_id, parts))
    for refund in books.refunds.values():
        order = books.orders[refund.order]
        cut = order.cut
        if order.org == org and cut is not None and refund.status == "SUCC" and _day(refund.at) == day:
            insured = (cut.fund, cut.account, cut.other) if refund.kind != "CASH" else (0, 0, 0)
            parts = (sum(insured) + refund.cash, *insured, refund.cash)
            found.append(_line(refund.at, "1", refund.number, order.number, order.pay_order_id, parts))
    found.sort(key=lambda line: (line["setlTime"], line["medOrgOrd"]))
    return _spoilt(found, how, day)


def _spoilt(found: list[dict[str, Any]], how: str | None, day: date) -> list[dict[str, Any]]:
    if how == "extra":
        noon = datetime.fromisoformat(f"{day}T12:00:00+08:00")
        return [*found, _line(noon, "0", "", "EXTRA0001", "ORDEXTRA", (1000, 1000, 0, 0, 0))]
    if how == "missing":
        return found[1:]
    if how == "differing" and found:
        first = found[0]
        more = {name: yuan(int(Decimal(first[name]) * 100) + 1) for name in ("medfeeSumamt", "fundPay")}
        return [first | more, *found[1:]]
    return found


def total(world: Any, data: dict[str, Any], rule: Any) -> dict[str, Any]:
    """3201: 0 where everything the hospital says is what these books say, 1 otherwise."""
    found = lines(world.books, _org(world, data), _asked(data), rule.do if rule else None)
    sums = dict.fromkeys(PARTS, Decimal())
    for line in found:
        for name in PARTS:
            sums[name] += Decimal(line[name]) * (-1 if line["refdFlag"] == "1" else 1)
    try:
        said = [Decimal(str(data[name])) for name in ("medfeeSumamt", "fundPaySumamt", "acctPay", "fixmedinsSetlCnt")]
    except InvalidOperation:
        raise Refusal("PARAM_ERROR", "金额有误") from None
    same = said == [sums["medfeeSumamt"], sums["fundPay"], sums["psnAcctPay"], len(found)]
    return {"stmtinfo": {"stmtRslt": "0" if same else "1", "stmtRsltDscr": "平" if same else "不平"}}


def detail(world: Any, data: dict[str, Any], rule: Any) -> dict[str, Any]:
    """3202: one page."""
    found = lines(world.books, _org(world, data), _asked(data), rule.do if rule else None)
    page, size = int(data["pageNum"]), int(data["pageSize"])
    if page < 1 or not 1 <= size <= 500:
        raise Refusal("PARAM_ERROR", "pageNum 或 pageSize 有误")
    return {"recordCounts": str(len(found)), "data": found[(page - 1) * size : page * size]}


def _org(world: Any, data: dict[str, Any]) -> str:
    if data.get("orgCodg") != world.keys.org_code:
        raise Refusal("PARAM_ERROR", "orgCodg 有误")
    return str(data["orgCodg"])


def _asked(data: dict[str, Any]) -> date:
    if data["stmtBegndate"] != data["stmtEnddate"]:
        raise Refusal("PARAM_ERROR", "一次只对一天")
    return date.fromisoformat(data["stmtBegndate"])


def _line(at: datetime, back: str, refund: str, number: str, order: str, parts: tuple[int, ...]) -> dict[str, Any]:
    amounts = {name: yuan(part) for name, part in zip(PARTS, parts, strict=True)}
    named = {"appRefdSn": refund} if refund else {}
    when = f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
    return {"refdFlag": back, **named, "medOrgOrd": number, "payOrdId": order, "setlTime": when, **amounts}


def _day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()
