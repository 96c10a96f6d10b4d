"""The tables of visits: a patient's day at a hospital, its encounters and orders, and what the HIS must be told."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Visit(Base):
    """All encounters of one patient at one hospital on one day: one bill.

    ``stages``: how its encounters stand in each sensitive category, see ``visits.rules.Stage``.
    """

    __tablename__ = "visit"
    __table_args__ = (
        UniqueConstraint("hospital_id", "patient_id", "day"),
        Index("ix_visit_patient", "patient_id", "day"),
        CheckConstraint("mode IN ('UPFRONT', 'DEFERRED')", name="mode"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    day: Mapped[date] = column(3)
    number: Mapped[str] = column(3)
    mode: Mapped[str] = column(3)
    mode_reason: Mapped[str | None] = column(5)
    state: Mapped[str] = column(3)
    opened_at: Mapped[datetime] = column(3)
    ended_at: Mapped[datetime | None] = column(3)
    due_at: Mapped[datetime | None] = column(3, index=True)
    settled_at: Mapped[datetime | None] = column(3)
    stages: Mapped[dict[str, Any]] = column(5, server_default=text("'{}'"), default=dict)


class Encounter(Base):
    """One encounter as the HIS numbers it."""

    __tablename__ = "encounter"
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    number: Mapped[str] = column(3)
    klass: Mapped[str] = column(3)
    department: Mapped[str] = column(3)
    doctor: Mapped[str | None] = column(3)
    insurance_status: Mapped[str] = column(4)
    insurance_scheme: Mapped[str | None] = column(4)
    category: Mapped[str | None] = column(5)
    started_at: Mapped[datetime] = column(3)
    finished_at: Mapped[datetime | None] = column(3)
    sequence: Mapped[int] = column(2)


class Order(Base):
    """A doctor's order: one step of the visit. ``rank`` orders the steps newest change first.

    ``pace_ahead`` before her at ``pace_at``: an earlier word of the same queue, by which one sees how fast it moves.
    """

    __tablename__ = "order"
    __table_args__ = (
        Index("ix_order_department_open", "department", postgresql_where=text("state IN ('placed', 'checked_in')")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    encounter_id: Mapped[UUID] = column(3, ForeignKey("encounter.id", ondelete="RESTRICT"))
    number: Mapped[str] = column(3)
    kind: Mapped[str] = column(3)
    name: Mapped[str] = column(5)
    department: Mapped[str] = column(3)
    department_name: Mapped[str] = column(3)
    place: Mapped[str] = column(3)
    preparation: Mapped[list[str]] = column(4)
    note: Mapped[str | None] = column(5)
    category: Mapped[str | None] = column(5)
    ordered_by: Mapped[str | None] = column(3)
    ordered_at: Mapped[datetime] = column(3)
    window_from: Mapped[datetime | None] = column(3)
    window_until: Mapped[datetime | None] = column(3)
    state: Mapped[str] = column(3)
    ahead: Mapped[int | None] = column(3)
    called: Mapped[bool] = column(3)
    room: Mapped[str | None] = column(3)
    queue_at: Mapped[datetime | None] = column(3)
    pace_ahead: Mapped[int | None] = column(3)
    pace_at: Mapped[datetime | None] = column(3)
    checked_in_at: Mapped[datetime | None] = column(3)
    performed_at: Mapped[datetime | None] = column(3)
    performed_by: Mapped[str | None] = column(3)
    performed_where: Mapped[str | None] = column(3)
    covers_all: Mapped[bool] = column(2)
    gone_at: Mapped[datetime | None] = column(3)
    result_state: Mapped[str] = column(4)
    result_flag: Mapped[str | None] = column(5)
    result_at: Mapped[datetime | None] = column(4)
    result_sealed: Mapped[bytes | None] = column(5)
    paper_code: Mapped[str] = column(4, unique=True)
    sequence: Mapped[int] = column(2)
    rank: Mapped[int] = column(2)


class HisCall(Base):
    """Something the HIS must be told, exactly once in effect; ``turn`` keeps the order within a visit.

    ``encounters`` are the HIS's numbers it was first said of: the same key always says the same.
    """

    __tablename__ = "his_call"
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - nobody reads ``turn`` where it is written
    __table_args__ = (
        Index("ix_his_call_pending", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_his_call_visit", "visit_id", "turn"),
        Index("ix_his_call_refused", "hospital_id", postgresql_where=text("state = 'refused'")),
    )
    key: Mapped[str] = column(2, primary_key=True)
    turn: Mapped[int] = column(2, Identity())
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"))
    kind: Mapped[str] = column(2)
    data: Mapped[dict[str, Any]] = column(4)
    encounters: Mapped[list[str] | None] = column(2)
    state: Mapped[str] = column(2)
    queued_at: Mapped[datetime] = column(2)
    next_at: Mapped[datetime] = column(2)
    tries: Mapped[int] = column(2)
    answered_at: Mapped[datetime | None] = column(2)
    trouble: Mapped[str | None] = column(2)


class Booking(Base):
    """A half hour of a doctor, booked in the HIS for a patient; the row is there before the HIS hears of it.

    ``said`` counts what was decided (each decision has its own key), ``tries`` how often the present one was said;
    ``next_at`` is empty when nothing is waiting for an answer. ``number`` is her place in the queue.
    """

    __tablename__ = "booking"
    __table_args__ = (
        Index("ix_booking_patient", "patient_id", "begins"),
        Index("ix_booking_day", "hospital_id", "begins"),
        Index("ix_booking_waiting", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index(
            "uq_booking_open",
            "hospital_id",
            "patient_id",
            "doctor",
            "half_day",
            unique=True,
            postgresql_where=text("state IN ('asked', 'booked', 'cancelling')"),
        ),
        CheckConstraint("(pay = 'free') = (fee_fen = 0)", name="fee"),
        CheckConstraint("(state IN ('asked', 'cancelling', 'requeuing')) = (next_at IS NOT NULL)", name="waiting"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    booked_by: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    department: Mapped[str] = column(3)
    doctor: Mapped[str] = column(3)
    slot: Mapped[str] = column(3)
    begins: Mapped[datetime] = column(3)
    until: Mapped[datetime] = column(3)
    half_day: Mapped[str] = column(3)
    fee_fen: Mapped[int] = column(4)
    pay: Mapped[str] = column(3)
    pay_by: Mapped[datetime | None] = column(3)
    number: Mapped[str | None] = column(3)
    state: Mapped[str] = column(3)
    cause: Mapped[str | None] = column(3)
    reason: Mapped[str | None] = column(3)
    asked_at: Mapped[datetime] = column(3)
    decided_at: Mapped[datetime] = column(3)
    said: Mapped[int] = column(2)
    tries: Mapped[int] = column(2)
    next_at: Mapped[datetime | None] = column(2)
    sequence: Mapped[int] = column(2)
    visit_id: Mapped[UUID | None] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    encounter_id: Mapped[UUID | None] = column(3, index=True)


class PassUse(Base):
    """A visit pass shown at a desk: each code counts once there. ``time`` is a live code's half minute or a day."""

    __tablename__ = "pass_use"
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    desk: Mapped[str] = column(2, primary_key=True)
    grade: Mapped[str] = column(2, primary_key=True)
    time: Mapped[int] = column(2, primary_key=True, autoincrement=False)
    staff_id: Mapped[UUID] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    used_at: Mapped[datetime] = column(3)
