"""The letter's pages: read it, sign it, go on elsewhere, stop. The server's clock is the only one that counts."""

import base64
import io
import json
from dataclasses import replace
from typing import Annotated, cast, get_args
from uuid import UUID

import qrcode
from fastapi import APIRouter, Form, Query, Request
from markupsafe import Markup
from qrcode.image.pure import PyPNGImage
from starlette.responses import JSONResponse, Response

from api.deps import AnyCaller, PersonCaller, StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.consent import device_of, drawn_by, insurance_status, mark_of, open_for
from api.world import World
from consent import flows
from consent.rules import REGIONS, ConsentError, SignerRole, TooEarlyError
from consent.service import codes, contracts, letters, reading
from consent.service.reading import Reading
from consent.service.signing import Signature
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.outside import NotConfigured
from people.rules import Action, Actor, ActorKind, Role, mask_phone
from people.service import access, hospitals, patients
from people.service.wechat_account import Purpose
from pwa import views
from pwa.answer import ELDER, chosen, go, show, uuid_or_none
from pwa.codes import code_text
from pwa.urls import Urls
from visits.service.reading import subject_of, visit_of
from words import errors, letter_text

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=60)]
Long = Annotated[str, Form(max_length=240_000)]
RELATIONS = tuple(letter_text.RELATIONS.items())
REASONS = tuple(letter_text.REASONS.items())


def _elder(request: Request) -> bool:
    return request.cookies.get(ELDER) == "1"


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


def _body(text: str) -> Markup:
    return Markup("").join(Markup("<p>{}</p>").format(line) for line in text.splitlines())


async def _letter_view(
    tx: Tx, caller: Actor, reading_id: UUID, single: int | None = None, error: str | None = None
) -> views.Letter:
    read, _ = await reading.of(tx, caller, reading_id)
    letter = await letters.by_id(tx, read.letter_id)
    hospital = await hospitals.by_id(tx, read.hospital_id)
    known = get_args(views.Region.__annotations__["code"])
    regions = [
        views.Region(r["code"], r["title"], _body(r["text"]))  # type: ignore[arg-type]  # checked beside
        for r in letters.filled(letter, await letters.identity_of(tx, read.patient_id))
        if r["code"] in known
    ]
    return views.Letter(
        str(read.id),
        hospital.name,
        letter.title,
        letter.label,
        regions,
        reading.left(read, tx.now),
        reading.total(read),
        single,
        error,
        await _back(tx, caller, read),
    )


async def _back(tx: Tx, caller: Actor, read: Reading) -> str:
    """Where the reader came from: their first page, or the patient at the desk whose tablet it is."""
    if caller.kind is not ActorKind.STAFF:
        return Urls.home
    visit = await insurance_status(tx, read.hospital_id, read.patient_id)
    return Urls.desk_visit(str(visit[1])) if visit else Urls.desk


@router.get("/consent/new/{hospital_id}")
@router.post("/consent/new/{hospital_id}")
async def begin(request: Request, hospital_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """Open the letter for whom this browser looks after; coming back goes on with the same reading."""
    if caller.kind is ActorKind.STAFF:
        patient = uuid_or_none(request.query_params.get("patient"))
        if patient is None:
            raise NotFoundError
    else:
        patient = (await chosen(request, tx, caller)).id
    await tx.let_go()
    opened = await open_for(world, caller, hospital_id, patient, device_of(request, caller, elder=_elder(request)))
    return go(Urls.letter(str(opened)))


# Before /consent/{reading_id}: these paths have a word where that one has an id.


@router.get("/consent/withdraw/{hospital_id}")
async def ask_withdraw(request: Request, hospital_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Really stop?"""
    patient = await chosen(request, tx, caller)
    hospital = await hospitals.by_id(tx, hospital_id)
    view = views.Withdraw(str(hospital_id), hospital.name, patient.name_masked)
    return await show(request, tx, "withdraw.html", view)


@router.post("/consent/withdraw/{hospital_id}")
async def withdraw(request: Request, hospital_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Stop."""
    patient = await chosen(request, tx, caller)
    await contracts.withdraw(tx, caller, hospital_id, patient.id)
    return go(Urls.settings)


@router.get("/consent/on/{token}")
async def ask_go_on(request: Request, token: str, caller: AnyCaller, tx: TxDep) -> Response:
    """The scanned QR: go on here? Nothing of anybody is shown before the code is spent."""
    return await show(request, tx, "elsewhere.html", views.Elsewhere("", "", token=token, back=Urls.home))


@router.post("/consent/on/{token}")
async def go_on(request: Request, token: str, caller: AnyCaller, tx: TxDep) -> Response:
    """Spend the code and go on reading here."""
    read = await reading.take_over(tx, caller, token, device_of(request, caller, elder=_elder(request)))
    return go(Urls.letter(str(read.id)))


@router.get("/consent/contracts/{contract_id}")
async def signed(request: Request, contract_id: UUID, caller: AnyCaller, tx: TxDep) -> Response:
    """Signed: what it means from now on."""
    contract = await contracts.by_id(tx, caller, contract_id)
    hospital = await hospitals.by_id(tx, contract.hospital_id)
    settings = hospitals.settings_of(hospital)
    today = await insurance_status(tx, contract.hospital_id, contract.patient_id)
    visit = await visit_of(tx, today[1]) if today else None
    desk = Urls.desk_visit(str(visit.id)) if visit else Urls.desk
    shown = visit is not None and await access.can(tx, caller, Action.SHOW_PASS, subject_of(visit))
    view = views.Signed(
        hospital.name,
        str(visit.id) if visit is not None and shown else None,
        Urls.contract_pdf(str(contract.id)) if contract.sealed_at else None,
        settings.due_hours,
        contract.countersign and contract.countersigned_at is None,
        desk if caller.kind is ActorKind.STAFF else None,
    )
    return await show(request, tx, "signed.html", view)


@router.get("/consent/contracts/{contract_id}/letter.pdf")
async def pdf(contract_id: UUID, caller: AnyCaller, tx: TxDep) -> Response:
    """The signed letter."""
    contract = await contracts.by_id(tx, caller, contract_id)
    found = await contracts.papers(tx, contract.id)
    if found is None:
        raise NotFoundError
    headers = {"Content-Disposition": 'attachment; filename="letter.pdf"', "Cache-Control": "private, no-store"}
    return Response(found[0], media_type="application/pdf", headers=headers)


@router.get("/consent/{reading_id}")
async def letter(
    request: Request,
    reading_id: UUID,
    caller: AnyCaller,
    tx: TxDep,
    region: Annotated[int | None, Query(ge=0, lt=len(REGIONS))] = None,
) -> Response:
    """The letter; ``region`` shows one at a time (without JavaScript)."""
    if region is not None:
        read, _ = await reading.of(tx, caller, reading_id, lock=True)
        await reading.show(tx, read, REGIONS[region])
    return await show(request, tx, "letter.html", await _letter_view(tx, caller, reading_id, region))


@router.post("/consent/{reading_id}/beat")
async def beat(
    request: Request,
    reading_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    region: Annotated[int | None, Form(ge=0, lt=len(REGIONS))] = None,
    end: Short = "0",
    regions: Short = "",
) -> Response:
    """Three seconds of reading went by; or, page by page, on to the next region."""
    if region is None:
        left = await reading.beat(tx, caller, reading_id, end=end == "1", regions=regions.split(","))
        return JSONResponse({"left": left})
    device = device_of(request, caller, elder=_elder(request))
    await tx.let_go()
    try:
        following = await flows.leave_region(world.db, caller, reading_id, region, device)
    except TooEarlyError as early:
        async with world.db.begin() as fresh:
            view = await _letter_view(fresh, caller, reading_id, region, _sentence(early))
            return await show(request, fresh, "letter.html", view, status=STATUS[early.kind])
    if following is None:
        return go(Urls.sign(str(reading_id)))
    return go(f"{Urls.letter(str(reading_id))}?region={REGIONS.index(following)}")


@router.get("/consent/{reading_id}/elsewhere")
async def elsewhere(
    request: Request,
    reading_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    again: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """A QR to go on with another device; when somebody does, this page learns it, and when they have signed."""
    read, _ = await reading.of(tx, caller, reading_id)
    contract = await contracts.of_reading(tx, read)
    if contract is not None:
        return go(Urls.signed(str(contract.id)))
    patient = await patients.by_id(tx, read.patient_id)
    hospital = await hospitals.by_id(tx, read.hospital_id)
    moved = bool(read.handed_to) and read.handover_digest is None and not again
    secret = "" if moved else await reading.hand_over(tx, caller, reading_id)
    view = views.Elsewhere(
        hospital.name,
        patient.name_masked,
        None,
        back=Urls.letter(str(reading_id)),
        again=f"{Urls.elsewhere(str(reading_id))}?again=1" if moved else None,
        stream_url=f"/api/consent/readings/{reading_id}/stream?after={mark_of(read)}",
    )
    await tx.let_go()
    if not moved:
        view = replace(view, qr=_qr(await code_text(world, Urls.go_on(secret), Purpose.LETTER)))
    async with world.db.begin() as fresh:
        return await show(request, fresh, "elsewhere.html", view)


def _qr(text: str) -> str:
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(text)
    picture = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(picture)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


async def _sign_page(
    request: Request, tx: Tx, caller: Actor, reading_id: UUID, nonce: str, error: HoufuError | None = None
) -> Response:
    read, right = await reading.of(tx, caller, reading_id)
    hospital = await hospitals.by_id(tx, read.hospital_id)
    patient = await patients.by_id(tx, read.patient_id)
    signer = await patients.by_id(tx, right.person_id or read.patient_id)
    name = patients.name_of(tx, patient)
    witnessed = right.witness_id is not None
    others = witnessed or right.role is SignerRole.GUARDIAN
    view = views.Sign(
        str(reading_id),
        hospital.name,
        name,
        mask_phone(patients.phone_of(tx, signer) or ""),
        witnessed,
        RELATIONS if witnessed else (),
        await codes.sent_to(tx, reading_id, signer.id),
        None if error is None else _sentence(error),
        nonce,
        REASONS if others else (),
        name if right.role in (SignerRole.PROXY, SignerRole.GUARDIAN) else None,
    )
    return await show(request, tx, "sign.html", view, status=200 if error is None else STATUS[error.kind])


@router.get("/consent/{reading_id}/sign")
async def pen(request: Request, reading_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """The signing page, once the reading time is served; before that the letter with the seconds left."""
    device = device_of(request, caller, elder=_elder(request))
    await tx.let_go()
    try:
        nonce = await flows.ask_pen(world.db, caller, reading_id, device)
    except TooEarlyError as early:
        return await _too_early(request, world, caller, reading_id, early)
    async with world.db.begin() as fresh:
        return await _sign_page(request, fresh, caller, reading_id, nonce)


async def _too_early(request: Request, world: World, caller: Actor, reading_id: UUID, early: TooEarlyError) -> Response:
    async with world.db.begin() as fresh:
        view = await _letter_view(fresh, caller, reading_id, error=_sentence(early))
        return await show(request, fresh, "letter.html", view, status=STATUS[early.kind])


@router.post("/consent/{reading_id}/code")
async def send_code(request: Request, reading_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """Send the code to sign with the name."""
    if world.ports.sms is None:
        raise NotConfigured("sms.secret_id")
    device = device_of(request, caller, elder=_elder(request))
    await tx.let_go()
    nonce = await flows.ask_pen(world.db, caller, reading_id, device)
    trouble: HoufuError | None = None
    try:
        await flows.send_sign_code(world.db, world.ports.sms, world.settings.sms_template_code, caller, reading_id)
    except HoufuError as error:
        trouble = error
    async with world.db.begin() as fresh:
        return await _sign_page(request, fresh, caller, reading_id, nonce, trouble)


@router.post("/consent/{reading_id}/sign")
async def sign(
    request: Request,
    reading_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    nonce: Short = "",
    how: Short = "strokes",
    strokes: Long = "",
    box: Short = "",
    role: Short = "patient",
    name: Short = "",
    proxy_name: Short = "",
    relation: Short = "",
    reason: Short = "",
    code: Short = "",
) -> Response:
    """Sign by finger, or by name and code."""
    device = device_of(request, caller, elder=_elder(request))
    read, _ = await reading.of(tx, caller, reading_id)
    status = await insurance_status(tx, read.hospital_id, read.patient_id)
    await tx.let_go()
    try:
        signature = Signature(
            nonce,
            drawn_by(_parsed(strokes), *_size(box)) if how == "strokes" else None,
            (proxy_name if role == SignerRole.PROXY else name) or None,
            code.strip() or None,
            SignerRole.PROXY if role == SignerRole.PROXY else SignerRole.PATIENT,
            relation or None,
            reason or None,
        )
        contract = await flows.sign(
            world.db,
            caller,
            reading_id,
            signature,
            device,
            insurance_status=status[0] if status else None,
            credit_asked_here=world.ports.credit is not None,
        )
    except TooEarlyError as early:
        return await _too_early(request, world, caller, reading_id, early)
    except ConsentError as refusal:
        if refusal.kind not in ("invalid", "too_many"):
            raise
        async with world.db.begin() as fresh:
            return await _sign_page(request, fresh, caller, reading_id, nonce, refusal)
    return go(Urls.signed(str(contract)))


def _parsed(text: str) -> object:
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return None


def _size(box: str) -> tuple[object, object]:
    width, _, height = box.partition("x")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (None, None)


@router.get(Urls.desk_letters)
async def waiting(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """What the doctor has still to sign."""
    if caller.hospital_id is None:
        raise NotFoundError
    if caller.role is not Role.DOCTOR:
        raise ForbiddenError
    hospital = await hospitals.by_id(tx, caller.hospital_id)
    rows = []
    for contract in await contracts.waiting_for_doctor(tx, hospital.id):
        patient = await patients.by_id(tx, contract.patient_id)
        rows.append((str(contract.id), patients.name_of(tx, patient), contract.signed_at))
    return await show(request, tx, "desk_letters.html", views.DeskLetters(hospital.name, rows))


@router.post(Urls.desk_letters)
async def countersign(caller: StaffCaller, tx: TxDep, contract: Short = "") -> Response:
    """The doctor signs beside the patient."""
    wanted = uuid_or_none(contract)
    if wanted is None:
        raise NotFoundError
    await contracts.countersign(tx, caller, wanted)
    return go(Urls.desk_letters)
