"""The tables of people: hospitals and their staff, patients and relatives, sessions, and who may see whom."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from kernel.db import Base, column


class Hospital(Base):
    """A hospital that uses the service; ``settings`` holds its ``HospitalSettings``."""

    __tablename__ = "hospital"
    id: Mapped[UUID] = column(2, primary_key=True)
    code: Mapped[str] = column(1, unique=True)
    name: Mapped[str] = column(1)
    city: Mapped[str] = column(1)
    phone: Mapped[str] = column(1)
    address: Mapped[str] = column(1)
    his_url: Mapped[str] = column(2)
    settings: Mapped[dict[str, Any]] = column(2)


class Catalogue(Base):
    """What a hospital's file says beside its people and places (desks, prices, orders, slots); read seldom, whole."""

    __tablename__ = "catalogue"
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), primary_key=True)
    document: Mapped[dict[str, Any]] = column(2)


class HisKey(Base):
    """A key for talking with the hospital's system; several inbound ones may be valid at once (rotation)."""

    __tablename__ = "his_key"
    __table_args__ = (CheckConstraint("direction IN ('in', 'out')", name="direction"),)
    id: Mapped[str] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    direction: Mapped[str] = column(2)
    secret_sealed: Mapped[bytes] = column(5)
    active: Mapped[bool] = column(2, server_default=text("true"))


class Department(Base):
    """A department; ``sensitive`` is the category its things fall into unless an order says otherwise."""

    __tablename__ = "department"
    __table_args__ = (UniqueConstraint("hospital_id", "code"),)
    id: Mapped[UUID] = column(1, primary_key=True)
    hospital_id: Mapped[UUID] = column(1, ForeignKey("hospital.id", ondelete="RESTRICT"))
    code: Mapped[str] = column(1)
    name: Mapped[str] = column(1)
    kind: Mapped[str] = column(1)
    place: Mapped[str] = column(1)
    sensitive: Mapped[str | None] = column(1)
    active: Mapped[bool] = column(1, server_default=text("true"))


class Terminal(Base):
    """A machine that reads codes: a ``scanner`` at a desk, a ``kiosk``, or a ``face`` terminal; signs by its secret."""

    __tablename__ = "terminal"
    __table_args__ = (CheckConstraint("kind IN ('scanner', 'kiosk', 'face')", name="kind"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = column(2, unique=True)
    kind: Mapped[str] = column(2)
    place: Mapped[str] = column(1)
    secret_sealed: Mapped[bytes] = column(5)
    active: Mapped[bool] = column(2, server_default=text("true"))


class Staff(Base):
    """A member of staff; logs in with a name and a PIN. ``pin_hash`` empty: none chosen yet, nobody gets in."""

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("hospital_id", "login"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    login: Mapped[str] = column(3)
    name: Mapped[str] = column(3)
    role: Mapped[str] = column(2)
    department: Mapped[str | None] = column(2)
    pin_hash: Mapped[bytes] = column(5)
    active: Mapped[bool] = column(2, server_default=text("true"))
    failures: Mapped[int] = column(2, server_default=text("0"))
    failed_at: Mapped[datetime | None] = column(2)


class Person(Base):
    """A patient or a relative; one row per human being as far as we can know.

    ``id_number_index`` is there only when the number is proven (said by a hospital); what somebody merely claims
    stands in ``claimed_index``. ``twin_of`` flags for staff that another row holds the same identity number: we never
    merge rows ourselves. ``phone_at``: when the number was last proven, or first told by a hospital; after a long
    silence the operator may have given it to somebody else.
    """

    __tablename__ = "person"
    __table_args__ = (
        Index("ix_person_phone_index", "phone_index"),
        CheckConstraint("sex IN ('F', 'M') OR sex IS NULL", name="sex"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    name_sealed: Mapped[bytes] = column(4)
    name_masked: Mapped[str] = column(3)
    id_number_sealed: Mapped[bytes | None] = column(5)
    id_number_index: Mapped[bytes | None] = column(5, unique=True)
    claimed_index: Mapped[bytes | None] = column(5, index=True)
    twin_of: Mapped[UUID | None] = column(3)
    phone_sealed: Mapped[bytes | None] = column(4)
    phone_index: Mapped[bytes | None] = column(4)
    phone_at: Mapped[datetime | None] = column(3)
    birth_date: Mapped[date | None] = column(4)
    sex: Mapped[str | None] = column(3)
    care_mode: Mapped[bool] = column(3, server_default=text("false"))
    created_at: Mapped[datetime] = column(2)


class PatientNumber(Base):
    """The number under which a hospital knows a person."""

    __tablename__ = "patient_number"
    id: Mapped[UUID] = column(3, primary_key=True)
    hospital_id: Mapped[UUID] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    number: Mapped[str] = column(4)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)


class WeChatLogin(Base):
    """The WeChat identity of a person in one official account or mini-program."""

    __tablename__ = "wechat_login"
    openid_index: Mapped[bytes] = column(5, primary_key=True)
    appid: Mapped[str] = column(1)
    openid_sealed: Mapped[bytes] = column(5)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)


class WeChatClaim(Base):
    """A return from WeChat's login page is taken once: the first to write its state down may exchange the code."""

    __tablename__ = "wechat_claim"
    state_digest: Mapped[bytes] = column(5, primary_key=True)
    at: Mapped[datetime] = column(2)


class WeChatToken(Base):
    """What WeChat lets one of our apps call with (access token, page ticket): fetched by one process, used by all."""

    __tablename__ = "wechat_token"
    name: Mapped[str] = column(2, primary_key=True)
    value_sealed: Mapped[bytes] = column(5)
    expires_at: Mapped[datetime] = column(2)


class WeChatFollower(Base):
    """Who follows an official account, as it last told us; messages reach nobody else."""

    __tablename__ = "wechat_follower"
    openid_index: Mapped[bytes] = column(5, primary_key=True)
    appid: Mapped[str] = column(1)
    follows: Mapped[bool] = column(3)
    at: Mapped[datetime] = column(3)


class WeChatMessage(Base):
    """A message the account's server has brought us: taken once, and answered alike when it comes again."""

    __tablename__ = "wechat_message"
    key: Mapped[bytes] = column(3, primary_key=True)
    at: Mapped[datetime] = column(2, index=True)
    answer_sealed: Mapped[bytes] = column(5)


class WeChatScene(Base):
    """Where a QR code of the official account leads, for a short while; ``url_sealed``: what WeChat made of it."""

    __tablename__ = "wechat_scene"
    scene_digest: Mapped[bytes] = column(5, primary_key=True)
    path_index: Mapped[bytes] = column(5, index=True)
    path_sealed: Mapped[bytes] = column(5)
    purpose: Mapped[str] = column(2)
    url_sealed: Mapped[bytes | None] = column(5)
    expires_at: Mapped[datetime] = column(2, index=True)


class Session(Base):
    """A login of a person, a member of staff or a kiosk; the cookie holds the token, we hold its digest."""

    __tablename__ = "session"
    __table_args__ = (CheckConstraint("num_nonnulls(person_id, staff_id, terminal_id) = 1", name="whose"),)
    token_digest: Mapped[bytes] = column(5, primary_key=True)
    person_id: Mapped[UUID | None] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    staff_id: Mapped[UUID | None] = column(2, ForeignKey("staff.id", ondelete="RESTRICT"))
    terminal_id: Mapped[UUID | None] = column(2, ForeignKey("terminal.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime] = column(2)
    expires_at: Mapped[datetime] = column(2)
    ended_at: Mapped[datetime | None] = column(2)


class LoginCode(Base):
    """A code sent by SMS: short-lived, single use, few tries, kept as a digest."""

    __tablename__ = "login_code"
    __table_args__ = (Index("ix_login_code_phone_sent", "phone_index", "sent_at"),)
    id: Mapped[UUID] = column(2, primary_key=True)
    phone_index: Mapped[bytes] = column(4)
    code_digest: Mapped[bytes] = column(5)
    purpose: Mapped[str] = column(2)
    sent_at: Mapped[datetime] = column(2)
    expires_at: Mapped[datetime] = column(2)
    tries: Mapped[int] = column(2)
    used_at: Mapped[datetime | None] = column(2)
    finished_at: Mapped[datetime | None] = column(2)


class PhoneChange(Base):
    """A person has another telephone number: said by themselves with both phones, or at a desk by two of its staff.

    ``document``: what the desk saw. The number is kept until the change is done or refused, and is then forgotten here.
    """

    __tablename__ = "phone_change"
    __table_args__ = (
        CheckConstraint("(asked_by IS NULL) = (hospital_id IS NULL)", name="desk_of_a_hospital"),
        CheckConstraint("confirmed_by <> asked_by", name="two_people"),
        CheckConstraint("state <> 'done' OR asked_by IS NULL OR confirmed_by IS NOT NULL", name="confirmed"),
        CheckConstraint("(phone_sealed IS NULL) = (state <> 'asked')", name="number_while_asked"),
        Index("uq_phone_change_asked", "person_id", unique=True, postgresql_where=text("state = 'asked'")),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    hospital_id: Mapped[UUID | None] = column(2, ForeignKey("hospital.id", ondelete="RESTRICT"))
    phone_sealed: Mapped[bytes | None] = column(4)
    document: Mapped[str | None] = column(4)
    asked_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    confirmed_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    state: Mapped[str] = column(3)
    asked_at: Mapped[datetime] = column(3)
    ended_at: Mapped[datetime | None] = column(3)


class Grant(Base):
    """What one relative may see and do for one patient; ``visit_id`` empty means standing.

    ``calls``: the patient's telephone number is shown to the relative. ``cap_fen`` and ``ask_first`` bind payments
    under it; grants that were made together share a ``bond`` and are ended together. How it was proven that this pair
    may be bound: ``proof`` (``people.rules.ProofKind``), ``proven_by`` (the member of staff who was there),
    ``document`` (the paper they saw).
    """

    __tablename__ = "grant"
    __table_args__ = (
        Index("ix_grant_pair", "patient_id", "person_id"),
        Index("ix_grant_person", "person_id"),
        CheckConstraint("patient_id <> person_id", name="not_oneself"),
    )
    id: Mapped[UUID] = column(3, primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    kind: Mapped[str] = column(3)
    relation: Mapped[str] = column(3)
    depth: Mapped[int] = column(3)
    opened: Mapped[list[str]] = column(4)
    visit_id: Mapped[UUID | None] = column(3)
    calls: Mapped[bool] = column(3, server_default=text("false"))
    cap_fen: Mapped[int | None] = column(4)
    ask_first: Mapped[bool] = column(3, server_default=text("false"))
    proof: Mapped[str] = column(3, server_default=text("'invitation'"))
    proven_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    document: Mapped[str | None] = column(4)
    bond: Mapped[UUID] = column(3, index=True)
    until: Mapped[datetime | None] = column(3)
    state: Mapped[str] = column(3)
    created_at: Mapped[datetime] = column(3)
    ended_at: Mapped[datetime | None] = column(3)
    ended_by: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))


class Choice(Base):
    """A person agreed to something, or took it back: evidence, never changed; the one with the highest number counts.

    ``kind``: see ``people.rules.ChoiceKind``. ``version`` and ``text_sha256`` name the sentence that was read;
    ``witness``: the member of staff who read it to her and wrote down what she said.
    """

    __tablename__ = "choice"
    person_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    kind: Mapped[str] = column(2, primary_key=True)
    number: Mapped[int] = column(2, primary_key=True, autoincrement=False)
    given: Mapped[bool] = column(3)
    version: Mapped[str] = column(1)
    text_sha256: Mapped[bytes] = column(1)
    chosen_by: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    witness: Mapped[UUID | None] = column(3, ForeignKey("staff.id", ondelete="RESTRICT"))
    at: Mapped[datetime] = column(3)


class Look(Base):
    """One look of somebody at somebody else's visit; the patient can read these, for ``people.rules.LOOKS_KEPT``."""

    __tablename__ = "look"
    __table_args__ = (Index("ix_look_patient", "patient_id", "at"), Index("ix_look_at", "at"))
    id: Mapped[UUID] = column(3, primary_key=True)
    patient_id: Mapped[UUID] = column(3, ForeignKey("person.id", ondelete="RESTRICT"))
    viewer: Mapped[str] = column(3)
    viewer_name: Mapped[str] = column(3)
    relation: Mapped[str] = column(3, server_default=text("''"))
    visit_id: Mapped[UUID | None] = column(3)
    page: Mapped[str] = column(2)
    at: Mapped[datetime] = column(3)
