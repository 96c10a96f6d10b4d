"""In which order the steps of a visit are best done: for each viewer from what this viewer may know, nothing else."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select

from guide.models import Advice, NurseWord
from guide.order.advice import advise, reasons
from guide.order.planner import plan
from guide.order.stops import Plan, Task
from guide.order.today import Book, Ordered, load_age, task_of
from guide.order.waits import Arrival, Ledger
from guide.order.walks import Nearby
from guide.ports import Walking
from guide.service.books import book_of
from kernel.clock import CHINA
from kernel.db import Tx
from kernel.errors import ForbiddenError, HoufuError, Kind, NotFoundError
from people.rules import STAFF_VIEW, Actor, Audience, Depth, Role, View
from visits.rules import OPEN_ORDER, OrderState, ResultState
from visits.service import orders, reading
from visits.service.orders import Order
from words import guide_order as words

__all__ = ["MAY_PIN", "PinBreaksRulesError", "Placing", "pin", "placing", "sweep"]

ONE_AT_A_TIME = 0x67756964  # advisory lock: two sweeps would not see each other's arrivals
_MOST = 5_000  # open orders a sweep looks at
MAY_PIN = frozenset({Role.GUIDE, Role.DESK, Role.COUNTER, Role.DOCTOR})
_EMPTY: Mapping[str, int] = {}


class PinBreaksRulesError(HoufuError):
    """The nurse's order is against a rule the hospital signed, or nobody can do it today."""

    code = "pin_breaks_rules"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Placing:
    """Order id → its place (0 first) and, for the patient's side, the sentence why; ``note``: what is not known."""

    place: Mapping[str, int]
    because: Mapping[str, str]
    note: str | None = None


async def placing(tx: Tx, visit_id: UUID, view: View, found: Sequence[Order], walks: Walking | None = None) -> Placing:
    """Where each open examination stands.

    Who follows from afar is told an order made of what they may know alone: no memory of what the patient was
    advised, no place where she was for something hidden, no reasons (they would tell how she prepares).

    Args:
        found: the visit's orders.
    """
    shown = [o for o in found if view.shows(Audience.STEPS, o.category)]
    open_ = [o for o in shown if o.state in OPEN_ORDER]
    if len(open_) < 2 and not any(o.preparation for o in open_):
        return Placing(_EMPTY, {})
    visit = await reading.visit_of(tx, visit_id)
    if visit is None:
        return Placing(_EMPTY, {})
    book = await book_of(tx, visit.hospital_id)
    word = await tx.get(NurseWord, visit_id)
    mine = view.owner or view.staff
    today = _ordered(tx.now, shown, view, word)
    task = _task(tx, today, book, word, walks)
    kept = await tx.get(Advice, visit_id) if mine else None
    told = [a[0] for a in kept.arrivals] if kept else []
    same = kept is not None and kept.basis == _basis(open_, book, word)
    made = plan(task, told) if same else advise(task, told)
    place = {key: n for n, key in enumerate(made.keys)}
    if not mine:
        return Placing(place, {})
    names = {o.key: o.name for o in today}
    age = load_age([o for o in today if o.key in place], task.now)
    return Placing(place, _because(task, made, names, known=age is not None), _note(made, age))


def _ordered(now: datetime, shown: Sequence[Order], view: View, word: NurseWord | None) -> list[Ordered]:
    cleared = set(word.cleared) if word else set()
    return [
        Ordered(
            str(o.id),
            o.name,
            o.kind,
            o.department,
            orders.shown_state(o),
            tuple(o.preparation),
            _minute(o.ordered_at, now),
            o.ahead,
            _minute(o.queue_at, now) if o.queue_at else None,
            _minute(o.performed_at, now) if o.state == OrderState.PERFORMED and o.performed_at else None,
            # When a result comes is told only to who sees results: others are reckoned the usual time.
            resulted=view.sees(Depth.RESULTS, o.category)
            and o.result_state in (ResultState.FINAL, ResultState.AMENDED),
            cleared=str(o.id) in cleared,
            slot=_window(o, now),
        )
        for o in shown
    ]


def _window(order: Order, now: datetime) -> tuple[float, float] | None:
    if order.window_from is None or order.window_until is None:
        return None
    return _minute(order.window_from, now), _minute(order.window_until, now)


def _task(
    tx: Tx, today: Sequence[Ordered], book: Book, word: NurseWord | None, walks: Walking | None,
    expected: Mapping[str, Mapping[int, int]] | None = None,
) -> Task:  # fmt: skip
    ways = walks or Nearby(book.at)
    doctor = next((o.department for o in today if o.kind in ("consultation", "registration")), "")
    been = [o for o in today if o.performed_at is not None]
    start = max(been, key=lambda o: (o.performed_at or 0.0, o.key)).department if been else doctor
    return task_of(
        today, book, _minute(tx.now, tx.now), lambda a, b: ways.walking_seconds(a, b) / 60,
        back=doctor or start, start=start, pinned=word.first if word else (), expected=expected,
    )  # fmt: skip


def _because(task: Task, made: Plan, names: Mapping[str, str], *, known: bool) -> dict[str, str]:
    told = {}
    count = len(made.placed)
    for n, (key, found) in enumerate(reasons(task, made, load_known=known).items()):
        said = [
            words.reason(
                one.code,
                minutes=_said(one.code, one.minutes),
                until=_clock(one.until) if one.until is not None else "",
                other=names.get(one.other or "", ""),
            )
            for one in found
        ]
        if count > 1:
            told[key] = words.because(names[key], n, count, said)
    stops = {s.key: s for s in task.stops}
    for key in made.left:
        late = words.MISSES_APPOINTMENT if stops[key].slot else words.NOT_TODAY
        told[key] = words.ASK.get(stops[key].blocked or "", late)
    return told


def _said(code: str, minutes: float | None) -> str:
    if minutes is None:
        return ""
    return _clock(minutes) if code in ("slot", "bladder") else str(round(minutes))


def _note(made: Plan, age: float | None) -> str | None:
    if made.unpinned:
        return words.PIN_NOT_KEPT
    if len(made.placed) < 2:
        return None
    if age is None:
        return words.UNKNOWN_LOAD
    return words.OLD_LOAD.format(minutes=round(age)) if age >= 15 else None


def _minute(moment: datetime, now: datetime) -> float:
    """Minutes since the last midnight in China before ``now``; negative for what was yesterday."""
    midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    return (moment - midnight).total_seconds() / 60


def _clock(minute: float) -> str:
    return f"{int(minute) // 60 % 24}:{int(minute) % 60:02d}"


async def pin(tx: Tx, actor: Actor, visit_id: UUID, first: Sequence[UUID], cleared: Sequence[UUID] = ()) -> None:
    """A nurse says which orders come first and which she has looked at; her word wins over the planner's.

    Raises:
        ForbiddenError: not somebody who guides.
        NotFoundError: no such visit, another hospital's, or an order that is not open there.
        PinBreaksRulesError: nobody can go that way today.
    """
    if actor.role not in MAY_PIN:
        raise ForbiddenError
    visit = await reading.visit_of(tx, visit_id)
    if visit is None or actor.hospital_id != visit.hospital_id:
        raise NotFoundError
    found = await orders.orders_of(tx, visit_id)
    open_ = {str(o.id) for o in found if o.state in OPEN_ORDER}
    if not {str(one) for one in (*first, *cleared)} <= open_:
        raise NotFoundError
    word = await tx.get(NurseWord, visit_id, lock=True)
    said = NurseWord(
        visit_id=visit_id,
        first=[str(one) for one in first],
        cleared=sorted({*(word.cleared if word else ()), *(str(one) for one in cleared)}),
        said_by=actor.id,
        said_at=tx.now,
    )
    task = _task(tx, _ordered(tx.now, found, STAFF_VIEW, said), await book_of(tx, visit.hospital_id), said, None)
    if plan(task).unpinned or not set(said.first) <= set(plan(task).keys):
        raise PinBreaksRulesError
    if word is None:
        tx.add(said)
    else:
        word.first, word.cleared, word.said_by, word.said_at = said.first, said.cleared, said.said_by, said.said_at
    await tx.session.flush()


async def sweep(tx: Tx) -> int:
    """Advise whoever's orders or queues have changed, with all others who are on the way; returns how many.

    What was advised is remembered, so that it changes only for a gain, and is the ledger of planned arrivals.
    """
    if not await tx.session.scalar(select(func.pg_try_advisory_xact_lock(ONE_AT_A_TIME))):
        return 0
    by_visit: dict[UUID, list[Order]] = {}
    for order in await orders.open_of_today(tx, _MOST):
        by_visit.setdefault(order.visit_id, []).append(order)
    kept = {a.visit_id: a for a in await tx.session.scalars(select(Advice))}
    tx.hold(kept.values())
    words_ = {w.visit_id: w for w in await tx.session.scalars(
        select(NurseWord).where(NurseWord.visit_id.in_(by_visit)))}  # fmt: skip
    gone = [identity for identity in kept if len(by_visit.get(identity, ())) < 2]
    if gone:
        await tx.session.execute(delete(Advice).where(Advice.visit_id.in_(gone)))
    ledgers: dict[UUID, Ledger] = {}
    for identity, one in kept.items():
        if identity not in gone:
            ledgers.setdefault(one.hospital_id, Ledger()).put(str(identity), _arrivals(one, tx.now))
    changed = 0
    for identity, open_ in by_visit.items():
        visit = await reading.visit_of(tx, identity)
        if visit is None or len(open_) < 2:
            continue
        book, word = await book_of(tx, visit.hospital_id), words_.get(identity)
        was, basis = kept.get(identity), _basis(open_, book, word)
        if was is not None and was.basis == basis:
            continue
        ledger = ledgers.setdefault(visit.hospital_id, Ledger())
        ledger.drop(str(identity))
        arrivals = await _advise(tx, visit.id, book, word, ledger, [a[0] for a in was.arrivals] if was else [])
        if was is None:
            was = tx.add(Advice(visit_id=identity, hospital_id=visit.hospital_id))
        was.arrivals, was.basis, was.made_at = arrivals, basis, tx.now
        ledger.put(str(identity), (Arrival(a[1], _minute(datetime.fromisoformat(a[2]), tx.now)) for a in arrivals))
        changed += 1
    return changed


async def _advise(
    tx: Tx, visit_id: UUID, book: Book, word: NurseWord | None, ledger: Ledger, told: Sequence[str]
) -> list[list[str]]:
    today = _ordered(tx.now, await orders.orders_of(tx, visit_id), STAFF_VIEW, word)
    made = advise(_task(tx, today, book, word, None, ledger.buckets), told)
    now = _minute(tx.now, tx.now)
    return [[p.key, p.place, (tx.now + timedelta(minutes=p.arrive - now)).isoformat()] for p in made.placed]


def _arrivals(one: Advice, now: datetime) -> list[Arrival]:
    return [Arrival(a[1], _minute(datetime.fromisoformat(a[2]), now)) for a in one.arrivals]


def _basis(open_: Sequence[Order], book: Book, word: NurseWord | None) -> str:
    """What an advice was made from: changed, it is to be thought over."""
    parts = sorted(
        f"{o.id} {o.state} {o.called} {o.ahead} {o.department} {o.window_from} {o.window_until}" for o in open_
    )
    said = word.said_at.isoformat() if word else ""
    return hashlib.sha256("|".join([*parts, str(book.version), said]).encode()).hexdigest()
