"""What every request has at hand: the database, the settings, the lines to the outside, and who is listening."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from api.hub import Hub
from consent.ports import Timestamps
from kernel.db import Database, Tx
from kernel.jobs import Queue
from kernel.settings import Settings
from notices.ports import Sms, WeChatMessages
from payments.ports import CashPay
from people.ports import WeChatIdentity
from people.rules import Actor, View


class HisClients(Protocol):
    """The lines to the hospitals' systems."""

    async def of(self, hospital_id: UUID) -> Any:
        """The client of one hospital (``visits.ports.HisCommands`` and the questions); kept until its keys change."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The lines to the outside; None where nothing is configured."""

    his: HisClients
    wechat: WeChatIdentity | None = None
    messages: WeChatMessages | None = None
    pay: CashPay | None = None
    sms: Sms | None = None
    timestamps: Timestamps | None = None


Who = Callable[[Tx, str], Awaitable[Actor | None]]
"""The holder of a session token, or None."""
Look = Callable[[Tx, Actor, UUID], Awaitable[View]]
"""What a caller may see of one visit; absent and foreign alike give ``people.rules.NOTHING``."""
ErrorPage = Callable[[int, str, str, Mapping[str, str]], tuple[bytes, Mapping[str, str]]]
"""(status, title, sentence, request headers) → an HTML page and its headers."""


@dataclass(frozen=True, slots=True)
class World:
    """Made once by ``houfu.wiring.build``; ``request.app.state.world``."""

    settings: Settings
    db: Database
    queue: Queue
    hub: Hub
    ports: Ports
    who: Who
    look: Look
    error_page: ErrorPage | None = None
    extras: dict[str, Any] = field(default_factory=dict)
