"""Adding a relative where the patient has no page of ours: by her phone from afar, or by the desk beside her."""

import base64
import io
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import qrcode
from fastapi import APIRouter, Form, Request
from qrcode.image.pure import PyPNGImage
from starlette.responses import Response

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.binding import binding_sender, insurer_of
from family_pay import flows
from family_pay.rules import AskedJustNowError, AskExpiredError, Offer, Relation
from family_pay.service import bonds, invitations, phone_bindings
from family_pay.service.invitations import Invited
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from people.rules import Actor, Depth
from people.service import grants, patients
from pwa.answer import go, show, world_of
from pwa.form_views import DeskInvite, Field
from pwa.form_views import Form as FormView
from pwa.pages.family import DEPTHS
from pwa.urls import Urls
from pwa.views import Ask
from pwa.visit_pages import seen
from words import errors
from words import family as family_words
from words.binding import Binding as Words
from words.patient import Family as FamilyWords

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=40)]
RELATIONS = tuple(family_words.RELATIONS.items())


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


def _details(error: str | None = None, name: str = "", phone: str = "", relation: str = "daughter") -> FormView:
    fields = (
        Field("name", Words.name, value=name),
        Field("id_number", Words.id_number, "id_number"),
        Field("phone", Words.phone, "phone", phone),
        Field("relation", Words.relation, "pick", relation, RELATIONS),
    )
    return FormView(Words.phone_title, Words.phone_says, fields, Urls.bind_phone, Words.send, Urls.family, error=error)


def _code(request_id: UUID, error: str | None = None) -> FormView:
    action = Urls.bind_phone_code(str(request_id))
    fields = (Field("code", Words.code, "code"),)
    return FormView(Words.code_title, Words.code_says, fields, action, Words.next, Urls.bind_phone, error=error)


@router.get(Urls.bind_phone)
async def ask(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Whom?"""
    binding_sender(world)
    return await show(request, tx, "form.html", _details())


@router.post(Urls.bind_phone)
async def send(
    request: Request,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    name: Short = "",
    id_number: Short = "",
    phone: Short = "",
    relation: Annotated[Relation, Form()] = Relation.OTHER,
) -> Response:
    """The same page comes next whoever was named."""
    binding_sender(world)
    try:
        made = await phone_bindings.ask(tx, caller, phone_bindings.Named(name, id_number, phone, relation))
    except HoufuError as error:
        view = _details(_sentence(error), name, phone, relation)
        return await show(request, tx, "form.html", view, status=STATUS[error.kind])
    return go(Urls.bind_phone_code(str(made.id)))


@router.get("/bind/phone/{request_id}")
async def ask_code(request: Request, request_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """The digits on her phone; this page knows nothing of the request, so it tells nothing."""
    return await show(request, tx, "form.html", _code(request_id))


@router.post("/bind/phone/{request_id}")
async def prove(
    request: Request, request_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep, code: Short = ""
) -> Response:
    """Right: whom they bind, masked. Wrong: the same sentence whether there is such a patient."""
    await tx.let_go()
    try:
        patient, relation = await flows.prove_by_phone(world.db, caller, request_id, code)
    except HoufuError as error:
        gone = isinstance(error, AskExpiredError)
        view = _details(_sentence(error)) if gone else _code(request_id, _sentence(error))
        async with world.db.begin() as fresh:
            return await show(request, fresh, "form.html", view, status=STATUS[error.kind])
    lines = Words.yes_says(patient, family_words.relation(relation))
    sure = Ask(Words.yes_title, lines, Urls.bind_phone_yes(str(request_id)), Words.yes, Urls.family)
    async with world.db.begin() as fresh:
        return await show(request, fresh, "ask.html", sure)


@router.post("/bind/phone/{request_id}/yes")
async def accept(request_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Bind."""
    await phone_bindings.accept(tx, caller, request_id)
    return go(Urls.family)


@router.post("/family/{bond}/insurer")
async def insurer(bond: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Ask the insurer about oneself and the patient of this bond."""
    live = [g for g in await grants.live_of_bond(tx, bond) if g.person_id == caller.id]
    if not live:
        raise NotFoundError
    await tx.let_go()
    with suppress(AskedJustNowError):  # what it said a minute ago stands on the page
        await flows.ask_insurer(world.db, insurer_of(world), caller, live[0].patient_id)
    return go(Urls.family)


# ------------------------------------------------------------------------------------------------------- the desk


def _desk_form(visit_id: UUID, patient: str, error: str | None = None) -> FormView:
    fields = (
        Field("relation", family_words.DESK_RELATION, "pick", "daughter", RELATIONS),
        Field("pays", Words.pays, "tick", "1", required=False),
        Field("books", Words.books, "tick", "1", required=False),
        Field("signs", Words.signs, "tick", "", required=False),
        Field("depth", Words.depth, "pick", "steps", Words.depths),
        Field("share", Words.share, "tick", "", required=False),
    )
    action, back = Urls.desk_invite(str(visit_id)), Urls.desk_visit(str(visit_id))
    title = f"{Words.desk_title} · {patient}"
    return FormView(title, Words.desk_says, fields, action, Words.make, back, error=error)


@router.get("/desk/visits/{visit_id}/invite")
async def desk_ask(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """What shall the relative do?"""
    found = await seen(world, tx, caller, visit_id, None)
    return await show(request, tx, "form.html", _desk_form(visit_id, found.head.patient))


@router.post("/desk/visits/{visit_id}/invite")
async def desk_make(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    relation: Annotated[Relation, Form()] = Relation.OTHER,
    pays: Short = "",
    books: Short = "",
    signs: Short = "",
    depth: Short = "",
    share: Short = "",
) -> Response:
    """The slip, once: the code is nowhere else."""
    found = await seen(world, tx, caller, visit_id, None)
    level = DEPTHS.get(depth, Depth.NOTHING)
    offer = Offer(relation, pays=bool(pays), depth=level, signs=bool(signs), books=bool(books))
    try:
        made = await invitations.invite_at_desk(tx, caller, found.visit.patient_id, offer, agrees=bool(share))
    except HoufuError as error:
        view = _desk_form(visit_id, found.head.patient, _sentence(error))
        return await show(request, tx, "form.html", view, status=STATUS[error.kind])
    slip = _slip(request, made, offer, found.head.patient, Urls.desk_visit(str(visit_id)))
    return await show(request, tx, "desk_invite.html", slip)


def _slip(request: Request, made: Invited, offer: Offer, patient: str, back: str) -> DeskInvite:
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=5, border=4)
    code.add_data(world_of(request).settings.base_url + Urls.bind(made.token))
    out = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(out)
    picture = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    depth = next((name for name, value in DEPTHS.items() if value == offer.depth), None)
    offers = (
        family_words.relation(offer.relation),
        *([FamilyWords.pays] if offer.pays else []),
        *([FamilyWords.books] if offer.books else []),
        *([FamilyWords.signs] if offer.signs else []),
        *([FamilyWords.depth[depth]] if depth else []),
    )
    return DeskInvite(patient, offers, picture, made.code, made.code_expires_at, made.expires_at, back)


async def _guardian(tx: Tx, caller: Actor, grant_id: UUID) -> str:
    live = await grants.live_of_bond(tx, grant_id)
    if not live or caller.hospital_id is None or caller.role not in bonds.MAY_SET_GUARDIANS:
        raise NotFoundError
    if not await patients.is_known_at(tx, caller.hospital_id, live[0].patient_id):
        raise NotFoundError
    return (await patients.by_id(tx, live[0].person_id)).name_masked


@router.get("/desk/visits/{visit_id}/guardian/{grant_id}/end")
async def ask_end(request: Request, visit_id: UUID, grant_id: UUID, caller: StaffCaller, tx: TxDep) -> Response:
    """Really?"""
    line = Words.end_says(await _guardian(tx, caller, grant_id))
    action, back = Urls.end_guardian(str(visit_id), str(grant_id)), Urls.desk_visit(str(visit_id))
    return await show(
        request, tx, "ask.html", Ask(Words.end_title, (line,), action, Words.end_guardian, back, danger=True)
    )


@router.post("/desk/visits/{visit_id}/guardian/{grant_id}/end")
async def end(visit_id: UUID, grant_id: UUID, caller: StaffCaller, tx: TxDep) -> Response:
    """End it at once."""
    await bonds.end_at_desk(tx, caller, grant_id)
    return go(Urls.desk_visit(str(visit_id)))
