"""A process that is the hospital's system under way: posts signed events, at a given pace or as fast as it is answered.

Reads ``{"port", "key", "secret", "visits", "first", "size", "seconds"}`` and either ``rate`` (events a second, sent
whether or not the answers keep up) or ``lines`` (so many connections, each waits for its answer) from stdin; writes
``{"sent": [[number, nth time, seconds], …], "taken", "seconds", "late_ms"}`` to stdout.
"""

import asyncio
import gc
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks.wire import Item, Line, charged, confirmed, packed
from sandbox.his.wire import Key

Sent = list[tuple[int, int, float]]


class Sender:
    """What has been sent and how it was answered."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.key = Key(task["key"], task["secret"])
        self.sent: Sent = []
        self.said: Counter[str] = Counter()
        self.late = 0.0
        self.numbers = itertools.count(task["first"])

    def items(self, *, confirm: bool) -> Iterator[tuple[int, int, Item]]:
        """Charges for one patient after the other; with ``confirm`` each is confirmed, 200 events on."""
        open_ones: list[tuple[int, int]] = []
        for number in self.numbers:
            patient = number % self.task["visits"]
            yield number, 1, charged(patient, number)
            if confirm:
                open_ones.append((patient, number))
                if len(open_ones) > 100:
                    who, which = open_ones.pop(0)
                    yield which, 2, confirmed(who, which)

    async def post(self, line: Line, batch: list[tuple[int, int, Item]], due: float | None = None) -> None:
        """Post one batch; with ``due`` its events are noted as sent at that moment."""
        body = packed([item for _, _, item in batch])
        if due is not None:
            self.sent += [(number, nth, due) for number, nth, _ in batch]
        for answer in await line.post(body):
            self.said[answer["status"]] += 1

    async def paced(self) -> None:
        """``rate`` events a second, in posts of ``size``; waits for nobody."""
        size, pause = self.task["size"], self.task["size"] / self.task["rate"]
        source = self.items(confirm=True)
        free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for _ in range(64):
            free.put_nowait(Line(self.task["port"], self.key))
        began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        for turn in range(int(self.task["seconds"] / pause)):
            await asyncio.sleep(max(0.0, began + turn * pause - time.monotonic()))
            self.late = max(self.late, time.monotonic() - (began + turn * pause))
            batch = list(itertools.islice(source, size))
            # Where every line still waits for an answer, the wait for a free one is the house's, not ours.
            due = time.monotonic()
            line = await free.get()
            tasks.add(asyncio.create_task(self._one(line, batch, due, free)))
        await asyncio.gather(*tasks)

    async def _one(
        self, line: Line, batch: list[tuple[int, int, Item]], due: float, free: asyncio.LifoQueue[Line]
    ) -> None:
        await self.post(line, batch, due)
        free.put_nowait(line)

    async def pressed(self) -> None:
        """As fast as the answers come, over ``lines`` connections."""
        source = self.items(confirm=False)
        until = time.monotonic() + self.task["seconds"]

        async def hold(line: Line) -> None:
            while time.monotonic() < until:
                await self.post(line, list(itertools.islice(source, self.task["size"])))
            line.close()

        await asyncio.gather(*(hold(Line(self.task["port"], self.key)) for _ in range(self.task["lines"])))


async def _main(task: dict[str, Any]) -> None:
    gc.disable()
    sender = Sender(task)
    began = time.monotonic()
    await (sender.paced() if "rate" in task else sender.pressed())
    took = time.monotonic() - began
    answer = {
        "sent": sender.sent,
        "said": dict(sender.said),
        "seconds": took,
        "late_ms": sender.late * 1000,
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.stdin.readline())))
