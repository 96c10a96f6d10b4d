"""One item of every type as it should look: what a hospital is shown beside an item we refuse."""

from collections.abc import Mapping
from typing import Any

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
