"""What every request has at hand: the database, the settings, the lines to the outside, and who is listening."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from api.hub import Hub, Look
from api.metrics import Metrics
from api.problems import Problem
from consent.ports import CreditPlatform, DocumentSigner, PaperRenderer, Timestamps
from intake.flows import Intake
from kernel.db import Database, Tx
from kernel.jobs import Queue
from kernel.settings import Settings
from notices.ports import Lines, Sms
from payments.ports import CashPay, FamilyAccounts, InsuranceCenter, MedInsMix
from payments.ports.statements import InsuranceStatements
from people.ports import WeChatAccount, WeChatDesk, WeChatIdentity
from people.rules import Actor
from visits.flows.booking import Slots


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
    wechat_account: WeChatAccount | None = None
    wechat_desk: WeChatDesk | None = None
    reach: Lines | None = None
    pay: CashPay | None = None
    mix: MedInsMix | None = None
    insurance: InsuranceCenter | None = None
    insurance_books: InsuranceStatements | None = None
    family_accounts: FamilyAccounts | None = None
    sms: Sms | None = None
    timestamps: Timestamps | None = None
    signer: DocumentSigner | None = None
    paper: PaperRenderer | None = None
    credit: CreditPlatform | None = None


Who = Callable[[Tx, str], Awaitable[Actor | None]]
"""The holder of a session token, or None."""
ErrorPage = Callable[[Request, Problem], Response]
"""A refusal as a page in plain words."""


@dataclass(frozen=True, slots=True)
class World:
    """Made once by ``houfu.wiring.build``; ``request.app.state.world``."""

    settings: Settings
    db: Database
    intake: Intake
    queue: Queue
    hub: Hub
    ports: Ports
    who: Who
    look: Look
    metrics: Metrics
    slots: Slots
    revision: str | None = None
    error_page: ErrorPage | None = None
    extras: dict[str, Any] = field(default_factory=dict)
