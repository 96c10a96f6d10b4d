"""The story of a visit for who follows it from afar, as far as the patient opened it; and for herself, who follows."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.family import depth_name
from api.routes.stream import glance, news_url
from billing.service.lines import bill_of
from family_pay.rules import UnknownWordError, WordsManyError, WordsOverError, WordsTooFastError
from family_pay.service import bonds, messages
from guide import service as guide
from guide.service import routes
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from notices import service as notices
from people.rules import Action, Actor, Depth
from people.service import access, hospitals, patients
from people.service.patients import Person
from pwa.answer import ELDER, go, show
from pwa.fragments import status_line, story_entry
from pwa.live import show_of
from pwa.rows import Step, StoryEntry, Sums, VisitHead, Word
from pwa.urls import Urls
from pwa.views import Companion, Talk, Watcher
from pwa.visit_pages import Seen, seen, seen_row
from visits.service import reading
from words import errors, money
from words import family as family_words
from words import messages as sentences
from words.pages import Pages

router = APIRouter(include_in_schema=False)

_CLOSE = frozenset({"daughter", "son", "spouse", "parent"})  # they have a word for her; others read the masked name
_DONE = frozenset({"performed", "result"})


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
    if caller.id == patient.id:
        return family_words.ME
    relation = (await access.relations_of(tx, caller.id)).get(patient.id, "")
    return family_words.label(relation, patient.sex) if relation in _CLOSE else patient.name_masked


async def _pass_url(tx: Tx, caller: Actor, found: Seen) -> str | None:
    """The pass, for who carries it for an elder without a phone."""
    carried = not found.view.owner and await access.can(tx, caller, Action.SHOW_PASS, found.subject)
    return Urls.pass_(str(found.visit.id)) if carried else None


async def _talk(tx: Tx, caller: Actor, found: Seen, listeners: int, error: HoufuError | None) -> Talk | None:
    """What was said, and what can be; the patient is offered nothing where nobody would hear it."""
    mine, words = found.view.owner, []
    for said in await messages.said(tx, caller, found.visit.id, found.view):
        own = said.sender_id == caller.id
        who = Pages.companion.you if own else family_words.relation(said.relation) if said.to_patient else ""
        text = sentences.sentence(said.code, to_patient=said.to_patient)
        words.append(Word(str(said.id), said.rank, said.at, who, text))
    going = found.visit.state == "open" and (not mine or listeners > 0)
    if not words and not going:
        return None
    presets = (sentences.TO_FAMILY if mine else sentences.TO_PATIENT) if going else {}
    return Talk(
        Urls.words(str(found.visit.id)),
        words,
        tuple(presets.items()),
        Pages.companion.talk_family if mine else Pages.companion.talk,
        errors.sentence(error.code, error.kind, **error.params) if error else None,
    )


async def _watchers(tx: Tx, found: Seen) -> list[Watcher]:
    """Who can follow this visit now, as its patient reads it."""
    made = []
    for relative, relation, depth in await bonds.watchers(tx, found.subject):
        name = (await patients.by_id(tx, relative)).name_masked
        made.append(Watcher(f"{family_words.relation(relation)} {name}", Pages.family.depth[depth_name(depth)]))
    return made


async def _page(request: Request, tx: Tx, caller: Actor, found: Seen, error: HoufuError | None = None) -> Response:
    patient = await patients.by_id(tx, found.visit.patient_id)
    entries, status = await _story(tx, found)
    steps = await guide.steps_of(tx, found.visit.id, found.view)
    now = guide.next_step(steps)
    turn = guide.turn_of(now, tx.now) if now else None
    words = Pages.companion
    watchers = await _watchers(tx, found) if found.view.owner else None
    planned = [s for s in steps if s["state"] != "cancelled"]
    large = request.cookies.get(ELDER) == "1"
    where = await routes.place(tx, found.hospital.id, now["department"], large=large) if now else None
    view = Companion(
        found.head,
        await _name_of(tx, caller, patient),
        status or words.visits["open" if steps or found.visit.state == "open" else "ended"],
        entries,
        found.stream("story"),
        sums=Sums.of((await bill_of(tx, found.visit, found.view))["sums"]) if found.money else None,
        can_pay=found.view.pays and not found.view.owner,
        pass_url=await _pass_url(tx, caller, found),
        phone=await access.telephone_for(tx, caller, found.subject),
        next=Step.of(now) if now else None,
        turn=words.turn(money.clock(turn.begin), money.clock(turn.end), passed=turn.passed) if turn else None,
        heard=words.heard(money.clock(turn.heard), old=turn.old) if turn else None,
        done=(sum(s["state"] in _DONE for s in planned), len(planned)) if planned else None,
        talk=await _talk(tx, caller, found, len(watchers or ()), error),
        watchers=watchers,
        map=Markup(where) if where else None,  # noqa: S704 - drawn by us
    )
    status_code = STATUS[error.kind] if error else 200
    return await show(request, tx, "companion.html", view, status=status_code)


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
    return await _page(request, tx, caller, found)


@router.post("/visits/{visit_id}/words")
async def say(
    request: Request,
    visit_id: UUID,
    caller: PersonCaller,
    world: WorldDep,
    tx: TxDep,
    code: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Say one of the sentences; it is on the other side's page at once."""
    try:
        await messages.send(tx, caller, visit_id, code)
    except (UnknownWordError, WordsManyError, WordsOverError, WordsTooFastError) as error:
        return await _page(request, tx, caller, await seen(world, tx, caller, visit_id, None), error)
    return go(Urls.companion(str(visit_id)))
