"""A process of a thousand phones: each holds its own page's stream open and notes when a line reached it.

Reads ``{"port", "streams": [[visit, session], …]}`` from stdin, says ``ready`` when all streams are open, and at the
end of its stdin writes ``[[number, nth time, seconds], …]`` to stdout. Seconds are of the machine's monotonic clock,
which all processes share.
"""

import asyncio
import gc
import json
import re
import sys
import time
from collections import defaultdict
from typing import Any

from api.deps import COOKIE

_NUMBER = re.compile(rb"N(\d{7})Z")


class Phone(asyncio.Protocol):
    """One stream."""

    def __init__(self, request: bytes, seen: list[tuple[int, int, float]], opened: asyncio.Event) -> None:
        self._request, self._seen, self._opened = request, seen, opened
        self._text = b""
        self._times: dict[int, int] = defaultdict(int)
        self.bad: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note the numbers of every whole message."""
        now = time.monotonic()
        if not self._opened.is_set():
            self._opened.set()
            if b" 200 " not in data[:20]:
                self.bad = data[:200]
        *whole, self._text = (self._text + data).split(b"\n\n")
        for message in whole:
            for number in {int(n) for n in _NUMBER.findall(message)}:
                self._times[number] += 1
                self._seen.append((number, self._times[number], now))

    def connection_lost(self, error: Exception | None) -> None:
        """A stream must not end by itself while we measure."""
        self._opened.set()


async def _main(task: dict[str, Any]) -> None:
    gc.disable()  # one phone does not stand still because another keeps notes
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, int, float]] = []
    phones: list[Phone] = []
    for start in range(0, len(task["streams"]), 50):
        waits = []
        for visit, session in task["streams"][start : start + 50]:
            path = f"/api/visits/{visit}/stream?format=html&page=bill"
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{task['port']}\r\nCookie: {COOKIE}={session}\r\n"
            opened = asyncio.Event()
            phone = Phone(f"{head}Accept: text/event-stream\r\n\r\n".encode(), seen, opened)
            await loop.create_connection(lambda phone=phone: phone, "127.0.0.1", task["port"])  # type: ignore[misc]
            phones.append(phone)
            waits.append(opened.wait())
        await asyncio.gather(*waits)
    bad = [p.bad for p in phones if p.bad]
    print("ready" if not bad else f"bad {bad[0]!r}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.stdin.readline())))
