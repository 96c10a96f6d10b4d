"""The cashier's own page: the shift, finding a patient by what they show, what waits to be handed out."""

from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from payments.service import first, refunds, shifts
from payments.service.shifts import Shift
from people.rules import Actor, Role
from people.service import hospitals, patients, staff
from pwa.answer import go, show
from pwa.counter_views import Counter, FoundVisit, ShiftCard, ShiftList
from pwa.urls import Urls
from visits.service import finding
from visits.service.encounters import Visit
from words import errors
from words.counter import Counter as Words

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=300)]
Short = Annotated[str, Form(max_length=40)]


def fen_of(yuan: str) -> int | None:
    """Fen of what a person typed in yuan; None when it is no amount."""
    try:
        fen = Decimal(yuan.strip().removeprefix("¥") or "x") * 100
    except InvalidOperation:
        return None
    return int(fen) if fen.is_finite() and fen == int(fen) and 0 <= fen < 10**11 else None


def sentence(error: HoufuError) -> str:
    """What a refusal says at the desk."""
    return errors.sentence(error.code, error.kind, **error.params)


def cashier_only(caller: Actor) -> UUID:
    """The hospital of a cashier.

    Raises:
        ForbiddenError: the caller is none.
    """
    if caller.role is not Role.COUNTER or caller.hospital_id is None:
        raise ForbiddenError
    return caller.hospital_id


async def card_of(tx: Tx, shift: Shift) -> ShiftCard:
    """A shift with what passed through it."""
    till = await shifts.till_of(tx, shift.id)
    return ShiftCard(
        cashier=await staff.name_of(tx, shift.staff_id),
        opened_at=shift.opened_at,
        float_fen=shift.float_fen,
        cash_in=till.cash_in,
        cash_out=till.cash_out,
        card_in=till.card_in,
        card_out=till.card_out,
        expected_fen=shift.float_fen + till.cash_in - till.cash_out,
        closed_at=shift.closed_at,
        counted_fen=shift.counted_fen,
        reason=shift.reason,
    )


async def _found(tx: Tx, caller: Actor, visit: Visit) -> FoundVisit:
    owed, _ = await first.takes_now(tx, caller, visit)
    return FoundVisit(
        patient=patients.name_of(tx, await patients.by_id(tx, visit.patient_id)),
        number=visit.number,
        day=visit.opened_at,
        owed_fen=owed,
        url=Urls.desk_visit(str(visit.id)),
        pay_url=Urls.desk_pay(str(visit.id)) if owed else None,
    )


async def _page(
    request: Request,
    tx: Tx,
    caller: Actor,
    *,
    found: list[Visit] | None = None,
    error: str | None = None,
    done: str | None = None,
    count: str = "",
    status: int = 200,
) -> Response:
    hospital = await hospitals.by_id(tx, cashier_only(caller))
    shift = await shifts.current(tx, caller)
    view = Counter(
        hospital=hospital.name,
        staff=await staff.name_of(tx, caller.id),
        shift=await card_of(tx, shift) if shift is not None else None,
        found=[await _found(tx, caller, v) for v in found] if found is not None else None,
        waiting=len(await refunds.at_counter(tx, hospital.id)),
        error=error,
        done=done,
        count=count,
    )
    return await show(request, tx, "desk_counter.html", view, status=status)


@router.get(Urls.counter)
async def page(request: Request, caller: StaffCaller, tx: TxDep, done: str = "") -> Response:
    """The shift, the field, the list."""
    return await _page(request, tx, caller, done=Words.closed if done == "closed" else None)


@router.post(Urls.counter_find)
async def find(request: Request, caller: StaffCaller, tx: TxDep, code: Text = "") -> Response:
    """Who is meant: by the pass, a number, an ID number. It is sent in a form, so that no log and no history has it."""
    cashier_only(caller)
    try:
        found = await finding.find(tx, caller, code)
    except HoufuError as error:
        return await _page(request, tx, caller, error=sentence(error), status=STATUS[error.kind])
    if len(found) == 1 and (await first.takes_now(tx, caller, found[0]))[0]:
        return go(Urls.desk_pay(str(found[0].id)))
    return await _page(request, tx, caller, found=found)


@router.post(Urls.counter_shift)
async def shift(
    request: Request,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    do: Short = "",
    yuan: Short = "",
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Begin it with a float, or close it with a count."""
    cashier_only(caller)
    fen = fen_of(yuan)
    if fen is None or do not in ("open", "close"):
        return await _page(request, tx, caller, error=Words.not_money, count=yuan, status=422)
    await tx.let_go()
    try:
        async with world.db.begin() as own:
            if do == "open":
                await shifts.begin(own, caller, fen)
            else:
                await shifts.close(own, caller, fen, reason)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            said, status = sentence(error), STATUS[error.kind]
            return await _page(request, fresh, caller, error=said, count=yuan, status=status)
    return go(Urls.counter if do == "open" else f"{Urls.counter}?done=closed")


@router.get(Urls.desk_shifts)
async def listing(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """All shifts for finance, their own for a cashier."""
    if caller.hospital_id is None:
        raise NotFoundError
    found = await shifts.of_hospital(tx, caller)
    hospital = await hospitals.by_id(tx, caller.hospital_id)
    return await show(request, tx, "desk_shifts.html", ShiftList(hospital.name, [await card_of(tx, s) for s in found]))
