"""One hospital day on one connection of a real PostgreSQL, everybody's books in reach: kept, restored, compared."""

import json
import pickle
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from adapters.insurance import Access, InsuranceSettings, Province
from adapters.wechat_pay import WeChatPaySettings
from adapters.wechat_pay.mixed import MixSettings
from api.callbacks import wechat_pay as callbacks
from billing.service import paying
from billing.service.lines import lines_of, reverse
from houfu.audit import CHECKS
from kernel.clock import ManualClock
from kernel.errors import IllegalTransitionError
from kernel.ids import new_id
from payments import flows
from payments.flows import mixing
from payments.models import InsurancePart
from payments.ports import CashChannel, CashPay
from payments.rules import Till
from payments.service import shares
from payments.service.pressing import Press
from people.rules import Actor
from sandbox import town as towns
from sandbox.insurance.wire import Refusal as CentreRefusal
from sandbox.wechat_pay.app import refund_view
from sandbox.wechat_pay.books import Order, Refund
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.wire import Refusal
from tests.proof.connection import Numbers, OneConnection
from tests.proof.lines import CentreLine, HisLine, PayLine, mix_line
from visits.flows import deliver_calls

MOTHER, DAUGHTER, SON = "oHF-demo-mother-000000000001", "oHF-demo-daughter-0000000002", "oHF-demo-son-000000000000003"
ROUNDS = 60
"""How often the sweeps may run before everything has to be quiet."""
Json = dict[str, Any]

_ALL = " UNION ALL ".join(
    f"SELECT '{c.name}' AS what, * FROM ({c.sql}) AS {c.name}(row, figures)" for c in CHECKS if c.weight == "wrong"
)
DUE = """SELECT min(at) FROM (
    SELECT min(next_look_at) AS at FROM attempt WHERE next_look_at IS NOT NULL
    UNION ALL SELECT min(next_at) FROM refund WHERE next_at IS NOT NULL
    UNION ALL SELECT min(next_look_at) FROM insurance_part WHERE next_look_at IS NOT NULL AND state <> 'paid'
    UNION ALL SELECT min(next_look_at) FROM mixed_order WHERE next_look_at IS NOT NULL
    UNION ALL SELECT min(report_at) FROM mixed_order m JOIN insurance_part p ON p.id = m.part_id
        WHERE reported_at IS NULL AND m.state IN ('whole', 'insurance_alone') AND p.state = 'refunded'
    UNION ALL SELECT min(next_at) FROM his_call WHERE state = 'pending') AS due"""
_LEFT = """SELECT json_build_object(
    'attempts', (SELECT coalesce(json_agg(json_build_array(state, amount_fen, channel)), '[]') FROM attempt),
    'refunds', (SELECT coalesce(json_agg(state), '[]') FROM refund),
    'parts', (SELECT coalesce(json_agg(json_build_array(state, fund_fen + account_fen + other_fen)), '[]')
        FROM insurance_part),
    'mixed', (SELECT coalesce(json_agg(state), '[]') FROM mixed_order),
    'rounds', (SELECT coalesce(json_agg(state), '[]') FROM round),
    'calls', (SELECT coalesce(json_agg(state), '[]') FROM his_call),
    'lines', (SELECT coalesce(json_agg(json_build_array(number, state, self_fen,
        json_build_array(fund_fen, account_fen))), '[]') FROM charge_item),
    'ledger', (SELECT coalesce(json_object_agg(account, fen), '{}') FROM (
        SELECT account, sum(amount_fen) AS fen FROM ledger_entry GROUP BY 1) AS l),
    'feeds', (SELECT count(*) FROM feed_row))"""


class Wrong(AssertionError):
    """Somebody's money is not where it should be."""


@dataclass
class Post:
    """A notice on its way: what it says, and how often it was delivered."""

    id: str
    about: str
    raw: bytes
    tries: int = 0
    taken: bool = False
    sent: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Office:
    """The house, its neighbours' books, and what people do."""

    db: OneConnection
    clock: ManualClock
    town: towns.Town
    till: Till
    visit: UUID
    mother: Actor
    daughter: Actor
    son: Actor
    counter: Actor
    finance: Actor
    owed: int
    numbers: Numbers
    posts: list[Post] = field(default_factory=list)
    quiet: bool = False  # nobody steps in
    stepping: Any = None
    swept: bool = True
    said: int = 0

    def __post_init__(self) -> None:
        pay = self.town.keys.wechat_pay
        mine = {name: getattr(pay, name) for name in WeChatPaySettings.__slots__ if hasattr(pay, name)}
        notify = {"notify_url": "https://houfu.test/n", "refund_notify_url": "https://houfu.test/r"}
        settings = WeChatPaySettings(**mine, **notify, appid=self.till.appid)
        world = self.town.pay
        self.pay: CashPay = (line := PayLine(settings, world.books, world.merchants[pay.mchid], self.now, self.step))
        self._mix(line)
        keys = self.town.keys.client_insurance("http://centre.test")
        access = Access(keys["app_id"], keys["app_secret"], keys["private_key"], keys["public_key"])
        self.town.insurance.now = self.town.insurance.books.now = self.now
        self.town.insurance.notify_url = ""
        self.center = CentreLine(
            InsuranceSettings(keys["base_url"], keys["org_code"], access, Province("here")),
            self.town.insurance,
            self.step,
        )
        self.his = HisLine(self.town.his, self.step)
        self.db.step = self.step

    def _mix(self, pay: PayLine) -> None:
        desk, post = self.town.mixed, self.town.pay.notifier
        settings = MixSettings(towns.MIX_CITY, towns.MIX_HOSPITAL, towns._hospital_name(), "https://houfu.test/m")
        self.mix = mix_line(pay, settings, desk)
        quiet: Any = lambda *_: None  # noqa: E731 - its notice gives up after half a minute: nobody waits for it
        wire: Any = self.town.pay.wire
        wire.opened = str
        self.town.pay.now = self.now
        vars(post).update(paid=lambda _, order: self._told_paid(order), mixed=quiet, refunded=quiet)

    def _told_paid(self, order: Order) -> None:
        self.posts.append(self.letter("TRANSACTION.SUCCESS", transaction(order), order.out_trade_no))

    @property
    def lines(self) -> mixing.Lines:
        """The three that one press concerns."""
        return mixing.Lines(self.center, self.mix, self.pay)

    def now(self) -> datetime:
        """Everybody's clock."""
        return self.clock.time

    async def step(self, where: str, faults: Sequence[str] = ()) -> str:
        """Where a test may step in."""
        if self.quiet or self.stepping is None:
            return ""
        return str(await self.stepping(where, faults))

    # ---------------------------------------------------------------------------------------- back to any moment

    def keep(self) -> bytes:
        """Everybody's books, the post and the clock as they are now."""
        pay, his, centre = self.town.pay.books, self.town.his.books, self.town.insurance.books
        return pickle.dumps(
            (
                (pay.orders, pay.refunds, pay._serial, self.town.mixed.orders, self.town.pay.behaviour.rules),
                {k: getattr(his, k) for k in _HIS},
                {k: getattr(centre, k) for k in _CENTRE},
                (self.posts, self.said, self.numbers.count),
                self.clock.time,
            )
        )

    def restore(self, kept: bytes) -> None:
        """Back to then."""
        pay, his, centre = self.town.pay.books, self.town.his.books, self.town.insurance.books
        of_pay, of_his, of_centre, own, self.clock.time = pickle.loads(kept)  # noqa: S301
        pay.orders, pay.refunds, pay._serial, self.town.mixed.orders, self.town.pay.behaviour.rules = of_pay
        self.posts, self.said, self.numbers.count = own
        vars(his).update(of_his)
        vars(centre).update(of_centre)

    def books(self) -> str:
        """All that stands in everybody's books, the post and the clock, as text."""
        pay, his, centre = self.town.pay.books, self.town.his.books, self.town.insurance.books
        told: list[Any] = [self.clock.time]
        told += [(o.out_trade_no, o.state, o.total, o.openid, o.transaction_id, o.paid_at) for o in pay.orders.values()]
        told += [(r.out_refund_no, r.out_trade_no, r.amount, r.status) for r in pay.refunds.values()]
        mixed = self.town.mixed
        told += [(o.mix_trade_no, mixed.status(o), o.insurance, o.cash_failed) for o in mixed.orders.values()]
        told += [(o.mix_trade_no, len(o.reports), o.hanging) for o in mixed.orders.values()]
        told += [(r.on, r.do, r.left) for r in self.town.pay.behaviour.rules]
        told += [(e.no, sorted(e.executed), sorted(e.cancelled), sorted(e.reversed)) for e in his.encounters.values()]
        told += [(key, answer["outcome"]) for key, (_, answer) in his.commands.items()]
        told += [sorted(his.settlements), sorted(his.refunds), sorted(his.settled.items()), his.complaints]
        told += [(o.pay_order_id, o.status, o.insurance, o.cash_paid) for o in centre.orders.values()]
        told += [(r.number, r.order, r.status) for r in centre.refunds.values()]
        told += [(a.patient, a.until, a.order) for a in centre.auths.values()]
        told += [(p.account, centre.fund_paid, centre.other_paid) for p in centre.people.values()]
        told += [(p.id, p.about, p.tries) for p in self.posts]
        return repr(told)

    # ------------------------------------------------------------------------------------------- what people do

    async def press(
        self,
        actor: Actor,
        openid: str,
        amount: int | None = None,
        share: int | None = None,
        lines: frozenset[UUID] = frozenset(),
    ) -> UUID:
        """Press the button, for all that is left, one share, or lines that are paid before they are done."""
        fen = amount if amount is not None else await self.left()
        wish = Press(CashChannel.JSAPI, str(new_id()), fen, "10.0.0.8", openid, share, lines)
        return await flows.press(self.db, self.pay, actor, self.visit, wish, self.till)

    async def left(self) -> int:
        """What a payment beginning now would take."""
        async with self.db.begin() as tx:
            return await paying.due_now(tx, await paying.locked_visit(tx, self.visit))

    def orders(self, *states: str) -> list[Order]:
        """The platform's orders in these states, oldest first."""
        return [o for o in self.town.pay.books.orders.values() if o.state in states]

    def confirm(self, order: Order) -> bool:
        """The payer confirms in WeChat; False when WeChat does not let them. The notice is written at once."""
        try:
            self.town.pay.books.pay(order, order.openid or MOTHER, self.now())
        except Refusal:
            return False
        self._told_paid(order)
        return True

    def password(self) -> bool:
        """The mother enters the password for the mixed orders that wait for it; False where WeChat refuses it."""
        waiting = [o for o in self.town.mixed.orders.values() if self.town.mixed.status(o) == "MIX_PAY_CREATED"]
        try:
            for order in waiting:
                self.town.mixed.pay(order, MOTHER)
        except (Refusal, CentreRefusal):
            return False
        return bool(waiting)

    def letter(self, event: str, data: Json, about: str) -> Post:
        """One more notice."""
        self.said += 1
        number = f"n{self.said}"
        return Post(number, about, json.dumps({"id": number, "event": event, "data": data}).encode())

    def bank(self, status: str = "SUCCESS") -> int:
        """The bank has answered for every refund on its way."""
        going = [r for r in self.town.pay.books.refunds.values() if r.status == "PROCESSING"]
        for refund in going:
            self.town.pay.books.settle_refund(refund, status, self.now())
            self.posts.append(self.letter(f"REFUND.{status}", _notice(refund), refund.out_refund_no))
        return len(going)

    async def deliver(self, post: Post, nonce: str | None = None) -> int:
        """A genuine notice arrives at our door, signed anew unless ``nonce`` repeats an earlier try's; our answer.

        Raises:
            IllegalTransitionError: it moved something as nothing may move.
        """
        post.tries += 1
        fresh = {"wechatpay-nonce": f"{post.id}-{post.tries}", "wechatpay-timestamp": str(self.now())}
        headers = post.sent.setdefault(nonce or fresh["wechatpay-nonce"], fresh)
        ended: list[str] = []
        metrics = SimpleNamespace(labels=lambda how: SimpleNamespace(inc=lambda: ended.append(how)))
        world: Any = SimpleNamespace(
            db=self.db, ports=SimpleNamespace(pay=self.pay), metrics=SimpleNamespace(notices=metrics)
        )
        request: Any = SimpleNamespace(headers=headers, body=partial(_read, post.raw))
        answer = await callbacks.paid(request, world)
        if IllegalTransitionError.code in ended:
            raise IllegalTransitionError(what=post.about, before="?", after="?")
        post.taken = post.taken or answer.status_code == 204
        return answer.status_code

    async def waiting_parts(self) -> list[UUID]:
        """Settlements that wait for the patient's consent."""
        query = select(InsurancePart.id).where(InsurancePart.state == "created", InsurancePart.auth_sealed.is_(None))
        async with self.db.begin() as tx:
            return list(await tx.session.scalars(query.order_by(InsurancePart.created_at, InsurancePart.encounter)))

    async def shown_cash(self) -> int:
        """What the settlements of the live round leave in cash, as it is shown."""
        query = select(func.sum(InsurancePart.cash_fen)).where(InsurancePart.state == "placed")
        async with self.db.begin() as tx:
            return int(await tx.session.scalar(query) or 0)

    async def share(self, number: int) -> int:
        """What a free share of the live round asks for; 0 where there is none."""
        async with self.db.begin() as tx:
            now = await paying.live_round(tx, self.visit)
            every = await shares.of_round(tx, now.id) if now is not None else []
            return sum(s.allocation.amount_fen for s in every if s.allocation.number == number and s.state == "free")

    async def money(self) -> Json:
        """Where all money stands."""
        found: Json = (await self.db.connection.execute(text(_LEFT))).scalar_one()
        return found

    async def misfit(self, order: Order, change: str) -> int:
        """A genuine notice of a payment, but not as it was; our answer."""
        data = transaction(order)
        match change:
            case "amount":
                data["amount"] = {**data["amount"], "total": order.total - 1}
            case "payer":
                data["payer"] = {"openid": "somebody else"}
            case "transaction":
                data["transaction_id"] = ""
            case _:
                data[change] = "another"
        return await self.deliver(self.letter("TRANSACTION.SUCCESS", data, order.out_trade_no))

    async def insured(self) -> bool:
        """Whether the insurance was ever asked for this bill."""
        return bool(await self._count("insurance_part"))

    async def _count(self, table: str, where: str = "true") -> int:
        found = await self.db.connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}"))
        return int(found.scalar_one())

    async def reversal(self, nth: int) -> None:
        """The hospital takes a line back, unless it is being told of it, and says so."""
        if await self._count("his_call", "state = 'pending' AND kind = 'settle'"):
            return
        async with self.db.begin() as tx:
            every = await lines_of(tx, self.visit)
            line = every[nth % len(every)]
            if line.state in ("reversed", "refunded") or line.reversed_at is not None:
                return
            visit = await paying.locked_visit(tx, self.visit)
            books = self.town.his.books
            said = {"charge_no": line.number, "at": self.now().isoformat()}
            books.record("charge.reversed", books.encounter_of[line.number], said)
            await reverse(tx, visit, line, tx.now)

    def insurer_does(self, do: str, nth: int | None = None) -> None:
        """The insurer acts on its orders, where their state allows it."""
        books = self.town.insurance.books
        every = list(books.orders.values())
        for order in every if nth is None else every[nth : nth + 1]:
            with suppress(CentreRefusal):
                {"pay": books.pay, "fail": books.fail, "reverse": books.reverse}[do](order)

    # ------------------------------------------------------------------------------------------------ until quiet

    async def sweep(self) -> None:
        """Every sweep of the worker that touches money, once."""
        if not self.swept:
            return
        await flows.sweep(self.db, self.pay)
        await mixing.due(self.db, self.lines)
        await mixing.report_due(self.db, self.mix)
        await flows.insurance_due(self.db, self.center)
        await flows.release_idle(self.db)
        await flows.refund_due(self.db, self.pay)
        await deliver_calls(self.db, self.his)

    async def due(self) -> datetime | None:
        """When something is to be looked at next."""
        found: datetime | None = (await self.db.connection.execute(text(DUE))).scalar()
        return found

    async def looked_at(self, order: Order) -> bool:
        """Whether we shall ask about an order of WeChat's again by ourselves."""
        where = f"out_trade_no = '{order.out_trade_no}' AND next_look_at IS NOT NULL"
        return bool(await self._count("attempt", where))

    async def settle(self) -> None:
        """Time passes, no call fails any more, and what is half paid is given up in the end: until nothing is due.

        Raises:
            Wrong: it never becomes quiet.
        """
        self.quiet = True
        await self._until_quiet()
        if await self.half():
            await flows.give_up(self.db, self.pay, self.mother, self.visit)
            await self._until_quiet()
        self.quiet = False

    async def _until_quiet(self) -> None:
        self.clock.move(timedelta(seconds=61))  # so that what the insurance has paid is asked about once more
        await self.sweep()
        for _ in range(ROUNDS):
            self.bank()
            due = await self.due()
            if due is None:
                return
            self.clock.time = max(self.clock.time, due)
            await self.sweep()
        raise Wrong("it never becomes quiet")

    async def half(self) -> bool:
        """A round of which something is paid, or shown, waits for people as long as they like."""
        found = await self.db.connection.execute(text("SELECT count(*) FROM round WHERE state IN ('insuring', 'open')"))
        return bool(found.scalar_one())

    # ------------------------------------------------------------------------------------------------ the oracles

    async def audit(self) -> None:
        """``houfu audit`` finds nothing.

        Raises:
            Wrong: it does.
        """
        found = (await self.db.connection.execute(text(_ALL))).all()
        if found:
            raise Wrong("; ".join(" ".join(map(str, row)) for row in found))

    async def check(self, *, one: bool = True) -> Json:
        """At the end: every book says the same, all is paid once or nothing, told once or not at all.

        Args:
            one: it is a bill of one round of which nothing was taken back, so it is paid whole or not at all.

        Raises:
            Wrong: one of these is not so.
        """
        await self.audit()
        left = await self.money()
        lines = {state for _, state, _, _ in left["lines"]}
        if one and lines not in ({"settled"}, {"billable"}):
            raise Wrong(f"neither whole nor nothing: {lines}")
        self._taken(left)
        self._told(left)
        self._over(left)
        return left

    def _taken(self, left: Json) -> None:
        books = self.town.pay.books
        paid = sum(o.total for o in books.orders.values() if o.paid_at is not None)
        held = paid - sum(r.amount for r in books.refunds.values() if r.status == "SUCCESS")
        settled = [(own, fund, account) for _, state, own, (fund, account) in left["lines"] if state in _PAID]
        due = sum(own for own, _, _ in settled)
        if not held == due == left["ledger"].get("cash_wechat", 0):
            raise Wrong(f"WeChat holds {held} fen, our ledger {left['ledger'].get('cash_wechat', 0)}, lines {due}")
        if left["ledger"].get("suspense", 0):
            raise Wrong(f"{left['ledger']['suspense']} fen left in suspense")
        sums = self.town.insurance.books.dump()["sums"]
        insured = int(sums["fund_paid"] + sums["other_paid"] + sums["drawn"])
        bears = sum(fen or 0 for state, fen in left["parts"] if state == "paid")
        if insured != bears:
            raise Wrong(f"the insurance has paid {insured} fen, our settlements say {bears}")

    def _told(self, left: Json) -> None:
        his = self.town.his.books
        if his.complaints:
            raise Wrong(f"the hospital complains: {his.complaints}")
        settled = {number for number, state, _, _ in left["lines"] if state in _PAID}
        if set(his.settled) != settled:
            raise Wrong(f"the hospital has booked {sorted(his.settled)}, paid are {sorted(settled)}")
        for enc in his.encounters.values():
            gone = {no for no, charge in enc.charges.items() if charge.get("order_no") in enc.cancelled}
            if gone & settled - set(enc.executed):
                raise Wrong(f"paid for what will not be done: {sorted(gone & settled)}")
        told = [line["charge_no"] for s in his.settlements.values() for line in s["charges"]]
        back = [line["charge_no"] for r in his.refunds.values() for line in r["charges"]]
        if any(told.count(number) - back.count(number) > 1 for number in told):
            raise Wrong(f"the hospital was told twice: {told}, back {back}")

    def _over(self, left: Json) -> None:
        open_ = [s for s, _, _ in left["attempts"] if s not in ("settled", "closed", "failed", "refunded")]
        open_ += [s for s in left["refunds"] if s != "done"]
        open_ += [s for s, _ in left["parts"] if s not in ("paid", "revoked", "refunded", "failed")]
        open_ += [s for s in left["mixed"] if s in ("created", "open")]
        open_ += [s for s in left["rounds"] if s not in ("settled", "released")]
        open_ += [s for s in left["calls"] if s != "done"]
        if open_:
            raise Wrong(f"still open: {open_}")


_PAID = ("settled", "prepaid")
_HIS = ("encounters", "commands", "settlements", "refunds", "booked_at", "settled", "complaints", "outbox", "_numbers")
_CENTRE = ("people", "codes", "auths", "tokens", "orders", "refunds", "fund_paid", "other_paid")


def _notice(refund: Refund) -> Json:
    return refund_view(refund) | {"mchid": refund.mchid, "refund_status": refund.status}


async def _read(raw: bytes) -> bytes:
    return raw
