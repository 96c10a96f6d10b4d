"""How a refusal leaves the house: RFC 9457 problem+json for programs, a page in plain words for a person's browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from kernel.errors import HoufuError, Kind
from kernel.outside import Throttled
from words import errors as words

log = structlog.get_logger()

STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_EARLY: 425,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_KIND_OF = {status: kind for kind, status in STATUS.items()} | {400: Kind.INVALID, 405: Kind.INVALID, 413: Kind.INVALID}
_RETRY = {425: "1", 429: "5", 503: "2"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal. ``errors`` name wrong fields by place and rule, never by what was sent."""

    status: int
    code: str
    title: str
    detail: str
    errors: tuple[Mapping[str, Any], ...] = ()

    def json(self) -> dict[str, Any]:
        """The members of problem+json; ``code`` is stable, ``title`` and ``detail`` are for people."""
        members = {
            "type": f"urn:houfu:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return members | ({"errors": list(self.errors)} if self.errors else {})


def problem_of(error: HoufuError) -> Problem:
    """The problem an error of the house makes."""
    detail = words.sentence(error.code, error.kind, **error.params)
    why: tuple[Mapping[str, Any], ...] = ({"why": error.params["why"]},) if "why" in error.params else ()
    return Problem(STATUS[error.kind], error.code, words.title(error.kind, error.code), detail, why)


def plain(status: int, code: str, kind: Kind) -> Problem:
    """A problem that no error class of the house stands for."""
    return Problem(status, code, words.title(kind, code), words.sentence(code, kind))


def wants_page(request: Request) -> bool:
    """Whether a person's browser is asking, to be answered with a page."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def answer(request: Request, problem: Problem) -> Response:
    """The refusal in the form the asker understands."""
    page = request.app.state.world.error_page
    if page is not None and wants_page(request):
        response: Response = page(request, problem)
    else:
        response = JSONResponse(problem.json(), problem.status, media_type="application/problem+json")
    if problem.status in _RETRY:
        response.headers.setdefault("Retry-After", _RETRY[problem.status])
    return response


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoufuError)  # noqa: S101 - the table below says so
    if isinstance(error, Throttled):
        return answer(request, plain(503, error.code, Kind.UNAVAILABLE))  # theirs to slow down, not the caller's
    return answer(request, problem_of(error))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    kind = _KIND_OF.get(status, Kind.INVALID)
    response = answer(request, plain(status, str(kind), kind))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _form(request: Request, error: Exception) -> Response:
    wrong = error.errors() if isinstance(error, RequestValidationError) else []
    places = tuple({"place": ".".join(map(str, e["loc"])), "rule": e["type"]} for e in wrong)
    base = plain(422, "validation", Kind.INVALID)
    return answer(request, Problem(base.status, base.code, base.title, base.detail, places))


async def _no_database(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and not (error.connection_invalidated or isinstance(error.orig, OperationalError)):
        return await bug(request, error)
    log.error("database", error=type(error).__name__)
    return answer(request, plain(503, "unavailable", Kind.UNAVAILABLE))


async def bug(request: Request, error: Exception) -> Response:
    """A slip of ours: written down, and said without blaming anybody."""
    log.error("bug", error=type(error).__name__, path=route_of(request.scope), exc_info=error)
    return answer(request, plain(500, "internal", Kind.UNAVAILABLE))


def route_of(scope: Mapping[str, Any]) -> str:
    """The route's pattern, never the address with its ids."""
    found = getattr(scope.get("route"), "path", None)
    return str(found) if found else "-"


def install(app: FastAPI) -> None:
    """Have every refusal of the app leave this way."""
    app.add_exception_handler(HoufuError, _refusal)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _form)
    app.add_exception_handler(DBAPIError, _no_database)
    app.add_exception_handler(PoolTimeout, _no_database)
