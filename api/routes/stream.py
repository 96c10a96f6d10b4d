"""A visit as it happens, for pages (HTML) and programs (JSON), and word of visits that begin: streams of events."""

import hashlib
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Send

from api.deps import AnyCaller, PersonCaller, TxDep, WorldDep, session_token
from api.line import Line, follow_line
from api.stream import RELOAD, StreamResponse
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices import service as notices
from people.rules import Actor
from people.service import access
from visits.service import reading
from visits.service.subjects import subject_of_visit

router = APIRouter(tags=["stream"])

Surface = Literal["bill", "guide", "story", "pass", "pay", "desk"]


@router.get("/api/visits/{visit_id}/stream", response_class=StreamResponse)
async def stream(
    visit_id: UUID,
    caller: AnyCaller,
    tx: TxDep,
    world: WorldDep,
    format: Annotated[Literal["html", "json"], Query(description="fragments for htmx, or JSON")] = "json",
    page: Annotated[Surface, Query(description="which page the HTML is for")] = "bill",
    after: Annotated[str | None, Query(max_length=64, description="the position the page was made at")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Follow one visit from a position on.

    Each message's id is an opaque position; ``Last-Event-ID`` or ``after`` resumes behind it, and nothing is lost or
    said twice. ``event: reload`` means: what you may see has changed, or the position is none of yours; ask for the
    page again. Without a position the stream begins now.
    """
    view, patient = await world.look(tx, caller, visit_id)
    if view.blind and not view.staff:
        raise NotFoundError
    upto = await notices.position(tx, visit_id)
    token = last_event_id or after
    start = upto if token is None else world.hub.position(token, caller, visit_id)
    if start is None or start > upto:
        # Forged, foreign, or from before a restore: the page must be drawn afresh.
        return Response(b"retry: 3000\n\n" + RELOAD, media_type="text/event-stream")
    looked = "live" if format == "json" else "home" if page == "guide" and not view.owner else page
    await access.look(tx, caller, await subject_of_visit(tx, visit_id), looked)
    line = world.hub.stream(caller, visit_id, patient, view, (format, page if format == "html" else None), start)

    async def serve(receive: Receive, send: Send) -> None:
        await world.hub.serve(line, upto, receive, send)

    return StreamResponse(serve)


NEWEST = 3  # visits of each person that the first page may be about


async def glance(tx: Tx, caller: Actor) -> tuple[str, frozenset[UUID]]:
    """Whom a person looks after and which visits run: (all that in short, the people on whom it depends)."""
    seen: list[str] = []
    people = await access.patients_of(tx, caller)
    for person in people:
        seen.append(str(person.id))
        for visit, view in await reading.visits_seen(tx, caller, person.id, limit=NEWEST):
            seen.append(f"{visit.id}/{visit.state if view.owner or view.pays else 'open'}")
    mark = hashlib.sha256(" ".join(seen).encode()).hexdigest()[:16]
    return mark, frozenset({caller.id, *(p.id for p in people)})


def news_url(mark: str) -> str:
    """The line of a page that shows what ``glance`` saw."""
    return f"/api/news?after={mark}"


@router.get("/api/news", response_class=StreamResponse)
async def news(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    world: WorldDep,
    after: Annotated[str, Query(max_length=64, description="the mark the page was drawn with")] = "",
) -> Response:
    """Wait for a visit to begin or to end, one's own or one that is shared: ``event: reload``, and nothing else."""
    token, about = session_token(request) or "", (await glance(tx, caller))[1]

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else (await glance(now, caller))[0]

    return follow_line(world.hub, caller.viewer, Line(world.hub, mark, after, RELOAD, about))
