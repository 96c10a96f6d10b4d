"""Visits for programs: one's own and those one may see, the bill, the steps, the pass, and what can be done."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import AnyCaller, PersonCaller, StaffCaller, TxDep, WorldDep
from api.sheets import SheetOut
from billing.rules import see_payment
from billing.service import answers
from billing.service import lines as billing
from guide import service as guide
from guide.service import sheets
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from notices import service as notices
from notices.service import telling
from people.rules import Action, Actor, ActorKind, Depth, Subject, View
from people.service import access, debtors, hospitals, patients
from visits.rules import seen_visit
from visits.service import encounters, orders, passes, reading
from visits.service.encounters import Visit

router = APIRouter(prefix="/api", tags=["visits"])

Fen = Annotated[int, Field(description="fen")]


class VisitOut(BaseModel):
    """A patient's day at a hospital, as far as the caller may see it."""

    id: UUID
    hospital_id: UUID
    patient_id: UUID
    day: date
    state: Literal["open", "ended", "settled"]
    mode: Literal["UPFRONT", "DEFERRED"]
    due_at: datetime | None
    ended_at: datetime | None
    owner: bool = Field(description="whether the caller acts for the patient")


class SumsOut(BaseModel):
    """The bill in amounts; fund + account + hospital + self = done."""

    done_fen: Fen
    payable_fen: Fen
    fund_fen: Fen
    account_fen: Fen
    self_fen: Fen
    planned_fen: Fen
    paid_fen: Fen
    first_fen: Annotated[int, Field(description="fen, paid before it is done, line by line; never owed")]
    prepaid_fen: Annotated[int, Field(description="fen, paid and not done yet")]
    hospital_fen: Annotated[int, Field(description="fen the hospital bears itself in a settlement of the insurance")]


class EstimateOut(BaseModel):
    """Who the hospital had estimated to bear a line; with the final split it adds up to the same amount."""

    fund_fen: Fen
    account_fen: Fen
    self_fen: Fen


class LineOut(BaseModel):
    """One line with its proof trail."""

    id: UUID
    order_id: UUID | None
    name: str
    department: str
    quantity: str
    amount_fen: Fen
    fund_fen: Fen
    account_fen: Fen
    self_fen: Fen
    hospital_fen: Fen
    insurance_class: str | None
    pile: Literal["done", "ordered", "cancelled"]
    state: str
    rank: int
    ordered_by: str | None
    ordered_at: datetime | None
    executed_by: str | None
    executed_at: datetime | None
    executed_where: str | None
    category: str | None
    can_dispute: bool
    can_abandon: bool
    refund: Annotated[str | None, Field(description="requested, approved, refused or overtaken; the patient's")] = None
    can_refund: bool
    pay_first: Annotated[bool, Field(description="can be paid by itself before it is done: `lines` of a payment")]
    going_back: Annotated[bool, Field(description="paid before it was done, not wanted any more; its money returns")]
    estimate: Annotated[
        EstimateOut | None, Field(description="once the insurance has paid: what it replaced; before, the split is one")
    ] = None


class ShareOut(BaseModel):
    """One share: for whom it is meant, or who pays it."""

    number: int
    amount_fen: Fen
    state: Literal["free", "busy", "paid"]
    label: str


class PartOut(BaseModel):
    """One settlement of the insurance; amounts are empty until it is reckoned. Mutual aid is inside the accounts."""

    id: UUID
    state: str
    total_fen: Fen
    fund_fen: int | None
    account_fen: int | None
    mutual_aid_fen: int | None
    other_fen: int | None
    hospital_part_fen: int | None
    cash_fen: int | None


class RoundOut(BaseModel):
    """A bill that several people share."""

    state: str
    cash_fen: Fen
    paid_fen: Fen
    left_fen: Annotated[int, Field(description="fen nobody is paying yet")]
    shares: list[ShareOut]
    parts: list[PartOut] | None = Field(description="what the insurance settles, for the patient's side and staff")


class DebtorOut(BaseModel):
    """Who owes: the patient, or the guardian of a child or of who cannot act; ``name`` masked, empty: not known yet."""

    guardian: bool
    minor: bool = Field(description="the patient is under eighteen, and never suspended or reported for it")
    name: str | None


class BillOut(BaseModel):
    """The bill; ``after`` is where the visit's stream goes on from here, ``patient`` masked but for her own side."""

    visit: VisitOut
    hospital: str
    phone: Annotated[str, Field(description="where somebody answers")]
    patient: str
    sums: SumsOut
    lines: list[LineOut]
    round: RoundOut | None = Field(description="shares that are being paid, for the patient's side, payers and staff")
    debtor: DebtorOut | None = Field(description="who owes it; for the patient's side and staff")
    after: str


class StepOut(BaseModel):
    """One thing to do in the hospital."""

    id: UUID
    kind: str
    name: str
    department: str
    place: str
    state: Literal["placed", "checked_in", "called", "performed", "result", "cancelled"]
    preparation: list[str] = Field(description="sentences")
    note: str | None
    ahead: int | None
    queue_at: datetime | None = Field(description="when the hospital last said how many are ahead")
    room: str | None
    result_flag: str | None
    at: datetime
    rank: int
    planned: int | None = Field(None, description="its place in the order advised, 0 first")
    because: str | None = Field(None, description="why there, in a sentence")
    window: tuple[datetime, datetime] | None = Field(None, description="its appointment; the patient's side")
    move: Literal["ask", "asked", "agreed", "refused"] | None = Field(
        None, description="another time of it may be asked for, was asked for, is to come, was refused; her side"
    )


class StepsOut(BaseModel):
    """The steps in the order they were ordered; ``next`` is the one to do now."""

    steps: list[StepOut]
    next: UUID | None
    order_note: str | None = Field(None, description="what is not known of the order advised, in a sentence")
    after: str


class PassOut(BaseModel):
    """The codes behind the QR: ``live`` good for half a minute to a minute, ``kept`` for the visit's day."""

    number: str
    live: str
    kept: str
    step_seconds: int = passes.STEP


class FirstBody(BaseModel):
    """Which open orders come first, in this order, why, and which of those that ask for a nurse she has looked at."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"first": ["a2e3f4c5-b6d7-5f8e-9dac-1b2c3d4e5f77"], "looked_at": []}]},
    )
    first: Annotated[list[UUID], Field(max_length=20)]
    looked_at: Annotated[list[UUID], Field(max_length=20)] = []
    reason: Annotated[str | None, Field(max_length=20, description="one of the reasons the desk's page offers")] = None


class DisputeBody(BaseModel):
    """Why the line should not be paid."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "这项根本没做"}]})
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class DisputeOut(BaseModel):
    """Until when the hospital answers."""

    id: UUID
    answer_by: datetime


class LeftOut(BaseModel):
    """How many orders were given up, and the bill afterwards."""

    given_up: int
    sums: SumsOut


class ScanBody(BaseModel):
    """A pass, the code of a printed order, or a visit's or order's number as typed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "2436730681"}]})
    code: Annotated[str, Field(min_length=1, max_length=300)]


class ScanOut(BaseModel):
    """What the desk learned; ``check_name``: ask for the name, the code was kept, printed or typed."""

    visit_id: UUID
    grade: Literal["live", "kept", "number", "paper"]
    check_name: bool
    orders: list[UUID]
    checked_in: list[UUID]


def _visit(visit: Visit, view: View) -> VisitOut:
    seen: Any = seen_visit(encounters.visit_payload(visit)["visit"], view)
    return VisitOut(
        id=visit.id,
        hospital_id=visit.hospital_id,
        patient_id=visit.patient_id,
        day=visit.day,
        owner=view.owner,
        **seen,
    )


async def _look(tx: Tx, caller: Actor, visit_id: UUID, page: str | None) -> tuple[Visit, View, Subject]:
    visit = await reading.visit_of(tx, visit_id)
    if visit is None:
        raise NotFoundError
    subject = reading.subject_of(visit)
    view = await access.view_of(tx, caller, subject)
    if view.blind:
        raise NotFoundError
    if page is not None:
        await access.look(tx, caller, subject, page)
        if caller.kind is ActorKind.PERSON:
            await telling.seen(tx, caller.id, visit.id)
    return visit, view, subject


@router.get("/visits")
async def visits(
    caller: PersonCaller, tx: TxDep, patient: Annotated[UUID | None, Query(description="empty: oneself")] = None
) -> list[VisitOut]:
    """Visits of oneself, or of somebody who let the caller look, newest first."""
    known = {p.id for p in await access.patients_of(tx, caller)}
    wanted = patient or caller.id
    if wanted not in known:
        raise NotFoundError
    found = await reading.visits_seen(tx, caller, wanted)
    for visit, _ in found:
        await access.look(tx, caller, reading.subject_of(visit), "list")
    return [_visit(visit, view) for visit, view in found]


@router.get("/visits/{visit_id}")
async def bill(visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> BillOut:
    """The visit's bill. Who sees the visit but not its money is refused."""
    visit, view, _ = await _look(tx, caller, visit_id, "bill")
    if view.depth < Depth.BILL and not view.pays:
        raise ForbiddenError
    after = world.hub.token(caller, visit.id, await notices.position(tx, visit.id))
    shown = await billing.bill_of(tx, visit, view)
    patient, hospital = await patients.by_id(tx, visit.patient_id), await hospitals.by_id(tx, visit.hospital_id)
    return BillOut(
        visit=_visit(visit, view),
        hospital=hospital.name,
        phone=hospitals.helpline_of(hospital),
        patient=patients.name_of(tx, patient) if view.owner or view.staff else patient.name_masked,
        sums=shown["sums"],
        lines=shown["lines"],
        round=await _round(tx, visit_id, view),
        debtor=await _debtor(tx, visit) if view.owner or view.staff else None,
        after=after,
    )


async def _debtor(tx: Tx, visit: Visit) -> DebtorOut:
    found = await debtors.debtor_of(tx, visit.patient_id, visit.opened_at)
    who = await patients.by_id(tx, found.person_id) if found.person_id is not None else None
    return DebtorOut(guardian=found.guardian, minor=found.minor, name=who.name_masked if who is not None else None)


async def _round(tx: Tx, visit_id: UUID, view: View) -> RoundOut | None:
    row = await notices.latest(tx, visit_id, "payment")
    shown = see_payment(row, view) if row else None
    return RoundOut.model_validate(shown["round"]) if shown and shown["round"] else None


@router.get("/visits/{visit_id}/steps")
async def steps(visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> StepsOut:
    """Where to go, in order, and where now."""
    visit, view, _ = await _look(tx, caller, visit_id, "guide")
    if view.depth is Depth.NOTHING:
        raise ForbiddenError
    after = world.hub.token(caller, visit.id, await notices.position(tx, visit.id))
    found = await guide.steps_of(tx, visit.id, view)
    now = guide.next_step(found)
    _, note = guide.plan_of(found)
    return StepsOut(
        steps=[StepOut(**s) for s in found], next=UUID(now["id"]) if now else None, order_note=note, after=after
    )


@router.get("/visits/{visit_id}/pass")
async def visit_pass(response: Response, visit_id: UUID, caller: AnyCaller, tx: TxDep) -> PassOut:
    """The codes to show at a desk."""
    visit, _, subject = await _look(tx, caller, visit_id, "pass")
    await access.require(tx, caller, Action.SHOW_PASS, subject)
    response.headers["Cache-Control"] = "private, no-store"
    return PassOut(
        number=visit.number,
        live=passes.live_code(tx.vault, visit, tx.now),
        kept=passes.kept_code(tx.vault, visit),
    )


@router.get("/visits/{visit_id}/sheet")
async def sheet(
    response: Response,
    visit_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    full: Annotated[bool, Query(description="also the names of what is sensitive")] = False,
    no_steps: Annotated[bool, Query(description="ways without a stair or an escalator")] = False,
) -> SheetOut:
    """What stands on the guide sheet, for a kiosk's or a desk's own printer."""
    visit, view, subject = await _look(tx, caller, visit_id, "sheet")
    await access.require(tx, caller, Action.SHOW_PASS, subject)
    await access.printed(tx, caller, subject)
    response.headers["Cache-Control"] = "private, no-store"
    made = await sheets.sheet_of(tx, visit, view, full=full, step_free=no_steps)
    base = world.settings.base_url
    return SheetOut.of(made, passes.kept_code(tx.vault, visit), lambda code: f"{base}/o/{code}")


@router.post("/visits/{visit_id}/orders/{order_id}/abandon", status_code=204)
async def abandon(visit_id: UUID, order_id: UUID, caller: AnyCaller, tx: TxDep) -> None:
    """Give an open order up; 409 when it was performed or given up already."""
    _, _, subject = await _look(tx, caller, visit_id, None)
    await access.require(tx, caller, Action.ABANDON, subject)  # before the order is looked for: 404 would tell of it
    order = await orders.order_by_id(tx, order_id)
    if order is None or order.visit_id != visit_id:
        raise NotFoundError
    if caller.kind is ActorKind.STAFF and order.department != caller.department:
        raise ForbiddenError
    await orders.abandon(tx, caller, order_id)


@router.post("/visits/{visit_id}/first", status_code=204)
async def first(visit_id: UUID, body: FirstBody, caller: StaffCaller, tx: TxDep) -> None:
    """A nurse's word on the order of a visit, instead of her last one; 409 when a rule forbids it."""
    await guide.pin(tx, caller, visit_id, body.first, body.looked_at, body.reason)


@router.post("/visits/{visit_id}/lines/{line_id}/dispute", status_code=201)
async def dispute(visit_id: UUID, line_id: UUID, body: DisputeBody, caller: PersonCaller, tx: TxDep) -> DisputeOut:
    """Say that a line was not done: it waits for the hospital's answer, the rest goes on."""
    visit, view, subject = await _look(tx, caller, visit_id, None)
    await access.require(tx, caller, Action.DISPUTE, subject)
    if str(line_id) not in {row["id"] for row in (await billing.bill_of(tx, visit, view))["lines"]}:
        raise NotFoundError
    said = await answers.dispute(tx, caller, line_id, body.reason)
    return DisputeOut(id=said.id, answer_by=said.answer_by)


@router.post("/visits/{visit_id}/leave")
async def leave(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> LeftOut:
    """Leave now: what is not done is given up, what is done stays to be paid."""
    visit, view, _ = await _look(tx, caller, visit_id, None)
    left = await answers.leave_now(tx, caller, visit_id)
    return LeftOut(given_up=left, sums=(await billing.bill_of(tx, visit, view))["sums"])


@router.post("/desk/scan")
async def scan(body: ScanBody, caller: StaffCaller, tx: TxDep) -> ScanOut:
    """A desk scanned a code: open orders of its department are reported, each code once."""
    found = await passes.scan(tx, caller, body.code)
    return ScanOut(
        visit_id=found.visit.id,
        grade=found.grade,
        check_name=found.check_name,
        orders=[o.id for o in found.orders],
        checked_in=[o.id for o in found.checked_in],
    )
