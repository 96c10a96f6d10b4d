"""The order of one patient's examinations before a nurse: what comes first, what later, why, and how she moves."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from guide import service as guide
from guide.ports import Profile
from guide.service import nursing, walking
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError
from people.rules import Actor
from people.service import staff
from pwa.answer import go, show
from pwa.desk_views import DeskPlan, PlanRow
from pwa.urls import Urls
from pwa.visit_pages import Seen, seen
from words import errors, money
from words.pages import Pages

router = APIRouter(include_in_schema=False)

_STEP, _AHEAD = timedelta(minutes=15), 16  # how finely, and how many of them, something may be put off
Do = Literal["first", "later", "looked", "clear", "walking"]


async def _of(tx: Tx, found: Seen, error: HoufuError | None = None) -> DeskPlan:
    steps = await guide.steps_of(tx, found.visit.id, found.view)
    planned, note = guide.plan_of(steps)
    open_ = [s for s in steps if s["state"] in guide.OPEN and (s["planned"] is not None or s["asks"])]
    rest = [s for s in open_ if s not in planned]
    word = await nursing.word_of(tx, found.visit.id)
    said = word is not None and (word.first or word.later)
    begin = (
        tx.now + _STEP - timedelta(minutes=tx.now.minute % 15, seconds=tx.now.second, microseconds=tx.now.microsecond)
    )
    times = [begin + n * _STEP for n in range(_AHEAD)]
    return DeskPlan(
        found.head,
        found.visit.number,
        [
            PlanRow(
                str(s["id"]),
                s["name"],
                s["place"],
                s["because"],
                first=word is not None and str(s["id"]) in word.first,
                reported=s["state"] != "placed",
                asks=s["asks"],
            )
            for s in [*planned, *rest]
        ],
        (await walking.profile_of(tx, found.visit)).value,
        note=note,
        by=Pages.desk_plan.by(await staff.name_of(tx, word.said_by) or "", money.clock(word.said_at))
        if word is not None and said
        else None,
        times=[(t.isoformat(), money.clock(t)) for t in times],
        error=errors.sentence(error.code, error.kind, **error.params) if error else None,
    )


async def _found(world: WorldDep, tx: Tx, caller: Actor, visit_id: UUID) -> Seen:
    if caller.role not in walking.MAY_PIN:  # before anything is looked up
        raise ForbiddenError
    return await seen(world, tx, caller, visit_id, None)


@router.get("/desk/visits/{visit_id}/plan")
async def page(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """Her plan as she is advised it, with what may be said about each part."""
    found = await _found(world, tx, caller, visit_id)
    return await show(request, tx, "desk_plan.html", await _of(tx, found))


@router.post("/desk/visits/{visit_id}/plan")
async def say(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    do: Annotated[Do, Form()],
    order: Annotated[UUID | None, Form()] = None,
    reason: Annotated[str, Form(max_length=20)] = "",
    when: Annotated[str, Form(max_length=40)] = "",
    profile: Annotated[Profile, Form()] = Profile.WALK,
) -> Response:
    """What the nurse decides; where a rule of the hospital stands against it, or she has reported, it says so."""
    found = await _found(world, tx, caller, visit_id)
    try:
        await _do(tx, caller, visit_id, do, order, reason, when, profile)
    except HoufuError as refusal:
        view = await _of(tx, found, refusal)
        return await show(request, tx, "desk_plan.html", view, status=STATUS[refusal.kind])
    return go(Urls.desk_plan(str(visit_id)))


async def _do(
    tx: Tx, caller: Actor, visit_id: UUID, do: Do, order: UUID | None, reason: str, when: str, profile: Profile
) -> None:
    if do == "walking":
        await walking.choose(tx, caller, visit_id, profile)
    elif do == "clear" or order is None:
        await nursing.unpin(tx, caller, visit_id)
    elif do == "later":
        await nursing.put_off(tx, caller, visit_id, order, _later(when), reason)
    elif do == "looked":
        word = await nursing.word_of(tx, visit_id)
        first = [UUID(key) for key in word.first] if word else []
        await nursing.pin(tx, caller, visit_id, first, [order], word.reason if word else None)
    else:
        await nursing.pin(tx, caller, visit_id, [order], reason=reason)


def _later(when: str) -> nursing.Later:
    """What the list said: a moment, or another order."""
    try:
        return nursing.Later(after=UUID(when))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        return nursing.Later()
    return nursing.Later(until=moment if moment.tzinfo else None)
