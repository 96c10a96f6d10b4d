"""The tables of the guide: maps and what is closed; signed rules; how one walks, what nurses said, what was advised."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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


class ExamRulesVersion(Base):
    """One version of a hospital's rules, with what they are about, as they were signed; never changed."""

    __tablename__ = "exam_rules_version"
    __table_args__ = (UniqueConstraint("hospital_id", "version"), CheckConstraint("version > 0", name="version"))
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    version: Mapped[int] = column(2)
    document: Mapped[dict[str, Any]] = column(2)
    digest: Mapped[str] = column(2)
    signed_by: Mapped[str] = column(3)
    signed_at: Mapped[datetime] = column(2)
    loaded_at: Mapped[datetime] = column(2)


class NurseWord(Base):
    """What a nurse decided for a visit: which orders come first, and which she has looked at; her latest word stands.

    ``first`` and ``cleared`` are ids of orders; ``reason`` is why those come first, a code of ``words.guide_desk``.
    ``later``: order id → ``{"until": ISO moment}`` or ``{"after": order id}``, each with its ``reason``.
    """

    __tablename__ = "nurse_word"
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    first: Mapped[list[str]] = column(4)
    cleared: Mapped[list[str]] = column(4)
    reason: Mapped[str | None] = column(4)
    later: Mapped[dict[str, Any]] = column(4, server_default=text("'{}'"), default=dict)
    said_by: Mapped[UUID] = column(3)
    said_at: Mapped[datetime] = column(3)


class Walker(Base):
    """How a patient moves, as she or a nurse has said; who is not here is thought to walk by age."""

    __tablename__ = "walker"
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    profile: Mapped[str] = column(4)
    said_at: Mapped[datetime] = column(3)


class Whereabouts(Base):
    """The sign on the wall at which a patient said she stands; forgotten after half an hour."""

    __tablename__ = "whereabouts"
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    code: Mapped[str] = column(4)
    at: Mapped[datetime] = column(4)


class TurnTold(Base):
    """It was said of this order that its turn is near; so it is said once."""

    __tablename__ = "turn_told"
    order_id: Mapped[UUID] = column(3, ForeignKey("order.id", ondelete="RESTRICT"), primary_key=True)
    at: Mapped[datetime] = column(3)


class Advice(Base):
    """The order the patient was last advised, and when they are expected at which door: the ledger of arrivals.

    ``arrivals``: order id, department, ISO moment, in order. ``basis`` tells what it was made from.
    """

    __tablename__ = "advice"
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), index=True)
    arrivals: Mapped[list[list[str]]] = column(4, JSONB)
    basis: Mapped[str] = column(3)
    made_at: Mapped[datetime] = column(3)
