"""The demo's stage: four people's real pages side by side, and the buttons that let the hospital's day go on.

Mounted by the demo only. Each frame is a page of the ordinary product on a host of its own, since people on one
origin would share cookies.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Send

from api.deps import Public, WorldDep, log_in
from api.stream import HEAD, StreamResponse
from api.world import World
from kernel.clock import china_day
from people import flows
from people.service import sessions
from pwa.answer import go, prefs_of
from pwa.render import renderer
from pwa.urls import Urls
from pwa.views import Frame, ToStage
from pwa.views import Stage as StageView
from sandbox.stage import SPEEDS, Stage
from visits.service import reading
from words.desk import Stage as Words

HOST = "stage.houfu.localhost"
DESK = "desk.houfu.localhost"
FRAMES = (("mother", Urls.bill), ("daughter", Urls.companion), ("companion", Urls.companion))
QUIET, PAUSE = 15.0, 0.2
CONTROL, ENTER, WATCH = f"{Urls.demo}/do", f"{Urls.demo}/desk", f"{Urls.demo}/stream"
Short = Annotated[str, Form(max_length=20)]


def router(stage: Stage, openid: str, desk: tuple[str, str], outside: Mapping[str, str]) -> APIRouter:
    """The stage's routes.

    Args:
        openid: the WeChat identity of the patient whose day is played.
        desk: login and PIN of the desk that is shown.
        outside: addresses of the made-up world a frame may lead to (its WeChat, its cashier).
    """
    made = APIRouter(include_in_schema=False, dependencies=[Public])

    @made.get(Urls.demo)
    async def show(request: Request, world: WorldDep) -> Response:
        if request.url.hostname != HOST:
            return await _lead_there(request, world)
        return await _stage(request, world, stage, openid, tuple(outside.values()))

    @made.post(CONTROL)
    async def control(request: Request, world: WorldDep, do: Short = "", value: Short = "") -> Response:
        stage.do(do, value)
        if request.headers.get("hx-request"):
            return await _stage(request, world, stage, openid, tuple(outside.values()))
        return go(Urls.demo)

    @made.get(WATCH, response_class=StreamResponse)
    async def watch(world: WorldDep) -> Response:
        async def serve(receive: Receive, send: Send) -> None:
            await _watch(world, stage, openid, receive, send)

        return StreamResponse(serve)

    @made.get(ENTER)
    async def enter(request: Request, world: WorldDep) -> Response:
        if request.url.hostname != DESK:
            return RedirectResponse(f"http://{DESK}:{world.settings.port}{ENTER}", 303)
        done = await flows.staff_log_in(world.db, None, *desk)
        response = go(Urls.desk)
        log_in(response, done.token, done.expires)
        return response

    return made


async def _visit(world: World, openid: str) -> str | None:
    """Today's visit of the patient on the stage, once the hospital has told of it."""
    async with world.db.begin() as tx:
        person = await sessions.by_wechat(tx, openid, world.settings.wechat_appid)
        found = await reading.visits_of_patient(tx, person.id, limit=1) if person else []
        return str(found[0].id) if found and found[0].day == china_day(tx.now) else None


def _frames(port: int, visit: str | None, repeats: int) -> list[Frame]:
    # Begun again, everybody is led back to the page they began with; the mark makes it another address.
    mark = f"#{repeats}" if repeats else ""
    frames = [
        Frame(
            Words.frames[key],
            f"http://{key}.houfu.localhost:{port}{Urls.login_wechat}?next={page(visit) if visit else Urls.home}{mark}",
        )
        for key, page in FRAMES
    ]
    return [*frames, Frame(Words.frames["desk"], f"http://{DESK}:{port}{ENTER}")]


async def _stage(request: Request, world: World, stage: Stage, openid: str, outside: tuple[str, ...]) -> Response:
    frames = _frames(world.settings.port, await _visit(world, openid), stage.repeats)
    view = StageView(
        frames, stage.said, stage.step, stage.total, stage.playing, stage.speed, CONTROL, WATCH, tuple(SPEEDS)
    )
    async with world.db.begin() as tx:
        prefs = await prefs_of(request, tx, worker=False)
    origins = [frame.src.partition("/login")[0].partition(ENTER)[0] for frame in frames]
    draw = renderer()
    headers = draw.headers(prefs, [*origins, *outside])
    return Response(draw.page("stage.html", view, prefs), 200, headers)


async def _lead_there(request: Request, world: World) -> Response:
    async with world.db.begin() as tx:
        prefs = await prefs_of(request, tx, worker=False)
    draw = renderer()
    view = ToStage(f"http://{HOST}:{world.settings.port}{Urls.demo}")
    return Response(draw.page("to_stage.html", view, prefs), 200, draw.headers(prefs))


async def _watch(world: World, stage: Stage, openid: str, receive: Receive, send: Send) -> None:
    """``refresh`` when the script moved, or when the visit it plays has arrived here."""
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": b"retry: 1500\n\n", "more_body": True})
    gone = asyncio.create_task(_gone(receive))
    commits, visit = world.hub.bell(), await _visit(world, openid)
    try:
        with stage.watching() as bell:
            while True:
                moved = await _wait(bell, commits, gone)
                if gone.done() or world.hub.closing:
                    break
                before, visit = visit, await _visit(world, openid)
                data = b"event: refresh\ndata:\n\n" if moved or visit != before else b":\n\n"
                await send({"type": "http.response.body", "body": data, "more_body": True})
                await asyncio.wait({gone}, timeout=PAUSE)
    finally:
        world.hub.no_bell(commits)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait(bell: asyncio.Event, commits: asyncio.Event, gone: "asyncio.Task[None]") -> bool:
    """Whether the script moved; also returns when anything was committed, the page went away or long nothing was."""
    waits = {asyncio.ensure_future(bell.wait()), asyncio.ensure_future(commits.wait())}
    await asyncio.wait({*waits, gone}, timeout=QUIET, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    moved = bell.is_set()
    bell.clear()
    commits.clear()
    return moved


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
