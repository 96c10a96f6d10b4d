"""A payer's deduction contract for programs: signed in WeChat, looked at, ended; and no to what was announced."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.payments import in_wechat, till_of
from api.world import World
from family_pay.service import taking
from kernel.db import Tx
from payments.flows import taking as flows
from payments.ports import CashPay
from payments.rules import NotInWeChatError, Till
from payments.rules.taking import NoContractsError
from payments.service import contracts
from people.rules import Actor
from people.service import patients, sessions

router = APIRouter(prefix="/api", tags=["payments"])

Standing = Literal["none", "asked", "signed", "ending"]


class ContractOut(BaseModel):
    """Whether money can be taken by itself here, and how the caller's contract stands."""

    offered: bool
    state: Standing
    signed_at: datetime | None = None


class SignOut(BaseModel):
    """WeChat's page, good for a few minutes; open it inside WeChat, then ask how the contract stands."""

    url: str = Field(description="of WeChat's, signed by the hospital's merchant account")


def desk(world: World) -> tuple[CashPay, Till]:
    """The line by which contracts are signed, and whose till it is.

    Raises:
        NoContractsError: there is none here.
    """
    if world.ports.pay is None or world.ports.pay.deduct is None:
        raise NoContractsError
    return till_of(world)


async def standing(tx: Tx, world: World, caller: Actor) -> ContractOut:
    """How the caller's contract stands."""
    try:
        _, till = desk(world)
    except NoContractsError:
        return ContractOut(offered=False, state="none")
    row = await contracts.live(tx, caller.id, till)
    states: dict[str, Standing] = {"asked": "asked", "signed": "signed", "ending": "ending"}
    if row is None:
        return ContractOut(offered=True, state="none")
    return ContractOut(offered=True, state=states[row.state], signed_at=row.signed_at)


async def signer(request: Request, tx: Tx, world: World, caller: Actor) -> tuple[str, str]:
    """Under which openid and masked name the caller signs.

    Raises:
        NoContractsError, NotInWeChatError: not here, or WeChat does not know the caller.
    """
    _, till = desk(world)
    openid = await sessions.openid_of(tx, caller.id, till.appid)
    if openid is None or not in_wechat(request, world):
        raise NotInWeChatError
    return openid, (await patients.by_id(tx, caller.id)).name_masked


@router.get("/deduction-contract")
async def contract(caller: PersonCaller, world: WorldDep, tx: TxDep) -> ContractOut:
    """The contract by which what is left of a bill may be taken after a visit (委托代扣)."""
    return await standing(tx, world, caller)


@router.post("/deduction-contract", status_code=201)
async def sign(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep) -> SignOut:
    """Begin to sign one; asked again it is the same one. 409 outside WeChat, and where the hospital has none."""
    pay, till = desk(world)
    who = await signer(request, tx, world, caller)
    await tx.let_go()
    return SignOut(url=await flows.sign(world.db, pay, caller, till, *who))


@router.delete("/deduction-contract", status_code=204)
async def end(caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """End it: from now on nothing is begun by it, whatever WeChat has heard."""
    pay, till = desk(world)
    await tx.let_go()
    await flows.stop(world.db, pay, caller, till)
    return Response(status_code=204)


@router.post("/visits/{visit_id}/not-this-time", status_code=204)
async def refuse(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """What was announced to the caller is not taken; it stays hers to pay by a tap. 409: it is being taken."""
    await taking.not_this_time(tx, caller, visit_id)
    return Response(status_code=204)
