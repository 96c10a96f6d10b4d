"""The daily bill: its form to the letter, what must not be believed of it, and the sandbox's ways to get it wrong."""

import gzip
import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapters.wechat_pay.bill import read_bill
from kernel.outside import Unknown
from payments.ports import BillRow, CodeCharge, RefundOrder
from tests.adapters.pay_stand import MOTHER, Stand

DAY = date(2026, 11, 22)
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
ROWS = [
    "2026-11-22 09:31:05,wxa,19,0,,4200001,MX000001,oFather,JSAPI,SUCCESS,OTHERS,CNY,25.00,0.00,0,0,0.00,0.00,,,"
    "门诊\u2028费\x0b用\x85,attempt,0.15,0.60%,25.00,0.00,",
    "2026-11-22 10:00:00,wxa,19,0,W03,4200002,CD000001,oMother,MICROPAY,SUCCESS,CMB_DEBIT,CNY,77.60,0.00,0,0,0.00,0.00,"
    ",,就诊费,,0.47,0.60%,77.60,0.00,",
    "2026-11-22 10:01:00,wxa,19,0,W03,4200002,CD000001,oMother,MICROPAY,REVOKED,CMB_DEBIT,CNY,0.00,0.00,5030001,0,"
    "77.60,0.00,ORIGINAL,SUCCESS,就诊费,,-0.47,0.60%,0.00,77.60,",
    "2026-11-22 23:59:59,wxa,19,0,,4200001,MX000001,oFather,JSAPI,REFUND,OTHERS,CNY,0.00,0.00,5030002,RF1,5.00,0.00,"
    "ORIGINAL,PROCESSING,门诊费,attempt,-0.03,0.60%,0.00,5.00,",
]
SUMS = "4,102.60,82.60,0.00,0.12,102.60,82.60"


def ticked(line: str) -> str:
    """Every cell with its backtick."""
    return ",".join("`" + cell for cell in line.split(","))


def text(rows: list[str] = ROWS, sums: str = SUMS, header: str = HEADER, end: str = "\r\n") -> bytes:
    """A whole bill."""
    return ("\ufeff" + end.join([header, *map(ticked, rows), TOTALS, ticked(sums)]) + end).encode()


def read(plain: bytes) -> Any:
    """Packed, digested, read."""
    return read_bill(gzip.compress(plain), hashlib.sha1(plain, usedforsecurity=False).hexdigest(), DAY)


def test_the_official_form() -> None:
    """27 columns, a BOM, CRLF, backticks, yuan; a page, a code, its reversal, a refund: in fen and in UTC."""
    bill = read(text())
    assert len(HEADER.split(",")) == 27
    assert (bill.day, bill.amount_fen, bill.refund_fen) == (DAY, 10260, 8260)
    assert [(r.trade_type, r.trade_state, r.amount_fen, r.refund_fen, r.out_refund_no) for r in bill.rows] == [
        ("JSAPI", "SUCCESS", 2500, 0, None),
        ("MICROPAY", "SUCCESS", 7760, 0, None),
        ("MICROPAY", "REVOKED", 0, 7760, None),
        ("JSAPI", "REFUND", 0, 500, "RF1"),
    ]
    assert bill.rows[0].at == datetime(2026, 11, 22, 1, 31, 5, tzinfo=UTC)
    assert (bill.rows[3].refund_status, bill.rows[0].refund_status) == ("PROCESSING", None)


def test_line_ends_and_marks_may_be_missing() -> None:
    """Bills without BOM, with bare line feeds or without the last one occur."""
    plain = text(end="\n").removeprefix("\ufeff".encode()).rstrip(b"\n")
    assert read(plain).rows == read(text()).rows


def test_columns_are_found_by_name() -> None:
    """Another order of columns is the same bill."""
    names = HEADER.split(",")
    order = sorted(range(27), key=lambda place: names[place])
    turned = [",".join(row.split(",")[place] for place in order) for row in ROWS]
    assert read(text(turned, header=",".join(names[place] for place in order))).rows == read(text()).rows


@pytest.mark.parametrize(
    "plain",
    [
        text(ROWS[:3]),
        text([*ROWS, ROWS[0]]),
        text([ROWS[0].replace("25.00", "25.01"), *ROWS[1:]]),
        text([*ROWS[:3], ROWS[3].replace("5.00", "5.01")]),
        text([ROWS[0].replace("25.00", "25.001"), *ROWS[1:]]),
        text([ROWS[0].rpartition(",")[0], *ROWS[1:]]),
        text(sums=SUMS.replace("4,", "5,", 1)),
        text(header=HEADER.replace("退款金额,", "退款,", 1)),
        text().replace(b"`", b"", 1),
        HEADER.encode(),
        b"",
    ],
)
def test_what_does_not_add_up_is_not_believed(plain: bytes) -> None:
    """A line lost, doubled, changed, cut; totals, names or ticks that are not right: no bill at all."""
    with pytest.raises((ValueError, KeyError)):
        read(plain)


def test_the_digest_is_over_what_is_inside() -> None:
    """SHA-1 over the unpacked text, in either case; not over the file; and no bomb is unpacked."""
    plain, packed = text(), gzip.compress(text())
    digest = hashlib.sha1(plain, usedforsecurity=False).hexdigest()
    assert len(read_bill(packed, digest.upper(), DAY).rows) == 4
    for wrong in (hashlib.sha1(packed, usedforsecurity=False).hexdigest(), "", "0" * 40):
        with pytest.raises(ValueError, match="digest"):
            read_bill(packed, wrong, DAY)
    for broken in (packed[:-9], plain, b""):
        with pytest.raises(ValueError, match=r"gzip|cut off"):
            read_bill(broken, digest, DAY)


async def a_day(stand: Stand, clock: Any) -> tuple[date, str, str]:
    """A page paid and partly refunded, a code charged; it is now the next day at eleven."""
    order = await stand.paid()
    await stand.pay.refund(RefundOrder("RF000001", order.out_trade_no, 760, 7760))
    code = (await stand.post("/control/code", {"openid": MOTHER}))["auth_code"]
    await stand.pay.charge_code(CodeCharge("CD000001", 500, "就诊费", code, "W03", "HF01"))
    day: date = (clock() + timedelta(hours=8)).date()
    clock.shift += datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=3) - clock()
    return day, order.out_trade_no, "CD000001"


async def test_lines_go_wrong_on_command(stand: Stand, clock: Any) -> None:
    """Missing, extra and differing, the order named: the bill stays whole in itself, and differs from what was."""
    day, page, code = await a_day(stand, clock)
    true = (await stand.pay.trade_bill(day)).rows

    async def told(do: str, number: str) -> tuple[BillRow, ...]:
        await stand.post("/control/behave", [{"on": "rows", "do": do, "out_trade_no": number}])
        return (await stand.pay.trade_bill(day)).rows

    assert len(true) == 3
    assert await told("missing", code) == tuple(row for row in true if row.out_trade_no != code)
    extra = set(await told("extra", code)) - set(true)
    assert [(row.out_trade_no, row.amount_fen) for row in extra] == [("EXTRACD000001", 500)]
    differing = await told("differing", code)
    assert [row.amount_fen for row in differing if row.out_trade_no == code] == [501]
    await stand.post("/control/behave", [{"on": "rows", "do": "differing", "out_trade_no": page, "times": 2}])
    both = (await stand.pay.trade_bill(day)).rows
    assert [(r.amount_fen, r.refund_fen) for r in both if r.out_trade_no == page] == [(7761, 0), (0, 761)]
    assert (await stand.pay.trade_bill(day)).rows == true


async def test_another_digest_is_no_digest(stand: Stand, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bill said to be digested in another way cannot be checked: unknown."""
    day, _, _ = await a_day(stand, clock)
    ask = stand.pay.line.ask

    async def other(call: Any) -> dict[str, Any]:
        return {**await ask(call), "hash_type": "MD5"}

    monkeypatch.setattr(stand.pay.line, "ask", other)
    with pytest.raises(Unknown, match="digest"):
        await stand.pay.trade_bill(day)


def test_rows_are_values() -> None:
    """Two readings of a line are the same, so that sets of lines can be compared."""
    row = read(text()).rows[0]
    assert {row, replace(row)} == {row}
