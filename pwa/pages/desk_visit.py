"""One patient at the desk: the sheet on paper, the letter on the tablet, who stands for a child, the money."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.reminders import for_desk
from billing.service.excluding import excludable, exclude
from consent.service import signers, standing
from family_pay.rules import Relation
from family_pay.service import bonds, invitations
from guide.service.walking import MAY_PIN
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import HoufuError
from notices.service.codes import TooManyLooksError
from payments.service import first
from people.rules import Action, Actor, Document, GrantKind
from people.service import access, patients, phones, sessions, staff
from people.service.grants import Grant
from pwa.answer import go, show
from pwa.desk_views import DeskVisit
from pwa.urls import Urls
from pwa.visit_pages import Seen, seen
from visits.rules import Exclusion, PaymentMode
from words import errors
from words import family as family_words
from words.binding import DOCUMENTS, PROOFS
from words.desk import DeskVisit as Words
from words.money import rmb

router = APIRouter(include_in_schema=False)


async def _people(tx: Tx, found: Sequence[Grant], visit_id: str) -> list[tuple[str, str, str, str]]:
    return [
        (
            family_words.relation(g.relation),
            (await patients.by_id(tx, g.person_id)).name_masked,
            await _paper(tx, g),
            Urls.end_guardian(visit_id, str(g.id if g.kind == GrantKind.GUARD else g.bond)),
        )
        for g in found
    ]


async def _may_exclude(tx: Tx, caller: Actor, found: Seen) -> list[tuple[str, str]]:
    if not await access.can(tx, caller, Action.EXCLUDE, found.subject):
        return []
    whole, lines = await excludable(tx, found.visit)
    return [("", Words.exclude_whole)] * whole + [(str(c.id), f"{c.name} {rmb(c.self_fen)}") for c in lines]


async def _paper(tx: Tx, grant: Grant) -> str:
    seen_by = await staff.name_of(tx, grant.proven_by) if grant.proven_by else ""
    how = DOCUMENTS.get(grant.document or "", PROOFS.get(grant.proof, ""))
    until = [family_words.lasts(china_day(grant.until - timedelta(days=1)))] if grant.until else []
    return " · ".join(x for x in (family_words.proven(how, china_day(grant.created_at)), seen_by, *until) if x)


async def _view(tx: Tx, caller: Actor, found: Seen, error: str | None = None, phone: str = "") -> DeskVisit:
    visit, subject = found.visit, found.subject
    contract = await standing.contract_of(tx, visit.hospital_id, visit.patient_id) is not None
    owed, _ = await first.takes_now(tx, caller, visit)
    identity = str(visit.id)
    binds = caller.role in invitations.MAY_BIND
    witness = caller.role in signers.WITNESSES and not contract
    return DeskVisit(
        visit=found.head,
        number=visit.number,
        deferred=visit.mode == PaymentMode.DEFERRED,
        owed_fen=owed,
        contract=contract,
        sheet_url=Urls.sheet(identity) if await access.can(tx, caller, Action.SHOW_PASS, subject) else None,
        pay_url=Urls.desk_pay(identity)
        if owed and await access.can(tx, caller, Action.TAKE_PAYMENT, subject)
        else None,
        refund_url=Urls.refunds(identity) if await access.can(tx, caller, Action.ASK_REFUND, subject) else None,
        letter_url=Urls.open_letter_here(str(visit.hospital_id), str(visit.patient_id)) if witness else None,
        guardians=await _people(tx, await bonds.guardians_of(tx, visit.patient_id), identity),
        family=await _people(tx, await bonds.made_at_desk(tx, visit.patient_id), identity) if binds else (),
        may_guard=caller.role in bonds.MAY_SET_GUARDIANS,
        child=await bonds.is_child(tx, visit.patient_id),
        relations=Words.relations,
        phone=phone,
        error=error,
        documents=tuple(DOCUMENTS.items()),
        invite_url=Urls.desk_invite(identity) if binds else None,
        plan_url=Urls.desk_plan(identity) if caller.role in MAY_PIN else None,
        phone_url=Urls.desk_phone_ask(identity) if caller.role in phones.MAY_CHANGE_PHONES else None,
        may_exclude=await _may_exclude(tx, caller, found),
    )


@router.get("/desk/visits/{visit_id}")
async def page(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """What can be done for this patient here."""
    found = await seen(world, tx, caller, visit_id, None)
    return await show(request, tx, "desk_visit.html", await _view(tx, caller, found))


@router.post("/desk/visits/{visit_id}/caller")
async def caller_code(request: Request, visit_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """Show the code the patient sees, to whoever is about to phone her; every look is kept."""
    found = await seen(world, tx, caller, visit_id, None)
    view = await _view(tx, caller, found)
    try:
        code = await for_desk(tx, caller, visit_id)
    except TooManyLooksError as refusal:
        sentence = errors.sentence(refusal.code, refusal.kind)
        return await show(request, tx, "desk_visit.html", replace(view, error=sentence), status=STATUS[refusal.kind])
    shown = replace(view, caller_digits=code.digits, caller_until=code.until)
    return await show(request, tx, "desk_visit.html", shown)


@router.post("/desk/visits/{visit_id}/exclude")
async def exclude_(
    visit_id: UUID,
    caller: StaffCaller,
    tx: TxDep,
    why: Annotated[Exclusion, Form()] = Exclusion.OTHER,
    charge: Annotated[UUID | Literal[""], Form()] = "",
) -> Response:
    """Turn the visit, or one line, pay-first."""
    await exclude(tx, caller, visit_id, why, charge or None)
    return go(Urls.desk_visit(str(visit_id)))


def _day(text: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(text)
    return None


@router.post("/desk/visits/{visit_id}/guardian")
async def guardian(
    request: Request,
    visit_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    phone: Annotated[str, Form(max_length=20)] = "",
    relation: Annotated[Relation, Form()] = Relation.PARENT,
    cannot_act: Annotated[str, Form(max_length=1)] = "",
    document: Annotated[Document | None, Form()] = None,
    until: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """The desk has seen the papers: this person stands for the patient."""
    found = await seen(world, tx, caller, visit_id, None)
    patient = found.visit.patient_id
    people = [p for p in await sessions.with_phone(tx, phone.strip()) if p.id != patient]
    error, last = None, _day(until)
    if until and last is None:
        error, status = errors.sentence("no_papers"), 422
    elif len(people) != 1:
        error, status = Words.unknown, 422
    elif not cannot_act and not await bonds.is_child(tx, patient):
        error, status = Words.confirm, 422
    else:
        try:
            papers = bonds.Papers(document, bool(cannot_act), last)
            await bonds.set_guardian(tx, caller, patient, people[0].id, relation, papers)
        except HoufuError as refusal:
            error = errors.sentence(refusal.code, refusal.kind, **refusal.params)
            status = STATUS[refusal.kind]
    if error is None:
        return go(Urls.desk_visit(str(visit_id)))
    view = await _view(tx, caller, found, error, phone)
    return await show(request, tx, "desk_visit.html", view, status=status)
