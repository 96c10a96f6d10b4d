"""From a view to the answer a browser gets: the reader's wishes, the hospital's number, the headers."""

import base64
import gzip
import io
from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

import brotli
import qrcode
from fastapi import Request
from qrcode.image.pure import PyPNGImage
from starlette.responses import RedirectResponse, Response

from api.world import World
from kernel.db import Tx
from people.rules import Actor
from people.service import access, hospitals
from people.service.patients import Person as PersonRow
from people.service.patients import name_of
from pwa.render import Prefs, renderer
from pwa.urls import Urls
from pwa.views import Person
from words import family as family_words

ELDER, SCALE, THEME, SHEET, PERSON = "elder", "scale", "theme", "sheet", "person"
HELPLINES = "helplines"
PACKED = 5  # of brotli's eleven and gzip's nine: most of the gain at a fraction of the time
_YEAR = 365 * 24 * 3600


def world_of(request: Request) -> World:
    """The process's world."""
    world: World = request.app.state.world
    return world


def origin_of(request: Request) -> str:
    """Where links of this answer begin: our public address, or the one of our other addresses it was asked at."""
    world = world_of(request)
    host = request.headers.get("host", "")
    if host in world.extras.get("hosts", ()):
        return f"{request.url.scheme}://{host}"
    return world.settings.base_url


def _of_staff(request: Request) -> bool:
    return request.url.path.startswith((Urls.desk, Urls.kiosk))


def in_wechat(request: Request) -> bool:
    """Whether the page is shown by WeChat; where the demo's bridge stands in for it, it is."""
    return "micromessenger" in request.headers.get("user-agent", "").lower() or bool(
        world_of(request).settings.wechat_script
    )


def helplines_of(world: World, place: str | None = None) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """The one number of a page, or all there are when it is not known which hospital the reader means."""
    known: tuple[tuple[str, str], ...] = world.extras.get(HELPLINES, ())
    meant = [number for name, number in known if len(known) == 1 or name == place]
    return (meant[0], ()) if meant else (None, known)


async def prefs_of(request: Request, tx: Tx, *, worker: bool = True, place: str | None = None) -> Prefs:
    """What this reader wishes, by their cookies; a name or value we do not know is as good as none.

    Args:
        place: the hospital the page is about, by its name.
    """
    cookies, settings = request.cookies, world_of(request).settings
    world = world_of(request)
    world.extras[HELPLINES] = await hospitals.helplines(tx)  # also for pages of refusals, which ask no database
    help_phone, help_lines = helplines_of(world, place)
    scale = cookies.get(SCALE, "100")
    return Prefs(
        now=tx.now,
        elder=cookies.get(ELDER) == "1",
        scale=120 if scale == "120" else 140 if scale == "140" else 180 if scale == "180" else 100,
        theme="light" if cookies.get(THEME) == "light" else "auto",
        first_visit=cookies.get(SHEET) != renderer().assets.css_hash[7:19],
        path=request.url.path,
        help_phone=help_phone,
        help_lines=help_lines,
        worker=worker,
        script=settings.wechat_script or None,
        jssdk=settings.wechat_js if settings.wechat_js and in_wechat(request) and not _of_staff(request) else None,
        frame_ancestors=settings.frame_ancestors,
    )


async def show(
    request: Request,
    tx: Tx,
    template: str,
    view: object,
    nav: object | None = None,
    status: int = 200,
    *,
    private: bool = False,
) -> Response:
    """Draw a page for this reader.

    Args:
        private: it shows somebody else's visit, so the worker keeps no copy: shut is shut without a network, too.
    """
    visit = getattr(view, "visit", None)
    place = getattr(visit, "hospital", None) or getattr(view, "hospital", None)
    prefs = await prefs_of(request, tx, place=place)
    draw = renderer()
    response = packed(request, draw.page(template, view, prefs, nav), status, draw.headers(prefs))
    if private:
        response.headers["X-Keep"] = "no"
    if prefs.first_visit:
        keep(response, SHEET, draw.assets.css_hash[7:19])
    return response


def packed(request: Request, page: bytes, status: int, headers: Mapping[str, str]) -> Response:
    """A page as small as the browser takes it (a bill is a quarter then).

    Nobody can try lengths against what a page keeps secret: our cookies do not travel with other sites' requests.
    """
    accepted = request.headers.get("accept-encoding", "")
    offered = {
        part.partition(";")[0].strip()
        for part in accepted.split(",")
        if "q=0" not in part.replace(" ", "") or "q=0." in part
    }
    if "br" in offered:
        content: bytes = brotli.compress(page, quality=PACKED)
        return Response(content, status, {**headers, "Content-Encoding": "br"})
    if "gzip" in offered:
        return Response(gzip.compress(page, PACKED), status, {**headers, "Content-Encoding": "gzip"})
    return Response(page, status, headers)


def keep(response: Response, name: str, value: str) -> None:
    """Keep a wish of the reader's for a year; nothing secret goes here."""
    response.set_cookie(name, value, max_age=_YEAR, path="/", secure=True, httponly=True, samesite="lax")


def go(path: str) -> RedirectResponse:
    """Lead on after a form."""
    return RedirectResponse(safe_path(path), 303)


def safe_path(path: str | None) -> str:
    """A path of our own to go on to; anything that leads elsewhere is the first page."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or "\n" in path or "\r" in path:
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc else "/"


async def people_of(tx: Tx, actor: Actor) -> list[Person]:
    """Oneself and whom one may act for or watch, as the switcher shows them."""
    relations = await access.relations_of(tx, actor.id)
    out = []
    for row in await access.patients_of(tx, actor):
        mine = row.id == actor.id
        label = family_words.ME if mine else family_words.label(relations.get(row.id, ""), row.sex)
        out.append(Person(str(row.id), label, name_of(tx, row) if mine else row.name_masked))
    return out


async def chosen(request: Request, tx: Tx, actor: Actor) -> PersonRow:
    """Whom this browser is looking after now: the cookie's person while that is still allowed, else oneself."""
    people = await access.patients_of(tx, actor)
    wanted = request.cookies.get(PERSON, "")
    return next((p for p in people if str(p.id) == wanted), people[0])


def qr_data(text: str) -> str:
    """A text as a QR picture inside the page itself."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(text)
    picture = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(picture)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def uuid_or_none(text: str | None) -> UUID | None:
    """An id out of a form; anything else is none."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
