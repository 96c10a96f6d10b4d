"""A visit as it happens, for pages (HTML) and programs (JSON), and word of visits that begin: streams of events."""

import hashlib
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Send

from api import live as live_
from api.deps import AnyCaller, Live, PersonCaller, TxDep, WorldDep, session_token
from api.line import Line, serve_line
from api.live import Serve
from api.stream import RELOAD, StreamResponse
from api.world import World
from family_pay.service import confirming
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from notices import service as notices
from people.rules import Actor, ActorKind
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
    face = (format, page if format == "html" else None)
    serve = await follow(world, tx, caller, visit_id, face, last_event_id or after)
    if serve is None:
        return Response(b"retry: 3000\n\n" + RELOAD, media_type="text/event-stream")
    return StreamResponse(serve)


async def follow(
    world: World, tx: Tx, caller: Actor, visit_id: UUID, face: tuple[str, str | None], token: str | None
) -> Serve | None:
    """What serves one visit's stream from a position on (None: from now); it is to begin after the transaction.

    Returns: ``None`` for a position that is forged, foreign, or from before a restore: the page must be drawn afresh.

    Raises:
        NotFoundError: there is no such visit, or none for this caller.
    """
    since = world.hub.turns
    view, patient = await world.look(tx, caller, visit_id)
    if view.blind and not view.staff:
        raise NotFoundError
    upto = await notices.position(tx, visit_id)
    start = upto if token is None else world.hub.position(token, caller, visit_id)
    if start is None or start > upto:
        return None
    form, page = face
    looked = str(page) if form == "html" else "live"
    if looked == "guide" and not view.owner:
        looked = "home"  # the guide is the patient's own; it is the first page that listens like it
    await access.look(tx, caller, await subject_of_visit(tx, visit_id), looked)
    line = world.hub.stream(caller, visit_id, patient, view, face, start)

    async def serve(receive: Receive, send: Send) -> None:
        await world.hub.serve(line, upto, since, receive, send)

    return serve


@router.websocket("/api/visits/{visit_id}/live", dependencies=[Live])
async def live(socket: WebSocket, visit_id: UUID) -> None:
    """The same for programs without EventSource, as JSON messages of a WebSocket; see ``docs/api.md``."""

    async def begin(line: live_.Line) -> Serve:
        async with line.world.db.begin() as tx:
            caller = await line.who(tx)
            serve = await follow(line.world, tx, caller, visit_id, ("json", None), line.after)
        return serve or live_.only_reload

    await live_.talk(socket, begin)


NEWEST = 3  # visits of each person that the first page may be about


async def glance(tx: Tx, caller: Actor) -> tuple[str, frozenset[UUID]]:
    """Whom a person looks after and which visits run: (all that in short, the people on whom it depends)."""
    seen: list[str] = []
    people = await access.patients_of(tx, caller)
    for person in people:
        seen.append(str(person.id))
        for visit, view in await reading.visits_seen(tx, caller, person.id, limit=NEWEST):
            seen.append(f"{visit.id}/{visit.state if view.owner or view.pays else 'open'}")
    seen.append(await confirming.mark(tx, caller))
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
    """Wait for a visit to begin or to end, or for somebody to wait for one's yes: ``event: reload``, nothing else."""
    return StreamResponse(await wait_for_news(world, tx, caller, session_token(request) or "", after))


async def wait_for_news(world: World, tx: Tx, caller: Actor, token: str, after: str) -> Serve:
    """What serves somebody's line of news; it is to begin after the transaction."""
    about = (await glance(tx, caller))[1]

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else (await glance(now, caller))[0]

    return serve_line(world.hub, caller.viewer, Line(world.hub, mark, after, RELOAD, about))


@router.websocket("/api/news/live", dependencies=[Live])
async def live_news(socket: WebSocket) -> None:
    """The same news over a WebSocket; a program without a mark is told ``reload`` at once."""

    async def begin(line: live_.Line) -> Serve:
        async with line.world.db.begin() as tx:
            caller = await line.who(tx)
            if caller.kind is not ActorKind.PERSON:
                raise ForbiddenError
            return await wait_for_news(line.world, tx, caller, line.token, line.after or "")

    await live_.talk(socket, begin)
