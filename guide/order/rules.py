"""What a hospital has signed about the order of examinations, as data: read strictly, refused with the row named."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

FORMAT = "houfu-exam-rules/1"


class Rule(StrEnum):
    """What a rule is about; its fields are in ``docs/hospital-file.md``."""

    FASTING = "fasting"  # nothing eaten before it is done; begun by a time of day at the latest
    MEAL = "meal"  # one eats for it: after everything that is done fasting
    FULL_BLADDER = "full_bladder"  # drink when it is ordered, ready so many minutes later
    AFTER = "after"  # not before another one is done, or its result known, and so many minutes more
    APART = "apart"  # never on the same day
    OPEN = "open"  # the hours in which it begins
    SITES = "sites"  # other doors where the same is done
    ASK = "ask"  # a medicine or an implant: a nurse looks before anybody goes there


class ExamRulesError(ValueError):
    """A rule is wrong; ``where`` names the row."""

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where}: {why}")


@dataclass(frozen=True, slots=True)
class OneRule:
    """One signed rule.

    Attributes:
        exam: the code of the order template it is about; of AFTER the one that comes later.
        other: AFTER: the one before; APART: the other one.
        minutes: FULL_BLADDER: until ready; AFTER: the lag.
        until: FASTING: minute of the day by which it has begun.
        spans: OPEN: minutes of the day.
        places: SITES: department codes.
        result: AFTER: counts from the result, not from being done.
        ask: ASK: what the nurse asks about, a code of ``words.guide_order.ASK``.
    """

    kind: Rule
    exam: str
    other: str | None = None
    minutes: int = 0
    until: int | None = None
    spans: tuple[tuple[int, int], ...] = ()
    places: tuple[str, ...] = ()
    result: bool = False
    ask: str | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is reckoned with where nobody has said otherwise. The defaults are guesses; a hospital signs its own.

    Attributes:
        slow_from_age: years from which somebody who has said nothing is thought to walk slowly.
        soon_minutes: so long before her turn, and her way besides, she is told to set out.
        worth_asking_minutes: an appointment that costs the day so much is offered to be moved.
        bladder_minutes: from drinking until ready, where no rule says it of the exam.
        queue_minutes: how long a word about a queue is worth anything.
    """

    slow_from_age: int = 75
    soon_minutes: int = 10
    worth_asking_minutes: int = 20
    bladder_minutes: int = 45
    queue_minutes: int = 30


GUESSED = Numbers()
_NUMBERS: Mapping[str, tuple[int, int]] = {  # at least, at most
    "slow_from_age": (50, 120),
    "soon_minutes": (1, 60),
    "worth_asking_minutes": (5, 240),
    "bladder_minutes": (5, 240),
    "queue_minutes": (5, 120),
}


@dataclass(frozen=True, slots=True)
class ExamRules:
    """All rules of a hospital, one version of them."""

    signed_by: str
    signed_at: datetime
    rules: tuple[OneRule, ...] = ()
    numbers: Numbers = GUESSED

    def of(self, kind: Rule, exam: str | None) -> list[OneRule]:
        """The rules of one kind about one exam."""
        return [r for r in self.rules if r.kind is kind and r.exam == exam]


_FIELDS: Mapping[Rule, tuple[set[str], set[str]]] = {  # needed, allowed besides
    Rule.FASTING: (set(), {"until"}),
    Rule.MEAL: (set(), set()),
    Rule.FULL_BLADDER: ({"minutes"}, set()),
    Rule.AFTER: ({"other"}, {"minutes", "result"}),
    Rule.APART: ({"other"}, set()),
    Rule.OPEN: ({"spans"}, set()),
    Rule.SITES: ({"places"}, set()),
    Rule.ASK: ({"ask"}, set()),
}
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
ASKED = ("metformin", "anticoagulant", "pacemaker", "metal_implant", "pregnancy", "contrast_allergy")


def parse(document: Any, exams: Sequence[str], departments: Sequence[str]) -> ExamRules:
    """The rules of a hospital file's ``exam_rules``.

    Args:
        document: as parsed from JSON.
        exams: the codes of the file's order templates.
        departments: the codes of its departments.

    Raises:
        ExamRulesError: the first wrong row.
    """
    if not isinstance(document, dict):
        raise ExamRulesError("exam_rules", "is an object with format, signed_by, signed_at, rules, numbers")
    if extra := set(document) - {"format", "signed_by", "signed_at", "rules", "numbers"}:
        raise ExamRulesError("exam_rules", f"unknown field {min(extra)}")
    if document.get("format") != FORMAT:
        raise ExamRulesError("exam_rules.format", f"must be {FORMAT}")
    who = document.get("signed_by")
    if not isinstance(who, str) or not who.strip():
        raise ExamRulesError("exam_rules.signed_by", "nobody has signed these rules")
    rows = document.get("rules")
    if not isinstance(rows, list):
        raise ExamRulesError("exam_rules.rules", "is a list")
    if len(rows) > 500:
        raise ExamRulesError("exam_rules.rules", "more than 500")
    rules = tuple(_one(f"exam_rules.rules.{n}", row, set(exams), set(departments)) for n, row in enumerate(rows))
    _no_circle(rules)
    _no_contradiction(rules)
    return ExamRules(who.strip(), _moment(document.get("signed_at")), rules, _numbers(document.get("numbers", {})))


def _numbers(document: Any) -> Numbers:
    where = "exam_rules.numbers"
    if not isinstance(document, dict):
        raise ExamRulesError(where, f"is an object with any of {', '.join(_NUMBERS)}")
    for name, value in document.items():
        if name not in _NUMBERS:
            raise ExamRulesError(f"{where}.{name}", f"is none of {', '.join(_NUMBERS)}")
        least, most = _NUMBERS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ExamRulesError(f"{where}.{name}", f"is a whole number, {least} to {most}")
    return Numbers(**document)


def _moment(text: Any) -> datetime:
    try:
        made = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        made = None
    if made is None or made.tzinfo is None:
        raise ExamRulesError("exam_rules.signed_at", "is a moment with its offset, such as 2026-11-01T09:00:00+08:00")
    return made


def _one(where: str, row: Any, exams: set[str], departments: set[str]) -> OneRule:
    if not isinstance(row, dict):
        raise ExamRulesError(where, "is an object")
    kind = _fields(where, row)
    _codes(where, row, exams, departments)
    if kind is Rule.ASK and row["ask"] not in ASKED:
        raise ExamRulesError(f"{where}.ask", f"is one of {', '.join(ASKED)}")
    if not isinstance(row.get("result", False), bool):
        raise ExamRulesError(f"{where}.result", "is true or false")
    return OneRule(
        kind,
        row["exam"],
        row.get("other"),
        _minutes(f"{where}.minutes", row.get("minutes", 0)),
        _clock(f"{where}.until", row["until"]) if "until" in row else None,
        _spans(f"{where}.spans", row["spans"]) if "spans" in row else (),
        tuple(row.get("places", ())),
        row.get("result", False),
        row.get("ask"),
    )


def _fields(where: str, row: dict[str, Any]) -> Rule:
    kinds = [k.value for k in Rule]
    if row.get("kind") not in kinds:
        raise ExamRulesError(f"{where}.kind", f"is one of {', '.join(kinds)}")
    kind = Rule(row["kind"])
    needed, allowed = _FIELDS[kind]
    for name in sorted(needed - set(row)):
        raise ExamRulesError(f"{where}.{name}", "is missing")
    for name in sorted(set(row) - needed - allowed - {"kind", "exam"}):
        raise ExamRulesError(f"{where}.{name}", f"a rule of kind {kind} has no such field")
    return kind


def _codes(where: str, row: dict[str, Any], exams: set[str], departments: set[str]) -> None:
    for name in ("exam", "other"):
        if (name == "exam" or name in row) and (not isinstance(row.get(name), str) or row[name] not in exams):
            raise ExamRulesError(f"{where}.{name}", f"no order template has the code {row.get(name)!r}")
    if row.get("other") == row["exam"]:
        raise ExamRulesError(f"{where}.other", "is the exam itself")
    places = row.get("places", [])
    if not isinstance(places, list) or ("places" in row and not places):
        raise ExamRulesError(f"{where}.places", "is a list of department codes")
    for place in places:
        if place not in departments:
            raise ExamRulesError(f"{where}.places", f"no department has the code {place!r}")


def _minutes(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 24 * 60:
        raise ExamRulesError(where, "is a whole number of minutes, 0 to 1440")
    return value


def _clock(where: str, text: Any) -> int:
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ExamRulesError(where, "is a time of day such as 10:30")
    return int(found[1]) * 60 + int(found[2])


def _spans(where: str, rows: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(rows, list) or not rows:
        raise ExamRulesError(where, 'is a list of spans such as [["08:00", "11:30"]]')
    made: list[tuple[int, int]] = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 2:
            raise ExamRulesError(where, "each span has a beginning and an end")
        opens, closes = (_clock(where, text) for text in row)
        if opens >= closes or (made and opens <= made[-1][1]):
            raise ExamRulesError(where, "spans end after they begin, and follow each other")
        made.append((opens, closes))
    return tuple(made)


def _no_circle(rules: Sequence[OneRule]) -> None:
    """Each AFTER must be possible: nothing comes, through others, before itself."""
    before: dict[str, set[str]] = {}
    for rule in rules:
        if rule.kind is Rule.AFTER and rule.other:
            before.setdefault(rule.exam, set()).add(rule.other)
    for start in before:
        seen, ahead = {start}, list(before[start])
        while ahead:
            one = ahead.pop()
            if one == start:
                raise ExamRulesError("exam_rules.rules", f"{start} would have to come before itself")
            if one not in seen:
                seen.add(one)
                ahead.extend(before.get(one, ()))


def _no_contradiction(rules: Sequence[OneRule]) -> None:
    """An exam is not eaten for and fasted for at once, and what comes after another is not kept to another day."""
    fasting, meal = ({r.exam for r in rules if r.kind is kind} for kind in (Rule.FASTING, Rule.MEAL))
    if both := fasting & meal:
        raise ExamRulesError("exam_rules.rules", f"{min(both)} is both fasting and with a meal")
    apart = {frozenset((r.exam, r.other)) for r in rules if r.kind is Rule.APART}
    for rule in rules:
        if rule.kind is Rule.AFTER and rule.exam in fasting and rule.other in meal:
            raise ExamRulesError("exam_rules.rules", f"{rule.exam} is fasting, and comes after a meal")
        if rule.kind is Rule.AFTER and frozenset((rule.exam, rule.other)) in apart:
            raise ExamRulesError("exam_rules.rules", f"{rule.exam} comes after {rule.other}, and never on the same day")
