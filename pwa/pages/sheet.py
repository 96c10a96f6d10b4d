"""The guide sheet: pass, what is still to do, and the way, on paper for who has no phone."""

import asyncio
import base64
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from api.world import World
from guide.service import sheets
from guide.service.sheets import GuideSheet
from kernel.db import Tx
from people.rules import Actor, ActorKind
from people.service import access
from pwa.answer import show
from pwa.pages.pass_ import mine, picture
from pwa.sheet import Leaf, Sheet, is_boxed, sheet_pdf, sheet_slip
from pwa.urls import Urls
from pwa.visit_pages import Seen
from visits.service import passes
from words import guide_way
from words.sheet import Sheet as Words

router = APIRouter(include_in_schema=False)

BYTES = "application/vnd.escpos"
_MASK = 2  # a sheet has many codes, and somebody waits
_ORDER, _PASS = 3, 5  # dots a module on a screen; paper takes one and draws it as large as it likes


def inline(text: str, box: int = 1) -> str:
    """A code as a picture inside a page, ``box`` dots a module."""
    return "data:image/png;base64," + base64.b64encode(picture(text, box, _MASK)).decode()


async def _sheet(
    world: World, tx: Tx, caller: Actor, visit_id: UUID, *, full: bool, no_steps: bool, drawn: bool = False
) -> tuple[Seen, GuideSheet, str, dict[str, str]]:
    """The visit, its sheet, what its pass says, and what the code of each order says."""
    found = await mine(world, tx, caller, visit_id, "sheet")
    made = await sheets.sheet_of(tx, found.visit, found.view, full=full, step_free=no_steps, drawn=drawn)
    codes = {step.order_id: world.settings.base_url + Urls.paper(step.paper_code) for step in made.steps}
    return found, made, passes.kept_code(tx.vault, found.visit), codes


@router.get("/visits/{visit_id}/sheet")
async def page(
    request: Request,
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    full: bool = False,
    no_steps: bool = False,
) -> Response:
    """What is printed, and the papers it is printed on."""
    found, made, code, codes = await _sheet(world, tx, caller, visit_id, full=full, no_steps=no_steps)
    staff = caller.kind is ActorKind.STAFF
    here = Urls.sheet(str(visit_id))

    def address(path: str, *, full: bool = full, no_steps: bool = no_steps, **more: str) -> str:
        said = {**more, **({"full": "1"} if full else {}), **({"no_steps": "1"} if no_steps else {})}
        return f"{path}?{urlencode(said)}" if said else path

    files = [(Words.a5, address(f"{here}.pdf")), (Words.a4, address(f"{here}.pdf", paper="a4"))]
    rolls = [(Words.roll_80, address(f"{here}.escpos")), (Words.roll_58, address(f"{here}.escpos", paper="58"))]
    other = []
    if made.sensitive:
        other.append((Words.discreet if full else Words.full, address(here, full=not full)))
    if made.map_number:
        words = guide_way.WITH_STEPS if no_steps else guide_way.WITHOUT_STEPS
        other.append((words, address(here, no_steps=not no_steps)))
    view = Sheet(
        made,
        inline(code, _PASS),
        {order: inline(text, _ORDER) for order, text in codes.items()},
        Urls.desk if staff else Urls.guide(str(visit_id)),
        is_boxed(made),
        files=[*files, *rolls] if staff else files,
        other=other,
        rolls=staff,
        sensitive=made.sensitive,
    )
    return await show(request, tx, "sheet.html", view, private=not found.view.owner)


@router.get("/visits/{visit_id}/sheet.pdf")
async def paper(
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    paper: Leaf = Leaf.A5,
    full: bool = False,
    no_steps: bool = False,
) -> Response:
    """A5, or A4 with more of the map."""
    found, made, code, codes = await _sheet(world, tx, caller, visit_id, full=full, no_steps=no_steps, drawn=True)
    await access.printed(tx, caller, found.subject)
    await tx.let_go()
    leaf = Leaf.A5 if paper.roll_mm else paper
    pictures = {order: inline(text) for order, text in codes.items()}
    pdf = await asyncio.to_thread(sheet_pdf, made, inline(code), pictures, leaf)
    return _file(pdf, "application/pdf", "inline", f"{Words.file}-{leaf}.pdf")


@router.get("/visits/{visit_id}/sheet.escpos")
async def slip(
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    paper: Leaf = Leaf.ROLL_80,
    full: bool = False,
    no_steps: bool = False,
    drawn: bool = False,
) -> Response:
    """Bytes for a thermal printer; ``drawn`` for one whose own Chinese letters nobody knows."""
    found, made, code, codes = await _sheet(world, tx, caller, visit_id, full=full, no_steps=no_steps)
    await access.printed(tx, caller, found.subject)
    await tx.let_go()
    leaf = paper if paper.roll_mm else Leaf.ROLL_80
    data = await asyncio.to_thread(sheet_slip, made, code, codes, leaf, drawn=drawn)
    return _file(data, BYTES, "attachment", f"{Words.file}-{leaf}.escpos")


def _file(content: bytes, kind: str, how: str, name: str) -> Response:
    headers = {"Content-Disposition": f'{how}; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=kind, headers=headers)
