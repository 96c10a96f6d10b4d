"""Logging in and out for programs: the mini-program and whoever builds on us; pages do the same by forms."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import AnyCaller, Public, TxDep, WorldDep, log_out, session_token
from api.world import World
from kernel.outside import NotConfigured
from people import flows
from people.ports import CodeSender, WeChatIdentity
from people.rules import ActorKind
from people.service import access, patients, sessions
from people.service.sessions import LoggedIn

router = APIRouter(prefix="/api/session", tags=["session"])

Step = LoggedIn | flows.MustChoose | flows.MustEnrol | flows.MustProvePhone
Phone = Annotated[str, Field(pattern=r"^1[0-9]{10}$", examples=["19900000001"])]
Ticket = Annotated[str, Field(max_length=2000)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskCode(_Asked):
    """Have a code sent."""

    phone: Phone


class PhoneLogin(_Asked):
    """Prove a phone; ``ticket`` of an earlier WeChat step links the two."""

    phone: Phone
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["204816"])]
    ticket: Ticket | None = None


class Choice(_Asked):
    """Which of the people with this phone it is."""

    ticket: Ticket
    person_id: UUID


class Enrolment(_Asked):
    """Who somebody new is."""

    ticket: Ticket
    name: Annotated[str, Field(min_length=1, max_length=30)]
    id_number: Annotated[str, Field(min_length=18, max_length=18)]


class MiniLogin(_Asked):
    """The code of ``wx.login``."""

    code: Annotated[str, Field(min_length=1, max_length=200)]


class StaffLogin(_Asked):
    """A member of staff."""

    hospital: Annotated[str, Field(max_length=40)] | None = None
    login: Annotated[str, Field(min_length=1, max_length=40)]
    pin: Annotated[str, Field(min_length=1, max_length=12)]


class SomebodyOut(BaseModel):
    """A person; the name masked unless it is one's own."""

    id: UUID
    name: str


class StepOut(BaseModel):
    """``in``: ``token`` is the bearer token. Otherwise the next step, to be taken with ``ticket``."""

    state: Literal["in", "choose", "enrol", "phone"]
    token: str | None = None
    expires: datetime | None = None
    proven: bool | None = None
    ticket: str | None = None
    people: list[SomebodyOut] = []


class SessionOut(BaseModel):
    """Who is logged in; ``people`` are those one may see or pay for, oneself first."""

    kind: ActorKind
    id: UUID
    role: str | None = None
    department: str | None = None
    people: list[SomebodyOut] = []


def sender(world: World) -> CodeSender:
    """How codes reach phones here.

    Raises:
        NotConfigured: no text messages in this installation.
    """
    sms, template = world.ports.sms, world.settings.sms_template_code
    if sms is None or not template:
        raise NotConfigured("sms")

    async def send(phone: str, digits: str, minutes: int) -> None:
        await sms.send(template, phone, [digits, str(minutes)])

    return send


def wechat_of(world: World) -> WeChatIdentity:
    """The line to WeChat's login.

    Raises:
        NotConfigured: there is none.
    """
    if world.ports.wechat is None:
        raise NotConfigured("wechat.appid")
    return world.ports.wechat


def step_out(step: Step) -> StepOut:
    """One step of logging in, as told to a program."""
    if isinstance(step, LoggedIn):
        return StepOut(state="in", token=step.token, expires=step.expires, proven=step.proven)
    if isinstance(step, flows.MustChoose):
        people = [SomebodyOut(id=i, name=n) for i, n in step.people]
        return StepOut(state="choose", ticket=step.ticket, people=people)
    return StepOut(state="enrol" if isinstance(step, flows.MustEnrol) else "phone", ticket=step.ticket)


@router.get("")
async def who(caller: AnyCaller, tx: TxDep) -> SessionOut:
    """Who is logged in, and for whom they may look or pay."""
    people = await access.patients_of(tx, caller)
    out = [SomebodyOut(id=p.id, name=patients.name_of(tx, p) if p.id == caller.id else p.name_masked) for p in people]
    return SessionOut(kind=caller.kind, id=caller.id, role=caller.role, department=caller.department, people=out)


@router.post("/code", status_code=202, dependencies=[Public])
async def send_code(asked: AskCode, world: WorldDep) -> dict[str, str]:
    """Send a login code; answered alike whoever has the phone. Five an hour."""
    await flows.send_code(world.db, sender(world), asked.phone)
    return {"status": "sent"}


@router.post("", dependencies=[Public])
async def log_in(asked: PhoneLogin, world: WorldDep) -> StepOut:
    """Prove the phone."""
    return step_out(await flows.log_in(world.db, asked.phone, asked.code, asked.ticket))


@router.post("/choose", dependencies=[Public])
async def choose(asked: Choice, world: WorldDep) -> StepOut:
    """Say which of the people with the phone one is."""
    return step_out(await flows.choose(world.db, asked.ticket, asked.person_id))


@router.post("/enrol", dependencies=[Public])
async def enrol(asked: Enrolment, world: WorldDep) -> StepOut:
    """Say for the first time who one is."""
    return step_out(await flows.enrol(world.db, asked.ticket, asked.name, asked.id_number))


@router.post("/wechat-mini", dependencies=[Public])
async def mini(asked: MiniLogin, world: WorldDep) -> StepOut:
    """Log in from the mini-program."""
    appid = world.settings.wechat_mini_appid
    return step_out(await flows.mini_log_in(world.db, wechat_of(world), appid, asked.code))


@router.post("/staff", dependencies=[Public])
async def staff(asked: StaffLogin, world: WorldDep) -> StepOut:
    """Log a member of staff in."""
    return step_out(await flows.staff_log_in(world.db, asked.hospital, asked.login, asked.pin))


@router.delete("", status_code=204)
async def leave(request: Request, caller: AnyCaller, tx: TxDep) -> Response:
    """Log out; the token is worth nothing from now on."""
    await sessions.end(tx, session_token(request) or "")
    response = Response(status_code=204)
    log_out(response)
    return response
