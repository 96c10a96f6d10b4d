"""A phone: logs in by text message, signs, follows a visit live, loses the network, gives things up, lets family in."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from sandbox.his.catalogue import PatientCard
from sandbox.rehearsal.verdict import Json, plain

_STROKES = [
    [[20.0, 40.5, 0, 0.2], [60.3, 44.0, 40, 0.5], [110.0, 90.0, 90, 0.6]],
    [[120.0, 30.0, 300, 0.4], [122.0, 88.0, 380, 0.7], [180.0, 60.0, 450, 0.3]],
]
# Sentences in the answer, codes in the stream; and the order advised, which the page says as it is asked for.
_SAID_DIFFERENTLY = frozenset({"preparation", "category", "planned", "because"})


Sees = Literal["all", "bill", "steps", "total", "results"]
"""What a phone was let see of a visit: the patient's side all, a relative the bill (and pays), the steps, what is owed
(and pays), or everything down to the results without paying."""


@dataclass(slots=True)
class Screen:
    """What a page of one visit shows: the answer it began with, and every row folded into it.

    ``pushed``: what stands there because a row said so, not because the page was asked for.
    """

    sums: Json
    visit: Json
    lines: dict[str, Json]
    steps: dict[str, Json]
    pushed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, bill: Json | None, steps: Json | None) -> "Screen":
        keep = ("state", "mode", "due_at", "ended_at")
        return cls(
            bill["sums"] if bill else {},
            plain({name: bill["visit"][name] for name in keep}) if bill else {},
            {line["id"]: plain(line) for line in bill["lines"]} if bill else {},
            {step["id"]: plain(step, _SAID_DIFFERENTLY) for step in steps["steps"]} if steps else {},
        )

    def fold(self, data: Json) -> bool:
        """One more row; whether it said anything new (a step may be said again that the page showed already)."""
        before = (self.sums, self.visit, dict(self.lines))
        if "sums" in data:
            self.sums = data["sums"]
        if "line" in data:
            self.lines[data["line"]["id"]] = plain(data["line"])
            self.pushed.add(data["line"]["id"])
        if "step" in data:
            self.steps[data["step"]["id"]] = plain(data["step"], _SAID_DIFFERENTLY)
            self.pushed.add(data["step"]["id"])
        if "visit" in data:
            self.visit = plain(data["visit"])
            self.pushed.add("visit")
        return "line" not in data or before != (self.sums, self.visit, self.lines)

    def differences(self, other: "Screen") -> list[str]:
        """What differs, by name."""
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in ("sums", "visit")]
        found = [f"{name} {mine} {theirs}" for name, mine, theirs in pairs if mine != theirs]
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
    """One visit on one phone.

    ``ids``: the positions of the rows that came, in order, since ``begin``; ``raw``: what they said, unread;
    ``again``: moments of which nothing that was said was new, each with a row; ``news``: the other moments.
    ``shut``: the visit is no longer this phone's to see.
    """

    visit: str
    sees: Sees
    screen: Screen
    begin: str
    ids: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    news: set[str] = field(default_factory=set)
    again: dict[str, str] = field(default_factory=dict)
    last: str | None = None
    shut: bool = False
    task: "asyncio.Task[None] | None" = None

    def weigh(self, at: str, data: str, *, new: bool) -> None:
        """Whether what happened at this moment said anything new; one row of several that came of it is enough."""
        if new:
            self.news.add(at)
            self.again.pop(at, None)
        elif at not in self.news:
            self.again[at] = data


class Shut(Exception):
    """The visit does not exist for this phone, or no longer."""


class Phone:
    """One person's phone.

    Args:
        client: to Houfu, without limits; its base URL is Houfu's.
        texts: address of the text messages this phone receives.
        card: whose it is; name, identity number and phone.
    """

    def __init__(self, client: httpx.AsyncClient, texts: str, card: PatientCard, rng: random.Random) -> None:
        self.client, self.texts, self.card, self.rng = client, texts, card, rng
        self.person = self.hospital = ""
        self.openid = ""  # its owner's WeChat, where it is linked
        self.patient = ""  # for whom this phone acts, when that is somebody else
        self.sees: Sees = "all"  # of the visits of whom it acts for
        self.signs_as: Json = {"relation": "parent", "reason": "minor"}  # where it signs for somebody else
        self.headers: dict[str, str] = {}
        self.signed = False
        self.following: dict[str, Following] = {}
        self.delays: list[float] = []
        self.reloads = 0
        self.patience: tuple[float, ...] = (0.4, 2.0, 30.0)  # seconds until the lift, the cellar, the other app
        self.wrong: list[str] = []  # what this phone was answered that it must not be

    async def log_in(self, ticket: str = "") -> None:
        """By the code of a text message, as everybody does the first time; who is not known yet says who it is.

        Args:
            ticket: of WeChat's login, which is linked to this person then.
        """
        number = self.card.phone
        await self._ask_code(number)
        kept = (await self.client.get(self.texts, params={"phone": number})).raise_for_status().json()
        sent = [text["params"][0] for text in kept if re.fullmatch(r"\d{6}", text["params"][0])]  # others are reminders
        proof = {"phone": number, "code": sent[-1]} | ({"ticket": ticket} if ticket else {})
        answer = await self.client.post("/api/session", json=proof)
        step = answer.raise_for_status().json()
        if step["state"] == "enrol":
            said = {"ticket": step["ticket"], "name": self.card.name, "id_number": self.card.id_number}
            step = (await self.client.post("/api/session/enrol", json=said)).raise_for_status().json()
        if step["state"] != "in":
            raise RuntimeError(f"{self.card.name}: logging in ended in {step['state']}")
        self.headers = {"Authorization": f"Bearer {step['token']}"}
        self.person = (await self.get("/api/session"))["id"]

    async def _ask_code(self, number: str | None) -> None:
        """Press again when the text message could not be sent, as the page says."""
        for _ in range(4):
            answer = await self.client.post("/api/session/code", json={"phone": number})
            if answer.status_code != 503:
                break
            await asyncio.sleep(self.rng.uniform(1, 2))
        answer.raise_for_status()

    async def get(self, path: str, **query: str) -> Any:
        """What Houfu answers."""
        return (await self.client.get(path, params=query, headers=self.headers)).raise_for_status().json()

    async def post(self, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
        """Ask Houfu to do something."""
        return await self.client.post(path, json=body, headers={**self.headers, **headers})

    async def sign(self, hospital: str, patient: str = "") -> bool:
        """Read the letter as long as the server wants, and sign, for oneself or a child; whether it stands now."""
        body = {"hospital_id": hospital, "patient_id": patient or self.person}
        opened = await self.post("/api/consent/readings", body)
        if opened.status_code != 201:
            return False
        reading = opened.json()
        path = f"/api/consent/readings/{reading['reading_id']}"
        await asyncio.sleep(reading["seconds_left"] + 0.05)
        pen = await self.post(f"{path}/pen")
        if pen.status_code == 425:
            await asyncio.sleep(1)
            pen = await self.post(f"{path}/pen")
        drawn: Json = {"nonce": pen.raise_for_status().json()["nonce"], "strokes": _STROKES, "box": [320, 160]}
        if patient:
            drawn |= self.signs_as
        self.signed = (await self.post(f"{path}/sign", drawn)).status_code == 201
        return self.signed

    # -- following

    async def look(self, patient: str = "", sees: Sees | None = None) -> None:
        """Open a page on every visit that has begun, one's own or a patient's who let this phone see that much."""
        for visit in await self.get("/api/visits", **({"patient": patient} if patient else {})):
            self.hospital = visit["hospital_id"]
            if visit["id"] not in self.following:
                await self._open(visit["id"], sees or self.sees)

    async def _open(self, visit: str, sees: Sees) -> None:
        try:
            bill, steps = await self.page(visit, sees)
        except Shut:
            return
        begin = (bill or steps or {})["after"]
        watched = Following(visit, sees, Screen.of(bill, steps), begin, last=begin)
        self.following[visit] = watched
        watched.task = asyncio.create_task(self._follow(watched))

    async def page(self, visit: str, sees: Sees = "all") -> tuple[Json | None, Json | None]:
        """The bill, whose position counts, and after it the steps: the stream may say again what they show already.

        What this phone was not let see is asked for all the same, and must be refused.

        Raises:
            Shut: the visit does not exist for this phone.
        """
        bill = await self._part(f"/api/visits/{visit}", "" if sees == "steps" else "must")
        # Who pays is told what is owed until it is paid, but the steps of an ended visit are shut.
        wanted = {"all": "must", "bill": "may", "steps": "must", "total": "", "results": "must"}[sees]
        return bill, await self._part(f"/api/visits/{visit}/steps", wanted)

    async def _part(self, path: str, mine: str) -> Json | None:
        answer = await self.client.get(path, headers=self.headers)
        if answer.status_code == 404:
            raise Shut
        if answer.status_code == 403:
            if mine == "must":
                raise Shut
            return None
        found: Json = answer.raise_for_status().json()
        if not mine:
            self.wrong.append(f"{path} was answered: {str(found)[:200]}")
            return None
        return found

    async def _follow(self, watched: Following) -> None:
        while not watched.shut:
            patience = self.rng.choice(self.patience)
            try:
                async with asyncio.timeout(patience):
                    await self._listen(watched)
            except (TimeoutError, httpx.TransportError):
                pass
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 503:  # its database is away; it says to come again
                    raise
            except Shut:
                watched.shut = True
            await asyncio.sleep(self.rng.uniform(0.0, 0.5) if patience < 60 else 0.0)

    async def _listen(self, watched: Following) -> None:
        since = datetime.now(UTC)
        async with self._stream(watched.visit, watched.last) as rows:
            async for identity, kind, data in rows:
                if kind == "reload":
                    self.reloads += 1
                    bill, steps = await self.page(watched.visit, watched.sees)
                    watched.screen, watched.last = Screen.of(bill, steps), (bill or steps or {})["after"]
                    return
                row = json.loads(data)
                said = datetime.fromisoformat(row["at"])
                if said > since:
                    self.delays.append((datetime.now(UTC) - said).total_seconds() * 1000)
                watched.ids.append(identity)
                watched.raw.append(data)
                watched.last = identity
                watched.weigh(row["at"], data, new=watched.screen.fold(row["data"]))

    @asynccontextmanager
    async def _stream(self, visit: str, after: str | None) -> AsyncIterator[AsyncIterator[tuple[str, str, str]]]:
        headers = self.headers | ({"Last-Event-ID": after} if after else {})
        path = f"/api/visits/{visit}/stream"
        async with self.client.stream("GET", path, headers=headers, timeout=httpx.Timeout(10, read=None)) as answer:
            if answer.status_code in (403, 404):
                raise Shut
            answer.raise_for_status()
            yield _messages(answer.aiter_lines())

    async def replay(self, watched: Following, quiet: float = 1.0) -> list[str]:
        """Every row since the phone's first page, asked for anew on one stream: what came must be these, once each."""
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

    async def let_in(self, other: "Phone", offer: Json, patient: str = "") -> str:
        """Send the other phone an invitation, which it accepts, and say yes to it; the bond between them then."""
        asked = offer | {"share": "depth" in offer} | ({"patient_id": patient} if patient else {})
        invited = (await self.post("/api/family/invitations", asked)).raise_for_status().json()
        token = invited["path"].rpartition("/")[2]
        (await other.post(f"/api/family/invitations/{token}/accept")).raise_for_status()
        begun = await self.post(f"/api/family/claims/{invited['id']}", {"agreed": True})
        return str(begun.raise_for_status().json()[0]["bond"])

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
