"""The web application: every route of the house, the doorman in front, the files of the pages."""

import pkgutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

import api.callbacks
import api.routes
import pwa.pages
from api import openapi, problems
from api.deps import Public
from api.guard import Guard
from api.routes import his
from api.world import World
from houfu import wiring, worker
from kernel.errors import NotFoundError
from pwa.render import HERE, renderer

DESCRIPTION = "Treat first, pay once, after the visit: the bill, the guide and the family, for hospitals."
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_FOREVER = "public, max-age=31536000, immutable"


def create_app(world: World, *, work: bool = False) -> FastAPI:
    """The application of one world.

    Args:
        work: also run jobs and sweeps in this process.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(wiring.running(world))
            if work:
                await stack.enter_async_context(worker.working(world))
            yield

    app = FastAPI(
        title="Houfu 后付", version="0.1.0", description=DESCRIPTION, lifespan=life, docs_url=None, redoc_url=None
    )
    app.state.world = world
    problems.install(app)
    app.add_middleware(Guard, base_url=world.settings.base_url, metrics=world.metrics)
    renderer().warm()
    described = routers()
    # Paths are tried one by one: what is asked hundreds of times a second stands first.
    for router in sorted((*described, _files()), key=lambda router: router is not his.router):
        # They stand here as they were made: ``include_router`` would make each anew, and only at the first request.
        app.router.routes.extend(router.routes)
    openapi.install(app, described)
    return app


def routers() -> list[APIRouter]:
    """The ``router`` of every module of api.routes, api.callbacks and pwa.pages."""
    found = []
    for package in (api.routes, api.callbacks, pwa.pages):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            router = getattr(import_module(module.name), "router", None)
            if isinstance(router, APIRouter):
                found.append(router)
    return found


class _Static:
    """The built files, read once; names with a hash never change."""

    def __init__(self, folder: Path) -> None:
        self.files: Mapping[str, bytes] = {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}

    def answer(self, request: Request, name: str, keep: str) -> Response:
        """One file, in the smallest form the browser takes.

        Raises:
            NotFoundError: no such file.
        """
        kind = _TYPES.get(Path(name).suffix)
        if name not in self.files or kind is None:
            raise NotFoundError
        headers = {"Content-Type": kind, "Cache-Control": keep, "Vary": "Accept-Encoding"}
        accepted = request.headers.get("accept-encoding", "")
        for suffix, coding in (("br", "br"), ("gz", "gzip")):
            packed = self.files.get(f"{name}.{suffix}")
            if packed is not None and coding in accepted:
                return Response(packed, headers={**headers, "Content-Encoding": coding})
        return Response(self.files[name], headers=headers)


@cache
def _files() -> APIRouter:
    static = _Static(HERE / "static")
    router = APIRouter(dependencies=[Public], include_in_schema=False)

    @router.get("/static/{name}")
    async def file(request: Request, name: str) -> Response:
        return static.answer(request, name, _FOREVER)

    @router.get("/sw.js")
    async def service_worker(request: Request) -> Response:
        response = static.answer(request, "sw.js", "no-cache")
        # A worker fetches under the policy of its own script; the strict default would let it keep nothing.
        response.headers["Content-Security-Policy"] = "default-src 'none'; connect-src 'self'; script-src 'self'"
        return response

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> Response:
        return static.answer(request, "manifest.webmanifest", "no-cache")

    return router
