"""What a person is told outside our pages, where and when; and how one checks that a caller or a message is ours."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep, session_token
from api.world import World
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.outside import NotConfigured
from notices.ports import Subscription, WebPush
from notices.rules.reach import Channel, Topic, Wish
from notices.service import codes, telling, wishes
from notices.service.wishes import NotAPushServiceError
from people.rules import Actor
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from visits.service import reading

router = APIRouter(prefix="/api", tags=["reminders"])

Hour = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["21:30"])]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WishBody(_Asked):
    """What a person wants; ``basic``: nothing but a basic phone, so guidance comes by text message at once."""

    off_topics: list[Topic] = Field(default=[], max_length=3)
    off_channels: list[Channel] = Field(default=[], max_length=3)
    quiet_from: Hour = "21:30"
    quiet_to: Hour = "07:00"
    basic: bool = False


class WishOut(WishBody):
    """The same, with the key to subscribe a browser with (none: no browser is rung here)."""

    push_key: str | None = None
    rings_here: bool = False


class KeysBody(_Asked):
    """Of ``PushSubscription.toJSON()``."""

    p256dh: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{80,100}=*$")]
    auth: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,32}=*$")]


class BrowserBody(_Asked):
    """A browser's subscription."""

    endpoint: Annotated[str, Field(max_length=1000)]
    keys: KeysBody


class EndpointBody(_Asked):
    """Which browser."""

    endpoint: Annotated[str, Field(max_length=1000)]


class CallerCodeOut(BaseModel):
    """What a caller from this hospital can say now, and until when."""

    hospital_id: UUID
    hospital: str
    digits: str
    until: datetime


class MessageBody(_Asked):
    """The digits a text message carries."""

    digits: Annotated[str, Field(min_length=1, max_length=12, examples=["4821"])]


class MessageOut(BaseModel):
    """Whether we sent it; when, and of which hospital where it was of one."""

    ours: bool
    sent_at: datetime | None = None
    hospital: str | None = None


def minutes(text: str) -> int:
    """``21:30`` as minutes of the day."""
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


def hour(value: int) -> str:
    """Minutes of the day as ``21:30``."""
    return f"{value // 60:02d}:{value % 60:02d}"


def line_of(world: World) -> WebPush | None:
    """The line to browsers, where there is one."""
    return world.ports.reach.web_push if world.ports.reach is not None else None


async def add_browser(world: World, tx: Tx, caller: Actor, token: str, endpoint: str, keys: KeysBody) -> None:
    """Let a browser be rung for this person.

    Raises:
        NotConfigured: no browsers are rung here.
        NotAPushServiceError: the address is none we would call.
    """
    line = line_of(world)
    if line is None:
        raise NotConfigured("web_push")
    if not line.accepts(endpoint):
        raise NotAPushServiceError
    await wishes.subscribe(tx, caller.id, token, Subscription(endpoint, keys.p256dh, keys.auth))


async def codes_of(tx: Tx, person_id: UUID) -> list[CallerCodeOut]:
    """The codes of a person now, one for each hospital that knows them."""
    found = []
    for hospital_id in await patients.hospitals_of(tx, person_id):
        hospital = await hospitals.by_id(tx, hospital_id)
        found.append(_shown(hospital, await codes.caller_code(tx, hospital_id, person_id)))
    return found


def _shown(hospital: Hospital, code: codes.CallerCode) -> CallerCodeOut:
    return CallerCodeOut(hospital_id=hospital.id, hospital=hospital.name, digits=code.digits, until=code.until)


async def checked(tx: Tx, caller: Actor, digits: str) -> MessageOut:
    """Whether a text message with these digits is ours."""
    verdict = await codes.check_message(tx, caller.id, digits)
    visit = await reading.visit_of(tx, verdict.subject) if verdict.subject is not None else None
    hospital = (await hospitals.by_id(tx, visit.hospital_id)).name if visit is not None else None
    return MessageOut(ours=verdict.right, sent_at=verdict.sent_at, hospital=hospital)


async def for_desk(tx: Tx, caller: Actor, visit_id: UUID) -> CallerCodeOut:
    """The code to say to the patient of this visit; the look is written down.

    Raises:
        NotFoundError: no such visit, not this hospital's, or not this role's to phone about.
    """
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or visit.hospital_id != caller.hospital_id:
        raise NotFoundError
    code = await codes.staff_code(tx, caller, visit.patient_id)
    return _shown(await hospitals.by_id(tx, visit.hospital_id), code)


@router.get("/reminders")
async def wish(request: Request, caller: PersonCaller, tx: TxDep, world: WorldDep) -> WishOut:
    """What one is told outside the pages, where, and when not."""
    mine, line = await wishes.of(tx, caller.id), line_of(world)
    return WishOut(
        off_topics=sorted(mine.off_topics),
        off_channels=sorted(mine.off_channels),
        quiet_from=hour(mine.quiet_from),
        quiet_to=hour(mine.quiet_to),
        basic=mine.basic,
        push_key=line.public_key if line is not None else None,
        rings_here=await wishes.rings_here(tx, session_token(request) or ""),
    )


@router.post("/reminders", status_code=204)
async def choose(asked: WishBody, caller: PersonCaller, tx: TxDep) -> Response:
    """Choose it, whole; what is urgent passes the quiet hours all the same."""
    chosen = Wish(
        frozenset(asked.off_topics),
        frozenset(asked.off_channels),
        minutes(asked.quiet_from),
        minutes(asked.quiet_to),
        asked.basic,
    )
    await wishes.put(tx, caller.id, chosen)
    return Response(status_code=204)


@router.post("/reminders/browsers", status_code=204)
async def subscribe(asked: BrowserBody, request: Request, caller: PersonCaller, tx: TxDep, world: WorldDep) -> Response:
    """Let this browser be rung, as long as one is logged in with it."""
    await add_browser(world, tx, caller, session_token(request) or "", asked.endpoint, asked.keys)
    return Response(status_code=204)


@router.delete("/reminders/browsers", status_code=204)
async def unsubscribe(asked: EndpointBody, caller: PersonCaller, tx: TxDep) -> Response:
    """Ring this browser no more; one that is not the caller's is not found."""
    if not await wishes.unsubscribe(tx, caller.id, asked.endpoint):
        raise NotFoundError
    return Response(status_code=204)


@router.post("/reminders/test", status_code=202)
async def test(caller: PersonCaller, tx: TxDep) -> dict[str, str]:
    """Send oneself a message to try it out; one a minute."""
    await telling.try_out(tx, caller.id)
    return {"status": "sent"}


@router.get("/caller-codes")
async def caller_codes(caller: PersonCaller, tx: TxDep) -> list[CallerCodeOut]:
    """What somebody who really phones from a hospital can say now; it changes every ten minutes."""
    return await codes_of(tx, caller.id)


@router.post("/caller-codes/message")
async def check_message(asked: MessageBody, caller: PersonCaller, tx: TxDep) -> MessageOut:
    """Check whether a text message is ours, by the digits it carries; five wrong ones in ten minutes."""
    return await checked(tx, caller, asked.digits)


@router.post("/desk/visits/{visit_id}/caller-code")
async def desk_code(visit_id: UUID, caller: StaffCaller, tx: TxDep) -> CallerCodeOut:
    """Have the code shown that the patient sees, before phoning her; every look is kept."""
    return await for_desk(tx, caller, visit_id)
