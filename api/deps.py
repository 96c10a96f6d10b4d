"""Who is asking, in which transaction: every route declares its caller by one of these.

``PersonCaller``, ``StaffCaller``, ``AnyCaller``, ``MaybeCaller``, ``KioskCaller`` give the ``Actor``; ``Public`` and
``Signed`` mark routes without one (``Signed``: the request proves itself by its own signature, under ``SIGNED_PATHS``
only). The caller is looked up in the very transaction ``TxDep`` gives, which is committed before the answer leaves.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Response

from api.world import World
from kernel.db import Tx
from kernel.errors import ForbiddenError, UnauthenticatedError
from people.rules import Actor, ActorKind

COOKIE = "__Host-houfu"
SIGNED_PATHS = ("/api/his/", "/api/callbacks/", "/api/terminals/")


async def world_of(request: Request) -> World:
    """The process's world."""
    world: World = request.app.state.world
    return world


WorldDep = Annotated[World, Depends(world_of)]


async def transaction(world: WorldDep) -> AsyncIterator[Tx]:
    """One transaction for the whole request, committed before the answer leaves."""
    async with world.db.begin() as tx:
        yield tx


TxDep = Annotated[Tx, Depends(transaction, scope="function")]


def session_token(request: Request) -> str | None:
    """The token of the cookie, or of ``Authorization: Bearer`` for programs."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.cookies.get(COOKIE) or None


async def caller_by(world: World, tx: Tx, token: str | None) -> Actor | None:
    """Whose session a token is, or None; a kiosk is nobody but on its own pages."""
    found = await world.who(tx, token) if token else None
    return None if found is not None and found.kind is ActorKind.TERMINAL else found


async def maybe_caller(request: Request, world: WorldDep, tx: TxDep) -> Actor | None:
    """Whoever is logged in, or None."""
    return await caller_by(world, tx, session_token(request))


async def any_caller(found: Annotated[Actor | None, Depends(maybe_caller)]) -> Actor:
    """Whoever is logged in.

    Raises:
        UnauthenticatedError: nobody is.
    """
    if found is None:
        raise UnauthenticatedError
    return found


async def person_caller(actor: Annotated[Actor, Depends(any_caller)]) -> Actor:
    """A patient or relative.

    Raises:
        ForbiddenError: it is a member of staff.
    """
    if actor.kind is not ActorKind.PERSON:
        raise ForbiddenError
    return actor


async def staff_caller(actor: Annotated[Actor, Depends(any_caller)]) -> Actor:
    """A member of staff.

    Raises:
        ForbiddenError: it is a patient or relative.
    """
    if actor.kind is not ActorKind.STAFF:
        raise ForbiddenError
    return actor


async def kiosk_caller(request: Request, world: WorldDep, tx: TxDep) -> Actor | None:
    """The kiosk whose browser this is, or None where it has not been set up."""
    token = session_token(request)
    found = await world.who(tx, token) if token else None
    return found if found is not None and found.kind is ActorKind.TERMINAL else None


async def public() -> None:
    """Anybody: the route shows nothing of anybody."""


async def signed() -> None:
    """A machine that signs what it sends; the route checks the signature itself."""


async def live() -> None:
    """Somebody with a session, on a WebSocket: it comes in a header or in the first message (``api.live``)."""


AnyCaller = Annotated[Actor, Depends(any_caller)]
MaybeCaller = Annotated[Actor | None, Depends(maybe_caller)]
PersonCaller = Annotated[Actor, Depends(person_caller)]
StaffCaller = Annotated[Actor, Depends(staff_caller)]
KioskCaller = Annotated[Actor | None, Depends(kiosk_caller)]
Public = Depends(public)
Signed = Depends(signed)
Live = Depends(live)
CALLERS = frozenset({maybe_caller, any_caller, person_caller, staff_caller, kiosk_caller, public, signed, live})


def log_in(response: Response, token: str, expires: datetime) -> None:
    """Hand the session to the browser."""
    response.set_cookie(COOKIE, token, expires=expires, path="/", secure=True, httponly=True, samesite="lax")


def log_out(response: Response) -> None:
    """Take the session back, with everything the browser kept."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
