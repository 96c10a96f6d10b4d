"""Where to go now, which way, how to prepare for it, and everything else of today under it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep
from guide import service as guide
from guide.ports import Profile
from guide.service import moving, routes, spots, whereabouts
from guide.service.routes import NoMapError, Route, Spot
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from people.rules import Action, Actor, Audience
from people.service import access, hospitals
from pwa.answer import ELDER, go, show
from pwa.rows import Step
from pwa.urls import Urls
from pwa.views import Appointment, FloorPicture, Guide, Nav, Where
from pwa.visit_pages import Seen, seen
from visits.service import orders, reading
from words import guide_way as w
from words import money
from words.guide_move import move
from words.pages import Pages

router = APIRouter(include_in_schema=False)

_LAST = 32_503_680_000  # seconds of 1970; the year 3000
_TAKEN = frozenset({"called", "performed"})  # the medicine is ready, or in her hand
w_guide = Pages.guide


@router.get("/visits/{visit_id}/guide")
async def page(
    request: Request,
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    no_steps: bool = False,
    at: Annotated[str, Query(max_length=16)] = "",
    since: Annotated[int, Query(ge=0, le=_LAST)] = 0,
) -> Response:
    """The guide; steps arrive by themselves. ``at`` is the sign she stands at, seen at ``since`` (seconds of 1970)."""
    found = await seen(world, tx, caller, visit_id, "guide")
    if not (found.view.owner or found.view.staff):
        return go(Urls.companion(str(visit_id)))
    sign = await _sign(tx, caller, found, at, since)
    steps = await guide.steps_of(tx, visit_id, found.view)
    now = guide.next_step(steps)
    turn = guide.turn_of(now, tx.now) if now else None
    planned, note = guide.plan_of(steps)
    view = Guide(
        found.head,
        replace(Step.of(now), preparation=guide.ready(now)) if now else None,
        [Step.of(s) for s in steps],
        found.stream("guide"),
        sheet_url=Urls.sheet(str(visit_id)) if await access.can(tx, caller, Action.SHOW_PASS, found.subject) else None,
        plan=[s["because"] or s["name"] for s in planned],
        plan_note=note,
        turn=w_guide.turn(money.clock(turn.begin), money.clock(turn.end), passed=turn.passed) if turn else None,
        heard=w_guide.heard(money.clock(turn.heard), old=turn.old) if turn else None,
        medicines=[
            (s["name"], s["note"]) for s in steps if s["kind"] == "medication" and s["note"] and s["state"] in _TAKEN
        ],
        appointments=[_appointment(visit_id, s, tx.now) for s in steps if s["window"]],
        no_steps=no_steps,
    )
    large = request.cookies.get(ELDER) == "1"
    profile = await profile_for(tx, found, no_steps=no_steps, slow=large)
    if now:
        start = Start(sign, profile, no_steps, at if sign is not None and sign.code == at else "", since, large)
        view = await _with_way(tx, found, view, now, start)
    nav = Nav("guide", str(visit_id)) if found.view.owner else None
    return await show(request, tx, "guide.html", view, nav)


async def _sign(tx: Tx, caller: Actor, found: Seen, at: str, since: int) -> spots.Sign | None:
    """Where she stands, by the sign she has just come from or by the last one that was kept."""
    said = (at, min(tx.now, datetime.fromtimestamp(since, UTC))) if at else None
    if said is not None:
        with suppress(ForbiddenError, NotFoundError):  # who may not say it for her, and a sign that is no longer there
            await whereabouts.say(tx, caller, found.visit.id, *said)
    return await whereabouts.sign_of(tx, found.visit, await orders.orders_of(tx, found.visit.id), said)


async def profile_for(tx: Tx, found: Seen, *, no_steps: bool, slow: bool) -> Profile:
    """How she goes: as was said of her; without steps where that is asked for; slowly in 长辈版."""
    profile = await guide.profile_of(tx, found.visit)
    if no_steps and not profile.step_free:
        return Profile.WHEELCHAIR
    return Profile.SLOW if slow and profile is Profile.WALK else profile


def _appointment(visit_id: UUID, step: Mapping[str, Any], now: datetime) -> Appointment:
    begins, until = step["window"]
    url = Urls.move(str(visit_id), str(step["id"])) if step["move"] == moving.ASK else None
    day = money.clock(begins) if china_day(begins) == china_day(now) else money.when(begins, now)
    missed = step["planned"] is None
    return Appointment(move(step["move"], step["name"], day, money.clock(until), missed=missed), url)


@router.post("/visits/{visit_id}/orders/{order_id}/move")
async def ask_to_move(visit_id: UUID, order_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Ask the hospital for another time; pressed twice it is asked once. The page says how it stands."""
    await moving.ask(tx, caller, visit_id, order_id)
    return go(Urls.guide(str(visit_id)))


@dataclass(frozen=True, slots=True)
class Start:
    """How she goes, and from which sign: ``at`` is its code where the address says it, and ``since`` (seconds of 1970).

    ``large``: with large letters.
    """

    sign: spots.Sign | None
    profile: Profile
    no_steps: bool
    at: str
    since: int
    large: bool

    def query(self, no_steps: bool) -> str:
        """The same start, with or without steps."""
        asked: dict[str, str | int] = {"no_steps": 1} if no_steps else {}
        asked |= {"at": self.at, "since": self.since} if self.at else {}
        return f"?{urlencode(asked)}" if asked else ""


async def _with_way(tx: Tx, found: Seen, view: Guide, now: Mapping[str, Any], start: Start) -> Guide:
    """From the sign she stands at, else where she was last (reported or done), else the doctor she came to."""
    here, sign = Urls.guide(found.head.id), start.sign
    where = await last_door(tx, found)
    spot = Spot(code=sign.key) if sign is not None else Spot(department=where) if where else None
    if spot is None or not now["department"] or (sign is None and where in (now["door"], now["department"])):
        return view
    step_free = start.profile.step_free
    try:
        way = await routes.route(
            tx, found.hospital.id, spot, now["department"], start.profile, drawn=True, large=start.large
        )
    except NoMapError:
        return view
    other = None
    if start.no_steps or not step_free:  # to who has said that she goes on wheels no stairs are offered
        other = (w.WITH_STEPS if start.no_steps else w.WITHOUT_STEPS, here + start.query(not start.no_steps))
    view = replace(
        view,
        other_way=other,
        start=sign.name if sign else None,
        ways_url=Urls.ways(found.head.id) + ("?no_steps=1" if start.no_steps else ""),
        self_url=here + start.query(start.no_steps),
        where_url=Urls.where(found.head.id),
    )
    if way is None:
        return replace(view, way=(w.NO_STEP_FREE if step_free else w.NO_WAY,))
    return replace(
        view,
        way=way.lines[1:],
        walk=w.about(way.seconds),
        floors=floors_of(way),
        spoken=way.spoken,
        step_free=step_free,
        map_number=way.version,
    )


async def last_door(tx: Tx, found: Seen) -> str:
    """Where she reported or was done last, else the department she came to."""
    every = await orders.orders_of(tx, found.visit.id)
    shown = [o for o in every if found.view.shows(Audience.STEPS, o.category)]
    return whereabouts.last_door(shown) or found.head.department or ""


@router.get("/visits/{visit_id}/where")
async def where(
    request: Request,
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    floor: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The places she may say she stands at: a list of departments, and a floor to tap on."""
    found = await seen(world, tx, caller, visit_id, "guide")
    if not (found.view.owner or found.view.staff):
        return go(Urls.companion(str(visit_id)))
    here, large = Urls.where(found.head.id), request.cookies.get(ELDER) == "1"

    def to(code: str) -> str:
        return _from(found.head.id, code, tx.now)

    try:
        every = await spots.departments(tx, found.hospital.id)
        shown = await spots.picture(tx, found.hospital.id, floor, found.head.department or "", to, large=large)
    except NoMapError:
        return await show(request, tx, "guide_where.html", Where(found.head))
    view = Where(
        found.head,
        [(s.name, s.where, to(s.code)) for s in every],
        [(name, f"{here}?floor={n}#map", n == shown.level) for n, name in shown.floors],
        Markup(shown.drawn),  # noqa: S704 - drawn by us
    )
    return await show(request, tx, "guide_where.html", view)


@router.get("/guide/at/{hospital}/{code}")
async def at_sign(hospital: str, code: str, caller: PersonCaller, tx: TxDep) -> Response:
    """The QR on a wall: to the guide of whoever's visit goes on there, beginning at the sign; else to page one."""
    try:
        place = await hospitals.by_code(tx, hospital)
    except NotFoundError:
        return go(Urls.home)
    for person in sorted(await access.patients_of(tx, caller), key=lambda p: p.id != caller.id):
        for visit, view in await reading.visits_seen(tx, caller, person.id):
            if (
                view.owner
                and visit.state == "open"
                and visit.hospital_id == place.id
                and visit.day == china_day(tx.now)
            ):
                return go(_from(str(visit.id), code[:16], tx.now))
    return go(Urls.home)


def _from(visit: str, code: str, now: datetime) -> str:
    return f"{Urls.guide(visit)}?{urlencode({'at': code, 'since': int(now.timestamp())})}"


def floors_of(way: Route) -> list[FloorPicture]:
    """One picture a floor, drawn by us."""
    return [(name, Markup(svg)) for name, svg in way.floors]  # noqa: S704
