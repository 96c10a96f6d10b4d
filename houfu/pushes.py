"""Who is told what, and whether it is still so: the eyes of the pushes, which see visits, bills, payments and grants.

``notices`` knows how to tell; what is told, and to whom, is decided here by the same views that decide every page.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from billing.rules import ChargeState
from billing.service.lines import bill_of
from billing.service.paying import line_of
from family_pay.service import bonds, confirming, taking
from guide import service as guide
from guide.service import turns
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices import service as feeds
from notices.ports import Said, Tell
from notices.rules.messages import Masked, Place, Ready, Slots
from notices.rules.reach import AHEAD, REACH, RESULTS, Kind, To, is_told
from payments.rules.taking import AutoWay
from payments.service import attempts
from people.rules import Actor, ActorKind, Audience, Depth, GrantState, View
from people.service import access, grants, hospitals, patients
from visits.rules import OPEN_ORDER, VisitState
from visits.service import orders, reading
from visits.service.encounters import Visit
from visits.service.orders import Order, shown_state

_PAID = frozenset({"paid", "settled"})
_EXAMS = frozenset({"lab", "imaging", "procedure"})  # what ends with a report


class House:
    """``notices.ports.Truth`` over the whole house."""

    async def readers(self, tx: Tx, tell: Tell, audience: int, category: str | None) -> Sequence[UUID]:
        """Who may be told; a person's own news is told to that person."""
        rule = REACH[tell.kind]
        if To.SELF in rule.to:
            return [tell.subject]
        visit = await reading.visit_of(tx, tell.subject)
        if visit is None:
            return []
        # A child's news goes to whoever stands for the child, whose phone it often is.
        people = {} if await bonds.is_child(tx, visit.patient_id) else {visit.patient_id: None}
        for grant in await grants.of_patient(tx, visit.patient_id):
            if grant.state == GrantState.ACTIVE:
                people[grant.person_id] = None
        found = []
        for person_id in people:
            view = await _view(tx, visit, person_id)
            if is_told(rule, view, Audience(audience), category):
                found.append(person_id)
        return found

    async def still(self, tx: Tx, tell: Tell, person_id: UUID) -> Said | None:
        """What may be said now; every part is looked up anew, through the reader's view."""
        if tell.kind is Kind.TEST:
            return Said(Slots(), "/settings")
        if To.SELF in REACH[tell.kind].to:
            return await _news(tx, tell, person_id)
        visit = await reading.visit_of(tx, tell.subject)
        if visit is None:
            return None
        view = await _view(tx, visit, person_id)
        match tell.kind:
            case Kind.NEXT:
                made = await _next(tx, tell, visit, view)
            case kind if kind in RESULTS:
                made = await _results(tx, tell, visit, view)
            case Kind.STEP | Kind.TURN | Kind.SOON | Kind.CALLED | Kind.CHECKED | Kind.MEDICINE:
                made = await _steps(tx, tell, visit, view)
            case Kind.BILL:
                made = await _bill(tx, tell, view)
            case Kind.DUE:
                made = await _due(tx, tell, visit, view)
            case _:
                made = await _paid(tx, tell, view, person_id)
        return None if made is None else await _of(tx, visit, view, person_id, tell.kind, made)


async def _view(tx: Tx, visit: Visit, person_id: UUID) -> View:
    return await access.view_of(tx, Actor(ActorKind.PERSON, person_id), reading.subject_of(visit))


async def _of(tx: Tx, visit: Visit, view: View, person_id: UUID, kind: Kind, made: Slots) -> Said:
    """Whose visit it is and where, and the page that shows it to this reader."""
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    who = made.who
    if kind is not Kind.PAID:
        who = Masked((await patients.by_id(tx, visit.patient_id)).name_masked)
    page = "guide" if REACH[kind].topic == "visit" else "bill"
    if not view.owner and not (view.pays and page == "bill"):
        page = "companion"
    slots = replace(made, hospital=hospital.name, who=who, mine=person_id == visit.patient_id)
    return Said(slots, f"/visits/{visit.id}/{page}")


# ------------------------------------------------------------------------------------------------------------ steps


async def _steps(tx: Tx, tell: Tell, visit: Visit, view: View) -> Slots | None:
    so = [o for o in await _orders(tx, tell) if view.sees(Depth.STEPS, o.category) and _is_so(tell.kind, o)]
    if not so or visit.day > china_day(tx.now):  # registered ahead: nobody is sent anywhere before the day
        return None
    one = so[0]
    place = await _place(tx, visit, one) if len(so) == 1 else None
    made = Slots(place=place, count=len(so))
    match tell.kind:
        case Kind.STEP:
            codes = [c for o in so if not await _sensitive(tx, visit, o) for c in o.preparation]
            return replace(made, ready=Ready.of(codes))
        case Kind.TURN | Kind.SOON:
            return await _turn(tx, tell.kind, visit, one, made)
        case Kind.CHECKED:
            return replace(made, ahead=one.ahead)
    return made


async def _orders(tx: Tx, tell: Tell) -> list[Order]:
    return [order for ref in tell.refs if (order := await orders.order_by_id(tx, UUID(ref))) is not None]


def _is_so(kind: Kind, order: Order) -> bool:
    match kind:
        case Kind.CALLED | Kind.MEDICINE:
            return order.state in OPEN_ORDER and order.called
        case Kind.TURN | Kind.SOON:
            return order.state in OPEN_ORDER and not order.called
        case Kind.CHECKED:
            return shown_state(order) == "checked_in"
    return shown_state(order) == "placed"


async def _turn(tx: Tx, kind: Kind, visit: Visit, order: Order, made: Slots) -> Slots | None:
    """By the minutes where somebody can say them, and only so; else by who is before her."""
    near = await turns.near(tx, visit, order)
    if kind is Kind.SOON:
        return replace(made, minutes=near.minutes, walk=near.walk) if near is not None and near.now else None
    soon = near is None and order.ahead is not None and order.ahead <= AHEAD
    return replace(made, ahead=order.ahead) if soon else None


async def _next(tx: Tx, tell: Tell, visit: Visit, view: View) -> Slots | None:
    """Where to after what is done; nothing where she is on her way, has reported, or has nothing left to do."""
    done = [o for o in await orders.orders_of(tx, visit.id) if o.performed_at and view.sees(Depth.STEPS, o.category)]
    last = max(done, key=lambda o: (o.performed_at, o.id), default=None)
    if last is None or str(last.id) not in tell.refs or visit.state != VisitState.OPEN:
        return None
    then = guide.next_step(await guide.steps_of(tx, visit.id, view))
    order = await orders.order_by_id(tx, UUID(str(then["id"]))) if then else None
    if order is None or shown_state(order) != "placed":
        return None
    sensitive = await _sensitive(tx, visit, order)
    return Slots(place=await _place(tx, visit, order), ready=Ready.of(order.preparation, sensitive))


async def _results(tx: Tx, tell: Tell, visit: Visit, view: View) -> Slots | None:
    """That a result is there and who explains it; never the value. ``whole``: of what the reader may know, all are."""
    seen = [o for o in await orders.orders_of(tx, visit.id) if view.sees(Depth.RESULTS, o.category)]
    so = [o for o in seen if str(o.id) in tell.refs and shown_state(o) == "result" and _flagged(tell.kind, o)]
    if not so:
        return None
    awaited = [o for o in seen if o.kind in _EXAMS and (o.state in OPEN_ORDER or shown_state(o) == "performed")]
    going = visit.state == VisitState.OPEN
    place = await _doctor(tx, visit, view) if going else None
    return Slots(place=place, count=len(so), whole=going and not awaited)


def _flagged(kind: Kind, order: Order) -> bool:
    """Whether the report still says so; a later one may say otherwise."""
    return kind is Kind.RESULT or order.result_flag == kind.value


async def _doctor(tx: Tx, visit: Visit, view: View) -> Place | None:
    """Where the doctor sits who sees her; nothing of a sensitive department."""
    known = [e for e in await reading.encounters_of(tx, visit.id) if view.sees(Depth.STEPS, e.category)]
    department = await hospitals.department(tx, visit.hospital_id, known[0].department) if known else None
    return None if department is None else Place.of(department.place, known[0].category, department.sensitive)


async def _sensitive(tx: Tx, visit: Visit, order: Order) -> str | None:
    department = await hospitals.department(tx, visit.hospital_id, order.department)
    return order.category or (department.sensitive if department else None)


async def _place(tx: Tx, visit: Visit, order: Order) -> Place | None:
    """Where the department is by the hospital's own file; what the HIS wrote beside the order is not repeated."""
    department = await hospitals.department(tx, visit.hospital_id, order.department)
    return None if department is None else Place.of(department.place, order.category, department.sensitive)


# ------------------------------------------------------------------------------------------------------------ money


async def _bill(tx: Tx, tell: Tell, view: View) -> Slots | None:
    fen, count = 0, 0
    for ref in tell.refs:
        try:
            charge = await line_of(tx, UUID(ref))
        except NotFoundError:
            continue
        if charge.state == ChargeState.BILLABLE and view.sees(Depth.BILL, charge.category):
            fen, count = fen + charge.amount_fen, count + 1
    return Slots(amount_fen=fen, count=count) if count else None


async def _due(tx: Tx, tell: Tell, visit: Visit, view: View) -> Slots | None:
    due = datetime.fromisoformat(tell.refs[0])
    if visit.state != VisitState.ENDED or visit.due_at != due or not (view.owner or view.pays):
        return None
    owed = (await bill_of(tx, visit, view))["sums"]["payable_fen"]
    return Slots(amount_fen=owed, until=due) if owed else None


async def _paid(tx: Tx, tell: Tell, view: View, person_id: UUID) -> Slots | None:
    try:
        attempt = await attempts.by_id(tx, UUID(tell.refs[0]))
    except NotFoundError:
        return None
    who, _, identity = attempt.actor.partition(":")
    # Who pressed knows; who did not is told like everybody else.
    mine = who == ActorKind.PERSON and identity == str(person_id) and attempt.channel != AutoWay.CONTRACT
    if attempt.state not in _PAID or mine or not (view.owner or view.pays):
        return None
    # Who paid is told to the patient's side; other relatives learn that it is done.
    if who != ActorKind.PERSON or not view.owner or identity == str(person_id):
        return Slots(amount_fen=attempt.amount_fen)
    payer = await patients.by_id(tx, UUID(identity))
    return Slots(who=Masked(payer.name_masked), amount_fen=attempt.amount_fen)


# ------------------------------------------------------------------------------------------------- a person's own news


async def _news(tx: Tx, tell: Tell, person_id: UUID) -> Said | None:
    """Family news: the row of the person's feed says who; what has been taken back since is not told."""
    seq = int(tell.refs[0])
    rows = await feeds.since(tx, tell.subject, seq - 1)
    if not rows or rows[0].seq != seq:
        return None
    news, later = rows[0].payload["family"], rows[1:]
    over = [row for row in later if row.kind == "family" and row.payload["family"].get("bond") == news.get("bond")]
    if tell.kind is Kind.BOUND and any(row.payload["family"].get("what") == "ended" for row in over):
        return None
    if tell.kind is Kind.CLAIMED:
        waits = await confirming.is_waiting(tx, UUID(news["bond"]))
        return Said(Slots(who=Masked(news["who"])), "/family/claims") if waits else None
    visit = await reading.visit_of(tx, UUID(news["visit"])) if news.get("visit") else None
    if tell.kind is Kind.TAKING and not (visit and await taking.is_announced(tx, visit.id, person_id)):
        return None
    if visit is not None and tell.kind in (Kind.ASKED, Kind.OFFERED, Kind.TAKING, Kind.UNTAKEN):
        view = await _view(tx, visit, person_id)
        if not (view.owner or view.pays) or not (await bill_of(tx, visit, view))["sums"]["payable_fen"]:
            return None  # paid meanwhile, or no longer theirs to pay
    fen = news.get("amount_fen")
    page = "/family" if visit is None else f"/visits/{visit.id}/{'pay/taking' if tell.kind is Kind.TAKING else 'bill'}"
    until = datetime.fromisoformat(news["at"]) if tell.kind is Kind.TAKING else None
    return Said(Slots(who=Masked(news["who"]), amount_fen=fen if isinstance(fen, int) else None, until=until), page)
