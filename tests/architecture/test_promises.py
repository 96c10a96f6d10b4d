"""What the house promises as a whole: every route knows who may call it, every fact is heard, every state is drawn."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from api.deps import CALLERS, SIGNED_PATHS, live, signed
from houfu.app import routers
from houfu.migrate import DOMAIN
from houfu.states import lifecycles, text
from houfu.tables import SILENT, SUBSCRIBERS
from kernel.events import Event
from tests.architecture.source import ROOT, modules


def routes() -> Iterator[APIRoute]:
    """Every route of the house; those of its router are among its dependencies."""
    for router in routers():
        for route in router.routes:
            if isinstance(route, APIWebSocketRoute):
                continue
            assert isinstance(route, APIRoute), f"{route} is no ordinary route"
            yield route


def sockets() -> Iterator[APIWebSocketRoute]:
    """Every WebSocket of the house."""
    for router in routers():
        yield from (route for route in router.routes if isinstance(route, APIWebSocketRoute))


def callers(dependant: Dependant) -> set[object]:
    """Which callers a route declares."""
    found: set[object] = {call for call in CALLERS if call is dependant.call}
    for inner in dependant.dependencies:
        found |= callers(inner)
    return found


def test_every_route_declares_its_caller() -> None:
    """A person, staff, anybody, nobody, or a machine that signs: no route leaves it open."""
    found = list(routes())
    assert len(found) > 3
    assert [f"{route.methods} {route.path}" for route in found if not callers(route.dependant)] == []


def test_every_socket_declares_its_caller() -> None:
    """A WebSocket is opened by somebody with a session, whom the one way in finds out (``api.live``)."""
    found = list(sockets())
    assert len(found) == 2
    assert [route.path for route in found if callers(route.dependant) != {live}] == []


def test_only_signed_routes_are_spared_the_doorman() -> None:
    """Where forms from elsewhere are let through, the route checks a signature; and only there."""
    for route in routes():
        is_signed = signed in callers(route.dependant)
        assert is_signed == route.path.startswith(SIGNED_PATHS), route.path


def test_no_path_is_served_twice() -> None:
    """Two routes for one address: the second would never be reached."""
    seen = [(method, route.path) for route in routes() for method in route.methods or ()]
    assert sorted(pair for pair in set(seen) if seen.count(pair) > 1) == []


def events() -> set[type[Event]]:
    """Every fact of the house."""
    for package in DOMAIN:
        if find_spec(f"{package}.events") is not None:
            import_module(f"{package}.events")
    found: set[type[Event]] = set()
    new: set[type[Event]] = {Event}
    while new:
        new = {sub for cls in new for sub in cls.__subclasses__() if sub.__module__.partition(".")[0] in DOMAIN}
        found |= new
    bases = {base for cls in found for base in cls.__mro__[1:]}
    # A dataclass with slots is a second class of the same name; only the one its module knows counts.
    return {cls for cls in found - bases if getattr(sys.modules[cls.__module__], cls.__name__) is cls}


def test_every_fact_is_heard_or_known_to_be_silent() -> None:
    """A fact nobody reacts to is listed as such; one that is listed has no subscriber."""
    heard = {event.__name__ for event in SUBSCRIBERS}
    assert {event.__name__ for event in events()} - heard == SILENT
    assert heard & SILENT == set()


def test_every_job_that_is_wished_for_exists() -> None:
    """The name given to tx.enqueue stands in the JOBS table."""
    from houfu.tables import JOBS

    wished: set[str] = set()
    for path, tree in modules("sandbox", "kernel"):
        names = import_module(path.removesuffix(".py").replace("/", "."))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "enqueue":
                first = node.args[0]
                wished.add(str(first.value if isinstance(first, ast.Constant) else getattr(names, ast.unparse(first))))
    assert wished == set(JOBS)


def test_the_states_are_drawn_as_they_are() -> None:
    """docs/states.md is what `houfu docs` makes of the tables."""
    assert len(lifecycles()) >= 5
    assert (ROOT / "docs" / "states.md").read_text("utf-8") == text(), "run: houfu docs"
