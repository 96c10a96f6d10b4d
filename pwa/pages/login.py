"""Logging in on a phone: WeChat where we are inside it, else a code by text message; and out again."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from api.deps import MaybeCaller, Public, TxDep, WorldDep, log_in, log_out, session_token
from api.routes.session import Step, sender, wechat_of
from kernel.errors import HoufuError
from kernel.outside import OutsideError
from people import flows
from people.rules import mask_phone
from people.service import sessions
from people.service.sessions import LoggedIn
from pwa.answer import go, in_wechat, origin_of, safe_path, show, uuid_or_none, world_of
from pwa.urls import Urls
from pwa.views import Login
from words import errors

router = APIRouter(include_in_schema=False)

STATE_COOKIE = "__Host-houfu-wechat"
Text = Annotated[str, Form(max_length=2000)]


async def _page(request: Request, view: Login, status: int = 200) -> Response:
    async with world_of(request).db.begin() as tx:
        return await show(request, tx, "login.html", view, status=status)


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


async def _on(request: Request, step: Step, go_on: str) -> Response:
    if isinstance(step, LoggedIn):
        response = go(go_on)
        log_in(response, step.token, step.expires)
        return response
    if isinstance(step, flows.MustChoose):
        people = tuple((str(i), name) for i, name in step.people)
        return await _page(request, Login(ticket=step.ticket, people=people, next=go_on))
    enrol = isinstance(step, flows.MustEnrol)
    return await _page(request, Login(ticket=step.ticket, enrol=enrol, next=go_on))


def _wechat_url(request: Request, go_on: str) -> str | None:
    # The official account's login works inside WeChat only.
    if world_of(request).ports.wechat is None or not in_wechat(request):
        return None
    return f"{Urls.login_wechat}?next={quote(go_on)}"


@router.get(Urls.login)
async def login(
    request: Request, caller: MaybeCaller, tx: TxDep, next: Annotated[str, Query(max_length=500)] = "/"
) -> Response:
    """The first step; who is in already goes on."""
    if caller is not None and caller.kind == "person":
        return go(next)
    await tx.let_go()
    go_on = safe_path(next)
    return await _page(request, Login(wechat_url=_wechat_url(request, go_on), next=go_on))


@router.post(Urls.login_code, dependencies=[Public])
async def send_code(
    request: Request, world: WorldDep, phone: Text = "", next: Text = "/", ticket: Text = ""
) -> Response:
    """Send a code and ask for it."""
    view = Login(phone=phone.strip(), next=safe_path(next), ticket=ticket)
    try:
        await flows.send_code(world.db, sender(world), view.phone)
    except HoufuError as error:
        return await _page(request, _with(view, error=_sentence(error)), 422)
    return await _page(request, _with(view, sent_to=mask_phone(view.phone)))


def _with(view: Login, sent_to: str | None = None, error: str | None = None) -> Login:
    return Login(view.phone, sent_to, error, None, view.next, view.ticket, enrol=view.enrol)


@router.post(Urls.login, dependencies=[Public])
async def enter(
    request: Request, world: WorldDep, phone: Text = "", code: Text = "", next: Text = "/", ticket: Text = ""
) -> Response:
    """Bring the code back."""
    view = Login(phone=phone.strip(), next=safe_path(next), ticket=ticket)
    try:
        step = await flows.log_in(world.db, view.phone, code, ticket or None)
    except HoufuError as error:
        return await _page(request, _with(view, mask_phone(view.phone), _sentence(error)), 422)
    return await _on(request, step, view.next)


@router.post(Urls.login_who, dependencies=[Public])
async def choose(request: Request, world: WorldDep, ticket: Text = "", person: Text = "", next: Text = "/") -> Response:
    """Say which of the people one is, or that one is none of them."""
    wanted = uuid_or_none(person)
    if wanted is None:
        return await _page(request, Login(ticket=ticket, enrol=True, next=safe_path(next)))
    try:
        step = await flows.choose(world.db, ticket, wanted)
    except HoufuError as error:
        return await _page(request, Login(next=safe_path(next), error=_sentence(error)), 422)
    return await _on(request, step, safe_path(next))


@router.post(Urls.login_enrol, dependencies=[Public])
async def enrol(
    request: Request, world: WorldDep, ticket: Text = "", name: Text = "", id_number: Text = "", next: Text = "/"
) -> Response:
    """Say for the first time who one is."""
    try:
        step = await flows.enrol(world.db, ticket, name, id_number)
    except sessions.LoginExpiredError as error:
        return await _page(request, Login(next=safe_path(next), error=_sentence(error)), 422)
    except HoufuError as error:
        view = Login(ticket=ticket, enrol=True, next=safe_path(next), error=_sentence(error))
        return await _page(request, view, 422)
    return await _on(request, step, safe_path(next))


@router.get(Urls.login_wechat, dependencies=[Public])
async def to_wechat(request: Request, world: WorldDep, next: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Off to WeChat's login page, with a state only this browser can bring back."""
    back = f"{origin_of(request)}{Urls.login_wechat}/back"
    start = await flows.begin_wechat(world.db, wechat_of(world), back, safe_path(next))
    response = RedirectResponse(start.url, 303)
    response.set_cookie(STATE_COOKIE, start.cookie, max_age=600, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.get(f"{Urls.login_wechat}/back", dependencies=[Public])
async def from_wechat(
    request: Request,
    world: WorldDep,
    code: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Back from WeChat."""
    cookie = request.cookies.get(STATE_COOKIE, "")
    try:
        step, go_on = await flows.finish_wechat(
            world.db, wechat_of(world), world.settings.wechat_appid, cookie, state, code
        )
    except (sessions.LoginExpiredError, OutsideError):
        error = errors.sentence(sessions.LoginExpiredError.code)
        response = await _page(request, Login(error=error, wechat_url=_wechat_url(request, "/")), 422)
    else:
        response = await _on(request, step, go_on)
    response.delete_cookie(STATE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.post(Urls.logout)
async def logout(request: Request, caller: MaybeCaller, tx: TxDep) -> Response:
    """Out, and everything this browser kept goes with it."""
    await sessions.end(tx, session_token(request) or "")
    staff = caller is not None and caller.kind == "staff"
    response = go(Urls.desk_login if staff else Urls.login)
    log_out(response)
    return response
