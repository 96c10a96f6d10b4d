"""How long one patient walks: by the map, by rule of thumb where it does not help, and it says which."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from guide.models import Walker
from guide.order.today import Book
from guide.order.walks import Nearby
from guide.ports import Profile
from guide.service import routes
from guide.service.books import book_of
from guide.service.routes import NoMapError, Walks
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from people.rules import Action, Actor, Role, age_on
from people.service import access, patients
from visits.service import reading
from visits.service.encounters import Visit

__all__ = ["MAY_PIN", "Doubt", "Walking", "choose", "guided", "hold", "profile_of", "walking_of"]

MAY_PIN = frozenset({Role.GUIDE, Role.DESK, Role.COUNTER, Role.DOCTOR})
_MEMO = "guide.walks"


class Doubt(StrEnum):
    """Why a time does not come from the map."""

    UNKNOWN = "unknown"  # one of the two places is not on it
    NO_WAY = "no_way"  # no way leads there for who moves like this


@dataclass(frozen=True, slots=True)
class Walking:
    """``guide.ports.Walking`` for one patient: always a time, never none, so that nothing ordered disappears.

    Attributes:
        on_map: None where the hospital has published no map.
    """

    profile: Profile
    nearby: Nearby
    on_map: Walks | None = None

    def walking_seconds(self, from_place: str, to_place: str, profile: str = "") -> float:
        """Seconds from one department to another as this patient moves, or as ``profile`` does."""
        moves = Profile(profile) if profile else self.profile
        found = self.on_map.walking_seconds(from_place, to_place, moves) if self.on_map else math.inf
        return found if found < math.inf else self.nearby.walking_seconds(from_place, to_place, moves)

    def doubt(self, from_place: str, to_place: str) -> Doubt | None:
        """Whether the time of this way is only a rule of thumb though there is a map."""
        if self.on_map is None or not from_place or from_place == to_place:
            return None
        if not (self.on_map.knows(from_place) and self.on_map.knows(to_place)):
            return Doubt.UNKNOWN
        found = self.on_map.walking_seconds(from_place, to_place, self.profile)
        return Doubt.NO_WAY if found == math.inf else None

    @property
    def stamp(self) -> str:
        """The same while nobody would walk otherwise: what an advice was made from."""
        return f"{self.profile} {self.on_map.stamp if self.on_map else ''}"


async def hold(tx: Tx, visit_ids: Collection[UUID]) -> None:
    """Fetch what ``profile_of`` needs for the patients of many visits, in three questions."""
    people = {visit.patient_id for visit in await reading.hold(tx, visit_ids)}
    await patients.hold(tx, people)
    await tx.preload(Walker, people)


async def profile_of(tx: Tx, visit: Visit) -> Profile:
    """How the patient of a visit moves: as was said, else by age."""
    said = await tx.get(Walker, visit.patient_id)
    if said is not None:
        return Profile(said.profile)
    born = (await patients.by_id(tx, visit.patient_id)).birth_date
    slow_from = (await book_of(tx, visit.hospital_id)).numbers.slow_from_age
    old = born is not None and age_on(born, china_day(tx.now)) >= slow_from
    return Profile.SLOW if old else Profile.WALK


async def walking_of(tx: Tx, hospital_id: UUID, book: Book, profile: Profile) -> Walking:
    """Walking times in this hospital now, for who moves like this."""
    memo = (_MEMO, hospital_id)
    if memo not in tx.memo:
        try:
            tx.memo[memo] = await routes.walks(tx, hospital_id)
        except NoMapError:
            tx.memo[memo] = None
    return Walking(profile, Nearby(book.at), tx.memo[memo])


async def guided(tx: Tx, actor: Actor, visit_id: UUID) -> Visit:
    """The visit, for who may say something of how she goes: her own side, or who guides her.

    Raises:
        ForbiddenError: staff who do not guide, or a relative who only looks.
        NotFoundError: no such visit for this caller.
    """
    if actor.role is not None and actor.role not in MAY_PIN:
        raise ForbiddenError
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or (actor.role is not None and actor.hospital_id != visit.hospital_id):
        raise NotFoundError
    if actor.role is None:
        await access.require(tx, actor, Action.ASK_GUIDE, reading.subject_of(visit))
    return visit


async def choose(tx: Tx, actor: Actor, visit_id: UUID, profile: Profile) -> None:
    """Say how the patient of a visit moves; raises as ``guided``."""
    visit = await guided(tx, actor, visit_id)
    said = await tx.get(Walker, visit.patient_id, lock=True)
    if said is None:
        said = tx.add(Walker(person_id=visit.patient_id))
    said.profile, said.said_at = profile, tx.now
    await tx.session.flush()
