"""What became of a message: the answer to our call, the provider's receipt, and asking where nobody says anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from kernel.db import Tx
from notices.models import Delivery, EarlyReceipt, Notice
from notices.rules.delivery import DELIVERY, NOTICE, DeliveryState, NoticeState, pause
from notices.rules.reach import Channel
from notices.service import wishes
from people.service import patients

__all__ = ["Asking", "Outcome", "asking", "record", "record_receipt", "record_wechat_job", "still_asking"]

D, N = DeliveryState, NoticeState
ASK_AFTER = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
WECHAT_SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        state: SENT, QUEUED (put off: it certainly did not go), FAILED or UNKNOWN.
        number: the provider's number of what was sent.
        trouble: the provider's word for a no.
        gone: browsers whose subscription has ended.
    """

    state: DeliveryState
    number: str | None = None
    trouble: str | None = None
    gone: tuple[bytes, ...] = ()


async def record(tx: Tx, notice_id: UUID, channel: Channel, outcome: Outcome) -> None:
    """Write down how a claimed call ended; the notice goes on from there at once."""
    notice = await tx.get(Notice, notice_id, lock=True)
    delivery = await tx.session.get(Delivery, (notice_id, str(channel)), with_for_update=True, populate_existing=True)
    await wishes.drop(tx, list(outcome.gone))
    if notice is None or delivery is None or delivery.state not in (D.SENDING, D.UNKNOWN):
        return
    if delivery.state == D.UNKNOWN and outcome.state not in (D.SENT, D.FAILED):
        return  # our lease ran out, and somebody else has taken it over
    DELIVERY.move(D(delivery.state), outcome.state)
    delivery.state, delivery.trouble = outcome.state, outcome.trouble
    match outcome.state:
        case D.SENT:
            delivery.sent_at, delivery.number = tx.now, outcome.number
            delivery.ask_at = tx.now + ASK_AFTER[0] if channel is Channel.SMS else None
        case D.UNKNOWN:
            delivery.next_at = tx.now + pause(delivery.tries)
            delivery.ask_at = tx.now + pause(delivery.tries) if channel is Channel.SMS else None
        case D.QUEUED:
            delivery.next_at = tx.now + pause(delivery.tries)
        case D.FAILED:
            delivery.ended_at = tx.now
    if notice.state == N.WAITING:
        notice.step_at = tx.now
    if outcome.state is D.SENT:
        await tx.session.flush()
        await _overtaken(tx, delivery)
        if notice.state == N.READ and delivery.state in (D.SENT, D.DELIVERED):
            _settle(tx, delivery, D.READ, None)


async def _overtaken(tx: Tx, delivery: Delivery) -> None:
    """A receipt that came before our own record is used now."""
    if delivery.number is None:
        return
    query = delete(EarlyReceipt).where(EarlyReceipt.channel == delivery.channel, EarlyReceipt.number == delivery.number)
    found = (await tx.session.execute(query.returning(EarlyReceipt.arrived, EarlyReceipt.trouble))).first()
    if found is not None:
        await _receive(tx, delivery, found.arrived, found.trouble)


async def record_receipt(tx: Tx, channel: Channel, number: str, *, arrived: bool, trouble: str | None = None) -> bool:
    """A provider says what became of a message; said again it changes nothing.

    A failure sends the notice on to the next channel.

    Args:
        number: the provider's own number of the message (WeChat's MsgID, the gateway's sid).

    Returns: whether we know the message; one we do not know yet is kept until we do.
    """
    query = select(Delivery).where(Delivery.channel == channel, Delivery.number == number)
    delivery = (await tx.session.scalars(query)).one_or_none()
    if delivery is None:
        row = insert(EarlyReceipt).values(channel=channel, number=number, arrived=arrived, trouble=trouble, at=tx.now)
        await tx.session.execute(row.on_conflict_do_nothing())
        return False
    await _receive(tx, delivery, arrived, trouble)
    return True


async def record_wechat_job(tx: Tx, msg_id: str, status: str) -> bool:
    """The official account's event ``TEMPLATESENDJOBFINISH`` (or an entry of ``subscribe_msg_sent_event``).

    Args:
        msg_id: the event's ``MsgID``; status: its ``Status``: ``success``, ``failed:user block``,
            ``failed: system failed``.
    """
    arrived = status.strip().lower() == WECHAT_SUCCESS
    return await record_receipt(tx, Channel.WECHAT, msg_id, arrived=arrived, trouble=None if arrived else status[:60])


async def _receive(tx: Tx, delivery: Delivery, arrived: bool, trouble: str | None) -> None:
    notice = await tx.get(Notice, delivery.notice_id, lock=True)
    await tx.session.refresh(delivery, with_for_update=True)
    after = D.DELIVERED if arrived else D.FAILED
    if notice is None or not DELIVERY.allows(D(delivery.state), after):
        return
    _settle(tx, delivery, after, trouble)
    if after is D.FAILED and notice.state in (N.WAITING, N.SPENT):
        if notice.state == N.SPENT:
            NOTICE.move(N.SPENT, N.WAITING)
        notice.state, notice.step_at = N.WAITING, tx.now


def _settle(tx: Tx, delivery: Delivery, after: DeliveryState, trouble: str | None) -> None:
    DELIVERY.move(D(delivery.state), after)
    delivery.state, delivery.trouble, delivery.ended_at, delivery.ask_at = after, trouble, tx.now, None


# ---------------------------------------------------------------------------------------- asking the SMS gateway


@dataclass(frozen=True, slots=True)
class Asking:
    """A text message of which the carrier has not said what became of it."""

    notice_id: UUID
    phone: str
    context: str
    number: str | None
    since: datetime
    until: datetime


async def asking(tx: Tx, limit: int = 20) -> list[Asking]:
    """Text messages to ask the gateway about now."""
    query = select(Delivery, Notice.person_id).join(Notice, Notice.id == Delivery.notice_id)
    due = query.where(Delivery.ask_at <= tx.now).order_by(Delivery.ask_at).limit(limit)
    found = []
    for delivery, person_id in (await tx.session.execute(due)).all():
        phone = patients.phone_of(tx, await patients.by_id(tx, person_id))
        if phone is None:
            delivery.ask_at = None
            continue
        span = (delivery.first_at - timedelta(minutes=5), tx.now + timedelta(minutes=5))
        found.append(Asking(delivery.notice_id, phone, delivery.notice_id.hex, delivery.number, *span))
    return found


async def still_asking(tx: Tx, notice_id: UUID, reports: Sequence[tuple[str, bool, str]]) -> None:
    """The gateway's answer about one text message: (number, arrived, trouble); none: ask again later, a few times.

    A message nobody can find stays unknown, and is never sent again.
    """
    delivery = await tx.session.get(Delivery, (notice_id, str(Channel.SMS)))
    if delivery is None or delivery.ask_at is None:
        return
    if reports:
        number, arrived, trouble = reports[0]
        delivery.number = delivery.number or number
        await _receive(tx, delivery, arrived, trouble or None)
        return
    passed = tx.now - delivery.first_at
    later = next((step for step in ASK_AFTER if step > passed), None)
    delivery.ask_at = None if later is None else delivery.first_at + later
