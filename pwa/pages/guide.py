"""Where to go now, how to prepare for it, and everything else of today under it."""

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from guide import service as guide
from people.rules import Action
from people.service import access
from pwa.answer import go, show
from pwa.rows import Step
from pwa.urls import Urls
from pwa.views import Guide, Nav
from pwa.visit_pages import seen

router = APIRouter(include_in_schema=False)


@router.get("/visits/{visit_id}/guide")
async def page(request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
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
    )
    nav = Nav("guide", str(visit_id)) if found.view.owner else None
    return await show(request, tx, "guide.html", view, nav)
