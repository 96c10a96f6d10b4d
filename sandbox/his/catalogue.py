"""What the hospital's system knows before anybody comes: departments, prices, order sets, doctors, registered patients.

Reads the same hospital file the product loads (``docs/hospital-file.md``) and the demo people beside it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from kernel.clock import CHINA

FOLDER = Path(__file__).parent.parent / "hospital"
HOSPITAL_FILE = FOLDER / "demo.json"
PEOPLE_FILE = FOLDER / "people.json"


@dataclass(frozen=True, slots=True)
class Department:
    code: str
    name: str
    kind: str
    place: str
    sensitive: str | None


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the price list; ``unit_price_fen`` in whole fen, ``insurance_class`` A 甲, B 乙, C 丙."""

    item_code: str
    name: str
    unit_price_fen: int
    insurance_class: str


@dataclass(frozen=True, slots=True)
class Template:
    """What a doctor picks with one click: an order and the charges that come with it.

    ``department`` None means the department of the visit; ``items`` are (price, quantity).
    """

    code: str
    name: str
    kind: str
    department: str | None
    items: tuple[tuple[Price, int], ...]
    preparation: tuple[str, ...]
    minutes: int
    report_minutes: int | None
    note: str | None


@dataclass(frozen=True, slots=True)
class PatientCard:
    """A patient as registered at this hospital; the account is the insurance personal account, in fen."""

    key: str
    no: str
    name: str
    sex: str | None
    birth_date: str | None
    id_number: str | None
    phone: str | None
    status: str
    scheme: str | None
    account_fen: int

    def wire(self) -> dict[str, Any]:
        """The ``patient`` object of ``encounter.started``; what is not known is left out."""
        every = {
            "no": self.no,
            "name": self.name,
            "id_number": self.id_number,
            "phone": self.phone,
            "birth_date": self.birth_date,
            "sex": self.sex,
        }
        return {k: v for k, v in every.items() if v is not None}

    def insurance(self) -> dict[str, Any]:
        """The ``insurance`` object of ``encounter.started``."""
        return {"status": self.status} | ({"scheme": self.scheme} if self.scheme else {})


class Catalogue:
    """Look-ups into one hospital file; unknown codes raise KeyError."""

    def __init__(self, hospital: dict[str, Any], people: dict[str, Any]) -> None:
        self.code: str = hospital["hospital"]["code"]
        self.name: str = hospital["hospital"]["name"]
        self.fund_percent: dict[str, dict[str, int]] = hospital["hospital"]["settings"]["insurance"]["fund_percent"]
        self.departments = {d["code"]: _department(d) for d in hospital["departments"]}
        self.doctors = {s["login"]: s["name"] for s in hospital["staff"] if s["role"] == "doctor"}
        self.doctor_of = {s["department"]: s["name"] for s in reversed(hospital["staff"]) if s["role"] == "doctor"}
        self.prices = {p["item_code"]: _price(p) for p in hospital["price_list"]}
        self.templates = {t["code"]: self._template(t) for t in hospital["order_templates"]}
        self.patients = {c.no: c for c in map(_card, people["people"]) if c is not None}
        self.by_key = {c.key: c for c in self.patients.values()}
        self._slots: list[dict[str, Any]] = hospital["slots"]

    def _template(self, t: dict[str, Any]) -> Template:
        items = tuple((self.prices[i["item_code"]], i["quantity"]) for i in t["items"])
        return Template(
            code=t["code"],
            name=t["name"],
            kind=t["kind"],
            department=t["department"],
            items=items,
            preparation=tuple(t["preparation"]),
            minutes=t["minutes"],
            report_minutes=t["report_minutes"],
            note=t["note"],
        )

    @property
    def registration(self) -> Price:
        """What registering costs."""
        return next(t for t in self.templates.values() if t.kind == "registration").items[0][0]

    def slot(self, identity: str, booked: dict[str, int]) -> dict[str, Any] | None:
        """One half hour by its id."""
        try:
            day = datetime.strptime(identity.rpartition("-")[2][:8], "%Y%m%d").replace(tzinfo=CHINA).date()
        except ValueError:
            return None
        of_day = (s for d in self.departments for s in self.slots(d, day, booked))
        return next((s for s in of_day if s["id"] == identity), None)

    def slots(self, department: str, day: date, booked: dict[str, int]) -> list[dict[str, Any]]:
        """Every half hour of that department on that day, with what is still free (``docs/his.md``, Questions out)."""
        return [
            {
                "id": slot,
                "department": department,
                "doctor": self.doctors[grid["doctor"]],
                "from": begin.isoformat(),
                "until": (begin + timedelta(minutes=grid["minutes"])).isoformat(),
                "free": max(0, grid["capacity"] - booked.get(slot, 0)),
                "fee_fen": self.registration.unit_price_fen,
            }
            for grid in self._slots
            if grid["department"] == department and day.isoweekday() in grid["weekdays"]
            for begin in _grid(grid, day)
            for slot in [f"{grid['doctor']}-{begin:%Y%m%d%H%M}"]
        ]


def _grid(grid: dict[str, Any], day: date) -> Iterator[datetime]:
    step = timedelta(minutes=grid["minutes"])
    for first, last in grid["spans"]:
        begin = datetime.combine(day, time.fromisoformat(first), CHINA)
        while begin + step <= datetime.combine(day, time.fromisoformat(last), CHINA):
            yield begin
            begin += step


def _department(d: dict[str, Any]) -> Department:
    return Department(d["code"], d["name"], d["kind"], d["place"], d["sensitive"])


def _price(p: dict[str, Any]) -> Price:
    return Price(p["item_code"], p["name"], p["unit_price_fen"], p["insurance_class"])


def _card(p: dict[str, Any]) -> PatientCard | None:
    if p["patient_no"] is None:
        return None
    plan = p["insurance"]
    known_sex = p["sex"] if p["id_number"] else None
    return PatientCard(
        key=p["key"],
        no=p["patient_no"],
        name=p["name"],
        sex=known_sex,
        birth_date=p["birth_date"],
        id_number=p["id_number"],
        phone=p["phone"],
        status=plan["status"],
        scheme=plan["scheme"],
        account_fen=plan["account_fen"],
    )


def load(hospital: Path = HOSPITAL_FILE, people: Path = PEOPLE_FILE) -> Catalogue:
    """Read both files; a missing field raises KeyError naming it."""
    return Catalogue(json.loads(hospital.read_text("utf-8")), json.loads(people.read_text("utf-8")))
