"""The hospital that is played: its doors, how far they lie apart, and the people who come on one day.

Everything here is chosen, nothing measured in a hospital: see ``docs/simulation.md``.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

OPENS, NOON, AGAIN, CLOSES, ENDS = 480.0, 720.0, 810.0, 1020.0, 1080.0  # minutes of the day; after ENDS nobody serves
LUNCH = (NOON, AGAIN)
CLINICS, DOCTORS = 5, 9
COUNTERS_LOAD = 0.5  # they are not what is studied, and have their own ways out
EXAMS_SHARE = 0.62  # of the patients are examined
HOW_MANY = (0.27, 0.26, 0.20, 0.14, 0.08, 0.05)  # 1 to 6 examinations
FIRST_TALK, SECOND_TALK, PHARMACY, COUNTER = 5.0, 2.5, 1.5, 0.9  # mean minutes


@dataclass(frozen=True, slots=True)
class Exam:
    """One kind of examination: minutes it takes, spread, minutes to its result, how often, rules."""

    code: str
    minutes: float
    spread: float
    report: float
    weight: float
    sites: int = 1
    bladder: float = 0.0
    after: str | None = None
    result: bool = False


EXAMS = (
    Exam("blood", 3, 0.5, 45, 0.26, sites=2),
    Exam("urine", 2, 0.5, 30, 0.12),
    Exam("ecg", 6, 0.4, 10, 0.14),
    Exam("xray", 5, 0.5, 20, 0.12, sites=2),
    Exam("ct", 10, 0.4, 50, 0.08),
    Exam("ct_contrast", 18, 0.3, 60, 0.03, after="blood", result=True),
    Exam("mri", 25, 0.3, 60, 0.03),
    Exam("us_abdomen", 10, 0.5, 5, 0.13, sites=2),
    Exam("us_pelvis", 10, 0.5, 5, 0.06, bladder=50),
    Exam("us_heart", 15, 0.4, 5, 0.05),
    Exam("us_neck", 9, 0.5, 5, 0.05),
    Exam("gastroscopy", 15, 0.4, 30, 0.02, after="us_abdomen"),
    Exam("lungs", 15, 0.4, 10, 0.03),
    Exam("bones", 10, 0.3, 10, 0.02),
)
EXAM: Mapping[str, Exam] = {e.code: e for e in EXAMS}


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """A door of the hospital: what is done there, by how many at a time, where (metres, floor)."""

    code: str
    exam: str | None
    rooms: int
    at: tuple[float, float, int]
    stretch: float = 1.0  # by how much services are longer or shorter, so that the load is as asked


@dataclass(frozen=True, slots=True)
class Hospital:
    """All doors, by code, and the walking minutes between them."""

    doors: Mapping[str, DoorPlan]
    walks: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def walk(self, one: str, other: str) -> float:
        """Minutes from door to door."""
        return self.walks[one, other]

    def sites(self, exam: str) -> list[DoorPlan]:
        """The doors where an examination is done."""
        return [d for d in self.doors.values() if d.exam == exam]

    def with_one_more(self, door: str) -> "Hospital":
        """The same with one more room at a door."""
        more = replace(self.doors[door], rooms=self.doors[door].rooms + 1)
        return Hospital({**self.doors, door: more}, self.walks)


@dataclass(frozen=True, slots=True)
class Visitor:
    """One who comes: when, to which clinic, for what, and how long each service takes (drawn beforehand).

    Attributes:
        exams: in the order of the sheet.
        takes: exam code, or ``talk``, ``again``, ``pharmacy``, ``counter`` → minutes, before a door's stretch.
        luck: 0 to 1, the same under every policy: who uses the guide, which of two doors the sheet names.
    """

    number: int
    comes: float
    clinic: str
    exams: tuple[str, ...]
    takes: Mapping[str, float]
    medicine: bool
    luck: float


def people(seed: int, count: int) -> list[Visitor]:
    """The people of one day; the same seed, the same people with the same services."""
    chance = random.Random(f"day {seed}")
    made = []
    for number in range(count):
        comes = chance.uniform(OPENS - 15, 690) if chance.random() < 0.66 else chance.uniform(AGAIN - 15, 915)
        exams: list[str] = []
        if chance.random() < EXAMS_SHARE:
            many = chance.choices(range(1, 7), HOW_MANY)[0]
            while len(exams) < many:
                one = chance.choices(EXAMS, [e.weight for e in EXAMS])[0].code
                if one not in exams:
                    exams.append(one)
        takes = {code: _long(chance, EXAM[code].minutes, EXAM[code].spread) for code in exams}
        for name, mean in (
            ("talk", FIRST_TALK),
            ("again", SECOND_TALK),
            ("pharmacy", PHARMACY),
            ("counter", COUNTER),
        ):
            takes[name] = _long(chance, mean, 0.5)
        clinic = f"clinic{chance.randrange(CLINICS)}"
        made.append(Visitor(number, comes, clinic, tuple(exams), takes, chance.random() < 0.6, chance.random()))
    return sorted(made, key=lambda v: v.comes)


def _long(chance: random.Random, mean: float, spread: float) -> float:
    sigma = math.sqrt(math.log(1 + spread * spread))
    return chance.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)


def hospital(load: float, count: int, seeds: Sequence[int] = (1, 2, 3)) -> Hospital:
    """Rooms and services such that the people of a day, going where their sheet sends them, make the load.

    Args:
        load: of the minutes in which a room is open, the share it works.
        count: people a day.
        seeds: the days from which the work of each door is reckoned.
    """
    work: dict[str, float] = {}
    for seed in seeds:
        for one in people(seed, count):
            for code in one.exams:
                door = sheet_door(one, code)
                work[door] = work.get(door, 0.0) + one.takes[code] / len(seeds)
            work["pharmacy"] = work.get("pharmacy", 0.0) + one.takes["pharmacy"] * one.medicine / len(seeds)
            work["counter"] = work.get("counter", 0.0) + one.takes["counter"] / len(seeds)
    open_minutes = (CLOSES - OPENS) - (AGAIN - NOON) / 2
    chance = random.Random("where doors are")
    doors = {}
    for code in [*_exam_doors(), "pharmacy", "counter", *(f"clinic{n}" for n in range(CLINICS))]:
        at = (chance.uniform(0, 240), chance.uniform(0, 140), chance.randrange(5))
        if code.startswith("clinic"):
            doors[code] = DoorPlan(code, None, max(1, round(DOCTORS * count / 2000)), at)
            continue
        exam = code.split("@")[0] if code.split("@")[0] in EXAM else None
        aim = load if exam else COUNTERS_LOAD
        rooms = max(1, math.ceil(work.get(code, 0.0) / (open_minutes * aim) - 0.35))
        stretch = rooms * open_minutes * aim / work[code] if work.get(code) else 1.0
        doors[code] = DoorPlan(code, exam, rooms, at, min(stretch, 1.6))
    return Hospital(doors, {(a, b): _walk(p.at, q.at) for a, p in doors.items() for b, q in doors.items()})


def _exam_doors() -> list[str]:
    return [f"{e.code}@{n}" for e in EXAMS for n in range(e.sites)]


def sheet_door(one: Visitor, exam: str) -> str:
    """Which door the paper sheet names, where there are two: by chance, and the first more often."""
    return f"{exam}@{int(EXAM[exam].sites > 1 and one.luck * 7 % 1 > 0.6)}"


def _walk(one: tuple[float, float, int], other: tuple[float, float, int]) -> float:
    """Corridors go along and across at 1 m/s; a lift takes 50 s to come and 9 s a floor."""
    if one == other:
        return 0.0
    floors = abs(one[2] - other[2])
    return (abs(one[0] - other[0]) + abs(one[1] - other[1]) + (50 + 9 * floors if floors else 0)) / 60 + 0.5
