"""The ways between all places of a visit on one page, which the phone keeps for where there is no network."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from guide import service as guide
from guide.rules import OPEN
from guide.service import routes
from guide.service.routes import NoMapError, Route
from pwa.answer import ELDER, go, prefs_of, show
from pwa.pages.guide import floors_of, profile_for
from pwa.render import renderer
from pwa.urls import Urls
from pwa.views import OneWay, Ways
from pwa.visit_pages import seen
from words import guide_way as w

router = APIRouter(include_in_schema=False)

MOST = 6
"""So many places are joined each with each; from the others one goes on to the next and back to the doctor."""


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
    pairs = pairs_of(await guide.steps_of(tx, visit_id, found.view), found.head.department)
    view, tag = Ways(found.head, ()), ""
    try:
        tag = _tag(request, f"{await routes.stamp(tx, found.hospital.id)} {profile}", pairs)
        if pairs and request.headers.get("if-none-match") == tag:
            # A browser writes these over the headers of the page it kept: they must be the same, policy and all.
            kept = renderer().headers(await prefs_of(request, tx))
            return Response(status_code=304, headers={**kept, "ETag": tag})
        ways = await routes.ways(tx, found.hospital.id, pairs, profile, large=large)
        drawn = [(key, Markup(ground)) for key, ground in ways.grounds]  # noqa: S704 - drawn by us
        view = Ways(found.head, _starts(ways), drawn, other)
    except NoMapError:
        pass
    answer = await show(request, tx, "ways.html", view)
    if tag:
        answer.headers["ETag"] = tag
    return answer


def pairs_of(steps: Sequence[Mapping[str, Any]], doctor: str | None) -> list[tuple[str, str]]:
    """From where to where she may go: where she was last first, then every open place, and the doctor again.

    Args:
        steps: as ``guide.steps_of`` gives them.
        doctor: the department she came to.
    """
    going = [s for s in steps if s["state"] in OPEN and s["department"]]
    going.sort(key=lambda s: (s.get("planned") is None, s.get("planned") or 0, int(s["rank"])))
    goals = list(dict.fromkeys(s["department"] for s in going))
    done = [s for s in steps if s["state"] in ("performed", "result") and s["department"]]
    last = max(done, key=lambda s: str(s["at"]))["department"] if done else doctor
    goals += [doctor] if goals and doctor and doctor not in goals else []
    starts = list(dict.fromkeys([*([last] if last else []), *goals]))
    near = set(starts[:MOST])
    return [
        (one, goal)
        for n, one in enumerate(starts)
        for goal in goals
        if one != goal and ({one, goal} <= near or goal in (doctor, *starts[n + 1 : n + 2]))
    ]


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
