"""The counter takes the money of one visit: cash, a card's slip, a shown code, or a QR the patient scans."""

import io
from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

import qrcode
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.payments import press_of, till_of
from api.world import World
from billing.service import paying
from billing.service.shown import line_payload
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from payments import flows
from payments.flows import counter as windows
from payments.rules import OURS, PAYABLE, ShareGoneError
from payments.rules.counter import READ, DeskWay
from payments.service import attempts, codes, counter, first, labels, moves, parts, shifts
from payments.service.attempts import Attempt, S
from payments.service.codes import Wanted
from payments.service.counter import InHand
from people.rules import Action, Actor
from people.service import access, terminals
from pwa import desk_insuring
from pwa.answer import go, show, uuid_or_none
from pwa.counter_views import DeskPay, DeskWait
from pwa.pages.desk_counter import fen_of, sentence
from pwa.rows import Line
from pwa.urls import Urls
from pwa.visit_pages import Seen, payment_of, receipt_of, seen
from words import errors
from words.counter import Take as Words

router = APIRouter(include_in_schema=False)

Key = Annotated[str, Form(alias="_idem", min_length=8, max_length=64)]
Amount = Annotated[int, Form(ge=1)]
ShareNo = Annotated[int, Form(ge=0)]
Short = Annotated[str, Form(max_length=64)]


Lines = Annotated[list[UUID] | None, Form(max_length=200)]


async def _view(
    world: World,
    tx: Tx,
    caller: Actor,
    found: Seen,
    share: int | None = None,
    error: str | None = None,
    lines: Collection[UUID] = (),
) -> DeskPay:
    made = await _state(tx, caller, found, share, lines)
    insurable = why = None
    if made.state in ("new", "closed", "settled") and not made.lines:
        insurable, why = await desk_insuring.can_be(tx, found, line=world.ports.insurance is not None)
        if insurable and made.state == "settled":  # of what is left the insurance may bear everything
            made = replace(made, state="new", amount_fen=0, change=None)
    visit = str(found.visit.id)
    insured = await desk_insuring.standing(tx, caller, found)
    done = insured is not None and insured.step == "done"
    return replace(
        made,
        insured=insured,
        insurable=bool(insurable),
        not_insurable=why,
        slip_url=await receipt_of(tx, found.visit, found.view) if done else None,
        stream_url=found.stream("pay"),
        error=error,
        receipt_url=Urls.desk_visit(visit) if made.state in ("paid", "settled") else None,
    )


async def _state(tx: Tx, caller: Actor, found: Seen, share: int | None, lines: Collection[UUID]) -> DeskPay:
    every = await attempts.of_visit(tx, found.visit.id)
    under_way = [a for a in every if a.state in PAYABLE]
    here = next((a for a in under_way if a.relation == labels.DESK), None)
    if here is not None:
        return await _under_way(tx, found, here)
    if await parts.settling(tx, found.visit.id):
        return await _insuring(tx, found)
    last = every[-1] if every else None
    owed, own = await first.takes_now(tx, caller, found.visit)
    free = await paying.live_round(tx, found.visit.id) is None
    offered = await first.offered(tx, caller, found.visit) if free else []
    chosen = [c for c in offered if c.id in lines] or own
    if owed or chosen:
        amount = sum(c.self_fen for c in chosen) if chosen else owed
        made = await _open(tx, caller, found, amount, share, last)
        shown = [Line.of(line_payload(found.visit, c, None)) for c in offered]
        picked = sorted(str(c.id) for c in chosen)
        return replace(made, first=shown, lines=picked, sheet="-".join([made.sheet, *(p[:8] for p in picked)]))
    if under_way:
        return DeskPay(found.head, under_way[0].amount_fen, None, "other")
    return await _over(tx, found, every[-1] if every else None)


async def _insuring(tx: Tx, found: Seen) -> DeskPay:
    """The insurance has the turn: here, or on the patient's phone."""
    now = await paying.live_round(tx, found.visit.id)
    here = now is not None and parts.at_counter(now)
    machines = await _machines(tx, found) if here else ()
    return DeskPay(found.head, 0, None, "insured" if here else "insuring", scanners=machines)


async def _machines(tx: Tx, found: Seen) -> list[tuple[str, str]]:
    every = await terminals.of_hospital(tx, found.visit.hospital_id)
    return [(str(t.id), t.place) for t in every if t.kind != "kiosk"]


async def _under_way(tx: Tx, found: Seen, here: Attempt) -> DeskPay:
    state = await moves.shown(tx, here)
    if here.channel in READ and state == "offered":
        state = "password"
    url = f"{Urls.desk_pay(str(found.visit.id))}/{here.id}/qr.png" if here.prepared_sealed else None
    return DeskPay(found.head, here.amount_fen, url, state)


async def _open(tx: Tx, caller: Actor, found: Seen, owed: int, share: int | None, last: Attempt | None) -> DeskPay:
    """Something can be taken: all that is left, or one share nobody is paying."""
    shares = (await payment_of(tx, found.visit, found.view))[1]
    live = await paying.live_round(tx, found.visit.id)
    shares = shares if live is not None else None
    amount = owed
    if share:
        chosen = next((s for s in shares.shares if s.number == share and s.state == "free"), None) if shares else None
        if chosen is None:
            raise ShareGoneError
        amount = chosen.amount_fen
    wait = await codes.waits_of(tx, caller, found.visit.id)
    mine = last is not None and last.relation == labels.DESK
    state = "closed" if mine and last is not None and last.state in (S.CLOSED, S.FAILED) else "new"
    scanners = await _machines(tx, found)
    at = await terminals.by_id(tx, wait.terminal_id) if wait is not None else None
    said = errors.sentence(wait.said, "conflict") if wait is not None and wait.said else None
    return DeskPay(
        visit=found.head,
        amount_fen=wait.amount_fen if wait is not None else amount,
        qr_url=None,
        state="waits" if wait is not None else state,
        shares=shares,
        share=share or None,
        shift=await shifts.current(tx, caller) is not None,
        scanners=scanners,
        wait=DeskWait(at.place if at else "", wait.until, said, at is not None and at.kind == "face") if wait else None,
        refusal=_refusal(last) if mine and last is not None and state == "closed" else None,
        change=await _change(tx, last) if mine else None,
        sheet=f"{found.visit.id}-{await attempts.sheet_of(tx, found.visit.id)}-{share or 0}",
    )


def _refusal(last: Attempt) -> str | None:
    return Words.refusal(last.refusal, face=last.channel == DeskWay.FACE)


async def _change(tx: Tx, last: Attempt | None) -> tuple[int, int] | None:
    row = await counter.movement_of(tx, last.id) if last is not None and last.state in OURS else None
    return (row.given_fen, row.given_fen - row.amount_fen) if row is not None and row.given_fen is not None else None


async def _over(tx: Tx, found: Seen, last: Attempt | None) -> DeskPay:
    """Nothing is owed any more: the hospital is booking it, or has."""
    state = await moves.shown(tx, last) if last is not None else "settled"
    amount = last.amount_fen if last is not None and state in ("paid", "settled") else 0
    shown = DeskPay(found.head, amount, None, "paid" if state == "paid" else "settled")
    return replace(shown, change=await _change(tx, last))


async def allowed(world: World, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    """The visit, if the caller may take money for it.

    Raises:
        NotFoundError, ForbiddenError: another hospital's, or no cashier.
    """
    found = await seen(world, tx, caller, visit_id, None)
    await access.require(tx, caller, Action.TAKE_PAYMENT, found.subject)
    return found


async def shown(request: Request, world: World, caller: Actor, visit_id: UUID, said: str, status: int) -> Response:
    """The page as it is now, with a sentence above it."""
    async with world.db.begin() as tx:
        found = await allowed(world, tx, caller, visit_id)
        return await show(
            request, tx, "desk_pay.html", await _view(world, tx, caller, found, None, said), status=status
        )


async def _again(request: Request, world: World, caller: Actor, wanted: Wanted, error: HoufuError) -> Response:
    """The page as it is now, with what was refused; a share that is gone is no longer shown."""
    async with world.db.begin() as tx:
        found = await allowed(world, tx, caller, wanted.visit_id)
        try:
            view = await _view(world, tx, caller, found, wanted.share, sentence(error), wanted.lines)
        except ShareGoneError:
            view = await _view(world, tx, caller, found, None, sentence(error))
        return await show(request, tx, "desk_pay.html", view, status=STATUS[error.kind])


@router.get("/desk/pay/{visit_id}")
async def page(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    share: Annotated[int, Query(ge=0)] = 0,
    line: Annotated[list[UUID] | None, Query(max_length=200)] = None,
) -> Response:
    """What is owed, in which ways it can be taken, and how what was begun stands."""
    found = await allowed(world, tx, caller, visit_id)
    return await show(
        request, tx, "desk_pay.html", await _view(world, tx, caller, found, share or None, None, line or ())
    )


@router.post("/desk/pay/{visit_id}")
async def begin(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    key: Key,
    amount_fen: Amount,
    share: ShareNo = 0,
    line: Lines = None,
) -> Response:
    """Make the QR."""
    await allowed(world, tx, caller, visit_id)
    wish = await press_of(request, world, tx, caller, key, amount_fen, share=share or None, lines=line or ())
    pay, till = till_of(world)
    await tx.let_go()
    await flows.press(world.db, pay, caller, visit_id, wish, till)
    return go(Urls.desk_pay(str(visit_id)))


@router.post("/desk/pay/{visit_id}/stop")
async def stop(visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """Wait for no code any more."""
    await allowed(world, tx, caller, visit_id)
    await codes.stop_waiting(tx, caller)
    return go(Urls.desk_pay(str(visit_id)))


@router.post("/desk/pay/{visit_id}/{way}")
async def take(
    request: Request,
    visit_id: UUID,
    way: Literal["cash", "card", "code", "scanner"],
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    key: Key,
    amount_fen: Amount,
    share: ShareNo = 0,
    said: Short = "",
    line: Lines = None,
) -> Response:
    """Take it. ``said``: yuan put down, the slip's number, the code that was read, or the scanner to wait for."""
    await allowed(world, tx, caller, visit_id)
    wanted = Wanted(visit_id, key, amount_fen, share or None, frozenset(line or ()))
    await tx.let_go()
    try:
        if way in ("cash", "card"):
            pay = world.ports.pay
            await windows.take(world.db, pay, caller, visit_id, _held(way, wanted, said))
        elif way == "code":
            provider, till = till_of(world)
            await windows.charge(world.db, provider, caller, wanted, said.strip(), till, "desk")
        else:
            async with world.db.begin() as own:
                await codes.await_code(own, caller, uuid_or_none(said) or visit_id, wanted)
    except HoufuError as error:
        return await _again(request, world, caller, wanted, error)
    return go(Urls.desk_pay(str(visit_id)))


class NotMoneyError(HoufuError):
    """What was typed is no amount."""

    code = "not_money"


def _held(way: str, wanted: Wanted, said: str) -> InHand:
    if way == "card":
        return InHand(
            DeskWay.CARD,
            wanted.idempotency_key,
            wanted.amount_fen,
            reference=said,
            share=wanted.share,
            lines=wanted.lines,
        )
    given = fen_of(said) if said.strip() else wanted.amount_fen
    if given is None:
        raise NotMoneyError
    return InHand(
        DeskWay.CASH, wanted.idempotency_key, wanted.amount_fen, given, share=wanted.share, lines=wanted.lines
    )


@router.get("/desk/pay/{visit_id}/{payment_id}/qr.png")
async def code(visit_id: UUID, payment_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """The code as a picture."""
    await allowed(world, tx, caller, visit_id)
    attempt = await attempts.seen(tx, caller, payment_id)
    ready = attempts.prepared_of(tx, attempt)
    if attempt.visit_id != visit_id or attempt.state != S.OFFERED or ready is None or not ready.code_url:
        raise NotFoundError
    picture = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    picture.add_data(ready.code_url)
    out = io.BytesIO()
    picture.make_image().save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": "private, no-store"})
