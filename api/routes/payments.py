"""Paying for programs: begin with an Idempotency-Key, look, give up; the pages use the same few steps."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from api.world import World
from kernel.db import Tx
from kernel.outside import NotConfigured
from payments import flows
from payments.ports import CashChannel, CashPay
from payments.rules import PAYABLE, Piece, Till
from payments.service import attempts, moves, receipts, rounds
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people.rules import Actor, ActorKind
from people.service import hospitals, patients, sessions

router = APIRouter(prefix="/api", tags=["payments"])


# --------------------------------------------------------------------------- shared with the pages (pwa.pages.pay)


def till_of(world: World, way: StrEnum | None = None) -> tuple[CashPay, Till]:
    """The line to WeChat Pay, and whose till it is; who pays in the mini-program is known by another app.

    Raises:
        NotConfigured: there is none.
    """
    settings = world.settings
    if world.ports.pay is None:
        raise NotConfigured("wechat_pay")
    account = settings.wechat_pay_appid or settings.wechat_appid
    appid = settings.wechat_mini_appid if way is CashChannel.MINIPROG else account
    return world.ports.pay, Till(settings.wechat_pay_mchid, appid)


def in_wechat(request: Request, world: World) -> bool:
    """Whether the page runs inside WeChat; on the stage and in journeys every phone of its holder does."""
    if "MicroMessenger" in request.headers.get("user-agent", ""):
        return True
    if not world.settings.wechat_script:
        return False
    return request.headers.get("host", "") in world.extras.get("hosts", ()) or request.query_params.get("wx") == "1"


async def press_of(
    request: Request,
    world: World,
    tx: Tx,
    caller: Actor,
    key: str,
    amount_fen: int,
    channel: CashChannel | None = None,
    *,
    share: int | None = None,
    lines: Collection[UUID] = (),
    patient: UUID | None = None,
) -> Press:
    """What the payer's page asks, in the way that works where it runs: bridge in WeChat, H5 elsewhere, QR at a desk."""
    ip = request.client.host if request.client else None
    if caller.kind is ActorKind.STAFF:
        return Press(CashChannel.NATIVE, key, amount_fen, ip, share=share, lines=frozenset(lines), seen_patient=patient)
    way = channel or (CashChannel.JSAPI if in_wechat(request, world) else CashChannel.H5)
    appid = till_of(world, way)[1].appid
    inside = way in (CashChannel.JSAPI, CashChannel.MINIPROG) and bool(appid)
    openid = await sessions.openid_of(tx, caller.id, appid) if inside else None
    return Press(way, key, amount_fen, ip, openid, share, frozenset(lines), seen_patient=patient)


async def look_now(world: World, attempt_id: UUID) -> None:
    """Ask WeChat at once because somebody waits; at most every two seconds, whoever presses."""
    pay, _ = till_of(world)
    async with world.db.begin() as tx:
        wanted = (await attempts.by_id(tx, attempt_id)).state in PAYABLE and await attempts.may_ask(tx, attempt_id)
    if wanted:
        await flows.look(world.db, pay, attempt_id)


# --------------------------------------------------------------------------------------------------------- endpoints


class PayBody(BaseModel):
    """What the payer was shown; ``channel`` empty: JSAPI inside WeChat, otherwise H5."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"amount_fen": 7760, "channel": "JSAPI"}]}
    )
    amount_fen: Annotated[int, Field(ge=1, description="the amount that was shown, fen")]
    channel: CashChannel | None = None
    patient_id: Annotated[UUID | None, Field(description="whom the payer was shown; refused if it is not hers")] = None
    share: Annotated[int | None, Field(ge=1, description="number of one share; empty: all that is payable now")] = None
    lines: Annotated[list[UUID], Field(max_length=200, description="instead just these lines with `pay_first`")] = []


class ShareBody(BaseModel):
    """One share; ``person_id`` empty: for whoever comes first."""

    model_config = ConfigDict(extra="forbid")
    amount_fen: Annotated[int, Field(ge=1, description="fen")]
    person_id: UUID | None = None


class CutBody(BaseModel):
    """What is left, as it was shown, cut into shares; a rest nobody named is for whoever comes first."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"left_fen": 7760, "shares": [{"amount_fen": 5000}]}]}
    )
    left_fen: Annotated[int, Field(ge=1, description="fen")]
    shares: Annotated[list[ShareBody], Field(min_length=1, max_length=8)]
    lines: Annotated[list[UUID], Field(max_length=200, description="instead just these lines with `pay_first`")] = []


class Payment(BaseModel):
    """One payment as its payer sees it."""

    id: UUID
    visit_id: UUID
    state: Annotated[str, Field(examples=["offered", "unknown", "paid", "settled", "closed", "refunding", "refunded"])]
    # also share_paid (other shares are missing), returning and returned (its round was given up)
    amount_fen: int
    channel: CashChannel
    expires_at: datetime
    paid_at: datetime | None
    client_params: Annotated[dict[str, str] | None, Field(description="for WeChat's bridge")] = None
    h5_url: str | None = None
    code_url: Annotated[str | None, Field(description="to be shown as a QR code")] = None


async def _payment(tx: Tx, attempt: Attempt) -> Payment:
    shown = await moves.shown(tx, attempt)
    ready = attempts.prepared_of(tx, attempt) if shown == "offered" and not attempt.mixed else None
    links: dict[str, Any] = {}
    if ready is not None:
        links = {"client_params": dict(ready.client_params) or None, "h5_url": ready.h5_url, "code_url": ready.code_url}
    return Payment(
        id=attempt.id,
        visit_id=attempt.visit_id,
        state=shown,
        amount_fen=attempt.amount_fen,
        channel=CashChannel(attempt.channel),
        expires_at=attempt.expires_at,
        paid_at=attempt.paid_at,
        **links,
    )


async def _now(world: World, caller: Actor, attempt_id: UUID) -> Payment:
    async with world.db.begin() as tx:
        return await _payment(tx, await attempts.seen(tx, caller, attempt_id))


@router.post("/visits/{visit_id}/payments", status_code=201)
async def begin(
    request: Request,
    visit_id: UUID,
    body: PayBody,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    idempotency_key: Annotated[str, Header(min_length=8, max_length=64, description="made and kept before sending")],
) -> Payment:
    """Begin to pay all that is payable now, a share, or lines before they are done; the same key is the same payment.

    409: somebody else pays.
    """
    wish = await press_of(
        request,
        world,
        tx,
        caller,
        idempotency_key,
        body.amount_fen,
        body.channel,
        share=body.share,
        lines=body.lines,
        patient=body.patient_id,
    )
    pay, till = till_of(world, wish.channel)
    await tx.let_go()
    return await _now(world, caller, await flows.press(world.db, pay, caller, visit_id, wish, till))


class PaidOut(BaseModel):
    """One payment of the caller's, for whomever; ``refunded_fen`` has gone back, or is going."""

    id: UUID
    visit_id: UUID
    patient: Annotated[str, Field(description="masked, unless oneself")]
    hospital: str
    amount_fen: int
    refunded_fen: int
    channel: str
    paid_at: datetime | None


@router.get("/payments")
async def paid(caller: PersonCaller, tx: TxDep) -> list[PaidOut]:
    """What the caller has paid, newest first, at most fifty; also where the right to pay has ended since."""
    made = []
    for attempt in await receipts.paid_by(tx, caller.id):
        patient = await patients.by_id(tx, attempt.patient_id)
        made.append(
            PaidOut(
                id=attempt.id,
                visit_id=attempt.visit_id,
                patient=patients.name_of(tx, patient) if patient.id == caller.id else patient.name_masked,
                hospital=(await hospitals.by_id(tx, attempt.hospital_id)).name,
                amount_fen=attempt.amount_fen,
                refunded_fen=attempt.refunded_fen,
                channel=attempt.channel,
                paid_at=attempt.paid_at,
            )
        )
    return made


@router.get("/payments/{payment_id}")
async def payment(payment_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Payment:
    """How one's own payment stands; WeChat is asked if it is not over."""
    await attempts.seen(tx, caller, payment_id)
    await tx.let_go()
    await look_now(world, payment_id)
    return await _now(world, caller, payment_id)


@router.post("/payments/{payment_id}/cancel")
async def cancel(payment_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Payment:
    """Give one's own payment up; if the money is already there it stays paid."""
    await attempts.seen(tx, caller, payment_id)
    pay, _ = till_of(world)
    await tx.let_go()
    await flows.close(world.db, pay, payment_id)
    return await _now(world, caller, payment_id)


@router.post("/visits/{visit_id}/shares", status_code=204)
async def share(visit_id: UUID, body: CutBody, caller: AnyCaller, tx: TxDep) -> None:
    """Cut what is left to pay into shares, or cut those nobody has taken anew; the bill's ``round`` shows them."""
    pieces = [Piece(s.amount_fen, s.person_id) for s in body.shares]
    await rounds.cut(tx, caller, visit_id, pieces, body.left_fen, body.lines)


@router.post("/visits/{visit_id}/shares/give-up", status_code=204)
async def give_up(visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> None:
    """Share no more: what was paid goes back to who paid it, everything is payable as a whole again."""
    pay, _ = till_of(world)
    await tx.let_go()
    await flows.give_up(world.db, pay, caller, visit_id)
