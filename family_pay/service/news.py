"""What family news a person's own feed tells: bound, ended, somebody asks."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from kernel.db import Tx
from notices.service import append, lock
from notices.service import ensure_feed as begin_feed
from people.rules import Audience


async def tell(tx: Tx, news: Mapping[UUID, Mapping[str, Any]], kind: str = "family") -> None:
    """Write one row to each person's feed, in the order of their ids, so that two tellers never wait for each other."""
    for person_id in sorted(news):
        await ensure_feed(tx, person_id)
        await append(tx, person_id, kind, news[person_id], audience=Audience.PATIENT)


async def ensure_feed(tx: Tx, person_id: UUID) -> None:
    """The person's own feed exists after this; the first to need it opens it."""
    try:
        await lock(tx, person_id)
    except LookupError:
        await begin_feed(tx, person_id, "person", person_id)
