"""The feeds: one numbered, append-only story per visit and per person."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Feed(Base):
    """One feed; its row lock is what numbers rows and what every change of the subject waits for.

    ``ranks`` counts for each sensitive category by itself ("" for none), so that none shows in another's numbers.
    """

    __tablename__ = "feed"
    subject: Mapped[UUID] = column(3, primary_key=True)
    kind: Mapped[str] = column(2)
    patient_id: Mapped[UUID] = column(3)
    last_seq: Mapped[int] = column(2)
    ranks: Mapped[dict[str, Any]] = column(5)


class FeedRow(Base):
    """One thing that happened, with the marks that decide who sees it."""

    __tablename__ = "feed_row"
    subject: Mapped[UUID] = column(3, ForeignKey("feed.subject", ondelete="RESTRICT"), primary_key=True)
    seq: Mapped[int] = column(2, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = column(3)
    kind: Mapped[str] = column(2)
    audience: Mapped[int] = column(2)
    category: Mapped[str | None] = column(5)
    payload: Mapped[dict[str, Any]] = column(5)
