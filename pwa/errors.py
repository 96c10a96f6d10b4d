"""A refusal as a page: what happened, what it means, what to do."""

from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from api.problems import Problem
from kernel.clock import wall_clock
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
    settings = request.app.state.world.settings
    elder = request.cookies.get("elder") == "1"
    prefs = Prefs(now=wall_clock(), elder=elder, path=path, frame_ancestors=settings.frame_ancestors)
    view = ErrorPage(problem.code, problem.title, problem.detail, problem.status)
    draw = renderer()
    return Response(draw.page("error.html", view, prefs), problem.status, draw.headers(prefs))
