"""A visit as it happens: the feed as a stream of server-sent events, for pages (HTML) and for programs (JSON)."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Send

from api.deps import AnyCaller, TxDep, WorldDep
from api.stream import RELOAD, StreamResponse
from kernel.errors import NotFoundError
from notices import service as notices

router = APIRouter(tags=["stream"])

Surface = Literal["bill", "guide", "story", "pass", "desk"]


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
    line = world.hub.stream(caller, visit_id, patient, view, (format, page if format == "html" else None), start)

    async def serve(receive: Receive, send: Send) -> None:
        await world.hub.serve(line, upto, receive, send)

    return StreamResponse(serve)
