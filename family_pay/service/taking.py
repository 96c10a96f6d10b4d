"""After a visit: what a payer lets be taken by her contract is announced, may be refused, and is taken once.

Only what is left in cash, when nobody else pays and the insurance has had its turn; else she is asked as ever.
"""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sqlalchemy import select

from billing.service import paying
from family_pay.models import PayAsk
from family_pay.rules import ASK_PATIENCE
from family_pay.service.news import tell
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from payments.events import AttemptClosed
from payments.rules import OVER, Till
from payments.rules.limits import AfterVisit
from payments.rules.taking import INSURANCE_FIRST, NOTICE, AutoWay, NoContractError, TakingError
from payments.service import agreeing, attempts, contracts, limits, pressing
from payments.service.attempts import Attempt
from payments.service.pressing import Announced, Press
from people.events import WeChatLeft
from people.rules import Actor, ActorKind
from people.service import patients
from visits.service import encounters
from visits.service.encounters import Visit
from visits.service.reading import subject_of, visit_of

_CLASSES = ("A", "B")
BY_PAYER = "payer"
"""She said: not this time."""


@dataclass(frozen=True, slots=True)
class Auto:
    """Where money can be taken: whose till it is, and whether the insurance settles by phone here, before the cash."""

    till: Till
    insured: bool


class Plan(Enum):
    """What is to happen with what a payer is told of."""

    TAKE = "take"
    WAIT = "wait"  # the insurance, or somebody who is paying, goes first
    ASK = "ask"  # she is asked, or finds it laid ready, as ever


async def plan(tx: Tx, ask: PayAsk, visit: Visit, amount_fen: int, auto: Auto) -> Plan:
    """Whether so much may be announced now."""
    own = await limits.of(tx, ask.person_id, visit.patient_id)
    if own.after_visit is not AfterVisit.AUTO or own.ready_fen is None or amount_fen > own.ready_fen:
        return Plan.ASK
    if not await contracts.stands(tx, ask.person_id, auto.till):
        return Plan.ASK
    left = await limits.left(tx, ask.person_id, visit.patient_id)
    if left.fen is not None and left.fen < amount_fen:
        return Plan.ASK
    try:
        await agreeing.hold(tx, Actor(ActorKind.PERSON, ask.person_id), subject_of(visit), amount_fen)
    except HoufuError:
        return Plan.ASK
    now = await paying.live_round(tx, visit.id)
    if now is not None and now.shared:
        return Plan.ASK
    if now is not None and now.busy_fen:
        return Plan.WAIT
    if auto.insured and await _insurance_first(tx, visit):
        return Plan.WAIT if tx.now < ask.asked_at + INSURANCE_FIRST else Plan.ASK
    return Plan.TAKE


async def _insurance_first(tx: Tx, visit: Visit) -> bool:
    """Whether the insurance could still bear a part, so that what remains in cash is not known yet."""
    if await paying.live_round(tx, visit.id) is not None:
        return False  # it has settled this one, or the lines are being paid without it
    lines = await paying.payable(tx, visit)
    borne = any(c.fund_fen or c.account_fen or c.insurance_class in _CLASSES for c in lines)
    return borne and await encounters.insurance_status_of(tx, visit.id) == "normal"


async def announce(tx: Tx, ask: PayAsk, visit: Visit, amount_fen: int) -> None:
    """Tell her what will be taken, and from when; she has until then to say no."""
    ask.told_at, ask.take_at, ask.take_fen = tx.now, tx.now + NOTICE, amount_fen
    patient = await patients.by_id(tx, visit.patient_id)
    news = {"what": "to_take", "visit": str(visit.id), "amount_fen": amount_fen, "at": ask.take_at.isoformat()}
    await tell(tx, {ask.person_id: {"family": {**news, "who": patient.name_masked}}})


async def due(tx: Tx, limit: int = 20) -> list[tuple[UUID, UUID]]:
    """(visit, payer) whose announced time has come."""
    query = select(PayAsk.visit_id, PayAsk.person_id).where(
        PayAsk.take_at <= tx.now,
        PayAsk.take_at > tx.now - ASK_PATIENCE,
        PayAsk.attempt_id.is_(None),
        PayAsk.declined_at.is_(None),
        PayAsk.over_at.is_(None),
    )
    found = await tx.session.execute(query.order_by(PayAsk.take_at, PayAsk.visit_id, PayAsk.person_id).limit(limit))
    return [(visit_id, person_id) for visit_id, person_id in found]


async def claim(tx: Tx, visit_id: UUID, person_id: UUID, auto: Auto) -> Attempt | None:
    """Begin what was announced, with the visit's turn taken and her contract, limits and word held.

    Returns: nothing where it is not to be taken now; changed money is announced anew.

    Raises:
        HoufuError: it may not be taken any more; as ``pressing.begin_by_contract`` does.
    """
    visit = await paying.locked_visit(tx, visit_id)
    ask = await _announced(tx, visit_id, person_id)
    if ask is None or ask.told_at is None or ask.take_at is None or ask.take_fen is None or ask.take_at > tx.now:
        return None
    if visit.state != "ended":
        ask.take_at = ask.take_fen = ask.told_at = None  # it goes on: its next end is told anew
        return None
    amount = await paying.due_now(tx, visit)
    now = await paying.live_round(tx, visit_id)
    if not amount or (now is not None and now.busy_fen):
        return None
    if amount != ask.take_fen:
        if await plan(tx, ask, visit, amount, auto) is not Plan.TAKE:
            raise NoContractError
        await announce(tx, ask, visit, amount)
        return None
    own = await limits.of(tx, person_id, visit.patient_id, lock=True)  # what she changes meanwhile waits, or is seen
    if await plan(tx, ask, visit, amount, auto) is not Plan.TAKE or own.ready_fen is None:
        raise NoContractError
    key = f"taken/{visit_id}/{ask.told_at.timestamp():.6f}"
    press = Press(AutoWay.CONTRACT, key, amount, seen_patient=visit.patient_id)
    why = Announced(ask.take_fen, ask.told_at, own.ready_fen, auto.till)
    attempt = await pressing.begin_by_contract(tx, Actor(ActorKind.PERSON, person_id), visit, press, why)
    ask.attempt_id = attempt.id
    return attempt


async def give_up(tx: Tx, visit_id: UUID, person_id: UUID, why: str) -> None:
    """It is not taken: laid ready for one tap instead, and she is told so."""
    visit = await paying.locked_visit(tx, visit_id)
    ask = await _announced(tx, visit_id, person_id)
    if ask is not None and ask.take_fen is not None:
        await _laid_ready(tx, ask, visit, ask.take_fen, why)


async def attempt_closed(tx: Tx, event: AttemptClosed) -> None:
    """A deduction came to nothing: no money was taken, and it is laid ready for one tap (subscriber)."""
    query = select(PayAsk).where(PayAsk.visit_id == event.visit_id, PayAsk.attempt_id == event.attempt_id)
    ask = (await tx.session.scalars(query.with_for_update())).first()
    visit = await visit_of(tx, event.visit_id)
    if ask is not None and visit is not None:
        attempt = await attempts.by_id(tx, event.attempt_id)
        await _laid_ready(tx, ask, visit, attempt.amount_fen, attempt.trouble or "failed")


async def not_this_time(tx: Tx, actor: Actor, visit_id: UUID) -> None:
    """She does not want it taken: said before it begins, this wins. It stays laid ready for her own tap.

    Raises:
        NotFoundError: nothing was announced to the caller.
        TakingError: it is being taken, or has been.
    """
    ask = await tx.get(PayAsk, (visit_id, actor.id), lock=True)
    if ask is None or ask.told_at is None:
        raise NotFoundError
    await refuse_late(tx, ask)
    if ask.take_at is None and ask.untaken is None:
        raise NotFoundError
    ask.take_at = ask.take_fen = None
    ask.untaken = ask.untaken or BY_PAYER


async def refuse_late(tx: Tx, ask: PayAsk) -> None:
    """Refuse a no that comes too late.

    Raises:
        TakingError: the money is being taken, or has been.
    """
    if ask.attempt_id is not None and (await attempts.by_id(tx, ask.attempt_id)).state not in OVER:
        raise TakingError


async def is_announced(tx: Tx, visit_id: UUID, person_id: UUID) -> bool:
    """Whether it is still true that something will be taken."""
    ask = await tx.get(PayAsk, (visit_id, person_id))
    return ask is not None and ask.take_at is not None and _open(ask)


async def account_left(tx: Tx, event: WeChatLeft) -> None:
    """Subscriber: her WeChat account is another one, so nothing is taken from the old one, and she reads so."""
    if await contracts.stop_of_another_account(tx, event.person_id):
        who = (await patients.by_id(tx, event.person_id)).name_masked
        await tell(tx, {event.person_id: {"family": {"what": "contract", "bond": "", "relation": "", "who": who}}})


async def _announced(tx: Tx, visit_id: UUID, person_id: UUID) -> PayAsk | None:
    ask = await tx.get(PayAsk, (visit_id, person_id), lock=True)
    return ask if ask is not None and _open(ask) else None


def _open(ask: PayAsk) -> bool:
    return ask.attempt_id is None and ask.declined_at is None and ask.over_at is None


async def _laid_ready(tx: Tx, ask: PayAsk, visit: Visit, amount_fen: int, why: str) -> None:
    ask.take_at = ask.take_fen = None
    ask.untaken = why[:40]
    patient = await patients.by_id(tx, visit.patient_id)
    news = {"what": "untaken", "visit": str(visit.id), "amount_fen": amount_fen, "who": patient.name_masked}
    await tell(tx, {ask.person_id: {"family": news}})
