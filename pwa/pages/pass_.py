"""The visit pass: a picture that renews itself, one to keep; and where the codes of a printed sheet lead."""

import io
from uuid import UUID

import qrcode
from fastapi import APIRouter, Request
from qrcode.image.pure import PyPNGImage
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from api.world import World
from guide import service as guide
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from people.rules import Action, Actor, Depth
from people.service import access
from pwa.answer import go, show
from pwa.urls import Urls
from pwa.views import Nav, Pass
from pwa.visit_pages import Seen, seen
from visits.rules import PaymentMode
from visits.service import orders, passes
from visits.service.reading import subject_of, visit_of

router = APIRouter(include_in_schema=False)

RENEW = 10  # seconds between two pictures of a code that is good for 30 to 60
NO_STORE = {"Cache-Control": "private, no-store"}
KEEP = {"Cache-Control": "private, no-cache"}  # the phone's own worker keeps it; nobody else may


def picture(text: str, box: int = 8, mask: int | None = None) -> bytes:
    """A QR as PNG, so that a long press saves it.

    Args:
        box: dots a module.
        mask: this one instead of the best of eight, which takes ten times as long to find.
    """
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=box, border=4, mask_pattern=mask)
    code.add_data(text)
    out = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(out)
    return out.getvalue()


async def mine(world: World, tx: Tx, caller: Actor, visit_id: UUID, page: str | None) -> Seen:
    """The visit before somebody who may show its pass.

    Raises:
        NotFoundError, ForbiddenError: it is not there for this caller, or not to be shown by them.
    """
    found = await seen(world, tx, caller, visit_id, page)
    await access.require(tx, caller, Action.SHOW_PASS, found.subject)
    return found


def _told(found: Seen) -> bool:
    """Whether this reader may know that a visit was excluded: as in a list of visits."""
    return found.view.owner or found.view.pays or found.view.staff


@router.get("/visits/{visit_id}/pass")
async def visit_pass(request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """Pass, number, and where to go with it."""
    found = await mine(world, tx, caller, visit_id, "pass")
    now = guide.next_step(await guide.steps_of(tx, visit_id, found.view))
    today = found.visit.day == china_day(tx.now)
    view = Pass(
        found.head,
        found.visit.number,
        Urls.pass_kept(str(visit_id)),
        live_url=Urls.pass_live(str(visit_id)) if today else None,
        renew_seconds=RENEW,
        deferred=found.visit.mode == PaymentMode.DEFERRED or not _told(found),
        ahead=now["ahead"] if now else None,
        over=not today,
    )
    nav = Nav("pass", str(visit_id)) if found.view.owner else None
    return await show(request, tx, "pass.html", view, nav, private=not found.view.owner)


@router.get("/visits/{visit_id}/pass/live.png")
async def live(visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """The code of this half minute."""
    found = await mine(world, tx, caller, visit_id, "pass")
    return Response(picture(passes.live_code(tx.vault, found.visit, tx.now)), media_type="image/png", headers=NO_STORE)


@router.get("/visits/{visit_id}/pass/kept.png")
async def kept(visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """The code for the day."""
    found = await mine(world, tx, caller, visit_id, "pass")
    headers = KEEP if found.view.owner else {**NO_STORE, "X-Keep": "no"}
    return Response(picture(passes.kept_code(tx.vault, found.visit)), media_type="image/png", headers=headers)


@router.get("/o/{code}")
async def paper(code: str, caller: AnyCaller, tx: TxDep) -> Response:
    """The QR of one order on paper, scanned with a phone: who may see the visit is led to it, nobody else learns it.

    Raises:
        NotFoundError: no such order, or not for this caller.
    """
    order = await orders.by_paper_code(tx, code)
    visit = await visit_of(tx, order.visit_id) if order else None
    if order is None or visit is None:
        raise NotFoundError
    view = await access.view_of(tx, caller, subject_of(visit))
    if not view.sees(Depth.STEPS, order.category):
        raise NotFoundError
    return go(f"{Urls.desk}?code={code}" if view.staff else Urls.guide(str(visit.id)))
