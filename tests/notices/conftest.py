"""A ward whose people can be reached: what leaves the house by each channel is kept here instead of being sent."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from houfu.pushes import House
from kernel.db import Tx
from kernel.outside import Rejected
from notices import flows
from notices.ports import Lines, SmsKind, SmsReceipt, SmsReport, Subscription
from notices.rules.reach import Kind
from notices.service import wishes
from people.service import patients, sessions
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.adapters.conftest import Servers
from tests.visits.ward import Ward, next_day, open_ward

APPID = "wx-test"


@dataclass
class Outside:
    """All three channels: ``log`` is (channel, kind, to, texts) of what was really taken; ``raw`` every text of it.

    ``broken``: channel → the error its next calls end with; ``after`` it was taken all the same, or not.
    """

    log: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    taken_all_the_same: bool = False
    ids: set[tuple[str, str]] = field(default_factory=set)
    texts: dict[str, SmsReport] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    once: bool = True

    def _take(self, channel: str, kind: str, to: str, identity: str, texts: Sequence[str], once: bool) -> str:
        error = self.broken.get(channel)
        if error is None or self.taken_all_the_same:
            if not once or (channel, identity) not in self.ids:
                self.log.append((channel, kind, to, tuple(texts)))
            self.ids.add((channel, identity))
        if error is not None:
            raise error
        return f"{channel}-{identity}"

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """(channel, kind) of all that was taken, in order."""
        return [(channel, kind) for channel, kind, _, _ in self.log]

    def clear(self) -> None:
        """Forget what was taken so far."""
        self.log.clear()


class WeChat:
    """Every kind has its template; all fields are sent."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    def speaks(self, kind: str) -> bool:
        return True

    def repeatable(self, kind: str) -> bool:
        return self.outside.once

    async def push(self, openid: str, kind: str, fields: Mapping[str, str], link: str, client_id: str) -> str:
        self.outside.links.append(link)
        return self.outside._take("wechat", kind, openid, client_id, [*fields.values(), link], self.outside.once)


class Push:
    """Browsers, which show one message for each tag."""

    public_key = "key"

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    def accepts(self, endpoint: str) -> bool:
        return endpoint.startswith("https://push.test/")

    async def push(self, to: Subscription, payload: Mapping[str, str], topic: str, ttl: int, urgent: bool) -> None:
        if to.endpoint.endswith("gone"):
            raise Rejected("GONE")
        self.outside._take("web_push", payload["title"], to.endpoint, topic, list(payload.values()), True)


class Texts:
    """The gateway, which can be asked what became of its messages."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    async def send(self, template_id: str, phone: str, params: Sequence[str], session_context: str = "") -> SmsReceipt:
        try:
            number = self.outside._take("sms", template_id, phone, session_context, params, False)
        finally:
            if ("sms", session_context) in self.outside.ids:
                self.outside.texts[phone] = SmsReport(f"sms-{session_context}", session_context, True)
        return SmsReceipt(number, 1)

    def decode_status(self, raw: bytes) -> Sequence[SmsReport]:
        raise ValueError

    async def reports(self, phone: str, since: datetime, until: datetime) -> Sequence[SmsReport]:
        return [self.outside.texts[phone]] if phone in self.outside.texts else []


@dataclass
class Reach:
    """A ward, its lines to the outside, and the hand that moves time and lets the sweeps run."""

    ward: Ward
    outside: Outside
    lines: Lines
    truth: House = field(default_factory=House)

    def person(self, who: str) -> UUID:
        return self.ward.actors[who].id

    async def run(self, **later: float) -> int:
        """Let time pass and the sweeps run until there is nothing left to do at that moment."""
        self.ward.clock.move(timedelta(**later))
        tried = idle = 0
        while idle < 2:  # a look that sends nothing may still have moved something on
            now = await flows.run_due(self.ward.world.db, self.truth, self.lines)
            tried, idle = tried + now, 0 if now else idle + 1
        return tried

    async def ring(self, who: str, browser: str = "phone") -> None:
        """This person's browser may be rung."""
        async with self.ward.world.db.begin() as tx:
            made = Subscription(f"https://push.test/{who}/{browser}", "p", "a")
            await wishes.subscribe(tx, self.person(who), self.ward.tokens[who], made)

    async def wish(self, who: str, **change: Any) -> None:
        """This person chooses."""
        async with self.ward.world.db.begin() as tx:
            await wishes.put(tx, self.person(who), replace(await wishes.of(tx, self.person(who)), **change))

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the tables hold."""
        async with self.ward.world.db.begin() as tx:
            return [tuple(row) for row in await tx.session.execute(text(query))]

    async def do(self, change: Callable[[Tx], Any]) -> Any:
        """Something happens, in one transaction."""
        async with self.ward.world.db.begin() as tx:
            return await change(tx)


@pytest.fixture(scope="module")
async def ward(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    """The ward of one file: opening one takes longer than most of what happens in it."""
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    async with open_ward(module_database_url, tmp_path_factory.mktemp("ward"), document) as opened:
        yield opened


TABLES = (
    "delivery", "notice", "push_fact", "early_receipt", "reach_wish", "push_subscription", "presence", "caller_look",
    "caller_try",
)  # fmt: skip


@pytest.fixture
async def reach(ward: Ward) -> Reach:
    """A day of its own. The mother and her daughter follow the account; what happened before is told and forgotten."""
    await next_day(ward)
    outside = Outside()
    kinds = {k.value: SmsKind(k.value, ("title", "who", "amount", "until", "place", "code")) for k in Kind}
    lines = Lines("https://houfu.test", APPID, WeChat(outside), Push(outside), Texts(outside), kinds)
    made = Reach(ward, outside, lines)
    async with ward.world.db.begin() as tx:
        for table in TABLES:
            await tx.session.execute(text(f"DELETE FROM {table}"))
        for who in ("mother", "daughter"):
            person = await patients.by_id(tx, made.person(who))
            await sessions.link_wechat(tx, person, f"o-{who}", APPID)
        patients.set_phone(tx, await patients.by_id(tx, made.person("mother")), "19900000001")
    return made


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """The loopback servers of this folder's tests."""
    made = Servers()
    yield made
    await made.stop()


@pytest.fixture
def serving(servers: Servers) -> Callable[[Any], Any]:
    """``async with serving(app) as base_url``."""
    return servers.serving
