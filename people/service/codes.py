"""Codes by text message: six digits that prove a phone once, for five minutes, and are never kept readable."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select, text, update

from kernel.db import Tx
from kernel.errors import HoufuError, Kind
from kernel.ids import digits, new_id
from people.models import LoginCode
from people.rules import is_phone
from people.service.patients import phone_index

DIGITS = 6
LIVES = timedelta(minutes=5)
TRIES = 5
PER_HOUR = 5


class BadPhoneError(HoufuError):
    """Not a mainland mobile number."""

    code = "bad_phone"


class TooManyCodesError(HoufuError):
    """This phone has had its codes for the hour."""

    code = "too_many_codes"
    kind = Kind.TOO_MANY


class WrongCodeError(HoufuError):
    """The digits are not those that were sent."""

    code = "wrong_code"


class CodeExpiredError(HoufuError):
    """No code is waiting for this phone: too old, used, or tried too often."""

    code = "code_expired"


class Purpose(StrEnum):
    """What a code is for; a code for one is none for another."""

    LOGIN = "login"
    SIGN = "sign"
    BIND = "bind"
    OLD_PHONE = "old_phone"
    NEW_PHONE = "new_phone"


class Verdict(StrEnum):
    """How a try ended. Told rather than raised, so that the try is counted when the transaction commits."""

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A code just made; the digits are here and nowhere else."""

    id: UUID
    digits: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Try:
    """What a try came to, and of which code."""

    verdict: Verdict
    code_id: UUID | None = None

    def or_raise(self) -> UUID:
        """The code's id when it was right.

        Raises:
            WrongCodeError, CodeExpiredError: it was not.
        """
        if self.verdict is Verdict.RIGHT and self.code_id is not None:
            return self.code_id
        raise WrongCodeError if self.verdict is Verdict.WRONG else CodeExpiredError


async def make(tx: Tx, phone: str, purpose: Purpose) -> Fresh:
    """Make a code for this phone; the caller sends it after the commit. Earlier ones of the purpose end here.

    Raises:
        BadPhoneError: not a mobile number.
        TooManyCodesError: five within the hour.
    """
    if not is_phone(phone):
        raise BadPhoneError
    index = phone_index(tx, phone)
    # Two requests for one phone take turns, otherwise both would count four.
    await tx.session.execute(
        text("SELECT pg_advisory_xact_lock(:key)"), {"key": int.from_bytes(index[:8], "big", signed=True)}
    )
    recent = select(func.count()).where(LoginCode.phone_index == index, LoginCode.sent_at > tx.now - timedelta(hours=1))
    if (await tx.session.scalar(recent) or 0) >= PER_HOUR:
        raise TooManyCodesError
    await tx.session.execute(
        update(LoginCode)
        .where(LoginCode.phone_index == index, LoginCode.purpose == purpose, LoginCode.expires_at > tx.now)
        .values(expires_at=tx.now)
    )
    fresh = Fresh(new_id(), digits(DIGITS), tx.now + LIVES)
    tx.add(
        LoginCode(
            id=fresh.id,
            phone_index=index,
            code_digest=_digest(tx, fresh.id, index, fresh.digits),
            purpose=purpose,
            sent_at=tx.now,
            expires_at=fresh.expires_at,
            tries=0,
        )
    )
    return fresh


async def check(tx: Tx, phone: str, given: str, purpose: Purpose, *, spend: bool = True) -> Try:
    """Try a code: counted before it is compared, so that guesses made at once do not slip past the limit.

    Args:
        spend: the right one is used up by this; else by ``use``, once all else is right, too.
    """
    index = phone_index(tx, phone)
    claim = (
        update(LoginCode)
        .where(
            LoginCode.phone_index == index,
            LoginCode.purpose == purpose,
            LoginCode.expires_at > tx.now,
            LoginCode.used_at.is_(None),
            LoginCode.tries < TRIES,
        )
        .values(tries=LoginCode.tries + 1)
        .returning(LoginCode.id, LoginCode.code_digest)
    )
    found = (await tx.session.execute(claim)).first()
    if found is None:
        return Try(Verdict.EXPIRED)
    if found.code_digest != _digest(tx, found.id, index, given.strip()):
        return Try(Verdict.WRONG)
    if spend:
        await use(tx, found.id)
    return Try(Verdict.RIGHT, found.id)


async def use(tx: Tx, code_id: UUID) -> bool:
    """Use up a code that was right: true once, and only while it is good."""
    claim = (
        update(LoginCode)
        .where(LoginCode.id == code_id, LoginCode.used_at.is_(None), LoginCode.expires_at > tx.now)
        .values(used_at=tx.now)
        .returning(LoginCode.id)
    )
    return (await tx.session.execute(claim)).first() is not None


async def forget(tx: Tx, phone: str) -> None:
    """Whatever code waits for this phone is worth nothing any more: the number has changed hands."""
    waiting = update(LoginCode).where(
        LoginCode.phone_index == phone_index(tx, phone), LoginCode.expires_at > tx.now, LoginCode.used_at.is_(None)
    )
    await tx.session.execute(waiting.values(expires_at=tx.now))


async def void(tx: Tx, code_id: UUID) -> None:
    """The code could not be sent: it ends, and does not count against the phone."""
    code = await tx.get(LoginCode, code_id, lock=True)
    if code is not None and code.used_at is None:
        await tx.session.delete(code)


async def finish(tx: Tx, code_id: UUID, within: timedelta) -> bool:
    """Use up a code that was right a moment ago: true once, for whoever comes first."""
    claim = (
        update(LoginCode)
        .where(LoginCode.id == code_id, LoginCode.used_at > tx.now - within, LoginCode.finished_at.is_(None))
        .values(finished_at=tx.now)
        .returning(LoginCode.id)
    )
    return (await tx.session.execute(claim)).first() is not None


def _digest(tx: Tx, code_id: UUID, index: bytes, given: str) -> bytes:
    # Keyed: six digits under a plain hash would be read back in a second.
    return tx.vault.index("code", f"{code_id}/{index.hex()}/{given}")
