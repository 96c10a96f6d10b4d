"""What the provider told us by itself: taken once, with its effects, in one transaction."""

import hashlib
from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert

from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.models import NoticeSeen
from payments.ports import CashNotice, ContractNotice, DeductionNotice, MixNotice, TradeState
from payments.rules import ReplayedNoticeError
from payments.service import attempts, contracts, mixed, returns

_SIGNED = ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature")


async def take(tx: Tx, notice: CashNotice, headers: Mapping[str, str], raw: bytes) -> bool:
    """Write down and act on a verified notice. False when the provider only said it again.

    Args:
        headers: of the request, names in lower case; they tell a repeated try from a recorded one.

    Raises:
        ReplayedNoticeError: the very same signed bytes came before.
        NotFoundError, payments.rules.WrongMoneyError: it is about nothing of ours, or does not fit; nothing is kept.
    """
    about = notice.payment.out_trade_no if notice.payment else notice.refund.out_refund_no if notice.refund else ""
    if not await _fresh(tx, notice.id, notice.event_type, about, headers, raw):
        return False
    if notice.payment is not None and notice.payment.trade_state in (TradeState.SUCCESS, TradeState.REFUND):
        await attempts.paid(tx, notice.payment)
    elif notice.refund is not None:
        await returns.said(tx, notice.refund)
    return True


async def take_deduction(tx: Tx, notice: DeductionNotice) -> bool:
    """A verified word of a deduction: money that fits is booked, once; that it came to nothing makes us ask.

    The provider says it in the same bytes each time, so nothing tells a repetition from a recording; neither changes
    anything a second time.

    Raises:
        NotFoundError, payments.rules.WrongMoneyError: it is about nothing of ours, or does not fit; nothing is kept.
    """
    if notice.paid is not None:
        known = (await attempts.by_number(tx, notice.out_trade_no)).transaction_id
        await attempts.paid(tx, notice.paid)
        return known is None
    attempt = await attempts.by_number(tx, notice.out_trade_no)
    await attempts.look_now(tx, attempt.id)
    return True


async def take_contract(tx: Tx, notice: ContractNotice) -> bool:
    """A verified word of a contract: that it was signed makes us ask, that it has ended holds at once.

    Raises:
        NotFoundError: it is none of ours.
    """
    if not await contracts.noticed(tx, notice.code, ended=notice.ended):
        raise NotFoundError
    return True


async def take_mixed(tx: Tx, notice: MixNotice, headers: Mapping[str, str], raw: bytes) -> bool:
    """The same for a mixed order; it decides nothing, WeChat is asked at once.

    Raises:
        ReplayedNoticeError, NotFoundError: as ``take`` does.
    """
    number = notice.state.out_trade_no
    if not await _fresh(tx, notice.id, "MEDICAL_INSURANCE.SUCCESS", number, headers, raw):
        return False
    await mixed.noticed(tx, number)
    return True


async def _fresh(tx: Tx, notice_id: str, kind: str, about: str, headers: Mapping[str, str], raw: bytes) -> bool:
    message = hashlib.sha256("\n".join(headers.get(n, "") for n in _SIGNED).encode() + b"\n" + raw).hexdigest()
    fresh = {
        "id": notice_id,
        "kind": kind,
        "about": about,
        "raw_digest": hashlib.sha256(raw).digest(),
        "messages": [message],
        "first_at": tx.now,
        "times": 1,
    }
    made = await tx.session.execute(insert(NoticeSeen).values(fresh).on_conflict_do_nothing().returning(NoticeSeen.id))
    if made.first() is not None:
        return True
    seen = await tx.get(NoticeSeen, notice_id, lock=True)
    if seen is None or message in seen.messages:
        raise ReplayedNoticeError
    seen.messages, seen.times = [*seen.messages, message], seen.times + 1
    return False
