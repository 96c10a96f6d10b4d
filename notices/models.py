"""The feeds: one numbered, append-only story per visit and per person; and what of them was told to whom, and how."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
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


class PushFact(Base):
    """A feed row that may be pushed and has not been looked at yet; gone once everybody who is told has a notice.

    It is looked at from ``due_at`` on; those that become one message anyway wait for each other until then.
    """

    __tablename__ = "push_fact"
    __table_args__ = (Index("ix_push_fact_due_at", "due_at"),)
    subject: Mapped[UUID] = column(3, primary_key=True)  # written with the row itself, so nothing need be checked
    seq: Mapped[int] = column(2, primary_key=True, autoincrement=False)
    patient_id: Mapped[UUID] = column(3)
    kind: Mapped[str] = column(3)
    key: Mapped[str] = column(3)
    ref: Mapped[str] = column(3)
    audience: Mapped[int] = column(2)
    category: Mapped[str | None] = column(5)
    at: Mapped[datetime] = column(3)
    due_at: Mapped[datetime] = column(3)


class Notice(Base):
    """One fact told to one person, once. It holds no words: they are made when it is sent, if it is still true.

    ``refs`` are the things it is about (several where they were merged), ``step_at`` is when to do something next,
    ``at`` is when the first of the facts was and ``last_at`` the last.
    """

    __tablename__ = "notice"
    __table_args__ = (
        # The same fact is never told twice, whoever crashes where.
        UniqueConstraint("person_id", "subject", "key"),
        Index("ix_notice_due", "step_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_notice_unread", "person_id", "subject", postgresql_where=text("read_at IS NULL")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    subject: Mapped[UUID] = column(3)
    key: Mapped[str] = column(3)
    kind: Mapped[str] = column(3)
    refs: Mapped[list[str]] = column(3)
    state: Mapped[str] = column(3)
    at: Mapped[datetime] = column(3)
    last_at: Mapped[datetime] = column(3)
    step_at: Mapped[datetime] = column(2)
    read_at: Mapped[datetime | None] = column(3)


class Delivery(Base):
    """The message of one notice by one channel: tries, the provider's number, and what became of it.

    ``number`` is the provider's (a receipt names it), ``ask_at`` when to ask the provider what became of it, and
    ``code_index`` the blind index of the digits a text message is checked by.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("uq_delivery_number", "channel", "number", unique=True, postgresql_where=text("number IS NOT NULL")),
        Index("ix_delivery_ask", "ask_at", postgresql_where=text("ask_at IS NOT NULL")),
        Index("ix_delivery_code", "code_index", postgresql_where=text("code_index IS NOT NULL")),
    )
    notice_id: Mapped[UUID] = column(3, ForeignKey("notice.id", ondelete="RESTRICT"), primary_key=True)
    channel: Mapped[str] = column(2, primary_key=True)
    state: Mapped[str] = column(2)
    tries: Mapped[int] = column(2)
    first_at: Mapped[datetime] = column(3)
    next_at: Mapped[datetime] = column(2)
    number: Mapped[str | None] = column(2)
    sent_at: Mapped[datetime | None] = column(3)
    ended_at: Mapped[datetime | None] = column(3)
    ask_at: Mapped[datetime | None] = column(2)
    trouble: Mapped[str | None] = column(2)
    code_index: Mapped[bytes | None] = column(4)


class EarlyReceipt(Base):
    """A receipt that overtook our own record of the sending; it is used when the number is known."""

    __tablename__ = "early_receipt"
    channel: Mapped[str] = column(2, primary_key=True)
    number: Mapped[str] = column(2, primary_key=True)
    arrived: Mapped[bool] = column(2)
    trouble: Mapped[str | None] = column(2)
    at: Mapped[datetime] = column(2)


class ReachWish(Base):
    """What a person wants to hear, where, and when not; nobody without a row has ever chosen."""

    __tablename__ = "reach_wish"
    __table_args__ = (CheckConstraint("quiet_from BETWEEN 0 AND 1439 AND quiet_to BETWEEN 0 AND 1439", name="hours"),)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    off_topics: Mapped[list[str]] = column(3)
    off_channels: Mapped[list[str]] = column(3)
    quiet_from: Mapped[int] = column(3)
    quiet_to: Mapped[int] = column(3)
    basic: Mapped[bool] = column(3)


class PushSubscription(Base):
    """A browser that lets us ring it, by its push service; worth as much as the login under which it was made."""

    __tablename__ = "push_subscription"
    endpoint_digest: Mapped[bytes] = column(4, primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    session_digest: Mapped[bytes] = column(5)
    sealed: Mapped[bytes] = column(5)
    made_at: Mapped[datetime] = column(3)


class Presence(Base):
    """Somebody had this open on a screen at this moment: what happened there until then is read."""

    __tablename__ = "presence"
    person_id: Mapped[UUID] = column(3, primary_key=True)
    subject: Mapped[UUID] = column(3, primary_key=True)
    at: Mapped[datetime] = column(3, index=True)


class CallerLook(Base):
    """A member of staff had a patient's code shown before phoning; every look is kept."""

    __tablename__ = "caller_look"
    __table_args__ = (Index("ix_caller_look_staff", "staff_id", "at"), Index("ix_caller_look_patient", "patient_id"))
    id: Mapped[UUID] = column(3, primary_key=True)
    staff_id: Mapped[UUID] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    at: Mapped[datetime] = column(3)


class CallerTry(Base):
    """Somebody tried digits of a text message; wrong ones are counted."""

    __tablename__ = "caller_try"
    __table_args__ = (Index("ix_caller_try_person", "person_id", "at"),)
    id: Mapped[UUID] = column(3, primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    at: Mapped[datetime] = column(3)
    right: Mapped[bool] = column(3)
