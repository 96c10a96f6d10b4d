"""What a phone shows when there is no network and nothing was kept."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import Public, TxDep
from pwa.answer import show
from pwa.views import Offline

router = APIRouter(include_in_schema=False)


@router.get("/offline", dependencies=[Public])
async def offline(request: Request, tx: TxDep) -> Response:
    """Kept by the phone when the pages were first opened; names nobody."""
    return await show(request, tx, "offline.html", Offline())
