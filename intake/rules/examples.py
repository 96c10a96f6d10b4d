"""What a hospital is shown beside an item we refuse: its own, mended, or one of its type as it should look."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_ROUNDS = 8  # a mended place may show the next fault behind it

_EXAMPLE_DATA: Mapping[str, dict[str, Any]] = {
    "encounter.started": {
        "patient": {"no": "P1", "name": "某某", "sex": "F"},
        "class": "AMB",
        "department": "CARD",
        "insurance": {"status": "normal"},
        "started_at": "2026-11-22T09:00:00+08:00",
    },
    "encounter.finished": {"finished_at": "2026-11-22T11:00:00+08:00"},
    "order.placed": {
        "order_no": "O1",
        "kind": "lab",
        "name": "血常规",
        "department": "LAB",
        "ordered_at": "2026-11-22T09:10:00+08:00",
    },
    "order.cancelled": {"order_no": "O1", "at": "2026-11-22T09:20:00+08:00"},
    "charge.created": {
        "charge_no": "C1",
        "order_no": "O1",
        "item_code": "250101015",
        "name": "血常规",
        "quantity": 1,
        "unit_price_fen": 2000,
        "amount_fen": 2000,
        "split": {"fund_fen": 1200, "account_fen": 0, "self_fen": 800},
        "created_at": "2026-11-22T09:10:00+08:00",
    },
    "booking.changed": {
        "change": "stopped",
        "reason": "停诊",
        "at": "2026-11-22T07:30:00+08:00",
    },
    "charge.reversed": {"charge_no": "C1", "at": "2026-11-22T09:30:00+08:00"},
    "charge.settled": {
        "charge_no": "C1",
        "amount_fen": 800,
        "where": "1号窗口",
        "reference": "S1",
        "at": "2026-11-22T09:30:00+08:00",
    },
    "execution.confirmed": {
        "execution_no": "X1",
        "order_no": "O1",
        "department": "LAB",
        "at": "2026-11-22T09:31:00+08:00",
    },
    "result.ready": {
        "order_no": "O1",
        "report_no": "R1",
        "status": "final",
        "flag": "normal",
        "at": "2026-11-22T10:15:00+08:00",
    },
    "queue.moved": {"order_no": "O1", "ahead": 3, "called": False, "at": "2026-11-22T09:25:00+08:00"},
    "visit.excluded": {"reason": "THIRD_PARTY_LIABILITY", "at": "2026-11-22T10:00:00+08:00"},
}


def example(kind: str | None) -> dict[str, Any]:
    """An item of this type that would be accepted."""
    kind = kind or "charge.created"
    if kind == "visit.snapshot":
        data: dict[str, Any] = {
            "as_of": "2026-11-22T10:00:00+08:00",
            "encounter": _EXAMPLE_DATA["encounter.started"],
            "orders": [_EXAMPLE_DATA["order.placed"]],
            "charges": [_EXAMPLE_DATA["charge.created"]],
            "executions": [_EXAMPLE_DATA["execution.confirmed"]],
            "results": [],
        }
    else:
        data = _EXAMPLE_DATA[kind]
    return {
        "specversion": "1.0",
        "id": "e-1001",
        "source": "/hospital/HF01",
        "type": kind,
        "subject": "7f0c4a52a6f65e7d8c9b0a1b2c3d4e66" if kind == "booking.changed" else "E20261122001",
        "time": "2026-11-22T09:31:05+08:00",
        "sequence": 12,
        "data": data,
    }


def corrected(
    raw: object, kind: str | None, hull: type[BaseModel], types: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """The refused item itself with only what is wrong replaced; where that does not help, the example of its type.

    Args:
        hull: what every item is made of.
        types: what ``data`` is made of, by type.
    """
    good = example(kind)
    if not isinstance(raw, dict):
        return good
    item: dict[str, Any] = json.loads(json.dumps(raw))
    for _ in range(_ROUNDS):
        faults = _faults(item, hull, types)
        if not faults:
            return item
        if not all(_mend(item, good, loc, rule) for loc, rule in faults):
            break
    return good


Place = tuple[int | str, ...]


def _faults(
    item: Mapping[str, Any], hull: type[BaseModel], types: Mapping[str, type[BaseModel]]
) -> list[tuple[Place, str]]:
    """Where it is wrong, and which rule it breaks."""
    try:
        hull.model_validate(item)
    except ValidationError as wrong:
        return [(e["loc"], e["type"]) for e in wrong.errors()]
    if item["type"] not in types:
        return [(("type",), "unknown")]
    try:
        types[item["type"]].model_validate(item["data"])
    except ValidationError as wrong:
        return [(("data", *e["loc"]), e["type"]) for e in wrong.errors()]
    return []


def _mend(item: Any, good: Any, loc: Place, rule: str) -> bool:
    """Put the example's value in the wrong place, or leave out what need not be there; False where neither is known."""
    *way, last = loc
    for step in way:
        item = item[step] if isinstance(item, dict) and step in item else None
        good = good[step] if isinstance(good, dict) and step in good else None
    if not isinstance(item, dict) or (last == "data" and "data" in item):
        return False  # within a list, or the parts contradict each other
    if rule != "extra_forbidden" and isinstance(good, dict) and last in good:
        item[last] = good[last]
    elif last in item:
        del item[last]
    else:
        return False
    return True
