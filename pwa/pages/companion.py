"""The story of a visit for somebody who is far away, as far as the patient opened it."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.stream import glance, news_url
from billing.service.lines import bill_of
from guide import service as guide
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices import service as notices
from people.rules import Actor, Depth
from people.service import access, hospitals, patients
from people.service.patients import Person
from pwa.answer import go, show
from pwa.fragments import status_line, story_entry
from pwa.live import show_of
from pwa.rows import Step, StoryEntry, Sums, VisitHead
from pwa.urls import Urls
from pwa.views import Companion
from pwa.visit_pages import Seen, seen, seen_row
from visits.service import reading
from words import family as family_words
from words.pages import Pages

router = APIRouter(include_in_schema=False)

_CLOSE = frozenset({"daughter", "son", "spouse", "parent"})  # they have a word for her; others read the masked name


async def _story(tx: Tx, found: Seen) -> tuple[list[StoryEntry], str]:
    """(what happened, newest first; the line above it), made of the very rows that are pushed."""
    show_as = show_of(found.view, found.visit.id, tx.now, "story")
    told: dict[str, StoryEntry] = {}
    status, after = "", 0
    while rows := await notices.since(tx, found.visit.id, after):
        after = rows[-1].seq
        for row in rows:
            drawn = seen_row(row, found.view)
            entry = story_entry(drawn, show_as) if drawn else None
            if entry is not None:
                told[entry.id] = entry
            if drawn is not None and row.kind == "step":
                status = status_line(Step.of(drawn["data"]["step"])) or status
    return sorted(told.values(), key=lambda e: -e.rank), status


async def _over(request: Request, tx: Tx, caller: Actor, visit_id: UUID, mark: str) -> Response:
    """What a companion finds after the end; whoever was never let in is answered as if there were no such visit."""
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or not await access.watched(tx, caller, reading.subject_of(visit)):
        raise NotFoundError
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    patient = await patients.by_id(tx, visit.patient_id)
    head = VisitHead(str(visit.id), hospital.name, patient.name_masked, None, tx.now)
    who = await _name_of(tx, caller, patient)
    return await show(request, tx, "companion.html", Companion(head, who, "", (), news_url(mark), shared=False))


async def _name_of(tx: Tx, caller: Actor, patient: Person) -> str:
    relation = (await access.relations_of(tx, caller.id)).get(patient.id, "")
    return family_words.label(relation, patient.sex) if relation in _CLOSE else patient.name_masked


@router.get("/visits/{visit_id}/story")
async def story(request: Request, visit_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """The page; when the visit has ended for a companion it says so, and opens again when the visit does."""
    mark, _ = await glance(tx, caller)
    try:
        found = await seen(world, tx, caller, visit_id, "story")
    except NotFoundError:
        return await _over(request, tx, caller, visit_id, mark)
    if found.view.depth is Depth.NOTHING:
        return go(Urls.bill(str(visit_id)))
    patient = await patients.by_id(tx, found.visit.patient_id)
    label = await _name_of(tx, caller, patient)
    entries, status = await _story(tx, found)
    steps = await guide.steps_of(tx, visit_id, found.view)
    view = Companion(
        found.head,
        label,
        status or Pages.companion.visits["open" if steps or found.visit.state == "open" else "ended"],
        entries,
        found.stream("story"),
        sums=Sums.of((await bill_of(tx, found.visit, found.view))["sums"]) if found.money else None,
        can_pay=found.view.pays,
    )
    return await show(request, tx, "companion.html", view)
