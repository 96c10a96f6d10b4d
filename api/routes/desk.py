"""The desk's doorbell: rings when a department's list has changed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep, session_token
from api.line import Line
from api.stream import StreamResponse
from billing.service import answers
from kernel.db import Tx
from kernel.errors import ForbiddenError
from people.rules import Actor, Role
from visits.service import desk

router = APIRouter(tags=["desk"])


def department_of(staff: Actor) -> str | None:
    """Whose list a member of staff sees: their department's, or everybody's at the guide desk and the counter."""
    return None if staff.role in (Role.GUIDE, Role.COUNTER, Role.FINANCE) else staff.department or ""


async def mark_of(tx: Tx, staff: Actor, hospital_id: UUID) -> str:
    """What the desk page of this caller looks like now, in short."""
    open_disputes = await answers.disputes_open(tx, hospital_id)
    return f"{await desk.mark(tx, hospital_id, department_of(staff))}/{len(open_disputes)}"


@router.get("/api/desk/stream", response_class=StreamResponse)
async def stream(
    request: Request,
    caller: StaffCaller,
    tx: TxDep,
    world: WorldDep,
    after: Annotated[str, Query(max_length=200, description="the mark the page was drawn with")] = "",
) -> Response:
    """Follow one's own list: ``event: refresh`` means, ask for it again. It carries nothing else."""
    hospital, token = caller.hospital_id, session_token(request) or ""
    if hospital is None:
        raise ForbiddenError

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else await mark_of(now, caller, hospital)

    return StreamResponse(Line(world.hub, mark, after).serve)
