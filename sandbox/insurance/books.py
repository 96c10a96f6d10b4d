"""The payment centre's own books: people, their accounts, authorizations, orders, refunds, and where every fen is.

States are ``ordStas`` 0–17. Money for accounts is put aside when an order is reckoned (6202) and comes back when it is
revoked, fails or is refunded; the pooled fund pays when the order is paid.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.insurance.rules import Cut, Rules, cut
from sandbox.insurance.wire import Refusal, fen

CODE_LIFE, AUTH_LIFE, TOKEN_LIFE = timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=24)
OPEN, PAID = (0, 1), (4, 5, 6)
FIELDS_6201 = (
    *("orgCodg", "psnNo", "insutype", "medOrgOrd", "begntime", "idNo", "userName", "idType", "insuCode"),
    *("insuplcAdmdvs", "iptOtpNo", "deptName", "deptCode", "caty", "medType", "feeType", "mdtrtCertType"),
    *("psnSetlway", "chrgBchno", "pubHospRfomFlag", "uldLatlnt", "diseinfoList"),
)


@dataclass(slots=True)
class Person:
    """Somebody insured.

    Args:
        scheme: insurance type (310 employees, 390 residents); None while the insurance rests.
        account: what is on the personal account, fen.
        sharing: identity numbers of relatives who share their account with this person (共济), in order.
        family: identity numbers of those who may pay for this person by the insurer's family account (亲情账户).
    """

    name: str
    id_number: str
    openid: str = ""
    scheme: str | None = "310"
    account: int = 0
    sharing: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    id_type: str = "01"

    @property
    def number(self) -> str:
        """Their ``psnNo``."""
        return "P" + self.id_number[-12:]


@dataclass(slots=True)
class Auth:
    """One authorization: whose insurance, by whom, until when, and the only order it may be used for."""

    number: str
    patient: str
    payer: str
    until: datetime
    order: str | None = None


@dataclass(slots=True)
class Order:
    """One order; ``asked`` is the whole 6201, for repetitions."""

    pay_order_id: str
    token: str
    org: str
    number: str
    registration: str
    patient: str
    asked: dict[str, Any]
    charges: list[tuple[str, int]]
    auth: str | None
    traced: datetime
    status: int = 0
    cut: Cut | None = None
    insurance: str = "none"  # none, aside, paid, back, failed
    cash_paid: int = 0
    cash_back: int = 0
    before: dict[str, Any] | None = None
    history: list[int] = field(default_factory=lambda: [0])
    paid: datetime | None = None  # when the insurance paid its part


@dataclass(slots=True)
class Refund:
    """One refund number; ``asked`` for repetitions, amounts in fen."""

    number: str
    order: str
    kind: str
    asked: dict[str, Any]
    insurance: int
    cash: int
    status: str
    id: str
    at: datetime


class Books:
    """The state.

    Args:
        now: the world's clock.
    """

    def __init__(self, people: list[Person], rules: Rules, now: Callable[[], datetime]) -> None:
        self.people = {p.id_number: p for p in people}
        self.rules, self.now = rules, now
        self.codes: dict[str, tuple[Auth, str, datetime]] = {}
        self.consents: dict[str, Auth] = {}  # by the code, or the certificate's number, also when that is used up
        self.auths: dict[str, Auth] = {}
        self.tokens: dict[str, tuple[str, datetime]] = {}
        self.orders: dict[str, Order] = {}
        self.refunds: dict[str, Refund] = {}
        self.fund_paid = self.other_paid = 0
        self._opened = sum(p.account for p in people)

    # -------------------------------------------------------------------------------------------- authorizations

    def consent(self, openid: str, patient: str | None = None) -> str:
        """Somebody agrees in the mini-program, for themselves or a relative; the code for the hospital."""
        payer = next((p for p in self.people.values() if p.openid and p.openid == openid), None)
        if payer is None:
            raise Refusal("NO_SUCH_PERSON")
        whose = patient or payer.id_number
        if whose != payer.id_number and payer.id_number not in self.people[whose].family:
            raise Refusal("NO_FAMILY_ACCOUNT", "没有亲情账户关系")
        code = secrets.token_hex(12)
        auth = Auth("AUTH" + secrets.token_hex(16).upper(), whose, payer.id_number, self.now() + AUTH_LIFE)
        self.codes[code] = (auth, openid, self.now() + CODE_LIFE)
        self.consents[code] = auth
        return code

    def certificate(self, id_number: str) -> tuple[Auth, str]:
        """A certified terminal reads somebody's e-certificate or face: an authorization for one order, and a token."""
        whose = self.people[id_number]
        auth = Auth("AUTH" + secrets.token_hex(16).upper(), id_number, id_number, self.now() + AUTH_LIFE)
        self.auths[auth.number] = self.consents[auth.number] = auth
        token = "EC" + secrets.token_hex(16)
        self.tokens[token] = (whose.id_number, self.now() + TOKEN_LIFE)
        return auth, token

    def join(self, person: Person) -> None:
        """Somebody more is insured; whoever is already stays as they are, with the WeChat they came with last."""
        known = self.people.setdefault(person.id_number, person)
        if known is person:
            self._opened += person.account
        elif person.openid:
            known.openid = person.openid

    def resolve(self, code: str, openid: str) -> tuple[Auth, str]:
        """userQuery: the authorization behind a code, once, and an ecToken of the payer's."""
        auth, owner, until = self.codes.get(code, (None, "", self.now()))
        if auth is None:
            raise Refusal("QRCODE_INVALID", "授权码无效")
        if owner != openid:
            raise Refusal("OPENID_MISMATCH", "授权码与 openid 不匹配")
        del self.codes[code]
        if self.now() > until:
            raise Refusal("QRCODE_EXPIRED", "授权码已过期")
        auth.until = self.now() + AUTH_LIFE
        self.auths[auth.number] = auth
        token = "EC" + secrets.token_hex(16)
        self.tokens[token] = (auth.patient, self.now() + TOKEN_LIFE)
        return auth, token

    def authorized(self, data: dict[str, Any], order_of: Callable[[], str | None]) -> tuple[str, Auth | None]:
        """Whose insurance an ecToken or payAuthNo opens; an authorization used for another order opens nothing."""
        token, number = data.get("ecToken"), data.get("payAuthNo")
        if bool(token) == bool(number):
            raise Refusal("PARAM_ERROR", "ecToken 与 payAuthNo 必须且只能有一个")
        if token:
            patient, until = self.tokens.get(str(token), ("", self.now()))
            if not patient or self.now() > until:
                raise Refusal("EC_TOKEN_INVALID", "ecToken 无效")
            return patient, None
        auth = self.auths.get(str(number))
        if auth is None:
            raise Refusal("PAY_AUTH_NO_INVALID", "授权无效")
        if auth.order is not None and auth.order != order_of():
            raise Refusal("PAY_AUTH_NO_USED", "授权已使用")
        if auth.order is None and self.now() > auth.until:
            raise Refusal("PAY_AUTH_NO_EXPIRED", "授权已过期")
        return auth.patient, auth

    # ---------------------------------------------------------------------------------------------------- orders

    def upload(self, org: str, data: dict[str, Any]) -> Order:
        """6201; the same again finds the same order."""
        missing = [name for name in FIELDS_6201 if not data.get(name)]
        if missing or data["orgCodg"] != org:
            raise Refusal("PARAM_ERROR", f"缺少 {missing[0]}" if missing else "orgCodg 有误")
        known = next((o for o in self.orders.values() if (o.org, o.number) == (org, data["medOrgOrd"])), None)
        if known is not None:
            if known.asked != data or known.status not in OPEN:
                raise Refusal("MED_ORG_ORD_USED", "medOrgOrd 已使用")
            return known
        patient, auth = self.authorized(data, lambda: None)
        if auth is not None and not data.get("mdtrtId"):
            raise Refusal("PARAM_ERROR", "缺少 mdtrtId")
        self._same_person(patient, data)
        charges = self._charges(data)
        made = Order(
            pay_order_id="ORD" + secrets.token_hex(12).upper(),
            token=secrets.token_hex(24),
            org=org,
            number=str(data["medOrgOrd"]),
            registration=str(data.get("mdtrtId") or "M" + secrets.token_hex(6)),
            patient=patient,
            asked=data,
            charges=charges,
            auth=auth.number if auth else None,
            traced=self.now(),
        )
        if auth is not None:
            auth.order = made.pay_order_id
        self.orders[made.pay_order_id] = made
        return made

    def _charges(self, data: dict[str, Any]) -> list[tuple[str, int]]:
        lines = data.get("feedetailList")
        if not isinstance(lines, list) or not lines:
            raise Refusal("PARAM_ERROR", "feedetailList 为空")
        if len({line.get("feedetlSn") for line in lines}) != len(lines):
            raise Refusal("PARAM_ERROR", "feedetlSn 重复")
        charges = [(str(x.get("medListCodg")), fen(x.get("detItemFeeSumamt"), "detItemFeeSumamt")) for x in lines]
        total = fen(data.get("medfeeSumamt"), "medfeeSumamt")
        if sum(amount for _, amount in charges) != total or total < 1:
            raise Refusal("AMOUNT_MISMATCH", "明细合计与总额不符")
        parts = [data.get(name) for name in ("fulamtOwnpayAmt", "preselfpayAmt", "inscpScpAmt")]
        if any(parts) and sum(fen(part, "scope") for part in parts) != total:
            raise Refusal("AMOUNT_MISMATCH", "费用组成与总额不符")
        return charges

    def find(self, org: str, data: dict[str, Any]) -> Order:
        """The order a call names, if its token is the right one."""
        order = self.orders.get(str(data.get("payOrdId")))
        if order is None or order.org != org or data.get("orgCodg") != org:
            raise Refusal("ORDER_NOT_EXIST", "订单不存在")
        if not secrets.compare_digest(str(data.get("payToken")), order.token):
            raise Refusal("TOKEN_MISMATCH", "payToken 与订单不符")
        return order

    def asked_by(self, org: str, data: dict[str, Any]) -> Order:
        """6301 and 6401 also name the patient."""
        order = self.find(org, data)
        self._same_person(order.patient, data)
        return order

    def place(self, org: str, data: dict[str, Any]) -> Order:
        """6202; the same again finds the same reckoning."""
        order = self.find(org, data)
        for name in ("orgBizSer", "chrgBchno", "feeType", "mdtrtId"):
            if not data.get(name):
                raise Refusal("PARAM_ERROR", f"缺少 {name}")
        flag = data.get("acctUsedFlag") or ""
        if flag not in ("", "0", "1") or data["mdtrtId"] != order.registration:
            raise Refusal("PARAM_ERROR", "acctUsedFlag 或 mdtrtId 有误")
        patient, auth = self.authorized({"payAuthNo": data.get("payAuthNo")}, lambda: order.pay_order_id)
        if patient != order.patient or auth is None or order.auth not in (None, auth.number):
            raise Refusal("PERSON_MISMATCH", "授权人与订单不符")
        if order.status != 0:
            return order
        if self.now() > auth.until:
            raise Refusal("PAY_AUTH_NO_EXPIRED", "授权已过期")
        auth.order, order.auth = order.pay_order_id, auth.number
        whose = self.people[order.patient]
        used = [] if flag == "0" else [whose, *(self.people[one] for one in whose.sharing)]
        balances = [(p.id_number, p.account) for p in used]
        order.cut = cut(self.rules, whose.scheme, order.charges, balances)
        for one, amount in order.cut.accounts:
            self.people[one].account -= amount
        order.insurance = "aside"
        self.move(order, 1)
        return order

    def revoke(self, org: str, data: dict[str, Any]) -> Order:
        """6401; twice is once."""
        order = self.asked_by(org, data)
        if order.status != 12:
            if order.status not in OPEN:
                raise Refusal("ORDER_SETTLING" if order.status in (2, 3) else "INSURANCE_PAID", "不能撤销")
            self.give_back(order, "none")
            self.move(order, 12)
        return order

    # ---------------------------------------------------------------------------------------- the payer's doings

    def pay(self, order: Order) -> None:
        """The patient has agreed to the split: the insurance pays its part."""
        if order.status not in (1, 2, 3) or order.cut is None:
            raise Refusal("ORDER_STATUS", "订单状态不允许支付")
        order.insurance, order.paid = "paid", self.now()
        self.fund_paid += order.cut.fund
        self.other_paid += order.cut.other
        self.move(order, 6 if order.cash_paid == order.cut.cash else 4)

    def cash(self, order: Order) -> None:
        """The cash part arrived."""
        if order.status not in (1, 2, 4) or order.cut is None:
            raise Refusal("ORDER_STATUS", "订单状态不允许收取现金")
        order.cash_paid = order.cut.cash
        self.move(order, 6 if order.insurance == "paid" else 3)

    def fail(self, order: Order) -> None:
        """The insurance does not pay, or takes its payment back; cash already taken cannot be reversed by it."""
        if order.status not in (1, 2, 3, *PAID):
            raise Refusal("ORDER_STATUS", "订单状态不允许失败")
        self.give_back(order, "failed")
        self.move(order, 16 if order.cash_paid else 15)

    def inside(self, order: Order) -> None:
        """The hospital has settled at its own window."""
        if order.status != 4:
            raise Refusal("ORDER_STATUS", "订单状态不允许院内结算")
        self.move(order, 5)

    def reverse(self, order: Order) -> None:
        """The insurer takes its payment back by itself (医保撤销)."""
        if order.status not in PAID:
            raise Refusal("ORDER_STATUS", "订单状态不允许医保撤销")
        self.give_back(order, "back")
        self.move(order, 13)

    def move(self, order: Order, status: int) -> None:
        """Write a new state, remembering how it looked before."""
        order.before = self.shown(order)
        order.status, order.traced = status, self.now()
        order.history.append(status)

    def give_back(self, order: Order, word: str) -> None:
        """Undo what the accounts and the fund gave; ``word`` is what the insurance's part is from now on."""
        if order.cut is not None and order.insurance in ("aside", "paid"):
            for one, amount in order.cut.accounts:
                self.people[one].account += amount
            if order.insurance == "paid":
                self.fund_paid -= order.cut.fund
                self.other_paid -= order.cut.other
        order.insurance = word

    def _same_person(self, patient: str, data: dict[str, Any]) -> None:
        whose = self.people.get(patient)
        given = (data.get("idNo"), data.get("userName"), data.get("idType"))
        if whose is None or given != (whose.id_number, whose.name, whose.id_type):
            raise Refusal("PERSON_MISMATCH", "姓名或证件与授权人不符")

    def shown(self, order: Order) -> dict[str, Any]:
        """An order's state as plain values, fen; what ``view`` and the oracle are made of."""
        parts = order.cut
        amounts = {} if parts is None else {
            "total": parts.total, "fund": parts.fund, "account": parts.account, "mutual": parts.mutual,
            "other": parts.other, "cash": parts.cash, "hospital": parts.hospital,
        }  # fmt: skip
        return {"status": order.status, "number": order.number, "traced": order.traced, **amounts}

    def dump(self) -> dict[str, Any]:
        """The oracle: every order, refund and account in fen, without names or secrets."""
        orders = [
            {"payOrdId": o.pay_order_id, **self.shown(o), "traced": o.traced.isoformat(), "insurance": o.insurance}
            | {"cash_paid": o.cash_paid, "cash_back": o.cash_back, "history": o.history}
            for o in self.orders.values()
        ]
        refunds = [
            {"appRefdSn": r.number, "payOrdId": r.order, "kind": r.kind, "status": r.status}
            | {"insurance": r.insurance, "cash": r.cash}
            for r in self.refunds.values()
        ]
        drawn = sum(o.cut.account for o in self.orders.values() if o.cut and o.insurance in ("aside", "paid"))
        accounts = sum(p.account for p in self.people.values())
        sums = {"fund_paid": self.fund_paid, "other_paid": self.other_paid, "accounts": accounts, "drawn": drawn}
        return {"orders": orders, "refunds": refunds, "sums": {**sums, "opened": self._opened}}
