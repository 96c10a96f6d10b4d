"""The rules a hospital has signed: kept version by version, read whole, parsed once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from guide.models import ExamRulesVersion
from guide.order.rules import ExamRules, ExamRulesError, parse
from guide.order.today import Book, Exam
from kernel.db import Tx
from kernel.ids import derive
from people.service.hospitals import Hospital, HospitalFileError

__all__ = ["book_of", "keep"]

_PARSED: dict[UUID, Book] = {}  # a version never changes
_MOST_PARSED = 200
_MEMO = "guide.book"


async def keep(tx: Tx, hospital: Hospital, document: Mapping[str, Any]) -> int | None:
    """Keep the ``exam_rules`` of a hospital's file as its next version; the same ones again make none.

    Args:
        document: the whole file, which ``hospitals.load`` has taken.

    Returns:
        The version that holds now; None where the file has no rules (what was signed before goes on holding).

    Raises:
        HospitalFileError: the first wrong rule, named.
    """
    signed = document.get("exam_rules")
    if signed is None:
        return None
    whole = {
        "exam_rules": signed,
        "exams": [
            {name: one.get(name) for name in ("code", "name", "department", "minutes", "report_minutes")}
            for one in document.get("order_templates", ())
        ],
        "departments": [
            {name: one[name] for name in ("code", "building", "floor")} for one in document.get("departments", ())
        ],
    }
    try:
        rules = _rules(whole)
    except ExamRulesError as wrong:
        raise HospitalFileError(wrong.where, wrong.why) from None
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    last = await _latest(tx, hospital.id)
    if last is not None and last.digest == digest:
        return last.version
    version = last.version + 1 if last else 1
    tx.add(
        ExamRulesVersion(
            id=derive(hospital.id, "exam rules", str(version)),
            hospital_id=hospital.id,
            version=version,
            document=whole,
            digest=digest,
            signed_by=rules.signed_by,
            signed_at=rules.signed_at,
            loaded_at=tx.now,
        )
    )
    await tx.session.flush()
    return version


async def book_of(tx: Tx, hospital_id: UUID) -> Book:
    """The rules that hold now; an empty book where none were signed."""
    memo = (_MEMO, hospital_id)
    if memo not in tx.memo:
        query = select(func.max(ExamRulesVersion.version)).where(ExamRulesVersion.hospital_id == hospital_id)
        version = await tx.session.scalar(query)
        identity = derive(hospital_id, "exam rules", str(version))
        if version is None:
            tx.memo[memo] = Book()
        elif identity in _PARSED:
            tx.memo[memo] = _PARSED[identity]
        else:
            row = (await tx.session.scalars(select(ExamRulesVersion).where(ExamRulesVersion.id == identity))).one()
            if len(_PARSED) >= _MOST_PARSED:
                _PARSED.clear()
            tx.memo[memo] = _PARSED[identity] = _book(row.version, row.document)
    found: Book = tx.memo[memo]
    return found


async def _latest(tx: Tx, hospital_id: UUID) -> ExamRulesVersion | None:
    query = (
        select(ExamRulesVersion)
        .where(ExamRulesVersion.hospital_id == hospital_id)
        .order_by(ExamRulesVersion.version.desc())
        .limit(1)
    )
    return (await tx.session.scalars(query)).one_or_none()


def _rules(whole: Mapping[str, Any]) -> ExamRules:
    return parse(whole["exam_rules"], [e["code"] for e in whole["exams"]], [d["code"] for d in whole["departments"]])


def _book(version: int, whole: Mapping[str, Any]) -> Book:
    exams = [
        Exam(e["code"], e["name"], e["department"], float(e["minutes"]), e["report_minutes"])
        for e in whole["exams"]
        if e["department"]
    ]
    at = {d["code"]: (d["building"], d["floor"]) for d in whole["departments"]}
    return Book(version, _rules(whole), exams, at)
