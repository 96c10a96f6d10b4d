"""The first page: today's visit, what to do next, and the offer to pay once after the visit."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.consent import insurance_status
from api.routes.stream import glance, news_url
from api.world import World
from consent.service import eligibility, standing
from family_pay.service import asking, confirming
from kernel.clock import china_day
from kernel.db import Tx
from people.rules import Action, Actor
from people.service import access, hospitals
from people.service.hospitals import Hospital
from people.service.patients import Person as PersonRow
from pwa.answer import PERSON, chosen, keep, people_of, show
from pwa.urls import Urls
from pwa.views import Home, Invitation, Nav, Person, VisitCard
from pwa.visit_pages import card_of, seen
from visits.service import reading
from visits.service.encounters import Visit
from words import errors, letter_text
from words import family as family_words

router = APIRouter(include_in_schema=False)

PAST = 3


async def _whose(request: Request, tx: Tx, caller: Actor) -> PersonRow:
    """Whom the page is about: the one last chosen, else the first who is at a hospital now, else oneself."""
    if PERSON in request.cookies:
        return await chosen(request, tx, caller)
    day = china_day(tx.now)
    people = await access.patients_of(tx, caller)
    for person in people:
        if any(visit.day == day for visit, _ in await reading.visits_seen(tx, caller, person.id, limit=3)):
            return person
    return people[0]


async def _stream(world: World, tx: Tx, caller: Actor, cards: list[VisitCard], mark: str) -> str:
    """The stream of today's visit: every message has the cards drawn again. Without one: word that one has begun."""
    if not cards or cards[0].state == "settled":
        return news_url(mark)
    return (await seen(world, tx, caller, UUID(cards[0].id), None)).stream("guide")


async def _hospital(tx: Tx, today: list[Visit]) -> Hospital | None:
    """Where the offer to sign belongs: today's hospital, or the only one there is."""
    if today:
        return await hospitals.by_id(tx, today[0].hospital_id)
    known = await hospitals.everyone(tx)
    return known[0] if len(known) == 1 else None


async def _invitations(tx: Tx, caller: Actor, people: list[Person]) -> list[Invitation]:
    """Who wishes to pay and needs the reader's yes; and visits with money to pay that the reader wished to hear of."""
    made = [
        Invitation("bind", Urls.claims, f"{family_words.relation(c.offer.relation)} {c.who} ")
        for c in await confirming.claims_for(tx, caller)
    ]
    for one in await asking.requests(tx, caller):
        hospital = await hospitals.by_id(tx, one.visit.hospital_id)
        there = Urls.pay_answer(str(one.visit.id), str(one.person_id))
        made.append(Invitation("consent", there, f"{one.who} ", one.amount_fen, hospital.name))
    for asked in await asking.waiting(tx, caller):
        who = next(
            (f"{p.label} {p.name} " for p in people if p.id == str(asked.visit.patient_id)), family_words.SOMEBODY
        )
        hospital = await hospitals.by_id(tx, asked.visit.hospital_id)
        kind, there = _kind(asked), Urls.pay(str(asked.visit.id))
        there = Urls.taking(str(asked.visit.id)) if kind == "taking" else there
        made.append(Invitation(kind, there, who, asked.amount_fen, hospital.name))
    return made


def _kind(asked: asking.Asked) -> Literal["ready", "ask", "taking", "untaken"]:
    if asked.take_at is not None:
        return "taking"
    if not asked.ready:
        return "ask"
    return "untaken" if asked.failed else "ready"


async def _offer(tx: Tx, caller: Actor, patient: PersonRow, hospital: Hospital | None) -> tuple[str | None, str | None]:
    """(hospital to sign for, why not), both empty when a letter stands or it is not the caller's to sign."""
    if hospital is None or not await access.can_for(tx, caller, Action.SIGN, patient.id):
        return None, None
    if await standing.contract_of(tx, hospital.id, patient.id) is not None:
        return None, None
    found = await insurance_status(tx, hospital.id, patient.id)
    # The credit platform is asked when the letter is opened; not having asked is no reason against the offer.
    refusal = await eligibility.decide(
        tx, hospital.id, patient.id, insurance_status=found[0] if found else None, credit_asked_here=False
    )
    if refusal is None:
        return str(hospital.id), None
    return None, errors.sentence("not_eligible", reason=letter_text.REFUSALS[refusal])


@router.get(Urls.home)
async def home(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """What is on today, for oneself or whom one looks after."""
    mark, _ = await glance(tx, caller)  # before anything is read: what begins meanwhile is said by the line
    patient = await _whose(request, tx, caller)
    people = await people_of(tx, caller)
    day = china_day(tx.now)
    all_visits = [visit for visit, _ in await reading.visits_seen(tx, caller, patient.id, limit=PAST + 10)]
    today = [v for v in all_visits if v.day == day or v.state == "open"]
    cards: list[VisitCard] = [c for c in [await card_of(tx, caller, v) for v in today] if c]
    for visit in today:  # the card says where she is to go next
        await access.look(tx, caller, reading.subject_of(visit), "home")
    past: list[VisitCard] = []
    for visit in all_visits:
        if visit not in today and len(past) < PAST:
            card = await card_of(tx, caller, visit)
            past += [card] if card else []
    hospital = await _hospital(tx, today)
    offer, why_not = await _offer(tx, caller, patient, hospital)
    view = Home(
        person=next(p for p in people if p.id == str(patient.id)),
        people=people,
        today=cards,
        past=past,
        hospital=hospital.name if hospital else None,
        sign_offer=offer,
        why_not=why_not,
        invitations=await _invitations(tx, caller, people),
        stream_url=await _stream(world, tx, caller, cards, mark),
    )
    mine = next((c for c in cards if not c.watched), None)
    watched = any(c.watched for c in (*cards, *past))
    response = await show(request, tx, "home.html", view, Nav("home", mine.id if mine else None), private=watched)
    if patient.id != caller.id and PERSON not in request.cookies:
        keep(response, PERSON, str(patient.id))
    return response
