"""A code is read, once: which terminal waits for it, what it is to pay, and that it was never read before."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from billing.service import paying
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from notices.service import append
from payments.models import CaptureSeen
from payments.models import CodeWait as CodeWait
from payments.ports import CERTIFICATES, BadCaptureError, Capture, CaptureKind, read_certificate
from payments.rules import Till
from payments.rules.counter import (
    CODE_KEPT,
    CODE_WAIT,
    CaptureNotHereError,
    CodeUsedError,
    DeskWay,
    FaceNotHereError,
    NotAwaitedError,
    TerminalBusyError,
)
from payments.service import attempts, certificates, pressing, rounds
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people.rules import Actor, ActorKind, Audience
from people.service import access, hospitals, staff, terminals
from people.service.terminals import Terminal
from visits.service.reading import subject_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a code is to pay: this much of a visit, as was shown; ``share`` and ``lines`` as in a ``Press``.

    ``part_id``: nothing is paid by it; it is the insurance certificate for that settlement.
    """

    visit_id: UUID
    idempotency_key: str
    amount_fen: int
    share: int | None = None
    lines: frozenset[UUID] = frozenset()
    part_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Awaited:
    """The order a terminal looks at a face for, and the hospital it stands in."""

    out_trade_no: str
    amount_fen: int
    store: str
    store_name: str


async def await_code(
    tx: Tx, actor: Actor, terminal_id: UUID, wanted: Wanted, *, waits: timedelta = CODE_WAIT
) -> CodeWait:
    """A desk, or a kiosk for itself, waits for one code at a terminal; asked again, the newer wish counts.

    Raises:
        NotFoundError, ForbiddenError: not the caller's terminal, or not theirs to take money for.
        TerminalBusyError: another desk waits there.
    """
    visit = await paying.locked_visit(tx, wanted.visit_id)
    await access.require(tx, actor, rounds.pays(actor), subject_of(visit))
    terminal = await terminals.by_id(tx, terminal_id)
    if terminal is None or terminal.hospital_id != actor.hospital_id:
        raise NotFoundError
    if actor.kind is ActorKind.TERMINAL and terminal.id != actor.id:
        raise ForbiddenError
    mine = actor.id if actor.kind is ActorKind.STAFF else None
    known = await waiting(tx, terminal_id, lock=True)
    if known is not None and known.until > tx.now and known.staff_id != mine:
        raise TerminalBusyError
    values = {
        "visit_id": wanted.visit_id,
        "staff_id": mine,
        "idempotency_key": wanted.idempotency_key,
        "out_trade_no": pressing.new_number(tx),
        "amount_fen": wanted.amount_fen,
        "share": wanted.share,
        "lines": sorted(str(line) for line in wanted.lines),
        "part_id": wanted.part_id,
        "until": tx.now + waits,
        "said": None,
    }
    # Two desks in the same moment: the second one's row is the first one's, unless that has run out.
    made = insert(CodeWait).values(terminal_id=terminal_id, **values)
    free = (CodeWait.until <= tx.now) | CodeWait.staff_id.is_not_distinct_from(mine)
    done = made.on_conflict_do_update(index_elements=["terminal_id"], set_=values, where=free)
    if (await tx.session.scalars(done.returning(CodeWait.terminal_id))).first() is None:
        raise TerminalBusyError
    found = await waiting(tx, terminal_id, lock=True)
    if found is None:
        raise NotFoundError
    return found


async def waiting(tx: Tx, terminal_id: UUID, *, lock: bool = False) -> CodeWait | None:
    """What a terminal waits for, also when its time is over."""
    query = select(CodeWait).where(CodeWait.terminal_id == terminal_id)
    if lock:
        query = query.with_for_update()
    return (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def waits_of(tx: Tx, actor: Actor, visit_id: UUID) -> CodeWait | None:
    """Where this cashier waits for a code for this visit, if anywhere now."""
    query = select(CodeWait).where(CodeWait.staff_id == actor.id, CodeWait.visit_id == visit_id)
    query = query.where(CodeWait.until > tx.now, CodeWait.part_id.is_(None))
    return (await tx.session.scalars(query.order_by(CodeWait.until.desc()).limit(1))).first()


async def certificate_wait(tx: Tx, part_id: UUID) -> CodeWait | None:
    """Where somebody waits for the certificate of a settlement, if anywhere now."""
    query = select(CodeWait).where(CodeWait.part_id == part_id, CodeWait.until > tx.now)
    return (await tx.session.scalars(query.order_by(CodeWait.until.desc()).limit(1))).first()


async def stop_waiting(tx: Tx, actor: Actor) -> None:
    """The caller waits for no code any more."""
    mine = CodeWait.staff_id == actor.id
    if actor.kind is ActorKind.TERMINAL:
        mine = CodeWait.terminal_id == actor.id
    await tx.session.execute(delete(CodeWait).where(mine))


async def burn(tx: Tx, kind: CaptureKind, value: str, terminal_id: UUID | None) -> bool:
    """Remember that this code was read; False when it was before."""
    digest = tx.vault.index(f"capture:{kind}", value)
    row = insert(CaptureSeen).values(digest=digest, terminal_id=terminal_id, at=tx.now).on_conflict_do_nothing()
    return (await tx.session.scalars(row.returning(CaptureSeen.digest))).first() is not None


async def forget_old(tx: Tx) -> None:
    """Digests that can no longer be of use, and waits that are long over."""
    await tx.session.execute(delete(CaptureSeen).where(CaptureSeen.at < tx.now - CODE_KEPT))
    await tx.session.execute(delete(CodeWait).where(CodeWait.until < tx.now - CODE_KEPT))


async def await_certificate(tx: Tx, actor: Actor, terminal_id: UUID, visit_id: UUID) -> None:
    """A desk waits at a terminal for the certificate of the next settlement of its visit; none waits: nothing happens.

    Raises:
        HoufuError: as ``await_code`` does.
    """
    await paying.locked_visit(tx, visit_id)
    part = await certificates.wanted(tx, visit_id)
    if part is not None:
        await await_code(tx, actor, terminal_id, Wanted(visit_id, part.id.hex, part.total_fen, part_id=part.id))


async def captured(
    tx: Tx, terminal: Terminal, capture: Capture, till: Till, *, faces: bool = False
) -> tuple[Attempt, bool] | UUID | HoufuError:
    """A genuine capture of a terminal: begins the attempt it was awaited for, or is the consent to a settlement.

    What it was is burnt even when it is refused, so a refusal is returned and not raised: the caller commits first.

    Args:
        faces: whether a face can be charged here.

    Returns: the attempt and whether it is new, or the settlement that goes on now, or why nothing begins.
    """
    if not await burn(tx, *_once(capture), terminal.id):
        return CodeUsedError()
    known = await waiting(tx, terminal.id)
    if known is None or known.until <= tx.now:
        return NotAwaitedError()
    visit_id = known.visit_id
    await paying.locked_visit(tx, visit_id)
    wait = await waiting(tx, terminal.id, lock=True)
    if wait is None or wait.visit_id != visit_id or wait.until <= tx.now:
        return NotAwaitedError()
    no = _unfit(capture.kind, wait, faces=faces)
    if no is not None:
        await _in_vain(tx, terminal, visit_id, no)
        return no
    if capture.kind is CaptureKind.FACE_CODE and capture.out_trade_no != wait.out_trade_no:
        return NotAwaitedError()  # it was looked at for something else; WeChat would not take it either
    actor = await _who(tx, terminal, wait, capture.operator)
    if actor is None:
        return NotAwaitedError()
    begun: tuple[Attempt, bool] | UUID
    try:
        async with tx.savepoint():
            if wait.part_id is not None:
                begun = wait.part_id
                await certificates.given(tx, actor, begun, capture.value)
            else:
                way = DeskWay.FACE if capture.kind is CaptureKind.FACE_CODE else DeskWay.CODE
                number = wait.out_trade_no if way is DeskWay.FACE else None
                attempt = await pressing.begin(tx, actor, visit_id, press_of(_wanted(wait), way, number), till)
                begun = attempt, attempt.state == attempts.S.CREATED
    except HoufuError as refusal:
        await _in_vain(tx, terminal, visit_id, refusal)
        return refusal
    await tx.session.execute(delete(CodeWait).where(CodeWait.terminal_id == terminal.id))
    return begun


async def _in_vain(tx: Tx, terminal: Terminal, visit_id: UUID, no: HoufuError) -> None:
    """What was read does not serve: kept for the desk that waits, and told to its open page; the visit is locked."""
    wait = await waiting(tx, terminal.id, lock=True)  # anew: what was read before a savepoint is forgotten
    if wait is not None and wait.visit_id == visit_id:
        wait.said = no.code
        await append(tx, visit_id, "till", {"said": no.code}, audience=Audience.PAYERS)


def _unfit(kind: CaptureKind, wait: CodeWait, *, faces: bool) -> HoufuError | None:
    """Why what was read is of no use for what the desk waits for."""
    if kind is CaptureKind.FACE_CODE and not faces:
        return FaceNotHereError()
    return CaptureNotHereError() if (kind in CERTIFICATES) != (wait.part_id is not None) else None


def _once(capture: Capture) -> tuple[CaptureKind, str]:
    """What is good for one use: of a certificate its number, however it was read and whatever stands beside it."""
    if capture.kind not in CERTIFICATES:
        return capture.kind, capture.value
    try:
        return CaptureKind.EC_QRCODE, read_certificate(capture.value).auth_no
    except BadCaptureError:
        return CaptureKind.EC_QRCODE, capture.value


async def awaited(tx: Tx, terminal: Terminal, *, faces: bool) -> Awaited | HoufuError:
    """What a face is looked at for at this terminal; or why not, which the desk is told: the caller commits first."""
    wait = await waiting(tx, terminal.id)
    if wait is None or wait.until <= tx.now or wait.part_id is not None:
        return NotAwaitedError()
    if not faces:
        await paying.locked_visit(tx, wait.visit_id)
        await _in_vain(tx, terminal, wait.visit_id, FaceNotHereError())
        return FaceNotHereError()
    hospital = await hospitals.by_id(tx, terminal.hospital_id)
    return Awaited(wait.out_trade_no, wait.amount_fen, hospital.code, hospital.name)


async def _who(tx: Tx, terminal: Terminal, wait: CodeWait, operator: str) -> Actor | None:
    if wait.staff_id is None:
        return terminals.actor_of(terminal)
    if operator and operator != await staff.login_of(tx, wait.staff_id):
        return None  # somebody else stands there than the one who asked for the money
    return await staff.actor_of(tx, wait.staff_id)


def _wanted(wait: CodeWait) -> Wanted:
    lines = frozenset(UUID(line) for line in wait.lines)
    return Wanted(wait.visit_id, wait.idempotency_key, wait.amount_fen, wait.share, lines)


def press_of(wanted: Wanted, way: DeskWay = DeskWay.CODE, number: str | None = None) -> Press:
    """The press of whoever holds their code under the scanner, or looks into the terminal."""
    key, fen = wanted.idempotency_key, wanted.amount_fen
    return Press(way, key, fen, share=wanted.share, lines=wanted.lines, number=number)
