"""A refusal as a page: what happened, what it means, what to do."""

from urllib.parse import quote, urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from api.problems import Problem
from kernel.clock import wall_clock
from pwa.answer import helplines_of
from pwa.render import Prefs, renderer
from pwa.urls import Urls
from pwa.views import ErrorPage


def error_page(request: Request, problem: Problem) -> Response:
    """Draw it; who is not logged in is led to the login and back again."""
    path = request.url.path
    if problem.status == 401 and request.method == "GET":
        login = Urls.desk_login if path.startswith(Urls.desk) else Urls.login
        back = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{login}?next={quote(back)}", 303)
    world = request.app.state.world
    settings = world.settings
    help_phone, help_lines = helplines_of(world)
    elder = request.cookies.get("elder") == "1"
    prefs = Prefs(
        now=wall_clock(),
        elder=elder,
        path=path,
        help_phone=help_phone,
        help_lines=help_lines,
        frame_ancestors=settings.frame_ancestors,
    )
    home = Urls.desk if path.startswith(Urls.desk) else Urls.home
    view = ErrorPage(problem.code, problem.title, problem.detail, problem.status, _from(request), home)
    draw = renderer()
    return Response(draw.page("error.html", view, prefs), problem.status, draw.headers(prefs))


def _from(request: Request) -> str | None:
    """The page of ours the reader came from, if it is another one: what failed there may be tried again there."""
    came = urlsplit(request.headers.get("referer", ""))
    if not came.path or came.netloc != request.headers.get("host"):
        return None
    there = came.path + (f"?{came.query}" if came.query else "")
    return there if came.path not in (request.url.path, Urls.home, Urls.desk) else None
