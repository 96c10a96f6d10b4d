"""Writing to a feed and reading what a viewer missed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kernel.db import Tx
from notices.models import Feed as Feed
from notices.models import FeedRow, PushFact
from notices.rules import Row
from notices.rules.reach import REACH, fact_of
from people.rules import Audience

READ_AT_MOST = 500


async def open_feed(tx: Tx, subject: UUID, kind: str, patient_id: UUID) -> Feed:
    """Begin the feed of a new subject; numbering starts at 1."""
    return tx.add(Feed(subject=subject, kind=kind, patient_id=patient_id, last_seq=0, ranks={}))


async def ensure_feed(tx: Tx, subject: UUID, kind: str, patient_id: UUID) -> Feed:
    """The feed of a subject that several may be the first to tell something to, locked; opened unless it is there.

    No savepoint: what fails in one takes with it whatever else this transaction had in hand.
    """
    row = {"subject": subject, "kind": kind, "patient_id": patient_id, "last_seq": 0, "ranks": {}}
    await tx.session.execute(insert(Feed).values(row).on_conflict_do_nothing())
    return await lock(tx, subject)


async def lock(tx: Tx, subject: UUID) -> Feed:
    """Take the subject's turn: whoever changes a visit or writes to a feed does this first, and only then reads.

    Raises:
        LookupError: there is no such feed.
    """
    feed = await tx.get(Feed, subject, lock=True)
    if feed is None:
        raise LookupError(f"no feed {subject}")
    return feed


async def lock_all(tx: Tx, subjects: Iterable[UUID]) -> None:
    """Take the turns of many subjects at once, in one order everywhere so that nobody waits in a circle."""
    await tx.preload(Feed, subjects, lock=True)


def next_rank(tx: Tx, feed: Feed, category: str | None) -> int:
    """A number for ordering newest first that grows within a feed's category and tells nothing but about when.

    It is in microseconds. Two categories may use the same one: what is hidden must not push what is seen.
    """
    rank: int = max(feed.ranks.get(category or "", 0) + 1, int(tx.now.timestamp() * 1_000_000))
    tx.count(feed, ranks={**feed.ranks, category or "": rank})
    return rank


async def append(
    tx: Tx, subject: UUID, kind: str, payload: Mapping[str, Any], *, audience: Audience, category: str | None = None
) -> Row:
    """Write the next row of a feed and have it announced after the commit.

    Args:
        payload: JSON values; what the row shows to a viewer who may see everything.
        audience: the depth a viewer needs.
        category: the sensitive category it belongs to, if any.
    """
    feed = await lock(tx, subject)
    tx.count(feed, last_seq=feed.last_seq + 1)
    row = Row(subject, feed.last_seq, tx.now, kind, audience, category, payload)
    tx.write(
        FeedRow,
        subject=subject,
        seq=row.seq,
        at=row.at,
        kind=kind,
        audience=int(audience),
        category=category,
        payload=payload,
    )
    tx.ring(row)
    fact = fact_of(row)
    if fact is not None:
        tx.write(
            PushFact,
            subject=subject,
            seq=row.seq,
            patient_id=feed.patient_id,
            kind=fact.kind,
            key=fact.key,
            ref=fact.ref,
            audience=int(fact.audience),
            category=fact.category,
            at=row.at,
            due_at=row.at + REACH[fact.kind].hold,
        )
    return row


async def position(tx: Tx, subject: UUID) -> int:
    """The number of the last row; 0 for a feed without rows."""
    await tx.flush()
    last = await tx.session.scalar(select(Feed.last_seq).where(Feed.subject == subject))
    return last or 0


async def positions(tx: Tx, subjects: Sequence[UUID]) -> dict[UUID, int]:
    """The last numbers of many feeds in one question."""
    found = await tx.session.execute(select(Feed.subject, Feed.last_seq).where(Feed.subject.in_(subjects)))
    return {row.subject: row.last_seq for row in found}


async def since(tx: Tx, subject: UUID, after: int, limit: int = READ_AT_MOST) -> list[Row]:
    """The rows after a position, oldest first, at most ``limit``."""
    await tx.flush()
    query = select(FeedRow).where(FeedRow.subject == subject, FeedRow.seq > after).order_by(FeedRow.seq).limit(limit)
    return [
        Row(r.subject, r.seq, r.at, r.kind, Audience(r.audience), r.category, r.payload)
        for r in await tx.session.scalars(query)
    ]


async def latest(tx: Tx, subject: UUID, kind: str) -> Row | None:
    """The last row of a kind, or None."""
    await tx.flush()
    query = (
        select(FeedRow).where(FeedRow.subject == subject, FeedRow.kind == kind).order_by(FeedRow.seq.desc()).limit(1)
    )
    row = (await tx.session.scalars(query)).one_or_none()
    if row is None:
        return None
    return Row(row.subject, row.seq, row.at, row.kind, Audience(row.audience), row.category, row.payload)
