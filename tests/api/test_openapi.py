"""What programs read about us at /openapi.json: every operation in a sentence, with examples that are true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from api import openapi
from api.problems import STATUS
from api.stream import StreamResponse
from houfu.app import routers

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def described() -> Json:
    """The document, as it is served."""
    app = FastAPI(title="Houfu", description="…")
    found = routers()
    for router in found:
        app.include_router(router)
    openapi.install(app, found)
    return app.openapi()


def operations(described: Json) -> list[tuple[APIRoute, str, Json]]:
    """(route, method, what is said of it)."""
    return [(r, m, described["paths"][r.path_format][m]) for r, m in openapi.routes_of(routers())]


def test_every_operation_is_a_sentence(described: Json) -> None:
    """A programmer reads the list: each line says what it does, no line is a function's name, nothing is left out."""
    told = operations(described)
    assert {(p, m) for p, ways in described["paths"].items() for m in ways} == {(r.path_format, m) for r, m, _ in told}
    for route, method, said in told:
        assert len(said["summary"].split()) > 2, (method, route.path, said["summary"])
        assert said["summary"] != route.name.replace("_", " ").title()
        assert "Raises" not in said["description"]
        assert said["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert "422" not in said["responses"]
        assert "HTTPValidationError" not in json.dumps(said)


def test_examples_are_true(described: Json) -> None:
    """Each example of a question and of an answer is what that operation takes and gives."""
    looked = 0
    for route, method, said in operations(described):
        body = openapi.body_of(route)
        if body is not None:
            example = said["requestBody"]["content"]["application/json"]["example"]
            TypeAdapter(body).validate_json(json.dumps(example))
            looked += 1
        answer = said["responses"][str(route.status_code or 200)]
        if route.response_class is StreamResponse:
            assert list(answer["content"]) == ["text/event-stream"]
        elif route.response_model is not None and (route.status_code or 200) != 204 and answer.get("content"):
            example = answer["content"]["application/json"]["example"]
            TypeAdapter(route.response_model).validate_json(json.dumps(example))
            looked += 1
        elif answer.get("content"):
            assert answer["content"]["application/json"].get("example") or route.path == "/metrics", (
                method,
                route.path,
            )
    assert looked > 40


def test_refusals_are_described_as_they_are(described: Json) -> None:
    """problem+json: the members that leave, the example one that really leaves, and no reference into nothing."""
    problem = described["components"]["schemas"]["Problem"]
    example = openapi.problem_example()
    assert set(problem["required"]) == set(example)
    assert example["status"] == 409
    content = described["components"]["responses"]["Problem"]["content"]
    assert content["application/problem+json"]["example"] == example
    for name in re.findall(r'"#/components/(\w+/\w+)"', json.dumps(described)):
        kind, _, one = name.partition("/")
        assert one in described["components"][kind], name


def test_the_written_guide_names_what_is_there(described: Json) -> None:
    """docs/api.md: every path of the API is in its table and the other way round; statuses are those we answer with."""
    text = DOCS.read_text("utf-8")
    written = set(re.findall(r"^\| `(GET|POST|DELETE) (\S+)`", text, re.M))
    there = {(m.upper(), r.path_format) for r, m, _ in operations(described)}
    assert written == there
    assert {int(s) for s in re.findall(r"^\| (\d{3}) \|", text, re.M)} == set(STATUS.values())
