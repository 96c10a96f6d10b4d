"""Paying with the insurance first, for programs: begin, consent to each settlement, look, agree."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.payments import till_of
from api.world import World
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.outside import NotConfigured
from payments import flows
from payments.ports import InsuranceCenter
from payments.service import consents
from people.rules import Actor
from people.service import sessions
from visits.service.reading import visit_of

router = APIRouter(prefix="/api", tags=["payments"])


class InsureBody(BaseModel):
    """``account_used``: whether personal accounts, one's own and relatives' mutual aid, are used; empty: as usual."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"account_used": True}]})
    account_used: bool | None = None


class ConsentBody(BaseModel):
    """What the insurance's consent page gave back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"auth_code": "5b1f…"}]})
    auth_code: Annotated[str, Field(min_length=4, max_length=200)]


class JumpOut(BaseModel):
    """Where a mini-program jumps to (``wx.navigateToMiniProgram``); it comes back with the code."""

    app_id: Annotated[str, Field(examples=["wxe183cd55df4b4369"])]
    path: Annotated[str, Field(examples=["auth/pages/bindcard/auth/index?openType=getAuthCode&bizType=04107"])]


class AgreeBody(BaseModel):
    """What remains in cash, as it was shown."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"cash_fen": 1260}]})
    cash_fen: Annotated[int, Field(ge=0, description="fen")]


class BegunOut(BaseModel):
    """The settlements, each waiting for a consent."""

    settlements: list[UUID]


def center_of(world: World) -> InsuranceCenter:
    """The line to the payment centre.

    Raises:
        NotConfigured: there is none.
    """
    if world.ports.insurance is None:
        raise NotConfigured("insurance")
    return world.ports.insurance


async def begin_insuring(world: World, tx: Tx, caller: Actor, visit_id: UUID, account_used: bool | None) -> list[UUID]:
    """Ask the hospital what the insurance has to be told, and open the round."""
    center_of(world)
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


@router.post("/visits/{visit_id}/insurance", status_code=201)
async def begin(visit_id: UUID, body: InsureBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> BegunOut:
    """Let the insurance settle first; nothing is taken before the split was shown and agreed to."""
    return BegunOut(settlements=await begin_insuring(world, tx, caller, visit_id, body.account_used))


@router.get("/insurance/{settlement_id}/consent")
async def jump(settlement_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> JumpOut:
    """The insurance's mini-program, where the patient consents to one settlement of one's own."""
    await consents.visit_of_part(tx, caller, settlement_id)
    settings = world.settings
    joined = "&" if "?" in settings.insurance_consent_path else "?"
    path = f"{settings.insurance_consent_path}{joined}{urlencode({'orgCodg': settings.insurance_org_code})}"
    return JumpOut(app_id=settings.insurance_consent_appid, path=path)


@router.post("/insurance/{settlement_id}/consent", status_code=204)
async def consent(settlement_id: UUID, body: ConsentBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> None:
    """The patient consented to one settlement; the bill's ``round`` shows its split as soon as it is reckoned."""
    await consent_given(world, tx, caller, settlement_id, body.auth_code)


@router.post("/visits/{visit_id}/insurance/agree", status_code=204)
async def agree(visit_id: UUID, body: AgreeBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> None:
    """The payer has seen what is taken from where, and agrees; 409 when it is no longer that."""
    center = center_of(world)
    await tx.let_go()
    await flows.confirm(world.db, center, caller, visit_id, body.cash_fen)
