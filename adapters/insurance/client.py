"""Our line to the insurance's payment centre: upload a bill, let it reckon, ask, take back, refund, read its notices.

Source: the national mobile payment centre's transactions 6201, 6202, 6203, 6301, 6302, 6401 as public implementations
use them. An answer counts only if its signature holds, it is fresh, and it is about what was asked.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from adapters.insurance import letters, statement
from adapters.insurance.authorize import UserQuery, UserQuerySettings
from adapters.insurance.envelope import Access, BadEnvelope, Envelope, Letter, Province, Wrapping
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import (
    Authorized,
    Conclusion,
    Credential,
    FeeUpload,
    ForgedNotice,
    InsuranceOrder,
    InsuranceRefund,
    InsuranceRefunded,
    InsuranceState,
    InsuranceStatus,
    Insured,
    Split,
)
from payments.ports.statements import InsuranceRow, InsuranceTotals

FRESH = timedelta(minutes=5)
MAX_BYTES = 512 * 1024
MOST_PAGES = 200
_BEIJING = timedelta(hours=8)
PATHS = {
    "6201": "/org/local/api/hos/uldFeeInfo",
    "6202": "/org/local/api/hos/pay_order",
    "6203": "/org/local/api/hos/refund_Order",
    "6301": "/org/local/api/hos/query_order_info",
    "6401": "/org/local/api/hos/revoke_order",
    **statement.PATHS,
}
FAMILY = "FAMILY"  # no number of the national centre: each province that answers names its own


@dataclass(frozen=True, slots=True)
class InsuranceSettings:
    """One hospital at its province's centre.

    Args:
        org_code: the hospital's national code (``orgCodg``).
        user_query: the city host for authorizations; None where a terminal brings them.
        family_path: where the province answers who is in a family account; empty: it does not.
    """

    base_url: str
    org_code: str
    access: Access
    province: Province
    user_query: UserQuerySettings | None = None
    family_path: str = ""


class InsuranceClient:
    """``payments.ports.InsuranceCenter``; use inside ``async with`` or call ``aclose``.

    Args:
        clock: aware UTC, for the envelopes' timestamps.

    Raises:
        NotConfigured: a setting is empty, or a key is none.
    """

    def __init__(
        self,
        settings: InsuranceSettings,
        clock: Callable[[], datetime],
        guard: Guard | None = None,
        timeout: tuple[float, float] = (3, 10),
    ) -> None:
        for holder, names in ((settings, ("base_url", "org_code")), (settings.access, Access.__slots__)):
            for name in names:
                if not getattr(holder, name):
                    raise NotConfigured(f"insurance.{name}")
        try:
            self._envelope = Envelope(settings.access, settings.province)
        except ValueError:
            raise NotConfigured("insurance.access: an app id or key of another form") from None
        self._settings, self._clock = settings, clock
        self._paths = PATHS | {FAMILY: settings.family_path}
        self._guard = guard or Guard("insurance", deadline=12.0)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout[1], connect=timeout[0]), trust_env=False, follow_redirects=False
        )
        self._user_query = None
        if settings.user_query is not None:
            self._user_query = UserQuery(settings.user_query, self._http, clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def resolve_auth(self, auth_code: str, openid: str) -> Authorized:
        """See ``InsuranceCenter.resolve_auth``."""
        query = self._user_query
        if query is None:
            raise NotConfigured("insurance.user_query")
        return await self._guard.call(lambda: query.resolve(auth_code, openid))

    async def upload(self, fees: FeeUpload) -> Credential:
        """See ``InsuranceCenter.upload``."""
        told, _ = await self._ask("6201", letters.upload(fees, self._settings.org_code), fees.insured.region)
        return letters.credential(told)

    async def place(self, order: InsuranceOrder) -> Split:
        """See ``InsuranceCenter.place``."""
        told, at = await self._ask("6202", letters.place(order, self._settings.org_code))
        state = self._same(letters.state(told, at), order.credential.pay_order_id)
        if state.status.concludes in (Conclusion.NEVER_PAID, Conclusion.GIVEN_BACK):
            raise Rejected(f"ORDER_STATUS_{state.status.value}")
        if state.status in (InsuranceStatus.ABNORMAL, InsuranceStatus.REFUNDING) or state.split is None:
            raise Unknown(f"insurance: status {state.status.value}, nothing reckoned")
        return state.split

    async def query(self, credential: Credential, insured: Insured) -> InsuranceState:
        """See ``InsuranceCenter.query``."""
        told, at = await self._ask("6301", letters.ask(credential, insured, self._settings.org_code))
        return self._same(letters.state(told, at), credential.pay_order_id)

    async def revoke(self, credential: Credential, insured: Insured) -> None:
        """See ``InsuranceCenter.revoke``."""
        told, _ = await self._ask("6401", letters.ask(credential, insured, self._settings.org_code))
        if told.get("payOrdId") not in (None, "", credential.pay_order_id):
            raise Unknown("insurance: the answer is about another order")
        if told.get("success") not in (True, "true"):
            raise Unknown("insurance: revoked or not, it does not say")

    async def refund(self, refund: InsuranceRefund) -> InsuranceRefunded:
        """See ``InsuranceCenter.refund``."""
        told, _ = await self._ask("6203", letters.refund(refund, self._settings.org_code))
        if told.get("payOrdId") not in (None, "", refund.pay_order_id):
            raise Unknown("insurance: the answer is about another order")
        return letters.refunded(told, refund.refund_number)

    async def family_account(self, payer: Insured, patient: Insured) -> bool:
        """See ``payments.ports.FamilyAccounts.family_account``."""
        if not self._settings.family_path:
            raise NotConfigured("insurance.family_path")
        told, _ = await self._ask(FAMILY, letters.family(payer, patient, self._settings.org_code), patient.region)
        return letters.related(told, payer, patient)

    async def agrees(self, ours: InsuranceTotals) -> bool:
        """See ``payments.ports.statements.InsuranceStatements.agrees``."""
        told, _ = await self._ask("3201", statement.totals(ours, self._settings.org_code))
        return statement.agrees(told)

    async def statement(self, day: date) -> tuple[InsuranceRow, ...]:
        """See ``payments.ports.statements.InsuranceStatements.statement``."""
        found: list[InsuranceRow] = []
        for page in range(1, MOST_PAGES + 1):
            told, _ = await self._ask("3202", statement.details(day, page, self._settings.org_code))
            rows, count = statement.rows(told, day)
            found += rows
            if len(found) == count:
                return tuple(found)
            if not rows or len(found) > count:
                break
        raise Unknown("insurance: the statement is not as long as it says")

    async def decode_notice(self, raw: bytes) -> InsuranceState:
        """See ``InsuranceCenter.decode_notice``."""
        if len(raw) > MAX_BYTES:
            raise ForgedNotice("too long")
        try:
            letter = await asyncio.to_thread(self._envelope.open, raw)
        except BadEnvelope as error:
            raise ForgedNotice(str(error)) from None
        try:
            told = letter.data or {}
            if isinstance(told.get("input"), Mapping):
                told = _inner(told, "input")
            return letters.notice(told, _told_at(letter))
        except Unknown as error:
            raise ForgedNotice(f"unreadable: {error.why}") from None

    def _same(self, state: InsuranceState, pay_order_id: str) -> InsuranceState:
        if state.pay_order_id != pay_order_id:
            raise Unknown("insurance: the answer is about another order")
        return state

    async def _ask(self, number: str, fields: dict[str, Any], region: str = "") -> tuple[Mapping[str, Any], datetime]:
        return await self._guard.call(lambda: self._once(number, fields, region))

    async def _once(self, number: str, fields: dict[str, Any], region: str) -> tuple[Mapping[str, Any], datetime]:
        now = self._clock()
        fields = {name: value for name, value in fields.items() if value != ""}
        if self._settings.province.wrapping is Wrapping.NUMBERED:
            fields = self._numbered(number, fields, region, now)
        sealed = await asyncio.to_thread(self._envelope.seal, fields, int(now.timestamp() * 1000))
        try:
            answer = await self._http.post(
                self._settings.base_url.rstrip("/") + self._paths[number],
                content=json.dumps(sealed).encode(),
                headers={"Content-Type": "application/json; charset=utf-8"},
            )
        except httpx.HTTPError as error:
            raise Unknown(f"insurance {number}: {type(error).__name__}") from None
        if answer.status_code == 429:
            raise Throttled(f"insurance {number}: HTTP 429")
        if answer.status_code != 200 or len(answer.content) > MAX_BYTES:
            # Not the centre speaking, or in the middle of something: it proves nothing.
            raise Unknown(f"insurance {number}: HTTP {answer.status_code}")
        return await self._read(number, answer.content)

    async def _read(self, number: str, raw: bytes) -> tuple[Mapping[str, Any], datetime]:
        try:
            letter = await asyncio.to_thread(self._envelope.open, raw)
        except BadEnvelope as error:
            if self._settings.province.unsigned_refusals:
                self._refused(number, _unsigned(raw))
            raise Unknown(f"insurance {number}: {error}") from None
        at = _told_at(letter)
        if abs(self._clock() - at) > FRESH:
            raise Unknown(f"insurance {number}: the answer is not fresh")
        self._refused(number, letter.head)
        told = letter.data
        if told is None:
            raise Unknown(f"insurance {number}: an empty answer")
        if self._settings.province.wrapping is Wrapping.NUMBERED:
            self._refused(number, {"code": told.get("infcode")})
            told = _inner(told, "output")
        return told, at

    def _refused(self, number: str, head: Mapping[str, Any]) -> None:
        """Raise what a code other than 0 means; the centre's words may name a person, so they stay out."""
        code = head.get("code")
        if code is None or code == "":
            raise Unknown(f"insurance {number}: an answer without a code")
        if str(code) == "0":
            return
        if str(code) in self._settings.province.unsure:
            raise Unknown(f"insurance {number}: {code}")
        raise Rejected(self._settings.province.reasons.get(str(code), str(code)[:64]))

    def _numbered(self, number: str, fields: dict[str, Any], region: str, now: datetime) -> dict[str, Any]:
        org = self._settings.org_code
        at = now + _BEIJING
        return {
            "infno": number,
            "msgid": f"{org[:12]:0<12}{at:%Y%m%d%H%M%S}{now.microsecond // 100:04d}",
            "insuplc_admdvs": region,
            "fixmedins_code": org,
            "inf_time": f"{at:%Y-%m-%d %H:%M:%S}",
            "input": {"data": fields},
        }


def _told_at(letter: Letter) -> datetime:
    stamp = str(letter.head.get("timestamp", ""))
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 14:
        raise Unknown("insurance: a letter without a time")
    return datetime.fromtimestamp(int(stamp) / 1000, UTC)


def _inner(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    outer = told.get(name)
    inner = outer.get("data") if isinstance(outer, Mapping) else None
    if not isinstance(inner, Mapping):
        raise Unknown(f"insurance: no {name}.data in the answer")
    return inner


def _unsigned(raw: bytes) -> Mapping[str, Any]:
    """The code of an answer without any signature or contents; anything else counts as no answer."""
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    bare = isinstance(found, dict) and not found.get("signData") and not found.get("encData")
    # A yes without a signature is none.
    return found if bare and str(found.get("code")) != "0" else {}
