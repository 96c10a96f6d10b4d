"""Our side of the line to a hospital's own system: telling it what was decided, asking it what it knows.

The wire contract is ``docs/his.md``, "Commands out" and "Questions out". Every request is signed with the hospital's
outbound key; every answer is checked before it is believed.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from kernel.clock import china_day
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from visits.ports import HisAnswer, HisCommand, HisSettlement
from visits.rules.booking import Slot

ANSWER_SECONDS = 5.0  # docs/his.md: "no answer within 5 s" is unknown
_MOST = 4 * 1024 * 1024  # a snapshot longer than this is not one visit
_MOST_PAGES = 200  # of the settlement list: no hospital books so much in a day


@dataclass(frozen=True, slots=True)
class HisAccess:
    """Where one hospital's system is and the key we sign with; either empty means not configured."""

    base_url: str
    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"HisAccess({self.base_url!r}, {self.key_id!r}, secret=…)"


class _Booking(BaseModel):
    model_config = ConfigDict(extra="ignore")
    number: Annotated[str, Field(max_length=20)] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    key: str
    outcome: Literal["done", "refused", "later"]
    reason: str | None = None
    data: _Booking | None = None


class _Answers(BaseModel):
    items: list[_Answer]


class _Slot(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: Annotated[str, Field(min_length=1, max_length=64)]
    department: str
    doctor: Annotated[str, Field(min_length=1, max_length=64)]
    begins: Annotated[AwareDatetime, Field(alias="from")]
    until: AwareDatetime
    free: Annotated[int, Field(ge=0, strict=True)]
    fee_fen: Annotated[int, Field(ge=0, le=10**8, strict=True)]


class _Insured(BaseModel):
    name: str = Field(repr=False, min_length=1)
    id_type: str
    id_number: str = Field(repr=False, min_length=1)
    person_no: str = Field(repr=False, min_length=1)
    scheme: str
    region: str


class _Diagnosis(BaseModel):
    code: str
    name: str = Field(repr=False)
    department: str
    doctor: str
    doctor_name: str
    at: AwareDatetime


class _Facts(BaseModel):
    insured: _Insured
    registration: str
    department_name: str
    doctor: str
    diagnoses: Annotated[list[_Diagnosis], Field(min_length=1)]
    codes: dict[str, str]


class _Slots(BaseModel):
    slots: list[_Slot]


class _PaidCharge(BaseModel):
    model_config = ConfigDict(extra="ignore")
    charge_no: str
    self_fen: Annotated[int, Field(ge=0, strict=True)]


class _Payment(BaseModel):
    model_config = ConfigDict(extra="ignore")
    transaction: Annotated[str, Field(max_length=64)]


class _InsurancePart(BaseModel):
    model_config = ConfigDict(extra="ignore")
    number: Annotated[str, Field(min_length=1, max_length=64)]
    fund_fen: Annotated[int, Field(ge=0, strict=True)]
    account_fen: Annotated[int, Field(ge=0, strict=True)]
    other_fen: Annotated[int, Field(ge=0, strict=True)]
    hospital_fen: Annotated[int, Field(ge=0, strict=True)] = 0
    cash_fen: Annotated[int, Field(ge=0, strict=True)]

    @property
    def cut(self) -> tuple[int, int, int, int]:
        """Fund, accounts, other, and the rest: the centre counts what the hospital bears among the cash."""
        return self.fund_fen, self.account_fen, self.other_fen, self.cash_fen + self.hospital_fen


class _Booked(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kind: Literal["settle", "refund"]
    number: Annotated[str, Field(min_length=1, max_length=64)]
    settlement_no: Annotated[str, Field(min_length=1, max_length=64)]
    total_fen: Annotated[int, Field(ge=0, strict=True)]
    charges: list[_PaidCharge] = []
    payments: list[_Payment] = []
    insurance: list[_InsurancePart] | None = None
    booked_at: AwareDatetime


class _Settlements(BaseModel):
    items: list[_Booked]
    next: str | None = None


class HisClient:
    """Speaks to one hospital's system; implements ``visits.ports.HisCommands`` and ``HisBooks``.

    Args:
        access: address and outbound key.
        clock: gives aware UTC, for the signature's timestamp.
        transport: for tests that stay in the process; None is the network.
        answer_seconds: how long to wait before the outcome counts as unknown.
    """

    def __init__(
        self,
        access: HisAccess,
        clock: Callable[[], datetime],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._access, self._clock = access, clock
        self._base = access.base_url.rstrip("/")
        self._guard = Guard("his", deadline=answer_seconds)
        self._http = httpx.AsyncClient(
            transport=transport, timeout=answer_seconds, trust_env=False, follow_redirects=False
        )

    async def __aenter__(self) -> "HisClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, commands: Sequence[HisCommand]) -> list[HisAnswer | None]:
        """Deliver commands once, in one request; the caller's outbox repeats each under its key until it is answered.

        Returns: an answer each; None where the HIS asks to be told again later.

        Raises:
            Unknown: no answer in time, not 200, not the contract, or answers to other keys.
            Throttled: the hospital does not answer at the moment; nothing was sent.
            NotConfigured: no address or key.
        """
        body = [
            {
                "key": command.key,
                "kind": command.kind,
                "encounters": list(command.encounters),
                "at": command.at.isoformat(),
                "data": dict(command.data),
            }
            for command in commands
        ]
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._guard.call(lambda: self._send([command.key for command in commands], raw))

    async def _send(self, keys: Sequence[str], raw: bytes) -> list[HisAnswer | None]:
        answer = await self._ask("POST", "/houfu/commands", raw)
        if answer.status_code != 200:
            raise Unknown(f"his: commands answered {answer.status_code}")
        try:
            said = _Answers.model_validate_json(answer.content).items
        except ValidationError:
            raise Unknown("his: commands answered with something else than the contract") from None
        if [one.key for one in said] != list(keys):
            raise Unknown("his: answered for other keys")
        return [_understood(one) for one in said]

    async def snapshot(self, encounter: str) -> dict[str, Any]:
        """Everything the HIS has of one encounter: the unchecked ``data`` of a ``visit.snapshot``; intake checks it.

        Raises:
            Rejected: ``no_such_encounter``.
            Unknown, Throttled, NotConfigured: as ``send``.
        """
        path = f"/houfu/encounters/{quote(encounter, safe='')}/snapshot"
        answer = await self._guard.call(lambda: self._question(path, "no_such_encounter"))
        try:
            data = answer.json()
        except ValueError:
            raise Unknown("his: snapshot is no JSON") from None
        if not isinstance(data, dict):
            raise Unknown("his: snapshot is no object")
        return data

    async def insurance(self, encounter: str) -> dict[str, Any]:
        """What the insurance has to be told of an encounter (``docs/his.md``, "Questions out").

        Raises:
            Rejected: ``not_insured``, also for an encounter the HIS does not have.
            Unknown, Throttled, NotConfigured: as ``send``.
        """
        path = f"/houfu/encounters/{quote(encounter, safe='')}/insurance"
        answer = await self._guard.call(lambda: self._question(path, "not_insured"))
        try:
            return _Facts.model_validate_json(answer.content).model_dump(mode="json")
        except ValidationError:
            raise Unknown("his: insurance answered with something else than the contract") from None

    async def slots(self, department: str, day: date) -> list[Slot]:
        """The bookable times of a department (its code) on one day of the hospital's calendar.

        Raises:
            Rejected: ``no_such_department``.
            Unknown, Throttled, NotConfigured: as ``send``.
        """
        path = "/houfu/slots?" + urlencode({"department": department, "day": day.isoformat()})
        answer = await self._guard.call(lambda: self._question(path, "no_such_department"))
        try:
            return [Slot(**s.model_dump()) for s in _Slots.model_validate_json(answer.content).slots]
        except ValidationError:
            raise Unknown("his: slots answered with something else than the contract") from None

    async def settlements(self, day: date) -> list[HisSettlement]:
        """What the HIS has booked on one day; see ``visits.ports.HisBooks``.

        Raises:
            Rejected: ``no_settlement_list``.
            Unknown, Throttled, NotConfigured: as ``send``; also a list that says a page twice, or another day.
        """
        found: list[HisSettlement] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            asked = {"day": day.isoformat()} | ({"after": after} if after else {})
            page = await self._settlements("/houfu/settlements?" + urlencode(asked))
            found += [_booked(one) for one in page.items]
            if any(china_day(one.booked_at) != day for one in page.items):
                raise Unknown("his: the settlement list holds another day")
            if page.next is None:
                return found
            if page.next == after:
                break
            after = page.next
        raise Unknown("his: the settlement list has no end")

    async def _settlements(self, path: str) -> _Settlements:
        answer = await self._guard.call(lambda: self._question(path, "no_settlement_list"))
        try:
            return _Settlements.model_validate_json(answer.content)
        except ValidationError:
            raise Unknown("his: settlements answered with something else than the contract") from None

    async def _question(self, path: str, absent: str) -> httpx.Response:
        answer = await self._ask("GET", path, b"")
        if answer.status_code == 404:
            raise Rejected(absent)
        if answer.status_code != 200:
            raise Unknown(f"his: question answered {answer.status_code}")
        return answer

    async def _ask(self, method: str, path: str, body: bytes) -> httpx.Response:
        for name in ("base_url", "key_id", "secret"):
            if not getattr(self._access, name):
                raise NotConfigured(f"his.{name}")
        try:
            url = httpx.URL(self._base + path)
        except httpx.InvalidURL:
            raise NotConfigured("his.base_url") from None
        headers = dict(self._signature(body if method == "POST" else url.raw_path))
        if method == "POST":
            headers["Content-Type"] = "application/json"
        try:
            answer = await self._http.request(method, url, content=body or None, headers=headers)
        except httpx.HTTPError as error:
            raise Unknown(f"his: {type(error).__name__}") from None
        if len(answer.content) > _MOST:
            raise Unknown("his: the answer is too long")
        return answer

    def _signature(self, message: bytes) -> Mapping[str, str]:
        timestamp = str(int(self._clock().timestamp()))
        mac = hmac.new(self._access.secret.encode(), timestamp.encode() + b"." + message, hashlib.sha256)
        return {
            "X-Houfu-Key": self._access.key_id,
            "X-Houfu-Timestamp": timestamp,
            "X-Houfu-Signature": mac.hexdigest(),
        }


def _booked(said: _Booked) -> HisSettlement:
    charges = {line.charge_no: line.self_fen for line in said.charges}
    return HisSettlement(
        said.kind,
        said.number,
        said.settlement_no,
        tuple(payment.transaction for payment in said.payments),
        said.total_fen,
        charges,
        said.booked_at,
        None if said.insurance is None else {p.number: p.cut for p in said.insurance},
    )


def _understood(said: _Answer) -> HisAnswer | None:
    if said.outcome == "later":
        return None
    number = said.data.number if said.data is not None else None
    return HisAnswer(said.outcome, said.reason if said.outcome == "refused" else None, number)
