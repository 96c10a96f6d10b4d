"""The tables of family pay: invitations, proofs by phone, guesses, pay links, and whom a finished visit asks to pay."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Invitation(Base):
    """What a patient offers to whoever proves to be meant: by link or QR (a day), by spoken code (ten minutes).

    ``made_by``: the patient or her guardian; ``staff_id`` instead: a desk, with the patient beside it.
    ``code_used_at``: the spoken code was right once. ``accepted_by``: who took it up, the first and only one;
    ``answered_by``: who on the patient's side saw them and said yes or no. ``expires_at`` begins anew when it is taken.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        Index("ix_invitation_open", "patient_id", postgresql_where=text("state IN ('offered', 'waiting')")),
        Index("ix_invitation_waiting", "accepted_by", postgresql_where=text("state = 'waiting'")),
        CheckConstraint("accepted_by IS NOT NULL OR state IN ('offered', 'withdrawn')", name="accepted_by_somebody"),
        CheckConstraint("accepted_by IS NULL OR state <> 'offered'", name="taken_once"),
        CheckConstraint(
            "staff_id IS NOT NULL OR state NOT IN ('accepted', 'refused') OR answered_by IS NOT NULL", name="her_word"
        ),
        CheckConstraint("num_nonnulls(made_by, staff_id) = 1", name="made_by_somebody"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    made_by: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    staff_id: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    token_digest: Mapped[bytes] = column(5, unique=True)
    code_digest: Mapped[bytes] = column(5)
    code_tries: Mapped[int] = column(2)
    code_expires_at: Mapped[datetime] = column(3)
    code_used_at: Mapped[datetime | None] = column(3)
    expires_at: Mapped[datetime] = column(3)
    relation: Mapped[str] = column(3)
    pays: Mapped[bool] = column(3)
    cap_fen: Mapped[int | None] = column(4)
    ask_first: Mapped[bool] = column(3)
    depth: Mapped[int] = column(3)
    opened: Mapped[list[str]] = column(5)
    signs: Mapped[bool] = column(3)
    books: Mapped[bool] = column(3)
    calls: Mapped[bool] = column(3, server_default=text("false"))
    visit_id: Mapped[UUID | None] = column(3)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    accepted_by: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    answered_by: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
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


class PhoneBinding(Base):
    """Somebody asks to be bound to a patient whom they name; a code to that patient's own phone proves it.

    Kept alike whether there is such a patient: ``patient_id`` is empty when there is none, and then no code is right.
    ``code_sealed`` holds the digits until they have been sent, and not a moment longer.
    """

    __tablename__ = "phone_binding"
    __table_args__ = (
        Index("ix_phone_binding_asker", "asked_by", "asked_at"),
        Index("ix_phone_binding_patient", "patient_id", "asked_at"),
        CheckConstraint("patient_id IS NOT NULL OR state IN ('asked', 'ended')", name="nobody_is_never_bound"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    asked_by: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    relation: Mapped[str] = column(3)
    code_sealed: Mapped[bytes | None] = column(5)
    code_digest: Mapped[bytes] = column(5)
    tries: Mapped[int] = column(2)
    state: Mapped[str] = column(3)
    asked_at: Mapped[datetime] = column(3)
    expires_at: Mapped[datetime] = column(3)


class InsurerSays(Base):
    """What the insurer last said about two people: in one family account of its own, or not; empty: it did not say."""

    __tablename__ = "insurer_says"
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    related: Mapped[bool | None] = column(4)
    asked_at: Mapped[datetime] = column(3)


class Guesses(Base):
    """How many spoken codes somebody tried on one day."""

    __tablename__ = "guesses"
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[date] = column(2, primary_key=True)
    tries: Mapped[int] = column(2)


class PayLink(Base):
    """A link by which anybody may pay one amount of one visit; the token is nowhere here, only its digest.

    ``share``: the number of the one share it is for; empty: for all that was left. ``patient_id`` is whom it was made
    for: should the visit turn out to be somebody else's, it is worth nothing. What was paid by it are the attempts of
    the actor ``link:<id>``.
    """

    __tablename__ = "pay_link"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        Index("ix_pay_link_visit", "visit_id"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    token_digest: Mapped[bytes] = column(5, unique=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    made_by: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    amount_fen: Mapped[int] = column(4)
    share: Mapped[int | None] = column(2)
    created_at: Mapped[datetime] = column(3)
    expires_at: Mapped[datetime] = column(3)
    withdrawn_at: Mapped[datetime | None] = column(3)


class PayAsk(Base):
    """A visit has ended and a payer wished to hear of it; ``told_at`` empty: not told yet.

    One of a visit and payer. ``over_at``: all is paid. ``take_at``: she was told at ``told_at`` that ``take_fen`` will
    be taken from then on; ``attempt_id``: what was begun by that. ``untaken``: why it is laid ready instead.
    """

    __tablename__ = "pay_ask"
    __table_args__ = (
        Index("ix_pay_ask_person", "person_id", postgresql_where=text("over_at IS NULL")),
        Index("ix_pay_ask_due", "asked_at", postgresql_where=text("told_at IS NULL AND over_at IS NULL")),
        Index("ix_pay_ask_take", "take_at", postgresql_where=text("take_at IS NOT NULL AND attempt_id IS NULL")),
        CheckConstraint("declined_at IS NULL OR told_at IS NOT NULL", name="heard_first"),
        CheckConstraint("num_nonnulls(take_at, take_fen) IN (0, 2)", name="announced"),
        CheckConstraint("take_at IS NULL OR told_at IS NOT NULL", name="told_before"),
    )
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    asked_at: Mapped[datetime] = column(3)
    told_at: Mapped[datetime | None] = column(3)
    declined_at: Mapped[datetime | None] = column(3)
    over_at: Mapped[datetime | None] = column(3)
    take_at: Mapped[datetime | None] = column(3)
    take_fen: Mapped[int | None] = column(4)
    attempt_id: Mapped[UUID | None] = column(3)
    untaken: Mapped[str | None] = column(3)
