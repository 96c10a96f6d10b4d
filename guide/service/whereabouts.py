"""Where a patient is, as far as anybody has said: a sign she scanned or tapped, where she reported, where she was done.

A sign counts until she goes on, and half an hour at the most: then it is forgotten, here and in the database.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from guide.models import Whereabouts
from guide.service import spots
from guide.service.walking import guided
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Actor, Audience, ChoiceKind, View
from people.service import choices
from visits.service.encounters import Visit
from visits.service.orders import Been, Order

__all__ = ["KEPT", "forget", "hold", "last_door", "last_place", "say", "sign_of", "stamp"]

KEPT = timedelta(minutes=30)  # the sentence of ``words.choices`` says so, too


async def say(tx: Tx, actor: Actor, visit_id: UUID, code: str, since: datetime | None = None) -> None:
    """She stands at this sign: said by her own side, or by who guides her; an older word than the last changes nothing.

    Whoever has switched the place off is shown the way, and nothing is kept.

    Args:
        since: when she was there; None: now.

    Raises:
        ForbiddenError: a relative who only looks, or staff who do not guide.
        NotFoundError: no such visit for this caller, or no such sign.
    """
    visit = await guided(tx, actor, visit_id)
    if await spots.find(tx, visit.hospital_id, code) is None:
        raise NotFoundError
    at = min(since or tx.now, tx.now)
    agreed = await choices.latest(tx, visit.patient_id, ChoiceKind.LOCATION)
    if tx.now - at <= KEPT and (agreed is None or agreed.given):
        row = insert(Whereabouts).values(visit_id=visit.id, code=code, at=at)
        newer = {"code": row.excluded.code, "at": row.excluded.at}
        await tx.session.execute(row.on_conflict_do_update(
            index_elements=["visit_id"], set_=newer, where=Whereabouts.at < row.excluded.at))  # fmt: skip


async def sign_of(
    tx: Tx, visit: Visit, found: Sequence[Order], said: tuple[str, datetime] | None = None
) -> spots.Sign | None:
    """The sign at which she still stands; None where there is none, or she has gone on since.

    Args:
        found: the visit's orders.
        said: the code of a sign and when she was there, though it may not be kept.
    """
    kept = await tx.get(Whereabouts, visit.id)
    known = [one for one in (said, (kept.code, kept.at) if kept is not None else None) if one is not None]
    code, at = max(known, key=lambda one: one[1], default=("", tx.now))
    if not code or tx.now - at > KEPT or any(later > at for later, _ in _been(found)):
        return None
    return await spots.find(tx, visit.hospital_id, code)


async def stamp(tx: Tx, visit_id: UUID) -> str:
    """Another one whenever she has said a place anew, or the last one is too old."""
    kept = await tx.get(Whereabouts, visit_id)
    return f"{kept.code} {kept.at.isoformat()}" if kept is not None and tx.now - kept.at <= KEPT else ""


async def last_place(tx: Tx, visit: Visit, view: View, found: Sequence[Order]) -> str:
    """Where she is: a place of ``guide.service.routes``; empty where nobody knows.

    Of who follows from afar nobody but the orders they may know of is asked.

    Args:
        found: the visit's orders.
    """
    sign = await sign_of(tx, visit, found) if view.owner or view.staff else None
    if sign is not None:
        return sign.place
    return last_door([o for o in found if view.shows(Audience.STEPS, o.category)])


def last_door(found: Sequence[Order | Been]) -> str:
    """The department where she reported or was done last, of these orders."""
    return max(_been(found), key=lambda one: one[0], default=(None, ""))[1]


async def hold(tx: Tx, visit_ids: Collection[UUID]) -> None:
    """Fetch what these ask for of many visits, in one question."""
    await tx.preload(Whereabouts, visit_ids)


async def forget(tx: Tx) -> None:
    """What is older than it may be kept is deleted."""
    await tx.session.execute(delete(Whereabouts).where(Whereabouts.at < tx.now - KEPT))


def _been(found: Sequence[Order | Been]) -> list[tuple[datetime, str]]:
    """When she was at which door, as the hospital said; a board that calls her says nothing of that."""
    return sorted((at, o.department) for o in found for at in (o.checked_in_at, o.performed_at) if at is not None)
