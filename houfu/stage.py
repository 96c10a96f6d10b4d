"""The demo's stage: four people's real pages side by side, and the buttons that let the hospital's day go on.

Mounted by the demo only. Each frame is a page of the ordinary product on a host of its own, since people on one
origin would share cookies.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Send

from api.deps import Public, WorldDep, log_in
from api.stream import HEAD, StreamResponse
from api.world import World
from consent.service import contracts, standing
from kernel.clock import china_day
from people import flows
from people.rules import Actor, ActorKind
from people.service import hospitals, sessions
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


@dataclass(frozen=True, slots=True)
class Star:
    """Whose day is played, by her WeChat identity, and the code of the hospital she comes to."""

    openid: str
    hospital: str


def router(stage: Stage, star: Star, desk: tuple[str, str], outside: Mapping[str, str]) -> APIRouter:
    """The stage's routes.

    Args:
        desk: login and PIN of the desk that is shown.
        outside: addresses of the made-up world a frame may lead to (its WeChat, its cashier).
    """
    made = APIRouter(include_in_schema=False, dependencies=[Public])

    @made.get(Urls.demo)
    async def show(request: Request, world: WorldDep) -> Response:
        if request.url.hostname != HOST:
            return await _lead_there(request, world)
        return await _stage(request, world, stage, star, tuple(outside.values()))

    @made.post(CONTROL)
    async def control(request: Request, world: WorldDep, do: Short = "", value: Short = "") -> Response:
        if stage.begins:
            await _her_letter(world, stage, star, do)
        stage.do(do, value)
        if request.headers.get("hx-request"):
            return await _stage(request, world, stage, star, tuple(outside.values()))
        return go(Urls.demo)

    @made.get(WATCH, response_class=StreamResponse)
    async def watch(world: WorldDep) -> Response:
        async def serve(receive: Receive, send: Send) -> None:
            await _watch(world, stage, star, receive, send)

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


async def _her_letter(world: World, stage: Stage, star: Star, do: str) -> None:
    """Before a visit begins: ``letter`` gives back what she signed; else it begins with the letter if she has none."""
    async with world.db.begin() as tx:
        person = await sessions.by_wechat(tx, star.openid, world.settings.wechat_appid)
        hospital = await hospitals.by_code(tx, star.hospital)
        signed = person is not None and await standing.contract_of(tx, hospital.id, person.id) is not None
        if do == "letter" and signed and person is not None:
            await contracts.withdraw(tx, Actor(ActorKind.PERSON, person.id), hospital.id, person.id)
            signed = False
    stage.script = "cardiology" if signed else "letter"


async def _visit(world: World, star: Star) -> str | None:
    """Today's visit of the patient on the stage, once the hospital has told of it."""
    async with world.db.begin() as tx:
        person = await sessions.by_wechat(tx, star.openid, world.settings.wechat_appid)
        found = await reading.visits_of_patient(tx, person.id, limit=1) if person else []
        return str(found[0].id) if found and found[0].day == china_day(tx.now) else None


def _frames(port: int, visit: str | None, stage: Stage) -> list[Frame]:
    # Begun again, everybody is led back to the page they began with; the mark makes it another address.
    mark = f"#{stage.repeats}" if stage.repeats else ""
    pages = {key: page(visit) if visit else Urls.home for key, page in FRAMES}
    if stage.signing:
        pages["mother"] = Urls.home
    frames = [
        Frame(Words.frames[key], f"http://{key}.houfu.localhost:{port}{Urls.login_wechat}?next={page}{mark}")
        for key, page in pages.items()
    ]
    return [*frames, Frame(Words.frames["desk"], f"http://{DESK}:{port}{ENTER}")]


async def _stage(request: Request, world: World, stage: Stage, star: Star, outside: tuple[str, ...]) -> Response:
    view = StageView(
        _frames(world.settings.port, await _visit(world, star), stage),
        stage.said,
        stage.step,
        stage.total,
        stage.playing,
        stage.speed,
        CONTROL,
        WATCH,
        tuple(SPEEDS),
        begins=stage.begins,
    )
    async with world.db.begin() as tx:
        prefs = await prefs_of(request, tx, worker=False)
    origins = [frame.src.partition("/login")[0].partition(ENTER)[0] for frame in view.frames]
    draw = renderer()
    headers = draw.headers(prefs, [*origins, *outside])
    return Response(draw.page("stage.html", view, prefs), 200, headers)


async def _lead_there(request: Request, world: World) -> Response:
    async with world.db.begin() as tx:
        prefs = await prefs_of(request, tx, worker=False)
    draw = renderer()
    view = ToStage(f"http://{HOST}:{world.settings.port}{Urls.demo}")
    return Response(draw.page("to_stage.html", view, prefs), 200, draw.headers(prefs))


async def _watch(world: World, stage: Stage, star: Star, receive: Receive, send: Send) -> None:
    """``refresh`` when the script moved, or when the visit it plays has arrived here."""
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": b"retry: 1500\n\n", "more_body": True})
    gone = asyncio.create_task(_gone(receive))
    commits, visit = world.hub.bell(), await _visit(world, star)
    try:
        with stage.watching() as bell:
            while True:
                moved = await _wait(bell, commits, gone)
                if gone.done() or world.hub.closing:
                    break
                before, visit = visit, await _visit(world, star)
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
