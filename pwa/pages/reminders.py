"""What a person is told outside the pages, and how she checks that a caller or a message is really the hospital."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep
from api.problems import STATUS
from api.routes.reminders import checked, codes_of, hour, line_of, minutes
from api.world import World
from kernel.db import Tx
from kernel.errors import HoufuError
from notices.rules.reach import BadWishError, Channel, Topic, Wish
from notices.service import telling, wishes
from people.rules import Actor
from pwa.answer import go, show
from pwa.reminder_views import CallerCheck, Reminders
from pwa.urls import Urls
from words import errors
from words.pushes import Settings as Words

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=20)]
Few = Annotated[list[str], Form(max_length=5)]
_SAID = {"saved": Words.saved, "sent": Words.tested, "again": errors.sentence("tried_already", "too_many")}


async def reminders_of(world: World, tx: Tx, caller: Actor, token: str, said: str) -> Reminders | None:
    """The part of the settings page; None where nobody can be reached outside the pages."""
    reach = world.ports.reach
    if reach is None:
        return None
    there = {Channel.WECHAT: reach.wechat, Channel.WEB_PUSH: reach.web_push, Channel.SMS: reach.sms_kinds}
    mine, line = await wishes.of(tx, caller.id), line_of(world)
    return Reminders(
        frozenset(set(Topic) - mine.off_topics),
        frozenset(set(Channel) - mine.off_channels),
        [channel for channel, way in there.items() if way],
        hour(mine.quiet_from),
        hour(mine.quiet_to),
        mine.basic,
        line.public_key if line is not None else None,
        await wishes.rings_here(tx, token),
        _SAID.get(said),
    )


@router.post(Urls.reminders)
async def choose(
    caller: PersonCaller,
    tx: TxDep,
    topic: Few = [],  # noqa: B006 - FastAPI copies it
    channel: Few = [],  # noqa: B006
    quiet_from: Short = "21:30",
    quiet_to: Short = "07:00",
    basic: Short = "",
) -> Response:
    """Keep what she chose."""
    try:
        hours = minutes(quiet_from[:5]), minutes(quiet_to[:5])
    except ValueError:
        raise BadWishError from None
    wish = Wish(
        frozenset(t for t in Topic if t not in topic),
        frozenset(c for c in Channel if c not in channel),
        *hours,
        basic == "1",
    )
    await wishes.put(tx, caller.id, wish)
    return go(f"{Urls.settings}?said=saved")


@router.post(Urls.reminders_test)
async def test(caller: PersonCaller, tx: TxDep) -> Response:
    """Send one to try it out."""
    try:
        await telling.try_out(tx, caller.id)
    except telling.TriedAlreadyError:
        return go(f"{Urls.settings}?said=again")
    return go(f"{Urls.settings}?said=sent")


async def _codes(tx: Tx, caller: Actor) -> list[tuple[str, str, datetime]]:
    return [(code.hospital, code.digits, code.until) for code in await codes_of(tx, caller.id)]


@router.get(Urls.caller)
async def caller_page(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """What a real caller can say now."""
    return await show(request, tx, "caller.html", CallerCheck(await _codes(tx, caller)))


@router.post(Urls.caller)
async def check(request: Request, caller: PersonCaller, tx: TxDep, digits: Short = "") -> Response:
    """Whether a message with these digits is ours."""
    shown = await _codes(tx, caller)
    try:
        found = await checked(tx, caller, digits)
    except HoufuError as error:
        sentence = errors.sentence(error.code, error.kind, **error.params)
        return await show(request, tx, "caller.html", CallerCheck(shown, error=sentence), status=STATUS[error.kind])
    view = CallerCheck(shown, found.ours, found.hospital or "", found.sent_at)
    return await show(request, tx, "caller.html", view)
