"""The hospital's appointment desk by itself: its refusals, what it registers ahead, and that it forgets nothing."""

from pathlib import Path
from typing import Any

from sandbox.his import catalogue
from sandbox.his.appointments import Appointments
from sandbox.his.behave import Behaviour
from sandbox.his.books import Books
from sandbox.his.clinic import Clinic
from sandbox.his.generate import Clock

SLOT = "d.card-202611230900"
ANNA = {"name": "朱桂芳", "no": "P0000001"}


def desk(books: Books) -> Appointments:
    """An appointment desk over these books."""
    return Appointments(Clinic(books, catalogue.load()), Behaviour())


def book(at: Appointments, number: int, slot: str = SLOT, pay: str = "account", **other: Any) -> str:
    """Ask for a half hour; the outcome, or why not."""
    data = {
        "booking": f"{number:032x}",
        "slot": slot,
        "patient": ANNA | {"no": f"P{number}"},
        "fee_fen": 100,
        "pay": pay,
    }
    command = {"key": f"book:{number}:{slot}:{pay}:{other}", "kind": "book", "encounters": []}
    answer = at.take(command | {"at": at.books.now().isoformat(), "data": data | other})
    return str(answer.get("reason") or answer["outcome"])


def test_what_it_refuses(clock: Clock) -> None:
    """Full, unknown, over, another fee, the same patient twice, a clinic that is off: each by its own word."""
    at = desk(Books("HF01", clock))
    assert [book(at, n) for n in range(1, 8)] == ["done"] * 6 + ["taken"]
    assert book(at, 8, "d.none-202611230900") == "no_such_slot"
    assert book(at, 8, "d.card-202611210900") == "passed"
    assert book(at, 8, "d.card-202611230930", fee_fen=200) == "fee_differs"
    assert book(at, 8, "d.card-202611230930", patient=ANNA | {"no": "P1"}) == "already_booked"
    assert len(at.call_off("d.card", "2026-11-23")) == 6
    assert book(at, 8) == "stopped"
    assert sum(at.books.booked.values()) == 0


def test_a_restart_forgets_no_booking(tmp_path: Path, clock: Clock) -> None:
    """Booked, registered ahead, cancelled, called off; closed and opened again, the books say the same."""
    journal = tmp_path / "his.jsonl"
    at = desk(Books("HF01", clock, journal))
    assert [book(at, 1), book(at, 2, pay="upfront"), book(at, 3)] == ["done"] * 3
    gone = {"booking": f"{1:032x}"}
    at.take({"key": "c", "kind": "cancel_booking", "encounters": [], "at": clock().isoformat(), "data": gone})
    at.miss(f"{3:032x}")
    at.call_off("d.card2", "2026-11-24")
    before = (at.books.appointments, at.books.booked, at.books.clinics_off, list(at.books.outbox))
    assert [a["state"] for a in at.books.appointments.values()] == ["cancelled", "booked", "missed"]
    (encounter,) = at.books.encounters.values()
    assert encounter.excluded == set(encounter.charges)
    at.books.close()
    again = Books("HF01", clock, journal)
    assert (again.appointments, again.booked, again.clinics_off, list(again.outbox)) == before
    again.close()
