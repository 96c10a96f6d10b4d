"""Whether we are alive, whether we can take work, and how we are doing: for the machines that look after us."""

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from api.deps import Public, WorldDep

router = APIRouter(tags=["probes"])


@router.get("/livez", dependencies=[Public])
async def livez() -> dict[str, str]:
    """The process answers; says nothing about anything else."""
    return {"status": "ok"}


@router.get("/readyz", dependencies=[Public])
async def readyz(world: WorldDep) -> Response:
    """The database takes writes and has the tables this version needs; WeChat, SMS and the HIS do not count."""
    trouble = None
    try:
        async with world.db.begin() as tx:
            await tx.session.execute(text("SELECT pg_current_xact_id()"))  # refused by a read-only standby
            found = await tx.session.scalar(text("SELECT version_num FROM alembic_version"))
        if world.revision is not None and found != world.revision:
            trouble = "migrations"
    except (SQLAlchemyError, OSError):
        trouble = "database"
    body = {"status": "ok"} if trouble is None else {"status": "not ready", "because": trouble}
    return JSONResponse(body, 200 if trouble is None else 503)


@router.get("/metrics", dependencies=[Public])
async def metrics(world: WorldDep) -> Response:
    """Figures for Prometheus; no personal data."""
    figures = world.metrics
    figures.streams.set(world.hub.open)
    figures.pushed.set(world.hub.delivered)
    figures.slow.set(world.hub.slow)
    checked_out = getattr(world.db.engine.pool, "checkedout", None)
    figures.pool.set(checked_out() if checked_out is not None else 0)
    return Response(figures.text(), media_type="text/plain; version=0.0.4")
