"""The tables of the guide: versions of a hospital's map, and what is closed or crowded on it now."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class MapVersion(Base):
    """A map as it was published; never changed, so that whoever names it means one thing for good.

    ``packed`` is the canonical JSON, compressed; ``digest`` its SHA-256.
    """

    __tablename__ = "map_version"
    __table_args__ = (UniqueConstraint("hospital_id", "number"), CheckConstraint("number > 0", name="number"))
    id: Mapped[UUID] = column(1, primary_key=True)
    hospital_id: Mapped[UUID] = column(1, ForeignKey("hospital.id", ondelete="RESTRICT"))
    number: Mapped[int] = column(1)
    name: Mapped[str] = column(1)
    digest: Mapped[str] = column(1)
    packed: Mapped[bytes] = column(1)
    published_at: Mapped[datetime] = column(1)


class MapCondition(Base):
    """A lift, a corridor or a room that is closed (``percent`` empty) or takes so many percent of its time now.

    It ends by itself at ``until``, or when somebody ends it.
    """

    __tablename__ = "map_condition"
    __table_args__ = (
        CheckConstraint("percent BETWEEN 101 AND 10000", name="percent"),
        Index("ix_map_condition_open", "hospital_id", postgresql_where=text("ended_at IS NULL")),
    )
    id: Mapped[UUID] = column(1, primary_key=True)
    hospital_id: Mapped[UUID] = column(1, ForeignKey("hospital.id", ondelete="RESTRICT"))
    about: Mapped[str] = column(1)
    percent: Mapped[int | None] = column(1)
    since: Mapped[datetime] = column(1)
    until: Mapped[datetime | None] = column(1)
    ended_at: Mapped[datetime | None] = column(1)
