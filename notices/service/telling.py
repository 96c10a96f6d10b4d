"""From a fact to a notice for each person who is told of it, and from the notice to the next thing to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, DateTime, Row, Uuid, cast, delete, exists, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from kernel.clock import CHINA
from kernel.db import Tx, one_of
from kernel.errors import HoufuError
from kernel.errors import Kind as ErrorKind
from kernel.ids import new_id
from notices.models import CallerTry, Delivery, EarlyReceipt, Notice, Presence, PushFact
from notices.ports import Lines, Said, Subscription, Tell, Truth
from notices.rules.delivery import (
    DELIVERY,
    LEASE,
    NOTICE,
    DeliveryState,
    Doubt,
    NoticeState,
    Send,
    Spent,
    Tried,
    Wait,
    next_act,
)
from notices.rules.messages import Message, compose
from notices.rules.reach import REACH, Channel, Kind, Rule, Urgency
from notices.service import codes, wishes
from people.service import patients, sessions

__all__ = ["Call", "claim", "expand", "forget", "present", "seen", "try_out"]

log = structlog.get_logger()

LATER, OLDEST = timedelta(minutes=5), timedelta(hours=1)
ONE_AT_A_TIME = 0x6E6F7469  # advisory lock: two expanders would not see each other's merging
N, D = NoticeState, DeliveryState
Fact = Row[Any]  # of push_fact


@dataclass(frozen=True, slots=True)
class Call:
    """One message to be sent by one channel, outside any transaction.

    Attributes:
        address: the openid or the phone.
        subscriptions: the browsers to ring, by the digest of their endpoint.
    """

    notice_id: UUID
    channel: Channel
    message: Message
    address: str = field(default="", repr=False)
    subscriptions: Mapping[bytes, Subscription] = field(default_factory=dict, repr=False)
    urgent: bool = False
    ttl: int = 0

    @property
    def client_id(self) -> str:
        """Our id of the message, the same at every try: 32 characters."""
        return self.notice_id.hex


# --------------------------------------------------------------------------------------------------- fact → notices


async def expand(tx: Tx, truth: Truth, limit: int = 200) -> int:
    """Make a notice for everybody who is told of the waiting facts. Returns of how many subjects and kinds they were.

    Facts of one kind about one subject are looked at together, those that are due take the later ones along.
    """
    if not await tx.session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME}):
        return 0
    place = tuple_(PushFact.subject, PushFact.kind)
    # A message that is about to leave takes along whatever there is to say.
    leaving = select(Notice.subject, Notice.kind).where(Notice.state == N.WAITING, Notice.step_at <= tx.now)
    due = select(PushFact.subject, PushFact.kind).where(or_(PushFact.due_at <= tx.now, place.in_(leaving)))
    grouped = due.group_by(PushFact.subject, PushFact.kind).order_by(func.min(PushFact.due_at), PushFact.subject)
    found = [(row.subject, Kind(row.kind)) for row in await tx.session.execute(grouped.limit(limit))]
    for subject, kind in found:
        query = select(*PushFact.__table__.columns).where(PushFact.subject == subject, PushFact.kind == kind)
        facts = (await tx.session.execute(query.order_by(PushFact.seq))).all()
        if not await _expand(tx, truth, kind, facts):
            for fact in facts:  # one that cannot be told must not keep its neighbours from being told
                await _expand(tx, truth, kind, [fact])
    return len(found)


async def _expand(tx: Tx, truth: Truth, kind: Kind, facts: Sequence[Fact]) -> bool:
    """Make the notices of these facts, of one kind and about one subject; returns whether that went well."""
    these = (PushFact.subject == facts[0].subject) & one_of(PushFact.seq, [fact.seq for fact in facts])
    try:
        async with tx.savepoint():
            for person_id, theirs in (await _told(tx, truth, kind, facts)).items():
                await _notices(tx, REACH[kind], theirs, person_id)
            await tx.session.execute(delete(PushFact).where(these))
    except Exception as error:  # looked at again, until it is too old to be news
        log.error("push_fact", kind=type(error).__name__, exc_info=error)
        await tx.session.execute(delete(PushFact).where(these, PushFact.at < tx.now - OLDEST))
        return False
    return True


async def _told(tx: Tx, truth: Truth, kind: Kind, facts: Sequence[Fact]) -> dict[UUID, list[Fact]]:
    readers: dict[tuple[int, str | None], Sequence[UUID]] = {}
    told: dict[UUID, list[Fact]] = {}
    for fact in facts:
        marks = (fact.audience, fact.category)
        if marks not in readers:
            tell = Tell(kind, fact.subject, fact.patient_id, (fact.ref,))
            readers[marks] = await truth.readers(tx, tell, *marks)
        for person_id in readers[marks]:
            told.setdefault(person_id, []).append(fact)
    return told


async def _notices(tx: Tx, rule: Rule, facts: Sequence[Fact], person_id: UUID) -> None:
    """What one person is told of these facts, oldest first, which are of one kind and about one subject."""
    if rule.merge is None:
        rows = [_notice(rule, fact, person_id) for fact in facts]
        await tx.session.execute(insert(Notice).on_conflict_do_nothing(), rows)
        return
    # Only what this person sees counts: a hidden charge neither opens nor shuts the two minutes.
    query = select(Notice).where(
        Notice.person_id == person_id, Notice.subject == facts[0].subject, Notice.kind == facts[0].kind
    )
    locked = query.order_by(Notice.at).with_for_update().execution_options(populate_existing=True)
    own = list(await tx.session.scalars(locked))
    sent = {delivery.notice_id for delivery in await _sent(tx, [n.id for n in own if n.state == N.WAITING])}
    for fact in facts:
        if any(fact.ref in notice.refs for notice in own):
            continue  # it has been told before
        # Late hands find the same message still here.
        open_ = [n for n in own if n.state == N.WAITING and n.id not in sent and fact.at < n.at + rule.merge]
        if open_:
            open_[0].refs, open_[0].last_at = [*open_[0].refs, fact.ref], max(open_[0].last_at, fact.at)
        else:
            own.append(tx.add(Notice(**_notice(rule, fact, person_id))))
    await tx.session.flush()


def _notice(rule: Rule, fact: Fact, person_id: UUID) -> dict[str, Any]:
    NOTICE.move(None, N.WAITING)
    return {
        "id": new_id(),
        "person_id": person_id,
        "patient_id": fact.patient_id,
        "subject": fact.subject,
        "key": fact.key,
        "kind": fact.kind,
        "refs": [fact.ref],
        "state": N.WAITING,
        "at": fact.at,
        "last_at": fact.at,
        "step_at": fact.at + max(rule.grace, rule.merge or timedelta()),
    }


class TriedAlreadyError(HoufuError):
    """One message to try it out is on its way; a second within the minute is not sent."""

    code = "tried_already"
    kind = ErrorKind.TOO_MANY


async def try_out(tx: Tx, person_id: UUID) -> UUID:
    """Send a person the message by which she sees whether reminders reach her; no feed tells of it.

    Raises:
        TriedAlreadyError: one was sent within the minute.
    """
    kind = Kind.TEST
    minute = int(tx.now.timestamp()) // 60
    known = select(Notice.id).where(
        Notice.person_id == person_id, Notice.subject == person_id, Notice.key == f"{kind}:{minute}"
    )
    if await tx.session.scalar(known) is not None:
        raise TriedAlreadyError
    NOTICE.move(None, N.WAITING)
    made = Notice(
        id=new_id(),
        person_id=person_id,
        patient_id=person_id,
        subject=person_id,
        key=f"{kind}:{minute}",
        kind=kind,
        refs=[],
        state=N.WAITING,
        at=tx.now,
        last_at=tx.now,
        step_at=tx.now,
    )
    return tx.add(made).id


# ------------------------------------------------------------------------------------------------------------- read


async def seen(tx: Tx, person_id: UUID, subject: UUID) -> int:
    """The person has this before their eyes: what was told of it is read. Returns how many notices that were.

    One that is being sent in this very moment is passed over: a page waits for no message.
    """
    mine = select(Notice.id).where(
        Notice.person_id == person_id,
        Notice.subject == subject,
        Notice.read_at.is_(None),
        Notice.state.in_([N.WAITING, N.SPENT]),
    )
    found = list(await tx.session.scalars(mine.with_for_update(skip_locked=True)))
    if found:
        await _read(tx, found)
    if await tx.session.scalar(select(exists().where(PushFact.subject == subject))):
        await present(tx, [(person_id, subject)])  # what nobody has looked at yet is before their eyes as well
    return len(found)


async def _read(tx: Tx, notices: Sequence[UUID]) -> None:
    """These are read; the caller has their turn."""
    now = {"state": N.READ, "read_at": tx.now}
    await tx.session.execute(update(Notice).where(one_of(Notice.id, notices)).values(now))
    before = [a for (a, b) in DELIVERY.edges if b is D.READ]
    sent = update(Delivery).where(one_of(Delivery.notice_id, notices), Delivery.state.in_(before))
    await tx.session.execute(sent.values(state=D.READ, ended_at=tx.now, ask_at=None))


async def present(tx: Tx, watching: Sequence[tuple[UUID, UUID]]) -> None:
    """These people have these feeds open now: (person, subject)."""
    # Two lists, whatever their length: a thousand rows as values would hold up every phone while they are written out.
    people, subjects = zip(*sorted(set(watching)), strict=True) if watching else ((), ())
    pairs = (
        func.unnest(cast(list(people), ARRAY(Uuid)), cast(list(subjects), ARRAY(Uuid)))
        .table_valued("p", "s")
        .render_derived()
    )
    query = insert(Presence).from_select(
        ["person_id", "subject", "at"], select(pairs.c.p, pairs.c.s, cast(tx.now, DateTime(timezone=True)))
    )
    changed = query.on_conflict_do_update(index_elements=["person_id", "subject"], set_={"at": query.excluded.at})
    await tx.session.execute(changed)


async def _was_present(tx: Tx, notice: Notice) -> bool:
    # After the fact, not merely a moment before it: the phone may just have gone into the pocket.
    query = select(Presence.at).where(Presence.person_id == notice.person_id, Presence.subject == notice.subject)
    at = await tx.session.scalar(query)
    return at is not None and at >= notice.last_at


async def forget(tx: Tx) -> None:
    """What served its purpose goes: who watched when, tries of digits, receipts of messages that are none of ours."""
    for row, column, kept in (
        (Presence, Presence.at, timedelta(hours=1)),
        (CallerTry, CallerTry.at, timedelta(days=1)),
        (EarlyReceipt, EarlyReceipt.at, timedelta(days=7)),
    ):
        await tx.session.execute(delete(row).where(column < tx.now - kept))


# ---------------------------------------------------------------------------------------------- notice → next thing


async def claim(tx: Tx, truth: Truth, lines: Lines, limit: int = 50) -> list[Call]:
    """Look at the notices whose moment has come; those that are to be sent now are claimed, and nobody else's.

    A claim that is not recorded within ``LEASE`` counts as a try of which nobody knows the outcome.
    """
    query = (
        select(Notice.id)
        .where(Notice.state == N.WAITING, Notice.step_at <= tx.now)
        .order_by(Notice.step_at, Notice.id)
        .limit(limit)
    )
    calls = []
    for identity in list(await tx.session.scalars(query.with_for_update(skip_locked=True))):
        try:
            async with tx.savepoint():
                call = await _step(tx, truth, lines, await _found(tx, identity))
        except Exception as error:  # one that cannot be told must not keep all others from being told
            log.error("notice", kind=type(error).__name__, exc_info=error)
            await tx.session.execute(update(Notice).where(Notice.id == identity).values(step_at=tx.now + LATER))
            continue
        if call is not None:
            calls.append(call)
    return calls


async def _found(tx: Tx, identity: UUID) -> Notice:
    found = await tx.session.get(Notice, identity)
    if found is None:
        raise LookupError("a notice that is not")
    return found


async def _step(tx: Tx, truth: Truth, lines: Lines, notice: Notice) -> Call | None:
    kind = Kind(notice.kind)
    rule = REACH[kind]
    if await _was_present(tx, notice):
        await _read(tx, [notice.id])
        return None
    wish = await wishes.of(tx, notice.person_id)
    tell = Tell(kind, notice.subject, notice.patient_id, tuple(notice.refs))
    said = await truth.still(tx, tell, notice.person_id) if tx.now < notice.last_at + rule.lives else None
    if said is None or (rule.topic in wish.off_topics and kind is not Kind.TEST):
        await _drop(tx, notice)
        return None
    quiet = wish.quiet_until(tx.now, tx.now.astimezone(CHINA))
    if quiet is not None and rule.urgency is not Urgency.NOW:
        notice.step_at = quiet
        return None
    tried = {Channel(d.channel): d for d in await _deliveries(tx, notice.id)}
    ways = await _ways(tx, lines, notice)
    repeatable = {Channel.WEB_PUSH} | (
        {Channel.WECHAT} if lines.wechat is not None and lines.wechat.repeatable(kind) else set()
    )
    known = {c: Tried(D(d.state), d.tries, d.first_at, d.next_at) for c, d in tried.items()}
    act = next_act(rule, wish, frozenset(ways), frozenset(repeatable), known, notice.at, tx.now)
    match act:
        case Wait(until):
            notice.step_at = until
        case Spent():
            _move(notice, N.SPENT)
        case Doubt(channel):
            _doubt(tx, tried[channel])
        case Send(channel):
            return _send(tx, notice, said, channel, tried.get(channel), ways[channel], rule)
    return None


def _send(
    tx: Tx,
    notice: Notice,
    said: Said,
    channel: Channel,
    before: Delivery | None,
    way: "str | Mapping[bytes, Subscription]",
    rule: Rule,
) -> Call:
    delivery = before or tx.add(_queued(tx, notice.id, channel))
    if delivery.state == D.SENDING:  # that try left no trace; the channel shows a second one only once
        DELIVERY.move(D.SENDING, D.UNKNOWN)
        delivery.state = D.UNKNOWN
    DELIVERY.move(D(delivery.state), D.SENDING)
    delivery.state, delivery.tries = D.SENDING, delivery.tries + 1
    code = ""
    if channel is Channel.SMS:
        code = codes.of_message(tx, notice.id)
        delivery.code_index = codes.index_of(tx, notice.person_id, code)
    notice.step_at = tx.now + LEASE
    message = compose(Kind(notice.kind), said.slots, said.path, tx.now, code)
    left = int((notice.last_at + rule.lives - tx.now).total_seconds())
    if isinstance(way, str):
        return Call(notice.id, channel, message, address=way)
    urgent = rule.urgency is Urgency.NOW
    return Call(notice.id, channel, message, subscriptions=way, urgent=urgent, ttl=max(left, 0))


def _queued(tx: Tx, notice_id: UUID, channel: Channel) -> Delivery:
    DELIVERY.move(None, D.QUEUED)
    return Delivery(notice_id=notice_id, channel=channel, state=D.QUEUED, tries=0, first_at=tx.now, next_at=tx.now)


def _doubt(tx: Tx, delivery: Delivery) -> None:
    DELIVERY.move(D(delivery.state), D.UNKNOWN)
    delivery.state = D.UNKNOWN
    if delivery.channel == Channel.SMS:
        delivery.ask_at = tx.now  # the gateway can be asked by our own id


async def _drop(tx: Tx, notice: Notice) -> None:
    _move(notice, N.DROPPED)
    for delivery in await _deliveries(tx, notice.id):
        if delivery.state == D.QUEUED:
            DELIVERY.move(D.QUEUED, D.DROPPED)
            delivery.state, delivery.ended_at = D.DROPPED, tx.now


def _move(notice: Notice, after: NoticeState) -> None:
    NOTICE.move(N(notice.state), after)
    notice.state = after


async def _deliveries(tx: Tx, notice_id: UUID) -> list[Delivery]:
    return await _sent(tx, [notice_id])


async def _sent(tx: Tx, notices: Sequence[UUID]) -> list[Delivery]:
    if not notices:
        return []
    return list(await tx.session.scalars(select(Delivery).where(one_of(Delivery.notice_id, notices))))


async def _ways(tx: Tx, lines: Lines, notice: Notice) -> dict[Channel, "str | Mapping[bytes, Subscription]"]:
    """How this person can be reached with this kind of message."""
    found: dict[Channel, str | Mapping[bytes, Subscription]] = {}
    if lines.wechat is not None and lines.wechat.speaks(notice.kind):
        openid = await sessions.openid_of(tx, notice.person_id, lines.appid)
        if openid is not None:
            found[Channel.WECHAT] = openid
    if lines.web_push is not None:
        browsers = await wishes.browsers(tx, notice.person_id)
        if browsers:
            found[Channel.WEB_PUSH] = browsers
    if lines.sms is not None and notice.kind in lines.sms_kinds:
        phone = patients.phone_of(tx, await patients.by_id(tx, notice.person_id))
        if phone is not None:
            found[Channel.SMS] = phone
    return found
