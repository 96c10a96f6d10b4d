"""The insurance's own page on a person's phone: who consents, for whom, for which hospital; yes or no, and back.

``GET /consent?org=…&state=…&back=…`` asks; the answer leads to ``back`` with ``state`` and, after a yes, ``authCode``.
The real one is a mini-program; what a hospital's page knows of it is the same: it goes there, and comes back so.
"""

import html
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.insurance.books import Person
from sandbox.insurance.wire import Refusal
from sandbox.insurance.world import World
from sandbox.page import page
from words import sandbox_insurance as words

PATH = "/consent"
COOKIE = "sandbox_insured"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the hospital's page wants, and who holds the phone; ``person`` is None until that is known."""

    state: str
    back: str
    person: Person | None


def consent_routes(world: World) -> list[BaseRoute]:
    """The page and its answer."""

    async def ask(request: Request) -> Response:
        return _ask(world, request)

    async def answer(request: Request) -> Response:
        return await _answer(world, request)

    return [Route(PATH, ask, methods=["GET"]), Route(PATH, answer, methods=["POST"])]


def _asked(world: World, request: Request) -> Asked | None:
    told = request.query_params
    back = urlsplit(told.get("back", ""))
    if told.get("org") != world.keys.org_code or not told.get("state") or back.scheme not in ("http", "https"):
        return None
    who = told.get("person") or world.at_home.get(back.hostname or "") or request.cookies.get(COOKIE)
    found = next((p for p in world.books.people.values() if p.openid and p.openid == who), None)
    return Asked(told["state"], told["back"], found)


def _ask(world: World, request: Request) -> Response:
    asked = _asked(world, request)
    if asked is None:
        return HTMLResponse(page(words.TITLE, f"<p>{words.BAD}</p>"), 400)
    if asked.person is None:
        return HTMLResponse(page(words.WHO, _choices(world, request)))
    shown = HTMLResponse(page(words.TITLE, _question(world, asked.person)))
    shown.set_cookie(COOKIE, asked.person.openid, path=PATH, httponly=True, samesite="lax")
    return shown


def _choices(world: World, request: Request) -> str:
    links = "".join(
        f'<a class="button" href="{html.escape(str(request.url.include_query_params(person=p.openid)))}">'
        f"{html.escape(p.name)}</a>"
        for p in world.books.people.values()
        if p.openid
    )
    return f'{links}<p class="note">{words.NOTE}</p>'


def _question(world: World, person: Person) -> str:
    close = [p for p in world.books.people.values() if person.id_number in p.family]
    whose = [(person.id_number, words.MYSELF), *((p.id_number, words.RELATIVE.format(name=p.name)) for p in close)]
    options = "".join(f'<option value="{number}">{html.escape(label)}</option>' for number, label in whose)
    return (
        f"<p>{words.HOSPITAL}<br><b>{html.escape(world.house)}</b></p><p>{words.ME}<br><b>{html.escape(person.name)}</b></p>"
        f'<form method="post"><p><label>{words.FOR}<br><select name="patient">{options}</select></label></p>'
        f'<p>{words.WHAT}</p><button name="answer" value="yes">{words.YES}</button>'
        f'<button class="quiet" name="answer" value="no">{words.NO}</button></form><p class="note">{words.NOTE}</p>'
    )


async def _answer(world: World, request: Request) -> Response:
    asked, form = _asked(world, request), await request.form()
    if asked is None or asked.person is None:
        return HTMLResponse(page(words.TITLE, f"<p>{words.BAD}</p>"), 400)
    told = {"state": asked.state}
    if form.get("answer") == "yes":
        patient = str(form.get("patient") or asked.person.id_number)
        try:
            told["authCode"] = world.books.consent(asked.person.openid, patient)
        except (Refusal, KeyError):
            return HTMLResponse(page(words.TITLE, f"<p>{words.NOT_YOURS}</p>"), 403)
    joined = "&" if urlsplit(asked.back).query else "?"
    return RedirectResponse(f"{asked.back}{joined}{urlencode(told)}", 303)
