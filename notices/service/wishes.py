"""What a person wants to hear and where, and the browsers that let us ring them."""

import json
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from kernel.crypto import digest
from kernel.db import Tx
from kernel.errors import HoufuError, Kind
from notices.models import PushSubscription, ReachWish
from notices.ports import Subscription
from notices.rules.reach import Channel, Topic, Wish
from people.service import sessions

__all__ = ["NotAPushServiceError", "browsers", "drop", "of", "put", "rings_here", "subscribe", "unsubscribe"]

MOST_BROWSERS = 10


class NotAPushServiceError(HoufuError):
    """The address is not that of a push service we know: we call nobody because a browser says so."""

    code = "not_a_push_service"
    kind = Kind.INVALID


async def of(tx: Tx, person_id: UUID) -> Wish:
    """What this person chose, or what everybody gets who never has."""
    row = await tx.get(ReachWish, person_id)
    if row is None:
        return Wish()
    return Wish(
        frozenset(Topic(t) for t in row.off_topics),
        frozenset(Channel(c) for c in row.off_channels),
        row.quiet_from,
        row.quiet_to,
        row.basic,
    )


async def put(tx: Tx, person_id: UUID, wish: Wish) -> None:
    """Keep what a person chose."""
    values = {
        "off_topics": sorted(wish.off_topics),
        "off_channels": sorted(wish.off_channels),
        "quiet_from": wish.quiet_from,
        "quiet_to": wish.quiet_to,
        "basic": wish.basic,
    }
    query = insert(ReachWish).values(person_id=person_id, **values)
    await tx.session.execute(query.on_conflict_do_update(index_elements=["person_id"], set_=values))


async def subscribe(tx: Tx, person_id: UUID, session_token: str, browser: Subscription) -> None:
    """This browser may be rung for this person, for as long as the login it was asked in; the oldest gives way."""
    mine = digest(browser.endpoint)
    plain = json.dumps({"endpoint": browser.endpoint, "p256dh": browser.p256dh, "auth": browser.auth})
    values = {
        "person_id": person_id,
        "session_digest": digest(session_token),
        "sealed": tx.vault.seal(plain, "push_subscription", mine.hex()),
        "made_at": tx.now,
    }
    query = insert(PushSubscription).values(endpoint_digest=mine, **values)
    # One browser is one person's: whoever logs in on it next takes it over.
    await tx.session.execute(query.on_conflict_do_update(index_elements=["endpoint_digest"], set_=values))
    kept = (
        select(PushSubscription.endpoint_digest)
        .where(PushSubscription.person_id == person_id)
        .order_by(PushSubscription.made_at.desc(), PushSubscription.endpoint_digest)
        .offset(MOST_BROWSERS)
    )
    await drop(tx, list(await tx.session.scalars(kept)))


async def unsubscribe(tx: Tx, person_id: UUID, endpoint: str) -> bool:
    """This browser is rung no more; false when it was not this person's."""
    query = delete(PushSubscription).where(
        PushSubscription.endpoint_digest == digest(endpoint), PushSubscription.person_id == person_id
    )
    return (await tx.session.execute(query.returning(PushSubscription.endpoint_digest))).first() is not None


async def drop(tx: Tx, digests: list[bytes]) -> None:
    """These subscriptions have ended, as their push service says."""
    if digests:
        await tx.session.execute(delete(PushSubscription).where(PushSubscription.endpoint_digest.in_(digests)))


async def browsers(tx: Tx, person_id: UUID) -> Mapping[bytes, Subscription]:
    """The browsers of a person whose login lives, by the digest of their endpoint."""
    query = select(PushSubscription).where(PushSubscription.person_id == person_id)
    rows = list(await tx.session.scalars(query.order_by(PushSubscription.made_at)))
    live = await sessions.live(tx, [row.session_digest for row in rows])
    found = {}
    for row in rows:
        if row.session_digest in live:
            text = tx.vault.open(row.sealed, "push_subscription", row.endpoint_digest.hex())
            found[row.endpoint_digest] = Subscription(**json.loads(text))
    return found


async def rings_here(tx: Tx, session_token: str) -> bool:
    """Whether the browser of this login may be rung."""
    query = select(func.count()).where(PushSubscription.session_digest == digest(session_token))
    return bool(await tx.session.scalar(query))
