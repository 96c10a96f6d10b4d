"""The insurance's books of a day on the wire: the totals first (3201), each settlement where they differ (3202).

Source: 医药机构费用结算对总账 and 对明细账 of the national interface, from memory. What is a guess: that the
mobile payment centre takes them in its own envelope at these two paths, that names are camelCase like its others, and
that the details come as pages (the national interface hands them over as a file). Other provinces: mend it here.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from adapters.insurance.letters import fen, text
from kernel.outside import Unknown
from payments.ports.statements import InsuranceRow, InsuranceTotals

PATHS = {"3201": "/org/local/api/hos/stmt_total", "3202": "/org/local/api/hos/stmt_detail"}
PAGE = 500
_BEIJING = timezone(timedelta(hours=8))
_AGREES = {"0": True, "1": False}  # stmtRslt: 0 平, 1 不平


def totals(ours: InsuranceTotals, org: str) -> dict[str, Any]:
    """3201: what we have of a day; refunds are taken off, so that a sum may be below zero."""
    return {
        **_day(ours.day, org),
        "clrType": "11",
        "medfeeSumamt": _signed(ours.total_fen),
        "fundPaySumamt": _signed(ours.fund_fen),
        "acctPay": _signed(ours.personal_account_fen),
        "fixmedinsSetlCnt": str(ours.count),
    }


def agrees(told: Mapping[str, Any]) -> bool:
    """3201's answer.

    Raises:
        Unknown: it says neither.
    """
    said = told.get("stmtinfo")
    result = _AGREES.get(str(said.get("stmtRslt"))) if isinstance(said, Mapping) else None
    if result is None:
        raise Unknown("insurance: the totals agree or not, it does not say")
    return result


def details(day: date, page: int, org: str) -> dict[str, Any]:
    """3202: one page, counted from 1."""
    return {**_day(day, org), "pageNum": str(page), "pageSize": str(PAGE)}


def rows(told: Mapping[str, Any], day: date) -> tuple[list[InsuranceRow], int]:
    """One page of 3202's answer, and how many lines the day has.

    Raises:
        Unknown: another form, another day, or parts that do not make the whole.
    """
    found, count = told.get("data"), str(told.get("recordCounts"))
    if not isinstance(found, list) or not re.fullmatch(r"\d{1,7}", count):
        raise Unknown("insurance: no statement in the answer")
    made = [_row(one) for one in found]
    if any(row.at.astimezone(_BEIJING).date() != day for row in made):
        raise Unknown("insurance: the statement holds another day")
    return made, int(count)


def _row(one: Any) -> InsuranceRow:
    if not isinstance(one, Mapping) or one.get("refdFlag") not in ("0", "1"):
        raise Unknown("insurance: a line of the statement that is none")
    try:
        at = datetime.strptime(text(one, "setlTime"), "%Y-%m-%d %H:%M:%S").replace(tzinfo=_BEIJING)
    except ValueError:
        raise Unknown("insurance: a line of the statement without a time") from None
    total, fund, account, other, cash = (
        fen(one.get(name)) for name in ("medfeeSumamt", "fundPay", "psnAcctPay", "othFeeAmt", "ownPayAmt")
    )
    if fund + account + other + cash != total:
        raise Unknown("insurance: the parts of a line do not make the whole")
    back = one["refdFlag"] == "1"
    return InsuranceRow(
        kind="refund" if back else "settle",
        number=text(one, "appRefdSn" if back else "medOrgOrd"),
        order_number=text(one, "medOrgOrd"),
        pay_order_id=text(one, "payOrdId"),
        total_fen=total,
        fund_fen=fund,
        personal_account_fen=account,
        other_fen=other,
        cash_fen=cash,
        at=at.astimezone(UTC),
    )


def _day(day: date, org: str) -> dict[str, str]:
    return {"orgCodg": org, "stmtBegndate": day.isoformat(), "stmtEnddate": day.isoformat()}


def _signed(amount: int) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}"
