"""Paying with the insurance first, for programs: begin, consent to each settlement, look, agree, press in WeChat."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.payments import in_wechat, till_of
from api.world import World
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments import flows
from payments.flows import mixing as presses
from payments.flows.mixing import Lines
from payments.ports import CashChannel, InsuranceCenter
from payments.rules.mixing import InsuranceInWeChatError, InsuranceNotHereError, Waits
from payments.service import consents, mixing
from payments.service.mixing import Payer, Standing
from people.rules import Actor
from people.service import sessions
from visits.service.reading import visit_of

router = APIRouter(prefix="/api", tags=["payments"])


class InsureBody(BaseModel):
    """``account_used``: whether personal accounts, one's own and relatives' mutual aid, are used; empty: as usual.

    ``channel`` empty: JSAPI inside WeChat.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"account_used": True}]})
    account_used: bool | None = None
    channel: CashChannel | None = None


class ConsentBody(BaseModel):
    """What the insurance's consent page gave back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"auth_code": "5b1f…"}]})
    auth_code: Annotated[str, Field(min_length=4, max_length=200)]


class JumpOut(BaseModel):
    """Where a mini-program jumps to (``wx.navigateToMiniProgram``); it comes back with the code."""

    app_id: Annotated[str, Field(examples=["wxe183cd55df4b4369"])]
    path: Annotated[str, Field(examples=["auth/pages/bindcard/auth/index?openType=getAuthCode&bizType=04107"])]


class AgreeBody(BaseModel):
    """What remains in cash, as it was shown; ``channel`` empty: JSAPI inside WeChat."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"cash_fen": 1260, "channel": "JSAPI", "with_cash": True}]}
    )
    cash_fen: Annotated[int, Field(ge=0, description="fen")]
    channel: CashChannel | None = None
    with_cash: Annotated[
        bool, Field(description="the press may take the cash, too, where the bill is one settlement; false: later")
    ] = True


class InvokeOut(BaseModel):
    """What the payer's page hands to WeChat's ``requestMedicalInsurancePay``; its "ok" is no proof of payment."""

    channel: Annotated[CashChannel, Field(description="JSAPI: `WeixinJSBridge.invoke`; MINIPROG: `wx.…`")]
    params: dict[str, str]


class SettlementOut(BaseModel):
    """One settlement of the insurance; ``invoke`` while it waits for the password of who agreed."""

    id: UUID
    state: str
    waits_for: Waits
    total_fen: int
    fund_fen: int | None
    account_fen: int | None
    mutual_aid_fen: int | None
    other_fen: int | None
    hospital_part_fen: int | None
    cash_fen: int | None
    pay_fen: Annotated[int, Field(description="cash the same press takes; 0: the cash is paid afterwards")]
    invoke: InvokeOut | None


class InsuringOut(BaseModel):
    """How the insurance's settlements of the visit's latest such round stand."""

    round_state: Annotated[str, Field(examples=["insuring", "open", "closing", "paid", "settled", "released"])]
    settlements: list[SettlementOut]


class BegunOut(BaseModel):
    """The settlements, each waiting for a consent."""

    settlements: list[UUID]


# --------------------------------------------------------------------------------------------- shared with the pages


def center_of(world: World) -> InsuranceCenter:
    """The line to the payment centre.

    Raises:
        InsuranceNotHereError: there is none.
    """
    if world.ports.insurance is None:
        raise InsuranceNotHereError
    return world.ports.insurance


def lines_of(world: World) -> Lines:
    """The lines by which the insurance is used inside WeChat.

    Raises:
        InsuranceNotHereError: one of them is missing.
    """
    center, mix, pay = center_of(world), world.ports.mix, world.ports.pay
    if mix is None or pay is None:
        raise InsuranceNotHereError
    return Lines(center, mix, pay)


async def payer_of(request: Request, world: World, tx: Tx, caller: Actor, channel: CashChannel | None = None) -> Payer:
    """Where the caller's page runs and as whom WeChat knows them there.

    Raises:
        InsuranceNotHereError: the house has no line for it.
        InsuranceInWeChatError: another browser, or WeChat does not know the caller under our app.
    """
    lines_of(world)
    way = channel or (CashChannel.JSAPI if in_wechat(request, world) else CashChannel.H5)
    _, till = till_of(world, way)
    openid = await sessions.openid_of(tx, caller.id, till.appid) if till.appid else None
    if way not in (CashChannel.JSAPI, CashChannel.MINIPROG) or openid is None:
        raise InsuranceInWeChatError
    return Payer(way, openid, till, request.client.host if request.client else None)


async def agreed(
    world: World, caller: Actor, visit_id: UUID, cash_fen: int, payer: Payer, *, with_cash: bool = True
) -> None:
    """The payer agrees to the split they saw: the orders are opened at WeChat; ``standing`` then has the parameters."""
    await presses.agree(world.db, lines_of(world), caller, visit_id, cash_fen, payer, with_cash=with_cash)


async def look_now(world: World, visit_id: UUID) -> None:
    """Ask WeChat and the centre at once because somebody waits; at most every two seconds, whoever presses."""
    await presses.look_now(world.db, lines_of(world), visit_id)


async def standing(tx: Tx, caller: Actor, visit_id: UUID) -> InsuringOut:
    """How each settlement stands, with what the page hands to WeChat.

    Raises:
        NotFoundError, ForbiddenError: as ``payments.service.mixing.of_visit`` does.
    """
    now, each = await mixing.of_visit(tx, caller, visit_id)
    return InsuringOut(round_state=now.state, settlements=[_settlement(one) for one in each])


def _settlement(one: Standing) -> SettlementOut:
    invoke = InvokeOut(channel=one.invoke.channel, params=dict(one.invoke.params)) if one.invoke is not None else None
    return SettlementOut(
        id=one.part_id,
        state=one.state,
        waits_for=one.waits_for,
        total_fen=one.total_fen,
        fund_fen=one.fund_fen,
        account_fen=one.account_fen,
        mutual_aid_fen=one.mutual_aid_fen,
        other_fen=one.other_fen,
        hospital_part_fen=one.hospital_part_fen,
        cash_fen=one.cash_fen,
        pay_fen=one.pay_fen,
        invoke=invoke,
    )


async def begin_insuring(world: World, tx: Tx, caller: Actor, visit_id: UUID, account_used: bool | None) -> list[UUID]:
    """Ask the hospital what the insurance has to be told, and open the round.

    Raises:
        InsuranceNotHereError: nothing of it could be paid here.
    """
    lines_of(world)
    visit = await visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    his = await world.ports.his.of(visit.hospital_id)
    await tx.let_go()
    return await flows.insure(world.db, his, caller, visit_id, account_used=account_used)


async def consent_given(world: World, tx: Tx, caller: Actor, part_id: UUID, auth_code: str) -> None:
    """Change the code for an authorization, hand in and let reckon."""
    _, till = till_of(world)
    openid = await sessions.openid_of(tx, caller.id, till.appid)
    center = center_of(world)
    await tx.let_go()
    await flows.authorize(world.db, center, caller, part_id, auth_code, openid or "")


# --------------------------------------------------------------------------------------------------------- endpoints


@router.post("/visits/{visit_id}/insurance", status_code=201)
async def begin(
    request: Request, visit_id: UUID, body: InsureBody, caller: PersonCaller, world: WorldDep, tx: TxDep
) -> BegunOut:
    """Let the insurance settle first; nothing is taken before the split was shown and agreed to. WeChat only: 409."""
    await payer_of(request, world, tx, caller, body.channel)
    return BegunOut(settlements=await begin_insuring(world, tx, caller, visit_id, body.account_used))


@router.get("/visits/{visit_id}/insurance")
async def look(visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> InsuringOut:
    """How each settlement stands, and what the page hands to WeChat; WeChat and the centre are asked if it is open."""
    now = await standing(tx, caller, visit_id)
    if not any(one.waits_for in (Waits.OPENING, Waits.PASSWORD, Waits.RESULT) for one in now.settlements):
        return now
    await tx.let_go()
    await look_now(world, visit_id)
    async with world.db.begin() as again:
        return await standing(again, caller, visit_id)


@router.get("/insurance/{settlement_id}/consent")
async def jump(settlement_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> JumpOut:
    """The insurance's mini-program, where the patient consents to one settlement of one's own."""
    await consents.mine(tx, caller, settlement_id)
    settings = world.settings
    joined = "&" if "?" in settings.insurance_consent_path else "?"
    path = f"{settings.insurance_consent_path}{joined}{urlencode({'orgCodg': settings.insurance_org_code})}"
    return JumpOut(app_id=settings.insurance_consent_appid, path=path)


@router.post("/insurance/{settlement_id}/consent", status_code=204)
async def consent(settlement_id: UUID, body: ConsentBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> None:
    """The patient consented to one settlement; its split is shown as soon as it is reckoned."""
    await consent_given(world, tx, caller, settlement_id, body.auth_code)


@router.post("/visits/{visit_id}/insurance/agree")
async def agree(
    request: Request, visit_id: UUID, body: AgreeBody, caller: PersonCaller, world: WorldDep, tx: TxDep
) -> InsuringOut:
    """The payer has seen what is taken from where, and agrees; 409 when it is no longer that, or not inside WeChat."""
    payer = await payer_of(request, world, tx, caller, body.channel)
    await tx.let_go()
    await agreed(world, caller, visit_id, body.cash_fen, payer, with_cash=body.with_cash)
    async with world.db.begin() as now:
        return await standing(now, caller, visit_id)
