"""Who is told what, and whether it is still so: the eyes of the pushes, which see visits, bills, payments and grants.

``notices`` knows how to tell; what is told, and to whom, is decided here by the same views that decide every page.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from billing.rules import ChargeState
from billing.service.lines import bill_of
from billing.service.paying import line_of
from family_pay.service import bonds, confirming, taking
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from notices import service as feeds
from notices.ports import Said, Tell
from notices.rules.messages import Masked, Place, Slots
from notices.rules.reach import AHEAD, REACH, Kind, To, is_told
from payments.rules.taking import AutoWay
from payments.service import attempts
from people.rules import Actor, ActorKind, Audience, Depth, GrantState, View
from people.service import access, grants, hospitals, patients
from visits.rules import OPEN_ORDER, VisitState
from visits.service import orders, reading
from visits.service.encounters import Visit
from visits.service.orders import Order, shown_state

_PAID = frozenset({"paid", "settled"})


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
            case Kind.STEP | Kind.TURN | Kind.CALLED | Kind.RESULT:
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
    slots = Slots(
        hospital.name,
        who,
        person_id == visit.patient_id,
        made.amount_fen,
        made.until,
        made.place,
        made.count,
        made.ahead,
    )
    return Said(slots, f"/visits/{visit.id}/{page}")


# ------------------------------------------------------------------------------------------------------------ steps


async def _steps(tx: Tx, tell: Tell, visit: Visit, view: View) -> Slots | None:
    found = [order for ref in tell.refs if (order := await orders.order_by_id(tx, UUID(ref))) is not None]
    depth = Depth.RESULTS if tell.kind is Kind.RESULT else Depth.STEPS
    so = [o for o in found if view.sees(depth, o.category) and _is_so(tell.kind, o)]
    if not so or visit.day > china_day(tx.now):  # registered ahead: nobody is sent anywhere before the day
        return None
    if tell.kind is Kind.RESULT:
        return Slots(count=len(so))
    place = await _place(tx, visit, so[0]) if len(so) == 1 else None
    return Slots(place=place, count=len(so), ahead=so[0].ahead if tell.kind is Kind.TURN else None)


def _is_so(kind: Kind, order: Order) -> bool:
    match kind:
        case Kind.RESULT:
            return shown_state(order) == "result"
        case Kind.CALLED:
            return order.state in OPEN_ORDER and order.called
        case Kind.TURN:
            return order.state in OPEN_ORDER and not order.called and order.ahead is not None and order.ahead <= AHEAD
    return shown_state(order) == "placed"


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
