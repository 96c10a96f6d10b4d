"""Reading the daily bill WeChat Pay gives a merchant: a gzipped CSV with backticks, checked before it is believed.

Format: pay.weixin.qq.com/docs/merchant/products/bill-download/format-trade.html. UTF-8 with or without BOM, CRLF, every
data cell begins with a backtick and nothing is quoted; one header, the rows, a totals header, one totals line. Amounts
are in yuan. The digest is SHA-1 over the decompressed text.
"""

import hashlib
import hmac
import zlib
from datetime import UTC, date, datetime, timedelta, timezone

from kernel.money import fen_of_yuan
from payments.ports import BillRow, TradeBill

MAX_BYTES = 256 * 1024 * 1024
_BEIJING = timezone(timedelta(hours=8))


def read_bill(packed: bytes, sha1: str, day: date) -> TradeBill:
    """Unpack, check and read a bill of type ALL.

    Raises:
        ValueError: digest, totals or form do not hold.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(packed, MAX_BYTES)
    except zlib.error:
        raise ValueError("not gzip") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("bill too long or cut off")
    if not hmac.compare_digest(hashlib.sha1(plain, usedforsecurity=False).hexdigest(), sha1.lower()):
        raise ValueError("digest differs")
    # Not splitlines: a description may hold any of the dozen other characters it cuts at.
    lines = plain.decode("utf-8-sig").rstrip("\r\n").replace("\r\n", "\n").split("\n")
    if len(lines) < 3:
        raise ValueError("no totals")
    names = lines[0].split(",")
    rows = tuple(_row(dict(zip(names, _cells(line), strict=True))) for line in lines[1:-2])
    totals = dict(zip(lines[-2].split(","), _cells(lines[-1]), strict=True))
    amount = sum(row.amount_fen for row in rows)
    refunded = sum(row.refund_fen for row in rows)
    if int(totals["总交易单数"]) != len(rows) or fen_of_yuan(totals["订单总金额"]) != amount:
        raise ValueError("totals differ from the rows")
    if fen_of_yuan(totals["退款总金额"]) != refunded:
        raise ValueError("refund totals differ from the rows")
    return TradeBill(day, rows, amount, refunded)


def _cells(line: str) -> list[str]:
    if not line.startswith("`"):
        raise ValueError("a line without backtick")
    return line[1:].split(",`")


def _row(cells: dict[str, str]) -> BillRow:
    at = datetime.strptime(cells["交易时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_BEIJING)
    refund_no = cells["商户退款单号"]
    return BillRow(
        out_trade_no=cells["商户订单号"],
        transaction_id=cells["微信订单号"],
        trade_state=cells["交易状态"],
        amount_fen=fen_of_yuan(cells["订单金额"]),
        at=at.astimezone(UTC),
        payer_openid=cells["用户标识"],
        out_refund_no=refund_no if refund_no not in ("", "0") else None,
        refund_fen=fen_of_yuan(cells["退款金额"]),
        trade_type=cells["交易类型"],
        refund_status=cells["退款状态"] or None,
    )
