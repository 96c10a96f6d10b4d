"""One open stream or line of an assembled house, without a server: what it says, and that it ends."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from api.deps import COOKIE
from api.world import World
from houfu.app import create_app


@asynccontextmanager
async def hear(world: World, token: str, path: str, query: str = "") -> AsyncIterator[list[bytes]]:
    """What came on it, the last item empty when it has ended."""
    heard: list[bytes] = []
    gone, begun = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            return
        begun.set()
        if message["body"] != b":\n\n" and not message["body"].startswith(b"retry"):
            heard.append(message["body"])

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": b"", "root_path": "", "scheme": "https", "query_string": query.encode(), "client": ("h", 1),
        "server": ("houfu.test", 443), "headers": [(b"cookie", f"{COOKIE}={token}".encode())],
    }  # fmt: skip
    task = asyncio.create_task(create_app(world)(scope, receive, send))
    await asyncio.wait_for(begun.wait(), 10)
    yield heard
    gone.set()
    await task


async def soon(heard: list[bytes], word: str, seconds: float = 1.0) -> str:
    """What was heard, once it holds this word; within a second."""
    async with asyncio.timeout(seconds):
        while word.encode() not in b"".join(heard):
            await asyncio.sleep(0.005)
    return b"".join(heard).decode()
