"""Shares, tries to pay one, money on its way back, notices, tills, and each day's books."""

from datetime import date, datetime
from typing import Any
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
    ``refusal`` is the provider's word for why nothing came of a shown code. ``mixed``: the cash part of a mixed order,
    never to be pressed alone.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        # Whoever presses when, on whichever screen: one live attempt of a share, or the database says no.
        Index("uq_attempt_live", "allocation_id", unique=True, postgresql_where=text(_LIVE)),
        # And one of a pay link, in however many hands it is.
        Index("uq_attempt_link", "actor", unique=True, postgresql_where=text(f"relation = 'link' AND {_LIVE}")),
        # It asks for its share's money, to the fen.
        ForeignKeyConstraint(
            ["allocation_id", "round_id", "amount_fen"],
            ["allocation.id", "allocation.round_id", "allocation.amount_fen"],
            ondelete="RESTRICT",
        ),
        Index("ix_attempt_paid", "paid_at", postgresql_where=text("paid_at IS NOT NULL")),
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
    mixed: Mapped[bool] = column(4, server_default=text("false"))
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
    refusal: Mapped[str | None] = column(2)


class InsurancePart(Base):
    """One settlement of the insurance, for one encounter of a round; its lines, its split, how it stands.

    ``facts_sealed``: who is insured and why, as the HIS said; ``auth_sealed``: the consent; ``credential_sealed``: the
    centre's order and its secret. Once a split was shown, its parts add up to ``total_fen``. ``refund_at`` is when its
    money was asked back, ``refund_tries`` how often the centre has said no to that, ``refunded_at`` the centre's own
    time of having it. ``consent_hash`` is of what must be brought back from the consent page; used up when it comes.
    ``actor`` began it, ``auth_by`` brought the consent, ``confirmed_by`` agreed: at the counter each may be another.
    """

    __tablename__ = "insurance_part"
    __table_args__ = (
        UniqueConstraint("round_id", "encounter"),
        Index("ix_insurance_part_due", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        CheckConstraint("total_fen > 0", name="something"),
        CheckConstraint("fund_fen + account_fen + other_fen + cash_fen = total_fen", name="split_adds_up"),
        CheckConstraint("fund_fen >= 0 AND other_fen >= 0 AND cash_fen >= 0", name="not_negative"),
        CheckConstraint("mutual_aid_fen BETWEEN 0 AND account_fen", name="aid_is_of_accounts"),
        # What the hospital bears is inside the centre's cash part, and lessens what is asked in cash.
        CheckConstraint("hospital_part_fen BETWEEN 0 AND cash_fen", name="hospital_part_is_of_cash"),
        CheckConstraint(
            "state IN ('created', 'uploaded', 'revoking', 'revoked', 'failed') OR fund_fen IS NOT NULL", name="reckoned"
        ),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    round_id: Mapped[UUID] = column(3, ForeignKey("round.id", ondelete="RESTRICT"))
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    encounter: Mapped[str] = column(3)
    order_number: Mapped[str] = column(4, unique=True)
    charge_ids: Mapped[list[str]] = column(3)
    total_fen: Mapped[int] = column(4)
    state: Mapped[str] = column(4)
    account_used: Mapped[bool | None] = column(4)
    actor: Mapped[str] = column(3)
    facts_sealed: Mapped[bytes] = column(5)
    consent_hash: Mapped[bytes | None] = column(5)
    auth_sealed: Mapped[bytes | None] = column(5)
    auth_until: Mapped[datetime | None] = column(3)
    auth_by: Mapped[str | None] = column(3)
    credential_sealed: Mapped[bytes | None] = column(5)
    pay_order_id: Mapped[str | None] = column(4, unique=True)
    fund_fen: Mapped[int | None] = column(4)
    account_fen: Mapped[int | None] = column(4)
    mutual_aid_fen: Mapped[int | None] = column(4)
    other_fen: Mapped[int | None] = column(4)
    hospital_part_fen: Mapped[int | None] = column(4)
    cash_fen: Mapped[int | None] = column(4)
    created_at: Mapped[datetime] = column(3)
    reckoned_at: Mapped[datetime | None] = column(3)
    confirmed_at: Mapped[datetime | None] = column(3)
    confirmed_by: Mapped[str | None] = column(3)
    paid_at: Mapped[datetime | None] = column(3)
    refund_at: Mapped[datetime | None] = column(3)
    refund_tries: Mapped[int] = column(2, server_default=text("0"))
    refunded_at: Mapped[datetime | None] = column(3)
    next_look_at: Mapped[datetime | None] = column(2)
    looks: Mapped[int] = column(2, server_default=text("0"))
    trouble: Mapped[str | None] = column(2)


class MixedOrder(Base):
    """The order at WeChat whose password lets the insurance pay one settlement, and its cash with it (``attempt_id``).

    ``kind`` is the port's ``MixKind``; ``actor`` agreed and alone may press. ``sent_at``: from here on the order may
    exist there. ``params_sealed`` is what the payer's page hands to WeChat. ``disagrees_since``: WeChat and the centre
    contradict each other. ``reported_at``: WeChat knows that the insurance has its money again.
    """

    __tablename__ = "mixed_order"
    __table_args__ = (
        # One press for one settlement, or the database says no.
        Index("uq_mixed_live", "part_id", unique=True, postgresql_where=text("state <> 'dead'")),
        Index("ix_mixed_order_due", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        Index("ix_mixed_order_report", "report_at", postgresql_where=text("reported_at IS NULL")),
        CheckConstraint("(kind = 'CASH_AND_INSURANCE') = (attempt_id IS NOT NULL)", name="cash_of_both"),
        CheckConstraint("state IN ('created', 'dead') OR mix_trade_no IS NOT NULL", name="known_there"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    out_trade_no: Mapped[str] = column(4, unique=True)
    part_id: Mapped[UUID] = column(3, ForeignKey("insurance_part.id", ondelete="RESTRICT"), index=True)
    round_id: Mapped[UUID] = column(3, ForeignKey("round.id", ondelete="RESTRICT"), index=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    attempt_id: Mapped[UUID | None] = column(3, ForeignKey("attempt.id", ondelete="RESTRICT"), unique=True)
    kind: Mapped[str] = column(4)
    channel: Mapped[str] = column(2)
    actor: Mapped[str] = column(3)
    openid_sealed: Mapped[bytes] = column(5)
    state: Mapped[str] = column(4)
    mix_trade_no: Mapped[str | None] = column(4, unique=True)
    params_sealed: Mapped[bytes | None] = column(5)
    created_at: Mapped[datetime] = column(3)
    sent_at: Mapped[datetime | None] = column(2)
    opened_at: Mapped[datetime | None] = column(2)
    ended_at: Mapped[datetime | None] = column(3)
    next_look_at: Mapped[datetime | None] = column(2)
    asked_at: Mapped[datetime | None] = column(2)
    looks: Mapped[int] = column(2, server_default=text("0"))
    disagrees_since: Mapped[datetime | None] = column(2)
    report_at: Mapped[datetime | None] = column(2)
    reports: Mapped[int] = column(2, server_default=text("0"))
    reported_at: Mapped[datetime | None] = column(3)
    trouble: Mapped[str | None] = column(2)


class Refund(Base):
    """Money on its way back from one attempt; ``charge_id`` empty: all of it (late, or its round was given up).

    ``part_id``: it waits for that insurance settlement to go back first; without ``charge_id`` it is then the cash of
    the settlement's other lines, which are owed again.
    ``by_hand``: the provider could not, so finance paid it (their reference number, and who says so).
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        Index("ix_refund_created", "created_at", postgresql_using="brin"),
        Index("ix_refund_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        # A line goes back once from a payment, the whole of a payment goes back once,
        Index(
            "uq_refund_once",
            "attempt_id",
            "charge_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("charge_id IS NOT NULL OR part_id IS NULL"),
        ),
        # and so does what it paid of a settlement's other lines.
        Index("uq_refund_rest", "attempt_id", "part_id", unique=True, postgresql_where=text("charge_id IS NULL")),
        Index("ix_refund_part", "part_id", postgresql_where=text("part_id IS NOT NULL")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    out_refund_no: Mapped[str] = column(4, unique=True)
    attempt_id: Mapped[UUID] = column(3, ForeignKey("attempt.id", ondelete="RESTRICT"))
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    charge_id: Mapped[UUID | None] = column(3)
    part_id: Mapped[UUID | None] = column(3, ForeignKey("insurance_part.id", ondelete="RESTRICT"))
    amount_fen: Mapped[int] = column(4)
    reason: Mapped[str] = column(3)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    done_at: Mapped[datetime | None] = column(3)
    provider_refund_id: Mapped[str | None] = column(4)
    next_at: Mapped[datetime | None] = column(2)
    tries: Mapped[int] = column(2, server_default=text("0"))
    trouble: Mapped[str | None] = column(2)
    by_hand: Mapped[str | None] = column(4)
    by_hand_by: Mapped[UUID | None] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))


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


class BookRun(Base):
    """The comparison of one day in China: which sides' books are with us, and when it is to be tried again.

    ``sides`` is, per hospital (or ``all``) and side, a ``payments.rules.reconciling.SideState``.
    """

    __tablename__ = "book_run"
    day: Mapped[date] = column(2, primary_key=True)
    sides: Mapped[dict[str, Any]] = column(2)
    ran_at: Mapped[datetime | None] = column(2)
    tries: Mapped[int] = column(2, server_default=text("0"))
    next_at: Mapped[datetime | None] = column(2)


class BookDay(Base):
    """One hospital's totals of a day, in fen per side: ``{side: {paid, back, count}}``; ``diff_fen`` as last found."""

    __tablename__ = "book_day"
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[date] = column(2, ForeignKey("book_run.day", ondelete="RESTRICT"), primary_key=True)
    totals: Mapped[dict[str, Any]] = column(2)
    diff_fen: Mapped[int] = column(2)
    waiting: Mapped[int] = column(2)
    compared_at: Mapped[datetime] = column(2)


class BookRow(Base):
    """One line of another side's books of one day as it was fetched; ``nth`` counts equal numbers."""

    __tablename__ = "book_row"
    __table_args__ = (Index("ix_book_row_number", "number"), Index("ix_book_row_day", "day", "side"))
    id: Mapped[UUID] = column(2, primary_key=True)
    day: Mapped[date] = column(2)
    side: Mapped[str] = column(2)
    hospital_id: Mapped[UUID | None] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    about: Mapped[str] = column(2)
    number: Mapped[str] = column(4)
    payment: Mapped[str] = column(4)
    reference: Mapped[str] = column(4)
    amount_fen: Mapped[int] = column(4)
    at: Mapped[datetime] = column(3)
    state: Mapped[str] = column(2)


class Difference(Base):
    """One line of the worklist; its id is derived from day, kind and number, so that it is found again.

    ``closed_by`` empty while closed: it closed itself, because the next comparison no longer found it.
    """

    __tablename__ = "difference"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        CheckConstraint("closed_by IS NULL OR closed_reason IS NOT NULL", name="reason"),
        Index("ix_difference_day", "hospital_id", "day"),
        Index("ix_difference_open", "hospital_id", postgresql_where=text("state = 'open'")),
    )
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    day: Mapped[date] = column(2)
    about: Mapped[str] = column(2)
    kind: Mapped[str] = column(2)
    number: Mapped[str] = column(4)
    payment: Mapped[str] = column(4)
    reference: Mapped[str] = column(4)
    visit_id: Mapped[UUID | None] = column(3)
    amount_fen: Mapped[int] = column(4)
    here_fen: Mapped[int | None] = column(4)
    there_fen: Mapped[int | None] = column(4)
    cause: Mapped[str] = column(2)
    state: Mapped[str] = column(2)
    found_at: Mapped[datetime] = column(2)
    seen_at: Mapped[datetime] = column(2)
    closed_at: Mapped[datetime | None] = column(2)
    closed_by: Mapped[UUID | None] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    closed_reason: Mapped[str | None] = column(4)


class Shift(Base):
    """A cashier's time at the till: a float at first, a count in the end; ``counted - expected`` needs a reason.

    Amounts are of cash alone; slips of the bank's terminal are counted by the bank.
    """

    __tablename__ = "shift"
    __table_args__ = (
        # One drawer, one pair of hands.
        Index("uq_shift_open", "staff_id", unique=True, postgresql_where=text("state = 'open'")),
        CheckConstraint("float_fen >= 0 AND (counted_fen IS NULL OR counted_fen >= 0)", name="not_negative"),
        CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL AND expected_fen IS NOT NULL AND counted_fen IS NOT NULL)",
            name="counted",
        ),
        CheckConstraint("counted_fen = expected_fen OR reason IS NOT NULL", name="reason"),
        Index("ix_shift_hospital", "hospital_id", "opened_at"),
    )
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    staff_id: Mapped[UUID] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    state: Mapped[str] = column(2)
    float_fen: Mapped[int] = column(2)
    opened_at: Mapped[datetime] = column(2)
    closed_at: Mapped[datetime | None] = column(2)
    expected_fen: Mapped[int | None] = column(2)
    counted_fen: Mapped[int | None] = column(2)
    reason: Mapped[str | None] = column(2)


class TillMovement(Base):
    """Money a cashier took (positive, of an attempt) or gave back (negative, of a refund) in an open shift.

    ``given_fen`` is what the patient put down in cash; the change is ``given_fen - amount_fen``. ``reference`` is the
    slip's number of the bank's terminal. A trigger refuses rows of a closed shift, and any change.
    """

    __tablename__ = "till_movement"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="something"),
        CheckConstraint(
            "num_nonnulls(attempt_id, refund_id) = 1 AND (attempt_id IS NOT NULL) = (amount_fen > 0)", name="of_what"
        ),
        CheckConstraint("(way = 'CARD') = (reference IS NOT NULL)", name="slip"),
        CheckConstraint("given_fen IS NULL OR given_fen >= amount_fen", name="enough"),
        UniqueConstraint("hospital_id", "reference"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    shift_id: Mapped[UUID] = column(2, ForeignKey("shift.id", ondelete="RESTRICT"), index=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    attempt_id: Mapped[UUID | None] = column(3, ForeignKey("attempt.id", ondelete="RESTRICT"), unique=True)
    refund_id: Mapped[UUID | None] = column(3, ForeignKey("refund.id", ondelete="RESTRICT"), unique=True)
    way: Mapped[str] = column(2)
    amount_fen: Mapped[int] = column(4)
    given_fen: Mapped[int | None] = column(4)
    reference: Mapped[str | None] = column(4)
    at: Mapped[datetime] = column(3)


class CaptureSeen(Base):
    """That a code was read, by a keyed digest: the same one is not charged twice. The code itself is kept nowhere."""

    __tablename__ = "capture_seen"
    digest: Mapped[bytes] = column(5, primary_key=True)
    terminal_id: Mapped[UUID | None] = column(2, ForeignKey("terminal.id", ondelete="RESTRICT"))
    at: Mapped[datetime] = column(2, index=True)


class CodeWait(Base):
    """A terminal waits for one code, to charge this much of this visit; ``said`` is why the last one did not serve.

    ``out_trade_no``: the order's number in advance, which WeChat's face terminal must be told before it looks.
    ``part_id``: what it waits for instead is the insurance certificate for that settlement, and nothing is charged.
    """

    __tablename__ = "code_wait"
    terminal_id: Mapped[UUID] = column(2, ForeignKey("terminal.id", ondelete="RESTRICT"), primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"))
    staff_id: Mapped[UUID | None] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    idempotency_key: Mapped[str] = column(3)
    out_trade_no: Mapped[str] = column(4)
    amount_fen: Mapped[int] = column(4)
    share: Mapped[int | None] = column(2)
    lines: Mapped[list[str]] = column(5, server_default=text("'[]'"))
    part_id: Mapped[UUID | None] = column(3, ForeignKey("insurance_part.id", ondelete="RESTRICT"))
    until: Mapped[datetime] = column(2)
    said: Mapped[str | None] = column(2)


class KioskTurn(Base):
    """Whose visit a kiosk shows, since when, until nobody touches it any more; the kiosk itself keeps nothing."""

    __tablename__ = "kiosk_turn"
    terminal_id: Mapped[UUID] = column(2, ForeignKey("terminal.id", ondelete="RESTRICT"), primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"))
    since: Mapped[datetime] = column(2)
    until: Mapped[datetime] = column(2)
