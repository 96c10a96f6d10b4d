"""The tables of payments: every try to pay, money on its way back, and the notices we have heard."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column

# A payment the hospital will not book holds its own lines only: what came later may be paid beside it.
_LIVE = "state IN ('created', 'offered', 'unknown', 'closing') OR (state = 'paid' AND trouble IS NULL)"


class Attempt(Base):
    """One try to pay a bill: its number at the provider, who pays, what it covers, how it stands.

    ``sheet`` counts the visit's dead attempts before it. ``prepared_sealed`` is what the payer's page needs.
    ``next_look_at`` is when the sweeper asks the provider again; ``asked_at`` when anybody last did.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        # Whoever presses when: one live attempt of a visit, or the database says no.
        Index("uq_attempt_live", "visit_id", unique=True, postgresql_where=text(_LIVE)),
        Index("ix_attempt_due", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        CheckConstraint("amount_fen > 0", name="something"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= amount_fen", name="not_over_refunded"),
        CheckConstraint("state NOT IN ('paid', 'settled') OR transaction_id IS NOT NULL", name="paid_by"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    out_trade_no: Mapped[str] = column(4, unique=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    payer_id: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    actor: Mapped[str] = column(3)
    relation: Mapped[str] = column(3)
    idempotency_key: Mapped[str] = column(3)
    sheet: Mapped[int] = column(2)
    channel: Mapped[str] = column(2)
    mchid: Mapped[str] = column(2)
    appid: Mapped[str] = column(2)
    description: Mapped[str] = column(3)
    attach: Mapped[str] = column(2)
    amount_fen: Mapped[int] = column(4)
    refunded_fen: Mapped[int] = column(4, server_default=text("0"))
    charge_ids: Mapped[list[str]] = column(3)
    openid_sealed: Mapped[bytes | None] = column(5)
    payer_ip: Mapped[str | None] = column(4)
    prepared_sealed: Mapped[bytes | None] = column(5)
    prepared_at: Mapped[datetime | None] = column(2)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    expires_at: Mapped[datetime] = column(3)
    transaction_id: Mapped[str | None] = column(4, unique=True)
    paid_at: Mapped[datetime | None] = column(3)
    settled_at: Mapped[datetime | None] = column(3)
    closed_at: Mapped[datetime | None] = column(3)
    next_look_at: Mapped[datetime | None] = column(2)
    asked_at: Mapped[datetime | None] = column(2)
    looks: Mapped[int] = column(2, server_default=text("0"))
    trouble: Mapped[str | None] = column(2)


class Refund(Base):
    """Money on its way back from one attempt; ``charge_id`` empty: the whole of a late payment."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        Index("ix_refund_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        # A line goes back once, a late payment goes back once.
        UniqueConstraint("attempt_id", "charge_id", postgresql_nulls_not_distinct=True),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    out_refund_no: Mapped[str] = column(4, unique=True)
    attempt_id: Mapped[UUID] = column(3, ForeignKey("attempt.id", ondelete="RESTRICT"))
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    charge_id: Mapped[UUID | None] = column(3)
    amount_fen: Mapped[int] = column(4)
    reason: Mapped[str] = column(3)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    done_at: Mapped[datetime | None] = column(3)
    provider_refund_id: Mapped[str | None] = column(4)
    next_at: Mapped[datetime | None] = column(2)
    tries: Mapped[int] = column(2, server_default=text("0"))
    trouble: Mapped[str | None] = column(2)


class NoticeSeen(Base):
    """A notice of the provider that was verified and taken; ``messages`` are digests of each try's signed bytes."""

    __tablename__ = "notice_seen"
    id: Mapped[str] = column(2, primary_key=True)
    kind: Mapped[str] = column(2)
    about: Mapped[str] = column(4)
    raw_digest: Mapped[bytes] = column(2)
    messages: Mapped[list[str]] = column(2)
    first_at: Mapped[datetime] = column(2)
    times: Mapped[int] = column(2)
