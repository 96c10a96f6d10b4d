"""The tables of payments: shares, every try to pay one, money on its way back, and the notices we have heard."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column

# What is paid stays so: a share is paid once, and never while somebody else may still be paying it.
_LIVE = "state IN ('created', 'offered', 'unknown', 'closing', 'paid', 'settled')"


class Allocation(Base):
    """A share of a round's cash. Shares are never edited: cut anew, those nobody has taken are replaced by others.

    ``person_id``: for whom it is meant (``relation`` to the patient), empty: for whoever comes first. Meant is not
    reserved: others may take it over. A deferred trigger keeps the shares of a round equal to its cash.
    """

    __tablename__ = "allocation"
    __table_args__ = (
        UniqueConstraint("round_id", "number"),
        UniqueConstraint("id", "round_id", "amount_fen"),  # what an attempt refers to
        CheckConstraint("amount_fen > 0", name="something"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    round_id: Mapped[UUID] = column(3, ForeignKey("round.id", ondelete="RESTRICT"))
    number: Mapped[int] = column(2)
    amount_fen: Mapped[int] = column(4)
    person_id: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    relation: Mapped[str | None] = column(3)
    made_by: Mapped[str] = column(3)
    made_at: Mapped[datetime] = column(3)
    replaced_at: Mapped[datetime | None] = column(3)


class Attempt(Base):
    """One try to pay one share: its number at the provider, who pays, how it stands.

    ``sheet`` counts the visit's dead attempts before it. ``prepared_sealed`` is what the payer's page needs.
    ``next_look_at`` is when the sweeper asks the provider again; ``asked_at`` when anybody last did.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        # Whoever presses when, on whichever screen: one live attempt of a share, or the database says no.
        Index("uq_attempt_live", "allocation_id", unique=True, postgresql_where=text(_LIVE)),
        # It asks for its share's money, to the fen.
        ForeignKeyConstraint(
            ["allocation_id", "round_id", "amount_fen"],
            ["allocation.id", "allocation.round_id", "allocation.amount_fen"],
            ondelete="RESTRICT",
        ),
        Index("ix_attempt_due", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        CheckConstraint("amount_fen > 0", name="something"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= amount_fen", name="not_over_refunded"),
        CheckConstraint("state NOT IN ('paid', 'settled') OR transaction_id IS NOT NULL", name="paid_by"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    out_trade_no: Mapped[str] = column(4, unique=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    round_id: Mapped[UUID] = column(3, ForeignKey("round.id", ondelete="RESTRICT"), index=True)
    allocation_id: Mapped[UUID] = column(3)
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
    """Money on its way back from one attempt; ``charge_id`` empty: all of it (late, or its round was given up)."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        Index("ix_refund_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        # A line goes back once from a payment, the whole of a payment goes back once.
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
