"""In which order the steps of a visit are best done: for each viewer from what this viewer may know, nothing else."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, cast, delete, func, literal, select

from guide.models import Advice, NurseWord
from guide.order.advice import advise, reasons
from guide.order.planner import plan
from guide.order.stops import After, Plan, Task
from guide.order.today import Book, Ordered, load_age, task_of
from guide.order.waits import Arrival, Ledger
from guide.ports import Profile
from guide.service import whereabouts
from guide.service.books import book_of
from guide.service.lots import MOST, lots
from guide.service.walking import Doubt, Walking, hold, profile_of, walking_of
from kernel.clock import CHINA
from kernel.db import Tx, one_of
from people.rules import STAFF_VIEW, Audience, Depth, View
from visits.rules import OPEN_ORDER, OrderState, ResultState
from visits.service import orders, reading
from visits.service.encounters import Visit
from visits.service.orders import Order
from words import guide_desk
from words import guide_order as words

__all__ = ["Placing", "aside", "came_to", "placing", "sweep", "task_for"]

ONE_AT_A_TIME = 0x67756964  # advisory lock: two sweeps would not see each other's arrivals
ONE_VISIT = 0x67756965  # advisory lock, with a visit: who is writing down what is advised there
_SHORT = 7  # stops; a day with more takes tens of milliseconds to plan
_DAY = 24 * 60.0  # what is booked for another day stands in nobody's way today
_FEW = 9  # stops; with more, only an appointment that cannot be kept is asked about: each question is a plan of its own
T = TypeVar("T")
_EMPTY: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Placing:
    """Order id → its place (0 first) and, for the patient's side, the sentence why; ``note``: what is not known.

    ``in_the_way``: order id → from when another appointment would suit, where the one there is cannot be kept or
    costs much. ``asks``: those a nurse has to look at before anybody goes there.
    """

    place: Mapping[str, int]
    because: Mapping[str, str]
    note: str | None = None
    in_the_way: Mapping[str, datetime] = field(default_factory=dict)
    asks: frozenset[str] = frozenset()


async def placing(tx: Tx, visit_id: UUID, view: View, found: Sequence[Order]) -> Placing:
    """Where each open examination stands.

    Who follows from afar is told an order made of what they may know alone: no memory of what the patient was
    advised, no place where she was for something hidden, no reasons (they would tell how she prepares).

    Args:
        found: the visit's orders.
    """
    shown = [o for o in found if view.shows(Audience.STEPS, o.category)]
    open_ = [o for o in shown if o.state in OPEN_ORDER]
    if len(open_) < 2 and not any(o.preparation or o.window_from for o in open_):
        return Placing(_EMPTY, {})
    visit = await reading.visit_of(tx, visit_id)
    if visit is None:
        return Placing(_EMPTY, {})
    book = await book_of(tx, visit.hospital_id)
    word = await tx.get(NurseWord, visit_id)
    mine = view.owner or view.staff
    # How she moves is hers: for others a way takes as long as it takes anybody.
    moves = await profile_of(tx, visit) if mine else Profile.WALK
    ways = await walking_of(tx, visit.hospital_id, book, moves)
    today = _ordered(tx.now, shown, view, word)
    came, here = await came_to(tx, visit_id, view), await whereabouts.last_place(tx, visit, view, found)
    task = _task(tx, today, book, word, ways, (came, here))
    kept = await tx.get(Advice, visit_id) if mine else None
    told = [a[0] for a in kept.arrivals] if kept else []
    stands = await whereabouts.stamp(tx, visit_id)
    same = kept is not None and kept.basis == _basis(open_, book, word, ways, stands)
    made = await aside(task, lambda: plan(task, told) if same else advise(task, told))
    place = {key: n for n, key in enumerate(made.keys)}
    if not mine:
        return Placing(place, {})
    if not same and made.keys != tuple(told) and len(open_) > 1:
        await _shown(tx, visit, made)
    names = {o.key: o.name for o in today}
    age = load_age([o for o in today if o.key in place], task.now, book.numbers)
    doubts = _doubts(task, made, ways)
    because = _because(task, made, names, word, known=age is not None)
    for key, doubt in doubts.items():
        if doubt is Doubt.NO_WAY and key in because:
            because[key] += words.NO_WAY_STEP_FREE if moves.step_free else words.NO_WAY
    note = _note(made, age, guessed=Doubt.UNKNOWN in doubts.values())
    late = await aside(task, lambda: _in_the_way(task, made, book.numbers.worth_asking_minutes))
    other = {key: _moment(minute, tx.now) for key, minute in late.items()}
    asks = frozenset(s.key for s in task.stops if s.blocked in words.ASK)
    return Placing(place, because, note, other, asks)


async def task_for(tx: Tx, visit: Visit, found: Sequence[Order], word: NurseWord | None) -> Task:
    """What is to be planned for a visit, as who guides her sees it, by this word of a nurse.

    Args:
        found: the visit's orders.
    """
    book = await book_of(tx, visit.hospital_id)
    ways = await walking_of(tx, visit.hospital_id, book, await profile_of(tx, visit))
    came = await came_to(tx, visit.id, STAFF_VIEW)
    here = await whereabouts.last_place(tx, visit, STAFF_VIEW, found)
    return _task(tx, _ordered(tx.now, found, STAFF_VIEW, word), book, word, ways, (came, here))


async def came_to(tx: Tx, visit_id: UUID, view: View) -> str:
    """The department of the first encounter this view may know of: there she came from, and goes back to."""
    known = [e for e in await reading.encounters_of(tx, visit_id) if view.sees(Depth.STEPS, e.category)]
    return known[0].department if known else ""


def _doubts(task: Task, made: Plan, ways: Walking) -> dict[str, Doubt]:
    """Key → why nobody knows how long one walks there, in the order of the plan."""
    found, place = {}, task.start
    for one in made.placed:
        doubt = ways.doubt(place, one.place)
        if doubt is not None:
            found[one.key] = doubt
        place = one.place
    return found


def _in_the_way(task: Task, made: Plan, much: float) -> dict[str, float]:
    """Appointments that cannot be kept, or cost the day so ``much`` (minutes): key → from when another would suit."""
    found = {}
    for stop in task.stops:
        if stop.slot is None or stop.slot[0] >= _DAY or stop.here or stop.blocked:
            continue
        if stop.key not in made.left and len(task.stops) > _FEW:
            continue
        free = replace(task, stops=[replace(s, slot=None) if s.key == stop.key else s for s in task.stops])
        better = plan(free)
        then = next((p.begin for p in better.placed if p.key == stop.key), None)
        gain = len(better.placed) > len(made.placed) or made.cost - better.cost >= much
        if then is not None and gain:
            found[stop.key] = then
    return found


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
            not_before=_later(word, str(o.id), now),
        )
        for o in shown
    ]


def _later(word: NurseWord | None, key: str, now: datetime) -> float | None:
    """Before which minute a nurse wants nobody there."""
    until = word.later.get(key, {}).get("until") if word else None
    return _minute(datetime.fromisoformat(until), now) if until else None


def _window(order: Order, now: datetime) -> tuple[float, float] | None:
    if order.window_from is None or order.window_until is None:
        return None
    return _minute(order.window_from, now), _minute(order.window_until, now)


def _task(
    tx: Tx, today: Sequence[Ordered], book: Book, word: NurseWord | None, ways: Walking, places: tuple[str, str],
    expected: Mapping[str, Mapping[int, int]] | None = None,
) -> Task:  # fmt: skip
    """``places``: the department she came to, and where she is; each empty where nobody knows."""
    came, here = places
    doctor = next((o.department for o in today if o.kind in ("consultation", "registration")), came)
    task = task_of(
        today, book, _minute(tx.now, tx.now), lambda a, b: ways.walking_seconds(a, b) / 60,
        back=doctor or here, start=here or doctor, pinned=word.first if word else (), expected=expected,
    )  # fmt: skip
    behind = {key: said["after"] for key, said in (word.later if word else {}).items() if "after" in said}
    return replace(task, after=[*task.after, *(After(first, then) for then, first in behind.items())])


def _because(
    task: Task, made: Plan, names: Mapping[str, str], word: NurseWord | None, *, known: bool
) -> dict[str, str]:
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
            told[key] = words.because(names[key], n, count, _nurses(key, word, names) or said)
    stops = {s.key: s for s in task.stops}
    for key in made.left:
        if nurses := _nurses(key, word, names):
            told[key] = words.left(names[key], nurses)
            continue
        late = words.MISSES_APPOINTMENT if stops[key].slot else words.NOT_TODAY
        told[key] = words.ASK.get(stops[key].blocked or "", late)
    return told


def _nurses(key: str, word: NurseWord | None, names: Mapping[str, str]) -> list[str]:
    """What a nurse has said of this stop, as the patient reads it: hers stands alone, nobody else argues beside it."""
    if word is None:
        return []
    if key in word.later:
        said = word.later[key]
        until = datetime.fromisoformat(said["until"]) if "until" in said else None
        clock = _clock(_minute(until, until)) if until else ""
        return [guide_desk.later(clock, names.get(said.get("after", ""), ""), said["reason"])]
    return [guide_desk.first(word.reason)] if key in word.first else []


def _said(code: str, minutes: float | None) -> str:
    if minutes is None:
        return ""
    return _clock(minutes) if code in ("slot", "bladder") else words.span(minutes)


def _note(made: Plan, age: float | None, *, guessed: bool) -> str | None:
    if made.unpinned:
        return words.PIN_NOT_KEPT
    if len(made.placed) < 2:
        return None
    said = [words.UNKNOWN_LOAD] if age is None else []
    if age is not None and age >= 15:
        said.append(words.OLD_LOAD.format(minutes=round(age)))
    if guessed:
        said.append(words.GUESSED_WALK)
    return "".join(said) or None


def _minute(moment: datetime, now: datetime) -> float:
    """Minutes since the last midnight in China before ``now``; negative for what was yesterday."""
    midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    return (moment - midnight).total_seconds() / 60


def _moment(minute: float, now: datetime) -> datetime:
    return now + timedelta(minutes=minute - _minute(now, now))


def _clock(minute: float) -> str:
    return f"{int(minute) // 60 % 24}:{int(minute) % 60:02d}"


async def sweep(tx: Tx) -> int:
    """Advise whoever's orders or queues have changed, with all others who are on the way; returns how many.

    What was advised is remembered, so that it changes only for a gain, and is the ledger of planned arrivals.
    """
    if not await tx.session.scalar(select(func.pg_try_advisory_xact_lock(ONE_AT_A_TIME))):
        return 0
    await whereabouts.forget(tx)
    every = await orders.visits_with_open(tx, MOST)
    kept = dict[UUID, Advice]()
    async for some in lots(list(await tx.session.scalars(select(Advice.visit_id).order_by(Advice.visit_id))), 200):
        await tx.preload(Advice, some)
        kept |= {one: a for one in some if (a := tx.held(Advice, one)) is not None}
    many, changed = set[UUID](), list[tuple[Visit, str]]()
    async for some in lots(every):
        for identity, open_ in (await _open_of(tx, some)).items():
            visit = await reading.visit_of(tx, identity)
            if visit is None or len(open_) < 2:
                continue
            many.add(identity)
            basis = await _basis_of(tx, visit, open_)
            if identity not in kept or kept[identity].basis != basis:
                changed.append((visit, basis))
    if gone := kept.keys() - many:
        await tx.session.execute(delete(Advice).where(one_of(Advice.visit_id, gone)))
    return await _advise_all(tx, changed, [one for identity, one in kept.items() if identity in many]) if changed else 0


async def _advise_all(tx: Tx, changed: Sequence[tuple[Visit, str]], kept: Sequence[Advice]) -> int:
    """Plan these days anew, each from its basis; one that a page is writing down just now has its turn next time."""
    advised, ledgers = 0, await _ledgers(tx, kept)
    async for some in lots(changed):
        free = await _turns(tx, [visit.id for visit, _ in some])
        await tx.preload(Advice, free, lock=True)  # a page may have remembered meanwhile what it showed
        for visit, basis in some:
            if visit.id in free:
                await _advise(tx, visit, basis, ledgers.setdefault(visit.hospital_id, Ledger()))
                advised += 1
    return advised


async def _turns(tx: Tx, visit_ids: Sequence[UUID]) -> set[UUID]:
    """Take the turns of these visits' advice without waiting; returns those that were free."""
    asked = func.unnest(literal(list(visit_ids), ARRAY(Uuid))).column_valued("asked")
    taken = func.pg_try_advisory_xact_lock(ONE_VISIT, func.hashtext(cast(asked, Text)))
    return {identity for identity, free in await tx.session.execute(select(asked, taken)) if free}


async def _shown(tx: Tx, visit: Visit, made: Plan) -> None:
    """What a page shows before the sweep has come by is what she was told: the sweep changes it only for a gain, too.

    While the sweep is at this very visit, or another page, they are not waited for.
    """
    if not await _turns(tx, [visit.id]):
        return
    was = await tx.get(Advice, visit.id, lock=True) or tx.add(Advice(visit_id=visit.id, hospital_id=visit.hospital_id))
    was.arrivals, was.basis, was.made_at = _told(made, tx.now), "", tx.now


async def _open_of(tx: Tx, visit_ids: Sequence[UUID]) -> dict[UUID, list[Order]]:
    """Visit → its open orders; what else an advice is made from is fetched for all of them at once."""
    found: dict[UUID, list[Order]] = {}
    for order in await orders.open_of(tx, visit_ids):
        found.setdefault(order.visit_id, []).append(order)
    await hold(tx, found)
    await whereabouts.hold(tx, found)
    await tx.preload(NurseWord, found)
    return found


async def _basis_of(tx: Tx, visit: Visit, open_: Sequence[Order]) -> str:
    book = await book_of(tx, visit.hospital_id)
    ways = await walking_of(tx, visit.hospital_id, book, await profile_of(tx, visit))
    return _basis(open_, book, await tx.get(NurseWord, visit.id), ways, await whereabouts.stamp(tx, visit.id))


async def _ledgers(tx: Tx, kept: Sequence[Advice]) -> dict[UUID, Ledger]:
    """Hospital → who is on the way to which door there."""
    made: dict[UUID, Ledger] = {}
    async for some in lots(kept, 200):
        for one in some:
            made.setdefault(one.hospital_id, Ledger()).put(str(one.visit_id), _arrivals(one, tx.now))
    return made


async def _advise(tx: Tx, visit: Visit, basis: str, ledger: Ledger) -> None:
    """Plan one day anew, with the others on the way, and remember it."""
    ledger.drop(str(visit.id))
    was = await tx.get(Advice, visit.id)
    word, found = await tx.get(NurseWord, visit.id), await orders.orders_of(tx, visit.id)
    book = await book_of(tx, visit.hospital_id)
    ways = await walking_of(tx, visit.hospital_id, book, await profile_of(tx, visit))
    places = await came_to(tx, visit.id, STAFF_VIEW), await whereabouts.last_place(tx, visit, STAFF_VIEW, found)
    task = _task(tx, _ordered(tx.now, found, STAFF_VIEW, word), book, word, ways, places, ledger.buckets)
    made = await aside(task, lambda: advise(task, [a[0] for a in was.arrivals] if was else []))
    if was is None:
        was = tx.add(Advice(visit_id=visit.id, hospital_id=visit.hospital_id))
    was.arrivals, was.basis, was.made_at = _told(made, tx.now), basis, tx.now
    ledger.put(str(visit.id), _arrivals(was, tx.now))


async def aside(task: Task, work: Callable[[], T]) -> T:
    """Think about a day, beside everybody else's if it is a long one."""
    return work() if len(task.stops) <= _SHORT else await asyncio.to_thread(work)


def _told(made: Plan, now: datetime) -> list[list[str]]:
    return [[p.key, p.place, _moment(p.arrive, now).isoformat()] for p in made.placed]


def _arrivals(one: Advice, now: datetime) -> list[Arrival]:
    return [Arrival(a[1], _minute(datetime.fromisoformat(a[2]), now)) for a in one.arrivals]


def _basis(open_: Sequence[Order], book: Book, word: NurseWord | None, ways: Walking, stands: str) -> str:
    """What an advice was made from: changed, it is to be thought over."""
    parts = sorted(
        f"{o.id} {o.state} {o.called} {o.ahead} {o.department} {o.window_from} {o.window_until}" for o in open_
    )
    said = word.said_at.isoformat() if word else ""
    return hashlib.sha256("|".join([*parts, str(book.version), said, ways.stamp, stands]).encode()).hexdigest()
