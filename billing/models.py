"""The tables of billing: charge items, rounds of paying, disputes, refund requests, the double-entry ledger."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class ChargeItem(Base):
    """One line of a bill with its proof trail. ``rank`` orders a pile newest first.

    Its five parts are the HIS's estimate until it is known who bears what; ``estimate`` keeps what that replaced.
    ``elsewhere``: {at, where, reference, paid_fen} of the hospital's window, said while the line is being paid here.
    ``refund`` is how the last request to have it paid back stands (``billing.rules.RefundWish``).
    ``far``: what was last told of it to companions who do not pay (``billing.service.shown.far_mark``).
    """

    __tablename__ = "charge_item"
    __table_args__ = (
        CheckConstraint(
            "fund_fen + account_fen + other_fen + hospital_fen + self_fen = amount_fen", name="split_adds_up"
        ),
        CheckConstraint(
            "least(amount_fen, fund_fen, account_fen, other_fen, hospital_fen, self_fen) >= 0", name="not_negative"
        ),
        # Ordered is not owed: nothing is owed or paid here that no department confirmed.
        CheckConstraint(
            "state NOT IN ('billable','disputed','covered','settled') OR executed_at IS NOT NULL", name="executed"
        ),
        # What nobody has done may be paid, and is not owed for it: done, it has left these two states.
        CheckConstraint("state NOT IN ('prepaying','prepaid') OR executed_at IS NULL", name="not_executed"),
        CheckConstraint(
            "(state IN ('covered','prepaying')) = (round_id IS NOT NULL AND settled_at IS NULL)", name="covered"
        ),
        Index("ix_charge_item_round", "round_id"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    number: Mapped[str] = column(3)
    order_id: Mapped[UUID | None] = column(3, ForeignKey("order.id", ondelete="RESTRICT"), index=True)
    item_code: Mapped[str] = column(3)
    name: Mapped[str] = column(5)
    department_name: Mapped[str] = column(3)
    quantity: Mapped[str] = column(3)
    unit_price_fen: Mapped[int] = column(2)
    amount_fen: Mapped[int] = column(4)
    fund_fen: Mapped[int] = column(4)
    account_fen: Mapped[int] = column(4)
    other_fen: Mapped[int] = column(4, server_default=text("0"))
    hospital_fen: Mapped[int] = column(4, server_default=text("0"))
    self_fen: Mapped[int] = column(4)
    estimate: Mapped[dict[str, Any] | None] = column(4)
    insurance_class: Mapped[str | None] = column(3)
    category: Mapped[str | None] = column(5)
    far: Mapped[str | None] = column(3)
    state: Mapped[str] = column(3)
    pay_first: Mapped[bool] = column(5)
    ordered_by: Mapped[str | None] = column(3)
    ordered_at: Mapped[datetime | None] = column(3)
    created_at: Mapped[datetime] = column(3)
    executed_by: Mapped[str | None] = column(3)
    executed_at: Mapped[datetime | None] = column(3)
    executed_where: Mapped[str | None] = column(3)
    reversed_at: Mapped[datetime | None] = column(3)
    round_id: Mapped[UUID | None] = column(3, ForeignKey("round.id", ondelete="RESTRICT"))
    settled_at: Mapped[datetime | None] = column(3)
    settled_where: Mapped[str | None] = column(3)
    settled_reference: Mapped[str | None] = column(4)
    elsewhere: Mapped[dict[str, Any] | None] = column(4)
    refund: Mapped[str | None] = column(4)
    rank: Mapped[int] = column(2)


class Round(Base):
    """One turn of paying a visit: the lines frozen together, and the cash they ask for until all of it is there.

    ``paid_fen`` has come, ``busy_fen`` is being paid now, what is left may be taken by whoever pays next. ``first``:
    its lines are paid before they are done, so the money is owed to who paid until then. ``insured``: the insurance
    settles first, and until it has, nothing is asked in cash. ``shared``: somebody cut it into shares, so it waits for
    all of them. ``number`` is the settlement's at the HIS; ``given_up_by`` what that person is to the patient.
    """

    __tablename__ = "round"
    __table_args__ = (
        # Whoever presses when: one live round of a visit, or the database says no.
        Index(
            "uq_round_live", "visit_id", unique=True, postgresql_where=text("state IN ('insuring', 'open', 'closing')")
        ),
        CheckConstraint("total_fen > 0 AND cash_fen >= 0", name="something"),
        CheckConstraint("paid_fen >= 0 AND busy_fen >= 0 AND paid_fen + busy_fen <= cash_fen", name="not_overpaid"),
        CheckConstraint("state NOT IN ('paid', 'settled') OR paid_fen = cash_fen", name="paid_whole"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    number: Mapped[str] = column(4, unique=True)
    charge_ids: Mapped[list[str]] = column(3)
    total_fen: Mapped[int] = column(4)
    cash_fen: Mapped[int] = column(4)
    paid_fen: Mapped[int] = column(4)
    busy_fen: Mapped[int] = column(4)
    shared: Mapped[bool] = column(3)
    first: Mapped[bool] = column(5, server_default=text("false"))
    insured: Mapped[bool] = column(4, server_default=text("false"))
    state: Mapped[str] = column(3)
    opened_by: Mapped[str] = column(3)
    opened_at: Mapped[datetime] = column(3)
    paid_at: Mapped[datetime | None] = column(3)
    settled_at: Mapped[datetime | None] = column(3)
    released_at: Mapped[datetime | None] = column(3)
    given_up_by: Mapped[str | None] = column(3)


class Dispute(Base):
    """One "I did not have this": who said so, until when an answer is due, and the answer."""

    __tablename__ = "dispute"
    __table_args__ = (Index("ix_dispute_open", "answer_by", postgresql_where="answered_at IS NULL"),)
    id: Mapped[UUID] = column(3, primary_key=True)
    charge_id: Mapped[UUID] = column(3, ForeignKey("charge_item.id", ondelete="RESTRICT"), index=True)
    said_by: Mapped[UUID] = column(3)
    reason: Mapped[str] = column(5)
    at: Mapped[datetime] = column(3)
    answer_by: Mapped[datetime] = column(3)
    answered_at: Mapped[datetime | None] = column(3)
    answered_by: Mapped[UUID | None] = column(3)
    upheld: Mapped[bool | None] = column(3)


class RefundRequest(Base):
    """Somebody asks to have paid lines paid back: why, who, and what was answered by whom.

    ``asked_by`` is the asker (``person:…`` or ``staff:…`` for somebody who stands at the desk).
    """

    __tablename__ = "refund_request"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="something"),
        CheckConstraint("(state = 'requested') = (answered_at IS NULL)", name="answered"),
        CheckConstraint("state <> 'refused' OR answer IS NOT NULL", name="says_why"),
        # Four eyes: in the database too.
        CheckConstraint("answered_by IS NULL OR 'staff:' || answered_by::text <> asked_by", name="not_oneself"),
        Index("ix_refund_request_open", "hospital_id", "asked_at", postgresql_where=text("state = 'requested'")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    amount_fen: Mapped[int] = column(4)
    reason: Mapped[str] = column(5)
    state: Mapped[str] = column(3)
    asked_by: Mapped[str] = column(3)
    asked_at: Mapped[datetime] = column(3)
    answered_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    answered_at: Mapped[datetime | None] = column(3)
    answer: Mapped[str | None] = column(5)


class RefundLine(Base):
    """One line of a request. ``counts`` as long as the request was not refused: then the line may be asked for anew."""

    __tablename__ = "refund_line"
    __table_args__ = (
        # However many ask at once: a line is asked back once.
        Index("uq_refund_line", "charge_id", unique=True, postgresql_where=text("counts")),
    )
    request_id: Mapped[UUID] = column(3, ForeignKey("refund_request.id", ondelete="RESTRICT"), primary_key=True)
    charge_id: Mapped[UUID] = column(3, ForeignKey("charge_item.id", ondelete="RESTRICT"), primary_key=True)
    amount_fen: Mapped[int] = column(4)
    counts: Mapped[bool] = column(3)


class LedgerTransaction(Base):
    """One balanced posting; append-only. The id is derived from what it is about, so it can be posted only once."""

    __tablename__ = "ledger_transaction"
    # Rows come in the order of time, so that a day's lie together and the index is small.
    __table_args__ = (Index("ix_ledger_transaction_at", "at", postgresql_using="brin"),)
    id: Mapped[UUID] = column(3, primary_key=True)
    visit_id: Mapped[UUID] = column(3, ForeignKey("visit.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = column(2)
    reference: Mapped[str] = column(4)
    at: Mapped[datetime] = column(3)


class LedgerEntry(Base):
    """One side of a posting: debit positive, credit negative; the entries of a transaction add up to zero."""

    __tablename__ = "ledger_entry"
    __table_args__ = (CheckConstraint("amount_fen <> 0", name="not_zero"),)
    transaction_id: Mapped[UUID] = column(3, ForeignKey("ledger_transaction.id", ondelete="RESTRICT"), primary_key=True)
    account: Mapped[str] = column(2, primary_key=True)
    amount_fen: Mapped[int] = column(4)
