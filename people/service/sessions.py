"""Who is logged in: a session begins with a proof, is a random token kept as a digest, and ends when told."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from kernel.clock import china_day
from kernel.crypto import UnreadableError, Vault, digest
from kernel.db import Tx
from kernel.errors import HoufuError, Kind
from kernel.ids import token
from people.events import SessionsEnded, WeChatLeft
from people.models import Hospital, Person, Session, Staff, Terminal, WeChatClaim, WeChatLogin
from people.rules import ALONE_FROM_AGE, SILENCE, Actor, ActorKind, Role, age_on, birth_of, is_id_number
from people.service import codes, terminals
from people.service.patients import id_number_index, name_of, new_person, phone_index, set_phone

PERSON_LIVES = timedelta(days=30)
STAFF_LIVES = timedelta(hours=12)
KIOSK_LIVES = timedelta(days=365)
TICKET_LIVES = timedelta(minutes=10)
PIN_TRIES = 5
PIN_REST = timedelta(minutes=15)
NAME_AT_MOST = 30


class LoginExpiredError(HoufuError):
    """The steps of logging in took too long or were already finished: begin again."""

    code = "login_expired"
    kind = Kind.CONFLICT


class BadIdNumberError(HoufuError):
    """The name is missing, or the identity number fails its own check digit."""

    code = "bad_id_number"


class TooYoungError(HoufuError):
    """Under fourteen: a guardian comes along and logs in with their own number."""

    code = "too_young"
    kind = Kind.FORBIDDEN


class WrongPinError(HoufuError):
    """No such member of staff, or another PIN; the two are answered alike."""

    code = "wrong_pin"
    kind = Kind.UNAUTHENTICATED


class TooManyTriesError(HoufuError):
    """Tried too often; a rest is due."""

    code = "too_many_tries"
    kind = Kind.TOO_MANY


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new session. ``proven``: a hospital's record stands behind this person (always so for staff)."""

    token: str = field(repr=False)
    expires: datetime
    actor: Actor
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Ticket:
    """What somebody has proved so far: a phone (``code_id``), a WeChat identity, or both."""

    phone: str | None = field(default=None, repr=False)
    code_id: UUID | None = None
    appid: str | None = None
    openid: str | None = field(default=None, repr=False)


def seal_ticket(vault: Vault, ticket: Ticket, until: datetime) -> str:
    """A ticket as text for a hidden form field, unreadable and unforgeable."""
    plain = {
        "phone": ticket.phone,
        "code": str(ticket.code_id) if ticket.code_id else None,
        "appid": ticket.appid,
        "openid": ticket.openid,
    }
    return seal_json(vault, plain, until, "login-ticket")


def open_ticket(vault: Vault, sealed: str, now: datetime) -> Ticket:
    """Read a ticket back.

    Raises:
        LoginExpiredError: forged or too old.
    """
    plain = open_json(vault, sealed, now, "login-ticket")
    code = plain["code"]
    return Ticket(plain["phone"], UUID(code) if code else None, plain["appid"], plain["openid"])


def seal_json(vault: Vault, plain: dict[str, Any], until: datetime, purpose: str) -> str:
    """Seal small JSON for a trip through the browser, good until then."""
    text = json.dumps({**plain, "until": until.timestamp()})
    return base64.urlsafe_b64encode(vault.seal(text, purpose)).decode()


def open_json(vault: Vault, sealed: str, now: datetime, purpose: str) -> dict[str, Any]:
    """Read back what ``seal_json`` made.

    Raises:
        LoginExpiredError: forged, for another purpose, or too old.
    """
    try:
        plain: dict[str, Any] = json.loads(vault.open(base64.urlsafe_b64decode(sealed), purpose))
    except (UnreadableError, ValueError):
        raise LoginExpiredError from None
    if plain.pop("until") < now.timestamp():
        raise LoginExpiredError
    return plain


async def begin(tx: Tx, person: Person) -> LoggedIn:
    """Log a person in, with a token nobody has seen before."""
    fresh, expires = token(), tx.now + PERSON_LIVES
    tx.add(Session(token_digest=digest(fresh), person_id=person.id, created_at=tx.now, expires_at=expires))
    proven = person.id_number_index is not None
    return LoggedIn(fresh, expires, Actor(ActorKind.PERSON, person.id), proven)


async def begin_staff(tx: Tx, staff_id: UUID) -> LoggedIn:
    """Log a member of staff in whose PIN was right: their failed tries are forgotten."""
    staff = await tx.get(Staff, staff_id, lock=True)
    if staff is None or not staff.active:
        raise WrongPinError
    staff.failures, staff.failed_at = 0, None
    fresh, expires = token(), tx.now + STAFF_LIVES
    tx.add(Session(token_digest=digest(fresh), staff_id=staff.id, created_at=tx.now, expires_at=expires))
    return LoggedIn(fresh, expires, _staff_actor(staff))


async def begin_kiosk(tx: Tx, terminal: Terminal) -> LoggedIn:
    """The browser of a kiosk from now on speaks for it; an older one of the same kiosk no longer does."""
    older = update(Session).where(Session.terminal_id == terminal.id, Session.ended_at.is_(None))
    await tx.session.execute(older.values(ended_at=tx.now))
    fresh, expires = token(), tx.now + KIOSK_LIVES
    tx.add(Session(token_digest=digest(fresh), terminal_id=terminal.id, created_at=tx.now, expires_at=expires))
    return LoggedIn(fresh, expires, terminals.actor_of(terminal))


async def caller_of(tx: Tx, given: str) -> Actor | None:
    """Whose session this token is; ``None`` when it is nobody's, has run out or was ended."""
    found = await tx.get(Session, digest(given))
    if found is None or found.ended_at is not None or found.expires_at <= tx.now:
        return None
    if found.staff_id is not None:
        staff = await tx.get(Staff, found.staff_id)
        return _staff_actor(staff) if staff is not None and staff.active else None
    if found.terminal_id is not None:
        terminal = await tx.get(Terminal, found.terminal_id)
        return terminals.actor_of(terminal) if terminal is not None and terminal.active else None
    return Actor(ActorKind.PERSON, found.person_id) if found.person_id is not None else None


async def live(tx: Tx, digests: Sequence[bytes]) -> frozenset[bytes]:
    """Those of these logins, by the digests of their tokens, that have neither run out nor been ended."""
    query = select(Session.token_digest).where(
        Session.token_digest.in_(digests), Session.ended_at.is_(None), Session.expires_at > tx.now
    )
    return frozenset(await tx.session.scalars(query)) if digests else frozenset()


async def end(tx: Tx, given: str) -> None:
    """Log out: the token is worth nothing from now on."""
    found = await tx.get(Session, digest(given), lock=True)
    if found is not None and found.ended_at is None:
        found.ended_at = tx.now
        if found.person_id is not None:
            tx.ring(SessionsEnded(Actor(ActorKind.PERSON, found.person_id).viewer))
        elif found.staff_id is not None:
            tx.ring(SessionsEnded(Actor(ActorKind.STAFF, found.staff_id).viewer))


async def end_all(tx: Tx, person_id: UUID) -> None:
    """End every session of a person (a lost phone)."""
    query = update(Session).where(Session.person_id == person_id, Session.ended_at.is_(None)).values(ended_at=tx.now)
    await tx.session.execute(query)
    tx.ring(SessionsEnded(Actor(ActorKind.PERSON, person_id).viewer))


async def forget_devices(tx: Tx, person_id: UUID) -> None:
    """No phone lets this person in by itself any more: not by a session, not by the WeChat account on it."""
    # First the accounts: who is coming in by one at this moment is waited for, and their session found below.
    gone = delete(WeChatLogin).where(WeChatLogin.person_id == person_id).returning(WeChatLogin.openid_index)
    left = (await tx.session.execute(gone)).all()
    await end_all(tx, person_id)
    if left:
        await tx.emit(WeChatLeft(person_id))


def _staff_actor(staff: Staff) -> Actor:
    return Actor(ActorKind.STAFF, staff.id, staff.hospital_id, Role(staff.role), staff.department)


async def with_phone(tx: Tx, phone: str) -> list[Person]:
    """Who may log in by this phone, oldest row first; children go through a guardian, who often shares it.

    Whose number was not proven for long is left out, as if nobody had it: the operator may have given it away since.
    They say name and identity number, as somebody new does, and are found by those (``enrol``).
    """
    query = (
        select(Person)
        .where(Person.phone_index == phone_index(tx, phone), Person.phone_at > tx.now - SILENCE)
        .order_by(Person.created_at, Person.id)
    )
    today = china_day(tx.now)
    found = await tx.session.scalars(query)
    return [p for p in found if p.birth_date is None or age_on(p.birth_date, today) >= ALONE_FROM_AGE]


async def by_wechat(tx: Tx, openid: str, appid: str) -> Person | None:
    """The person behind a WeChat identity in one app."""
    row = await tx.get(WeChatLogin, tx.vault.index("openid", f"{appid}/{openid}"), lock=True)
    return None if row is None else await tx.get(Person, row.person_id)


async def openid_of(tx: Tx, person_id: UUID, appid: str) -> str | None:
    """Under which identity WeChat knows a person in one app; needed to pay and to write to them there."""
    query = select(WeChatLogin).where(WeChatLogin.person_id == person_id, WeChatLogin.appid == appid)
    row = (await tx.session.scalars(query.order_by(WeChatLogin.openid_index).limit(1))).first()
    return None if row is None else tx.vault.open(row.openid_sealed, "wechat_login", row.openid_index.hex())


async def link_wechat(tx: Tx, person: Person, openid: str, appid: str) -> None:
    """From now on this WeChat identity logs this person in, whoever it was before; it is their only one in this app.

    A new WeChat account takes the old one's place: that logs nobody in any more, and what it began ends at once.
    """
    index = tx.vault.index("openid", f"{appid}/{openid}")
    older = (
        delete(WeChatLogin)
        .where(WeChatLogin.person_id == person.id, WeChatLogin.appid == appid, WeChatLogin.openid_index != index)
        .returning(WeChatLogin.openid_index)
    )
    left = {person.id} if (await tx.session.execute(older)).all() else set()
    if left:
        await end_all(tx, person.id)
    whose = select(WeChatLogin.person_id).where(WeChatLogin.openid_index == index).with_for_update()
    before = await tx.session.scalar(whose)
    if before is not None and before != person.id:
        left.add(before)
    sealed = tx.vault.seal(openid, "wechat_login", index.hex())
    row = insert(WeChatLogin).values(openid_index=index, appid=appid, openid_sealed=sealed, person_id=person.id)
    changed = row.on_conflict_do_update(index_elements=["openid_index"], set_={"person_id": person.id})
    await tx.session.execute(changed)
    for one in sorted(left):
        await tx.emit(WeChatLeft(one))


async def claim_state(tx: Tx, state: str) -> bool:
    """Write down that this return from WeChat is being taken: true once."""
    row = insert(WeChatClaim).values(state_digest=digest(state), at=tx.now).on_conflict_do_nothing()
    return (await tx.session.execute(row.returning(WeChatClaim.state_digest))).first() is not None


async def enter(tx: Tx, ticket: Ticket, person: Person) -> LoggedIn:
    """The last step: the proof is used up, WeChat linked if it came along, the session begun.

    Raises:
        LoginExpiredError: the code was proved too long ago or has been used for a session.
    """
    if ticket.code_id is None or not await codes.finish(tx, ticket.code_id, TICKET_LIVES):
        raise LoginExpiredError
    # The phone may have become somebody else's since it was proved: two steps lie between.
    held = await tx.get(Person, person.id, lock=True)
    if held is None or ticket.phone is None or held.phone_index != phone_index(tx, ticket.phone):
        raise LoginExpiredError
    person.phone_at = tx.now
    if ticket.openid is not None and ticket.appid is not None:
        await link_wechat(tx, person, ticket.openid, ticket.appid)
    return await begin(tx, person)


async def enrol(tx: Tx, ticket: Ticket, name: str, id_number: str) -> Person:
    """Somebody we do not know yet says who they are.

    With the hospital's record of that number carrying the same name and the proved phone, they are that person.
    Otherwise they get a row of their own that cannot claim the record: whether there is one is not told.

    Raises:
        BadIdNumberError: no name, or not an identity number.
        TooYoungError: a child's number.
        LoginExpiredError: no phone was proved.
    """
    name, id_number = name.strip(), id_number.strip().upper()
    if not 0 < len(name) <= NAME_AT_MOST or not is_id_number(id_number):
        raise BadIdNumberError
    if ticket.phone is None:
        raise LoginExpiredError
    born = birth_of(id_number)
    if born is None or age_on(born, china_day(tx.now)) < 0:
        raise BadIdNumberError
    if age_on(born, china_day(tx.now)) < ALONE_FROM_AGE:
        raise TooYoungError
    identity, phone = id_number_index(tx, id_number), phone_index(tx, ticket.phone)
    query = select(Person).where(
        Person.phone_index == phone, or_(Person.id_number_index == identity, Person.claimed_index == identity)
    )
    for known in await tx.session.scalars(query.order_by(Person.created_at)):
        if name_of(tx, known) == name:
            return known
    person = new_person(tx, name)
    person.claimed_index = identity
    set_phone(tx, person, ticket.phone)
    return tx.add(person)


async def claim_pin_try(tx: Tx, hospital_code: str | None, login: str) -> tuple[UUID, bytes] | None:
    """Count a try of a staff login before the PIN is looked at.

    Returns: the member's id and kept PIN hash; ``None`` when there is no such member (check a PIN anyway).

    Raises:
        TooManyTriesError: five wrong ones within a quarter of an hour.
    """
    query = select(Staff.id).where(Staff.login == login, Staff.active, Staff.pin_hash != b"")
    if hospital_code is not None:
        query = query.join(Hospital, Hospital.id == Staff.hospital_id).where(Hospital.code == hospital_code)
    ids = list(await tx.session.scalars(query.limit(2)))
    if len(ids) != 1:
        return None
    staff = await tx.get(Staff, ids[0], lock=True)
    if staff is None:
        return None
    if staff.failed_at is None or staff.failed_at <= tx.now - PIN_REST:
        staff.failures = 0
    if staff.failures >= PIN_TRIES:
        raise TooManyTriesError
    staff.failures, staff.failed_at = staff.failures + 1, tx.now
    return staff.id, staff.pin_hash
