"""The kiosk in the hall: whoever has no phone, or only a payment code on it, pays here; nothing stays behind.

Who stands there is known to the house alone, for ninety seconds since the last touch: no address, no cookie and no
history of the machine names a patient, and the same address leads the next one to the start.
"""

import hashlib
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import KioskCaller, TxDep, WorldDep, log_in, session_token
from api.line import Line, follow_line
from api.problems import STATUS
from api.routes.payments import till_of
from api.stream import StreamResponse
from kernel.db import Tx
from kernel.errors import HoufuError, UnauthenticatedError
from payments.flows import counter as windows
from payments.rules import OURS, PAYABLE
from payments.rules.counter import DeskWay
from payments.service import codes, kiosks
from payments.service.attempts import Attempt, S
from payments.service.kiosks import KioskTurn
from people.rules import Actor
from people.service import hospitals, patients, sessions, terminals
from pwa.answer import go, show
from pwa.counter_views import Kiosk
from pwa.pages.desk_counter import sentence
from pwa.urls import Urls
from visits.service.reading import visit_of
from words import errors
from words.counter import Kiosk as Words
from words.counter import Take

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=300)]
_MOVES = ("waits", "password", "unknown", "busy")  # by itself, without anybody touching anything


async def _view(tx: Tx, kiosk: Actor | None, error: str | None = None) -> Kiosk:
    if kiosk is None or kiosk.hospital_id is None:
        return Kiosk("setup", error=error)
    hospital = await hospitals.by_id(tx, kiosk.hospital_id)
    turn = await kiosks.current(tx, kiosk)
    if turn is None:
        return Kiosk("start", hospital.name, error=error)
    return await _turn(tx, kiosk, turn, hospital.name, error)


async def _turn(tx: Tx, kiosk: Actor, turn: KioskTurn, hospital: str, error: str | None) -> Kiosk:
    visit = await visit_of(tx, turn.visit_id)
    patient = await patients.by_id(tx, visit.patient_id) if visit is not None else None
    name = patient.name_masked if patient is not None else ""
    attempt, due = await kiosks.attempt_of(tx, kiosk, turn), await kiosks.due(tx, kiosk, turn)
    state, amount = _state(attempt), attempt.amount_fen if attempt is not None else 0
    said = None
    if not state:
        amount = due.fen
        wait = await codes.waiting(tx, kiosk.id)
        awaited = wait is not None and wait.until > tx.now
        busy = await kiosks.in_the_way(tx, kiosk, turn)
        state = "waits" if awaited else "owed" if due.fen else "busy" if busy else "nothing"
        if attempt is not None:
            said = Take.refusal(attempt.refusal, face=attempt.channel == DeskWay.FACE)
        if wait is not None and awaited and wait.said and said is None:
            said = errors.sentence(wait.said, "conflict")
    count = due.count if state == "owed" else 0
    rest = max(1, int((turn.until - tx.now).total_seconds()))
    mark = hashlib.sha256(f"{turn.since} {state} {amount} {count} {said}".encode()).hexdigest()[:16]
    line = f"{Urls.kiosk_stream}?after={mark}" if state in _MOVES else None
    return Kiosk(
        state, hospital, name, amount, count, rest, error or said, str(uuid4()), bool(due.lines), mark, stream_url=line
    )


def _state(attempt: Attempt | None) -> str:
    """How what was begun here stands; empty when something (else) can be begun."""
    if attempt is None:
        return ""
    if attempt.state in OURS:
        return "paid"
    if attempt.state not in PAYABLE:
        return ""
    return "password" if attempt.state in (S.CREATED, S.OFFERED) else "unknown"


async def _show(request: Request, tx: Tx, kiosk: Actor | None, error: str | None = None, status: int = 200) -> Response:
    view = await _view(tx, kiosk, error)
    response = await show(request, tx, "kiosk.html", view, status=status)
    if view.state not in ("setup", "start"):  # whoever walks away leaves nothing on the screen
        response.headers["Refresh"] = f"{view.rest + 1}; url={Urls.kiosk}"
    response.headers["Cache-Control"] = "no-store"  # a step back shows nothing of whoever was here
    return response


def _its_own(kiosk: Actor | None) -> Actor:
    if kiosk is None:
        raise UnauthenticatedError
    return kiosk


@router.get(Urls.kiosk)
async def page(request: Request, kiosk: KioskCaller, tx: TxDep) -> Response:
    """The start, or how the one who stands there gets on."""
    return await _show(request, tx, kiosk)


@router.get(Urls.kiosk_stream, response_class=StreamResponse)
async def follow(
    request: Request,
    kiosk: KioskCaller,
    world: WorldDep,
    tx: TxDep,
    after: Annotated[str, Query(max_length=64, description="the mark the page was drawn with")] = "",
) -> Response:
    """Wait until it stands otherwise with whoever stands there: ``event: refresh``, and nothing else."""
    own, token = _its_own(kiosk), session_token(request) or ""
    turn = await kiosks.current(tx, own)
    visit = await visit_of(tx, turn.visit_id) if turn is not None else None
    about = {visit.id, visit.patient_id} if visit is not None else set()

    async def mark() -> str | None:
        async with world.db.begin() as now:
            return (await _view(now, own)).mark if await world.who(now, token) == own else None

    return follow_line(world.hub, own.viewer, Line(world.hub, mark, after, about=about))


@router.post(Urls.kiosk)
async def begin(request: Request, kiosk: KioskCaller, world: WorldDep, tx: TxDep, said: Text = "") -> Response:
    """Somebody shows a pass, or types a number."""
    own_kiosk = _its_own(kiosk)
    await tx.let_go()
    try:
        async with world.db.begin() as own:
            await kiosks.begin(own, own_kiosk, said)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            return await _show(request, fresh, kiosk, sentence(error), STATUS[error.kind])
    return go(Urls.kiosk)


@router.post(Urls.kiosk_code)
async def code(
    request: Request,
    kiosk: KioskCaller,
    world: WorldDep,
    tx: TxDep,
    key: Annotated[str, Form(alias="_idem", min_length=8, max_length=64)],
    amount_fen: Annotated[int, Form(ge=1)],
    said: Text = "",
) -> Response:
    """Wait for a payment code; ``said`` is one that the kiosk's own scanner has typed."""
    own_kiosk = _its_own(kiosk)
    turn = await kiosks.current(tx, own_kiosk)
    if turn is None:
        return go(Urls.kiosk)
    wanted = await kiosks.wanted(tx, own_kiosk, turn, key, amount_fen)
    name = await _name(tx, own_kiosk)
    await tx.let_go()
    try:
        if said:
            pay, till = till_of(world)
            await windows.charge(world.db, pay, own_kiosk, wanted, said.strip(), till, name)
        async with world.db.begin() as own:
            now = await kiosks.current(own, own_kiosk)
            if now is not None and said:
                await kiosks.touched(own, now)
                await codes.stop_waiting(own, own_kiosk)
            elif now is not None:
                await kiosks.await_code(own, own_kiosk, now, key, amount_fen)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            return await _show(request, fresh, kiosk, sentence(error), STATUS[error.kind])
    return go(Urls.kiosk)


async def _name(tx: Tx, kiosk: Actor) -> str:
    found = await terminals.by_id(tx, kiosk.id)
    return found.name if found is not None else ""


@router.post(Urls.kiosk_quit)
async def leave(kiosk: KioskCaller, tx: TxDep) -> Response:
    """Done, or changed one's mind: the kiosk forgets."""
    await kiosks.leave(tx, _its_own(kiosk))
    return go(Urls.kiosk)


@router.post(Urls.kiosk_setup)
async def setup(
    request: Request,
    kiosk: KioskCaller,
    tx: TxDep,
    name: Annotated[str, Form(max_length=64)] = "",
    secret: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """The hospital's IT says once which kiosk this browser is."""
    found = await terminals.by_name(tx, name.strip())
    if found is None or found.kind != "kiosk" or not terminals.knows(tx, found, secret.strip()):
        return await _show(request, tx, kiosk, Words.wrong, 422)
    done = await sessions.begin_kiosk(tx, found)
    response = go(Urls.kiosk)
    log_in(response, done.token, done.expires)
    return response
