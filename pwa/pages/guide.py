"""Where to go now, which way, how to prepare for it, and everything else of today under it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from guide import service as guide
from guide.ports import Profile
from guide.service import routes
from guide.service.routes import NoMapError, Route, Spot
from kernel.db import Tx
from people.rules import Action
from people.service import access
from pwa.answer import ELDER, go, show
from pwa.rows import Step
from pwa.urls import Urls
from pwa.views import FloorPicture, Guide, Nav
from pwa.visit_pages import Seen, seen
from words import guide_way as w

router = APIRouter(include_in_schema=False)


@router.get("/visits/{visit_id}/guide")
async def page(
    request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep, no_steps: bool = False
) -> Response:
    """The guide; steps arrive by themselves."""
    found = await seen(world, tx, caller, visit_id, "guide")
    if not (found.view.owner or found.view.staff):
        return go(Urls.companion(str(visit_id)))
    steps = await guide.steps_of(tx, visit_id, found.view)
    now = guide.next_step(steps)
    planned, note = guide.plan_of(steps)
    view = Guide(
        found.head,
        replace(Step.of(now), preparation=guide.ready(now)) if now else None,
        [Step.of(s) for s in steps],
        found.stream("guide"),
        sheet_url=Urls.sheet(str(visit_id)) if await access.can(tx, caller, Action.SHOW_PASS, found.subject) else None,
        plan=[s["because"] or s["name"] for s in planned],
        plan_note=note,
        no_steps=no_steps,
    )
    slow = request.cookies.get(ELDER) == "1"
    profile = Profile.WHEELCHAIR if no_steps else Profile.SLOW if slow else Profile.WALK
    view = await _with_way(tx, found, view, steps, now, profile, slow) if now else view
    nav = Nav("guide", str(visit_id)) if found.view.owner else None
    return await show(request, tx, "guide.html", view, nav)


async def _with_way(
    tx: Tx,
    found: Seen,
    view: Guide,
    steps: Sequence[Mapping[str, Any]],
    now: Mapping[str, Any],
    profile: Profile,
    large: bool,
) -> Guide:
    """From where she was last (the last thing done, else the doctor she came to) to what is next."""
    done = [s for s in steps if s["state"] in ("performed", "result") and s["department"]]
    last = max(done, key=lambda s: str(s["at"]))["department"] if done else found.head.department
    if not last or not now["department"] or last == now["department"]:
        return view
    no_steps = profile is Profile.WHEELCHAIR
    try:
        way = await routes.route(
            tx, found.hospital.id, Spot(department=last), now["department"], profile, drawn=True, large=large
        )
    except NoMapError:
        return view
    here, ways = Urls.guide(found.head.id), Urls.ways(found.head.id)
    view = replace(
        view,
        other_way=(w.WITH_STEPS, here) if no_steps else (w.WITHOUT_STEPS, f"{here}?no_steps=1"),
        ways_url=f"{ways}?no_steps=1" if no_steps else ways,
    )
    if way is None:
        return replace(view, way=(w.NO_STEP_FREE if no_steps else w.NO_WAY,))
    minutes = ceil(way.seconds / 60)
    return replace(view, way=way.lines[1:], walk_minutes=minutes, floors=floors_of(way), spoken=way.spoken,
                   step_free=no_steps)  # fmt: skip


def floors_of(way: Route) -> list[FloorPicture]:
    """One picture a floor, drawn by us."""
    return [(name, Markup(svg)) for name, svg in way.floors]  # noqa: S704
