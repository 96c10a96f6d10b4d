"""What stands on a guide sheet: what is still to do, in the order advised, with the way from one place to the next.

A paper lies about and is shown to others. So the name on it is masked, and what is sensitive is called by its kind and
its room, unless whoever prints it wants the names on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guide.ports import Profile
from guide.rules import next_step, ready
from guide.service import maps, plan_of, routes, steps_of, whereabouts
from guide.service.routes import NoMapError, Spot
from kernel.db import Tx
from people.rules import Depth, View
from people.service import hospitals, patients
from people.service.hospitals import Department
from visits.rules import OPEN_ORDER
from visits.service import orders, reading
from visits.service.encounters import Visit
from visits.service.orders import Order
from words import guide as words
from words import guide_way as ways
from words.family import CATEGORIES

__all__ = ["GuideSheet", "SheetStep", "Way", "sheet_of"]

Step = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """How one gets to a step from the one before, in words; ``floors``: name and picture (SVG) of each floor of it."""

    lines: tuple[str, ...]
    about: str = ""
    floors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SheetStep:
    """One thing to do. ``ready``: how to prepare; ``because``: why it stands here; ``discreet``: its name is kept back.

    ``paper_code`` is the order's code for checking in: it opens nothing without a session of the hospital or the
    patient's side.
    """

    order_id: str
    number: str
    paper_code: str
    name: str
    place: str
    state: str
    ready: tuple[str, ...] = ()
    because: str | None = None
    way: Way | None = None
    discreet: bool = False


@dataclass(frozen=True, slots=True)
class GuideSheet:
    """One patient's day as paper says it.

    Attributes:
        patient: the masked name.
        number: the visit's number, by which a desk finds it.
        department: where she came to see a doctor; None where that is not said.
        back: (name, place) of where one returns to with the results; None where nobody waits for them.
        map_number: the version of the map the ways are from; None without one.
        note: what is not known of the order.
        sensitive: something on it is of a sensitive category; ``hides``: it is called by its kind alone.
    """

    hospital: str
    phone: str
    patient: str
    number: str
    at: datetime
    printed_at: datetime
    department: str | None
    steps: tuple[SheetStep, ...]
    back: tuple[str, str] | None = None
    back_way: Way | None = None
    map_number: int | None = None
    note: str | None = None
    sensitive: bool = False
    hides: bool = False


@dataclass(frozen=True, slots=True)
class _Wish:
    """How it is to be printed."""

    full: bool
    profile: Profile
    drawn: bool


async def sheet_of(
    tx: Tx, visit: Visit, view: View, *, full: bool = False, step_free: bool = False, drawn: bool = False
) -> GuideSheet:
    """The sheet as this view may know it.

    Args:
        full: also the names of what is sensitive.
        step_free: ways without a stair or an escalator; else ways and times are for who walks slowly.
        drawn: with a picture of each floor.
    """
    wish = _Wish(full, Profile.WHEELCHAIR if step_free else Profile.SLOW, drawn)
    hospital = await hospitals.by_id(tx, visit.hospital_id)
    patient = await patients.by_id(tx, visit.patient_id)
    found = await steps_of(tx, visit.id, view)
    every = await orders.orders_of(tx, visit.id)
    by_id = {str(o.id): o for o in every}
    doctor = await _doctor(tx, visit, view)
    places = {str(d.code): d for d in await hospitals.departments(tx, hospital.id, also_closed=True)}
    open_ = [s for s in _by_turn(found) if by_id[str(s["id"])].state in OPEN_ORDER]
    here = await whereabouts.last_place(tx, visit, view, every) or (doctor.code if doctor else "")
    kept_back = [] if full else [by_id[str(s["id"])].name for s in found if by_id[str(s["id"])].category]
    version = await maps.current(tx, hospital.id)
    made: list[SheetStep] = []
    for step in open_:
        order = by_id[str(step["id"])]
        department = places.get(order.department)
        one = _step(step, order, department, wish, kept_back)
        hidden = None if full or department is None or department.sensitive is None else department.name
        way = await _way(tx, visit, here, order.department, wish, hidden) if version else None
        made.append(replace(one, way=way))
        here = order.department or here
    back = _back(doctor, by_id.values(), made, wish)
    back_way = None
    if back is not None and doctor is not None and version:
        hidden = None if full or doctor.sensitive is None else doctor.name
        back_way = await _way(tx, visit, here, doctor.code, wish, hidden)
    sensitive = any(by_id[s.order_id].category for s in made) or bool(doctor and doctor.sensitive)
    shown = doctor if doctor is not None and (full or doctor.sensitive is None) else None
    return GuideSheet(
        hospital.name,
        hospitals.helpline_of(hospital),
        patient.name_masked,
        visit.number,
        reading.since(visit, view),
        tx.now,
        shown.name if shown else None,
        tuple(made),
        back=back,
        back_way=back_way,
        map_number=version.number if version else None,
        note=plan_of(found)[1],
        sensitive=sensitive,
        hides=sensitive and not full,
    )


def _by_turn(found: Sequence[dict[str, Any]]) -> list[Step]:
    """As one does them, the one to do now first."""
    rest, made = list(found), []
    while (first := next_step(rest)) is not None:
        made.append(first)
        rest = [s for s in rest if s["id"] != first["id"]]
    return made


async def _doctor(tx: Tx, visit: Visit, view: View) -> Department | None:
    """Where she came to, as far as this view may know."""
    known = [e for e in await reading.encounters_of(tx, visit.id) if view.sees(Depth.STEPS, e.category)]
    return await hospitals.department(tx, visit.hospital_id, known[0].department) if known else None


def _step(step: Step, order: Order, department: Department | None, wish: _Wish, kept_back: Sequence[str]) -> SheetStep:
    because = step["because"]
    discreet = order.category is not None and not wish.full
    name, place, prepare = str(step["name"]), _place(step), ready(step)
    if discreet:
        name, because = words.KINDS.get(order.kind, words.KINDS[""]), None
        telling = {*CATEGORIES.values(), str(step["name"])}
        telling |= {department.name} if department is not None and department.sensitive else set()
        if any(said in place for said in telling):
            place = words.ASK_WHERE
        # The hospital's own note may name what it is about; the sentences of codes do not.
        prepare = tuple(step["preparation"]) or ((words.ASK_READY,) if step.get("note") else ())
    elif because:
        for said in kept_back:
            because = because.replace(said, words.KINDS[""])
    return SheetStep(
        str(order.id), order.number, order.paper_code, name, place, str(step["state"]), prepare, because,
        discreet=discreet,
    )  # fmt: skip


def _place(step: Step) -> str:
    """Building, floor and what stands at the door; the room a board has called, if there is one."""
    room = f" {step['room']}" if step.get("room") else ""
    return f"{step['place'] or step['department']}{room}"


def _back(doctor: Department | None, all_: Any, made: Sequence[SheetStep], wish: _Wish) -> tuple[str, str] | None:
    """Where results are taken to; nowhere while the doctor is still to be seen, or when nothing is examined."""
    tested = {str(o.id) for o in all_ if o.kind in ("lab", "imaging", "procedure")}
    sees = any(o.kind == "consultation" and o.state in OPEN_ORDER for o in all_)
    if doctor is None or sees or not any(s.order_id in tested for s in made):
        return None
    if doctor.sensitive is not None and not wish.full:
        return words.THE_DOCTOR, doctor.place
    return doctor.name, doctor.place


async def _way(tx: Tx, visit: Visit, start: str, goal: str, wish: _Wish, hidden: str | None) -> Way | None:
    """From one department to the next, by name; None where one is there already or the map does not know it.

    Args:
        hidden: the name that must not be read on it.
    """
    if not start or not goal or start == goal:
        return None
    spot, drawn = Spot(department=start), wish.drawn and hidden is None
    try:
        way = await routes.route(tx, visit.hospital_id, spot, goal, wish.profile, drawn=drawn, large=True)
    except NoMapError:
        return None
    if way is None:
        return Way((ways.NO_STEP_FREE if wish.profile is Profile.WHEELCHAIR else ways.NO_WAY,))
    lines = (*(s.text for s in way.steps), *way.notes)
    if hidden is not None:
        lines = tuple(line.replace(f"“{hidden}”", ways.YOUR_DOOR).replace(hidden, ways.YOUR_DOOR) for line in lines)
    return Way(lines, ways.about(way.seconds), way.floors)
