"""The tables of intake: every statement taken, every statement waiting, every statement refused."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class HisEvent(Base):
    """One statement of the HIS; the id is derived from business key and content, so it is taken once."""

    __tablename__ = "his_event"
    __table_args__ = (Index("ix_his_event_received", "hospital_id", "received_at"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    kind: Mapped[str] = column(2)
    subject: Mapped[str] = column(3)
    sequence: Mapped[int] = column(2)
    said_at: Mapped[datetime] = column(2)
    received_at: Mapped[datetime] = column(2)
    raw_sealed: Mapped[bytes] = column(5)


class Parked(Base):
    """A statement that waits for what it refers to; kept until then, never dropped."""

    __tablename__ = "parked"
    __table_args__ = (Index("ix_parked_wait", "hospital_id", "waits_for"), Index("ix_parked_since", "since"))
    event_id: Mapped[UUID] = column(2, ForeignKey("his_event.id", ondelete="RESTRICT"), primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    waits_for: Mapped[str] = column(3)
    sequence: Mapped[int] = column(2)
    since: Mapped[datetime] = column(2)


class Rejected(Base):
    """A statement that could not be a fact; only its raw text is kept, for the hospital to mend."""

    __tablename__ = "his_rejected"
    __table_args__ = (Index("ix_his_rejected_at", "hospital_id", "received_at"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    received_at: Mapped[datetime] = column(2)
    reason: Mapped[str] = column(2)
    raw_sealed: Mapped[bytes] = column(5)
