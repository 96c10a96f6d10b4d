"""All visits of one person, newest first; their bills stay readable."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep
from people.service import access
from pwa.answer import chosen, people_of, show
from pwa.urls import Urls
from pwa.views import Nav, Visits
from pwa.visit_pages import card_of
from visits.service import reading

router = APIRouter(include_in_schema=False)

PAGE = 20
MOST = 500


@router.get(Urls.visits)
async def visits(
    request: Request, caller: PersonCaller, tx: TxDep, skip: Annotated[int, Query(ge=0, le=MOST)] = 0
) -> Response:
    """One page of them."""
    patient = await chosen(request, tx, caller)
    people = await people_of(tx, caller)
    found = [visit for visit, _ in await reading.visits_seen(tx, caller, patient.id, limit=skip + PAGE + 1)]
    cards = [c for c in [await card_of(tx, caller, v) for v in found[skip : skip + PAGE]] if c]
    for visit in found[skip : skip + PAGE]:
        await access.look(tx, caller, reading.subject_of(visit), "list")
    older = f"{Urls.visits}?skip={skip + PAGE}" if len(found) > skip + PAGE else None
    view = Visits(next(p for p in people if p.id == str(patient.id)), cards, older, people)
    return await show(request, tx, "visits.html", view, Nav("bill"), private=patient.id != caller.id)
