"""Events as a hospital's system would post them, and the plainest HTTP client that can post them."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from sandbox.his.wire import Key, signed_headers

Item = dict[str, Any]
SPLIT = {"fund_fen": 1400, "account_fen": 200, "self_fen": 400}


def _item(kind: str, number: int, subject: str, data: Item) -> Item:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "specversion": "1.0",
        "id": f"bench-{kind}-{number}",
        "source": "/hospital/HF01",
        "type": kind,
        "subject": subject,
        "time": now,
        "sequence": number,
        "data": data,
    }


def encounter(number: int) -> str:
    """The encounter of the n-th patient."""
    return f"B{number:05}"


def started(number: int) -> Item:
    """The n-th patient's encounter begins."""
    patient = {"no": f"P{number:05}", "name": "测试甲", "sex": "F", "birth_date": "1955-03-04"}
    data = {
        "patient": patient,
        "class": "AMB",
        "department": "CARD",
        "insurance": {"status": "normal", "scheme": "employee"},
        "started_at": datetime.now(UTC).isoformat(),
    }
    return _item("encounter.started", number + 1, encounter(number), data)


def placed(number: int) -> Item:
    """The n-th patient's one order."""
    data = {
        "order_no": f"O{number:05}",
        "kind": "lab",
        "name": "血常规",
        "department": "LAB",
        "ordered_by": "周医生",
        "ordered_at": datetime.now(UTC).isoformat(),
    }
    return _item("order.placed", 100_000 + number, encounter(number), data)


def charged(patient: int, number: int) -> Item:
    """A charge of the patient's order; its name holds the number, so that it can be found on the phone."""
    data = {
        "charge_no": f"C{number:07}",
        "order_no": f"O{patient:05}",
        "item_code": "L010",
        "name": f"血常规 N{number:07}Z",
        "quantity": 1,
        "unit_price_fen": 2000,
        "amount_fen": 2000,
        "insurance_class": "A",
        "split": SPLIT,
        "created_at": datetime.now(UTC).isoformat(),
    }
    return _item("charge.created", 1_000_000 + 2 * number, encounter(patient), data)


def confirmed(patient: int, number: int) -> Item:
    """The department has done what the charge stands for."""
    data = {
        "execution_no": f"X{number:07}",
        "charge_nos": [f"C{number:07}"],
        "department": "LAB",
        "by": "李护士",
        "at": datetime.now(UTC).isoformat(),
    }
    return _item("execution.confirmed", 1_000_001 + 2 * number, encounter(patient), data)


def packed(items: list[Item]) -> bytes:
    """The body of one post."""
    return json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode()


class Line:
    """One keep-alive connection that posts signed batches, one after the other."""

    def __init__(self, port: int, key: Key) -> None:
        self._port, self._key = port, key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, body: bytes) -> list[Item]:
        """Post one batch and return the answers per item.

        Raises:
            RuntimeError: another status than 200.
        """
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        signed = signed_headers(self._key, body, datetime.now(UTC))
        head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        start = f"POST /api/his/events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{start}{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(h[15:]) for h in answer.lower().split(b"\r\n") if h.startswith(b"content-length:"))
        content = await self._reader.readexactly(length)
        if b" 200 " not in answer[:20]:
            raise RuntimeError(f"{answer[:60]!r} {content[:300]!r}")
        items: list[Item] = json.loads(content)["items"]
        return items

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
