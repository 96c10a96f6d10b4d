"""What every page of a visit begins with: may this reader look, whose visit it is, where their stream goes on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.sees import SEES
from api.world import World
from billing.rules import SUMS, see_payment
from billing.service.lines import bill_of
from guide import service as guide
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices import service as notices
from notices.rules import Row
from notices.service import telling
from payments.service import receipts
from payments.service.attempts import Attempt
from people.rules import Actor, ActorKind, Depth, Subject, View
from people.service import access, hospitals, patients
from people.service.hospitals import Hospital
from pwa.rows import Line, PaymentNote, Shares, VisitHead
from pwa.urls import Urls
from pwa.views import VisitCard
from visits.service import reading
from visits.service.encounters import Visit


@dataclass(frozen=True, slots=True)
class Seen:
    """One visit before one reader. ``after`` is where the feed stood before anything was read.

    ``live``: the reader may follow it; whoever only has a payment of theirs in it may not.
    """

    visit: Visit
    subject: Subject
    view: View
    hospital: Hospital
    head: VisitHead
    after: str
    live: bool = True

    def stream(self, surface: str) -> str:
        """The address of this page's stream."""
        return f"/api/visits/{self.visit.id}/stream?format=html&page={surface}&after={self.after}"

    @property
    def money(self) -> bool:
        """Whether amounts are shown to this reader at all."""
        return self.view.depth >= Depth.BILL or self.view.pays


async def seen(world: World, tx: Tx, caller: Actor, visit_id: UUID, page: str | None) -> Seen:
    """The visit as this caller sees it; that somebody else looked at ``page`` is written down.

    Raises:
        NotFoundError: there is no such visit, or none for this caller: the two are told alike.
    """
    visit = await reading.visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    subject = reading.subject_of(visit)
    view = await access.view_of(tx, caller, subject)
    if view.blind:
        raise NotFoundError
    after = world.hub.token(caller, visit.id, await notices.position(tx, visit.id))
    if page is not None:
        await access.look(tx, caller, subject, page)
        if caller.kind is ActorKind.PERSON:
            await telling.seen(tx, caller.id, visit.id)
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    return Seen(visit, subject, view, hospital, await head_of(tx, visit, hospital, view), after)


async def seen_by_payer(world: World, tx: Tx, caller: Actor, attempt: Attempt, page: str | None) -> Seen:
    """The visit around a payment. Whoever made it reads of amount and hospital, whatever became of their right to pay.

    Raises:
        NotFoundError: none for this caller.
    """
    try:
        return await seen(world, tx, caller, attempt.visit_id, page)
    except NotFoundError:
        visit = await reading.visit_of(tx, attempt.visit_id)
        if visit is None or attempt.actor != caller.viewer:
            raise
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    view = View(Depth.NOTHING, frozenset(), pays=False, owner=False)
    head = await head_of(tx, visit, hospital, view)
    return Seen(visit, reading.subject_of(visit), view, hospital, head, "", live=False)


async def head_of(tx: Tx, visit: Visit, hospital: Hospital, view: View) -> VisitHead:
    """The line under a title; the name is whole for the patient's side and staff."""
    patient = await patients.by_id(tx, visit.patient_id)
    whole = view.owner or view.staff
    name = patients.name_of(tx, patient) if whole else patient.name_masked
    # Where somebody goes is a step: whoever only pays learns the hospital, and a hidden department from nobody.
    known = [e for e in await reading.encounters_of(tx, visit.id) if view.sees(Depth.STEPS, e.category)]
    department = await hospitals.department(tx, hospital.id, known[0].department) if known else None
    at = reading.since(visit, view)
    if department is None:
        return VisitHead(str(visit.id), hospital.name, name, None, at)
    return VisitHead(str(visit.id), hospital.name, name, department.name, at, doctor=known[0].doctor)


def seen_row(row: Row, view: View) -> dict[str, Any] | None:
    """One feed row as ``pwa.fragments`` draws it, or None when this view is not to know of it."""
    made = SEES.get(row.kind)
    data: Mapping[str, Any] | None = made(row, view) if made else None
    return None if data is None else {"kind": row.kind, "data": data, "at": row.at}


async def lines_shown(tx: Tx, found: Seen, ids: Collection[str]) -> list[Line]:
    """These lines of the bill as this reader sees them."""
    rows = (await bill_of(tx, found.visit, found.view))["lines"]
    return [Line.of(row) for row in rows if row["id"] in ids]


async def payment_of(tx: Tx, visit: Visit, view: View) -> tuple[PaymentNote | None, Shares | None]:
    """The visit's latest payment and how its shares stand, for those who may know of it."""
    row = await notices.latest(tx, visit.id, "payment")
    shown = see_payment(row, view) if row else None
    return (PaymentNote.of(shown["payment"]), Shares.of(shown["round"])) if shown else (None, None)


async def receipt_of(tx: Tx, visit: Visit, view: View) -> str | None:
    """The address of the visit's merged receipt, where there is one for this reader."""
    told = view.owner or view.pays or view.staff
    return Urls.visit_receipt(str(visit.id)) if told and await receipts.exists(tx, visit.id) else None


async def card_of(tx: Tx, caller: Actor, visit: Visit) -> VisitCard | None:
    """A visit in a list; None when it does not exist for this caller."""
    view = await access.view_of(tx, caller, reading.subject_of(visit))
    if view.blind:
        return None
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    head = await head_of(tx, visit, hospital, view)
    money = view.depth >= Depth.BILL or view.pays
    sums = (await bill_of(tx, visit, view))["sums"] if money else dict.fromkeys(SUMS, 0)
    now = guide.next_step(await guide.steps_of(tx, visit.id, view)) if visit.state == "open" else None
    told = view.owner or view.pays or view.staff
    return VisitCard(
        id=str(visit.id),
        hospital=hospital.name,
        department=head.department or hospital.name,
        at=head.at,
        state=visit.state if told or visit.state == "open" else "ended",
        mode=visit.mode if told else "DEFERRED",
        payable_fen=sums["payable_fen"],
        paid_fen=sums["paid_fen"],
        due_at=visit.due_at if told else None,
        overdue=bool(told and visit.due_at and visit.due_at < tx.now and sums["payable_fen"]),
        next_step=f"{now['name']}，{now['place']}" if now else None,
        watched=not view.owner,
        first_fen=sums["first_fen"] if view.owner else 0,
        receipt_url=await receipt_of(tx, visit, view),
    )
