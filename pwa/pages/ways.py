"""The ways between all places of a visit on one page, which the phone keeps for where there is no network."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from guide import service as guide
from guide.rules import OPEN
from guide.service import routes, whereabouts
from guide.service.routes import NoMapError, Route
from pwa.answer import ELDER, go, prefs_of, show
from pwa.pages.guide import floors_of, profile_for
from pwa.render import renderer
from pwa.urls import Urls
from pwa.views import OneWay, Ways
from pwa.visit_pages import seen
from visits.service import orders
from words import guide_way as w

router = APIRouter(include_in_schema=False)

MOST = 20
"""So many places of a visit stand on the page, joined each with each; the page says so where there are more."""


@router.get("/visits/{visit_id}/ways")
async def page(
    request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep, no_steps: bool = False
) -> Response:
    """Every way she may need today; unchanged, nothing is sent."""
    found = await seen(world, tx, caller, visit_id, "guide")
    if not (found.view.owner or found.view.staff):
        return go(Urls.companion(str(visit_id)))
    large = request.cookies.get(ELDER) == "1"
    profile = await profile_for(tx, found, no_steps=no_steps, slow=large)
    here = Urls.ways(str(visit_id))
    without = None if profile.step_free else (w.WITHOUT_STEPS, f"{here}?no_steps=1")
    other = (w.WITH_STEPS, here) if no_steps else without
    steps = await guide.steps_of(tx, visit_id, found.view)
    every = await orders.orders_of(tx, visit_id)
    here = await whereabouts.last_place(tx, found.visit, found.view, every)
    doctor = await guide.came_to(tx, visit_id, found.view)
    places = places_of(steps, doctor, here)
    pairs = pairs_of(places, {doctor, *(s["door"] for s in steps)})
    view, tag = Ways(found.head, ()), ""
    try:
        tag = _tag(request, f"{await routes.stamp(tx, found.hospital.id)} {profile}", pairs)
        if pairs and request.headers.get("if-none-match") == tag:
            # A browser writes these over the headers of the page it kept: they must be the same, policy and all.
            kept = renderer().headers(await prefs_of(request, tx))
            return Response(status_code=304, headers={**kept, "ETag": tag})
        ways = await routes.ways(tx, found.hospital.id, pairs, profile, large=large)
        drawn = [(key, Markup(ground)) for key, ground in ways.grounds]  # noqa: S704 - drawn by us
        cut = w.cut(MOST) if len(places) > MOST else None
        number = next((way.version for way in ways.between.values() if way is not None), None)
        view = Ways(found.head, _starts(ways), drawn, other, cut, number)
    except NoMapError:
        pass
    answer = await show(request, tx, "ways.html", view)
    if tag:
        answer.headers["ETag"] = tag
    return answer


def places_of(steps: Sequence[Mapping[str, Any]], doctor: str | None, here: str = "") -> list[str]:
    """Where she may be and go today: where she is first, then every open place in the order advised, and the doctor.

    Args:
        steps: as ``guide.steps_of`` gives them.
        doctor: the department she came to.
        here: where she is; empty: with the doctor.
    """
    going = [s for s in steps if s["state"] in OPEN and s["door"]]
    going.sort(key=lambda s: (s.get("planned") is None, s.get("planned") or 0, int(s["rank"])))
    goals = [s["door"] for s in going]
    if not goals:
        return []
    return [place for place in dict.fromkeys([here or doctor or "", *goals, doctor or ""]) if place]


def pairs_of(places: Sequence[str], goals: Collection[str]) -> list[tuple[str, str]]:
    """From each of ``MOST`` places to each of them that is a goal, the nearest in the order advised first."""
    some = places if len(places) <= MOST else [*places[: MOST - 1], places[-1]]
    return [(one, goal) for one in some for goal in some if one != goal and goal in goals]


def _starts(ways: routes.Ways) -> list[tuple[str, list[OneWay]]]:
    made: dict[str, list[OneWay]] = {}
    for (one, goal), way in ways.between.items():
        made.setdefault(ways.places[one], []).append(_one(ways.places[goal], way))
    return list(made.items())


def _one(goal: str, way: Route | None) -> OneWay:
    if way is None:
        return OneWay(goal, "", (w.NO_WAY,))
    return OneWay(goal, w.about(way.seconds), way.lines[1:], way.spoken, floors_of(way))


def _tag(request: Request, stamp: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Equal for equal pages: what is drawn, for whom and how; our files, since the page names them."""
    parts = (stamp, pairs, str(request.url), request.headers.get("cookie", ""), renderer().assets.all)
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'
