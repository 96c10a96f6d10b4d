"""What a person can change: 长辈版, size and colour, whom they look after, and leaving."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, Public, TxDep, WorldDep, session_token
from consent.service import contracts
from people.rules import mask_phone
from people.service import access, hospitals, patients
from pwa.answer import ELDER, PERSON, SCALE, THEME, go, keep, people_of, show
from pwa.pages.reminders import reminders_of
from pwa.urls import Urls
from pwa.views import Settings

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=200)]
_STANDING = ("signed", "sealed")


@router.get(Urls.settings)
async def settings(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    world: WorldDep,
    said: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """The settings page."""
    me = await patients.by_id(tx, caller.id)
    standing = []
    for contract in await contracts.of_patient(tx, caller.id):
        if contract.state in _STANDING:
            hospital = await hospitals.by_id(tx, contract.hospital_id)
            standing.append((str(hospital.id), hospital.name, contract.signed_at))
    told = await reminders_of(world, tx, caller, session_token(request) or "", said)
    view = Settings(mask_phone(patients.phone_of(tx, me) or ""), standing, await people_of(tx, caller), told)
    return await show(request, tx, "settings.html", view)


@router.post(Urls.prefs, dependencies=[Public])
async def prefs(scale: Short = "", theme: Short = "", mode: Short = "", back: Short = "/") -> Response:
    """Keep the reader's wishes: 长辈版 on or off, or size and colour."""
    response = go(back)
    if mode in ("elder", "standard"):
        keep(response, ELDER, "1" if mode == "elder" else "0")
    if scale in ("100", "120", "140", "180"):
        keep(response, SCALE, scale)
    if theme in ("auto", "light"):
        keep(response, THEME, theme)
    return response


@router.get(Urls.person)
async def switch(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    id: Annotated[str, Query(max_length=40)] = "",
    back: Annotated[str, Query(max_length=200)] = "/",
) -> Response:
    """Look after somebody else from now on; only those one may, and only by a tap on our own page."""
    response = go(back)
    own = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if own and id in {str(p.id) for p in await access.patients_of(tx, caller)}:
        keep(response, PERSON, id)
    return response
