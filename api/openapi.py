"""The description of our API for programs: what FastAPI finds out by itself, in whole sentences and with examples."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api import examples
from api.problems import Problem, problem_of
from api.stream import StreamResponse
from payments.rules import AlreadyPaidError
from words import family, pay

Json = dict[str, Any]

INTRO = """Amounts are whole fen. Moments are ISO 8601 with their offset. Ids are opaque.

**Who is calling.** Phones and desks carry a session: the cookie of the pages, or its token as `Authorization: Bearer`.
A hospital's system signs what it posts (`docs/his.md`).

**Refusals** are `application/problem+json` (RFC 9457). `code` is stable, for programs; `title` and `detail` are
sentences for people. What does not exist and what is not the caller's answer alike: 404.

**Streams** are server-sent events. The `id` of each message is an opaque position; come back with it in
`Last-Event-ID` (or `after`) and nothing is lost or said twice. `event: reload` means: ask for the whole again.

More: `docs/api.md`.
"""
_PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "`urn:houfu:problem:` and the code"},
        "title": {"type": "string", "description": "a few words for a person"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened, what it means, what to do"},
        "code": {"type": "string", "description": "stable, for programs"},
        "errors": {
            "type": "array",
            "description": "wrong fields, by place and rule; never what was sent",
            "items": {"type": "object", "properties": {"place": {"type": "string"}, "rule": {"type": "string"}}},
        },
    },
}
_STREAM = "id: AQAB3x7…\ndata: {…}\n\n"
_SECURITY: Json = {
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-houfu"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def problem_example() -> Json:
    """A refusal as it leaves."""
    refusal: Problem = problem_of(AlreadyPaidError(who=pay.yours(family.RELATIONS["daughter"])))
    return refusal.json()


def routes_of(routers: Iterable[APIRouter]) -> Iterator[tuple[APIRoute, str]]:
    """(route, method in small letters) of every operation that is described."""
    for route in (one for router in routers for one in router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in sorted(route.methods or ()):
                yield route, method.lower()


def body_of(route: APIRoute) -> Any:
    """The model of what is asked, or None."""
    return route.body_field.field_info.annotation if route.body_field else None


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have the app describe itself this way at ``/openapi.json``."""

    def described() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, routers)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's manual says


def document(app: FastAPI, routers: Sequence[APIRouter]) -> Json:
    """The whole description."""
    made = get_openapi(
        title=app.title, version=app.version, description=f"{app.description}\n\n{INTRO}", routes=app.routes
    )
    for route, method in routes_of(routers):
        _tell(made["paths"][route.path_format][method], route, method)
    parts = made["components"]
    parts["schemas"] = {name: one for name, one in parts["schemas"].items() if "ValidationError" not in name}
    parts["schemas"]["Problem"] = _PROBLEM
    parts["responses"] = {
        "Problem": {
            "description": "Refused; nothing was done.",
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": problem_example(),
                }
            },
        }
    }
    parts["securitySchemes"] = _SECURITY
    return made


def _tell(operation: Json, route: APIRoute, method: str) -> None:
    said = _docstring(route.endpoint)
    operation["summary"] = _first_sentence(said)
    operation["description"] = said
    answers: Json = operation["responses"]
    answers.pop("422", None)
    answers["default"] = {"$ref": "#/components/responses/Problem"}
    if "/api/" in route.path and not route.path.startswith(("/api/his/", "/api/callbacks/", "/api/session/")):
        operation["security"] = [{"session": []}, {"bearer": []}]
    body = body_of(route)
    if body is not None and "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["example"] = examples.of(body)
    _answer(answers[str(route.status_code or 200)], route, method)


def _answer(answer: Json, route: APIRoute, method: str) -> None:
    if route.response_class is StreamResponse:
        answer["content"] = {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM}}
        return
    known = (method, route.path_format)
    if known in examples.PLAIN:
        example = examples.PLAIN[known]
    elif route.response_model is not None:
        example = examples.of(route.response_model)
    else:
        return
    if example is None:
        answer.pop("content", None)
    else:
        answer.setdefault("content", {}).setdefault("application/json", {})["example"] = example


def _docstring(endpoint: Callable[..., Any]) -> str:
    text = re.split(r"\n\s*(?:Raises|Args):", endpoint.__doc__ or "")[0]
    return "\n".join(line.strip() for line in text.strip().splitlines()).replace("``", "`")


def _first_sentence(text: str) -> str:
    first = re.split(r"(?<=[.?!])\s", text.replace("\n", " "), maxsplit=1)[0]
    return first.rstrip(".")
