"""The counter where it touches a provider: cash over a dead order on a screen, and codes a scanner has read."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from kernel.db import Database, Tx
from kernel.errors import HoufuError
from payments.flows import codes as charging
from payments.flows import insuring, make_room
from payments.ports import (
    Capture,
    CaptureKind,
    CashPay,
    FacePermit,
    FaceTerminal,
    InsuranceCenter,
    check_value,
)
from payments.rules import AttemptInProgressError, Till
from payments.rules.counter import CodeUsedError, FaceNotHereError
from payments.service import codes, counter, pressing
from payments.service.attempts import Attempt, S
from payments.service.codes import Awaited, Wanted
from payments.service.counter import InHand
from people.rules import Actor
from people.service import hospitals
from people.service.terminals import Terminal


async def take(db: Database, pay: CashPay | None, actor: Actor, visit_id: UUID, held: InHand) -> UUID:
    """Take cash or a card; a QR this desk still shows for the same money is closed first. Returns the attempt's id.

    Raises:
        HoufuError: as ``payments.service.counter.take`` does; then no money may be kept.
    """

    async def begin(tx: Tx) -> Attempt:
        return await counter.take(tx, actor, visit_id, held)

    attempt, _ = await _begun(db, pay, actor, begin)
    return attempt.id


async def charge(db: Database, pay: CashPay, actor: Actor, wanted: Wanted, value: str, till: Till, place: str) -> UUID:
    """Charge a code that was read into a desk's page. Returns the attempt's id, which says how it went.

    Args:
        place: the hospital's own name of the desk.

    Raises:
        BadCaptureError: it is no payment code.
        CodeUsedError: it was read before.
        HoufuError: as ``payments.service.pressing.begin`` does.
    """
    check_value(CaptureKind.PAY_CODE, value)
    async with db.begin() as tx:  # burnt before anything else may fail: it is good for one try
        if not await codes.burn(tx, CaptureKind.PAY_CODE, value, None):
            raise CodeUsedError

    async def begin(tx: Tx) -> Attempt:
        return await pressing.begin(tx, actor, wanted.visit_id, codes.press_of(wanted), till)

    attempt, fresh = await _begun(db, pay, actor, begin)
    if fresh:
        await _charge(db, pay, attempt, value, place)
    return attempt.id


async def captured(
    db: Database,
    pay: CashPay,
    center: InsuranceCenter | None,
    terminal: Terminal,
    capture: Capture,
    till: Till,
    ip: str = "",
) -> UUID:
    """A terminal has read something: it is used for what was awaited there.

    Returns: the attempt's id, or the insurance settlement's that was consented to, handed in and reckoned by it.

    Args:
        ip: the terminal's own address.

    Raises:
        CodeUsedError, NotAwaitedError: it was read before, or nobody waits for it; nothing was taken.
        FaceNotHereError, CaptureNotHereError: nothing can be done with it here.
        HoufuError: as ``payments.service.pressing.begin`` and ``payments.service.certificates.given`` do.
    """
    async with db.begin() as tx:
        begun = await codes.captured(tx, terminal, capture, till, faces=pay.face is not None)
    if isinstance(begun, HoufuError):
        raise begun
    if isinstance(begun, UUID):
        if center is not None:
            await insuring.go_on(db, center, begun)  # handed in; no answer leaves it to the sweeper
            await insuring.go_on(db, center, begun)  # reckoned
        return begun
    attempt, fresh = begun
    if fresh and capture.kind is CaptureKind.FACE_CODE:
        where = charging.Place(terminal.name, ip)
        await charging.charge_face(db, pay, attempt.id, capture.value, capture.openid, where)
    elif fresh:
        await _charge(db, pay, attempt, capture.value, terminal.name)
    return attempt.id


async def may_look(db: Database, pay: CashPay, terminal: Terminal, rawdata: str) -> tuple[FacePermit, Awaited]:
    """A terminal wants to look at a face for what is awaited there: WeChat's permission, and the order to look for.

    Raises:
        NotAwaitedError: nobody waits there.
        FaceNotHereError: no face is charged here.
        OutsideError: WeChat did not permit it, or did not answer; the terminal asks again.
    """
    async with db.begin() as tx:
        awaited = await codes.awaited(tx, terminal, faces=pay.face is not None)
    if isinstance(awaited, HoufuError):
        raise awaited
    if pay.face is None:
        raise FaceNotHereError
    asked = FaceTerminal(terminal.name, awaited.store, awaited.store_name, rawdata)
    return await pay.face.authorize_terminal(asked), awaited


async def _begun(
    db: Database, pay: CashPay | None, actor: Actor, begin: Callable[[Tx], Awaitable[Attempt]]
) -> tuple[Attempt, bool]:
    for last in (False, True):
        try:
            async with db.begin() as tx:
                attempt = await begin(tx)
                return attempt, attempt.state == S.CREATED
        except AttemptInProgressError as busy:
            room = pay is not None and busy.attempt_id is not None
            if last or not room or not await make_room(db, pay, actor, busy.attempt_id):  # type: ignore[arg-type]
                raise
    raise AssertionError("the second try returns or raises")


async def _charge(db: Database, pay: CashPay, attempt: Attempt, value: str, place: str) -> None:
    async with db.begin() as tx:
        store = (await hospitals.by_id(tx, attempt.hospital_id)).code
    await charging.charge(db, pay, attempt.id, value, place, store)
