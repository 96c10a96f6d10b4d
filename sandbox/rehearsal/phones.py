"""A patient's phone: logs in by text message, signs, follows her visit live, loses the network, gives things up."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox.his.generate import Guest
from sandbox.rehearsal.verdict import Json, plain

_STROKES = [
    [[20.0, 40.5, 0, 0.2], [60.3, 44.0, 40, 0.5], [110.0, 90.0, 90, 0.6]],
    [[120.0, 30.0, 300, 0.4], [122.0, 88.0, 380, 0.7], [180.0, 60.0, 450, 0.3]],
]
# Sentences in the answer, codes in the stream.
_SAID_DIFFERENTLY = frozenset({"preparation", "category"})


@dataclass(slots=True)
class Screen:
    """What a page of one visit shows: the answer it began with, and every row folded into it."""

    sums: Json
    visit: Json
    lines: dict[str, Json]
    steps: dict[str, Json]

    @classmethod
    def of(cls, bill: Json, steps: Json) -> "Screen":
        keep = ("state", "mode", "due_at", "ended_at")
        return cls(
            bill["sums"],
            plain({name: bill["visit"][name] for name in keep}),
            {line["id"]: plain(line) for line in bill["lines"]},
            {step["id"]: plain(step, _SAID_DIFFERENTLY) for step in steps["steps"]},
        )

    def fold(self, data: Json) -> None:
        """One more row."""
        if "sums" in data:
            self.sums = data["sums"]
        if "line" in data:
            self.lines[data["line"]["id"]] = plain(data["line"])
        if "step" in data:
            self.steps[data["step"]["id"]] = plain(data["step"], _SAID_DIFFERENTLY)
        if "visit" in data:
            self.visit = plain(data["visit"])

    def differences(self, other: "Screen") -> list[str]:
        """What differs, by name."""
        found = [name for name in ("sums", "visit") if getattr(self, name) != getattr(other, name)]
        for name in ("lines", "steps"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key in mine.keys() | theirs.keys():
                one, two = mine.get(key, {}), theirs.get(key, {})
                fields = {f: (one.get(f), two.get(f)) for f in one.keys() | two.keys() if one.get(f) != two.get(f)}
                if fields:
                    found.append(f"{name}/{key} {fields}")
        return found


@dataclass(slots=True)
class Following:
    """One visit on one phone. ``ids``: the positions of the rows that came, in order, since ``begin``."""

    visit: str
    screen: Screen
    begin: str
    ids: list[str] = field(default_factory=list)
    last: str | None = None
    task: "asyncio.Task[None] | None" = None


class Phone:
    """One patient's phone.

    Args:
        client: to Houfu, without limits; its base URL is Houfu's.
        texts: address of the text messages this phone receives.
    """

    def __init__(self, client: httpx.AsyncClient, texts: str, guest: Guest, rng: random.Random) -> None:
        self.client, self.texts, self.guest, self.rng = client, texts, guest, rng
        self.person = self.hospital = ""
        self.headers: dict[str, str] = {}
        self.signed = False
        self.following: dict[str, Following] = {}
        self.delays: list[float] = []
        self.reloads = 0

    async def log_in(self) -> None:
        """By the code of a text message, as everybody does the first time."""
        number = self.guest.patient.phone
        (await self.client.post("/api/session/code", json={"phone": number})).raise_for_status()
        kept = (await self.client.get(self.texts, params={"phone": number})).json()
        answer = await self.client.post("/api/session", json={"phone": number, "code": kept[-1]["params"][0]})
        step = answer.raise_for_status().json()
        if step["state"] != "in":
            raise RuntimeError(f"{self.guest}: logging in ended in {step['state']}")
        self.headers = {"Authorization": f"Bearer {step['token']}"}
        self.person = (await self.get("/api/session"))["id"]

    async def get(self, path: str, **query: str) -> Any:
        """What Houfu answers."""
        return (await self.client.get(path, params=query, headers=self.headers)).raise_for_status().json()

    async def post(self, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
        """Ask Houfu to do something."""
        return await self.client.post(path, json=body, headers={**self.headers, **headers})

    async def sign(self, hospital: str) -> bool:
        """Read the letter as long as the server wants, and sign; whether it stands now."""
        opened = await self.post("/api/consent/readings", {"hospital_id": hospital, "patient_id": self.person})
        if opened.status_code != 201:
            return False
        reading = opened.json()
        path = f"/api/consent/readings/{reading['reading_id']}"
        await asyncio.sleep(reading["seconds_left"] + 0.05)
        pen = await self.post(f"{path}/pen")
        if pen.status_code == 425:
            await asyncio.sleep(1)
            pen = await self.post(f"{path}/pen")
        body = {"nonce": pen.raise_for_status().json()["nonce"], "strokes": _STROKES, "box": [320, 160]}
        self.signed = (await self.post(f"{path}/sign", body)).status_code == 201
        return self.signed

    # -- following

    async def look(self) -> None:
        """Open a page on every visit that has begun."""
        for visit in await self.get("/api/visits"):
            self.hospital = visit["hospital_id"]
            if visit["id"] not in self.following:
                bill, steps = await self.page(visit["id"])
                watched = Following(visit["id"], Screen.of(bill, steps), bill["after"], last=bill["after"])
                self.following[visit["id"]] = watched
                watched.task = asyncio.create_task(self._follow(watched))

    async def page(self, visit: str) -> tuple[Json, Json]:
        """The bill, whose position counts, and after it the steps: the stream may say again what they show already."""
        return await self.get(f"/api/visits/{visit}"), await self.get(f"/api/visits/{visit}/steps")

    async def _follow(self, watched: Following) -> None:
        while True:
            patience = self.rng.choice((0.4, 2.0, 30.0))  # then the lift, the cellar, the other app
            try:
                async with asyncio.timeout(patience):
                    await self._listen(watched)
            except (TimeoutError, httpx.HTTPError):
                pass
            await asyncio.sleep(self.rng.uniform(0.0, 0.5))

    async def _listen(self, watched: Following) -> None:
        since = datetime.now(UTC)
        async with self._stream(watched.visit, watched.last) as rows:
            async for identity, kind, data in rows:
                if kind == "reload":
                    self.reloads += 1
                    bill, steps = await self.page(watched.visit)
                    watched.screen, watched.last = Screen.of(bill, steps), bill["after"]
                    return
                row = json.loads(data)
                said = datetime.fromisoformat(row["at"])
                if said > since:
                    self.delays.append((datetime.now(UTC) - said).total_seconds() * 1000)
                watched.ids.append(identity)
                watched.last = identity
                watched.screen.fold(row["data"])

    @asynccontextmanager
    async def _stream(self, visit: str, after: str | None) -> AsyncIterator[AsyncIterator[tuple[str, str, str]]]:
        headers = self.headers | ({"Last-Event-ID": after} if after else {})
        path = f"/api/visits/{visit}/stream"
        async with self.client.stream("GET", path, headers=headers, timeout=httpx.Timeout(10, read=None)) as answer:
            answer.raise_for_status()
            yield _messages(answer.aiter_lines())

    async def replay(self, watched: Following, quiet: float = 1.0) -> list[str]:
        """Every row since the phone's first page, asked for anew on one stream: what it should have seen."""
        ids: list[str] = []
        async with self._stream(watched.visit, watched.begin) as rows:
            while True:
                try:
                    async with asyncio.timeout(quiet):
                        identity, kind, _ = await anext(rows)
                except (TimeoutError, StopAsyncIteration):
                    return ids
                if kind != "reload":
                    ids.append(identity)

    async def hang_up(self) -> None:
        """Close all pages."""
        tasks = [w.task for w in self.following.values() if w.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- doing

    async def give_up_something(self) -> bool:
        """Abandon an order that is still open on the screen; whether Houfu took it."""
        for watched in self.following.values():
            lines = [line for line in watched.screen.lines.values() if line["can_abandon"] and line["order_id"]]
            if lines:
                order = self.rng.choice(lines)["order_id"]
                answer = await self.post(f"/api/visits/{watched.visit}/orders/{order}/abandon")
                return answer.status_code == 204
        return False


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str, str]]:
    identity, kind, data = "", "message", list[str]()
    async for line in lines:
        if line.startswith("id:"):
            identity = line[3:].strip()
        elif line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line:
            if data and (identity or kind == "reload"):
                yield identity, kind, "\n".join(data)
            identity, kind, data = "", "message", []
