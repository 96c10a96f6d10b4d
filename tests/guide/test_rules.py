"""A hospital's rules are read strictly: each wrong row is named, nothing of it is believed."""

from dataclasses import replace
from typing import Any

import pytest

from guide.order.planner import plan
from guide.order.rules import GUESSED, ExamRulesError, Rule, parse
from guide.order.today import Book, Exam, Ordered, load_age, task_of

Json = dict[str, Any]
GOOD: Json = {
    "format": "houfu-exam-rules/1",
    "signed_by": "医务科",
    "signed_at": "2026-11-01T09:00:00+08:00",
    "rules": [
        {"kind": "fasting", "exam": "BLOOD", "until": "10:30"},
        {"kind": "after", "exam": "CT", "other": "BLOOD", "minutes": 10, "result": True},
        {"kind": "open", "exam": "CT", "spans": [["08:00", "11:30"], ["13:30", "16:30"]]},
        {"kind": "apart", "exam": "BARIUM", "other": "CT"},
        {"kind": "meal", "exam": "BARIUM"},
        {"kind": "ask", "exam": "MRI", "ask": "pacemaker"},
        {"kind": "full_bladder", "exam": "US", "minutes": 50},
        {"kind": "sites", "exam": "US", "places": ["D2"]},
    ],
}
CODES = ("BLOOD", "CT", "BARIUM", "MRI", "US")
DOORS = ("D1", "D2")
CIRCLE = (("CT", "US"), ("US", "MRI"), ("MRI", "CT"))


def test_good_rules_are_read() -> None:
    """Each kind of rule, as it was signed."""
    rules = parse(GOOD, CODES, DOORS)
    assert (rules.signed_by, len(rules.rules)) == ("医务科", 8)
    assert rules.of(Rule.FASTING, "BLOOD")[0].until == 630
    assert rules.of(Rule.OPEN, "CT")[0].spans == ((480, 690), (810, 990))
    assert rules.numbers == GUESSED


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        ({"signed_by": " "}, "exam_rules.signed_by", "nobody has signed"),
        ({"signed_at": "2026-11-01"}, "exam_rules.signed_at", "a moment"),
        ({"format": "other/1"}, "exam_rules.format", "must be"),
        ({"more": 1}, "exam_rules", "unknown field more"),
        ({"numbers": [75]}, "exam_rules.numbers", "object with any of slow_from_age"),
        ({"numbers": {"soon": 5}}, "exam_rules.numbers.soon", "none of"),
        ({"numbers": {"soon_minutes": True}}, "exam_rules.numbers.soon_minutes", "1 to 60"),
        ({"numbers": {"slow_from_age": 49}}, "exam_rules.numbers.slow_from_age", "50 to 120"),
        ({"rules": {}}, "exam_rules.rules", "list"),
        ({"rules": ["x"]}, "exam_rules.rules.0", "object"),
        ({"rules": [{"kind": "magic", "exam": "CT"}]}, "exam_rules.rules.0.kind", "is one of"),
        ({"rules": [{"kind": "meal", "exam": "XX"}]}, "exam_rules.rules.0.exam", "'XX'"),
        ({"rules": [{"kind": "meal", "exam": ["CT"]}]}, "exam_rules.rules.0.exam", "no order template"),
        ({"rules": [{"kind": "meal", "exam": "CT", "minutes": 3}]}, "exam_rules.rules.0.minutes", "no such field"),
        ({"rules": [{"kind": "after", "exam": "CT"}]}, "exam_rules.rules.0.other", "is missing"),
        ({"rules": [{"kind": "after", "exam": "CT", "other": "CT"}]}, "exam_rules.rules.0.other", "itself"),
        ({"rules": [{"kind": "full_bladder", "exam": "US", "minutes": -1}]}, "exam_rules.rules.0.minutes", "whole"),
        ({"rules": [{"kind": "fasting", "exam": "CT", "until": "25:00"}]}, "exam_rules.rules.0.until", "time of day"),
        ({"rules": [{"kind": "open", "exam": "CT", "spans": [["9:00", "08:00"]]}]}, "exam_rules.rules.0.spans", "time"),
        ({"rules": [{"kind": "sites", "exam": "CT", "places": ["D9"]}]}, "exam_rules.rules.0.places", "'D9'"),
        ({"rules": [{"kind": "ask", "exam": "CT", "ask": "mood"}]}, "exam_rules.rules.0.ask", "is one of"),
        (
            {"rules": [{"kind": "after", "exam": a, "other": b} for a, b in CIRCLE]},
            "exam_rules.rules",
            "before itself",
        ),
        ({"rules": [{"kind": k, "exam": "CT"} for k in ("meal", "fasting")]}, "exam_rules.rules", "both"),
        (
            {"rules": [{"kind": k, "exam": "CT", "other": "US"} for k in ("after", "apart")]},
            "exam_rules.rules",
            "never on the same day",
        ),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(change: Json, where: str, why: str) -> None:
    """One thing wrong at a time."""
    with pytest.raises(ExamRulesError) as wrong:
        parse(GOOD | change, CODES, DOORS)
    assert (wrong.value.where, why in wrong.value.why) == (where, True), wrong.value.why


BOOK = Book(
    1,
    parse(GOOD, CODES, DOORS),
    [Exam(code, code, "D1", 10, 30 if code == "BLOOD" else 5) for code in CODES],
)


def order(name: str, **more: Any) -> Ordered:
    """One at the first door, ordered at nine."""
    return Ordered(name, name, "imaging", "D1", more.pop("state", "placed"), more.pop("preparation", ()), 540, **more)


def planned(*orders: Ordered, now: float = 540) -> dict[str, float]:
    """Key → when it begins."""
    made = plan(task_of(orders, BOOK, now, lambda a, b: 0.0 if a == b else 3.0, back="D1", start="D1"))
    return {one.key: one.begin for one in made.placed}


def test_the_rules_rule_the_day() -> None:
    """Creatinine before contrast and ten minutes more, the bladder after fifty, barium another day than CT."""
    found = planned(order("CT"), order("BLOOD"), order("US"), order("MRI"))
    assert found["CT"] >= found["BLOOD"] + 10 + 30 + 10
    assert found["US"] >= 590
    assert "MRI" not in found  # a nurse asks first
    assert len({"BARIUM", "CT"} & set(planned(order("CT"), order("BLOOD"), order("BARIUM")))) == 1
    assert "MRI" in planned(order("MRI", cleared=True))


def test_what_is_done_already_counts() -> None:
    """Blood was drawn at 9:00: contrast from 9:40; with its result known from ten minutes after. Barium: not today."""
    done = order("BLOOD", state="performed", performed_at=540.0)
    assert planned(done, order("CT"), now=550)["CT"] == 580
    known = order("BLOOD", state="result", performed_at=540.0, resulted=True)
    assert planned(known, order("CT"), now=560)["CT"] == 560
    assert planned(order("CT", state="performed", performed_at=500.0), order("BARIUM")) == {}


def test_too_late_for_an_empty_stomach() -> None:
    """After half past ten the fasting blood has no place today."""
    assert planned(order("BLOOD"), now=640) == {}


def test_without_a_word_about_queues_nothing_is_reckoned_of_them() -> None:
    """One door says nothing, or said it long ago: rules and distance only."""
    known = order("US", ahead=3, heard=535.0)
    assert load_age([known], 540) == 5
    assert load_age([known, order("CT")], 540) is None
    assert load_age([known], 600) is None


def test_a_hospital_signs_its_own_numbers() -> None:
    """A bladder takes eighty minutes and a word of the queue holds for an hour: as signed, the rest as guessed."""
    signed = parse(GOOD | {"rules": [], "numbers": {"bladder_minutes": 80, "queue_minutes": 70}}, CODES, DOORS)
    book = Book(1, signed, BOOK.exams)
    assert (book.numbers.bladder_minutes, book.numbers.soon_minutes, Book().numbers) == (80, 10, GUESSED)
    full = order("US", preparation=("full_bladder",))
    for one, minutes in ((book, 80), (replace(book, rules=None), 45)):
        made = plan(task_of([full], one, 540, lambda a, b: 3.0, back="D1", start="D1"))
        assert made.placed[0].begin == 540 + minutes
    assert load_age([order("US", ahead=3, heard=535.0)], 600, book.numbers) == 65
