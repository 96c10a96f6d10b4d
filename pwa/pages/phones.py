"""Another number, a lost phone: on one's own page, and at the desk before two of its staff."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep, log_in
from api.problems import STATUS
from api.routes.session import sender
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from people import flows
from people.rules import Document
from people.service import hospitals, phones, staff
from people.service.codes import Purpose
from pwa.answer import go, show
from pwa.form_views import DeskPhones, Field, PhoneRow
from pwa.form_views import Form as FormView
from pwa.urls import Urls
from pwa.views import Ask
from pwa.visit_pages import seen
from words import errors
from words.binding import DOCUMENTS
from words.binding import Phones as Words

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=40)]


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


def _number(error: str | None = None, phone: str = "") -> FormView:
    fields = (Field("phone", Words.new, "phone", phone),)
    return FormView(Words.title, Words.says, fields, Urls.phone_codes, Words.send, Urls.settings, error=error)


def _proof(phone: str, error: str | None = None) -> FormView:
    fields = (
        Field("old_code", Words.old_code, "code"),
        Field("new_code", Words.new_code, "code"),
        Field("id_number", Words.id_number, "id_number"),
    )
    hidden = {"phone": phone}
    return FormView(
        Words.title, Words.code_says, fields, Urls.phone, Words.change, Urls.settings, hidden=hidden, error=error
    )


@router.get(Urls.phone)
async def ask(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """Which number is the new one?"""
    return await show(request, tx, "form.html", _number())


@router.post(Urls.phone_codes)
async def send(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep, phone: Short = "") -> Response:
    """Send a code to both."""
    await tx.let_go()
    view, status = _proof(phone.strip()), 200
    try:
        await flows.ask_phone_change(world.db, sender(world), caller, phone.strip())
    except HoufuError as error:
        view, status = _number(_sentence(error), phone), STATUS[error.kind]
    async with world.db.begin() as fresh:
        return await show(request, fresh, "form.html", view, status=status)


@router.post(Urls.phone)
async def change(
    request: Request,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    phone: Short = "",
    old_code: Short = "",
    new_code: Short = "",
    id_number: Short = "",
) -> Response:
    """Both codes and the number: done, and this phone goes on."""
    await tx.let_go()
    try:
        done = await flows.change_phone(world.db, caller, phone.strip(), old_code, new_code, id_number)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            view = _proof(phone.strip(), _sentence(error))
            return await show(request, fresh, "form.html", view, status=STATUS[error.kind])
    response = go(Urls.settings)
    log_in(response, done.token, done.expires)
    return response


@router.get(Urls.lost)
async def ask_lost(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """What it does, before it does it."""
    view = Ask(Words.lost_title, Words.lost_says, Urls.lost, Words.lost, Urls.settings)
    return await show(request, tx, "ask.html", view)


@router.post(Urls.lost)
async def lost(caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Every other phone is out."""
    await tx.let_go()
    done = await flows.forget_other_devices(world.db, caller)
    response = go(Urls.settings)
    log_in(response, done.token, done.expires)
    return response


# ------------------------------------------------------------------------------------------------------- the desk


def _desk_number(visit: str, patient: str, error: str | None = None, phone: str = "") -> FormView:
    fields = (Field("phone", Words.new, "phone", phone),)
    title, action = f"{Words.desk_title} · {patient}", Urls.desk_phone_codes(visit)
    return FormView(title, Words.desk_says, fields, action, Words.send, Urls.desk_visit(visit), error=error)


def _desk_proof(visit: str, patient: str, phone: str, error: str | None = None) -> FormView:
    fields = (
        Field("code", Words.desk_code, "code"),
        Field("document", Words.document, "pick", "id_card", tuple(DOCUMENTS.items())),
    )
    title, action = f"{Words.desk_title} · {patient}", Urls.desk_phone_ask(visit)
    back, hidden = Urls.desk_visit(visit), {"phone": phone}
    return FormView(title, Words.desk_says, fields, action, Words.ask, back, hidden=hidden, error=error)


@router.get("/desk/visits/{visit_id}/phone")
async def desk_number(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """The new number of who stands at the desk."""
    found = await seen(world, tx, caller, visit_id, None)
    if caller.role not in phones.MAY_CHANGE_PHONES:
        raise ForbiddenError
    return await show(request, tx, "form.html", _desk_number(str(visit_id), found.head.patient))


@router.post("/desk/visits/{visit_id}/phone/codes")
async def desk_send(
    request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep, phone: Short = ""
) -> Response:
    """A code to the new phone."""
    found = await seen(world, tx, caller, visit_id, None)
    if caller.role not in phones.MAY_CHANGE_PHONES:
        raise ForbiddenError
    await tx.let_go()
    view, status = _desk_proof(str(visit_id), found.head.patient, phone.strip()), 200
    try:
        await flows.send_code(world.db, sender(world), phone.strip(), Purpose.NEW_PHONE)
    except HoufuError as error:
        view = _desk_number(str(visit_id), found.head.patient, _sentence(error), phone)
        status = STATUS[error.kind]
    async with world.db.begin() as fresh:
        return await show(request, fresh, "form.html", view, status=status)


@router.post("/desk/visits/{visit_id}/phone")
async def desk_ask(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    phone: Short = "",
    code: Short = "",
    document: Annotated[Document, Form()] = Document.ID_CARD,
) -> Response:
    """Hand it to a colleague."""
    found = await seen(world, tx, caller, visit_id, None)
    if caller.role not in phones.MAY_CHANGE_PHONES:
        raise ForbiddenError
    await tx.let_go()
    try:
        await flows.ask_desk_change(world.db, caller, found.visit.patient_id, phone.strip(), code, document)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            view = _desk_proof(str(visit_id), found.head.patient, phone.strip(), _sentence(error))
            return await show(request, fresh, "form.html", view, status=STATUS[error.kind])
    return go(Urls.desk_phones)


async def _waiting(
    request: Request,
    tx: TxDep,
    caller: StaffCaller,
    error: str | None = None,
    done: str | None = None,
    status: int = 200,
) -> Response:
    if caller.hospital_id is None:
        raise NotFoundError
    hospital = await hospitals.by_id(tx, caller.hospital_id)
    rows = [
        PhoneRow(
            str(x.id),
            x.patient,
            x.phone,
            DOCUMENTS.get(x.document, x.document),
            await staff.name_of(tx, x.asked_by),
            x.asked_at,
            x.asked_by == caller.id,
        )
        for x in await phones.waiting_at(tx, caller)
    ]
    return await show(request, tx, "desk_phones.html", DeskPhones(hospital.name, rows, error, done), status=status)


@router.get(Urls.desk_phones)
async def listing(request: Request, caller: StaffCaller, tx: TxDep, done: str = "") -> Response:
    """What waits for a second pair of eyes."""
    return await _waiting(request, tx, caller, done=Words.done if done else None)


@router.post("/desk/phones/{change_id}")
async def answer(
    request: Request, change_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep, do: Short = ""
) -> Response:
    """Confirm or refuse."""
    await tx.let_go()
    try:
        async with world.db.begin() as own:
            await phones.answer_at_desk(own, caller, change_id, confirmed=do == "confirm")
    except HoufuError as error:
        async with world.db.begin() as fresh:
            return await _waiting(request, fresh, caller, _sentence(error), status=STATUS[error.kind])
    return go(f"{Urls.desk_phones}?done=1" if do == "confirm" else Urls.desk_phones)
