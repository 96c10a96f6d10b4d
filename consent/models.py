"""The tables of consent: letters, how long they were read, what was signed, and the chain that betrays a change."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Letter(Base):
    """One version of a hospital's letter; never edited. ``regions`` is a list of ``{code, title, text}``."""

    __tablename__ = "letter"
    __table_args__ = (UniqueConstraint("hospital_id", "version"), UniqueConstraint("hospital_id", "sha256"))
    id: Mapped[UUID] = column(1, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    version: Mapped[int] = column(1)
    label: Mapped[str] = column(1)
    title: Mapped[str] = column(1)
    regions: Mapped[list[Any]] = column(1, JSONB)
    sha256: Mapped[str] = column(1)
    published_at: Mapped[datetime] = column(1)


class Reading(Base):
    """One reading of the letter for one patient; the server's clock decides when the pen is handed over.

    ``steps`` (page by page, without JavaScript) holds region → when the server showed it and when it was left;
    ``seen`` is what the page told (visible seconds, regions, scroll end): evidence, never authority.
    """

    __tablename__ = "reading"
    __table_args__ = (Index("ix_reading_patient", "patient_id", "hospital_id"),)
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    letter_id: Mapped[UUID] = column(1, ForeignKey("letter.id", ondelete="RESTRICT"))
    opened_by: Mapped[str] = column(3)
    channel: Mapped[str] = column(2)
    device: Mapped[str] = column(3)
    elder: Mapped[bool] = column(3)
    state: Mapped[str] = column(3)
    needed: Mapped[dict[str, Any]] = column(2)
    rate: Mapped[int] = column(2)
    minimum: Mapped[int] = column(2)
    steps: Mapped[dict[str, Any]] = column(3)
    seen: Mapped[dict[str, Any]] = column(3)
    opened_at: Mapped[datetime] = column(3)
    expires_at: Mapped[datetime] = column(3)
    closed_at: Mapped[datetime | None] = column(3)
    handover_digest: Mapped[bytes | None] = column(5, unique=True)
    handover_until: Mapped[datetime | None] = column(3)
    handed_to: Mapped[list[str]] = column(3)


class SignCode(Base):
    """The code by which somebody who cannot draw signs with the name; few tries, kept as a keyed digest."""

    __tablename__ = "sign_code"
    __table_args__ = (Index("ix_sign_code_reading", "reading_id", "sent_at"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    reading_id: Mapped[UUID] = column(3, ForeignKey("reading.id", ondelete="RESTRICT"))
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    code_digest: Mapped[bytes] = column(5)
    sent_at: Mapped[datetime] = column(2)
    expires_at: Mapped[datetime] = column(2)
    tries: Mapped[int] = column(2)
    used_at: Mapped[datetime | None] = column(2)


class Contract(Base):
    """A signed letter: stands between patient and hospital until withdrawn; a new signing is a new contract.

    ``signer_id`` is empty for a relative at the bedside who is known only by the name in the evidence; ``witness_id``
    is the member of staff who held the tablet and checked who signed.
    ``guardian_until``: a guardian's signature for a minor carries until that day (full age). ``seal_*`` count the tries
    of signing and timestamping the documents.
    """

    __tablename__ = "contract"
    __table_args__ = (
        Index(
            "uq_contract_standing",
            "hospital_id",
            "patient_id",
            unique=True,
            postgresql_where=text("state <> 'withdrawn'"),
        ),
        Index("ix_contract_unsealed", "seal_at", postgresql_where=text("seal_at IS NOT NULL")),
        CheckConstraint("state IN ('signed', 'sealed', 'suspended', 'withdrawn')", name="state"),
        CheckConstraint("role IN ('patient', 'proxy', 'guardian')", name="role"),
        CheckConstraint("role <> 'patient' OR signer_id = patient_id", name="own_hand"),
        CheckConstraint("signer_id IS NOT NULL OR witness_id IS NOT NULL", name="known_or_witnessed"),
        CheckConstraint("method IN ('strokes', 'code')", name="method"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    letter_id: Mapped[UUID] = column(1, ForeignKey("letter.id", ondelete="RESTRICT"))
    reading_id: Mapped[UUID] = column(3, ForeignKey("reading.id", ondelete="RESTRICT"), unique=True)
    signer_id: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    witness_id: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    role: Mapped[str] = column(3)
    relation: Mapped[str | None] = column(3)
    method: Mapped[str] = column(3)
    channel: Mapped[str] = column(2)
    state: Mapped[str] = column(3)
    guardian_until: Mapped[date | None] = column(4)
    signed_at: Mapped[datetime] = column(3)
    countersign: Mapped[bool] = column(2)
    countersigned_at: Mapped[datetime | None] = column(3)
    countersigned_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    sealed_at: Mapped[datetime | None] = column(3)
    withdrawn_at: Mapped[datetime | None] = column(3)
    withdrawn_by: Mapped[str | None] = column(3)
    seal_at: Mapped[datetime | None] = column(2)
    seal_tries: Mapped[int] = column(2)
    seal_trouble: Mapped[str | None] = column(2)


class Suspension(Base):
    """A pause of the service for one person (arrears, the city); signing again is no way out of it."""

    __tablename__ = "suspension"
    __table_args__ = (
        Index("ix_suspension_patient", "patient_id", "hospital_id", postgresql_where=text("lifted_at IS NULL")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    reason: Mapped[str] = column(4)
    since: Mapped[datetime] = column(3)
    until: Mapped[datetime | None] = column(3)
    lifted_at: Mapped[datetime | None] = column(3)


class CreditAnswer(Base):
    """What the city's credit platform last said of a person, and when; ``serious`` is its word, not ours."""

    __tablename__ = "credit_answer"
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    serious: Mapped[bool] = column(5)
    reference: Mapped[str] = column(4)
    asked_at: Mapped[datetime] = column(4)


class Evidence(Base):
    """One link of a hospital's chain: the body is sealed, its digest and the link before make this link's digest."""

    __tablename__ = "evidence"
    __table_args__ = (Index("ix_evidence_contract", "contract_id"), Index("ix_evidence_reading", "reading_id"))
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), primary_key=True)
    seq: Mapped[int] = column(2, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = column(3)
    kind: Mapped[str] = column(3)
    reading_id: Mapped[UUID | None] = column(3)
    contract_id: Mapped[UUID | None] = column(3)
    body_sealed: Mapped[bytes] = column(5)
    body_sha256: Mapped[str] = column(3)
    previous: Mapped[str] = column(2)
    link: Mapped[str] = column(2)


class EvidenceHead(Base):
    """The end of a hospital's chain; its row lock is what numbers the links."""

    __tablename__ = "evidence_head"
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), primary_key=True)
    seq: Mapped[int] = column(2)
    link: Mapped[str] = column(2)


class SealedDocument(Base):
    """The signed, timestamped papers of a contract: what a court would be handed."""

    __tablename__ = "sealed_document"
    contract_id: Mapped[UUID] = column(3, ForeignKey("contract.id", ondelete="RESTRICT"), primary_key=True)
    bundle_sealed: Mapped[bytes] = column(5)
    bundle_sha256: Mapped[str] = column(3)
    pdf_sealed: Mapped[bytes] = column(5)
    pdf_sha256: Mapped[str] = column(3)
    made_at: Mapped[datetime] = column(3)
