"""Says what happened in the hospital to Houfu: signed batches, the same batch again until it is answered.

Follows ``docs/his.md``, "Events in". What is not answered stays in the books' outbox, so nothing is forgotten over a
restart; after a restart a new batch may be cut differently, which the contract allows (what was taken answers
``duplicate``).
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import httpx

from sandbox.his import wire
from sandbox.his.behave import Behaviour
from sandbox.his.books import Books
from sandbox.his.noise import SPOILT, Noise
from sandbox.his.wire import Json, Key

Said = Literal["nothing", "taken", "again", "refused"]
_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0)
_STATUSES = {"accepted", "duplicate", "parked", "rejected"}


@dataclass(slots=True)
class _Batch:
    items: list[Json]
    body: bytes


class StuckError(Exception):
    """The outbox would not empty within the tries allowed."""


class Sender:
    """Posts the outbox to one Houfu.

    Args:
        client: an open httpx client; the caller closes it.
        url: Houfu's base URL, without ``/api/his/events``.
        key: the inbound key Houfu gave this hospital.
        size: items per batch, 1 to 500.
        timeout: seconds to wait for an answer.
        signing_now: the clock of the signatures; the books' clock by default.
    """

    def __init__(
        self,
        books: Books,
        client: httpx.AsyncClient,
        url: str,
        key: Key,
        *,
        behaviour: Behaviour | None = None,
        noise: Noise | None = None,
        size: int = 100,
        timeout: float = 10.0,
        signing_now: wire.Now | None = None,
    ) -> None:
        self.books, self.key, self.noise, self.size = books, key, noise, size
        self.behaviour = behaviour or Behaviour()
        self._client, self._timeout = client, timeout
        self._signing_now = signing_now or books.now
        self._url = url.rstrip("/") + "/api/his/events"
        self._batch: _Batch | None = None
        self._news = asyncio.Event()
        books.changed = self._news.set

    async def once(self) -> Said:
        """Send one batch (the unanswered one first).

        Returns: ``nothing`` waits; ``taken`` answered item by item; ``again`` unknown, the same batch stays;
        ``refused`` by signature, size or form, nothing taken (too big or malformed: half of it is tried next).
        """
        batch = self._batch or self._cut()
        if batch is None:
            return "nothing"
        self._batch = batch
        try:
            answer = await self._client.post(
                self._url, content=batch.body, headers=self._headers(batch.body), timeout=self._timeout
            )
        except httpx.HTTPError:
            return "again"
        if answer.status_code == 200:
            return self._answered(batch, answer)
        if answer.status_code in (401, 413, 422):
            self._turned_away(batch, answer.status_code)
            return "refused"
        return "again"

    def _headers(self, body: bytes) -> dict[str, str]:
        key, now = self.key, self._signing_now()
        if self.behaviour.take("bad_signature"):
            key = Key(key.id, key.secret + "x")
        if self.behaviour.take("stale"):
            now -= timedelta(minutes=10)
        return wire.signed_headers(key, body, now) | {"Content-Type": "application/json"}

    def _cut(self) -> _Batch | None:
        if self.behaviour.take("hold"):
            return None
        if self.behaviour.take("lose"):
            self.books.lose([i["id"] for i in self.books.pending(self.size)])
        items = self.noise.batch(self.books, self.size) if self.noise else self.books.pending(self.size)
        if items and self.behaviour.take("old_events"):
            items = [self._old(items[0]), *items]
        if items and self.behaviour.take("bad_items"):
            items = _spoil(items)
        return self._packed(items[:500]) if items else None

    @staticmethod
    def _packed(items: list[Json]) -> _Batch:
        return _Batch(items, json.dumps(items, ensure_ascii=False).encode())

    def _old(self, item: Json) -> Json:
        """The start of this item's visit, said too late: a doctor since replaced, the first sequence and time."""
        enc = self.books.encounters.get(item["subject"])
        if enc is None:  # of a booking there is nothing older
            return item
        return item | {
            "id": self.books.number("old-"),
            "type": "encounter.started",
            "sequence": 1,
            "time": enc.started["started_at"],
            "data": enc.started | {"doctor": "（已换）" + enc.started.get("doctor", "")},
        }

    def _answered(self, batch: _Batch, answer: httpx.Response) -> Said:
        said = _item_answers(answer, [i["id"] for i in batch.items])
        if said is None:
            self.books.complaints.append("200 from /api/his/events without one answer per item, in order")
            return "again"
        self._batch = None
        self.books.acknowledge([i["id"] for i in batch.items], said)
        if self.behaviour.take("repeat"):
            for item in batch.items:
                self.books.noise(item)
        if self.noise is not None:
            self.noise.after(self.books, batch.items)
        return "taken"

    def _turned_away(self, batch: _Batch, status: int) -> None:
        if status == 401:
            return
        if len(batch.items) > 1:
            self._batch = self._packed(batch.items[: len(batch.items) // 2])
            return
        self._batch = None
        only = batch.items[0]
        self.books.complaints.append(f"{status} for {only['type']} {only['id']} alone")
        self.books.acknowledge([only["id"]], [{"id": only["id"], "status": "rejected", "reason": f"http {status}"}])

    async def drain(self, tries: int = 200, pause: float = 0.0) -> int:
        """Send until nothing waits and return the number of batches taken.

        Raises:
            StuckError: after ``tries`` failures in a row something still waits.
        """
        taken = failed = 0
        while (said := await self.once()) != "nothing":
            if said == "taken":
                taken, failed = taken + 1, 0
                continue
            failed += 1
            if failed >= tries:
                raise StuckError(f"{len(self.books.outbox)} items wait, last outcome {said}")
            await asyncio.sleep(pause)
        return taken

    async def run(self) -> None:
        """Send for ever, at once when something happens, with growing pauses while Houfu does not answer."""
        failed = 0
        while True:
            self._news.clear()
            said = await self.once()
            if said == "taken":
                failed = 0
            elif said == "nothing":
                await self._wait(1.0)
            else:
                await asyncio.sleep(_PAUSES[min(failed, len(_PAUSES) - 1)])
                failed += 1

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


def _item_answers(answer: httpx.Response, ids: list[str]) -> list[Json] | None:
    try:
        items = answer.json()["items"]
        if [i["id"] for i in items] == ids and all(i["status"] in _STATUSES for i in items):
            return list(items)
    except (ValueError, KeyError, TypeError):
        return None
    return None


def _spoil(items: list[Json]) -> list[Json]:
    """Three items no hospital should say, each beside good neighbours: a broken sum, an unknown type, a bad time."""
    first = items[0]
    broken: Json = {
        "charge_no": "C-bad",
        "item_code": "L010",
        "name": "血常规",
        "quantity": 1,
        "unit_price_fen": 2000,
        "amount_fen": 2000,
        "split": {"fund_fen": 1400, "account_fen": 0, "self_fen": 599},
        "created_at": first["time"],
    }
    bad = [
        first | {"id": f"{SPOILT}sum-{first['id']}", "type": "charge.created", "data": broken},
        first | {"id": f"{SPOILT}type-{first['id']}", "type": "charge.imagined"},
        first | {"id": f"{SPOILT}time-{first['id']}", "time": "2026-11-22 09:31"},
    ]
    return [bad[0], *items[:1], bad[1], *items[1:], bad[2]]
