"""Where people go next: as their sheet says, to the nearest, to the shortest queue, or as the guide advises."""

from functools import partial

from guide.order import waits
from guide.order.advice import advise
from guide.order.stops import After, Site, Stop, Task
from guide.sim.day import Choice, Day, Walker, Way
from guide.sim.hospital import EXAM, LUNCH, sheet_door


def chooser(way: Way) -> Choice:
    """The choice of a way; who does not use the guide follows the sheet."""
    if way.guide == "ours":
        return partial(_guided, _Guide(way))
    made = {"sheet": sheet, "nearest": nearest, "shortest": shortest}[way.guide]
    return lambda day, walker: (made if walker.guided else sheet)(day, walker)


def sheet(day: Day, walker: Walker) -> tuple[str, str]:
    """The first of the sheet that may be done now, at the door it names."""
    exam = _soonest(day, walker)[0]
    return exam, sheet_door(walker.who, exam)


def nearest(day: Day, walker: Walker) -> tuple[str, str]:
    """The nearest of all that may be done now, each at the door the sheet names."""
    doors = {sheet_door(walker.who, e): e for e in _soonest(day, walker)}
    code = min(doors, key=lambda d: (day.hospital.walk(walker.place, d), d))
    return doors[code], code


def shortest(day: Day, walker: Walker) -> tuple[str, str]:
    """The door with the fewest people on the board, of all that may be done now."""
    could = [
        (day.seen(d.code)[1] / d.rooms, day.hospital.walk(walker.place, d.code), e, d.code)
        for e in _soonest(day, walker)
        for d in day.hospital.sites(e)
    ]
    return min(could)[2:]


def _soonest(day: Day, walker: Walker) -> list[str]:
    """What may be done now; if nothing, what may be done first."""
    allowed = {e: walker.allowed_at(e) for e in walker.open}
    now = [e for e in walker.open if allowed[e] <= day.now + 5]
    return now or [min(walker.open, key=allowed.__getitem__)]


class _Guide:
    """Our guide on that day: the ledger of who is on the way, and what each was told."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.ledger = waits.Ledger()
        self.been: dict[int, list[waits.Arrival]] = {}


def _guided(guide: _Guide, day: Day, walker: Walker) -> tuple[str, str]:
    """The first stop of the advice."""
    if not walker.guided:
        return sheet(day, walker)
    name = str(walker.who.number)
    guide.ledger.drop(name)
    made = advise(_task(guide, day, walker), walker.told)
    walker.told = made.keys
    if not made.placed:
        return sheet(day, walker)
    been = guide.been.setdefault(walker.who.number, [])
    if guide.way.ledger:
        arrivals = [waits.Arrival(p.place, p.arrive) for p in made.placed]
        seen_since = day.looked if guide.way.stale > 0 else day.now
        guide.ledger.put(name, [*(a for a in been if a.minute >= seen_since), *arrivals])
        been.append(arrivals[0])
    return made.placed[0].key, made.placed[0].place


def _task(guide: _Guide, day: Day, walker: Walker) -> Task:
    stops, after = [], []
    for exam in walker.open:
        kind = EXAM[exam]
        moment = walker.allowed_at(exam)
        if moment == float("inf"):
            after.append(After(kind.after or "", exam, result=kind.result))
            moment = (walker.ordered or 0.0) + kind.bladder if kind.bladder else 0.0
        sites = [Site(d.code, _waits(guide, day, walker, d.code)) for d in day.hospital.sites(exam)]
        minutes = day.doors[sites[0].place].mean
        stops.append(Stop(exam, minutes, kind.report, sites, ready_at=moment, bladder=kind.bladder > 0))
    known = max([day.now, *(at + EXAM[e].report for e, at in walker.done.items())])
    return Task(day.now, walker.place, walker.who.clinic, stops, day.hospital.walk, after, known=known)


def _waits(guide: _Guide, day: Day, walker: Walker, code: str) -> waits.Waits:
    door = day.doors[code]
    if guide.way.stale > 0:
        people, began = day.seen(code)[0], day.looked
    else:
        comes = day.now + day.hospital.walk(walker.place, code)
        people, began = door.people(day.number_of(walker, comes) if guide.way.numbers else None), day.now
    known = waits.Door(people, door.mean, door.plan.rooms, LUNCH)
    return waits.curve(began, known, guide.ledger.expected(code) if guide.way.ledger else None)
