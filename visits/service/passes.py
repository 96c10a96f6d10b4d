"""The visit pass: a code that stands for a patient's day here, live from a phone or kept on paper, once at each desk.

Both grades are 54 signed bytes in base64url: grade, key generation, visit, patient, time, first half of an
HMAC-SHA-256. The time of a *live* code is its half minute by our clock, of a *kept* one its day. The code names
nobody: without a session at a desk of the same hospital it opens nothing.
"""

import base64
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kernel.clock import china_day
from kernel.crypto import Vault
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, Kind, NotFoundError
from notices.service import lock
from people.rules import Action, Actor, Role, role_may
from people.service import access
from visits.models import Order, PassUse, Visit
from visits.rules import OPEN_ORDER, OrderState
from visits.service import orders
from visits.service.subjects import subject_of

STEP = 30  # seconds a live code is drawn for; the one before is good too, so that it never dies under the scanner
PREFIX = "HFP"
_PLAIN = struct.Struct(">BB16s16sI")
_MAC = 16
_LIVE, _KEPT = 1, 2
Grade = Literal["live", "kept", "number", "paper"]


class PassForgedError(HoufuError):
    """Not one of our codes, or changed on the way."""

    code = "pass_forged"
    kind = Kind.INVALID


class PassExpiredError(HoufuError):
    """A code of an earlier half minute, or of an earlier day."""

    code = "pass_expired"
    kind = Kind.CONFLICT


class PassFutureError(HoufuError):
    """A code of a time that has not come."""

    code = "pass_future"
    kind = Kind.INVALID


class PassForeignError(HoufuError):
    """A good code, of another hospital."""

    code = "pass_foreign"
    kind = Kind.INVALID


class PassUsedError(HoufuError):
    """This patient has reported at this desk already."""

    code = "pass_used"
    kind = Kind.CONFLICT


class NothingHereError(HoufuError):
    """The patient has nothing to do in this department now."""

    code = "nothing_here"
    kind = Kind.CONFLICT


class WrongDepartmentError(HoufuError):
    """The order is performed in another department."""

    code = "wrong_department"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Token:
    """What a code says. ``time``: half minutes since 1970 (live), or the day's ordinal (kept)."""

    live: bool
    visit_id: UUID
    patient_id: UUID
    time: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a desk learns from a code.

    Attributes:
        check_name: the code was kept, printed or typed, so the desk asks for the name.
        checked_in: the orders that were reported by this very scan.
    """

    visit: Visit
    grade: Grade
    orders: list[Order]
    checked_in: list[Order]

    @property
    def check_name(self) -> bool:
        """Whether somebody else could have shown it."""
        return self.grade != "live"


def live_code(vault: Vault, visit: Visit, now: datetime) -> str:
    """The code of this half minute."""
    return _write(vault, Token(True, visit.id, visit.patient_id, step_of(now)))


def kept_code(vault: Vault, visit: Visit) -> str:
    """The code that may be saved or printed; good on the visit's day."""
    return _write(vault, Token(False, visit.id, visit.patient_id, visit.day.toordinal()))


def step_of(now: datetime) -> int:
    """The half minute of a moment."""
    return int(now.timestamp()) // STEP


def _write(vault: Vault, token: Token) -> str:
    grade = _LIVE if token.live else _KEPT
    plain = _PLAIN.pack(grade, vault.current, token.visit_id.bytes, token.patient_id.bytes, token.time)
    return PREFIX + base64.urlsafe_b64encode(plain + _mac(vault, vault.current, plain)).decode().rstrip("=")


def _mac(vault: Vault, generation: int, plain: bytes) -> bytes:
    return hmac.digest(vault.key("pass", generation), plain, "sha256")[:_MAC]


def read(vault: Vault, code: str) -> Token:
    """What a code says, if we wrote it.

    Raises:
        PassForgedError: we did not, or not with a key we still have.
    """
    try:
        raw = base64.b64decode(code.removeprefix(PREFIX) + "=" * (-len(code.removeprefix(PREFIX)) % 4), b"-_", True)
    except ValueError:
        raise PassForgedError from None
    if not code.startswith(PREFIX) or len(raw) != _PLAIN.size + _MAC:
        raise PassForgedError
    plain, mac = raw[: _PLAIN.size], raw[_PLAIN.size :]
    grade, generation, visit, patient, time = _PLAIN.unpack(plain)
    if grade not in (_LIVE, _KEPT) or generation not in vault.generations:
        raise PassForgedError
    if not hmac.compare_digest(mac, _mac(vault, generation, plain)):
        raise PassForgedError
    return Token(grade == _LIVE, UUID(bytes=visit), UUID(bytes=patient), time)


def check_time(token: Token, now: datetime) -> None:
    """Whether the code is good now.

    Raises:
        PassExpiredError: its time is over.
        PassFutureError: its time has not come.
    """
    current = step_of(now) if token.live else china_day(now).toordinal()
    if token.time > current:
        raise PassFutureError
    if token.time < current - (1 if token.live else 0):
        raise PassExpiredError


async def scan(tx: Tx, desk: Actor, code: str) -> Scanned:
    """A desk scanned a pass or the code of a printed order, or typed a visit's number; open orders here are reported.

    A typed number only finds: whoever stands there still has to be asked for the name, and reported by hand.

    Raises:
        PassForgedError, PassExpiredError, PassFutureError, PassForeignError: the code is not good.
        PassUsedError: reported here already. NothingHereError, WrongDepartmentError: not for this desk.
        ForbiddenError: the caller is not one to check people in.
    """
    if not role_may(Action.CHECK_IN, desk.role):
        raise ForbiddenError
    code = code.strip().rpartition("/")[2]
    digits = "".join(code.split())
    if digits.isdigit() and len(digits) == 10:
        return await _by_number(tx, desk, digits)
    if not code.startswith(PREFIX):
        return await _by_paper(tx, desk, code)
    token = read(tx.vault, code)
    visit = await tx.get(Visit, token.visit_id)
    if visit is None or visit.patient_id != token.patient_id:
        raise PassForgedError
    if visit.hospital_id != desk.hospital_id:
        raise PassForeignError
    check_time(token, tx.now)
    await access.require(tx, desk, Action.CHECK_IN, subject_of(visit))
    await lock(tx, visit.id)
    here = await _open_here(tx, desk, visit)
    if not here:
        raise NothingHereError
    await _use(tx, desk, visit, token, here)
    return Scanned(visit, "live" if token.live else "kept", here, await _check_in(tx, here))


async def _open_here(tx: Tx, desk: Actor, visit: Visit) -> list[Order]:
    everywhere = desk.role == Role.GUIDE
    return [
        order
        for order in await orders.orders_of(tx, visit.id)
        if order.state in OPEN_ORDER and (everywhere or order.department == desk.department)
    ]


async def _use(tx: Tx, desk: Actor, visit: Visit, token: Token, here: list[Order]) -> None:
    row = {"visit_id": visit.id, "desk": desk.department or "", "grade": "live" if token.live else "kept"}
    row |= {"time": token.time, "staff_id": desk.id, "used_at": tx.now}
    made = insert(PassUse).values(row).on_conflict_do_nothing().returning(PassUse.used_at)
    if await tx.session.scalar(made) is not None:
        if all(order.state == OrderState.CHECKED_IN for order in here):
            raise PassUsedError
        return
    key = {name: row[name] for name in ("visit_id", "desk", "grade", "time")}
    use = (await tx.session.scalars(select(PassUse).filter_by(**key).with_for_update())).one()
    # A paper pass serves the whole day: what was ordered since brings the patient back to the same desk.
    if token.live or not any(o.state == OrderState.PLACED and o.ordered_at > use.used_at for o in here):
        raise PassUsedError
    use.used_at, use.staff_id = tx.now, desk.id


async def _check_in(tx: Tx, here: list[Order]) -> list[Order]:
    return [order for order in here if await orders.check_in(tx, order, tx.now)]


async def _by_number(tx: Tx, desk: Actor, digits: str) -> Scanned:
    number = f"{digits[:4]} {digits[4:8]} {digits[8:]}"
    query = select(Visit).where(
        Visit.hospital_id == desk.hospital_id, Visit.day == china_day(tx.now), Visit.number == number
    )
    found = (await tx.session.scalars(query.limit(2))).all()
    if len(found) != 1:
        raise NotFoundError  # ten digits may meet: then neither is guessed, and the code itself has to be shown
    visit = found[0]
    await access.require(tx, desk, Action.CHECK_IN, subject_of(visit))
    here = await _open_here(tx, desk, visit)
    if not here:
        raise NothingHereError
    return Scanned(visit, "number", here, [])


async def _by_paper(tx: Tx, desk: Actor, code: str) -> Scanned:
    order = await orders.by_paper_code(tx, code) or await _by_order_number(tx, desk, code)
    visit = await tx.get(Visit, order.visit_id) if order else None
    if order is None or visit is None or visit.hospital_id != desk.hospital_id:
        raise PassForgedError
    await access.require(tx, desk, Action.CHECK_IN, subject_of(visit))
    if desk.role != Role.GUIDE and order.department != desk.department:
        raise WrongDepartmentError
    await lock(tx, visit.id)
    await tx.session.refresh(order)
    if order.state == OrderState.CHECKED_IN:
        raise PassUsedError
    return Scanned(visit, "paper", [order], await _check_in(tx, [order]))


async def _by_order_number(tx: Tx, desk: Actor, number: str) -> Order | None:
    if desk.hospital_id is None:
        return None
    return await orders.order_by_id(tx, orders.order_id(desk.hospital_id, number))
