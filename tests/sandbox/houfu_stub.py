"""A tiny Houfu for tests of the HIS: the receiving half of docs/his.md, with faults, and the smallest possible reducer.

The reducer only answers one question, by which the books' own answer is checked: which charges are payable.
"""

import asyncio
import hashlib
import hmac
import json
from typing import Any

Json = dict[str, Any]
SECRET = "inbound-secret"


class HoufuStub:
    """ASGI app. ``faults`` is a list of what to do with the next batches: an HTTP status, ``"drop"`` (take, answer
    500), ``"slow"`` (take, answer after a second), ``"garbage"``, ``"short"`` (answer one item too few)."""

    def __init__(self) -> None:
        self.faults: list[int | str] = []
        self.batches: list[list[Json]] = []
        self.statuses: list[int] = []
        self.items: dict[str, Json] = {}
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.bodies.append(body)
        status, answer = await self._answer(scope["path"], headers, body)
        self.statuses.append(status)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        assert path == "/api/his/events"
        mac = hmac.new(SECRET.encode(), headers["x-houfu-timestamp"].encode() + b"." + body, hashlib.sha256)
        if headers["x-houfu-key"] != "in-1" or headers["x-houfu-signature"] != mac.hexdigest():
            return 401, b"{}"
        fault = self.faults.pop(0) if self.faults else 200
        if isinstance(fault, int) and fault != 200:
            return fault, b"{}"
        batch = json.loads(body)
        self.batches.append(batch)
        answers = [self._take(item) for item in batch]
        match fault:
            case "drop":
                return 500, b"{}"
            case "slow":
                await asyncio.sleep(2.5)
            case "garbage":
                return 200, b"<html>"
            case "short":
                answers.pop()
        return 200, json.dumps({"items": answers}).encode()

    def _take(self, item: Json) -> Json:
        if item["id"].startswith("bad-"):
            return {"id": item["id"], "status": "rejected", "reason": "bad", "example": {}}
        status = "duplicate" if item["id"] in self.items else "accepted"
        self.items.setdefault(item["id"], item)
        return {"id": item["id"], "status": status}


def payable(items: list[Json]) -> dict[str, int]:
    """Charge number → amount of what these items say is done, not reversed, not paid at the window, not excluded.

    Needs no order and bears any repetition: each fact is a set.
    """
    facts = [f for item in items for f in _facts(item)]
    of = {kind: [(s, d) for k, s, d in facts if k == kind] for kind, _, _ in facts}
    charges = {d["charge_no"]: (subject, d) for subject, d in of.get("charge.created", [])}
    done = {no for _, d in of.get("execution.confirmed", []) for no in d.get("charge_nos", [])}
    whole = {d.get("order_no") for _, d in of.get("execution.confirmed", []) if "charge_nos" not in d}
    gone = {d["charge_no"] for kind in ("charge.reversed", "charge.settled") for _, d in of.get(kind, [])}
    shut = {d.get("charge_no") or subject for subject, d in of.get("visit.excluded", [])}
    return {
        no: d["amount_fen"]
        for no, (subject, d) in charges.items()
        if (no in done or d.get("order_no") in whole) and no not in gone and not {no, subject} & shut
    }


def _facts(item: Json) -> list[tuple[str, str, Json]]:
    subject, data = item["subject"], item["data"]
    if item["type"] != "visit.snapshot":
        return [(item["type"], subject, data)]
    found = [("charge.created", subject, c) for c in data["charges"]]
    found += [("charge.reversed", subject, c) for c in data["charges"] if "reversed_at" in c]
    found += [("charge.settled", subject, c) for c in data["charges"] if "settled" in c]
    return found + [("execution.confirmed", subject, e) for e in data["executions"]]
