"""One page with a switch for each thing a person agrees to by itself: sharing, paying afterwards, credit, location."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep
from consent.service import contracts
from people.rules import ChoiceKind, GrantKind, GrantState
from people.service import choices, grants, hospitals, patients
from pwa.answer import go, show
from pwa.pages.family import person_of
from pwa.urls import Urls
from pwa.views import ChoiceRow, Choices
from words import choices as words
from words import family as family_words

router = APIRouter(include_in_schema=False)

_STANDING = ("signed", "sealed")


@router.get(Urls.choices)
async def page(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """The switches, how they stand, and all that was chosen before."""
    person = await person_of(request, tx, caller)
    whose = UUID(person.id)
    rows = []
    for kind in ChoiceKind:
        last = await choices.latest(tx, whose, kind)
        row = ChoiceRow(kind, words.NAMES[kind], words.SAYS[kind], None if last is None else last.given)
        rows.append(row if last is None else ChoiceRow(row.code, row.name, row.says, row.on, last.at, last.version))
    standing = []
    for contract in await contracts.of_patient(tx, whose):
        if contract.state in _STANDING:
            hospital = await hospitals.by_id(tx, contract.hospital_id)
            standing.append((str(hospital.id), hospital.name, contract.signed_at))
    watching = [
        g
        for g in await grants.of_patient(tx, whose)
        if g.state == GrantState.ACTIVE and g.kind == GrantKind.WATCH and (g.until is None or g.until > tx.now)
    ]
    again = [
        f"{family_words.relation(g.relation)} {(await patients.by_id(tx, g.person_id)).name_masked}" for g in watching
    ]
    past = [(c.at, words.NAMES[c.kind], c.given) for c in await choices.history(tx, whose)]
    return await show(request, tx, "choices.html", Choices(person, rows, standing, tuple(dict.fromkeys(again)), past))


@router.post(Urls.choices)
async def choose(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    kind: Annotated[ChoiceKind, Form()],
    given: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    """Switch one on or off; sharing switched off shuts every companion's page at once."""
    person = await person_of(request, tx, caller)
    await choices.choose(tx, caller, UUID(person.id), kind, given=bool(given))
    return go(Urls.choices)
