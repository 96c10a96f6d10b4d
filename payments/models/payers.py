"""What a payer set for herself: limits, contracts by which money may be taken, and the patient's yes before it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class PayerLimit(Base):
    """What somebody lets herself pay for one patient, fen; empty: no limit. ``after_visit`` is the rules' word.

    Of the pair, not of one bond: ending a bond and making it anew neither lifts a limit nor forgets what was paid.
    """

    __tablename__ = "payer_limit"
    __table_args__ = (
        CheckConstraint("person_id <> patient_id", name="not_oneself"),
        CheckConstraint(
            "per_payment_fen > 0 AND per_day_fen > 0 AND per_month_fen > 0 AND ready_fen > 0", name="money"
        ),
        CheckConstraint("after_visit IN ('nothing', 'ask', 'ready', 'auto')", name="after_visit"),
        CheckConstraint("(after_visit IN ('ready', 'auto')) = (ready_fen IS NOT NULL)", name="ready"),
        Index("ix_payer_limit_after", "patient_id", postgresql_where=text("after_visit <> 'nothing'")),
    )
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    per_payment_fen: Mapped[int | None] = column(4)
    per_day_fen: Mapped[int | None] = column(4)
    per_month_fen: Mapped[int | None] = column(4)
    after_visit: Mapped[str] = column(3)
    ready_fen: Mapped[int | None] = column(4)
    changed_at: Mapped[datetime] = column(3)


class DeductionContract(Base):
    """A payer's contract at the provider, by which money may be taken without a press; ``code`` is our name of it.

    ``openid_sealed``: as whom she was sent to sign, and nobody else's signature counts. ``ended_by``: ``payer`` here,
    ``provider`` there.
    """

    __tablename__ = "deduction_contract"
    __table_args__ = (
        Index(
            "uq_deduction_contract_live",
            "person_id",
            "mchid",
            unique=True,
            postgresql_where=text("state IN ('asked', 'signed', 'ending')"),
        ),
        Index("ix_deduction_contract_due", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        CheckConstraint("state <> 'signed' OR (contract_id IS NOT NULL AND signed_at IS NOT NULL)", name="signed"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    mchid: Mapped[str] = column(2)
    appid: Mapped[str] = column(2)
    plan_id: Mapped[str] = column(2)
    code: Mapped[str] = column(4, unique=True)
    serial: Mapped[int] = column(2)
    openid_sealed: Mapped[bytes] = column(5)
    contract_id: Mapped[str | None] = column(5, unique=True)
    state: Mapped[str] = column(3)
    asked_at: Mapped[datetime] = column(3)
    signed_at: Mapped[datetime | None] = column(3)
    until: Mapped[datetime | None] = column(3)
    stopped_at: Mapped[datetime | None] = column(3)
    ended_at: Mapped[datetime | None] = column(3)
    ended_by: Mapped[str | None] = column(3)
    next_look_at: Mapped[datetime | None] = column(2)
    looks: Mapped[int] = column(2, server_default=text("0"))


class Deduction(Base):
    """Why an attempt nobody pressed for was allowed: by which contract, what was announced and when, up to what."""

    __tablename__ = "deduction"
    __table_args__ = (CheckConstraint("announced_fen > 0 AND announced_fen <= cap_fen", name="within"),)
    attempt_id: Mapped[UUID] = column(3, ForeignKey("attempt.id", ondelete="RESTRICT"), primary_key=True)
    contract_id: Mapped[UUID] = column(3, ForeignKey("deduction_contract.id", ondelete="RESTRICT"), index=True)
    announced_at: Mapped[datetime] = column(3)
    announced_fen: Mapped[int] = column(4)
    cap_fen: Mapped[int] = column(4)


class PayConsent(Base):
    """A relative wishes to pay up to ``amount_fen`` of one visit, and the patient wanted to be asked first.

    ``agreed`` empty: not answered yet.
    """

    __tablename__ = "pay_consent"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        CheckConstraint("num_nonnulls(agreed, answered_at, answered_by) IN (0, 3)", name="answered"),
        Index("ix_pay_consent_open", "patient_id", postgresql_where=text("agreed IS NULL")),
    )
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    amount_fen: Mapped[int] = column(4)
    asked_at: Mapped[datetime] = column(3)
    agreed: Mapped[bool | None] = column(3)
    answered_at: Mapped[datetime | None] = column(3)
    answered_by: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
