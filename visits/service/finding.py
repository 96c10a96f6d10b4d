"""A visit by what somebody shows or says at a counter or kiosk: the pass, live or printed, its number, an ID number."""

from datetime import timedelta

from sqlalchemy import select

from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import HoufuError, Kind
from people.rules import Action, Actor, ActorKind, is_id_number
from people.service import access, patients
from visits.models import Visit
from visits.service.passes import PREFIX, PassForeignError, PassForgedError, check_time, read
from visits.service.subjects import subject_of

OLD_AT_MOST = timedelta(days=365)
_MOST = 20


class NobodyFoundError(HoufuError):
    """Nobody by this code or number has been here."""

    code = "nobody_found"
    kind = Kind.NOT_FOUND


async def find(tx: Tx, actor: Actor, said: str) -> list[Visit]:
    """The visits meant, newest first: one by a pass or a number, a patient's of the last year by an ID number.

    Nothing is reported anywhere by this; the caller is one who may take money.

    Raises:
        ForbiddenError: the caller may not.
        PassForgedError, PassForeignError, PassExpiredError, PassFutureError: the pass is not good.
        NobodyFoundError: there is nobody.
    """
    said = "".join(said.split()).rpartition("/")[2]
    if said.startswith(PREFIX):
        found = [await _by_pass(tx, actor, said)]
    elif is_id_number(said.upper()):
        found = await _by_identity(tx, actor, said.upper())
    elif said.isascii() and said.isdigit() and len(said) == 10:
        found = await _by_number(tx, actor, said)
    else:
        found = []
    action = Action.TAKE_PAYMENT if actor.kind is ActorKind.STAFF else Action.PAY
    for visit in found:
        await access.require(tx, actor, action, subject_of(visit))
    if not found:
        raise NobodyFoundError
    return found


async def _by_pass(tx: Tx, actor: Actor, code: str) -> Visit:
    token = read(tx.vault, code)
    visit = await tx.get(Visit, token.visit_id)
    if visit is None or visit.patient_id != token.patient_id:
        raise PassForgedError
    if visit.hospital_id != actor.hospital_id:
        raise PassForeignError
    check_time(token, tx.now)
    return visit


async def _by_number(tx: Tx, actor: Actor, digits: str) -> list[Visit]:
    number = f"{digits[:4]} {digits[4:8]} {digits[8:]}"
    query = select(Visit).where(Visit.hospital_id == actor.hospital_id, Visit.number == number)
    query = query.where(Visit.day > china_day(tx.now) - OLD_AT_MOST).order_by(Visit.day.desc()).limit(1)
    return list(await tx.session.scalars(query))


async def _by_identity(tx: Tx, actor: Actor, id_number: str) -> list[Visit]:
    people = [p.id for p in await patients.with_handle(tx, id_number)]
    query = select(Visit).where(Visit.hospital_id == actor.hospital_id, Visit.patient_id.in_(people))
    query = query.where(Visit.day > china_day(tx.now) - OLD_AT_MOST)
    return list(await tx.session.scalars(query.order_by(Visit.day.desc(), Visit.opened_at.desc()).limit(_MOST)))
