"""Where the insurance's payment centre tells us that an order moved (6302): verified, then asked about."""

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.deps import Signed, WorldDep
from api.problems import STATUS
from kernel.errors import HoufuError
from kernel.outside import NotConfigured
from payments import flows

log = structlog.get_logger()
router = APIRouter(prefix="/api/callbacks/insurance", tags=["callbacks"])


@router.post("", dependencies=[Signed], status_code=204)
async def moved(request: Request, world: WorldDep) -> Response:
    """A 6302 notice. It may be old or repeated, so it only makes us ask the centre sooner; forged: 401, no change."""
    try:
        if world.ports.insurance is None:
            raise NotConfigured("insurance")
        await flows.insurance_noticed(world.db, world.ports.insurance, await request.body())
    except HoufuError as error:
        world.metrics.notices.labels(error.code).inc()
        log.error("insurance.notice", refused=error.code)
        return JSONResponse({"code": "FAIL"}, STATUS[error.kind])
    return Response(status_code=204)
