"""The tables of family pay: invitations, and how often somebody guessed at codes."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Invitation(Base):
    """What a patient offers to whoever proves to be meant: by link or QR (a day), by spoken code (ten minutes)."""

    __tablename__ = "invitation"
    __table_args__ = (
        Index("ix_invitation_open", "patient_id", postgresql_where=text("state = 'offered'")),
        CheckConstraint("(accepted_by IS NULL) = (state <> 'accepted')", name="accepted_by_somebody"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    made_by: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    token_digest: Mapped[bytes] = column(5, unique=True)
    code_digest: Mapped[bytes] = column(5)
    code_tries: Mapped[int] = column(2)
    code_expires_at: Mapped[datetime] = column(3)
    expires_at: Mapped[datetime] = column(3)
    relation: Mapped[str] = column(3)
    pays: Mapped[bool] = column(3)
    cap_fen: Mapped[int | None] = column(4)
    ask_first: Mapped[bool] = column(3)
    depth: Mapped[int] = column(3)
    opened: Mapped[list[str]] = column(5)
    signs: Mapped[bool] = column(3)
    calls: Mapped[bool] = column(3, server_default=text("false"))
    visit_id: Mapped[UUID | None] = column(3)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    accepted_by: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    ended_at: Mapped[datetime | None] = column(3)


class Message(Base):
    """One ready-made sentence between a patient and her companions; ``slot`` lets one through in a few seconds.

    ``rank`` orders those of a visit.
    """

    __tablename__ = "message"
    __table_args__ = (UniqueConstraint("visit_id", "sender_id", "slot"),)
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"))
    sender_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    to_patient: Mapped[bool] = column(3)
    relation: Mapped[str] = column(3)
    code: Mapped[str] = column(3)
    slot: Mapped[int] = column(2)
    rank: Mapped[int] = column(2)
    at: Mapped[datetime] = column(3)


class Guesses(Base):
    """How many spoken codes somebody tried on one day."""

    __tablename__ = "guesses"
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[date] = column(2, primary_key=True)
    tries: Mapped[int] = column(2)
