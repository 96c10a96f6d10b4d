"""Staff sign in at a desk, with a name and a PIN."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import Public, WorldDep, log_in
from kernel.errors import HoufuError
from people import flows
from people.service import hospitals
from pwa.answer import go, safe_path, show, world_of
from pwa.urls import Urls
from pwa.views import DeskLogin
from words import errors

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=200)]


async def _page(request: Request, name: str = "", error: str | None = None, status: int = 200) -> Response:
    async with world_of(request).db.begin() as tx:
        names = [h.name for h in await hospitals.everyone(tx)]
        view = DeskLogin("、".join(names[:1]) if len(names) == 1 else "", name, error)
        return await show(request, tx, "desk_login.html", view, status=status)


@router.get(Urls.desk_login, dependencies=[Public])
async def ask(request: Request) -> Response:
    """Who is it?"""
    return await _page(request)


@router.post(Urls.desk_login, dependencies=[Public])
async def enter(
    request: Request,
    world: WorldDep,
    name: Text = "",
    password: Text = "",
    hospital: Annotated[str | None, Query(max_length=40)] = None,
    next: Annotated[str, Query(max_length=500)] = Urls.desk,
) -> Response:
    """In, or the same page with a sentence."""
    try:
        done = await flows.staff_log_in(world.db, hospital, name.strip(), password.strip())
    except HoufuError as error:
        said = errors.sentence(error.code, error.kind, **error.params)
        return await _page(request, name, said, 422)
    response = go(safe_path(next))
    log_in(response, done.token, done.expires)
    return response
