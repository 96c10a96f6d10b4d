"""Publishes a hospital's map, and says what on it is closed or crowded now. A version is never changed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import defer

from guide.models import MapCondition, MapVersion
from kernel.db import Tx
from kernel.errors import HoufuError, Kind, NotFoundError
from kernel.ids import new_id
from people.service import hospitals

if TYPE_CHECKING:  # shapely and scipy are heavy, and most processes never look at a map
    from guide.maps.network import Network

__all__ = ["MapVersion", "Published", "close", "conditions", "current", "decide", "network_of", "publish", "reopen"]


class MapRefusedError(HoufuError):
    """The map leaves departments without a way to them; ``gaps`` names each for whoever publishes it."""

    code = "map_refused"
    kind = Kind.CONFLICT

    def __init__(self, gaps: list[str]) -> None:
        super().__init__(count=len(gaps))
        self.gaps = gaps

    def __str__(self) -> str:
        return "Not published: " + "; ".join(self.gaps)


@dataclass(frozen=True, slots=True)
class Published:
    """The version now in force; ``fresh`` is false if it was already, ``gaps`` what it leaves open."""

    version: MapVersion
    fresh: bool
    gaps: tuple[str, ...]


async def publish(tx: Tx, hospital_id: UUID, network: "Network", *, anyway: bool = False) -> Published:
    """Make a map the hospital's newest version; departments are bound to the rooms that bear their names.

    What was confirmed or refused on the version before stays so.

    Args:
        network: what ``houfu map import`` made; its ``places`` are filled in.
        anyway: also with departments that are not on it or cannot be reached.

    Raises:
        MapRefusedError: a department has no room or no way to it; nothing was published.
    """
    from guide.maps import decide, lint

    hospital = await hospitals.by_id(tx, hospital_id)
    last = await current(tx, hospital.id)
    if last is not None:
        decide.carry(network, await network_of(tx, last.id))
    gaps: list[str] = []
    report = lint.look_over(network)
    network.places = {}
    for department in await hospitals.departments(tx, hospital.id):
        space = network.occupants.get(department.name, -1)
        if space < 0:
            gaps.append(f"{department.name} ({department.code}) is not on the map")
            continue
        network.places[department.code] = space
        if space not in report.reached:
            gaps.append(f"no way leads to {department.name} ({department.code})")
        elif space not in report.step_free:
            gaps.append(f"{department.name} ({department.code}) can be reached by stairs only")
    if gaps and not anyway:
        raise MapRefusedError(gaps)
    digest = network.digest()
    if last is not None and last.digest == digest:
        return Published(last, False, tuple(gaps))
    version = MapVersion(
        id=new_id(),
        hospital_id=hospital.id,
        number=last.number + 1 if last else 1,
        name=network.name,
        digest=digest,
        packed=network.packed(),
        published_at=tx.now,
    )
    tx.add(version)
    await tx.flush()
    return Published(version, True, tuple(gaps))


async def decide(tx: Tx, hospital_id: UUID, name: str, *, confirmed: bool, by: str, anyway: bool = False) -> Published:
    """Confirm or refuse one guess of the newest version: the next version, with who said so and when.

    Args:
        name: as ``guide.maps.decide.names`` calls it.
        anyway: also if a department cannot be reached then.

    Raises:
        NotFoundError: there is no map, or no open guess of this name.
        MapRefusedError: without it a department cannot be reached; nothing was changed.
    """
    from guide.maps import decide as words

    version = await current(tx, hospital_id)
    if version is None:
        raise NotFoundError
    network = await network_of(tx, version.id)
    try:
        words.decide(network, name, confirmed=confirmed, by=by, at=tx.now.isoformat(timespec="seconds"))
    except KeyError:
        raise NotFoundError from None
    return await publish(tx, hospital_id, network, anyway=anyway)


async def current(tx: Tx, hospital_id: UUID) -> MapVersion | None:
    """The newest version, its content left in the database until ``network_of`` asks for it."""
    found: MapVersion | None = await tx.session.scalar(
        select(MapVersion)
        .options(defer(MapVersion.packed))
        .where(MapVersion.hospital_id == hospital_id)
        .order_by(MapVersion.number.desc())
        .limit(1)
    )
    return found


async def network_of(tx: Tx, version_id: UUID) -> "Network":
    """The content of a version.

    Raises:
        NotFoundError: there is none.
    """
    from guide.maps import network

    packed = await tx.session.scalar(select(MapVersion.packed).where(MapVersion.id == version_id))
    if packed is None:
        raise NotFoundError
    return await asyncio.to_thread(network.unpack, packed)  # a large one takes half a second


async def close(
    tx: Tx, hospital_id: UUID, about: str, *, percent: int | None = None, until: datetime | None = None
) -> MapCondition:
    """Close a lift, a corridor or a room, or say that it takes ``percent`` of its time; in force with the commit.

    Args:
        about: its name as the map has it: 3号电梯, 空中连廊, CT室, 门诊楼301; or the key of a space.
        percent: 101 or more: crowded; None: closed.

    Raises:
        NotFoundError: the map has nothing of this name.
    """
    from guide.maps.network import names

    version = await current(tx, hospital_id)
    network = await network_of(tx, version.id) if version is not None else None
    if network is None or about not in {*names(network), *network.links}:
        raise NotFoundError
    row = MapCondition(
        id=new_id(), hospital_id=hospital_id, about=about, percent=percent, since=tx.now, until=until, ended_at=None
    )
    tx.add(row)
    await tx.flush()
    return row


async def reopen(tx: Tx, hospital_id: UUID, about: str) -> int:
    """End every closure of this name; returns how many there were."""
    rows = [row for row in await conditions(tx, hospital_id, lock=True) if row.about == about]
    for row in rows:
        row.ended_at = tx.now
    await tx.flush()
    return len(rows)


async def conditions(tx: Tx, hospital_id: UUID, *, lock: bool = False) -> list[MapCondition]:
    """What holds now, oldest first."""
    query = (
        select(MapCondition)
        .where(
            MapCondition.hospital_id == hospital_id,
            MapCondition.ended_at.is_(None),
            or_(MapCondition.until.is_(None), MapCondition.until > tx.now),
        )
        .order_by(MapCondition.since, MapCondition.id)
    )
    return list((await tx.session.scalars(query.with_for_update() if lock else query)).all())
